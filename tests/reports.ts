/**
 * Reports of a load, for tests: those of a machine called web1 with 8 CPUs.
 *
 * @module
 */
import { type LoadReport, LoadSampler } from "../loadavg.ts";
import type { LoadAverages } from "../server/load_row.ts";
import type { Machine } from "../server/machine.ts";

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

/**
 * The report of a sampler after some readings, oldest first: the three averages, or the text of an error.
 * `undefined` stands for an interval without a reading.
 */
export async function reportAfter(
  readings: readonly (LoadAverages | string | undefined)[],
  options: ReportOptions = {},
): Promise<LoadReport> {
  const { machine = MACHINE, interval = 5_000, warn, at = NOW, simulated = false } = options;
  let time = 0;
  let next: LoadAverages | string | undefined;
  const start = at - (readings.length - 1) * interval;
  const refuse = () => {
    throw new Deno.errors.NotCapable("Requires sys access");
  };
  const sampler = new LoadSampler({
    readTextFile: () => {
      if (simulated) return Promise.reject(new Deno.errors.NotCapable("Requires all access"));
      if (typeof next === "string") return Promise.reject(new Error(next));
      return Promise.resolve(`${next!.map((load) => load.toFixed(2)).join(" ")} 1/2 3\n`);
    },
    loadavg: refuse,
    now: () => start + time,
    monotonicNow: () => time,
  }, { machine, interval, warn });
  let report: LoadReport | undefined;
  const { error, warn: log } = console;
  console.error = console.warn = () => {};
  try {
    for (const [index, reading] of readings.entries()) {
      time = index * interval;
      next = reading;
      if (reading !== undefined) report = await sampler.report();
    }
  } finally {
    Object.assign(console, { error, warn: log });
  }
  return report!;
}

/** A sampler whose reports all have these averages. */
export function steady(one: number): { report(): Promise<LoadReport> } {
  return { report: () => reportAfter([[one, 0.25, 0.125]]) };
}
