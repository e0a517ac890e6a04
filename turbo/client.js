// @ts-check
/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// The client of turbo-stream.v2 (see protocol.ts): one connection to the server, and a page that shows
// the newest state. Plain JavaScript with JSDoc types. The decisions are in client_core.js; this file
// handles the document, sockets, timers and Turbo.

import {
  AskRate,
  Follower,
  isAfter,
  MAX_SPREAD,
  parseRetryAfter,
  Refetch,
  Reports,
  Shown,
  Transport,
} from "./client_core.js";
import { isShownInHead, showInHead } from "./client_head.js";
import { carryEdits, hasEdits, keepEdits } from "./client_keep.js";

/**
 * @typedef {import("./client_core.js").Step} Step
 * @typedef {import("./client_core.js").Batch<Element>} Batch
 * @typedef {import("./client_core.js").Cursor} Cursor
 * @typedef {HTMLElement & {
 *   action: string, target: string | null, targets: string | null, requestId: string | null,
 *   targetElements: Element[],
 * }} StreamElement
 * @typedef {CustomEvent<{ render: (element: StreamElement) => unknown }>} StreamRenderEvent
 * @typedef {{ element: StreamElement, run: () => void, skip: () => void }} Run
 */

const PROTOCOL = "turbo-stream.v2";
const STREAM_TYPE = "text/vnd.turbo-stream.html";
const SENT_AWAY = 4001;
/** Milliseconds without a message after which a connection counts as dead. */
const DEAD_AFTER = 2.5 * 15_000;
/** Milliseconds in which an open socket must receive something: some proxies forward no messages. */
const FIRST_FRAME = 10_000;
/** Milliseconds within which a gap follows the marker. */
const GAP_WITHIN = 50;
/** Milliseconds after which a hidden tab closes its connection. */
const HIDDEN_GRACE = 30_000;
/** Milliseconds for which a page may be without an open connection before its head says so. */
const LOST_AFTER = 1_500;
/** Milliseconds for which a refresh waits for another one, and for a whole series. */
const REFRESH_AFTER = 150;
const REFRESH_WITHIN = 1_000;
/** Milliseconds after which Turbo counts as having dropped what it was given to render. */
const RENDERED_AFTER = 5_000;
/** As how many failed requests a page counts that Turbo does not render, which may never pass. */
const NOT_RENDERED = 3;
/** Milliseconds after which a request for the page is aborted. */
const ANSWERED_AFTER = 60_000;
/** Milliseconds within which the browser must not load the same page twice for us. */
const LEFT_FOR = 60_000;
const LEFT = "turbo-stream-left";

const root = document.documentElement;

// ---- The undocumented behaviour of Turbo that this file relies on. turbo_internals_test.ts fails when
// another version changes it:
// - `Turbo.visit(url, { response, refresh, shouldCacheSnapshot })` renders the given response;
// - `Turbo.renderStreamMessage(html)` connects the elements at once, in order;
// - `detail.render` of `turbo:before-stream-render` is called with the next paint;
// - `targetElements` of a stream element returns the elements that it changes;
// - `responseHTML` of a fetch response is read during `turbo:before-fetch-response`;
// - a cached head is made of `headSnapshot.detailsByOuterHTML`, and merged by comparing the text of titles;
// - and the four functions that follow.

/** Turbo, as turbo.js sets it on the window. */
const turbo = () => /** @type {any} */ (window).Turbo;

/** Turbo's current visit, or one that it never finishes: after a download, a 204, a paused rendering. */
const currentVisit = () => turbo().navigator.currentVisit;

/** Whether a request of this tab caused a refresh: it has the answer. @param {string | null} id */
const isOwnRequest = (id) => turbo().session.recentRequests.has(id);

/**
 * Makes Turbo connect the elements of a message. Turbo would restore the focus a moment later, and so undo
 * what the reader does meanwhile. To prevent that, `activeElement` is hidden from Turbo. The focus is then
 * restored here, because Turbo replaces permanent elements in the message at once.
 *
 * @param {string} html
 */
function render(html) {
  const { activeElement } = document;
  /** @type {any} */
  const overridden = document;
  Object.defineProperty(document, "activeElement", {
    configurable: true,
    get() {
      delete overridden.activeElement;
      return null;
    },
  });
  try {
    turbo().renderStreamMessage(html);
  } finally {
    delete overridden.activeElement;
  }
  queueMicrotask(() => refocus(activeElement));
}

/**
 * Calls back with each body that Turbo copies into its cache, and the copy. The head is cached without what
 * stands in it only while the connection is lost.
 */
function onSnapshot(/** @type {(body: HTMLElement, copy: HTMLElement) => void} */ copied) {
  const { prototype } = turbo().PageSnapshot;
  const { clone } = prototype;
  prototype.clone = function () {
    const snapshot = clone.call(this);
    const elements = snapshot.headSnapshot.detailsByOuterHTML;
    for (const html in elements) if (isShownInHead(html)) delete elements[html];
    copied(this.element, snapshot.element);
    return snapshot;
  };
}

// ---- In a form with a field named "id", `form.id` is that field. So properties of what may be a form are
// read through the prototypes.

