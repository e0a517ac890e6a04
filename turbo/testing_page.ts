/**
 * A reader without a browser, for tests: it opens a page of an app in the same process, follows its
 * stream, and shows what the page has.
 *
 * @module
 */
import {
  callback,
  checkOptions,
  checkValue,
  milliseconds,
  quote,
  type Rule,
  text,
  withMethods,
} from "./checks.ts";
import {
  attribute,
  type DomElement,
  loadParser,
  type PageDocument,
  visibleText,
} from "./testing_document.ts";
import { type Fields, formOf, isDisabled, isSubmitter } from "./testing_form.ts";
import { pathOf, Requests, type TestApp } from "./testing_requests.ts";
import { type PageState, TestTab } from "./testing_tab.ts";

export type { Fields, PageState, TestApp };

/** Options of {@linkcode openPage}. */
export interface OpenPageOptions {
  /** The cookies that it begins with, and keeps. Give those of another page for a second tab. */
  cookies?: Map<string, string>;
  /** Header fields of each of its requests. */
  headers?: Record<string, string>;
  /** Where the app seems to be. Default `http://localhost`. */
  origin?: string;
  /** Milliseconds for which it waits for what a test expects. Default 5,000. */
  deadline?: number;
}

/** What {@linkcode TestPage.shows} looks at, and for how long. */
export interface ShowsOptions {
  /** A CSS selector: what it finds. Default: the whole page. */
  in?: string;
  /** Milliseconds. Default: that of the page. */
  deadline?: number;
}

/** What is clicked: a CSS selector, or the text of a link or button. */
export type ClickTarget = string | { readonly text: string };

/** A page that a reader without a browser has open. */
export interface TestPage extends AsyncDisposable {
  /** The path and query of what it shows. */
  readonly path: string;
  /** The status of the answer that it shows. */
  readonly status: number;
  /** How it is. */
  readonly state: PageState;
  /** The cookies, by name. Their domains, paths and times are not looked at. */
  readonly cookies: Map<string, string>;

  /**
   * The text that a reader sees, white space collapsed: of the page, or of what a CSS selector finds. It
   * goes by the markup: no style is looked at.
   *
   * @throws {Error} where it finds nothing
   */
  text(selector?: string): string;

  /**
   * The HTML of the page, or of what a CSS selector finds.
   *
   * @throws {Error} where it finds nothing
   */
  html(selector?: string): string;

  /** How many elements a CSS selector finds. */
  count(selector: string): number;

  /**
   * Waits until the page shows a text.
   *
   * @throws {Error} that says what it shows, when it does not at the deadline
   */
  shows(expected: string | RegExp, options?: ShowsOptions): Promise<void>;

  /**
   * Waits until the page does not show a text; it may never have shown it.
   *
   * @throws {Error} that says what it shows, when it still does at the deadline
   */
  lacks(unexpected: string | RegExp, options?: ShowsOptions): Promise<void>;

  /**
   * Waits until a condition holds, such as `() => page.state === "away"`.
   *
   * @throws {Error} that says what the page shows, when it does not at the deadline
   */
  until(condition: () => boolean, options?: Pick<ShowsOptions, "deadline">): Promise<void>;

  /** Goes to another page of the app, or to the same one again. */
  visit(path: string): Promise<void>;

  /**
   * Follows a link, or sends a form by a button of it.
   *
   * @throws {Error} where there is not exactly one such element, or nothing follows a click on it
   */
  click(target: ClickTarget): Promise<void>;

  /**
   * Fills in a form and sends it, as Turbo does, by its first button.
   *
   * @throws {Error} where there is not exactly one such form, or Turbo cannot take the answer
   * @throws {TypeError} where it has no such field
   */
  submit(form: string, fields?: Fields): Promise<void>;

  /** Closes it, as a reader closes a tab. */
  close(): Promise<void>;
}

/** Milliseconds between two looks at what a test waits for. */
const LOOK_AGAIN = 5;
/** Characters of a page that a message shows. */
const MAX_SHOWN = 1_000;

const NAME = text((name) => name !== "", "a text");

const OPTION_RULES = {
  cookies: withMethods("get", "set", "delete", "entries"),
  headers: {
    allowed: "an object of texts",
    problem: (value) =>
      typeof value === "object" && value !== null && !Array.isArray(value) &&
        Object.values(value).every((one) => typeof one === "string")
        ? undefined
        : "type",
  },
  origin: text(
    (origin) => URL.parse(origin)?.origin === origin,
    "an origin such as http://localhost",
  ),
  deadline: milliseconds(0, 2 ** 31 - 1),
} satisfies Record<keyof OpenPageOptions, Rule>;

