/**
 * Metrics for an OpenTelemetry meter. It reads counts when it exports them, so they cost nothing before. The
 * values of a histogram are also recorded when they are measured.
 *
 * @module
 */
import { type Attributes, keyOf } from "./histogram.ts";
import type { Metric, NumberMetric, Point } from "./instruments.ts";
import { addedUp } from "./points.ts";
import { registeredTelemetry } from "./telemetry.ts";

/** What is said of an instrument when it is made. */
export interface InstrumentOptions {
  /** What it measures. */
  description?: string;
  /** Its unit, by the Unified Code for Units of Measure. */
  unit?: string;
  /** Advice for the SDK. */
  advice?: {
    /** The upper bounds of a histogram's buckets. */
    explicitBucketBoundaries?: number[];
  };
}

/** An instrument whose values are asked for when they are exported. */
export interface ObservableInstrument {
  /** Adds a function that observes the values. */
  addCallback(callback: (result: ObservableResult) => void): void;
}

/** Receives the values of an instrument. */
export interface ObservableResult {
  /** Observes a value. */
  observe(value: number, attributes?: Record<string, string | number>): void;
}

/** An instrument that takes values when they are measured. */
export interface HistogramInstrument {
  /** Records a value. */
  record(value: number, attributes?: Record<string, string | number>): void;
}

/** The parts of OpenTelemetry's `Meter` (`@opentelemetry/api`, version 1) that are used here. */
export interface Meter {
  /** Makes an instrument for a number that only grows. */
  createObservableCounter(name: string, options?: InstrumentOptions): ObservableInstrument;
  /** Makes an instrument for a number that can be added up over processes. */
  createObservableUpDownCounter(name: string, options?: InstrumentOptions): ObservableInstrument;
  /** Makes an instrument for a number that cannot. */
  createObservableGauge(name: string, options?: InstrumentOptions): ObservableInstrument;
  /** Makes a histogram. */
  createHistogram(name: string, options?: InstrumentOptions): HistogramInstrument;
}

/** The name under which a meter is asked for. */
const METER = "@turbo-deno/turbo";

const CREATORS = {
  counter: "createObservableCounter",
  upDownCounter: "createObservableUpDownCounter",
  gauge: "createObservableGauge",
} as const;

/** The meters of providers, and the instruments of meters: an instrument cannot be removed from a meter. */
const meters = new WeakMap<object, Meter>();
const instruments = new WeakMap<Meter, Map<string, Observed | HistogramInstrument>>();

/** A meter of what is registered with OpenTelemetry's API; `undefined` where no metrics are recorded. */
export function registeredMeter(): Meter | undefined {
  const provider = registeredTelemetry()?.metrics;
  if (!provider) return undefined;
  const meter = meters.get(provider) ?? provider.getMeter(METER) as Meter;
  meters.set(provider, meter);
  return meter;
}

/**
 * Lets an OpenTelemetry meter read metrics, such as those of an app, until the function is called that it
 * returns. Metrics of one name are added up. What was counted until then stays counted, because a counter
 * must not go back. Does nothing without a meter, which is by default one of the provider that is registered
 * with OpenTelemetry's API; metrics that are given as a function are not even made then.
 */
export function observeMetrics(
  metrics: readonly Metric[] | (() => readonly Metric[]),
  meter: Meter | null | undefined = registeredMeter(),
): () => void {
  if (!meter) return () => {};
  const known = instruments.get(meter) ?? new Map<string, Observed | HistogramInstrument>();
  instruments.set(meter, known);
  const all = typeof metrics === "function" ? metrics() : metrics;
  const ends = all.map((metric) => {
    const { name, description, unit, kind } = metric;
    if (kind === "histogram") {
      const { histogram } = metric;
      const advice = { explicitBucketBoundaries: [...histogram.bounds] };
      const instrument = (known.get(name) ??
        meter.createHistogram(name, { description, unit, advice })) as HistogramInstrument;
      known.set(name, instrument);
      histogram.onRecord = (value, attributes) => instrument.record(value, attributes);
      return () => void (histogram.onRecord = undefined);
    }
    const observed = (known.get(name) ??
      new Observed(meter[CREATORS[kind]](name, { description, unit }))) as Observed;
    known.set(name, observed);
    observed.add(metric);
    return () => observed.end(metric);
  });
  return () => ends.forEach((end) => end());
}

/** An instrument whose values are those of some metrics. */
class Observed {
  readonly #metrics = new Set<Pick<NumberMetric, "kind" | "read">>();
  /** What metrics have left that are read no more. */
  readonly #left = new Map<string, Point>();

  constructor(instrument: ObservableInstrument) {
    this.#metrics.add({ kind: "counter", read: () => [...this.#left.values()] });
    instrument.addCallback((result) => {
      for (const { value, attributes } of addedUp(this.#metrics)) result.observe(value, attributes);
    });
  }

  add(metric: NumberMetric): void {
    this.#metrics.add(metric);
  }

  end(metric: NumberMetric): void {
    if (!this.#metrics.delete(metric) || metric.kind === "gauge") return;
    for (const { value, attributes } of metric.read()) {
      // A number of things becomes 0, because some SDKs go on with what was observed last.
      this.#leave(attributes, metric.kind === "counter" ? value : 0);
    }
  }

  #leave(attributes: Attributes, value: number): void {
    const key = keyOf(attributes);
    const before = this.#left.get(key)?.value ?? 0;
    this.#left.set(key, { value: before + value, attributes });
  }
}
