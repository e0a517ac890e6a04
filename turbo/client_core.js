// @ts-check
// The browser's side without a browser: what of a page has had what, what of the messages that come
// is for it, what is to be rendered, how the server is reached, and whether an answer is the page. It
// touches no document, no socket and no clock; client.js does, and asks here.
//
// What always holds:
// 1. Between a `since` and its marker nothing that comes is for the page. Markers come in the order in
//    which they were asked for.
// 2. The page has had everything up to its cursor and nothing after it. So has each part of it up to its
//    own, where that is another one: a frame, or what a form's answer has put in, is as old as its
//    answer. For an element the nearest part around it holds, the page where there is none.
// 3. A message is rendered into those parts alone whose cursor is before its own: nothing twice.
// 4. The history has all that was rendered after its start. A part at or after the start is brought up
//    to date from it; for one before it the page asks the server again, from its oldest part.
// 5. A cursor only grows, but by older content: an answer, a frame, another page.
// 6. Cursors of two logs do not compare. What cannot be compared is never rendered as if it were newer.
//    But what goes on from where the page is may come under another name of its log, with the same
//    positions; then all that is known here is called by that name.

/** @typedef {string} Cursor `EPOCH.POSITION`, in a heartbeat `EPOCH.POSITION.BEAT`. */
/** @typedef {{ cursor: Cursor, html: string, isAnswer?: boolean }} Message Streams at a cursor. */
/**
 * @typedef {object} Step What is rendered in one go.
 * @property {Cursor} cursor
 * @property {string} html
 * @property {boolean} isAnswer Whether it answers a form of this page, and so is rendered in any case.
 * @property {readonly Message[]} messages What it was made of.
 */
/**
 * @template P
 * @typedef {object} Batch What is rendered at one paint.
 * @property {Shown<P>} shown The page that it was made for.
 * @property {readonly Message[]} source The messages that it was made of.
 * @property {readonly Step[]} steps
 * @property {boolean} hasHole Whether the server must be asked for what comes after.
 */

/** What the server answers where it cannot go on from a cursor. */
const REFRESH = '<turbo-stream action="refresh"></turbo-stream>';
/** Messages that may wait. */
const MAX_QUEUE = 10_000;
/** Characters of what was rendered last that are kept. */
const MAX_HISTORY = 500_000;

/**
 * What a cursor says.
 *
 * @param {Cursor} cursor
 * @returns {{ epoch: string, position: number } | undefined}
 */
export function parse(cursor) {
  const [, epoch, position] = /^([\w-]+)\.(\d+)(?:\.\d+)?$/.exec(cursor) ?? [];
  return epoch === undefined ? undefined : { epoch, position: Number(position) };
}

/**
 * Less than 0, 0 or more, as `a` is before, at or after `b`; `undefined` where they do not compare.
 *
 * @param {Cursor} a
 * @param {Cursor} b
 */
export function compare(a, b) {
  const [left, right] = [parse(a), parse(b)];
  return left && right && left.epoch === right.epoch ? left.position - right.position : undefined;
}

/** @param {Cursor} a @param {Cursor} b */
export function isAfter(a, b) {
  return (compare(a, b) ?? 0) > 0;
}

/** A cursor under the name that another one has. @param {Cursor} to @param {Cursor} cursor */
function renameTo(to, cursor) {
  return `${parse(to)?.epoch}.${parse(cursor)?.position}`;
}

/**
 * A page as it is shown, and what each part of it has had. A part is whatever names one: an element.
 *
 * @template P
 */
export class Shown {
  /** @type {Map<P, Cursor>} */
  parts = new Map();
  /** @type {Message[]} What was rendered last, oldest first. */
  history = [];
  historySize = 0;
  /** Whether something in it is of no cursor that is known, so that it must be fetched. */
  isLost = false;

  /** @param {{ id: string, cursor: Cursor, path: string, token: string, reader?: string }} page */
  constructor({ id, cursor, path, token, reader = "" }) {
    this.id = id;
    this.cursor = cursor;
    this.historyStart = cursor;
    /** Where its stream is. */
    this.path = path;
    /** What it may listen to. */
    this.token = token;
    /** Whom it was rendered for. */
    this.reader = reader;
  }

  /** Where the server is to go on: at its oldest part. */
  get oldest() {
    return [...this.parts.values()].reduce((a, b) => isAfter(a, b) ? b : a, this.cursor);
  }

