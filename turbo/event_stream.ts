/**
 * Pages that are reached by server-sent events (WHATWG HTML, section 9.2).
 *
 * @module
 */
import type { Visitor } from "./admission.ts";
import { type Carrier, type Connection, ofLast } from "./connection.ts";
import { AGAIN_EVENT, AWAY_EVENT, CLOSE, type Close, eventsOf, type Message } from "./protocol.ts";
import { CLOCK } from "./pace.ts";
import type { Readers } from "./readers.ts";

const encoder = new TextEncoder();
const encoded = ofLast((messages: readonly Message[]) => encoder.encode(eventsOf(messages)));

/** Milliseconds between the announcement of an end and the end. */
const NOTICE = 1_000;

/** The body of an answer, which goes on until either side ends it. */
export class EventStreamCarrier implements Carrier {
  readonly endsLater = false;
  /** The body. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #highWaterMark: number;
  readonly #onClose: () => void;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #isOpen = true;
  /** Goes out with the first event: some clients take a `retry` alone for an empty message. */
  #retry: string;

  /** An open stream; `retry` tells the browser how many milliseconds to wait before it comes back. */
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

  /** Says that the end is near: the client ends it itself, and comes back at once. */
  announceEnd(): void {
    if (this.#isOpen) this.#controller.enqueue(encoder.encode(AGAIN_EVENT));
  }

  close(close: Close): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    // What a reader who has vanished does not take would wait for as long as the system waits for it.
    // Deno writes to the log what a body fails with: one line, and no stack.
    if (close === CLOSE.tooSlow || (close === CLOSE.again && this.buffered > 0)) {
      this.#controller.error("A reader of server-sent events takes nothing");
    } else {
      // The browser comes back after every end; the client does not after this event.
      if (close === CLOSE.sentAway) this.#controller.enqueue(encoder.encode(AWAY_EVENT));
      this.#controller.close();
    }
    this.#onClose(); // what we end is not reported as cancelled
  }
}

/** What opens streams of events, and for whom. */
export interface EventStreamOptions {
  /** All open pages. */
  readers: Readers;
  /** Bytes that may wait for a reader. */
  highWaterMark: number;
  /** Milliseconds for which one lasts, about. */
  lifetime: number;
}

/**
 * Opens a stream of events for a visitor whose request was admitted. It is ended after some time, and
 * the reader comes back: of one who has vanished the system tells nothing for as long as it waits.
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
  // Not all at once, where all have come at once. By the second: Deno keeps something for each length
  // of a timer that there was.
  let cancel = CLOCK.later(() => {
    cancel = CLOCK.later(() => connection && readers.sendBack(connection), NOTICE);
    carrier.announceEnd();
  }, Math.ceil(lifetime * (0.75 + Math.random() / 2) / 1_000) * 1_000);
  connection = readers.add(carrier, visitor);
  return new Response(carrier.body, {
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-store",
      // Hono's etag() would read an answer that has none to its end.
      "ETag": 'W/"stream"',
      "X-Accel-Buffering": "no",
      ...(visitor.origin !== undefined && corsFor(visitor.origin)),
    },
  });
}

/** What lets a page of another origin read the answer (WHATWG Fetch, section 3.3.3). */
function corsFor(origin: string): Record<string, string> {
  return {
    "Access-Control-Allow-Origin": origin,
    "Access-Control-Allow-Credentials": "true",
    "Vary": "Origin",
  };
}
