import assert from "node:assert/strict";
import { createApp } from "../main.ts";
import {
  action,
  append,
  before,
  html,
  type Markup,
  raw,
  refresh,
  remove,
  replace,
  type Stream,
  Turbo,
  update,
} from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type Page, startBrowser, type TestBrowser } from "./browser.ts";
import { serve, sideBySide, until, WITH_BROWSER } from "./kit.ts";

/** Whether something that a page has loaded is the hints. */
const IS_HINTS = `({ name }) => name.includes("/turbo-stream-hints-")`;
const LOOPBACK = "127.0.0.1";

/** What is served: by path, a page or another answer. `stream` and `assets` are there by default. */
interface Site {
  /** The answers, by path; markup is put into a page with `head()`. */
  readonly paths?: Record<
    string,
    (turbo: Turbo, request: Request) => Markup | Response | Promise<Response>
  >;
  /** The headers of each page. */
  readonly headers?: Record<string, string>;
}

function pageOf(head: Markup | "", body: Markup): Markup {
  return html`
    <!DOCTYPE html>
    <html>
      <head><title>Page</title><link rel="icon" href="data:,">${head}</head>
      <body>${body}<ol id="end"></ol></body>
    </html>
  `;
}

function answer(page: Markup, status = 200): Response {
  return new Response(String(page), { status, headers: { "Content-Type": "text/html" } });
}

