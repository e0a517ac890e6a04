/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * How the load page behaves in a browser while it is pushed to, and while its server is away.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { LoadReport } from "../loadavg.ts";
import { createApp } from "../main.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type Page, startBrowser, type TestBrowser } from "./browser.ts";
import { freePort, serve, WITH_BROWSER } from "./kit.ts";
import { startApp } from "./processes.ts";
import { startProxy } from "./proxy.ts";
import { NOW, reportOfDay } from "./reports.ts";

const LOST = `:root:not(${OPEN_PAGE})`;

let browser: TestBrowser | undefined;

Deno.test.afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
});

async function open(url: string, width = 1280): Promise<{ page: Page } & AsyncDisposable> {
  browser ??= await startBrowser();
  const { page, context } = await browser.open(url, { viewport: { width, height: 800 } });
  await page.waitForSelector(OPEN_PAGE);
  return { page, [Symbol.asyncDispose]: () => context.close() };
}

/** A sampler with another load at each reading, from 1.11 to 8.88. */
function changing(): { report(): Promise<LoadReport> } {
  const reports = Array.from({ length: 8 }, (_, n) => {
    const load = 1.11 * (n * 3 % 8 + 1);
    const averages = [load > 4 ? 2.22 : 6.66, 1.11] as const; // rising and falling
    return reportOfDay(
      (ago) => ago < 0.05 ? load : ago > 2_000 ? undefined : 4 + 3 * Math.sin(ago),
      {
        at: NOW + n * 5_000,
        averages,
      },
    );
  });
  let count = 0;
  return { report: () => Promise.resolve(reports[count++ % reports.length]!) };
}

