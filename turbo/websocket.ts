/**
 * Connections by WebSocket (RFC 6455), with the sub-protocol or without.
 *
 * @module
 */
import type { Visitor } from "./admission.ts";
import { type Carrier, type Connection, ofLast } from "./connection.ts";
import {
  CLOSE,
  type Close,
  frameOf,
  isTooLong,
  MAX_STRAY_MESSAGES,
  type Message,
  NOTE_RATE,
  offersProtocol,
  parseNote,
  parseShown,
  parseSince,
  PROTOCOL,
  SINCE_RATE,
} from "./protocol.ts";
import { CLOCK } from "./clock.ts";
import { silencePromises } from "./report.ts";
import { MinuteWindow, TokenBucket } from "./rate.ts";
import type { Readers } from "./readers.ts";

/** The parts of a server's WebSocket that are used here: Deno's, or that of an adapter. */
export interface ServerSocket {
  /** Bytes that wait to be sent, because the operating system has not taken them yet. */
  readonly bufferedAmount: number;
  /** Sends a text. Does nothing while the socket is closing. */
  send(text: string): void;
  /** Closes the socket. */
  close(code: number, reason?: string): void;
  /** Called when the socket has opened, after `upgrade` has returned. */
  onopen: ((event: Event) => void) | null;
  /** Called with each message of the client: a text, or binary data. */
  onmessage: ((event: MessageEvent) => void) | null;
  /** Called when the TCP connection has ended, or the socket has failed to open. */
  onclose: ((event: CloseEvent) => void) | null;
  /** Called when the socket has failed. */
  onerror: ((event: Event) => void) | null;
}

/** The parts of Hono's context that a request for the stream needs. */
export interface StreamContext {
  /** Hono's request. */
  readonly req: { readonly raw: Request };
  /** What the server passes to the app with the request. */
  readonly env?: unknown;
}

/** Options of {@linkcode Upgrade}. */
export interface UpgradeOptions {
  /** The sub-protocol to answer with; none where it is left out. */
  protocol?: string;
  /** Seconds of silence after which the WebSocket counts as dead. Half of that is when to send a ping. */
  idleTimeout: number;
  /** The context of the request, where `connect` or the middleware has one. */
  context?: StreamContext;
}

/** Upgrades a request to a WebSocket, as `Deno.upgradeWebSocket` does. */
export type Upgrade = (
  request: Request,
  options: UpgradeOptions,
) => { socket: ServerSocket; response: Response };

/** Options of {@linkcode openWebSocket}. */
export interface WebSocketOptions {
  /** All connections. */
  readers: Readers;
  /** Upgrades a request to a WebSocket. */
  upgrade: Upgrade;
  /** Milliseconds of silence after which the connection counts as dead. */
  idleTimeout: number;
  /** The context of the request, where there is one. */
  context: StreamContext | undefined;
  /** Reports what a callback threw. */
  report: (message: string, error: unknown) => void;
}

/** Milliseconds. A close at once would make Deno reset a client that has sent more, losing the close code. */
const CLOSE_DELAY = 20;

const framed = ofLast((messages) => sized(frameOf(messages)));
const joined = ofLast((messages) => sized(messages.map(({ html }) => html).join("")));

/** Carries messages over an open WebSocket. Without the sub-protocol it sends HTML without cursors. */
export class WebSocketCarrier implements Carrier {
  readonly endsLater = true;
  readonly #socket: ServerSocket;
  readonly #form: (messages: readonly Message[]) => { text: string; bytes: number };

