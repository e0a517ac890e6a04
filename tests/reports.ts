/**
 * Reports of a load, for tests: those of a machine called web1 with 8 CPUs.
 *
 * @module
 */
import { type LoadReport, LoadSampler } from "../loadavg.ts";
import { History } from "../server/history.ts";
import type { LoadAverages } from "../server/load_row.ts";
import type { Machine } from "../server/machine.ts";
import { memoryLog } from "./kit.ts";

/** The machine of the reports. */
export const MACHINE: Machine = {
  name: "web1",
  system: "Debian 13",
  cpus: 8,
  memory: 16 * 1024 ** 3,
  bootedAt: Date.UTC(2026, 9, 15, 12),
};

/** 25 November 2026, 14:31:05 UTC. */
export const NOW: number = Date.UTC(2026, 10, 25, 14, 31, 5);

/** Options of {@linkcode reportAfter}. */
export interface ReportOptions {
  /** The machine. Default {@linkcode MACHINE}. */
  machine?: Machine;
  /** Milliseconds between two readings. Default 5,000. */
  interval?: number;
  /** The load per CPU above which the load is high. Default: none is given. */
  warn?: number;
  /** The time of the latest reading, in milliseconds since 1970. Default {@linkcode NOW}. */
  at?: number;
  /** Whether the numbers are simulated. Default `false`. */
  simulated?: boolean;
}

/** A machine whose clocks and load a test sets, and its sampler. Its clocks stand still between. */
export class FakeMachine {
  /** What is read next: the three averages, or the text of an error. */
  reading: LoadAverages | string = [0.5, 0.4, 0.3];
  /** The wall clock, in milliseconds since 1970. */
  wall: number;
  /** The monotonic clock, in milliseconds. */
  time = 1_000;
  /** How often the load was read. */
  reads = 0;
  /** What the sampler has logged. */
  readonly log: ReturnType<typeof memoryLog> = memoryLog();
  /** The sampler. */
  readonly sampler: LoadSampler;
  readonly #interval: number;

  /** Starts a sampler, with the readings of a file where one is given. */
  constructor(options: ReportOptions & { file?: string } = {}) {
    const { machine = MACHINE, interval = 5_000, warn, file, at = NOW, simulated } = options;
    this.#interval = interval;
    this.wall = at;
    const refuse = () => {
      throw new Deno.errors.NotCapable("Requires sys access");
    };
    this.sampler = new LoadSampler({
      readTextFile: async () => simulated ? refuse() : await this.#read(),
      loadavg: refuse,
      now: () => this.wall,
      monotonicNow: () => this.time,
    }, { machine, interval, warn, file, log: this.log });
  }

  /** Moves both clocks by some milliseconds. */
  pass(milliseconds: number): void {
    this.wall += milliseconds;
    this.time += milliseconds;
  }

  /** Moves both clocks by an interval, and takes a reading: this one, or the same as before. */
  next(reading: LoadAverages | string = this.reading): Promise<LoadReport> {
    this.pass(this.#interval);
    this.reading = reading;
    return this.sampler.report();
  }

  #read(): Promise<string> {
    this.reads++;
    if (typeof this.reading === "string") return Promise.reject(new Error(this.reading));
    return Promise.resolve(`${this.reading.map((load) => load.toFixed(2)).join(" ")} 1/2 3\n`);
  }
}

/**
 * The report of a sampler after some readings, oldest first: the three averages, or the text of an error.
 * `undefined` stands for an interval without a reading.
 */
export async function reportAfter(
  readings: readonly (LoadAverages | string | undefined)[],
  options: ReportOptions = {},
): Promise<LoadReport> {
  const { interval = 5_000, warn, at = NOW } = options;
  const fake = new FakeMachine({ ...options, at: at - readings.length * interval });
  let report: LoadReport | undefined;
  // Only where something is logged, because two calls at a time would not give the console back.
  const isLogged = warn !== undefined || readings.some((reading) => typeof reading === "string");
  const { error, warn: log } = console;
  if (isLogged) console.error = console.warn = () => {};
  try {
    for (const reading of readings) {
      if (reading === undefined) fake.pass(interval);
      else report = await fake.next(reading);
    }
  } finally {
    if (isLogged) Object.assign(console, { error, warn: log });
  }
  return report!;
}

/** The report of a sampler that has not read anything yet. */
export function unread(
  { machine = MACHINE, interval = 5_000, warn, at = NOW }: ReportOptions = {},
): LoadReport {
  const history = new History({ interval });
  return {
    machine,
    latest: undefined,
    failure: undefined,
    age: Infinity,
    at,
    interval,
    warn,
    highSince: undefined,
    hour: history.hour(at),
    day: history.day(at),
    trends: { hour: history.trend(at), day: history.dayTrend(at) },
  };
}

/** A sampler whose reports all have these averages. */
export function steady(one: number): { report(): Promise<LoadReport> } {
  return { report: () => reportAfter([[one, 0.25, 0.125]]) };
}

/** Options of {@linkcode reportOfDay}. */
export interface DayOptions extends ReportOptions {
  /** The 5-minute and the 15-minute load. Default: the means of the last loads. */
  averages?: readonly [five: number, fifteen: number];
  /** The error of the last reading. Default: it succeeded. */
  failure?: string;
}

/**
 * The report after a day of readings, without the time that a sampler would take for them.
 *
 * @param loadAt the load of some minutes ago, or `undefined` where there was no reading
 */
export function reportOfDay(
  loadAt: (minutesAgo: number) => number | undefined,
  options: DayOptions = {},
): LoadReport {
  const { machine = MACHINE, interval = 5_000, warn, at = NOW, simulated = false } = options;
  const { cpus } = machine;
  const history = new History({ interval, ...(cpus !== undefined && { limit: cpus }) });
  const readings: { at: number; load: number }[] = [];
  for (let time = at - 24 * 60 * 60_000; time <= at; time += interval) {
    const load = loadAt((at - time) / 60_000);
    if (load === undefined) continue;
    history.add(load, time);
    readings.push({ at: time, load });
  }
  const latest = readings.at(-1);
  const mean = (minutes: number) => {
    const loads = readings.filter((reading) => reading.at > latest!.at - minutes * 60_000);
    return loads.reduce((sum, { load }) => sum + load, 0) / loads.length;
  };
  const limit = (cpus ?? Infinity) * (warn ?? 1);
  return {
    machine,
    latest: latest && {
      averages: [latest.load, ...options.averages ?? [mean(5), mean(15)]],
      simulated,
      at: latest.at,
      monotonicAt: latest.at,
    },
    failure: options.failure,
    age: latest ? at - latest.at : Infinity,
    at,
    interval,
    warn,
    highSince: simulated ? undefined : history.since((load) => load > limit),
    hour: history.hour(at),
    day: history.day(at),
    trends: { hour: history.trend(at), day: history.dayTrend(at) },
  };
}
