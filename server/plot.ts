/**
 * The geometry of a plot: where its curve, marks, ticks and labels stand. Markup is made elsewhere.
 *
 * Places are in per cent of the plot, from its upper left corner. Paths are for a `viewBox` of
 * {@linkcode Plot.width} by {@linkcode HEIGHT} that is stretched over the plot.
 *
 * @module
 */
import type { Hole, Moment, Series } from "./history.ts";

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

/** The plot of a series. */
export function plot(_series: Series, _options: PlotOptions): Plot {
  throw new Error("Not written yet");
}
