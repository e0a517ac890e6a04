/**
 * The scripts of a page: Turbo, and the browser's side.
 *
 * @module
 */
import { type Asset, packedAsset, type PackedText } from "./assets.ts";
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

/** The scripts, served below a path. Each file name contains a hash of the content. */
export function scriptsUnder(path: string): Scripts {
  const script = (name: string, packed: PackedText) =>
    packedAsset(`${path}/${name}.js`, packed, "text/javascript");
  return {
    turbo: script("turbo", TURBO),
    client: script("turbo-stream", CLIENT),
    keep: script("turbo-stream-keep", CLIENT_KEEP),
    hints: script("turbo-stream-hints", CLIENT_HINTS),
  };
}