  /** @param {P | undefined} part `undefined`: the page around all parts. */
  cursorOf(part) {
    return (part !== undefined && this.parts.get(part)) || this.cursor;
  }

  /**
   * The log goes on under the name that a cursor has, with the positions that there were. Returns whether
   * all that the page has had is known there: a part that is ahead of it may be of another process.
   *
   * @param {Cursor} cursor
   */
  rename(cursor) {
    if ([...this.parts.values()].some((at) => !isAfter(this.cursor, at))) return false;
    const renamed = (/** @type {Cursor} */ old) => renameTo(cursor, old);
    this.cursor = renamed(this.cursor);
    this.historyStart = renamed(this.historyStart);
    this.history = this.history.map(({ cursor, html }) => ({ cursor: renamed(cursor), html }));
    for (const [part, at] of this.parts) this.parts.set(part, renamed(at));
    return true;
  }

  /** Whether a message is still to be rendered there. @param {Cursor} cursor @param {P} [part] */
  isDue(cursor, part) {
    return isAfter(cursor, this.cursorOf(part));
  }

  /**
   * Notes that something was rendered as of a cursor.
   *
   * @param {P} part
   * @param {Cursor} cursor
   * @param {P | undefined} around The nearest part around it.
   */
  mark(part, cursor, around) {
    const order = compare(cursor, this.cursorOf(around));
    if (order === 0) this.parts.delete(part);
    else if (order !== undefined) this.parts.set(part, cursor);
  }

  /** Notes that a message has been rendered wherever it was due. @param {Cursor} cursor */
  advance(cursor) {
    if (isAfter(cursor, this.cursor)) this.cursor = cursor;
    for (const [part, at] of this.parts) if (isAfter(cursor, at)) this.parts.set(part, cursor);
  }

  /** Whether all that came after a cursor is in the history. @param {Cursor} cursor */
  covers(cursor) {
    return (compare(cursor, this.historyStart) ?? -1) >= 0;
  }

  /** What came after a cursor. @param {Cursor} cursor */
  after(cursor) {
    return this.history.filter((message) => isAfter(message.cursor, cursor));
  }

  /** @param {readonly Message[]} messages */
  remember(messages) {
    for (const message of messages) {
      const newest = this.history.at(-1)?.cursor ?? this.historyStart;
      if (message.html === "" || !isAfter(message.cursor, newest)) continue;
      this.history.push(message);
      this.historySize += message.html.length;
    }
    while (this.historySize > MAX_HISTORY) {
      const { cursor, html } = /** @type {Message} */ (this.history.shift());
      this.historySize -= html.length;
      this.historyStart = cursor;
    }
  }

  /** Forgets the history: from here on the server tells. */
  forget() {
    this.history = [];
    this.historySize = 0;
    this.historyStart = this.cursor;
  }

  /**
   * Drops the parts that are no longer of their own.
   *
   * @param {(part: P) => P | undefined} around The nearest part around one.
   */
  settle(around) {
    for (const [part, at] of this.parts) {
      const outer = around(part);
      if (compare(at, this.cursorOf(outer)) === 0) this.parts.delete(part);
    }
  }

  /**
   * The same page again, as a snapshot of it; its parts under the names that they have there.
   *
   * @param {(part: P) => P | undefined} rename
   * @returns {Shown<P>}
   */
  copy(rename) {
    const copy = new Shown(this);
    copy.isLost = this.isLost;
    for (const [part, at] of this.parts) {
      const name = rename(part);
      if (name !== undefined) copy.parts.set(name, at);
    }
    return copy;
  }
}

/**
 * What to render for messages that have queued up. An answer may be older than what the page has had:
 * what came after it follows again, for what it has put in. Where that is no longer known, nothing is
 * rendered behind the answer, and the server is to be asked.
 *
 * @template P
 * @param {Shown<P>} shown
 * @param {readonly Message[]} queue
 * @returns {Batch<P>}
 */
export function plan(shown, queue) {
  /** @type {Message[]} */
  const messages = [];
  /** @type {Message[] | undefined} */
  let known;
  let hasHole = false;
  for (const [index, message] of queue.entries()) {
    if (!message.isAnswer) {
      if (!hasHole) messages.push(message);
      continue;
    }
    messages.push(message);
    hasHole ||= !shown.covers(message.cursor);
    if (hasHole) continue;
    known = [...shown.history, ...queue.slice(0, index).filter(({ isAnswer }) => !isAnswer)];
    messages.push(...known.filter(({ cursor }) => isAfter(cursor, message.cursor)));
  }
  return { shown, source: queue, steps: stepsOf(shown, messages), hasHole };
}

