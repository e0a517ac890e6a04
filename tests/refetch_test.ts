/// <reference lib="dom" />
import assert from "node:assert/strict";
import { html } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type PageApp, startPageApp } from "./apps/page_app.ts";
import { type Page, startBrowser, type TestBrowser } from "./browser.ts";
import { pause, sideBySide, until, WITH_BROWSER } from "./kit.ts";

/** An app and a page of it that is open. */
interface Scene {
  readonly app: PageApp;
  readonly page: Page;
  /** What the console said. */
  readonly said: string[];
}

function scenario(
  name: string,
  run: (scene: Scene) => Promise<void>,
  prepare: (app: PageApp) => void = () => {},
): void {
  Deno.test(name, WITH_BROWSER, async () => {
    await using app = startPageApp();
    prepare(app);
    await using browser = await startBrowser();
    await run(await openScene(browser, app));
  });
}

async function openScene(browser: TestBrowser, app: PageApp): Promise<Scene> {
  const { page } = await browser.open("");
  const said: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  await page.goto(app.url);
  await page.waitForSelector(OPEN_PAGE);
  return { app, page, said };
}

/** Waits until the page shows what the app has, and follows it. */
async function isCurrent({ app, page }: Pick<Scene, "app" | "page">): Promise<void> {
  await showsNumber(page, app.n);
  await page.waitForSelector(OPEN_PAGE);
  app.count();
  await showsNumber(page, app.n);
}

async function showsNumber(page: Page, n: number): Promise<void> {
  await page.waitForFunction((n) => document.getElementById("n")?.textContent === String(n), n)
    .catch(async (error) => {
      const shown = await page.textContent("body").catch(() => "nothing");
      throw new Error(`The page shows ${JSON.stringify(shown)}, not ${n}`, { cause: error });
    });
}

/** Whether the document is the one that was loaded first; a full load makes another. */
async function mark(page: Page): Promise<() => Promise<boolean>> {
  await page.evaluate(() => void Object.assign(globalThis, { isFirst: true }));
  return () => page.evaluate(() => "isFirst" in globalThis);
}

const HTML = { "Content-Type": "text/html" };

