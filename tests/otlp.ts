/**
 * An OpenTelemetry collector for tests: it takes what Deno or an SDK exports by OTLP over HTTP, as JSON, and
 * keeps it by name.
 *
 * @module
 */
import { serve, until } from "./kit.ts";

/** The attributes of a span, a log record or a data point. */
export type Attributes = Readonly<Record<string, unknown>>;

/** One series of a metric, with its newest value. */
export interface Point {
  /** Its attributes. */
  readonly attributes: Attributes;
  /** The value of a sum or a gauge. */
  readonly value?: number;
  /** Of a histogram: how many values, their sum, how many in each bucket, and the buckets' upper bounds. */
  readonly count?: number;
  readonly sum?: number;
  readonly buckets?: readonly number[];
  readonly bounds?: readonly number[];
}

/** A metric as it was exported last. */
export interface Metric {
  /** The name of the meter. */
  readonly scope: string;
  /** Its name, unit and description. */
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  /** What it is. */
  readonly kind: "counter" | "updown" | "gauge" | "histogram";
  /** Its series. */
  readonly points: readonly Point[];
}

/** A span. */
export interface Span {
  /** Its name. */
  readonly name: string;
  /** Its attributes: a list, because Deno sets some twice. */
  readonly attributes: readonly (readonly [name: string, value: unknown])[];
}

/** A log record: a line of the console. */
export interface LogRecord {
  /** The text. */
  readonly body: string;
  /** Its attributes. */
  readonly attributes: Attributes;
}

/** A running collector. */
export interface Collector extends AsyncDisposable {
  /** Its URL. */
  readonly url: string;
  /** The variables with which a program exports to it, within some tenths of a second. */
  readonly env: Readonly<Record<string, string>>;
  /** How many exports it has received. */
  readonly exports: number;
  /** All that it has received, as text. */
  readonly text: string;
  /** The newest metrics by name. */
  readonly metrics: ReadonlyMap<string, Metric>;
  /** All spans. */
  readonly spans: readonly Span[];
  /** All log records. */
  readonly logs: readonly LogRecord[];
  /** The newest state of a metric, when it is as asked for. */
  metric(name: string, isThat?: (metric: Metric) => boolean): Promise<Metric>;
  /** The first span that is as asked for. */
  span(isThat: (span: Span) => boolean): Promise<Span>;
  /** The first log record that is as asked for. */
  log(isThat: (record: LogRecord) => boolean): Promise<LogRecord>;
  /** Resolves when all metrics have been exported anew after this call. */
  exported(): Promise<void>;
}

/** Starts a collector on a free port. */
export function collect(): Collector {
  const metrics = new Map<string, Metric>();
  const spans: Span[] = [];
  const logs: LogRecord[] = [];
  const texts: string[] = [];
  let rounds = 0;

  const server = serve(async (request) => {
    const type = request.headers.get("Content-Type");
    if (type !== "application/json") throw new TypeError(`Exported as ${type}, not as JSON`);
    const text = await request.text();
    texts.push(text);
    const { resourceMetrics = [], resourceSpans = [], resourceLogs = [] } = JSON.parse(text);
    for (const { scope, metrics: all } of scopesOf(resourceMetrics, "scopeMetrics")) {
      for (const one of all) metrics.set(one.name, metricOf(scope.name, one));
    }
    if (resourceMetrics.length > 0) rounds++;
    for (const { spans: all } of scopesOf(resourceSpans, "scopeSpans")) {
      spans.push(...all.map((span: Json) => ({ name: span.name, attributes: pairsOf(span) })));
    }
    for (const { logRecords } of scopesOf(resourceLogs, "scopeLogs")) {
      logs.push(...logRecords.map((record: Json) => {
        return { body: valueOf(record.body), attributes: Object.fromEntries(pairsOf(record)) };
      }));
    }
    return Response.json({});
  });

  async function first<T>(find: () => T | undefined, what: string): Promise<T> {
    let found: T | undefined;
    await until(() => (found = find()) !== undefined, what).catch((error) => {
      throw new Error(`${error.message}; there is: ${summary()}`);
    });
    return found!;
  }

  function summary(): string {
    const points = [...metrics.values()].map(({ name, points }) =>
      `${name} ${JSON.stringify(points)}`
    );
    return [
      ...points,
      ...spans.map((span) => JSON.stringify(span)),
      ...logs.map(({ body }) => body),
    ]
      .join("\n");
  }

  return {
    url: server.url,
    env: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: server.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_METRIC_EXPORT_INTERVAL: "200",
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_BLRP_SCHEDULE_DELAY: "100",
    },
    get exports() {
      return texts.length;
    },
    get text() {
      return texts.join("\n");
    },
    metrics,
    spans,
    logs,
    metric: (name, isThat = () => true) =>
      first(() => {
        const metric = metrics.get(name);
        return metric && isThat(metric) ? metric : undefined;
      }, `the metric ${name} is as expected`),
    span: (isThat) => first(() => spans.find(isThat), "a span is as expected"),
    log: (isThat) => first(() => logs.find(isThat), "a log record is as expected"),
    async exported() {
      const before = rounds; // the next export may have been collected before this call
      await until(() => rounds >= before + 2, "all metrics are exported again");
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

// deno-lint-ignore no-explicit-any -- the JSON of OTLP
type Json = any;

function scopesOf(resources: readonly Json[], key: string): Json[] {
  return resources.flatMap((resource) => resource[key]);
}

function metricOf(scope: string, metric: Json): Metric {
  const { name, unit = "", description = "", sum, gauge, histogram } = metric;
  const kind = histogram ? "histogram" : gauge ? "gauge" : sum.isMonotonic ? "counter" : "updown";
  const { dataPoints } = histogram ?? gauge ?? sum;
  const points = dataPoints.map((point: Json): Point => {
    const attributes = Object.fromEntries(pairsOf(point).sort());
    if (!histogram) return { attributes, value: Number(point.asInt ?? point.asDouble) };
    const { count, sum, bucketCounts, explicitBounds } = point;
    return {
      attributes,
      count: Number(count),
      sum: Number(sum),
      buckets: bucketCounts.map(Number),
      bounds: explicitBounds,
    };
  });
  return { scope, name, unit, description, kind, points };
}

function pairsOf({ attributes = [] }: Json): [name: string, value: unknown][] {
  return attributes.map(({ key, value }: Json) => [key, valueOf(value)]);
}

function valueOf(value: Json): unknown {
  const [[kind, content] = []] = Object.entries(value);
  return kind === "intValue" || kind === "doubleValue" ? Number(content) : content;
}
