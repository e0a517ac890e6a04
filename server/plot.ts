/**
 * The geometry of a plot: where its curve, marks, ticks and labels stand. Markup is made elsewhere.
 *
 * Places are in per cent of the plot, from its upper left corner. Paths are for a `viewBox` of
 * {@linkcode Plot.width} by {@linkcode HEIGHT} that is stretched over the plot.
 *
 * @module
 */
import { type Hole, type Moment, PATIENCE, type Series } from "./history.ts";

/** What a plot shows beside the series; a `Summary` has the two optional parts. */
export interface PlotOptions {
  /** How many milliseconds the axis shows. */
  length: number;
  /** The value at which a line is drawn, such as the number of CPUs; none where it is not above 0. */
  limit?: number | undefined;
  /** The latest reading. Default: the last value of the series. */
  latest?: Moment | undefined;
  /** Where there were no readings. Default: where steps are empty for more than two intervals. */
  holes?: readonly Hole[] | undefined;
  /** Minutes from local time to UTC at a moment. Default: as `Date.getTimezoneOffset()`. */
  offsetAt?: (at: number) => number;
}

/** Two paths of one part of the curve. */
export interface Stroke {
  /** The area between the curve and its ground, closed. */
  readonly area: string;
  /** The curve. */
  readonly curve: string;
}

/** A marked reading. */
export interface Mark {
  /** Per cent from the left. */
  readonly x: number;
  /** Per cent from the top. */
  readonly y: number;
  /** The reading. */
  readonly value: number;
  /** Whether it is above the limit. */
  readonly isAbove: boolean;
}

/** A round time on the axis. */
export interface Tick {
  /** Per cent from the left. */
  readonly x: number;
  /** The time, in milliseconds since 1970. */
  readonly at: number;
  /** Whether a narrow page leaves it out. */
  readonly isMinor: boolean;
}

/** The place of the words "no reading". */
export interface HoleLabel {
  /** The middle of the hole, in per cent from the left. */
  readonly x: number;
  /** Whether a narrow page leaves it out. */
  readonly isMinor: boolean;
}

/** Where everything of a plot stands. */
export interface Plot {
  /** The value at the upper edge. The lower edge is 0. */
  readonly top: number;
  /** The width of the `viewBox`, in steps. */
  readonly width: number;
  /** The curve, one part for each time without a hole. A single reading is a dot. */
  readonly runs: readonly Stroke[];
  /** The parts of the curve above the limit, whose ground is the limit. */
  readonly above: readonly Stroke[];
  /** Where the line of the limit is, in per cent from the top; `undefined` where there is none. */
  readonly limitAt: number | undefined;
  /** Whether the name of that line stands at its left end, away from the highest point, or at its right. */
  readonly isLimitNamedLeft: boolean;
  /** Whether there is room in the right margin for the limit's number. */
  readonly hasLimitNumber: boolean;
  /** Whether there is room in the right margin for a 0. */
  readonly hasZero: boolean;
  /** The latest reading; left of 100 where it is older than the end of the series. */
  readonly newest: Mark | undefined;
  /** The highest reading, where it stands apart from the newest. */
  readonly highest: Mark | undefined;
  /** The round local times, oldest first. */
  readonly ticks: readonly Tick[];
  /** The holes that are wide enough for words. */
  readonly holes: readonly HoleLabel[];
}

/** The height of the `viewBox`. */
export const HEIGHT = 300;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** How far apart the ticks are on an axis up to a length. */
const TICKS = [
  { length: 5 * MINUTE, distance: MINUTE },
  { length: 15 * MINUTE, distance: 5 * MINUTE },
  { length: HOUR, distance: 15 * MINUTE },
  { length: 3 * HOUR, distance: 30 * MINUTE },
  { length: Infinity, distance: 3 * HOUR },
];
/** The least value at the upper edge, so that a load of 0 lies on the ground. */
const LEAST_TOP = 0.01;

/** A point of the curve: steps from the left edge, rounded as in a path, and a value. */
interface Point {
  readonly x: number;
  readonly value: number;
}

/** The curve in parts, and between which x they are apart. */
interface Curve {
  readonly runs: readonly (readonly Point[])[];
  readonly gaps: readonly Gap[];
}

type Gap = readonly [from: number, to: number];

