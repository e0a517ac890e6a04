/**
 * Measures what the readings of days take, for the figures in docs/limits.md and docs/running.md: memory
 * before and after garbage collection, and the file beside that of `--state`. Each case has a process of its
 * own, and a clock of its own, so that two days take seconds.
 *
 * Usage: deno task history
 *
 * @module
 */
import { LoadSampler } from "../loadavg.ts";
import { History } from "../server/history.ts";
import { saveHistory } from "../server/history_file.ts";
import { directory } from "./kit.ts";
import { outputOf } from "./processes.ts";
import { MACHINE, NOW } from "./reports.ts";

/** What takes readings. */
interface Taker {
  /** Takes a reading. */
  add(load: number, at: number): unknown;
  /** Makes what a report has of them until a moment. */
  report(end: number): unknown;
  /** Writes the file. */
  save(): void;
}

/** The cases, by their names. */
const CASES: Record<string, { interval: number; start: (file: string) => Taker }> = {
  "Readings each 0.05 s": { interval: 50, start: (file) => startHistory(50, file) },
  "Readings each 5 s": { interval: 5_000, start: (file) => startHistory(5_000, file) },
  // With each reading a sampler makes a report, for which a day of 0.05 s would take hours.
  "A sampler with readings each 5 s": {
    interval: 5_000,
    start: (file) => startSampler(5_000, file),
  },
};
const HOUR = 3_600_000;
const REPORTS = 200;

const [asked] = Deno.args;
if (asked !== undefined) await measure(asked);
else await measureAll();

async function measureAll(): Promise<void> {
  for (const name of Object.keys(CASES)) {
    const flags = ["-A", "--v8-flags=--expose-gc", "--lock=tests/deno.lock"];
    console.log(await outputOf([Deno.execPath(), "run", ...flags, import.meta.filename!, name]));
  }
}

async function measure(name: string): Promise<void> {
  using at = directory();
  const file = `${at.path}/readings`;
  const { interval, start } = CASES[name]!;
  collect();
  const empty = bytesInUse();
  const { add, report, save } = start(file);
  let time = 0;
  for (const hours of [1, 2, 24, 48]) {
    for (; time < hours * HOUR; time += interval) await add(loadAt(time), NOW + time);
    const before = bytesInUse() - empty;
    collect();
    const after = bytesInUse() - empty;
    save();
    console.log(
      `${name}, after ${hours} h: ${mib(after)} MiB, before garbage collection ${
        mib(before)
      } MiB, ` +
        `in the file ${mib(Deno.statSync(file).size)} MiB`,
    );
  }
  const begin = performance.now();
  for (let n = 0; n < REPORTS; n++) await report(NOW + time);
  const milliseconds = (performance.now() - begin) / REPORTS;
  console.log(`${name}: ${milliseconds.toFixed(2)} ms for a report`);
}

function startHistory(interval: number, file: string): Taker {
  const history = new History({ interval, limit: 8 });
  return {
    add: (load, at) => history.add(load, at),
    report: (end) => [
      history.hour(end),
      history.day(end),
      history.trend(end),
      history.dayTrend(end),
    ],
    save: () => saveHistory(file, history),
  };
}

function startSampler(interval: number, file: string): Taker {
  let time = 0;
  let text = "";
  const sampler = new LoadSampler({
    readTextFile: () => Promise.resolve(text),
    now: () => NOW + time,
    monotonicNow: () => time,
  }, { interval, machine: MACHINE, file });
  return {
    async add(load, at) {
      time = at - NOW;
      text = `${load.toFixed(2)} 0.50 0.50 1/2 3\n`;
      await sampler.report();
    },
    report: () => sampler.report(),
    save: () => sampler.save(),
  };
}

/** A load that rises and falls, and has as many digits as one of the system call. */
function loadAt(time: number): number {
  return Math.round((4 + 3 * Math.sin(time / HOUR) + Math.random()) * 65_536) / 65_536;
}

function collect(): void {
  (globalThis as unknown as { gc: () => void }).gc();
}

/** Bytes of JavaScript's own heap and of typed arrays. */
function bytesInUse(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

function mib(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(2);
}
