// What a process loads before its first reader has the page. A Deno host starts it for that reader.
import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { build, parenthesize } from "./build.ts";
import { connect, directory, WITH_PROCESS } from "./kit.ts";
import { outputOf, START_FLAGS, startServer } from "./processes.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const DENO = Deno.execPath();

/** A module that both entries import, as `deno info` names it. */
const HONO_HTML = `${config.imports.hono.replace(":", ":/")}/html`;

/** What Deno loads its Node layer for: each takes it 5 to 20 ms. */
const COSTLY = ["process", "Buffer", "setTimeout", "setInterval", "setImmediate"];

/** Answers a page and its scripts, and prints what was used of the list until then. */
const PROGRAM = `
const used = [];
for (const name of ${JSON.stringify(COSTLY)}) {
  const { get, value } = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, {
    configurable: true,
    get() {
      used.push(name + new Error().stack.split("\\n")[2]);
      return get ? get.call(globalThis) : value;
    },
  });
}
const { createApp, OPTIONS } = await import("./main.ts");
const { importMachine } = await import("./server/machine.ts");
const { serve } = await import("./server/serve.ts");
const { settingsOrExit } = await import("./server/settings.ts");
const names = { name: "app", version: "1", summary: "An app." };
const { maxMemory } = settingsOrExit(OPTIONS, { ...names, args: ["--interval", "1"] });
const { hono } = createApp({ machine: await importMachine() });
const log = { log() {}, error: console.error };
serve(hono.fetch, { port: 0, hostname: "127.0.0.1", maxMemory, log });
const headers = { "Accept-Encoding": "br" };
const get = (path) => hono.fetch(new Request("http://localhost" + path, { headers }));
const page = await (await get("/")).text();
const scripts = [...page.matchAll(/<(?:script|link)[^>]+(?:src|href)="([^"]+\\.js)"/g)];
const answers = await Promise.all(scripts.map(([, path]) => get(path)));
console.log(JSON.stringify({ used, scripts: answers.map(({ status }) => status) }));
Deno.exit();
`;

for (const entry of ["turbo/mod.ts", "main.ts"]) {
  Deno.test(
    `${entry} imports no module of Node, and not hono/deno, which does`,
    WITH_PROCESS,
    async () => {
      const imported = await importsOf(entry);
      assert(imported.has(HONO_HTML), [...imported].join("\n"));
      const costly = [...imported].filter((module) => /^node:|\/deno$/.test(module));
      assert.deepEqual(costly, []);
    },
  );
}

for (
  const [permissions, flags] of [["all permissions", ["-A"]], ["its own", [
    "-P",
    "--no-prompt",
  ]]] as const
) {
  Deno.test(
    `With ${permissions} the app answers its first page and the scripts without Node's globals and timers`,
    WITH_PROCESS,
    async () => {
      using folder = directory();
      const program = `${folder.path}/program.ts`;
      await Deno.writeTextFile(program, PROGRAM.replaceAll('import("./', `import("file://${ROOT}`));
      const output = await outputOf([
        DENO,
        "run",
        ...flags,
        "--config",
        `${ROOT}deno.json`,
        program,
      ]);
      assert.deepEqual(JSON.parse(output), { used: [], scripts: [200, 200, 200] });
    },
  );
}

Deno.test(
  "What deno task build makes runs as deno task start does, and imports no module of Node at once",
  WITH_PROCESS,
  async () => {
    using folder = directory();
    await build(folder.path);
    const main = `${folder.path}/main.js`;
    const imported = [...await importsOf(main)];
    assert.deepEqual(imported.filter((module) => !module.startsWith("file://")), []);
    for (const module of imported) {
      const text = await Deno.readTextFile(new URL(module));
      assert.doesNotMatch(text, /^(?:async )?function/m, `${module} is not parenthesized`);
    }
    await using app = await startServer(main, [
      "--port=0",
      "--hostname=127.0.0.1",
      "--interval=0.2",
    ], {
      flags: START_FLAGS,
    });
    const page = await (await fetch(app.url)).text();
    const paths = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
    assert(paths.length >= 5, page);
    for (const path of paths) {
      const answer = await fetch(app.url + path);
      assert.equal(answer.status, 200, path);
      await answer.body?.cancel();
    }
    await using client = await connect(app.url);
    assert.match(await client.next(), /^<turbo-stream action="replace" target="load"/);
  },
);

Deno.test("parenthesize() leaves methods and what is deep inside, and declares functions first", () => {
  const text = `import{a}from"./a.js";b(()=>1);async function b(c){return c(()=>()=>2)}
class D{e(){}f=()=>3}var g={h(){},get i(){return 4},j:function(){}};export{b};`;
  const expected = `var b=(async function (c){return c((()=>()=>2))});
import{a}from"./a.js";
b((()=>1));
class D{e(){}f=(()=>3)}
var g={h(){},get i(){return 4},j:(function(){})};
export{b};
`;
  assert.equal(parenthesize(text), expected);
});

/** The modules that an entry imports statically, at any depth. */
async function importsOf(entry: string): Promise<Set<string>> {
  const { roots, modules } = JSON.parse(
    await outputOf([DENO, "info", "--json", entry], { cwd: ROOT }),
  );
  const found = new Set<string>(roots);
  for (const specifier of found) {
    const module = modules.find((module: Module) => module.specifier === specifier);
    for (const { code, isDynamic } of module?.dependencies ?? []) {
      if (code && !isDynamic) found.add(code.specifier);
    }
  }
  return found;
}

/** A module in the output of `deno info`. */
interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier: string };
    readonly isDynamic?: boolean;
  }[];
}
