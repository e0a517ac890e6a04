import assert from "node:assert/strict";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { asset } from "./assets.ts";

const TEXT = "body { color: red }\n".repeat(100);
const css = asset("/assets/a.css", TEXT, "text/css");

function get(headers: Record<string, string> = {}, method = "GET"): Response {
  return css.respond(new Request(`http://localhost${css.path}`, { method, headers }));
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer());
}

Deno.test("asset() puts a hash of the content into the path", () => {
  assert.match(css.path, /^\/assets\/a-[0-9a-f]{16}\.css$/);
  assert.notEqual(css.path, asset("/assets/a.css", TEXT + " ", "text/css").path);
});

Deno.test("asset() appends the hash to a path without an extension", () => {
  for (const path of ["/LICENSE", "/v1.2/app"]) {
    const { path: hashed } = asset(path, TEXT, "text/plain");
    assert.match(hashed, new RegExp(`^${path}-[0-9a-f]{16}$`));
  }
});

Deno.test("Asset.respond() compresses as the browser asks", async () => {
  const cases = [
    ["gzip, deflate, br, zstd", "br"],
    ["gzip", "gzip"],
    ["br;q=0, gzip;q=0.5", "gzip"],
    ["BR", "br"],
    ["", null],
    ["identity, br;q=0", null],
  ] as const;
  for (const [accept, encoding] of cases) {
    const response = get({ "Accept-Encoding": accept });
    assert.equal(response.headers.get("Content-Encoding"), encoding, accept);
    const bytes = await bytesOf(response);
    const plain = encoding === "br"
      ? brotliDecompressSync(bytes)
      : encoding === "gzip"
      ? gunzipSync(bytes)
      : bytes;
    assert.equal(new TextDecoder().decode(plain), TEXT);
    assert.equal(response.headers.get("Content-Length"), String(bytes.byteLength));
  }
});

Deno.test("Asset.respond() marks the content as immutable", () => {
  const { headers } = get();
  assert.equal(headers.get("Cache-Control"), "public, max-age=31536000, immutable");
  assert.equal(headers.get("Vary"), "Accept-Encoding");
  assert.equal(headers.get("Content-Type"), "text/css; charset=utf-8");
});

Deno.test("Asset.respond() answers a known ETag with 304, and that of another encoding in full", async () => {
  const etag = get({ "Accept-Encoding": "br" }).headers.get("ETag")!;
  assert.match(etag, /^"[^"]+"$/);
  const known = get({ "Accept-Encoding": "br", "If-None-Match": `"x", ${etag}` });
  assert.equal(known.status, 304);
  assert.equal(await known.text(), "");
  assert.equal(get({ "Accept-Encoding": "gzip", "If-None-Match": etag }).status, 200);
});

Deno.test("Asset.respond() has no body for HEAD", async () => {
  const response = get({}, "HEAD");
  assert.equal(response.headers.get("Content-Length"), String(TEXT.length));
  assert.equal(await response.text(), "");
});

Deno.test("asset() sends bytes as they are, whatever the browser accepts", async () => {
  const bytes = new Uint8Array(1_000).map((_, index) => index);
  const { path, respond } = asset("/assets/icon.png", bytes, "image/png");
  assert.match(path, /^\/assets\/icon-[0-9a-f]{16}\.png$/);
  const expected = Uint8Array.from(bytes);
  bytes.fill(0); // the path holds the hash of what was given
  const url = `http://localhost${path}`;
  const response = respond(new Request(url, { headers: { "Accept-Encoding": "br, gzip" } }));
  assert.deepEqual(
    ["Content-Type", "Content-Length", "Content-Encoding", "Vary"].map((name) =>
      response.headers.get(name)
    ),
    ["image/png", "1000", null, null],
  );
  assert.deepEqual(await bytesOf(response), expected);
  const etag = response.headers.get("ETag")!;
  assert.equal(respond(new Request(url, { headers: { "If-None-Match": etag } })).status, 304);
});
