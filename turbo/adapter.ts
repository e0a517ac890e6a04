/**
 * WebSockets for a Hono app on Node and on Bun. An app on Deno does not need this module.
 *
 * An adapter has two parts: `upgrade` is an option of `Turbo`, and `options` are for the start of the
 * server. Connections have the same limits as on Deno: a connection is pinged after half of the
 * `idleTimeout` of `Turbo` and ended where no answer comes; a reader that takes nothing is dropped; a
 * message of a page is limited to 4 KiB before it is in memory.
 *
 * Where a route of your own serves the stream, give `connect` the context: `turbo.connect(c)`. The request
 * alone is enough on Deno, but not on Node and Bun. Middleware before that route must not replace
 * `c.req.raw`.
 *
 * Differences from Deno:
 *
 * - Bun forgets a connection as soon as the server has closed it, so its place is free at once. A client
 *   that does not end its side may hold the file descriptor for another 30 s.
 * - Headers that middleware sets are missing from Bun's answer that opens a WebSocket.
 * - On Node before 22.21 `@hono/node-server` never answers a request to upgrade to HTTP/2 (`Upgrade: h2c`).
 *
 * @example Node 22, with `npm install @hono/node-server ws`
 * ```ts ignore
 * import { serve, upgradeWebSocket } from "@hono/node-server";
 * import { Hono } from "hono";
 * import { WebSocketServer } from "ws";
 * import { Turbo } from "@turbo-deno/turbo";
 * import { adaptNode } from "@turbo-deno/turbo/adapter";
 *
 * const { upgrade, options } = adaptNode({ upgradeWebSocket, WebSocketServer });
 * const turbo = new Turbo({ upgrade });
 * const app = new Hono();
 * app.use(turbo.middleware());
 *
 * const server = serve({ fetch: app.fetch, port: 8000, ...options });
 *
 * process.once("SIGTERM", async () => {
 *   await turbo.close({ code: 1012 }); // pages reconnect to the next process
 *   server.close();
 * });
 * ```
 *
 * @example Bun
 * ```ts ignore
 * import { Hono } from "hono";
 * import { Turbo } from "@turbo-deno/turbo";
 * import { adaptBun } from "@turbo-deno/turbo/adapter";
 *
 * const { upgrade, options } = adaptBun();
 * const turbo = new Turbo({ upgrade });
 * const app = new Hono();
 * app.use(turbo.middleware());
 *
 * const server = Bun.serve({ fetch: app.fetch, port: 8000, ...options });
 *
 * process.once("SIGTERM", async () => {
 *   await turbo.close({ code: 1012 }); // pages reconnect to the next process
 *   await server.stop();
 * });
 * ```
 *
 * @module
 */
import { callback, checkOptions, integer, type Rule } from "./checks.ts";
import { MAX_MESSAGE } from "./protocol.ts";
import type { ServerSocket, Upgrade, UpgradeOptions } from "./websocket.ts";

/** The parts of {@linkcode adaptNode}. */
export interface NodeParts {
  /** The function of `@hono/node-server`, version 2. */
  upgradeWebSocket: (
    context: never,
    events: { onOpen(event: unknown, socket: { readonly raw?: unknown }): void },
  ) => unknown;
  /** The class of `ws`, version 8. */
  WebSocketServer: new (options: NodeServerOptions) => object;
  /**
   * Most bytes of a message from a client; a larger message ends its connection (1009). Raise it only for
   * other WebSockets of the app, because `Turbo` has a limit of 4 KiB itself. Default 4,096.
   */
  maxPayload?: number;
}

/** The options that {@linkcode adaptNode} passes to a `WebSocketServer`. */
export interface NodeServerOptions {
  /** Whether `ws` uses a server that others have started. */
  noServer: true;
  /** Most bytes of a message. */
  maxPayload: number;
  /** Milliseconds that a client has to answer a close. */
  closeTimeout: number;
}

/** The adapter for Node. */
export interface NodeAdapter {
  /** The option `upgrade` of `Turbo`. */
  readonly upgrade: Upgrade;
  /** Add these to the options of `serve`. */
  readonly options: {
    // The types of `ws`, where an app has them, do not match those that @hono/node-server expects.
    // deno-lint-ignore no-explicit-any
    readonly websocket: { readonly server: any };
    readonly serverOptions: object;
  };
}

/** The parts of {@linkcode adaptBun}. */
export interface BunParts {
  /** The handlers of the app's other WebSockets, such as those of Hono. Default: none. */
  websocket?: object;
}

