/**
 * Reads the load averages of this machine, keeps the recent ones for a plot, and turns them into rows, by
 * which several machines show theirs on one page.
 *
 * @module
 */

/** How many processes were running or waiting to run, averaged over the last 1, 5 and 15 minutes. */
export type LoadAverages = readonly [one: number, five: number, fifteen: number];

/** One reading. */
export interface LoadSample {
  /** The three averages. */
  readonly averages: LoadAverages;
  /** Whether they are random, because this system reports none. */
  readonly simulated: boolean;
  /** When they were read, in milliseconds since 1970, for display. */
  readonly at: number;
  /** The same moment in milliseconds of a monotonic clock, for ages and distances. */
  readonly monotonicAt: number;
}

/** What a page shows of this machine. */
export interface LoadReport {
  /** The last good sample; `undefined` where there was none yet. */
  readonly latest: LoadSample | undefined;
  /** The recent samples, oldest first, the latest included. */
  readonly history: readonly LoadSample[];
  /** The error of the last reading; `undefined` where it succeeded. */
  readonly failure: string | undefined;
  /** The age of the latest sample in milliseconds; `Infinity` where there is none. */
  readonly age: number;
}

/** The load of a machine, as it shares it with the others. */
export interface Row {
  /** The name of the machine. */
  readonly name: string;
  /** The last good reading; `undefined` where there was none yet. */
  readonly averages: LoadAverages | undefined;
  /** Whether its numbers are random. */
  readonly simulated: boolean;
  /** The time of the reading, in milliseconds since 1970 by that machine's clock. */
  readonly at: number;
  /** The age of the reading in milliseconds. */
  readonly age: number;
  /** The error of the last reading; `undefined` where it succeeded. */
  readonly failure: string | undefined;
  /** The latest 1-minute loads, oldest first, one interval apart; `null` where a reading failed. */
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
  /** Whether there are more machines than are shown. */
  readonly hasMore: boolean;
  /** The machine that has rendered the page. */
  readonly renderer: string;
  /** When it was rendered, in milliseconds since 1970 by that machine's clock. */
  readonly at: number;
  /** Whether that machine cannot reach the others now. */
  readonly isAlone: boolean;
}

/** The settings of a machine that its row contains. */
export interface Machine {
  /** The name of the machine. */
  readonly name: string;
  /** Milliseconds between two of its readings. */
  readonly interval: number;
}

/** The source of the numbers; the defaults are those of the system. */
export interface LoadSource {
  /** Reads `/proc/loadavg` (proc(5)), which Deno allows only with `--allow-all`. */
  readTextFile?: (path: string) => Promise<string>;
  /** Reads the averages by a system call, which needs `--allow-sys=loadavg`. All are zero on Windows. */
  loadavg?: () => number[];
  /** The operating system, as `Deno.build.os` names it. */
  os?: typeof Deno.build.os;
  /** The wall clock, for display. Default `Date.now`. */
  now?: () => number;
  /** The monotonic clock. Default `performance.now`. */
  monotonicNow?: () => number;
  /** Milliseconds for which a report waits for a reading that hangs. Default 1,000. */
  patience?: number;
}

/** Most samples that are kept for a plot, of this machine or of a row. */
export const MAX_HISTORY = 60;
/** The most characters of a machine's name. */
export const MAX_NAME = 80;
/** Most rows on a page. Any program that reaches the engine could share any number of them. */
export const MAX_ROWS = 200;
/** The most characters of an error. */
const MAX_FAILURE = 200;
/** The highest load that is accepted; no machine has it, and its number would not fit. */
const MAX_LOAD = 1_000_000;
/** The longest interval that the app accepts, in milliseconds. */
const MAX_INTERVAL = 86_400_000;
/** The most CPUs that are accepted. */
const MAX_CPUS = 100_000;
/** The last moment that a `Date` can represent. */
const MAX_TIME = 8.64e15;

/**
 * Reads the load averages: from `/proc/loadavg`; where that is missing or not permitted, by the system call;
 * and where that is missing or not permitted too, as random numbers that are marked as simulated.
 *
 * @throws {SyntaxError} when `/proc/loadavg` does not begin with three numbers
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
 * Parses the three averages at the start of `/proc/loadavg`.
 *
 * @example
 * ```ts
 * import { parseLoadAvg } from "./loadavg.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseLoadAvg("0.48 0.30 0.21 2/345 6789\n"), [0.48, 0.3, 0.21]);
 * ```
 *
 * @throws {SyntaxError} when the text does not begin with three numbers
 */
export function parseLoadAvg(text: string): LoadAverages {
  const match = /^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+)(\s|$)/.exec(text);
  if (!match) {
    const quoted = JSON.stringify(text.slice(0, 80));
    throw new SyntaxError(`Cannot parse ${quoted} as /proc/loadavg: three decimal numbers needed`);
  }
  return [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** The row of this machine after a reading; `before` is its previous row. */
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
 * Reads a row from a value that another machine has shared, possibly another version of this program or a
 * different program. `undefined` where the name or the averages are wrong; any other part that is missing or
 * wrong gets a default.
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
 * What a page shows of rows, whose keys are arbitrary names. Where there are too many rows, it shows the
 * first ones. A single machine is shown as it would be without a fleet, unless `isAlone` says that there may
 * be others.
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

/** Whether the latest reading of a machine is older than two of its intervals. */
export function isLate({ age, interval }: Row): boolean {
  return age > 2 * interval + 500; // because a reading takes some time
}

/** Reads on demand, one reading at a time, and remembers the last good samples. */
export class LoadSampler {
  readonly #read: () => Promise<LoadSample>;
  readonly #monotonicNow: () => number;
  readonly #patience: number;
  readonly #history: LoadSample[] = [];
  #reading: Promise<void> | undefined;
  #failure: string | undefined;

  /** Starts without a reading. */
  constructor(source: LoadSource = {}) {
    this.#read = () => readLoadAvg(source);
    this.#monotonicNow = source.monotonicNow ?? (() => performance.now());
    this.#patience = source.patience ?? 1_000;
  }

  /** Takes a sample, unless the latest is younger than `maxAge` milliseconds, and returns a report. */
  async report(maxAge = 0): Promise<LoadReport> {
    if (this.#failure !== undefined || this.#age >= maxAge) {
      // Never more than one reading, because a file read that hangs cannot be ended, and a few of them would
      // block all file reads of the process.
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
 * Rows in the order of their names, which is the same on every machine. Digits in names compare as numbers.
 * Where machines have the same name, all but the first get a number.
 */
function inOrder(rows: Iterable<readonly [node: string, row: Row]>): Row[] {
  // Made here, because it takes 3 MB, which a single machine does not need.
  const collator = new Intl.Collator("en", { numeric: true });
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

// Waits in two halves: nothing can settle while the process is paused, and a pause uses up only one half.
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
