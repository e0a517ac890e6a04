/**
 * Turbo Streams for Hono on Deno: the server renders HTML and pushes it into open pages.
 *
 * An open page is never stale: each page carries the cursor at which it was rendered, and its connection is
 * sent everything that was pushed to it after that cursor.
 *
 * @example A counter that every open page follows
 * ```ts
 * import { Hono } from "hono";
 * import { html, replace, Turbo } from "./mod.ts";
 * import assert from "node:assert/strict";
 *
 * let count = 0;
 * const counter = () => html`<b id="count">${count}</b>`;
 *
 * const turbo = new Turbo();
 * const app = new Hono();
 * app.use(turbo.middleware());
 * app.get("/", (c) =>
 *   c.html(html`<!DOCTYPE html>
 *     <html>
 *       <head><title>Count</title>${turbo.head(c)}</head>
 *       <body>${counter()}</body>
 *     </html>`));
 *
 * count++;
 * assert.equal(turbo.push(replace("count", counter())), 0); // nobody is connected yet
 * assert.match(await (await app.request("/")).text(), /<b id="count">1<\/b>/);
 * ```
 *
 * @module
 */
export type { ConnectOptions } from "./admission.ts";
export { type Asset, asset } from "./assets.ts";
export type { PushOptions, ShownOptions, Whom } from "./audience.ts";
export type { ConnectionLimits } from "./connection.ts";
export { type Copy, type Engine, memory, type MemoryOptions } from "./engine.ts";
export type { Push, Said } from "./engine.ts";
export { type Middleware, turboForms } from "./form_status.ts";
export type { MiddlewareOptions, ReaderNames } from "./hono.ts";
export { type Attributes, Histogram, type Series } from "./histogram.ts";
export { html, type Markup, raw } from "./html.ts";
export type { InspectorOptions } from "./inspector.ts";
export type {
  HistogramMetric,
  Metric,
  MetricDescription,
  NumberMetric,
  Point,
} from "./instruments.ts";
export type { Audience, Batch, Entry, Log, LogOptions, LogState } from "./log.ts";
export type {
  HistogramInstrument,
  InstrumentOptions,
  Meter,
  ObservableInstrument,
  ObservableResult,
} from "./meter.ts";
export { observeMetrics } from "./meter.ts";
export type { Shared, SharedChange } from "./nodes.ts";
export { prometheus, PROMETHEUS_TYPE } from "./prometheus.ts";
export type { Message } from "./protocol.ts";
export type { Present } from "./roster.ts";
export {
  acceptsStream,
  CONNECTION_HEADER,
  connectionId,
  CURSOR_HEADER,
  hasValidHost,
  type HonoContext,
  isAllowedHost,
  isOwnOrigin,
  isSecure,
  requestedFrame,
  streamResponse,
  type StreamResponseInit,
} from "./request.ts";
export {
  action,
  type ActionParts,
  after,
  append,
  before,
  type Content,
  type MorphOptions,
  prepend,
  refresh,
  type RefreshOptions,
  remove,
  replace,
  type Stream,
  STREAM_TYPE,
  type Streams,
  type Target,
  update,
} from "./streams.ts";
export type { CloseOptions, HeadOptions, PageOptions, TurboOptions } from "./options.ts";
export {
  type PagePolicy,
  pagePolicy,
  type PolicyDirectives,
  type PolicySources,
} from "./policy.ts";
export type { Rate } from "./rate.ts";
export type { ConnectionEvent } from "./readers.ts";
export type { Receipt } from "./receipts.ts";
export type { Staleness } from "./staleness.ts";
export { Turbo } from "./turbo.ts";
export type { WatermarksState } from "./watermarks.ts";
export type { ServerSocket, StreamContext, Upgrade, UpgradeOptions } from "./websocket.ts";
