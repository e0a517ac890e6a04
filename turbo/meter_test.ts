import assert from "node:assert/strict";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "npm:@opentelemetry/sdk-metrics@3.1.1";
import { Histogram } from "./histogram.ts";
import type { Metric, NumberMetric } from "./instruments.ts";
import type { InstrumentOptions, Meter, ObservableInstrument } from "./meter.ts";
import { observeMetrics, registeredMeter } from "./meter.ts";
import { replace } from "./streams.ts";
import { Turbo } from "./turbo.ts";

type Callback = Parameters<ObservableInstrument["addCallback"]>[0];

/** A meter that keeps what it is told; `read` asks for the values of a name. */
function fakeMeter(): {
  meter: Meter;
  made: [kind: string, name: string, options: InstrumentOptions | undefined][];
  recorded: [name: string, value: number, attributes: unknown][];
  read(name: string): [value: number, attributes: unknown][];
} {
  const made: [string, string, InstrumentOptions | undefined][] = [];
  const recorded: [string, number, unknown][] = [];
  const callbacks = new Map<string, Callback>();
  const observable = (kind: string) => (name: string, options?: InstrumentOptions) => {
    made.push([kind, name, options]);
    return {
      addCallback(callback: Callback) {
        assert(!callbacks.has(name), `${name} has two callbacks`);
        callbacks.set(name, callback);
      },
    };
  };
  const meter: Meter = {
    createObservableCounter: observable("counter"),
    createObservableUpDownCounter: observable("upDownCounter"),
    createObservableGauge: observable("gauge"),
    createHistogram(name, options) {
      made.push(["histogram", name, options]);
      return { record: (value, attributes) => void recorded.push([name, value, attributes]) };
    },
  };
  return {
    meter,
    made,
    recorded,
    read(name) {
      const values: [number, unknown][] = [];
      callbacks.get(name)!({
        observe: (value, attributes) => void values.push([value, attributes]),
      });
      return values;
    },
  };
}

const number = (kind: NumberMetric["kind"], read: NumberMetric["read"]): Metric => {
  return { name: `a.${kind}`, kind, unit: "{thing}", description: "Things", read };
};

const of = (value: number, attributes = {}) => ({ value, attributes });

Deno.test("observeMetrics() makes an instrument of each metric, with its unit and bounds", () => {
  const { meter, made } = fakeMeter();
  const turbo = new Turbo({ meter: null });
  observeMetrics(turbo.metrics, meter);
  assert.deepEqual(
    made.map(([kind, name, options]) => [kind, name, options?.unit, options?.description]),
    turbo.metrics.map(({ kind, name, unit, description }) => [kind, name, unit, description]),
  );
  for (const [kind, name, options] of made) {
    const bounds = options?.advice?.explicitBucketBoundaries;
    assert.equal(kind === "histogram", bounds !== undefined, name);
  }
});

Deno.test("observeMetrics() lets the meter read numbers when it wants, and records histograms at once", () => {
  const { meter, recorded, read } = fakeMeter();
  let n = 1;
  const histogram = new Histogram([1]);
  observeMetrics([
    number("counter", () => [of(n, { a: "b" }), of(2 * n)]),
    { name: "a.histogram", kind: "histogram", unit: "s", description: "Durations", histogram },
  ], meter);
  assert.deepEqual(read("a.counter"), [[1, { a: "b" }], [2, {}]]);
  n = 5;
  assert.deepEqual(read("a.counter"), [[5, { a: "b" }], [10, {}]]);
  histogram.record(0.5, { c: "d" });
  assert.deepEqual(recorded, [["a.histogram", 0.5, { c: "d" }]]);
});

Deno.test("observeMetrics() adds up the metrics of several, through one instrument of the meter", () => {
  const { meter, made, read } = fakeMeter();
  const kinds = ["counter", "upDownCounter", "gauge"] as const;
  for (const value of [2, 3]) {
    observeMetrics(kinds.map((kind) => number(kind, () => [of(value, { a: "b" })])), meter);
  }
  assert.deepEqual(made.map(([kind]) => kind), kinds);
  assert.deepEqual(kinds.map((kind) => read(`a.${kind}`)), [
    [[5, { a: "b" }]],
    [[5, { a: "b" }]],
    [[3, { a: "b" }]],
  ]);
});

