/**
 * Connections by server-sent events (WHATWG HTML, section 9.2).
 *
 * @module
 */
import type { Visitor } from "./admission.ts";
import { type Carrier, type Connection, ofLast } from "./connection.ts";
import { AGAIN_EVENT, AWAY_EVENT, CLOSE, type Close, eventsOf, type Message } from "./protocol.ts";
import { CLOCK } from "./clock.ts";
import type { Readers } from "./readers.ts";

const encoder = new TextEncoder();
const encoded = ofLast((messages: readonly Message[]) => encoder.encode(eventsOf(messages)));

/** Milliseconds between announcing the end of a stream and ending it. */
const NOTICE = 1_000;

/** Carries messages in the body of an answer, which lasts until either side ends it. */
export class EventStreamCarrier implements Carrier {
  readonly endsLater = false;
  /** The body. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #highWaterMark: number;
  readonly #onClose: () => void;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #isOpen = true;
  /** Sent with the first event, because some clients treat a lone `retry` as an empty message. */
  #retry: string;

  /** Opens the stream; `retry` is how many milliseconds the browser waits before it reconnects. */
  constructor(options: { retry: number; highWaterMark: number; onClose: () => void }) {
    this.#highWaterMark = options.highWaterMark;
    this.#onClose = options.onClose;
    this.#retry = `retry: ${options.retry}\n`;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#isOpen = false;
        this.#onClose();
      },
    }, { highWaterMark: options.highWaterMark, size: (chunk) => chunk?.byteLength ?? 0 });
  }

  get buffered(): number {
    return this.#highWaterMark - (this.#controller.desiredSize ?? 0);
  }

  send(messages: readonly Message[]): number {
    if (!this.#isOpen) return 0;
    const bytes = this.#retry === ""
      ? encoded(messages)
      : encoder.encode(this.#retry + eventsOf(messages));
    this.#retry = "";
    this.#controller.enqueue(bytes);
    return bytes.byteLength;
  }

  /** Tells our client to close the stream and to connect again at once. */
  comeBack(): void {
    if (this.#isOpen) this.#controller.enqueue(encoder.encode(AGAIN_EVENT));
  }

  close(close: Close): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    // Closing normally would keep what the reader has not taken until the operating system gives it up.
    // A string, because Deno logs the reason: one line without a stack.
    if (close === CLOSE.tooSlow || (close === CLOSE.again && this.buffered > 0)) {
      this.#controller.error("A reader of server-sent events takes nothing");
    } else {
      // A browser reconnects after every end; our client does not after this event.
      if (close === CLOSE.sentAway) this.#controller.enqueue(encoder.encode(AWAY_EVENT));
      this.#controller.close();
    }
    this.#onClose(); // `cancel` is not called for a stream that we end
  }
}

/** Options of {@linkcode openEventStream}. */
export interface EventStreamOptions {
  /** All connections. */
  readers: Readers;
  /** Bytes that may wait in the stream. */
  highWaterMark: number;
  /** About how many milliseconds a stream lasts. */
  lifetime: number;
}

/**
 * Opens an event stream for a client whose request was admitted. The stream ends after `lifetime`, and
 * the client reconnects. Without that, a client that vanished would count as connected until the
 * operating system gives up its connection.
 */
export function openEventStream(
  visitor: Visitor,
  { readers, highWaterMark, lifetime }: EventStreamOptions,
): Response {
  const refusal = visitor.opened();
  if (refusal) throw new Error(`Cannot open a stream of events: ${refusal.reason}`);
  let connection: Connection | undefined = undefined;
  const carrier = new EventStreamCarrier({
    retry: 500 + Math.floor(Math.random() * 1_000),
    highWaterMark,
    onClose: () => {
      cancel();
      if (connection) readers.remove(connection);
    },
  });
  // With jitter, so that streams that opened together do not end together. In whole seconds, because Deno
  // keeps some memory for every distinct timer length.
  let cancel = CLOCK.later(() => {
    cancel = CLOCK.later(() => connection && readers.sendBack(connection), NOTICE);
    carrier.comeBack();
  }, Math.ceil(lifetime * (0.75 + Math.random() / 2) / 1_000) * 1_000);
  connection = readers.add(carrier, visitor);
  return new Response(carrier.body, {
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-store",
      // Hono's etag() would read an answer without an ETag to its end.
      "ETag": 'W/"stream"',
      "X-Accel-Buffering": "no",
      ...(visitor.origin !== undefined && corsFor(visitor.origin)),
    },
  });
}

/** The headers that let a page of another origin read the answer (WHATWG Fetch, section 3.3.3). */
function corsFor(origin: string): Record<string, string> {
  return {
    "Access-Control-Allow-Origin": origin,
    "Access-Control-Allow-Credentials": "true",
    "Vary": "Origin",
  };
}
