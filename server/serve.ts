/**
 * Runs a request handler as a process: listens, listens again after it ran out of file descriptors, closes
 * what is open before it ends, and watches its memory.
 *
 * @module
 */
import { type AddressSources, bracketed, listenFailure, networkAddresses } from "./addresses.ts";
import type { InterfaceAddress } from "./addresses.ts";
import { later } from "./later.ts";
import { boundBodies } from "./slow_bodies.ts";

/** Options of {@linkcode serve}. */
export interface ServeOptions {
  /** Port to listen on; 0 takes a free one. Default 8000. */
  port?: number;
  /** Address to listen on. Default `0.0.0.0`: all IPv4 addresses. */
  hostname?: string;
  /** Path of the page to open, which the log shows. Default `/`. */
  path?: string;
  /** The flags or variables that set `port` and `hostname`. An error then names the one to blame. */
  sources?: AddressSources;
  /**
   * Closes what the app has open, such as its WebSockets, and resolves when that is done. Called once,
   * with the milliseconds that it may take. Requests are still answered meanwhile, each with
   * `Connection: close`, so that a proxy does not send another one on a connection that ends.
   */
  drain?: (milliseconds: number) => Promise<void>;
  /** Most milliseconds from the first SIGINT or SIGTERM to the end. Default 10,000. */
  deadline?: number;
  /**
   * MiB of memory above which the server stops within two seconds, with code 3, so that a supervisor
   * restarts it. Default 0: no limit.
   */
  maxMemory?: number;
  /**
   * Milliseconds without file descriptors, so that no connection can be accepted or the memory cannot be
   * read, after which the server stops within two seconds, with code 3. Deno never frees the descriptors
   * of WebSocket handshakes that were reset. Default 30,000.
   */
  acceptTimeout?: number;
  /**
   * Most milliseconds from the head of a request to the end of its body, where the handler reads it; then the
   * request is answered by 408. Default 30,000.
   */
  bodyTimeout?: number;
  /**
   * Receives where it listens (`log`), what passes (`warn`) and what does not (`error`), each a line.
   * Default `console`.
   */
  log?: ServeLog;
  /** Starts to listen. Default `Deno.serve`. */
  listen?: (
    options: Deno.ServeTcpOptions,
    handler: Deno.ServeHandler<Deno.NetAddr>,
  ) => Deno.HttpServer<Deno.NetAddr>;
  /** Where signals come from. Default `Deno`. */
  signals?: Pick<typeof Deno, "addSignalListener" | "removeSignalListener">;
  /** Lists the addresses of this machine. Default `Deno.networkInterfaces`; the log shows some of them. */
  networkInterfaces?: () => readonly InterfaceAddress[];
  /**
   * Reads how many bytes of memory the process uses. An error that it throws is reported once. Default:
   * the resident set size.
   */
  memory?: () => number;
}

/** Receives the lines of {@linkcode serve}. None contains an error, which a console could not show. */
export type ServeLog = Readonly<Record<"log" | "warn" | "error", (line: string) => void>>;

/** How a {@linkcode Server} is stopped. */
export interface StopOptions {
  /** What `finished` resolves to. Default 0. */
  code?: number;
  /** Most milliseconds to the end. Default: the `deadline` given to {@linkcode serve}. */
  deadline?: number;
}

/** A running server. Disposing of it stops it. */
export interface Server extends AsyncDisposable {
  /** The port that it listens on. */
  readonly port: number;
  /** The URL to open on this machine, such as `http://localhost:8000/`. */
  readonly url: string;
  /** Resolves to the exit code for the process, when the server has stopped. Never rejects. */
  readonly finished: Promise<number>;
  /** Drains, then shuts down. Resolves as `finished` does; a second call has no effect. */
  stop(options?: StopOptions): Promise<number>;
}