/** Serves a site, and shows its first page, whose lines in the console are kept. */
async function start(
  browser: TestBrowser,
  { paths = {}, headers = {} }: Site,
  { host = LOOPBACK, path = "/" }: { host?: string; path?: string } = {},
) {
  const notices: string[] = [];
  const turbo = new Turbo({ onNotice: (text) => notices.push(text) });
  const server = serve(async (request) => {
    const { pathname } = new URL(request.url);
    const made = await paths[pathname]?.(turbo, request);
    if (made === undefined && pathname === "/turbo-stream") return turbo.connect(request);
    if (made === undefined) return turbo.asset(request) ?? answer(html`<p>Not found</p>`, 404);
    const response = made instanceof Response ? made : answer(pageOf(turbo.head(), made));
    for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
    return response;
  });
  await using made = new AsyncDisposableStack();
  made.use(server);
  made.defer(() => turbo.close({ deadline: 1_000, window: 0 }));
  const { page, context } = await browser.open("");
  made.defer(() => context.close());
  const said: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "warning") said.push(message.text());
  });
  await page.goto(`http://${host}:${server.port}${path}`);
  const all = made.move();
  let ends = 0;
  return {
    turbo,
    page,
    said,
    notices,
    url: `http://${host}:${server.port}`,
    /** Pushes, and waits until the page has rendered it. */
    async push(...streams: Stream[]) {
      turbo.push(streams);
      turbo.push(append("end", html`<li id="end${++ends}"></li>`));
      await page.waitForSelector(`#end${ends}`, { state: "attached" });
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The page follows the stream, and gives hints. */
async function ready(page: Page): Promise<void> {
  await page.waitForSelector(OPEN_PAGE);
  await page.waitForFunction(`performance.getEntriesByType("resource").some(${IS_HINTS})`);
  await page.evaluate(
    `import(performance.getEntriesByType("resource").find(${IS_HINTS}).name).then(() => {})`,
  ); // after that of the client
}

/** The lines that begin as hints do. */
const hints = (said: readonly string[]) => said.filter((line) => line.startsWith("turbo-deno: "));

type StreamCase = [
  name: string,
  body: Markup,
  streams: Stream[] | ((page: Page) => Promise<Stream[]>),
  ...said: string[],
];

const BOX = html`<div id="box">0</div>`;
const box = (n: number) => html`<div id="box">${n}</div>`;
const written = (stream: string) => stream as Stream;

const MISTAKES: readonly StreamCase[] = [
  [
    "a target that is nearly there",
    BOX,
    [replace("bxo", html`<div id="bxo">1</div>`)],
    'no element has the id "bxo", which a replace is for. Did you mean "box"?',
  ],
  [
    "a target that nothing is like",
    BOX,
    [update("messages", html`<b>1</b>`)],
    'no element has the id "messages", which an update is for. If only other pages have it, push to a ' +
    "topic that they listen to",
  ],
  [
    "an id with #",
    BOX,
    [written('<turbo-stream action="append" target="#box"><template>1</template></turbo-stream>')],
    'the target "#box" of an append must be an id without #: "box"',
  ],
  [
    "arguments in the order of Turbo-Flask",
    BOX,
    [append("<b>1</b>", "box")],
    'the target "<b>1</b>" of an append is not an id: the first argument is the target, the second ' +
    "the content",
  ],
  [
    "a selector as an id",
    BOX,
    [update(".box", "1")],
    'the target ".box" of an update is not an id: write a selector as { all: ".box" }',
  ],
  [
    "a selector that is none",
    BOX,
    [update({ all: "li[" }, "1")],
    '"li[", for an update, is not a CSS selector',
  ],
  [
    "a selector that matches nothing",
    BOX,
    [update({ all: ".bxo" }, "1")],
    'nothing matches ".bxo", which an update is for. If only other pages have it, push to a topic that ' +
    "they listen to",
  ],
  [
    "an id as a selector",
    BOX,
    [update({ all: "box" }, "1")],
    'nothing matches "box", which an update is for. Did you mean "#box"?',
  ],
  [
    "new content without an id",
    BOX,
    [replace("box", html`<div>1</div>`)],
    'the new content of "box" has no element with that id: the next replace will find nothing. Give ' +
    "it the id, or use update()",
  ],
  [
    "new content that is text",
    BOX,
    [replace("box", "1")],
    'the new content of "box" has no element with that id: the next replace will find nothing. Give ' +
    "it the id, or use update()",
  ],
  [
    "new content whose id is misspelt",
    BOX,
    [replace("box", html`<div id="bxo">1</div>`)],
    'the new content of "box" has no element with that id, only with "bxo": the next replace will find ' +
    "nothing. Give it the id, or use update()",
  ],
  [
    "new content with the id inside",
    BOX,
    [replace("box", html`<section>${box(1)}</section>`)],
    'the new content of "box" has that id inside another element: each replace puts one more around ' +
    "it. Leave the outer element out",
  ],
  [
    "the content of a replace in an update",
    BOX,
    [update("box", box(1))],
    'the content of an update of "box" has the id "box" itself, and no other element may have it. Use ' +
    "replace(), or leave the outer element out",
  ],
  [
    "a target that was replaced by another element",
    BOX,
    [replace("box", html`<p id="other">1</p>`), replace("box", box(1))],
    'nothing has the id "box" any more, which a replace is for: an earlier replace has put something ' +
    "else in its place",
  ],
  [
    "a selector that matched what was replaced",
    html`<p class="box">0</p>`,
    [replace({ all: ".box" }, html`<p>1</p>`), replace({ all: ".box" }, html`<p>2</p>`)],
    'nothing matches ".box" any more, which a replace is for: an earlier replace has put something ' +
    "else in its place",
  ],
  [
    "text that looks like markup",
    BOX,
    [replace("box", '<div id="box">1</div>')],
    'the content of a replace of "box" is text that looks like markup: "<div id=\\"box\\">1</div>". ' +
    "Text is escaped; write markup as html`…`",
  ],
  [
    "an id that two elements have",
    html`${BOX}${BOX}`,
    [replace("box", box(1))],
    '2 elements have the id "box": a stream changes only the first',
  ],
  [
    "a target in a <template>",
    html`<template>${BOX}</template>`,
    [replace("box", box(1))],
    'no element has the id "box", which a replace is for: streams cannot reach the one in a <template>',
  ],
  [
    "a target in a shadow root",
    html`
      <p>
        <template shadowrootmode="open">${BOX}</template>
      </p>
    `,
    [replace("box", box(1))],
    'no element has the id "box", which a replace is for: streams cannot reach the one in a shadow root',
  ],
  [
    "a target that its message would make too late",
    BOX,
    [append("late", "1"), append("box", html`<ul id="late"></ul>`)],
    'no element has the id "late", which an append is for. If only other pages have it, push to a ' +
    "topic that they listen to",
  ],
  [
    "names that a form has taken",
    html`
      <form id="box"><input name="id"><input name="getAttribute"><input name="matches"><input
        name="closest"><input name="querySelector"><input name="shadowRoot"></form>
    `,
    [replace("bxo", box(1))],
    'no element has the id "bxo", which a replace is for. Did you mean "box"?',
  ],
  [
    "a hint that fails",
    BOX,
    async (page) => {
      await page.evaluate(`CSS.escape = () => { throw new Error("broken"); }`);
      return [replace("box", box(1)), update("box", "2")];
    },
    "a hint failed; everything else still works: Error: broken",
  ],
];

Deno.test(
  `Hints name a mistake in a stream, once (${MISTAKES.length})`,
  WITH_BROWSER,
  async (t) => {
    await using browser = await startBrowser();
    for (const [name, body, given, ...expected] of MISTAKES) {
      await t.step(name, async () => {
        await using shown = await start(browser, { paths: { "/": () => body } });
        await ready(shown.page);
        const streams = typeof given === "function" ? await given(shown.page) : given;
        await shown.push(...streams);
        await shown.push(...streams.slice(-1));
        assert.deepEqual(shown.said, expected.map((line) => `turbo-deno: ${line}`));
      });
    }
  },
);

const RIGHT: readonly StreamCase[] = [
  ["each action", BOX, [
    append("box", "1"),
    before("box", html`<p id="p"></p>`),
    update("p", html`<b>2</b>`),
    replace("box", box(3)),
    replace("box", box(4), { morph: true }),
    update({ all: "p" }, "a <b> & more"),
    remove("box"),
    remove("box"),
  ]],
  ["what is gone already", BOX, [remove("messages"), remove({ all: ".done" })]],
  ["an action of the app's own", BOX, [action("toast", { target: "nothing" })]],
  [
    "a target that its message makes",
    BOX,
    [append("box", html`<p id="new"></p>`), update("new", "1")],
  ],
  ["a target that the app has removed", BOX, [remove("box"), update("box", "1")]],
  [
    "what is of a list of which the page shows a part",
    html`
      <ol>
        <li id="todo_1"></li>
      </ol>
    `,
    [replace("todo_17", html`<li id="todo_17"></li>`), remove("todo_18")],
  ],
  [
    "a form in place of what it edits",
    html`<p id="todo">Milk</p>`,
    [
      replace("todo", html`<form id="edit"></form>`),
      replace("edit", html`<p id="todo">Cheese</p>`),
      update("todo", "Eggs"),
    ],
  ],
  ["what a selector has found, and the app has removed", html`<p class="a">0</p>`, [
    replace({ all: ".a" }, html`<p class="a">1</p>`),
    remove({ all: ".a" }),
    replace({ all: ".a" }, html`<p class="a">2</p>`),
  ]],
  ["nothing in place of something", BOX, [
    replace("box", ""),
    append({ all: "body" }, BOX),
  ]],
  [
    "a target in a frame that has not been loaded",
    html`<turbo-frame id="frame" src="/frame" loading="lazy" hidden></turbo-frame>`,
    [update("messages", "1")],
  ],
  ["a text that a reader has typed", BOX, [
    append("box", "a < b and <b>c"),
    update("box", "<3"),
    update("box", "<p> is a tag"),
    update("box", html`<p>${"<b>bold</b>"}</p>`),
  ]],
];

Deno.test(`Hints say nothing about what is right (${RIGHT.length})`, WITH_BROWSER, async (t) => {
  await using browser = await startBrowser();
  for (const [name, body, given] of RIGHT) {
    await t.step(name, async () => {
      await using shown = await start(browser, { paths: { "/": () => body } });
      await ready(shown.page);
      await shown.page.evaluate("Turbo.StreamActions.toast = () => {}");
      const streams = given as Stream[];
      await shown.push(...streams);
      for (const stream of streams) await shown.push(stream);
      assert.deepEqual(shown.said, []);
    });
  }
});

type PageCase = [
  name: string,
  site: Site,
  act: (page: Page) => Promise<unknown>,
  ...said: string[],
];

const link = html`<a href="/about">About</a>`;
const follow = (page: Page) => page.click("a");
/** A page whose `<head>` is written by hand. */
const pageWith = (head: Markup, body: Markup = BOX) => answer(pageOf(head, body));
const none = () => Promise.resolve();
const policy = (directives: string) => ({
  "Content-Security-Policy": `default-src 'self'; img-src data:; ${directives}`,
});
/** A second copy of Turbo, by an address of its own. */
const copy = async (turbo: Turbo) => {
  const path = /[^"]+turbo-\w+\.js/.exec(String(turbo.head()))![0];
  return new Response(await turbo.asset(new Request(`http://localhost${path}`))!.text(), {
    headers: { "Content-Type": "text/javascript" },
  });
};

const PAGES: readonly PageCase[] = [
  [
    "head() in <body>",
    { paths: { "/": (turbo) => answer(pageOf("", html`<p>1</p>${turbo.head()}`)) } },
    none,
    "the page / has turbo.head() in its <body>, so nothing that is pushed reaches it. Put it into " +
    "<head>, before any element that is not allowed there, such as <div>: that ends <head>",
  ],
  [
    "head() after what ends <head>",
    { paths: { "/": (turbo) => pageWith(html`<div></div>${turbo.head()}`) } },
    none,
    "the page / has turbo.head() in its <body>, so nothing that is pushed reaches it. Put it into " +
    "<head>, before any element that is not allowed there, such as <div>: that ends <head>",
  ],
  [
    "head() twice",
    { paths: { "/": (turbo) => pageWith(html`${turbo.head()}${turbo.head({ topics: ["a"] })}`) } },
    none,
    "the page / has turbo.head() 2 times in its <head>: only the first counts, so the topics of the " +
    "others are lost. Keep one, with all topics",
  ],
  [
    "a template for the head in <head>",
    {
      paths: {
        "/": (turbo) =>
          pageWith(html`
            ${turbo.head()}<template id="turbo-stream-closed"></template>
            <template id="other"></template>
          `),
      },
    },
    none,
    'the template "turbo-stream-closed" is in <head>, where Turbo keeps it when another page is visited: ' +
    "put it into <body>",
  ],
  [
    "a template for no state",
    {
      paths: {
        "/": () =>
          html`
            <template id="turbo-stream-away"></template>
            <template id="turbo-stream-offline"></template>
          `,
      },
    },
    none,
    'no state of a page has a template "turbo-stream-offline". Did you mean "turbo-stream-closed"?',
  ],
  [
    "an element for the head that is no template",
    {
      paths: {
        "/": () => html`<i id="turbo-stream-hidden"></i><i id="turbo-stream-hide"></i>`,
      },
    },
    none,
    'the element with the id "turbo-stream-hidden" has no effect: it must be a <template>',
  ],
  [
    "a visit to a page without head()",
    { paths: { "/": () => link, "/about": () => pageWith(html`<title>About</title>`) } },
    async (page) => {
      await follow(page);
      await page.waitForURL("**/about");
      await page.waitForSelector("#box");
    },
    "the page /about has no turbo.head() in its <head>: no push reaches it",
  ],
  [
    "scripts without the cursor",
    {
      paths: {
        "/": (turbo) => pageWith(raw(String(turbo.head()).replace(/<meta [^>]*>/, ""))),
      },
    },
    none,
    "the page / has no turbo.head() in its <head>: no push reaches it",
  ],
  [
    "a second copy of Turbo after the first",
    {
      paths: {
        "/": (turbo) =>
          pageWith(html`${turbo.head()}<script type="module" src="/copy.js"></script>`),
        "/copy.js": copy,
      },
    },
    none,
    "Turbo is loaded twice, and each copy handles every click and every form. turbo.head() loads one: " +
    "remove the other, or name it by new Turbo({ turboUrl })",
  ],
  [
    "a second copy of Turbo before the first",
    {
      paths: {
        "/": (turbo) =>
          pageWith(html`<script type="module" src="/copy.js"></script>${turbo.head()}`),
        "/copy.js": copy,
      },
    },
    none,
    "Turbo is loaded twice, and each copy handles every click and every form. turbo.head() loads one: " +
    "remove the other, or name it by new Turbo({ turboUrl })",
  ],
  [
    "no route for the stream",
    { paths: { "/": () => BOX, "/turbo-stream": () => answer(html`<p>Not found</p>`, 404) } },
    none,
    "/turbo-stream is the stream's path, and answers 404, so the page does not connect: put " +
    "app.use(turbo.middleware()) before the routes; where a proxy or a mount strips a prefix of the " +
    'path, new Turbo({ base: "/prefix" }) names it',
  ],
  [
    "a route that answers everything before that of the stream",
    { paths: { "/": () => BOX, "/turbo-stream": () => answer(html`<p>Welcome</p>`) } },
    none,
    "/turbo-stream is the stream's path, and answers 200, so the page does not connect: put " +
    "app.use(turbo.middleware()) before the routes; where a proxy or a mount strips a prefix of the " +
    'path, new Turbo({ base: "/prefix" }) names it',
  ],
  [
    "a log-in before the stream",
    {
      paths: {
        "/": () => BOX,
        "/login": () => BOX,
        "/turbo-stream": () => new Response(null, { status: 302, headers: { Location: "/login" } }),
      },
    },
    none,
    "/turbo-stream is the stream's path, and is redirected: put its route first",
  ],
  [
    "a guard before the stream",
    { paths: { "/": () => BOX, "/turbo-stream": () => answer(html`<p>No</p>`, 403) } },
    none,
    "/turbo-stream is the stream's path, and answers 403: something in front of it rejects the page",
  ],
  [
    "hosts that leave out the page's own",
    { paths: { "/": () => BOX, "/turbo-stream": () => answer(html`<p>No</p>`, 421) } },
    none,
    "/turbo-stream is the stream's path, and answers 421: add 127.0.0.1:PORT to the option allowedHosts",
  ],
  [
    "a stream that fails",
    { paths: { "/": () => BOX, "/turbo-stream": () => answer(html`<p>Broken</p>`, 500) } },
    none,
    "/turbo-stream is the stream's path, and answers 500: see the server's log",
  ],
  [
    "a stream of another origin",
    {
      paths: {
        "/": (turbo, { url }) =>
          pageWith(
            raw(
              String(turbo.head()).replace(
                '"/turbo-stream"',
                `"http://localhost:${new URL(url).port}/turbo-stream"`,
              ),
            ),
          ),
      },
    },
    none,
    "the page cannot connect to the stream of http://localhost:PORT, because that server does not allow " +
    'its origin: it needs new Turbo({ allowedOrigins: ["http://127.0.0.1:PORT"] })',
  ],
  [
    "a policy that forbids the connection",
    { paths: { "/": () => BOX }, headers: policy("connect-src 'none'; style-src 'unsafe-inline'") },
    none,
    "the page's policy forbids the connection to the stream: add 'self' to connect-src",
  ],
  [
    "a policy that forbids the connection, in a browser that remembers no violation",
    {
      paths: {
        "/": (turbo) => pageWith(html`<script src="/early.js"></script>${turbo.head()}`),
        "/early.js": () => new Response("delete window.ReportingObserver"),
      },
      headers: policy("connect-src 'none'; style-src 'unsafe-inline'"),
    },
    none,
    "the page's policy forbids the connection to the stream: add 'self' to connect-src",
  ],
  [
    "a policy that forbids the style of Turbo",
    { paths: { "/": () => BOX }, headers: policy("style-src 'self'") },
    none,
    "the page's policy forbids the style of Turbo's progress bar: give style-src a nonce, and the page " +
    '<meta name="csp-nonce" content="the same nonce">',
  ],
  [
    "a policy that requires trusted types",
    {
      paths: {
        "/": (turbo) => pageWith(html`<script src="/early.js"></script>${turbo.head()}`),
        "/early.js": () => new Response(`document.createElement("p").innerHTML = ""`), // before the hints
      },
      headers: policy("style-src 'unsafe-inline'; require-trusted-types-for 'script'"),
    },
    none,
    "the page's policy requires trusted types, which Turbo does not support: remove " +
    "require-trusted-types-for",
  ],
];

// Most of them wait until a hint is sure. Steps side by side must not be watched for Deno.exit().
Deno.test(
  `Hints name a mistake in a page, once (${PAGES.length})`,
  { ...WITH_BROWSER, sanitizeExit: false },
  async (t) => {
    await using browser = await startBrowser();
    await sideBySide(PAGES, ([name, site, act, ...expected]) =>
      t.step(name, async () => {
        await using shown = await start(browser, site);
        const { page, said } = shown;
        const { port } = new URL(shown.url);
        await act(page);
        await until(() => hints(said).length >= expected.length, `${expected}; said: ${said}`);
        await page.evaluate(`document.dispatchEvent(new CustomEvent("turbo:render"))`);
        assert.deepEqual(
          hints(said),
          expected.map((line) => `turbo-deno: ${line.replaceAll("PORT", port)}`),
        );
      }));
  },
);

Deno.test(
  "Hints say again what a load of the page has cleared from the console",
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser();
    await using shown = await start(browser, {
      paths: { "/": () => link, "/about": () => pageWith(html``) },
    });
    const { page, said } = shown;
    await ready(page);
    await follow(page);
    await page.waitForURL("**/about");
    await page.waitForSelector("#box");
    const expected =
      "turbo-deno: the page /about has no turbo.head() in its <head>: no push reaches it";
    for (const times of [2, 2]) { // said by the load, not by the next one
      await page.goto(shown.url);
      await ready(page);
      assert.deepEqual(said, Array(times).fill(expected));
    }
  },
);

Deno.test(
  "Hints do not say again what the console still has",
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser();
    const untracked = (turbo: Turbo) =>
      raw(String(turbo.head()).replaceAll("data-turbo-track", "x"));
    await using shown = await start(browser, {
      paths: {
        "/": (turbo) => pageWith(untracked(turbo), link),
        "/about": () => pageWith(html``, html`<h1>About</h1>`),
      },
    });
    const { page, said } = shown;
    await ready(page);
    await follow(page);
    await page.waitForSelector("h1");
    await until(() => said.length > 0, "it is said");
    await page.goto(shown.url);
    await ready(page);
    assert.deepEqual(said, [
      "turbo-deno: the page /about has no turbo.head() in its <head>: no push reaches it",
    ]);
  },
);

Deno.test("Hints are no more than ten of a kind", WITH_BROWSER, async () => {
  await using browser = await startBrowser();
  await using shown = await start(browser, { paths: { "/": () => BOX } });
  await ready(shown.page);
  await shown.push(
    ...Array.from({ length: 20 }, (_, n) => update(String.fromCharCode(97 + n).repeat(9), "1")),
  );
  assert.equal(shown.said.length, 10);
});

Deno.test(
  "Hints say nothing on a page that comes under another name than a loopback address",
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser({
      args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP app.test 127.0.0.1"],
    });
    await using shown = await start(browser, { paths: { "/": () => BOX } }, { host: "app.test" });
    const asked: string[] = [];
    shown.page.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await shown.page.reload();
    await shown.page.waitForSelector(OPEN_PAGE);
    await shown.push(replace("bxo", box(1)), replace("box", "1"));
    assert.deepEqual(shown.said, []);
    assert(asked.length > 2 && !asked.some((path) => path.includes("hints")), `${asked}`);
  },
);

