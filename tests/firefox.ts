/**
 * Debian's Firefox over WebDriver BiDi, for tests. Puppeteer sets the many preferences without which
 * Firefox shows pages of its own and contacts servers of its own.
 *
 * @module
 */
import type { Page } from "npm:puppeteer-core@25.16.0";
import { type AnyBrowser, anyPage, makeHome } from "./any_browser.ts";
import { assertNotQuick, DEADLINE, within } from "./kit.ts";

const FIREFOX = "/usr/bin/firefox-esr";

/** Whether it is installed. */
export function hasFirefox(): Promise<boolean> {
  return Deno.stat(FIREFOX).then(() => true, () => false);
}

/** Starts Firefox. */
export async function startFirefox(): Promise<AnyBrowser> {
  assertNotQuick("WITH_BROWSER");
  await using made = new AsyncDisposableStack();
  const home = made.use(makeHome());
  const { default: puppeteer } = await import("npm:puppeteer-core@25.16.0");
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: FIREFOX,
    headless: true,
    userDataDir: `${home.path}/profile`,
    env: { ...home.env, MOZ_CRASHREPORTER_DISABLE: "1" },
    timeout: DEADLINE,
    protocolTimeout: DEADLINE,
  });
  made.defer(async () => {
    await within(browser.close(), "Firefox to end").catch((error) => {
      browser.process()?.kill("SIGKILL");
      throw error;
    });
  });
  const all = made.move();
  return {
    async open() {
      const context = await browser.createBrowserContext();
      return anyPage({ ...driver(await context.newPage()), close: () => context.close() });
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function driver(page: Page) {
  page.setDefaultTimeout(DEADLINE);
  return {
    goto: (url: string) => page.goto(url),
    back: () => page.goBack(),
    click: (selector: string) => page.locator(selector).click(),
    type: (text: string) => page.keyboard.type(text),
    evaluate: (expression: string) => page.evaluate(expression),
  };
}
