// @ts-check
// The client without a browser. It decides how current each part of a page is, which messages are for
// the page, what to render, how to reach the server, and whether an answer is the page. It uses no
// document, no socket and no clock: client.js does, and calls the functions here.
//
// Invariants:
// 1. Messages between a `since` and its marker are not for the page. Markers come in the order of the
//    `since` messages.
// 2. The page has had everything up to its cursor, and nothing after it. A part of the page may have a
//    cursor of its own: a frame, or content from the answer to a form, is as old as the answer. The
//    cursor of an element is that of the nearest part around it, or of the page where there is none.
// 3. A message is rendered only into parts whose cursor is before its own, so nothing is shown twice.
// 4. The history contains everything that was rendered after its start. A part at or after the start is
//    brought up to date from the history. For an older part the page asks the server again, from its
//    oldest part.
// 5. A cursor only grows, unless older content arrives: an answer, a frame, another page.
// 6. Cursors of two epochs do not compare. What cannot be compared is never rendered as if it were newer.
//    But messages that continue from where the page is may have another epoch with the same positions;
//    then all cursors here are renamed to that epoch.

/** @typedef {string} Cursor `EPOCH.POSITION`, or `EPOCH.POSITION.BEAT` in a heartbeat. */
/** @typedef {{ cursor: Cursor, html: string, isAnswer?: boolean }} Message Streams at a cursor. */
/**
 * @typedef {object} Step Streams that are rendered together.
 * @property {Cursor} cursor
 * @property {string} html
 * @property {boolean} isAnswer Whether it answers a form of this page, and so is always rendered.
 * @property {readonly Message[]} messages The messages that it was made from.
 */
/**
 * @template P
 * @typedef {object} Batch The steps that are rendered at one paint.
 * @property {Shown<P>} shown The page that it was made for.
 * @property {readonly Message[]} source The messages that it was made from.
 * @property {readonly Step[]} steps
 * @property {boolean} hasHole Whether the server must be asked for what comes after it.
 */

/** The server's answer where it cannot continue from a cursor. */
const REFRESH = '<turbo-stream action="refresh"></turbo-stream>';
/** The most messages that may wait. */
const MAX_QUEUE = 10_000;
/** The most characters of recently rendered messages that are kept. */
const MAX_HISTORY = 500_000;

/**
 * The parts of a cursor.
 *
 * @param {Cursor} cursor
 * @returns {{ epoch: string, position: number } | undefined}
 */
export function parse(cursor) {
  const [, epoch, position] = /^([\w-]+)\.(\d+)(?:\.\d+)?$/.exec(cursor) ?? [];
  return epoch === undefined ? undefined : { epoch, position: Number(position) };
}

/**
 * Less than 0, 0, or more than 0 when `a` is before, at, or after `b`; `undefined` when they do not
 * compare.
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

/** A cursor renamed to the epoch of another. @param {Cursor} to @param {Cursor} cursor */
function renameTo(to, cursor) {
  return `${parse(to)?.epoch}.${parse(cursor)?.position}`;
}

/**
 * A page that is shown, and how current each of its parts is. `P` is what identifies a part: an element.
 *
 * @template P
 */
export class Shown {
  /** @type {Map<P, Cursor>} */
  parts = new Map();
  /** @type {Message[]} What was rendered recently, oldest first. */
  history = [];
  historySize = 0;
  /** Whether part of its content has an unknown cursor, so that the page must be fetched. */
  isLost = false;

  /** @param {{ id: string, cursor: Cursor, path: string, token: string, reader?: string }} page */
  constructor({ id, cursor, path, token, reader = "" }) {
    this.id = id;
    this.cursor = cursor;
    this.historyStart = cursor;
    /** The path of its stream. */
    this.path = path;
    /** Its signed topics. */
    this.token = token;
    /** A mark of the reader that it was rendered for. */
    this.reader = reader;
  }

  /** The cursor from which the server must continue: that of the oldest part. */
  get oldest() {
    return [...this.parts.values()].reduce((a, b) => isAfter(a, b) ? b : a, this.cursor);
  }

  /** @param {P | undefined} part `undefined` means the page around all parts. */
  cursorOf(part) {
    return (part !== undefined && this.parts.get(part)) || this.cursor;
  }

  /**
   * Renames all cursors to the epoch of a cursor, because the log continues under it with the same
   * positions. Returns `false`, and changes nothing, where a part is not behind the page: such a part may
   * come from another process.
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

  /** Whether a message is still due in a part. @param {Cursor} cursor @param {P} [part] */
  isDue(cursor, part) {
    return isAfter(cursor, this.cursorOf(part));
  }

