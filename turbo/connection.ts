/**
 * One open page: the line to it, and how far in the log it is.
 *
 * @module
 */
import type { Entry, Log } from "./log.ts";
import { refresh } from "./streams.ts";

/** The sub-protocol of the client that comes with this extension. */
export const PROTOCOL = "turbo-stream.v1";

const REFRESH = refresh();
/** Bytes that an entry's cursor and framing take at most, but for those of each line of an event. */
const MAX_FRAMING = 128;
const encoder = new TextEncoder();

/** When a connection counts as behind, and when it is given up. */
export interface ConnectionLimits {
  /** Bytes waiting to be sent above which a connection is fed from the log. Default 64 KiB. */
  behindAfter: number;
  /** Bytes waiting to be sent above which a connection that takes nothing is dropped. Default 1 MiB. */
  maxBuffered: number;
  /** Milliseconds for which a connection may take nothing. Default 10,000. */
  dropAfter: number;
}

/** What carries messages to one page. */
export interface Line {
  /** Bytes given to it and not yet taken by the system. */
  readonly buffered: number;
  /** Sends an entry. */
  send(entry: Pick<Entry, "cursor" | "html">): void;
  /** Sends a cursor alone: a marker or a heartbeat. Does nothing on a naked line. */
  mark(cursor: string): void;
  /** Ends it; the code is one of RFC 6455, section 7.4, or of the range 4000 to 4999. */
  close(code: number, reason: string): void;
}

/** A line over a WebSocket, with cursors or naked. */
export class WebSocketLine implements Line {
  readonly #socket: WebSocket;
  readonly #naked: boolean;

  /** A line over a socket that is open. */
  constructor(socket: WebSocket, { naked }: { naked: boolean }) {
    this.#socket = socket;
    this.#naked = naked;
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  send(entry: Pick<Entry, "cursor" | "html">): void {
    this.#socket.send(this.#naked ? entry.html : frameOf(entry)); // one that is closing ignores it
  }

  mark(cursor: string): void {
    if (!this.#naked) this.send({ cursor, html: "" });
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
}

/** A line of server-sent events (WHATWG HTML, section 9.2). */
export class EventStreamLine implements Line {
  /** The body of the answer. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #highWaterMark: number;
  readonly #onClose: () => void;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #open = true;

  /** An open line; `retry` tells the browser how many milliseconds to wait before it comes back. */
  constructor(options: { retry: number; highWaterMark: number; onClose: () => void }) {
    this.#highWaterMark = options.highWaterMark;
    this.#onClose = options.onClose;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        controller.enqueue(encoder.encode(`retry: ${options.retry}\n\n`));
      },
      cancel: () => {
        this.#open = false;
        this.#onClose();
      },
    }, { highWaterMark: options.highWaterMark, size: (chunk) => chunk?.byteLength ?? 0 });
  }

  get buffered(): number {
    return this.#highWaterMark - (this.#controller.desiredSize ?? 0);
  }

