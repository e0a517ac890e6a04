import assert from "node:assert/strict";
import { parsePrometheus, promtool, WITH_PROMTOOL } from "../tests/prometheus.ts";
import { Histogram } from "./histogram.ts";
import type { Metric, NumberMetric } from "./instruments.ts";
import { prometheus } from "./prometheus.ts";
import { Turbo } from "./turbo.ts";

const counter = (metric: Partial<NumberMetric> & Pick<Metric, "name">): Metric => ({
  kind: "counter",
  unit: "{thing}",
  description: "Things",
  read: () => [{ value: 1, attributes: {} }],
  ...metric,
});

/** A histogram of seconds with these values. */
function durations(...values: readonly number[]): Metric {
  const histogram = new Histogram([0.1, 1]);
  for (const value of values) histogram.record(value, { "turbo.transport": "sse" });
  return { name: "a.duration", kind: "histogram", unit: "s", description: "Durations", histogram };
}

Deno.test("prometheus() writes names, units and kinds by the rules of OpenTelemetry", () => {
  const heads = (metrics: readonly Metric[]) => prometheus(metrics).match(/(?<=# TYPE ).*/g);
  assert.deepEqual(
    heads([
      counter({ name: "turbo.server.pushes", unit: "{push}" }),
      counter({ name: "turbo.server.sent", unit: "By" }),
      counter({ name: "a.total" }),
      counter({ name: "a.open", kind: "upDownCounter" }),
      counter({ name: "a.age", kind: "gauge", unit: "s" }),
      counter({ name: "a.seconds.p99", kind: "gauge", unit: "s" }),
      counter({ name: "a.load.1m", kind: "gauge", unit: "{thread}" }),
      counter({ name: "1.a--b", kind: "gauge", unit: "1" }),
      durations(),
    ]),
    [
      "turbo_server_pushes_total counter",
      "turbo_server_sent_bytes_total counter",
      "a_total counter",
      "a_open gauge",
      "a_age_seconds gauge",
      "a_seconds_p99 gauge",
      "a_load_1m gauge",
      "_1_a_b gauge",
      "a_duration_seconds histogram",
    ],
  );
});

Deno.test("prometheus() escapes help and labels", () => {
  const attributes = { "a.b-c": 'back\\slash "quoted"\nline', "2": 3 };
  const text = prometheus([counter({
    name: "a",
    description: 'A \\ and a "quote"\nin two lines',
    read: () => [{ value: 1, attributes }],
  })]);
  assert.equal(
    text,
    String.raw`# HELP a_total A \\ and a "quote"\nin two lines
# TYPE a_total counter
a_total{_2="3",a_b_c="back\\slash \"quoted\"\nline"} 1
`,
  );
  parsePrometheus(text);
});

Deno.test("prometheus() writes numbers as Prometheus parses them", () => {
  const values = [0, -1.5, 1e21, 1e-7, Infinity, -Infinity, NaN];
  const text = prometheus([counter({
    name: "a",
    kind: "gauge",
    read: () => values.map((value, index) => ({ value, attributes: { index } })),
  })]);
  assert.deepEqual(text.match(/(?<=} ).*/g), ["0", "-1.5", "1e+21", "1e-7", "+Inf", "-Inf", "NaN"]);
  assert.deepEqual([...parsePrometheus(text).get("a")!.samples.values()], values);
});

Deno.test("prometheus() writes histograms with cumulative buckets", () => {
  const text = prometheus([durations(0.05, 0.1, 0.5, 7)]);
  assert.equal(
    text,
    `# HELP a_duration_seconds Durations
# TYPE a_duration_seconds histogram
a_duration_seconds_bucket{turbo_transport="sse",le="0.1"} 2
a_duration_seconds_bucket{turbo_transport="sse",le="1"} 3
a_duration_seconds_bucket{turbo_transport="sse",le="+Inf"} 4
a_duration_seconds_sum{turbo_transport="sse"} 7.65
a_duration_seconds_count{turbo_transport="sse"} 4
`,
  );
  parsePrometheus(text);
});

Deno.test("prometheus() adds up metrics of one name, and takes the largest gauge", () => {
  const one = (kind: NumberMetric["kind"], value: number, attributes = {}) =>
    counter({ name: `a.${kind}`, kind, read: () => [{ value, attributes }] });
  const families = parsePrometheus(prometheus([
    one("counter", 1, { a: "1", b: "2" }),
    one("gauge", 3),
    durations(0.05),
    one("counter", 2, { b: "2", a: "1" }),
    one("counter", 4),
    one("upDownCounter", 1),
    one("upDownCounter", -1),
    one("gauge", 2),
    durations(0.5, 3),
  ]));
  const samples = (name: string) => Object.fromEntries(families.get(name)!.samples);
  assert.deepEqual(samples("a_counter_total"), {
    'a_counter_total{a="1",b="2"}': 3,
    "a_counter_total": 4,
  });
  assert.deepEqual(samples("a_upDownCounter"), { a_upDownCounter: 0 });
  assert.deepEqual(samples("a_gauge"), { a_gauge: 3 });
  assert.deepEqual(Object.values(samples("a_duration_seconds")), [1, 2, 3, 3.55, 3]);
});

Deno.test({
  name: "prometheus() passes Prometheus' own check, with the metrics of a Turbo",
  ...WITH_PROMTOOL,
  async fn() {
    const turbo = new Turbo();
    const attributes = { text: 'back\\slash "quoted"\nline' };
    const text = prometheus([
      ...turbo.metrics,
      durations(0.05, 7),
      counter({ name: "a", description: "\\ \n", read: () => [{ value: 1e21, attributes }] }),
    ]);
    await turbo.close();
    parsePrometheus(text);
    await promtool("metrics", text);
    await assert.rejects(promtool("metrics", `${text}a b c\n`));
  },
});
