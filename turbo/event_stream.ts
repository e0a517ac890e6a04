/**
 * Pages that are reached by server-sent events (WHATWG HTML, section 9.2).
 *
 * @module
 */
import type { Visitor } from "./admission.ts";
import { type Carrier, type Connection, ofLast } from "./connection.ts";
import { AWAY_EVENT, CLOSE, type Close, eventsOf, type Message } from "./protocol.ts";
import type { Readers } from "./readers.ts";

const encoder = new TextEncoder();
const encoded = ofLast((messages: readonly Message[]) => encoder.encode(eventsOf(messages)));

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

  close({ code }: Close): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    // Deno writes to the log what a body fails with: one line, and no stack.
    if (code === CLOSE.tooSlow.code) {
      this.#controller.error("A reader of server-sent events is too slow");
    } else {
      // The browser comes back after every end; the client does not after this event.
      if (code === CLOSE.sentAway.code) this.#controller.enqueue(encoder.encode(AWAY_EVENT));
      this.#controller.close();
    }
    this.#onClose(); // what we end is not reported as cancelled
  }
}

/** Opens a stream of events for a visitor whose request was admitted. */
export function openEventStream(
  visitor: Visitor,
  { readers, highWaterMark }: { readers: Readers; highWaterMark: number },
): Response {
  visitor.opened();
  let connection: Connection | undefined = undefined;
  const carrier = new EventStreamCarrier({
    retry: 500 + Math.floor(Math.random() * 1_000),
    highWaterMark,
    onClose: () => {
      if (connection) readers.remove(connection);
    },
  });
  connection = readers.add(carrier, visitor);
  return new Response(carrier.body, {
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-store",
      "X-Accel-Buffering": "no",
    },
  });
}
