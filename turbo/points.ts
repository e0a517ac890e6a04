/**
 * Adding up what several metrics of one name say: those of several `Turbo` in one process.
 *
 * @module
 */
import { type Attributes, keyOf } from "./histogram.ts";
import type { NumberMetric, Point } from "./instruments.ts";

/**
 * The points of metrics of one name, one for each combination of attributes. Counts are added up. Of gauges
 * the largest counts.
 */
export function addedUp(metrics: Iterable<Pick<NumberMetric, "kind" | "read">>): Point[] {
  const points = new Map<string, { value: number; readonly attributes: Attributes }>();
  for (const { kind, read } of metrics) {
    for (const { value, attributes } of read()) {
      const key = keyOf(attributes);
      const before = points.get(key);
      if (!before) points.set(key, { value, attributes });
      else before.value = kind === "gauge" ? Math.max(before.value, value) : before.value + value;
    }
  }
  return [...points.values()];
}
