/**
 * The size that `docs/compared.md` and README.md give for this project is true. The others' figures have a date.
 *
 * @module
 */
import assert from "node:assert/strict";
import { brotliCompressSync } from "node:zlib";
import { Turbo } from "../turbo/mod.ts";

const ROOT = new URL("../", import.meta.url);
/** The texts that name the size, and how. */
const SAID: readonly [file: string, said: RegExp][] = [
  ["docs/compared.md", /^\| turbo-deno .*?\| (\d+) KB /m],
  ["README.md", /^The browser loads (\d+) KB\./m],
];

Deno.test("docs/compared.md and README.md have the size of what a page loads", async () => {
  const turbo = new Turbo();
  const head = String(turbo.head({ cursor: turbo.cursor }));
  const paths = [...head.matchAll(/(?:src|href)="(.+?\.js)"/g)].map(([, path]) => path!);
  assert.equal(paths.length, 3, head);
  let bytes = 0;
  for (const path of paths) {
    const response = turbo.asset(new Request(`http://localhost${path}`))!;
    bytes += brotliCompressSync(await response.arrayBuffer()).length;
  }
  const size = Math.round(bytes / 1000);
  for (const [file, said] of SAID) {
    const [, kilobytes] = said.exec(await Deno.readTextFile(new URL(file, ROOT))) ?? [];
    assert.equal(Number(kilobytes), size, `${file} says ${kilobytes} KB, a page loads ${size}`);
  }
});
