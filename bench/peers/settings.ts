/**
 * What the runner tells a peer.
 *
 * @module
 */

/** Where to listen. */
export const HOSTNAME = "127.0.0.1";

/** The port to listen on. */
export const PORT: number = Number(Deno.env.get("PORT"));

/** Connections that may wait to be accepted, as in the app. */
export const BACKLOG = 4_096;

/** The message, where `########` is to become the number of the tick. */
export const MESSAGE: string = Deno.env.get("MESSAGE") ?? "";
