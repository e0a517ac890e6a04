/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * A real Chromium from npm, for tests.
 *
 * @module
 */
import regular from "npm:@expo-google-fonts/inter@0.4.2/400Regular/Inter_400Regular.ttf" with {
  type: "bytes",
};
import medium from "npm:@expo-google-fonts/inter@0.4.2/500Medium/Inter_500Medium.ttf" with {
  type: "bytes",
};
import semibold from "npm:@expo-google-fonts/inter@0.4.2/600SemiBold/Inter_600SemiBold.ttf" with {
  type: "bytes",
};
import type { Browser, BrowserContext, LaunchOptions, Page } from "npm:playwright-core@1.65.1";
import { type UnpackedChromium, unpackedChromium } from "./chromium.ts";
import { lockInterfaces } from "./interfaces.ts";
import { assertNotQuick, DEADLINE } from "./kit.ts";

export type { Page };

/** A browser for one test, which ends with the test. */
export interface TestBrowser extends AsyncDisposable {
  /** The browser itself. */
  readonly browser: Browser;
  /** A page in a context of its own, whose errors are collected. */
  open(url: string, options?: Parameters<Browser["newContext"]>[0]): Promise<TestPage>;
}

/** A page and its errors. */
export interface TestPage {
  /** The page. */
  readonly page: Page;
  /** Its context. */
  readonly context: BrowserContext;
  /** Console errors, uncaught exceptions and violations of the security policy. */
  readonly errors: string[];
  /** The URLs of all requests. */
  readonly requests: string[];
}

/** Starts a browser. */
export async function startBrowser(options: LaunchOptions = {}): Promise<TestBrowser> {
  assertNotQuick("WITH_BROWSER");
  const { chromium } = await import("npm:playwright-core@1.65.1");
  await using parts = new AsyncDisposableStack();
  parts.use(await lockInterfaces({ toChange: false }));
  const browser = await chromium.launch({
    ...await installed(),
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    timeout: DEADLINE,
    ...options,
  });
  parts.defer(() => browser.close());
  const started = parts.move();
  return {
    browser,
    async open(url, options) {
      const context = await browser.newContext(options);
      context.setDefaultTimeout(DEADLINE);
      const page = await context.newPage();
      const watched = watch(page);
      if (url) await page.goto(url);
      return { page, context, ...watched };
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** Collects the errors of a page. */
export function watch(page: Page): { errors: string[]; requests: string[] } {
  const errors: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  return { errors, requests };
}

const CACHE = new URL("../.cache/chromium/", import.meta.url).pathname;

/** The environment of the browser, and its program. */
async function installed(): Promise<{ executablePath: string; env: Record<string, string> }> {
  await Deno.mkdir(`${CACHE}type`, { recursive: true });
  // For test files that run at the same time.
  using lock = await Deno.open(`${CACHE}lock`, { create: true, write: true });
  await lock.lock(true);
  const { executablePath, libraries } = await unpacked();
  const FONTCONFIG_FILE = await fontconfig();
  return {
    executablePath,
    env: {
      ...Deno.env.toObject(),
      FONTCONFIG_FILE,
      ...(libraries !== null && { LD_LIBRARY_PATH: libraries }),
    },
  };
}

/** What was found out when it was unpacked, in this run or an earlier one. */
async function unpacked(): Promise<UnpackedChromium> {
  const path = `${CACHE}unpacked.json`;
  try {
    const found: UnpackedChromium = JSON.parse(await Deno.readTextFile(path));
    await Deno.stat(found.executablePath);
    return found;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const found = await unpackedChromium();
  await replaceFile(path, new TextEncoder().encode(JSON.stringify(found)));
  return found;
}

// A bare machine has no fonts, and would show pages without text.
async function fontconfig(): Promise<string> {
  await replaceFile(`${CACHE}type/regular.ttf`, regular);
  await replaceFile(`${CACHE}type/medium.ttf`, medium);
  await replaceFile(`${CACHE}type/semibold.ttf`, semibold);
  const file = `${CACHE}fonts.conf`;
  const conf =
    `<?xml version="1.0"?><fontconfig><dir>${CACHE}type</dir><cachedir>${CACHE}type</cachedir></fontconfig>\n`;
  await replaceFile(file, new TextEncoder().encode(conf));
  return file;
}

// A browser that another test file has started maps the fonts into memory, and its pages crash if such a
// file is truncated and written again. A renamed file leaves the mapped one as it is.
async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const made = `${CACHE}replacement`;
  await Deno.writeFile(made, content);
  await Deno.rename(made, path);
}
