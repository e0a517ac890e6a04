/**
 * What `docs/compared.md` says of this project's own size is true. The others' figures have a date.
 *
 * @module
 */
import assert from "node:assert/strict";
import { brotliCompressSync } from "node:zlib";
import { Turbo } from "../turbo/mod.ts";

const PAGE = new URL("../docs/compared.md", import.meta.url);

Deno.test("docs/compared.md has the size of what a page loads", async () => {
  const turbo = new Turbo();
  const head = String(turbo.head({ cursor: turbo.cursor }));
  const paths = [...head.matchAll(/(?:src|href)="(.+?\.js)"/g)].map(([, path]) => path!);
  assert.equal(paths.length, 3, head);
  let bytes = 0;
  for (const path of paths) {
    const response = turbo.asset(new Request(`http://localhost${path}`))!;
    bytes += brotliCompressSync(await response.arrayBuffer()).length;
  }
  const [, kilobytes] = /^\| turbo-deno .*?\| (\d+) KB /m.exec(await Deno.readTextFile(PAGE))!;
  const size = Math.round(bytes / 1000);
  assert.equal(
    Number(kilobytes),
    size,
    `docs/compared.md says ${kilobytes} KB, a page loads ${size}`,
  );
});
