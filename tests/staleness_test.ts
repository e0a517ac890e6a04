import assert from "node:assert/strict";
import { refresh } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type ModelApp, startModelApp } from "./apps/model_app.ts";
import { startBrowser } from "./browser.ts";
import { pause, until, WITH_BROWSER } from "./kit.ts";
import { startProxy } from "./proxy.ts";

/** A page reports the first push after this time. */
const INTERVAL = 300;

Deno.test(
  "Turbo.staleness shows the 3 s of a proxy, a frozen tab, and turbo.shown() who has a push",
  WITH_BROWSER,
  async (t) => {
    await using browser = await startBrowser();
    await using app = startModelApp({ reportInterval: INTERVAL });
    const { turbo } = app;
    await using proxy = startProxy(app.port);
    const near = await browser.open(app.url);
    const far = await browser.open(proxy.url);
    await until(() => turbo.size === 2, "both pages are connected");

    await t.step("a page that is near is as old as a message takes", async () => {
      await untilPushed(app, () => turbo.staleness.pages === 2);
      const { p99 } = turbo.staleness;
      assert(p99 < 3_000, `${p99} ms`);
      assert.deepEqual(await turbo.shown(turbo.cursor, { within: 60_000 }), {
        shown: 2,
        missing: 0,
      });
    });

    await t.step(
      "a page behind a proxy that adds 3 s is 3 s old, and the other is not",
      async () => {
        proxy.delayDown = 3_000;
        await untilPushed(app, () => turbo.staleness.p99 >= 3_000);
        const { p50, p99 } = turbo.staleness;
        assert(p99 < 30_000, `${p99} ms`); // on a busy machine
        assert(p50 < 3_000, `${p50} ms`);
        app.count();
        const receipt = await turbo.shown(turbo.cursor, { within: 500 });
        assert.deepEqual(receipt, { shown: 1, missing: 1 });
        proxy.delayDown = 0;
        await untilPushed(app, () => turbo.staleness.max < 3_000);
      },
    );

    await t.step("a frozen tab gets older, and is young again when it is not frozen", async () => {
      const session = await far.context.newCDPSession(far.page);
      await session.send("Debugger.enable");
      await session.send("Debugger.pause"); // nothing runs in it any more; its sockets stay open
      await untilPushed(app, () => turbo.staleness.max >= 2_000);
      const { max } = turbo.staleness;
      await pause(100);
      assert(turbo.staleness.max >= max + 100, `${turbo.staleness.max} ms after ${max}`);
      assert.equal(turbo.size, 2, "its connection is open all the same");
      await session.send("Debugger.resume");
      await untilPushed(app, () => turbo.staleness.max < 2_000);
      assert.deepEqual(await turbo.shown(turbo.cursor, { within: 60_000 }), {
        shown: 2,
        missing: 0,
      });
    });

    await t.step("without a push no page gets older", async () => {
      await turbo.shown(turbo.cursor);
      const before = turbo.staleness;
      await pause(3 * INTERVAL);
      assert.deepEqual(turbo.staleness, before);
    });
    for (const { errors, context } of [near, far]) {
      assert.deepEqual(errors, []);
      await context.close();
    }
  },
);

Deno.test(
  "Turbo.shown() learns from a page on server-sent events what it shows, and nothing is lost by that",
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser();
    await using app = startModelApp();
    await using proxy = startProxy(app.port);
    proxy.refusesWebSockets = true;
    const { page, errors } = await browser.open(proxy.url);
    await page.waitForSelector(OPEN_PAGE);
    assert.equal(app.upgrades, 0);
    const list = () => page.textContent("#list");
    for (let n = 1; n <= 3; n++) {
      app.add();
      const receipt = await app.turbo.shown(app.turbo.cursor, { within: 60_000 });
      assert.deepEqual(receipt, { shown: 1, missing: 0 });
      assert.equal(await list(), "123".slice(0, n));
    }
    // The browser reports the handshakes that the proxy refuses.
    assert.deepEqual(errors.filter((error) => !error.includes("WebSocket")), []);
  },
);

Deno.test(
  "Turbo.shown() counts a page that a push has made fetch itself when it has, and not before",
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser();
    await using app = startModelApp();
    await using proxy = startProxy(app.port);
    const near = await browser.open(app.url);
    await near.page.waitForSelector(OPEN_PAGE);
    app.count(); // a refresh that comes first is taken for a gap
    await near.page.waitForSelector("#count:text('1')");
    app.slow = 1_000; // longer than it takes to ask the page
    app.state.count = 7;
    app.turbo.push(refresh());
    const receipt = await app.turbo.shown(app.turbo.cursor, { within: 60_000 });
    assert.deepEqual(receipt, { shown: 1, missing: 0 });
    assert.equal(await near.page.textContent("#count"), "7");
    await near.context.close();

    app.slow = 0;
    proxy.refusesWebSockets = true;
    const { page } = await browser.open(proxy.url);
    await page.waitForSelector(OPEN_PAGE);
    app.count();
    await page.waitForSelector("#count:text('8')");
    const fetches = page.waitForRequest(`${proxy.url}/`);
    app.slow = 3_000;
    app.turbo.push(refresh());
    await fetches;
    assert.deepEqual(await app.turbo.shown(app.turbo.cursor, { within: 1_500 }), {
      shown: 0,
      missing: 1,
    });
  },
);

/** Pushes until something is so. */
async function untilPushed(app: ModelApp, isSo: () => boolean): Promise<void> {
  await until(async () => {
    app.count();
    await pause(50);
    return isSo();
  }, "the pages are as old as they should be");
}
