/**
 * The pages of the documentation: their links work, their commands are run or checked, and the messages,
 * events and options that they quote are those of the code. Their programs are run by `deno task test`
 * itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { parseSettings } from "../main.ts";

const ROOT = new URL("../", import.meta.url);

/** All pages of this repository, by their paths. */
const pages = new Map(
  ["", "docs/", ".github/", "bench/", "examples/"].flatMap((folder) =>
    [...Deno.readDirSync(new URL(`./${folder}`, ROOT))]
      .filter(({ name }) => name.endsWith(".md"))
      .map(({ name }) => [folder + name, Deno.readTextFileSync(new URL(folder + name, ROOT))])
  ),
);

/** The text of a page without its code. */
function proseOf(text: string): string {
  return text.replace(/^ *```[^]*?^ *```$/gm, "").replace(/`[^`\n]*`/g, (code) =>
    // Code in a heading is kept, because it is a part of the fragment.
    code.slice(1, -1).replace(/[[\]()<>]/g, ""));
}

/** The blocks of code in a language, with the words after the language. */
function* blocksOf(text: string, language: string): Iterable<{ code: string; rest: string }> {
  const fence = new RegExp(`^\`\`\`${language}\\b(.*)\\n([^]*?)^\`\`\`$`, "gm");
  for (const [, rest, code] of text.matchAll(fence)) yield { code: code!, rest: rest!.trim() };
}

/** The fragments of a page that links can name, as GitHub makes them from headings. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  const headings = text.replace(/^ *```[^]*?^ *```$/gm, "").matchAll(/^#+ (.+)$/gm);
  for (const [, heading] of headings) {
    const words = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = words.replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

for (const [path, text] of pages) {
  Deno.test(`each link of ${path} to a file or a heading works`, async () => {
    for (const [, to] of proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(to!)) continue;
      const [file = "", anchor] = to!.split("#");
      const target = file === "" ? path : new URL(file, `file:///${path}`).pathname.slice(1);
      await assert.doesNotReject(Deno.stat(new URL(`./${target}`, ROOT)), `${to} is not there`);
      if (anchor === undefined) continue;
      const page = pages.get(target);
      assert(page !== undefined && anchorsOf(page).has(anchor), `${to}: no heading is so called`);
    }
  });
}

Deno.test("docs/README.md has a link to each page of docs/", () => {
  const index = pages.get("docs/README.md")!;
  for (const path of pages.keys()) {
    const [, name] = /^docs\/(.+)$/.exec(path) ?? [];
    if (name && name !== "README.md") assert(index.includes(`](${name})`), `${name} is missing`);
  }
});

// ---- Commands

/** Pages whose commands are run in order by a test of their own. */
const RUN_ELSEWHERE: Record<string, string> = {
  "docs/many-machines.md": "tests/docs_test.ts",
  "docs/node-and-bun.md": "tests/adapter_test.ts",
  "docs/tutorial.md": "tests/tutorial_test.ts",
  "docs/watching.md": "tests/watching_test.ts",
};

