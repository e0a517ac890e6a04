import assert from "node:assert/strict";
import { countsOf } from "./counts.ts";

const read = (...points: [value: number, attributes?: Record<string, string | number>][]) => () =>
  points.map(([value, attributes = {}]) => ({ value, attributes }));

Deno.test("countsOf() gives a number, or the numbers by their attributes, and no histogram", () => {
  assert.deepEqual(
    countsOf([
      { name: "a.one", read: read([1]) },
      { name: "a.some", read: read([1, { b: "x" }], [2, { b: 404 }]) },
      { name: "a.single", read: read([1, { b: "x" }]) },
      { name: "a.pair", read: read([1, { b: "x", c: "y" }]) },
      { name: "a.none", read: read() },
      { name: "a.histogram" },
      { name: "b.other.one", read: read([3]) },
    ], "a."),
    {
      one: 1,
      some: { x: 1, 404: 2 },
      single: { x: 1 },
      pair: { "x y": 1 },
      none: {},
      "b.other.one": 3,
    },
  );
});
