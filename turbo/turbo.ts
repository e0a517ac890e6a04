/**
 * Pushing HTML into open pages.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import turboJs from "@hotwired/turbo/dist/turbo.es2017-esm.js" with { type: "text" };
import clientJs from "./client.js" with { type: "text" };
import { type Asset, asset } from "./assets.ts";
import { Connection, EventStreamLine, PROTOCOL, SENT_AWAY, TOO_SLOW } from "./connection.ts";
import { WebSocketLine } from "./connection.ts";
import type { ConnectionLimits, Line } from "./connection.ts";
import { html, type Markup } from "./html.ts";
import { checkNames, Listeners } from "./listeners.ts";
import { type Audience, Log, type LogOptions } from "./log.ts";
import { Places } from "./places.ts";
import { handshakeError, hasValidHost, isAllowedOrigin, isId } from "./request.ts";
import { wantsEventStream, wantsWebSocket } from "./request.ts";
import { joinStreams, type Stream } from "./streams.ts";
import { type Grant, Signer } from "./token.ts";

const CURSOR = /^[A-Za-z0-9._-]{1,64}$/;
/** Bytes. */
const MAX_MESSAGE = 4 * 1024;
const MAX_STRAY_MESSAGES_PER_MINUTE = 100;
const FEED_INTERVAL = 50;
const CLOSE_DELAY = 20;

/** Options of {@linkcode Turbo}. All times are in milliseconds. */
export interface TurboOptions extends Partial<ConnectionLimits> {
  /** Path of the stream; `null` switches it off, and pages do not connect. Default `/turbo-stream`. */
  path?: string | null;
  /** Path under which the two scripts are. Default `/assets`. */
  assetsPath?: string;
  /** URL of another turbo.js to load instead of the one that is served. Default: none. */
  turboUrl?: string;
  /**
   * Key that signs topics; the same in every process behind one address. Default: the environment's
   * `TURBO_SECRET` where that is allowed and set, else random, and then a page of another process is
   * refreshed when it comes to this one.
   */
  secret?: string;
  /** How long signed topics are taken when a page connects; later it is refreshed. Default a day. */
  tokenLifetime?: number;
  /** Origins other than the server's own whose pages may connect. Default: none. */
  allowedOrigins?: readonly string[];
  /** Connections at a time, those being opened included. Default 10,000. */
  maxConnections?: number;
  /** Connections at a time from one `address` given to `connect`. Default: no limit. */
  maxConnectionsPerAddress?: number;
  /** Silence after which a WebSocket is taken for dead; it is pinged at half of it. Default 30,000. */
  idleTimeout?: number;
  /** Silence after which a heartbeat is sent. Default 15,000; the client expects no longer one. */
  heartbeat?: number;
  /** Limits of the log. */
  log?: LogOptions;
  /**
   * Called when a connection has come, gone or changed what it listens to, with the names that
   * gained or lost it.
   */
  onChange?: (names: readonly string[]) => void;
  /** Takes what went wrong with one connection or callback. Default `console.error`. */
  onError?: (message: string, error: unknown) => void;
  /** Takes what whoever runs this should know. Default `console.warn`. */
  onNotice?: (message: string) => void;
}

/** Whom a push is for. */
export interface PushOptions {
  /** A name or names; everyone where left out. */
  to?: string | readonly string[];
  /** The page that it is not for, as `connectionId(request)` gives it. */
  except?: string | undefined;
}

/** Who a connection is from. */
export interface ConnectOptions {
  /** The name or names of this reader, such as a user id. */
  as?: string | readonly string[];
  /** Its network address, counted against `maxConnectionsPerAddress`. */
  address?: string;
}

/** What goes into a page's `<head>`. */
export interface HeadOptions {
  /** The cursor taken before the page's data was read. Default: the newest now. */
  cursor?: string;
  /** Topics that the page listens to. They are signed, so a reader cannot choose others. */
  topics?: readonly string[];
  /** The reader (a name given to `connect` as `as`) that alone may use the topics. */
  as?: string;
}

