/**
 * Only a stream, in a process of its own; or, as a control, a minimal Deno server for the same clients.
 * Whatever memory the control keeps of them is kept by Deno.
 *
 * It takes {@linkcode StreamAppOptions} as JSON and pushes numbered entries. It reads commands, one a
 * line: `report` writes a {@linkcode StreamReport}; `close` closes the stream and then writes `closed`.
 *
 * @module
 */
import { append, raw, type ServerSocket, Turbo, type TurboOptions } from "../../turbo/mod.ts";

/** Options of the app. */
export interface StreamAppOptions {
  /** Options of the stream, as far as JSON can express them. */
  turbo?: Pick<TurboOptions, "maxConnections" | "idleTimeout"> & Record<string, unknown>;
  /** The entries in the log at the start. */
  log?: LogContent;
  /** How many pushes to make in a second. Default 10. */
  rate?: number;
  /** Whether it is the control. */
  isControl?: boolean;
  /** The address on which it listens. Default `127.0.0.1`. */
  hostname?: string;
}

/** Entries of a log. */
export interface LogContent {
  /** How many. */
  entries: number;
  /** For how many names, which nobody has, each entry is. Default: for everyone. */
  names?: number;
  /** Bytes of each entry. Default: few. */
  bytes?: number;
}

/** The state of the app. */
export interface StreamReport {
  /** Bytes of memory, after garbage collection if the process exposes it. */
  rss: number;
  /** Bytes of it that JavaScript uses. */
  heap: number;
  /** Open connections. */
  size: number;
  /** Connections that were closed and whose end is not reported yet. */
  zombies: number;
  /** Bytes that the system has not taken yet. */
  buffered: number;
  /** WebSockets that were answered 101. */
  upgraded: number;
  /** How many of them Deno has reported as open. */
  opened: number;
  /** How often it has pushed. */
  pushed: number;
  /** The cursor before the entries that were in the log at the start. */
  cursor: string;
}

/** The server: of the stream or of the control. */
interface Subject {
  connect(request: Request): Response;
  push(html: string): void;
  close(): Promise<void>;
  counts(): Pick<StreamReport, "size" | "zombies" | "buffered">;
  cursor: string;
}

if (import.meta.main) {
  const options: StreamAppOptions = JSON.parse(Deno.args[0] ?? "{}");
  const { rate = 10, isControl = false, hostname = "127.0.0.1" } = options;
  let [upgraded, opened, pushed] = [0, 0, 0];
  const upgrade = (request: Request, settings: Deno.UpgradeWebSocketOptions) => {
    const upgrade = Deno.upgradeWebSocket(request, settings);
    upgraded++;
    upgrade.socket.addEventListener("open", () => opened++);
    return upgrade;
  };
  const subject = isControl ? control(upgrade) : stream(options, upgrade);
  const timer = setInterval(() => subject.push(`${++pushed}`), 1000 / rate);
  const { addr: { port } } = Deno.serve(
    { port: 0, hostname, onListen() {} },
    (request) => subject.connect(request),
  );
  console.log(`Listening on http://${hostname}:${port}`);

  const report = (): StreamReport => {
    collectGarbage();
    const { rss, heapUsed: heap } = Deno.memoryUsage();
    const { cursor } = subject;
    return { rss, heap, ...subject.counts(), upgraded, opened, pushed, cursor };
  };
  for await (const command of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    if (command === "report\n") console.log(JSON.stringify(report()));
    if (command !== "close\n") continue;
    clearInterval(timer);
    await subject.close();
    console.log("closed");
  }
  Deno.exit(); // the process that started it has ended
}

/** The stream. A client can set its address by `X-From`; without that it is not limited. */
function stream(
  { turbo: options, log }: StreamAppOptions,
  upgrade: TurboOptions["upgrade"] & object,
): Subject {
  const turbo = new Turbo({ ...options, upgrade });
  const { cursor } = turbo;
  if (log) fill(turbo, log);
  return {
    connect(request) {
      const address = request.headers.get("X-From");
      return turbo.connect(request, address === null ? {} : { address });
    },
    push: (text) => void turbo.push(append("list", raw(`<i>${text}</i>`))),
    close: () => turbo.close({ window: 0, deadline: 3_600_000 }),
    counts: () => ({ size: turbo.size, zombies: turbo.zombies, buffered: turbo.buffered }),
    cursor,
  };
}

function fill(turbo: Turbo, { entries, names, bytes = 0 }: LogContent): void {
  const to = names === undefined
    ? {}
    : { to: Array.from({ length: names }, (_, index) => `user-${index}`) };
  const content = raw("x".repeat(bytes));
  for (let i = 0; i < entries; i++) turbo.push(append("list", content), to);
}

/** Deno's own server. It only keeps a set of open sockets and sends to them. */
function control(upgrade: TurboOptions["upgrade"] & object): Subject {
  const sockets = new Set<ServerSocket>();
  const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const encoder = new TextEncoder();

  function openSocket(request: Request): Response {
    const protocol = request.headers.get("Sec-WebSocket-Protocol");
    const { socket, response } = upgrade(request, {
      idleTimeout: 30,
      ...(protocol !== null && { protocol }),
    });
    socket.onopen = () => sockets.add(socket);
    socket.onmessage = () => {
      sockets.delete(socket);
      socket.close(1003); // whatever the hostile clients send is invalid
    };
    socket.onclose = socket.onerror = () => sockets.delete(socket);
    return response;
  }

  function openStream(): Response {
    let own: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => void streams.add(own = controller),
      cancel: () => void streams.delete(own),
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  return {
    connect: (request) => request.headers.has("Upgrade") ? openSocket(request) : openStream(),
    push(text) {
      for (const socket of sockets) socket.send(JSON.stringify([["control.0", `<i>${text}</i>`]]));
      const event = encoder.encode(`data: <i>${text}</i>\n\n`);
      for (const controller of streams) controller.enqueue(event);
    },
    close: () => Promise.resolve(),
    counts: () => ({ size: sockets.size + streams.size, zombies: 0, buffered: 0 }),
    cursor: "control.0",
  };
}

/** Exists with `--v8-flags=--expose-gc`. */
function collectGarbage(): void {
  const { gc } = globalThis as { gc?: () => void };
  for (let i = 0; i < 3; i++) gc?.();
}