// Messages that are due in the whole page are one step, which is one paint and one look for what the
// browser had focused. All others need their own cursor: joined under the last one, those that a part
// has had already would be rendered into it again.
/** @template P @param {Shown<P>} shown @param {readonly Message[]} messages @returns {Step[]} */
function stepsOf(shown, messages) {
  const isPlain = shown.parts.size === 0 && messages.every(({ isAnswer, cursor, html }, index) => {
    const order = compare(cursor, messages[index - 1]?.cursor ?? shown.cursor) ?? -1;
    return !isAnswer && (html === "" ? order >= 0 : order > 0);
  });
  if (isPlain && messages.length > 0) {
    const { cursor } = /** @type {Message} */ (messages.at(-1));
    return [{ cursor, html: messages.map(({ html }) => html).join(""), isAnswer: false, messages }];
  }
  return messages.map((message) => ({
    cursor: message.cursor,
    html: message.html,
    isAnswer: message.isAnswer ?? false,
    messages: [message],
  }));
}

/** @typedef {"drop" | "marker" | "gap" | "messages"} Reading What a frame is for the page. */

/** Tells which of the messages that come are for the page. */
export class Inbox {
  /** @type {Cursor[]} The cursor of each `since` that no marker has answered yet. */
  awaited = [];
  /** Whether nothing has come since the last marker. */
  isFresh = false;

  /** A `since` was sent. @param {Cursor} cursor */
  asked(cursor) {
    this.awaited.push(cursor);
  }

  /** Another connection: nothing was asked on it. */
  reset() {
    this.awaited = [];
    this.isFresh = false;
  }

  /** @param {readonly Message[]} messages @returns {Reading} */
  read(messages) {
    const [{ cursor, html } = { cursor: "", html: "" }] = messages;
    if (this.awaited.length > 0) {
      if (messages.length > 1 || html !== "" || cursor !== this.awaited[0]) return "drop";
      this.awaited.shift();
      this.isFresh = true;
      return "marker";
    }
    const isGap = this.isFresh && html === REFRESH;
    this.isFresh = false;
    return isGap ? "gap" : "messages";
  }
}

/** @typedef {"gap" | "push" | "answer"} Why What has the page fetched: a gap, or a refresh. */

/**
 * @template P
 * @typedef {object} Shell What a {@linkcode Follower} acts through.
 * @property {() => boolean} ask Asks the server for all after the page's oldest part; `false` where it
 * will call `ask` of the follower later.
 * @property {(batch: Batch<P>) => void} give Renders a batch with the next paint: calls `painted`.
 * @property {(batch: Batch<P>) => void} cancel Does not render a batch that it was given.
 * @property {(step: Step, shown: Shown<P>) => boolean} run Renders a step; whether it has a refresh.
 * @property {(part: P) => P | undefined} around As of {@linkcode Shown.settle}.
 * @property {(why: Why) => void} refetch Fetches the page: as of `need` of the follower, or later.
 * @property {() => void} resumed The server goes on where the page is: nothing is to be fetched.
 * @property {() => void} changed It is current, or no longer.
 */

/** A page without a stream, where only answers are rendered. */
const NOWHERE = new Shown({ id: "", cursor: "", path: "", token: "" });

/**
 * Keeps one page after the other up to date.
 *
 * @template P
 */
export class Follower {
  /** @type {Shown<P> | undefined} The page that is shown, where it has a stream. */
  shown;
  /** Whether the page that is shown is to be fetched again; until then nothing is rendered into it. */
  isFetching = false;
  /** Whether a marker has said that what the page shows goes on. */
  isCurrent = false;
  inbox = new Inbox();
  /** @type {Message[]} */
  queue = [];
  /** @type {Batch<P> | undefined} What was given to the shell and is not in the page yet. */
  batch;
  /** Whether the `since` that was asked for last has not been sent yet. */
  isHeld = false;
  isConnected = false;
  /** What the page is fetched as of, or later. */
  need = "";
  /** @type {{ shown: Shown<P>, cursor: Cursor } | undefined} What a connection asks by its address. */
  asked;

