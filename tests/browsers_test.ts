/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * What a reader meets most, in every browser; `never_stale_test.ts` has the rest, in Chromium.
 *
 * @module
 */
import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import type { AnyBrowser, AnyPage } from "./any_browser.ts";
import { changes, type ModelApp, shown, startModelApp, untilCurrent } from "./apps/model_app.ts";
import { type BrowserKind, BROWSERS } from "./browsers.ts";
import { pause, QUICK, until, WITH_BROWSER } from "./kit.ts";
import { startProxy, type TestProxy } from "./proxy.ts";

const LOST = `:root:not(${OPEN_PAGE})`;

/** Everything that one scenario has. */
interface Scene extends AsyncDisposable {
  /** The app. After a restart it is another one. */
  app: ModelApp;
  readonly proxy: TestProxy;
  readonly page: AnyPage;
}

const running = new Map<BrowserKind, AnyBrowser>();

Deno.test.afterAll(async () => {
  await using all = new AsyncDisposableStack();
  for (const browser of running.values()) all.use(browser);
});

/**
 * Opens a page. Firefox takes seconds to start, so scenarios share what is running; one in which no page
 * can be opened is ended, and the next scenario starts another.
 */
async function open(kind: BrowserKind): Promise<AnyPage> {
  const browser = running.get(kind) ?? await kind.start();
  running.set(kind, browser);
  try {
    return await browser.open();
  } catch (error) {
    running.delete(kind);
    await browser[Symbol.asyncDispose]();
    throw error;
  }
}

async function startScene(kind: BrowserKind): Promise<Scene> {
  await using made = new AsyncDisposableStack();
  const latest = { app: startModelApp() };
  made.defer(() => latest.app[Symbol.asyncDispose]());
  const proxy = made.use(startProxy(latest.app.port));
  const page = made.use(await open(kind));
  const dispose = () => all.disposeAsync();
  const scene = Object.assign(latest, { proxy, page, [Symbol.asyncDispose]: dispose });
  await page.goto(proxy.url);
  await page.waitFor(OPEN_PAGE);
  const all = made.move();
  return scene;
}

for (const kind of BROWSERS) {
  const isInstalled = !QUICK && await kind.isInstalled();
  if (!isInstalled && !QUICK) {
    console.log(`NOTICE: ${kind.name} is not installed, its tests are skipped`);
  }
  const options = { ...WITH_BROWSER, ignore: !isInstalled };

  const scenario = (name: string, run: (scene: Scene) => Promise<void>) => {
    async function runAndCheck(): Promise<void> {
      await using scene = await startScene(kind);
      await collectErrors(scene.page);
      await run(scene);
      await isCurrent(scene);
      assert.deepEqual(await errorsOf(scene.page), []);
    }
    Deno.test(`${kind.name}: ${name}`, options, () => runAndCheck().catch(rethrowFirst));
  };

  scenario("pushes are in the page, also those from before it was connected", async (scene) => {
    const { page, app, proxy } = scene;
    changes(app, 3);
    await isCurrent(scene);
    proxy.delayUp = 100;
    const loading = page.goto(proxy.url);
    for (let n = 0; n < 20; n++) {
      changes(app);
      await pause(20);
    }
    await loading;
    proxy.delayUp = 0;
  });

  scenario("20 visits with pushes meanwhile take one socket", async ({ page, app }) => {
    for (let n = 0; n < 20; n++) {
      const visit = goTo(page, n % 2 === 0 ? "b" : "a");
      changes(app);
      await visit;
    }
    assert.equal(app.upgrades, 1);
  });

  scenario("Back shows the newest state", async (scene) => {
    const { page, app } = scene;
    changes(app);
    await goTo(page, "b");
    changes(app, 2);
    await isCurrent(scene);
    await page.back();
    await untilTitle(page, "A");
    changes(app);
  });

  // WebKit takes the page out of its back/forward cache. Firefox loads it again, because it keeps no page
  // that has had a WebSocket.
  scenario("Back from another site shows the newest state", async (scene) => {
    const { page, app, proxy } = scene;
    changes(app);
    await isCurrent(scene);
    await page.goto(`${proxy.url.replace("127.0.0.1", "localhost")}/elsewhere`);
    await until(() => app.turbo.size === 0, "the page has closed its connection");
    changes(app, 3);
    await page.back();
    await untilTitle(page, "A");
  });

  scenario("A form is answered by streams older than pushes to the same targets", async (scene) => {
    const { page, app } = scene;
    for (let n = 0; n < 3; n++) {
      app.slow = 200;
      await page.click("#form button");
      await pause(60);
      changes(app, 3);
      await page.waitFor("#form:not([aria-busy])");
      await isCurrent(scene);
    }
    await untilText(page, "#sent", "yes");
  });

  scenario("A page whose connection was cut comes back by itself", async (scene) => {
    for (let n = 0; n < 2; n++) {
      await away(scene, () => changes(scene.app, 3));
      await isCurrent(scene);
    }
  });

  scenario("The title and the icon say that the connection is lost, while it is", async (scene) => {
    const { page, proxy } = scene;
    const look = () =>
      page.evaluate(() => {
        const icons = document.querySelectorAll<HTMLLinkElement>("head > link[rel=icon]");
        return [document.title, ...Array.from(icons, ({ href }) => href)].join(" ");
      });
    const shows = (expected: string) => until(async () => await look() === expected, expected);
    proxy.refusesAll = true;
    proxy.cut();
    await shows("Offline data:image/png,");
    proxy.refusesAll = false;
    await page.evaluate(() => void dispatchEvent(new Event("online")));
    await shows("A data:,");
  });

  scenario("A page fetches itself again after a restart with another log", async (scene) => {
    changes(scene.app, 3);
    await isCurrent(scene);
    await restart(scene);
  });

  scenario("Typed text, focus and caret live through restarts", async (scene) => {
    const { page } = scene;
    await page.click("#text");
    await page.type("Dear Ann,Yours");
    await page.evaluate(() => (document.activeElement as HTMLInputElement).setSelectionRange(9, 9));
    let expected = "";
    for (let n = 1; n <= 3; n++) {
      await Promise.all([restart(scene), page.type(` it is ${n}`)]);
      await page.type(" now");
      await isCurrent(scene);
      expected += ` it is ${n} now`;
      assert.equal(await page.evaluate(typed), `Dear Ann,${expected}|Yours`);
    }
  });

  scenario("A proxy that refuses WebSockets leads to server-sent events", async (scene) => {
    const { page, app, proxy } = scene;
    proxy.refusesWebSockets = true;
    proxy.cut();
    await page.goto(proxy.url);
    changes(app);
    await isCurrent(scene);
    await goTo(page, "b");
    changes(app, 2);
    await isCurrent(scene);
    await page.back();
    await untilTitle(page, "A");
    await away(scene, () => changes(app));
    await isCurrent(scene);
    assert.equal(app.upgrades, 1, "that of the first page");
  });

  scenario("A page is current after a click on a download and a restart", async (scene) => {
    const { page, app } = scene;
    await page.click("#download");
    // Turbo fetches it, sees that it is no page, and has the browser fetch it.
    await until(() => app.downloads >= 2, "the browser has the download");
    changes(app);
    await isCurrent(scene);
    await restart(scene);
  });
}