/** The adapter for Bun. */
export interface BunAdapter {
  /** The option `upgrade` of `Turbo`. */
  readonly upgrade: Upgrade;
  /** Add these to the options of `Bun.serve`, or to the default export. */
  readonly options: {
    readonly websocket: BunHandlers;
    /** Seconds of silence after which Bun ends an answer; longer than the time between two heartbeats. */
    readonly idleTimeout: number;
  };
}

/** The handlers that Bun calls for its WebSockets. */
export interface BunHandlers {
  /** A socket has opened. */
  open(socket: BunSocket): void;
  /** A socket has received a message. */
  message(socket: BunSocket, message: unknown): void;
  /** A socket has ended. */
  close(socket: BunSocket, code: number, reason: string): void;
  /** A socket that was full takes more. */
  drain(socket: BunSocket): void;
  /** A socket has received a ping. */
  ping(socket: BunSocket, payload: unknown): void;
  /** A socket has received a pong. */
  pong(socket: BunSocket, payload: unknown): void;
}

/** The parts of Bun's WebSocket that are used here. */
export interface BunSocket {
  /** The value that it was upgraded with. */
  readonly data: unknown;
  /** Sends a text. Returns the bytes sent, -1 where they wait, or 0 where the text was dropped. */
  send(text: string): number;
  /** Bytes that wait to be sent. */
  getBufferedAmount(): number;
  /** Sends a ping. */
  ping(): unknown;
  /** Closes the socket. Bun forgets it at once. */
  close(code: number, reason: string): void;
  /** Ends its TCP connection. */
  terminate(): void;
}

/** The parts of a WebSocket of `ws` that are used here. */
interface NodeSocket extends NativeSocket {
  on(event: "message", listener: (data: unknown, isBinary: boolean) => void): void;
  on(event: "ping" | "pong" | "close", listener: () => void): void;
}

/** The part of Node's request that is used here. */
interface NodeRequest {
  readonly headers: Record<string, string | string[] | undefined>;
}

/** The part of Bun's server that is used here. */
interface BunServer {
  upgrade(request: Request, options: { data: unknown; headers?: Record<string, string> }): boolean;
}

/** The open WebSocket of a runtime. */
interface NativeSocket {
  /** Bytes that wait to be sent, because the operating system has not taken them yet. */
  readonly bufferedAmount: number;
  send(text: string): unknown;
  ping(): unknown;
  close(code: number, reason: string): void;
  terminate(): void;
  /** Call when it takes more. */
  drained?(): void;
  /** Call when it has ended. */
  ended?(): void;
}

/** Milliseconds that a client has to take the waiting bytes and to answer a close. */
const CLOSE_TIMEOUT = 10_000;
/** Pongs that may wait for a client that sends pings and takes nothing. */
const MAX_UNREAD_PONGS = 1_000;
/** Seconds of silence after which Bun ends a connection. A heartbeat is sent after at most 15. */
const IDLE_TIMEOUT = 30;

const NODE_RULES = {
  upgradeWebSocket: { ...callback, allowed: "that of @hono/node-server 2" },
  WebSocketServer: { ...callback, allowed: "that of ws" },
  maxPayload: integer(1, 2 ** 30),
} satisfies Record<keyof NodeParts, Rule>;

const BUN_RULES = {
  websocket: {
    allowed: "an object of handlers",
    problem: (value) => typeof value === "object" && value !== null ? undefined : "type",
  },
} satisfies Record<keyof BunParts, Rule>;

/**
 * Makes the adapter for Node from `@hono/node-server` and `ws`.
 *
 * @throws {TypeError | RangeError} when a part is missing or wrong
 */
