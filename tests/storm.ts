/**
 * A storm of good and hostile clients against the stream, and the same against a control, which is
 * a minimal Deno server. A well-behaved page beside them may miss nothing and wait for no
 * push for long. Afterwards every place is free, and the stream uses no more memory than the control.
 *
 * Usage: deno task storm [--clients N] [--rate PER_SECOND] [--silence MILLISECONDS] [--growth RATIO]
 *
 * The exit code is 1 if a check fails.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { StreamReport } from "./apps/stream_app.ts";
import type { CrowdOptions, CrowdReport } from "./crowd.ts";
import { openPages } from "./hostile.ts";
import { pause } from "./kit.ts";
import { startProcess, startStream, type TestStreamProcess } from "./processes.ts";
import { Witness } from "./witness.ts";

/** The size of a storm, and the limits of its effects. */
export interface StormOptions {
  /** How many clients there are. Before that, a fifth as many warm up the server. */
  clients: number;
  /** How many clients start in a second. */
  rate: number;
  /** Milliseconds without a push that the well-behaved page may see; there are ten pushes a second. */
  silence: number;
  /** The most memory at the end, as a multiple of that at the start, less the growth of the control. */
  growth: number;
  /** Receives progress messages. */
  tell?: (line: string) => void;
}

/** The effects of a storm on one server. */
export interface Storm {
  /** The report of the crowd. */
  crowd: CrowdReport;
  /** The resources of the server before and after. */
  start: StreamReport;
  end: StreamReport;
  /** What the well-behaved page saw. */
  witness: Pick<Witness, "pushes" | "gaps" | "silence" | "closeCode">;
  /** How many other pages have a place afterwards. */
  places: number;
}

/** The result. */
export interface StormOutcome {
  /** The effects on the stream. */
  stream: Storm;
  /** The effects on the control. */
  control: Storm;
  /** Memory at the end, less the growth of the control, as a multiple of that at the start. */
  growth: { rss: number; heap: number };
  /** The failed checks. */
  problems: string[];
}

/** The places of the stream. More than the crowd, because a place is released some time after a reset. */
const PLACES = 1_000;
const CROWD: Omit<CrowdOptions, "port" | "cursor" | "rate"> = { most: 300, stay: 2_000 };
/** The log is full after the warm-up, so it does not grow. */
const TURBO = { maxConnections: PLACES, log: { maxEntries: 50 } };

/** Runs a storm against the control and against the stream. */
export async function storm(options: StormOptions): Promise<StormOutcome> {
  const control = await stormOver({ isControl: true }, options);
  const stream = await stormOver({ isControl: false }, options);
  const ratio = (what: "rss" | "heap") =>
    (stream.end[what] - (control.end[what] - control.start[what])) / stream.start[what];
  const growth = { rss: ratio("rss"), heap: ratio("heap") };
  return { stream, control, growth, problems: problemsOf(stream, growth, options) };
}

async function stormOver(
  { isControl }: { isControl: boolean },
  { clients, rate, tell }: StormOptions,
): Promise<Storm> {
  await using app = await startStream({ isControl, turbo: TURBO });
  await using witness = await Witness.connect(app.url);
  const { port } = app;
  const { cursor } = await app.report();
  const crowd = JSON.stringify({ ...CROWD, port, cursor, rate } satisfies CrowdOptions);
  await using driver = startProcess("crowd.ts", [crowd]);
  const come = async (count: number): Promise<[CrowdReport, StreamReport]> => {
    const from = driver.lines.length;
    await driver.tell(String(count));
    const milliseconds = 60_000 + 10_000 * count / rate;
    const report: CrowdReport = JSON.parse(await driver.line(/^{/, { from, milliseconds }));
    return [report, await rested(app)];
  };
  const name = isControl ? "control" : "stream";
  const [, start] = await come(Math.ceil(clients / 5));
  tell?.(`${name} before: ${memoryOf(start)}`);
  const [report, end] = await come(clients);
  tell?.(`${name} after: ${memoryOf(end)}; ${JSON.stringify(report)}`);
  const { pushes, gaps, silence, closeCode } = witness;
  const places = isControl ? 0 : await countPlaces(port);
  return { crowd: report, start, end, witness: { pushes, gaps, silence, closeCode }, places };
}

/** The resources when all but the witness have ended, or after a long wait for that. */
async function rested(app: TestStreamProcess): Promise<StreamReport> {
  const end = performance.now() + 5_000;
  for (;;) {
    const { size, zombies } = await app.report();
    if ((size <= 1 && zombies === 0) || performance.now() > end) break;
    await pause(50);
  }
  await pause(500);
  return await app.report();
}

async function countPlaces(port: number): Promise<number> {
  await using pages = await openPages(PLACES - 1, port, 5_000);
  return pages.open;
}

function problemsOf(
  { crowd, end, witness, places }: Storm,
  growth: StormOutcome["growth"],
  options: StormOptions,
): string[] {
  const { gaps, silence, closeCode } = witness;
  const refused = crowd.statuses[503] ?? 0;
  const problems: [isWrong: boolean, what: string][] = [
    [closeCode !== undefined, `the page that behaves well was closed with ${closeCode}`],
    [gaps.length > 0, `it missed pushes ${gaps.length} times, first ${gaps[0]}`],
    [silence > options.silence, `it heard nothing for ${silence} ms`],
    [refused > crowd.clients / 10, `${refused} of ${crowd.clients} clients found no place`],
    [end.size !== 1, `${end.size} connections count as open when one is`],
    [end.zombies > 0, `${end.zombies} zombies are left`],
    [places !== PLACES - 1, `${places} of ${PLACES - 1} places are free`],
    ...(["rss", "heap"] as const).map((what): [boolean, string] => [
      growth[what] > options.growth,
      `${what} is ${growth[what].toFixed(2)} x that at the start, less what Deno keeps`,
    ]),
  ];
  return problems.filter(([isWrong]) => isWrong).map(([, what]) => what);
}

function memoryOf({ rss, heap }: StreamReport): string {
  return `rss ${mib(rss)} MiB, heap ${mib(heap)} MiB`;
}

function mib(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(1);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      clients: { type: "string", default: "40000" },
      rate: { type: "string", default: "400" },
      silence: { type: "string", default: "1000" },
      growth: { type: "string", default: "1.2" },
    },
  });
  const { stream, control, growth, problems } = await storm({
    clients: Number(values.clients),
    rate: Number(values.rate),
    silence: Number(values.silence),
    growth: Number(values.growth),
    tell: console.log,
  });
  for (const [name, { witness, end }] of Object.entries({ control, stream })) {
    const { pushes, gaps, silence } = witness;
    console.log(
      `${name}: ${
        end.upgraded - end.opened
      } of ${end.upgraded} WebSockets never opened; a page had ` +
        `${pushes} pushes and ${gaps.length} gaps, its longest silence was ${silence} ms`,
    );
  }
  console.log(
    `growth beside Deno's own: rss ${growth.rss.toFixed(3)}, heap ${growth.heap.toFixed(3)}`,
  );
  const isGood = problems.length === 0;
  console.log(isGood ? "GOOD: the storm has left nothing behind" : `BAD: ${problems.join("; ")}`);
  if (!isGood) Deno.exitCode = 1;
}