/** How {@linkcode Turbo.close} ends. */
export interface CloseOptions {
  /** 1001 (going away) or 1012 (restarting). Default 1001. */
  code?: 1001 | 1012;
  /** Time over which the closes are spread, at 25 ms each at most. Default 5,000. */
  window?: number;
  /** Time after which it stops waiting for readers to confirm. Default 10,000. */
  deadline?: number;
}

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
  readonly #options: Required<Omit<TurboOptions, "turboUrl" | "log" | "secret">>;
  readonly #limits: ConnectionLimits;
  readonly #log: Log;
  readonly #scripts: readonly Asset[];
  readonly #scriptUrls: readonly string[];
  readonly #connections = new Set<Connection>();
  readonly #listeners = new Listeners<Connection>();
  readonly #places: Places;
  readonly #signer: Signer;
  readonly #behind = new Set<Connection>();
  readonly #zombies = new Set<Connection>();
  readonly #opening = new Set<Visitor>();
  #beat = 0;
  #beatTimer: ReturnType<typeof setInterval> | undefined;
  #feedTimer: ReturnType<typeof setInterval> | undefined;
  #closing: CloseOptions["code"];

  /** An application with no pages yet. Starts nothing. */
  constructor(options: TurboOptions = {}) {
    const { turboUrl, log, secret, ...rest } = options;
    this.#options = {
      path: "/turbo-stream",
      assetsPath: "/assets",
      tokenLifetime: 24 * 60 * 60 * 1000,
      allowedOrigins: [],
      maxConnections: 10_000,
      maxConnectionsPerAddress: Infinity,
      idleTimeout: 30_000,
      heartbeat: 15_000,
      behindAfter: 64 * 1024,
      maxBuffered: 1024 * 1024,
      dropAfter: 10_000,
      onChange: () => {},
      onError: (message, error) => console.error(message, error),
      onNotice: (message) => console.warn(message),
      ...rest,
    };
    this.#limits = this.#options;
    this.#log = new Log(log);
    const { tokenLifetime, onNotice } = this.#options;
    this.#signer = new Signer({ secret, lifetime: tokenLifetime, onNotice });
    const { maxConnections, maxConnectionsPerAddress } = this.#options;
    this.#places = new Places(maxConnections, maxConnectionsPerAddress);
    const { path, assetsPath } = this.#options;
    const turbo = asset(`${assetsPath}/turbo.js`, turboJs, "text/javascript");
    const client = asset(`${assetsPath}/turbo-stream.js`, clientJs, "text/javascript");
    this.#scripts = [turbo, client];
    this.#scriptUrls = [turboUrl ?? turbo.path, ...(path === null ? [] : [client.path])];
  }

  /** The newest position in the log. Take it before you read what a page shows. */
  get cursor(): string {
    return this.#log.cursor;
  }

  /** Open connections. */
  get size(): number {
    return this.#connections.size;
  }

  /** Connections given up by us whose end the system has not reported yet. */
  get zombies(): number {
    return this.#zombies.size;
  }

  /** Bytes given to connections and not yet taken by the system, those given up included. */
  get buffered(): number {
    let bytes = 0;
    for (const { line } of this.#connections) bytes += line.buffered;
    for (const { line } of this.#zombies) bytes += line.buffered;
    return bytes;
  }

  /** How many connections listen to a name. */
  listeners(name: string): number {
    return this.#listeners.count(name);
  }

  /** Whether anyone, or anyone of that name, is connected. */
  canPush(name?: string): boolean {
    return name === undefined ? this.#connections.size > 0 : this.#listeners.count(name) > 0;
  }

  /**
   * Sends one stream, or a list as one message, to everyone or to those named, and keeps it for
   * those who are away. Returns how many open connections it was for.
   *
   * @throws {TypeError} when something is no stream
   */
  push(streams: Stream | readonly Stream[], options: PushOptions = {}): number {
    const html = joinStreams(streams);
    if (html === "") return 0;
    const { to, except } = options;
    const audience: Audience = { to: typeof to === "string" ? [to] : to, except };
    const entry = this.#log.append(html, audience);
    let addressed = 0;
    // Dropped after the loop: onChange may push, and that must not overtake this entry.
    const failed: [Connection, unknown][] = [];
    const listeners = audience.to === undefined
      ? this.#connections
      : this.#listeners.of(audience.to);
    for (const connection of listeners) {
      try {
        connection.deliver(entry, this.#beat);
        if (!connection.live) this.#feedLater(connection);
        if (except === undefined || connection.page !== except) addressed++;
      } catch (error) {
        failed.push([connection, error]);
      }
    }
    for (const [connection, error] of failed) {
      this.#drop(connection, { reason: "Cannot send to a connection:", error });
    }
    return addressed;
  }

  /**
   * Ends all connections of a name, as after a log-out or a ban, also those being opened, and returns
   * how many were open. Their pages do not come back by themselves (close code 4001); a page that is
   * visited later connects, so whoever may not must be refused before `connect`.
   */
  disconnect(name: string): number {
    const connections = [...this.#listeners.of([name])];
    for (const visitor of this.#opening) {
      if (visitor.as.includes(name)) this.#opening.delete(visitor); // is closed when it opens
    }
    for (const connection of connections) {
      this.#drop(connection, { code: SENT_AWAY, reason: "Disconnected" });
    }
    return connections.length;
  }

  /**
   * Answers a request for the stream: a WebSocket, server-sent events, or the error that tells what
   * is wrong with the request (400, 403, 426, 503). Register it in front of middleware that sets
   * headers, for those of a WebSocket answer cannot be changed.
   *
   * @throws {RangeError} when `as` has too many names or one that is too long
   */
  connect(request: Request, options: ConnectOptions = {}): Response {
    const as = checkNames(typeof options.as === "string" ? [options.as] : options.as ?? []);
    const upgrade = wantsWebSocket(request);
    if (!hasValidHost(request)) return new Response("The Host is malformed\n", { status: 400 });
    if (this.#options.path === null) return new Response("Not found\n", { status: 404 });
    if (!upgrade && !wantsEventStream(request)) {
      return new Response("A WebSocket, or Accept: text/event-stream, is needed\n", {
        status: 426,
        headers: { "Upgrade": "websocket", "Connection": "Upgrade" },
      });
    }
    const invalid = upgrade ? handshakeError(request) : undefined;
    if (invalid) return invalid;
    if (!isAllowedOrigin(request, this.#options.allowedOrigins)) {
      return new Response("This origin may not connect\n", { status: 403 });
    }
    const query = new URL(request.url).searchParams;
    const since = request.headers.get("Last-Event-ID") ?? query.get("since") ?? undefined;
    const page = query.get("page") ?? undefined;
    if ((since !== undefined && !CURSOR.test(since)) || (page !== undefined && !isId(page))) {
      return new Response("since or page is malformed\n", { status: 400 });
    }
    const release = this.#closing ? undefined : this.#places.take(options.address);
    if (!release) {
      return new Response("Too many connections\n", {
        status: 503,
        headers: { "Retry-After": String(5 + Math.floor(Math.random() * 10)) },
      });
    }
    const visitor = { as, page, since, token: query.get("token") ?? undefined, release };
    try {
      return upgrade ? this.#openWebSocket(request, visitor) : this.#openEventStream(visitor);
    } catch (error) {
      release();
      this.#report("Cannot open a connection:", error);
      return new Response("Bad request\n", { status: 400 });
    }
  }

  /**
   * Markup for a page's `<head>`: the scripts, the same on every page, and the page's cursor.
   *
   * @throws {RangeError} when there are too many topics, one is too long, or they are more than a page
   * can send back in one message
   */
  head(options: HeadOptions = {}): Markup {
    const { cursor = this.cursor, topics = [], as } = options;
    const { path } = this.#options;
    const scripts = this.#scriptUrls.map((url) =>
      html`<script type="module" src="${url}" data-turbo-track="reload"></script>`
    );
    if (path === null) return html`${scripts}`;
    const token = topics.length === 0 ? "" : this.#signer.sign(checkNames(topics), as);
    return html`
      ${scripts}<meta name="turbo-cursor" content="${cursor}" data-stream="${path}"
        data-token="${token}">
    `;
  }

  /** The answer to a request for one of the two scripts, `undefined` for any other. */
  asset(request: Request): Response | undefined {
    if (!hasValidHost(request)) return undefined;
    const { pathname } = new URL(request.url);
    return this.#scripts.find((script) => script.path === pathname)?.respond(request);
  }

  /**
   * Lets nobody in any more and closes all connections, in random order and spread in time, so that
   * they do not come back all at once. Resolves when everyone is told and gone, or at the deadline.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { code = 1001, window = 5_000, deadline = 10_000 } = options;
    this.#closing = code;
    const end = Date.now() + deadline;
    const connections = shuffle([...this.#connections]);
    const pause = Math.min(25, window / connections.length);
    const start = Date.now();
    for (const [index, connection] of connections.entries()) {
      const early = start + index * pause - Date.now();
      if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
      if (this.#connections.has(connection)) connection.line.close(code, "The server stops");
    }
    while (this.#places.taken > 0 && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const connection of [...this.#connections]) this.#remove(connection);
  }

  #openWebSocket(request: Request, visitor: Visitor): Response {
    const offered = request.headers.get("Sec-WebSocket-Protocol")?.split(",").map((p) => p.trim());
    const naked = !offered?.includes(PROTOCOL);
    const { socket, response } = Deno.upgradeWebSocket(request, {
      idleTimeout: Math.ceil(this.#options.idleTimeout / 1000),
      ...(!naked && { protocol: PROTOCOL }),
    });
    let connection: Connection | undefined;
    const stray = new StrayMessages();
    this.#opening.add(visitor);
    const gone = () => {
      this.#opening.delete(visitor);
      if (connection) this.#remove(connection);
      visitor.release();
    };
    // A throw in a callback would end the process.
    const guard = (callback: () => void) => {
      try {
        callback();
      } catch (error) {
        this.#report("A connection failed:", error);
        end(1011, "Internal error");
      }
    };
    const end = (code: number, reason: string) => {
      if (connection) this.#forget(connection);
      // Deno cuts off a client of whom more has come already, and it would never learn the code.
      setTimeout(() => socket.close(code, reason), CLOSE_DELAY);
    };
    socket.onopen = () =>
      guard(() => {
        if (!this.#opening.delete(visitor)) return end(SENT_AWAY, "Disconnected");
        if (this.#closing) return end(this.#closing, "The server stops"); // since it was let in
        connection = this.#connectionOver(new WebSocketLine(socket, { naked }), visitor);
        this.#add(connection, visitor);
      });
    socket.onclose = gone;
    socket.onerror = gone;
    socket.onmessage = ({ data }) =>
      guard(() => {
        if (!connection || !this.#connections.has(connection)) return;
        if (typeof data !== "string") return end(1003, "Text is needed");
        if (Buffer.byteLength(data) > MAX_MESSAGE) return end(1009, "The message is too long");
        if (naked) {
          if (!stray.allow()) end(1008, "Too many messages");
          return;
        }
        const [verb, cursor = "", token, page, ...rest] = data.split(" ");
        const valid = verb === "since" && CURSOR.test(cursor) && rest.length === 0 &&
          (page === undefined || isId(page));
        if (!valid) return end(1008, "since CURSOR [TOKEN [PAGE]] is needed");
        if (connection.line.buffered > this.#limits.maxBuffered) {
          return end(TOO_SLOW, "A reader asks and does not read");
        }
        this.#resume(connection, {
          ...visitor,
          since: cursor,
          token,
          page: page ?? connection.page,
        });
      });
    return response;
  }

  #openEventStream(visitor: Visitor): Response {
    let connection: Connection | undefined = undefined;
    const line = new EventStreamLine({
      retry: 500 + Math.floor(Math.random() * 1_000),
      highWaterMark: this.#limits.behindAfter,
      onClose: () => {
        if (connection) this.#remove(connection);
        visitor.release();
      },
    });
    connection = this.#connectionOver(line, visitor);
    this.#add(connection, visitor);
    return new Response(line.body, {
      headers: {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
      },
    });
  }

  #connectionOver(line: Line, { release }: Visitor): Connection {
    return new Connection(line, this.#log, this.#limits, release);
  }

  #add(connection: Connection, visitor: Visitor): void {
    this.#connections.add(connection);
    this.#beatTimer ??= setInterval(() => this.#sendHeartbeats(), this.#options.heartbeat / 15);
    if (visitor.since === undefined) {
      connection.page = visitor.page;
      this.#listen(connection, new Set(visitor.as));
      connection.line.mark(this.#log.cursor);
    } else {
      this.#resume(connection, { ...visitor, since: visitor.since });
    }
  }

  /** Answers a `since`. A token that does not hold is answered by a refresh, which brings a new one. */
  #resume(connection: Connection, { as, since, token, page }: Visitor & { since: string }): void {
    connection.page = page;
    // "-" stands for no token where a page's id follows.
    const grant: Pick<Grant, "topics" | "reader"> | undefined = !token || token === "-"
      ? { topics: [] }
      : this.#signer.verify(token);
    const refused = !grant || (grant.reader !== undefined && !as.includes(grant.reader));
    this.#listen(connection, new Set(refused ? as : [...as, ...grant.topics]));
    if (refused) connection.refuse(since);
    else connection.resume(since);
    if (!connection.live) this.#feedLater(connection);
  }

  #listen(connection: Connection, names: ReadonlySet<string>): void {
    connection.names = names;
    const changed = this.#listeners.set(connection, names);
    try {
      this.#options.onChange(changed);
    } catch (error) {
      this.#report("onChange failed:", error);
    }
  }

  #remove(connection: Connection): void {
    this.#zombies.delete(connection);
    if (!this.#connections.delete(connection)) return;
    this.#behind.delete(connection);
    connection.release();
    this.#listen(connection, new Set());
    if (this.#connections.size > 0) return;
    clearInterval(this.#beatTimer);
    clearInterval(this.#feedTimer);
    this.#beatTimer = this.#feedTimer = undefined;
  }

  #drop(
    connection: Connection,
    { reason, error, code = TOO_SLOW }: { reason: string; error?: unknown; code?: number },
  ): void {
    this.#forget(connection);
    if (error !== undefined) this.#report(reason, error);
    try {
      connection.line.close(code, reason);
    } catch (error) {
      this.#report("Cannot close a connection:", error);
    }
  }

  /** Takes out a connection now: the close event of a stuck one may never come. */
  #forget(connection: Connection): void {
    this.#remove(connection);
    if (connection.line instanceof WebSocketLine) this.#zombies.add(connection);
  }

  #feedLater(connection: Connection): void {
    this.#behind.add(connection);
    this.#feedTimer ??= setInterval(() => this.#feed(), FEED_INTERVAL);
  }

  #feed(): void {
    for (const connection of this.#behind) {
      try {
        const state = connection.feed();
        if (state === "stuck") this.#drop(connection, { reason: "The reader is too slow" });
        else if (state === "live") this.#behind.delete(connection);
      } catch (error) {
        this.#drop(connection, { reason: "Cannot send to a connection:", error });
      }
    }
    if (this.#behind.size > 0) return;
    clearInterval(this.#feedTimer);
    this.#feedTimer = undefined;
  }

  #sendHeartbeats(): void {
    this.#beat++;
    for (const connection of this.#connections) {
      if (this.#beat - connection.sentAt < 15) continue;
      try {
        connection.beat(this.#beat);
      } catch (error) {
        this.#drop(connection, { reason: "Cannot send to a connection:", error });
      }
    }
  }

  // Called from callbacks and timers, where a throw would end the process.
  #report(message: string, error: unknown): void {
    try {
      this.#options.onError(message, error);
    } catch (failure) {
      console.error(message, error, "and onError failed:", failure);
    }
  }
}

/** What a connection says of itself when it is opened. */
interface Visitor {
  as: readonly string[];
  page: string | undefined;
  since: string | undefined;
  token: string | undefined;
  release: () => void;
}

class StrayMessages {
  #count = 0;
  #minute = 0;

  allow(): boolean {
    const minute = Math.floor(Date.now() / 60_000);
    if (minute !== this.#minute) [this.#minute, this.#count] = [minute, 0];
    return ++this.#count <= MAX_STRAY_MESSAGES_PER_MINUTE;
  }
}

function shuffle<T>(list: T[]): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}
