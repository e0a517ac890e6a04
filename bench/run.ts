/**
 * `deno task bench`: runs all measures, or those that are named, and writes the figures to
 * `bench/results.json`, in which the figures of other measures are kept.
 *
 * Options: `--rounds N` (8), `--only PEER,PEER`, `--readers N,N` (of `fanout`, `added`, `burst` and
 * `profile`; at most so many in `jitter` and `deploy`), `--dry` (writes nothing). `plot` draws the figures, and
 * writes them into README.md and docs/compared.md.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Driver } from "./driver.ts";
import { rowsOf, type Sample, type Series, seriesOf } from "./figures.ts";
import { MEASURES } from "./measures.ts";
import { buildC, FIELD, type Peer, PEERS, REDIS, VERSIONS } from "./peers.ts";
import { plot } from "./plot.ts";
import { type Measured, readResults, type Results, writeResults } from "./results.ts";
import { table } from "./table.ts";
import { judge, ratiosOf } from "./targets.ts";

const MOST_READERS = 9_000;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "8" },
      only: { type: "string" },
      readers: { type: "string", default: "100,1000,9000" },
      dry: { type: "boolean", default: false },
    },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(MEASURES);
  if (names.includes("plot")) return await plot();
  checkNames("measure", names, [...Object.keys(MEASURES), "plot"]);
  const all = [...PEERS, ...FIELD].map(({ name }) => name);
  const only = values.only?.split(",") ?? all;
  checkNames("peer", only, all);
  const rounds = numberOf("--rounds", values.rounds);
  const readers = values.readers.split(",").map((size) => numberOf("--readers", size));

  const binary = await buildDriver();
  const wanted = [...PEERS, ...FIELD].filter(({ name }) => only.includes(name));
  const { peers, missing } = await installed([...wanted, REDIS]);
  const results = await readResults();
  results.machine = machine();
  results.missing = missing;
  for (const name of names) {
    console.log(`\n${name}: ${new Date().toISOString()}`);
    const samples: Sample[] = [];
    await using driver = new Driver(binary);
    await checkFiles(driver);
    try {
      await MEASURES[name]!({
        driver,
        newDriver: () => new Driver(binary),
        peers: PEERS.filter((peer) => peers.includes(peer)),
        field: FIELD.filter((peer) => peers.includes(peer)),
        redis: peers.find((peer) => peer === REDIS),
        rounds,
        readers,
        note: (sample) => samples.push(sample),
      });
    } catch (error) {
      console.error(`${name} ended early:`, error);
      Deno.exitCode = 1;
      continue;
    }
    if (samples.length === 0) {
      console.log("Nothing of it can be measured here");
      continue;
    }
    const series = seriesOf(samples);
    const measured = results.measures[name] = summarize(name, series);
    console.log(table(measured.rows));
    if (values.dry) continue;
    await writeResults(results);
    await writeRounds(name, series);
  }
  const own = Object.entries(results.measures).filter(([name]) => names.includes(name));
  console.log("\n" + judge(Object.fromEntries(own)));
}

function summarize(measure: string, series: readonly Series[]): Measured {
  return {
    date: new Date().toISOString(),
    rounds: Math.max(...series.map(({ values }) => values.size)),
    ratios: ratiosOf(measure, series),
    rows: rowsOf(series),
  };
}

/** Stores the figures of every round, for people to read. */
async function writeRounds(measure: string, series: readonly Series[]): Promise<void> {
  const folder = new URL("./rounds/", import.meta.url);
  await Deno.mkdir(folder, { recursive: true });
  const lines = series.map(({ values, ...about }) =>
    JSON.stringify({ ...about, values: Object.fromEntries(values) })
  );
  await Deno.writeTextFile(new URL(`${measure}.jsonl`, folder), lines.join("\n") + "\n");
}

function checkNames(what: string, names: readonly string[], known: readonly string[]): void {
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  console.error(`No ${what} ${unknown.join(", ")}; there are ${known.join(", ")}`);
  Deno.exit(2);
}

function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  console.error(`${option} is ${JSON.stringify(text)}: a number above 0 is needed`);
  Deno.exit(2);
}

async function buildDriver(): Promise<string> {
  try {
    const folder = new URL("./driver/", import.meta.url).pathname;
    const sources = [...Deno.readDirSync(folder)].map(({ name }) => folder + name)
      .filter((path) => path.endsWith(".c"));
    return await buildC(sources, "driver");
  } catch (error) {
    console.error(`Cannot build the load driver, which is in C: ${(error as Error).message}`);
    Deno.exit(1);
  }
}

async function installed(wanted: readonly Peer[]): Promise<{ peers: Peer[]; missing: string[] }> {
  const peers: Peer[] = [];
  const missing: string[] = [];
  for (const peer of wanted) {
    try {
      await peer.install();
      peers.push(peer);
    } catch (error) {
      const line = `Left out: ${peer.title}: ${(error as Error).message}`;
      console.log(line);
      missing.push(line);
    }
  }
  return { peers, missing };
}

async function checkFiles(driver: Driver): Promise<void> {
  const files = await driver.files();
  if (files > MOST_READERS + 100) return;
  console.error(
    `Only ${files} files may be open here (ulimit -Hn): ${MOST_READERS} readers need more`,
  );
  Deno.exit(1);
}

function machine(): Results["machine"] {
  return {
    cores: navigator.hardwareConcurrency,
    memoryGiB: Math.round(Deno.systemMemoryInfo().total / 1024 ** 3),
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    ...VERSIONS,
    node: versionOf("node", "--version"),
    python: versionOf("python3", "--version"),
    go: versionOf("go", "env", "GOVERSION"),
    gcc: versionOf("gcc", "-dumpfullversion"),
    redis: versionOf("redis-server", "--version").replace(/^.*v=(\S+).*$/, "$1"),
  };
}

function versionOf(command: string, ...args: string[]): string {
  try {
    return new TextDecoder().decode(new Deno.Command(command, { args }).outputSync().stdout).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "none";
    throw error;
  }
}

if (import.meta.main) await main();
