import assert from "node:assert/strict";
import { append, html } from "../turbo/mod.ts";
import { Pusher } from "../turbo/push.ts";
import { Follower, namesOf, namesOn, startCluster } from "./cluster.ts";
import { freePort, pause, serve, until, within } from "./kit.ts";
import { endApp, startApp } from "./processes.ts";
import { startRedis, WITH_REDIS } from "./redis_server.ts";

const mark = (name: string) => append("marks", html`<i>${name}</i>`);

async function readyz({ url }: { readonly url: string }) {
  const response = await fetch(`${url}/readyz`);
  return { http: response.status, ...await response.json() };
}

Deno.test(
  "Pages and streams of each process show one that joins, and drop one that ended by SIGTERM",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    // No readings are taken: boxes are sent only for machines that join or leave.
    await using cluster = await startCluster(redis, ["a", "b", "c"], { interval: 3_600 });
    const { nodes } = cluster;
    const [a, b, c] = nodes as [typeof nodes[0], typeof nodes[0], typeof nodes[0]];
    await using outside = new Pusher({ url: redis.url });
    for (const node of nodes) {
      await until(async () => await namesOn(node) === "a b c", "the page of each shows all");
    }
    await using stack = new AsyncDisposableStack();
    const readers = await Promise.all([a, b, c].map((node) => Follower.open([node, a])));
    readers.forEach((reader) => stack.use(reader));
    const d = await cluster.start("d");
    await until(async () => await namesOn(d) === "a b c d", "the page of the new one shows all");
    for (const reader of readers) {
      await until(() => reader.names === "a b c d", "each stream shows the new one");
    }
    c.child.kill("SIGTERM");
    assert.equal(await within(c.ended, "the process to end"), 0);
    await outside.push(mark("ended"));
    for (const [index, reader] of readers.entries()) {
      await until(() => reader.marks.length > 0, "the mark comes");
      const before = reader.boxes.slice(0, reader.boxesBefore[0]);
      assert.equal(namesOf(before.at(-1)), "a b d", `reader ${index}, when it had ended`);
      assert.equal(reader.refreshes, 0);
    }
    assert.deepEqual(readers.map(({ losses }) => losses), [0, 0, 1]);
    for (const node of [a, b, d]) assert.equal(await namesOn(node), "a b d");
    const messages = [a, b, c, d].map(({ events }) => events.map(({ message }) => message));
    assert.deepEqual(messages, [[], [], ["Stopping: closing 1 connections"], []]);
  },
);

Deno.test(
  "A process that is killed under load leaves all pages within three intervals, and its readers continue without a refresh",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using cluster = await startCluster(redis, ["a", "b", "c"], { interval: 1 });
    const { nodes } = cluster;
    await using stack = new AsyncDisposableStack();
    const readers = await Promise.all(
      Array.from({ length: 30 }, (_, index) => Follower.open(nodes, index % 3)),
    );
    readers.forEach((reader) => stack.use(reader));
    await using outside = new Pusher({ url: redis.url });
    let isRunning = true;
    let pushed = 0;
    const pushing = (async () => {
      while (isRunning) {
        void outside.push(mark(`${pushed++}`));
        await pause(10);
      }
    })();
    await until(
      () => readers.every(({ names, marks }) => names === "a b c" && marks.length > 50),
      "all are shown under load",
    );
    const c = nodes[2]!;
    c.child.kill("SIGKILL");
    await c.ended;
    await until(
      () => readers.every(({ names }) => names === "a b"),
      "it is gone from each stream",
    );
    isRunning = false;
    await pushing;
    await until(
      () => readers.every(({ marks }) => marks.length >= pushed),
      "all have all marks",
    );
    for (const [index, { marks, refreshes, losses }] of readers.entries()) {
      assert.deepEqual(marks, marks.map((_, n) => `${n}`), "in order, each once");
      assert.equal(refreshes, 0, `reader ${index}`);
      assert.equal(losses > 0, index % 3 === 2, `reader ${index} has lost ${losses}`);
    }
    // Measured by the boxes of the others, which also stop when the test's machine is busy.
    const missed = readers[0]!.boxes.filter(({ ages }) => ages.get("c")! >= 2);
    for (const name of ["a", "b"]) {
      const count = missed.filter(({ by }) => by === name).length;
      assert(count <= 3, `${name} has shown it for ${count} intervals without a reading`);
    }
    for (const node of nodes.slice(0, 2)) assert.equal(await namesOn(node), "a b");
  },
);

