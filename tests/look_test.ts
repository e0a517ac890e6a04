/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The load page in every state: its layout, and whether everyone can use it. For pictures: `deno task look`.
 *
 * @module
 */
import type { AxeResults } from "npm:axe-core@4.14.1";
import axe from "npm:axe-core@4.14.1/axe.min.js" with { type: "text" };
import assert from "node:assert/strict";
import { type Page, startBrowser, type TestBrowser } from "./browser.ts";
import { chromiumPage } from "./browsers.ts";
import { type Firefox, hasFirefox, startFirefox } from "./firefox.ts";
import { QUICK, WITH_BROWSER } from "./kit.ts";
import { layoutProblems } from "./layout.ts";
import { type Look, LOOKS } from "./looks.ts";

const WIDTHS = [320, 360, 390, 640, 704, 768, 1280]; // 640 px are 1280 px at 200 %
const OUTER_WIDTHS = [320, 1280];
const HEIGHT = 800;
const PAPER_WIDTH = 718; // A4 without its margins

let chromium: TestBrowser | undefined;
let firefox: Firefox | undefined;

Deno.test.afterAll(async () => {
  await chromium?.[Symbol.asyncDispose]();
  await firefox?.[Symbol.asyncDispose]();
});

/** Opens a look in the Chromium that all tests share. */
async function open(look: Look): Promise<{ page: Page } & AsyncDisposable> {
  await using made = new AsyncDisposableStack();
  const shown = made.use(await look.start());
  chromium ??= await startBrowser();
  const test = await chromium.open("");
  await shown.open(made.use(chromiumPage(test)));
  const all = made.move();
  return { page: test.page, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

for (const look of LOOKS) {
  Deno.test(
    `${look.name}: everything fits at each width, and everyone can use it`,
    WITH_BROWSER,
    async () => {
      await using opened = await open(look);
      const { page } = opened;
      const problems: string[] = [];
      const collect = (where: string, found: readonly string[]) =>
        problems.push(...found.map((problem) => `${where}: ${problem}`));
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: HEIGHT });
        collect(`${width} px`, await page.evaluate(layoutProblems));
      }
      await page.evaluate(axe);
      for (const width of OUTER_WIDTHS) {
        await page.setViewportSize({ width, height: HEIGHT });
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          collect(`${width} px, ${colorScheme}`, await page.evaluate(violations));
        }
      }
      await page.emulateMedia({ forcedColors: "active" });
      collect("forced colours", await page.evaluate(invisibleParts));
      await page.emulateMedia({ forcedColors: "none", media: "print" });
      await page.setViewportSize({ width: PAPER_WIDTH, height: HEIGHT });
      collect("print", await page.evaluate(layoutProblems));
      collect("print", await page.evaluate(printProblems));
      assert.deepEqual(problems, []);
    },
  );
}

/** The violations that axe finds, in words. Runs in the page. */
async function violations(): Promise<string[]> {
  const { axe } = window as unknown as { axe: { run(): Promise<AxeResults> } };
  const { violations } = await axe.run();
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

/** What has the colour of the page, in words. Runs in the page. */
function invisibleParts(): string[] {
  const found: string[] = [];
  const paper = getComputedStyle(document.body).backgroundColor;
  const check = (what: string, colour: string) => {
    if (colour === paper || /^none|^transparent|^rgba.* 0\)/.test(colour)) {
      found.push(`${what} is ${colour} on ${paper}`);
    }
  };
  const states = [...document.querySelectorAll<HTMLElement>(".line span span")].filter((state) =>
    state.checkVisibility({ visibilityProperty: true })
  );
  if (states.length !== 1) found.push(`${states.length} states`);
  for (const state of states) {
    const { borderTopColor, borderTopWidth } = getComputedStyle(state, "::before");
    check("the dot", borderTopColor);
    if (!(parseFloat(borderTopWidth) >= 1)) found.push(`the dot has an edge of ${borderTopWidth}`);
  }
  for (const curve of document.querySelectorAll(".curve, .busy")) {
    check("the curve", getComputedStyle(curve).stroke);
  }
  for (const dot of document.querySelectorAll(".dot")) {
    check("the newest reading", getComputedStyle(dot).fill);
  }
  return found;
}

/** What is on paper and should not, and the other way round. Runs in the page. */
function printProblems(): string[] {
  const isShown = (element: Element) => {
    const { width, height } = element.getBoundingClientRect();
    return width > 0 && height > 0 && element.checkVisibility({ visibilityProperty: true });
  };
  const shown = (selector: string) => [...document.querySelectorAll(selector)].filter(isShown);
  const left = (selector: string) => document.querySelector(selector)!.getBoundingClientRect().left;
  return [
    ...left("h1") === left("#facts") ? [] : ["the facts are not below the name"],
    ...["nav", ".line", ".read"].filter((selector) => shown(selector).length > 0),
    ...["h1", "#facts li", "#load td", "svg[role=img]", ":is(figcaption, .note)"]
      .filter((selector) => shown(selector).length === 0).map((selector) => `no ${selector}`),
  ];
}