const SHOWS_RULES = {
  in: NAME,
  deadline: OPTION_RULES.deadline,
} satisfies Record<keyof ShowsOptions, Rule>;

const FIELD: Rule = {
  allowed: "a text, true or false, or a list of texts",
  problem: (value) =>
    typeof value === "string" || typeof value === "boolean" ||
      (Array.isArray(value) && value.every((one) => typeof one === "string"))
      ? undefined
      : "type",
};

const EXPECTED: Rule = {
  allowed: "a text or a regular expression",
  problem: (value) =>
    value instanceof RegExp || (typeof value === "string" && value !== "") ? undefined : "type",
};

/**
 * Opens a page of an app and follows its stream, as a browser does with Turbo and the client of this
 * package, by the same rules: without a server, a socket or a permission. No script and no style is run,
 * and nothing is morphed: what is pushed with `morph` replaces.
 *
 * @throws {Error} where the page cannot be had, or its stream cannot be reached
 * @throws {TypeError | RangeError} where an option is wrong or unknown
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { append, html, Turbo } from "./mod.ts";
 * import { openPage } from "./testing.ts";
 *
 * const turbo = new Turbo();
 * const app = new Hono();
 * app.use(turbo.middleware());
 * app.get("/", (c) => c.html(html`<head>${turbo.head(c)}</head><ul id="list"></ul>`));
 *
 * await using page = await openPage(app, "/");
 * turbo.push(append("list", html`<li>milk</li>`));
 * await page.shows("milk");
 * ```
 */
export async function openPage(
  app: TestApp,
  path = "/",
  options: OpenPageOptions = {},
): Promise<TestPage> {
  checkValue("openPage()", "app", app, withMethods("fetch"));
  checkValue("openPage()", "path", path, NAME);
  const given = checkOptions("openPage()", options, OPTION_RULES);
  const { cookies = new Map(), headers = {}, origin = "http://localhost" } = given;
  const requests = new Requests(app, { cookies, headers });
  const parse = await loadParser();
  const page = new Page(new TestTab({ requests, parse, origin: new URL(origin) }), {
    requests,
    deadline: given.deadline ?? 5_000,
  });
  try {
    await page.visit(path);
    if (page.state === "closed" || page.state === "connecting") {
      throw new Error(`Cannot follow the stream of ${page.describe()}`);
    }
  } catch (error) {
    await page.close();
    throw error;
  }
  return page;
}

class Page implements TestPage {
  readonly #tab: TestTab;
  readonly #requests: Requests;
  readonly #deadline: number;

  constructor(
    tab: TestTab,
    { requests, deadline }: { requests: Requests; deadline: number },
  ) {
    this.#tab = tab;
    this.#requests = requests;
    this.#deadline = deadline;
  }

  get path(): string {
    return pathOf(this.#tab.url);
  }

  get cookies(): Map<string, string> {
    return this.#requests.cookies;
  }

  get status(): number {
    return this.#tab.status;
  }

  get state(): PageState {
    return this.#tab.state;
  }

  text(selector?: string): string {
    return this.#find(selector ?? "body").map(visibleText).join(" ");
  }

  html(selector?: string): string {
    return this.#find(selector ?? "html").map((element) => this.#tab.document.html(element)).join(
      "",
    );
  }

  count(selector: string): number {
    checkValue("page.count()", "selector", selector, NAME);
    return this.#tab.document.all(selector).length;
  }

  async shows(expected: string | RegExp, options: ShowsOptions = {}): Promise<void> {
    checkValue("page.shows()", "expected", expected, EXPECTED);
    const given = checkOptions("page.shows()", options, SHOWS_RULES);
    const words = wordsOf(expected, given.in);
    await this.#wait(() => matches(this.#textIn(given.in), expected), given, words);
  }

  async lacks(unexpected: string | RegExp, options: ShowsOptions = {}): Promise<void> {
    checkValue("page.lacks()", "unexpected", unexpected, EXPECTED);
    const given = checkOptions("page.lacks()", options, SHOWS_RULES);
    const words = `the end of ${wordsOf(unexpected, given.in)}`;
    await this.#wait(() => !matches(this.#textIn(given.in), unexpected), given, words);
  }

  async until(condition: () => boolean, options: ShowsOptions = {}): Promise<void> {
    checkValue("page.until()", "condition", condition, callback);
    const given = checkOptions("page.until()", options, { deadline: SHOWS_RULES.deadline });
    await this.#wait(condition, given, String(condition));
  }

  async visit(path: string): Promise<void> {
    checkValue("page.visit()", "path", path, NAME);
    await this.#answered(this.#tab.go(this.#tab.urlOf(path)), path);
  }

