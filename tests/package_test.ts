// What is published, and that it can be installed: in an empty folder, by each runtime's own command.
import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser, type TestBrowser } from "./browser.ts";
import { directory, until, WITH_BROWSER, WITH_PROCESS } from "./kit.ts";
import { serveRegistry } from "./npm_registry.ts";
import { pack } from "./pack.ts";
import { outputOf, startCommand } from "./processes.ts";
import { freePort } from "./redis_server.ts";
import { programOf } from "./runtimes.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** The program of the README. */
const CLOCK = `import { Hono } from "hono";
import { html, replace, Turbo } from "@turbo-deno/turbo";

const turbo = new Turbo();
const clock = () => html\`<time id="clock">\${new Date().toLocaleTimeString()}</time>\`;

const app = new Hono();
app.get("/turbo-stream", (c) => turbo.connect(c.req.raw));
app.get("/assets/*", (c) => turbo.asset(c.req.raw) ?? c.notFound());
app.get("/", (c) =>
  c.html(html\`
    <!DOCTYPE html>
    <html>
      <head><title>Clock</title>\${turbo.head()}</head>
      <body>It is \${clock()}.</body>
    </html>
  \`));

setInterval(() => turbo.push(replace("clock", clock())), 1000);
Deno.serve(app.fetch);
`;

/** A user's module that imports every entry. */
const USER = `import { Hono } from "hono";
import { html, memory, replace, type Stream, Turbo, type TurboOptions } from "@turbo-deno/turbo";
import { Pusher } from "@turbo-deno/turbo/push";
import { redis } from "@turbo-deno/turbo/redis";
import { connected } from "@turbo-deno/turbo/testing";

const options: TurboOptions = { engine: memory() };
const turbo = new Turbo(options);
const stream: Stream = replace("count", html\`<b id="count">\${1}</b>\`);
turbo.push(stream, { to: "ann" });
new Hono().get("/", (c) => c.html(html\`\${turbo.head()}\`));
// @ts-expect-error: the option is maxConnections
new Turbo({ maxConection: 1 });
export { connected, Pusher, redis };
`;

const TSCONFIG = {
  compilerOptions: {
    ...{ module: "nodenext", lib: ["esnext", "dom", "dom.iterable"], types: [], noEmit: true },
    ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
  },
  files: ["user.ts"],
};

/** How a runtime installs the package, checks the types of what uses it, and runs a program. */
interface Runtime {
  readonly program: string;
  readonly install: readonly string[];
  readonly check: readonly string[];
  readonly run: readonly string[];
}

const DENO = Deno.execPath();

async function runtimes(): Promise<Record<string, Runtime>> {
  const [node, bun, tsc] = await Promise.all(
    (["node", "bun", "tsc"] as const).map(programOf),
  ) as [string, string, string];
  return {
    Deno: {
      program: CLOCK,
      install: [DENO, "add", "npm:@turbo-deno/turbo", "npm:hono"],
      check: [DENO, "check", "clock.ts", "user.ts"],
      run: [DENO, "run", "--no-prompt", "--allow-net", "clock.ts"],
    },
  };
}

Deno.test(
  "An empty folder, the command that installs, the README's program, and a page that follows it",
  WITH_BROWSER,
  async (t) => {
    using folder = directory();
    await using registry = await serveRegistry(await pack(folder.path));
    await using browser = await startBrowser();
    for (const [name, runtime] of Object.entries(await runtimes())) {
      await t.step(name, () => use(runtime, `${folder.path}/${name}`, registry.npmrc, browser));
    }
  },
);

async function use(
  { program, install, check, run }: Runtime,
  cwd: string,
  npmrc: string,
  browser: TestBrowser,
): Promise<void> {
  const port = freePort();
  const caches = ["DENO_DIR", "npm_config_cache", "BUN_INSTALL_CACHE_DIR"];
  const env = {
    ...Object.fromEntries(caches.map((name) => [name, `${cwd}/.cache`])),
    DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}`,
    NO_COLOR: "1",
  };
  const files = {
    ".npmrc": npmrc,
    "clock.ts": program.replace("port: 8000", `port: ${port}`),
    "user.ts": USER,
    "tsconfig.json": JSON.stringify(TSCONFIG),
  };
  await Deno.mkdir(cwd);
  for (const [file, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${cwd}/${file}`, text);
  }
  await outputOf(install, { cwd, env });
  await outputOf(check, { cwd, env });

  await using app = startCommand(run, { cwd, env });
  const url = `http://127.0.0.1:${port}/`;
  await until(async () => {
    const isThere = await fetch(url).then((answer) => answer.body?.cancel(), () => false);
    const [code] = await Promise.race([app.ended.then((code) => [code]), [undefined]]);
    assert.equal(code, undefined, app.errors);
    return isThere !== false;
  }, "the program serves");
  const { page, errors } = await browser.open(url);
  await page.waitForSelector(OPEN_PAGE);
  const shown = await page.textContent("#clock");
  await page.waitForFunction(
    (shown) => document.querySelector("#clock")?.textContent !== shown,
    shown,
  );
  assert.deepEqual(errors, []);
}
