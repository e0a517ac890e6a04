import assert from "node:assert/strict";
import { scriptsUnder, withoutComments } from "./scripts.ts";

async function textOf(asset: ReturnType<typeof scriptsUnder>["client"]): Promise<string> {
  return await asset.respond(new Request(`http://localhost${asset.path}`)).text();
}

Deno.test("scriptsUnder() has the client import its modules by their hashed names", async () => {
  const { client, modules, hints } = scriptsUnder("/assets");
  const text = await textOf(client);
  const imported = [...text.matchAll(/(?:from|import\() ?"\.(\/[^"]+)"/g)].map(([, name]) => name);
  assert.deepEqual(
    imported.sort(),
    [...modules, hints].map(({ path }) => path.slice("/assets".length)).sort(),
  );
});

Deno.test("withoutComments() leaves no comment, and what runs as it is", async () => {
  assert.equal(
    withoutComments('/** A. */\nlet a = /** @type {B} */ (b); // c\n  // d\n\nlet e = "//f";\n'),
    'let a = (b); // c\nlet e = "//f";\n',
  );
  const { client, modules, hints } = scriptsUnder("/assets");
  for (const script of [client, ...modules, hints]) {
    assert.doesNotMatch(await textOf(script), /^\s*\/\/|\/\*\*|\*\//m, script.path);
  }
});