  /** @param {Shell<P>} shell */
  constructor(shell) {
    this.shell = shell;
  }

  /** Whether the server is there, and has answered all that was asked. */
  get isAnswered() {
    return this.isConnected && this.inbox.awaited.length === 0;
  }

  /** Another page is shown, or the same one as it is now. @param {Shown<P> | undefined} shown */
  show(shown) {
    this.shown = shown;
    this.isFetching = false;
    if (!shown) this.#setCurrent(false);
    else if (shown.isLost) this.refetch(shown.cursor, "push");
    this.ask();
  }

  /**
   * A connection is being opened.
   *
   * @param {boolean} asks Whether it asks by its address.
   */
  connecting(asks) {
    const { shown } = this;
    if (shown && asks) {
      this.asked = { shown, cursor: shown.oldest };
      this.inbox.asked(shown.oldest);
    }
  }

  /** It has opened. */
  connected() {
    this.isConnected = true;
    const { shown, asked } = this;
    if (shown && (shown !== asked?.shown || shown.oldest !== asked.cursor)) this.ask();
  }

  /** There is no connection. */
  disconnected() {
    this.isConnected = this.isHeld = false;
    this.asked = undefined;
    this.inbox.reset();
    this.#setCurrent(false);
  }

  /** Asks for what came after the page's cursor; what comes before the answer is for no page. */
  ask() {
    const { shown } = this;
    this.#drop();
    if (shown && this.isConnected) {
      if (this.isHeld) this.inbox.awaited.pop();
      this.inbox.asked(shown.oldest);
      this.isHeld = !this.shell.ask();
      if (this.isHeld) this.#setCurrent(false);
    }
    this.#render();
  }

  /** Messages have come. @param {readonly Message[]} messages */
  receive(messages) {
    const { inbox } = this;
    const { isFresh } = inbox;
    const reading = inbox.read(messages);
    if (reading === "drop" || !this.shown) return;
    const { cursor } = /** @type {Message} */ (messages.at(-1));
    if (reading === "gap") return this.refetch(cursor, "gap");
    if (reading === "marker") {
      // It may be another process, which can go on: a page of its log will do.
      if (compare(cursor, this.need) === undefined) this.need = cursor;
      if (this.isAnswered && !this.isFetching) this.#setCurrent(true);
      return;
    }
    // Another process has answered, which can go on from the page as it is.
    if (this.isFetching && !this.shown.isLost && isFresh) {
      this.isFetching = false;
      this.shell.resumed();
      this.#setCurrent(true);
    }
    if (this.isFetching || !this.#follow(messages)) return;
    this.queue.push(...messages);
    if (this.queue.length > MAX_QUEUE) this.ask();
    else this.#render();
  }

  /**
   * Messages that go on from what the page has had may have another name: that of a process that is on
   * its own for a while. Returns whether they can be rendered.
   *
   * @param {readonly Message[]} messages
   */
  #follow([{ cursor, html } = { cursor: "", html: "" }]) {
    const shown = /** @type {Shown<P>} */ (this.shown);
    // A log that is another one has the page fetched before all else.
    if (compare(cursor, shown.cursor) !== undefined || html === REFRESH) return true;
    this.#recall();
    if (!shown.rename(cursor)) {
      this.refetch(cursor, "push");
      return false;
    }
    this.queue = this.queue.map((message) =>
      message.isAnswer ? message : { ...message, cursor: renameTo(cursor, message.cursor) }
    );
    return true;
  }

  /** A form's answer is rendered in its turn. @param {Cursor} cursor @param {string} html */
  answer(cursor, html) {
    this.queue.push({ cursor, html, isAnswer: true });
    this.#render();
  }

  /** A part was rendered as of a cursor, such as a frame. @param {P} part @param {Cursor} cursor */
  partRendered(part, cursor) {
    const { shown, shell } = this;
    if (!shown) return;
    shown.mark(part, cursor, shell.around(part));
    if (compare(cursor, shown.cursor) === undefined) return this.refetch(shown.cursor, "push");
    if (!shown.covers(cursor)) return this.ask();
    if (!shown.parts.has(part)) return;
    this.#recall();
    this.queue.unshift(...shown.after(cursor));
    this.#render();
  }

