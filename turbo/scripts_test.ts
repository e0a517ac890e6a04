import assert from "node:assert/strict";
import { brotliDecompressSync } from "node:zlib";
import config from "../deno.json" with { type: "json" };
import { MADE, make } from "../tests/bundle.ts";
import { type Asset, asset } from "./assets.ts";
import { scriptsUnder } from "./scripts.ts";

function get({ path, respond }: Asset, headers: Record<string, string> = {}): Response {
  return respond(new Request(`http://localhost${path}`, { headers }));
}

/** esbuild runs as a process, which may end after the test. */
const WITH_ESBUILD = { sanitizeOps: false, sanitizeResources: false };

for (const path of MADE) {
  Deno.test(
    `${path} is what would be made of its sources now (else: deno task bundle)`,
    WITH_ESBUILD,
    async () => {
      const text = await Deno.readTextFile(new URL(`../${path}`, import.meta.url));
      assert(text === await make(path), `${path} is out of date`);
    },
  );
}

Deno.test("The text of Turbo has the version of deno.json, and its licence", async () => {
  const version = config.imports["@hotwired/turbo"].split("@").at(-1);
  const text = await get(scriptsUnder("/assets").turbo).text();
  const lines = `\\n/\\*!\\nTurbo ${version}\\nCopyright © \\d+ 37signals LLC\\n \\*/\\n$`;
  assert.match(text, new RegExp(lines));
});

Deno.test("scriptsUnder() sends each script compressed as its text, under the hash of its text", async () => {
  for (const script of Object.values(scriptsUnder("/assets"))) {
    const text = await get(script).text();
    const compressed = await get(script, { "Accept-Encoding": "br" }).arrayBuffer();
    assert(brotliDecompressSync(compressed).equals(Buffer.from(text)), script.path);
    const path = script.path.replace(/-[0-9a-f]{16}/, "");
    assert.equal(asset(path, text, "text/javascript").path, script.path);
  }
});

Deno.test("scriptsUnder() makes the client import its modules by their hashed names", async () => {
  const { client, keep, hints } = scriptsUnder("/assets");
  const imported = [...(await get(client).text()).matchAll(/(?:from|import\()"\.(\/[^"]+)"/g)];
  assert.deepEqual(imported.map(([, name]) => `/assets${name}`), [keep.path, hints.path]);
});

Deno.test("Turbo has at most 22.6 KB, the client 7.9 KB and what keeps edits 2.6 KB, as sent to browsers", () => {
  const { turbo, client, keep } = scriptsUnder("/assets");
  const weight = (asset: Asset) =>
    Number(get(asset, { "Accept-Encoding": "br" }).headers.get("Content-Length"));
  assert(weight(turbo) <= 22_600, `${weight(turbo)} bytes`);
  assert(weight(client) <= 7_900, `${weight(client)} bytes`);
  assert(weight(keep) <= 2_600, `${weight(keep)} bytes`);
});
