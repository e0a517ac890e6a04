import assert from "node:assert/strict";
import { BUNDLE, bundle } from "../tests/bundle.ts";
import { scriptsUnder } from "./scripts.ts";

async function textOf({ path, respond }: ReturnType<typeof scriptsUnder>["client"]) {
  return await respond(new Request(`http://localhost${path}`)).text();
}

Deno.test("The client that is served is made of its source (else: deno task bundle)", async () => {
  assert.equal(await Deno.readTextFile(BUNDLE), await bundle());
});

Deno.test("scriptsUnder() has the client import the hints by their hashed name", async () => {
  const { client, hints } = scriptsUnder("/assets");
  const imported = [...(await textOf(client)).matchAll(/import\("\.(\/[^"]+)"\)/g)];
  assert.deepEqual(imported.map(([, name]) => `/assets${name}`), [hints.path]);
});

Deno.test("The client weighs no more than 7.3 KB as a browser takes it, its modules included", async () => {
  const { client } = scriptsUnder("/assets");
  const request = new Request(`http://localhost${client.path}`, {
    headers: { "Accept-Encoding": "br" },
  });
  const { headers } = client.respond(request);
  assert(Number(headers.get("Content-Length")) <= 7_300, `${headers.get("Content-Length")} bytes`);
});
