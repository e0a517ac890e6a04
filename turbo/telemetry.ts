/**
 * OpenTelemetry without its packages: what is registered with its API can be found by a symbol, and Deno
 * registers its own where that is switched on.
 *
 * @module
 */

/** What is registered with OpenTelemetry's API, version 1. */
export interface Telemetry {
  /** Makes tracers; see `TracerProvider` of `@opentelemetry/api`. */
  trace?: { getTracer(name: string): { startSpan(name: string): object } };
  /** Makes meters; see `MeterProvider` there. */
  metrics?: { getMeter(name: string): unknown };
}

/** A span as Deno makes them. */
interface SpanPrototype {
  setAttribute(name: string, value: unknown): unknown;
}

/** The attributes of a span that contain the query of a URL (OpenTelemetry's conventions for HTTP). */
const URL_ATTRIBUTES = ["url.full", "url.query"];

const redacting = new WeakSet<object>();

/** What is registered with OpenTelemetry's API in this process; `undefined` where nothing is. */
export function registeredTelemetry(): Telemetry | undefined {
  // By this symbol all copies of `@opentelemetry/api` find each other.
  return (globalThis as Record<symbol, unknown>)[Symbol.for("opentelemetry.js.api.1")] as
    | Telemetry
    | undefined;
}

/**
 * Makes Deno write `token=REDACTED` into the spans of requests, in place of a token: an `EventSource`
 * cannot send one but in the URL. Does nothing where no spans are recorded. Returns whether it has
 * succeeded.
 */
export function redactSpans(telemetry: Telemetry | undefined = registeredTelemetry()): boolean {
  const isOn = "Deno" in globalThis && telemetry?.trace;
  if (!isOn) return true;
  // A span that does not end is not exported.
  const prototype = Object.getPrototypeOf(isOn.getTracer("turbo").startSpan("")) as SpanPrototype;
  if (redacting.has(prototype)) return true;
  const { setAttribute } = prototype;
  if (typeof setAttribute !== "function") return false;
  function redacted(this: object, name: string, value: unknown): unknown {
    const isUrl = typeof value === "string" && URL_ATTRIBUTES.includes(name);
    return setAttribute.call(this, name, isUrl ? withoutToken(value) : value);
  }
  // Deno sets these attributes before it calls the handler of a request, and an attribute that is set again
  // stands beside the first. So only the method itself can be changed.
  const isSet = Reflect.set(prototype, "setAttribute", redacted);
  if (isSet) redacting.add(prototype);
  return isSet;
}

/** A URL or a query with the value of each `token` redacted, as the conventions have it. */
export function withoutToken(url: string): string {
  return url.replace(/(?<=^|[?&])([^?&=#]+)=[^&#]*/g, (pair, name: string) => {
    const [[decoded] = []] = new URLSearchParams(name);
    return decoded === "token" ? `${name}=REDACTED` : pair;
  });
}
