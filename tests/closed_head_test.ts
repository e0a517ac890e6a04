/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * What stands in a page's head while its connection is lost.
 *
 * @module
 */
import assert from "node:assert/strict";
import { html, type Markup, refresh, replace, streamResponse, Turbo } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type Page, startBrowser, type TestBrowser } from "./browser.ts";
import { serve, until, WITH_BROWSER } from "./kit.ts";
import { startProxy } from "./proxy.ts";

const CLOSED_PAGE = "[data-turbo-stream=closed]";
const AWAY_PAGE = "[data-turbo-stream=away]";

let browser: TestBrowser | undefined;
Deno.test.afterAll(async () => await browser?.[Symbol.asyncDispose]());

/** Two pages with a number in title and icon, which are served even while their stream is not. */
function startSite() {
  const turbo = new Turbo({ onNotice() {} });
  const title = (name: string) => html`<title id="title">${site.n} · ${name}</title>`;
  const icon = () => html`<link id="icon" rel="icon" href="${iconOf(site.n)}">`;
  const page = (name: string) =>
    html`
      <!DOCTYPE html>
      <html>
        <head><meta charset="utf-8">${title(name)}${icon()}${turbo.head()}</head>
        <body><h1>${name} ${site.n}</h1><a id="one" href="/">1</a> <a id="two" href="/two">2</a>
      <form method="post" action="/"><button>Count</button></form>${site.templates(name)}</body>
      </html>
    `;
  const server = serve(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/turbo-stream") return site.connect(request);
    if (request.method === "POST") {
      await request.body?.cancel();
      const { cursor } = turbo;
      site.n++;
      return streamResponse([replace("title", title("One")), replace("icon", icon())], { cursor });
    }
    return turbo.asset(request) ??
      new Response(String(page(pathname === "/" ? "One" : "Two")), {
        headers: { "Content-Type": "text/html" },
      });
  });
  const proxy = startProxy(server.port);
  const connect = (request: Request): Response | Promise<Response> =>
    turbo.connect(request, { as: "ann" });
  const site = {
    turbo,
    url: proxy.url,
    n: 1,
    templates: (name: string): Markup =>
      html`
        <template id="turbo-stream-closed"
        >
          <title>Offline · ${name}</title>
          <link rel="icon" href="${iconOf("off")}">
        </template>
        <template id="turbo-stream-away">
          <title>Ended · ${name}</title>
        </template>
      `,
    connect,
    /** Cuts the connection, and accepts no other. */
    cut() {
      site.connect = () => new Response(null, { status: 503 });
      proxy.cut();
    },
    /** Accepts connections again. */
    mend() {
      site.connect = connect;
    },
    /** Changes the number, and pushes title and icon. */
    count() {
      site.n++;
      turbo.push(replace("title", title("One"), { morph: true }));
      turbo.push(replace("icon", icon(), { morph: true }));
    },
    async [Symbol.asyncDispose]() {
      await turbo.close({ window: 0, deadline: 300 });
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
  return site;
}

type Site = ReturnType<typeof startSite>;

function iconOf(name: number | string): string {
  return `data:image/svg+xml,%3Csvg id='${name}'/%3E`;
}

function scenario(
  name: string,
  run: (page: Page, site: Site) => Promise<void>,
  templates?: Site["templates"],
): void {
  Deno.test(`The head of a page ${name}`, WITH_BROWSER, async () => {
    await using site = startSite();
    if (templates) site.templates = templates;
    browser ??= await startBrowser();
    const { page, context, errors } = await browser.open("");
    try {
      await page.clock.install();
      await page.addInitScript(keepSeen);
      await page.goto(site.url);
      await page.waitForSelector(OPEN_PAGE);
      await run(page, site);
      const others = errors.filter((error) => !/WebSocket|status of 503|ERR_/.test(error));
      assert.deepEqual(others, []);
    } finally {
      await context.close();
    }
  });
}

/** Keeps the titles and the states that a document has. Runs in the page. */
function keepSeen(): void {
  const seen = new Set<string>();
  Object.assign(globalThis, { seen });
  new MutationObserver(() => {
    seen.add(document.title).add(document.documentElement.dataset["turboStream"] ?? "");
  }).observe(document, { subtree: true, childList: true, attributes: true });
}

/** The titles and the states of a document, from its beginning or since they were last read. */
function seen(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const { seen } = globalThis as unknown as { seen: Set<string> };
    const all = [...seen].filter((one) => one !== "").sort();
    seen.clear();
    return all;
  });
}

