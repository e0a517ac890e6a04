/**
 * One small interface to a page in any browser, so that a scenario is written once and runs in all.
 *
 * @module
 */
import { directory, until, within } from "./kit.ts";

/** A running browser. */
export interface AnyBrowser extends AsyncDisposable {
  /** Opens an empty page that shares no cookies, cache or storage with others. */
  open(): Promise<AnyPage>;
}

/** A page. Every action has a deadline. */
export interface AnyPage extends AsyncDisposable {
  /** Goes to a URL, as by the address bar. */
  goto(url: string): Promise<void>;
  /** Goes back, as by the browser's button. */
  back(): Promise<void>;
  /** Clicks an element with the mouse, once it exists. */
  click(selector: string): Promise<void>;
  /** Presses and releases the keys of a text, wherever the focus is. */
  type(text: string): Promise<void>;
  /**
   * Runs a function in the page, with nothing but its arguments, and resolves to what it
   * returns. That must not be a promise, because Firefox does not answer when the page unloads before it is
   * settled. A function that cannot run because its document unloads runs in the next document.
   */
  evaluate<Args extends unknown[], Result>(
    run: (...args: Args) => Result,
    ...args: Args
  ): Promise<Result>;
  /** Waits until an element exists. */
  waitFor(selector: string): Promise<void>;
}

/** The actions that differ between browsers; see {@linkcode AnyPage}. */
export interface PageDriver {
  /** Goes to an address. */
  goto(url: string): Promise<unknown>;
  /** Goes back. */
  back(): Promise<unknown>;
  /** Clicks an element. */
  click(selector: string): Promise<unknown>;
  /** Presses keys. */
  type(text: string): Promise<unknown>;
  /** The value of an expression, which must be a string. */
  evaluate(expression: string): Promise<unknown>;
  /** Closes the page and its context. */
  close(): Promise<unknown>;
}

/** How Chromium and WebKit report that a document unloads; Firefox continues in the next by itself. */
const DOCUMENT_GONE = /context was destroyed|no such frame/;

/** The page that a driver drives. */
export function anyPage(driver: PageDriver): AnyPage {
  const page: AnyPage = {
    async goto(url) {
      await within(driver.goto(url), `the page to go to ${url}`);
    },
    async back() {
      await within(driver.back(), "the page to go back");
    },
    async click(selector) {
      await within(driver.click(selector), `a click on ${selector}`);
    },
    async type(text) {
      await within(driver.type(text), `the keys of ${text}`);
    },
    async evaluate<Args extends unknown[], Result>(
      run: (...args: Args) => Result,
      ...args: Args
    ): Promise<Result> {
      // As text, because WebKit's driver reorders the members of an object.
      const expression = `JSON.stringify({ result: (${run})(...${JSON.stringify(args)}) })`;
      let json = "";
      await until(async () => {
        try {
          json = await driver.evaluate(expression) as string;
          return true;
        } catch (error) {
          if (!DOCUMENT_GONE.test(String(error))) throw error;
          return false;
        }
      }, `the page has run ${run}`);
      return JSON.parse(json).result;
    },
    async waitFor(selector) {
      const isThere = () =>
        page.evaluate((selector) => document.querySelector(selector) !== null, selector);
      await until(isThere, `${selector} is there`);
    },
    async [Symbol.asyncDispose]() {
      await within(driver.close(), "the page to close");
    },
  };
  return page;
}

/**
 * A home directory for one browser, so that it neither finds nor leaves anything of a user's. Firefox
 * does not start for root in the home of another user.
 */
export interface TestHome extends AsyncDisposable {
  /** Its path. */
  readonly path: string;
  /** The whole environment of a program that has this home. */
  readonly env: Record<string, string>;
}

/** Makes a home, which is removed with the test. */
export function makeHome(): TestHome {
  const home = directory();
  return {
    path: home.path,
    env: { PATH: Deno.env.get("PATH") ?? "", HOME: home.path, TMPDIR: home.path },
    // The browser's helper processes end a moment later, and write there until then.
    [Symbol.asyncDispose]: () =>
      until(() => {
        try {
          home[Symbol.dispose]();
          return true;
        } catch {
          return false;
        }
      }, `${home.path} is removed`),
  };
}
