/**
 * Servers, clients and processes for tests. All end with the test, and nothing waits for ever.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };

/** How long an awaited event may take, in milliseconds. */
export const DEADLINE = 10_000;

/** Resolves as `promise` does; rejects with what it waited for after the deadline. */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  milliseconds: number = DEADLINE,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Waited ${milliseconds} ms in vain for ${what}`)),
      milliseconds,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until a condition holds, looking every few milliseconds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  milliseconds: number = DEADLINE,
): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`Waited ${milliseconds} ms in vain until ${what}`);
    await pause(5);
  }
}

/** For what has no event to wait for. */
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

/** A WebSocket client that keeps what it receives. */
export interface TestClient extends AsyncDisposable {
  /** The socket. */
  readonly socket: WebSocket;
  /** All messages so far. */
  readonly messages: string[];
  /** The first message that has not been taken yet. */
  next(): Promise<string>;
  /** How it was closed. */
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
  // Deno's socket takes headers, a browser's does not; the types here are those of a browser.
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

/** The permissions of `deno task start`, without the quotes that some of them need in a shell. */
export const START_FLAGS: string[] = config.tasks.start.command.replaceAll('"', "").split(" ")
  .slice(2, -1);

/** The app in a process of its own. */
export interface TestProcess extends AsyncDisposable {
  /** Where it listens. */
  readonly url: string;
  /** The process. */
  readonly child: Deno.ChildProcess;
  /** What it has written so far. */
  readonly output: { stdout: string; stderr: string };
}

/** Starts `main.ts` as `deno task start` does, on a free port. */
export async function startApp(
  args: string[] = ["--port", "0", "--hostname", "127.0.0.1"],
  env: Record<string, string> = {},
): Promise<TestProcess> {
  const child = runApp(args, env);
  const output = { stdout: "", stderr: "" };
  let wake = () => {};
  const read = async (stream: ReadableStream<Uint8Array>, name: "stdout" | "stderr") => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      output[name] += decoder.decode(chunk, { stream: true });
      wake();
    }
    wake();
  };
  const reading = Promise.all([read(child.stdout, "stdout"), read(child.stderr, "stderr")]);
  const listening = /Listening on (http\S+)\//;
  let ended = false;
  child.status.then(() => ended = true);
  await within(
    (async () => {
      while (!listening.test(output.stdout) && !ended) {
        await new Promise<void>((resolve) => wake = resolve);
      }
    })(),
    "the app to listen",
    30_000,
  );
  if (ended) throw new Error(`The app ended: ${output.stderr}`);
  return {
    url: listening.exec(output.stdout)![1]!,
    child,
    output,
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended already
      }
      await within(child.status, "the app to end");
      await reading;
    },
  };
}

/** Runs `main.ts` to its end, for what does not start. */
export async function endApp(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = runApp(args, env);
  const { code, stdout, stderr } = await within(child.output(), "the app to end", 30_000);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function runApp(args: string[], env: Record<string, string>): Deno.ChildProcess {
  const main = new URL("../main.ts", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", ...START_FLAGS, main, ...args],
    env: { NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Whether a program is there and ends well with these arguments. */
export async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  try {
    const command = new Deno.Command(program, { args, stdout: "null", stderr: "null" });
    return (await command.output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
