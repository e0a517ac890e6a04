/**
 * Pushing HTML into open pages.
 *
 * @module
 */
import { Admission, type ConnectOptions } from "./admission.ts";
import type { Asset } from "./assets.ts";
import { audienceOf, checkReader, checkTopics, nameOf } from "./audience.ts";
import { type PushOptions, readerName, type Whom, whomOf } from "./audience.ts";
import { type Copy, type Engine, memory } from "./engine.ts";
import { openEventStream } from "./event_stream.ts";
import { ForeignLogs } from "./foreign_logs.ts";
import { html, type Markup } from "./html.ts";
import { Log } from "./log.ts";
import { Nodes, type Shared, type Statement } from "./nodes.ts";
import { quote } from "./checks.ts";
import { checkCloseOptions, checkHeadOptions, type CloseOptions } from "./options.ts";
import {
  type HeadOptions,
  type ResolvedOptions,
  resolveOptions,
  type TurboOptions,
} from "./options.ts";
import { Presence } from "./presence.ts";
import { CLOSE } from "./protocol.ts";
import { Readers } from "./readers.ts";
import { isThenable, reasonOf, reporting } from "./report.ts";
import { hasValidHost, isAllowedHost } from "./request.ts";
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
 * import { html, replace, Turbo } from "./mod.ts";
 *
 * const turbo = new Turbo();
 * const clock = () => html`<time id="clock">${new Date().toISOString()}</time>`;
 *
 * function handle(request: Request): Response {
 *   if (new URL(request.url).pathname === "/turbo-stream") return turbo.connect(request);
 *   const asset = turbo.asset(request);
 *   if (asset) return asset;
 *   const cursor = turbo.cursor;
 *   const page = html`<!DOCTYPE html><title>Clock</title>${turbo.head({ cursor })}${clock()}`;
 *   return new Response(String(page), { headers: { "Content-Type": "text/html" } });
 * }
 *
 * if (import.meta.main) Deno.serve(handle);
 * turbo.push(replace("clock", clock()));
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
  readonly #assets: readonly Asset[];
  readonly #scriptUrls: readonly string[];
  /** What the scripts import. */
  readonly #preloaded: readonly string[];
  readonly #notice: (message: string) => void;
  // Called from callbacks and timers, where a throw would end the process. One for all connections.
  readonly #report: (message: string, error: unknown) => void;
  #closed: Promise<void> | undefined;

  /**
   * An application with no pages yet.
   *
   * @throws {TypeError} where an option has another type or is unknown
   * @throws {RangeError} where an option is out of its range
   * @throws {Error} where its engine cannot start
   */
  constructor(options: TurboOptions = {}) {
    const resolved = resolveOptions(options);
    const { path, assetsPath, tokenLifetime, turboUrl, secret, log, engine = memory() } = resolved;
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
      path: path ?? "",
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
    this.#preloaded = path === null ? [] : [keep.path];
    this.#scriptUrls = [turboUrl ?? turbo.path, ...(path === null ? [] : [client.path])];
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
    const context = "req" in given ? given : undefined;
    const request = "req" in given ? given.req.raw : given;
    const visitor = this.#admission.admit(request, options);
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
   * Markup for a page's `<head>`: the scripts, the same on every page, and the page's cursor.
   *
   * @throws {TypeError} when an option is wrong or unknown
   * @throws {RangeError} when there are too many topics, one is too long, or they are more than a page
   * can send back in one message
   */
  head(options: HeadOptions = {}): Markup {
    const given = checkHeadOptions(options);
    const { cursor = this.cursor, topics = [] } = given;
    checkTopics("head()", topics);
    const reader = "as" in given ? checkReader("head()", "as", given.as as string) : undefined;
    const { path } = this.#options;
    const scripts = this.#scriptUrls.map((url) =>
      html`<script type="module" src="${url}" data-turbo-track="reload"></script>`
    );
    if (path === null) return html`${scripts}`;
    const token = topics.length === 0 ? "" : this.#signer.sign({ topics, reader, from: cursor });
    const modules = this.#preloaded.map((url) => html`<link rel="modulepreload" href="${url}">`);
    return html`
      ${modules}${scripts}<meta name="turbo-cursor" content="${cursor}" data-stream="${path}"
        data-token="${token}">
    `;
  }

  /** The answer to a request for one of the scripts, `undefined` for any other. */
  asset(request: Request): Response | undefined {
    if (!hasValidHost(request) || !isAllowedHost(request, this.#options.allowedHosts)) {
      return undefined;
    }
    const { pathname } = new URL(request.url);
    return this.#assets.find(({ path }) => path === pathname)?.respond(request);
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
