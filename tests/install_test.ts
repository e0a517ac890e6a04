// An empty folder on a machine with npm: the command that installs, the README's program, and a page.
import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser, type TestBrowser } from "./browser.ts";
import { serveJsrRegistry, type TestJsrRegistry } from "./jsr_registry.ts";
import { directory, QUICK, until, WITH_BROWSER } from "./kit.ts";
import { serveNpmRegistry, type TestNpmRegistry } from "./npm_registry.ts";
import { OLDEST_HONO, pack } from "./pack.ts";
import { outputOf, startCommand } from "./processes.ts";
import { freePort } from "./redis_server.ts";
import { HAS_RUNTIMES, pathOf, VERSIONS } from "./runtimes.ts";

const ROOT = new URL("../", import.meta.url).pathname;

const DENO = Deno.execPath();

/** What the README says of a first app: a command that installs, a program, and one that runs it. */
const [USE_IT = ""] = /^## Use it$[^]*?(?=^## )/m.exec(Deno.readTextFileSync(`${ROOT}README.md`)) ??
  [];
const [, CLOCK = ""] = /^```ts.*\n([^]*?)^```$/m.exec(USE_IT) ?? [];
const [INSTALL = [], RUN = []] = [...USE_IT.matchAll(/^deno ([^#\n]*)/gm)].map(([, args]) =>
  args!.trim().split(" ")
);

/** A user's module that imports every entry. */
const USER = `import { Hono } from "hono";
import { html, memory, replace, type Stream, Turbo, type TurboOptions } from "@turbo-deno/turbo";
import { Pusher } from "@turbo-deno/turbo/push";
import { redis } from "@turbo-deno/turbo/redis";
import { connected } from "@turbo-deno/turbo/testing";
import { adaptBun, adaptNode } from "@turbo-deno/turbo/adapter";

const options: TurboOptions = { engine: memory() };
const turbo = new Turbo(options);
const stream: Stream = replace("count", html\`<b id="count">\${1}</b>\`);
turbo.push(stream, { to: "ann" });
new Hono().get("/", (c) => c.html(html\`\${turbo.head()}\`));
// @ts-expect-error: the option is maxConnections
new Turbo({ maxConection: 1 });
export { adaptBun, adaptNode, connected, Pusher, redis };
`;

const TSCONFIG = {
  compilerOptions: {
    ...{ module: "nodenext", lib: ["esnext", "dom", "dom.iterable"], types: [], noEmit: true },
    ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
  },
  files: ["user.ts"],
};

/** How the package is installed, what else must end well there, and how the program is run. */
interface Runtime {
  readonly program: string;
  readonly install: readonly string[];
  readonly checks: readonly (readonly string[])[];
  readonly run: readonly string[];
}

/** The version of TypeScript that Node's user has. */
const TYPESCRIPT = "typescript@7.0.2";

async function runtimes(): Promise<Record<string, Runtime>> {
  const [node, bun] = [await pathOf("node"), await pathOf("bun")];
  // They need an adapter.
  const onNode = changed({
    "import { html": `import { serve, upgradeWebSocket } from "@hono/node-server";
import { WebSocketServer } from "ws";
import { adaptNode } from "@turbo-deno/turbo/adapter";
import { html`,
    "const turbo = new Turbo();": `
const { upgrade, options } = adaptNode({ upgradeWebSocket, WebSocketServer });
const turbo = new Turbo({ upgrade });`,
    "Deno.serve(app.fetch);": "serve({ fetch: app.fetch, port: 8000, ...options });",
  });
  const onBun = changed({
    "import { html": `import { adaptBun } from "@turbo-deno/turbo/adapter";
import { html`,
    "const turbo = new Turbo();": `
const { upgrade, options } = adaptBun();
const turbo = new Turbo({ upgrade });`,
    "Deno.serve(app.fetch);": "Bun.serve({ fetch: app.fetch, port: 8000, ...options });",
  });
  const packages = ["@turbo-deno/turbo", ...Object.values(VERSIONS), TYPESCRIPT];
  return {
    "Deno, from JSR": {
      program: CLOCK,
      install: [DENO, ...INSTALL],
      checks: [[DENO, "check", "clock.ts", "user.ts"]],
      run: [DENO, ...RUN],
    },
    "Deno, from npm": {
      program: CLOCK,
      install: [DENO, "add", "npm:@turbo-deno/turbo", "npm:hono"],
      checks: [],
      run: [DENO, ...RUN],
    },
    Node: {
      program: onNode,
      install: ["npm", "install", "--no-audit", "--no-fund", ...packages],
      checks: [
        ["node_modules/.bin/tsc", "--project", "."],
        [node, "node_modules/.bin/turbo-push", "--help"],
      ],
      run: [node, "clock.ts"],
    },
    Bun: {
      program: onBun,
      install: [bun, "add", "@turbo-deno/turbo", `hono@${OLDEST_HONO}`],
      checks: [],
      run: [bun, "run", "clock.ts"],
    },
  };
}

/** The program with some of its lines changed. */
function changed(changes: Record<string, string>): string {
  return Object.entries(changes).reduce((text, [from, to]) => {
    assert(text.includes(from), `the README's program has no ${from}`);
    return text.replace(from, to);
  }, CLOCK);
}

Deno.test(
  "An empty folder, the command that installs, the README's program, and a page that follows it",
  { ...WITH_BROWSER, ignore: QUICK || !HAS_RUNTIMES },
  async (t) => {
    using folder = directory();
    await using npm = await serveNpmRegistry(await pack(folder.path));
    await using jsr = await serveJsrRegistry(ROOT);
    await using browser = await startBrowser();
    for (const [name, runtime] of Object.entries(await runtimes())) {
      await t.step(name, () => use(runtime, `${folder.path}/${name}`, { npm, jsr }, browser));
    }
  },
);

async function use(
  { program, install, checks, run }: Runtime,
  cwd: string,
  { npm, jsr }: { npm: TestNpmRegistry; jsr: TestJsrRegistry },
  browser: TestBrowser,
): Promise<void> {
  const port = freePort();
  const caches = ["DENO_DIR", "npm_config_cache", "BUN_INSTALL_CACHE_DIR"];
  const env = {
    ...Object.fromEntries(caches.map((name) => [name, `${cwd}/.cache`])),
    ...jsr.env,
    DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}`,
    NO_COLOR: "1",
  };
  const files = {
    ".npmrc": npm.npmrc,
    "clock.ts": program.replace("port: 8000", `port: ${port}`),
    "user.ts": USER,
    "tsconfig.json": JSON.stringify(TSCONFIG),
  };
  await Deno.mkdir(cwd);
  for (const [file, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${cwd}/${file}`, text);
  }
  await outputOf(install, { cwd, env });
  for (const check of checks) await outputOf(check, { cwd, env });

  await using app = startCommand(run, { cwd, env });
  const url = `http://127.0.0.1:${port}/`;
  let code: number | undefined;
  app.ended.then((ended) => code = ended);
  await until(async () => {
    assert.equal(code, undefined, `${run.join(" ")} ended: ${app.errors}`);
    return await fetch(url).then((answer) => answer.text(), () => "") !== "";
  }, "the program serves");
  const { page, errors } = await browser.open("");
  let sockets = 0;
  page.on("websocket", () => sockets++);
  await page.goto(url);
  await page.waitForSelector(OPEN_PAGE);
  const shown = await page.textContent("#clock");
  await page.waitForFunction(
    (shown) => document.querySelector("#clock")?.textContent !== shown,
    shown,
  );
  assert.deepEqual(errors, []);
  assert.equal(sockets, 1);
}