  /**
   * Records that a part was rendered with content as of a cursor.
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

  /** Records that a message was rendered wherever it was due. @param {Cursor} cursor */
  advance(cursor) {
    if (isAfter(cursor, this.cursor)) this.cursor = cursor;
    for (const [part, at] of this.parts) if (isAfter(cursor, at)) this.parts.set(part, cursor);
  }

  /** Whether the history contains everything after a cursor. @param {Cursor} cursor */
  covers(cursor) {
    return (compare(cursor, this.historyStart) ?? -1) >= 0;
  }

  /** The messages in the history after a cursor. @param {Cursor} cursor */
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

  /** Forgets the history, because the server is asked for what comes next. */
  forget() {
    this.history = [];
    this.historySize = 0;
    this.historyStart = this.cursor;
  }

  /**
   * Drops the parts that have the same cursor as what is around them.
   *
   * @param {(part: P) => P | undefined} around The nearest part around a part.
   */
  settle(around) {
    for (const [part, at] of this.parts) {
      const outer = around(part);
      if (compare(at, this.cursorOf(outer)) === 0) this.parts.delete(part);
    }
  }

  /**
   * A copy for a snapshot of the page, in which each part is the corresponding part of the snapshot.
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
 * Plans what to render for the messages in the queue. An answer may be older than the page. The messages
 * after it are then repeated for the content that it inserts. Where they are no longer in the history,
 * nothing is rendered after the answer, and the server must be asked.
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

// Messages that are due in the whole page are joined into one step, so that Turbo parses them and checks
// the focus once. In all other cases each message keeps its own cursor: joined under the last one,
// messages that a part has had already would be rendered into it again.
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

/** @typedef {"drop" | "marker" | "gap" | "messages"} Reading What received messages mean for the page. */

/** Decides which of the received messages are for the page. */
export class Inbox {
  /** @type {Cursor[]} The cursor of each `since` that has no marker yet. */
  awaited = [];
  /** Whether nothing has arrived since the last marker. */
  isFresh = false;

  /** A `since` was sent. @param {Cursor} cursor */
  asked(cursor) {
    this.awaited.push(cursor);
  }

  /** Starts with a new connection, on which nothing was asked. */
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

/** @typedef {"gap" | "push" | "answer"} Why Why a page is fetched: a gap, or a pushed or answered refresh. */

/**
 * @template P
 * @typedef {object} Shell The effects of a {@linkcode Follower}.
 * @property {() => boolean} ask Asks the server for everything after the page's oldest part. Returns
 * `false` where it will call the follower's `ask` later instead.
 * @property {(batch: Batch<P>) => void} give Renders a batch at the next paint, by calling `painted`.
 * @property {(batch: Batch<P>) => void} cancel Drops a batch that it was given.
 * @property {(step: Step, shown: Shown<P>) => boolean} run Renders a step. Returns whether it has a refresh.
 * @property {(part: P) => P | undefined} around The nearest part around a part.
 * @property {(why: Why) => void} refetch Fetches the page as of the follower's `need`, or later.
 * @property {() => void} resumed The server continues from the page, which need not be fetched.
 * @property {() => void} changed `isCurrent` has changed.
 */

/** Stands for a page without a stream, in which only answers are rendered. */
const NOWHERE = new Shown({ id: "", cursor: "", path: "", token: "" });

/**
 * Keeps the page that is shown up to date.
 *
 * @template P
 */
export class Follower {
  /** @type {Shown<P> | undefined} The page that is shown, if it has a stream. */
  shown;
  /** Whether the page is being fetched again. Until that is done nothing is rendered into it. */
  isFetching = false;
  /** Whether a marker has confirmed that the server continues from what the page shows. */
  isCurrent = false;
  inbox = new Inbox();
  /** @type {Message[]} */
  queue = [];
  /** @type {Batch<P> | undefined} The batch that was given to the shell and is not rendered yet. */
  batch;
  /** Whether the last `since` has not been sent yet, because of the rate limit. */
  isHeld = false;
  isConnected = false;
  /** The cursor that the fetched page must have reached. */
  need = "";
  /** @type {{ shown: Shown<P>, cursor: Cursor } | undefined} What a connection asks in its URL. */
  asked;

  /** @param {Shell<P>} shell */
  constructor(shell) {
    this.shell = shell;
  }

  /** Whether the connection is open, and everything asked on it was answered. */
  get isAnswered() {
    return this.isConnected && this.inbox.awaited.length === 0;
  }