  /** The page is fetched: as of a cursor, or later. @param {Cursor} need @param {Why} why */
  refetch(need, why) {
    if (this.shown) this.shown.isLost ||= why !== "gap";
    this.isFetching = true;
    this.need = need;
    this.#setCurrent(false);
    this.shell.refetch(why);
  }

  /** Has the shell render again what waits for a paint that may not come. */
  restart() {
    this.#recall();
    this.#render();
  }

  /** The paint for a batch has come: renders it, by `run` of the shell. @param {Batch<P>} batch */
  painted(batch) {
    this.batch = undefined;
    const { shown } = batch;
    /** @type {Step | undefined} */
    let refresh;
    let isLost = false;
    for (const step of batch.steps) {
      if (this.shell.run(step, shown)) refresh = step;
      if (!step.isAnswer) {
        shown.advance(step.cursor);
        shown.remember(step.messages);
      } else isLost ||= compare(step.cursor, shown.cursor) === undefined;
    }
    if (refresh) this.refetch(refresh.cursor, refresh.isAnswer ? "answer" : "push");
    else if (isLost && this.shown) this.refetch(shown.cursor, "push");
    else if (batch.hasHole) this.ask();
    shown.settle(this.shell.around);
    this.#render();
  }

  #render() {
    if (this.batch || this.queue.length === 0) return;
    const batch = plan(this.shown ?? NOWHERE, this.queue);
    this.queue = [];
    this.batch = batch;
    this.shell.give(batch);
  }

  /** Takes back what was given to the shell. */
  #recall() {
    const { batch } = this;
    if (!batch) return;
    this.batch = undefined;
    this.shell.cancel(batch);
    this.queue.unshift(...batch.source);
  }

  /** Drops all that waits but answers: the server tells it again. */
  #drop() {
    this.#recall();
    this.queue = this.queue.filter(({ isAnswer }) => isAnswer);
    this.shown?.forget();
  }

  /** @param {boolean} isCurrent */
  #setCurrent(isCurrent) {
    if (isCurrent === this.isCurrent) return;
    this.isCurrent = isCurrent;
    this.shell.changed();
  }
}

/** Milliseconds within which a connection that was cut had better not have been opened. */
const YOUNG = 3_000;
/** WebSockets that fail in a row before server-sent events are tried; one that opened counts twice. */
const MAX_FAILURES = 3;

/**
 * How the server is reached: by WebSockets, and by server-sent events where a proxy lets no WebSocket
 * through. That it is the proxy, and not a server that is away, is known when server-sent events open;
 * then one more WebSocket is tried. Where neither opens they take turns.
 */
export class Transport {
  /** @type {"websocket" | "events"} */
  kind = "websocket";
  /** WebSockets that have failed in a row. */
  failures = 0;
  /** Whether server-sent events have opened since a WebSocket last held. */
  isReached = false;
  /** Whether server-sent events have been tried since then. */
  hasTriedEvents = false;
  /** Whether a WebSocket has held on this network. */
  hasHeld = false;
  /** Connections lost, or not opened, since the page was last current. */
  losses = 0;

  /**
   * A WebSocket has ended.
   *
   * @param {{ hasOpened?: boolean, wasHeard?: boolean, age?: number, wasCut?: boolean }} how Whether it
   * opened, whether anything came by it, for how many milliseconds it was open, and whether it ended
   * without a close code.
   */
  webSocketEnded({ hasOpened, wasHeard, age = 0, wasCut }) {
    if (wasHeard && !(wasCut && age < YOUNG)) {
      this.failures = 0;
      this.isReached = this.hasTriedEvents = false;
      this.hasHeld = true;
      return;
    }
    // The server is there, and what is in between does not pass frames on.
    if (hasOpened && !wasHeard) this.isReached = true;
    this.failures += hasOpened ? 2 : 1;
    if (this.failures >= MAX_FAILURES) this.kind = "events";
  }

  /** Server-sent events have opened: whether they are to be given up for one more WebSocket. */
  eventsOpened() {
    this.hasTriedEvents = true;
    if (this.isReached) return false;
    this.isReached = true;
    this.#tryWebSocket();
    return true;
  }

  /** Server-sent events have ended. @param {boolean} hasOpened */
  eventsEnded(hasOpened) {
    this.hasTriedEvents = true;
    if (!hasOpened) this.#tryWebSocket();
  }