const RIGHT_PAGES: readonly [
  name: string,
  site: Site,
  act: (shown: Awaited<ReturnType<typeof start>>) => Promise<unknown>,
][] = [
  ["a page that answers 404", { paths: { "/": () => link } }, async ({ page }) => {
    await follow(page);
    await page.waitForSelector("text=Not found");
  }],
  [
    "a page without the targets of another",
    {
      paths: {
        "/": () => html`${link}<p id="kept">1</p><p id="replaced">1</p>`,
        "/about": () => html`<h1>About</h1>`,
      },
    },
    async ({ page, push }) => {
      await push(update("kept", "2"), replace("replaced", html`<p id="other">2</p>`));
      await follow(page);
      await page.waitForSelector("h1");
      await page.waitForSelector(OPEN_PAGE);
      await push(update("kept", "3"), update("replaced", "3"));
    },
  ],
  [
    "the answer for a frame",
    {
      paths: {
        "/": () => html`<turbo-frame id="frame"><a href="/frame">1</a></turbo-frame>`,
        "/frame": () =>
          answer(html`
            <turbo-frame id="frame">
              <h1>1</h1>
            </turbo-frame>
          `),
      },
    },
    async ({ page }) => {
      await follow(page);
      await page.waitForSelector("h1");
    },
  ],
  [
    "a link to what is no page",
    { paths: { "/": () => link, "/about": () => Response.json({ a: 1 }) } },
    async ({ page }) => {
      await follow(page);
      await page.waitForSelector('text={"a":1}');
    },
  ],
  [
    "a policy that only reports",
    {
      paths: { "/": () => BOX },
      headers: { "Content-Security-Policy-Report-Only": "connect-src 'none'" },
    },
    ({ push }) => push(replace("box", box(1))),
  ],
  [
    "a policy that forbids something else",
    { paths: { "/": () => BOX }, headers: policy("style-src 'unsafe-inline'") },
    async ({ page, push }) => {
      await page.evaluate(`fetch("http://localhost:1/").catch(() => {})`);
      await push(replace("box", box(1)));
    },
  ],
  [
    "a proxy that lets no WebSocket through",
    {
      paths: {
        "/": () => BOX,
        "/turbo-stream": (turbo, request) =>
          request.headers.has("Upgrade")
            ? new Response(null, { status: 400 })
            : turbo.connect(request),
      },
    },
    async ({ page }) => {
      const asked: string[] = [];
      page.on(
        "request",
        (request) => request.resourceType() === "fetch" && asked.push(request.url()),
      );
      await page.evaluate("new Promise((resolve) => setTimeout(resolve, 3_100))"); // later than the hint's
      assert.deepEqual(asked, [], "the stream is not asked what is wrong");
    },
  ],
];