/** What the tab of a page shows, and what its own title and icon are. */
function look(page: Page) {
  return page.evaluate(() => {
    const icons = [...document.querySelectorAll<HTMLLinkElement>("head > link[rel=icon]")];
    const nameOf = (icon?: HTMLElement | null) => /id='(.*)'/.exec(icon?.outerHTML ?? "")?.[1];
    return {
      title: document.title,
      icon: nameOf(icons.at(-1)),
      ownTitle: document.getElementById("title")?.textContent,
      ownIcon: nameOf(document.getElementById("icon")),
      elements: document.querySelectorAll("title").length + icons.length,
    };
  });
}

/** How a page looks that shows its own title and icon. */
function own(n: number, name = "One"): Awaited<ReturnType<typeof look>> {
  const title = `${n} · ${name}`;
  return { title, icon: String(n), ownTitle: title, ownIcon: String(n), elements: 2 };
}

/** How a page looks that is offline. */
function offline(n: number, name = "One"): Awaited<ReturnType<typeof look>> {
  return { ...own(n, name), title: `Offline · ${name}`, icon: "off", elements: 3 };
}

async function hasTitle(page: Page, title: string): Promise<void> {
  await page.waitForFunction((title) => document.title === title, title).catch(async (cause) => {
    throw new Error(`The title is “${await page.title()}”, not “${title}”`, { cause });
  });
}

/** Waits until a page shows another page's heading. */
async function shows(page: Page, heading: string): Promise<void> {
  await page.waitForSelector(`html:not([aria-busy]) h1:text-is("${heading}")`);
}

/** Cuts the connection of a page, and advances its clock by 2 s. */
async function goesOffline(page: Page, site: Site): Promise<void> {
  site.cut();
  await page.waitForSelector(CLOSED_PAGE);
  await page.clock.runFor(2_000);
}

/** Has a page connect at once, as when its network is back. */
async function triesAgain(page: Page): Promise<void> {
  await page.evaluate(() => void dispatchEvent(new Event("online")));
}

async function comesBack(page: Page, site: Site): Promise<void> {
  site.mend();
  await triesAgain(page);
  await page.waitForSelector(OPEN_PAGE);
}

/** Stops the clock of a page, which then advances only by {@linkcode pass}. */
async function stop(page: Page): Promise<void> {
  await page.clock.pauseAt(await page.evaluate(() => Date.now() + 500));
}

/** Lets a page's time pass, in steps between which its connections open and fail. */
async function pass(page: Page, milliseconds: number): Promise<void> {
  for (let past = 0; past < milliseconds; past += 100) {
    await page.clock.runFor(100);
    await page.evaluate(() => fetch("/two").then((answer) => answer.text()));
  }
}

async function untilOpen(page: Page): Promise<void> {
  const isOpen = () => page.evaluate((open) => document.querySelector(open) !== null, OPEN_PAGE);
  await until(async () => (await pass(page, 100), await isOpen()), "the page is open");
}

