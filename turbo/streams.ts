/**
 * Builders of `<turbo-stream>` elements, one for each action of Turbo
 * (https://turbo.hotwired.dev/reference/streams).
 *
 * @module
 */
import { html } from "./html.ts";

/** One `<turbo-stream>` element as text, with nothing before or after it. */
export type Stream = string & { readonly isTurboStream: true };

/** One stream, or several that are one message. */
export type Streams = Stream | readonly Stream[];

/** What a stream acts on: the id of one element, or all that a CSS selector finds. */
export type Target = string | { all: string };

/** Markup of `html` or `raw`, taken as it is; any other string is text and is escaped. */
export type Content = string;

/** Options of the actions that can change what is there instead of replacing it. */
export interface MorphOptions {
  /** Change the existing elements into the new ones instead of replacing them. Default `false`. */
  morph?: boolean;
}

/** Options of {@linkcode refresh}. */
export interface RefreshOptions extends MorphOptions {
  /** `"preserve"` keeps the scroll position. Default: what the page's `turbo-refresh-scroll` says. */
  scroll?: "preserve" | "reset";
  /** The `X-Turbo-Request-Id` that caused this: the tab that sent it does not refresh. */
  requestId?: string;
}

/** Parts of a custom action. */
export interface ActionParts {
  /** What it acts on. */
  target?: Target;
  /** What its `<template>` holds. */
  content?: Content;
  /** Further attributes of the element. */
  attributes?: Record<string, string>;
}

/** The MIME type of a body of streams (Turbo handbook, "Streaming From HTTP Responses"). */
export const STREAM_TYPE = "text/vnd.turbo-stream.html";

/** Adds `content` after the last child of the target; children with the same ids give way. */
export function append(target: Target, content: Content): Stream {
  return element("append", targetOf(target), content);
}

/** Adds `content` before the first child of the target; children with the same ids give way. */
export function prepend(target: Target, content: Content): Stream {
  return element("prepend", targetOf(target), content);
}

/** Puts `content` before the target. */
export function before(target: Target, content: Content): Stream {
  return element("before", targetOf(target), content);
}

/** Puts `content` after the target. */
export function after(target: Target, content: Content): Stream {
  return element("after", targetOf(target), content);
}

/**
 * Puts `content` in place of the target. Give the new element the same id, so that the next
 * `replace` finds it and a page that missed several is sent only the last.
 *
 * @example
 * ```ts
 * import { replace } from "./streams.ts";
 * import { html } from "./html.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(
 *   replace("load", html`<p id="load">${0.42}</p>`),
 *   '<turbo-stream action="replace" target="load"><template><p id="load">0.42</p></template></turbo-stream>',
 * );
 * ```
 */
export function replace(target: Target, content: Content, options: MorphOptions = {}): Stream {
  return element("replace", { ...targetOf(target), ...morphOf(options) }, content);
}

/** Puts `content` in place of what is inside the target. */
export function update(target: Target, content: Content, options: MorphOptions = {}): Stream {
  return element("update", { ...targetOf(target), ...morphOf(options) }, content);
}

/** Removes the target. */
export function remove(target: Target): Stream {
  return element("remove", targetOf(target));
}

/** Makes the page fetch and render itself anew (Turbo handbook, "Page Refreshes"). */
export function refresh(options: RefreshOptions = {}): Stream {
  const { scroll, requestId } = options;
  return element("refresh", {
    ...(requestId !== undefined && { "request-id": requestId }),
    ...morphOf(options),
    ...(scroll !== undefined && { scroll }),
  });
}

/**
 * A custom action, which the page must define in `Turbo.StreamActions`.
 *
 * @throws {TypeError} when the name is empty or an attribute's name is none
 */
export function action(name: string, parts: ActionParts = {}): Stream {
  if (!name) throw new TypeError("Cannot build a stream: the action has no name");
  const { target, content, attributes = {} } = parts;
  for (const attribute of Object.keys(attributes)) {
    if (!/^[a-z_:][a-z0-9_.:-]*$/i.test(attribute) || /^(action|targets?)$/i.test(attribute)) {
      throw new TypeError(
        `Cannot build a stream: ${JSON.stringify(attribute)} is not allowed as attribute: ` +
          "a name of letters, digits, _ . : - other than action, target and targets",
      );
    }
  }
  return element(name, { ...(target !== undefined && targetOf(target)), ...attributes }, content);
}

/**
 * Joins streams into one message.
 *
 * @throws {TypeError} when one of them is no stream: anything outside the elements would stay in
 * the page for ever
 */
export function joinStreams(streams: Streams): string {
  const list = typeof streams === "string" ? [streams] : streams;
  for (const stream of list) {
    if (!/^<turbo-stream\s[^]*<\/turbo-stream>$/.test(stream)) {
      throw new TypeError(
        `Cannot push ${quote(stream)}: not one <turbo-stream> element from a builder`,
      );
    }
  }
  return list.join("");
}

// By concatenation, not by a template: `deno fmt` indents templates, and every byte outside the
// element and next to the content would end up in the page.
function element(action: string, attributes: Record<string, string>, content?: Content): Stream {
  let tag = `<turbo-stream action="${escapeText(action)}"`;
  for (const [name, value] of Object.entries(attributes)) tag += ` ${name}="${escapeText(value)}"`;
  const inside = content === undefined ? "" : `<template>${markupOf(content)}</template>`;
  return `${tag}>${inside}</turbo-stream>` as Stream;
}

function targetOf(target: Target): Record<string, string> {
  if (typeof target === "string" && target !== "") return { target };
  if (typeof target === "object" && target?.all) return { targets: target.all };
  throw new TypeError(
    `Cannot build a stream for target ${quote(target)}: ` +
      'an element id or { all: "css selector" } is needed',
  );
}

function morphOf({ morph }: MorphOptions): Record<string, string> {
  return morph ? { method: "morph" } : {};
}

function markupOf(content: unknown): string {
  if (content instanceof Promise) {
    throw new TypeError("Cannot build a stream from a promise: await the content first");
  }
  const isMarkup = (content as { isEscaped?: boolean } | null)?.isEscaped === true;
  if (isMarkup) return String(content).trim();
  if (typeof content === "string" || typeof content === "number") return escapeText(`${content}`);
  throw new TypeError(
    `Cannot build a stream from content ${quote(content)}: markup or text needed`,
  );
}

// A parser makes CR into LF and drops NUL: CR is kept by a reference, NUL becomes U+FFFD, as the
// HTML standard does elsewhere (§13.2.3.5, §13.2.5).
function escapeText(text: string): string {
  return String(html`${text}`).replaceAll("\r", "&#13;").replaceAll("\0", "\uFFFD");
}

function quote(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100);
}
