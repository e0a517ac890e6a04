/**
 * The browsers in which the same scenarios run.
 *
 * @module
 */
import { type AnyBrowser, type AnyPage, anyPage } from "./any_browser.ts";
import { startBrowser, type TestPage } from "./browser.ts";
import { hasFirefox, startFirefox } from "./firefox.ts";
import { hasWebKit, startWebKit } from "./webkit.ts";

/** A browser that a test can start. */
export interface BrowserKind {
  /** Its common name. */
  readonly name: string;
  /** Whether it can be started on this machine. */
  isInstalled(): Promise<boolean>;
  /** Starts it. */
  start(): Promise<AnyBrowser>;
}

/** All browsers. Tests in one that is not installed must be skipped. */
export const BROWSERS: readonly BrowserKind[] = [
  { name: "Chromium", isInstalled: () => Promise.resolve(true), start: startChromium },
  { name: "Firefox", isInstalled: hasFirefox, start: startFirefox },
  { name: "WebKit", isInstalled: hasWebKit, start: startWebKit },
];

async function startChromium(): Promise<AnyBrowser> {
  const browser = await startBrowser();
  return {
    async open() {
      return chromiumPage(await browser.open("", { ignoreHTTPSErrors: true }));
    },
    [Symbol.asyncDispose]: () => browser[Symbol.asyncDispose](),
  };
}

/** A page of Chromium, driven as one of any browser. */
export function chromiumPage({ page, context }: Pick<TestPage, "page" | "context">): AnyPage {
  return anyPage({
    goto: (url) => page.goto(url),
    back: () => page.goBack({ waitUntil: "commit" }),
    click: (selector) => page.click(selector),
    type: (text) => page.keyboard.type(text),
    evaluate: (expression) => page.evaluate(expression),
    close: () => context.close(),
  });
}
