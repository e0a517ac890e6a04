/**
 * The scripts of a page: Turbo, and the browser's side.
 *
 * @module
 */
import turboJs from "@hotwired/turbo/dist/turbo.es2017-esm.js" with { type: "text" };
import clientJs from "./client.min.js" with { type: "text" };
import keepJs from "./client_keep.min.js" with { type: "text" };
import hintsJs from "./client_hints.js" with { type: "text" };
import { type Asset, asset } from "./assets.ts";

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
  const keep = script("turbo-stream-keep", keepJs);
  const hints = script("turbo-stream-hints", hintsJs);
  const client = clientJs
    .replace('"./client_keep.js"', JSON.stringify(`./${nameOf(keep)}`))
    .replace('"./client_hints.js"', JSON.stringify(`./${nameOf(hints)}`));
  return { turbo: script("turbo", turboJs), client: script("turbo-stream", client), keep, hints };
}

function nameOf({ path }: Asset): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
