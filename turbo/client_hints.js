// @ts-check
/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// What an app gets wrong and its page can see: one line in the console for each mistake, which names
// it and the remedy. client.js loads this on a loopback address alone, after it has begun to connect.
//
// A hint only looks. It changes nothing in the page, and one that fails ends nothing. Elements are
// asked by the methods of their prototypes, because a form whose field is named `getAttribute` has
// that field there.
//
// Not seen from here: what runs no script of ours, or no Turbo. That is a page without turbo.head(), a
// missing route for the scripts, and a policy that forbids them; the browser tells the last two.

/**
 * @typedef {{ action: string, id: string | null, selector: string | null, content: DocumentFragment | undefined }} Stream
 * @typedef {CustomEvent<{ render: (element: Element) => unknown }>} StreamRenderEvent
 * @typedef {{ succeeded: boolean, isHTML: unknown, responseHTML: Promise<string | undefined>, location: URL }} FetchResponse
 */

/** The actions that act on a target. What `refresh` and an app's own do is their affair. */
const ACTIONS = new Set(["append", "prepend", "before", "after", "replace", "update", "remove"]);
/** Lines about one kind of mistake. */
const MAX_LINES = 10;
/** Targets that are remembered. */
const MAX_TARGETS = 1_000;
/** Elements that are looked at in search of one. */
const MAX_ELEMENTS = 5_000;
/** Characters of an id or a text that are shown or compared. */
const MAX_LENGTH = 100;
/** Milliseconds after server-sent events have failed in which the page connects, if ever. */
const PATIENCE = 3_000;
/** Milliseconds in which the scripts of an app are loaded. */
const ALL_LOADED = 2_000;
/** Where a mistake is kept that the next load of a page would clear from the console. */
const REMINDER = "turbo-deno-page-without-head";

/** @type {Map<string, Set<string>>} What was said, by kind. */
const told = new Map();
/**
 * Targets that need no look where they are missing: a page of this tab has had them, and another one need
 * not; or it was said.
 *
 * @type {Set<string>}
 */
const known = new Set();
/** @type {Set<string>} Targets of this page that a `replace` has put something else in place of. */
const lost = new Set();

/** @type {string | undefined} The selector of the `replace` that is being rendered. */
let replacing;
let hasOpened = false;
/** Whether the page that is shown answers with an error, such as 404. */
let isError = false;
/** @type {string | undefined} The page without head() that is visited. */
let headless;
/** Whether the browser loads what is visited. */
let isLeaving = false;

/** Says in the console what an app gets wrong. */
export function giveHints() {
  listen("turbo-stream:open", () => hasOpened = true);
  listen("turbo-stream:gap", () => hasOpened = true); // such a page may never get as far as "open"
  listen("turbo:render", lookAtPage);
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

// A stream is looked at right before it is rendered: one before it in the message may have made its
// target.
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
  if (!target) return; // Turbo says so
  const count = id ? withId(id).length : countOf(action, target);
  if (count === undefined) return;
  if (count === 0) {
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
      `${count} elements have the id ${quote(id)}: a stream changes the first alone`,
    );
  }
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
    say("selector", selector, `${quote(selector)}, for ${an(action)}, is no CSS selector`);
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

/** Returns whether that will be so the next time. @param {string} action @param {string} id */
function sayMissing(action, id) {
  const wrong = misspelt(id);
  if (wrong) return say("target", id, `the target ${quote(id)} of ${an(action)} ${wrong}`);
  const ids = all("[id]").slice(0, MAX_ELEMENTS).map((element) => attribute(element, "id") ?? "");
  // One of a list, of which the page shows a part.
  if (ids.some((other) => isAlike(id, other))) return true;
  const missing = `no element has the id ${quote(id)}, which ${an(action)} is for`;
  const hidden = hiddenPlace(id);
  if (hidden) return say("hidden", id, `${missing}: the one in ${hidden} is out of reach`);
  const near = nearest(id, ids);
  if (near) return say("missing", id, `${missing}. Did you mean ${quote(near)}?`);
  // Gone is gone; and what a frame has not loaded comes in its newest state.
  if (action === "remove" || all("turbo-frame[src]:not([complete])").length > 0) return false;
  return say("absent", id, `${missing}. If it is on other pages alone, push to a topic of theirs`);
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
    `${missing}. If it is on other pages alone, push to a topic of theirs`,
  );
}

