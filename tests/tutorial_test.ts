/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * `docs/tutorial.md` is followed from an empty folder to its end: every block of it is a file, a change
 * to one, a command or what is seen, and one that is none of these fails.
 *
 * Three things differ from what a reader does: the package is this checkout, because what `deno add`
 * would fetch need not be published; the port is a free one; and the timer is quicker.
 *
 * @module
 */
import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import * as turbo from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { connect, directory, parseFrame, PROTOCOL, type TestClient, until } from "./kit.ts";
import { freePort, WITH_BROWSER, WITH_PROCESS, within } from "./kit.ts";
import { startProcess, type TestProcess } from "./processes.ts";

const TUTORIAL = new URL("../docs/tutorial.md", import.meta.url);
const PACKAGE = new URL("../turbo/mod.ts", import.meta.url).href;
/** What its timer waits, and what that is here, in milliseconds. */
const [INTERVAL, QUICK_INTERVAL] = ["5_000", "100"];
/** The port of its commands. */
const PORT = /\b8000\b/g;

/** One of the numbered sections. */
interface Step {
  /** All files of the folder after it. */
  readonly files: ReadonlyMap<string, string>;
  /** Its commands. */
  readonly commands: readonly string[];
  /** What some of them print. */
  readonly outputs: readonly string[];
}

