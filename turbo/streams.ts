/**
 * Builders of `<turbo-stream>` elements, one for each action of Turbo
 * (https://turbo.hotwired.dev/reference/streams).
 *
 * @module
 */
import { anything, boolean, checkOptions, oneOf, quote, type Rule, text } from "./checks.ts";
import { html, type Markup, raw } from "./html.ts";
import { isThenable, silencePromises } from "./report.ts";

/**
 * One `<turbo-stream>` element as markup, with nothing before or after it. Inside `html` or JSX of a page it
 * is an element, too. Like all markup it is a `String` object, so compare `String(stream)`.
 */
export type Stream = Markup & { readonly isTurboStream: true };

/** One stream, or several that form one message. */
export type Streams = Stream | readonly Stream[];

/** What a stream acts on: the element with an id, given without `#`, or all that a CSS selector finds. */
export type Target = string | { all: string };

/**
 * The content of a stream. Markup of `html` and `raw`, of Hono's own `html` and of Hono JSX is inserted
 * unchanged. A string or a number is text and is escaped. A list stands for its items, one after the other.
 * The type allows a promise only because the type of JSX includes one. A real promise, such as that of an
 * async component, throws a `TypeError`.
 */
export type Content = string | number | Promise<Markup> | readonly Content[];

/** Options of the actions that can morph. */
export interface MorphOptions {
  /** Change the existing elements into the new ones instead of replacing them. Default `false`. */
  morph?: boolean;
}

/** Options of {@linkcode refresh}. */
export interface RefreshOptions extends MorphOptions {
  /** `"preserve"` keeps the scroll position. Default: the page's `turbo-refresh-scroll`. */
  scroll?: "preserve" | "reset";
  /** The `X-Turbo-Request-Id` of the request that caused it. The tab that sent that does not refresh. */
  requestId?: string;
}

/** Parts of a custom action. */
export interface ActionParts {
  /** What the action acts on. */
  target?: Target;
  /** The content of its `<template>`. */
  content?: Content;
  /** Further attributes of the `<turbo-stream>` element. */
  attributes?: Record<string, string>;
}

/** The MIME type of an answer that consists of streams (Turbo handbook, "Streaming From HTTP Responses"). */
export const STREAM_TYPE = "text/vnd.turbo-stream.html";

const MORPH_RULES = { morph: boolean } satisfies Record<keyof MorphOptions, Rule>;

const REFRESH_RULES = {
  ...MORPH_RULES,
  scroll: oneOf("preserve", "reset"),
  requestId: text(() => true, "a text"),
} satisfies Record<keyof RefreshOptions, Rule>;

const ACTION_RULES = {
  target: anything, // see targetOf
  content: anything, // see templateOf
  attributes: anything, // see checkAttributes
} satisfies Record<keyof ActionParts, Rule>;

const NEEDED =
  "one <turbo-stream> element from a builder such as replace(), or a list of them, is needed";
const MORPH = { method: "morph" };
const STREAM = /^<turbo-stream\s[^]*<\/turbo-stream>$/;

/** Adds `content` after the last child of the target, and removes children with the same ids. */
export function append(target: Target, content: Content): Stream {
  const template = templateOf(content);
  checkNoOptions("append()", arguments[2]);
  return element("append", targetOf(target), template);
}

/** Adds `content` before the first child of the target, and removes children with the same ids. */
export function prepend(target: Target, content: Content): Stream {
  const template = templateOf(content);
  checkNoOptions("prepend()", arguments[2]);
  return element("prepend", targetOf(target), template);
}

/** Puts `content` before the target. */
export function before(target: Target, content: Content): Stream {
  const template = templateOf(content);
  checkNoOptions("before()", arguments[2]);
  return element("before", targetOf(target), template);
}

/** Puts `content` after the target. */
export function after(target: Target, content: Content): Stream {
  const template = templateOf(content);
  checkNoOptions("after()", arguments[2]);
  return element("after", targetOf(target), template);
}

