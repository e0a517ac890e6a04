/**
 * Metrics in the text format of Prometheus, version 0.0.4.
 *
 * @module
 */
import { type Attributes, keyOf, type Series } from "./histogram.ts";
import type { HistogramMetric, Metric, NumberMetric } from "./instruments.ts";
import { addedUp } from "./points.ts";

/** The media type of what {@linkcode prometheus} returns. */
export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The units that a name ends with, by OpenTelemetry's rules for Prometheus. What is counted has none. */
const UNITS: Readonly<Record<string, string>> = { s: "seconds", By: "bytes" };

const TYPES = {
  counter: "counter",
  upDownCounter: "gauge",
  gauge: "gauge",
  histogram: "histogram",
};

/**
 * Writes metrics in the text format of Prometheus. Names and units are translated by OpenTelemetry's rules,
 * so that they are the same as by way of a collector: `turbo.server.sent` in bytes becomes
 * `turbo_server_sent_bytes_total`. Metrics of one name are added up.
 *
 * @example The metrics of a `Turbo`, and one of the app
 * ```ts
 * import assert from "node:assert/strict";
 * import { type Metric, prometheus, PROMETHEUS_TYPE, Turbo } from "./mod.ts";
 *
 * const turbo = new Turbo();
 * const jobs: Metric = {
 *   name: "app.jobs",
 *   kind: "upDownCounter",
 *   unit: "{job}",
 *   description: "Jobs that wait",
 *   read: () => [{ value: 3, attributes: { queue: "mail" } }],
 * };
 * const text = prometheus([...turbo.metrics, jobs]);
 * assert.match(text, /^app_jobs\{queue="mail"\} 3$/m);
 * new Response(text, { headers: { "Content-Type": PROMETHEUS_TYPE, "Cache-Control": "no-store" } });
 * ```
 */
export function prometheus(metrics: readonly Metric[]): string {
  const byName = new Map<string, Metric[]>(); // Node 20 has no Map.groupBy
  for (const metric of metrics) {
    const name = nameOf(metric);
    byName.set(name, [...byName.get(name) ?? [], metric]);
  }
  return [...byName].map(([name, group]) => {
    const [{ description, kind }] = group as [Metric];
    const head = `# HELP ${name} ${escaped(description, /[\\\n]/g)}\n# TYPE ${name} ${
      TYPES[kind]
    }\n`;
    const lines = kind === "histogram"
      ? seriesOf(group as HistogramMetric[]).flatMap((series) => histogramLines(name, series))
      : addedUp(group as NumberMetric[])
        .map(({ value, attributes }) => line(name, attributes, value));
    return head + lines.join("");
  }).join("");
}

function nameOf({ name, unit, kind }: Metric): string {
  const words = name.split(/[^a-zA-Z0-9]+/);
  const suffix = UNITS[unit];
  if (suffix !== undefined && !words.includes(suffix)) words.push(suffix);
  if (kind === "counter" && words.at(-1) !== "total") words.push("total");
  return words.join("_").replace(/^(?=\d)/, "_");
}

interface BoundedSeries extends Series {
  readonly bounds: readonly number[];
}

/** The series of histograms of one name, which have the same bounds, added up. */
function seriesOf(metrics: readonly HistogramMetric[]): BoundedSeries[] {
  const all = new Map<string, BoundedSeries>();
  for (const { histogram: { bounds, series } } of metrics) {
    for (const one of series) {
      const key = keyOf(one.attributes);
      const before = all.get(key);
      const counts = one.counts.map((count, range) => count + (before?.counts[range] ?? 0));
      const sum = one.sum + (before?.sum ?? 0);
      const count = one.count + (before?.count ?? 0);
      all.set(key, { attributes: one.attributes, bounds, counts, sum, count });
    }
  }
  return [...all.values()];
}

function histogramLines(
  name: string,
  { attributes, bounds, counts, sum, count }: BoundedSeries,
): string[] {
  let total = 0;
  return [
    ...[...bounds, Infinity].map((bound, range) => {
      total += counts[range]!;
      return line(`${name}_bucket`, { ...attributes, le: numeral(bound) }, total);
    }),
    line(`${name}_sum`, attributes, sum),
    line(`${name}_count`, attributes, count),
  ];
}

function line(name: string, attributes: Attributes, value: number): string {
  const labels = Object.entries(attributes).map(([key, value]) => {
    const label = key.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d)/, "_");
    return `${label}="${escaped(String(value), /[\\\n"]/g)}"`;
  });
  return `${name}${labels.length > 0 ? `{${labels.join(",")}}` : ""} ${numeral(value)}\n`;
}

function escaped(text: string, pattern: RegExp): string {
  return text.replace(pattern, (character) => character === "\n" ? "\\n" : `\\${character}`);
}

/** A number as Go parses it. */
function numeral(value: number): string {
  return Math.abs(value) === Infinity ? value > 0 ? "+Inf" : "-Inf" : String(value);
}
