/**
 * Reads the load averages of this machine, keeps them for the plots, and says what a page shows of them: of
 * this machine, or of all machines that share their rows.
 *
 * @module
 */
import { DAY_TREND_STEP, History, type Series, type Span, TREND_STEP } from "./server/history.ts";
import { loadHistory, saveHistory } from "./server/history_file.ts";
import { createLog, type Log } from "./server/log.ts";
import {
  inOrder,
  isLate,
  type LoadAverages,
  type LoadRow,
  MAX_NAME,
  MAX_ROWS,
} from "./server/load_row.ts";
import { bootClock, type Machine, readMachine } from "./server/machine.ts";

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
  /** The machine. */
  readonly machine: Machine;
  /** The last good sample; `undefined` where there was none yet. */
  readonly latest: LoadSample | undefined;
  /** The error of the last reading; `undefined` where it succeeded. */
  readonly failure: string | undefined;
  /** The age of the latest sample in milliseconds; `Infinity` where there is none. */
  readonly age: number;
  /** The time of the report, in milliseconds since 1970. */
  readonly at: number;
  /** Milliseconds between two readings. */
  readonly interval: number;
  /** The load per CPU above which the load counts as high, where it is an option; otherwise that is 1. */
  readonly warn: number | undefined;
  /** Since when the load is high, in milliseconds since 1970; `undefined` where it is not. */
  readonly highSince: number | undefined;
  /** The 1-minute loads of the last hour. */
  readonly hour: Span;
  /** The highest 1-minute loads of the last day. */
  readonly day: Span;
  /** The same in coarser steps, for a row; they end at the latest sample. */
  readonly trends: { readonly hour: Series; readonly day: Series };
}

/** What a page shows of a fleet. */
export interface FleetReport {
  /** The machines, in the order of their names. */
  readonly rows: readonly LoadRow[];
  /** Whether there are more machines than are shown. */
  readonly hasMore: boolean;
  /** The machine that has rendered the page. */
  readonly renderer: string;
  /** When it was rendered, in milliseconds since 1970 by that machine's clock. */
  readonly at: number;
  /** Milliseconds between two of its readings. */
  readonly interval: number;
  /** Whether that machine cannot reach the others now. */
  readonly isAlone: boolean;
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
  /** A clock that is never set, in milliseconds. Default: that of `bootClock()`. */
  monotonicNow?: () => number;
  /** Milliseconds for which a report waits for a reading that hangs. Default 1,000. */
  patience?: number;
}

/** Options of {@linkcode LoadSampler}. */
export interface SamplerOptions {
  /** Milliseconds between two readings. Default 5,000. */
  interval?: number;
  /** The machine. Default: this one. */
  machine?: Machine;
  /** The 1-minute load per CPU above which the load is high, and the log says so. Default 1, not in the log. */
  warn?: number | undefined;
  /** The file that keeps the readings over a restart. Default: none. */
  file?: string | undefined;
  /** Receives that the load is high, is back, or cannot be read. Default: one to standard error. */
  log?: Pick<Log, "warn" | "error">;
}

/** Milliseconds by which two clocks must differ more than before to count as one that was set. */
const CLOCK_SET = 1_000;
/** Milliseconds after which a report is made anew, without another reading. A timer of a minute finds it old. */
const REPORT_AGE = 50_000;
/** Milliseconds for which the load must not be high before the log says so. */
const CALM = 60_000;

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

/** The row by which this machine shows a report to the others. */
export function rowOfReport(report: LoadReport): LoadRow {
  const { machine, latest, failure, age, interval, highSince, trends } = report;
  return {
    name: machine.name.slice(0, MAX_NAME).toWellFormed(),
    averages: latest?.averages,
    simulated: latest?.simulated ?? false,
    at: trends.hour.end,
    age: Number.isFinite(age) ? age : 0,
    failure,
    highSince,
    hour: trends.hour.values.map(rounded),
    day: trends.day.values.map(rounded),
    interval,
    cpus: machine.cpus,
    system: machine.system,
    memory: machine.memory,
    bootedAt: machine.bootedAt,
  };
}

/**
 * What a page of this machine shows: its own report where its row is the only one, unless `isAlone` says that
 * there may be others, and otherwise a fleet. Where there are too many rows, it shows the first ones.
 */