/** @type {(node: Node) => Element | null} */
const parentOf = getter(Node.prototype, "parentElement");
/** @param {Element} element @param {string} name */
const attribute = (element, name) => Element.prototype.getAttribute.call(element, name) ?? "";
/** @type {(element: Element) => HTMLCollection} */
const childrenOf = getter(Element.prototype, "children");

/** @param {object} prototype @param {string} name */
function getter(prototype, name) {
  const { get } = /** @type {any} */ (Object.getOwnPropertyDescriptor(prototype, name));
  return (/** @type {object} */ object) => get.call(object);
}

/** The connection to the server: a WebSocket or, where WebSockets do not work, server-sent events. */
class Connection {
  /** @type {WebSocket | EventSource | undefined} */
  #source;
  #transport = new Transport();
  #rate = new AskRate();
  #reports = new Reports();
  #heardAt = moment();
  /** Whether anything has arrived on this connection. */
  #wasHeard = false;
  /** @type {ReturnType<typeof moment> | undefined} When it opened. */
  #openedAt;
  /** Whether not to connect: the server has disconnected this page, or it cannot be fetched again. */
  #isAway = false;
  /** @type {string | undefined} The id of the page that the server has disconnected for good. */
  #sentAway;
  /** The reader of the page that it was opened for. */
  #reader = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #askLater;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #opening;
  /** @type {ReturnType<typeof setTimeout> | undefined} Ends a socket that has opened and receives nothing. */
  #firstFrame;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;

