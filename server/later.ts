/**
 * What a process need not do before it answers its first reader.
 *
 * @module
 */

/** Milliseconds after which the first reader most likely has its page. */
const DELAY = 100;

/**
 * Calls a function a moment later; the process may end before. An error that it throws ends the process.
 *
 * Not by `setTimeout`, because the first timer of a process takes Deno 6 ms to make, for which a reader would
 * wait who has started the process, as on a Deno host.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { later } from "./later.ts";
 *
 * const done: string[] = [];
 * const { promise, resolve } = Promise.withResolvers<void>();
 * later(() => resolve(void done.push("the rest")), 1);
 * done.push("the first page");
 * await promise;
 * assert.deepEqual(done, ["the first page", "the rest"]);
 * ```
 */
export function later(act: () => void, milliseconds: number = DELAY): void {
  AbortSignal.timeout(milliseconds).addEventListener("abort", act, { once: true });
}
