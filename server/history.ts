/**
 * Readings over time: the last hour in full, the last day in steps of five minutes, in bounded memory.
 *
 * @module
 */
import { type Moment, type Reading, Readings } from "./readings.ts";

export type { Moment };

/** A time without readings: from the last one before it to the first one after it, in ms since 1970. */
export type Hole = readonly [from: number, to: number];

/** Values over time, in steps of equal length. It can be sent as JSON. */
export interface Series {
  /** The right end, in milliseconds since 1970; the last step contains it. */
  readonly end: number;
  /**
   * The length of a step in milliseconds. Steps begin at multiples of it since 1970, so a value stays in its
   * step while time moves on.
   */
  readonly step: number;
  /** Milliseconds between two readings. */
  readonly interval: number;
  /** The highest reading of each step, oldest first; `null` where there was none. */
  readonly values: readonly (number | null)[];
}

/** What can be said in words of the readings of a span. */
export interface Summary {
  /** The lowest reading, the first of equal ones. */
  readonly lowest: Moment;
  /** The highest reading, the first of equal ones. */
  readonly highest: Moment;
  /** The latest reading. */
  readonly latest: Moment;
  /** The mean over time. */
  readonly mean: number;
  /** For how many milliseconds the readings were above the limit of the history. */
  readonly aboveLimit: number;
  /** Where two readings are more than two intervals apart, oldest first; the first may begin at the span. */
  readonly holes: readonly Hole[];
}

/** The readings of a time that ends at a moment. */
export interface Span {
  /** The readings in steps, for a plot. */
  readonly series: Series;
  /** The readings in words; `undefined` where there are none. It is about the steps of the series. */
  readonly summary: Summary | undefined;
  /** How many milliseconds an axis shows. */
  readonly length: number;
}

/** The settings of a history. */
export interface HistoryOptions {
  /** Milliseconds between two readings. */
  interval: number;
  /** The value above which readings count as above. Default none. */
  limit?: number | undefined;
}

/**
 * By how many milliseconds more than two intervals two readings may be apart without a hole between them, and
 * the latest one may be old without being late, because a reading takes some time.
 */
export const PATIENCE = 500;

/** What is known of one reading, or of some in a row. Times are in milliseconds since 1970. */
interface Totals {
  /** When the first of them was read. */
  at: number;
  lowest: number;
  lowestAt: number;
  highest: number;
  highestAt: number;
  /** For how many milliseconds they stand. */
  time: number;
  /** The sum of the values, each times its milliseconds. */
  area: number;
  /** For how many of these milliseconds they were above the limit. */
  above: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The lengths of an axis and its steps: 240 for the last hour. */
const HOUR_LENGTHS = [5 * MINUTE, 15 * MINUTE, HOUR];
const HOUR_STEPS = 240;
const DAY_LENGTHS = [3 * HOUR, 12 * HOUR, DAY];
/** Milliseconds of a step of {@linkcode History.day}. */
export const DAY_STEP: number = 5 * MINUTE;
/** Milliseconds of a step of {@linkcode History.trend}. */
export const TREND_STEP: number = MINUTE;
/** Milliseconds of a step of {@linkcode History.dayTrend}. */
export const DAY_TREND_STEP: number = 15 * MINUTE;
/** The first step of a span begins before it, by up to one step. */
const KEPT_IN_FULL = HOUR + TREND_STEP;
const KEPT = DAY + DAY_TREND_STEP;
/** Most steps that are kept. Without changes of the clock there are 292. */
const MAX_STEPS = 600;
/** Most holes that are kept: the longest. */
const MAX_HOLES = 500;

/**
 * Remembers readings: of the last hour each one, of the last day the totals of every five minutes. The memory
 * is bounded: 44 KB at an interval of 5 s, 220 KB at 0.5 s, 3.2 MB at 0.05 s, and never more than 100 bytes
 * for each interval of an hour and 50 KB. For that, readings that are closer together than half an interval
 * count as one in the hour, the higher.
 *
 * Times are in whole milliseconds since 1970.
 *
 * @example
 * ```ts
 * import { History } from "./history.ts";
 * import assert from "node:assert/strict";
 *
 * const history = new History({ interval: 5_000, limit: 8 });
 * history.add(0.5, 1_000_000);
 * history.add(9.5, 1_005_000);
 * const { series, summary } = history.hour(1_005_000);
 * assert.equal(Math.max(...series.values.map(Number)), 9.5);
 * assert.equal(summary?.mean, 5);
 * assert.equal(summary?.aboveLimit, 5_000);
 * ```
 */
export class History {
  readonly #interval: number;
  readonly #limit: number;
  readonly #readings = new Readings();
  readonly #steps: Totals[] = [];
  readonly #holes: Hole[] = [];
  #latest: Moment | undefined;