export function reportOf(
  own: LoadReport,
  rows: Iterable<readonly [node: string, row: LoadRow, isOwn: boolean]>,
  { isAlone }: Pick<FleetReport, "isAlone">,
): LoadReport | FleetReport {
  const first = [...Iterator.from(rows).take(MAX_ROWS + 1)];
  if (first.length === 1 && first[0]![2] && !isAlone) return own;
  return {
    rows: inOrder(first.slice(0, MAX_ROWS).map(([node, row]) => [node, row])),
    hasMore: first.length > MAX_ROWS,
    renderer: own.machine.name,
    at: Date.now(),
    interval: own.interval,
    isAlone,
  };
}

/** A report as JSON for programs: times in ISO 8601 (RFC 3339), other units in the names. */
export function jsonOf(report: LoadReport | FleetReport): Record<string, unknown> {
  return {
    at: iso(report.at),
    machines: (isFleet(report) ? report.rows : [rowOfReport(report)]).map(jsonOfRow),
  };
}

function jsonOfRow(row: LoadRow): Record<string, unknown> {
  const [oneMinute, fiveMinutes, fifteenMinutes] = row.averages?.map(rounded) ?? [];
  return {
    name: row.name,
    system: row.system ?? null,
    cpus: row.cpus ?? null,
    memoryBytes: row.memory ?? null,
    bootedAt: row.bootedAt === undefined ? null : iso(row.bootedAt),
    load: row.averages ? { oneMinute, fiveMinutes, fifteenMinutes } : null,
    loadPerCpu: row.averages && row.cpus ? rounded(oneMinute! / row.cpus) : null,
    isSimulated: row.simulated,
    readAt: row.averages ? iso(row.at) : null,
    ageSeconds: row.averages ? Math.round(row.age) / 1_000 : null,
    intervalSeconds: row.interval / 1_000,
    failure: row.failure ?? null,
    highSince: row.highSince === undefined ? null : iso(row.highSince),
    hour: jsonOfSeries({ end: row.at, step: TREND_STEP, values: row.hour }),
    day: jsonOfSeries({ end: row.at, step: DAY_TREND_STEP, values: row.day }),
  };
}

