/**
 * What the runner tells a peer, and the messages made of it.
 *
 * @module
 */

/** Where to listen. */
export const HOSTNAME = "127.0.0.1";

/** The port to listen on. */
export const PORT: number = Number(Deno.env.get("PORT"));

const [before, after] = (Deno.env.get("MESSAGE") ?? "").split("########");
let ticks = 0;

/** The number of the next tick. */
export function nextTick(): string {
  return String(++ticks).padStart(8, "0");
}

/** The next message, as one who has no templates makes it. */
export function nextMessage(padding = 0): string {
  return `${before}${nextTick()}${"x".repeat(padding)}${after}`;
}
