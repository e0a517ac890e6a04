import assert from "node:assert/strict";
import { bundle, BUNDLES } from "../tests/bundle.ts";
import type { Asset } from "./assets.ts";
import { scriptsUnder } from "./scripts.ts";

function get({ path, respond }: Asset, headers: Record<string, string> = {}): Response {
  return respond(new Request(`http://localhost${path}`, { headers }));
}

/** esbuild runs as a process, which ends in its own time. */
const WITH_ESBUILD = { sanitizeOps: false, sanitizeResources: false };

for (const [name, file] of BUNDLES) {
  Deno.test(
    `${name}.min.js is what would be made of its sources now (else: deno task bundle)`,
    WITH_ESBUILD,
    async () => {
      assert.equal(await Deno.readTextFile(file), await bundle(name));
    },
  );
}

Deno.test("scriptsUnder() has the client import its modules by their hashed names", async () => {
  const { client, keep, hints } = scriptsUnder("/assets");
  const imported = [...(await get(client).text()).matchAll(/(?:from|import\()"\.(\/[^"]+)"/g)];
  assert.deepEqual(imported.map(([, name]) => `/assets${name}`), [keep.path, hints.path]);
});

Deno.test("The client weighs no more than 7.5 KB as a browser takes it", () => {
  const { client, keep } = scriptsUnder("/assets");
  const weight = (asset: Asset) =>
    Number(get(asset, { "Accept-Encoding": "br" }).headers.get("Content-Length"));
  assert(weight(client) <= 7_500, `${weight(client)} bytes`);
  assert(weight(keep) <= 2_400, `${weight(keep)} bytes`);
});
