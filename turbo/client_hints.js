// @ts-check
/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// Hints: one line in the console for each mistake of an app that its page can detect, with the remedy.
// client.js loads this module only on a loopback address, after it has begun to connect.
//
// Where the server has an inspector, this module also tells that one at which path the page is, and which
// targets it does not have.
//
// A hint changes nothing in the page, and an error in it has no effect on the page. It reads elements by
// the methods of their prototypes, because in a form with a field named `getAttribute` that name is the
// field.
//
// This module cannot detect what keeps our scripts or Turbo from running: a page without turbo.head(), a
// missing route for the scripts, and a policy that forbids them. The browser reports the last two.

/**
 * @typedef {{ action: string, id: string | null, selector: string | null, content: DocumentFragment | undefined }} Stream
 * @typedef {CustomEvent<{ render: (element: Element) => unknown }>} StreamRenderEvent
 * @typedef {{ succeeded: boolean, isHTML: unknown, responseHTML: Promise<string | undefined>, location: URL }} FetchResponse
 */

/** Turbo's actions that have a target. Hints ignore `refresh` and the app's own actions. */
const ACTIONS = new Set(["append", "prepend", "before", "after", "replace", "update", "remove"]);
/** Most lines about one kind of mistake. */
const MAX_LINES = 10;
/** Most targets that are remembered. */
const MAX_TARGETS = 1_000;
/** Most elements that are searched. */
const MAX_ELEMENTS = 5_000;
/** Most characters of an id or a text that are shown or compared. */
const MAX_LENGTH = 100;
/** Milliseconds between two times at which the inspector is told something. The server limits the rate. */
const NOTE_INTERVAL = 1_000;
/** Most targets that wait to be told, and that are told at once. */
const MAX_MISSES = 50;
const MISSES_AT_ONCE = 10;
/** Milliseconds to wait for a connection after server-sent events have failed. */
const PATIENCE = 3_000;
/** Milliseconds after which the scripts of an app have been loaded. */
const ALL_LOADED = 2_000;
/** The ids of the templates for the head of a page whose connection is lost. */
const TEMPLATES = ["closed", "away", "hidden"].map((state) => `turbo-stream-${state}`);
/** Key in the session storage for a mistake whose line the next load of a page would clear. */
const REMINDER = "turbo-deno-page-without-head";

/** @type {Map<string, Set<string>>} The subjects of the lines so far, by kind of mistake. */
const told = new Map();
/**
 * Targets about which a hint would be wrong or a repetition where they are missing: a page of this tab has
 * had the target, so others need not have it, or a line was written about it.
 *
 * @type {Set<string>}
 */
const known = new Set();
/** @type {Set<string>} Targets of this page that a `replace` has replaced by something else. */
const lost = new Set();

/** @type {string | undefined} The selector of the `replace` that is being rendered. */
let replacing;
let hasOpened = false;
/** Whether the page was answered with an error status, such as 404. */
let isError = false;
/** @type {string | undefined} The path of the visited page, where that has no head(). */
let headless;
/** Whether Turbo leaves the visit to the browser, which then loads the page in full. */
let isLeaving = false;

/** @type {(text: string) => void} Tells the inspector something. */
let note = () => {};
/** @type {() => string | undefined} The cursor of the push that is being rendered. */
let cursorNow = () => undefined;
/** @type {string[]} What the inspector is still to be told about missing targets. */
const misses = [];
/** @type {Map<string, string | undefined>} For each missing target of this page, the id that was probably meant. */
const meant = new Map();
let isPlaceTold = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let telling;
let toldAt = -NOTE_INTERVAL;

/**
 * Writes a line to the console for each mistake of an app that this page can detect.
 *
 * @param {(text: string) => void} tell Tells the inspector of the server something.
 * @param {() => string | undefined} cursor The cursor of the push that is being rendered.
 */
