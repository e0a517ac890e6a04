/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * People and programs that use an app while it is deployed: writers in browsers, a poster, and a visitor who
 * loads pages.
 *
 * @module
 */
import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import type { AnyPage } from "./any_browser.ts";
import { pause, until } from "./kit.ts";
import { assertWhole } from "./protocol_readers.ts";

/** Text around the caret of a writer. */
const [HEAD, TAIL] = ["Dear all, ", " Yours, Ann"];

/** What a page of a writer collects, until it is loaded again. */
declare const disturbances: string[];

/** Somebody who writes into a field of `apps/deployed_app.ts`, in the middle of a text. */
export class Writer {
  readonly #page: AnyPage;
  readonly #field: string;
  #typed = "";

  private constructor(page: AnyPage, field: string) {
    this.#page = page;
    this.#field = field;
  }

  /** Opens the app in a page, and begins to write into the field with this id. */
  static async start(page: AnyPage, url: string, field: string): Promise<Writer> {
    await page.goto(url);
    await page.waitFor(OPEN_PAGE);
    await page.click(`#${field}`);
    await page.type(HEAD + TAIL);
    await page.evaluate((caret: number) => {
      (document.activeElement as HTMLTextAreaElement).setSelectionRange(caret, caret);
      const found: string[] = [];
      Object.assign(globalThis, { disturbances: found });
      document.addEventListener("focusout", () => found.push("It lost the focus"));
      addEventListener("error", ({ message }) => found.push(message));
      addEventListener("unhandledrejection", ({ reason }) => found.push(String(reason)));
      console.error = (...said: unknown[]) => found.push(said.join(" "));
    }, HEAD.length);
    return new Writer(page, field);
  }

  /** Types something more, wherever the caret is. */
  async type(text: string): Promise<void> {
    await this.#page.type(text);
    this.#typed += text;
  }

  /**
   * Asserts that the field has what was typed, the focus, and the caret where it was, that there was no error,
   * and that the page was never fetched again.
   */
  async assertUndisturbed(when: string): Promise<void> {
    const found = await this.#page.evaluate(() => {
      const { id, value, selectionStart, selectionEnd } = document
        .activeElement as HTMLTextAreaElement;
      const fetched = performance.getEntries().filter(({ entryType, name }) =>
        /^(?:navigation|resource)$/.test(entryType) && new URL(name).pathname === "/"
      );
      return { id, value, selectionStart, selectionEnd, disturbances, fetches: fetched.length };
    });
    const caret = HEAD.length + this.#typed.length;
    assert.deepEqual(found, {
      id: this.#field,
      value: HEAD + this.#typed + TAIL,
      selectionStart: caret,
      selectionEnd: caret,
      disturbances: [],
      fetches: 1,
    }, when);
  }

  /** Waits until the page follows the log again. */
  async isOpen(): Promise<void> {
    await this.#page.waitFor(OPEN_PAGE);
  }

  /** Asserts that the list is 1, 2, 3 and so on up to a number, as soon as it is as long. */
  async assertShows(count: number, when: string): Promise<void> {
    let shown: number[] = [];
    await until(async () => {
      shown = await this.#page.evaluate(() =>
        [...document.querySelectorAll("#list li")].map(({ textContent }) => Number(textContent))
      );
      return shown.length >= count;
    }, `the page ${when} has all`);
    assertWhole(shown, `${this.#field} ${when}`);
    assert.equal(shown.length, count);
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
