/**
 * Counts as JSON, for people who look.
 *
 * @module
 */

/** A metric: a number, or one for each combination of attributes. */
export interface Counted {
  /** Its name, such as `turbo.server.pushes`. */
  readonly name: string;
  /** The values now; a histogram has none. */
  read?(): readonly {
    readonly value: number;
    readonly attributes: Readonly<Record<string, unknown>>;
  }[];
}

/** Numbers by name; those of a metric with attributes by the values of these. */
export type Counts = Readonly<Record<string, number | Readonly<Record<string, number>>>>;

/**
 * The counts of metrics, without a prefix of their names. Histograms are left out.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { countsOf } from "./counts.ts";
 *
 * const counts = countsOf([
 *   { name: "app.pushes", read: () => [{ value: 2, attributes: {} }] },
 *   { name: "app.ends", read: () => [{ value: 1, attributes: { how: "left" } }] },
 * ], "app.");
 * assert.deepEqual(counts, { pushes: 2, ends: { left: 1 } });
 * ```
 */
export function countsOf(metrics: readonly Counted[], prefix: string): Counts {
  return Object.fromEntries(metrics.flatMap(({ name, read }) => {
    if (!read) return [];
    const points = read().map(({ value, attributes }) =>
      [Object.values(attributes).join(" "), value] as const
    );
    const [[first, value] = ["", 0]] = points;
    const isOne = points.length === 1 && first === "";
    return [[name.replace(prefix, ""), isOne ? value : Object.fromEntries(points)]];
  }));
}
