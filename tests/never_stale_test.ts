import assert from "node:assert/strict";
import { refresh } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { changes, type ModelApp, shown, startModelApp, untilCurrent } from "./apps/model_app.ts";
import { type Page, startBrowser, type TestBrowser, watch } from "./browser.ts";
import { directory, pause, until, WITH_BROWSER } from "./kit.ts";
import { startProxy, type TestProxy } from "./proxy.ts";

const LOST = `:root:not(${OPEN_PAGE})`;

/** Everything that one scenario has. */
interface Scene extends AsyncDisposable {
  app: ModelApp;
  readonly proxy: TestProxy;
  readonly page: Page;
  readonly browser: TestBrowser;
  readonly url: string;
}

// A headless browser's pages are always visible: this hides one as a browser does, with its
// animation frames parked.
const HIDING = () => {
  let hidden = false;
  const parked: FrameRequestCallback[] = [];
  const request = requestAnimationFrame.bind(window);
  globalThis.requestAnimationFrame = (callback) =>
    hidden
      ? parked.push(callback)
      : request((time) => hidden ? parked.push(callback) : callback(time));
  Object.defineProperty(document, "hidden", { get: () => hidden });
  Object.defineProperty(document, "visibilityState", { get: () => hidden ? "hidden" : "visible" });
  Object.assign(window, {
    setHidden(value: boolean) {
      hidden = value;
      document.dispatchEvent(new Event("visibilitychange"));
      if (!hidden) { for (const callback of parked.splice(0)) request(callback); }
    },
  });
};

async function scene(
  browser: TestBrowser,
  options: Parameters<typeof startModelApp>[0] = {},
): Promise<Scene> {
  await using made = new AsyncDisposableStack();
  const app = startModelApp(options);
  made.defer(() => scene.app[Symbol.asyncDispose]()); // by then it may be another
  const proxy = made.use(startProxy(app.port));
  const { page, context } = await browser.open("");
  made.defer(() => context.close());
  const scene = {
    app,
    proxy,
    page,
    browser,
    url: proxy.url,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
  await page.addInitScript(HIDING);
  await page.goto(proxy.url);
  await page.waitForSelector(OPEN_PAGE);
  const all = made.move();
  return scene;
}

function scenario(name: string, run: (scene: Scene) => Promise<void>, options = {}): void {
  Deno.test(name, WITH_BROWSER, async () => {
    await using browser = await startBrowser();
    await using stage = await scene(browser, options);
    const { errors } = watch(stage.page);
    await run(stage);
    await isCurrent(stage);
    assert.deepEqual(
      errors.filter((error) => !/WebSocket|net::ERR|status of 503/.test(error)),
      [],
    );
  });
}

/** Waits until the page shows the server's state on one socket, and does so after one more change. */
async function isCurrent({ page, app }: Pick<Scene, "page" | "app">, pages = 1): Promise<void> {
  await page.waitForSelector(OPEN_PAGE);
  await untilShown(page, app);
  // A timer of the page that is to bring an older state would fire before this one.
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 80)))
    .catch(ignoreNavigation);
  app.count(); // comes after all that is under way
  await untilShown(page, app);
  await until(() => app.turbo.size === pages, `${pages} sockets are open`);
}

function untilShown(page: Page, app: ModelApp): Promise<void> {
  return untilCurrent(app, () => page.evaluate(shown).catch(ignoreNavigation));
}

function setHidden(page: Page, hidden: boolean): Promise<void> {
  return inPage(page, () =>
    page.evaluate(
      (hidden) => (window as unknown as { setHidden(value: boolean): void }).setHidden(hidden),
      hidden,
    ));
}

async function goTo(page: Page, link: "a" | "b" | "slow"): Promise<void> {
  await page.click(`#${link}`);
  await page.waitForSelector(`h1:text-is("${{ a: "A", b: "B", slow: "Slow" }[link]}")`);
}

/** Does something to the line and waits until the page has noticed. */
async function loses(page: Page, cause: () => void): Promise<void> {
  cause();
  await page.waitForSelector(LOST, { state: "attached" });
}

