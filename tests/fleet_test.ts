import assert from "node:assert/strict";
import { type App, createApp } from "../main.ts";
import { MAX_ROWS } from "../server/load_row.ts";
import type { TurboOptions } from "../turbo/mod.ts";
import { Hub, type HubEngine } from "./hub.ts";
import { connect, directory, serve, until, WITH_PROCESS, within } from "./kit.ts";
import { endApp, START_FLAGS, startApp } from "./processes.ts";
import { MACHINE, reportAfter } from "./reports.ts";

/** The sampler of a machine with one load. */
const steady = (name: string, one = 1) => ({
  report: () =>
    reportAfter([[one, 0.25, 0.125]], { machine: { ...MACHINE, name }, at: Date.now() }),
});

/** The boxes that a node, or any, has pushed so far. */
function boxesIn(hub: Hub, by?: string): string[] {
  return hub.pushed.filter(({ node, html }) =>
    (by === undefined || node === by) && html.includes('target="load"')
  )
    .map(({ html }) => html);
}

/** What was pushed last to a target. */
function lastPushed(hub: Hub, target: string): string {
  return hub.pushed.findLast(({ html }) => html.includes(`target="${target}"`))?.html ?? "";
}

/** An app on a hub, which has started. */
async function start(
  hub: Hub,
  node: string,
  options: Parameters<typeof createApp>[0] = {},
): Promise<{ app: App; engine: HubEngine } & AsyncDisposable> {
  const engine = hub.engine();
  const app = createApp({ engine, node, interval: 3_600, sampler: steady(node), ...options });
  await app.start();
  return { app, engine, [Symbol.asyncDispose]: () => app.close(0) };
}

/** The names of the machines in the last box of a text, in order; `only NAME` where it is of a single one. */
function namesOf(text: string): string[] {
  const box = text.match(/<div id="load"[^]*?<\/table>/g)?.at(-1) ?? "";
  const names = [...box.matchAll(/<th scope="row">\s*([^<]*?)\s*</g)].map(([, name]) => name!);
  return names.length > 0 ? names : [`only ${lastOf(text, "machine")}`];
}

/** The names of the machines in the last day of a text, in order. */
function namesInDay(text: string): string[] {
  const day = text.slice(text.lastIndexOf('<div id="day">'));
  return [...day.matchAll(/<th scope="row">\s*([^<]*?)\s*</g)].map(([, name]) => name!);
}

/** The text of the last element with an id, in a text. */
function lastOf(text: string, id: string): string | undefined {
  return [...text.matchAll(RegExp(`id="${id}">([^<]*)<`, "g"))].at(-1)?.[1];
}

async function namesIn(app: App, path = "/"): Promise<string[]> {
  return namesOf(await (await app.hono.request(path)).text());
}