export function adaptNode(parts: NodeParts): NodeAdapter {
  const given = checkOptions("adaptNode()", parts, NODE_RULES);
  checkPresent(given);
  const { upgradeWebSocket, WebSocketServer, maxPayload = MAX_MESSAGE } = given;
  const server = new WebSocketServer({ noServer: true, maxPayload, closeTimeout: CLOSE_TIMEOUT });

  function upgrade(_: Request, { protocol, idleTimeout, context }: UpgradeOptions) {
    const env = envOf(context) as { wss?: unknown; incoming?: NodeRequest } | undefined;
    if (env?.incoming && !isForWebSocket(env.incoming)) return refused();
    if (!env?.incoming || env.wss !== server) {
      throw new Error(
        "Cannot upgrade: serve() of @hono/node-server needs the options of adaptNode()",
      );
    }
    // `ws` answers with the first protocol that the request offers.
    if (protocol === undefined) delete env.incoming.headers["sec-websocket-protocol"];
    else env.incoming.headers["sec-websocket-protocol"] = protocol;
    const socket = new AdaptedSocket(idleTimeout);
    const upgraded = upgradeWebSocket(context as never, {
      onOpen: (_, { raw }) => openOnNode(socket, raw as NodeSocket),
    });
    Promise.resolve(upgraded).catch(() => socket.ended());
    return { socket, response: new Response(null) };
  }

  return {
    upgrade,
    options: {
      websocket: { server },
      // Without this, Node never answers a request to upgrade to HTTP/2 or to another protocol.
      serverOptions: {
        shouldUpgradeCallback: isForWebSocket,
      },
    },
  };
}

/**
 * Makes the adapter for Bun.
 *
 * @throws {TypeError} when a part is wrong
 */
export function adaptBun(parts: BunParts = {}): BunAdapter {
  const { websocket: others = {} } = checkOptions("adaptBun()", parts, BUN_RULES);

  function upgrade(request: Request, { protocol, idleTimeout, context }: UpgradeOptions) {
    const server = bunServerOf(envOf(context));
    const socket = new AdaptedSocket(idleTimeout);
    const isUpgraded = server.upgrade(request, {
      data: socket,
      ...(protocol !== undefined && { headers: { "Sec-WebSocket-Protocol": protocol } }),
    });
    return isUpgraded ? { socket, response: new Response(null) } : refused();
  }

  /** A handler that calls `own` for a socket of ours, and the app's handler for any other. */
  function handler<Rest extends unknown[]>(
    name: keyof BunHandlers,
    own: (socket: AdaptedSocket, raw: BunSocket, ...rest: Rest) => void,
  ): (raw: BunSocket, ...rest: Rest) => void {
    const other = (others as Record<string, unknown>)[name];
    return (raw, ...rest) => {
      if (raw.data instanceof AdaptedSocket) own(raw.data, raw, ...rest);
      else if (typeof other === "function") return other.call(others, raw, ...rest);
    };
  }

  return {
    upgrade,
    options: {
      idleTimeout: IDLE_TIMEOUT,
      websocket: {
        maxPayloadLength: MAX_MESSAGE,
        // Bun also waits this long for a client to end a connection that the server has closed.
        idleTimeout: IDLE_TIMEOUT,
        // Beyond this limit Bun drops messages, so it is high; `Turbo` limits how much may wait.
        backpressureLimit: 2 ** 30,
        ...others,
        open: handler("open", (socket, raw) => socket.opened(new BunNativeSocket(raw))),
        message: handler("message", (socket, _, message: unknown) => socket.received(message)),
        close: handler("close", (socket, _, _code: number, _reason: string) => socket.ended()),
        drain: handler("drain", (socket) => socket.drained()),
        ping: handler("ping", (socket, _, _payload: unknown) => socket.pinged()),
        pong: handler("pong", (socket, _, _payload: unknown) => socket.heard()),
      } as BunHandlers,
    },
  };
}

/**
 * A WebSocket of Node or Bun with the interface of Deno's. It sends pings, and ends where none is answered.
 */
class AdaptedSocket implements ServerSocket {
  onopen: ServerSocket["onopen"] = null;
  onmessage: ServerSocket["onmessage"] = null;
  onclose: ServerSocket["onclose"] = null;
  onerror: ServerSocket["onerror"] = null;
  readonly #pingInterval: number;
  #native: NativeSocket | undefined;
  #pinging: ReturnType<typeof setInterval> | undefined;
  /** Whether a ping or a pong has arrived since the last ping was sent. */
  #isHeard = true;
  #isClosing = false;
  #unreadPongs = 0;

  constructor(idleTimeout: number) {
    this.#pingInterval = idleTimeout * 500;
  }

  get bufferedAmount(): number {
    return this.#native?.bufferedAmount ?? 0;
  }