function hide(page: Page, isHidden: boolean): Promise<void> {
  return page.evaluate((isHidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, value: isHidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
}

scenario(
  "says that the connection is lost, and is right again when it is back",
  async (page, site) => {
    site.count();
    await hasTitle(page, "2 · One");
    assert.deepEqual(await look(page), own(2));
    site.cut();
    await hasTitle(page, "Offline · One");
    assert.deepEqual(await look(page), offline(2));
    site.count();
    await page.evaluate(() => {
      const added = new Set<Node>();
      Object.assign(globalThis, { added });
      new MutationObserver((records) => {
        for (const { addedNodes } of records) for (const node of addedNodes) added.add(node);
      }).observe(document.head, { childList: true });
    });
    await comesBack(page, site);
    await hasTitle(page, "3 · One");
    // Browsers do not notice otherwise that the other icon is gone.
    assert(
      await page.evaluate("added.has(document.getElementById('icon'))"),
      "it is inserted again",
    );
    assert.deepEqual(await look(page), own(3));
    site.count();
    await hasTitle(page, "4 · One");
  },
);

scenario("shows no loss for 1.5 s, however often the page tries meanwhile", async (page, site) => {
  await stop(page);
  await seen(page);
  site.cut();
  await page.waitForSelector(CLOSED_PAGE);
  await pass(page, 1_400);
  assert.deepEqual(await seen(page), ["1 · One", "closed", "connecting"]);
  await pass(page, 200);
  assert.equal(await page.title(), "Offline · One");
  await seen(page);
  await pass(page, 10_000);
  assert.deepEqual(await seen(page), ["Offline · One", "closed", "connecting"]);
});

scenario("shows no loss of a page that connects within 1.5 s of its load", async (page, site) => {
  await stop(page);
  site.cut();
  await page.goto(`${site.url}/two`);
  await pass(page, 1_400);
  assert.deepEqual(await seen(page), ["1 · Two", "closed", "connecting"]);
  site.mend();
  await triesAgain(page);
  await untilOpen(page);
  await pass(page, 2_500);
  assert.deepEqual(await seen(page), ["1 · Two", "connecting", "open"]);
});

scenario("counts from the newest loss, not from one before it", async (page, site) => {
  await stop(page);
  site.cut();
  await page.waitForSelector(CLOSED_PAGE);
  await pass(page, 1_000);
  site.mend();
  await triesAgain(page);
  await untilOpen(page);
  site.cut();
  await page.waitForSelector(CLOSED_PAGE);
  await pass(page, 1_400);
  assert.equal(await page.title(), "1 · One");
});

scenario("is the page's own after a full load, until that cannot connect", async (page, site) => {
  await goesOffline(page, site);
  await page.reload();
  assert.deepEqual(await look(page), own(1));
  await page.waitForSelector(CLOSED_PAGE);
  await page.clock.runFor(2_000);
  assert.deepEqual(await look(page), offline(1));
});

// An id of the page in a template must not draw pushes to the copy. The answer comes without the stream.
scenario("is pushed into behind what says that the connection is lost", async (page, site) => {
  await goesOffline(page, site);
  await page.click("button");
  await page.waitForFunction(() => document.getElementById("title")?.textContent === "2 · One");
  const { title, ownIcon } = await look(page);
  assert.deepEqual({ title, ownIcon }, { title: "Offline · One", ownIcon: "2" });
  await comesBack(page, site);
  assert.deepEqual(await look(page), own(2));
}, () =>
  html`
    <template id="turbo-stream-closed"
    >
      <title id="title">Offline · One</title>
      <link id="icon" rel="icon" href="${iconOf("off")}">
    </template>
  `);

scenario(
  "says at once that its reader was sent away, also while it is offline",
  async (page, site) => {
    await stop(page);
    site.turbo.disconnect("ann");
    await page.waitForSelector(AWAY_PAGE);
    assert.deepEqual(await look(page), { ...own(1), title: "Ended · One", elements: 3 });
    await page.click("#two");
    await untilOpen(page);
    assert.deepEqual(await look(page), own(1, "Two"));
    assert(!(await seen(page)).includes("Ended · Two"));
    site.cut();
    await page.waitForSelector(CLOSED_PAGE);
    await pass(page, 2_000);
    assert.deepEqual(await look(page), offline(1, "Two"));
    site.connect = (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "turbo-stream.v2" });
      socket.onopen = () => socket.close(4001);
      return response;
    };
    await triesAgain(page);
    await page.waitForSelector(AWAY_PAGE);
    const ended = { ...own(1, "Two"), title: "Ended · Two", elements: 3 };
    assert.deepEqual(await look(page), ended);
    await pass(page, 2_500);
    await triesAgain(page); // in vain
    await pass(page, 2_500);
    assert.deepEqual(await look(page), ended);
  },
);

