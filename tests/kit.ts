/**
 * Servers, clients and deadlines for tests. All end with the test, and nothing waits forever.
 *
 * Where tests are: the unit test of a file is beside it. A test that needs the whole program, a
 * browser or a second process is in `tests/`. The tests of an example are beside it, because it is a whole
 * program. Those of `loadavg.ts` and `templates.ts` are in `tests/`, to keep the root small.
 *
 * A test that needs a browser or a second process has the options {@linkcode WITH_BROWSER} or
 * {@linkcode WITH_PROCESS}; `deno task test:quick` runs all others.
 *
 * Two test files run at the same time, as threads of one process: they share its id and its environment.
 * A server that starts again on the same port gets it from {@linkcode freePort}.
 *
 * @module
 */
import { connected as isConnected, type ConnectedOptions } from "../turbo/testing.ts";
import { Turbo, type TurboOptions } from "../turbo/mod.ts";

export { parseFrame, PROTOCOL, sinceOf } from "../turbo/testing.ts";

/** Whether to run only the tests that need neither a browser nor a second process. */
export const QUICK: boolean = Deno.env.get("TEST_QUICK") !== undefined;

/** Options of a test with a second process. */
export const WITH_PROCESS: Pick<Deno.TestDefinition, "ignore"> = { ignore: QUICK };

/** Options of a test with a browser, which keeps resources of its own between tests. */
export const WITH_BROWSER: Pick<
  Deno.TestDefinition,
  "ignore" | "sanitizeOps" | "sanitizeResources"
> = { ignore: QUICK, sanitizeOps: false, sanitizeResources: false };

/** Throws when a test uses what its options do not declare. */
export function assertNotQuick(options: "WITH_BROWSER" | "WITH_PROCESS"): void {
  if (QUICK) throw new Error(`This test needs the options ${options}`);
}

/**
 * The factor of all deadlines: TEST_DEADLINE_FACTOR, or how many processes compete for each
 * processor of this machine. A deadline only ends what hangs, so a long one does not slow down a good test.
 */
const FACTOR = Number(
  Deno.env.get("TEST_DEADLINE_FACTOR") ??
    Math.max(1, Deno.loadavg()[0]! / navigator.hardwareConcurrency),
);
const USUAL = 30_000;

/** How long an awaited event may take on this machine, in milliseconds. */
export const DEADLINE: number = scaled(USUAL);

/**
 * Resolves as `promise` does, or rejects after the deadline with what it waited for. The deadline is in
 * milliseconds of an idle machine.
 */
export function within<T>(
  promise: Promise<T>,
  what: string,
  milliseconds: number = USUAL,
): Promise<T> {
  return beforeDeadline(promise, `for ${what}`, milliseconds);
}

/** Waits until a condition holds, polling every few milliseconds. The deadline is as for `within`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  milliseconds: number = USUAL,
): Promise<void> {
  let isOver = false;
  const looking = (async () => {
    while (!isOver && !await condition()) await pause(5);
  })();
  try {
    await beforeDeadline(looking, `until ${what}`, milliseconds);
  } finally {
    isOver = true;
  }
}

async function beforeDeadline<T>(
  promise: Promise<T>,
  words: string,
  milliseconds: number,
): Promise<T> {
  const deadline = scaled(milliseconds);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = () => reject(new Error(`Waited ${deadline} ms in vain ${words}`));
    timer = setTimeout(fail, deadline);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs a function for each item, a few at a time, so that their waits overlap. All are run; then their
 * errors are thrown together.
 */