/** Checks of commands that are not run, because they need hours, a certain port or the internet. */
const CHECKS: readonly [command: RegExp, check: (...groups: string[]) => void][] = [
  // A task runs these tests, or is run by the tests of the app, or by hand for hours.
  [/^(?:deno|npx -y deno@([\d.]+)) task (\S+)$/, (version, task) => {
    assert(version === undefined || version === Deno.version.deno, `Deno ${version}`);
    assert(task! in config.tasks, `there is no task ${task}`);
  }],
  [/^deno task (?:start|dev) (.+)$/, (options) => {
    const settings = parseSettings(options!.split(" "), () => undefined);
    assert.equal(typeof settings, "object", options);
  }],
  [/^deno task bench (\w+)$/, (name) => {
    const measures = Deno.readTextFileSync(new URL("bench/run.ts", ROOT)) +
      Deno.readTextFileSync(new URL("bench/measures.ts", ROOT));
    assert(measures.includes(name!), `there is no measure ${name}`);
  }],
  // docs_test.ts runs these with an app.
  [/^curl -s .*\bhttp:\/\/localhost:8000\/(?:load\.json)? \| jq .+$/, () => {
    assert(Deno.readTextFileSync(new URL("tests/docs_test.ts", ROOT)).includes("docs/running.md"));
  }],
  [/^journalctl --unit (\S+) --since today --grep "(.+)"$/, (unit, pattern) => {
    assert(Deno.statSync(new URL(`deploy/${unit}.service`, ROOT)).isFile);
    const lines = pages.get("docs/running.md")!.match(/^Load (?:above|back) .*$/gm)!;
    assert.equal(lines.length, 2);
    for (const line of lines) assert.match(line, RegExp(pattern!));
  }],
  // docs_test.ts gives the log of an app to these jq commands.
  [
    /^(?:journalctl --unit (\S+) --output cat|docker logs \S+ 2>&1) \| jq .*\bfromjson\?/,
    (unit) => {
      if (unit !== undefined) assert(Deno.statSync(new URL(`deploy/${unit}.service`, ROOT)).isFile);
      assert(Deno.readTextFileSync(new URL("tests/docs_test.ts", ROOT)).includes('"fromjson?"'));
    },
  ],
  // deploy_test.ts does what this file says, without an engine.
  [/^docker build -f (\S+) -t turbo-deno \.$/, (file) => {
    const test = Deno.readTextFileSync(new URL("tests/deploy_test.ts", ROOT));
    assert(test.includes(file!), file);
  }],
  [/^docker run .+ turbo-deno$/, () => {}], // compared there with the head of that file
  // compile_test.ts makes one, as far as that goes without the internet.
  [/^OTEL_DENO=true deno task (compile)$/, (task) => assert(task! in config.tasks)],
  // rolling_test.ts runs it with a stub of systemctl.
  [/^(deploy\/rolling\.sh) \d+ \d+$/, (file) => {
    const test = Deno.readTextFileSync(new URL("tests/rolling_test.ts", ROOT));
    assert(test.includes(file!), file);
  }],
  // The file is run with all tests.
  [/^deno task test (\S+)$/, (file) => assert(Deno.statSync(new URL(file!, ROOT)).isFile)],
  [/^deno test -A (?:--doc )?--lock=tests\/deno\.lock (\S+)$/, (file) => {
    assert(Deno.statSync(new URL(file!, ROOT)).isFile);
  }],
  // The package is not published from here; package_test.ts installs it from a folder and runs it.
  [/^deno add jsr:(\S+) npm:(\S+)$/, (own, other) => {
    assert.equal(own, config.name);
    assert(other! in config.imports);
  }],
  [/^deno run --allow-net clock\.ts$/, () => {
    assert(pages.get("README.md")!.includes("Put this into `clock.ts`"));
  }],
];

