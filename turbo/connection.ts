/**
 * One connection: its position in the log, and what it is still owed.
 *
 * @module
 */
import { Instruments, type Resumed } from "./instruments.ts";
import { NO_NAMES } from "./listeners.ts";
import type { Batch, Entry, Log } from "./log.ts";
import { type Close, type Message, REFRESH, REPORT_INTERVAL } from "./protocol.ts";

/**
 * When a connection counts as behind, and when it is dropped.
 *
 * A reader that stops reading costs at most `behindAfter` bytes and one message, in addition to what the
 * kernel buffers. With server-sent events it costs up to two messages more, which Deno has already taken
 * from the stream. A connection is dropped when it has taken nothing for `dropAfter` while more than
 * `behindAfter` bytes wait; where the largest message is n times as large as `behindAfter`, it has n
 * times as long. The log's `maxBytes` bounds a message. So with the defaults a connection has 10 s, and
 * 11 minutes for a message of 4 MiB.
 */
export interface ConnectionLimits {
  /**
   * Bytes waiting to be sent above which nothing more is sent. One message holds no more than this,
   * unless a single entry is larger. Default 64 KiB.
   */
  behindAfter: number;
  /**
   * Bytes waiting to be sent, not counting the largest message, above which a connection that takes
   * nothing is dropped at once. Default 1 MiB.
   */
  maxBuffered: number;
  /**
   * Milliseconds in which a connection must take a message of up to `behindAfter` bytes; a larger one
   * gets proportionally longer. Default 10,000: with 64 KiB a connection must take 6.5 KB a second.
   */
  dropAfter: number;
}

/** Options of a {@linkcode Connection}. */
export interface ConnectionOptions extends ConnectionLimits {
  /** Milliseconds after a report of its page from which on the page owes another. Default 60,000. */
  reportInterval?: number;
  /** Counts what is sent. Default: nobody reads the counts. */
  instruments?: Instruments;
}

/** What carries messages to one page: a WebSocket, or a stream of server-sent events. */
export interface Carrier {
  /** Bytes that it was given and that the operating system has not taken yet. */
  readonly buffered: number;
  /** Whether its end is reported some time after `close`, not at once. */
  readonly endsLater: boolean;
  /** Sends messages in one piece, and returns their size in bytes. */
  send(messages: readonly Message[]): number;
  /** Ends it, and tells the page why where the transport can. */
  close(close: Close): void;
  /**
   * Makes the page connect again at once. With a transport on which pages can send nothing, this is how to
   * learn what a page shows: it says so when it connects.
   */
  comeBack?(): void;
}

/** What is waiting to be sent to a connection that did not take everything. */
export interface Waiting {
  /** Bytes that are waiting. */
  readonly buffered: number;
  /** Size of the largest message that may be among them. */
  readonly largest: number;
  /** The time now, in milliseconds of the monotonic clock. */
  readonly now: number;
}

/** An earlier look at a connection that did not take everything. */
export interface Look {
  /** Bytes that were waiting. */
  readonly buffered: number;
  /** The time of the look, in milliseconds of the monotonic clock. */
  readonly at: number;
  /** For how many milliseconds the connection had taken nothing, as far as this process observed it. */
  readonly idle: number;
}

/** How a flush ended: all was sent, the connection takes no more now, or it takes too little. */
export type Flushed = "current" | "blocked" | "stuck";

/** Milliseconds between two looks below which their difference says nothing. */
const MIN_LOOK = 25;
/**
 * Milliseconds before a look that count as observed. A process that was stopped for a minute has offered
 * the reader nothing in that minute, so the minute does not count.
 */
const MAX_LOOK = 200;
/** Milliseconds for which a page that is ahead of this copy of the log is kept waiting. */
const MAX_LAG = 1_000;

/** A position before the log: what follows it is unknown, so a connection there is owed a refresh. */
const BEFORE_ALL = -1;

/** Long ago. Not `-Infinity`, because V8 stores a small integer in the object itself. */
const NEVER = -1e9;
/** No time, position or duration. */
const NONE = -1;
/** Milliseconds within which a page is asked once what it shows. */
const ASK_INTERVAL = 1_000;

/**
 * One connection. Loading these fields from memory is most of the cost of a message here, so the fields
 * that every message needs come first, and times are whole milliseconds.
 */
