/**
 * The scripts of a page: Turbo, and the browser's side.
 *
 * @module
 */
import { type Asset, asset } from "./assets.ts";
import { CLIENT, CLIENT_HINTS, CLIENT_KEEP, TURBO } from "./script_texts.ts";

/** What a page loads. */
export interface Scripts {
  /** Turbo itself. */
  readonly turbo: Asset;
  /** The browser's side: `client.js` and its core. */
  readonly client: Asset;
  /** What it imports, to be loaded at the same time. */
  readonly keep: Asset;
  /** What it imports on a loopback address alone. */
  readonly hints: Asset;
}

/**
 * The scripts under a path. Each name holds a hash of the content, and the client imports the others by
 * theirs, relative to its own: an import map would be an inline script, which a strict policy forbids.
 */
export function scriptsUnder(path: string): Scripts {
  const script = (name: string, text: string) =>
    asset(`${path}/${name}.js`, text, "text/javascript");
  const keep = script("turbo-stream-keep", CLIENT_KEEP);
  const hints = script("turbo-stream-hints", CLIENT_HINTS);
  const client = CLIENT
    .replace('"./client_keep.js"', JSON.stringify(`./${nameOf(keep)}`))
    .replace('"./client_hints.js"', JSON.stringify(`./${nameOf(hints)}`));
  return { turbo: script("turbo", TURBO), client: script("turbo-stream", client), keep, hints };
}

function nameOf({ path }: Asset): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
