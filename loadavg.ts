/**
 * The machine's load averages, and the last of them for a plot.
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

/** Samples kept for the plot. */
const HISTORY = 60;

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
      if (this.#history.length > HISTORY) this.#history.shift();
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
