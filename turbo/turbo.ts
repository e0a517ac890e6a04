/**
 * Pushing HTML into open pages.
 *
 * @module
 */
import turboJs from "@hotwired/turbo/dist/turbo.es2017-esm.js" with { type: "text" };
import clientJs from "./client.js" with { type: "text" };
import { Admission, type ConnectOptions } from "./admission.ts";
import { type Asset, asset } from "./assets.ts";
import type { ConnectionLimits } from "./connection.ts";
import { type Copy, type Engine, memory } from "./engine.ts";
import { openEventStream } from "./event_stream.ts";
import { html, type Markup } from "./html.ts";
import { checkNames } from "./listeners.ts";
import { Log, type LogOptions } from "./log.ts";
import { CLOSE, HEARTBEAT } from "./protocol.ts";
import { Readers } from "./readers.ts";
import { hasValidHost } from "./request.ts";
import { joinStreams, type Streams } from "./streams.ts";
import { Signer } from "./token.ts";
import { openWebSocket, type Upgrade } from "./websocket.ts";

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
  /**
   * Time between two messages to one page: the first push leaves at once, what follows within this
   * time leaves together at its end, because a screen shows no more. 0 for none. Default 16.
   */
  frame?: number;
  /** Limits of the log. */
  log?: LogOptions;
  /** Where the order of pushes comes from. Default {@linkcode memory}. */
  engine?: Engine;
  /** Makes a WebSocket of a request. Default `Deno.upgradeWebSocket`. */
  upgrade?: Upgrade;
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
  readonly #options: Required<Omit<TurboOptions, "turboUrl" | "log" | "secret" | "engine">>;
  readonly #engine: Engine;
  readonly #log: Log;
  readonly #readers: Readers;
  readonly #signer: Signer;
  readonly #admission: Admission;
  readonly #scripts: readonly Asset[];
  readonly #scriptUrls: readonly string[];
  #closed: Promise<void> | undefined;
  // Called from callbacks and timers, where a throw would end the process. One for all connections.
  readonly #report = (message: string, error: unknown): void => {
    try {
      this.#options.onError(message, error);
    } catch (failure) {
      console.error(message, error, "and onError failed:", failure);
    }
  };

  /**
   * An application with no pages yet.
   *
   * @throws {Error} where its engine cannot start
   */
  constructor(options: TurboOptions = {}) {
    const { turboUrl, log, secret, engine = memory(), ...rest } = options;
    this.#options = {
      path: "/turbo-stream",
      assetsPath: "/assets",
      tokenLifetime: 24 * 60 * 60 * 1000,
      allowedOrigins: [],
      maxConnections: 10_000,
      maxConnectionsPerAddress: Infinity,
      idleTimeout: 30_000,
      heartbeat: HEARTBEAT,
      frame: 16,
      behindAfter: 64 * 1024,
      maxBuffered: 1024 * 1024,
      dropAfter: 10_000,
      upgrade: (request, options) => Deno.upgradeWebSocket(request, options),
      onChange: () => {},
      onError: (message, error) => console.error(message, error),
      onNotice: (message) => console.warn(message),
      ...rest,
    };
    const { path, assetsPath, tokenLifetime, onNotice } = this.#options;
    const report = this.#report;
    this.#log = new Log(log);
    this.#signer = new Signer({ secret, lifetime: tokenLifetime, onNotice });
    this.#readers = new Readers(this.#log, { ...this.#options, report });
    this.#admission = new Admission({
      ...this.#options,
      isOff: path === null,
      signer: this.#signer,
    });
    const turbo = asset(`${assetsPath}/turbo.js`, turboJs, "text/javascript");
    const client = asset(`${assetsPath}/turbo-stream.js`, clientJs, "text/javascript");
    this.#scripts = [turbo, client];
    this.#scriptUrls = [turboUrl ?? turbo.path, ...(path === null ? [] : [client.path])];
    this.#engine = engine;
    engine.start(this.#copy());
  }

  /** The newest position in the log. Take it before you read what a page shows. */
  get cursor(): string {
    return this.#log.cursor;
  }

  /** Open connections of this process. */
  get size(): number {
    return this.#readers.size;
  }

  /** Connections given up by us whose end the system has not reported yet. */
  get zombies(): number {
    return this.#readers.zombies;
  }

  /** Bytes given to connections and not yet taken by the system, those given up included. */
  get buffered(): number {
    return this.#readers.buffered;
  }

  /** How many connections of this process listen to a name. */
  listeners(name: string): number {
    return this.#readers.listeners(name);
  }

  /** Whether anyone, or anyone of that name, is connected to this process. */
  canPush(name?: string): boolean {
    return name === undefined ? this.size > 0 : this.listeners(name) > 0;
  }

  /**
   * Sends one stream, or a list as one message, to everyone or to those named, and keeps it for
   * those who are away. A function is called when it is sent: give one where others may change the
   * same data, so that what is newest in the log is newest in the data too. Returns how many open
   * connections of this process it is for.
   *
   * A page is sent it in this turn of the event loop or, where it was sent another less than a frame
   * ago, at the frame's end together with what else came; it gets the newest state of each target.
   *
   * @throws {TypeError} when something is no stream
   */
  push(streams: Streams | (() => Streams), options: PushOptions = {}): number {
    const { to, except } = options;
    const audience = { to: typeof to === "string" ? [to] : to, except };
    let isNothing = false;
    const render = (streams: Streams) => {
      const html = joinStreams(streams);
      isNothing = html === "";
      return html;
    };
    const html = typeof streams === "function" ? () => render(streams()) : render(streams);
    if (!isNothing) this.#engine.push({ html, ...audience });
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
   * Ends all connections of a name, as after a log-out or a ban, also those being opened, and returns
   * how many were open in this process. Their pages do not come back by themselves (close code 4001);
   * a page that is visited later connects, so whoever may not must be refused before `connect`.
   */
  disconnect(name: string): number {
    const count = this.listeners(name);
    this.#engine.push({ disconnect: name });
    return count;
  }

  /**
   * Answers a request for the stream: a WebSocket, server-sent events, or the error that tells what
   * is wrong with the request (400, 403, 426, 503). Register it in front of middleware that sets
   * headers, for those of a WebSocket answer cannot be changed.
   *
   * @throws {RangeError} when `as` has too many names or one that is too long
   */
  connect(request: Request, options: ConnectOptions = {}): Response {
    const visitor = this.#admission.admit(request, options);
    if (visitor instanceof Response) return visitor;
    const readers = this.#readers;
    const { upgrade, idleTimeout, behindAfter: highWaterMark } = this.#options;
    const report = this.#report;
    try {
      return visitor.transport === "websocket"
        ? openWebSocket(request, visitor, { readers, upgrade, idleTimeout, report })
        : openEventStream(visitor, { readers, highWaterMark });
    } catch (error) {
      visitor.release();
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
   * Refuses new connections and closes the open ones, each with what it still owes, in random order
   * and spread in time, so that they do not come back all at once. Resolves when everyone is told and
   * gone, or at the deadline, and the engine has closed. A second call changes nothing and resolves
   * as the first.
   */
  close(options: CloseOptions = {}): Promise<void> {
    return this.#closed ??= this.#close(options);
  }

  async #close(options: CloseOptions): Promise<void> {
    const { code = 1001, window = 5_000, deadline = 10_000 } = options;
    const end = performance.now() + deadline;
    const close = code === 1012 ? CLOSE.restarting : CLOSE.goingAway;
    this.#admission.close(close);
    await this.#readers.close(close, Math.min(window, deadline));
    while (this.#admission.taken > 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.#readers.removeAll();
    await this.#engine.close();
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
      restart: () => this.#readers.restart(),
      notice: (message) => this.#options.onNotice(message),
    };
  }
}
