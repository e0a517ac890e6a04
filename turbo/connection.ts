/**
 * One open page: how far in the log it is, and what it owes.
 *
 * @module
 */
import { NO_NAMES } from "./listeners.ts";
import type { Batch, Log } from "./log.ts";
import { type Close, type Message, REFRESH } from "./protocol.ts";

/**
 * When a connection counts as behind, and when it is given up.
 *
 * A reader that stops costs `behindAfter` bytes and one message at most, beside what the kernel holds;
 * by server-sent events up to two messages more, which Deno has taken from the stream already. It is
 * given up while more than `behindAfter` bytes wait: after `dropAfter` where no message is larger than
 * that, and else after as many times that as the largest one is larger. The log's `maxBytes` bounds a
 * message, so with the defaults that is 10 s, and with a message of 4 MiB 11 minutes.
 */
export interface ConnectionLimits {
  /** Bytes waiting to be sent above which nothing more is sent, and in one message. Default 64 KiB. */
  behindAfter: number;
  /**
   * Bytes waiting to be sent beside the largest message above which a connection that takes nothing
   * is dropped at once. Default 1 MiB.
   */
  maxBuffered: number;
  /**
   * Milliseconds in which a connection must take a message of up to `behindAfter` bytes; for a larger
   * one it has longer in proportion. Default 10,000: with 64 KiB it must take 6.5 KB a second.
   */
  dropAfter: number;
}

/** What carries messages to one page: a WebSocket, or a stream of server-sent events. */
export interface Carrier {
  /** Bytes given to it and not yet taken by the system. */
  readonly buffered: number;
  /** Whether the system reports its end some time after `close`. */
  readonly endsLater: boolean;
  /** Sends messages in one piece and returns how many bytes they are. */
  send(messages: readonly Message[]): number;
  /** Ends it. Says so to the page where it can. */
  close(close: Close): void;
}

/** What waits for a connection that did not take everything. */
export interface Waiting {
  /** Bytes that wait. */
  readonly buffered: number;
  /** Bytes of the largest message that may be among them. */
  readonly largest: number;
  /** When that is, in milliseconds of the monotonic clock. */
  readonly now: number;
}

/** What was seen of a connection that did not take everything. */
export interface Look {
  /** Bytes that waited. */
  readonly buffered: number;
  /** When, in milliseconds of the monotonic clock. */
  readonly at: number;
  /** For how many milliseconds it had taken nothing while this process looked. */
  readonly idle: number;
}

/** How a flush ended: all was sent, the connection takes no more now, or it has taken too little. */
export type Flushed = "current" | "blocked" | "stuck";

/** Milliseconds after which a second look says something. */
const MIN_LOOK = 25;
/**
 * Milliseconds before a look that it tells something of. A process that was stopped for a minute has
 * offered the reader nothing in that minute, so the minute does not count.
 */
const MAX_LOOK = 200;
/** Milliseconds for which a page may be ahead of this copy of the log. */
const MAX_LAG = 1_000;

/** A position before all: what comes after it is not known, so whoever owes that owes a refresh. */
const BEFORE_ALL = -1;

/** Long ago. Not `-Infinity`: a small integer lies in the object itself. */
const NEVER = -1e9;

/**
 * One open page. Most of what a message costs here is to bring these fields from memory, so those that
 * each message needs stand first, and times are whole milliseconds.
 */
export class Connection {
  /** What it is reached through. */
  readonly carrier: Carrier;
  /**
   * What it owes: everything for it after this position; `undefined` when it has had everything. A
   * push to others does not move it, so a connection that is not addressed holds no position: a
   * thousand pushes to others would make a gap of it.
   */
  position: number | undefined;
  /** Before this time it is not flushed unless the page asks. */
  dueAt: number = NEVER;
  /** When something was last sent, and when a push was. */
  sentAt: number = NEVER;
  pushedAt: number = NEVER;
  /** What may be buffered at most: what was when last asked, and all that was sent since. */
  #mayBeBuffered = 0;
  /** The largest message sent since a reading of the buffer showed no more than `behindAfter`. */
  #largest = 0;
  /** Whether it has ended. */
  hasEnded = false;
  #mark: string | undefined;
  /** The page's cursor while it is ahead of this copy of the log, and since when it is. */
  #ahead: { cursor: string; since: number | undefined } | undefined;
  #look: Look | undefined;
  readonly #log: Log;
  readonly #limits: ConnectionLimits;
  /** The names that it listens to. */
  names: ReadonlySet<string> = NO_NAMES;
  /** The page's own id, which `except` names; a Turbo visit changes it. */
  page: string | undefined;

  /** A connection that has had everything. */
  constructor(carrier: Carrier, log: Log, limits: ConnectionLimits) {
    this.carrier = carrier;
    this.#log = log;
    this.#limits = limits;
    this.#mayBeBuffered = carrier.buffered;
  }