/** Connections that may wait to be accepted. A client beyond that tries again a second later. */
const BACKLOG = 4_096;
/** Milliseconds between two attempts to listen again. */
const RETRY_INTERVAL = 200;
/** Milliseconds after which a lack of file descriptors is reported again. */
const REPORT_INTERVAL = 10_000;
/** Milliseconds within which signals count as one: the terminal and `deno task` both send the signal. */
const ONE_KEY_PRESS = 50;
/** The part of the deadline for `drain`. The rest is for requests that are being answered. */
const DRAIN_SHARE = 0.9;
/** Milliseconds between two readings of the memory, and the deadline when resources run out. */
const MEMORY_CHECK_INTERVAL = 500;
const RESOURCES_DEADLINE = 2_000;
/** The longest time that a timer takes, in milliseconds. */
const LONGEST = 2 ** 31 - 1;
/** The signals that ask a process to end. */
const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** The exit code when memory or file descriptors run out. */
const OUT_OF_RESOURCES = 3;
/** Milliseconds without a request in progress after which a shutdown waits no longer. */
const GRACE = 200;
/**
 * Milliseconds after an answer in which more requests are expected, and the most for which a shutdown waits
 * until none is in progress. A proxy keeps connections and sends forms on them, and a form that arrives as
 * its connection is closed is lost, because a proxy does not repeat it.
 */
const RECENTLY = 5_000;
const LINGER = 500;

/**
 * Starts to listen, and logs where. On SIGINT or SIGTERM the server drains and shuts down; a second signal
 * ends it at once. It never ends the process: the caller does that when `finished` resolves.
 *
 * @throws {RangeError} when an option is out of range
 * @throws {Error} when it cannot listen; the message is one line, and `cause` is the system's error
 *
 * @example An app that says goodbye before the process ends
 * ```ts
 * import assert from "node:assert/strict";
 * import { serve } from "./serve.ts";
 *
 * const said: string[] = [];
 * const server = serve(() => new Response("hello"), {
 *   port: 0,
 *   hostname: "127.0.0.1",
 *   drain: (milliseconds) => Promise.resolve(void said.push(`goodbye in ${milliseconds} ms`)),
 * });
 * assert.equal(await (await fetch(server.url)).text(), "hello");
 * server.stop({ deadline: 1_000 }); // as SIGTERM does
 * assert.equal(await server.finished, 0); // a program: Deno.exit(await server.finished)
 * assert.deepEqual(said, ["goodbye in 900 ms"]);
 * ```
 */