  send(entry: Pick<Entry, "cursor" | "html">): void {
    if (this.#open) this.#controller.enqueue(eventOf(entry));
  }

  // A named event, for Turbo's own stream source would take an unnamed one as a message.
  mark(cursor: string): void {
    if (!this.#open) return;
    this.#controller.enqueue(encoder.encode(`event: cursor\nid: ${cursor}\ndata:\n\n`));
  }

  close(code: number): void {
    if (!this.#open) return;
    this.#open = false;
    // Deno writes to the log what a body fails with: one line, and no stack.
    if (code === TOO_SLOW) this.#controller.error("A reader of server-sent events is too slow");
    else {
      // The browser comes back after every end; the client does not after this event.
      if (code === SENT_AWAY) this.#controller.enqueue(encoder.encode("event: away\ndata:\n\n"));
      this.#controller.close();
    }
    this.#onClose(); // what we end is not reported as cancelled
  }
}

/** Close code: the reader takes nothing (RFC 6455 registry, "try again later"). */
export const TOO_SLOW = 1013;

/** Close code: the reader was sent away, and its page does not come back by itself. */
export const SENT_AWAY = 4001;

/** One open page. It is live, or behind and fed from the log. */
export class Connection {
  /** What it is reached through. */
  readonly line: Line;
  /** Whether it has had everything. */
  live = true;
  /** When something was last sent, in beats. */
  sentAt = 0;
  /** What may be buffered at most: what was when last asked, and all that was sent since. */
  #mayBeBuffered = 0;
  readonly #limits: ConnectionLimits;
  /** The page's own id, which `except` names; a Turbo visit changes it. */
  page: string | undefined;
  /** The names that it listens to. */
  names: ReadonlySet<string> = new Set();
  /** Gives back the place that it takes. */
  readonly release: () => void;
  readonly #log: Log;
  #position: number;
  #buffered = 0;
  #stuckSince = 0;

  /** A connection that is live from now on. */
  constructor(line: Line, log: Log, limits: ConnectionLimits, release: () => void) {
    this.line = line;
    this.release = release;
    this.#log = log;
    this.#limits = limits;
    this.#position = log.position;
    this.#mayBeBuffered = line.buffered;
  }

  /** Sends a new entry, or falls behind where too much waits already. Nothing while behind. */
  deliver(entry: Entry, beat: number): void {
    if (!this.live) return;
    // To ask is most of what a message costs here, so it is asked only where it can matter.
    if (this.#mayBeBuffered > this.#limits.behindAfter) {
      this.#mayBeBuffered = this.line.buffered;
      if (this.#mayBeBuffered > this.#limits.behindAfter) {
        return this.#fallBehind(entry.position - 1);
      }
    }
    this.#mayBeBuffered += entry.bytes + MAX_FRAMING;
    this.sentAt = beat;
    if (entry.except !== undefined && entry.except === this.page) this.line.mark(this.#log.beat());
    else this.line.send(entry);
  }

  /** Sends a heartbeat, which takes the page's cursor to the newest position. */
  beat(beat: number): void {
    if (!this.live) return;
    this.sentAt = beat;
    this.#mayBeBuffered += MAX_FRAMING;
    this.line.mark(this.#log.beat());
  }

  /** Answers a `since`: the cursor alone, then what came after it. `feed` sends the rest. */
  resume(cursor: string): void {
    this.line.mark(cursor);
    const position = this.#log.positionOf(cursor);
    if (position === undefined) return this.#refresh();
    this.#fallBehind(position);
    this.feed();
  }

  /** Answers a `since` that cannot be answered: the page fetches itself anew. */
  refuse(cursor: string): void {
    this.line.mark(cursor);
    this.#refresh();
  }

  /** Sends what the line takes. `"stuck"`: it has taken nothing for too long. */
  feed(now: number = Date.now()): "live" | "behind" | "stuck" {
    const { behindAfter, maxBuffered, dropAfter } = this.#limits;
    const buffered = this.line.buffered;
    if (buffered > behindAfter) {
      const almost = 0.9 * dropAfter; // for it is looked at now and then only
      if (buffered < this.#buffered) this.#stuckSince = now;
      const stuck = buffered >= this.#buffered &&
        (buffered > maxBuffered || now - this.#stuckSince > almost);
      this.#buffered = buffered;
      return stuck ? "stuck" : "behind";
    }
    this.#stuckSince = now;
    const missed = this.#log.since(this.#position);
    if (missed === "gap") this.#refresh();
    else {
      for (const entry of missed) {
        if (this.line.buffered > behindAfter) {
          this.#buffered = this.line.buffered;
          return "behind";
        }
        if (this.#reads(entry)) this.line.send(entry);
        this.#position = entry.position;
      }
      this.live = true;
      this.#mayBeBuffered = this.line.buffered;
    }
    return "live";
  }

  #reads(entry: Entry): boolean {
    if (entry.except !== undefined && entry.except === this.page) return false;
    return entry.to === undefined || entry.to.some((name) => this.names.has(name));
  }

  #fallBehind(position: number): void {
    this.#position = position;
    if (!this.live) return; // asking again does not count as reading
    this.live = false;
    this.#buffered = this.line.buffered;
    this.#stuckSince = Date.now();
  }

  #refresh(): void {
    this.line.send({ cursor: this.#log.cursor, html: REFRESH });
    this.live = true;
    this.#mayBeBuffered = this.line.buffered;
  }
}

/** The frame of the sub-protocol: the cursor, a line feed, the HTML. */
const frameOf = ofLast((entry) => `${entry.cursor}\n${entry.html}`);

// WHATWG HTML, section 9.2.5: CR, LF and CRLF end a line, and a line that starts anew must say that
// it is data, or pushed content could write fields of its own.
const eventOf = ofLast(({ cursor, html }) => {
  const lines = html.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join("");
  return encoder.encode(`id: ${cursor}\n${lines}\n`);
});

// One entry goes to many lines in a row: it is put into its form once.
function ofLast<T>(form: (entry: Pick<Entry, "cursor" | "html">) => T) {
  let last: Pick<Entry, "cursor" | "html"> | undefined;
  let formed: T;
  return (entry: Pick<Entry, "cursor" | "html">): T => {
    if (entry !== last) [last, formed] = [entry, form(entry)];
    return formed!;
  };
}
