/**
 * The machine's load averages, the last of them for a plot, and the rows by which many machines show
 * theirs on one page.
 *
 * @module
 */

/** How many processes wanted to run, on average over the last 1, 5 and 15 minutes. */
export type LoadAverages = readonly [one: number, five: number, fifteen: number];

/** One reading. */
export interface LoadSample {
  /** The three numbers. */
  readonly averages: LoadAverages;
  /** Whether they are random, because this system tells none. */
  readonly simulated: boolean;
  /** When they were read, in milliseconds since 1970: to be shown. */
  readonly at: number;
  /** The same moment in milliseconds of a clock that is never set: for ages and distances. */
  readonly monotonicAt: number;
}

/** What a page shows. */
export interface LoadReport {
  /** The last good sample, if there ever was one. */
  readonly latest: LoadSample | undefined;
  /** The recent samples, oldest first, the latest included. */
  readonly history: readonly LoadSample[];
  /** Why the latest is old: what the last reading failed with. */
  readonly failure: string | undefined;
  /** How old the latest is, in milliseconds; `Infinity` where there is none. */
  readonly age: number;
}

/** A machine's load, as it is shared with the others. */
export interface Row {
  /** What the machine is called. */
  readonly name: string;
  /** The last good reading, if there ever was one. */
  readonly averages: LoadAverages | undefined;
  /** Whether its numbers are random. */
  readonly simulated: boolean;
  /** When it was read, in milliseconds since 1970 by that machine's clock. */
  readonly at: number;
  /** How old it is, in milliseconds. */
  readonly age: number;
  /** Why there is no newer one. */
  readonly failure: string | undefined;
  /** The latest 1-minute loads, oldest first, an interval apart; `null` where reading failed. */
  readonly history: readonly (number | null)[];
  /** Milliseconds between two readings. */
  readonly interval: number;
  /** How many CPUs the machine has, where that is known. */
  readonly cpus: number | undefined;
}

/** What a page shows of a fleet. */
export interface FleetReport {
  /** The machines, in the order of their names. */
  readonly rows: readonly Row[];
  /** Whether there are more than are shown. */
  readonly hasMore: boolean;
  /** The machine that has made the page. */
  readonly renderer: string;
  /** When, in milliseconds since 1970 by its clock. */
  readonly at: number;
  /** Whether it hears nothing of the others for now. */
  readonly isAlone: boolean;
}

/** What a machine says of itself. */
export interface Machine {
  /** What it is called. */
  readonly name: string;
  /** Milliseconds between two of its readings. */
  readonly interval: number;
}

/** Where the numbers come from. */
export interface LoadSource {
  /** Reads `/proc/loadavg` (proc(5)); Deno allows that only with `--allow-all`. */
  readTextFile?: (path: string) => Promise<string>;
  /** The same by a system call; needs `--allow-sys=loadavg`. All zero on Windows. */
  loadavg?: () => number[];
  /** The operating system, as `Deno.build.os` names it. */
  os?: typeof Deno.build.os;
  /** The clock that is shown, and that may be set. Default `Date.now`. */
  now?: () => number;
  /** The clock by which time passes. Default `performance.now`. */
  monotonicNow?: () => number;
  /** How long a report waits for a reading that hangs, in milliseconds. Default 1,000. */
  patience?: number;
}

/** Samples kept for a plot, this machine's or that of a row. */
export const MAX_HISTORY = 60;
/** The longest name of a machine that is shown. */
export const MAX_NAME = 80;
/** Rows on a page: any program that reaches the engine can share as many as it likes. */
export const MAX_ROWS = 200;
/** The longest reason that is shown. */
const MAX_FAILURE = 200;
/** A load that no machine has: its number would not fit. */
const MAX_LOAD = 1_000_000;
/** The longest interval that an app can be given, in milliseconds. */
const MAX_INTERVAL = 86_400_000;
/** The most that a machine can have. */
const MAX_CPUS = 100_000;
/** The last moment that a `Date` can be of. */
const MAX_TIME = 8.64e15;

/**
 * Reads the load averages: from `/proc/loadavg`, where that is refused or missing from the system
 * call, and where there is neither, random numbers that are marked as such.
 *
 * @throws {SyntaxError} when `/proc/loadavg` does not hold three numbers
 */
