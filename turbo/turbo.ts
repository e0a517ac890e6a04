/**
 * The class `Turbo`, which serves the stream and the scripts of an application and pushes HTML into its
 * open pages.
 *
 * @module
 */
import type { Context } from "hono";
import { Admission, type ConnectOptions } from "./admission.ts";
import type { Asset } from "./assets.ts";
import { askedOf, audienceOf, checkReader, nameOf } from "./audience.ts";
import { type PushOptions, readerName, type ShownOptions, type Whom, whomOf } from "./audience.ts";
import { type Copy, type Engine, memory } from "./engine.ts";
import { openEventStream } from "./event_stream.ts";
import { ForeignLogs } from "./foreign_logs.ts";
import type { Middleware } from "./form_status.ts";
import { checkedPage, headOf, type PageHead } from "./head.ts";
import { type Inspector, inspectorOf, type InspectorOptions } from "./inspector.ts";
import { middlewareOf, type MiddlewareOptions, type Visit } from "./hono.ts";
import type { Markup } from "./html.ts";
import { Instruments, type Metric } from "./instruments.ts";
import { Lag } from "./lag.ts";
import { Log } from "./log.ts";
import { observeMetrics } from "./meter.ts";
import { Nodes, type Shared, type Statement } from "./nodes.ts";
import { quote } from "./checks.ts";
import { checkCloseOptions, checkHeadOptions, checkPageOptions } from "./options.ts";
import {
  type CloseOptions,
  type HeadOptions,
  type PageOptions,
  type ResolvedOptions,
  resolveOptions,
  type TurboOptions,
} from "./options.ts";
import { Presence } from "./presence.ts";
import { CLOSE, isCursor } from "./protocol.ts";
import { Readers } from "./readers.ts";
import type { Receipt } from "./receipts.ts";
import { isThenable, reasonOf, reporting } from "./report.ts";
import { hasValidHost, type HonoContext, isAllowedHost, isContext } from "./request.ts";
import type { Attendance, Present } from "./roster.ts";
import { type Scripts, scriptsUnder } from "./scripts.ts";
import type { Staleness } from "./staleness.ts";
import { joinStreams, type Streams } from "./streams.ts";
import { redactSpans } from "./telemetry.ts";
import { Signer } from "./token.ts";
import { openWebSocket, type StreamContext } from "./websocket.ts";

/**
 * The open pages of one application, and the log of what was pushed to them.
 *
 * @example A page whose clock is pushed
 * ```ts
 * import { Hono } from "hono";
 * import { html, replace, Turbo } from "./mod.ts";
 *
 * const turbo = new Turbo();
 * const clock = () => html`<time id="clock">${new Date().toISOString()}</time>`;
 *
 * const app = new Hono();
 * app.use(turbo.middleware());
 * app.get("/", (c) =>
 *   c.html(html`<!DOCTYPE html>
 *     <html><head><title>Clock</title>${turbo.head(c)}</head><body>${clock()}</body></html>`));
 *
 * if (import.meta.main) Deno.serve(app.fetch);
 * turbo.push(replace("clock", clock()));
 * ```
 *
 * @example The same without Hono
 * ```ts
 * import { html, Turbo } from "./mod.ts";
 *
 * const turbo = new Turbo();
 *
 * function handle(request: Request): Response {
 *   if (new URL(request.url).pathname === "/turbo-stream") return turbo.connect(request);
 *   const asset = turbo.asset(request);
 *   if (asset) return asset;
 *   const cursor = turbo.cursor; // before the data is read
 *   const page = html`<!DOCTYPE html><html><head>${turbo.head({ cursor })}</head></html>`;
 *   const headers = { "Content-Type": "text/html", "Turbo-Cursor": cursor, "Cache-Control": "no-cache" };
 *   return new Response(String(page), { headers });
 * }
 *
 * if (import.meta.main) Deno.serve(handle);
 * ```
 */