Deno.test("Each node's pages show all machines, and carry the cursor of that state", async () => {
  const hub = new Hub();
  await using web = await start(hub, "web", { sampler: steady("web", 7) });
  await using db = await start(hub, "db");
  await until(() => hub.pushed.length >= 1, "the box is pushed");
  await Promise.all([web.engine.flush(), db.engine.flush()]);
  for (const { app } of [web, db]) {
    for (const path of ["/", "/page2", "/nothing"]) {
      assert.deepEqual(await namesIn(app, path), ["db", "web"]);
    }
    const response = await app.hono.request("/");
    assert.equal(response.headers.get("Turbo-Cursor"), app.turbo.cursor);
    const text = await response.text();
    for (const head of ["1 min", "5 min", "15 min"]) {
      assert.match(text, new RegExp(`<th[^>]*>${head}</th>`));
    }
    assert.match(text, /<div id="load" class="load">/);
    assert.match(text, /(<td class="\w+">(7\.00|0\.25|0\.13)<\/td>\s*){3}/);
    assert.match(text, /<svg[^>]*role="img"[^>]*aria-label="1-minute load of the last hour of web/);
    assert.match(text, /<title id="title">2 machines<\/title>/);
  }
  assert.match(await (await db.app.hono.request("/")).text(), /As db sees it, at\s*<time/);
});

Deno.test("A page is sent the row of a machine that joins, and is its own again when that machine drains", async () => {
  const hub = new Hub();
  await using one = await start(hub, "one");
  await using server = serve(one.app.hono.fetch);
  await using client = await connect(server.url);
  await until(() => one.app.turbo.canPush(), "the page is connected");
  const two = await start(hub, "two");
  const pushed = () => client.messages.join("");
  const shows = (names: string, heading: string, title: string) =>
    namesOf(pushed()).join() === names && lastOf(pushed(), "machine") === heading &&
    lastOf(pushed(), "title") === title;
  await until(() => shows("one,two", "2 machines", "2 machines"), "both are shown");
  await until(() => namesInDay(pushed()).join() === "one,two", "their day is shown");
  const offline = () => /Offline · ([^<]*)<(?![^]*Offline)/.exec(pushed())?.[1];
  await until(() => offline() === "2 machines", "the head of a lost connection is of both");
  await two.app.close(0);
  await until(() => shows("only one", "one", "1.00 · one"), "one machine is shown");
  await until(() => namesInDay(pushed()).length === 0, "its day is shown");
  await until(() => offline() === "one", "the head of a lost connection is of one");
  assert.deepEqual(await namesIn(one.app), ["only one"]);
  await client[Symbol.asyncDispose]();
});

Deno.test("A machine that joins and crashes is gone from the last day and the head, whoever pushed it", async () => {
  const hub = new Hub();
  await using one = await start(hub, "one");
  await using two = await start(hub, "two");
  const nodes = [one.engine, two.engine];
  const flushed = () => Promise.all(nodes.map((engine) => engine.flush()));
  await until(() => namesInDay(lastPushed(hub, "day")).length === 2, "both are shown");
  for (const by of nodes) {
    const three = await start(hub, "three");
    await until(() => namesInDay(lastPushed(hub, "day")).length === 3, "all are shown");
    assert.match(lastPushed(hub, "lost"), /Offline · 3 machines/);
    await flushed();
    hub.lose(three.engine, by);
    await until(() => namesInDay(lastPushed(hub, "day")).length === 2, "it is gone");
    assert.match(lastPushed(hub, "lost"), /Offline · 2 machines/);
    await three[Symbol.asyncDispose]();
  }
});

Deno.test("The last day is pushed when a machine cannot be read, and when it can be read again", async () => {
  const hub = new Hub();
  let readings: Parameters<typeof reportAfter>[0] = [[1, 1, 1]];
  const report = () => reportAfter(readings, { machine: { ...MACHINE, name: "one" } });
  await using one = await start(hub, "one", { interval: 0.05, sampler: { report } });
  await using _two = await start(hub, "two");
  await using server = serve(one.app.hono.fetch);
  await using client = await connect(server.url);
  const day = () => {
    const text = client.messages.join("");
    return text.slice(text.lastIndexOf('<div id="day">'));
  };
  await until(() => namesInDay(day()).join() === "one,two", "both are shown");
  readings = [[1, 1, 1], "broken"];
  await until(() => day().includes("broken"), "the failure is shown");
  readings = [[1, 1, 1]];
  await until(() => !day().includes("broken"), "the failure is no longer shown");
});

Deno.test("A single process with an engine shows the same page as one without", async () => {
  const hub = new Hub();
  const report = await steady("web").report();
  const sampler = { report: () => Promise.resolve(report) };
  await using with_ = await start(hub, "web", { sampler });
  const without = createApp({ sampler });
  for (const path of ["/", "/page2"]) {
    const bodyOf = async (app: App) =>
      /<body[^]*<\/body>/.exec(await (await app.hono.request(path)).text())![0];
    assert.equal(await bodyOf(with_.app), await bodyOf(without));
  }
  assert.deepEqual(hub.pushed, [], "nobody reads");
});

Deno.test("A page of a process that has not joined yet shows its own numbers, and shares them once", async () => {
  const hub = new Hub();
  await using other = await start(hub, "other");
  const sampler = steady("new", 5);
  const app = createApp({ engine: hub.engine(), node: "new", interval: 3_600, sampler });
  const shared: unknown[] = [];
  const { share } = app.turbo;
  app.turbo.share = (value) => {
    shared.push(value);
    share.call(app.turbo, value);
  };
  const pages = await Promise.all([1, 2, 3].map(() => app.hono.request("/")));
  for (const page of pages) assert.match(await page.text(), /<td>5\.00<\/td>/);
  await until(async () => (await namesIn(other.app)).length === 2, "the other one shows it");
  assert.equal(shared.length, 1);
  const boxes = () => boxesIn(hub, "n2");
  await until(() => boxes().length > 0, "the box is pushed");
  assert.equal(boxes().length, 1);
  await app.close(0);
});

Deno.test("A process with an engine samples and pushes without readers, because others may have some", async () => {
  const hub = new Hub();
  let reads = 0;
  const sampler = { report: () => (reads++, steady("one", reads).report()) };
  await using _other = await start(hub, "other");
  await using _one = await start(hub, "one", { interval: 0.05, sampler });
  await until(() => reads >= 4 && hub.pushed.length >= 4, "it goes on");
});

Deno.test("A tick that is slow pushes once", async () => {
  const hub = new Hub();
  const slow = Promise.withResolvers<void>();
  let reads = 0;
  const sampler = {
    async report() {
      if (++reads === 2) await slow.promise;
      return await steady("one", reads).report();
    },
  };
  await using _other = await start(hub, "other");
  await using one = await start(hub, "one", { interval: 0.05, sampler });
  await until(() => reads === 2, "a tick has begun");
  await until(() => boxesIn(hub).length >= 1, "the box of joining is pushed");
  // This timer was set after the app's, so it fires later.
  let ticks = 0;
  const clock = setInterval(() => ticks++, 50);
  await until(() => ticks >= 4, "more ticks have come");
  clearInterval(clock);
  assert.equal(reads, 2);
  const before = boxesIn(hub).length;
  slow.resolve();
  await until(() => boxesIn(hub).length > before, "it is pushed");
  const loads = boxesIn(hub).slice(before).map((box) => /<td class="one">(\d+)/g.exec(box)![1]);
  assert.equal(new Set(loads).size, loads.length, loads.join());
  assert.equal(one.app.turbo.size, 0);
});

Deno.test("A foreign value among the shared values breaks no page", async () => {
  const hub = new Hub();
  await using one = await start(hub, "one");
  await using two = await start(hub, "two");
  two.app.turbo.share({ name: "<b>two</b>", averages: [1, 2, 3], hour: "none", cpus: -1 });
  await one.engine.flush();
  assert.deepEqual(await namesIn(one.app), ["&lt;b&gt;two&lt;/b&gt;", "one"]);
  for (const value of ["two", null, { name: "two", averages: [1, 2] }, { name: 2 }]) {
    two.app.turbo.share(value);
    await one.engine.flush();
    assert.deepEqual(await namesIn(one.app), ["only one"]);
  }
});

Deno.test("A page always shows its own machine, and says when there are more machines than it shows", async () => {
  const hub = new Hub();
  await using one = await start(hub, "one");
  const page = async () => await (await one.app.hono.request("/")).text();
  for (let n = 0; n < MAX_ROWS; n++) {
    const text = JSON.stringify({ share: { name: `stranger-${n}`, averages: [1, 2, 3] } });
    hub.add((copy) => copy.hear({ node: `${n}`, text, isOwn: false }));
  }
  await one.engine.flush();
  const names = await namesIn(one.app);
  assert.deepEqual([names.length, names[0]], [MAX_ROWS, "one"]);
  assert.match(await page(), new RegExp(`there are more machines than these ${MAX_ROWS}`));
  hub.add((copy) => copy.left("7", false));
  await one.engine.flush();
  assert.equal((await namesIn(one.app)).length, MAX_ROWS);
  assert.doesNotMatch(await page(), /there are more machines/);
});

Deno.test("GET /readyz says why a process is alone, which still serves", async () => {
  const hub = new Hub();
  const engine = hub.engine();
  const options: TurboOptions = { maxConnections: 1 };
  const app = createApp({ engine, node: "one", sampler: steady("one"), turbo: options });
  const ready = async () => {
    const response = await app.hono.request("/readyz");
    const { counts: _, ...answer } = await response.json();
    return [response.status, answer];
  };
  const counts = { connections: 0, zombies: 0 };
  assert.deepEqual(await ready(), [200, { status: "ready", ...counts }]);
  engine.away = "no answer";
  const degraded = { status: "degraded", ...counts, engine: "no answer" };
  assert.deepEqual(await ready(), [200, degraded]);
  assert.equal((await app.hono.request("/")).status, 200);
  engine.away = undefined;
  assert.deepEqual(await ready(), [200, { status: "ready", ...counts }]);
  engine.away = "no answer";
  await app.close(0);
  assert.deepEqual(await ready(), [503, { status: "draining", ...counts }]);
});

Deno.test("App.start() rejects when the engine does, and then shares nothing", async () => {
  const hub = new Hub();
  await using other = await start(hub, "other");
  const engine = hub.engine();
  engine.ready = Promise.reject(new Error("wrong password"));
  const app = createApp({ engine, node: "one", sampler: steady("one") });
  await assert.rejects(app.start(), /^Error: wrong password$/);
  await other.engine.flush();
  assert.deepEqual(await namesIn(other.app), ["only other"]);
  await app.close(0);
});

// ---- The process

Deno.test(
  "main.ts does not show the password of a wrong --redis",
  WITH_PROCESS,
  async () => {
    const { code, stdout, stderr } = await endApp(["--redis", "http://:hunter2@redis.example"]);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /^turbo-deno: --redis is wrong: [^\n]+\n$/);
    assert.doesNotMatch(stderr, /hunter2/);
  },
);