  /** Wraps a socket; `isNaked` where it has no sub-protocol. */
  constructor(socket: ServerSocket, { isNaked }: { isNaked: boolean }) {
    this.#socket = socket;
    this.#form = isNaked ? joined : framed;
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(messages: readonly Message[]): number {
    const { text, bytes } = this.#form(messages);
    if (text !== "") this.#socket.send(text); // a closing socket ignores it
    return bytes;
  }

  close({ code, reason }: Close): void {
    this.#socket.close(code, reason);
  }
}

/** Opens a WebSocket for a client whose handshake was admitted. */
export function openWebSocket(
  request: Request,
  visitor: Visitor,
  { readers, upgrade, idleTimeout, context, report }: WebSocketOptions,
): Response {
  const isNaked = !offersProtocol(request.headers.get("Sec-WebSocket-Protocol") ?? "");
  const upgraded = upgrade(request, {
    idleTimeout: Math.ceil(idleTimeout / 1000),
    ...(!isNaked && { protocol: PROTOCOL }),
    ...(context && { context }),
  });
  if (silencePromises(upgraded)) throw new TypeError("upgrade must not return a promise");
  const { socket, response } = upgraded;
  let connection: Connection | undefined;
  let closing: ReturnType<typeof setTimeout> | undefined;
  let rate: TokenBucket | MinuteWindow | undefined;
  let reportRate: TokenBucket | undefined;
  let noteRate: TokenBucket | undefined;

  function open(): void {
    const refusal = visitor.opened();
    const carrier = new WebSocketCarrier(socket, { isNaked });
    if (!refusal) return void (connection = readers.add(carrier, visitor));
    if (refusal !== CLOSE.noPlace) connection = readers.refuse(carrier, visitor);
    end(refusal);
  }

  function receive(data: unknown): void {
    if (!connection || connection.hasEnded) return;
    if (typeof data !== "string") return end(CLOSE.binary);
    if (isTooLong(data)) return end(CLOSE.tooLong);
    const shown = isNaked ? undefined : parseShown(data);
    if (shown) {
      reportRate ??= new TokenBucket(SINCE_RATE, CLOCK);
      return reportRate.take() ? readers.shown(connection, shown) : end(CLOSE.tooMany);
    }
    const note = isNaked ? undefined : parseNote(data);
    if (note) {
      noteRate ??= new TokenBucket(NOTE_RATE, CLOCK);
      return noteRate.take() ? readers.noted(connection, note) : end(CLOSE.tooMany);
    }
    rate ??= isNaked
      ? new MinuteWindow(MAX_STRAY_MESSAGES, CLOCK)
      : new TokenBucket(SINCE_RATE, CLOCK);
    const since = isNaked ? undefined : parseSince(data);
    if (!isNaked && !since) return end(CLOSE.notSince);
    if (!rate.take()) return end(CLOSE.tooMany);
    if (!since) return;
    if (!readers.resume(connection, since)) end(CLOSE.doesNotRead);
  }

  function end(close: Close): void {
    const { code, reason } = close;
    if (connection) readers.forget(connection, close);
    socket.onmessage = null; // a flood would go on until the socket is closed
    closing ??= setTimeout(() => socket.close(code, reason), CLOSE_DELAY);
  }

  function gone(event: Event): void {
    clearTimeout(closing);
    // Not every adapter knows whether an end was clean.
    const isCut = event.type === "error" || (event as Partial<CloseEvent>).wasClean === false;
    if (connection) readers.remove(connection, isCut ? "lost" : "left");
    visitor.release();
  }

  // An error thrown in a callback of a socket would end the process.
  function guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      report("A connection failed:", error);
      end(CLOSE.failed);
    }
  }

  // Deno keeps the socket of a handshake that was reset, so it must not reference anything of ours.
  visitor.onLate = () => {
    socket.onopen = closeLate;
    socket.onmessage = socket.onclose = socket.onerror = null;
  };
  socket.onopen = () => guard(open);
  socket.onmessage = ({ data }) => guard(() => receive(data));
  socket.onclose = gone;
  socket.onerror = gone;
  return response;
}

function closeLate({ target }: Event): void {
  const { code, reason } = CLOSE.openedLate;
  (target as unknown as ServerSocket).close(code, reason);
}

function sized(text: string): { text: string; bytes: number } {
  return { text, bytes: Buffer.byteLength(text) };
}
