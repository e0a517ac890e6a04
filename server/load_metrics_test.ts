import assert from "node:assert/strict";
import { type LoadFigures, loadMetrics } from "./load_metrics.ts";

const FIGURES: LoadFigures = {
  averages: [0.5, 1.25, 2],
  age: 1_500,
  cpus: 4,
  readings: { succeeded: 7, failed: 1 },
};

function valuesOf(figures: LoadFigures): Record<string, number[]> {
  return Object.fromEntries(
    loadMetrics(() => figures).map(({ name, read }) => [name, read().map(({ value }) => value)]),
  );
}

Deno.test("loadMetrics() has the averages, their age in seconds, and the readings by outcome", () => {
  assert.deepEqual(valuesOf(FIGURES), {
    "system.cpu.load_average.1m": [0.5],
    "system.cpu.load_average.5m": [1.25],
    "system.cpu.load_average.15m": [2],
    "load.cpus": [4],
    "load.reading.age": [1.5],
    "load.readings": [7, 1],
  });
});

Deno.test("loadMetrics() has no averages and no age where there are none", () => {
  const none = { ...FIGURES, averages: undefined, cpus: undefined };
  assert.deepEqual(valuesOf(none), {
    "system.cpu.load_average.1m": [],
    "system.cpu.load_average.5m": [],
    "system.cpu.load_average.15m": [],
    "load.cpus": [],
    "load.reading.age": [],
    "load.readings": [7, 1],
  });
});