for (const [path, text] of pages) {
  const elsewhere = RUN_ELSEWHERE[path];
  const lines = [...blocksOf(text, "sh")].flatMap(({ code }) => code.trim().split("\n"));
  if (lines.length === 0) continue;
  Deno.test(`each command of ${path} is run or checked`, () => {
    if (elsewhere) {
      assert(Deno.readTextFileSync(new URL(elsewhere, ROOT)).includes(path), elsewhere);
      return;
    }
    for (const line of lines.map((line) => line.replace(/ +#.*$/, ""))) {
      const fit = CHECKS.find(([command]) => command.test(line));
      assert(fit, `${line}: nothing runs it, and nothing says what is checked instead`);
      fit[1](...fit[0].exec(line)!.slice(1));
    }
  });
}

Deno.test("each task and each entry of the package that a page names exists", () => {
  const entries = Object.keys(config.exports).map((entry) => config.name + entry.slice(1));
  for (const [path, text] of pages) {
    for (const [, task] of text.matchAll(/\btask ([a-z]+(?::[a-z]+)?)`/g)) {
      assert(task! in config.tasks, `${path}: there is no task ${task}`);
    }
    for (const [entry] of text.matchAll(/(?<!jsr:)@turbo-deno\/turbo(?:\/[a-z]+)?\b/g)) {
      assert(entries.includes(entry), `${path}: there is no ${entry}`);
    }
  }
});

// ---- Code

/** Pages whose programs run only in another folder, where a test of their own runs them. */
const IGNORED_ON = ["README.md", "docs/node-and-bun.md", "docs/tutorial.md"];

Deno.test("each program of a page is run by `deno test --doc`, or by a test of the page", () => {
  for (const [path, text] of pages) {
    for (const { code, rest } of [...blocksOf(text, "tsx?"), ...blocksOf(text, "jsx?")]) {
      assert(rest === "" || IGNORED_ON.includes(path), `${path}: ${rest}\n${code}`);
    }
    for (const { code } of blocksOf(text, "json")) {
      assert.doesNotThrow(() => JSON.parse(code), path);
    }
  }
});

Deno.test("docs/page.md names the states and events of a page, and no others", () => {
  const page = pages.get("docs/page.md")!;
  const client = ["client.js", "client_core.js"].map(sourceOf).join("");
  const namedEvents = new Set([...page.matchAll(/turbo-stream:[a-z]+/g)].map(String));
  const events = new Set(client.matchAll(/turbo-stream:[a-z]+/g).map(String));
  assert.deepEqual([...namedEvents].sort(), [...events].sort());
  const states = ["open", "connecting", "closed", "away"];
  const rows = [...page.matchAll(/^\| `([a-z]+)` +\|/gm)].map(([, state]) => state);
  assert.deepEqual(rows, states);
  const [css] = blocksOf(page, "css");
  for (const state of states) {
    assert(css!.code.includes(`[data-turbo-stream="${state}"]`), state);
    assert(client.includes(`"${state}"`), state);
  }
});

// ---- Messages

/** The code of a file without comments, with concatenated texts joined. */
function sourceOf(name: string): string {
  return Deno.readTextFileSync(new URL(`turbo/${name}`, ROOT))
    .replace(/\/\*[^]*?\*\//g, "")
    .replace(/^ *\/\/.*$/gm, "")
    .replace(/["'`]\s*\+\s*["'`]/g, "");
}

/** The code spans in the first column of the tables under a heading of a page, or in another column. */
function* quotedIn(page: string, heading: string, column = 1): Iterable<string> {
  const section = page.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
  const rows = section.match(/^\|.*$/gm)!.slice(2);
  assert(rows.length > 4, `${rows.length} rows under ${heading}`);
  for (const row of rows) {
    const cell = row.split(" | ")[column - 1]!;
    for (const [, code] of cell.matchAll(/`([^`]+)`/g)) yield code!;
  }
}

/** The fixed parts of a message, without values, numbers and URLs. */
function partsOf(message: string): string[] {
  const values =
    /"[^"]*"|: |\. |\bpush (?=a promise)|(?<=^nothing) |\ban? (?:replace|update|<template>)|\bundefined\b|\b\d+\b|https?:\S+|\/turbo-stream|localhost:\d+|[…/]| title=\$/;
  return message.split(values).map((part) => part.trim()).filter((part) => part.length > 3);
}

const trouble = pages.get("docs/troubleshooting.md")!;
const hints = sourceOf("client_hints.js");
const server = [...Deno.readDirSync(new URL("turbo", ROOT))]
  .filter(({ name }) => /(?<!_test|min)\.ts$/.test(name)).map(({ name }) => sourceOf(name)).join(
    "\n",
  );
const SECTIONS: [heading: string, source: string, column?: number][] = [
  ["What the console says", hints],
  ["What the server says", server],
  ["The connection is refused", server, 2],
];

for (const [heading, source, column] of SECTIONS) {
  Deno.test(`docs/troubleshooting.md quotes messages of the code: ${heading}`, () => {
    for (const message of quotedIn(trouble, heading, column)) {
      const parts = partsOf(message);
      assert(parts.length > 0, message);
      for (const part of parts) assert(source.includes(part), `${message}: nothing says “${part}”`);
    }
  });
}

Deno.test("docs/troubleshooting.md has each message of the hints", () => {
  const said = [...quotedIn(trouble, "What the console says")].join("\n");
  const texts = [...hints.matchAll(/["'`]([^"'`\n]*)["'`]/g)].map(([, text]) => text!)
    .flatMap((text) => text.split(/\$\{[^}]*\}?|: |\. | html\\$/))
    .map((text) => text.trim())
    .filter((text) => text.split(" ").length > 4);
  assert(texts.length > 20, `${texts.length} texts`);
  const own = "a hint failed; everything else still works"; // not a mistake of the app
  for (const text of texts) if (text !== own) assert(said.includes(text), `“${text}” is missing`);
});

Deno.test("docs/troubleshooting.md has the messages of a page that does not reconnect", () => {
  const prose = trouble.replace(/\s+/g, " ");
  const texts = [...sourceOf("client.js").matchAll(/"turbo-deno: ([^"]+)"/g)];
  assert.equal(texts.length, 2);
  for (const [, text] of texts) assert(prose.includes(text!), text);
});