function jsonOfSeries({ end, step, values }: Pick<Series, "end" | "step" | "values">) {
  const start = (Math.floor(end / step) + 1 - values.length) * step;
  return { startsAt: iso(start), stepSeconds: step / 1_000, highest: values };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

/** Whether a report is of a fleet. */
export function isFleet(report: LoadReport | FleetReport): report is FleetReport {
  return "rows" in report;
}

/** Reads on demand, one reading at a time, and remembers the readings of a day. */
export class LoadSampler {
  readonly #read: () => Promise<LoadSample>;
  readonly #now: () => number;
  readonly #monotonicNow: () => number;
  readonly #patience: number;
  readonly #interval: number;
  #machine: Machine;
  readonly #warn: number | undefined;
  readonly #file: string | undefined;
  readonly #log: Pick<Log, "warn" | "error">;
  readonly #history: History;
  /** The wall clock minus the monotonic one. It changes only when the wall clock is set. */
  #offset: number;
  #latest: LoadSample | undefined;
  /** The report of the latest reading. Pages that are rendered until the next one share it. */
  #report: LoadReport | undefined;
  #reading: Promise<void> | undefined;
  #failure: string | undefined;
  #highSince: number | undefined;
  /** By the monotonic clock, when the load was last high, where the log has not said that it is back. */
  #lastHigh: number | undefined;

  /**
   * Starts without a reading, or with those of the file.
   *
   * @throws {Error} when the file cannot be read or written
   */
  constructor(source: LoadSource = {}, options: SamplerOptions = {}) {
    const { interval = 5_000, machine = readMachine(), warn, file, log = createLog() } = options;
    this.#monotonicNow = source.monotonicNow ?? bootClock();
    this.#now = source.now ?? Date.now;
    this.#read = () => readLoadAvg({ ...source, monotonicNow: this.#monotonicNow });
    this.#patience = source.patience ?? 1_000;
    this.#interval = interval;
    this.#machine = machine;
    this.#warn = warn;
    this.#file = file;
    this.#log = log;
    this.#offset = this.#now() - this.#monotonicNow();
    const limit = machine.cpus;
    const settings = limit === undefined ? { interval } : { interval, limit };
    this.#history = file === undefined
      ? new History(settings)
      : loadHistory(file, { ...settings, now: this.#now() });
  }

  /**
   * Takes a sample, unless the latest is younger than `maxAge` milliseconds, and returns the report of the
   * latest one or of the error.
   */
  async report(maxAge = 0): Promise<LoadReport> {
    if (this.#report && this.#failure === undefined && this.#age < maxAge) {
      // Its date and the uptime must not be hours old where readings are.
      if (this.#wallNow() - this.#report.at >= REPORT_AGE) this.#report = this.#newReport();
      return this.#report;
    }
    // Never more than one reading, because a file read that hangs cannot be ended, and a few of them would
    // block all file reads of the process.
    this.#reading ??= this.#sample();
    const inTime = await settlesWithin(this.#reading, this.#patience);
    if (!inTime) this.#fail(new Error("The reading takes too long"));
    return this.#report!;
  }

  /**
   * Writes the readings into the file, where there is one, for the next process.
   *
   * @throws {Error} when the file cannot be written
   */
  save(): void {
    const isReal = this.#latest?.simulated !== true;
    if (this.#file !== undefined && isReal) saveHistory(this.#file, this.#history);
  }

  get #age(): number {
    return this.#latest ? this.#monotonicNow() - this.#latest.monotonicAt : Infinity;
  }

  async #sample(): Promise<void> {
    try {
      const sample = await this.#read();
      this.#followClock(sample);
      this.#failure = undefined;
      this.#add({ ...sample, at: sample.monotonicAt + this.#offset });
      this.#report = this.#newReport();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#reading = undefined;
    }
  }

  /** Moves all times where the wall clock was set, so that the readings keep their distances. */
  #followClock({ at, monotonicAt }: LoadSample): void {
    const by = at - monotonicAt - this.#offset;
    if (Math.abs(by) < CLOCK_SET) return;
    this.#offset += by;
    this.#history.shift(by);
    if (this.#highSince !== undefined) this.#highSince += by;
    const { bootedAt } = this.#machine;
    if (bootedAt !== undefined) this.#machine = { ...this.#machine, bootedAt: bootedAt + by };
  }

  #add(sample: LoadSample): void {
    const { averages: [one], simulated, at, monotonicAt } = sample;
    // Nobody knows what the load was in a hole.
    const age = monotonicAt - (this.#latest?.monotonicAt ?? monotonicAt);
    if (isLate({ age, interval: this.#interval })) this.#highSince = undefined;
    this.#history.add(one, at); // throws where it is no number
    this.#latest = sample;
    const { cpus } = this.#machine;
    const limit = cpus === undefined ? Infinity : cpus * (this.#warn ?? 1);
    if (simulated || one <= limit) this.#highSince = undefined;
    else this.#highSince ??= this.#history.since((load) => load > limit) ?? at;
    if (this.#warn !== undefined) this.#say(one, monotonicAt);
  }

  /** Logs when the load becomes high, and when it has been back for some time. */
  #say(load: number, monotonicAt: number): void {
    const { cpus } = this.#machine;
    const words = `${load.toFixed(2)} on ${cpus} ${cpus === 1 ? "CPU" : "CPUs"}`;
    const fields = { load, cpus, limit_per_cpu: this.#warn };
    if (this.#highSince !== undefined) {
      if (this.#lastHigh === undefined) {
        this.#log.warn(`Load above ${this.#warn} per CPU: ${words}`, fields);
      }
      this.#lastHigh = monotonicAt;
    } else if (this.#lastHigh !== undefined && monotonicAt - this.#lastHigh >= CALM) {
      this.#log.warn(`Load back at or below ${this.#warn} per CPU: ${words}`, fields);
      this.#lastHigh = undefined;
    }
  }

  #fail(error: unknown): void {
    const failure = error instanceof Error ? error.message : String(error);
    if (failure !== this.#failure) {
      this.#log.error(`Cannot read the load averages: ${failure}`, { error });
    }
    this.#failure = failure;
    this.#report = this.#newReport();
  }

  #wallNow(): number {
    return this.#monotonicNow() + this.#offset;
  }

  #newReport(): LoadReport {
    const at = this.#wallNow();
    const end = this.#latest?.at ?? at; // a row names only the time of its reading
    return {
      machine: this.#machine,
      latest: this.#latest,
      failure: this.#failure,
      age: this.#age,
      at,
      interval: this.#interval,
      warn: this.#warn,
      highSince: this.#highSince,
      hour: this.#history.hour(at),
      day: this.#history.day(at),
      trends: { hour: this.#history.trend(end), day: this.#history.dayTrend(end) },
    };
  }
}

function rounded(load: number | null): number | null {
  return load === null ? null : Math.round(load * 100) / 100;
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
  // Not `setTimeout`: its first call in a process takes Deno 6 ms, for which the first page would wait.
  const late = AbortSignal.timeout(milliseconds);
  const isLate = new Promise<false>((resolve) => {
    late.addEventListener("abort", () => resolve(false), { once: true });
  });
  return await Promise.race([promise.then(() => true as const), isLate]);
}
