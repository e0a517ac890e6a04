/**
 * What the runner tells a peer, and the messages made of it.
 *
 * @module
 */
import { nextTick } from "./burst.mjs";

/** Where to listen. */
export const HOSTNAME = "127.0.0.1";

/** The port to listen on. */
export const PORT: number = Number(Deno.env.get("PORT"));

/** The option `frame` of the app's stream in ms; its default where left out. */
export const FRAME: number | undefined = numberOf(Deno.env.get("FRAME"));

/** The Redis that is shared with other processes; none where left out. */
export const REDIS: string | undefined = Deno.env.get("REDIS");

const [before, after] = (Deno.env.get("MESSAGE") ?? "").split("########");

/** The next message, as one who has no templates makes it. */
export function nextMessage(padding = 0): string {
  return `${before}${nextTick()}${"x".repeat(padding)}${after}`;
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
