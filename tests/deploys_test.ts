import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { type BrowserKind, BROWSERS as ALL_BROWSERS } from "./browsers.ts";
import { Poster, Visitor, Writer } from "./deploys.ts";
import { directory, freePort, QUICK, until, WITH_BROWSER, within } from "./kit.ts";
import { startNginx, WITH_NGINX } from "./nginx.ts";
import { startApp, startServer, type TestServerProcess } from "./processes.ts";
import { assertWhole, listPageIn, ProtocolReaders } from "./protocol_readers.ts";
import { startRedis, WITH_REDIS } from "./redis_server.ts";

const WITH_ALL = { ...WITH_BROWSER, ignore: WITH_NGINX.ignore! || WITH_REDIS.ignore! };
/** The browsers that are installed. */
const BROWSERS: BrowserKind[] = [];
for (const browser of QUICK ? [] : ALL_BROWSERS) {
  if (await browser.isInstalled()) BROWSERS.push(browser);
}
const NAMES = BROWSERS.map(({ name }) => name).join(", ");
/** The fields into which they write. */
const FIELDS = ["title", "text"];
const READERS = 200;
const DEPLOYS = 10;
/** Seconds in which a process ends; `deno task deploys` takes the default of main.ts. */
const DRAIN = Deno.env.get("DRAIN") ?? "1";

/** Starts a version of an app with a list and a form. */
function start(
  path: string,
  { port, version, redis }: { port: number; version: number; redis?: string },
): Promise<TestServerProcess> {
  const args = [path, String(port), String(version), ...redis === undefined ? [] : [redis]];
  return startServer("apps/deployed_app.ts", args, { env: { DRAIN } });
}

async function end(app: TestServerProcess): Promise<void> {
  app.child.kill("SIGTERM");
  assert.equal(await within(app.ended, "the app to end"), 0, app.errors);
}

/** Somebody who writes in each of the browsers, which end with `all`. */
async function startWriters(all: AsyncDisposableStack, url: string): Promise<Writer[]> {
  const writers: Writer[] = [];
  for (const [index, { start }] of BROWSERS.entries()) {
    const page = all.use(await all.use(await start()).open());
    writers.push(await Writer.start(page, url, FIELDS[index % FIELDS.length]!));
  }
  return writers;
}

async function typeAll(writers: readonly Writer[], text: string): Promise<void> {
  for (const writer of writers) await writer.type(text);
}

/** Waits until all follow the log again, and asserts that they can write on. */
async function writeOn(writers: readonly Writer[], when: string): Promise<void> {
  for (const writer of writers) {
    await writer.isOpen();
    await writer.assertUndisturbed(when);
  }
}

/** Asserts that everyone has had each number once and in order, and that nobody was disturbed. */
async function assertUnnoticed({ readers, writers, count }: {
  readers: ProtocolReaders;
  writers: Writer[];
  count: number;
}): Promise<void> {
  const { all } = readers;
  await until(() => all.every(({ items }) => items.length >= count), "all readers have all");
  for (const [index, { items }] of all.entries()) {
    assertWhole(items, `reader ${index}`);
    assert.equal(items.length, count, `reader ${index}`);
  }
  assert.equal(readers.refreshes, 0, "refreshes that were sent");
  for (const writer of writers) {
    await writer.assertShows(count, "at the end");
    await writer.assertUndisturbed("at the end");
  }
}

/** Adds a reader of each fifth page, also of a page of a process that is ending. */
function addSome(visitors: ProtocolReaders, html: string): void {
  if (Math.random() < 0.2) visitors.add(1, listPageIn(html));
}

/** Asserts that those who came meanwhile have each number once and in order. */
async function assertHaveAll({ all, refreshes }: ProtocolReaders, count: number): Promise<void> {
  await until(
    () => all.every(({ items }) => items.includes(count)),
    "those who came meanwhile have all",
  );
  for (const [index, { items, loaded }] of all.entries()) {
    // What was in the page already may be pushed once more.
    const own = items.filter((n, index) => index < loaded || n > loaded);
    assertWhole(own, `visitor ${index}`);
    assert.equal(own.length, count, `visitor ${index}`);
  }
  assert.equal(refreshes, 0);
}

/** For how long the readers were away, in words. */
function awayOf({ all }: ProtocolReaders): string {
  const times = all.flatMap(({ away }) => away).sort((one, two) => one - two);
  const at = (share: number) => (times[Math.floor(share * (times.length - 1))]! / 1000).toFixed(1);
  return `${times.length} times a reader was away, for ${at(0.5)} s (median), ${at(1)} s (most)`;
}