/**
 * The plot of a series. Its scale goes from 0 to the highest value or to the limit, whichever is higher.
 *
 * @example
 * ```ts
 * import { History } from "./history.ts";
 * import { plot } from "./plot.ts";
 * import assert from "node:assert/strict";
 *
 * const history = new History({ interval: 5_000 });
 * history.add(2, 295_000);
 * history.add(1, 300_000);
 * const { series, length, summary } = history.hour(300_000);
 * const { top, width, runs, newest } = plot(series, { length, limit: 4, ...summary });
 * assert.deepEqual([top, width], [4, 240]);
 * assert.deepEqual(newest, { x: 100, y: 75, value: 1, isAbove: false });
 * assert.deepEqual(runs.map(({ curve }) => curve), ["M236.5 150l3.5 75"]);
 * ```
 */
export function plot(series: Series, options: PlotOptions): Plot {
  const { length, limit: given = 0 } = options;
  const limit = given > 0 ? given : undefined;
  const width = Math.round(length / series.step);
  const { runs, gaps } = curveOf(series, options);
  const points = runs.flat();
  const values = points.map(({ value }) => value);
  const top = Math.max(limit ?? 0, LEAST_TOP, ...values);
  const markOf = ({ x, value }: Point): Mark => ({
    x: percent(x / width),
    y: percent(1 - Math.max(value, 0) / top),
    value,
    isAbove: limit !== undefined && value > limit,
  });
  const [newest, highest] = [points.at(-1), points[values.indexOf(Math.max(...values))]]
    .map((point) => point && markOf(point));
  const limitAt = limit === undefined ? undefined : percent(1 - limit / top);
  return {
    top,
    width,
    runs: runs.map((run) => strokeOf(run, { top, ground: 0 })),
    above: limit === undefined ? [] : runs.flatMap((run) => partsAbove(limit, run))
      .map((part) => strokeOf(part, { top, ground: limit })),
    limitAt,
    isLimitNamedLeft: !highest || highest.x >= 45,
    hasLimitNumber: limitAt !== undefined && !(newest && Math.abs(newest.y - limitAt) < 13),
    hasZero: Math.max(newest?.y ?? 0, limitAt ?? 0) <= 87,
    newest,
    highest: newest && highest && isApart(highest, newest) ? highest : undefined,
    ticks: ticksOf(series.end, options),
    holes: labelsOf(gaps, width),
  };
}

/**
 * The points of the curve. The value of a step stands in its middle; that of the first step, which is partly
 * outside, at the left edge. Beside a hole the curve ends and begins where the readings do.
 */
function curveOf(series: Series, { length, latest, holes }: PlotOptions): Curve {
  const { end, step, values } = series;
  const width = Math.round(length / step);
  const last = Math.floor(end / step);
  const xOf = (at: number) => clamp((at - end + length) / step, 0, width);
  const middleOf = (number: number) => number === last - width ? 0 : xOf((number + 0.5) * step);
  const gapBetween = (before: number | undefined, number: number): Gap | undefined => {
    if (holes) {
      const hole = holeBetween(holes, { before, number, step });
      return hole && [xOf(hole[0]), xOf(hole[1])];
    }
    if (before === undefined || number - before === 1) return undefined;
    const isHole = (number - before) * step > 2 * series.interval + PATIENCE;
    return isHole ? [middleOf(before), middleOf(number)] : undefined;
  };
  const runs: Point[][] = [];
  const gaps: Gap[] = [];
  let before: number | undefined;
  for (const [index, value] of values.entries()) {
    const number = last - values.length + 1 + index;
    if (value === null || number < last - width) continue;
    const gap = gapBetween(before, number);
    if (gap) gaps.push(gap);
    if (gap && before !== undefined) endAt(runs.at(-1)!, quarter(gap[0]));
    if (gap || before === undefined) runs.push([]);
    const x = quarter(middleOf(number));
    const from = gap ? quarter(gap[1]) : x;
    if (from < x) runs.at(-1)!.push({ x: from, value });
    runs.at(-1)!.push({ x: Math.max(from, x), value });
    before = number;
  }
  if (latest && before !== undefined && Math.floor(latest.at / step) >= before) {
    endAt(runs.at(-1)!, round(xOf(latest.at)), latest.value);
  }
  return { runs, gaps };
}