  async click(target: ClickTarget): Promise<void> {
    const element = this.#clicked(target);
    const document = this.#tab.document;
    const link = document.closest(element, "a[href]");
    if (link) {
      return await this.#answered(this.#tab.follow(link), document.html(link));
    }
    const button = document.closest(element, "button, input");
    const form = button && isSubmitter(button) ? formOf(document, button) : undefined;
    if (!form || !button || isDisabled(document, button)) {
      throw new Error(
        `Cannot click ${document.html(element)}: a link, or a button that sends a form, is needed`,
      );
    }
    await this.#answered(this.#tab.submit(form, { button }), document.html(button));
  }

  async submit(selector: string, fields: Fields = {}): Promise<void> {
    checkValue("page.submit()", "form", selector, NAME);
    checkFields(fields);
    const form = this.#one(selector);
    if (form.tagName !== "form") {
      throw new Error(`Cannot submit ${quote(selector)}: that is a <${form.tagName}>, and no form`);
    }
    await this.#answered(this.#tab.submit(form, { fields }), selector);
  }

  async close(): Promise<void> {
    await this.#tab.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The page in words. */
  describe(): string {
    const problems = [...this.#tab.problems].map((problem) => `; ${problem}`).join("");
    const shown = this.#textIn(undefined);
    const text = shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown;
    const hint = this.state === "static" ? ": it has no turbo.head(), so no push reaches it" : "";
    return `${this.path} (${this.status}, ${this.state}${hint}), which shows ${
      JSON.stringify(text)
    }${problems}`;
  }

  // ---- What is shown.

  #find(selector: string): DomElement[] {
    checkValue("page", "selector", selector, NAME);
    const found = this.#tab.document.all(selector);
    if (found.length > 0) return found;
    throw new Error(`Cannot find ${quote(selector)} in ${this.describe()}`);
  }

  #one(selector: string): DomElement {
    return only(this.#find(selector), quote(selector), this.#tab.document);
  }

  #textIn(selector: string | undefined): string {
    return this.#tab.document.all(selector ?? "body").map(visibleText).join(" ");
  }

  #clicked(target: ClickTarget): DomElement {
    if (typeof target === "string") return this.#one(target);
    const { text: label } = checkOptions("page.click()", target, { text: NAME });
    checkValue("page.click()", "text", label, NAME);
    const found = this.#tab.document.all("a[href], button, input").filter((element) =>
      (element.tagName === "input" ? attribute(element, "value") : visibleText(element)) === label
    );
    if (found.length > 0) return only(found, quote(label), this.#tab.document);
    throw new Error(`Cannot find a link or button ${quote(label)} in ${this.describe()}`);
  }

  async #wait(
    condition: () => boolean,
    { deadline = this.#deadline }: ShowsOptions,
    words: string,
  ): Promise<void> {
    const end = performance.now() + deadline;
    while (!condition()) {
      if (performance.now() > end) {
        throw new Error(this.#inVain(deadline, words));
      }
      await pause(LOOK_AGAIN);
    }
  }

  #inVain(deadline: number, words: string): string {
    return `Waited ${deadline} ms in vain for ${words}: ${this.describe()}`;
  }

  /** Waits until the app has answered, and the page follows its stream or it is known that it does not. */
  async #answered(work: Promise<void>, words: string): Promise<void> {
    let timer;
    const late = new Promise<never>((_, reject) => {
      const tell = () => reject(new Error(this.#inVain(this.#deadline, `an answer to ${words}`)));
      timer = setTimeout(tell, this.#deadline);
    });
    try {
      await Promise.race([work, late]); // which handles both, whenever they reject
    } finally {
      clearTimeout(timer);
    }
    await this.#wait(
      () => this.state !== "connecting",
      {},
      "the page to follow its stream",
    );
  }
}

function checkFields(fields: Fields): void {
  const rules = Object.fromEntries(Object.keys(fields ?? {}).map((name) => [name, FIELD]));
  checkOptions("page.submit()", fields, rules);
  for (const [name, value] of Object.entries(fields)) {
    checkValue("page.submit()", name, value, FIELD); // one that is `undefined` too
  }
}

function only(found: readonly DomElement[], words: string, document: PageDocument): DomElement {
  const [element] = found;
  if (element && found.length === 1) return element;
  const all = found.map((one) => document.html(one).slice(0, 100)).join(", ");
  throw new Error(`Cannot choose among ${found.length} elements for ${words}: ${all}`);
}

function matches(shown: string, expected: string | RegExp): boolean {
  return typeof expected === "string" ? shown.includes(expected) : shown.search(expected) >= 0;
}

function wordsOf(expected: string | RegExp, selector: string | undefined): string {
  const words = typeof expected === "string" ? quote(expected) : String(expected);
  return selector === undefined ? words : `${words} in ${quote(selector)}`;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