  /** Another page is shown, or a newer version of the same. @param {Shown<P> | undefined} shown */
  show(shown) {
    this.shown = shown;
    this.isFetching = false;
    if (!shown) this.#setCurrent(false);
    else if (shown.isLost) this.refetch(shown.cursor, "push");
    this.ask();
  }

  /**
   * A connection is opening.
   *
   * @param {boolean} asks Whether its URL contains the `since`.
   */
  connecting(asks) {
    const { shown } = this;
    if (shown && asks) {
      this.asked = { shown, cursor: shown.oldest };
      this.inbox.asked(shown.oldest);
    }
  }

  /** The connection has opened. */
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

  /** Asks for what came after the page's cursor. Messages before the answer are dropped. */
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

  /** Messages have arrived. @param {readonly Message[]} messages */
  receive(messages) {
    const { inbox } = this;
    const { isFresh } = inbox;
    const reading = inbox.read(messages);
    if (reading === "drop" || !this.shown) return;
    const { cursor } = /** @type {Message} */ (messages.at(-1));
    if (reading === "gap") return this.refetch(cursor, "gap");
    if (reading === "marker") {
      // Another process may have answered, which can continue. Then a page of its log is good enough.
      if (compare(cursor, this.need) === undefined) this.need = cursor;
      if (this.isAnswered && !this.isFetching) this.#setCurrent(true);
      return;
    }
    // Another process has answered, which can continue from the page as it is.
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
   * Messages that continue from the page may have another epoch: that of a process that is alone for a
   * while. Returns whether they can be rendered.
   *
   * @param {readonly Message[]} messages
   */
  #follow([{ cursor, html } = { cursor: "", html: "" }]) {
    const shown = /** @type {Shown<P>} */ (this.shown);
    // A refresh needs no renaming: another log sends it so that the page fetches itself.
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

  /** Queues a form's answer, to be rendered in order. @param {Cursor} cursor @param {string} html */
  answer(cursor, html) {
    this.queue.push({ cursor, html, isAnswer: true });
    this.#render();
  }

  /** A part, such as a frame, was rendered as of a cursor. @param {P} part @param {Cursor} cursor */
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

  /** Fetches the page as of a cursor, or later. @param {Cursor} need @param {Why} why */
  refetch(need, why) {
    if (this.shown) this.shown.isLost ||= why !== "gap";
    this.isFetching = true;
    this.need = need;
    this.#setCurrent(false);
    this.shell.refetch(why);
  }

  /** Gives the pending batch to the shell once more, because its paint may never come. */
  restart() {
    this.#recall();
    this.#render();
  }

  /** Renders a batch, by the shell's `run`, because its paint has come. @param {Batch<P>} batch */
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

  /** Takes the pending batch back from the shell. */
  #recall() {
    const { batch } = this;
    if (!batch) return;
    this.batch = undefined;
    this.shell.cancel(batch);
    this.queue.unshift(...batch.source);
  }

  /** Drops everything that waits except answers, because the server sends it again. */
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

/** Milliseconds: a connection that is cut earlier counts as failed. */
const YOUNG = 3_000;
/** Failed WebSockets in a row before server-sent events are tried. One that had opened counts twice. */
const MAX_FAILURES = 3;
/** Milliseconds over which the pages of a server reconnect that does not say how many it has. */
export const MAX_SPREAD = 8_000;

/**
 * Chooses the transport: WebSockets, or server-sent events where a proxy blocks WebSockets. When
 * server-sent events open, the server is known to be there; then one more WebSocket is tried. While
 * neither opens, the two alternate.
 */
export class Transport {
  /** @type {"websocket" | "events"} */
  kind = "websocket";
  /** How many WebSockets have failed in a row. */
  failures = 0;
  /** Whether the server is known to be reachable since a WebSocket last worked. */
  isReached = false;
  /** Whether server-sent events were tried since a WebSocket last worked. */
  hasTriedEvents = false;
  /** Whether a WebSocket has worked on this network. */
  hasHeld = false;
  /** How many connections were lost, or did not open, since the page was last current. */
  losses = 0;

  /**
   * A WebSocket has ended.
   *
   * @param {{ hasOpened?: boolean, wasHeard?: boolean, age?: number, wasCut?: boolean }} how Whether it
   * opened, whether any message arrived on it, for how many milliseconds it was open, and whether it
   * ended without a close code.
   */
  webSocketEnded({ hasOpened, wasHeard, age = 0, wasCut }) {
    if (wasHeard && !(wasCut && age < YOUNG)) {
      this.failures = 0;
      this.isReached = this.hasTriedEvents = false;
      this.hasHeld = true;
      return;
    }
    // The server is there, but something in between does not forward messages.
    if (hasOpened && !wasHeard) this.isReached = true;
    this.failures += hasOpened ? 2 : 1;
    if (this.failures >= MAX_FAILURES) this.kind = "events";
  }

