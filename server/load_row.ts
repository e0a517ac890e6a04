/**
 * The row of a machine: its load and what it is, as it shares them with the other machines that are shown on
 * the same page.
 *
 * @module
 */
import { PATIENCE } from "./history.ts";

/** How many processes were running or waiting to run, averaged over the last 1, 5 and 15 minutes. */
export type LoadAverages = readonly [one: number, five: number, fifteen: number];

/** The load of a machine, as it shares it with the others. */
export interface LoadRow {
  /** The name of the machine. */
  readonly name: string;
  /** The last good reading; `undefined` where there was none yet. */
  readonly averages: LoadAverages | undefined;
  /** Whether its numbers are random. */
  readonly simulated: boolean;
  /**
   * The time of the reading, or where there was none that of the row, in milliseconds since 1970 by that
   * machine's clock.
   */
  readonly at: number;
  /** The age of the reading in milliseconds. */
  readonly age: number;
  /** The error of the last reading; `undefined` where it succeeded. */
  readonly failure: string | undefined;
  /** Since when its load is high, in milliseconds since 1970; `undefined` where it is not. */
  readonly highSince: number | undefined;
  /** The highest 1-minute load of each of the last 60 minutes, oldest first; `null` without a reading. */
  readonly hour: readonly (number | null)[];
  /** The same of each quarter of an hour of the last day. */
  readonly day: readonly (number | null)[];
  /** Milliseconds between two readings. */
  readonly interval: number;
  /** How many CPUs the machine has, where that is known. */
  readonly cpus: number | undefined;
  /** Its operating system, where that is known. */
  readonly system: string | undefined;
  /** Bytes of its memory, where that is known. */
  readonly memory: number | undefined;
  /** When it was started, in milliseconds since 1970, where that is known. */
  readonly bootedAt: number | undefined;
}

/** The most characters of a machine's name. */
export const MAX_NAME = 80;
/** Most steps of the hour in a row, of which the first and the last are parts of a minute. */
export const MAX_HOUR = 61;
/** Most steps of the day in a row. */
export const MAX_DAY = 97;
/** Most rows on a page. Any program that reaches the engine could share any number of them. */
export const MAX_ROWS = 200;
/** The most characters of an error and of the name of a system. */
const MAX_TEXT = 200;
/** The highest load that is accepted; no machine has it, and its number would not fit. */
const MAX_LOAD = 1_000_000;
/** The longest interval that the app accepts, in milliseconds. */
const MAX_INTERVAL = 86_400_000;
/** The most CPUs that are accepted. */
const MAX_CPUS = 100_000;
/** The last moment that a `Date` can represent. */
const MAX_TIME = 8.64e15;

/**
 * Reads a row from a value that another machine has shared, possibly another version of this program or a
 * different program. `undefined` where the name or the averages are wrong; any other part that is missing or
 * wrong gets a default.
 *
 * @example
 * ```ts
 * import { rowOf } from "./load_row.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(rowOf({ name: "web1", averages: [0.5, 1, 2] })?.name, "web1");
 * assert.equal(rowOf({ name: "web1", averages: "high" }), undefined);
 * ```
 */
export function rowOf(value: unknown): LoadRow | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const {
    name,
    averages,
    simulated,
    at,
    age,
    failure,
    highSince,
    hour,
    day,
    interval,
    ...machine
  } = value as Record<string, unknown>;
  const { cpus, system, memory, bootedAt } = machine;
  const shown = typeof name === "string" ? cut(name, MAX_NAME).trim() : "";
  if (!/[^\p{C}\p{Z}]/u.test(shown) || unshown().test(shown)) return undefined;
  if (averages !== undefined && averages !== null && !isAverages(averages)) return undefined;
  return {
    name: shown,
    averages: averages ?? undefined,
    simulated: simulated === true,
    at: isIn(at, 0, MAX_TIME) ? at : 0,
    age: isIn(age, 0, Number.MAX_VALUE) ? age : 0,
    failure: textOf(failure),
    highSince: isIn(highSince, 0, MAX_TIME) ? highSince : undefined,
    hour: isTrend(hour) ? hour.slice(-MAX_HOUR) : [],
    day: isTrend(day) ? day.slice(-MAX_DAY) : [],
    interval: isIn(interval, 1, MAX_INTERVAL) ? interval : 5_000,
    cpus: isIn(cpus, 1, MAX_CPUS) && Number.isInteger(cpus) ? cpus : undefined,
    system: textOf(system),
    memory: isIn(memory, 0, Number.MAX_SAFE_INTEGER) ? memory : undefined,
    bootedAt: isIn(bootedAt, 0, MAX_TIME) ? bootedAt : undefined,
  };
}

/** Whether the latest reading of a machine is older than two of its intervals. */
export function isLate({ age, interval }: Pick<LoadRow, "age" | "interval">): boolean {
  return age > 2 * interval + PATIENCE;
}

/**
 * Rows in the order of their names, which is the same on every machine; their keys are arbitrary. Digits in
 * names compare as numbers. Where machines have the same name, all but the first get a number.
 */
export function inOrder(rows: Iterable<readonly [node: string, row: LoadRow]>): LoadRow[] {
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

function isAverages(value: unknown): value is LoadAverages {
  return Array.isArray(value) && value.length === 3 && value.every(isLoad);
}

function isTrend(value: unknown): value is (number | null)[] {
  return Array.isArray(value) && value.every((load) => load === null || isLoad(load));
}

function isLoad(value: unknown): value is number {
  return isIn(value, 0, MAX_LOAD);
}

function isIn(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && value >= least && value <= most;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? cut(value, MAX_TEXT).replace(unshown("g"), " ") : undefined;
}

/** Characters that would break a line, or turn the direction of what follows. */
function unshown(flags = ""): RegExp {
  // Not a constant, because it takes 0.4 ms of the start to make.
  return RegExp("[\\p{Cc}\\p{Bidi_Control}]", `u${flags}`);
}

function cut(text: string, length: number): string {
  return text.slice(0, length).toWellFormed();
}

function compare(one: string, two: string): number {
  return one < two ? -1 : one > two ? 1 : 0;
}