// A visit that finds the line cut makes the browser load the page in full.
async function online(page: Page): Promise<void> {
  await page.evaluate(() => void dispatchEvent(new Event("online"))).catch(ignoreNavigation);
}

// A visit whose request was cut makes Turbo load the page by the browser, whenever that is.
async function inPage<T>(page: Page, evaluate: () => Promise<T>): Promise<T> {
  try {
    return await evaluate();
  } catch (error) {
    ignoreNavigation(error as Error);
    await page.waitForLoadState();
    return await evaluate();
  }
}

function ignoreNavigation(error: Error): undefined {
  if (!/context was destroyed/.test(error.message)) throw error;
}

// ---- a. to p.

scenario(
  "a. Pushes between rendering and connecting are in the page",
  async ({ page, app, proxy }) => {
    proxy.delayUp = 150;
    const loading = page.goto(proxy.url);
    for (let n = 0; n < 30; n++) {
      changes(app);
      await pause(20);
    }
    await loading;
  },
);

scenario("b. Pushes while a Turbo visit is fetching are in the page", async ({ page, app }) => {
  app.slow = 300;
  for (const link of ["slow", "a", "b"] as const) {
    const visit = goTo(page, link);
    for (let n = 0; n < 10; n++) {
      await pause(30);
      changes(app);
    }
    await visit;
    await isCurrent({ page, app });
  }
});

scenario("c. Pushes between a prefetch and the click are in the page", async ({ page, app }) => {
  const prefetched = page.waitForResponse((response) => response.url().endsWith("/b"));
  await page.hover("#b");
  await prefetched;
  changes(app, 3);
  await pause(50);
  await goTo(page, "b");
});

scenario("d. Back and Forward show the newest state", async ({ page, app }) => {
  changes(app);
  await goTo(page, "b");
  changes(app, 2);
  await isCurrent({ page, app });
  await page.goBack();
  await page.waitForSelector('h1:text-is("A")');
  await isCurrent({ page, app });
  changes(app);
  await page.goForward();
  await page.waitForSelector('h1:text-is("B")');
  changes(app);
  await isCurrent({ page, app });
  for (let n = 0; n < 6; n++) {
    await (n % 2 ? page.goForward() : page.goBack());
    changes(app);
  }
});

for (const seconds of [1, 5]) {
  scenario(`e. Offline for ${seconds} s`, (scene) => offline(scene, seconds));
}

async function offline({ page, app, proxy }: Scene, seconds: number): Promise<void> {
  await page.context().setOffline(true);
  proxy.stalled = true;
  proxy.cut();
  await page.waitForSelector(LOST, { state: "attached" });
  for (let n = 0; n < seconds * 4; n++) {
    changes(app);
    await pause(250);
  }
  proxy.stalled = false;
  await page.context().setOffline(false);
}

scenario("f. The server is killed and started anew with another log", async (scene) => {
  const { page, app, proxy } = scene;
  changes(app, 3);
  await isCurrent(scene);
  await loses(page, () => {
    proxy.refusesAll = true;
    proxy.cut();
  });
  const { state } = app;
  await app[Symbol.asyncDispose]();
  const gap = page.evaluate(() =>
    new Promise((resolve) => document.addEventListener("turbo-stream:gap", () => resolve(true)))
  );
  scene.app = startModelApp({ state });
  proxy.target = scene.app.port;
  changes(scene.app, 2);
  proxy.refusesAll = false;
  await online(page);
  assert.equal(await gap, true);
});

for (const code of [1000, 1001, 1012, 1013, 4008]) {
  scenario(`g. The server closes with ${code}`, async ({ page, app }) => {
    await loses(page, () => app.closeLines(code));
    changes(app, 2);
  });
}

scenario("h. Hidden and visible in turns during a burst", async ({ page, app }) => {
  for (let n = 0; n < 10; n++) {
    for (let i = 0; i < 20; i++) changes(app);
    await setHidden(page, n % 2 === 0);
    for (let i = 0; i < 20; i++) changes(app);
    await pause(20);
  }
  await setHidden(page, true);
  changes(app);
  // A hidden page goes on by a timer.
  await isCurrent({ page, app });
  await setHidden(page, false);
});