export async function readLoadAvg(source: LoadSource = {}): Promise<LoadSample> {
  const {
    readTextFile = Deno.readTextFile,
    loadavg = Deno.loadavg,
    os = Deno.build.os,
    now = Date.now,
    monotonicNow = () => performance.now(),
  } = source;
  const sampleOf = (averages: LoadAverages, simulated: boolean): LoadSample => {
    return { averages, simulated, at: now(), monotonicAt: monotonicNow() };
  };
  try {
    return sampleOf(parseLoadAvg(await readTextFile("/proc/loadavg")), false);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
  }
  try {
    const [one = 0, five = 0, fifteen = 0] = loadavg();
    const isReal = os !== "windows" || one + five + fifteen > 0;
    if (isReal) return sampleOf([one, five, fifteen], false);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
  }
  const random = () => Math.random() * 2;
  return sampleOf([random(), random(), random()], true);
}

/**
 * The three averages at the start of `/proc/loadavg`.
 *
 * @example
 * ```ts
 * import { parseLoadAvg } from "./loadavg.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseLoadAvg("0.48 0.30 0.21 2/345 6789\n"), [0.48, 0.3, 0.21]);
 * ```
 *
 * @throws {SyntaxError} when they are not there
 */
export function parseLoadAvg(text: string): LoadAverages {
  const match = /^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+)(\s|$)/.exec(text);
  if (!match) {
    const quoted = JSON.stringify(text.slice(0, 80));
    throw new SyntaxError(`Cannot parse ${quoted} as /proc/loadavg: three decimal numbers needed`);
  }
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** The row of this machine after a reading, and after the row before. */
export function nextRow(
  { latest, failure, age }: LoadReport,
  { name, interval, before }: Machine & { before: Row | undefined },
): Row {
  const load = failure === undefined && latest ? round(latest.averages[0]) : null;
  return {
    name: cut(name, MAX_NAME),
    averages: latest?.averages,
    simulated: latest?.simulated ?? false,
    at: latest?.at ?? 0,
    age: Number.isFinite(age) ? age : 0,
    failure,
    history: [...before?.history ?? [], load].slice(-MAX_HISTORY),
    interval,
    cpus: navigator.hardwareConcurrency,
  };
}

/**
 * The row that a value of another machine is, which may be of another version or of nobody's making;
 * `undefined` where it is none. A part that is missing or wrong costs no more than itself, but for the
 * name and the numbers.
 *
 * @example
 * ```ts
 * import { rowOf } from "./loadavg.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(rowOf({ name: "web1", averages: [0.5, 1, 2] })?.name, "web1");
 * assert.equal(rowOf({ name: "web1", averages: "high" }), undefined);
 * ```
 */
export function rowOf(value: unknown): Row | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { name, averages, simulated, at, age, failure, history, interval, cpus } = value as Record<
    string,
    unknown
  >;
  const shown = typeof name === "string" ? cut(name, MAX_NAME).trim() : "";
  if (shown === "" || /\p{Cc}/u.test(shown)) return undefined;
  if (averages !== undefined && averages !== null && !isAverages(averages)) return undefined;
  return {
    name: shown,
    averages: averages ?? undefined,
    simulated: simulated === true,
    at: isIn(at, 0, MAX_TIME) ? at : 0,
    age: isIn(age, 0, Number.MAX_VALUE) ? age : 0,
    failure: typeof failure === "string" ? cut(failure, MAX_FAILURE) : undefined,
    history: isHistory(history) ? history.slice(-MAX_HISTORY) : [],
    interval: isIn(interval, 1, MAX_INTERVAL) ? interval : 5_000,
    cpus: isIn(cpus, 1, MAX_CPUS) && Number.isInteger(cpus) ? cpus : undefined,
  };
}

/**
 * What a page shows of the machines whose rows these are, by names of no meaning; the first of them where
 * there are too many. A machine without others is shown as it would be without a fleet, unless it may
 * only not hear of them.
 */
export function reportOf(
  rows: Iterable<readonly [node: string, row: Row]>,
  { renderer, isAlone }: Pick<FleetReport, "renderer" | "isAlone">,
): LoadReport | FleetReport {
  const first = [...Iterator.from(rows).take(MAX_ROWS + 1)];
  if (first.length === 1 && !isAlone) return reportOfOne(first[0]![1]);
  const hasMore = first.length > MAX_ROWS;
  return { rows: inOrder(first.slice(0, MAX_ROWS)), hasMore, renderer, at: Date.now(), isAlone };
}

