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
import { assertWhole, listPageIn } from "./protocol_readers.ts";

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

  /** The errors of the page, without those that the browser logs of a server that is not there. */
  get errors(): string[] {
    return this.tab.errors.filter((error) => !/WebSocket|net::ERR/.test(error));
  }
}

/** Posts 1, 2, 3 and so on, each as soon as the one before is in the log, until it is stopped. */
export class Poster {
  /** The number that is in the log. */
  count = 0;
  /** The answers that were none, or not 200. */
  readonly failures: string[] = [];
  readonly #posting: Promise<void>;
  #isOver = false;

  /** Starts to post to the app at this URL. */
  constructor(url: string, { client }: { client?: Deno.HttpClient } = {}) {
    const options = { method: "POST", ...(client && { client }) };
    this.#posting = (async () => {
      while (!this.#isOver) {
        // The app takes each number once, so it can be posted again where the answer has failed.
        while (!await this.#asked(new URL(`/items/${this.count + 1}`, url), options)) {
          await pause(20);
        }
        this.count++;
        await pause(20);
      }
    })();
  }

  async #asked(url: URL, options: RequestInit): Promise<boolean> {
    const failure = await failureOf(url, options, () => {});
    if (failure !== undefined) this.failures.push(failure);
    return failure === undefined;
  }

  /** Stops. Resolves to the last number. */
  async stop(): Promise<number> {
    this.#isOver = true;
    await this.#posting;
    return this.count;
  }
}

/** Loads the page again and again until it is stopped. Each must have a list without holes. */
export class Visitor {
  /** How often it has loaded the page. */
  loads = 0;
  /** What was wrong with the answers. */
  readonly failures: string[] = [];
  readonly #visiting: Promise<void>;
  #isOver = false;

  /** Starts to load this URL. `onPage` is called with each page. */
  constructor(
    url: string,
    { client, onPage = () => {} }: { client?: Deno.HttpClient; onPage?: (html: string) => void } =
      {},
  ) {
    this.#visiting = (async () => {
      while (!this.#isOver) {
        const failure = await failureOf(url, client ? { client } : {}, (html) => {
          assertWhole(listPageIn(html).items, "a page");
          onPage(html);
        });
        this.loads++;
        if (failure !== undefined) this.failures.push(failure);
        await pause(10);
      }
    })();
  }

  /** Stops. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#visiting;
  }
}

async function failureOf(
  url: string | URL,
  options: RequestInit & { client?: Deno.HttpClient },
  take: (text: string) => void,
): Promise<string | undefined> {
  try {
    const response = await fetch(url, options);
    const text = await response.text();
    if (!response.ok) return `${response.status} ${text.slice(0, 100)}`;
    take(text);
    return undefined;
  } catch (error) {
    return String(error);
  }
}
