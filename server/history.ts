/**
 * Readings over time: the last hour in full, the last day in steps of five minutes, in bounded memory.
 *
 * @module
 */

/** A value and when it was read. */
export interface Moment {
  /** The value. */
  readonly value: number;
  /** When it was read, in milliseconds since 1970. */
  readonly at: number;
}

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

/** Remembers readings. */
export class History {
  /** Makes an empty history. */
  constructor(_options: HistoryOptions) {
    throw new Error("Not written yet");
  }

  /** Reads back what {@linkcode toJSON} gave. */
  static from(_json: unknown, _options: HistoryOptions & { now: number }): History {
    throw new Error("Not written yet");
  }

  /** Adds a reading. */
  add(_value: number, _at: number): void {
    throw new Error("Not written yet");
  }

  /** Moves everything in time, because the clock was set. */
  shift(_milliseconds: number): void {
    throw new Error("Not written yet");
  }

  /** The last hour, on an axis of 5, 15 or 60 minutes. */
  hour(_end: number): Span {
    throw new Error("Not written yet");
  }

  /** The last day, on an axis of 3, 12 or 24 hours. */
  day(_end: number): Span {
    throw new Error("Not written yet");
  }

  /** The last hour in steps of a minute. */
  trend(_end: number): Series {
    throw new Error("Not written yet");
  }

  /** The last day in steps of 15 minutes. */
  dayTrend(_end: number): Series {
    throw new Error("Not written yet");
  }

  /** When the run of latest readings that all satisfy a condition began. */
  since(_isIn: (value: number) => boolean): number | undefined {
    throw new Error("Not written yet");
  }

  /** Everything, for a state file. */
  toJSON(): unknown {
    throw new Error("Not written yet");
  }
}
