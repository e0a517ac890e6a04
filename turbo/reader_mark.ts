/**
 * Who a page was rendered for, told to its tab without the names.
 *
 * @module
 */

/**
 * A short text that is the same for the same names, in any process; empty for nobody. A tab compares it
 * with that of the page that its connection was opened for. It is no secret and keeps none: whoever sees it
 * is that reader.
 *
 * @example
 * ```ts
 * import { readerMark } from "./reader_mark.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(readerMark(["ann"]), readerMark(["ann"]));
 * assert.notEqual(readerMark(["ann"]), readerMark(["ben"]));
 * assert.equal(readerMark([]), "");
 * ```
 */
export function readerMark(names: readonly string[]): string {
  if (names.length === 0) return "";
  // FNV-1a, twice over with different beginnings: Node's hashes take 40 ms to load.
  const text = JSON.stringify(names);
  return [0x811c9dc5, 0x01000193].map((start) => {
    let hash = start;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    return (hash >>> 0).toString(36);
  }).join("-");
}