scenario("h. Frozen with 2,000 pushes meanwhile", async ({ page, app }) => {
  const session = await page.context().newCDPSession(page);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  for (let n = 0; n < 500; n++) changes(app);
  await pause(200);
  await session.send("Page.setWebLifecycleState", { state: "active" });
});

scenario("i. A proxy stalls, cuts within a message and delays either direction", async (scene) => {
  const { page, app, proxy } = scene;
  proxy.stalled = true;
  changes(app, 3);
  await pause(300);
  proxy.stalled = false;
  await isCurrent(scene);
  for (let n = 0; n < 3; n++) {
    await loses(page, () => {
      proxy.cutInMessage();
      changes(app, 2);
    });
    await online(page);
    await isCurrent(scene);
  }
  for (const way of ["delayDown", "delayUp"] as const) {
    proxy[way] = 60;
    const visit = goTo(page, way === "delayDown" ? "b" : "a");
    for (let n = 0; n < 10; n++) {
      changes(app);
      await pause(20);
    }
    await visit;
    await isCurrent(scene);
    proxy[way] = 0;
  }
});

scenario("j. A proxy refuses WebSockets: the same over server-sent events", async (scene) => {
  const { page, app, proxy } = scene;
  proxy.refusesWebSockets = true;
  proxy.cut();
  await page.goto(proxy.url);
  changes(app);
  await isCurrent(scene);
  await goTo(page, "b");
  changes(app, 2);
  await isCurrent(scene);
  await page.goBack();
  changes(app);
  await isCurrent(scene);
  await loses(page, () => proxy.cut());
  changes(app, 2);
  await isCurrent(scene);
  // And back to WebSockets, when the network is another one.
  proxy.refusesWebSockets = false;
  const socket = page.waitForEvent("websocket");
  await loses(page, () => proxy.cut());
  await online(page);
  await socket;
});

scenario("k. More pushes than the log holds while away", async ({ page, app, proxy }) => {
  await loses(page, () => {
    proxy.refusesAll = true;
    proxy.cut();
  });
  changes(app, 30);
  proxy.refusesAll = false;
  await online(page);
}, { log: { maxEntries: 10 } });

scenario("k. A gap that falls into a running visit", async (scene) => {
  const { page, app, proxy } = scene;
  await loses(page, () => {
    proxy.refusesAll = true;
    proxy.cut();
  });
  changes(app, 30);
  proxy.refusesAll = false;
  app.slow = 700;
  const visit = goTo(page, "slow");
  await pause(50);
  await online(page);
  await pause(100);
  changes(app, 30);
  await visit;
  app.slow = 0;
  await isCurrent(scene);
}, { log: { maxEntries: 10 } });

scenario("k. A gap while the server fails for a while", async ({ page, app, proxy }) => {
  await page.route("**/*", (route) => route.fulfill({ status: 503, body: "busy" }));
  await loses(page, () => {
    proxy.refusesAll = true;
    proxy.cut();
  });
  changes(app, 30);
  proxy.refusesAll = false;
  await online(page);
  await page.waitForResponse((response) => response.status() === 503);
  const fetched = page.waitForResponse((response) => response.status() === 200);
  await page.unroute("**/*");
  await fetched;
}, { log: { maxEntries: 10 } });

scenario(
  "k. A refresh that is pushed is not lost in a visit or put off by the next",
  async (scene) => {
    const { page, app } = scene;
    app.slow = 300;
    const visit = goTo(page, "b");
    await pause(50);
    app.state.count++; // told by nothing but the refresh
    app.turbo.push(refresh());
    await visit;
    app.slow = 0;
    await page.waitForFunction(() => document.getElementById("count")?.textContent === "1");
    // Turbo by itself would wait until no more come for 150 ms.
    const pushing = setInterval(() => {
      app.countInner(); // a refresh right behind a marker would be the answer to a gap
      app.state.count++;
      app.turbo.push(refresh());
    }, 30);
    try {
      await page.waitForFunction(() => document.getElementById("count")?.textContent !== "1");
    } finally {
      clearInterval(pushing);
    }
  },
);

