/**
 * What a process needs around a handler of requests: it listens, goes on listening when it ran out
 * of file descriptors, closes what is open before it ends, and watches its memory.
 *
 * @module
 */

/** What {@linkcode serve} takes; everything has a default. */
export interface ServeOptions {
  /** Port to listen on; 0 takes a free one. Default 8000. */
  port?: number;
  /** Address to listen on. Default `0.0.0.0`: all IPv4 addresses. */
  hostname?: string;
  /**
   * Closes what the app has open, such as its WebSockets, and resolves when that is done. Called
   * once, with the milliseconds that it may take, while requests are still answered.
   */
  drain?: (milliseconds: number) => Promise<void>;
  /** Milliseconds from the first SIGINT or SIGTERM to the end, whatever hangs. Default 10,000. */
  deadline?: number;
  /**
   * MiB of memory above which it stops within two seconds, with code 3, so that a supervisor starts
   * it again. Default 0: no limit.
   */
  maxMemory?: number;
  /**
   * Milliseconds for which it can accept no connection, or not even read its memory, for lack of file
   * descriptors, after which it stops within two seconds, with code 3: Deno never gives back those of
   * handshakes of WebSockets that were reset. Default 30,000.
   */
  acceptTimeout?: number;
  /** Where it says what happens. Default `console`. */
  log?: Pick<Console, "log" | "error">;
  /** Listens. Default `Deno.serve`. */
  listen?: (
    options: Deno.ServeTcpOptions,
    handler: Deno.ServeHandler<Deno.NetAddr>,
  ) => Deno.HttpServer<Deno.NetAddr>;
  /** Where signals come from. Default `Deno`. */
  signals?: Pick<typeof Deno, "addSignalListener" | "removeSignalListener">;
  /**
   * Reads the bytes of memory that the process has. What it throws is reported once. Default: its
   * resident set.
   */
  memory?: () => number;
}

/** How a {@linkcode Server} is stopped. */
export interface StopOptions {
  /** What `finished` resolves to. Default 0. */
  code?: number;
  /** Milliseconds to the end, whatever hangs. Default: the `deadline` given to {@linkcode serve}. */
  deadline?: number;
}

/** A server that listens. Disposing of it stops it. */
export interface Server extends AsyncDisposable {
  /** The port that it listens on. */
  readonly port: number;
  /** The address to open, such as `http://localhost:8000/`. */
  readonly url: string;
  /** Resolves to the code for the process to exit with, when it has stopped. Never rejects. */
  readonly finished: Promise<number>;
  /** Drains, then shuts down. Resolves as `finished` does; a second call changes nothing. */
  stop(options?: StopOptions): Promise<number>;
}

/** Connections that wait to be accepted: a client that finds no room tries again a second later. */
const BACKLOG = 4_096;
/** Milliseconds between two tries to accept connections again. */
const RETRY_INTERVAL = 200;
/** Milliseconds after which a lack of file descriptors is reported again. */
const REPORT_INTERVAL = 10_000;
/** Milliseconds within which signals are one: `deno task` passes on what the terminal sent already. */
const ONE_KEY_PRESS = 50;
/** How much of the deadline the app is told to take; the rest is for requests being answered. */
const DRAIN_SHARE = 0.9;
/** Milliseconds between two looks at the memory, and to the end where it runs out. */
const MEMORY_CHECK_INTERVAL = 500;
const RESOURCES_DEADLINE = 2_000;
/** The longest time that a timer takes, in milliseconds. */
const LONGEST = 2 ** 31 - 1;
/** Those that ask a process to end. */
const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** The exit code where memory or file descriptors run out. */
const OUT_OF_RESOURCES = 3;
/** Milliseconds without a request at work after which a shutdown waits no longer. */
const GRACE = 200;