Deno.test(
  "main.ts reports in one line that it is not allowed to reach the --redis, and exits with 1",
  WITH_PROCESS,
  async () => {
    const flags = START_FLAGS.map((flag) => flag === "--allow-net" ? `${flag}=127.0.0.1` : flag);
    const args = ["--port=0", "--redis=redis://:hunter2@192.0.2.1:6379"];
    const { code, stdout, stderr } = await endApp(args, { flags });
    assert.deepEqual([code, stdout], [1, ""], stderr);
    assert.match(stderr, /^turbo-deno: [^\n]*192\.0\.2\.1:6379[^\n]*allow-net[^\n]*\n$/);
    assert.doesNotMatch(stderr, /hunter2/);
  },
);

Deno.test(
  "main.ts says once what --state keeps with --redis, and keeps it",
  WITH_PROCESS,
  async () => {
    using made = directory();
    const state = `${made.path}/state`;
    await using app = await startApp([
      "--port=0",
      "--hostname=127.0.0.1",
      "--redis=redis://127.0.0.1:1", // nobody is there
      `--state=${state}`,
    ], { flags: [...START_FLAGS, `--allow-read=${made.path}`, `--allow-write=${made.path}`] });
    assert.equal(app.errors.match(/--state keeps only the readings with --redis/g)?.length, 1);
    assert.match(await (await fetch(app.url)).text(), /hears nothing of the others/);
    app.child.kill("SIGTERM");
    await within(app.child.status, "the app to exit");
    assert.deepEqual(made.files(), ["state.readings"]);
  },
);