export class Turbo {
  readonly #options: ResolvedOptions;
  readonly #engine: Engine;
  readonly #log: Log;
  readonly #foreignLogs: ForeignLogs;
  readonly #nodes: Nodes;
  readonly #presence: Presence;
  /** What this node shares, as parsed from JSON. */
  #share: unknown;
  readonly #readers: Readers;
  readonly #instruments = new Instruments();
  readonly #lag: Lag;
  readonly #unobserve: () => void;
  readonly #signer: Signer;
  readonly #admission: Admission;
  readonly #scripts: Scripts;
  /** What the middleware knows of the requests that are being answered, by their context. */
  readonly #visits = new WeakMap<object, Visit>();
  readonly #notice: (message: string) => void;
  // Never throws, because it is called in callbacks and timers, where an error would end the process. One
  // function serves all connections.
  readonly #report: (message: string, error: unknown) => void;
  #closed: Promise<void> | undefined;
  #inspector: Inspector | undefined;
  #hasMiddleware = false;
  #hasReportedContext = false;

  /**
   * Starts without connections.
   *
   * @throws {TypeError} when an option is unknown or has the wrong type
   * @throws {RangeError} when an option is out of range
   * @throws {Error} when the engine cannot start
   */
  constructor(options: TurboOptions = {}) {
    const resolved = resolveOptions(options);
    const { path, assetsPath, tokenLifetime, secret, log, engine = memory() } = resolved;
    const { onError, onNotice, onChange, onConnection, onShared, onPresence } = resolved;
    const report = (message: string, error: unknown): void =>
      reporting(onError, (failure) => {
        console.error(message, reasonOf(error), "and onError failed:", reasonOf(failure));
      })(message, error);
    const changed = reporting(onChange, (error) => report("onChange failed:", error));
    const moved = onPresence &&
      reporting(onPresence, (error) => report("onPresence failed:", error));
    const shared = reporting(onShared, (error) => report("onShared failed:", error));
    this.#options = resolved;
    this.#report = report;
    this.#notice = reporting(onNotice, (error) => report("onNotice failed:", error));
    if (!redactSpans()) this.#notice("The spans of event streams hold the tokens of their URLs");
    this.#log = new Log(log);
    this.#nodes = new Nodes(shared);
    this.#presence = new Presence({
      grace: resolved.presenceGrace,
      say: (present) => this.#say({ present }),
      onChange: moved && ((names) => moved(names.map(whomOf))),
    });
    const isShared = engine.ready !== undefined;
    this.#foreignLogs = new ForeignLogs(this.#log, this.#notice, { isShared });
    this.#signer = new Signer({
      secret,
      lifetime: tokenLifetime,
      onNotice: this.#notice,
    });
    this.#lag = new Lag(engine);
    this.#readers = new Readers(this.#log, {
      ...resolved,
      instruments: this.#instruments,
      onConnection: onConnection &&
        reporting(onConnection, (error) => report("onConnection failed:", error)),
      report,
      onMove: (move) => this.#presence.move(move),
      onChange: (names) => changed(names.map(whomOf)),
      onForeign: (cursor, page) => {
        if (this.away === undefined) this.#foreignLogs.asked(cursor, page);
      },
    });
    this.#admission = new Admission({
      ...resolved,
      isOff: path === null,
      signer: this.#signer,
      onNotice: this.#notice,
    });
    this.#scripts = scriptsUnder(assetsPath);
    this.#engine = engine;
    this.#watch(engine.start(this.#copy()));
    this.#unobserve = observeMetrics(() => this.metrics, resolved.meter);
  }

  /**
   * Resolves when the engine is connected, or known to be unreachable for now; the engine in memory
   * resolves at once. Rejects when the engine can never work, such as with a wrong password.
   *
   * @throws {Error} that says why the engine cannot work
   */
  get ready(): Promise<void> {
    return this.#engine.ready ?? Promise.resolve();
  }

  /** Why this node works alone while its engine is unreachable; otherwise `undefined`. */
  get away(): string | undefined {
    return this.#engine.away;
  }

  /** What each node shares, this one included: see {@linkcode share}. The keys are arbitrary names. */
  get shared(): ReadonlyMap<string, Shared> {
    return this.#nodes.shared;
  }

  /** The newest position in the log. Take it before you read what a page shows. */
  get cursor(): string {
    return this.#log.cursor;
  }

  /** Open connections of this process. */
  get size(): number {
    return this.#readers.size;
  }

  /** How many connections at a time this process accepts: the option, or its default. */
  get maxConnections(): number {
    return this.#options.maxConnections;
  }

  /**
   * Connections that this process has closed and whose end the system has not reported yet. Each counts
   * towards `maxConnections`.
   */
  get zombies(): number {
    return this.#readers.zombies;
  }

  /** Bytes that wait to be sent, those for connections that were abandoned included. */
  get buffered(): number {
    return this.#readers.buffered;
  }

  /**
   * How old the open pages of this process are: how long after a push they show it, as they report
   * themselves, and how long they have owed a report of a push. So it includes what no server sees
   * otherwise: a proxy that holds messages back, a slow machine, a frozen tab. The way of the report to the
   * server is part of it, so a page is at most as old as this says.
   *
   * Each page reports one push in `reportInterval`, and those on WebSockets alone.
   */
  get staleness(): Staleness {
    return this.#readers.staleness;
  }

  /**
   * What this process counts and measures of itself, by OpenTelemetry's conventions: see
   * {@linkcode Metric}. The values are those of the moment in which they are read.
   */
  get metrics(): readonly Metric[] {
    const readers = this.#readers;
    const [engine, log, lag] = [this.#engine, this.#log, this.#lag];
    return this.#instruments.metrics({
      connections: (transport) => readers.sizeOf(transport),
      get zombies() {
        return readers.zombies;
      },
      get behind() {
        return readers.behind;
      },
      get buffered() {
        return readers.buffered;
      },
      get isConnected() {
        return engine.away === undefined;
      },
      get lag() {
        return lag.milliseconds;
      },
      log,
      get staleness() {
        return readers.staleness;
      },
    });
  }

  /**
   * Waits until the pages that are open in this process, or those of the readers and topics named, show
   * everything up to a cursor. Resolves with how many do, at the latest after `within` milliseconds. Take
   * the cursor after the push, or after `flush()` where the engine is not in memory.
   *
   * A page is asked only where it has not reported this already. One whose connection ends is waited for,
   * because it may come back. Rendered does not mean seen: the tab may be in the background. Where the log
   * starts again meanwhile, the call resolves with what is known.
   *
   * While a call waits, it takes about 130 bytes for each page. A page on an event stream is asked by making it
   * connect again, at most once a second.
   *
   * @throws {TypeError | RangeError} when the cursor is not one of this log, or an option is wrong or unknown
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { append, html, Turbo } from "./mod.ts";
   *
   * const turbo = new Turbo();
   * turbo.push(append("alarms", html`<li>Fire in room 3</li>`), { to: "ann" });
   * const { shown, missing } = await turbo.shown(turbo.cursor, { to: "ann", within: 5_000 });
   * assert.deepEqual([shown, missing], [0, 0]); // ann has no page open: call her
   * ```
   */
  async shown(cursor: string, options: ShownOptions = {}): Promise<Receipt> {
    const { audience, within } = askedOf(options);
    const position = isCursor(cursor) ? this.#log.positionOf(cursor) : undefined;
    if (position === undefined || position > this.#log.position) {
      const Wrong = typeof cursor === "string" ? RangeError : TypeError;
      throw new Wrong(
        `Cannot wait for ${
          quote(cursor)
        } to be shown: a cursor of this log, as turbo.cursor gives ` +
          "it, is needed",
      );
    }
    return await this.#readers.receipt(audience, position, within);
  }

  /**
   * How many connections of this process belong to a reader, or listen to a topic.
   *
   * @throws {TypeError | RangeError} when `whom` is not a name
   */
  listeners(whom: Whom): number {
    return this.#readers.listeners(nameOf("listeners()", whom));
  }

  /**
   * Whether anyone, or a reader, or a listener to a topic is connected to this process.
   *
   * @throws {TypeError | RangeError} when `whom` is given and not a name, `undefined` included
   */
  canPush(...args: [whom?: Whom]): boolean {
    return args.length === 0 ? this.size > 0 : this.listeners(args[0] as Whom) > 0;
  }

  /**
   * Who is present on all nodes: everyone, those who have a name, or those who listen to a topic. A reader
   * is known by the first of its names and counts once for any number of open pages. A connection without
   * a name counts as one. A reader who has left counts for another `presenceGrace`. A change takes its
   * place in the order of the pushes at most a quarter of a second after it happened.
   *
   * @throws {TypeError | RangeError} when `whom` is given and not a name, `undefined` included
   */
  present(...args: [whom?: Whom]): Present {
    return this.#presence.of(...args.length === 0 ? [] : [nameOf("present()", args[0] as Whom)]);
  }

  /**
   * Sends a stream, or a list of streams as one message, to everyone or to the readers and topics named,
   * and keeps it in the log for pages that are away. Returns how many open connections of this process it
   * is for.
   *
   * Give a function where several nodes change the same data. It is called when the push is sent, so that
   * the newest push in the log also shows the newest data.
   *
   * A push leaves in this turn of the event loop. A page that was sent another push less than a `frame` ago
   * gets it at the end of that time, together with the pushes of that time, and of each target the newest
   * state. A push that is larger than the log's `maxBytes` is not kept: the pages that it is for fetch
   * themselves.
   *
   * @throws {TypeError} when a value is not a stream or not a name, or an option is unknown; nothing is
   * sent or kept then
   * @throws {RangeError} when a name is empty or too long
   */
  push(streams: Streams | (() => Streams), options: PushOptions = {}): number {
    let isNothing = false;
    const render = (streams: Streams) => {
      const html = joinStreams(streams);
      isNothing = html === "";
      return html;
    };
    const html = typeof streams === "function" ? () => render(streams()) : render(streams);
    const audience = audienceOf(options);
    if (!isNothing) {
      this.#instruments.pushes++;
      this.#watch(this.#engine.push({ html, ...audience }));
      this.#lag.pushed();
    }
    return isNothing ? 0 : this.#readers.count(audience);
  }

  /**
   * Resolves when all earlier pushes are in the log and covered by {@linkcode cursor}. Await it in a handler
   * that pushes and then renders a page. The engine in memory resolves at once.
   */
  flush(): Promise<void> {
    return this.#engine.flush();
  }

  /**
   * Shares a value with all nodes, in place of the one shared before. They find it in {@linkcode shared}
   * until this node leaves. The change has a place in the order of the pushes: when a later push of this
   * node arrives, every node has the new value.
   *
   * @throws {TypeError} when JSON cannot express the value
   */
  share(value: unknown): void {
    const text = JSON.stringify({ share: value });
    if (text === "{}") throw new TypeError(`Cannot share ${quote(value)}: JSON has no such value`);
    this.#share = value;
    this.#watch(this.#engine.push({ say: text }));
  }

  /**
   * Ends all connections of a reader on all nodes, those that are opening included, such as after a log-out
   * or a ban. Returns how many were open in this process.
   *
   * The pages do not reconnect by themselves (close code 4001). A page that the reader visits later does
   * connect, so reject a reader who may not come back before `connect`.
   *
   * @throws {TypeError | RangeError} when `reader` is not a name
   */
  disconnect(reader: string): number {
    const name = readerName(checkReader("disconnect()", "reader", reader));
    const count = this.#readers.listeners(name);
    this.#watch(this.#engine.push({ disconnect: name }));
    return count;
  }

  /**
   * Revokes a topic, such as after a reader has lost the right to it: what `head` has signed for the topic
   * until now is no longer valid. Pages that listen to it are unsubscribed and fetch themselves, and listen
   * to it again only where the app still gives it to `head`.
   *
   * @throws {TypeError | RangeError} when `topic` is not a name
   */
  revoke(topic: string): void {
    this.#watch(this.#engine.push({ revoke: nameOf("revoke()", { topic }) }));
  }

  /**
   * Answers a request for the stream by a WebSocket, by server-sent events, or by the error that says what
   * is wrong with the request (400, 403, 404, 421, 426, 429, 503). `turbo.middleware()` calls it for you.
   *
   * Give it the request, or Hono's context; the adapters for Node and Bun need the context.
   *
   * @throws {TypeError | RangeError} when an option is wrong or unknown
   */
  connect(given: Request | StreamContext, options: ConnectOptions = {}): Response {
    return this.#connect(given, options, this.#options.base);
  }

  #connect(given: Request | StreamContext, options: ConnectOptions, base: string): Response {
    const context = isContext(given) ? given : undefined;
    const request = isContext(given) ? given.req.raw : given;
    const visitor = this.#admission.admit(request, options, base + this.#options.path);
    if (visitor instanceof Response) {
      this.#instruments.rejects(visitor.status);
      return visitor;
    }
    const readers = this.#readers;
    const { upgrade, idleTimeout, behindAfter, eventStreamLifetime: lifetime } = this.#options;
    const report = this.#report;
    try {
      return visitor.transport === "websocket"
        ? openWebSocket(request, visitor, { readers, upgrade, idleTimeout, context, report })
        : openEventStream(visitor, { readers, highWaterMark: behindAfter, lifetime });
    } catch (error) {
      visitor.release();
      this.#report("Cannot open a connection:", error);
      return new Response("Bad request\n", { status: 400 });
    }
  }

  /**
   * Middleware for a Hono app, to be registered before the routes. It answers requests for the stream and
   * the scripts. For other requests it takes the cursor before a route reads any data, so that
   * {@linkcode head} can write it into the page, and then completes the answer:
   *
   * - HTML and streams get the header `Turbo-Cursor`. Where they have no `Cache-Control`, they get
   *   `no-cache`, or `private, no-store` where `as` names the reader or a cookie is set.
   * - Answers to Turbo's forms get the status that Turbo asks for, as by {@linkcode turboForms}.
   * - What was set on the context (`c.status`, `setCookie`, `c.header`) also reaches an answer that
   *   {@linkcode streamResponse} makes without the context.
   *
   * A request whose host is malformed is answered 400, and a request for a host that is not among
   * `allowedHosts` 421.
   *
   * When it is registered by `app.use("/live/*", …)` or in a sub-app, it serves the stream and the scripts
   * below that path. When it is registered twice on the same `Turbo`, the first one answers for both, unless
   * the second has the option `as` and another path.
   *
   * Register it after the middleware that finds out who the reader is, and after a cache of answers. Hono's
   * own middleware works both before and after it: `secureHeaders`, `cors`, `compress`, `logger`, `csrf`,
   * `timeout` and `etag`. Hono's `etag` would read a stream of server-sent events to its end to compute a
   * tag, and so hold it back forever; therefore the stream has an `ETag` already, which `etag` keeps.
   *
   * @throws {TypeError} when an option is wrong or unknown
   *
   * @example Readers with names
   * ```ts
   * import { Hono } from "hono";
   * import { Turbo } from "./mod.ts";
   * import assert from "node:assert/strict";
   *
   * const turbo = new Turbo();
   * const app = new Hono<{ Variables: { user: string | undefined } }>();
   * app.use(async (c, next) => {
   *   c.set("user", c.req.header("X-User")); // in a real app, from a session
   *   await next();
   * });
   * app.use(turbo.middleware({ as: (c) => c.get("user") }));
   * app.get("/", (c) => c.html(`<html><head>${turbo.head(c)}</head></html>`));
   *
   * const page = await app.request("/", { headers: { "X-User": "ann" } });
   * assert.equal(page.headers.get("Turbo-Cursor"), turbo.cursor);
   * assert.equal(page.headers.get("Cache-Control"), "private, no-store");
   * ```
   */
  // deno-lint-ignore no-explicit-any -- as in Hono's own middleware: an app with any variables may use it
  middleware<C extends HonoContext = any>(options: MiddlewareOptions<C> = {}): Middleware<C> {
    if (this === undefined) { // by `app.use(turbo.middleware)`
      throw new TypeError(
        "Cannot use turbo.middleware without a call: write app.use(turbo.middleware())",
      );
    }
    this.#hasMiddleware = true;
    const { path, base, allowedHosts } = this.#options;
    const cursor = () => this.cursor;
    return middlewareOf({
      get cursor() {
        return cursor();
      },
      path,
      base,
      allowedHosts,
      visits: this.#visits,
      connect: (context, options, base) => this.#connect(context, options, base),
      asset: (path, request) => this.#assetAt(path)?.respond(request),
      notice: this.#notice,
    }, options);
  }

  /**
   * Markup for a page's `<head>`: the scripts, which are the same on every page; the cursor that the
   * middleware took when the request arrived; and a nonce where Hono's `secureHeaders` made one.
   *
   * @throws {TypeError} when an option is wrong or unknown, or the middleware did not run for the request
   * @throws {RangeError} when there are too many topics, a topic is too long, or all of them together are
   * more than a page can send back in one message
   */
  head(c: HonoContext, options?: PageOptions): Markup;
  /**
   * The same without Hono's middleware. Give it the cursor that was taken before the page's data was read.
   */
  head(options?: HeadOptions): Markup;
  head(first: HonoContext | HeadOptions = {}, options: PageOptions = {}): Markup {
    if (!isContext(first)) {
      const { cursor = this.cursor, ...given } = checkHeadOptions(first);
      if (!("cursor" in first)) this.#reportContext();
      return this.#head({ cursor, base: this.#options.base, ...checkedPage(given) });
    }
    const visit = this.#visits.get(first);
    if (!visit) {
      throw new TypeError(
        `Cannot write the head of ${
          JSON.stringify(new URL(first.req.raw.url).pathname)
        }: turbo.middleware() did not run for ` +
          "it; register app.use(turbo.middleware()) before the routes, on the same Turbo",
      );
    }
    const { topics, reader, background } = checkedPage(checkPageOptions(options));
    if (reader !== undefined && !visit.as.includes(reader)) {
      throw new TypeError(
        `Cannot take ${quote(reader)} as "as" of head(): ` +
          (visit.namesReaders
            ? "it is none of the names that the option as of middleware() gave for this request"
            : "give middleware() the option as, which names the readers of the stream"),
      );
    }
    const nonce: unknown = (first as unknown as Context).get("secureHeadersNonce");
    return this.#head({
      cursor: visit.cursor,
      base: visit.base,
      topics,
      background,
      reader: reader ?? visit.as[0],
      names: visit.as,
      ...(typeof nonce === "string" && { nonce }),
    });
  }

  #head(page: PageHead): Markup {
    const { path, turboUrl, reportInterval } = this.#options;
    return headOf(page, {
      path,
      turboUrl,
      reportInterval,
      scripts: this.#scripts,
      signer: this.#signer,
      isInspected: this.#inspector !== undefined,
      pages: this.size,
    });
  }

  /** The answer to a request for one of the scripts, `undefined` for any other. */
  asset(request: Request): Response | undefined {
    if (!hasValidHost(request) || !isAllowedHost(request, this.#options.allowedHosts)) {
      return undefined;
    }
    const { pathname } = new URL(request.url);
    const { base } = this.#options;
    const isBelow = base !== "" && pathname.startsWith(`${base}/`);
    return this.#assetAt(isBelow ? pathname.slice(base.length) : pathname)?.respond(request);
  }

  /**
   * Returns the inspector, a sub-app of Hono for development. It shows the log, the open pages and how far
   * each is, which targets no page had, and why a page did not change. It is live, by a connection of its own.
   *
   * Without a token it is for a browser on the same machine only, and for nobody behind a proxy. It shows
   * what is pushed to all readers, and their names.
   *
   * @throws {TypeError} when an option is wrong or unknown
   * @throws {RangeError} when the token is shorter than 16 characters
   * @throws {Error} when it is called twice
   *
   * @example
   * ```ts
   * import { Hono } from "hono";
   * import { Turbo } from "./mod.ts";
   * import assert from "node:assert/strict";
   *
   * const turbo = new Turbo();
   * const app = new Hono();
   * app.use(turbo.middleware());
   * app.route("/inspector", turbo.inspector());
   *
   * const answer = await app.request("/inspector"); // not from a browser on this machine
   * assert.equal(answer.status, 403);
   * await turbo.close();
   * ```
   */
  // deno-lint-ignore no-explicit-any -- `deno doc` cannot resolve Hono's type
  inspector(options: InspectorOptions = {}): any {
    if (this.#inspector) {
      throw new Error("Cannot make a second inspector: mount the first one where you need it");
    }
    const away = () => this.away;
    this.#inspector = inspectorOf({
      log: this.#log,
      readers: this.#readers,
      admission: this.#admission,
      base: this.#options.base,
      away,
      upgrade: this.#options.upgrade,
      report: this.#report,
    }, options);
    return this.#inspector.app;
  }

  /** Reports a head without a context: its page would miss pushes made while the route reads the data. */
  #reportContext(): void {
    if (!this.#hasMiddleware || this.#hasReportedContext) return;
    this.#hasReportedContext = true;
    this.#notice(
      "turbo.head() was called without the context, so the page has the newest cursor and not that of " +
        "its request: write turbo.head(c)",
    );
  }

  #assetAt(path: string): Asset | undefined {
    const { turbo, client, keep, hints } = this.#scripts;
    return [turbo, client, keep, hints].find((asset) => asset.path === path);
  }

  /**
   * Rejects new connections, and closes the open ones after sending each what it is still owed. The closes
   * are in random order and spread in time, so that the pages do not all reconnect at once. Resolves when
   * all connections have ended, or at the deadline, and the engine has closed. A second call changes nothing
   * and resolves with the first.
   *
   * @throws {TypeError | RangeError} when an option is wrong or unknown
   */
  close(options: CloseOptions = {}): Promise<void> {
    const given = checkCloseOptions(options);
    return this.#closed ??= this.#close(given);
  }

  async #close(options: CloseOptions): Promise<void> {
    const { code = 1001, window = 5_000, deadline = 10_000 } = options;
    const end = performance.now() + deadline;
    const close = code === 1012 ? CLOSE.restarting : CLOSE.goingAway;
    this.#admission.close(close);
    this.#foreignLogs.close();
    this.#presence.close();
    this.#watch(this.#engine.push({ leave: true }));
    const inspected = this.#inspector?.close(options);
    await this.#readers.close(close, Math.min(window, deadline));
    // Connections that were closed earlier and have not ended (zombies) are not waited for.
    while (this.#admission.taken > this.#readers.zombies && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.#admission.giveUp();
    this.#readers.removeAll();
    this.#unobserve();
    await inspected;
    await this.#engine.close();
  }

  // An engine of the app may return a promise although its type says it does not. A rejection that nobody
  // handles would end the process.
  #watch(result: unknown): void {
    if (!isThenable(result)) return;
    Promise.resolve(result).catch((error) => this.#report("The engine failed:", error));
  }

  #say(statement: Statement & { readonly present?: Attendance }): void {
    this.#watch(this.#engine.push({ say: JSON.stringify(statement) }));
  }

  #copy(): Copy {
    const signer = this.#signer;
    return {
      log: this.#log,
      get secret() {
        return signer.kept;
      },
      set secret(secret) {
        signer.kept = secret;
      },
      deliver: (entry) => this.#readers.owe(entry),
      disconnect: (name) => {
        this.#admission.disconnect(name);
        this.#readers.disconnect(name);
      },
      revoke: (name) => this.#readers.revoke(name),
      restart: () => this.#readers.restart(),
      hear: (said) => {
        const statement = statementOf(said.text);
        if (!statement) return;
        this.#nodes.hear(said, statement);
        this.#presence.hear(said, statement);
      },
      left: (node, isOwn) => {
        this.#nodes.left(node, isOwn);
        this.#presence.left(node);
      },
      sayAll: () => {
        if (this.#closed) return; // this node has left already
        const present = this.#presence.all();
        this.#say({
          all: true,
          ...(this.#share !== undefined && { share: this.#share }),
          ...(present && { present }),
        });
      },
      notice: this.#notice,
    };
  }
}

/** Parses a statement; `undefined` where the text is none, such as one of a later version. */
function statementOf(text: string): Statement | undefined {
  try {
    const statement = JSON.parse(text);
    return typeof statement === "object" && statement !== null ? statement : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
