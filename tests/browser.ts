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
import semibold from "npm:@expo-google-fonts/inter@0.4.2/600SemiBold/Inter_600SemiBold.ttf" with {
  type: "bytes",
};
import type { Browser, BrowserContext, LaunchOptions, Page } from "npm:playwright-core@1.65.1";
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
  const browser = await chromium.launch({
    executablePath: await executable(),
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    timeout: DEADLINE,
    ...options,
  });
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
    [Symbol.asyncDispose]: () => browser.close(),
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

// The package unpacks into the directory for temporary files; here it is kept between runs. On a
// machine without the libraries that it needs, it uses its own if it believes that it runs on Lambda.
// The lock is for test files that run at the same time: the package uses a file that is still being
// unpacked as if it were complete.
async function executable(): Promise<string> {
  await Deno.mkdir(`${CACHE}type`, { recursive: true });
  using lock = await Deno.open(`${CACHE}lock`, { create: true, write: true });
  await lock.lock(true);
  Deno.env.set("TMPDIR", CACHE);
  Deno.env.set("AWS_EXECUTION_ENV", "AWS_Lambda_nodejs22.x");
  Deno.env.set("FONTCONFIG_FILE", await fontconfig());
  const { default: packaged } = await import("npm:@sparticuz/chromium@153.0.0");
  return await packaged.executablePath();
}

// A bare machine has no fonts, and would show pages without text.
async function fontconfig(): Promise<string> {
  await replaceFile(`${CACHE}type/regular.ttf`, regular);
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