  #tryWebSocket() {
    this.kind = "websocket";
    this.failures = MAX_FAILURES - 1;
  }

  /** The page is current. */
  held() {
    this.losses = 0;
  }

  /**
   * Milliseconds until the next try, with full jitter. One connection that was cut is back soon; when
   * the server is away all pages come at once, and so from the second try on they are spread over eight
   * seconds and more.
   *
   * @param {number} random From 0 to 1.
   */
  delay(random) {
    if (this.kind === "events" && !(this.isReached && this.hasTriedEvents)) return 0;
    const isFirst = this.losses === 0 || (!this.hasHeld && this.losses < MAX_FAILURES);
    const n = isFirst ? 0 : this.losses + 3;
    this.losses++;
    return 500 + random * Math.min(20_000, 500 * 2 ** n);
  }
}

/** Answers that are no page after which it is left to the browser, and failures told as such. */
const MAX_VAIN = 5;
/** Milliseconds that a server may ask for with `Retry-After`. */
const MAX_RETRY_AFTER = 300_000;

/**
 * @typedef {object} Answer An answer to a request for the page.
 * @property {number} status Its status; 0 where there was none.
 * @property {boolean} isHtml
 * @property {Cursor | undefined} cursor The cursor in its head.
 * @property {number | undefined} [retryAfter] Milliseconds.
 */

/**
 * Decides what to do with answers to requests for a page.
 *
 * `take`: it is the page, as of the cursor that is needed or later. `again`: there will be one, such as
 * where the server is busy, or a cache has answered. `reconnect`: it is a page of another log than the
 * one that the connection is served from; so a connection to another process may be the right one.
 * `leave`: there is none to be had this way, so that the browser is to load it. `stop`: as `leave`, but
 * the browser would find the same.
 */
export class Refetch {
  /** Requests so far. */
  tries = 0;
  /** Those that were answered by something else than the page. */
  vain = 0;
  /** Those that were answered by a page of another log. */
  foreign = 0;

  /**
   * @param {Answer} answer
   * @param {Cursor} need
   * @param {boolean} isReachable Whether the server is known to be there: it has answered the page.
   * @returns {"take" | "again" | "reconnect" | "leave" | "stop"}
   */
  judge({ status, isHtml, cursor }, need, isReachable) {
    const isBusy = status === 408 || status === 425 || status === 429 || status >= 500;
    if (isBusy || (status === 0 && !isReachable)) return "again";
    if (status < 200 || status > 299 || !isHtml || !cursor) return this.vainly();
    const order = compare(cursor, need);
    if (order !== undefined) return order < 0 ? "again" : "take";
    if (!isReachable) return this.vainly();
    return ++this.foreign < MAX_VAIN ? "reconnect" : "stop";
  }

  /** A request was in vain, or something that counts as `n`. @returns {"again" | "leave"} */
  vainly(n = 1) {
    return (this.vain += n) < MAX_VAIN ? "again" : "leave";
  }

  /**
   * Milliseconds until the next request, with jitter: many pages may miss the same.
   *
   * @param {number} random From 0 to 1.
   * @param {number} [retryAfter]
   */
  delay(random, retryAfter) {
    const least = retryAfter === undefined ? 0 : Math.min(retryAfter, MAX_RETRY_AFTER);
    const spread = Math.min(60_000, 500 * 2 ** this.tries);
    return least + (this.tries++ === 0 ? 0 : 500) + random * spread;
  }
}

/**
 * Milliseconds that a `Retry-After` asks for (RFC 9110, section 10.2.3).
 *
 * @param {string | null} value
 * @param {number} now The time of day, in milliseconds.
 */
export function parseRetryAfter(value, now) {
  if (value === null) return undefined;
  const milliseconds = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}

/** How often a page may ask at once, and then once a second: the server takes somewhat more. */
const MAX_ASKS = 15;

/** How often the page may ask. */
export class AskRate {
  left = MAX_ASKS;
  at = 0;

  /**
   * Milliseconds to wait; 0 where it may ask now, and has.
   *
   * @param {number} now Milliseconds of the monotonic clock.
   */
  take(now) {
    this.left = Math.min(MAX_ASKS, this.left + (now - this.at) / 1_000);
    this.at = now;
    if (this.left < 1) return Math.ceil((1 - this.left) * 1_000);
    this.left--;
    return 0;
  }
}