/** The app, with a reading and a push every 100 ms. */
async function start(): Promise<{ url: string } & AsyncDisposable> {
  const app = createApp({ interval: 0.1, sampler: changing() });
  const server = serve(app.hono.fetch);
  await app.start();
  return {
    url: server.url,
    async [Symbol.asyncDispose]() {
      await app.close(1_000);
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Waits in the page for some pushes, and resolves to what the page said after each of them. */
function pushed<T>(page: Page, count: number, read: () => T): Promise<T[]> {
  return page.evaluate(`(async () => {
    const seen = [];
    for (let n = 0; n < ${count}; n++) {
      await new Promise((resolve) =>
        document.addEventListener("turbo-stream:rendered", resolve, { once: true })
      );
      seen.push((${read})());
    }
    return seen;
  })()`);
}

const firstNumber = () => document.querySelector("#load td")!.textContent;

/** What is selected: a text wholly or in part, from right to left. */
const SELECTIONS = [
  { selector: "#load td", isWhole: true },
  { selector: "#load td", isWhole: false },
  { selector: "#load figcaption", isWhole: true },
];

for (const { selector, isWhole } of SELECTIONS) {
  const part = isWhole ? "the text" : "a part";
  Deno.test(
    `A selection of ${part} of ${selector} and the focus on the link live through 10 pushes`,
    WITH_BROWSER,
    async () => {
      await using app = await start();
      await using opened = await open(app.url);
      const { page } = opened;
      await page.evaluate(({ selector, isWhole }) => {
        const link = document.querySelector<HTMLElement>("#load a")!;
        link.focus();
        Object.assign(window, { link });
        const text = document.querySelector(selector)!.firstChild!;
        const [from, to] = isWhole ? [text.nodeValue!.length, 0] : [3, 1];
        getSelection()!.setBaseAndExtent(text, from, text, to);
      }, { selector, isWhole });
      const seen = await pushed(page, 10, () => {
        const selection = getSelection()!;
        const text = selection.anchorNode!.textContent!;
        return {
          selected: selection.toString().trim(),
          text: text.trim(),
          part: text.slice(1, 3),
          isInBox: document.querySelector("#load")!.contains(selection.anchorNode),
          isFocused: document.activeElement === Reflect.get(window, "link"),
          number: document.querySelector("#load td")!.textContent,
        };
      });
      for (const { selected, text, part, isInBox, isFocused } of seen) {
        assert.equal(selected, isWhole ? text : part);
        assert(isInBox, "it is in the box");
        assert(isFocused, "the link has the focus");
      }
      assert(new Set(seen.map(({ number }) => number)).size > 4, "the number changes");
    },
  );
}

Deno.test("The title and the icon of the tab follow the load", WITH_BROWSER, async () => {
  await using app = await start();
  await using opened = await open(app.url);
  const seen = await pushed(opened.page, 10, () => ({
    title: document.title,
    number: document.querySelector("#load td")!.textContent,
    icon: document.querySelector<HTMLLinkElement>("link[rel=icon]")!.href,
    heads: document.querySelectorAll("title, link[rel=icon]").length,
  }));
  for (const { title, number, heads } of seen) {
    const high = Number(number) > 8 ? "▲ " : "";
    assert.equal(title, `${high}${number} · web1`);
    assert.equal(heads, 2);
  }
  assert(new Set(seen.map(({ icon }) => icon)).size > 2, "the icon changes");
});

for (const width of [320, 360, 1280]) {
  Deno.test(
    `Neither connecting nor ten pushes with other numbers shift anything at ${width} px`,
    WITH_BROWSER,
    async () => {
      await using app = await start();
      await using opened = await open(app.url, width);
      const { page } = opened;
      await page.evaluate(() => {
        const shifts: PerformanceEntry[] = [];
        const observer = new PerformanceObserver((list) => shifts.push(...list.getEntries()));
        observer.observe({ type: "layout-shift", buffered: true });
        Object.assign(window, { takeShifts: () => [...shifts, ...observer.takeRecords()] });
      });
      await pushed(page, 10, firstNumber);
      const shifts = await page.evaluate(async () => {
        const paint = () => new Promise((resolve) => requestAnimationFrame(resolve));
        for (let n = 0; n < 3; n++) await paint(); // a shift is recorded with the paint that shows it
        const { takeShifts } = window as unknown as { takeShifts(): LayoutShift[] };
        return takeShifts().flatMap(({ sources }) =>
          sources.map(({ node, previousRect, currentRect }) =>
            `${node?.nodeName} ${node?.textContent} from ${previousRect.x}, ${previousRect.y} to ` +
            `${currentRect.x}, ${currentRect.y}`
          )
        );
      });
      assert.deepEqual(shifts, []);
    },
  );
}

/** An entry of the Layout Instability API (https://wicg.github.io/layout-instability/). */
interface LayoutShift {
  readonly sources: {
    readonly node: Node | null;
    readonly previousRect: DOMRect;
    readonly currentRect: DOMRect;
  }[];
}

Deno.test(
  "The state of the connection says Offline once, however often the page tries again",
  WITH_BROWSER,
  async () => {
    const app = createApp({ interval: 3_600, sampler: changing() });
    await using server = serve(app.hono.fetch);
    await using proxy = startProxy(server.port);
    await using opened = await open(proxy.url);
    const { page } = opened;
    await page.evaluate(() => {
      const root = document.documentElement;
      const status = document.querySelector<HTMLElement>("[role=status]")!;
      const states: string[] = [];
      const texts: string[] = [];
      const note = () => {
        const text = status.innerText.trim();
        if (texts.at(-1) !== text) texts.push(text);
        const state = root.dataset["turboStream"]!;
        if (states.at(-1) !== state) states.push(state);
      };
      const noteEachFrame = () => {
        note();
        requestAnimationFrame(noteEachFrame);
      };
      new MutationObserver(note).observe(root, { attributes: true });
      noteEachFrame();
      Object.assign(window, { states, texts });
    });
    proxy.refusesAll = true;
    proxy.cut();
    await page.waitForSelector(LOST, { state: "attached" });
    await page.waitForSelector(".lost:visible");
    for (let n = 0; n < 3; n++) {
      const { accepted } = proxy;
      await page.evaluate(() => {
        Object.assign(window, { before: Reflect.get(window, "states").length });
        dispatchEvent(new Event("online")); // tries at once
      });
      await page.waitForFunction(() =>
        Reflect.get(window, "states").length >= Reflect.get(window, "before") + 2
      );
      assert(proxy.accepted > accepted);
    }
    const texts = await page.evaluate(() => Reflect.get(window, "texts"));
    assert.deepEqual(texts, ["Live", "Connecting…", "Offline"]);
    proxy.refusesAll = false;
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await page.waitForSelector(OPEN_PAGE);
    await page.waitForFunction(() => Reflect.get(window, "texts").at(-1) === "Live");
    await app.close(1_000);
  },
);

Deno.test(
  "A page whose server was killed says Offline, and is current after the restart",
  WITH_BROWSER,
  async () => {
    const args = [`--port=${freePort()}`, "--hostname=127.0.0.1", "--interval=0.2", "--node=web1"];
    await using first = await startApp(args);
    await using opened = await open(first.url);
    const { page } = opened;
    first.child.kill("SIGKILL");
    await page.waitForSelector(LOST, { state: "attached" });
    await page.waitForSelector(".lost:visible");
    assert.equal(await page.innerText("[role=status]"), "Offline");
    await page.waitForFunction(() => document.title === "Offline · web1");
    const icons = () =>
      page.evaluate(() =>
        [...document.querySelectorAll<HTMLLinkElement>("link[rel=icon]")].map(({ href }) => href)
      );
    assert.match((await icons()).join(), /stroke='%23fcfcfb'|stroke=%22%23fcfcfb%22/); // crossed out
    await using _second = await startApp(args);
    await page.waitForSelector(OPEN_PAGE);
    const before = await page.textContent("#load time");
    await page.waitForFunction(
      (before) => document.querySelector("#load time")?.textContent !== before,
      before,
    );
    assert.match(await page.title(), /^(▲ )?\d+\.\d\d · web1$/);
    assert.doesNotMatch((await icons()).join(), /stroke/);
    assert.equal(await page.innerText("[role=status]"), "Live");
  },
);
