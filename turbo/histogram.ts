/**
 * Counts how often a measured value falls into each of some ranges.
 *
 * @module
 */

/** What a number was measured of, such as `{ "turbo.transport": "websocket" }`. */
export type Attributes = Readonly<Record<string, string | number>>;

/** The values that were recorded with the same attributes. */
export interface Series {
  /** What the values were measured of. */
  readonly attributes: Attributes;
  /** How many values are at most each bound, and above the one before. The last are above all bounds. */
  readonly counts: readonly number[];
  /** The sum of the values. */
  readonly sum: number;
  /** How many values there are. */
  readonly count: number;
}

const NO_ATTRIBUTES: Attributes = {};

/** A text that is the same for the same attributes. */
export function keyOf(attributes: Attributes): string {
  return JSON.stringify(Object.entries(attributes).sort());
}

/**
 * A histogram with explicit bounds, as in OpenTelemetry and Prometheus.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Histogram } from "./histogram.ts";
 *
 * const seconds = new Histogram([0.1, 1]);
 * for (const value of [0.05, 0.5, 0.6, 7]) seconds.record(value);
 * assert.deepEqual(seconds.series[0]?.counts, [1, 2, 1]);
 * ```
 */
export class Histogram {
  /** The bounds, which grow. */
  readonly bounds: readonly number[];
  /** Called with each value that is recorded, so that it can be recorded elsewhere as well. */
  onRecord: ((value: number, attributes: Attributes) => void) | undefined;
  readonly #series = new Map<string, { -readonly [Key in keyof Series]: Series[Key] }>();

  /** Starts without values. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
  }

  /** The values so far, for each combination of attributes. */
  get series(): readonly Series[] {
    return [...this.#series.values()];
  }

  /** Adds a value. */
  record(value: number, attributes: Attributes = NO_ATTRIBUTES): void {
    const key = attributes === NO_ATTRIBUTES ? "" : keyOf(attributes);
    let series = this.#series.get(key);
    if (!series) {
      series = { attributes, counts: new Array(this.bounds.length + 1).fill(0), sum: 0, count: 0 };
      this.#series.set(key, series);
    }
    let range = 0;
    while (range < this.bounds.length && value > this.bounds[range]!) range++;
    (series.counts as number[])[range]!++;
    series.sum += value;
    series.count++;
    this.onRecord?.(value, attributes);
  }
}