export class Connection {
  /** The transport that carries its messages. */
  readonly carrier: Carrier;
  /**
   * The connection is owed all entries for it after this position; `undefined` when it has had
   * everything. A connection that has had everything holds no position, because a push to others does
   * not move it: after a thousand of those, the position would lie in a gap.
   */
  position: number | undefined;
  /** It is not flushed before this time unless the page asks. */
  dueAt: number = NEVER;
  /** When anything was last sent, and when a push was last sent. */
  sentAt: number = NEVER;
  pushedAt: number = NEVER;
  /** From when on the next push makes the page owe a report; negative where it owes none, or one already. */
  #reportDueAt = NONE;
  /** Upper bound of what is buffered: the last reading, plus all that was sent since. */
  #mayBeBuffered = 0;
  /** The largest message sent since the buffer was last seen at `behindAfter` or below. */
  #largest = 0;
  /** Whether it has ended. */
  hasEnded = false;
  #mark: string | undefined;
  /** Whether the page has asked what it missed, and nothing was sent since. */
  #isResuming = false;
  /** The page's cursor while that is ahead of this copy of the log, and since when it has been. */
  #ahead: { cursor: string; since: number | undefined } | undefined;
  #look: Look | undefined;
  readonly #log: Log;
  readonly #limits: ConnectionLimits;
  readonly #instruments: Instruments;
  readonly #reportInterval: number;
  /** The names that it listens to. */
  names: ReadonlySet<string> = NO_NAMES;
  /** The id of the page, which `except` names; a Turbo visit changes it. */
  page: string | undefined;
  /** The names that the app gave its reader. */
  as: readonly string[] = [];
  /** When it opened. */
  openedAt: number = NEVER;
  /** The close with which this process ends it. */
  endedBy: Close | undefined;
  /** Whether the page reports what it shows. */
  reports = false;
  /** Since when the page owes a report, because it was sent a push that it has to report; or negative. */
  probedAt = NONE;
  /** How long after its push the page showed what it last reported; negative where it has not reported. */
  delay = NONE;
  /** The position that the page has reported to show; negative where it has not. */
  shown = NONE;
  #isAsked = false;
  #askedAt = NEVER;

  /** Starts as a connection that has had everything. */
  constructor(carrier: Carrier, log: Log, options: ConnectionOptions) {
    const { instruments = new Instruments(), reportInterval = REPORT_INTERVAL } = options;
    this.carrier = carrier;
    this.#log = log;
    this.#limits = options;
    this.#instruments = instruments;
    this.#reportInterval = reportInterval;
    this.#mayBeBuffered = carrier.buffered;
  }

  /**
   * Sends what the connection is owed, as far as the carrier takes it. A marker or heartbeat goes first,
   * however much is waiting.
   */
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
    if (this.#isResuming) this.#resumed("nothing");
    if (this.#isAsked && !this.#isFull()) {
      this.#isAsked = false;
      this.#send([{ cursor: this.#log.beat(), html: "", asks: true }], now);
    }
    return this.#isFull() ? this.#wait(now) : "current";
  }

  /**
   * Whether its next `since` may be answered. A connection with more than `maxBuffered` waiting, not
   * counting the largest message, asks without reading. Between two sends the buffer only shrinks, so it
   * is read only when the estimate is too high.
   */
  mayAsk(): boolean {
    const most = this.#limits.maxBuffered + this.#largest;
    return this.#mayBeBuffered <= most || this.#readBuffer() <= most;
  }

  /** The page reports from now on what it shows: after some time, and when it is asked. */
  startReports(now: number): void {
    this.reports = true;
    this.#expectReport(now);
    if (!this.isTwoWay) this.#askedAt = now; // it has connected, which is a report
  }

  /**
   * The page shows everything up to a position, which a push reached at this time; `undefined` where that
   * time is not known, or says nothing about how long the page took.
   */
  reported(position: number, now: number, pushedAt: number | undefined): void {
    this.shown = position;
    this.#log.observer?.reported(this, position);
    if (pushedAt !== undefined) this.delay = Math.max(0, now - pushedAt);
    this.probedAt = NONE;
    if (this.reports) this.#expectReport(now);
  }

