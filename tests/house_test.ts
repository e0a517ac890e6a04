/**
 * The structure of the repository: which file imports which.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { directory, PROTOCOL, WITH_PROCESS } from "./kit.ts";
import { outputOf } from "./processes.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** The paths of all our files with one of these extensions. */
function* filesOf(endings: RegExp, folder = ""): Iterable<string> {
  for (const { name, isDirectory } of Deno.readDirSync(ROOT + folder)) {
    if (/^(\.|node_modules|dist|state)/.test(name)) continue;
    if (isDirectory) yield* filesOf(endings, `${folder}${name}/`);
    else if (endings.test(name)) yield folder + name;
  }
}

/** All our files, each with those of them that it imports. */
function importsOfAll(): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const path of filesOf(/\.(ts|js)$/)) {
    const text = Deno.readTextFileSync(ROOT + path);
    const specifiers = text.matchAll(/^(?:import|export)\b[^"';]*?from "(\.[^"]+)"/gm);
    const url = (specifier: string) => new URL(specifier, `file:///${path}`);
    graph.set(path, [...specifiers].map(([, specifier]) => url(specifier!).pathname.slice(1)));
  }
  return graph;
}

const graph = importsOfAll();
const isTest = (file: string) => file.endsWith("_test.ts") || file.startsWith("tests/");

Deno.test("The import graph has no cycle", () => {
  assert(graph.size > 40, `${graph.size} files`);
  assert(graph.get("main.ts")!.includes("turbo/mod.ts"));
  const done = new Set<string>();
  function visit(file: string, path: string[]): void {
    assert(!path.includes(file), `${[...path, file].join(" -> ")}`);
    if (done.has(file)) return;
    for (const imported of graph.get(file) ?? []) visit(imported, [...path, file]);
    done.add(file);
  }
  for (const file of graph.keys()) visit(file, []);
});

Deno.test("turbo/ and server/ import nothing from outside, and not each other", () => {
  for (const folder of ["turbo/", "server/"]) {
    for (const [file, imports] of graph) {
      if (!file.startsWith(folder) || isTest(file)) continue;
      const outside = imports.filter((imported) => !imported.startsWith(folder));
      assert.deepEqual(outside, [], `${file} imports ${outside}`);
    }
  }
});

Deno.test("Files outside turbo/ import only what deno.json exports", () => {
  const faces = ["mod", "redis", "push", "adapter", "testing"].map((name) => `turbo/${name}.ts`);
  // Its readers reconnect by the rules of the client itself, which are in no other file.
  const asClient = "bench/readers/turbo_deno.ts";
  assert.deepEqual(graph.get(asClient)!.filter((file) => !file.startsWith("bench/")), [
    "turbo/client_core.js",
  ]);
  for (const [file, imports] of graph) {
    if (file.startsWith("turbo/") || file === asClient) continue;
    const past = imports.filter((imported) =>
      imported.startsWith("turbo/") && !faces.includes(imported)
    );
    assert.deepEqual(past, [], `${file} imports ${past}`);
  }
});

Deno.test("Nothing of the adapters is in what an app on Deno imports", () => {
  const imported = new Set<string>();
  function visit(file: string): void {
    if (imported.has(file)) return;
    imported.add(file);
    for (const other of graph.get(file) ?? []) visit(other);
  }
  for (const file of ["main.ts", "turbo/mod.ts", "turbo/redis.ts", "turbo/testing.ts"]) visit(file);
  assert(imported.has("turbo/websocket.ts"));
  assert(!imported.has("turbo/adapter.ts"));
});

Deno.test("The top level has the six files of the app, no other source, and only the known folders", () => {
  const sources = [...graph.keys()].filter((file) => !file.includes("/"));
  assert.deepEqual(sources.sort(), ["loadavg.ts", "main.ts", "main_test.ts", "templates.ts"]);
  const folders = new Set(
    [...graph.keys()].filter((file) => file.includes("/")).map((file) => file.split("/")[0]!),
  );
  const known = ["bench", "deploy", "docs", "examples", "server", "tests", "turbo"];
  assert.deepEqual([...folders].filter((folder) => !known.includes(folder)), []);
});

Deno.test("Every file that names the sub-protocol, in any language, names that of protocol.ts", () => {
  const named = new Map<string, string[]>();
  for (const path of filesOf(/\.(ts|js|mjs|c|h|go|py|md)$/)) {
    const names = Deno.readTextFileSync(ROOT + path).match(/turbo-stream\.v\d+/g);
    if (names) named.set(path, names);
  }
  for (const path of ["turbo/client.js", "bench/driver/connections.c"]) {
    assert(named.has(path), path);
  }
  for (const [path, names] of named) {
    assert.deepEqual([...new Set(names)], [PROTOCOL], path);
  }
});

Deno.test("Every command that names a version of Deno names that of README.md", () => {
  const readme = Deno.readTextFileSync(`${ROOT}README.md`);
  const [version] = readme.match(/deno@\d+\.\d+\.\d+/)!;
  for (const path of [...filesOf(/\.md$/), ".github/CONTRIBUTING.md"]) {
    const named = new Set(Deno.readTextFileSync(ROOT + path).match(/deno@\d+\.\d+\.\d+/g));
    named.delete(version);
    assert.deepEqual([...named], [], path);
  }
});

for (const task of ["test", "test:quick"]) {
  for (
    const [what, leave] of [
      ["an operation", `crypto.subtle.digest("SHA-256", new Uint8Array(50_000_000))`],
      ["a file", `Deno.openSync("/dev/null")`],
    ] as const
  ) {
    Deno.test(`deno task ${task} makes a test fail that leaves ${what}`, WITH_PROCESS, async () => {
      using folder = directory();
      const file = `${folder.path}/leaving_test.ts`;
      Deno.writeTextFileSync(file, `Deno.test("leaves", () => void ${leave});`);
      const running = outputOf([Deno.execPath(), "task", task, "--no-check", file], { cwd: ROOT });
      await assert.rejects(running, /Leaks detected/);
    });
  }
}
