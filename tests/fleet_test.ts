import assert from "node:assert/strict";
import { type FleetReport, type LoadReport, MAX_ROWS, type Row } from "../loadavg.ts";
import { type App, createApp } from "../main.ts";
import { loadBox, STYLES } from "../templates.ts";
import { html, type TurboOptions } from "../turbo/mod.ts";
import { startBrowser } from "./browser.ts";
import { Hub, type HubEngine } from "./hub.ts";
import { connect, until, WITH_BROWSER, WITH_PROCESS } from "./kit.ts";
import { serve } from "./kit.ts";
import { endApp, START_FLAGS, startApp } from "./processes.ts";

/** A sampler with one load. */
const steady = (one: number) => ({
  report(): Promise<LoadReport> {
    const averages = [one, 0.25, 0.125] as const;
    const latest = { averages, simulated: false, at: Date.now(), monotonicAt: 0 };
    return Promise.resolve({ latest, history: [latest], failure: undefined, age: 0 });
  },
});

/** An app on a hub, which has joined. */
async function start(
  hub: Hub,
  node: string,
  options: Parameters<typeof createApp>[0] = {},
): Promise<{ app: App; engine: HubEngine } & AsyncDisposable> {
  const engine = hub.engine();
  const app = createApp({ engine, node, interval: 3_600, sampler: steady(1), ...options });
  await app.join();
  return { app, engine, [Symbol.asyncDispose]: () => app.close(0) };
}

/** The names of the machines on a page, in order. */
async function namesIn(app: App, path = "/"): Promise<string[]> {
  const text = await (await app.hono.request(path)).text();
  return [...text.matchAll(/<th scope="row">\s*([^<]*?)\s*</g)].map(([, name]) => name!);
}

Deno.test("Each node's pages show all machines, and carry the cursor of that state", async () => {
  const hub = new Hub();
  await using web = await start(hub, "web", { sampler: steady(7) });
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
    assert.match(text, /<td>7\.00<\/td>\s*<td>0\.25<\/td>\s*<td>0\.13<\/td>/);
    assert.match(text, /<svg[^>]*role="img"[^>]*aria-label="1-minute load of web/);
  }
  assert.match(await (await db.app.hono.request("/")).text(), /As db sees it, at\s*<time/);
});

Deno.test("A page is sent the row of a machine that joins, and loses it when the machine drains", async () => {
  const hub = new Hub();
  await using one = await start(hub, "one");
  await using server = serve(one.app.hono.fetch);
  await using client = await connect(server.url);
  await until(() => one.app.turbo.canPush(), "the page is connected");
  const two = await start(hub, "two");
  const shown = () => [...(client.messages.at(-1) ?? "").matchAll(/<th scope="row">\s*(\w+)/g)];
  await until(() => shown().map(([, name]) => name).join() === "one,two", "both are shown");
  await two.app.close(0);
  await until(() => client.messages.at(-1)!.includes("Load averages:"), "one machine is shown");
  assert.deepEqual(await namesIn(one.app), ["Load averages:"]);
  await client[Symbol.asyncDispose]();
});

Deno.test("A single process with an engine shows the same table as one without", async () => {
  const hub = new Hub();
  await using with_ = await start(hub, "web");
  const without = createApp({ sampler: steady(1) });
  const boxOf = async (app: App) =>
    /<div id="load"[^]*?<\/div>/.exec(await (await app.hono.request("/")).text())![0]
      .replace(/<time.*<\/time>/, "");
  assert.equal(await boxOf(with_.app), await boxOf(without));
  assert.deepEqual(hub.pushed, [], "nobody reads");
});

Deno.test("A page of a process that has not joined yet shows its own numbers, and shares them once", async () => {
  const hub = new Hub();
  await using other = await start(hub, "other");
  const said: number[] = [];
  const sampler = { report: () => (said.push(1), steady(5).report()) };
  const app = createApp({ engine: hub.engine(), node: "new", interval: 3_600, sampler });
  const pages = await Promise.all([1, 2, 3].map(() => app.hono.request("/")));
  for (const page of pages) assert.match(await page.text(), /<td>5\.00<\/td>/);
  await until(async () => (await namesIn(other.app)).length === 2, "the other one shows it");
  await other.engine.flush();
  const page = await (await other.app.hono.request("/")).text();
  assert.match(page, /1-minute load of new over the last 0 s/, "one reading was shared");
  await until(() => hub.pushed.some(({ node }) => node === "n2"), "the box is pushed");
  assert.equal(hub.pushed.filter(({ node }) => node === "n2").length, 1);
  await app.close(0);
});