/** What is wrong with an id, as far as it shows. @param {string} id */
function misspelt(id) {
  if (id.startsWith("#")) return `is an id, which is written without #: ${quote(id.slice(1))}`;
  if (/^\s*</.test(id)) return "is no id: the target comes first, and then the content";
  if (/^[.[]|[\s>]/.test(id)) return `is no id: a selector is written { all: ${quote(id)} }`;
}

/** Where an element is that streams cannot reach. @param {string} id */
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
        `${quote(text)}. Text is escaped; markup of your own is written html\`…\``,
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

// Whether the new content matches the selector is known when it is in the page.
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
  // Nothing, or an element of another name, may be what is wanted. The next stream for it will tell.
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

// Only the first head() counts where there are several, and only in <head>.
function lookAtPage() {
  lost.clear();
  lookAtTurbo();
  const page = location.pathname;
  const count = all('head meta[name="turbo-cursor"]').length;
  if (count > 1) {
    say(
      "heads",
      page,
      `the page ${page} has turbo.head() ${count} times in its <head>: the first counts, and the ` +
        "topics of the others do not. Leave one, with all topics",
    );
  } else if (count === 0 && all('body meta[name="turbo-cursor"]').length > 0) {
    say(
      "head",
      page,
      `the page ${page} has turbo.head() in its <body>, so nothing that is pushed reaches it. Put ` +
        "it into <head>, before anything that may not be there, such as <div>, which ends <head>",
    );
  } else if (count === 0 && !isError) sayHeadless(page);
}

/** @param {string} page */
function sayHeadless(page) {
  say("head", page, `the page ${page} has no turbo.head() in its <head>: no push reaches it`);
}

// A visit to a page without the scripts becomes a load by the browser, and then nothing of ours runs.
/** @param {CustomEvent<{ fetchResponse: FetchResponse }>} event */
async function lookAtResponse({ detail: { fetchResponse }, target }) {
  if (target !== document.documentElement) return; // of a frame or a form
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

// A copy writes the style of its progress bar into the page, where a policy may forbid it.
function lookAtTurbo() {
  const { session } = /** @type {any} */ (window).Turbo;
  const style = session.adapter.progressBar?.stylesheetElement;
  if (!style) return;
  const copies = all("style").filter(({ textContent }) => textContent === style.textContent);
  if (copies.length > 1) {
    say(
      "turbo",
      "",
      "Turbo is loaded twice, and each copy takes every click and every form. turbo.head() brings " +
        "one: leave the other out, or name it by new Turbo({ turboUrl })",
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

// Where no WebSocket opens, the client tries server-sent events. Chromium does not say what came of that,
// only that it is over; so the same is asked once more, where the client has not gone on meanwhile.
function lookAtRequests() {
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { name, initiatorType } = /** @type {PerformanceResourceTiming} */ (entry);
      const isStream = initiatorType !== "fetch" && name.startsWith(`${streamUrl()?.href}?`);
      if (isStream) setTimeout(() => attempt(askStream, name), PATIENCE);
    }
  }).observe({ type: "resource", buffered: true });
}

/** Where the stream is, as the page says. */
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

/** The answer, where the server is there. @param {string} url @param {boolean} isForeign */
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
  return `the page does not connect to the stream of ${origin}, which takes no page of another ` +
    `origin but by new Turbo({ allowedOrigins: [${quote(location.origin)}] })`;
}

/** @param {Response} answer @param {string} path @returns {string | undefined} */
function wrongWith({ status, redirected, ok }, path) {
  const refused = `${path} is the stream's path, and answers ${status}`;
  if (redirected) return `${path} is the stream's path, and is redirected: put its route first`;
  if (status === 404 || status === 405 || ok) {
    return `${refused}, so the page does not connect: put app.use(turbo.middleware()) before the ` +
      'routes; where a proxy or a mount strips a prefix of the path, new Turbo({ base: "/prefix" }) names it';
  }
  if (status === 421) return `${refused}: the option allowedHosts must have ${location.host}`;
  if (status === 401 || status === 403) return `${refused}: what stands before it refuses the page`;
  if (status === 500) return `${refused}: see the server's log`;
}

/** @param {Pick<SecurityPolicyViolationEvent, "disposition" | "effectiveDirective" | "blockedURI">} event */
function lookAtViolation({ disposition, effectiveDirective, blockedURI }) {
  if (disposition === "report") return;
  // For a WebSocket some browsers name the scheme alone.
  const isStream = /^wss?(:|$)/.test(blockedURI) || streamUrl()?.href === blockedURI.split("?")[0];
  if (effectiveDirective === "connect-src" && isStream) {
    say(
      "policy",
      effectiveDirective,
      `the page's policy forbids the connection to the stream: connect-src must have 'self'`,
    );
  }
  if (effectiveDirective === "require-trusted-types-for") {
    say(
      "policy",
      effectiveDirective,
      "the page's policy requires trusted types, which Turbo does not make: leave " +
        "require-trusted-types-for out",
    );
  }
}

// What was forbidden before this was loaded, where the browser remembers it.
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
 * The id that was probably meant: one that differs by a third of its characters at most, with two
 * exchanged counted as one.
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
 * Whether two ids are of one list: the same but for numbers or UUIDs.
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
 * Says something of a kind about something, once, and of each kind not too often. Returns `true`.
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

// Turbo's events and ours are not in TypeScript's map of events.
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
    say("failure", "", `a hint failed, and nothing else did: ${error}`);
  }
}