/**
 * Replaces the target by `content`. Give the new element the same id, so that the next `replace` finds it,
 * and a page that missed several of them is sent only the last.
 *
 * @example
 * ```ts
 * import { replace } from "./streams.ts";
 * import { html } from "./html.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(
 *   String(replace("load", html`<p id="load">${0.42}</p>`)),
 *   '<turbo-stream action="replace" target="load"><template><p id="load">0.42</p></template></turbo-stream>',
 * );
 * ```
 */
export function replace(target: Target, content: Content, options?: MorphOptions): Stream {
  const template = templateOf(content);
  return element(
    "replace",
    { ...targetOf(target), ...morphOf("replace()", options) },
    template,
  );
}

/** Replaces what is inside the target by `content`. */
export function update(target: Target, content: Content, options?: MorphOptions): Stream {
  const template = templateOf(content);
  return element(
    "update",
    { ...targetOf(target), ...morphOf("update()", options) },
    template,
  );
}

/** Removes the target. */
export function remove(target: Target): Stream {
  return element("remove", targetOf(target));
}

/** Makes the page fetch itself and render what it gets (Turbo handbook, "Page Refreshes"). */
export function refresh(options: RefreshOptions = {}): Stream {
  const { morph, scroll, requestId } = checkOptions("refresh()", options, REFRESH_RULES);
  return element("refresh", {
    ...(requestId !== undefined && { "request-id": requestId }),
    ...(morph && MORPH),
    ...(scroll !== undefined && { scroll }),
  });
}

/**
 * A custom action, which the page must define in `Turbo.StreamActions`.
 *
 * @throws {TypeError} when the name is empty, a part is wrong or unknown, or the name of an attribute is
 * not allowed
 */
export function action(name: string, parts: ActionParts = {}): Stream {
  if (isThenable(parts?.content)) templateOf(parts.content); // throws, and handles a later rejection
  const { target, content, attributes = {} } = checkOptions("action()", parts, ACTION_RULES);
  const template = content === undefined ? "" : templateOf(content);
  if (typeof name !== "string" || name === "") {
    throw new TypeError(`Cannot build a stream for action ${quote(name)}: a name is needed`);
  }
  return element(
    name,
    { ...(target !== undefined && targetOf(target)), ...checkAttributes(attributes) },
    template,
  );
}

/**
 * Joins streams into one message. `verb` is what an error says could not be done with them.
 *
 * @throws {TypeError} when a value is not a stream, because text outside the elements would stay in the page
 * forever
 */
export function joinStreams(streams: Streams, verb = "push"): string {
  const list: readonly unknown[] = Array.isArray(streams) ? streams : [streams];
  for (const stream of list) {
    if (isStream(stream)) continue;
    if (silencePromises(streams)) throw new TypeError(`Cannot ${verb} a promise: await it first`);
    throw new TypeError(`Cannot ${verb} ${describe(stream)}: ${NEEDED}`);
  }
  return list.join("");
}

// By concatenation, because `deno fmt` indents templates of `html`, and each byte outside the element or
// next to the content would end up in the page.
function element(action: string, attributes: Record<string, string>, template = ""): Stream {
  let tag = `<turbo-stream action="${escapeText(action)}"`;
  for (const [name, value] of Object.entries(attributes)) tag += ` ${name}="${escapeText(value)}"`;
  const stream = raw(`${tag}>${template}</turbo-stream>`); // safe: all parts are escaped, or markup
  return Object.assign(stream, { isTurboStream: true } as const);
}

/** Whether a value is a stream, or the text of one. */
function isStream(value: unknown): boolean {
  const isOurs = value instanceof String && (value as Partial<Stream>).isTurboStream === true;
  return isOurs || (typeof value === "string" && STREAM.test(value));
}

function targetOf(target: Target): Record<string, string> {
  if (typeof target === "string" && target !== "" && !target.startsWith("#")) return { target };
  const all = typeof target === "object" ? target?.all : undefined;
  if (typeof all === "string" && all !== "") return { targets: all };
  throw new TypeError(
    `Cannot build a stream for target ${describe(target)}: ` +
      'an element id without # or { all: "css selector" } is needed',
  );
}

function morphOf(what: string, options: MorphOptions | undefined): Record<string, string> {
  if (options === undefined) return {};
  return checkOptions(what, options, MORPH_RULES).morph ? MORPH : {};
}

