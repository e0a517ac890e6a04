/**
 * Markup by tagged template: Hono's `html`, typed for templates that hold no promise.
 *
 * @module
 */
import { html as template, raw as trusted } from "hono/html";
import { quote } from "./checks.ts";
import { unquotedAttribute } from "./quotes.ts";

/** Escaped markup, as `html` and `raw` make it, and as a page, a stream and `c.html()` accept it. */
export type Markup = string & { readonly isEscaped: true };

/**
 * Makes markup from a template. It escapes each value that is not markup itself; a stream and the markup of
 * Hono's own `html` and of JSX are markup, too. That makes values safe in text and in quoted attributes,
 * but not in URLs or inside `<script>`.
 *
 * @throws {TypeError} when a value is a promise or a function. Await a promise before the template, so that
 * the data of a page is read in one place, after its cursor was taken
 * @throws {SyntaxError} when a value is an attribute's value without quotes, because a space in it would
 * begin another attribute
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
  checkQuotes(strings);
  for (const hole of holes) {
    if (typeof hole === "function") {
      throw new TypeError(`Cannot make markup of the function ${quote(hole.name)}: call it`);
    }
  }
  const markup = template(strings, ...holes);
  if (markup instanceof Promise) {
    markup.catch(() => {}); // the caller gets the TypeError instead
    throw new TypeError(
      "Cannot make markup of a promise: await it before it goes into html`…` (an async component of " +
        "JSX makes one, too: await its data first)",
    );
  }
  return markup;
}

/** Makes markup of a text without escaping it. Say at each use what makes the text safe. */
export function raw(text: string): Markup {
  return trusted(text);
}

/** The templates that were checked and quote their attributes. */
const quoted = new WeakSet<TemplateStringsArray>();

function checkQuotes(strings: TemplateStringsArray): void {
  if (quoted.has(strings)) return;
  const attribute = unquotedAttribute(strings);
  if (attribute !== undefined) {
    throw new SyntaxError(
      `Cannot make markup of ${attribute}=\${…} without quotes: write ${attribute}="\${…}", because a ` +
        "space in the value would begin another attribute",
    );
  }
  quoted.add(strings);
}
