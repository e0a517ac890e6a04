// Follows the docs in an empty folder on a machine with npm: installs the package, runs the first program and
// opens its page.
import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser, type TestBrowser } from "./browser.ts";
import { serveJsrRegistry, type TestJsrRegistry } from "./jsr_registry.ts";
import { directory, freePort, QUICK, until, WITH_BROWSER } from "./kit.ts";
import { serveNpmRegistry, type TestNpmRegistry } from "./npm_registry.ts";
import { OLDEST_HONO, pack } from "./pack.ts";
import { outputOf, startCommand } from "./processes.ts";
import { HAS_RUNTIMES, pathOf, VERSIONS } from "./runtimes.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/**
 * The first app in a text: the command that installs, the program and its file, and the command that runs it.
 */
interface FirstApp {
  readonly install: readonly string[];
  readonly file: string;
  readonly program: string;
  readonly run: readonly string[];
}

/** The first app of a section, with the programs and versions of this machine. */
async function firstApp(
  text: string,
  section: string,
  hono = VERSIONS["hono"]!,
): Promise<FirstApp> {
  const all = await Deno.readTextFile(ROOT + text);
  const [own = ""] = new RegExp(`^## ${section}$[^]*?(?=^## )`, "m").exec(all) ?? [];
  const [, file] = /^Put this into `(.+)`:$/m.exec(own) ?? [];
  const [, program] = /^```ts.*\n([^]*?)^```$/m.exec(own) ?? [];
  const [install, run] = [...own.matchAll(/^```sh\n([^#\n]*)/gm)].map(([, line]) => line!.trim());
  assert(file && program && install && run, `${text} has a first app below ${section}`);
  const programs: Record<string, string> = {
    deno: Deno.execPath(),
    node: await pathOf("node"),
    bun: await pathOf("bun"),
  };
  const versions: Record<string, string> = { ...VERSIONS, hono, "npm:hono": `npm:${hono}` };
  const command = (line: string) => {
    const [name = "", ...args] = line.split(" ");
    return [programs[name] ?? name, ...args.map((arg) => versions[arg] ?? arg)];
  };
  return { install: command(install), file, program, run: command(run) };
}

/** The version of TypeScript that a user of Node has. */
const TYPESCRIPT = "typescript@7.0.2";

/** A module of a user that imports each entry. */
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

Deno.test(
  "The docs' commands in an empty folder install the package, and a page follows the first program",
  { ...WITH_BROWSER, ignore: QUICK || !HAS_RUNTIMES },
  async (t) => {
    using folder = directory();
    await using npm = await serveNpmRegistry(await pack(folder.path));
    await using jsr = await serveJsrRegistry(ROOT);
    await using browser = await startBrowser();
    const use = (name: string, app: FirstApp, checks: readonly string[][] = []) =>
      t.step(name, async () => {
        await useApp(app, checks, `${folder.path}/${name}`, { npm, jsr }, browser);
      });

    const onDeno = await firstApp("README.md", "Use it");
    const fromNpm = onDeno.install.map((arg) => arg.replace("jsr:", "npm:"));
    await use("Deno, from JSR", onDeno, [[Deno.execPath(), "check", onDeno.file, "user.ts"]]);
    await use("Deno, from npm", { ...onDeno, install: fromNpm });
    const onNode = await firstApp("docs/node-and-bun.md", "Node");
    await use("Node", onNode, [
      ["npm", "install", "--no-audit", "--no-fund", TYPESCRIPT],
      ["node_modules/.bin/tsc", "--project", "."],
      [onNode.run[0]!, "node_modules/.bin/turbo-push", "--help"],
    ]);
    await use("Bun", await firstApp("docs/node-and-bun.md", "Bun", `hono@${OLDEST_HONO}`));
  },
);

async function useApp(
  { install, file, program, run }: FirstApp,
  checks: readonly string[][],
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
    [file]: program.replace("port: 8000", `port: ${port}`),
    "user.ts": USER,
    "tsconfig.json": JSON.stringify(TSCONFIG),
  };
  await Deno.mkdir(cwd);
  for (const [path, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${cwd}/${path}`, text);
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
