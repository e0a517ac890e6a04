/**
 * Which attributes of a template have no quotes around their value.
 *
 * @module
 */

/** Elements whose text holds no tags (WHATWG HTML, section 13.1.2). */
const TEXT_ONLY = /^(?:script|style|textarea|title)$/;

/** Where in its HTML a template is. */
type Place = "text" | "comment" | "tag" | "before value" | "value" | '"' | "'";

/**
 * The attribute of the first hole that is a value without quotes, or a part of one; `undefined` where
 * there is none. The text of the holes themselves is not known, and taken to change nothing.
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
  const reading: Reading = { place: "text", element: "", attribute: "", textOf: undefined };
  for (const text of strings.slice(0, -1)) {
    for (const [token, slash, tag] of text.matchAll(TOKENS)) read(reading, { token, slash, tag });
    if (reading.place === "before value" || reading.place === "value") return reading.attribute;
  }
}

/** How far a template has been read. */
interface Reading {
  place: Place;
  /** The element whose start tag it is in. */
  element: string;
  /** The last attribute of that. */
  attribute: string;
  /** The element whose text is skipped up to its end tag. */
  textOf: string | undefined;
}

/**
 * The ends of a comment, the beginning of a tag, a name, or any other character. A comment may end with
 * what begins it, and with `--!>` (WHATWG HTML, section 13.2.5.43).
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
