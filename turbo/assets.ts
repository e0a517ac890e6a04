/**
 * Files that are served from memory under names that contain a hash of their content.
 *
 * @module
 */
import { hashOf } from "./hash.ts";
import { weightsOf } from "./request.ts";

/** One file: its path, and the answer to requests for it. */
export interface Asset {
  /** The path, which changes when the content does. */
  readonly path: string;
  /** Answers a request for this path. */
  respond(request: Request): Response;
}

/** A text that is compressed beforehand. It is not here itself, because nearly all browsers take Brotli. */
export interface PackedText {
  /** The {@linkcode hashOf} of the text. */
  readonly hash: string;
  /** The text compressed by Brotli, in base64. */
  readonly brotli: string;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** The bytes of a file in each encoding that it is sent in, made on the first request for them. */
interface Bodies {
  readonly identity: () => Bytes;
  readonly gzip?: () => Bytes;
  readonly br?: () => Bytes;
}

/**
 * Creates an asset from a text, or from the bytes of a picture or a font. A text is compressed once for each
 * encoding, on the first request, and is sent with `charset=utf-8`. Bytes are sent as they are, because such
 * files are compressed already.
 *
 * @example
 * ```ts
 * import { asset } from "./assets.ts";
 * import assert from "node:assert/strict";
 *
 * const css = asset("/assets/app.css", "body { margin: 0 }", "text/css");
 * assert.match(css.path, /^\/assets\/app-[0-9a-f]{16}\.css$/);
 * assert.equal(css.respond(new Request("http://localhost" + css.path)).status, 200);
 *
 * const icon = asset("/assets/icon.png", Uint8Array.of(137, 80, 78, 71), "image/png");
 * const { headers } = icon.respond(new Request("http://localhost" + icon.path));
 * assert.equal(headers.get("Content-Type"), "image/png");
 * ```
 */
export function asset(path: string, content: string | Uint8Array, type: string): Asset {
  const hash = hashOf(content);
  if (typeof content === "string") {
    const identity = once(() => new TextEncoder().encode(content));
    return textAsset(path, hash, type, { identity, br: once(() => compress(identity())) });
  }
  const bytes = new Uint8Array(content);
  return assetOf(path, hash, type, { identity: () => bytes });
}

/** Creates an asset from a text that is compressed. */
export function packedAsset(path: string, { hash, brotli }: PackedText, type: string): Asset {
  const br = once(() => bytesOf(brotli));
  return textAsset(path, hash, type, { br, identity: once(() => decompress(br())) });
}

function textAsset(
  path: string,
  hash: string,
  type: string,
  { identity, br }: Required<Omit<Bodies, "gzip">>,
): Asset {
  const gzipped = once(() => gzip(identity()));
  return assetOf(path, hash, `${type}; charset=utf-8`, { identity, gzip: gzipped, br });
}

function assetOf(path: string, hash: string, type: string, bodies: Bodies): Asset {
  return {
    path: path.replace(/(\.\w+)?$/, `-${hash}$1`),
    respond(request) {
      const isCompressible = bodies.br !== undefined;
      const accepted = request.headers.get("Accept-Encoding");
      const encoding = isCompressible ? preferredEncoding(accepted) : "identity";
      const etag = `"${hash}-${encoding}"`;
      const headers = new Headers({
        "Cache-Control": "public, max-age=31536000, immutable",
        "ETag": etag,
        ...(isCompressible && { "Vary": "Accept-Encoding" }),
      });
      const known = request.headers.get("If-None-Match")?.split(",").map((tag) => tag.trim());
      if (known?.some((tag) => tag === "*" || tag.replace(/^W\//, "") === etag)) {
        return new Response(null, { status: 304, headers });
      }
      const body = (bodies[encoding] ?? bodies.identity)();
      headers.set("Content-Type", type);
      headers.set("Content-Length", String(body.byteLength));
      if (encoding !== "identity") headers.set("Content-Encoding", encoding);
      return new Response(request.method === "HEAD" ? null : body, { headers });
    },
  };
}

function preferredEncoding(accept: string | null): keyof Bodies {
  const weights = weightsOf(accept);
  const isAccepted = (encoding: string) => (weights.get(encoding) ?? 0) > 0;
  return isAccepted("br") ? "br" : isAccepted("gzip") ? "gzip" : "identity";
}

// The first reader waits for it. Level 10 takes a third of the time of level 11, for 3 % more bytes, and the
// time grows faster than the text.
function compress(bytes: Bytes): Bytes {
  const { brotliCompressSync, constants } = zlib();
  const params = { [constants.BROTLI_PARAM_QUALITY]: bytes.length < 100_000 ? 10 : 9 };
  return new Uint8Array(brotliCompressSync(bytes, { params }));
}

function decompress(bytes: Bytes): Bytes {
  return new Uint8Array(zlib().brotliDecompressSync(bytes));
}

function gzip(bytes: Bytes): Bytes {
  return new Uint8Array(zlib().gzipSync(bytes, { level: 9 }));
}

// Not imported at the top, because no page needs it, and it takes Deno milliseconds to load.
function zlib(): typeof import("node:zlib") {
  return process.getBuiltinModule("node:zlib");
}

function bytesOf(base64: string): Bytes {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** A function that calls another on the first call only, and returns what that has returned. */
function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => made ??= make();
}