export function giveHints(tell = note, cursor = cursorNow) {
  note = tell;
  cursorNow = cursor;
  listen("turbo-stream:open", () => hasOpened = true);
  listen("turbo-stream:open", tellPlace);
  listen("turbo-stream:gap", () => hasOpened = true); // such a page may never reach "open"
  listen("turbo:render", () => {
    meant.clear();
    tellPlace();
  });
  listen("turbo:render", lookAtPage);
  attempt(tellPlace);
  listen("turbo:before-stream-render", lookAtStreamLater);
  listen("turbo:before-fetch-response", lookAtResponse);
  listen("turbo:reload", () => {
    isLeaving = true;
    remind();
  });
  listen("securitypolicyviolation", lookAtViolation);
  attempt(lookAtPastViolations);
  attempt(recall);
  attempt(lookAtPage);
  attempt(lookAtRequests);
  setTimeout(() => attempt(lookAtTurbo), ALL_LOADED);
}

// Checks a stream just before it is rendered, because an earlier one of the message may have made its target.
/** @param {StreamRenderEvent} event */
function lookAtStreamLater({ detail, target }) {
  const { render } = detail;
  detail.render = (element) => {
    attempt(lookAtStream, streamOf(/** @type {Element} */ (target)));
    const rendered = render(element);
    attempt(lookAtReplaced);
    return rendered;
  };
}

/** @param {Element} element @returns {Stream} */
function streamOf(element) {
  const template = element.firstElementChild;
  return {
    action: element.getAttribute("action") ?? "",
    id: element.getAttribute("target"),
    selector: element.getAttribute("targets"),
    content: template instanceof HTMLTemplateElement ? template.content : undefined,
  };
}

/** @param {Stream} stream */
function lookAtStream(stream) {
  const { action, id, selector } = stream;
  if (!ACTIONS.has(action)) return;
  const target = id ? `#${id}` : selector;
  if (!target) return; // Turbo reports it
  const count = id ? withId(id).length : countOf(action, target);
  if (count === undefined) return;
  if (count === 0) {
    attempt(noteMiss, { target, id });
    if (lost.has(target)) return sayLost(stream);
    if (known.has(target)) return;
    if (id ? sayMissing(action, id) : sayNothingFound(action, target)) remember(known, target);
    return;
  }
  remember(known, target);
  lookAtContent(stream);
  if (id && count > 1) {
    say(
      "twice",
      id,
      `${count} elements have the id ${quote(id)}: a stream changes only the first`,
    );
  }
}

/** @param {{ target: string, id: string | null }} missing */
function noteMiss({ target, id }) {
  const cursor = cursorNow();
  if (!cursor || misses.length >= MAX_MISSES) return;
  if (id && !meant.has(target) && meant.size < MAX_TARGETS) {
    const ids = allIds();
    // Of a list of which the page shows only a part, another item is near, but was not meant.
    const isOfList = ids.some((other) => isAlike(id, other));
    meant.set(target, isOfList ? undefined : nearest(id, ids));
  }
  const near = meant.get(target);
  const words = [target, near ?? "-"].map((word) => encodeURIComponent(word.slice(0, MAX_LENGTH)));
  misses.push([cursor, ...words].join(" "));
  tellLater();
}

function tellPlace() {
  isPlaceTold = false;
  tellLater();
}

function tellLater() {
  telling ??= setTimeout(() => attempt(tellInspector), toldAt + NOTE_INTERVAL - performance.now());
}

function tellInspector() {
  telling = undefined;
  toldAt = performance.now();
  if (!isPlaceTold) note(`at ${encodeURIComponent(location.pathname.slice(0, MAX_LENGTH))}`);
  isPlaceTold = true;
  const some = misses.splice(0, MISSES_AT_ONCE);
  if (some.length > 0) note(`missed ${some.join(" ")}`);
  if (misses.length > 0) tellLater();
}

/** @param {Set<string>} targets @param {string} target */
function remember(targets, target) {
  if (targets.size < MAX_TARGETS) targets.add(target);
}

/** @param {string} action @param {string} selector */
function countOf(action, selector) {
  try {
    return all(selector).length;
  } catch {
    say("selector", selector, `${quote(selector)}, for ${an(action)}, is not a CSS selector`);
  }
}

