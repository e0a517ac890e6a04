/**
 * WebSockets for a Hono app on Node and on Bun. On Deno nothing of this is needed.
 *
 * An adapter has two parts: `upgrade`, an option of `Turbo`, and `options`, which the server is started
 * with. Pages are reached as on Deno: a connection that is silent for the `idleTimeout` of `Turbo` is
 * pinged and, where no answer comes, ended; a reader that takes nothing is dropped; what a page sends is
 * limited to 4 KiB before it is in memory.
 *
 * Where the stream is served by a route of your own, give `connect` the context: `turbo.connect(c)`.
 * With the request alone, which is enough on Deno, nothing can be upgraded here. Keep `c.req.raw` as it
 * is in front of it.
 *
 * What is different from Deno: Bun forgets a connection when it is closed, so its place is free although
 * a client that does not end it may hold the file descriptor for 30 s more; and headers that middleware
 * sets are not in Bun's answer that opens a WebSocket. On Node before 22.21 `@hono/node-server` never
 * answers a request for HTTP/2 (`Upgrade: h2c`).
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
 *   await turbo.close({ code: 1012 }); // pages come back to the next process
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
 *   await turbo.close({ code: 1012 }); // pages come back to the next process
 *   await server.stop();
 * });
 * ```
 *
 * @module
 */
import { callback, checkOptions, integer, type Rule } from "./checks.ts";
import { MAX_MESSAGE } from "./protocol.ts";
import type { ServerSocket, Upgrade, UpgradeOptions } from "./websocket.ts";

/** What {@linkcode adaptNode} is made of. */
export interface NodeParts {
  /** That of `@hono/node-server`, version 2. */
  upgradeWebSocket: (
    context: never,
    events: { onOpen(event: unknown, socket: { readonly raw?: unknown }): void },
  ) => unknown;
  /** That of `ws`, version 8. */
  WebSocketServer: new (options: NodeServerOptions) => object;
  /**
   * Bytes of a message that a client sends, at most; a larger one ends its connection (1009). More than
   * 4 KiB is for other WebSockets of the app: `Turbo` has its own limit. Default 4,096.
   */
  maxPayload?: number;
}

/** What a `WebSocketServer` is told. */
export interface NodeServerOptions {
  /** The HTTP server is another's. */
  noServer: true;
  /** Bytes of a message. */
  maxPayload: number;
  /** Milliseconds that a client has to answer a close. */
  closeTimeout: number;
}

/** Turbo on Node. */
export interface NodeAdapter {
  /** The option `upgrade` of `Turbo`. */
  readonly upgrade: Upgrade;
  /** Goes into what `serve` is given. */
  readonly options: {
    // The types of `ws`, where there are any, are not those that @hono/node-server wants of it.
    // deno-lint-ignore no-explicit-any
    readonly websocket: { readonly server: any };
    readonly serverOptions: object;
  };
}

/** What {@linkcode adaptBun} is made of. */
export interface BunParts {
  /** The handlers of the app's other WebSockets, such as those of Hono. Default: none. */
  websocket?: object;
}

/** Turbo on Bun. */
export interface BunAdapter {
  /** The option `upgrade` of `Turbo`. */
  readonly upgrade: Upgrade;
  /** Goes into what `Bun.serve`, or the default export, is given. */
  readonly options: {
    readonly websocket: BunHandlers;
    /** Seconds of silence after which an answer is cut off: more than are between two heartbeats. */
    readonly idleTimeout: number;
  };
}

/** What Bun calls for its WebSockets. */
export interface BunHandlers {
  /** One has opened. */
  open(socket: BunSocket): void;
  /** One has received something. */
  message(socket: BunSocket, message: unknown): void;
  /** One is gone. */
  close(socket: BunSocket, code: number, reason: string): void;
  /** One takes more. */
  drain(socket: BunSocket): void;
  /** One was pinged. */
  ping(socket: BunSocket, payload: unknown): void;
  /** One has answered a ping. */
  pong(socket: BunSocket, payload: unknown): void;
}

/** A WebSocket of Bun, as far as it is used here. */
export interface BunSocket {
  /** What it was upgraded with. */
  readonly data: unknown;
  /** Sends a text: how many bytes, -1 where they wait, 0 where it was dropped. */
  send(text: string): number;
  /** Bytes that wait. */
  getBufferedAmount(): number;
  /** Pings it. */
  ping(): unknown;
  /** Closes it; it is gone for Bun at once. */
  close(code: number, reason: string): void;
  /** Ends its TCP connection. */
  terminate(): void;
}

/** A WebSocket of `ws`, as far as it is used here. */
interface NodeSocket extends Line {
  on(event: "message", listener: (data: unknown, isBinary: boolean) => void): void;
  on(event: "ping" | "pong" | "close", listener: () => void): void;
}

/** A request of Node, as far as it is used here. */
interface NodeRequest {
  readonly headers: Record<string, string | string[] | undefined>;
}

/** Bun's server, as far as it is used here. */
interface BunServer {
  upgrade(request: Request, options: { data: unknown; headers?: Record<string, string> }): boolean;
}

/** What carries an open WebSocket. */
interface Line {
  /** Bytes given to it and not yet taken by the system. */
  readonly bufferedAmount: number;
  send(text: string): unknown;
  ping(): unknown;
  close(code: number, reason: string): void;
  terminate(): void;
  /** It takes more. */
  drained?(): void;
  /** It is gone. */
  ended?(): void;
}