scenario(
  "l. A frame's answer older than pushes to targets inside and outside it",
  async (scene) => {
    const { page, app } = scene;
    for (let n = 0; n < 3; n++) {
      app.slow = 250;
      const answered = page.waitForResponse((response) => response.url().endsWith("/frame"));
      await page.click("#reload");
      await pause(80);
      changes(app, 3);
      await answered;
      await isCurrent(scene);
    }
  },
);

scenario("l. A frame's answer newer than what the line has brought", async (scene) => {
  const { page, app, proxy } = scene;
  const direct = app.url;
  for (let n = 0; n < 3; n++) {
    proxy.delayDown = 250; // the line is late, and so is the answer: it goes around the proxy
    await page.route("**/frame", async (route) => {
      const { status, body, headers } = await fetch(`${direct}/frame`).then(async (response) => ({
        status: response.status,
        body: await response.text(),
        headers: Object.fromEntries(response.headers),
      }));
      await route.fulfill({ status, body, headers });
    });
    changes(app, 2);
    const rendered = page.evaluate(() =>
      new Promise((resolve) =>
        document.addEventListener("turbo:frame-render", resolve, { once: true })
      ).then(() => true)
    );
    await page.click("#reload");
    await rendered;
    changes(app);
    await isCurrent(scene);
  }
});

scenario("m. A form answered by streams older than pushes to the same targets", async (scene) => {
  const { page, app } = scene;
  for (let n = 0; n < 3; n++) {
    app.slow = 250;
    const answered = page.waitForResponse((response) => response.url().endsWith("/form"));
    await page.click("#form button");
    await pause(80);
    changes(app, 3);
    await answered;
    await isCurrent(scene);
    await page.waitForFunction(() => document.getElementById("sent")?.textContent === "yes");
    await isCurrent(scene);
  }
});

scenario("m. A form answered by streams newer than what the line has brought", async (scene) => {
  const { page, app, proxy } = scene;
  const direct = app.url;
  for (let n = 0; n < 3; n++) {
    proxy.delayDown = 250;
    await page.route("**/form", async (route) => {
      const response = await fetch(`${direct}/form`, { method: "POST" });
      const body = await response.text();
      await route.fulfill({ status: 200, body, headers: Object.fromEntries(response.headers) });
    });
    changes(app, 2);
    const answered = page.waitForResponse((response) => response.url().endsWith("/form"));
    await page.click("#form button");
    await answered;
    changes(app);
    await isCurrent(scene);
  }
});

scenario("n. Two tabs and a duplicate of one follow alike", async ({ page, app, url }) => {
  const context = page.context();
  const second = await context.newPage();
  await second.goto(`${url}/b`);
  await second.waitForSelector(OPEN_PAGE);
  const [duplicate] = await Promise.all([
    context.waitForEvent("page"),
    page.evaluate(() => void open(location.href)),
  ]);
  changes(app, 3);
  for (const tab of [page, second, duplicate]) await isCurrent({ page: tab, app }, 3);
  await duplicate.close();
  changes(app);
  await isCurrent({ page: second, app }, 2);
  await second.close();
});

scenario("o. Another origin and back by the browser's own history", async (stage) => {
  const { page, app, url } = stage;
  changes(app);
  await isCurrent(stage);
  await page.goto(`${url.replace("127.0.0.1", "localhost")}/elsewhere`);
  await until(() => app.turbo.size === 0, "the page has let go of its line");
  changes(app, 3);
  await page.goBack();
});

// The headless browser has its back/forward cache switched off for good, so the two events of a
// page that goes into it and comes out are made here; between them its tasks stand still. The real one
// is in bfcache_test.ts, where there is a browser that has it.
scenario(
  "o. A page that the back/forward cache keeps lets go of its line and is current after",
  async (stage) => {
    const { page, app } = stage;
    changes(app);
    await isCurrent(stage);
    const session = await page.context().newCDPSession(page);
    const transition = (type: string) =>
      page.evaluate(
        (type) => void dispatchEvent(new PageTransitionEvent(type, { persisted: true })),
        type,
      );
    await transition("pagehide");
    await until(() => app.turbo.size === 0, "the page has let go of its line");
    await session.send("Page.setWebLifecycleState", { state: "frozen" });
    changes(app, 3);
    await pause(1_000);
    assert.equal(app.turbo.size, 0);
    await session.send("Page.setWebLifecycleState", { state: "active" });
    await transition("pageshow");
  },
);

