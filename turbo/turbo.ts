/**
 * Pushing HTML into open pages.
 *
 * @module
 */
import type { Context } from "hono";
import { Admission, type ConnectOptions } from "./admission.ts";
import type { Asset } from "./assets.ts";
import { audienceOf, checkReader, checkTopics, nameOf } from "./audience.ts";
import { type PushOptions, readerName, type Whom, whomOf } from "./audience.ts";
import { type Copy, type Engine, memory } from "./engine.ts";
import { openEventStream } from "./event_stream.ts";
import { ForeignLogs } from "./foreign_logs.ts";
import { type Middleware, middlewareOf, type MiddlewareOptions, type Visit } from "./hono.ts";
import { html, type Markup } from "./html.ts";
import { Log } from "./log.ts";
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
import { CLOSE } from "./protocol.ts";
import { Readers } from "./readers.ts";
import { isThenable, reasonOf, reporting } from "./report.ts";
import { readerMark } from "./reader_mark.ts";
import { hasValidHost, type HonoContext, isAllowedHost } from "./request.ts";
import type { Attendance, Present } from "./roster.ts";
import { scriptsUnder } from "./scripts.ts";
import { joinStreams, type Streams } from "./streams.ts";
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
  /** What this node shares, as JSON has it. */
  #share: unknown;
  readonly #readers: Readers;
  readonly #signer: Signer;
  readonly #admission: Admission;
  readonly #assets: readonly [turbo: Asset, client: Asset, keep: Asset, hints: Asset];
  /** What is known of the requests that are being answered, by their context. */
  readonly #visits = new WeakMap<object, Visit>();
  readonly #notice: (message: string) => void;
  // Called from callbacks and timers, where a throw would end the process. One for all connections.
  readonly #report: (message: string, error: unknown) => void;
  #closed: Promise<void> | undefined;
  #hasMiddleware = false;
  #hasToldContext = false;

  /**
   * An application with no pages yet.
   *
   * @throws {TypeError} where an option has another type or is unknown
   * @throws {RangeError} where an option is out of its range
   * @throws {Error} where its engine cannot start
   */
  constructor(options: TurboOptions = {}) {
    const resolved = resolveOptions(options);
    const { path, assetsPath, tokenLifetime, secret, log, engine = memory() } = resolved;
    const { onError, onNotice, onChange, onShared, onPresence, presenceGrace: grace } = resolved;
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
    this.#log = new Log(log);
    this.#nodes = new Nodes(shared);
    this.#presence = new Presence({
      grace,
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
    this.#readers = new Readers(this.#log, {
      ...resolved,
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
    const { turbo, client, keep, hints } = scriptsUnder(assetsPath);
    this.#assets = [turbo, client, keep, hints];
    this.#engine = engine;
    this.#watch(engine.start(this.#copy()));
  }

  /**
   * Resolves when the engine is reached, or known to be away; rejects where it will never work, as with
   * a wrong password. In memory that is at once.
   *
   * @throws {Error} that says why
   */
  get ready(): Promise<void> {
    return this.#engine.ready ?? Promise.resolve();
  }

  /** Why this node is on its own, while its engine is away; else `undefined`. */
  get away(): string | undefined {
    return this.#engine.away;
  }

  /** What each node shares, this one included: see {@linkcode share}. By names of no meaning. */
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

  /** Connections at a time that this process takes: the option, or its default. */
  get maxConnections(): number {
    return this.#options.maxConnections;
  }

  /** Connections closed by us whose end the system has not reported yet. Each keeps its place. */
  get zombies(): number {
    return this.#readers.zombies;
  }

  /** Bytes given to connections and not yet taken by the system, those given up included. */
  get buffered(): number {
    return this.#readers.buffered;
  }

  /**
   * How many connections of this process are of a reader, or listen to a topic.
   *
   * @throws {TypeError | RangeError} when that is no name
   */
  listeners(whom: Whom): number {
    return this.#readers.listeners(nameOf("listeners()", whom));
  }

  /**
   * Whether anyone, or that reader, or a listener to that topic, is connected to this process.
   *
   * @throws {TypeError | RangeError} when that is no name, `undefined` included
   */
  canPush(...args: [whom?: Whom]): boolean {
    return args.length === 0 ? this.size > 0 : this.listeners(args[0] as Whom) > 0;
  }

  /**
   * Who is there, on all nodes: everyone, those to whom a name was given, or those who listen to a
   * topic. A reader, by the first of the names given to `connect`, is one however many pages it has open,
   * and a connection without a name counts as one. Who has left still counts for `presenceGrace`. A
   * change has a place in the order of the pushes, up to a quarter of a second after it came about.
   *
   * @throws {TypeError | RangeError} when that is no name, `undefined` included
   */
  present(...args: [whom?: Whom]): Present {
    return this.#presence.of(...args.length === 0 ? [] : [nameOf("present()", args[0] as Whom)]);
  }

  /**
   * Sends one stream, or a list as one message, to everyone or to those named, and keeps it for
   * those who are away. A function is called when it is sent: give one where others may change the
   * same data, so that what is newest in the log is newest in the data too. Returns how many open
   * connections of this process it is for.
   *
   * A page is sent it in this turn of the event loop or, where it was sent another less than a frame
   * ago, at the frame's end together with what else came; it gets the newest state of each target. A
   * push of more than the log's `maxBytes` is not kept: the pages that it is for fetch themselves.
   *
   * @throws {TypeError} when something is no stream, no name or no option; then nothing is sent, and
   * nothing kept
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
    if (!isNothing) this.#watch(this.#engine.push({ html, ...audience }));
    return isNothing ? 0 : this.#readers.count(audience);
  }

  /**
   * Resolves when all that was pushed so far is in the log and covered by {@linkcode cursor}: for a
   * handler that pushes and then renders. In memory that is at once.
   */
  flush(): Promise<void> {
    return this.#engine.flush();
  }

  /**
   * Shares a value with all nodes, in place of the one before: they find it in {@linkcode shared} until
   * this node leaves. Its change has a place in the order of the pushes, so a push after it, from this
   * node, finds it changed on every node.
   *
   * @throws {TypeError} when JSON cannot have it
   */
  share(value: unknown): void {
    const text = JSON.stringify({ share: value });
    if (text === "{}") throw new TypeError(`Cannot share ${quote(value)}: JSON has no such value`);
    this.#share = value;
    this.#watch(this.#engine.push({ say: text }));
  }

  /**
   * Ends all connections of a reader, as after a log-out or a ban, also those being opened, and returns
   * how many were open in this process. Their pages do not come back by themselves (close code 4001);
   * a page that is visited later connects, so whoever may not must be refused before `connect`.
   *
   * @throws {TypeError | RangeError} when that is no name
   */
  disconnect(reader: string): number {
    const name = readerName(checkReader("disconnect()", "reader", reader));
    const count = this.#readers.listeners(name);
    this.#watch(this.#engine.push({ disconnect: name }));
    return count;
  }

  /**
   * Takes back the right to a topic, after it was lost: what `head` has signed for it until now no
   * longer holds. Pages that listen to it stop at once and fetch themselves again, and hear of the topic
   * again only where the app gives it to them again.
   *
   * @throws {TypeError | RangeError} when that is no name
   */
  revoke(topic: string): void {
    this.#watch(this.#engine.push({ revoke: nameOf("revoke()", { topic }) }));
  }

  /**
   * Answers a request for the stream: a WebSocket, server-sent events, or the error that tells what
   * is wrong with the request (400, 403, 404, 421, 426, 429, 503). Register it in front of middleware
   * that sets headers, because those of a WebSocket answer cannot be changed. It takes the request, or
   * Hono's context, which the adapters for Node and Bun need.
   *
   * @throws {TypeError | RangeError} when an option is wrong or unknown
   */
  connect(given: Request | StreamContext, options: ConnectOptions = {}): Response {
    return this.#connect(given, options, this.#options.base);
  }

  #connect(given: Request | StreamContext, options: ConnectOptions, base: string): Response {
    const context = "req" in given ? given : undefined;
    const request = "req" in given ? given.req.raw : given;
    const visitor = this.#admission.admit(request, options, base + this.#options.path);
    if (visitor instanceof Response) return visitor;
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
   * Middleware for a Hono app, in front of its routes. It answers requests for the stream and the scripts,
   * takes the cursor before a route reads any data, so that {@linkcode head} can write it into the page,
   * and sees to the answers:
   *
   * - HTML and streams get the header `Turbo-Cursor`, and where they have no `Cache-Control` one of
   *   `no-cache`, or of `private, no-store` where `as` names the reader or a cookie is set;
   * - to Turbo's forms they get the status that Turbo asks for, as by {@linkcode turboForms};
   * - what was set on the context (`c.status`, `setCookie`, `c.header`) reaches an answer by
   *   {@linkcode streamResponse} too.
   *
   * A request whose host is malformed gets 400, and one for a host that is not of `allowedHosts` 421.
   *
   * Registered by `app.use("/live/*", …)` or in a sub-app it serves stream and scripts below that path.
   * One that is registered in front of another, on the same Turbo, answers for both, unless the second
   * has the option `as` and another path.
   *
   * Register it after the middleware that says who the reader is, and behind a cache of answers. Hono's own middleware works in front of
   * it and behind it: `secureHeaders`, `cors`, `compress`, `logger`, `csrf`, `timeout`, and `etag`, which
   * reads an answer to its end to number it and so would hold back a stream of server-sent events for
   * ever; that has an `ETag` of its own, which `etag` takes for granted.
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
   *   c.set("user", c.req.header("X-User")); // from a session, in earnest
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
  // deno-lint-ignore no-explicit-any -- as of Hono's own middleware: an app with any variables may use it
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
   * Markup for a page's `<head>`: the scripts, the same on every page, the page's cursor, as the middleware
   * took it when the request came in, and a nonce where Hono's `secureHeaders` made one. Without Hono give
   * it the cursor that was taken before the page's data was read.
   *
   * @throws {TypeError} when an option is wrong or unknown, or the middleware did not run for the request
   * @throws {RangeError} when there are too many topics, one is too long, or they are more than a page
   * can send back in one message
   */
  head(c: HonoContext, options?: PageOptions): Markup;
  /** The same without Hono: with the cursor that was taken before the page's data was read. */
  head(options?: HeadOptions): Markup;
  head(first: HonoContext | HeadOptions = {}, options: PageOptions = {}): Markup {
    if (!isContext(first)) {
      const { cursor = this.cursor, ...given } = checkHeadOptions(first);
      if (!("cursor" in first)) this.#tellContext();
      return this.#head({ cursor, base: this.#options.base, ...this.#topicsOf(given) });
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
    const { topics, reader } = this.#topicsOf(checkPageOptions(options));
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
      reader: reader ?? visit.as[0],
      names: visit.as,
      ...(typeof nonce === "string" && { nonce }),
    });
  }

  #topicsOf(options: PageOptions): { topics: readonly string[]; reader: string | undefined } {
    const { topics = [] } = options;
    checkTopics("head()", topics);
    const reader = "as" in options ? checkReader("head()", "as", options.as as string) : undefined;
    return { topics, reader };
  }

  #head({ cursor, base, topics, reader, names = reader === undefined ? [] : [reader], nonce }: {
    cursor: string;
    base: string;
    topics: readonly string[];
    reader: string | undefined;
    names?: readonly string[];
    nonce?: string;
  }): Markup {
    const { path, turboUrl } = this.#options;
    const [turbo, client, keep] = this.#assets;
    const script = (url: string) =>
      html`<script type="module" src="${url}" data-turbo-track="reload"></script>`;
    const policy = nonce === undefined ? "" : html`<meta name="csp-nonce" content="${nonce}">`;
    const first = html`${policy}${script(turboUrl ?? base + turbo.path)}`;
    if (path === null) return first;
    const stream = base + path;
    const token = topics.length === 0
      ? ""
      : this.#signer.sign({ path: stream, topics, reader, from: cursor });
    return html`
      <link rel="modulepreload" href="${base + keep.path}">${first}${script(base + client.path)}
      <meta name="turbo-cursor" content="${cursor}" data-stream="${stream}" data-token="${token}"
        data-reader="${readerMark(names)}">
    `;
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

  /** Without its context a page would miss what is pushed while its route reads the data. */
  #tellContext(): void {
    if (!this.#hasMiddleware || this.#hasToldContext) return;
    this.#hasToldContext = true;
    this.#notice(
      "turbo.head() was called without the context, so the page has the newest cursor and not that of " +
        "its request: write turbo.head(c)",
    );
  }

  #assetAt(path: string): Asset | undefined {
    return this.#assets.find((asset) => asset.path === path);
  }

  /**
   * Refuses new connections and closes the open ones, each with what it still owes, in random order
   * and spread in time, so that they do not come back all at once. Resolves when everyone is told and
   * gone, or at the deadline, and the engine has closed. A second call changes nothing and resolves
   * as the first.
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
    await this.#readers.close(close, Math.min(window, deadline));
    // Not for those that were closed before and do not go: they were told.
    while (this.#admission.taken > this.#readers.zombies && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.#admission.giveUp();
    this.#readers.removeAll();
    await this.#engine.close();
  }

  // An engine of others may be asynchronous, though it should not: a rejection would end the process.
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
        if (this.#closed) return; // it has left
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

/** Whether it is Hono's context, and no options. */
function isContext(value: HonoContext | HeadOptions): value is HonoContext {
  return typeof value === "object" && value !== null && "req" in value;
}

/** What a text says; `undefined` where it says nothing, as that of a later version may. */
function statementOf(text: string): Statement | undefined {
  try {
    const statement = JSON.parse(text);
    return typeof statement === "object" && statement !== null ? statement : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