/** The hole between two steps that have readings and none between them; of the first step, before it. */
function holeBetween(
  holes: readonly Hole[],
  { before = -Infinity, number, step }: {
    before: number | undefined;
    number: number;
    step: number;
  },
): Hole | undefined {
  return holes.find((hole) => {
    const [from, to] = hole.map((at) => Math.floor(at / step)) as [number, number];
    return from < number && to > before;
  });
}

/** Ends a run at x, where the middle of its last step may be further right. */
function endAt(run: Point[], x: number, value = run.at(-1)!.value): void {
  for (const [index, point] of run.entries()) run[index] = { ...point, x: Math.min(point.x, x) };
  run.push({ x, value });
}

/** The parts of a run that are above a limit, cut where the curve crosses it. */
function partsAbove(limit: number, run: readonly Point[]): Point[][] {
  const parts: Point[][] = [];
  let before: Point | undefined;
  for (const point of run) {
    const [was, is] = [before !== undefined && before.value > limit, point.value > limit];
    if (is && !was) parts.push([]);
    if (before && is !== was) parts.at(-1)!.push(crossing(before, point, limit));
    if (is) parts.at(-1)!.push(point);
    before = point;
  }
  return parts;
}

function crossing(a: Point, b: Point, limit: number): Point {
  const x = a.x + (b.x - a.x) * (limit - a.value) / (b.value - a.value);
  return { x: clamp(quarter(x), a.x, b.x), value: limit };
}

/** The paths of points: relative, and without those that are within a level line. */
function strokeOf(
  points: readonly Point[],
  { top, ground }: { top: number; ground: number },
): Stroke {
  const yOf = (value: number) => HEIGHT - Math.round(HEIGHT * (Math.max(value, 0) / top));
  const placed = points.map(({ x, value }) => ({ x, y: yOf(value) }))
    .filter(({ x, y }, index, all) => x !== all[index - 1]?.x || y !== all[index - 1]?.y)
    .filter(({ y }, index, all) => y !== all[index - 1]?.y || y !== all[index + 1]?.y);
  const { x, y } = placed[0]!;
  const lines = placed.slice(1).map((point, index) => {
    const [dx, dy] = [point.x - placed[index]!.x, point.y - placed[index]!.y];
    return `${short(dx)}${dy < 0 ? "" : " "}${dy}`;
  });
  const curve = `M${short(x)} ${y}${lines.length > 0 ? `l${lines.join(" ")}` : "h.01"}`;
  return { area: `${curve}V${yOf(ground)}H${short(x)}Z`, curve };
}

/** Whether the label of the highest reading has room beside that of the newest. */
function isApart(highest: Mark, newest: Mark): boolean {
  return newest.y - highest.y >= 8 && Math.abs(newest.x - highest.x) >= 9;
}

/** The places of the gaps that are wide enough for words. */
function labelsOf(gaps: readonly Gap[], width: number): HoleLabel[] {
  return gaps.map(([from, to]) => ({ middle: (from + to) / 2 / width, size: (to - from) / width }))
    .filter(({ size }) => size > 0.1)
    .map(({ middle, size }) => ({ x: percent(middle), isMinor: size < 0.3 }));
}

/** The round local times of the axis, without those at its ends, where other words stand. */
function ticksOf(end: number, { length, offsetAt = offsetOf }: PlotOptions): Tick[] {
  const { distance } = TICKS.find((ticks) => length <= ticks.length)!;
  const grid = Math.min(distance, 15 * MINUTE); // every zone's offset is a multiple of it
  const ticks: Tick[] = [];
  for (let at = Math.ceil((end - length) / grid) * grid; at <= end; at += grid) {
    const number = (at - offsetAt(at) * MINUTE) / distance;
    const x = percent(1 - (end - at) / length);
    if (!Number.isInteger(number) || x < 5 || x > 92) continue;
    const isCrowded = length > HOUR || distance === MINUTE; // on a phone, with a wide font
    ticks.push({ x, at, isMinor: x > 87 || (isCrowded && number % 2 !== 0) });
  }
  return ticks;
}

function offsetOf(at: number): number {
  return new Date(at).getTimezoneOffset();
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

function quarter(x: number): number {
  return Math.round(4 * x) / 4;
}

function round(value: number): number {
  return Math.round(100 * value) / 100;
}

function percent(part: number): number {
  return round(100 * part);
}

function short(value: number): string {
  return String(round(value)).replace(/^0\./, ".");
}
