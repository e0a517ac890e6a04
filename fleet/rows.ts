/**
 * What the machines of a fleet tell each other of their load, and the rows that a page makes of it.
 *
 * @module
 */
import type { LoadAverages, LoadReport } from "../loadavg.ts";

/** A machine's load, as its node shares it. */
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
  /** The machine that has made the page. */
  readonly renderer: string;
  /** When, in milliseconds since 1970 by its clock. */
  readonly at: number;
  /** Whether it hears nothing of the others for now. */
  readonly isAlone: boolean;
}

/** The longest name of a machine that is shown. */
export const MAX_NAME = 64;
/** Readings that a row has for its plot. */
export const MAX_HISTORY = 60;
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
 * The row that a value of another node is, which may be of another version or of nobody's making;
 * `undefined` where it is none. A part that is missing or wrong costs no more than itself, but for the
 * name and the numbers.
 *
 * @example
 * ```ts
 * import { rowOf } from "./rows.ts";
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

/** By name, with numbers in them as numbers, and the same on every machine. */
const COLLATOR = new Intl.Collator("en", { numeric: true });

/** The rows of nodes in the order of their names; where two machines have one, it gets a number. */
export function inOrder(rows: Iterable<readonly [node: string, row: Row]>): Row[] {
  const sorted = [...rows].sort(([a, { name: one }], [b, { name: two }]) =>
    COLLATOR.compare(one, two) || compare(one, two) || compare(a, b)
  );
  let same = 1;
  return sorted.map(([, row], index) => {
    same = row.name === sorted[index - 1]?.[1].name ? same + 1 : 1;
    return same === 1 ? row : { ...row, name: `${row.name} (${same})` };
  });
}

/** Whether nothing was heard of a machine for longer than two of its intervals. */
export function isLate({ age, interval }: Row): boolean {
  return age > 2 * interval + 500; // a reading may take a moment
}

/** What a page shows of a machine that is alone. */
export function reportOf(
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
