/**
 * Markup by tagged template: Hono's `html`, typed for templates that hold no promise.
 *
 * @module
 */
import { html as template, raw as trusted } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";

/** Escaped markup: what `html` and `raw` make, and what a page, a stream and `c.html()` take. */
export type Markup = HtmlEscapedString;

/**
 * Makes markup; what stands in a hole is escaped unless it is markup itself. Safe in text and in
 * quoted attributes, not in unquoted attributes, in URLs or inside `<script>`.
 *
 * @throws {TypeError} when a hole holds a promise: await it first, so that what is read and the
 * cursor of the page stay together
 *
 * @example
 * ```ts
 * import { html } from "./html.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(String(html`<b title="${'"'}">${"<i>"}</b>`), '<b title="&quot;">&lt;i&gt;</b>');
 * ```
 */
export function html(strings: TemplateStringsArray, ...holes: unknown[]): Markup {
  const markup = template(strings, ...holes);
  if (markup instanceof Promise) {
    markup.catch(() => {}); // the caller gets the TypeError below instead
    throw new TypeError("Cannot make markup of a promise: await it before it goes into html`…`");
  }
  return markup;
}

/** Takes text as markup, as it is: say where you use it what makes the text safe. */
export function raw(text: string): Markup {
  return trusted(text);
}