Deno.test(
  "Processes without their Redis are degraded, serve and push, and are ready when it is back",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using cluster = await startCluster(redis, ["a", "b"]);
    const { nodes } = cluster;
    await using reader = await Follower.open(nodes);
    await until(() => reader.names === "a b", "both are shown");
    for (const node of nodes) {
      const { http, status, engine } = await readyz(node);
      assert.deepEqual([http, status, engine], [200, "ready", undefined]);
    }
    await redis.kill();
    for (const node of nodes) {
      await until(async () => (await readyz(node)).status === "degraded", "it is degraded");
      const { http, engine } = await readyz(node);
      assert.equal(http, 200);
      assert.match(engine, /ECONNREFUSED|closed the connection/);
      assert.match(await (await fetch(node.url)).text(), /hears nothing of the others/);
    }
    await until(() => reader.names === "a", "its stream shows it alone");
    const count = reader.boxes.length;
    await until(() => reader.boxes.length >= count + 3, "it goes on with its own numbers");
    for (const node of nodes) {
      assert.match(await (await fetch(node.url)).text(), /hears nothing of the others/);
    }
    await redis.restart();
    for (const node of nodes) {
      await until(async () => (await readyz(node)).status === "ready", "it is ready");
      await until(async () => await namesOn(node) === "a b", "its page shows both");
    }
    const later = reader.boxes.length;
    await until(() => reader.boxes.length >= later + 3, "the stream goes on");
    assert.equal(reader.names, "a b");
    assert.deepEqual([reader.losses, reader.refreshes], [0, 1]);
    for (const { events } of nodes) {
      const [away, back, ...more] = events.map(({ message }) => message);
      assert(away!.startsWith(`Redis at ${redis.name} is away: `), away);
      assert.deepEqual([back, more], [`Redis at ${redis.name} is back`, []]);
    }
  },
);

Deno.test(
  "A process starts without its Redis, reports it once, and joins the others when it is back",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await redis.kill();
    await using cluster = await startCluster(redis, ["a", "b"]);
    const { nodes } = cluster;
    for (const node of nodes) {
      const { level, message } = await node.event(/is away/);
      assert.equal(level, "warn");
      assert(message.startsWith(`Redis at ${redis.name} is away: `), message);
      assert.equal(node.events.length, 1, node.errors);
      assert.equal((await readyz(node)).status, "degraded");
      assert.match(await (await fetch(node.url)).text(), /hears nothing of the others/);
    }
    await using reader = await Follower.open(nodes);
    await until(() => reader.boxes.length >= 3, "its own numbers come");
    await redis.restart();
    await until(() => reader.names === "a b", "both are shown");
    for (const node of nodes) {
      await until(async () => await namesOn(node) === "a b", "the page of each shows both");
      assert.equal((await readyz(node)).status, "ready");
      await node.event(/^Redis at \S+ is back$/);
      assert.equal(node.events.length, 2, node.errors);
    }
  },
);

Deno.test(
  "main.ts reports in one line what is wrong with its Redis, without the password, and exits with 1",
  WITH_REDIS,
  async () => {
    await using open = await startRedis();
    await using locked = await startRedis({ args: ["--requirepass", "right"] });
    await using web = serve(() => new Response("a web server"));
    await open.cli("SET", "taken", "a text");
    const strange = `127.0.0.1:${web.port}`;
    const cases: [server: string, url: string, reason: RegExp, args?: string[]][] = [
      [locked.name, `redis://:hunter2@${locked.name}`, /wrong user or password/],
      [locked.name, `redis://${locked.name}`, /needs a password, and the URL has none/],
      [strange, `redis://:hunter2@${strange}`, /not a Redis server/],
      [open.name, open.url, /key taken .*something else.*"key"/, ["--redis-key=taken"]],
    ];
    await Promise.all(cases.map(async ([server, url, reason, args = []]) => {
      const port = freePort();
      const { code, stdout, stderr } = await endApp(
        [`--port=${port}`, "--hostname=127.0.0.1", ...args],
        { env: { REDIS_URL: url } },
      );
      assert.deepEqual([code, stdout], [1, ""], "nothing listens");
      assert.match(stderr, /^turbo-deno: Cannot use Redis at [^\n]+\n$/);
      assert.match(stderr, RegExp(`^turbo-deno: Cannot use Redis at ${server}: `));
      assert.match(stderr, reason);
      assert.doesNotMatch(stderr, /hunter2|right\b/);
    }));
  },
);

Deno.test(
  "The permissions of deno task start reach a Redis at any address",
  { ignore: WITH_REDIS.ignore! || Deno.build.os !== "linux" },
  async () => {
    // An address that exists on every Linux, and that no list of addresses would hold.
    await using redis = await startRedis({ args: ["--bind", "127.0.0.1", "127.0.0.2"] });
    const url = `redis://:@127.0.0.2:${redis.port}`;
    await using app = await startApp(["--port=0", "--hostname=127.0.0.1", `--redis=${url}`]);
    assert.equal((await readyz(app)).status, "ready");
    assert.equal(app.errors, "");
  },
);