  /** Sends what it owes, as much as the carrier takes; before that a cursor alone, whatever waits. */
  flush(now: number): Flushed {
    if (this.#mark !== undefined) {
      this.#send([{ cursor: this.#mark, html: "" }], now);
      this.#mark = undefined;
    }
    while (this.position !== undefined) {
      if (this.#isFull()) return this.#wait(now);
      if (this.#ahead && !this.#isReached(this.#ahead, now)) return "blocked";
      if (this.position !== undefined) this.#sendNext(this.position, now);
    }
    return this.#isFull() ? this.#wait(now) : "current";
  }

  /**
   * Whether its next `since` is answered. Where more than `maxBuffered` waits beside the largest
   * message, it asks and does not read. Between two sends the buffer only falls, so it is read only
   * where the estimate is too high.
   */
  mayAsk(): boolean {
    const most = this.#limits.maxBuffered + this.#largest;
    return this.#mayBeBuffered <= most || this.#readBuffer() <= most;
  }

  /** Has the next flush send a cursor alone: a marker or a heartbeat. */
  mark(cursor: string): void {
    this.#mark = cursor;
  }

  /**
   * Answers a `since`: by the marker, and then what came after the page's cursor, or a refresh where
   * nobody knows what that is. Returns whether the cursor is one of this log.
   */
  resume(cursor: string): boolean {
    this.mark(cursor);
    const position = this.#log.positionOf(cursor) ?? BEFORE_ALL;
    this.#ahead = position > this.#log.position ? { cursor, since: undefined } : undefined;
    this.#owe(position);
    return position !== BEFORE_ALL;
  }

  /** Has the page fetch itself, whatever it has had. */
  refresh(): void {
    this.#ahead = undefined;
    this.position = BEFORE_ALL;
  }

  #owe(position: number): void {
    this.position = position === this.#log.position ? undefined : position;
  }

  #sendNext(position: number, now: number): void {
    const next = this.#log.after(position, this.names, this.#limits.behindAfter, now);
    if (next === "gap") {
      this.#push([{ cursor: this.#log.cursor, html: REFRESH }], now);
      this.position = undefined;
    } else {
      if (next.entries.length > 0) this.#push(this.#messagesOf(next), now);
      this.#owe(next.position);
    }
  }

  #push(messages: readonly Message[], now: number): void {
    this.#send(messages, now);
    this.pushedAt = now;
    this.#look = undefined; // who is sent something has taken what was before
  }

  // Where all is for everyone but this page, its cursor goes on all the same.
  #messagesOf({ entries, position, isForAll }: Batch): readonly Message[] {
    if (isForAll) return entries;
    const own = entries.filter(({ except }) => except === undefined || except !== this.page);
    return own.length > 0 ? own : [{ cursor: this.#log.beat(position), html: "" }];
  }

  #send(messages: readonly Message[], now: number): void {
    const bytes = this.carrier.send(messages);
    this.#mayBeBuffered += bytes;
    if (bytes > this.#largest) this.#largest = bytes;
    this.sentAt = now;
  }

  // Reading `bufferedAmount` is most of the cost of a message, so it is read only when the estimate
  // is high.
  #isFull(): boolean {
    const { behindAfter } = this.#limits;
    return this.#mayBeBuffered > behindAfter && this.#readBuffer() > behindAfter;
  }

  #readBuffer(): number {
    this.#mayBeBuffered = this.carrier.buffered;
    if (this.#mayBeBuffered <= this.#limits.behindAfter) this.#largest = 0;
    return this.#mayBeBuffered;
  }

  #wait(now: number): "blocked" | "stuck" {
    const before = this.#look;
    const buffered = this.#mayBeBuffered;
    const waiting = { buffered, largest: this.#largest, now };
    if (before && isStuck(waiting, before, this.#limits)) return "stuck";
    if (before && now - before.at < MIN_LOOK) return "blocked";
    const isIdle = before && buffered >= before.buffered;
    this.#look = { buffered, at: now, idle: isIdle ? idleTime(now, before) : 0 };
    return "blocked";
  }

  // The page was rendered where more of the log has come: wait for it, then have the page fetched. The
  // cursor is asked for again each time: meanwhile the log may have gone on under another name.
  #isReached(ahead: { cursor: string; since: number | undefined }, now: number): boolean {
    ahead.since ??= now;
    const position = this.#log.positionOf(ahead.cursor) ?? BEFORE_ALL;
    const isAhead = position > this.#log.position;
    if (isAhead && now - ahead.since < MAX_LAG) return false;
    this.#ahead = undefined;
    this.#owe(isAhead ? BEFORE_ALL : position);
    return true;
  }
}

/**
 * Whether a reader is given up: between two looks it has taken nothing, and either too much waits
 * beside the largest message, or that message takes it longer than it may. What waits falls only when a
 * whole message has been taken, so between two looks a steady reader of large ones takes nothing.
 *
 * A look that follows another at once says nothing, and one that follows a pause of this process says
 * little, because nothing was offered in the pause. A tenth of the time is left for the next look.
 */
export function isStuck(
  { buffered, largest, now }: Waiting,
  before: Look,
  { behindAfter, maxBuffered, dropAfter }: ConnectionLimits,
): boolean {
  const gap = now - before.at;
  if (buffered < before.buffered || gap < MIN_LOOK) return false;
  if (buffered - largest > maxBuffered && gap <= MAX_LOOK) return true;
  const patience = dropAfter * Math.max(1, largest / behindAfter);
  return idleTime(now, before) > 0.9 * patience;
}

/** The `idle` of a reader that has taken nothing since a look. */
function idleTime(now: number, { at, idle }: Look): number {
  return idle + Math.min(now - at, MAX_LOOK);
}

/** Puts messages into a form, once for the many carriers in a row that are given the same ones. */
export function ofLast<T>(
  form: (messages: readonly Message[]) => T,
): (messages: readonly Message[]) => T {
  let last: readonly Message[] | undefined;
  let formed: T;
  return (messages) => {
    if (messages !== last) [last, formed] = [messages, form(messages)];
    return formed;
  };
}