Deno.test("A process with an engine samples and pushes without readers, because others may have some", async () => {
  const hub = new Hub();
  let reads = 0;
  const sampler = { report: () => (reads++, steady(reads).report()) };
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
      return await steady(reads).report();
    },
  };
  await using _other = await start(hub, "other");
  await using one = await start(hub, "one", { interval: 0.05, sampler });
  await until(() => reads === 2, "a tick has begun");
  await until(() => hub.pushed.length >= 1, "the box of joining is pushed");
  // This timer was set after the app's, so it fires later.
  let ticks = 0;
  const clock = setInterval(() => ticks++, 50);
  await until(() => ticks >= 4, "more ticks have come");
  clearInterval(clock);
  assert.equal(reads, 2);
  const before = hub.pushed.length;
  slow.resolve();
  await until(() => hub.pushed.length > before, "it is pushed");
  const loads = hub.pushed.slice(before).map(({ html }) => /<td>(\d+)\.00<\/td>/.exec(html)![1]);
  assert.equal(new Set(loads).size, loads.length, loads.join());
  assert.equal(one.app.turbo.size, 0);
});

Deno.test("A foreign value among the shared values breaks no page", async () => {
  const hub = new Hub();
  await using one = await start(hub, "one");
  await using two = await start(hub, "two");
  two.app.turbo.share({ name: "<b>two</b>", averages: [1, 2, 3], history: "none", cpus: -1 });
  await one.engine.flush();
  assert.deepEqual(await namesIn(one.app), ["&lt;b&gt;two&lt;/b&gt;", "one"]);
  for (const value of ["two", null, { name: "two", averages: [1, 2] }, { name: 2 }]) {
    two.app.turbo.share(value);
    await one.engine.flush();
    assert.deepEqual(await namesIn(one.app), ["Load averages:"]);
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
  const app = createApp({ engine, node: "one", sampler: steady(1), turbo: options });
  const ready = async () => {
    const response = await app.hono.request("/readyz");
    return [response.status, await response.json()];
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

Deno.test("App.join() rejects when the engine does, and then shares nothing", async () => {
  const hub = new Hub();
  await using other = await start(hub, "other");
  const engine = hub.engine();
  engine.ready = Promise.reject(new Error("wrong password"));
  const app = createApp({ engine, node: "one", sampler: steady(1) });
  await assert.rejects(app.join(), /^Error: wrong password$/);
  await other.engine.flush();
  assert.deepEqual(await namesIn(other.app), ["Load averages:"]);
  await app.close(0);
});

Deno.test("App.join() of a process without an engine starts no timer", async () => {
  let reads = 0;
  const sampler = { report: () => (reads++, steady(1).report()) };
  const app = createApp({ interval: 0.05, sampler });
  await app.join();
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(reads, 0);
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

Deno.test("main.ts says once that --state is not used with --redis", WITH_PROCESS, async () => {
  const nobody = "--redis=redis://127.0.0.1:1";
  await using app = await startApp([
    "--port=0",
    "--hostname=127.0.0.1",
    nobody,
    "--state=state/none",
  ]);
  assert.equal(app.errors.match(/--state is not used with --redis/g)?.length, 1);
  assert.match(await (await fetch(app.url)).text(), /hears nothing of the others/);
});

// ---- The box

const rowOf = (name: string, row: Partial<Row> = {}): Row => ({
  name,
  averages: [0.42, 0.57, 1.12],
  simulated: false,
  at: 0,
  age: 3_000,
  failure: undefined,
  history: Array.from({ length: 60 }, (_, index) => 1 + Math.sin(index / 6)),
  interval: 5_000,
  cpus: 8,
  ...row,
});

const boxOf = (rows: Row[], report: Partial<FleetReport> = {}) =>
  String(
    loadBox({
      rows,
      hasMore: false,
      renderer: "web1",
      at: Date.UTC(2026, 0, 1, 12),
      isAlone: false,
      ...report,
    }),
  );

Deno.test("loadBox() of a fleet has a row for each machine, with its age", () => {
  const box = boxOf([rowOf("db", { cpus: 1 }), rowOf("web1", { age: 600 })]);
  const [, db = "", web = ""] = box.split(/<tr class="">/);
  assert.match(db, /<th scope="row">db <small>1 CPU<\/small><\/th>/);
  assert.match(db, /<td>0\.42<\/td>\s*<td>0\.57<\/td>\s*<td>1\.12<\/td>/);
  assert.match(db, /<td class="age">3 s<\/td>/);
  assert.match(web, /<td class="age">1 s<\/td>/);
  assert.match(
    box,
    /<p class="note">\s*As web1 sees it, at\s*<time datetime="2026[^"]+">12:00:00 UTC/,
  );
});

Deno.test("loadBox() of a fleet marks a machine that is late, simulated or cannot be read", () => {
  const late = boxOf([rowOf("a", { age: 12_000 }), rowOf("b")]);
  assert.match(late, /<tr class="late">\s*<th scope="row">a /);
  assert.match(late, /<td class="age">12 s old<\/td>/);
  assert.equal(late.match(/class="late"/g)?.length, 1);
  assert.match(boxOf([rowOf("a", { simulated: true })]), /<strong>simulated<\/strong>/);
  const failed = boxOf([rowOf("a", { averages: undefined, failure: "broken", history: [null] })]);
  assert.match(failed, /<span class="failed">broken<\/span>/);
  assert.match(failed, /(<td>–<\/td>\s*){3}/);
  assert.match(failed, /<td class="age">–<\/td>/);
  assert.match(failed, /aria-label="No samples of the 1-minute load of a yet"/);
  assert.match(
    boxOf([], { isAlone: true }),
    /class="note failed">\s*web1 hears nothing of the others/,
  );
});

Deno.test("loadBox() of a fleet scales plots from zero to all CPUs or the highest load, and leaves holes empty", () => {
  const curve = (row: Partial<Row>) =>
    /class="curve" d="([^"]*)"/.exec(boxOf([rowOf("a", row)]))![1];
  const busy = (row: Partial<Row>) =>
    /class="busy" d="([^"]*)"/.exec(boxOf([rowOf("a", row)]))?.[1];
  assert.equal(curve({ history: [0, 4, 8], cpus: 8 }), "M0 100h.01l1 -50l1 -50");
  assert.equal(curve({ history: [0, null, 4], cpus: undefined }), "M0 100h.01M2 0h.01");
  assert.equal(busy({ history: [16], cpus: 8 }), "M0 50H1");
  assert.equal(busy({ cpus: undefined }), undefined);
  assert.match(
    boxOf([rowOf("a", { history: [1, null, 2], cpus: 8 })]),
    /"1-minute load of a over the last 10 s: from 1\.00 to 2\.00; all CPUs are busy at 8\.00"/,
  );
});

const LONG = "build-runner-eu-west-1a-07.internal.example-with-a-long-name.com";

/** A fleet with the rows that are hardest to show. */
function fleetOf(count: number): Row[] {
  const rows = Array.from({ length: count - 2 }, (_, index) => rowOf(`web${index + 1}`));
  const high = { averages: [188.2, 171.05, 160.44], cpus: 64, history: [100, 150, 188] } as const;
  return [rowOf(LONG, high), rowOf("mail", { age: 12_000, cpus: 2 }), ...rows];
}

Deno.test("The box of a fleet fits at 320, 390, 768 and 1,280 px", WITH_BROWSER, async () => {
  await using browser = await startBrowser();
  for (const width of [320, 390, 768, 1280]) {
    for (const count of [3, 12]) {
      const { page } = await browser.open("about:blank", { viewport: { width, height: 800 } });
      const rows = [...fleetOf(count), rowOf("pi", { failure: "x".repeat(200), simulated: true })];
      await page.setContent(String(html`
        <!DOCTYPE html>
        <body>
          <main>
            <aside></aside>
          </main>
        </body>
      `));
      await page.addStyleTag({ content: STYLES });
      await page.evaluate((box) => document.querySelector("aside")!.innerHTML = box, boxOf(rows));
      const { overflow, cells, narrow, heads } = await page.evaluate(() => ({
        heads: [...document.querySelectorAll("thead th")]
          .filter((head) => head.getBoundingClientRect().width > 30)
          .map(({ textContent }) => textContent).join(),
        narrow: [...document.querySelectorAll(".fleet svg")]
          .map((plot) => plot.getBoundingClientRect().width).filter((width) => width < 40),
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        cells: [...document.querySelectorAll(".fleet td:not(.trend)")]
          .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).map((
            { textContent },
          ) => textContent),
      }));
      assert.equal(overflow, 0, `${overflow} px too wide at ${width} px`);
      assert.match(heads, /1 min,5 min,15 min/, `at ${width} px`);
      assert.deepEqual(narrow, [], `plots too narrow at ${width} px`);
      assert.deepEqual(cells, [], `too wide for their cells at ${width} px`);
      await page.context().close();
    }
  }
});
