/**
 * Finds attributes of a template that have no quotes around their value.
 *
 * @module
 */

/** Elements whose text holds no tags (WHATWG HTML, section 13.1.2). */
const TEXT_ONLY = /^(?:script|style|textarea|title)$/;

/** Where in the HTML of a template its reader is. */
type Place = "text" | "comment" | "tag" | "before value" | "value" | '"' | "'";

/**
 * The name of the first attribute that has a hole as its value, or as a part of it, without quotes;
 * `undefined` where there is none. It assumes that the text in a hole never ends a value, a tag or a comment.
 *
 * @example
 * ```ts
 * import { unquotedAttribute } from "./quotes.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(unquotedAttribute(["<div title=", "></div>"]), "title");
 * assert.equal(unquotedAttribute(['<div title="', '"></div>']), undefined);
 * ```
 */
export function unquotedAttribute(strings: readonly string[]): string | undefined {
  if (!strings.some((text) => MAY_BE_UNQUOTED.test(text))) return undefined;
  const reading: Reading = { place: "text", element: "", attribute: "", textOf: undefined };
  for (const text of strings.slice(0, -1)) {
    for (const [token, slash, tag] of text.matchAll(TOKENS)) read(reading, { token, slash, tag });
    if (reading.place === "before value" || reading.place === "value") return reading.attribute;
  }
}

/**
 * A text that may end within a value without quotes. Few templates have one, and the others need not be read,
 * which would take a millisecond of the first page.
 */
const MAY_BE_UNQUOTED = /=\s*(?:[^\s"'>][^\s>]*)?$/;

/** The state of the reader. */
interface Reading {
  place: Place;
  /** The element of the start tag that was read last. */
  element: string;
  /** The attribute that was read last. */
  attribute: string;
  /** The element whose text is skipped until its end tag. */
  textOf: string | undefined;
}

/**
 * The start or end of a comment, the start of a tag, a name, or any other character. A comment may also end
 * within its start, as in `<!-->`, or by `--!>` (WHATWG HTML, section 13.2.5.43).
 */
const TOKENS = /<!--(?:-?>)?|--!?>|<(\/?)([a-z][^\s\/<>]*)|(?:(?!--!?>)[^\s"'<>\/=])+|[^]/gi;

function read(
  reading: Reading,
  { token, slash, tag }: { token: string; slash: string | undefined; tag: string | undefined },
): void {
  const { place, textOf } = reading;
  if (place === "comment") {
    if (/--!?>$/.test(token)) reading.place = "text";
  } else if (place === "text") {
    if (textOf !== undefined && !(slash === "/" && tag?.toLowerCase() === textOf)) return;
    reading.textOf = undefined;
    if (token === "<!--") reading.place = "comment"; // "<!-->" is a whole one
    if (tag === undefined) return;
    reading.place = "tag";
    reading.element = slash === "/" ? "" : tag.toLowerCase();
  } else if (place === '"' || place === "'") {
    if (token === place) reading.place = "tag";
  } else if (token.endsWith(">")) {
    reading.place = "text";
    if (TEXT_ONLY.test(reading.element)) reading.textOf = reading.element;
  } else if (place === "tag") {
    if (token === "=") reading.place = "before value";
    else if (/[^\s\/]/.test(token)) reading.attribute = token;
  } else if (place === "before value") {
    if (token === '"' || token === "'") reading.place = token;
    else if (/\S/.test(token)) reading.place = "value";
  } else if (/\s/.test(token)) reading.place = "tag";
}
