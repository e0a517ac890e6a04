/**
 * Files that are served from memory under names that contain a hash of their content.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { weightsOf } from "./request.ts";

/** One text file: its path, and the answer to requests for it. */
export interface Asset {
  /** The path, which changes when the content does. */
  readonly path: string;
  /** Answers a request for this path. */
  respond(request: Request): Response;
}

/**
 * Creates an asset from a text. The text is compressed once for each encoding, on the first request.
 *
 * @example
 * ```ts
 * import { asset } from "./assets.ts";
 * import assert from "node:assert/strict";
 *
 * const css = asset("/assets/app.css", "body { margin: 0 }", "text/css");
 * assert.match(css.path, /^\/assets\/app-[0-9a-f]{16}\.css$/);
 * assert.equal(css.respond(new Request("http://localhost" + css.path)).status, 200);
 * ```
 */
export function asset(path: string, text: string, type: string): Asset {
  const plain = new TextEncoder().encode(text);
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
      const encoding = preferredEncoding(request.headers.get("Accept-Encoding"));
      const etag = `"${hash}-${encoding}"`;
      const headers = new Headers({
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
        "ETag": etag,
      });
      const known = request.headers.get("If-None-Match")?.split(",").map((tag) => tag.trim());
      if (known?.some((tag) => tag === "*" || tag.replace(/^W\//, "") === etag)) {
        return new Response(null, { status: 304, headers });
      }
      const body = bodyAs(encoding);
      headers.set("Content-Type", `${type}; charset=utf-8`);
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