export async function sideBySide<T>(
  items: readonly T[],
  run: (item: T) => Promise<unknown>,
  atOnce = 4,
): Promise<void> {
  const rest = [...items];
  const errors: unknown[] = [];
  const lane = async () => {
    for (let item; (item = rest.shift()) !== undefined;) {
      await run(item).catch((error) => errors.push(error));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  if (errors.length > 0) throw new AggregateError(errors, errors.map(String).join("; "));
}

/** Waits until pages are connected: one, or the given number with the given name. */
export function connected(
  turbo: Turbo,
  options: Omit<ConnectedOptions, "deadline"> = {},
): Promise<void> {
  return isConnected(turbo, { ...options, deadline: DEADLINE });
}

/**
 * Waits where there is no event to wait for. A timer of this process that was set before, with a shorter
 * time, has fired by then, however busy the machine is.
 */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A server in this process. */
export interface TestServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** The port. */
  readonly port: number;
}

/** Serves on a free port, or on a given one. */
export function serve(
  handler: (request: Request, info: Deno.ServeHandlerInfo) => Response | Promise<Response>,
  port = 0,
): TestServer {
  const server = Deno.serve({ port, hostname: "127.0.0.1", onListen() {} }, handler);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    port: server.addr.port,
    [Symbol.asyncDispose]: () => within(server.shutdown(), "the server to end"),
  };
}

/**
 * A port on which nothing listens, for a server that starts later or starts twice. It is outside the range
 * from which Linux assigns ports (from 32,768), so no test that runs at the same time gets it meanwhile.
 */
export function freePort(): number {
  while (true) {
    const port = 11_000 + Math.floor(Math.random() * 20_000); // browsers refuse some lower ones
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** Whether something listens on a port of this machine. */
export async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

/** Only a stream, on a server in this process that answers every path with it. */
export function serveStream(
  options: TurboOptions = {},
): { readonly turbo: Turbo; readonly url: string } & AsyncDisposable {
  const turbo = new Turbo(options);
  const server = serve((request) => turbo.connect(request));
  return {
    turbo,
    url: server.url,
    async [Symbol.asyncDispose]() {
      await turbo.close({ deadline: 1_000, window: 0 });
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A WebSocket client that keeps what it receives. */
export interface TestClient extends AsyncDisposable {
  /** The socket. */
  readonly socket: WebSocket;
  /** All messages so far. */
  readonly messages: string[];
  /** Resolves to the next message. */
  next(): Promise<string>;
  /** Resolves to the close event. */
  readonly closed: Promise<CloseEvent>;
}

/** Connects to the stream of a server, with the sub-protocol or without. */
export async function connect(
  url: string,
  { path = "/turbo-stream", protocol, headers = {} }: {
    path?: string;
    protocol?: string;
    headers?: Record<string, string>;
  } = {},
): Promise<TestClient> {
  // Unlike a browser's, Deno's WebSocket accepts headers; the types here are those of a browser.
  const options = { ...(protocol !== undefined && { protocols: [protocol] }), headers };
  const socket = new WebSocket(url.replace(/^http/, "ws") + path, options as never);
  const messages: string[] = [];
  let taken = 0;
  let wake = () => {};
  socket.onmessage = ({ data }) => {
    messages.push(data);
    wake();
  };
  const closed = new Promise<CloseEvent>((resolve) => {
    socket.onclose = (event) => {
      resolve(event);
      wake();
    };
  });
  socket.onerror = () => {};
  await within(
    new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      closed.then((event) => reject(new Error(`Not opened: ${event.code} ${event.reason}`)));
    }),
    "the socket to open",
  );
  return {
    socket,
    messages,
    closed,
    async next() {
      if (taken === messages.length) {
        await within(new Promise<void>((resolve) => wake = resolve), "a message");
      }
      if (taken === messages.length) throw new Error("Closed before a message came");
      return messages[taken++]!;
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await within(closed, "the socket to close");
    },
  };
}

/** A log that keeps its events in memory, but those at debug: `level: message`. */
export function memoryLog():
  & Record<"error" | "warn" | "info" | "debug", (message: string) => void>
  & {
    readonly events: string[];
  } {
  const events: string[] = [];
  const at = (level: string) => (message: string) => void events.push(`${level}: ${message}`);
  return {
    events,
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug() {},
  };
}

function scaled(milliseconds: number): number {
  return Math.round(milliseconds * FACTOR);
}

/** Makes a directory that is removed with the test. */
export function directory(): { readonly path: string; files(): string[] } & Disposable {
  const path = Deno.makeTempDirSync();
  return {
    path,
    files: () => [...Deno.readDirSync(path)].map(({ name }) => name).sort(),
    [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }),
  };
}