/** @param {Stream} stream */
function sayLost({ action, id, selector }) {
  const target = id ? `has the id ${quote(id)}` : `matches ${quote(selector ?? "")}`;
  say(
    "lost",
    id ?? selector ?? "",
    `nothing ${target} any more, which ${
      an(action)
    } is for: an earlier replace has put something ` +
      "else in its place",
  );
}

/** Returns whether later streams for the id need no hint. @param {string} action @param {string} id */
function sayMissing(action, id) {
  const wrong = misspelt(id);
  if (wrong) return say("target", id, `the target ${quote(id)} of ${an(action)} ${wrong}`);
  const ids = allIds();
  // The id is probably that of an item of a list of which the page shows only a part.
  if (ids.some((other) => isAlike(id, other))) return true;
  const missing = `no element has the id ${quote(id)}, which ${an(action)} is for`;
  const hidden = hiddenPlace(id);
  if (hidden) return say("hidden", id, `${missing}: streams cannot reach the one in ${hidden}`);
  const near = nearest(id, ids);
  if (near) return say("missing", id, `${missing}. Did you mean ${quote(near)}?`);
  // A missing target of `remove` is no mistake. A frame that has not loaded may contain the target later.
  if (action === "remove" || all("turbo-frame[src]:not([complete])").length > 0) return false;
  return say(
    "absent",
    id,
    `${missing}. If only other pages have it, push to a topic that they listen to`,
  );
}

