import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import licenses from "../deploy/licenses.txt" with { type: "text" };

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const require = createRequire(import.meta.url);

/** The sections of the text, by title. A title is a line that is underlined. */
const parts = new Map(
  [...licenses.matchAll(/^(.+)\n=+\n\n([^]*?)(?=\n\n\n.+\n=+\n|$(?![^]))/gm)].map((
    [, title, text],
  ) => [title!, text!.trim()]),
);

/** The folder of an installed package, by its name in deno.json. */
function folderOf(name: keyof typeof config.imports): string {
  const [folder] = /^.*\/\d[^/]*\//.exec(require.resolve(name)) ?? [];
  assert(folder, `the folder of ${name}`);
  return folder;
}

/** A text without line wrapping. */
function unwrap(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

/** The text of the MIT licence without the copyright, from the one of this repository. */
const MIT = /Permission is hereby granted[^]*/.exec(Deno.readTextFileSync(`${ROOT}LICENSE`))![0];

/** The name and the copyright in the header of the package that is one file in the repository. */
const [, redis = "", redisCopyright = ""] = /^\/\*! (.+)\nMIT License, (Copyright .+): see deploy/
  .exec(Deno.readTextFileSync(`${ROOT}turbo/redis_client.min.js`)) ?? [];

Deno.test("The licences are those of the versions in deno.json", () => {
  const named = Object.values(config.imports).map((specifier) =>
    specifier.replace(/^npm:(.+)@(.+)$/, "$1 $2")
  );
  assert.deepEqual([...parts.keys()], [
    `turbo-deno ${config.version}`,
    ...named,
    redis,
    "Deno",
    "V8, in Deno",
    "All else that is in Deno",
  ]);
});

Deno.test("The licences of turbo-deno and hono are their files", () => {
  const ours = Deno.readTextFileSync(`${ROOT}LICENSE`);
  assert.equal(parts.get(`turbo-deno ${config.version}`), ours.trim());
  const hono = Deno.readTextFileSync(`${folderOf("hono")}LICENSE`);
  assert.equal(parts.get(config.imports.hono.slice(4).replace("@", " ")), hono.trim());
});

Deno.test("The licence of Turbo, whose package has no licence file, is that of the package and its script", () => {
  const folder = folderOf("@hotwired/turbo");
  const [, version, copyright] = /^\/\*!\nTurbo (.+)\n(Copyright .+)\n/.exec(
    Deno.readTextFileSync(`${folder}dist/turbo.es2017-esm.js`),
  )!;
  assert(!existsSync(`${folder}LICENSE`) && !existsSync(`${folder}MIT-LICENSE`), "it has a file");
  assert.equal(JSON.parse(Deno.readTextFileSync(`${folder}package.json`)).license, "MIT");
  const part = parts.get(`@hotwired/turbo ${version}`);
  assert.equal(unwrap(part!), unwrap(`MIT License ${copyright} ${MIT}`));
});

Deno.test("The licence of @redis/client, whose package has no licence file, is that of the package", () => {
  const [name, version] = redis.split(" ");
  const lock = Deno.readTextFileSync(`${ROOT}tests/deno.lock`);
  // Behind the version may stand a package beside which it is installed.
  assert(lock.includes(`"npm:${name}@${version}": "${version}`), `${redis} is what was bundled`);
  assert.equal(unwrap(parts.get(redis)!), unwrap(`MIT License ${redisCopyright} ${MIT}`));
});

Deno.test("The licences of Deno and V8 are those of their files", () => {
  const deno = parts.get("Deno")!;
  assert.match(deno, /^MIT License\n\nCopyright 2018-20\d\d the Deno authors\n/);
  assert(unwrap(deno).endsWith(unwrap(MIT)));
  const beside = Deno.execPath().replace(/[^/]*$/, "LICENSE");
  if (existsSync(beside)) { // where Deno was installed by npm
    assert.equal(unwrap(deno), unwrap(Deno.readTextFileSync(beside)));
  }
  assert.match(parts.get("V8, in Deno")!, /^Copyright 2014, the V8 project authors\./);
});
