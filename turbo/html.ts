/**
 * Markup by tagged template: Hono's `html`, typed for templates that hold no promise.
 *
 * @module
 */
import { html as template, raw as trusted } from "hono/html";
import { quote } from "./checks.ts";
import { unquotedAttribute } from "./quotes.ts";

/** Escaped markup: what `html` and `raw` make, and what a page, a stream and `c.html()` take. */
export type Markup = string & { readonly isEscaped: true };

/**
 * Makes markup; what stands in a hole is escaped unless it is markup itself. Safe in text and in
 * quoted attributes, not in URLs or inside `<script>`. Other markup is that of Hono's own `html` and JSX,
 * and a stream.
 *
 * @throws {TypeError} when a hole holds a promise: await it first, so that what is read and the
 * cursor of the page stay together; or a function, which was not called
 * @throws {SyntaxError} when a hole is an attribute's value without quotes: a space in it would begin
 * another attribute
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
    markup.catch(() => {}); // the caller gets the TypeError below instead
    throw new TypeError(
      "Cannot make markup of a promise: await it before it goes into html`…` (an async component of " +
        "JSX makes one, too: await its data first)",
    );
  }
  return markup;
}

/** Takes text for markup, as it is. Each use should say what makes the text safe. */
export function raw(text: string): Markup {
  return trusted(text);
}

/** The templates that are known to quote their attributes. */
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