/** As {@linkcode sayMissing}. @param {string} action @param {string} selector */
function sayNothingFound(action, selector) {
  if (action === "remove") return false;
  const missing = `nothing matches ${quote(selector)}, which ${an(action)} is for`;
  if (/^[\w-]+$/.test(selector) && withId(selector).length > 0) {
    return say("missing", selector, `${missing}. Did you mean ${quote(`#${selector}`)}?`);
  }
  return say(
    "absent",
    selector,
    `${missing}. If only other pages have it, push to a topic that they listen to`,
  );
}

/** What is obviously wrong with an id. @param {string} id */
function misspelt(id) {
  if (id.startsWith("#")) return `must be an id without #: ${quote(id.slice(1))}`;
  if (/^\s*</.test(id)) {
    return "is not an id: the first argument is the target, the second the content";
  }
  if (/^[.[]|[\s>]/.test(id)) return `is not an id: write a selector as { all: ${quote(id)} }`;
}

/** The place of an element with this id that streams cannot reach. @param {string} id */
function hiddenPlace(id) {
  for (const template of all("template")) {
    const isOfStream = template.parentElement?.localName === "turbo-stream";
    if (!isOfStream && template instanceof HTMLTemplateElement && within(template.content, id)) {
      return "a <template>";
    }
  }
  for (const { shadowRoot } of all("*").slice(0, MAX_ELEMENTS)) {
    if (shadowRoot instanceof ShadowRoot && within(shadowRoot, id)) return "a shadow root";
  }
}

/** @param {Stream} stream */
function lookAtContent({ action, id, selector, content }) {
  if (!content || action === "remove") return;
  const target = id ?? selector ?? "";
  const text = (content.textContent ?? "").trim();
  if (content.childElementCount === 0 && /^<[a-z][^]*>$/i.test(text)) {
    return say(
      "text",
      target,
      `the content of ${an(action)} of ${quote(target)} is text that looks like markup: ` +
        `${quote(text)}. Text is escaped; write markup as html\`…\``,
    );
  }
  if (action === "replace" && id) return lookAtReplacement(id, content);
  if (action === "replace" && selector) replacing = selector;
  if (id && within(content, id)) {
    say(
      "twice",
      id,
      `the content of ${an(action)} of ${quote(id)} has the id ${quote(id)} itself, and no other ` +
        "element may have it. Use replace(), or leave the outer element out",
    );
  }
}

// Only when the new content is in the page is it known whether it matches the selector.
function lookAtReplaced() {
  if (replacing && all(replacing).length === 0) remember(lost, replacing);
  replacing = undefined;
}

/** @param {string} id @param {DocumentFragment} content */
function lookAtReplacement(id, content) {
  const ids = [...content.children].map((element) => attribute(element, "id") ?? "");
  if (ids.includes(id)) return;
  if (within(content, id)) {
    return say(
      "inside",
      id,
      `the new content of ${quote(id)} has that id inside another element: each replace puts one ` +
        "more around it. Leave the outer element out",
    );
  }
  remember(lost, `#${id}`);
  // Empty content, or an element with another id, may be intended. A later stream for this id would show
  // that it was not.
  const others = ids.filter((other) => other !== "");
  const near = nearest(id, others);
  if (content.textContent?.trim() === "" && content.childElementCount === 0) return;
  if (others.length > 0 && !near) return;
  say(
    "lost",
    id,
    `the new content of ${quote(id)} has no element with that id` +
      `${near ? `, only with ${quote(near)}` : ""}: the next replace will find nothing. ` +
      "Give it the id, or use update()",
  );
}

// The client uses only the first head() in <head>.
function lookAtPage() {
  lost.clear();
  lookAtTurbo();
  lookAtTemplates();
  const page = location.pathname;
  const count = all('head meta[name="turbo-cursor"]').length;
  if (count > 1) {
    say(
      "heads",
      page,
      `the page ${page} has turbo.head() ${count} times in its <head>: only the first counts, so the ` +
        "topics of the others are lost. Keep one, with all topics",
    );
  } else if (count === 0 && all('body meta[name="turbo-cursor"]').length > 0) {
    say(
      "head",
      page,
      `the page ${page} has turbo.head() in its <body>, so nothing that is pushed reaches it. Put ` +
        "it into <head>, before any element that is not allowed there, such as <div>: that ends <head>",
    );
  } else if (count === 0 && !isError) sayHeadless(page);
}

// Turbo compares the elements of two heads by `isEqualNode`, which does not look into templates.
function lookAtTemplates() {
  for (const element of all("template[id], [id^=turbo-stream-]")) {
    const id = attribute(element, "id") ?? "";
    const isTemplate = element instanceof HTMLTemplateElement;
    const near = nearest(id, TEMPLATES);
    if (!near || (near !== id && !isTemplate)) continue;
    if (near !== id) {
      say(
        "template",
        id,
        `no state of a page has a template ${quote(id)}. Did you mean ${quote(near)}?`,
      );
    } else if (!isTemplate) {
      say(
        "template",
        id,
        `the element with the id ${quote(id)} has no effect: it must be a <template>`,
      );
    } else if (document.head.contains(element)) {
      say(
        "template",
        id,
        `the template ${
          quote(id)
        } is in <head>, where Turbo keeps it when another page is visited: put it ` +
          "into <body>",
      );
    }
  }
}

/** @param {string} page */
function sayHeadless(page) {
  say("head", page, `the page ${page} has no turbo.head() in its <head>: no push reaches it`);
}

// Checks the answer of a visit, because the browser loads a page without the scripts in full, and then no
// script of ours runs there.
/** @param {CustomEvent<{ fetchResponse: FetchResponse }>} event */
async function lookAtResponse({ detail: { fetchResponse }, target }) {
  if (target !== document.documentElement) return; // the answer is for a frame or a form
  isError = !fetchResponse.succeeded;
  headless = undefined;
  if (isError || !fetchResponse.isHTML) return;
  const text = await fetchResponse.responseHTML;
  const page = new DOMParser().parseFromString(text ?? "", "text/html");
  if (page.querySelector('meta[name="turbo-cursor"]')) return;
  headless = fetchResponse.location.pathname;
  sayHeadless(headless);
  remind();
}

function remind() {
  if (isLeaving && headless !== undefined) sessionStorage.setItem(REMINDER, headless);
}

function recall() {
  const page = sessionStorage.getItem(REMINDER);
  sessionStorage.removeItem(REMINDER);
  if (page !== null) sayHeadless(page);
}

// Each copy of Turbo inserts the style of its progress bar into the page, where a policy may forbid it.
function lookAtTurbo() {
  const { session } = /** @type {any} */ (window).Turbo;
  const style = session.adapter.progressBar?.stylesheetElement;
  if (!style) return;
  const copies = all("style").filter(({ textContent }) => textContent === style.textContent);
  if (copies.length > 1) {
    say(
      "turbo",
      "",
      "Turbo is loaded twice, and each copy handles every click and every form. turbo.head() loads " +
        "one: remove the other, or name it by new Turbo({ turboUrl })",
    );
  }
  if (style.isConnected && !style.sheet) {
    say(
      "policy",
      "style-src",
      "the page's policy forbids the style of Turbo's progress bar: give style-src a nonce, and the " +
        'page <meta name="csp-nonce" content="the same nonce">',
    );
  }
}

// When no WebSocket opens, the client tries server-sent events. Chromium reports only that this request has
// ended, not how. So this sends the request again, unless the page has connected meanwhile.
function lookAtRequests() {
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { name, initiatorType } = /** @type {PerformanceResourceTiming} */ (entry);
      const isStream = initiatorType !== "fetch" && name.startsWith(`${streamUrl()?.href}?`);
      if (isStream) setTimeout(() => attempt(askStream, name), PATIENCE);
    }
  }).observe({ type: "resource", buffered: true });
}