  #expectReport(now: number): void {
    if (this.isTwoWay) this.#reportDueAt = now + this.#reportInterval;
  }

  /** Whether the page can send something. Otherwise it reports only when it connects. */
  get isTwoWay(): boolean {
    return this.carrier.comeBack === undefined;
  }

  /** What the page has reported says nothing any more, because the positions begin again. */
  forgetReports(): void {
    this.shown = NONE;
  }

  /**
   * Asks the page what it shows, at most once a second. The next flush sends the question, after everything
   * that the page is owed.
   */
  ask(now: number): void {
    if (now - this.#askedAt < ASK_INTERVAL) return;
    this.#askedAt = now;
    if (this.carrier.comeBack) this.carrier.comeBack();
    else this.#isAsked = true;
  }

  /** Makes the next flush send a cursor without HTML: a marker or a heartbeat. */
  mark(cursor: string): void {
    this.#mark = cursor;
  }

  /**
   * Answers a `since`: first the marker, then what came after the page's cursor, or a refresh where that
   * is unknown. Returns whether the cursor is one of this log.
   */
  resume(cursor: string): boolean {
    this.mark(cursor);
    this.#isResuming = true;
    const position = this.#log.positionOf(cursor) ?? BEFORE_ALL;
    this.#log.observer?.resumed(this, cursor, position === BEFORE_ALL ? undefined : position);
    this.#ahead = position > this.#log.position ? { cursor, since: undefined } : undefined;
    this.#owe(position);
    return position !== BEFORE_ALL;
  }

  /** Makes the page fetch itself, whatever it has had. */
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
      this.#log.observer?.refreshed(this);
      if (this.#isResuming) this.#resumed("refresh");
      this.#push([{ cursor: this.#log.cursor, html: REFRESH }], now);
      this.position = undefined;
    } else {
      if (next.entries.length > 0) {
        this.#log.observer?.sent(this, this.#own(next.entries));
        if (this.#isResuming) this.#resumed("replay");
        this.#push(this.#messagesOf(next), now);
      }
      this.#owe(next.position);
    }
  }

  #push(messages: readonly Message[], now: number): void {
    this.#send(messages, now);
    this.pushedAt = now;
    // A page reports what it has rendered, and a cursor alone is not.
    const isDue = this.#reportDueAt >= 0 && now >= this.#reportDueAt;
    if (isDue && messages.some(({ html }) => html !== "")) {
      this.#reportDueAt = NONE;
      this.probedAt = now;
    }
    this.#look = undefined; // more is sent only to a connection that has taken what was before
  }

  // Where no entry is for this page, it is sent the cursor alone, so that it moves on all the same.
  #messagesOf({ entries, position, isForAll }: Batch): readonly Message[] {
    if (isForAll) return entries;
    const own = this.#own(entries);
    return own.length > 0 ? own : [{ cursor: this.#log.beat(position), html: "" }];
  }

  #own(entries: readonly Entry[]): readonly Entry[] {
    return entries.filter(({ except }) => except === undefined || except !== this.page);
  }

  #send(messages: readonly Message[], now: number): void {
    const bytes = this.carrier.send(messages);
    this.#mayBeBuffered += bytes;
    if (bytes > this.#largest) this.#largest = bytes;
    this.sentAt = now;
    this.#instruments.messages++;
    this.#instruments.bytes += bytes;
  }

  #resumed(outcome: Resumed): void {
    this.#isResuming = false;
    this.#instruments.resumes[outcome]++;
  }

  // Reading `bufferedAmount` is most of the cost of a message, so read it only when the estimate is high.
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

  // The page was rendered by a process whose copy of the log is ahead of this one: wait until this copy
  // has caught up, and make the page fetch itself where it does not. The position is looked up again each
  // time because the log may have continued under another epoch meanwhile.
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
 * Whether a reader is to be dropped: it has taken nothing between two looks, and either too much is
 * waiting in addition to the largest message, or that message takes longer than it may. What is waiting
 * shrinks only when a whole message has been taken, so even a steady reader of large messages seems to
 * take nothing between two looks.
 *
 * A look right after another says nothing. A look after a pause of this process says little, because
 * nothing was offered in the pause. The limit is reached a tenth early, to leave time for the next look.
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

/** The `idle` time of a reader that has taken nothing since a look. */
function idleTime(now: number, { at, idle }: Look): number {
  return idle + Math.min(now - at, MAX_LOOK);
}

/** Caches the last result of a conversion, because many carriers in a row are given the same messages. */
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