  send(text: string): void {
    if (!this.#native || this.#isClosing) return;
    if (this.#native.send(text) === 0) throw new Error("Bun has dropped a message");
  }

  close(code: number, reason = ""): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#native?.close(code, reason);
  }

  // Reported in a microtask, because Bun calls this within `upgrade`, before anybody listens.
  opened(native: NativeSocket): void {
    this.#native = native;
    this.#pinging = setInterval(() => this.#ping(), this.#pingInterval);
    queueMicrotask(() => this.onopen?.(eventOf(this, new Event("open"))));
  }

  received(data: unknown): void {
    this.onmessage?.(new MessageEvent("message", { data }));
  }

  drained(): void {
    this.#native?.drained?.();
  }

  // The runtime has sent a pong, which stays in memory until the client takes it.
  pinged(): void {
    this.heard();
    this.#unreadPongs = this.bufferedAmount === 0 ? 0 : this.#unreadPongs + 1;
    if (this.#unreadPongs > MAX_UNREAD_PONGS) this.#native?.terminate();
  }

  heard(): void {
    this.#isHeard = true;
  }

  ended(): void {
    clearInterval(this.#pinging);
    this.#native?.ended?.();
    this.#native = undefined;
    this.onclose?.(eventOf(this, new Event("close")) as CloseEvent);
  }

  #ping(): void {
    // A ping would wait behind the buffered bytes. Whether this client is too slow is for `Turbo` to decide.
    if (this.bufferedAmount > 0) return this.heard();
    if (!this.#isHeard) return this.#native?.terminate();
    this.#isHeard = false;
    this.#native?.ping();
  }
}

/**
 * The WebSocket of Bun. On a close Bun forgets the socket, even while bytes wait for a client that may never
 * take them. So this closes it only when no bytes wait, and ends it after `CLOSE_TIMEOUT`.
 */
class BunNativeSocket implements NativeSocket {
  readonly #raw: BunSocket;
  #close: (() => void) | undefined;
  #giveUp: ReturnType<typeof setTimeout> | undefined;

  constructor(raw: BunSocket) {
    this.#raw = raw;
  }

  get bufferedAmount(): number {
    return this.#raw.getBufferedAmount();
  }

  send(text: string): number {
    return this.#raw.send(text);
  }

  ping(): void {
    this.#raw.ping();
  }

  close(code: number, reason = ""): void {
    this.#close = () => this.#raw.close(code, reason);
    if (this.bufferedAmount === 0) return this.#close();
    this.#giveUp = setTimeout(() => this.#raw.terminate(), CLOSE_TIMEOUT);
  }

  terminate(): void {
    this.#raw.terminate();
  }

  drained(): void {
    if (this.bufferedAmount === 0) this.#close?.();
  }

  ended(): void {
    clearTimeout(this.#giveUp);
  }
}

/** The condition under which @hono/node-server answers an upgrade. It never answers any other. */
function isForWebSocket({ headers }: NodeRequest): boolean {
  return String(headers.upgrade).toLowerCase() === "websocket";
}

/** The answer to a handshake that the server rejects. */
function refused(): ReturnType<Upgrade> {
  const socket = new AdaptedSocket(1);
  queueMicrotask(() => socket.ended());
  return { socket, response: new Response("Bad request\n", { status: 400 }) };
}

function openOnNode(socket: AdaptedSocket, raw: NodeSocket): void {
  raw.on("message", (data, isBinary) => socket.received(isBinary ? data : String(data)));
  raw.on("ping", () => socket.pinged());
  raw.on("pong", () => socket.heard());
  raw.on("close", () => socket.ended());
  socket.opened(raw);
}

function envOf(context: UpgradeOptions["context"]): unknown {
  if (context) return context.env;
  throw new TypeError(
    "Cannot upgrade a request alone on this runtime: turbo.connect(c), with the context, or " +
      "turbo.middleware() is needed",
  );
}

/** Bun's server. Bun passes it to `fetch`, and Hono's `env` is the server, or an object that has it. */
function bunServerOf(env: unknown): BunServer {
  const { server = env } = (env ?? {}) as { server?: unknown };
  const { upgrade } = (server ?? {}) as Partial<BunServer>;
  if (typeof upgrade === "function") return server as BunServer;
  throw new Error(
    "Cannot upgrade: Bun.serve() needs app.fetch as its fetch, or what it gives to fetch",
  );
}

/** Checks the parts without a default: in JavaScript an import that does not exist is `undefined`. */
function checkPresent(parts: Partial<NodeParts>): void {
  for (const name of ["upgradeWebSocket", "WebSocketServer"] as const) {
    if (parts[name] !== undefined) continue;
    throw new TypeError(`Cannot adapt Node without ${name}: ${NODE_RULES[name].allowed} is needed`);
  }
}

function eventOf<T extends Event>(target: unknown, event: T): T {
  return Object.defineProperty(event, "target", { value: target });
}