/** The URL of the stream in the page's head(). */
function streamUrl() {
  const [meta] = all('head meta[name="turbo-cursor"]');
  const path = meta && attribute(meta, "data-stream");
  return path ? new URL(path, location.href) : undefined;
}

/** @param {string} url */
async function askStream(url) {
  const state = attribute(document.documentElement, "data-turbo-stream");
  if (hasOpened || state === "open" || told.has("stream")) return;
  const { origin, pathname } = new URL(url);
  const isForeign = origin !== location.origin;
  const answer = await ask(url, isForeign);
  const wrong = !answer ? undefined : isForeign ? foreign(origin) : wrongWith(answer, pathname);
  if (wrong) say("stream", pathname, wrong);
}

/** The answer; `undefined` where there is none. @param {string} url @param {boolean} isForeign */
async function ask(url, isForeign) {
  const mode = isForeign ? "no-cors" : "same-origin";
  try {
    return await fetch(url, { mode, cache: "no-store", headers: { Accept: "text/plain" } });
  } catch {
    return undefined;
  }
}

/** @param {string} origin */
function foreign(origin) {
  return `the page cannot connect to the stream of ${origin}, because that server does not allow ` +
    `its origin: it needs new Turbo({ allowedOrigins: [${quote(location.origin)}] })`;
}

/** @param {Response} answer @param {string} path @returns {string | undefined} */
function wrongWith({ status, redirected, ok }, path) {
  const refused = `${path} is the stream's path, and answers ${status}`;
  if (redirected) return `${path} is the stream's path, and is redirected: put its route first`;
  if (status === 404 || status === 405 || ok) {
    return `${refused}, so the page does not connect: put app.use(turbo.middleware()) before the ` +
      'routes; where a proxy or a mount strips a prefix of the path, new Turbo({ base: "/prefix" }) names it';
  }
  if (status === 421) return `${refused}: add ${location.host} to the option allowedHosts`;
  if (status === 401 || status === 403) {
    return `${refused}: something in front of it rejects the page`;
  }
  if (status === 500) return `${refused}: see the server's log`;
}

/** @param {Pick<SecurityPolicyViolationEvent, "disposition" | "effectiveDirective" | "blockedURI">} event */
function lookAtViolation({ disposition, effectiveDirective, blockedURI }) {
  if (disposition === "report") return;
  // Some browsers name only the scheme of a blocked WebSocket.
  const isStream = /^wss?(:|$)/.test(blockedURI) || streamUrl()?.href === blockedURI.split("?")[0];
  if (effectiveDirective === "connect-src" && isStream) {
    say(
      "policy",
      effectiveDirective,
      `the page's policy forbids the connection to the stream: add 'self' to connect-src`,
    );
  }
  if (effectiveDirective === "require-trusted-types-for") {
    say(
      "policy",
      effectiveDirective,
      "the page's policy requires trusted types, which Turbo does not support: remove " +
        "require-trusted-types-for",
    );
  }
}