const [hour, day, notFound, offline, away, fleet, unread, firstReading] = [
  ...["hour", "day", "not-found", "offline", "away", "fleet-3", "unread", "first-reading"],
].map((name) => LOOKS.find((look) => look.name === name));

Deno.test(
  "The navigation says which page is shown, and is large enough for a finger",
  WITH_BROWSER,
  async () => {
    for (
      const [look, texts] of [[hour, ["Last hour"]], [day, ["Last day"]], [notFound, []]] as const
    ) {
      await using opened = await open(look!);
      const { page } = opened;
      assert.deepEqual(await page.locator("[aria-current=page]").allInnerTexts(), texts);
      for (const width of OUTER_WIDTHS) {
        await page.setViewportSize({ width, height: HEIGHT });
        for (const link of await page.locator("nav a").all()) {
          const { width, height } = (await link.boundingBox())!;
          assert(Math.min(width, height) >= 44, `${width} by ${height} px`);
        }
      }
    }
  },
);

Deno.test("Every link is reached by the keyboard, and shows that it is", WITH_BROWSER, async () => {
  await using opened = await open(hour!);
  const { page } = opened;
  const links = await page.locator("a:visible").allInnerTexts();
  for (const link of links) {
    await page.keyboard.press("Tab");
    for (const forcedColors of ["none", "active"] as const) {
      await page.emulateMedia({ forcedColors });
      const { text, outline, outlineColor, paper } = await page.evaluate(() => {
        const element = document.activeElement as HTMLElement;
        const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
        return {
          text: element.innerText,
          outline: `${outlineStyle} ${outlineWidth}`,
          outlineColor,
          paper: getComputedStyle(document.body).backgroundColor,
        };
      });
      assert.equal(text, link);
      assert.equal(outline, "solid 2px");
      assert.notEqual(outlineColor, paper);
    }
  }
  assert.equal(links.length, 4);
});

Deno.test(
  "Offline is also said to those who want less motion, and moves nothing",
  WITH_BROWSER,
  async () => {
    await using opened = await open(offline!);
    const { page } = opened;
    await page.emulateMedia({ reducedMotion: "reduce" });
    for (const width of [320, 704, 1280]) {
      await page.setViewportSize({ width, height: HEIGHT });
      const places = await page.evaluate(() => {
        const root = document.documentElement;
        return ["closed", "open"].map((state) => {
          root.dataset["turboStream"] = state;
          for (const animation of document.getAnimations()) animation.finish();
          const places = [...document.querySelectorAll("h1, #facts, .line, td, svg")].map(
            (element) => {
              const { x, y, width, height } = element.getBoundingClientRect();
              const [left, across] = element.matches(".line") ? [] : [x, width];
              return `${element.nodeName} ${[left, across, y, height]}`;
            },
          );
          const words = document.querySelector<HTMLElement>("[role=status]")!.innerText;
          const shown = document.querySelector(state === "open" ? ".open" : ".lost")!;
          const start = shown.getBoundingClientRect().x -
            shown.closest(".line")!.getBoundingClientRect().x;
          return { words, places, start };
        });
      });
      assert.deepEqual(places.map(({ words }) => words), ["Offline", "Live"]);
      assert.deepEqual(places[0]!.places, places[1]!.places, `${width} px`);
      if (width === 320) { // elsewhere it stands at the right
        assert.deepEqual(places.map(({ start }) => start), [0, 0], "where the state begins");
      }
    }
  },
);

Deno.test("What is old is grey, and as sharp as before", WITH_BROWSER, async () => {
  for (const look of [offline, away, fleet]) {
    await using opened = await open(look!);
    const { page } = opened;
    const filters = await page.evaluate(() =>
      ["svg", "svg svg"].map((selector) => {
        const svg = document.querySelector(`.load .old ${selector}, .load ${selector}`)!;
        return getComputedStyle(svg).filter;
      })
    );
    assert.deepEqual(filters, ["grayscale(1)", "none"], look!.name); // a stretched filter is blurred
  }
});

Deno.test("The first reading moves no column", WITH_BROWSER, async () => {
  const columns: number[][] = [];
  for (const look of [unread, firstReading]) {
    await using opened = await open(look!);
    const heads = await opened.page.locator("#load th").all();
    columns.push(await Promise.all(heads.map(async (head) => (await head.boundingBox())!.x)));
  }
  assert.deepEqual(columns[0], columns[1]);
});

const withFirefox = { ...WITH_BROWSER, ignore: QUICK || !await hasFirefox() };
for (const look of LOOKS) {
  Deno.test(`${look.name}: everything fits in Firefox`, withFirefox, async () => {
    await using shown = await look.start();
    firefox ??= await startFirefox();
    await using page = await firefox.open();
    await shown.open(page);
    const problems: string[] = [];
    for (const width of OUTER_WIDTHS) {
      await page.resize(width, HEIGHT);
      const found = await page.evaluate(layoutProblems);
      problems.push(...found.map((problem) => `${width} px: ${problem}`));
    }
    assert.deepEqual(problems, []);
  });
}
