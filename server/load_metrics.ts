/**
 * The load averages, and how well they can be read, as metrics.
 *
 * @module
 */
import type { LoadAverages } from "./load_row.ts";

/** What the metrics are of. */
export interface LoadFigures {
  /** The averages of 1, 5 and 15 minutes; `undefined` where there are none, or only random ones. */
  readonly averages: LoadAverages | undefined;
  /** The age of the averages, in milliseconds. */
  readonly age: number;
  /** How many CPUs the machine has; `undefined` where that is not known. */
  readonly cpus: number | undefined;
  /** How many readings have succeeded and failed since the start. */
  readonly readings: { readonly succeeded: number; readonly failed: number };
}

/** A number to be exported; the `NumberMetric` of the extension, which is not imported here. */
export interface LoadMetric {
  /** Its name, by OpenTelemetry's conventions where they have one. */
  readonly name: string;
  /** What kind of number it is. */
  readonly kind: "counter" | "upDownCounter" | "gauge";
  /** Its unit. */
  readonly unit: string;
  /** What it measures. */
  readonly description: string;
  /** The values now. */
  read(): { readonly value: number; readonly attributes: Readonly<Record<string, string>> }[];
}

const MINUTES = [1, 5, 15] as const;

/** The metrics of the load. `figures` is called when they are read. */
export function loadMetrics(figures: () => LoadFigures): LoadMetric[] {
  const some = (value: number | undefined, attributes: Record<string, string> = {}) =>
    value === undefined ? [] : [{ value, attributes }];
  return [
    ...MINUTES.map((minutes, index): LoadMetric => ({
      name: `system.cpu.load_average.${minutes}m`,
      kind: "gauge",
      unit: "{thread}",
      description: `Load average over ${minutes} min`,
      read: () => some(figures().averages?.[index]),
    })),
    {
      name: "load.cpus",
      kind: "upDownCounter",
      unit: "{cpu}",
      description: "CPUs of the machine",
      read: () => some(figures().cpus),
    },
    {
      name: "load.reading.age",
      kind: "gauge",
      unit: "s",
      description: "Time since the load averages were read",
      read() {
        const { averages, age } = figures();
        return averages ? some(age / 1_000) : [];
      },
    },
    {
      name: "load.readings",
      kind: "counter",
      unit: "{reading}",
      description: "Readings of the load averages, by their outcome",
      read: () => {
        const { succeeded, failed } = figures().readings;
        return [
          ...some(succeeded, { "load.reading.outcome": "success" }),
          ...some(failed, { "load.reading.outcome": "failure" }),
        ];
      },
    },
  ];
}
