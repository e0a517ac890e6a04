/**
 * Names by route for the spans of requests. Deno names a span by its method alone, because it does not know
 * the routes of an app.
 *
 * @module
 */
import type { Context } from "hono";
import { matchedRoutes } from "hono/route";

/** The part of Hono's context that is used here. */
export interface RoutedContext {
  /** The request. */
  readonly req: { readonly method: string; readonly path: string };
}

/** The part of a span of OpenTelemetry that is used here. */
interface Span {
  updateName(name: string): unknown;
  setAttribute(name: string, value: string): unknown;
}

/** What is registered with OpenTelemetry's API, version 1. */
interface Telemetry {
  context?: { active(): { getValue(key: symbol): unknown } };
}

const SPAN_KEY = Symbol.for("OpenTelemetry Context Key SPAN");
const API = Symbol.for("opentelemetry.js.api.1");

/** Whether spans are recorded in this process. */
export function recordsSpans(): boolean {
  return telemetry()?.context !== undefined;
}

/**
 * Middleware that names the span of a request by its route, such as `GET /page2`, and sets `http.route`,
 * which Deno then also adds to its metrics. `paths` are answered by other middleware, which has no routes. A
 * request for any other path keeps its name: there is no end of them.
 */
export function routeSpans(
  paths: readonly string[],
): (c: RoutedContext, next: () => Promise<void>) => Promise<void> {
  return async (c, next) => {
    await next();
    const span = telemetry()?.context?.active().getValue(SPAN_KEY) as Span | undefined;
    const routes = matchedRoutes(c as Context).map(({ path }) => path).filter((path) =>
      path !== "/*"
    );
    const route = routes.at(-1) ?? paths.find((path) => path === c.req.path);
    if (!span || route === undefined) return;
    span.updateName(`${c.req.method} ${route}`);
    span.setAttribute("http.route", route);
  };
}

function telemetry(): Telemetry | undefined {
  return (globalThis as Record<symbol, unknown>)[API] as Telemetry | undefined;
}
