/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { startBrowser, type TestPage } from "./browser.ts";
import { directory, freePort, parseFrame, PROTOCOL, until } from "./kit.ts";
import { WITH_BROWSER, WITH_PROCESS, within } from "./kit.ts";
import { startApp, startServer, type TestServerProcess } from "./processes.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";

const RESTARTS = 10;

/** What a page shows: the items of its list, if it has one, and its cursor. */
async function fetchList(url: string): Promise<{ items: number[]; cursor: string }> {
  const text = await (await fetch(url)).text();
  return { items: itemsOf(text), cursor: /name="turbo-cursor" content="(\S+?)"/.exec(text)![1]! };
}

function itemsOf(html: string): number[] {
  return [...html.matchAll(/<li>(\d+)<\/li>/g)].map(([, n]) => Number(n));
}

/** Readers that use the protocol as client.js does, but never fetch themselves. */
class ProtocolReaders implements Disposable {
  readonly lists: number[][];
  refreshes = 0;
  /** How many markers the readers have received. */
  resumes = 0;
  readonly #url: string;
  readonly #sockets = new Set<WebSocket>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #hasEnded = false;

  constructor(url: string, count: number, { items, cursor }: { items: number[]; cursor: string }) {
    this.#url = url.replace("http", "ws");
    this.lists = Array.from({ length: count }, () => [...items]);
    for (const list of this.lists) this.#connect(list, cursor);
  }

  get connected(): number {
    return this.#sockets.size;
  }

  #connect(list: number[], since: string): void {
    const socket = new WebSocket(`${this.#url}/turbo-stream?since=${since}`, PROTOCOL);
    let cursor = since;
    let isAwaited = true;
    socket.onmessage = ({ data }) => {
      const messages = parseFrame(data);
      if (isAwaited) {
        assert.deepEqual(messages, [{ cursor: since, html: "" }]);
        isAwaited = false;
        this.#sockets.add(socket);
        this.resumes++;
        return;
      }
      for (const message of messages) {
        cursor = message.cursor;
        if (message.html.includes('action="refresh"')) this.refreshes++;
        list.push(...itemsOf(message.html));
      }
    };
    socket.onerror = () => {};
    socket.onclose = () => {
      this.#sockets.delete(socket);
      if (this.#hasEnded) return;
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#connect(list, cursor);
      }, 100 + Math.random() * 200);
      this.#timers.add(timer);
    };
  }

  [Symbol.dispose](): void {
    this.#hasEnded = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.close();
  }
}

/** Asserts that a list is 1, 2, 3 and so on. */
function assertWhole(list: readonly number[], whose: string): void {
  const wrong = list.findIndex((n, index) => n !== index + 1);
  assert.equal(wrong, -1, `${whose}: ${list.slice(Math.max(0, wrong - 2), wrong + 3)} at ${wrong}`);
}

async function stop(app: TestServerProcess, signal: Deno.Signal): Promise<void> {
  app.child.kill(signal);
  const code = await within(app.ended, "the app to end");
  if (signal !== "SIGKILL") assert.equal(code, 0, app.errors);
}

Deno.test(
  "Ten clean restarts with a state cost 200 readers and 3 browsers no refresh; one after kill -9 costs one",
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
    using readers = new ProtocolReaders(url, 200, await fetchList(url));

    async function restart(signal: Deno.Signal): Promise<void> {
      const before = readers.resumes;
      await stop(app, signal);
      app = await startServer("apps/kept_app.ts", [at.path, String(port)]);
      await until(() => readers.resumes >= before + 200, "all 200 are back");
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

    await until(() => readers.resumes >= 200, "all 200 are connected");
    for (let n = 0; n < RESTARTS; n++) {
      await restart("SIGTERM");
      assert(!app.errors.includes("No state"), app.errors);
    }
    const count = await assertAllCurrent("after clean restarts");
    await until(() => readers.lists.every((list) => list.length >= count), "all 200 have all");
    for (const [index, list] of readers.lists.entries()) assertWhole(list, `reader ${index}`);
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
      cursors.push((await fetchList(app.url)).cursor);
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
        cursors.push((await fetchList(app.url)).cursor);
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
    const cursor = (await fetchList(first.url)).cursor;
    await stop(first, "SIGTERM");
    using taken = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    await assert.rejects(
      startApp([...args, `--port=${taken.addr.port}`], options),
      /port is taken/,
    );
    await using second = await startApp([...args, "--port=0"], options);
    assert.equal((await fetchList(second.url)).cursor, cursor);
  },
);
