/**
 * Clients that behave as no browser does: they reset their connection, go silent or violate protocols,
 * and do nothing by themselves. They use `node:net`, because Deno's own sockets cannot reset.
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { DEADLINE, pause, PROTOCOL, within } from "./kit.ts";
import { HANDSHAKE, request } from "./raw.ts";

/** The head of a handshake with the sub-protocol. Headers can be added or removed. */
export function handshake(headers: Readonly<Record<string, string | undefined>> = {}): string {
  const all = { ...HANDSHAKE, "Sec-WebSocket-Protocol": PROTOCOL, ...headers };
  return request("GET /turbo-stream HTTP/1.1", all);
}

/** The head of a request for server-sent events. */
export const EVENTS: string = request("GET /turbo-stream HTTP/1.1", {
  Host: "127.0.0.1",
  Accept: "text/event-stream",
});

/** One TCP connection. It answers neither ping nor close, and stays open when the server ends its side. */
export class HostileClient implements AsyncDisposable {
  /** The status of the answer; 0 while there is none. */
  status = 0;
  /** How often bytes have arrived. Pushes that are a frame apart arrive one by one. */
  reads = 0;
  /** The code of the server's close frame (RFC 6455, section 5.5.1), when it has arrived. */
  closeCode: number | undefined;
  /** Whether the server has ended or reset the connection. */
  hasEnded = false;
  readonly #socket: Socket;
  readonly #gone: Promise<void>;
  #wake = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Uint8Array) => {
      if (this.reads++ === 0) this.status = statusIn(bytes);
      this.closeCode ??= closeCodeIn(bytes);
      this.#wake();
    });
    const end = () => {
      this.hasEnded = true;
      this.#wake();
    };
    socket.on("end", end);
    this.#gone = new Promise((resolve) => {
      socket.on("close", () => {
        end();
        resolve();
      });
    });
  }

  /** Connects. A client that cannot connect has ended, with status 0. */
  static open(port: number, hostname = "127.0.0.1"): Promise<HostileClient> {
    return new Promise((resolve) => {
      const socket = connect({ port, host: hostname, allowHalfOpen: true });
      const client = new HostileClient(socket);
      socket.on("connect", () => resolve(client));
      socket.on("error", () => resolve(client)); // "close" follows
    });
  }

  /** Whether the server has answered 101 and not ended the connection. */
  get isOpen(): boolean {
    return this.status === 101 && !this.hasEnded;
  }

  /** Whether the system takes more bytes at once. */
  get hasRoom(): boolean {
    return this.#socket.writableLength === 0;
  }

  /** Hands bytes to the system, without waiting until they are sent. */
  write(data: string | Uint8Array): void {
    this.#socket.write(data);
  }

  /** Waits until bytes have arrived some number of times. Returns whether they did before the end. */
  async read(times: number): Promise<boolean> {
    while (this.reads < times && !this.hasEnded) await this.#change();
    return this.reads >= times;
  }

  /** Waits for the status of the answer; 0 where the connection ends without one. */
  async answer(): Promise<number> {
    await this.read(1);
    return this.status;
  }

  /** Waits until the server has closed the WebSocket, which leaves the connection, or has ended it. */
  async closed(): Promise<void> {
    while (this.closeCode === undefined && !this.hasEnded) await this.#change();
  }

  /** Waits until the server has ended or reset the connection. */
  async ended(): Promise<void> {
    while (!this.hasEnded) await this.#change();
  }

  /** Ends its side of the connection. */
  finish(): void {
    this.#socket.end();
  }

  /** Resets the connection (RST), whatever is in transit. */
  async reset(): Promise<void> {
    this.#socket.resetAndDestroy();
    await this.#gone;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.reset();
  }

  // Only one caller may wait at a time.
  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }
}

/** Opens a connection, sends a request, and resets the connection before it can be answered. */
export async function resetAfter(head: string, port: number): Promise<void> {
  const client = await HostileClient.open(port);
  client.write(head);
  await client.reset();
}

/** Opens a connection, sends a request and waits for the answer. */
export async function ask(head: string, port: number): Promise<HostileClient> {
  const client = await HostileClient.open(port);
  client.write(head);
  await client.answer();
  return client;
}

/** Connections that are open at the same time. */
export interface Pages extends AsyncDisposable {
  /** How many the server has not ended. */
  readonly open: number;
  /** Waits until the server has ended all. */
  ended(): Promise<void>;
}

/**
 * Opens a number of WebSockets, retrying each until it has a place. If one is refused for too long,
 * there are fewer.
 */
export async function openPages(
  count: number,
  port: number,
  milliseconds: number = DEADLINE,
): Promise<Pages> {
  await using stack = new AsyncDisposableStack();
  const clients: HostileClient[] = [];
  const end = performance.now() + milliseconds;
  while (clients.length < count && performance.now() < end) {
    const client = await within(ask(handshake(), port), "an answer");
    if (client.isOpen) {
      clients.push(stack.use(client));
    } else {
      await client.reset();
      await pause(5);
    }
  }
  const opened = stack.move();
  return {
    get open() {
      return clients.filter(({ isOpen }) => isOpen).length;
    },
    ended: async () => void await Promise.all(clients.map((client) => client.ended())),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** The same frame a number of times, to be sent in one piece. */
export function repeat(frame: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(frame.length * times);
  for (let i = 0; i < times; i++) all.set(frame, i * frame.length);
  return all;
}

// A close is the last frame that a server sends, so its end is the end of the bytes.
function closeCodeIn(bytes: Uint8Array): number | undefined {
  for (let at = Math.max(0, bytes.length - 127); at < bytes.length - 3; at++) {
    if (bytes[at] === 0x88 && at + 2 + bytes[at + 1]! === bytes.length) {
      return bytes[at + 2]! << 8 | bytes[at + 3]!;
    }
  }
}

function statusIn(bytes: Uint8Array): number {
  return Number(String.fromCharCode(...bytes.subarray(9, 12)));
}