scenario(
  "follows visits while it is offline, and leaves nothing in the cache",
  async (page, site) => {
    await goesOffline(page, site);
    await page.evaluate(() => {
      const titles: string[] = [];
      Object.assign(globalThis, { titles });
      const push = () => titles.push(document.title);
      document.addEventListener("turbo:render", () => queueMicrotask(push));
    });
    const titles = () =>
      page.evaluate(() => (globalThis as unknown as { titles: string[] }).titles.splice(0));
    await page.click("#two");
    await shows(page, "Two 1");
    assert.deepEqual(await look(page), offline(1, "Two"));
    await page.click("#one"); // from the cache, and then from the server
    await shows(page, "One 1");
    assert.deepEqual(await look(page), offline(1));
    await page.click("#two");
    await shows(page, "Two 1");
    assert.deepEqual(
      [...new Set(await titles())].sort(),
      ["Offline · One", "Offline · Two"],
    );
    await comesBack(page, site);
    assert.deepEqual(await look(page), own(1, "Two"));
    await seen(page);
    await page.goBack();
    await shows(page, "One 1");
    assert.deepEqual(await look(page), own(1));
    assert(!(await seen(page)).some((one) => one.startsWith("Offline")));
  },
);

scenario(
  "is the page's own after a visit to one with the title of the template",
  async (page, site) => {
    await goesOffline(page, site);
    assert.equal(await page.title(), "1 · Two");
    await page.click("#two");
    await shows(page, "Two 1");
    await comesBack(page, site);
    assert.deepEqual(await look(page), own(1, "Two"));
  },
  () =>
    html`
      <template id="turbo-stream-closed"
      >
        <title>1 · Two</title>
        <link id="icon" rel="icon" href="${iconOf(1)}">
      </template>
    `,
);

scenario("shows what the newest version of the page says, after a morph", async (page, site) => {
  const { templates } = site;
  site.templates = () => templates("Three");
  site.n++;
  site.turbo.push(refresh({ morph: true }));
  await shows(page, "One 2");
  assert.deepEqual(await look(page), own(2));
  await goesOffline(page, site);
  assert.deepEqual(await look(page), { ...offline(2), title: "Offline · Three" });
  site.n++;
  site.turbo.push(refresh({ morph: true }));
  await comesBack(page, site);
  assert.deepEqual(await look(page), own(3));
});

scenario("without templates stays as it is", async (page, site) => {
  await page.evaluate(() => {
    const changes: MutationRecord[] = [];
    Object.assign(globalThis, { changes });
    new MutationObserver((records) => changes.push(...records))
      .observe(document.head, { childList: true, subtree: true });
  });
  await goesOffline(page, site);
  await comesBack(page, site);
  assert.equal(await page.evaluate("changes.length"), 0);
}, () => html`<p id="turbo-stream-closed">This is no template</p>`);

scenario(
  "does not say that a hidden page is offline, until that is seen again",
  async (page, site) => {
    await stop(page);
    await hide(page, true);
    await pass(page, 30_000);
    await page.waitForSelector(CLOSED_PAGE);
    await pass(page, 2_500);
    assert.equal(await page.title(), "Paused");
    site.cut();
    await hide(page, false);
    await pass(page, 1_400);
    assert.equal(await page.title(), "Paused");
    await pass(page, 200);
    assert.equal(await page.title(), "Offline");
  },
  () =>
    html`
      <template id="turbo-stream-closed">
        <title>Offline</title>
      </template>
      <template id="turbo-stream-hidden">
        <title>Paused</title>
      </template>
    `,
);

scenario("says that a hidden page is offline whose connection is cut", async (page, site) => {
  await hide(page, true);
  await goesOffline(page, site);
  assert.deepEqual(await look(page), offline(1));
});
