/**
 * Debian's Firefox over WebDriver BiDi, for tests. Puppeteer sets the many preferences without which
 * Firefox shows pages of its own and contacts servers of its own.
 *
 * @module
 */
import type { Page } from "npm:puppeteer-core@25.16.0";
import { type AnyBrowser, type AnyPage, anyPage, makeHome } from "./any_browser.ts";
import { assertNotQuick, DEADLINE, within } from "./kit.ts";

const FIREFOX = "/usr/bin/firefox-esr";

/** A page of which a picture can be made. */
export interface FirefoxPage extends AnyPage {
  /** Makes the viewport as large, in CSS pixels. */
  resize(width: number, height: number): Promise<void>;
  /** A picture of the whole page, as PNG. */
  picture(): Promise<Uint8Array>;
}

/** A running Firefox. */
export interface Firefox extends AnyBrowser {
  open(): Promise<FirefoxPage>;
}

/** Options of {@linkcode startFirefox}. */
export interface FirefoxOptions {
  /** Whether pages are asked for their dark colours. Default `false`. */
  isDark?: boolean;
}

/** Whether it is installed. */
export function hasFirefox(): Promise<boolean> {
  return Deno.stat(FIREFOX).then(() => true, () => false);
}

/** Starts Firefox. */
export async function startFirefox({ isDark = false }: FirefoxOptions = {}): Promise<Firefox> {
  assertNotQuick("WITH_BROWSER");
  await using made = new AsyncDisposableStack();
  const home = made.use(makeHome());
  const { default: puppeteer } = await import("npm:puppeteer-core@25.16.0");
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: FIREFOX,
    headless: true,
    acceptInsecureCerts: true, // servers in tests sign their own
    userDataDir: `${home.path}/profile`,
    env: { ...home.env, MOZ_CRASHREPORTER_DISABLE: "1" },
    extraPrefsFirefox: { "layout.css.prefers-color-scheme.content-override": isDark ? 0 : 1 },
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
      const page = await context.newPage();
      return {
        ...anyPage({ ...driver(page), close: () => context.close() }),
        resize: (width, height) =>
          within(page.setViewport({ width, height }), `the viewport to be ${width} px wide`),
        picture: () => within(page.screenshot({ fullPage: true }), "a picture"),
      };
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
