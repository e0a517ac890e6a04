/**
 * The scripts of a page: Turbo, and the browser's side.
 *
 * @module
 */
import { type Asset, asset } from "./assets.ts";
import { CLIENT, CLIENT_HINTS, CLIENT_KEEP, TURBO } from "./script_texts.ts";

/** The scripts that a page loads. */
export interface Scripts {
  /** Turbo itself. */
  readonly turbo: Asset;
  /** The browser's side: `client.js` and its core. */
  readonly client: Asset;
  /** The module that `client` imports, which a page preloads. */
  readonly keep: Asset;
  /** The module that `client` imports only where the page is on a loopback address. */
  readonly hints: Asset;
}

/**
 * The scripts, served below a path. Each file name contains a hash of the content. The client imports the
 * other two by their names, relative to its own URL, because an import map would be an inline script, which
 * a strict content security policy forbids.
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