/** Turbo does not morph for these actions, so it is an error to ask for it. */
function checkNoOptions(what: string, options: unknown): void {
  if (options === undefined) return;
  throw new TypeError(
    `Cannot take ${quote(options)} for ${what}: options are for replace(), update() and refresh()`,
  );
}

function checkAttributes(attributes: Record<string, string>): Record<string, string> {
  if (Object.prototype.toString.call(attributes) !== "[object Object]") {
    throw new TypeError(
      `Cannot take ${quote(attributes)} as "attributes" of action(): an object of texts is needed`,
    );
  }
  const entries = Object.entries(attributes);
  for (const [name, value] of entries) {
    if (!/^[a-z_:][a-z0-9_.:-]*$/i.test(name) || /^(action|targets?)$/i.test(name)) {
      throw new TypeError(
        `Cannot build a stream: ${quote(name)} is not allowed as attribute: ` +
          "a name of letters, digits, _ . : - other than action, target and targets",
      );
    }
    // Markup is not allowed: it would not be escaped again, and that of `raw` may hold quotation marks.
    if (typeof value !== "string" && typeof value !== "number") {
      throw new TypeError(
        `Cannot build a stream: ${describe(value)} is not allowed as attribute ${quote(name)}: ` +
          "text is needed",
      );
    }
  }
  return Object.fromEntries(entries);
}

/**
 * The `<template>` of the content. Make it before other checks: when one of those threw first, nobody would
 * handle the rejection of a promise in the content.
 */
function templateOf(content: unknown): string {
  return `<template>${markupOf(content)}</template>`;
}

function markupOf(content: unknown): string {
  if (typeof content === "string" || typeof content === "number") return escapeText(`${content}`);
  if (Array.isArray(content)) return markupOfAll(content);
  const isMarkup = (content as { isEscaped?: boolean } | null | undefined)?.isEscaped === true;
  const markup: unknown = isMarkup ? (content as { toString(): unknown }).toString() : content;
  if (silencePromises(markup)) {
    // JSX with an async component is markup that renders to a promise.
    const remedy = isMarkup
      ? "await its data first, and make its components without async"
      : "await the content first";
    throw new TypeError(`Cannot build a stream from a promise: ${remedy}`);
  }
  if (isMarkup) return String(markup).trim();
  throw new TypeError(
    `Cannot build a stream from content ${describe(content)}: markup or text is needed`,
  );
}

function markupOfAll(list: readonly unknown[]): string {
  try {
    return Array.from(list, markupOf).join("");
  } catch (error) {
    silencePromises(list); // a later rejection that nobody handles would end the process
    throw error;
  }
}

// An HTML parser turns CR into LF and drops NUL. A character reference keeps the CR; NUL becomes U+FFFD, as
// the HTML standard does elsewhere (§13.2.3.5, §13.2.5).
function escapeText(text: string): string {
  return String(html`${text}`).replaceAll("\r", "&#13;").replaceAll("\0", "\uFFFD");
}

/** A value as error messages show it; of a list, the first items. */
function describe(value: unknown): string {
  if (!Array.isArray(value)) return describeOne(value);
  const shown = value.slice(0, 3).map(describeOne);
  return `[${[...shown, ...(value.length > 3 ? ["…"] : [])].join(", ")}]`;
}

/** A value as `quote` writes it, or its kind where `quote` would not show that. */
function describeOne(value: unknown): string {
  if (value instanceof String) return `the markup ${quote(value.toString())}`;
  const jsx = value as { isEscaped?: boolean; tag?: unknown } | null | undefined;
  // JSX is not rendered here: rendering runs its components, and an async one gives a promise.
  if (jsx?.isEscaped === true) return `the JSX <${nameOf(jsx.tag)}>`;
  if (typeof value === "function") return "a function";
  const isPlain = typeof value !== "object" || value === null || Array.isArray(value) ||
    value.constructor === Object;
  return isPlain ? quote(value) : `an object of ${value.constructor?.name ?? "no class"}`;
}

function nameOf(tag: unknown): string {
  return typeof tag === "function" ? tag.name : String(tag ?? "");
}