  /** Server-sent events have opened. Returns whether to close them and try one more WebSocket. */
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
   * Milliseconds until the next attempt, with full jitter. The first attempt comes soon, because a single
   * connection may have been cut. When the server is away all pages reconnect together, so from the second
   * attempt on they are spread over a time that suits their number, and later over more.
   *
   * @param {number} random From 0 to 1.
   * @param {number} [spread] Milliseconds over which the pages of this server reconnect.
   */
  delay(random, spread = MAX_SPREAD) {
    if (this.kind === "events" && !(this.isReached && this.hasTriedEvents)) return 0;
    const isFirst = this.losses === 0 || (!this.hasHeld && this.losses < MAX_FAILURES);
    const doublings = Math.max(0, this.losses - MAX_SPREAD / spread);
    const within = isFirst ? 500 : Math.min(20_000, spread * 2 ** doublings);
    this.losses++;
    return Math.min(500, within / 2) + random * within;
  }
}

/** How many answers that are not the page are tolerated before the browser must load it. */
const MAX_VAIN = 5;
/** The most milliseconds that a `Retry-After` is respected for. */
const MAX_RETRY_AFTER = 300_000;

/**
 * @typedef {object} Answer An answer to a request for the page.
 * @property {number} status Its status; 0 where there was no answer.
 * @property {boolean} isHtml
 * @property {Cursor | undefined} cursor The cursor in its `<head>`.
 * @property {number | undefined} [retryAfter] Milliseconds.
 */

/**
 * Decides what to do with answers to requests for the page.
 *
 * `take`: this is the page, as of the cursor that is needed or later. `again`: try again, because the
 * server is busy or a cache has answered. `reconnect`: this is a page of another log than that of the
 * connection, so connecting to another process may help. `leave`: the page cannot be fetched this way, so
 * the browser must load it. `stop`: as `leave`, but the browser would get the same answer.
 */
export class Refetch {
  /** How many requests there were. */
  tries = 0;
  /** How many of them were answered with something other than the page. */
  vain = 0;
  /** How many of them were answered with a page of another log. */
  foreign = 0;

  /**
   * @param {Answer} answer
   * @param {Cursor} need
   * @param {boolean} isReachable Whether the server is known to be there, because it has answered a `since`.
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

  /** Counts `n` failed requests. @returns {"again" | "leave"} */
  vainly(n = 1) {
    return (this.vain += n) < MAX_VAIN ? "again" : "leave";
  }

  /**
   * Milliseconds until the next request, with jitter, because many pages may have missed the same push.
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

/** Milliseconds between two reports, where the server does not say. */
const REPORT_INTERVAL = 60_000;

/**
 * Decides when the page reports to the server what it shows: at the first rendering that comes some time after
 * the last report, and when the server asks.
 */
export class Reports {
  dueAt = 0;
  /** When anything was last rendered. */
  renderedAt = 0;
  /** @type {Cursor | undefined} The cursor about which the server asks. */
  asked;

  /**
   * A connection opens, so what the page shows is known. The first report comes at random within the interval,
   * because many pages may have connected at the same time.
   *
   * @param {number} now Milliseconds of the monotonic clock.
   * @param {number} random From 0 to 1.
   * @param {number} [interval] Milliseconds.
   */
  start(now, random, interval = REPORT_INTERVAL) {
    this.interval = interval;
    this.dueAt = now + random * interval;
    this.renderedAt = now;
    this.asked = undefined;
  }

  /**
   * The page was brought up to a cursor. Returns for how many milliseconds it has shown that, where it is to
   * report.
   *
   * @param {Cursor} cursor
   * @param {boolean} isChanged Whether anything was rendered for that.
   * @param {number} now
   */
  rendered(cursor, isChanged, now) {
    if (isChanged) this.renderedAt = now;
    const isAsked = this.asked !== undefined && !isAfter(this.asked, cursor);
    if (!isAsked && !(isChanged && now >= this.dueAt)) return undefined;
    this.dueAt = now + (this.interval ?? 0);
    if (isAsked) this.asked = undefined;
    return now - this.renderedAt;
  }
}

/** How often a page may ask at once; after that, once a second. The server allows slightly more. */
const MAX_ASKS = 15;

/** Limits how often the page asks. */
export class AskRate {
  left = MAX_ASKS;
  at = 0;

  /**
   * Milliseconds to wait. 0 means that the page may ask now; that counts as asked.
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