// Checks violations from before this module was loaded, where the browser has kept them.
function lookAtPastViolations() {
  if (typeof ReportingObserver !== "function") return;
  new ReportingObserver((reports) => {
    for (const { body } of reports) {
      const { disposition, effectiveDirective, blockedURL } = /** @type {any} */ (body);
      attempt(lookAtViolation, { disposition, effectiveDirective, blockedURI: blockedURL ?? "" });
    }
  }, { types: ["csp-violation"], buffered: true }).observe();
}

/**
 * The id that was probably meant: the nearest one that differs in at most a third of its characters. Two
 * exchanged characters count as one difference.
 *
 * @param {string} id @param {readonly string[]} ids @returns {string | undefined}
 */
export function nearest(id, ids) {
  if (id.length > MAX_LENGTH) return undefined;
  /** @type {string | undefined} */
  let best;
  let least = Math.floor((id.length + 1) / 3) + 1;
  for (const other of ids) {
    if (Math.abs(other.length - id.length) >= least) continue;
    const far = distance(id.toLowerCase(), other.toLowerCase());
    if (far < least) [best, least] = [other, far];
  }
  return best;
}

/** The edit distance of two texts (optimal string alignment). @param {string} a @param {string} b */
function distance(a, b) {
  /** @type {number[]} */
  let before = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      const isExchange = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next[j] = Math.min(
        at(row, j) + 1,
        at(next, j - 1) + 1,
        at(row, j - 1) + (isSame ? 0 : 1),
        isExchange ? at(before, j - 2) + 1 : Infinity,
      );
    }
    [before, row] = [row, next];
  }
  return at(row, b.length);
}

/** @param {readonly number[]} row @param {number} index */
function at(row, index) {
  return row[index] ?? Infinity;
}

/**
 * Whether two ids seem to be of one list: they differ only by numbers or UUIDs.
 *
 * @param {string} a @param {string} b
 */
export function isAlike(a, b) {
  return a !== b && shape(a) === shape(b);
}

/** @param {string} id */
function shape(id) {
  return id.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+/gi, "0");
}

/** The ids in the page, the first ones. */
function allIds() {
  return all("[id]").slice(0, MAX_ELEMENTS).map((element) => attribute(element, "id") ?? "");
}

/** @param {string} selector */
function all(selector) {
  return [...Document.prototype.querySelectorAll.call(document, selector)];
}

/** @param {string} id */
function withId(id) {
  return all(`[id="${CSS.escape(id)}"]`);
}

/** @param {DocumentFragment} content @param {string} id */
function within(content, id) {
  return content.querySelector(`[id="${CSS.escape(id)}"]`) !== null;
}

/** @param {Element} element @param {string} name @returns {string | null} */
function attribute(element, name) {
  return Element.prototype.getAttribute.call(element, name);
}

/** @param {string} action */
function an(action) {
  return `${/^[aeiou]/.test(action) ? "an" : "a"} ${action}`;
}

/** @param {string} text */
function quote(text) {
  return JSON.stringify(text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text);
}

/**
 * Writes a line about a subject, once for each kind of mistake, and at most `MAX_LINES` of each kind. Returns
 * `true`.
 *
 * @param {string} kind @param {string} about @param {string} text
 */
function say(kind, about, text) {
  const subjects = told.get(kind) ?? new Set();
  told.set(kind, subjects);
  if (subjects.has(about) || subjects.size >= MAX_LINES) return true;
  subjects.add(about);
  console.warn(`turbo-deno: ${text}`);
  return true;
}

// `any`, because TypeScript's map of events does not have Turbo's events and ours.
/** @param {string} type @param {(event: any) => unknown} listener */
function listen(type, listener) {
  document.addEventListener(type, (event) => attempt(listener, event));
}

/**
 * @template Argument, Result
 * @param {(argument: Argument) => Result} look @param {Argument} [argument]
 * @returns {Promise<Awaited<Result> | undefined>}
 */
async function attempt(look, argument) {
  try {
    return await look(/** @type {Argument} */ (argument));
  } catch (error) {
    say("failure", "", `a hint failed; everything else still works: ${error}`);
  }
}