Deno.test(
  "e. and h. Offline for 30 s; hidden for longer than its grace with 10,000 pushes",
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser();
    await using away = await scene(browser);
    await using hidden = await scene(browser, { log: { maxEntries: 20_000 } });
    await setHidden(hidden.page, true);
    await Promise.all([
      offline(away, 30),
      (async () => {
        for (let n = 0; n < 100; n++) {
          changes(hidden.app, 25);
          await pause(100);
        }
        await until(() => hidden.app.turbo.size === 0, "the hidden page has let go", 60_000);
        changes(hidden.app);
      })(),
    ]);
    await isCurrent(away);
    await setHidden(hidden.page, false);
    await isCurrent(hidden);
  },
);

// ---- p. Random sequences

/** So few entries that there are gaps. */
const KEPT = { log: { maxEntries: 40 } };

type Step = readonly [name: string, run: (scene: Scene, random: () => number) => Promise<void>];

const STEPS: readonly Step[] = [
  ["push", ({ app }, random) => Promise.resolve(changesAtRandom(app, random, 6))],
  ["burst", ({ app }, random) => Promise.resolve(changesAtRandom(app, random, 40))],
  ["visit", async ({ page, app }, random) => {
    app.slow = random() * 60;
    const visit = goTo(page, random() < 0.5 ? "b" : "a");
    await pause(random() * 30);
    changesAtRandom(app, random, 5);
    await visit;
    app.slow = 0;
  }],
  ["prefetch", async ({ page, app }, random) => {
    await page.hover(random() < 0.5 ? "#b" : "#slow");
    await pause(120);
    changesAtRandom(app, random, 5);
  }],
  ["back", ({ page }) => traverse(page, "Back")],
  ["forward", ({ page }) => traverse(page, "Forward")],
  ["cut", async ({ page, app, proxy }, random) => {
    proxy.cut();
    await pause(random() * 40);
    changesAtRandom(app, random, 5);
    await online(page);
  }],
  ["cut in a message", async ({ page, app, proxy }, random) => {
    proxy.cutInMessage();
    changesAtRandom(app, random, 3);
    await pause(20);
    await online(page);
  }],
  ["close", async ({ page, app }, random) => {
    app.closeLines([1000, 1001, 1012][Math.floor(random() * 3)]!);
    await pause(10);
    await online(page);
  }],
  ["stall", async ({ app, proxy }, random) => {
    proxy.stalled = true;
    changesAtRandom(app, random, 5);
    await pause(random() * 60);
    proxy.stalled = false;
  }],
  ["delay", ({ proxy }, random) => {
    proxy.delayDown = random() * 20;
    proxy.delayUp = random() * 20;
    return Promise.resolve();
  }],
  ["hide or show", ({ page }, random) => setHidden(page, random() < 0.5)],
  ["frame", async ({ page, app }, random) => {
    app.slow = random() * 60;
    await page.click("#reload");
    await pause(random() * 30);
    changesAtRandom(app, random, 5);
    await pause(random() * 40);
    app.slow = 0;
  }],
  ["form", async ({ page, app }, random) => {
    app.slow = random() * 60;
    await page.click("#form button");
    await pause(random() * 30);
    changesAtRandom(app, random, 5);
    await pause(random() * 40);
    app.slow = 0;
  }],
  ["restart", async (scene, random) => {
    const { page, app, proxy } = scene;
    proxy.refusesAll = true;
    proxy.cut();
    scene.app = startModelApp({ ...KEPT, state: app.state, file: `${app.file}+` });
    proxy.target = scene.app.port;
    await app[Symbol.asyncDispose]();
    changesAtRandom(scene.app, random, 5);
    proxy.refusesAll = false;
    await online(page);
  }],
  ["deploy", async (scene, random) => {
    const { page, app, proxy } = scene;
    const { state, file = "" } = app;
    proxy.stalled = true; // who visits meanwhile waits: it would see the browser's own error page
    proxy.cut();
    await app[Symbol.asyncDispose]();
    scene.app = startModelApp({ ...KEPT, state, file });
    proxy.target = scene.app.port;
    changesAtRandom(scene.app, random, 5);
    proxy.stalled = false;
    await online(page);
  }],
];