/** A page that fails may then fail to close, and that would hide why it failed. */
function rethrowFirst(error: unknown): never {
  while (error instanceof SuppressedError) error = error.suppressed;
  throw error;
}

/** Waits until the page shows the server's state on one connection, and does so after a change. */
async function isCurrent({ page, app }: Scene): Promise<void> {
  const look = () => page.evaluate(shown);
  await page.waitFor(OPEN_PAGE);
  await untilCurrent(app, look);
  // A timer of the page that is to bring an older state fires before this one.
  await page.evaluate(() => {
    Reflect.set(window, "isLater", false);
    setTimeout(() => Reflect.set(window, "isLater", true), 80);
  });
  await until(
    () => page.evaluate(() => Reflect.get(window, "isLater") !== false),
    "the timer has fired",
  );
  app.count(); // comes after all that is under way
  await untilCurrent(app, look);
  await until(() => app.turbo.size === 1, "one connection is open");
}

/** Cuts the connection, and does something before the page can have another. */
async function away({ page, proxy }: Scene, act: () => void | Promise<void>): Promise<void> {
  proxy.refusesAll = true;
  proxy.cut();
  await page.waitFor(LOST);
  await act();
  proxy.refusesAll = false;
}

/** Puts another app in the place of the one that was, with its state and another log. */
async function restart(scene: Scene): Promise<void> {
  await away(scene, async () => {
    const { state } = scene.app;
    await scene.app[Symbol.asyncDispose]();
    scene.app = startModelApp({ state });
    scene.proxy.target = scene.app.port;
    state.count++; // which is not pushed: only the page, fetched again, shows it
  });
}

async function goTo(page: AnyPage, link: "a" | "b"): Promise<void> {
  await page.click(`#${link}`);
  await untilTitle(page, link.toUpperCase());
}

/** Waits until the visit to a page is over. A preview has its title too. */
async function untilTitle(page: AnyPage, title: string): Promise<void> {
  await untilText(page, "html:not([aria-busy]) h1", title);
}

async function untilText(page: AnyPage, selector: string, text: string): Promise<void> {
  const read = (selector: string) => document.querySelector(selector)?.textContent;
  let seen: string | undefined;
  await until(async () => {
    seen = await page.evaluate(read, selector);
    return seen === text;
  }, selector).catch((cause) => {
    throw new Error(`${selector} is ${JSON.stringify(seen)}, not ${JSON.stringify(text)}`, {
      cause,
    });
  });
}

/** What is in the field that has the focus, with the caret in it. Runs in the page. */
function typed(): string {
  const field = document.activeElement;
  if (!(field instanceof HTMLInputElement)) return `The focus is on ${field?.tagName}`;
  const { value, selectionStart } = field;
  return `${value.slice(0, selectionStart!)}|${value.slice(selectionStart!)}`;
}

/** Has the page keep what goes wrong in it from now on, as long as it is this document. */
function collectErrors(page: AnyPage): Promise<void> {
  return page.evaluate(() => {
    const errors: string[] = [];
    Object.assign(window, { errors });
    addEventListener("error", ({ message }) => errors.push(message));
    addEventListener("unhandledrejection", ({ reason }) => errors.push(String(reason)));
  });
}

function errorsOf(page: AnyPage): Promise<string[]> {
  return page.evaluate(() => Reflect.get(window, "errors") ?? []);
}
