/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * People and programs that use an app while it is deployed: writers in browsers, and a poster.
 *
 * @module
 */
import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import type { TestBrowser, TestPage } from "./browser.ts";
import { pause } from "./kit.ts";
import { assertWhole } from "./protocol_readers.ts";

/** Text around the caret of a writer. */
const [HEAD, TAIL] = ["Dear all, ", " Yours, Ann"];

/** Somebody who writes into a field of `apps/deployed_app.ts`, in the middle of a text. */
export class Writer {
  /** The page, its errors and its requests. */
  readonly tab: TestPage;
  readonly #field: string;
  #typed = "";

  private constructor(tab: TestPage, field: string) {
    this.tab = tab;
    this.#field = field;
  }

  /** Opens the page and begins to write into the field with this id. */
  static async start(browser: TestBrowser, url: string, field: string): Promise<Writer> {
    const tab = await browser.open("", { ignoreHTTPSErrors: true });
    const { page } = tab;
    await page.goto(url);
    await page.waitForSelector(OPEN_PAGE);
    await page.focus(`#${field}`);
    await page.keyboard.type(HEAD + TAIL);
    for (const _ of TAIL) await page.keyboard.press("ArrowLeft");
    await page.evaluate(() =>
      document.addEventListener("focusout", () => console.error("It lost the focus"))
    );
    return new Writer(tab, field);
  }

  /** Types something more, wherever the caret is. */
  async type(text: string): Promise<void> {
    await this.tab.page.keyboard.type(text);
    this.#typed += text;
  }

  /** Asserts that the field has what was typed, the focus, and the caret where it was. */
  async assertUndisturbed(when: string): Promise<void> {
    const field = await this.tab.page.evaluate(() => {
      const { id, value, selectionStart, selectionEnd } = document
        .activeElement as HTMLTextAreaElement;
      return { id, value, selectionStart, selectionEnd };
    });
    const caret = HEAD.length + this.#typed.length;
    assert.deepEqual(field, {
      id: this.#field,
      value: HEAD + this.#typed + TAIL,
      selectionStart: caret,
      selectionEnd: caret,
    }, when);
  }

  /** Waits until the page follows the log again. */
  async isOpen(): Promise<void> {
    await this.tab.page.waitForSelector(OPEN_PAGE);
  }

  /** Asserts that the list is 1, 2, 3 and so on up to a number, as soon as it is as long. */
  async assertShows(count: number, when: string): Promise<void> {
    const { page } = this.tab;
    await page.waitForFunction(
      (count) => document.querySelectorAll("#list li").length >= count,
      count,
    );
    const shown = await page.evaluate(() =>
      [...document.querySelectorAll("#list li")].map(({ textContent }) => Number(textContent))
    );
    assertWhole(shown, `${this.#field} ${when}`);
    assert.equal(shown.length, count);
  }

  /** How often the page was requested. */
  get loads(): number {
    return this.tab.requests.filter((url) => new URL(url).pathname === "/").length;
  }
}

/** Options of a {@linkcode Poster} and a {@linkcode Visitor}. */
export interface ClientOptions {
  /** The client for requests, such as one that trusts a certificate. */
  client?: Deno.HttpClient;
}

/** Posts 1, 2, 3 and so on, each as soon as the one before is in the log, until it is stopped. */
export class Poster {
  /** The number that is in the log. */
  count = 0;
  /** What was wrong with the answers. */
  readonly failures: string[] = [];
  readonly #posting: Promise<void>;
  #isOver = false;

  /** Starts to post to the app at this URL. */
  constructor(url: string, options: ClientOptions = {}) {
    this.#posting = (async () => {
      while (!this.#isOver) {
        // The app appends each number once, so it can be posted again where the answer has failed.
        const { failure } = await ask(new URL(`/items/${this.count + 1}`, url), {
          ...options,
          method: "POST",
        });
        if (failure === undefined) this.count++;
        else this.failures.push(failure);
        await pause(20);
      }
    })();
  }

  /** Stops. Resolves to the last number. */
  async stop(): Promise<number> {
    this.#isOver = true;
    await this.#posting;
    return this.count;
  }
}

/** Loads the page with its scripts again and again until it is stopped. */
export class Visitor {
  /** How often it has loaded the page. */
  loads = 0;
  /** What was wrong with the answers. */
  readonly failures: string[] = [];
  /** The longest time without a page, in milliseconds. */
  outage = 0;
  readonly #visiting: Promise<void>;
  #isOver = false;

  /** Starts to load this URL. `onPage` is called with each page. */
  constructor(
    url: string,
    { onPage = () => {}, ...options }: ClientOptions & { onPage?: (html: string) => void } = {},
  ) {
    this.#visiting = (async () => {
      let loadedAt = performance.now();
      while (!this.#isOver) {
        const page = await ask(url, options);
        const scripts = [...page.text.matchAll(/ src="([^"]+)"/g)].map(([, path]) => path!);
        const all = [
          page,
          ...await Promise.all(scripts.map((path) => ask(new URL(path, url), options))),
        ];
        const failures = all.flatMap(({ failure = [] }) => failure);
        this.failures.push(...failures);
        if (failures.length === 0) {
          onPage(page.text);
          this.loads++;
          this.outage = Math.max(this.outage, performance.now() - loadedAt);
          loadedAt = performance.now();
        }
        await pause(20);
      }
    })();
  }

  /** Stops. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#visiting;
  }
}

async function ask(
  url: string | URL,
  options: RequestInit & ClientOptions,
): Promise<{ text: string; failure?: string }> {
  try {
    const response = await fetch(url, options);
    const text = await response.text();
    return response.ok ? { text } : { text: "", failure: `${url}: ${response.status} ${text}` };
  } catch (error) {
    return { text: "", failure: `${url}: ${error}` };
  }
}