async function traverse(page: Page, way: "Back" | "Forward"): Promise<void> {
  const can = await inPage(page, () =>
    page.evaluate(
      (key) => Reflect.get(Reflect.get(window, "navigation"), key),
      `canGo${way}`,
    ));
  if (can) await page[`go${way}`]({ waitUntil: "commit" });
}

function changesAtRandom(app: ModelApp, random: () => number, most: number): void {
  for (let n = Math.floor(random() * most); n >= 0; n--) app.change(Math.floor(random() * 4));
}

/** A linear congruential generator (Park and Miller's), so that a sequence can be had again. */
function seeded(seed: number): () => number {
  let state = seed % 2_147_483_646 + 1;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

async function runSequence(browser: TestBrowser, seed: number): Promise<void> {
  const random = seeded(seed * 7_919);
  const names: string[] = [];
  using place = directory();
  await using stage = await scene(browser, { ...KEPT, file: `${place.path}/log` });
  const step = async ([name, run]: Step) => {
    names.push(name);
    await leaveErrorPage(stage.page);
    await run(stage, random);
  };
  try {
    await step(STEPS[0]!);
    for (let n = 3 + Math.floor(random() * 5); n > 0; n--) {
      await step(STEPS[Math.floor(random() * STEPS.length)]!);
    }
    stage.proxy.delayDown = stage.proxy.delayUp = 0;
    await setHidden(stage.page, false);
    await isSettled(stage);
  } catch (error) {
    throw new Error(`Sequence ${seed} (SEED=${seed}): ${names.join(", ")}`, { cause: error });
  }
}

/** Loads a page again whose visit met a server that was gone: the browser shows its own page then. */
async function leaveErrorPage(page: Page): Promise<void> {
  if (page.url().startsWith("chrome-error:")) await page.reload();
}

/** As `isCurrent`, for a page that a visit or a gap may still be about to change. */
async function isSettled(stage: Scene): Promise<void> {
  await stage.page.waitForLoadState();
  await until(async () => {
    // A connection that was cut twice in a row is back within eight seconds; or at once, when told.
    await leaveErrorPage(stage.page);
    await online(stage.page);
    await pause(50);
    return await stage.page.locator(OPEN_PAGE).count() === 1;
  }, "the connection is open");
  await isCurrent(stage);
}

Deno.test(
  "p. 200 random sequences of all of these (SEED=n runs the one)",
  WITH_BROWSER,
  async () => {
    const only = Deno.env.get("SEED");
    await using browser = await startBrowser();
    if (only !== undefined) return await runSequence(browser, Number(only));
    let next = 1;
    const failures: unknown[] = [];
    const worker = async () => {
      while (next <= 200 && failures.length < 5) {
        await runSequence(browser, next++).catch((error) => failures.push(error));
      }
    };
    await Promise.all([worker(), worker(), worker()]);
    if (failures.length > 0) {
      throw new AggregateError(failures, `${failures.length} of ${next - 1} failed`);
    }
  },
);

// ---- Turbo's own stream source

for (const kind of ["ws", "sse"] as const) {
  scenario(
    `<turbo-stream-source> of Turbo's own works over ${kind}`,
    async ({ page, app, url }) => {
      const src = kind === "ws" ? `${url.replace("http", "ws")}/turbo-stream` : "/turbo-stream";
      const other = await page.context().newPage();
      await other.goto(`${url}/source?src=${encodeURIComponent(src)}`);
      await until(() => app.turbo.size === 2, "both are connected");
      app.count();
      app.add();
      app.add();
      await other.waitForFunction(() => document.querySelectorAll("#list > li").length === 2);
      assert.equal(await other.textContent("#count"), "1");
      await other.close();
      await until(() => app.turbo.size === 1, "it is gone");
    },
  );
}
