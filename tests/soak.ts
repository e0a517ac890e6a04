/**
 * Two equal runs against one process, with readers that connect and leave. The second may not use more
 * than 1.1 times the memory of the first, and everything that was opened must be closed again.
 *
 * Usage: deno task soak [--minutes N] [--clients N] [--churn PER_SECOND] [--pushes PER_SECOND]
 *
 * `minutes` is for both runs together. The exit code is 1 if a check fails.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { Report } from "./apps/pushing_app.ts";
import { connect, pause, PROTOCOL, type TestClient, until } from "./kit.ts";
import { startProcess, type TestProcess } from "./processes.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "20" },
    clients: { type: "string", default: "200" },
    churn: { type: "string", default: "5" },
    pushes: { type: "string", default: "10" },
  },
});
const milliseconds = Number(values.minutes) * 60_000 / 2;
const clients = Number(values.clients);
const churn = Number(values.churn);
const REPORTS = 10;

/** The resources after a run. */
interface Outcome {
  /** The median memory in the second half of the run, in MiB. */
  rss: number;
  /** The same of JavaScript's own heap. */
  heap: number;
  /** File descriptors, timers, connections and zombies after all readers have left. */
  left: { fds: number; timers: number; size: number; zombies: number };
  /** How many readers connected and left. */
  visits: number;
  /** How many readers the server closed. */
  lost: number;
}

await using app = startProcess("apps/pushing_app.ts");
const first = await run("first", app);
const second = await run("second", app);
const ratio = second.rss / first.rss;
const leaks = (["fds", "timers", "size", "zombies"] as const)
  .filter((what) => second.left[what] > first.left[what] + 2);
console.log(JSON.stringify({ first, second, ratio: Number(ratio.toFixed(3)) }, null, 2));
const isGood = ratio <= 1.1 && leaks.length === 0 && first.lost + second.lost === 0 &&
  app.errors === "";
console.log(`${isGood ? "GOOD" : "BAD"}: the second run used ${ratio.toFixed(3)} x the memory`);
if (leaks.length > 0) console.log(`Left behind: ${leaks.join(", ")}`);
if (app.errors !== "") console.log(`Errors of the app: ${app.errors}`);
if (!isGood) Deno.exitCode = 1;

async function run(name: string, app: TestProcess): Promise<Outcome> {
  const { url } = await reportOf(app);
  const open: TestClient[] = [];
  let visits = 0;
  let lost = 0;
  const enter = async () => {
    const client = await connect(url, { protocol: PROTOCOL });
    client.socket.onmessage = null; // no messages are kept
    client.socket.addEventListener("close", () => {
      if (open.includes(client)) lost++;
    });
    open.push(client);
    visits++;
  };
  const leave = async () => {
    const [client] = open.splice(Math.floor(Math.random() * open.length), 1);
    await client?.[Symbol.asyncDispose]();
  };
  for (let i = 0; i < clients; i++) await enter();
  await app.tell(`push 300 ${values.pushes}`);

  const start = performance.now();
  const samples: Report[] = [];
  let told = 0;
  for (let round = 1; performance.now() - start < milliseconds; round++) {
    await leave();
    await enter();
    const report = await reportOf(app);
    if (performance.now() - start > milliseconds / 2) samples.push(report);
    if (performance.now() - start > told * milliseconds / REPORTS) {
      told++;
      const { rss, heap, timers, size, zombies, buffered } = report;
      const seconds = Math.round((performance.now() - start) / 1000);
      console.log(
        `${name} ${seconds} s: rss ${mib(rss)} MiB, heap ${mib(heap)} MiB, fds ${fds(app)}, ` +
          `timers ${timers}, open ${size}, zombies ${zombies}, buffered ${buffered} B`,
      );
    }
    await pause(Math.max(0, start + round * 1000 / churn - performance.now()));
  }
  await app.tell("push 0 0");
  while (open.length > 0) await leave();
  await until(async () => (await reportOf(app)).size === 0, "all have left");
  await pause(500);
  const { timers, size, zombies } = await reportOf(app);
  return {
    rss: mib(median(samples.map(({ rss }) => rss))),
    heap: mib(median(samples.map(({ heap }) => heap))),
    left: { fds: fds(app), timers, size, zombies },
    visits,
    lost,
  };
}

async function reportOf(app: TestProcess): Promise<Report> {
  const line = await app.line(/^{/);
  app.lines.length = 0; // otherwise they would be kept for the whole soak
  return JSON.parse(line);
}

function fds(app: TestProcess): number {
  if (Deno.build.os !== "linux") return 0;
  return [...Deno.readDirSync(`/proc/${app.child.pid}/fd`)].length;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

function mib(bytes: number): number {
  return Number((bytes / 1024 ** 2).toFixed(1));
}