/** Milliseconds that a client has to take what waits for it and to answer a close. */
const CLOSE_TIMEOUT = 10_000;
/** Answers to its pings that may wait for a client while it takes nothing. */
const MAX_UNREAD_PONGS = 1_000;
/** Seconds of silence after which Bun ends a connection; a heartbeat is sent after 15 at most. */
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
 * WebSockets on Node by `@hono/node-server` and `ws`.
 *
 * @throws {TypeError | RangeError} where a part is missing or wrong
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
    // `ws` answers with the first that is offered.
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
      // Else Node has whoever asks for HTTP/2 or for anything else in place of HTTP wait for ever.
      serverOptions: {
        shouldUpgradeCallback: isForWebSocket,
      },
    },
  };
}

/**
 * WebSockets on Bun.
 *
 * @throws {TypeError} where a part is wrong
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

  /** A handler for our sockets, and that of the others for theirs. */
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
        // Also the seconds for which Bun keeps a closed connection that the client does not end.
        idleTimeout: IDLE_TIMEOUT,
        // Beyond it Bun drops messages. How much may wait is for `Turbo` to say.
        backpressureLimit: 2 ** 30,
        ...others,
        open: handler("open", (socket, raw) => socket.opened(new BunLine(raw))),
        message: handler("message", (socket, _, message: unknown) => socket.received(message)),
        close: handler("close", (socket, _, _code: number, _reason: string) => socket.ended()),
        drain: handler("drain", (socket) => socket.drained()),
        ping: handler("ping", (socket, _, _payload: unknown) => socket.pinged()),
        pong: handler("pong", (socket, _, _payload: unknown) => socket.heard()),
      } as BunHandlers,
    },
  };
}

/** A WebSocket of Node or Bun in the form of Deno's. It is pinged, and ended where it is silent. */
class AdaptedSocket implements ServerSocket {
  onopen: ServerSocket["onopen"] = null;
  onmessage: ServerSocket["onmessage"] = null;
  onclose: ServerSocket["onclose"] = null;
  onerror: ServerSocket["onerror"] = null;
  readonly #pingInterval: number;
  #line: Line | undefined;
  #pinging: ReturnType<typeof setInterval> | undefined;
  /** Whether anything has come of it since it was pinged. */
  #isHeard = true;
  #isClosing = false;
  #unreadPongs = 0;

  constructor(idleTimeout: number) {
    this.#pingInterval = idleTimeout * 500;
  }

  get bufferedAmount(): number {
    return this.#line?.bufferedAmount ?? 0;
  }

  send(text: string): void {
    if (!this.#line || this.#isClosing) return;
    if (this.#line.send(text) === 0) throw new Error("Bun has dropped a message");
  }

  close(code: number, reason = ""): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#line?.close(code, reason);
  }

  // Bun calls it while it upgrades, when nobody listens yet.
  opened(line: Line): void {
    this.#line = line;
    this.#pinging = setInterval(() => this.#ping(), this.#pingInterval);
    queueMicrotask(() => this.onopen?.(eventOf(this, new Event("open"))));
  }

  received(data: unknown): void {
    this.onmessage?.(new MessageEvent("message", { data }));
  }

  drained(): void {
    this.#line?.drained?.();
  }

  // The runtime has answered, and keeps the answer until the client takes it.
  pinged(): void {
    this.heard();
    this.#unreadPongs = this.bufferedAmount === 0 ? 0 : this.#unreadPongs + 1;
    if (this.#unreadPongs > MAX_UNREAD_PONGS) this.#line?.terminate();
  }

  heard(): void {
    this.#isHeard = true;
  }

  ended(): void {
    clearInterval(this.#pinging);
    this.#line?.ended?.();
    this.#line = undefined;
    this.onclose?.(eventOf(this, new Event("close")) as CloseEvent);
  }

  #ping(): void {
    // One that is behind has not been given the ping; whether it is too slow is for `Turbo` to say.
    if (this.bufferedAmount > 0) return this.heard();
    if (!this.#isHeard) return this.#line?.terminate();
    this.#isHeard = false;
    this.#line?.ping();
  }
}

/**
 * A line of Bun, which forgets a socket when it is closed and leaves what waits for it to a client that may
 * never take it: so it is closed when nothing waits, and ended after some time.
 */
class BunLine implements Line {
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

/** As @hono/node-server has it, which answers nothing to whoever asks for more. */
function isForWebSocket({ headers }: NodeRequest): boolean {
  return String(headers.upgrade).toLowerCase() === "websocket";
}

/** A handshake that the server does not take. */
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

/** The server, which Bun gives to `fetch`, and Hono to its context as it is or by name. */
function bunServerOf(env: unknown): BunServer {
  const { server = env } = (env ?? {}) as { server?: unknown };
  const { upgrade } = (server ?? {}) as Partial<BunServer>;
  if (typeof upgrade === "function") return server as BunServer;
  throw new Error(
    "Cannot upgrade: Bun.serve() needs app.fetch as its fetch, or what it gives to fetch",
  );
}

/** Whether the parts that have no default are there: a missing import of JavaScript is `undefined`. */
function checkPresent(parts: Partial<NodeParts>): void {
  for (const name of ["upgradeWebSocket", "WebSocketServer"] as const) {
    if (parts[name] !== undefined) continue;
    throw new TypeError(`Cannot adapt Node without ${name}: ${NODE_RULES[name].allowed} is needed`);
  }
}

function eventOf<T extends Event>(target: unknown, event: T): T {
  return Object.defineProperty(event, "target", { value: target });
}
