// @ts-check
/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// The browser's side of turbo-stream.v2 (see protocol.ts): one line to the server, and a page that
// shows the newest state. Plain JavaScript with JSDoc types, served as it is.
//
// Each part of a page knows what it has had: the nearest cursor on or above an element is the one that
// its content is at. The body always has one. A <turbo-frame>, or a target that a form's answer
// replaced, has its own while it is ahead of the body or behind it. It is an attribute, because
// Turbo's snapshot is a clone of the body: Back brings the cursor with it. Its name is random, because
// markup that users write must not be able to claim one.

import { keepEdits } from "./client_keep.js";

/**
 * @typedef {{ cursor: string, html: string, answer?: boolean }} Message
 *   What the server pushed, or the streams that answer a form.
 * @typedef {HTMLElement & {
 *   action: string, target: string | null, targets: string | null, requestId: string | null,
 *   targetElements: Element[],
 * }} StreamElement
 * @typedef {CustomEvent<{ render: (element: StreamElement) => unknown }>} StreamRenderEvent
 * @typedef {{ element: StreamElement, run: () => void }} Run
 * @typedef {{ messages: Message[], page: string | undefined, hasHole: boolean, events: StreamRenderEvent[] }} Batch
 */

const PROTOCOL = "turbo-stream.v2";
const STREAM_TYPE = "text/vnd.turbo-stream.html";
const REFRESH = '<turbo-stream action="refresh"></turbo-stream>';
const SENT_AWAY = 4001;
const DEAD_AFTER = 2.5 * 15_000;
const HIDDEN_GRACE = 30_000;
/** Messages that may wait. */
const MAX_QUEUE = 10_000;
/** Characters of what was rendered last that are kept. */
const MAX_HISTORY = 500_000;

// The attribute of a cursor, as `dataset` and as a selector name it: there a letter follows the dash.
const suffix = newId().replaceAll("-", "");
const CURSOR = `turboCursorX${suffix}`;
const WITH_CURSOR = `[data-turbo-cursor-x${suffix}]`;

const root = document.documentElement;

/** Turbo, as turbo.js puts it on the window. */
const turbo = () => /** @type {any} */ (window).Turbo;

/** The line to the server: a WebSocket or, where that never opens, server-sent events. */
class Line {
  /** @type {WebSocket | EventSource | undefined} */
  #source;
  /** @type {string[]} The cursors of each `since` that no marker has answered yet. */
  #awaited = [];
  /** Whether nothing has come since the last marker. */
  #fresh = false;
  #heardAt = moment();
  /** Connections lost or not opened since the page was last current. */
  #losses = 0;
  /** WebSockets in a row that did not open. */
  #unopened = 0;
  /** Whether the server was reached while no WebSocket opened. */
  #refused = false;
  /** Whether a WebSocket has opened on this network. */
  #hasOpened = false;
  /** @type {string | undefined} The page that the server sent away, which does not come back. */
  #sentAway;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;

