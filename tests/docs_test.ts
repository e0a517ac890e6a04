/**
 * Tests the commands in `docs/`. Its code blocks are run by `deno task test` itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { jsonOf, LoadSampler } from "../loadavg.ts";
import { memoryLog, QUICK, until, within } from "./kit.ts";
import { outputOf, startApp, succeeds } from "./processes.ts";
import { startRedis, type TestRedis, WITH_REDIS } from "./redis_server.ts";
import { MACHINE, NOW, reportAfter } from "./reports.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const REDIS = "redis://127.0.0.1:6379";

/** The command lines of a file. */
function commandsOf(file: string): string[] {
  const text = Deno.readTextFileSync(ROOT + file);
  return [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].flatMap(([, block]) => {
    return block!.trim().split("\n").map((line) => line.replace(/ +#.*$/, ""));
  });
}

async function runInShell(line: string, { url }: TestRedis): Promise<string> {
  const deno = `"${Deno.execPath()}" run --no-prompt`;
  const command = line.replace("deno run", deno).replace(REDIS, url);
  const { code, stderr } = await within(
    new Deno.Command("sh", { args: ["-c", command], cwd: ROOT, env: { NO_COLOR: "1" } }).output(),
    line,
  );
  const said = new TextDecoder().decode(stderr);
  assert.equal(code, 0, `${line}: ${said}`);
  return said;
}

Deno.test("The commands of docs/many-machines.md do what it says", WITH_REDIS, async () => {
  await using redis = await startRedis();
  await using stack = new AsyncDisposableStack();
  const commands = commandsOf("docs/many-machines.md");
  const starts = commands.filter((line) => line.startsWith("deno task start "));
  const pushes = commands.filter((line) => line.includes("turbo/push.ts"));
  assert.equal(starts.length + pushes.length, commands.length, "each is run here");
  const apps = [];
  for (const line of starts) {
    const args = line.split(" ").slice(3).map((arg) => arg === REDIS ? redis.url : arg);
    args[args.indexOf("--port") + 1] = "0";
    apps.push(stack.use(await startApp([...args, "--hostname", "127.0.0.1"])));
  }
  assert.equal(apps.length, 2);
  for (const { url } of apps) {
    await until(async () => {
      const page = await (await fetch(url)).text();
      return page.includes("web1") && page.includes("web2");
    }, "a page shows both nodes");
  }
  assert.equal(pushes.length, 2);
  for (const line of pushes) await runInShell(line, redis);
  const entries = await redis.cli("XRANGE", "turbo", "-", "+");
  assert.match(entries, /target="load"><template><b id="load">busy<\/b>/);
  assert.match(entries, /target="list"><template><li>Done<\/li>[^]*@ann/);
});

const hasJq = !QUICK && await succeeds("curl", "--version") && await succeeds("jq", "--version");
if (!hasJq && !QUICK) console.log("NOTICE: curl or jq is not installed, their test is skipped");

Deno.test("The commands of docs/running.md read /load.json", { ignore: !hasJq }, async () => {
  const options = ["--port=0", "--hostname=127.0.0.1", "--node=web1"];
  await using app = await startApp(options);
  const answers = [];
  for (const line of commandsOf("docs/running.md").filter((line) => line.startsWith("curl "))) {
    const command = line.replace("http://localhost:8000", app.url);
    assert.notEqual(command, line);
    answers.push(await outputOf(["sh", "-c", command]));
  }
  assert.equal(answers.length, 3);
  assert.match(answers[0]!, /^web1 \d+(?:\.\d+)?$/);
  assert.match(answers[1]!, /^\d+(?:\.\d+)?$/);
  const quarters = answers[2]!.trim().split("\n").map((line) => line.split(" "));
  assert.match(quarters.at(-1)!.join(" "), /^\S+T\d\d:(?:00|15|30|45):00Z \d+(?:\.\d+)?$/);
  const age = Date.now() - Date.parse(quarters.at(-1)![0]!);
  assert(age >= 0 && age < 20 * 60_000, `${age} ms`);
  assert.equal(quarters.length, 97);
});

Deno.test("The commands of docs/running.md that read a log do so", { ignore: !hasJq }, async () => {
  const options = ["--port=0", "--hostname=127.0.0.1", "--log-level=debug", "--warn=0.01"];
  await using app = await startApp(options, { env: { REDIS_URL: "redis://127.0.0.1:1" } });
  await app.event(/is away/);
  await (await fetch(`${app.url}/page2?a=b`)).text();
  await app.event(/^GET \/page2/);
  const text = `${app.lines.join("\n")}\n${app.errors}`;
  const lines = commandsOf("docs/running.md").filter((line) => line.includes("fromjson?"));
  const filters = lines.map((line) => /^.+? \| (jq .*)$/.exec(line)![1]!);
  const outputs = [];
  for (const filter of filters) {
    outputs.push(
      await outputOf(["sh", "-c", `printf %s "$LOG" | ${filter}`], { env: { LOG: text } }),
    );
  }
  assert.equal(outputs.length, 2);
  const [warnings = "", requests = ""] = outputs;
  const { message } = JSON.parse(warnings.split("\n")[0]!);
  assert.match(message, /^(?:Redis at|Load above)/);
  assert.doesNotMatch(warnings, /debug|Listening/);
  assert.match(requests, /^\d+ ms \/page2$/m);
});

Deno.test("docs/running.md names the fields of the log, and no others", () => {
  const section = running.split("\n## Logs\n")[1]!.split("\n## ")[0]!;
  const [, , table = ""] = section.split(/\n(?=\| (?:level|field) )/);
  const documented = [...table.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
  );
  const files = [
    "main.ts",
    "loadavg.ts",
    "server/log.ts",
    "server/connection_log.ts",
    "server/uncaught.ts",
  ];
  const used = files.flatMap((file) => {
    const source = Deno.readTextFileSync(ROOT + file);
    const objects = [
      ...source.matchAll(/\b(?:log|#log|lineOf)(?:\.\w+)?\([^;]*?, \{([^;]*?)\},?\s*\)[;,\n]/g),
      ...source.matchAll(/\bconst fields = \{([^;]*?)\};/g),
    ];
    return objects.flatMap(([, fields]) =>
      fields!.split(",").map((field) => field.split(":")[0]!.trim()).filter((name) => name !== "")
    );
  });
  const written = ["error_type", "stack", "cut"]; // by server/log.ts itself
  assert.deepEqual(documented.toSorted(), [...new Set([...used, ...written])].toSorted());
});

const running = Deno.readTextFileSync(`${ROOT}docs/running.md`);

Deno.test("docs/running.md names the fields of /load.json, and no others", async () => {
  const section = running.split("\n## For programs\n")[1]!.split("\n## ")[0]!;
  const { machines: [machine], ...rest } = jsonOf(await reportAfter([[1, 1, 1]])) as {
    machines: [Record<string, unknown>];
  };
  const cells = section.match(/^\| `.*?\|/gm)!.flatMap((cell) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
  );
  const fields = [...Object.keys(rest), "machines[]", ...Object.keys(machine).map((n) => `.${n}`)];
  assert.deepEqual(cells.toSorted(), fields.toSorted());
  for (const part of [machine.load, machine.hour, machine.day]) {
    for (const name of Object.keys(part as object)) assert(section.includes(`\`${name}\``), name);
  }
});

Deno.test("docs/running.md quotes the lines of --warn", async () => {
  const [, block = ""] = /^```\n(Load above [^]*?)\n```$/m.exec(running) ?? [];
  const log = memoryLog();
  let time = 0;
  let load = 3.61;
  const sampler = new LoadSampler({
    readTextFile: () => Promise.resolve(`${load} 1.00 1.00 1/2 3\n`),
    now: () => NOW + time,
    monotonicNow: () => time,
  }, { machine: { ...MACHINE, cpus: 4 }, warn: 0.8, log });
  await sampler.report();
  load = 2.95;
  for (; time <= 60_000; time += 5_000) await sampler.report();
  assert.deepEqual(block.split("\n").map((line) => `warn: ${line}`), log.events);
});

Deno.test("The steps of a row end at its reading, also where the next ones fail", async () => {
  const failing = await reportAfter([[1, 1, 1], [3, 1, 1], ...Array(60).fill("no such device")]);
  const { machines: [machine] } = jsonOf(failing) as {
    machines: [{ readAt: string; hour: { startsAt: string; highest: (number | null)[] } }];
  };
  const { startsAt, highest } = machine.hour;
  const step = Math.floor((Date.parse(machine.readAt) - Date.parse(startsAt)) / 60_000);
  assert.deepEqual([highest.length - 1, highest[step]], [step, 3]);
});
