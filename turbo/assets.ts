/**
 * Files that are served from memory under names that contain a hash of their content.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { weightsOf } from "./request.ts";

/** One file: its path, and the answer to requests for it. */
export interface Asset {
  /** The path, which changes when the content does. */
  readonly path: string;
  /** Answers a request for this path. */
  respond(request: Request): Response;
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
  const isText = typeof content === "string";
  const plain = isText ? new TextEncoder().encode(content) : new Uint8Array(content);
  const hash = createHash("sha256").update(plain).digest("hex").slice(0, 16);
  const encoded = new Map<string, Uint8Array<ArrayBuffer>>([["identity", plain]]);

  function bodyAs(encoding: keyof typeof encoders | "identity"): Uint8Array<ArrayBuffer> {
    let body = encoded.get(encoding);
    if (!body && encoding !== "identity") {
      body = new Uint8Array(encoders[encoding](plain));
      encoded.set(encoding, body);
    }
    return body ?? plain;
  }

  return {
    path: path.replace(/(\.\w+)?$/, `-${hash}$1`),
    respond(request) {
      const accepted = request.headers.get("Accept-Encoding");
      const encoding = isText ? preferredEncoding(accepted) : "identity";
      const etag = `"${hash}-${encoding}"`;
      const headers = new Headers({
        "Cache-Control": "public, max-age=31536000, immutable",
        "ETag": etag,
        ...(isText && { "Vary": "Accept-Encoding" }),
      });
      const known = request.headers.get("If-None-Match")?.split(",").map((tag) => tag.trim());
      if (known?.some((tag) => tag === "*" || tag.replace(/^W\//, "") === etag)) {
        return new Response(null, { status: 304, headers });
      }
      const body = bodyAs(encoding);
      headers.set("Content-Type", isText ? `${type}; charset=utf-8` : type);
      headers.set("Content-Length", String(body.byteLength));
      if (encoding !== "identity") headers.set("Content-Encoding", encoding);
      return new Response(request.method === "HEAD" ? null : body, { headers });
    },
  };
}

// Brotli 11 takes 0.1 s for Turbo's 94 KB, once in a process, and time grows faster than the text.
const encoders = {
  br: (bytes: Uint8Array) =>
    brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: bytes.length < 100_000 ? 11 : 9 },
    }),
  gzip: (bytes: Uint8Array) => gzipSync(bytes, { level: 9 }),
};

function preferredEncoding(accept: string | null): keyof typeof encoders | "identity" {
  const weights = weightsOf(accept);
  const isAccepted = (encoding: string) => (weights.get(encoding) ?? 0) > 0;
  return isAccepted("br") ? "br" : isAccepted("gzip") ? "gzip" : "identity";
}
