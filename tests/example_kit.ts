/**
 * The kit for the tests of the examples.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Turbo } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type Page, startBrowser, type TestBrowser, type TestPage } from "./browser.ts";
import { serve, until, within } from "./kit.ts";

/** The headers that Turbo sends with a form. */
export const TURBO_FORM = {
  "Accept": "text/vnd.turbo-stream.html, text/html, application/xhtml+xml",
  "Origin": "http://localhost",
};

/** The headers that a browser without JavaScript sends with a form. */
export const PLAIN_FORM = { "Accept": "text/html, */*;q=0.8", "Origin": "http://localhost" };

/** An app, which answers requests. */
interface App {
  hono: {
    fetch: (request: Request) => Response | Promise<Response>;
    request: (path: string, init: RequestInit) => Response | Promise<Response>;
  };
  turbo: Turbo;
}

/** Posts a form to an app, without a server. */
export async function post(
  { hono }: App,
  path: string,
  { fields = {}, headers = TURBO_FORM }: {
    fields?: Record<string, string>;
    headers?: Record<string, string>;
  } = {},
): Promise<Response> {
  return await hono.request(path, { method: "POST", body: new URLSearchParams(fields), headers });
}

/** A served app and a browser. */
export interface Stage extends AsyncDisposable {
  /** The URL of the app. */
  readonly url: string;
  /** The browser. */
  readonly browser: TestBrowser;
  /** Opens a path in a context of its own and waits until the page is connected. */
  open(path?: string): Promise<TestPage>;
  /** The same without JavaScript. */
  openPlain(path?: string): Promise<TestPage>;
  /** Holds back the answers to forms while it does something. */
  beforeAnswer(act: () => Promise<void>): Promise<void>;
}

/** Serves an app and starts a browser. */
export async function stage({ hono, turbo }: App): Promise<Stage> {
  let held: Promise<void> | undefined;
  const server = serve(async (request) => {
    const response = await hono.fetch(request);
    if (request.method === "POST") await held;
    return response;
  });
  await using made = new AsyncDisposableStack();
  made.use(server);
  made.defer(() => within(turbo.close({ window: 0 }), "the stream to close"));
  const browser = made.use(await startBrowser());
  const all = made.move();
  return {
    url: server.url,
    browser,
    async open(path = "/") {
      const opened = await browser.open(server.url + path);
      await opened.page.waitForSelector(OPEN_PAGE);
      return opened;
    },
    openPlain: (path = "/") => browser.open(server.url + path, { javaScriptEnabled: false }),
    async beforeAnswer(act) {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      try {
        await act();
      } finally {
        held = undefined;
        resolve();
      }
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Waits until an element has exactly this text. */
export async function untilText(page: Page, selector: string, text: string): Promise<void> {
  try {
    const found = page.locator(selector).getByText(text, { exact: true });
    await found.or(
      page.locator(selector).filter({ hasText: new RegExp(`^\\s*${escape(text)}\\s*$`) }),
    )
      .first().waitFor({ state: "attached" });
  } catch (error) {
    const [seen] = await page.locator(selector).allTextContents();
    throw new Error(`${selector} is ${JSON.stringify(seen)}, not ${JSON.stringify(text)}`, {
      cause: error,
    });
  }
}

/** Waits until a field holds this value. */
export async function untilValue(page: Page, selector: string, value: string): Promise<void> {
  await until(
    async () => await page.inputValue(selector) === value,
    `${selector} holds ${JSON.stringify(value)}`,
  );
}

/** Asserts that a page has no errors except those of intended error answers. */
export function assertNoErrors(...pages: TestPage[]): void {
  const errors = pages.flatMap((page) => page.errors);
  assert.deepEqual(errors.filter((error) => !error.includes("422")), []);
}

/** Asserts how every example answers requests that are not for it. */
export async function assertGuarded(app: App, path: string): Promise<void> {
  const foreign = { ...TURBO_FORM, Origin: "https://evil.example" };
  assert.equal((await post(app, path, { headers: foreign })).status, 403);
  const none = { Accept: "*/*" };
  assert.equal((await post(app, path, { headers: none })).status, 403);
  const fields = { text: "x".repeat(64 * 1024), name: "x" };
  assert.equal((await post(app, path, { fields })).status, 413);
  const chunked = new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(64 * 1024 + 1));
      controller.close();
    },
  });
  const headers = { ...TURBO_FORM, "Content-Type": "application/x-www-form-urlencoded" };
  const init = { method: "POST", body: chunked, headers, duplex: "half" } as RequestInit;
  assert.equal((await app.hono.request(path, init)).status, 413);
}

/** Asserts that a page loads nothing from other hosts and runs no inline code. */
export async function assertStrict(app: App, path: string): Promise<void> {
  const response = await app.hono.request(path, {});
  assert.equal(response.status, 200);
  const policy = response.headers.get("Content-Security-Policy") ?? "";
  assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self' 'nonce-/);
  assert.match(response.headers.get("Turbo-Cursor") ?? "", /^[A-Za-z0-9._-]{1,64}$/);
  const page = await response.text();
  assert(!/<script(?![^>]* src="\/)|<style|\son\w+=|https?:/.test(page), page);
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
