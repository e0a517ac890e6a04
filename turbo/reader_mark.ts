/**
 * A mark of the reader for whom a page was rendered, without the reader's names.
 *
 * @module
 */
import { hashOf } from "./hash.ts";

/**
 * A short text that is the same for the same names in any process, and empty for a reader without a name. A
 * tab compares it with the mark of the page for which its connection was opened. It is not secret, because
 * only that reader sees it.
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
  return names.length === 0 ? "" : hashOf(JSON.stringify(names));
}