/** Reads the steps; what stands before the first and after the last has no code. */
function parseSteps(text: string): Step[] {
  const [introduction = "", ...sections] = text.split(/^## (?=\d+\. |Where to go)/m);
  const outlook = sections.pop() ?? "";
  assert(!`${introduction}${outlook}`.includes("```"), "a block stands outside the steps");
  const files = new Map<string, string>();
  return sections.map((section, index) => {
    assert(section.startsWith(`${index + 1}. `), section.slice(0, 50));
    return parseStep(section, files);
  });
}

function parseStep(section: string, files: Map<string, string>): Step {
  const commands: string[] = [];
  const outputs: string[] = [];
  let edit: { path: string; from: string } | undefined;
  for (const { index, 1: kind, 2: code } of section.matchAll(/^```(.*)\n([^]*?)^```$/gm)) {
    const before = section.slice(0, index).trimEnd().split("\n").at(-1)!;
    const [, file] = /^`(.+)`:$/.exec(before) ?? [];
    const [, edited] = /^(?:In|and in) `(.+)`, replace$/.exec(before) ?? [];
    if (edit) assert.equal(`${before} ${kind}`, "by ts ignore", `after the text of ${edit.path}`);
    if (kind === "sh") commands.push(...code!.trim().split("\n"));
    else if (kind === "text") outputs.push(code!.trim());
    else if (edit) {
      files.set(edit.path, replaceIn(files.get(edit.path) ?? "", edit, code!));
      edit = undefined;
    } else if (kind === "ts ignore" && file) files.set(file, code!);
    else if (kind === "ts ignore" && edited) edit = { path: edited, from: code! };
    else assert.fail(`nobody knows what to do with this after ${JSON.stringify(before)}:\n${code}`);
  }
  assert.equal(edit, undefined, "a replaced text has what takes its place");
  return { files: new Map(files), commands, outputs };
}

/** Replaces lines by others, however far they are indented where they stand. */
function replaceIn(
  text: string,
  { path, from }: { path: string; from: string },
  by: string,
): string {
  const lines = from.trimEnd().split("\n").map((line) => line && `\\1${escape(line)}`);
  const pattern = new RegExp(`^( *)${lines.join("\n").slice("\\1".length)}$`, "gm");
  const found = [...text.matchAll(pattern)];
  assert.equal(found.length, 1, `${path} has this once:\n${from}\nin\n${text}`);
  const [, indentation] = found[0]!;
  const indented = by.trimEnd().split("\n").map((line) => line && indentation + line).join("\n");
  return text.replace(pattern, () => indented);
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

const steps = parseSteps(Deno.readTextFileSync(TUTORIAL));

/** A step by its number. */
function step(number: number): Step {
  return steps[number - 1]!;
}

/** The command that runs the app after a step. */
function commandAt(number: number): string {
  return steps.slice(0, number).flatMap(({ commands }) => commands)
    .findLast((command) => command.startsWith("deno run "))!;
}

/** Writes the files of a step, and what `deno add` writes. */
function write(folder: string, { files }: Step): void {
  const { hono, "@hotwired/turbo": turbo } = config.imports;
  const imports = { [config.name]: PACKAGE, hono, "@hotwired/turbo": turbo };
  Deno.writeTextFileSync(`${folder}/deno.json`, JSON.stringify({ imports }, undefined, 2) + "\n");
  for (const [name, text] of files) Deno.writeTextFileSync(`${folder}/${name}`, text);
}

/** The app of a step. */
interface App extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly process: TestProcess;
  /** Kills it, and starts it again on the same port. */
  killAndStart(): Promise<void>;
}

/** Starts the app of a step by a command of the tutorial, on a free port. */
async function startApp(number: number, command = commandAt(number)): Promise<App> {
  const { files } = step(number);
  const [, words = ""] = /^deno run (.+) main\.ts$/.exec(command) ?? assert.fail(command);
  const port = freePort();
  const flags = ["--no-prompt", ...words.replace(PORT, String(port)).split(" ")];
  const [, hostname] = /--allow-net=([\d.]+):/.exec(words)!;
  const folder = directory();
  write(folder.path, step(number));
  const main = files.get("main.ts")!;
  if (number >= 4) {
    assert.equal(main.split(INTERVAL).length, 2, `main.ts has ${INTERVAL} once`);
    Deno.writeTextFileSync(`${folder.path}/main.ts`, main.replace(INTERVAL, QUICK_INTERVAL));
  }
  const start = async () => {
    const env = { DENO_SERVE_ADDRESS: `tcp:${hostname}:${port}` };
    const process = startProcess(`${folder.path}/main.ts`, [], { flags, env, cwd: folder.path });
    let hasEnded = false;
    void process.ended.then(() => hasEnded = true);
    try {
      await until(() => hasEnded || process.errors.includes("Listening on"), "the app listens");
      assert(!hasEnded, process.errors);
    } catch (error) {
      await process[Symbol.asyncDispose]();
      throw error;
    }
    return process;
  };
  let process = await start();
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    get process() {
      return process;
    },
    async killAndStart() {
      await process[Symbol.asyncDispose]();
      process = await start();
    },
    async [Symbol.asyncDispose]() {
      await process[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

async function text(url: string, init?: RequestInit): Promise<string> {
  const response = await fetch(url, init);
  assert.equal(response.status, 200, `${url}: ${await response.clone().text()}`);
  return await response.text();
}

/** The first push from now on that has something. */
async function push(client: TestClient, part: string | RegExp): Promise<string> {
  for (;;) {
    const html = parseFrame(await client.next()).map(({ html }) => html).join("");
    if (typeof part === "string" ? html.includes(part) : part.test(html)) return html;
  }
}

/** Posts a form as a browser does, with Turbo or without. */
function post({ url }: App, text: string, headers: Record<string, string> = {}): Promise<Response> {
  const body = new URLSearchParams({ text });
  return fetch(`${url}/notes`, { method: "POST", body, headers, redirect: "manual" });
}

const TURBO_FORM = { Accept: "text/vnd.turbo-stream.html, text/html, application/xhtml+xml" };

/** Runs a line in a shell until it has printed what it should, or has ended. */
async function runUntil(line: string, expected: RegExp): Promise<void> {
  const args = ["-c", `exec ${line}`];
  const child = new Deno.Command("sh", { args, stdout: "piped", stderr: "null" }).spawn();
  let printed = "";
  const reading = (async () => {
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      printed += chunk;
      if (expected.test(printed)) return;
    }
  })();
  try {
    // Where that takes too long, what was printed says more than the deadline.
    await within(reading, `${line} to print what is expected`).catch(() => {});
    assert.match(printed, expected);
  } finally {
    await end(child);
  }
}

/** Ends a process, where it has not ended. */
async function end(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it has ended already
  }
  await within(child.status, "the command to end");
}

/** What an output of the tutorial says, whatever the cursors and times are; `…` is anything. */
function patternOf(output: string): RegExp {
  const source = escape(output)
    .replace(/\b[0-9a-f]{12}(\\\.\d+)+/g, "[0-9a-f]{12}(\\.\\d+)+")
    .replace(/retry: \d+/, "retry: \\d+")
    .replaceAll("…", "[^]*?");
  return new RegExp(`^${source}`);
}

Deno.test("docs/tutorial.md: the steps are those that are tested here", () => {
  assert.equal(steps.length, 11);
  const commands = steps.map(({ commands }) =>
    commands.map((line) => line.split(" ", 2).join(" "))
  );
  assert.deepEqual(commands, [
    ["mkdir load", "cd load", "deno add", "deno run"],
    ["deno run"],
    ...[[], [], ["deno check"], [], [], []],
    ["curl -H"],
    ["curl -N"],
    ["deno compile", "./load"],
  ]);
  assert.deepEqual(steps.map(({ outputs }) => outputs.length), [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0]);
  const [, , add] = step(1).commands;
  assert.equal(add, `deno add jsr:${config.name} npm:hono`);
});

Deno.test(
  "docs/tutorial.md: each step is formatted and of the right types",
  WITH_PROCESS,
  async () => {
    using folder = directory();
    write(folder.path, step(1));
    const mains = steps.map(({ files }, index) => {
      Deno.mkdirSync(`${folder.path}/step${index + 1}`);
      for (const [name, text] of files) {
        Deno.writeTextFileSync(`${folder.path}/step${index + 1}/${name}`, text);
      }
      return `step${index + 1}/main.ts`;
    });
    for (const args of [["fmt", "--check"], ["check", "--no-lock", ...mains]]) {
      const options = { args, cwd: folder.path, env: { NO_COLOR: "1" } };
      const { code, stderr } = await within(
        new Deno.Command(Deno.execPath(), options).output(),
        args[0]!,
      );
      assert.equal(code, 0, new TextDecoder().decode(stderr));
    }
  },
);

Deno.test(
  "docs/tutorial.md, steps 1 and 2: two pages, and numbers by a permission",
  WITH_PROCESS,
  async () => {
    {
      await using app = await startApp(1);
      assert.match(await text(app.url), /<h1>Main page<\/h1>[^]*This is the main page/);
      assert.match(await text(`${app.url}/page2`), /<h1>Page 2<\/h1>[^]*This is the second page/);
    }
    {
      await using app = await startApp(2);
      for (const path of ["/", "/page2"]) {
        const numbers = (await text(app.url + path)).match(/<td>\d+\.\d\d<\/td>/g);
        assert.equal(numbers?.length, 3, path);
      }
    }
    await using app = await startApp(2, commandAt(1));
    const refused = await fetch(app.url);
    assert.equal(refused.status, 500);
    await refused.body?.cancel();
  },
);

Deno.test(
  "docs/tutorial.md, steps 3 to 5: the page connects, and the box is pushed until the end",
  WITH_PROCESS,
  async () => {
    {
      await using app = await startApp(3);
      const page = await text(`${app.url}/page2`);
      assert.match(page, /<title>Page 2<\/title>[^]*name="turbo-cursor"[^]*<\/head>/);
      for (const [, path] of page.matchAll(/src="(.+?)"/g)) await text(app.url + path);
      await using _client = await connect(app.url, { protocol: PROTOCOL });
    }
    {
      await using app = await startApp(4);
      await using client = await connect(app.url, { protocol: PROTOCOL });
      await push(
        client,
        /^<turbo-stream action="replace" target="load"><template><table id="load"/,
      );
      app.process.child.kill("SIGTERM");
      const { code, reason } = await within(client.closed, "the close");
      assert.deepEqual([code, reason], [1001, "The server is going away"]);
      assert.equal(await within(app.process.ended, "the end"), 0, app.process.errors);
    }
    await using app = await startApp(5);
    await using client = await connect(app.url, { protocol: PROTOCOL });
    const time = /<caption>Load averages at \d\d:\d\d:\d\d<\/caption>/;
    assert.match(await text(app.url), time);
    await push(client, time);
    app.process.child.kill("SIGINT");
    assert.equal(await within(app.process.ended, "the end"), 0, app.process.errors);
  },
);

Deno.test(
  "docs/tutorial.md, step 6: a page of before the restart fetches itself",
  WITH_PROCESS,
  async () => {
    await using app = await startApp(6);
    const [, cursor] = /name="turbo-cursor" content="(.+?)"/.exec(await text(app.url))!;
    await app.killAndStart();
    const path = `/turbo-stream?since=${cursor}`;
    await using client = await connect(app.url, { path, protocol: PROTOCOL });
    await push(client, 'action="refresh"');
  },
);

Deno.test("docs/tutorial.md, step 7: the table's streams are what it says", async () => {
  const table = (await Deno.readTextFile(TUTORIAL)).matchAll(/^\| `(.+?)` +\|/gm);
  const item = turbo.html`<li id="entry-3">3</li>`;
  const names = Object.keys(turbo).filter((name) => /^[a-z]+$/.test(name));
  const builders = names.map((name) => turbo[name as keyof typeof turbo]);
  const actions = new Set<string>();
  for (const [, code] of table) {
    const build = new Function(...names, "item", "list", `return ${code}`);
    const stream = String(build(...builders, item, turbo.html`<ol id="list">${item}</ol>`));
    const [, action = ""] = /^(\w+)\(/.exec(code!)!;
    assert(stream.startsWith(`<turbo-stream action="${action}"`), `${code}: ${stream}`);
    assert.equal(stream.includes('method="morph"'), code!.includes("morph"), stream);
    actions.add(action);
  }
  const all = ["after", "append", "before", "prepend", "refresh", "remove", "replace", "update"];
  assert.deepEqual([...actions].sort(), all);
});

Deno.test("docs/tutorial.md, step 7: a list of the last five readings", WITH_PROCESS, async () => {
  await using app = await startApp(7);
  await using client = await connect(app.url, { protocol: PROTOCOL });
  const streams = await push(client, 'action="remove"');
  const [, newest] =
    /^<turbo-stream action="replace" target="load">.+?<turbo-stream action="prepend" target="readings"><template><li id="reading-(\d+)">/s
      .exec(streams)!;
  const [, removed] = /<turbo-stream action="remove" target="reading-(\d+)">/.exec(streams)!;
  assert.equal(Number(removed), Number(newest) - 5);
  const ids = [...(await text(app.url)).matchAll(/<li id="reading-(\d+)">/g)].map(([, id]) =>
    Number(id)
  );
  assert.deepEqual(ids, [0, 1, 2, 3, 4].map((age) => ids[0]! - age));
  assert(!(await text(`${app.url}/page2`)).includes("reading-"));
});

Deno.test(
  "docs/tutorial.md, step 8: each reader has a count of their own",
  WITH_PROCESS,
  async () => {
    await using app = await startApp(8);
    const visit = async (cookie = "") => {
      const response = await fetch(app.url, { headers: { Cookie: cookie } });
      assert.equal(response.headers.get("Cache-Control"), "private, no-store");
      return {
        page: await response.text(),
        cookie: response.headers.get("Set-Cookie")?.split(";")[0],
      };
    };
    const open = (cookie = "") =>
      connect(app.url, { protocol: PROTOCOL, headers: { Cookie: cookie } });
    const [ann, bob] = [await visit(), await visit("reader=short")];
    assert.match(ann.cookie!, /^reader=[0-9a-f-]{36}$/);
    assert.notEqual(ann.cookie, bob.cookie);
    assert.match(ann.page, /<p id="tabs">Tabs that you have open: 0<\/p>/);
    await using first = await open(ann.cookie);
    await push(first, "Tabs that you have open: 1<");
    await using other = await open(bob.cookie);
    await push(other, "Tabs that you have open: 1<");
    await using second = await open(ann.cookie);
    await push(first, "Tabs that you have open: 2<");
    await push(second, "Tabs that you have open: 2<");
    const again = await visit(ann.cookie);
    assert.match(again.page, /Tabs that you have open: 2</);
    assert.equal(again.cookie, undefined);
    await push(other, 'target="load"'); // what was pushed before has come by then
    assert(!other.messages.join("").includes("open: 2<"), other.messages.join("\n"));
  },
);

Deno.test(
  "docs/tutorial.md, steps 9 and 10: forms, with and without JavaScript, and what curl sees",
  WITH_PROCESS,
  async () => {
    await using app = await startApp(9);
    await using client = await connect(app.url, { protocol: PROTOCOL });
    const [form] = step(9).commands;
    await runUntil(form!.replace(PORT, String(app.port)), patternOf(step(9).outputs[0]!));
    await push(
      client,
      '<turbo-stream action="append" target="notes"><template><li id="note-1">backup started</li>',
    );

    const wrong = await post(app, " ", TURBO_FORM);
    assert.equal(wrong.status, 422);
    assert.match(
      await wrong.text(),
      /^<turbo-stream action="replace" target="note-form">[^]*first</,
    );
    const plainWrong = await post(app, " ");
    assert.equal(plainWrong.status, 422);
    assert.match(await plainWrong.text(), /<h1>Main page[^]*<p role="alert">Write something first/);
    const plain = await post(app, "<b>bold</b>");
    assert.deepEqual([plain.status, plain.headers.get("Location")], [303, "/"]);
    await plain.body?.cancel();
    assert.match(await text(app.url), /<li id="note-2">&lt;b&gt;bold&lt;\/b&gt;<\/li>/);
    for (let i = 3; i <= 11; i++) await (await post(app, `note ${i}`, TURBO_FORM)).text();
    await push(client, '<turbo-stream action="remove" target="note-1">');

    const [events] = step(10).commands;
    await runUntil(events!.replace(PORT, String(app.port)), patternOf(step(10).outputs[0]!));
  },
);

/** The app as it runs when it is compiled, with the permissions that it has then. */
function startCompiled(): Promise<App> {
  const [compile] = step(11).commands;
  const [, flags] = /^deno compile --output load (.+) main\.ts$/.exec(compile!) ??
    assert.fail(compile);
  return startApp(11, `deno run ${flags} main.ts`);
}

Deno.test(
  "docs/tutorial.md, step 11: headers, and no form of another site",
  WITH_PROCESS,
  async () => {
    await using app = await startCompiled();
    const page = await fetch(app.url);
    assert.match(page.headers.get("Content-Security-Policy")!, /script-src 'self'/);
    assert.match(await page.text(), /<meta name="csp-nonce"/);
    const statuses = [];
    for (const Origin of [app.url, "https://evil.example", "http://localhost:1"]) {
      const response = await post(app, "note", { Origin });
      statuses.push(response.status);
      await response.body?.cancel();
    }
    assert.deepEqual(statuses, [303, 403, 403]);
  },
);

Deno.test(
  "docs/tutorial.md: in a browser the box moves, also after the server was killed",
  WITH_BROWSER,
  async () => {
    await using app = await startCompiled();
    await using browser = await startBrowser();
    const { page, errors } = await browser.open(app.url);
    await page.waitForSelector(OPEN_PAGE);
    const newest = () => page.getAttribute("#readings > li", "id");
    const moves = async () => {
      const seen = await newest();
      await until(async () => await newest() !== seen, "the list of readings moves");
    };
    await moves();
    await page.click("text=Page 2");
    await page.waitForSelector("h1 >> text=Page 2");
    assert.equal(await page.textContent("#tabs"), "Tabs that you have open: 1");
    await page.click("text=Main page");
    await page.waitForSelector("html:not([data-turbo-preview]) #text"); // not Turbo's preview
    await page.fill("#text", "backup started");
    await page.click("button");
    await page.waitForSelector("#notes >> text=backup started");
    await page.waitForFunction(() => document.querySelector("input")!.value === "");
    assert.deepEqual(errors, []);

    await page.fill("#text", "half a no");
    await app.killAndStart();
    await page.waitForSelector("#notes:not(:has(li))", { state: "attached" }); // it has fetched itself
    await page.waitForSelector(OPEN_PAGE);
    await moves();
    assert.equal(await page.inputValue("#text"), "half a no");

    const plain = await browser.open(app.url, { javaScriptEnabled: false });
    await plain.page.click("button");
    await plain.page.waitForSelector("text=Write something first");
    await plain.page.fill("#text", "by hand");
    await plain.page.click("button");
    await plain.page.waitForSelector("#notes >> text=by hand");
    await page.waitForSelector("#notes >> text=by hand");
  },
);