Deno.test(
  `${DEPLOYS} deploys with a state: ${READERS} readers and those who write in ${NAMES} lose nothing`,
  WITH_BROWSER,
  async () => {
    using at = directory();
    const port = freePort();
    let app = await start(at.path, { port, version: 0 });
    const { url } = app;
    await using apps = new AsyncDisposableStack();
    apps.defer(() => app[Symbol.asyncDispose]());
    await using browsers = new AsyncDisposableStack();
    const writers = await startWriters(browsers, url);
    await using readers = new ProtocolReaders(url);
    readers.add(READERS, listPageIn(await (await fetch(url)).text()));
    await until(() => readers.haveResumed(1), "all readers are connected");
    const poster = new Poster(url);
    await using visitors = new ProtocolReaders(url);
    const visitor = new Visitor(url, { onPage: (html) => addSome(visitors, html) });
    for (let version = 1; version <= DEPLOYS; version++) {
      await typeAll(writers, "a");
      const ended = end(app);
      await typeAll(writers, "b");
      await ended;
      if (version > 1) assert.equal(app.errors, "", "it has found the state");
      await typeAll(writers, "c");
      app = await start(at.path, { port, version });
      await typeAll(writers, "d");
      await until(() => readers.haveResumed(version + 1), "all readers are back");
      await writeOn(writers, `after deploy ${version}`);
    }
    await visitor.stop();
    const count = await poster.stop();
    await assertUnnoticed({ readers, writers, count });
    await assertHaveAll(visitors, count);
    console.log(
      `${count} pushes, ${awayOf(readers)}; no page could be loaded for at most ` +
        `${(visitor.outage / 1000).toFixed(1)} s`,
    );
  },
);

Deno.test(
  `A rolling deploy behind nginx: ${READERS} readers and those who write in ${NAMES} lose nothing, and no page fails`,
  WITH_ALL,
  async () => {
    using at = directory();
    await using redis = await startRedis();
    await using apps = new AsyncDisposableStack();
    const startNode = async (port: number, version: number) =>
      apps.use(await start(at.path, { port, version, redis: redis.url }));
    const nodes = [await startNode(freePort(), 1), await startNode(freePort(), 1)];
    await using nginx = await startNginx(nodes);
    const { url, client } = nginx;
    await using browsers = new AsyncDisposableStack();
    const writers = await startWriters(browsers, url);
    await using readers = new ProtocolReaders(url, { client });
    await using visitors = new ProtocolReaders(url, { client });
    readers.add(READERS, listPageIn(await (await nginx.fetch(url)).text()));
    await until(() => readers.haveResumed(1), "all readers are connected");
    const poster = new Poster(url, { client });
    const visitor = new Visitor(url, { client, onPage: (html) => addSome(visitors, html) });
    for (const [index, node] of nodes.entries()) {
      await typeAll(writers, "a");
      const ended = end(node);
      await typeAll(writers, "b");
      await ended;
      await typeAll(writers, "c");
      await startNode(node.port, 2);
      await typeAll(writers, "d");
      await until(() => readers.haveResumed(1), "all readers are back");
      await writeOn(writers, `after node ${index}`);
    }
    await visitor.stop();
    const count = await poster.stop();
    await assertUnnoticed({ readers, writers, count });
    assert.deepEqual(visitor.failures, []);
    assert.equal(readers.failures, 0, "nginx finds a process for each reader");
    await assertHaveAll(visitors, count);
    console.log(
      `${count} pushes, ${poster.failures.length} of them posted again, ${visitor.loads} page ` +
        `loads, ${awayOf(readers)}`,
    );
  },
);

Deno.test(
  "A deploy of main.ts with --state: its page is the same, with what was typed",
  WITH_BROWSER,
  async () => {
    using at = directory();
    const options = { cwd: at.path };
    const args = ["--hostname=127.0.0.1", "--interval=0.2", "--drain=1", "--state=state/log"];
    await using first = await startApp([...args, "--port=0"], options);
    await using browser = await startBrowser();
    const { page, requests } = await browser.open(first.url);
    await page.waitForSelector(OPEN_PAGE);
    await page.evaluate("document.querySelector('h1').after(document.createElement('input'))");
    await page.focus("input");
    await page.keyboard.type("ab");
    await end(first);
    await page.keyboard.type("cd");
    await using _second = await startApp([...args, `--port=${first.port}`], options);
    await page.waitForSelector(OPEN_PAGE);
    await page.keyboard.type("ef");
    const focused = await page.evaluate("document.activeElement.value");
    const loads = requests.filter((url) => new URL(url).pathname === "/").length;
    assert.deepEqual([focused, loads], ["abcdef", 1]);
  },
);
