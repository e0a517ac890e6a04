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
  Deno.test(`${look.name}: everything fits at each width, and everyone can use it`, WITH_BROWSER, async () => {
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
    assert.deepEqual(problems, []);
  });
}

/** The violations that axe finds, in words. Runs in the page. */
async function violations(): Promise<string[]> {
  const { axe } = window as unknown as { axe: { run(): Promise<AxeResults> } };
  const { violations } = await axe.run();
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

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
