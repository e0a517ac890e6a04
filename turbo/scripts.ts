/**
 * The scripts of a page: Turbo, and the browser's side, which is a few modules.
 *
 * @module
 */
import turboJs from "@hotwired/turbo/dist/turbo.es2017-esm.js" with { type: "text" };
import clientJs from "./client.js" with { type: "text" };
import coreJs from "./client_core.js" with { type: "text" };
import hintsJs from "./client_hints.js" with { type: "text" };
import keepJs from "./client_keep.js" with { type: "text" };
import { type Asset, asset } from "./assets.ts";

/** What a page loads. */
export interface Scripts {
  /** Turbo itself. */
  readonly turbo: Asset;
  /** The browser's side. */
  readonly client: Asset;
  /** What every page needs of it besides, to be loaded at the same time. */
  readonly modules: readonly Asset[];
  /** What only a page on a loopback address asks for. */
  readonly hints: Asset;
}

/**
 * The scripts under a path. Each name holds a hash of the content, and the browser's side imports its
 * modules by these names, relative to its own: there is no build step, and no import map, which a
 * policy without inline scripts forbids.
 */
export function scriptsUnder(path: string): Scripts {
  const script = (name: string, text: string) =>
    asset(`${path}/${name}.js`, text, "text/javascript");
  const core = script("turbo-stream-core", withoutComments(coreJs));
  const keep = script("turbo-stream-keep", withoutComments(keepJs));
  const hints = script("turbo-stream-hints", withoutComments(hintsJs));
  const names = { "client_core.js": core, "client_keep.js": keep, "client_hints.js": hints };
  let client = withoutComments(clientJs);
  for (const [name, { path }] of Object.entries(names)) {
    client = client.replaceAll(`"./${name}"`, `".${path.slice(path.lastIndexOf("/"))}"`);
  }
  return {
    turbo: script("turbo", turboJs),
    client: script("turbo-stream", client),
    modules: [core, keep],
    hints,
  };
}

/**
 * A script of ours as it is served: without its comments, which are two fifths of it. They stand on
 * lines of their own or are JSDoc, and no text in these scripts looks like either.
 */
export function withoutComments(script: string): string {
  return script.replace(/\/\*\*[\s\S]*?\*\/ ?/g, "").replace(/^\s*\/\/.*\n/gm, "")
    .replace(/^\s*\n/gm, "");
}
