/**
 * What the runner tells a peer.
 *
 * @module
 */

/** Where to listen. */
export const HOSTNAME = "127.0.0.1";

/** The port to listen on. */
export const PORT: number = Number(Deno.env.get("PORT"));

/** The message, where `########` is to become the number of the tick. */
export const MESSAGE: string = Deno.env.get("MESSAGE") ?? "";