export function serve(
  handler: Deno.ServeHandler<Deno.NetAddr>,
  options: ServeOptions = {},
): Server {
  const {
    port = 8000,
    hostname = "0.0.0.0",
    path = "/",
    sources,
    drain = () => Promise.resolve(),
    deadline = 10_000,
    maxMemory = 0,
    acceptTimeout = 30_000,
    bodyTimeout = 30_000,
    log = console,
    listen = Deno.serve,
    signals = Deno,
    networkInterfaces,
    memory = () => Deno.memoryUsage().rss,
  } = options;
  checkRange("deadline", deadline);
  checkRange("maxMemory", maxMemory);
  checkRange("acceptTimeout", acceptTimeout);
  checkRange("bodyTimeout", bodyTimeout);
  const bounded = boundBodies(handler, bodyTimeout);
  let atWork = 0;
  let workedAt = -Infinity;
  const listener = new Listener((port) => {
    return listen({ port, hostname, tcpBacklog: BACKLOG, onListen() {}, onError }, counted);
  }, { port, hostname, sources, log, acceptTimeout, onDeaf });
  const { promise: finished, resolve } = Promise.withResolvers<number>();
  let stopping: { code: number } | undefined;
  let isFinished = false;
  let signalTimer: ReturnType<typeof setTimeout> | undefined;
  let memoryTimer: ReturnType<typeof setInterval> | undefined;
  let blindSince: number | undefined;

  function counted(
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Response | Promise<Response> {
    const done = () => {
      atWork--;
      workedAt = performance.now();
    };
    atWork++;
    info.completed.then(done, done);
    const response = bounded(request, info);
    return stopping ? lastOn(response) : response;
  }

  function onDeaf(): void {
    if (stopping) return;
    log.error(`No connection could be accepted for ${acceptTimeout / 1000} s: ending`);
    stop({ code: OUT_OF_RESOURCES, deadline: RESOURCES_DEADLINE });
  }

  // Also called for errors in the body of an answer. Deno's own handler would format the error.
  function onError(error: unknown): Response {
    log.error(`Cannot answer a request: ${reasonOf(error)}`);
    return new Response("Internal server error\n", { status: 500 });
  }

  function stop({ code = 0, deadline: limit = deadline }: StopOptions = {}): Promise<number> {
    checkRange("deadline", limit);
    if (!stopping) {
      stopping = { code };
      drainAndShutDown(limit).then(() => finish(code));
    }
    return finished;
  }

  async function drainAndShutDown(limit: number): Promise<void> {
    const begin = performance.now();
    const left = () => Math.max(0, limit - (performance.now() - begin));
    await atMost(limit, reported("drain", () => drain(limit * DRAIN_SHARE)));
    using quiet = idle();
    if (performance.now() - workedAt < RECENTLY) {
      await atMost(Math.min(LINGER, left() / 2), quiet.promise);
    }
    // `shutdown` closes idle connections, but waits forever for one that is stuck, or whose handshake was
    // reset.
    using waiting = idle();
    const shutdown = reported("shut down", () => listener.shutdown());
    await atMost(left(), Promise.race([shutdown, waiting.promise]));
  }

  async function reported(what: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      log.error(`Cannot ${what}: ${reasonOf(error)}`);
    }
  }

  function finish(code: number): void {
    isFinished = true;
    clearInterval(memoryTimer);
    clearTimeout(signalTimer);
    for (const signal of heard) signals.removeSignalListener(signal, onSignal);
    resolve(code);
  }

  function onSignal(): void {
    if (stopping) finish(stopping.code);
    else signalTimer ??= setTimeout(() => stop(), ONE_KEY_PRESS);
  }

  // Must not throw: an error in the callback of an interval would end the process.
  function checkMemory(): void {
    if (stopping) return;
    const used = readMemory();
    if (used !== undefined && used > maxMemory) {
      log.error(`Memory is at ${used} MiB of ${maxMemory}: ending`);
      stop({ code: OUT_OF_RESOURCES, deadline: RESOURCES_DEADLINE });
    } else if (blindSince !== undefined && performance.now() - blindSince >= acceptTimeout) {
      log.error(`The memory could not be read for ${acceptTimeout / 1000} s: ending`);
      stop({ code: OUT_OF_RESOURCES, deadline: RESOURCES_DEADLINE });
    }
  }

  function watch(): void {
    checkMemory();
    if (!isFinished) memoryTimer = setInterval(checkMemory, MEMORY_CHECK_INTERVAL);
  }

  /** The memory in MiB; `undefined` where it cannot be read. Deno returns 0 without a file descriptor. */
  function readMemory(): number | undefined {
    let reason = "no file descriptor is left";
    try {
      const bytes = memory();
      if (bytes > 0) {
        blindSince = undefined;
        return Math.round(bytes / 1024 ** 2);
      }
    } catch (error) {
      reason = reasonOf(error);
    }
    if (blindSince === undefined) log.warn(`Cannot read the memory: ${reason}`);
    blindSince ??= performance.now();
    return undefined;
  }

  /** Resolves when no request has been in progress for a moment. Disposing of it ends the wait. */
  function idle(): { readonly promise: Promise<void> } & Disposable {
    const { promise, resolve } = Promise.withResolvers<void>();
    const start = performance.now();
    const timer = setInterval(() => {
      if (atWork === 0 && performance.now() - Math.max(start, workedAt) >= GRACE) resolve();
    }, 10);
    return { promise, [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** What the log says after the URL to open: how the network reaches it, if it does. */
  function reach(): string {
    if (!listener.wildcard) return "";
    const urls = networkAddresses(listener.wildcard, networkInterfaces).map(urlAt);
    if (urls.length === 0) return " (on all addresses: the network can reach it)";
    return `, and in the network on ${urls.join(" and ")}`;
  }

  const heard = listenTo(SIGNALS, signals, onSignal);
  // The memory is watched because a client can make Deno buffer a fragmented message of any length.
  if (maxMemory > 0) later(watch, MEMORY_CHECK_INTERVAL);
  const urlAt = (host: string) => `http://${bracketed(host)}:${listener.port}${path}`;
  const url = urlAt(listener.wildcard ? "localhost" : hostname);
  log.log(`Listening on ${url}${reach()}`);
  return {
    port: listener.port,
    url,
    finished,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

interface ListenerOptions {
  port: number;
  hostname: string;
  sources: AddressSources | undefined;
  log: Pick<ServeLog, "warn">;
  /** Milliseconds without accepting after which `onDeaf` is called. */
  acceptTimeout: number;
  /** May be called repeatedly. */
  onDeaf: () => void;
}

/** Accepts connections, and listens again when accepting has failed. */
class Listener {
  readonly port: number;
  /** The address that stands for all addresses, where it listens on them. */
  readonly wildcard: "0.0.0.0" | "::" | undefined;
  readonly #listen: (port: number) => Deno.HttpServer<Deno.NetAddr>;
  readonly #options: ListenerOptions;
  readonly #accepting: Promise<void>;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #ended = false;
  #failedAt = -Infinity;
  #deafSince = 0;

  constructor(
    listen: (port: number) => Deno.HttpServer<Deno.NetAddr>,
    options: ListenerOptions,
  ) {
    const { port, hostname, sources } = options;
    try {
      this.#server = listen(port);
    } catch (error) {
      throw new Error(listenFailure(error, { hostname, port }, sources), { cause: error });
    }
    const { addr } = this.#server;
    this.port = addr.port;
    this.wildcard = addr.hostname === "0.0.0.0" || addr.hostname === "::"
      ? addr.hostname
      : undefined;
    this.#listen = listen;
    this.#options = options;
    this.#accepting = this.#accept();
  }

  /** Stops accepting, and resolves when the last connection is closed. */
  async shutdown(): Promise<void> {
    this.#ended = true;
    await this.#server.shutdown();
    await this.#accepting;
  }

  /** Deno stops accepting when no file descriptor is left; open connections continue. */
  async #accept(): Promise<void> {
    while (!this.#ended) {
      try {
        await this.#server.finished;
        return;
      } catch (error) {
        this.#failed(error);
      }
      await this.#listenAgain();
    }
  }

  #failed(error: unknown): void {
    const now = performance.now();
    const { log, acceptTimeout, onDeaf } = this.#options;
    if (now - this.#failedAt > REPORT_INTERVAL) {
      this.#deafSince = now;
      log.warn(`Cannot accept connections, trying again: ${reasonOf(error)}`);
    }
    this.#failedAt = now;
    if (now - this.#deafSince >= acceptTimeout) onDeaf();
  }

  async #listenAgain(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_INTERVAL));
      if (this.#ended) return;
      try {
        this.#server = this.#listen(this.port);
        return;
      } catch (error) {
        if (!(error instanceof Error)) throw error; // no descriptor, or the port is not yet free
        this.#failed(error);
      }
    }
  }
}

/** Listens to those of the signals that the system has; older versions of Deno have no SIGTERM on Windows. */
function listenTo(
  wanted: readonly Deno.Signal[],
  signals: Pick<typeof Deno, "addSignalListener">,
  listener: () => void,
): Deno.Signal[] {
  const heard: Deno.Signal[] = [];
  for (const signal of wanted) {
    try {
      signals.addSignalListener(signal, listener);
      heard.push(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }
  return heard;
}

/** Asks the client not to use the connection again, because it will be closed soon. */
async function lastOn(response: Response | Promise<Response>): Promise<Response> {
  const answer = await response;
  if (answer.status === 101) return answer;
  const headers = new Headers(answer.headers);
  headers.set("Connection", "close");
  const { status, statusText } = answer;
  return new Response(answer.body, { status, statusText, headers });
}

function checkRange(name: string, value: number): void {
  if (value >= 0 && value <= LONGEST) return;
  throw new RangeError(`serve() cannot take ${value} as ${name}: 0 to ${LONGEST} is allowed`);
}

/** Resolves when `promise` does, or after the given milliseconds. */
async function atMost(milliseconds: number, promise: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, milliseconds));
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

/** The message of an error, in one line. To format an `Error` Deno would need a file descriptor. */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "the port is taken; choose another";
  return error instanceof Error ? error.message.split("\n")[0]! : String(error);
}