Deno.test(
  `Hints say nothing about a page that is right (${RIGHT_PAGES.length})`,
  WITH_BROWSER,
  async (t) => {
    await using browser = await startBrowser();
    for (const [name, site, act] of RIGHT_PAGES) {
      await t.step(name, async () => {
        await using shown = await start(browser, site);
        await ready(shown.page);
        await act(shown);
        assert.deepEqual(shown.said, []);
      });
    }
  },
);

Deno.test(
  "Hints ask a server that is busy no more often than the client does, and say nothing",
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser();
    await using shown = await start(browser, {
      paths: { "/": () => BOX, "/turbo-stream": () => new Response("Busy", { status: 503 }) },
    });
    const { page, said } = shown;
    const asked = { fetch: 0, eventsource: 0 };
    page.on("request", (request) => {
      const type = request.resourceType();
      if (type === "fetch" || type === "eventsource") asked[type]++;
    });
    await until(() => asked.fetch > 0, "it is asked");
    await page.evaluate("new Promise((resolve) => setTimeout(resolve, 4_000))"); // longer than it waits
    assert(asked.fetch <= asked.eventsource, JSON.stringify(asked));
    assert.deepEqual(said, []);
  },
);

Deno.test("Hints say nothing in the app", WITH_BROWSER, async () => {
  const app = createApp({ interval: 0.1 });
  await using server = serve((request, info) => app.hono.fetch(request, info));
  await using browser = await startBrowser();
  const { page } = await browser.open("");
  const said: string[] = [];
  page.on("console", (message) => void (message.type() === "warning" && said.push(message.text())));
  try {
    await page.goto(server.url);
    await ready(page);
    for (const name of ["Last day", "Last hour"]) {
      await page.click(`nav >> text=${name}`);
      await page.waitForSelector(`[aria-current]:text-is("${name}")`);
      await page.waitForSelector(OPEN_PAGE);
      const shown = await page.textContent("#load");
      await until(async () => await page.textContent("#load") !== shown, "a push");
    }
    app.turbo.push(refresh());
    await page.waitForSelector(OPEN_PAGE);
    assert.deepEqual(said, []);
  } finally {
    await app.close(500);
  }
});

const STRANGERS: readonly [name: string, isHere: boolean, notice: string][] = [
  ["instances", true, "A page of another Turbo of this process asks this one"],
  ["processes", false, "A page of another log keeps asking this one"],
];

for (const [name, isHere, notice] of STRANGERS) {
  Deno.test(
    `Two Turbo ${name} for one app are reported by the server once, and by the page's client, not by hints`,
    WITH_BROWSER,
    async () => {
      const maker = new Turbo();
      if (!isHere) await maker.close(); // no log of this process any more
      await using browser = await startBrowser();
      await using shown = await start(browser, { paths: { "/": () => pageWith(maker.head()) } });
      const { page, said, notices } = shown;
      await page.waitForSelector("html[data-turbo-stream=away]");
      assert.deepEqual(notices.map((text) => text.split(" (")[0]), [notice]);
      assert.equal(hints(said).length, 1, "of the client");
      assert.match(hints(said)[0]!, /one engine/);
      await maker.close();
    },
  );
}