/**
 * Listens, and says where. On SIGINT and SIGTERM it drains and shuts down; a second signal ends it
 * at once. It never ends the process: that is for whoever awaits `finished`.
 *
 * @throws {RangeError} where an option is out of its range
 * @throws {Error} that says in one line why it cannot listen; `cause` is the error of the system
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
    drain = () => Promise.resolve(),
    deadline = 10_000,
    maxMemory = 0,
    acceptTimeout = 30_000,
    log = console,
    listen = Deno.serve,
    signals = Deno,
    memory = () => Deno.memoryUsage().rss,
  } = options;
  checkRange("deadline", deadline);
  checkRange("maxMemory", maxMemory);
  checkRange("acceptTimeout", acceptTimeout);
  let atWork = 0;
  const listener = new Listener((port) => {
    return listen({ port, hostname, tcpBacklog: BACKLOG, onListen() {}, onError }, counted);
  }, { port, hostname, log, acceptTimeout, onDeaf });
  const { promise: finished, resolve } = Promise.withResolvers<number>();
  let stopping: { code: number } | undefined;
  let signalTimer: ReturnType<typeof setTimeout> | undefined;
  let blindSince: number | undefined;

  function counted(
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Response | Promise<Response> {
    const done = () => void atWork--;
    atWork++;
    info.completed.then(done, done);
    return handler(request, info);
  }

  function onDeaf(): void {
    if (stopping) return;
    log.error(`No connection could be accepted for ${acceptTimeout / 1000} s: ending`);
    stop({ code: OUT_OF_RESOURCES, deadline: RESOURCES_DEADLINE });
  }

  // Also for the body of an answer. Deno's own would format the error.
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
    await atMost(limit, reported("drain", () => drain(limit * DRAIN_SHARE)));
    // It closes idle connections, and would wait for ever for one that is stuck, or of a handshake
    // that was reset.
    const left = Math.max(0, limit - (performance.now() - begin));
    using waiting = idle();
    const shutdown = reported("shut down", () => listener.shutdown());
    await atMost(left, Promise.race([shutdown, waiting.promise]));
  }

  async function reported(what: string, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      log.error(`Cannot ${what}: ${reasonOf(error)}`);
    }
  }

  function finish(code: number): void {
    clearInterval(memoryTimer);
    clearTimeout(signalTimer);
    for (const signal of SIGNALS) signals.removeSignalListener(signal, onSignal);
    resolve(code);
  }

  function onSignal(): void {
    if (stopping) finish(stopping.code);
    else signalTimer ??= setTimeout(() => stop(), ONE_KEY_PRESS);
  }

  // What an interval's callback throws would end the process.
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

  /** In MiB. Deno says 0 where no file descriptor is left. */
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
    if (blindSince === undefined) log.error(`Cannot read the memory: ${reason}`);
    blindSince ??= performance.now();
    return undefined;
  }

  /** Resolves when nothing has been at work for a moment; disposing of it ends the wait. */
  function idle(): { readonly promise: Promise<void> } & Disposable {
    const { promise, resolve } = Promise.withResolvers<void>();
    let since = performance.now();
    const timer = setInterval(() => {
      if (atWork > 0) since = performance.now();
      else if (performance.now() - since >= GRACE) resolve();
    }, 10);
    return { promise, [Symbol.dispose]: () => clearInterval(timer) };
  }

  for (const signal of SIGNALS) signals.addSignalListener(signal, onSignal);
  // A client can make Deno hold a message of any length in fragments, which nothing here can see.
  const memoryTimer = maxMemory > 0 ? setInterval(checkMemory, MEMORY_CHECK_INTERVAL) : undefined;
  const { onAllAddresses } = listener;
  const url = `http://${onAllAddresses ? "localhost" : bracketed(hostname)}:${listener.port}/`;
  const reach = onAllAddresses ? " (on all addresses: the network can reach it)" : "";
  log.log(`Listening on ${url}${reach}`);
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
  log: Pick<Console, "error">;
  /** Milliseconds without a connection that could be accepted. */
  acceptTimeout: number;
  /** Called then, again and again. */
  onDeaf: () => void;
}

/** A socket that accepts connections, and goes on when accepting them has failed. */
class Listener {
  readonly port: number;
  /** Whether it listens on all addresses. */
  readonly onAllAddresses: boolean;
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
    const { port, hostname } = options;
    try {
      this.#server = listen(port);
    } catch (error) {
      const message = `Cannot listen on ${bracketed(hostname)}:${port}: ${reasonOf(error)}`;
      throw new Error(message, { cause: error });
    }
    const { addr } = this.#server;
    this.port = addr.port;
    this.onAllAddresses = addr.hostname === "0.0.0.0" || addr.hostname === "::";
    this.#listen = listen;
    this.#options = options;
    this.#accepting = this.#accept();
  }

  /** Accepts no more, and resolves when the last connection is closed. */
  async shutdown(): Promise<void> {
    this.#ended = true;
    await this.#server.shutdown();
    await this.#accepting;
  }

  /** Deno ends accepting when no file descriptor is left; what is open lives on. */
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
      log.error(`Cannot accept connections, trying again: ${reasonOf(error)}`);
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

function bracketed(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** What went wrong, in one line. An `Error` is not given to the console: Deno wants a descriptor for it. */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "the port is taken; choose another";
  return error instanceof Error ? error.message.split("\n")[0]! : String(error);
}