Deno.test("observeMetrics() ends: counters stay where they are, numbers of things become 0, gauges go", () => {
  const { meter, recorded, read } = fakeMeter();
  let reads = 0;
  const histogram = new Histogram([1]);
  const metricsOf = (value: number): Metric[] => [
    ...(["counter", "upDownCounter", "gauge"] as const).map((kind) =>
      number(kind, () => {
        reads++;
        return [of(value)];
      })
    ),
    { name: "a.histogram", kind: "histogram", unit: "s", description: "Durations", histogram },
  ];
  const end = observeMetrics(metricsOf(2), meter);
  end();
  end();
  reads = 0;
  assert.deepEqual(
    ["a.counter", "a.upDownCounter", "a.gauge"].map(read),
    [[[2, {}]], [[0, {}]], []],
  );
  assert.equal(reads, 0); // so what was observed can be collected as garbage
  histogram.record(0.5);
  assert.deepEqual(recorded, []);

  observeMetrics(metricsOf(3), meter);
  assert.deepEqual(
    ["a.counter", "a.upDownCounter", "a.gauge"].map(read),
    [[[5, {}]], [[3, {}]], [[3, {}]]],
  );
});

Deno.test("A Turbo gives its metrics to the option meter until it is closed", async () => {
  const { meter, read } = fakeMeter();
  const [first, second] = [new Turbo({ meter }), new Turbo({ meter })];
  first.push(replace("a", ""));
  second.push(replace("a", ""));
  second.push(replace("b", ""));
  assert.deepEqual(read("turbo.server.pushes"), [[3, {}]]);
  assert.deepEqual(read("turbo.server.log.entries"), [[3, {}]]);
  await first.close();
  second.push(replace("c", ""));
  assert.deepEqual(read("turbo.server.pushes"), [[4, {}]]);
  assert.deepEqual(read("turbo.server.log.entries"), [[3, {}]]); // those of the second alone
  await second.close();
});

Deno.test("new Turbo() rejects a meter that is none", () => {
  assert.throws(() => new Turbo({ meter: {} as Meter }), {
    name: "TypeError",
    message: 'Cannot take {} as "meter" of Turbo: an object with the methods ' +
      "createObservableCounter, createObservableUpDownCounter, createObservableGauge, createHistogram, " +
      "or null, is needed",
  });
});

Deno.test("Without a registered provider there is no meter", () => {
  assert.equal(registeredMeter(), undefined);
  assert.equal(observeMetrics([])(), undefined);
});

Deno.test("The option meter takes a meter of OpenTelemetry's SDK for JavaScript", async () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 86_400_000 });
  const provider = new MeterProvider({ readers: [reader] });
  try {
    const turbo = new Turbo({ meter: provider.getMeter("turbo") });
    turbo.push(replace("a", "b"));
    turbo.connect(new Request("http://localhost/turbo-stream"));
    await turbo.close();
    await reader.forceFlush();
    const values = new Map(
      exporter.getMetrics().at(-1)!.scopeMetrics[0]!.metrics.map(({ descriptor, dataPoints }) => [
        `${descriptor.name} ${descriptor.unit}`,
        dataPoints.map(({ value, attributes }) => [value, attributes]),
      ]),
    );
    assert.deepEqual(values.get("turbo.server.pushes {push}"), [[1, {}]]);
    assert.deepEqual(values.get("turbo.server.rejected_connections {connection}"), [
      [1, { "http.response.status_code": 426 }],
    ]);
    assert.deepEqual(values.get("turbo.server.active_connections {connection}"), [
      [0, { "turbo.transport": "websocket" }],
      [0, { "turbo.transport": "sse" }],
    ]);
  } finally {
    await provider.shutdown();
  }
});