/** Whether nothing was heard of a machine for longer than two of its intervals. */
export function isLate({ age, interval }: Row): boolean {
  return age > 2 * interval + 500; // a reading may take a moment
}

/** Reads on demand, one reading at a time, and remembers the last good samples. */
export class LoadSampler {
  readonly #read: () => Promise<LoadSample>;
  readonly #monotonicNow: () => number;
  readonly #patience: number;
  readonly #history: LoadSample[] = [];
  #reading: Promise<void> | undefined;
  #failure: string | undefined;

  /** A sampler that has read nothing yet. */
  constructor(source: LoadSource = {}) {
    this.#read = () => readLoadAvg(source);
    this.#monotonicNow = source.monotonicNow ?? (() => performance.now());
    this.#patience = source.patience ?? 1_000;
  }

  /** Takes a sample, unless the latest is younger than `maxAge` milliseconds, and reports. */
  async report(maxAge = 0): Promise<LoadReport> {
    if (this.#failure !== undefined || this.#age >= maxAge) {
      // A file read that hangs cannot be ended, and a few of them would block all of the process's.
      this.#reading ??= this.#sample();
      const inTime = await settlesWithin(this.#reading, this.#patience);
      if (!inTime) this.#fail(new Error("The reading takes too long"));
    }
    return {
      latest: this.#history.at(-1),
      history: [...this.#history],
      failure: this.#failure,
      age: this.#age,
    };
  }

  get #age(): number {
    const latest = this.#history.at(-1);
    return latest ? this.#monotonicNow() - latest.monotonicAt : Infinity;
  }

  async #sample(): Promise<void> {
    try {
      this.#history.push(await this.#read());
      if (this.#history.length > MAX_HISTORY) this.#history.shift();
      this.#failure = undefined;
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#reading = undefined;
    }
  }

  #fail(error: unknown): void {
    const failure = error instanceof Error ? error.message : String(error);
    if (failure !== this.#failure) console.error(`Cannot read the load averages: ${failure}`);
    this.#failure = failure;
  }
}

/**
 * Rows in the order of their names, with numbers in them as numbers, and the same on every machine; where
 * two machines have one name, it gets a number.
 */
function inOrder(rows: Iterable<readonly [node: string, row: Row]>): Row[] {
  const collator = new Intl.Collator("en", { numeric: true }); // takes 3 MB, which one machine does not need
  const sorted = [...rows].sort(([a, { name: one }], [b, { name: two }]) =>
    collator.compare(one, two) || compare(one, two) || compare(a, b)
  );
  let same = 1;
  return sorted.map(([, row], index) => {
    same = row.name === sorted[index - 1]?.[1].name ? same + 1 : 1;
    return same === 1 ? row : { ...row, name: `${row.name} (${same})` };
  });
}

function reportOfOne(
  { averages, simulated, at, age, failure, history, interval }: Row,
): LoadReport {
  const sampleOf = (averages: LoadAverages, monotonicAt: number) => {
    return { averages, simulated, at, monotonicAt };
  };
  const samples = history.map((one, index) =>
    one === null ? undefined : sampleOf([one, 0, 0], index * interval)
  );
  return {
    latest: averages && sampleOf(averages, history.length * interval),
    history: samples.filter((sample) => sample !== undefined),
    failure,
    age,
  };
}

function isAverages(value: unknown): value is LoadAverages {
  return Array.isArray(value) && value.length === 3 && value.every(isLoad);
}

function isHistory(value: unknown): value is (number | null)[] {
  return Array.isArray(value) && value.every((load) => load === null || isLoad(load));
}

function isLoad(value: unknown): value is number {
  return isIn(value, 0, MAX_LOAD);
}

function isIn(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && value >= least && value <= most;
}

function cut(text: string, length: number): string {
  return text.slice(0, length).toWellFormed();
}

function compare(one: string, two: string): number {
  return one < two ? -1 : one > two ? 1 : 0;
}

function round(load: number): number {
  return Math.round(load * 100) / 100;
}

function isUnavailable(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotSupported;
}

// In two halves: a pause of the process, in which nothing can settle, takes one of them at most.
async function settlesWithin(promise: Promise<void>, milliseconds: number): Promise<boolean> {
  const half = milliseconds / 2;
  return await settlesBefore(promise, half) || await settlesBefore(promise, half);
}

async function settlesBefore(promise: Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  const settled = await Promise.race([promise.then(() => true as const), late]);
  clearTimeout(timer);
  return settled;
}
