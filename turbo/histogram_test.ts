import assert from "node:assert/strict";
import { Histogram } from "./histogram.ts";

Deno.test("Histogram.record() counts a value in the first range whose bound it does not exceed", () => {
  const histogram = new Histogram([1, 2]);
  for (const value of [0, 1, 1.5, 2, 2.5, Infinity]) histogram.record(value);
  assert.deepEqual(histogram.series, [
    { attributes: {}, counts: [2, 2, 2], sum: Infinity, count: 6 },
  ]);
});

Deno.test("Histogram keeps a series for each combination of attributes, and tells each value", () => {
  const histogram = new Histogram([1]);
  const told: unknown[] = [];
  histogram.onRecord = (...args) => told.push(args);
  histogram.record(0.5, { end: "left" });
  histogram.record(3, { end: "lost" });
  histogram.record(5, { end: "left" });
  assert.deepEqual(
    histogram.series.map(({ attributes, sum }) => [attributes, sum]),
    [[{ end: "left" }, 5.5], [{ end: "lost" }, 3]],
  );
  assert.deepEqual(told, [[0.5, { end: "left" }], [3, { end: "lost" }], [5, { end: "left" }]]);
});