  /** Connects, where it is neither connected nor connecting. */
  connect() {
    const { path, cursor, token, page: id } = page.state();
    if (this.#source || !path || id === this.#sentAway) return;
    clearTimeout(this.#retry);
    this.#watch ??= setInterval(() => this.check(), 5_000);
    this.#heardAt = moment();
    setState("connecting");
    page.follow();
    // A page that has a token asks by its first message: proxies write down the URL of a WebSocket.
    const isWebSocket = this.#unopened < 3;
    const asked = isWebSocket && token ? undefined : cursor;
    this.#awaited = asked ? [asked] : [];
    const url = new URL(path, location.href);
    url.searchParams.set("page", id);
    if (asked) url.searchParams.set("since", asked);
    if (isWebSocket) return this.#openWebSocket(url, asked);
    if (token) url.searchParams.set("token", token);
    this.#openEventSource(url);
  }

  /** Asks for what came after the page's cursor; what comes before the answer is for no page. */
  since() {
    const { cursor, token, page: id } = page.state();
    if (!(this.#source instanceof WebSocket)) this.#end();
    else if (this.#source.readyState === WebSocket.CONNECTING) return; // asks when it is open
    if (!this.#source) return this.connect();
    page.follow();
    if (!cursor) return;
    this.#awaited.push(cursor);
    /** @type {WebSocket} */ (this.#source).send(`since ${cursor} ${token || "-"} ${id}`);
  }

  /** Ends the line until `connect`. */
  rest() {
    this.#end();
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    this.#watch = undefined;
    setState("closed");
  }

  /** Takes the line for dead when not even a heartbeat was heard for long. */
  check() {
    if (this.#source && timeSince(this.#heardAt) > DEAD_AFTER) this.#lost();
  }

  /** Forgets what was learnt of a proxy and of failures: the network may be another one. */
  forget() {
    this.#refused = this.#hasOpened = false;
    this.#unopened = this.#losses = 0;
  }

  /** @param {URL} url @param {string | undefined} asked The cursor that the URL asks with. */
  #openWebSocket(url, asked) {
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, PROTOCOL);
    this.#source = socket;
    this.#unopened++;
    socket.onopen = () => {
      if (socket !== this.#source) return;
      this.#unopened = 0;
      this.#refused = false;
      this.#hasOpened = true;
      if (page.state().cursor !== asked || !page.isFollowed()) this.since();
      if (this.#awaited.length === 0) this.#current();
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#source || typeof data !== "string") return;
      this.#receive(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (socket !== this.#source) return;
      if (code === SENT_AWAY) this.#leave();
      else this.#lost();
    };
  }

  /** @param {URL} url */
  #openEventSource(url) {
    const source = new EventSource(url);
    this.#source = source;
    let opened = false;
    source.onopen = () => {
      if (source !== this.#source) return;
      opened = true;
      if (this.#refused) return;
      // The server is up, so one more WebSocket tells whether it is a proxy that refuses them.
      this.#refused = true;
      this.#unopened = 2;
      this.#end();
      this.connect();
    };
    const receive = (/** @type {MessageEvent} */ { lastEventId, data }) => {
      if (source === this.#source) this.#receive([[lastEventId, data]]);
    };
    source.onmessage = receive;
    source.addEventListener("cursor", receive);
    source.addEventListener("away", () => source === this.#source && this.#leave());
    // The server ends each stream after some time; nothing is wrong.
    source.addEventListener("again", () => {
      if (source !== this.#source) return;
      this.#end();
      this.connect();
    });
    source.onerror = () => {
      if (source !== this.#source) return;
      if (!opened) this.#unopened = 2; // neither opens: take turns
      this.#lost();
    };
  }

  // Each entry of a message keeps its own cursor, also in the queue: under the last one, an answer
  // that was rendered between two of them would be given all of them again.
  /** @param {[cursor: string, html: string][]} entries */
  #receive(entries) {
    this.#heardAt = moment();
    const [[cursor = "", html = ""] = []] = entries;
    if (this.#awaited.length > 0) {
      if (entries.length > 1 || html !== "" || cursor !== this.#awaited[0]) return;
      this.#awaited.shift();
      this.#fresh = true;
      if (this.#awaited.length === 0) this.#current();
      return;
    }
    const gap = this.#fresh && html === REFRESH;
    this.#fresh = false;
    if (gap) return refetch.start({ gap });
    refetch.succeeded();
    page.receive(entries.map(([cursor, html]) => ({ cursor, html })));
  }

  #current() {
    this.#losses = 0;
    setState("open");
  }

  #leave() {
    this.#sentAway = page.state().page;
    this.rest();
  }

  #lost() {
    this.#end();
    setState("closed");
    if (!tab.isAway()) this.#retry = setTimeout(() => this.connect(), this.#delay());
  }

  // Full jitter. One line that was cut is back soon; when the server is away all pages come at once,
  // and so from the second try on they are spread over eight seconds and more.
  #delay() {
    if (this.#unopened === 3 && !this.#refused) return 0; // on with server-sent events
    const isFirst = this.#losses === 0 || (!this.#hasOpened && this.#losses < 3);
    const n = isFirst ? 0 : this.#losses + 3;
    this.#losses++;
    return 500 + Math.random() * Math.min(20_000, 500 * 2 ** n);
  }

  #end() {
    const source = this.#source;
    this.#source = undefined;
    source?.close();
  }
}

/** The page that is shown: its position, and what is still to be rendered into it. */
class Page {
  /** @type {Message[]} */
  #queue = [];
  /** @type {Batch | undefined} What was given to Turbo and is not in the page yet. */
  #batch;
  /** @type {Batch | undefined} The batch whose elements are being connected. */
  #collecting;
  /** @type {string | undefined} The page for which messages come. */
  #followed;
  /** Whether parts of the page are at another position than the body. */
  #hasParts = false;
  /** @type {Message[]} What was rendered last, for parts that turn out to be older. */
  #history = [];
  /** The cursor before the first of them. */
  #historyStart = "";
  #historyLength = 0;

  /** Where the stream is, and what to ask it for. */
  state() {
    const head = meta();
    const oldest = [...parts(), document.body].map(cursorOf).reduce((a, b) =>
      isNewer(a, b) ? b : a
    );
    return {
      path: head?.dataset["stream"],
      token: head?.dataset["token"] ?? "",
      cursor: oldest || head?.content,
      page: document.body.dataset["turboPage"] ?? "",
    };
  }

  /** Takes up the page that Turbo has rendered or the browser has loaded. */
  attach() {
    const { body } = document;
    const cursor = meta()?.content;
    body.dataset["turboPage"] ||= newId();
    meta()?.setAttribute("data-page", body.dataset["turboPage"]);
    if (!body.dataset[CURSOR] && cursor) setCursor(body, cursor);
    this.#hasParts = parts().length > 0;
    this.#forget();
    refetch.stop();
    line.since();
  }

  /** Lets go of the page: nothing is rendered into it until another is attached. */
  detach() {
    this.#followed = undefined;
    this.#discard();
  }

  /** From now on messages are for this page. Those for the page before are dropped, answers kept. */
  follow() {
    this.#discard();
    this.#followed = isPreview() ? undefined : document.body.dataset["turboPage"];
  }

  /** Whether messages that come are for this page. */
  isFollowed() {
    return this.#followed !== undefined && this.#followed === document.body.dataset["turboPage"];
  }

  /** Renders messages, after those before them. @param {Message[]} messages */
  receive(messages) {
    this.#queue.push(...messages.filter(({ answer }) => answer || this.isFollowed()));
    if (this.#queue.length > MAX_QUEUE) line.since();
    else this.#render();
  }

  /** Gives Turbo again what waits for a paint that may not come, or for a slowed timer. */
  restart() {
    const batch = this.#cancel();
    if (batch) this.#queue.unshift(...batch.messages);
    this.#render();
  }

  /** @param {StreamRenderEvent} event */
  collect(event) {
    this.#collecting?.events.push(event);
  }

  /** Takes up a frame that was rendered at a cursor of its own. @param {Element} frame @param {string} cursor */
  frameRendered(frame, cursor) {
    this.#mark(frame, cursor);
    if (!this.#hasParts) return;
    if (!this.#covers(cursor)) return line.since();
    const batch = this.#cancel();
    const missed = this.#history.filter((message) => isNewer(message.cursor, cursor));
    this.#queue = [...missed, ...(batch?.messages ?? []), ...this.#queue];
    this.#render();
    this.#catchUp();
  }

  // Everything that has queued up becomes one message: one at a time would take a paint each. An
  // answer may be older than what the page has had: that is rendered again behind it, into what the
  // answer has replaced. Where it is no longer known, nothing is rendered behind the answer, and the
  // server is asked.
  #render() {
    if (this.#batch || this.#queue.length === 0) return;
    const messages = [];
    const known = [...this.#history];
    let hasHole = false;
    for (const message of this.#queue) {
      if (hasHole && !message.answer) continue;
      messages.push(message);
      hasHole ||= message.answer === true && !this.#covers(message.cursor);
      if (!message.answer) known.push(message);
      else if (!hasHole) {
        messages.push(...known.filter(({ cursor }) => isNewer(cursor, message.cursor)));
      }
    }
    this.#queue = [];
    this.#give(messages, hasHole);
  }

  /** @param {Message[]} messages @param {boolean} hasHole */
  #give(messages, hasHole) {
    /** @type {Batch} */
    const batch = { messages, hasHole, page: document.body.dataset["turboPage"], events: [] };
    const at = cursorOf(document.body);
    const isMixed = this.#hasParts ||
      messages.some(({ answer, cursor, html }) => answer || (html !== "" && !isNewer(cursor, at)));
    const html = messages.map(isMixed ? numbered : ({ html }) => html).join("");
    this.#batch = batch;
    try {
      this.#collecting = batch;
      if (html !== "") turbo().renderStreamMessage(html);
    } catch (error) {
      if (messages.length > 1) return this.#giveOneByOne(batch);
      console.error("Cannot render a message:", html, error);
    } finally {
      this.#collecting = undefined;
    }
    // Turbo calls `render` of each element after the next paint. All are run together with the last,
    // so that the page is never seen, or cloned, between two positions.
    batch.events = batch.events.filter((event) => !event.defaultPrevented);
    let waiting = batch.events.length;
    /** @type {Run[]} */
    const runs = [];
    for (const [index, { detail, target }] of batch.events.entries()) {
      const { render } = detail;
      const element = /** @type {StreamElement} */ (target);
      detail.render = () =>
        new Promise((resolve) => {
          if (this.#batch !== batch) return resolve(undefined);
          runs[index] = { element, run: () => resolve(render(element)) };
          if (--waiting === 0) this.#apply(batch, runs, isMixed);
        });
    }
    if (waiting === 0) this.#apply(batch, runs, isMixed);
  }

  /** @param {Batch} batch */
  #giveOneByOne(batch) {
    this.#cancel();
    const [first, ...others] = batch.messages;
    this.#queue.unshift(...others);
    this.#give([/** @type {Message} */ (first)], batch.hasHole);
  }

  /** @param {Batch} batch @param {Run[]} runs @param {boolean} isMixed */
  #apply(batch, runs, isMixed) {
    this.#batch = undefined;
    const isCurrent = batch.page === this.#followed && this.isFollowed();
    // Turbo's own refresh is dropped during a visit and put off by each other one.
    if (isCurrent && batch.events.some(isRefresh)) return refetch.start();
    const messages = batch.messages.filter(({ answer }) => answer || isCurrent);
    if (isMixed) this.#applyMixed(batch, runs, isCurrent);
    else if (isCurrent) { for (const { run } of runs) run(); }
    const last = messages.findLast(({ answer }) => !answer);
    if (last) this.#advance(last.cursor);
    this.#remember(messages);
    if (batch.hasHole) line.since();
    this.#catchUp();
    this.#render();
  }

  /** @param {Batch} batch @param {Run[]} runs @param {boolean} isCurrent */
  #applyMixed({ messages }, runs, isCurrent) {
    for (const [index, { answer, cursor }] of messages.entries()) {
      if (!answer && !isCurrent) continue;
      for (const { element, run } of runs) {
        if (element.dataset["turboMessage"] !== String(index)) continue;
        if (answer) this.#runAnswer(element, run, cursor);
        else this.#runOnParts(element, run, cursor);
      }
      if (!answer) this.#advance(cursor);
    }
  }

  // What an answer replaces is then as old as the answer.
  /** @param {StreamElement} element @param {() => void} run @param {string} cursor */
  #runAnswer(element, run, cursor) {
    run();
    const overwrites = element.action === "replace" || element.action === "update";
    for (const target of overwrites ? targetsOf(element) : []) this.#mark(target, cursor);
  }

  // Only those targets that have not had it yet. A part that is replaced stays a part.
  /** @param {StreamElement} element @param {() => void} run @param {string} cursor */
  #runOnParts(element, run, cursor) {
    if (!element.target && !element.targets) {
      if (isNewer(cursor, cursorOf(document.body))) run();
      return;
    }
    const due = targetsOf(element).filter((target) =>
      isNewer(cursor, cursorAt(target, element.action))
    );
    const replaced = element.action === "replace" ? due.filter(isPart).map(({ id }) => id) : [];
    Object.defineProperty(element, "targetElements", { value: due });
    run();
    for (const id of replaced) {
      const part = document.getElementById(id);
      if (part) part.dataset[CURSOR] = cursor;
    }
  }

  /** @param {string} cursor */
  #advance(cursor) {
    const { body } = document;
    if (!this.#hasParts) {
      if (isNewer(cursor, cursorOf(body)) || isSame(cursor, cursorOf(body))) {
        setCursor(body, cursor);
      }
      return;
    }
    for (const part of [...parts(), body]) {
      if (isNewer(cursor, cursorOf(part))) setCursor(part, cursor);
    }
    for (const part of parts()) {
      if (isSame(cursorOf(part), cursorOf(body))) delete part.dataset[CURSOR];
    }
    this.#hasParts = parts().length > 0;
  }

  /** @param {Element} element @param {string} cursor */
  #mark(element, cursor) {
    const at = cursorOf(document.body);
    if (!isComparable(cursor, at) || isSame(cursor, at)) return;
    /** @type {HTMLElement} */ (element).dataset[CURSOR] = cursor;
    this.#hasParts = true;
  }

  // A part for which nothing came since it was rendered is where the page is.
  #catchUp() {
    if (!this.#hasParts || this.#batch) return;
    const at = cursorOf(document.body);
    for (const part of parts()) {
      const isOlder = isNewer(at, cursorOf(part));
      if (isOlder && this.#covers(cursorOf(part))) delete part.dataset[CURSOR];
    }
    this.#hasParts = parts().length > 0;
  }

  /** Whether all that came after a cursor is known here. @param {string} cursor */
  #covers(cursor) {
    return isComparable(cursor, this.#historyStart) && !isNewer(this.#historyStart, cursor);
  }

  /** @param {Message[]} messages */
  #remember(messages) {
    for (const message of messages) {
      const newest = this.#history.at(-1)?.cursor ?? this.#historyStart;
      if (!message.answer && message.html && isNewer(message.cursor, newest)) {
        this.#history.push(message);
        this.#historyLength += message.html.length;
      }
    }
    while (this.#historyLength > MAX_HISTORY) {
      const { cursor, html } = /** @type {Message} */ (this.#history.shift());
      this.#historyLength -= html.length;
      this.#historyStart = cursor;
    }
  }

  #forget() {
    this.#history = [];
    this.#historyLength = 0;
    this.#historyStart = cursorOf(document.body);
  }

  #discard() {
    const batch = this.#cancel();
    this.#forget();
    this.#queue = [...(batch?.messages ?? []), ...this.#queue].filter((message) => message.answer);
    if (this.#queue.length > 0) queueMicrotask(() => this.#render());
  }

  #cancel() {
    const batch = this.#batch;
    this.#batch = undefined;
    for (const event of batch?.events ?? []) {
      /** @type {HTMLElement} */ (event.target).remove();
    }
    return batch;
  }
}

/** Fetches the page anew, when what it missed is gone or the server asks for it. */
class Refetch {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #tries = 0;

  /** Starts, where it has not; nothing is rendered into the page until it is there anew. */
  start({ gap = false } = {}) {
    page.detach();
    if (this.#timer !== undefined) return;
    if (gap) document.dispatchEvent(new CustomEvent("turbo-stream:gap"));
    // Many pages may miss the same: they do not all come at once.
    this.#later(Math.random() * Math.min(20_000, 500 * 2 ** this.#tries));
  }

  /** A page has been rendered, by this or by a visit. */
  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** The page follows the stream again. */
  succeeded() {
    this.#tries = 0;
  }

  /** @param {number} delay */
  #later(delay) {
    this.#timer = setTimeout(() => this.#try(), delay);
  }

  // Fetches before it tells Turbo: a visit that finds no server would leave the page for the
  // browser's error page.
  async #try() {
    const { href } = location;
    const id = document.body.dataset["turboPage"];
    const isBusy = () => turbo().navigator.currentVisit;
    if (isBusy()) return this.#later(100);
    this.#later(500 + Math.random() * Math.min(20_000, 500 * 2 ** ++this.#tries));
    try {
      const response = await fetch(href, {
        headers: { Accept: "text/html, application/xhtml+xml" },
      });
      const responseHTML = await response.text();
      if (response.status >= 500) return;
      if (id !== document.body.dataset["turboPage"] || href !== location.href || isBusy()) return;
      turbo().visit(response.redirected ? response.url : href, {
        action: "replace",
        shouldCacheSnapshot: false,
        response: { statusCode: response.status, responseHTML, redirected: response.redirected },
        refresh: {
          method: setting("refresh-method") ?? "morph",
          scroll: setting("refresh-scroll") ?? "preserve",
        },
      });
    } catch (error) {
      console.warn("Cannot fetch the page anew, trying again:", error);
    }
  }
}

/** Whether the tab is looked at. */
class Tab {
  #hiddenAt = document.hidden ? moment() : undefined;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** Whether it has been hidden for long. */
  isAway() {
    return this.#hiddenAt !== undefined && timeSince(this.#hiddenAt) > HIDDEN_GRACE;
  }

  changed() {
    clearTimeout(this.#timer);
    this.#hiddenAt = document.hidden ? moment() : undefined;
    page.restart();
    if (document.hidden) this.#timer = setTimeout(() => line.rest(), HIDDEN_GRACE);
    else wake();
  }
}

const line = new Line();
const page = new Page();
const refetch = new Refetch();
const tab = new Tab();

/** @type {WeakMap<EventTarget, string>} The id of the frame that a form's request is for. */
const frames = new WeakMap();
/** @type {Map<string, string>} The cursor at which the answer for a frame was rendered. */
const frameCursors = new Map();

listen("turbo:render", () => isPreview() ? page.detach() : page.attach());
listen("turbo:before-stream-render", (event) => page.collect(event));
listen("turbo:fetch-request-error", () => isPreview() && page.attach());

listen("turbo:before-fetch-request", ({ detail, target }) => {
  const { headers, method } = detail.fetchOptions;
  if (headers["Turbo-Frame"]) frames.set(target, headers["Turbo-Frame"]);
  const isForm = method.toUpperCase() !== "GET" && detail.url.origin === location.origin;
  if (isForm) headers["Turbo-Connection"] = document.body.dataset["turboPage"];
});

listen("turbo:before-fetch-response", ({ detail: { fetchResponse }, target }) => {
  const cursor = fetchResponse.header("Turbo-Cursor");
  if (!cursor) return;
  if (!fetchResponse.contentType?.startsWith(STREAM_TYPE)) {
    const frame = frames.get(target);
    if (frame) frameCursors.set(frame, cursor);
    return;
  }
  // Turbo would render the answer at once; it takes its turn among the messages instead.
  const answer = fetchResponse.responseHTML;
  Object.defineProperty(fetchResponse, "responseHTML", { value: Promise.resolve(undefined) });
  answer.then((/** @type {string} */ html) => page.receive([{ cursor, html, answer: true }]));
});

listen("turbo:before-frame-render", ({ detail, target }) => {
  const { render } = detail;
  detail.render = (/** @type {unknown[]} */ ...elements) => {
    render(...elements);
    const cursor = frameCursors.get(target.id);
    frameCursors.delete(target.id);
    if (cursor) page.frameRendered(target, cursor);
  };
});

document.addEventListener("visibilitychange", () => tab.changed());
addEventListener("online", () => {
  line.forget();
  wake();
});
addEventListener("pageshow", ({ persisted }) => persisted && wake());
// An open line would keep the page out of the browser's back/forward cache.
addEventListener("pagehide", () => line.rest());

keepEdits();
page.attach();
if (/^(localhost|127\..*|\[::1\])$/.test(location.hostname)) {
  import("./client_hints.js").then(({ giveHints }) => giveHints());
}

function wake() {
  line.check();
  line.connect();
}

// Turbo's events are not in TypeScript's map of events.
/** @param {string} type @param {(event: any) => void} listener */
function listen(type, listener) {
  document.addEventListener(type, listener);
}

/** @param {"connecting" | "open" | "closed"} state */
function setState(state) {
  const before = root.dataset["turboStream"];
  root.dataset["turboStream"] = state;
  if (state === before) return;
  if (state === "open") document.dispatchEvent(new CustomEvent("turbo-stream:open"));
  if (before === "open") document.dispatchEvent(new CustomEvent("turbo-stream:close"));
}

/** @returns {HTMLMetaElement | null} */
function meta() {
  return document.head.querySelector('meta[name="turbo-cursor"]');
}

/** @param {string} name */
function setting(name) {
  return document.head.querySelector(`meta[name="turbo-${name}"]`)?.getAttribute("content");
}

// Not `randomUUID`, which only secure contexts have.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");
}

function moment() {
  return { wall: Date.now(), monotonic: performance.now() };
}

// The wall clock can be set back, and in most browsers the other stands still while the machine
// sleeps. Where both run, the larger is wrong only after the clock was set forward, which costs one
// connection more.
/** @param {ReturnType<typeof moment>} then Milliseconds. */
function timeSince(then) {
  return Math.max(Date.now() - then.wall, performance.now() - then.monotonic);
}

function isPreview() {
  return root.hasAttribute("data-turbo-preview");
}

/** @returns {HTMLElement[]} */
function parts() {
  return [...document.body.querySelectorAll(WITH_CURSOR)].map((
    part,
  ) => /** @type {HTMLElement} */ (part));
}

/** @param {Element} element */
function isPart(element) {
  return element !== document.body && element.matches(WITH_CURSOR);
}

/** @param {HTMLElement} element */
function cursorOf(element) {
  return element.dataset[CURSOR] ?? "";
}

// What stands beside an element belongs to what is around it, and so does whether it is there.
/** @param {Element} target @param {string} action */
function cursorAt(target, action) {
  const outside = action === "before" || action === "after" || action === "remove";
  const from = outside ? target.parentElement : target;
  return cursorOf(from?.closest(WITH_CURSOR) ?? document.body);
}

/** @param {HTMLElement} element @param {string} cursor */
function setCursor(element, cursor) {
  element.dataset[CURSOR] = cursor;
  // During a visit the head may be the next page's already.
  const head = element === document.body ? meta() : null;
  if (head?.dataset["page"] === element.dataset["turboPage"]) head?.setAttribute("content", cursor);
}

/** The message's HTML, with each element saying of which message it is. @param {Message} message @param {number} index */
function numbered({ html }, index) {
  const template = document.createElement("template");
  template.innerHTML = html;
  for (const element of template.content.children) {
    element.setAttribute("data-turbo-message", String(index));
  }
  return template.innerHTML;
}

/** @param {StreamElement} element @returns {Element[]} */
function targetsOf({ target, targets }) {
  if (target) return [document.getElementById(target)].filter((found) => found !== null);
  return targets ? [...document.querySelectorAll(targets)] : [];
}

// One that names a request of this tab is not for it: the tab has the answer to that request.
/** @param {StreamRenderEvent} event */
function isRefresh({ target }) {
  const { action, requestId } = /** @type {StreamElement} */ (target);
  return action === "refresh" && !turbo().session.recentRequests.has(requestId);
}

/** @param {string} cursor @returns {[epoch: string | undefined, position: number]} */
function parse(cursor) {
  const [epoch, position] = cursor.split(".");
  return [epoch, Number(position)];
}

/** @param {string} a @param {string} b */
function isComparable(a, b) {
  return parse(a)[0] === parse(b)[0];
}

/** @param {string} a @param {string} b */
function isNewer(a, b) {
  return isComparable(a, b) ? parse(a)[1] > parse(b)[1] : true;
}

/** @param {string} a @param {string} b */
function isSame(a, b) {
  return isComparable(a, b) && parse(a)[1] === parse(b)[1];
}