  /** Connects, unless it is connected or connecting. */
  connect() {
    const { shown } = follower;
    if (this.#source || !shown || this.#isAway) return;
    clearTimeout(this.#retry);
    this.#reader = shown.reader;
    this.#watch ??= setInterval(() => this.check(), 5_000);
    this.#heardAt = moment();
    this.#openedAt = undefined;
    this.#wasHeard = false;
    // A page with a token asks in its first message, because proxies log the URL of a WebSocket.
    const isWebSocket = this.#transport.kind === "websocket";
    const asks = !isWebSocket || shown.token === "";
    follower.connecting(asks);
    const url = new URL(shown.path, location.origin + location.pathname);
    url.searchParams.set("page", shown.id);
    // A page that must be fetched does not show what is up to its cursor.
    url.searchParams.set("reports", shown.isLost ? "0" : "1");
    this.#reports.start(performance.now(), Math.random(), Number(said()["report"]) || undefined);
    if (asks) url.searchParams.set("since", shown.oldest);
    try {
      if (isWebSocket) this.#openWebSocket(url);
      else {
        if (shown.token) url.searchParams.set("token", shown.token);
        this.#openEventSource(url);
      }
    } catch (error) { // a content security policy may forbid it
      console.error("Cannot connect:", error);
      this.#transport.webSocketEnded({});
      this.#tryLater();
    }
    this.tell();
  }

  /**
   * Another page is about to be shown. The server keeps the reader of a connection, so a log-in or a
   * log-out needs a new one.
   *
   * @param {Shown<Element> | undefined} shown
   */
  pageChanges(shown) {
    if (shown && shown.reader !== this.#reader) this.#end();
  }

  /** Another page is shown. */
  pageChanged() {
    const { shown } = follower;
    if (!shown) return this.rest();
    if (shown.id !== this.#sentAway) this.#isAway = false;
    this.connect();
    this.tell();
  }

  /** Asks for what came after the page's cursor; `false` where the rate limit delays that. */
  ask() {
    const { shown } = follower;
    clearTimeout(this.#askLater);
    const wait = this.#rate.take(performance.now());
    if (wait > 0) {
      this.#askLater = setTimeout(() => follower.ask(), wait);
      return false;
    }
    if (this.#source instanceof WebSocket && shown) {
      this.#source.send(`since ${shown.oldest} ${shown.token || "-"} ${shown.id}`);
    } else this.reconnect();
    return true;
  }

  /**
   * Reports what the page shows, where that is due.
   *
   * @param {Cursor} cursor
   * @param {boolean} isChanged Whether anything was rendered.
   */
  rendered(cursor, isChanged) {
    // While it is fetched it shows less than its cursor says. Its next `since` is a report.
    if (!follower.isCurrent) return;
    const age = this.#reports.rendered(cursor, isChanged, performance.now());
    if (age === undefined || !(this.#source instanceof WebSocket)) return;
    this.#source.send(`shown ${cursor} ${Math.round(age)}`);
  }

  /**
   * Tells the inspector of the server something, where there is one.
   *
   * @param {string} text
   */
  note(text) {
    if (!said()["inspect"] || !follower.isConnected) return;
    if (this.#source instanceof WebSocket) this.#source.send(text);
  }

  /** Connects again, perhaps to another process. */
  reconnect() {
    this.#end();
    this.connect();
  }

  /** Closes the connection until `connect` is called. */
  rest() {
    this.#end();
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.tell();
  }

  /** Closes the connection until another page is shown, or `wake` is called. */
  giveUp() {
    this.#isAway = true;
    this.rest();
  }

  /** Connects again, even after `giveUp`, because the reader or the network is back. */
  wake() {
    this.check();
    this.#isAway = this.#sentAway !== undefined && follower.shown?.id === this.#sentAway;
    this.connect();
    this.tell();
  }

  /** Forgets what was learnt about a proxy and failures, because the network may be another one. */
  forget() {
    this.#transport = new Transport();
  }

  /** Drops the connection when nothing, not even a heartbeat, has arrived for too long. */
  check() {
    if (this.#source && timeSince(this.#heardAt) > DEAD_AFTER) this.#lost(true);
  }

  /** Shows the state on the document: `open` while the page that is shown follows the log. */
  tell() {
    clearTimeout(this.#opening);
    if (!this.#source) return setState(this.#isAway ? "away" : "closed");
    if (!follower.isCurrent) return setState("connecting");
    this.#transport.held();
    // Where there is a gap, the refresh follows the marker at once.
    this.#opening = setTimeout(() => setState("open"), GAP_WITHIN);
  }

  /** @param {URL} url */
  #openWebSocket(url) {
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, PROTOCOL);
    this.#source = socket;
    socket.onopen = () => {
      if (socket !== this.#source) return;
      this.#openedAt = moment();
      this.#firstFrame = setTimeout(() => this.#lost(true), FIRST_FRAME);
      follower.connected();
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#source && typeof data === "string") this.#receive(data);
    };
    socket.onclose = ({ code }) => {
      if (socket !== this.#source) return;
      if (code === SENT_AWAY) this.#leave();
      else this.#lost(code === 1006);
    };
    // A socket that a policy forbids fails without a close event.
    socket.onerror = () => socket === this.#source && this.#lost(true);
  }

  /** @param {URL} url */
  #openEventSource(url) {
    const source = new EventSource(url);
    this.#source = source;
    source.onopen = () => {
      if (source !== this.#source) return;
      this.#openedAt = moment();
      if (this.#transport.eventsOpened()) this.reconnect();
      else follower.connected();
    };
    const receive = (/** @type {MessageEvent} */ { lastEventId, data }) => {
      if (source === this.#source) this.#heard([{ cursor: lastEventId, html: data }]);
    };
    source.onmessage = receive;
    source.addEventListener("cursor", receive);
    source.addEventListener("away", () => source === this.#source && this.#leave());
    // The server ends each stream after some time; this is not a failure.
    source.addEventListener("again", () => source === this.#source && this.reconnect());
    source.onerror = () => source === this.#source && this.#lost(true);
  }

  // Each entry keeps its own cursor, in the queue too. Joined under the last cursor, all of them would be
  // rendered again into an answer whose cursor lies between two of them.
  /** @param {string} frame */
  #receive(frame) {
    let entries;
    try {
      entries = JSON.parse(frame);
    } catch (error) {
      console.error("Cannot read a frame:", error);
      return this.#lost(false);
    }
    this.#heard(
      entries.map((/** @type {[string, string, string?]} */ [cursor, html, asks]) => {
        if (asks) this.#reports.asked = cursor;
        return { cursor, html };
      }),
    );
  }

  /** @param {{ cursor: string, html: string }[]} messages */
  #heard(messages) {
    this.#heardAt = moment();
    this.#wasHeard = true;
    clearTimeout(this.#firstFrame);
    follower.receive(messages);
  }

  #leave() {
    this.#sentAway = follower.shown?.id;
    this.giveUp();
  }

  /** @param {boolean} wasCut Whether it ended without a close code. */
  #lost(wasCut) {
    this.#end(wasCut);
    this.#tryLater();
    this.tell();
  }

  #tryLater() {
    if (tab.isAway()) return;
    this.#retry = setTimeout(() => this.connect(), this.#transport.delay(Math.random(), spread()));
  }

  #end(wasCut = false) {
    const source = this.#source;
    if (!source) return;
    const hasOpened = this.#openedAt !== undefined;
    const age = this.#openedAt ? timeSince(this.#openedAt) : 0;
    if (!(source instanceof WebSocket)) this.#transport.eventsEnded(hasOpened);
    else if (wasCut || this.#wasHeard) {
      this.#transport.webSocketEnded({ hasOpened, wasHeard: this.#wasHeard, age, wasCut });
    }
    this.#source = undefined;
    clearTimeout(this.#askLater);
    clearTimeout(this.#firstFrame);
    source.close();
    follower.disconnected();
  }
}

/** Renders batches of streams, through Turbo. */
class Stage {
  /** @type {StreamRenderEvent[] | undefined} The events of elements that are being connected. */
  #collecting;
  /** @type {{ batch: Batch, elements: Element[], runs: Map<Step, Run[]> } | undefined} */
  #given;
  /** @type {string[]} */
  #targets = [];
  /** @type {Cursor | undefined} The cursor of the push that is being rendered. */
  running;

  /** @param {StreamRenderEvent} event */
  collect(event) {
    this.#collecting?.push(event);
  }

  // Turbo calls `render` of each element after the next paint. All elements are run together at the last
  // call, so that the page is never seen, or cloned, between two positions.
  /** @param {Batch} batch */
  give(batch) {
    const given = this.#given = {
      batch,
      elements: /** @type {Element[]} */ ([]),
      runs: /** @type {Map<Step, Run[]>} */ (new Map()),
    };
    let waiting = 0;
    for (const step of batch.steps) {
      /** @type {Run[]} */
      const runs = [];
      given.runs.set(step, runs);
      for (const { detail, target, defaultPrevented } of this.#connect(step.html)) {
        const element = /** @type {StreamElement} */ (target);
        given.elements.push(element);
        if (defaultPrevented) continue;
        const { render } = detail;
        const index = waiting++;
        detail.render = () =>
          new Promise((resolve, reject) => {
            const skip = () => resolve(undefined);
            if (this.#given !== given) return skip();
            const run = () => {
              try {
                resolve(render(element));
              } catch (error) {
                reject(error); // Turbo reports it
              }
            };
            runs[index] = { element, run, skip };
            if (--waiting === 0) this.#paint(batch);
          });
      }
    }
    if (waiting === 0) this.#paint(batch);
  }

  /** @param {Batch} batch */
  cancel(batch) {
    if (this.#given?.batch !== batch) return;
    for (const element of this.#given.elements) element.remove();
    this.#given = undefined;
  }

  /** @param {Step} step @param {Shown<Element>} shown */
  run(step, shown) {
    let hasRefresh = false;
    this.running = step.isAnswer ? undefined : step.cursor;
    for (const { element, run, skip } of this.#given?.runs.get(step)?.filter(Boolean) ?? []) {
      const { action, requestId, target, targets } = element;
      try {
        if (action === "refresh" && !isOwnRequest(requestId)) {
          hasRefresh = true; // Turbo's own refresh is dropped during a visit, and delayed by another one
          skip();
        } else if (runOn(element, run, step, shown)) this.#targets.push(target ?? targets ?? "");
        else skip();
      } catch (error) {
        console.error("Cannot render a stream:", element.outerHTML, error);
        skip();
      }
    }
    return hasRefresh;
  }

  /** @param {string} html @returns {StreamRenderEvent[]} */
  #connect(html) {
    if (html === "") return [];
    this.#collecting = [];
    try {
      render(html);
    } catch {
      this.#connectOneByOne(html);
    }
    const events = this.#collecting;
    this.#collecting = undefined;
    return events;
  }

  // Turbo renders nothing of a message in which one element is invalid.
  /** @param {string} html */
  #connectOneByOne(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    for (const { outerHTML } of template.content.children) {
      try {
        // A parser drops the first line feed in these elements, and `outerHTML` does not restore it.
        turbo().renderStreamMessage(
          outerHTML.replace(/(<(?:textarea|pre|listing)\b[^>]*>)\n/gi, "$1\n\n"),
        );
      } catch (error) {
        console.error("Cannot render a stream:", outerHTML, error);
      }
    }
  }

  /** @param {Batch} batch */
  #paint(batch) {
    this.#targets = [];
    const focused = document.activeElement;
    follower.painted(batch);
    refocus(focused);
    const { shown } = follower;
    if (shown) connection.rendered(shown.oldest, batch.steps.some(({ html }) => html !== ""));
    if (this.#targets.length === 0) return;
    const targets = [...new Set(this.#targets)].filter(Boolean);
    announce("turbo-stream:rendered", { cursor: follower.shown?.cursor, targets });
  }
}

/** Focuses the element that has replaced the focused one. @param {Element | null} focused */
function refocus(focused) {
  const { activeElement, body } = document;
  if (!focused || focused.isConnected || (activeElement && activeElement !== body)) return;
  const next = document.getElementById(attribute(focused, "id"));
  if (next) HTMLElement.prototype.focus.call(next, { preventScroll: true });
}

/**
 * Renders a stream into those of its targets that have not had it yet; an answer into all. Returns `false`
 * where there was none. The content that it inserts gets its cursor.
 *
 * @param {StreamElement} element
 * @param {() => void} run
 * @param {Step} step
 * @param {Shown<Element>} shown
 */
function runOn(element, run, { cursor, isAnswer }, shown) {
  const { action } = element;
  const isSimple = !isAnswer && shown.parts.size === 0;
  if (isSimple || !(element.target || element.targets)) {
    const isDue = isAnswer || shown.isDue(cursor);
    if (isDue) run();
    return isDue;
  }
  const targets = targetsOf(element);
  const isWhole = action === "replace" || action === "update";
  const parts = [...shown.parts.keys()];
  const isIn = (/** @type {Element} */ target) => (/** @type {Element} */ part) =>
    Node.prototype.contains.call(target, part);
  const due = isAnswer ? targets : targets.filter((target) => {
    // `before` and `after` change what is around the target. So does `remove`, but an element that an
    // answer has inserted again must be removed again.
    const isOutside = action === "before" || action === "after";
    return shown.isDue(cursor, partAround(isOutside ? parentOf(target) : target)) ||
      // It may overwrite content that is newer, because the messages after it bring that up to date.
      (isWhole && parts.filter(isIn(target)).some((part) => shown.isDue(cursor, part)));
  });
  if (due.length === 0 && targets.length > 0) return false;
  Object.defineProperty(element, "targetElements", { value: due });
  const isInside = action === "append" || action === "prepend" || action === "update";
  const places = new Set(due.map((target) => isInside ? target : parentOf(target)));
  const before = new Set(childrenIn(places));
  run();
  const changed = childrenIn(places).filter((child) => !before.has(child));
  if (isWhole) {
    for (const part of due.flatMap((target) => parts.filter(isIn(target)))) {
      shown.parts.delete(part);
    }
    changed.push(...due, ...targetsOf(element));
  }
  for (const part of changed) {
    if (document.body.contains(part)) shown.mark(part, cursor, partAround(parentOf(part)));
  }
  return true;
}

/** @param {Set<Element | null>} places */
function childrenIn(places) {
  return [...places].flatMap((place) => place ? [...childrenOf(place)] : []);
}

/** @param {StreamElement} element @returns {Element[]} */
function targetsOf({ target, targets }) {
  if (target) return [document.getElementById(target)].filter((found) => found !== null);
  return targets ? [...document.querySelectorAll(targets)] : [];
}

/** The nearest part from an element on upwards. @param {Element | null} element */
function partAround(element) {
  const parts = follower.shown?.parts;
  for (; parts?.size && element; element = parentOf(element)) {
    if (parts.has(element)) return element;
  }
  return undefined;
}

/** Fetches the page again when what it missed was dropped, or when the server asks for it. */
class Refetching {
  #decisions = new Refetch();
  /** @type {import("./client_core.js").Why} */
  #why = "gap";
  /** @type {object | undefined} The page about which a warning was logged. */
  #said;
  /** @type {string | undefined} The cursor of a refresh in an answer, which is not sent again. */
  #own;
  /** @type {AbortController | undefined} Set until the page has been fetched. */
  #run;
  #since = moment();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {{ visit: unknown, end: unknown, since: ReturnType<typeof moment> } | undefined} */
  #seen;
  /** In the head while that has newer scripts than are running: makes the next visit a full load. */
  #outdated = document.createElement("meta");
  #isOutdated = false;
  /** Forms that are being submitted. @type {Set<unknown>} */
  sending = new Set();

  constructor() {
    this.#outdated.name = "turbo-stream-outdated";
    this.#outdated.dataset["turboTrack"] = "reload";
  }

  /**
   * Starts fetching, unless that has started. Nothing is rendered into the page until it is done. The first
   * request is delayed at random, because many pages may have missed the same push or received the same
   * refresh; the delay is short where there are few pages. A refresh in an answer concerns this page only; as
   * in Turbo, it waits for a series to end.
   *
   * @param {import("./client_core.js").Why} why
   */
  start(why) {
    this.#why = why;
    const isFirst = !this.#run;
    this.#run ??= new AbortController();
    if (isFirst) {
      this.#since = moment();
      if (why === "gap") announce("turbo-stream:gap");
      if (follower.shown && posted.has(follower.shown)) return this.#leave();
    }
    if (why === "answer") {
      this.#own = follower.need;
      this.#later(Math.max(0, Math.min(REFRESH_AFTER, REFRESH_WITHIN - timeSince(this.#since))));
    } else if (isFirst) {
      this.#later(this.#decisions.delay(Math.random() * spread() / MAX_SPREAD));
    }
  }

  /** Stops: a page was rendered, by this or by a visit, or none is needed. */
  stop() {
    clearTimeout(this.#timer);
    this.#run?.abort();
    this.#run = undefined;
    if (this.#isOutdated) document.head.append(this.#outdated);
  }

  /** A page was rendered. Fetches once more if that is older than a refresh in an answer. */
  rendered() {
    const { shown } = follower;
    const own = this.#own;
    this.#own = undefined;
    if (own && shown && isAfter(own, shown.cursor)) follower.refetch(own, "answer");
  }

  /** Continues after it was stopped, because the reader is back. */
  wake() {
    if (follower.isFetching && !this.#run) this.start(this.#why);
  }

  /** The page follows the log again. */
  succeeded() {
    this.#decisions = new Refetch();
  }

  /** @param {number} delay */
  #later(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#try(), delay);
  }

  // Fetches the page itself before it starts a visit, because a visit that finds no server would replace
  // the page with the browser's error page.
  async #try() {
    const run = this.#run;
    if (!run) return;
    if (this.#isBusy()) return this.#later(100);
    const { href } = location;
    const { answer, html, page, url } = await this.#ask(run.signal);
    if (run !== this.#run) return;
    const decision = this.#decisions.judge(answer, follower.need, follower.isAnswered);
    if (decision === "leave" || decision === "stop") return this.#leave(decision === "leave");
    if (decision === "reconnect") connection.reconnect();
    const isFree = href === location.href && !this.#isBusy();
    if (decision !== "take" || !page || !isFree) {
      return this.#later(isFree ? this.#decisions.delay(Math.random(), answer.retryAfter) : 100);
    }
    await this.#adoptHead(page.head);
    if (run !== this.#run) return;
    // Turbo may not render the page, or the app may prevent the visit.
    this.#timer = setTimeout(() => this.#inVain(), RENDERED_AFTER);
    try {
      turbo().visit(url, {
        action: "replace",
        shouldCacheSnapshot: false,
        response: { statusCode: answer.status, responseHTML: html, redirected: url !== href },
        refresh: {
          method: contentOf("turbo-refresh-method") ?? "morph",
          scroll: contentOf("turbo-refresh-scroll") ?? "preserve",
        },
      });
    } catch (error) {
      console.error("Cannot render the page:", error);
    }
  }

  /** @param {AbortSignal} signal */
  async #ask(signal) {
    const { href, origin, pathname, search } = location;
    try {
      const response = await fetch(origin + pathname + search, {
        headers: { Accept: "text/html, application/xhtml+xml" },
        cache: "reload",
        signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWERED_AFTER)]),
      });
      const { headers, status, redirected } = response;
      const html = await response.text();
      const page = new DOMParser().parseFromString(html, "text/html");
      const answer = {
        status,
        isHtml: /^(text\/html|application\/xhtml\+xml)\b/i.test(headers.get("Content-Type") ?? ""),
        cursor: metaIn(page.head)?.content,
        retryAfter: parseRetryAfter(headers.get("Retry-After"), Date.now()),
      };
      return { answer, html, page, url: redirected ? response.url : href };
    } catch (error) {
      if (!signal.aborted) console.warn("Cannot fetch the page:", error);
      const answer = { status: 0, isHtml: false, cursor: undefined, retryAfter: undefined };
      return { answer, html: "", url: href };
    }
  }

  #inVain() {
    if (this.#isOutdated) document.head.append(this.#outdated);
    if (this.#decisions.vainly(NOT_RENDERED) === "leave") this.#leave();
    else this.#later(this.#decisions.delay(Math.random()));
  }

  // A visit that has its answer and is not rendered in time is one that Turbo never finishes. A form that
  // is being submitted would be cancelled by a visit, so wait for it.
  #isBusy() {
    const visit = currentVisit();
    if (this.sending.size > 0) return true;
    if (visit?.state !== "started") return false;
    const { requestStart, requestEnd } = visit.getTimingMetrics();
    if (requestStart && !requestEnd) return true;
    const isSeen = this.#seen?.visit === visit && this.#seen?.end === requestEnd;
    const seen = isSeen && this.#seen || { visit, end: requestEnd, since: moment() };
    this.#seen = seen;
    return timeSince(seen.since) < RENDERED_AFTER;
  }

  // Turbo fully loads a page whose tracked elements differ, and everything that its reader was doing would
  // be lost. So the head gets the tracked elements of the new page first: its stylesheets, and its scripts,
  // which do not run because DOMParser created them. The running scripts continue.
  /** @param {HTMLHeadElement} head */
  async #adoptHead(head) {
    this.#outdated.remove();
    const mine = tracked(document.head);
    const next = tracked(head);
    const isIn = (/** @type {Element[]} */ list, /** @type {Element} */ element) =>
      list.find((other) => textOf(other) === textOf(element));
    const gone = mine.filter((element) => !isIn(next, element));
    const nonce = contentOf("csp-nonce") ?? "";
    /** @type {Element | undefined} */
    let last;
    const loading = next.map((element) => {
      const known = isIn(mine, element);
      const copy = known ?? document.importNode(element, true);
      if (!known && copy.hasAttribute("nonce")) copy.setAttribute("nonce", nonce);
      if (!known) last ? last.after(copy) : document.head.prepend(copy);
      last = copy;
      return known || !copy.matches("link[rel=stylesheet]") ? undefined : loaded(copy);
    });
    await Promise.all(loading);
    for (const element of gone) element.remove();
    this.#isOutdated ||= gone.some((element) => !element.matches("link[rel=stylesheet], style"));
  }

  // Lets the browser load the page, unless something would be lost by that or it was tried just now.
  #leave(mayHelp = true) {
    const { shown } = follower;
    const isAsked = hasEdits() ||
      (shown && posted.has(shown) && document.querySelector("form :is(input, textarea, select)"));
    if (mayHelp && !isAsked && !wasLeft()) {
      carryEdits();
      return location.replace(location.href.replace(/#.*/, ""));
    }
    if (shown !== this.#said) {
      console.warn(
        mayHelp
          ? "turbo-deno: cannot bring this page up to date. Reload it."
          : "turbo-deno: this page is of another log than its stream. Use one Turbo instance, or one engine.",
      );
    }
    this.#said = shown;
    this.stop();
    connection.giveUp();
  }
}

/** @param {Element} head */
function tracked(head) {
  return [...head.querySelectorAll('[data-turbo-track="reload"]')];
}

/** The text by which Turbo compares tracked elements: without nonces. @param {Element} element */
function textOf(element) {
  const copy = /** @type {Element} */ (element.cloneNode(true));
  if (copy.hasAttribute("nonce")) copy.setAttribute("nonce", "");
  return copy.outerHTML;
}

/** @param {Element} stylesheet */
function loaded(stylesheet) {
  return new Promise((resolve) => {
    stylesheet.addEventListener("load", resolve);
    stylesheet.addEventListener("error", resolve);
    setTimeout(resolve, RENDERED_AFTER);
  });
}

/** Whether the browser has recently loaded this page for us; records that it does so now. */
function wasLeft() {
  const { pathname, search } = location;
  try {
    const [page, time] = JSON.parse(sessionStorage.getItem(LEFT) ?? "[]");
    sessionStorage.setItem(LEFT, JSON.stringify([pathname + search, Date.now()]));
    return page === pathname + search && Math.abs(Date.now() - time) < LEFT_FOR;
  } catch {
    return true; // without storage, loading again could repeat without end
  }
}

/** Whether the tab is visible. */
class Tab {
  /** @type {ReturnType<typeof moment> | undefined} */
  #hiddenAt;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    this.#look();
  }

  /** Whether it has been hidden for longer than {@linkcode HIDDEN_GRACE}, and nobody watches its title. */
  isAway() {
    return this.#hiddenAt !== undefined && timeSince(this.#hiddenAt) > HIDDEN_GRACE &&
      !said()["background"];
  }

  changed() {
    this.#look();
    follower.restart();
    if (!this.#hiddenAt) wake();
  }

  #look() {
    clearTimeout(this.#timer);
    this.#hiddenAt = document.hidden ? moment() : undefined;
    if (!document.hidden) return;
    this.#timer = setTimeout(() => {
      if (said()["background"]) return;
      refetching.stop();
      connection.rest();
    }, HIDDEN_GRACE);
  }
}

const stage = new Stage();
const refetching = new Refetching();
/** @type {Follower<Element>} */
const follower = new Follower({
  ask: () => connection.ask(),
  give: (batch) => stage.give(batch),
  cancel: (batch) => stage.cancel(batch),
  run: (step, shown) => stage.run(step, shown),
  around: (part) => partAround(parentOf(part)),
  refetch: (why) => refetching.start(why),
  resumed: () => refetching.stop(),
  changed() {
    if (follower.isCurrent) refetching.succeeded();
    connection.tell();
  },
});
const connection = new Connection();
const tab = new Tab();

/** @type {ReturnType<typeof setTimeout> | undefined} */
let losing;
/** @type {WeakMap<Element, Shown<Element>>} The page of each body, including those in Turbo's cache. */
const pages = new WeakMap();
/** Pages that were the answer to a form, which cannot be fetched again. @type {WeakSet<object>} */
const posted = new WeakSet();
/** Whether the page that is rendered next is the answer to a form. */
let isPosted = false;
/** @type {{ body: Element, kept: [element: Element, part: Element | undefined][] } | undefined} */
let incoming;
/** @type {WeakMap<EventTarget, string | undefined>} The id of the frame that a request is for. */
const frames = new WeakMap();
/** @type {Map<string, string>} For each frame id, the cursor of the answer that is being rendered. */
const frameCursors = new Map();

listen("turbo:before-render", ({ detail }) => {
  const permanent = [...document.body.querySelectorAll("[id][data-turbo-permanent]")];
  incoming = { body: detail.newBody, kept: permanent.map((kept) => [kept, partAround(kept)]) };
});
listen("turbo:render", () => {
  if (currentVisit()?.willRender !== false) attach(); // a frame that advances the URL is only a part
  showInHead(); // Turbo has merged another head into this one
});
listen("turbo:before-stream-render", (event) => stage.collect(event));

listen("turbo:submit-start", ({ detail }) => refetching.sending.add(detail.formSubmission));
listen("turbo:submit-end", ({ target, detail: { formSubmission, fetchResponse } }) => {
  refetching.sending.delete(formSubmission);
  isPosted = Boolean(
    !formSubmission.isSafe && !frames.get(target) && fetchResponse?.isHTML &&
      !fetchResponse.redirected && !isStream(fetchResponse),
  );
});

listen("turbo:before-fetch-request", ({ detail, target }) => {
  const { headers, method } = detail.fetchOptions;
  frames.set(target, headers["Turbo-Frame"]);
  const isForm = method.toUpperCase() !== "GET" && detail.url.origin === location.origin;
  if (isForm && follower.shown) headers["Turbo-Connection"] = follower.shown.id;
});

listen("turbo:before-fetch-response", ({ detail: { fetchResponse }, target }) => {
  const cursor = fetchResponse.header("Turbo-Cursor");
  if (!cursor) return;
  if (!isStream(fetchResponse)) {
    const frame = frames.get(target);
    if (frame) frameCursors.set(frame, cursor);
    return;
  }
  // Turbo would render the answer at once. Instead, the answer is queued with the messages. Other code
  // that reads `responseHTML` later still gets the answer.
  fetchResponse.responseHTML.then((/** @type {string} */ html) => follower.answer(cursor, html));
  Object.defineProperty(fetchResponse, "responseHTML", {
    configurable: true,
    value: Promise.resolve(undefined),
  });
  queueMicrotask(() => delete fetchResponse.responseHTML);
});

listen("turbo:before-frame-render", ({ detail, target }) => {
  const { render } = detail;
  detail.render = (/** @type {unknown[]} */ ...elements) => {
    render(...elements);
    const cursor = frameCursors.get(target.id);
    frameCursors.delete(target.id);
    if (cursor) follower.partRendered(target, cursor);
  };
});

listen("visibilitychange", () => tab.changed());
addEventListener("online", () => {
  connection.forget();
  wake();
});
addEventListener("pageshow", ({ persisted }) => persisted && wake());
// An open connection would keep the page out of the browser's back/forward cache.
addEventListener("pagehide", () => connection.rest());

keepEdits();
onSnapshot((body, copy) => {
  const shown = pages.get(body);
  if (!shown) return;
  const inBoth = (/** @type {Element} */ of) =>
    shown.parts.size > 0 ? [...of.querySelectorAll(":not(noscript, noscript *)")] : [];
  const elements = inBoth(body);
  const copies = inBoth(copy);
  pages.set(copy, shown.copy((part) => copies[elements.indexOf(part)]));
});
if (/^(.*\.)?localhost$|^127\.|^\[::1\]$/.test(location.hostname)) {
  import("./client_hints.js").then(({ giveHints }) =>
    giveHints((text) => connection.note(text), () => stage.running)
  );
}
attach();

function wake() {
  connection.wake();
  refetching.wake();
  showLossLater();
}

/** Starts to follow the page that Turbo has rendered or the browser has loaded. */
function attach() {
  const { body } = document;
  const meta = metaIn(document.head);
  const { stream: path, token = "", reader = "" } = meta?.dataset ?? {};
  // A body from Turbo's cache keeps its page; any other body is a new page, described by its head.
  const shown = (incoming && pages.get(incoming.body)) ??
    (meta && path
      ? new Shown({ id: newId(), cursor: meta.content, path, token, reader })
      : undefined);
  const before = follower.shown;
  if (shown) {
    // Turbo has kept the permanent elements as they were, so they keep their cursors. After a gap they do
    // not, because what they missed cannot be sent any more.
    const isGap = follower.isFetching && !before?.isLost;
    for (const [element, part] of isGap ? [] : incoming?.kept ?? []) {
      if (before && body.contains(element)) shown.mark(element, before.cursorOf(part), undefined);
    }
    pages.set(body, shown);
    if (isPosted && !currentVisit()) posted.add(shown);
  } else pages.delete(body);
  isPosted = false;
  incoming = undefined;
  refetching.stop();
  connection.pageChanges(shown);
  follower.show(shown);
  connection.pageChanged();
  refetching.rendered();
}

// TypeScript's map of events does not have Turbo's.
/** @param {string} type @param {(event: any) => void} listener */
function listen(type, listener) {
  document.addEventListener(type, listener);
}

/** @param {string} type @param {unknown} [detail] */
function announce(type, detail) {
  document.dispatchEvent(new CustomEvent(type, { detail }));
}

/** @param {"connecting" | "open" | "closed" | "away"} state */
function setState(state) {
  const before = root.dataset["turboStream"];
  if (state === before) return;
  root.dataset["turboStream"] = state;
  if (!isTrying(state)) showInHead(state);
  else if (!isTrying(before)) {
    showInHead("open");
    showLossLater();
  }
  if (state === "open") announce("turbo-stream:open");
  if (before === "open") announce("turbo-stream:close");
}

/** Whether a page in a state tries to connect: it is connecting and closed in turn. @param {string} [state] */
function isTrying(state) {
  return state === "connecting" || state === "closed";
}

function showLossLater() {
  clearTimeout(losing);
  losing = setTimeout(() => {
    if (isTrying(root.dataset["turboStream"])) showInHead(tab.isAway() ? "hidden" : "closed");
  }, LOST_AFTER);
}

/** @param {Element} head @returns {HTMLMetaElement | null} */
function metaIn(head) {
  return head.querySelector('meta[name="turbo-cursor"]');
}

/** What the server says in the head about this page. @returns {DOMStringMap} */
function said() {
  return metaIn(document.head)?.dataset ?? {};
}

/** Milliseconds over which the pages of this server reconnect. */
function spread() {
  return Number(said()["spread"]) || MAX_SPREAD;
}

/** The content of a `<meta>` in the head. @param {string} name */
function contentOf(name) {
  return document.head.querySelector(`meta[name="${name}"]`)?.getAttribute("content");
}

/** @param {{ contentType: string | null }} fetchResponse */
function isStream({ contentType }) {
  return contentType?.startsWith(STREAM_TYPE) === true;
}

// Not `randomUUID`, which is available only in secure contexts.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");
}

function moment() {
  return { wall: Date.now(), monotonic: performance.now() };
}

// The wall clock can be set back, and in most browsers the monotonic clock stops while the machine
// sleeps. The larger of the two is wrong only after the wall clock was set forward, which costs one
// reconnect.
/** @param {ReturnType<typeof moment>} then Milliseconds. */
function timeSince(then) {
  return Math.max(Date.now() - then.wall, performance.now() - then.monotonic);
}