  /**
   * Makes an empty history.
   *
   * @throws {RangeError} when the interval is not above 0
   */
  constructor({ interval, limit = Infinity }: HistoryOptions) {
    if (!(interval > 0)) {
      throw new RangeError(`Cannot keep a history with an interval of ${interval}: above 0 needed`);
    }
    this.#interval = interval;
    this.#limit = limit;
  }

  /**
   * Reads what {@linkcode toJSON} gave, perhaps with another interval. With another limit, for how long the
   * readings of five minutes were above it is estimated, where some were and some were not. Whatever is wrong,
   * later than `now` or older than a day is left out, so any other value gives an empty history.
   */
  static from(json: unknown, { now, ...options }: HistoryOptions & { now: number }): History {
    const history = new History(options);
    history.#restore(json, now);
    return history;
  }

  /** How many bytes the numbers take that are remembered. */
  get byteLength(): number {
    const numbers = 8 * this.#steps.length + 2 * this.#holes.length;
    return this.#readings.byteLength + numbers * Float64Array.BYTES_PER_ELEMENT;
  }

  /**
   * Adds a reading. One that is earlier than the latest means that the clock was set back: everything moves
   * back, so that the latest is one interval before it. A caller that knows by how much calls
   * {@linkcode shift} first.
   *
   * @throws {RangeError} when the value or the time is not finite
   */
  add(value: number, at: number): void {
    if (!Number.isFinite(value) || !Number.isFinite(at)) {
      throw new RangeError(`Cannot remember ${value} at ${at}: finite numbers needed`);
    }
    at = Math.round(at);
    if (this.#latest && at < this.#latest.at) {
      this.shift(at - this.#latest.at - this.#interval);
    }
    const time = at - (this.#latest?.at ?? -Infinity);
    const isHole = time > 2 * this.#interval + PATIENCE;
    if (this.#latest && isHole) this.#addHole([this.#latest.at, at]);
    this.#latest = { value, at };
    this.#keep(value, at, isHole ? this.#interval : time);
    this.#forget(at);
  }

  /**
   * Moves everything in time, because the clock was set.
   *
   * @throws {RangeError} when the number is not finite
   */
  shift(milliseconds: number): void {
    if (!Number.isFinite(milliseconds)) {
      throw new RangeError(`Cannot move a history by ${milliseconds} ms: a finite number needed`);
    }
    const by = Math.round(milliseconds);
    if (this.#latest) this.#latest = { ...this.#latest, at: this.#latest.at + by };
    this.#readings.shift(by);
    for (const step of this.#steps) {
      step.at += by;
      step.lowestAt += by;
      step.highestAt += by;
    }
    for (const [index, [from, to]] of this.#holes.entries()) {
      this.#holes[index] = [from + by, to + by];
    }
  }

  /**
   * The last hour, on an axis of 5, 15 or 60 minutes: the shortest that holds its readings. It has 240 steps,
   * and one more, because the first and the last one are partly outside.
   */
  hour(end: number): Span {
    const length = lengthOf(HOUR_LENGTHS, this.#readings, end);
    const step = length / HOUR_STEPS;
    return this.#span(this.#totals(step), { end, length, step });
  }

  /** The last day, on an axis of 3, 12 or 24 hours, in steps of 5 minutes, and one more. */
  day(end: number): Span {
    const length = lengthOf(DAY_LENGTHS, this.#steps, end);
    return this.#span(this.#steps, { end, length, step: DAY_STEP });
  }

  /** The last hour in 60 steps of a minute, and one more. */
  trend(end: number): Series {
    const rows = this.#totals(TREND_STEP);
    return this.#span(rows, { end, length: HOUR, step: TREND_STEP }).series;
  }

  /** The last day in 96 steps of 15 minutes, and one more. */
  dayTrend(end: number): Series {
    return this.#span(this.#steps, { end, length: DAY, step: DAY_TREND_STEP }).series;
  }

  /**
   * When the run of latest readings began that all satisfy a condition, as far as they are remembered in
   * full; a hole ends it. `undefined` where the latest does not satisfy it.
   */
  since(isIn: (value: number) => boolean): number | undefined {
    const { length } = this.#readings;
    if (!this.#latest || length === 0 || !isIn(this.#latest.value)) return undefined;
    const from = this.#holes.at(-1)?.[1] ?? -Infinity;
    let first = length;
    while (first > 0) {
      const { value, at } = this.#readings.get(first - 1);
      if (at < from || !isIn(value)) break;
      first--;
    }
    return first < length ? this.#readings.get(first).at : this.#latest.at;
  }

  /**
   * Everything, for a state file: some 27 KB at an interval of 5 s, 120 KB at 0.5 s and 1.1 MB at 0.05 s.
   */
  toJSON(): unknown {
    const { at = 0 } = this.#latest ?? {};
    return {
      latest: this.#latest && [at, this.#latest.value],
      limit: Number.isFinite(this.#limit) ? this.#limit : null,
      readings: Array.from(this.#readings, (reading) => [at - reading.at, reading.value]),
      steps: this.#steps.map((step) => [
        at - step.at,
        step.lowest,
        at - step.lowestAt,
        step.highest,
        at - step.highestAt,
        step.time,
        step.area,
        step.above,
      ]),
      holes: this.#holes.map(([from, to]) => [at - from, at - to]),
    };
  }

  #keep(value: number, at: number, time: number): void {
    const reading = totalsOf({ value, at, time }, this.#limit);
    const step = this.#steps.at(-1);
    if (step && numberOf(at, DAY_STEP) <= numberOf(step.at, DAY_STEP)) include(step, reading);
    else this.#steps.push(reading);
    this.#readings.add({ value, at, time }, this.#interval / 2);
  }

  #addHole(hole: Hole): void {
    this.#holes.push(hole);
    if (this.#holes.length <= MAX_HOLES) return;
    const lengths = this.#holes.map(([from, to]) => to - from);
    this.#holes.splice(lengths.indexOf(Math.min(...lengths)), 1);
  }

  #forget(now: number): void {
    this.#readings.forget(now - KEPT_IN_FULL);
    const isOld = ({ at }: Totals) => at < now - KEPT;
    while (this.#steps.length > MAX_STEPS || isOld(this.#steps[0]!)) this.#steps.shift();
    while (this.#holes.length > 0 && this.#holes[0]![1] < now - KEPT) this.#holes.shift();
  }

  /** The totals of the readings in each step. There can be 72,000 readings, so none becomes an object. */
  #totals(step: number): Totals[] {
    const all: Totals[] = [];
    const row = totalsOf({ value: 0, at: 0, time: 0 }, this.#limit);
    let [number, last] = [NaN, row];
    this.#readings.forEach((value, at, time) => {
      row.at = row.lowestAt = row.highestAt = at;
      row.lowest = row.highest = value;
      row.time = time;
      row.area = value * time;
      row.above = value > this.#limit ? time : 0;
      if (numberOf(at, step) === number) return include(last, row);
      number = numberOf(at, step);
      last = { ...row };
      all.push(last);
    });
    return all;
  }

  /** The rows in steps and in words. */
  #span(
    rows: Iterable<Totals>,
    { end, length, step }: { end: number; length: number; step: number },
  ): Span {
    const count = Math.round(length / step) + 1;
    const first = numberOf(end, step) - count + 1;
    const values = new Array<number | null>(count).fill(null);
    let all: Totals | undefined;
    for (const row of rows) {
      const index = numberOf(row.at, step) - first;
      if (index < 0 || index >= count) continue;
      values[index] = Math.max(values[index] ?? -Infinity, row.highest);
      if (all) include(all, row);
      else all = { ...row };
    }
    const series = { end, step, interval: this.#interval, values };
    const holes = this.#holesFrom(first * step);
    return { series, length, summary: all && summaryOf(all, { latest: this.#latest!, holes }) };
  }

  #holesFrom(start: number): Hole[] {
    return this.#holes.filter(([, to]) => to > start)
      .map(([from, to]) => [Math.max(from, start), to]);
  }

  #restore(json: unknown, now: number): void {
    const { latest, steps, readings, holes, limit } = Object(json) as Record<string, unknown>;
    const [base, value] = rowsOf([latest], 2)[0] ?? [];
    if (base === undefined || value === undefined) return;
    const isIn = (at: number) =>
      Number.isSafeInteger(at) && at <= Math.min(now, base) && at >= now - KEPT;
    for (const ages of rowsOf(holes, 2).slice(-MAX_HOLES)) {
      const [from, to] = [base - ages[0]!, base - ages[1]!];
      const isInOrder = from < to && from >= (this.#holes.at(-1)?.[1] ?? -Infinity);
      if (isInOrder && Number.isSafeInteger(from) && isIn(to)) this.#holes.push([from, to]);
    }
    const isOtherLimit = limit !== undefined && (limit ?? Infinity) !== this.#limit;
    for (const row of rowsOf(steps, 8)) this.#restoreStep(row, { base, isIn, isOtherLimit });
    const ends = new Set(this.#holes.map(([, to]) => to));
    let before = -Infinity;
    for (const [age = 0, value = 0] of rowsOf(readings, 2)) {
      const at = base - age;
      if (!isIn(at) || at <= before || at < now - KEPT_IN_FULL) continue;
      const time = before === -Infinity || ends.has(at) ? this.#interval : at - before;
      this.#readings.add({ value, at, time }, this.#interval / 2);
      this.#latest = { value, at };
      before = at;
    }
    const step = this.#steps.at(-1);
    if (step && !this.#latest) this.#latest = { value: step.highest, at: step.highestAt };
    if (isIn(base)) this.#latest = { value, at: base };
  }

  #restoreStep(
    row: readonly number[],
    { base, isIn, isOtherLimit }: {
      base: number;
      isIn: (at: number) => boolean;
      isOtherLimit: boolean;
    },
  ): void {
    const [age = 0, lowest = 0, lowestAge = 0, highest = 0, highestAge = 0] = row;
    const [time = 0, area = 0, above = 0] = row.slice(5);
    const [at, lowestAt, highestAt] = [base - age, base - lowestAge, base - highestAge];
    const number = numberOf(at, DAY_STEP);
    if (number <= numberOf(this.#steps.at(-1)?.at ?? -Infinity, DAY_STEP)) return;
    if (![at, lowestAt, highestAt].every(isIn) || lowest > highest) return;
    if (!(time > 0 && time < 3 * DAY && above >= 0 && above <= time)) return;
    const step = { at, lowest, lowestAt, highest, highestAt, time, area, above };
    if (isOtherLimit) step.above = time * shareAbove(this.#limit, step);
    this.#steps.push(step);
  }
}

/** The number of the step since 1970 that contains a moment. */
function numberOf(at: number, step: number): number {
  return Math.floor(at / step);
}

/** The least length that holds all rows which the greatest one holds. */
function lengthOf(
  lengths: readonly number[],
  rows: Iterable<Pick<Totals, "at">>,
  end: number,
): number {
  const start = end - lengths.at(-1)!;
  const oldest = Iterator.from(rows).find(({ at }) => at >= start)?.at ?? end;
  return lengths.find((length) => end - oldest <= length)!;
}

function totalsOf({ value, at, time }: Reading, limit: number): Totals {
  return {
    at,
    lowest: value,
    lowestAt: at,
    highest: value,
    highestAt: at,
    time,
    area: value * time,
    above: value > limit ? time : 0,
  };
}

/** The share of the time that values between two were above a limit, where each of them is as likely. */
function shareAbove(
  limit: number,
  { lowest, highest }: Pick<Totals, "lowest" | "highest">,
): number {
  if (highest <= limit) return 0;
  return lowest > limit ? 1 : (highest - limit) / (highest - lowest);
}

/** Adds totals to those of earlier readings. */
function include(all: Totals, later: Totals): void {
  if (later.lowest < all.lowest) [all.lowest, all.lowestAt] = [later.lowest, later.lowestAt];
  if (later.highest > all.highest) [all.highest, all.highestAt] = [later.highest, later.highestAt];
  all.time += later.time;
  all.area += later.area;
  all.above += later.above;
}

function summaryOf(
  { lowest, lowestAt, highest, highestAt, time, area, above }: Totals,
  { latest, holes }: Pick<Summary, "latest" | "holes">,
): Summary {
  return {
    lowest: { value: lowest, at: lowestAt },
    highest: { value: highest, at: highestAt },
    latest,
    mean: Math.min(Math.max(area / time, lowest), highest), // because sums are rounded
    aboveLimit: above,
    holes,
  };
}

/** The members of a list that are lists of so many finite numbers. */
function rowsOf(value: unknown, length: number): number[][] {
  const isRow = (row: unknown) =>
    Array.isArray(row) && row.length === length && row.every(Number.isFinite);
  return Array.isArray(value) ? value.filter(isRow) : [];
}
