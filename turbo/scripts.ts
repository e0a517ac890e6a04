/**
 * The scripts of a page: Turbo, and the browser's side.
 *
 * @module
 */
import turboJs from "@hotwired/turbo/dist/turbo.es2017-esm.js" with { type: "text" };
import clientJs from "./client.min.js" with { type: "text" };
import hintsJs from "./client_hints.js" with { type: "text" };
import { type Asset, asset } from "./assets.ts";

/** What a page loads. */
export interface Scripts {
  /** Turbo itself. */
  readonly turbo: Asset;
  /** The browser's side: `client.js` and its modules in one file, minified. */
  readonly client: Asset;
  /** What only a page on a loopback address asks for. */
  readonly hints: Asset;
}

/**
 * The scripts under a path. Each name holds a hash of the content, and the client imports the hints by
 * theirs, relative to its own: an import map would be an inline script, which a strict policy forbids.
 */
export function scriptsUnder(path: string): Scripts {
  const script = (name: string, text: string) =>
    asset(`${path}/${name}.js`, text, "text/javascript");
  const hints = script("turbo-stream-hints", hintsJs);
  const name = hints.path.slice(hints.path.lastIndexOf("/"));
  return {
    turbo: script("turbo", turboJs),
    client: script("turbo-stream", clientJs.replace("./client_hints.js", `.${name}`)),
    hints,
  };
}