/** Answers of a proxy in front of an app, or of the app itself. */
const FOREIGN: readonly [string, (app: PageApp) => Response][] = [
  ["429 with Retry-After", () =>
    new Response("<h1>Slow down</h1>", {
      status: 429,
      headers: { ...HTML, "Retry-After": "1" },
    })],
  ["429 until a date", () =>
    new Response("<h1>Slow down</h1>", {
      status: 429,
      headers: { ...HTML, "Retry-After": new Date(Date.now() + 1_000).toUTCString() },
    })],
  ["408", () => new Response("Request Time-out", { status: 408, headers: HTML })],
  ["425", () => new Response("Too Early", { status: 425, headers: HTML })],
  ["500 with HTML", () => new Response("<h1>Sorry</h1>", { status: 500, headers: HTML })],
  ["502 of a proxy", () => new Response("<h1>Bad gateway</h1>", { status: 502, headers: HTML })],
  ["503 without a body", () => new Response(null, { status: 503 })],
  ["403, a challenge", () => new Response("<h1>Checking</h1>", { status: 403, headers: HTML })],
  ["404 with HTML", () => new Response("<h1>Not found</h1>", { status: 404, headers: HTML })],
  ["204", () => new Response(null, { status: 204 })],
  ["an empty 200", () => new Response("", { headers: HTML })],
  ["a 200 of white space", () => new Response(" \n", { headers: HTML })],
  ["JSON", () => Response.json({ error: "upstream" })],
  ["text", () => new Response("upstream")],
  ["a 200 without a type", () => new Response(new Uint8Array([60, 98, 62]))],
  ["a page without a cursor", () => new Response("<h1>Log in</h1>", { headers: HTML })],
  [
    "a page with a cursor in its body",
    () => new Response('<body><meta name="turbo-cursor" content="a.1">', { headers: HTML }),
  ],
  [
    "a page with a cursor that is none",
    () =>
      new Response('<meta name="turbo-cursor" content="" data-stream="/turbo-stream">', {
        headers: HTML,
      }),
  ],
  ["a page of another log", (app) => rewritten(app, /content="[\w-]+\./, 'content="other.')],
  ["an older page of this log", (app) => rewritten(app, /(content="[\w-]+\.)\d+/, "$10")],
  ["a redirect to a page without a cursor", () => Response.redirect("http://unused.test/")],
];

/** The page as it was at another cursor, with a number that it must not show. */
function rewritten(app: PageApp, cursor: RegExp, by: string): Response {
  app.patch = (head) => head.replace(cursor, by);
  const { n } = app;
  app.n = -1;
  const page = app.page();
  app.n = n;
  app.patch = (head) => head;
  return page;
}

// Each has an app and a page of its own; they wait side by side.
Deno.test(
  `A refetch that is answered by something else is tried again (${FOREIGN.length})`,
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser();
    const tried = async ([name, foreign]: typeof FOREIGN[number]) => {
      await using app = startPageApp();
      try {
        await isTriedAgain(await openScene(browser, app), foreign);
      } catch (error) {
        throw new Error(`Answered by ${name}`, { cause: error });
      }
    };
    await sideBySide(FOREIGN, tried, FOREIGN.length);
  },
);

async function isTriedAgain(scene: Scene, foreign: (app: PageApp) => Response): Promise<void> {
  const { app, page } = scene;
  const isFirst = await mark(page);
  let times = 0;
  await page.evaluate(() => {
    const seen = new Set<string | null | undefined>();
    new MutationObserver(() => seen.add(document.getElementById("n")?.textContent))
      .observe(document, { subtree: true, childList: true, characterData: true });
    const { dataset } = document.documentElement;
    document.addEventListener("turbo:render", () => seen.add(dataset["turboStream"]));
    Object.assign(globalThis, { seen: () => [...seen] });
  });
  app.routes["GET /login"] = () => new Response("<h1>Log in</h1>", { headers: HTML });
  app.answer = () => times < 2 ? (times++, foreign(app)) : undefined;
  await app.restart();
  app.count(); // so that there are older cursors
  await isCurrent(scene);
  assert.equal(times, 2);
  assert.equal(await isFirst(), true, "the document is the same");
  const seen = await page.evaluate(() => (globalThis as unknown as { seen(): string[] }).seen());
  assert(!seen.includes("-1"), `the page has shown ${seen}`);
}

scenario(
  "A refetch asks the server where the browser has a page that is still fresh",
  async (scene) => {
    const { app, page } = scene;
    const asked: (string | null)[] = [];
    app.answer = ({ headers }) => {
      asked.push(headers.get("Cache-Control"));
      const page = app.page();
      page.headers.set("Cache-Control", "max-age=3600");
      return page;
    };
    await page.goto(app.url); // and into the cache
    await page.waitForSelector(OPEN_PAGE);
    await app.restart();
    await isCurrent(scene);
    assert(asked.length >= 2 && asked.at(-1) === "no-cache", `asked with ${asked}`);
  },
);

scenario("A refetch waits as long as Retry-After says", async (scene) => {
  const { app } = scene;
  let isOver = false;
  const early: string[] = [];
  let refused = 0;
  app.answer = () => {
    if (refused++ === 0) {
      setTimeout(() => isOver = true, 2_900);
      return new Response("busy", { status: 503, headers: { "Retry-After": "3" } });
    }
    if (!isOver) early.push("asked before");
    return undefined;
  };
  await app.restart();
  await isCurrent(scene);
  assert.deepEqual(early, []);
});

for (
  const [name, link] of [
    ["a download", "download"],
    ["nothing (204)", "nothing"],
    ["a rendering that is paused forever", "paused"],
  ] as const
) {
  scenario(
    `A page is current after a restart although a visit has ended in ${name}`,
    async (scene) => {
      const { app, page } = scene;
      app.routes["GET /download"] = () =>
        new Response("a,b\n", {
          headers: { "Content-Type": "text/csv", "Content-Disposition": "attachment" },
        });
      app.routes["GET /nothing"] = () => new Response(null, { status: 204 });
      app.routes["GET /paused"] = () => app.page("paused");
      if (link === "paused") {
        await page.evaluate(() =>
          document.addEventListener("turbo:before-render", (event) => event.preventDefault(), {
            once: true,
          })
        );
      }
      const answered = page.waitForResponse((response) => response.url().endsWith(link));
      await page.click(`#${link}`);
      await answered;
      await app.restart();
      await isCurrent(scene);
    },
    (app) => {
      app.body = () =>
        html`<a id="download" href="/download">a</a> <a id="nothing" href="/nothing">b</a>
        <a id="paused" href="/paused">c</a>`;
    },
  );
}

scenario("A refetch does not cancel a visit, however slow", async (scene) => {
  const { app, page } = scene;
  const { promise, resolve } = Promise.withResolvers<void>();
  app.routes["GET /slow"] = async () => {
    await promise;
    return app.page("slow");
  };
  const requested = page.waitForRequest((request) => request.url().endsWith("/slow"));
  await page.click("#slow");
  await requested;
  await app.restart();
  await page.waitForSelector('html[data-turbo-stream="connecting"]');
  await pause(1_500); // a refetch would have been tried, and the visit be cancelled
  resolve();
  await page.waitForSelector('h1:text-is("slow")');
  await isCurrent(scene);
  assert.equal(app.asked, 1, "the page was not fetched besides");
}, (app) => {
  app.body = () => html`<a id="slow" href="/slow">slow</a>`;
});

scenario("A refetch does not cancel a form that is being sent", async (scene) => {
  const { app, page } = scene;
  const { promise, resolve } = Promise.withResolvers<void>();
  let isTaken = false;
  app.routes["POST /save"] = async () => {
    await promise;
    isTaken = true;
    return Response.redirect(`${app.url}/other`, 303);
  };
  const requested = page.waitForRequest((request) => request.url().endsWith("/save"));
  await page.click("button");
  await requested;
  await app.restart();
  await page.waitForSelector('html[data-turbo-stream="connecting"]');
  await pause(1_500);
  resolve();
  await page.waitForSelector('h1:text-is("/other")');
  assert.equal(isTaken, true);
  await isCurrent(scene);
}, (app) => {
  app.body = () => html`<form method="post" action="/save"><button>Save</button></form>`;
});

scenario("A page is not open while it is fetched", async (scene) => {
  const { app, page } = scene;
  await page.evaluate(() => {
    const states: string[] = [];
    const { dataset } = document.documentElement;
    new MutationObserver(() =>
      states.push(`${dataset["turboStream"]} ${document.getElementById("n")?.textContent}`)
    ).observe(document.documentElement, { attributeFilter: ["data-turbo-stream"] });
    Object.assign(globalThis, { states });
  });
  let times = 0;
  app.answer = () => times++ < 2 ? new Response("busy", { status: 503 }) : undefined;
  await app.restart();
  await isCurrent(scene);
  const states = await page.evaluate(() => (globalThis as unknown as { states: string[] }).states);
  assert.deepEqual(states.filter((state) => /^open/.test(state)), ["open 1"], states.join());
});

scenario("A page that cannot be had is left to the browser, once", async (scene) => {
  const { app, page, said } = scene;
  const isFirst = await mark(page);
  app.answer = ({ headers }) =>
    headers.get("Sec-Fetch-Dest") === "document" ? undefined : new Response("no", { status: 403 });
  await app.restart();
  await until(async () => !await isFirst().catch(() => true), "the browser has loaded the page");
  await isCurrent(scene);
  const isSecond = await mark(page);
  await app.restart();
  await page.waitForSelector('html[data-turbo-stream="away"]');
  assert.equal(await isSecond(), true, "it was left a second time");
  assert.equal(said.filter((text) => /cannot bring this page up to date/.test(text)).length, 1);
  const { asked } = app;
  await pause(1_500);
  assert.equal(app.asked, asked, "it is not asked for any more");
  // What gives reason to hope.
  app.answer = () => undefined;
  await page.evaluate(() => void dispatchEvent(new Event("online")));
  await isCurrent(scene);
});

scenario("A page whose visit an app prevents is left to the browser in the end", async (scene) => {
  const { app, page } = scene;
  const isFirst = await mark(page);
  await page.evaluate(() => {
    document.addEventListener("turbo:before-visit", (event) => event.preventDefault());
  });
  await app.restart();
  await until(async () => !await isFirst().catch(() => true), "the browser has loaded the page");
  await isCurrent(scene);
});

scenario("A page that answered a form is not fetched again, and says so", async (scene) => {
  const { app, page, said } = scene;
  app.routes["POST /save"] = () => {
    app.body = () =>
      html`
        <p id="error">Too short</p>
        <form method="post" action="/save"><input
              name="a" value="typed"><button>Save</button></form>
      `;
    const { headers, body } = app.page("again");
    return new Response(body, { status: 422, headers });
  };
  await page.click("button");
  await page.waitForSelector("#error");
  await isCurrent(scene);
  const { asked } = app;
  await app.restart();
  await page.waitForSelector('html[data-turbo-stream="away"]');
  assert.equal(await page.inputValue("input"), "typed");
  assert.equal(await page.textContent("#error"), "Too short");
  assert.equal(app.asked, asked);
  assert.equal(said.filter((text) => /cannot bring this page up to date/.test(text)).length, 1);
  await page.click("#other");
  await page.waitForSelector('h1:text-is("/other")');
  await isCurrent(scene);
}, (app) => {
  app.body = () =>
    html`<form method="post" action="/save"><input name="a"><button>Save</button></form>`;
});

scenario(
  "A deploy with other scripts and styles does not load the page; a visit does",
  async (scene) => {
    const { app, page } = scene;
    const isFirst = await mark(page);
    const color = () => page.evaluate(() => getComputedStyle(document.querySelector("h1")!).color);
    for (let version = 2; version < 5; version++) {
      deploy(app, version);
      await app.restart();
      await isCurrent(scene);
      assert.equal(await isFirst(), true, `loaded for version ${version}`);
      assert.equal(await color(), `rgb(${version}, 0, 0)`);
      const sheets = await page.locator("link[rel=stylesheet]").count();
      assert.equal(sheets, 1, `${sheets} stylesheets`);
      assert.equal(await page.evaluate("version"), 1, "the newer script has run");
    }
    await page.click("#other");
    await page.waitForSelector('h1:text-is("/other")');
    await isCurrent(scene);
    assert.equal(await isFirst(), false);
    assert.equal(await page.evaluate("version"), 4);
    const isSecond = await mark(page);
    await page.click("#home");
    await page.waitForSelector('h1:text-is("/")');
    assert.equal(await isSecond(), true, "nothing has changed since");
  },
  (app) => deploy(app, 1),
);

/** Other scripts, those of the stream too, and another stylesheet. */
function deploy(app: PageApp, version: number): void {
  app.routes[`GET /${version}.css`] = () =>
    new Response(`h1 { color: rgb(${version}, 0, 0) }`, {
      headers: { "Content-Type": "text/css" },
    });
  app.routes[`GET /${version}.js`] = () =>
    new Response(`globalThis.version = ${version}`, {
      headers: { "Content-Type": "text/javascript" },
    });
  app.patch = (head) => head.replace(/\.js"/g, `.js?${version}"`);
  app.head = () =>
    html`
      <script src="/${version}.js" data-turbo-track="reload"></script>
      <link rel="stylesheet"
        href="/${version}.css" data-turbo-track="reload">
    `;
}

scenario("A page that asks for a full load gets one", async (scene) => {
  const { app, page } = scene;
  const isFirst = await mark(page);
  app.head = () => html`<meta name="turbo-visit-control" content="reload">`;
  await app.restart();
  await until(async () => !await isFirst().catch(() => true), "the browser has loaded the page");
  await isCurrent(scene);
});

Deno.test(
  "A page of one process whose stream is of another stops, says so once, and goes on when it can",
  WITH_BROWSER,
  async () => {
    await using app = startPageApp();
    await using another = startPageApp();
    await using browser = await startBrowser();
    const scene = await openScene(browser, app);
    const { page, said } = scene;
    const own = app.turbo;
    app.turbo = another.turbo;
    app.answer = () => {
      app.turbo = own; // the page is of this process, ...
      const page = app.page();
      app.turbo = another.turbo; // ... and its stream of the other
      return page;
    };
    await own.close({ window: 0, deadline: 300 });
    await page.waitForSelector('html[data-turbo-stream="away"]');
    const { asked } = app;
    assert(asked <= 10, `asked for ${asked} times`);
    assert.equal(said.filter((text) => /of another log/.test(text)).length, 1, said.join("\n"));
    await pause(1_500);
    assert.equal(app.asked, asked, "it is not asked for any more");
    app.answer = () => undefined;
    await page.evaluate(() => void dispatchEvent(new Event("online")));
    await isCurrent(scene);
  },
);

Deno.test(
  "A page whose stream comes from another process and then from its own again is not fetched",
  WITH_BROWSER,
  async () => {
    await using app = startPageApp();
    await using another = startPageApp();
    await using browser = await startBrowser();
    const scene = await openScene(browser, app);
    const { page } = scene;
    const isFirst = await mark(page);
    const own = app.turbo;
    let connections = 0;
    const { connect } = own;
    // The next two connections reach the other process.
    own.connect = (
      request,
    ) => (connections++ < 2 ? another.turbo.connect(request) : connect.call(own, request));
    app.answer = () => rewritten(app, /content="[\w-]+\./, 'content="another.');
    own.disconnect("nobody");
    await page.evaluate(() => void dispatchEvent(new PageTransitionEvent("pagehide")));
    await page.evaluate(() =>
      void dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))
    );
    app.count();
    await isCurrent(scene);
    assert.equal(connections >= 3, true, `${connections} connections`);
    assert.equal(await isFirst(), true);
  },
);
