import assert from "node:assert/strict";
import { startBrowser, type TestBrowser } from "./browser.ts";
import { Poster, Visitor, Writer } from "./deploys.ts";
import { directory, freePort, until, WITH_BROWSER, within } from "./kit.ts";
import { startNginx, WITH_NGINX } from "./nginx.ts";
import { startServer, type TestServerProcess } from "./processes.ts";
import { assertWhole, listPageIn, ProtocolReaders } from "./protocol_readers.ts";
import { startRedis, WITH_REDIS } from "./redis_server.ts";

const WITH_ALL = { ...WITH_BROWSER, ignore: WITH_NGINX.ignore! || WITH_REDIS.ignore! };
const READERS = 200;
const DEPLOYS = 10;

/** Starts or deploys the app of the tests. */
function start(path: string, port: number, redis?: string): Promise<TestServerProcess> {
  const args = [path, String(port), ...redis === undefined ? [] : [redis]];
  return startServer("apps/deployed_app.ts", args);
}

/** Three people who write, each with a page of their own. */
async function startWriters(browser: TestBrowser, url: string): Promise<Writer[]> {
  const writers: Writer[] = [];
  for (const field of ["title", "text", "text"]) {
    writers.push(await Writer.start(browser, url, field));
  }
  return writers;
}

async function end(app: TestServerProcess): Promise<void> {
  app.child.kill("SIGTERM");
  assert.equal(await within(app.ended, "the app to end"), 0, app.errors);
}

/** Asserts that everyone has had each number once and in order, and that nobody was disturbed. */
async function assertUnnoticed(
  { readers, writers, count }: { readers: ProtocolReaders; writers: Writer[]; count: number },
): Promise<void> {
  await until(
    () => readers.all.every(({ items }) => items.length >= count),
    "all readers have all",
  );
  for (const [index, { items }] of readers.all.entries()) {
    assertWhole(items, `reader ${index}`);
    assert.equal(items.length, count, `reader ${index}`);
  }
  assert.equal(readers.refreshes, 0);
  for (const writer of writers) {
    await writer.assertShows(count, "at the end");
    await writer.assertUndisturbed("at the end");
    assert.equal(writer.loads, 1, "the page was never fetched again");
    assert.deepEqual(writer.errors, []);
  }
}

/** For how long the readers were away, in words. */
function awayOf(readers: ProtocolReaders): string {
  const times = readers.all.flatMap(({ away }) => away).sort((one, two) => one - two);
  const at = (share: number) =>
    `${Math.round(times[Math.floor(share * (times.length - 1))] ?? 0)} ms`;
  return `${times.length} reconnects, after ${at(0.5)} (median), ${at(0.99)} (p99), ${
    at(1)
  } (at most)`;
}

Deno.test(
  `${DEPLOYS} deploys with a state: ${READERS} readers and 3 who write notice nothing`,
  WITH_BROWSER,
  async () => {
    using at = directory();
    const port = freePort();
    let app = await start(at.path, port);
    const { url } = app;
    await using apps = new AsyncDisposableStack();
    apps.defer(() => app[Symbol.asyncDispose]());
    await using browser = await startBrowser();
    const writers = await startWriters(browser, url);
    await using readers = new ProtocolReaders(url);
    readers.add(READERS, listPageIn(await (await fetch(url)).text()));
    await until(() => readers.haveResumed(1), "all readers are connected");
    const poster = new Poster(url);
    for (let n = 1; n <= DEPLOYS; n++) {
      for (const writer of writers) await writer.type("a");
      const ended = end(app);
      for (const writer of writers) await writer.type("b");
      await ended;
      if (n > 1) assert.equal(app.errors, "", "it has found the state");
      for (const writer of writers) await writer.type("c");
      app = await start(at.path, port);
      for (const writer of writers) await writer.type("d");
      await until(() => readers.haveResumed(n + 1), "all readers are back");
      for (const writer of writers) {
        await writer.isOpen();
        await writer.assertUndisturbed(`after deploy ${n}`);
      }
    }
    const count = await poster.stop();
    await assertUnnoticed({ readers, writers, count });
    console.log(`${count} pushes, ${awayOf(readers)}`);
  },
);

Deno.test(
  `A rolling deploy behind nginx: ${READERS} readers, 3 who write and visitors notice nothing`,
  WITH_ALL,
  async () => {
    using at = directory();
    await using redis = await startRedis();
    await using apps = new AsyncDisposableStack();
    const nodes: TestServerProcess[] = [];
    for (const port of [freePort(), freePort()]) {
      nodes.push(apps.use(await start(at.path, port, redis.url)));
    }
    await using nginx = await startNginx(nodes);
    const { url, client } = nginx;
    await using browser = await startBrowser();
    const writers = await startWriters(browser, url);
    await using readers = new ProtocolReaders(url, { client });
    readers.add(READERS, listPageIn(await (await nginx.fetch(url)).text()));
    await until(() => readers.haveResumed(1), "all readers are connected");
    const poster = new Poster(url, { client });
    let pages = 0;
    await using late = new ProtocolReaders(url, { client });
    const visitor = new Visitor(url, {
      client,
      onPage: (html) => pages++ % 10 === 0 && late.add(1, listPageIn(html)),
    });
    for (const [index, { port }] of nodes.entries()) {
      for (const writer of writers) await writer.type("a");
      const ended = end(nodes[index]!);
      for (const writer of writers) await writer.type("b");
      await ended;
      await until(
        async () =>
          (await (await fetch(nodes[1 - index]!.url + "/readyz")).json()).connections >= 3,
        "the other one has the readers",
      );
      nodes[index] = apps.use(await start(at.path, port, redis.url));
      for (const writer of writers) await writer.type("c");
      await until(() => readers.haveResumed(1), "all readers are back");
      for (const writer of writers) {
        await writer.isOpen();
        await writer.assertUndisturbed(`after node ${index}`);
      }
    }
    await visitor.stop();
    const count = await poster.stop();
    await assertUnnoticed({ readers, writers, count });
    assert.deepEqual(visitor.failures, []);
    console.log(
      `${count} pushes, ${visitor.loads} loads, ${awayOf(readers)}`,
      poster.failures,
      late.all.length,
    );
  },
);
