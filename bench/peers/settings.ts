/**
 * The settings that the runner passes to a peer, and the messages made from them.
 *
 * @module
 */
import { nextTick } from "./burst.mjs";

/** The address to listen on. */
export const HOSTNAME = "127.0.0.1";

/** The port to listen on. */
export const PORT: number = Number(Deno.env.get("PORT"));

/** The app's option `frame` in ms; `undefined` for the default. */
export const FRAME: number | undefined = numberOf(Deno.env.get("FRAME"));

/** The URL of the Redis server shared with other processes; `undefined` for none. */
export const REDIS: string | undefined = Deno.env.get("REDIS");

/** The file in which the app keeps its log over a restart; `undefined` for none. */
export const STATE: string | undefined = Deno.env.get("STATE");

const [before, after] = (Deno.env.get("MESSAGE") ?? "").split("########");

/** The next message, written without templates. */
export function nextMessage(padding = 0): string {
  return `${before}${nextTick()}${"x".repeat(padding)}${after}`;
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
