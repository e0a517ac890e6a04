/**
 * Texts that are encoded as in a URL.
 *
 * @module
 */

/**
 * Decodes a text that is encoded as in a URL (RFC 3986, section 2.1); `undefined` for one that is not.
 *
 * @example
 * ```ts
 * import { percentDecoded } from "./percent_encoding.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(percentDecoded("p%40ss"), "p@ss");
 * assert.equal(percentDecoded("100%"), undefined);
 * ```
 */
export function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
