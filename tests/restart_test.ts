/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser, type TestPage } from "./browser.ts";
import { directory, freePort, until, WITH_BROWSER, WITH_PROCESS, within } from "./kit.ts";
import { assertWhole, listPageIn, ProtocolReaders } from "./protocol_readers.ts";
import { startApp, startServer, type TestServerProcess } from "./processes.ts";

/** The cursor of the page. */
async function cursorOf(url: string): Promise<string> {
  return listPageIn(await (await fetch(url)).text()).cursor;
}

async function stop(app: TestServerProcess, signal: Deno.Signal): Promise<void> {
  app.child.kill(signal);
  const code = await within(app.ended, "the app to end");
  if (signal !== "SIGKILL") assert.equal(code, 0, app.errors);
}

Deno.test(
  "A clean restart with a state costs 200 readers and 3 browsers no refresh; one after kill -9 costs one",
  WITH_BROWSER,
  async () => {
    using at = directory();
    const port = freePort();
    let app = await startServer("apps/kept_app.ts", [at.path, String(port)]);
    const { url } = app;
    await using apps = new AsyncDisposableStack();
    apps.defer(() => app[Symbol.asyncDispose]());
    await using browser = await startBrowser();
    const tabs: TestPage[] = [];
    for (let n = 0; n < 3; n++) tabs.push(await browser.open(url));
    for (const { page } of tabs) await page.waitForSelector(OPEN_PAGE);
    await using readers = new ProtocolReaders(url);
    readers.add(200, listPageIn(await (await fetch(url)).text()));
    let restarts = 0;

    async function restart(signal: Deno.Signal): Promise<void> {
      await stop(app, signal);
      app = await startServer("apps/kept_app.ts", [at.path, String(port)]);
      restarts++;
      await until(() => readers.haveResumed(restarts + 1), "all 200 are back");
      for (const { page } of tabs) await page.waitForSelector(OPEN_PAGE);
    }
    const pagesFetched = () =>
      tabs.map(({ requests }) =>
        requests.filter((request) => new URL(request).pathname === "/").length
      );
    async function assertAllCurrent(when: string): Promise<number> {
      const count = Number(await (await fetch(`${url}/rest`)).text());
      for (const [index, { page }] of tabs.entries()) {
        await page.waitForFunction(
          (count) => document.querySelectorAll("#list li").length >= count,
          count,
        );
        const shown = await page.evaluate(() =>
          [...document.querySelectorAll("#list li")].map((item) => Number(item.textContent))
        );
        assertWhole(shown, `browser ${index} ${when}`);
        assert.equal(shown.length, count);
      }
      return count;
    }

    await until(() => readers.haveResumed(1), "all 200 are connected");
    await restart("SIGTERM");
    assert(!app.errors.includes("No state"), app.errors);
    const count = await assertAllCurrent("after a clean restart");
    await until(() => readers.all.every(({ items }) => items.length >= count), "all 200 have all");
    for (const [index, { items }] of readers.all.entries()) assertWhole(items, `reader ${index}`);
    assert.equal(readers.refreshes, 0);
    assert.deepEqual(pagesFetched(), [1, 1, 1], "no browser has fetched the page again");

    await restart("SIGKILL");
    await until(() => readers.refreshes >= 200, "each is made to fetch the page");
    await until(() => pagesFetched().every((pages) => pages >= 2), "each browser has fetched it");
    await assertAllCurrent("after kill -9");
    assert.equal(readers.refreshes, 200);
    assert.deepEqual(pagesFetched(), [2, 2, 2]);
  },
);

Deno.test(
  "main.ts --state continues under the permissions of deno task start, and only once",
  WITH_PROCESS,
  async () => {
    using at = directory();
    const args = ["--port=0", "--hostname=127.0.0.1", "--state=state/log"];
    const cursors: string[] = [];
    for (const signal of ["SIGTERM", "SIGKILL", "SIGTERM"] as const) {
      await using app = await startApp(args, { cwd: at.path });
      cursors.push(await cursorOf(app.url));
      await stop(app, signal);
      const isThere = [...Deno.readDirSync(`${at.path}/state`)].some(({ name }) => name === "log");
      assert.equal(isThere, signal === "SIGTERM", signal);
    }
    assert.equal(cursors[1], cursors[0], "the second took up what the first had left");
    assert.notEqual(cursors[2], cursors[1], "the third found nothing, for the second was killed");
  },
);

for (
  const [kind, spoil, message] of [
    ["a truncated", (text: string) => text.slice(0, text.length / 2), /damaged/],
    ["an old", (text: string) => text.replace(/state \d+/, "state 1"), /another version/],
    ["a foreign", () => '{"epoch":"mine","entries":[]}', /something else, which stays as it is/],
  ] as const
) {
  Deno.test(
    `main.ts --state starts with ${kind} file, says so and begins with a new log`,
    WITH_PROCESS,
    async () => {
      using at = directory();
      const file = `${at.path}/state/log`;
      const args = ["--port=0", "--hostname=127.0.0.1", "--state=state/log"];
      const cursors: string[] = [];
      for (const isSecond of [false, true]) {
        await using app = await startApp(args, { cwd: at.path });
        cursors.push(await cursorOf(app.url));
        await stop(app, "SIGTERM");
        if (!isSecond) Deno.writeTextFileSync(file, spoil(Deno.readTextFileSync(file)));
        else assert.match(app.errors, message);
        assert.equal(app.events.filter(({ level }) => level !== "info").length, 1, app.errors);
      }
      const [first, second] = cursors.map((cursor) => cursor.split(".")[0]);
      assert.notEqual(second, first);
    },
  );
}

Deno.test(
  "main.ts writes back the state that it loaded when the port is taken",
  WITH_PROCESS,
  async () => {
    using at = directory();
    const args = ["--hostname=127.0.0.1", "--state=state/log"];
    const options = { cwd: at.path };
    await using first = await startApp([...args, "--port=0"], options);
    const cursor = await cursorOf(first.url);
    await stop(first, "SIGTERM");
    using taken = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    await assert.rejects(
      startApp([...args, `--port=${taken.addr.port}`], options),
      /port is taken/,
    );
    await using second = await startApp([...args, "--port=0"], options);
    assert.equal(await cursorOf(second.url), cursor);
  },
);
