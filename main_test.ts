import assert from "node:assert/strict";
import config from "./deno.json" with { type: "json" };
import { type App, createApp, OPTIONS, parseSettings, type Settings } from "./main.ts";
import { jsonOf, type LoadReport } from "./loadavg.ts";
import { networkAddresses } from "./server/addresses.ts";
import { type Options, showDefault } from "./server/settings.ts";
import { type Page, startBrowser } from "./tests/browser.ts";
import { Hub } from "./tests/hub.ts";
import { connect, connected, directory, pause, serve, until, WITH_BROWSER } from "./tests/kit.ts";
import { freePort, memoryLog, parseFrame, PROTOCOL, WITH_PROCESS, within } from "./tests/kit.ts";
import { endApp, START_FLAGS, startApp, startCommand, succeeds } from "./tests/processes.ts";
import { parsePrometheus } from "./tests/prometheus.ts";
import { frame, RawSocket, request as rawRequest, statusOf } from "./tests/raw.ts";
import { FakeMachine, reportAfter } from "./tests/reports.ts";
import { html, PROMETHEUS_TYPE, remove, replace, type TurboOptions } from "./turbo/mod.ts";
import { OPEN_PAGE } from "./turbo/testing.ts";

/** Makes a sampler whose first number counts the readings. */
function counting(onReport = () => {}): { report(): Promise<LoadReport> } {
  let count = 0;
  return {
    report() {
      onReport();
      count++;
      return reportAfter([[count, 0.25, 0.125]]);
    },
  };
}

/** Starts the app on a free port. */
function start(options: Parameters<typeof createApp>[0] = {}) {
  const app = createApp({ sampler: counting(), log: memoryLog(), ...options });
  const server = serve(app.hono.fetch);
  return {
    app,
    url: server.url,
    port: server.port,
    async [Symbol.asyncDispose]() {
      await app.close(2_000);
      await server[Symbol.asyncDispose]();
    },
  };
}

async function request(path: string, init?: RequestInit, app: App = createApp()) {
  const response = await app.hono.request(path, init);
  return { response, text: await response.text() };
}

// ---- Routes

/** The pages and what programs read. */
const PATHS = ["/", "/page2", "/load.json", "/manifest.webmanifest"];

for (const [path, other] of [["/", "/page2"], ["/page2", "/"]] as const) {
  Deno.test(`GET ${path} has the box and a link to ${other}`, async () => {
    const { response, text } = await request(path);
    assert.equal(response.status, 200);
    assert.match(text, /<div id="load" class="load">/);
    for (const head of ["1 min", "5 min", "15 min"]) {
      assert.match(text, new RegExp(`<th[^>]*>${head}</th>`));
    }
    assert.match(
      text,
      /<caption>Load averages<\/caption>[^]*<tr>(\s*<td>\d+\.\d\d<\/td>){3}\s*<\/tr>/,
    );
    assert.match(text, /<svg[^>]*role="img"[^>]*aria-label="1-minute load/);
    assert.match(text, new RegExp(`<a [^>]*href="${other}"`));
    assert.match(text, new RegExp(`<a href="${path}" aria-current="page">`));
  });
}

Deno.test("GET / has the cursor taken before the sample was read", async () => {
  const app: App = createApp({
    sampler: {
      report() {
        app.turbo.push(remove("nothing"));
        return counting().report();
      },
    },
  });
  const before = app.turbo.cursor;
  const { response, text } = await request("/", {}, app);
  assert.notEqual(app.turbo.cursor, before);
  assert.equal(response.headers.get("Turbo-Cursor"), before);
  assert.match(text, new RegExp(`name="turbo-cursor" content="${before}"`));
});

Deno.test("GET / shows the numbers of the system", async () => {
  const one = () => Deno.loadavg()[0]!.toFixed(2);
  const before = one();
  const { text } = await request("/");
  const [shown] = /<td>(\d+\.\d\d)<\/td>/.exec(text)?.slice(1) ?? [];
  assert([before, one()].includes(shown!));
});

Deno.test("GET of another path is a 404 page", async () => {
  const paths = ["/nothing", "/assets/nothing.js", "/assets/..%2fdeno.json", "/page2/", "/load/"];
  for (const path of paths) {
    const { response, text } = await request(path);
    assert.equal(response.status, 404, path);
    assert.match(text, /Nothing at this address/);
  }
});

Deno.test("Other methods are answered by 405 with Allow", async () => {
  const others = ["/turbo-stream", "/healthz", "/readyz", "/metrics", "/assets/a.js"];
  for (const path of [...PATHS, ...others]) {
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      const { response } = await request(path, { method });
      assert.equal(response.status, 405, `${method} ${path}`);
      assert.equal(response.headers.get("Allow"), "GET, HEAD");
    }
  }
});

Deno.test("GET /turbo-stream without an upgrade is 426", async () => {
  const { response } = await request("/turbo-stream");
  assert.equal(response.status, 426);
  assert.equal(response.headers.get("Upgrade"), "websocket");
});

Deno.test("GET /healthz answers ok, and GET /readyz says that the app is ready, then that it is draining", async () => {
  const app = createApp();
  const health = await request("/healthz", {}, app);
  assert.deepEqual([health.response.status, health.text], [200, "ok"]);
  const ready = await request("/readyz", {}, app);
  assert.equal(ready.response.status, 200);
  const { status, connections } = JSON.parse(ready.text);
  assert.deepEqual([status, connections], ["ready", 0]);
  await app.close(1_000);
  const draining = await request("/readyz", {}, app);
  assert.equal(draining.response.status, 503);
  assert.equal(JSON.parse(draining.text).status, "draining");
  assert.equal((await request("/healthz", {}, app)).response.status, 200);
});

Deno.test("GET /readyz counts closed connections that have not ended, and is 503 when there are too many", async () => {
  const app = createApp({ turbo: { maxConnections: 4 } });
  await using server = serve(app.hono.fetch);
  await using sockets = new AsyncDisposableStack();
  const ready = async () => {
    const response = await fetch(`${server.url}/readyz`);
    const { status, connections, zombies } = await response.json();
    return [response.status, status, connections, zombies];
  };
  for (let zombies = 1; zombies <= 3; zombies++) {
    const socket = sockets.use(await RawSocket.upgrade(server.port));
    await socket.write(frame(new Uint8Array(1), { opcode: 2 })); // closed because it is binary, and does not end
    await until(() => app.turbo.zombies === zombies, "it is closed");
    const expected = zombies <= 2 ? [200, "ready", 0, zombies] : [503, "overloaded", 0, zombies];
    assert.deepEqual(await ready(), expected);
  }
  sockets.use(await RawSocket.upgrade(server.port)); // the last place
  await assert.rejects(RawSocket.upgrade(server.port), /503/);
  await sockets.disposeAsync();
  await until(() => app.turbo.zombies === 0, "they have gone");
  assert.deepEqual((await ready()).slice(0, 2), [200, "ready"]);
  await app.close(1_000);
});

Deno.test("GET /metrics has the load and how it was read, but no random load", async () => {
  const simulated = reportAfter([[1, 2, 3]], { simulated: true });
  const app = createApp({ sampler: counting() });
  const other = createApp({ sampler: { report: () => simulated } });
  await app.start();
  const { response, text } = await request("/metrics", {}, app);
  assert.equal(response.headers.get("Content-Type"), PROMETHEUS_TYPE);
  assert.equal(response.headers.get("Cache-Control"), "no-store");
  const families = parsePrometheus(text);
  const valueOf = (name: string) => [...families.get(name)!.samples.values()];
  const [one, five, fifteen] = [1, 5, 15].map((n) => valueOf(`system_cpu_load_average_${n}m`)[0]);
  assert.deepEqual([five, fifteen], [0.25, 0.13]);
  assert(one! >= 1);
  assert.deepEqual(valueOf("load_readings_total"), [1, 0]);
  assert.equal(valueOf("load_reading_duration_seconds").at(-1), 1);
  const random = parsePrometheus((await request("/metrics", {}, other)).text);
  assert.equal(random.get("system_cpu_load_average_1m")!.samples.size, 0);
  await Promise.all([app.close(0), other.close(0)]);
});

Deno.test("An app with allowedHosts answers only those hosts, but those who watch it for any host", async () => {
  const app = createApp({ turbo: { allowedHosts: ["load.example"] } });
  const statusAt = async (Host: string, path: string) =>
    (await request(path, { headers: { Host } }, app)).response.status;
  for (const path of ["/", "/page2", "/turbo-stream", "/assets/none", "/none"]) {
    assert.equal(await statusAt("evil.example", path), 421, path);
  }
  assert.equal(await statusAt("load.example", "/"), 200);
  assert.equal(await statusAt("load.example:8000", "/"), 200);
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    assert.equal(await statusAt("10.0.0.7:8000", path), 200);
  }
  await app.close(0);
});

/** Options, and the statuses of the second and of the last of 22 streams from one address. */
const ADDRESSES: readonly [options: TurboOptions, second: number, last: number][] = [
  [{}, 200, 200], // behind a proxy all readers have its address
  [{ maxConnectionsPerAddress: 1 }, 503, 429],
  [{ handshakeRate: { burst: 2, perSecond: 0.001 } }, 200, 429],
];

for (const [turbo, second, last] of ADDRESSES) {
  Deno.test(`createApp() with ${JSON.stringify(turbo)} answers the streams of one address by ${second}, then ${last}`, async () => {
    const app = createApp({ sampler: counting(), turbo });
    const info = { remoteAddr: { transport: "tcp", hostname: "10.0.0.1", port: 1 } };
    const ask = () => {
      const headers = { Accept: "text/event-stream" };
      return app.hono.fetch(new Request("http://localhost/turbo-stream", { headers }), info);
    };
    const answers = [];
    for (let n = 0; n < 22; n++) answers.push(await ask());
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual([statuses[0], statuses[1], statuses[21]], [200, second, last]);
    await app.close(0);
    await Promise.all(answers.map(({ body }) => body?.cancel()));
  });
}

Deno.test("Every page has a strict policy and the other security headers", async () => {
  for (const path of ["/", "/page2", "/nothing"]) {
    const { headers } = (await request(path)).response;
    const policy = headers.get("Content-Security-Policy")!;
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /script-src 'self'(;|$)/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.equal(headers.get("X-Content-Type-Options"), "nosniff");
    assert.equal(headers.get("Referrer-Policy"), "strict-origin-when-cross-origin");
  }
});

Deno.test("GET /assets serves the scripts, the stylesheet and the icon of a page", async () => {
  const app = createApp();
  const { text } = await request("/", {}, app);
  const paths = [...text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  assert.equal(paths.length, 5);
  for (const path of paths) {
    const { response } = await request(path, { headers: { "Accept-Encoding": "br" } }, app);
    assert.equal(response.status, 200, path);
    const isText = !path.endsWith(".png");
    assert.equal(response.headers.get("Content-Encoding"), isText ? "br" : null, path);
  }
});

Deno.test("An error in a page is a 500 that does not show the text of the error", async () => {
  const broken = { report: () => Promise.reject(new Error("secret\nand more")) };
  const log = memoryLog();
  const { response, text } = await request("/", {}, createApp({ sampler: broken, log }));
  assert.equal(response.status, 500);
  assert.doesNotMatch(text, /secret/);
  assert.deepEqual(log.events, ['error: Cannot answer GET "/": secret'], "in one line");
});

// ---- For programs

/** Headers of a request for `/`, and whether the answer is JSON. */
const ACCEPTS: readonly [accept: string | undefined, isJson: boolean][] = [
  [undefined, false],
  ["*/*", false],
  ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false],
  ["text/vnd.turbo-stream.html, text/html, application/xhtml+xml", false],
  ["text/html, application/json;q=0.5", false],
  ["application/json;q=0, */*", false],
  ["image/png", false],
  ["application/json", true],
  ["application/json, text/html;q=0.5", true],
  ["application/json, */*;q=0.1", true],
];

for (const [accept, isJson] of ACCEPTS) {
  Deno.test(`GET / with Accept: ${accept ?? "nothing"} is ${isJson ? "JSON" : "a page"}`, async () => {
    const headers = accept === undefined ? {} : { Accept: accept };
    const { response, text } = await request("/", { headers }, createApp({ sampler: counting() }));
    const type = isJson ? "application/json" : "text/html; charset=UTF-8";
    assert.deepEqual([response.status, response.headers.get("Content-Type")], [200, type]);
    assert.match(response.headers.get("Vary") ?? "", /\bAccept\b/);
    if (isJson) assert.equal(JSON.parse(text).machines[0].load.oneMinute, 1);
    else assert.match(text, /<td>1\.00<\/td>/);
  });
}

Deno.test("Only / answers by Accept: the other pages are always HTML", async () => {
  const app = createApp({ sampler: counting() });
  for (const path of ["/page2", "/nothing"]) {
    const { response } = await request(path, { headers: { Accept: "application/json" } }, app);
    assert.match(response.headers.get("Content-Type")!, /^text\/html/, path);
  }
});

Deno.test("GET /load.json has the report, which no cache keeps", async () => {
  const { response, text } = await request(
    "/load.json",
    { headers: { Accept: "text/html" } },
    createApp({ sampler: counting() }),
  );
  assert.equal(response.headers.get("Content-Type"), "application/json");
  assert.equal(response.headers.get("Cache-Control"), "no-store");
  assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(jsonOf(await counting().report()))));
});

Deno.test("HEAD is answered as GET, without a body", async () => {
  const app = createApp({ sampler: counting() });
  for (const path of PATHS) {
    const [head, get] = [
      await request(path, { method: "HEAD" }, app),
      await request(path, {}, app),
    ];
    assert.deepEqual([head.response.status, head.text], [200, ""], path);
    for (const name of ["Content-Type", "Vary", "Cache-Control"]) {
      assert.equal(head.response.headers.get(name), get.response.headers.get(name), path);
    }
  }
});

Deno.test("GET /manifest.webmanifest describes an app whose pages and icons are there", async () => {
  const app = createApp({ sampler: counting() });
  const { response, text } = await request("/manifest.webmanifest", {}, app);
  assert.equal(response.headers.get("Content-Type"), "application/manifest+json");
  const { name, short_name, start_url, icons } = JSON.parse(text);
  assert.deepEqual([name, short_name], ["Load of web1", "web1"]);
  assert.equal((await request(start_url, {}, app)).response.status, 200);
  for (const { src, type } of icons) {
    const icon = (await request(src, {}, app)).response;
    assert.deepEqual([icon.status, icon.headers.get("Content-Type")], [200, type]);
  }
  const page = (await request("/", {}, app)).text;
  assert.match(page, /<link rel="manifest" href="\/manifest\.webmanifest">/);
});

// ---- Below a path

Deno.test("With a base every route answers, whether a proxy has removed the base or not", async () => {
  const app = createApp({ sampler: counting(), base: "/load" });
  const assets = [...(await request("/", {}, app)).text.matchAll(/"(?:\/load)(\/assets\/[^"]+)"/g)]
    .map(([, path]) => path!);
  assert.equal(assets.length, 5);
  const paths: readonly (readonly [path: string, status: number])[] = [
    ...[...PATHS, "/healthz", "/readyz", "/metrics", ...assets]
      .map((path) => [path, 200] as const),
    ["/turbo-stream", 426],
    ["/nothing", 404],
    ["/assets/nothing.js", 404],
  ];
  for (const [path, status] of paths) {
    for (const prefix of ["", "/load"]) {
      const { response } = await request(prefix + path, {}, app);
      assert.equal(response.status, status, prefix + path);
    }
    const { response } = await request(`/load${path}`, { method: "POST" }, app);
    if (status === 200) assert.equal(response.status, 405, path);
  }
  const { response } = await request("/load?a=b", {}, app);
  assert.deepEqual([response.status, response.headers.get("Location")], [301, "/load/?a=b"]);
  for (const path of ["/loader", "/load/load/page2", "/load//page2", "/other/page2"]) {
    assert.equal((await request(path, {}, app)).response.status, 404, path);
  }
});

Deno.test("With a base all addresses in all pages and pushes are below it", async () => {
  await using server = start({ base: "/load", interval: 0.05 });
  for (const path of ["/", "/load/page2", "/nothing"]) {
    const { text } = await request(path, {}, server.app);
    const addresses = [...text.matchAll(/(?:href|src|data-stream)="(\/[^"]*)"/g)]
      .map(([, address]) => address!);
    assert(addresses.length > 8, path);
    assert.deepEqual(addresses.filter((address) => !address.startsWith("/load/")), [], path);
  }
  await using client = await connect(server.url, { path: "/load/turbo-stream" });
  const addresses = [...(await client.next()).matchAll(/href="(\/[^"]*)"/g)].map(([, href]) =>
    href
  );
  assert.deepEqual(addresses, ["/load/load.json"]);
});

// ---- The timer

Deno.test("A plain client gets the box, the title, the icon and the facts in one message after each tick", async () => {
  await using server = start({ interval: 0.05 });
  await using client = await connect(server.url);
  for (let count = 1; count <= 3; count++) {
    const message = await client.next();
    assert.match(
      message,
      /^<turbo-stream action="replace" target="load" method="morph"><template><div id="load" class="load">[^]*<\/template><\/turbo-stream>$/,
    );
    const targets = [...message.matchAll(/ target="(\w+)" method="morph"/g)].map(([, id]) => id);
    const day = count === 1 ? ["day"] : []; // all readings are of the same five minutes
    assert.deepEqual(targets, ["load", "title", "icon", "machine", "facts", ...day]);
    assert.match(message, new RegExp(`<td>${count}\\.00</td>`));
    assert.match(message, new RegExp(`<title id="title">${count}\\.00 · web1</title>`));
  }
});

Deno.test("The timer ticks once in each interval from the first reader on", async () => {
  const order: string[] = [];
  await using server = start({ interval: 0.1, sampler: counting(() => order.push("tick")) });
  await using _client = await connect(server.url);
  await connected(server.app.turbo);
  // Set after the app's timer with the same interval, so it always fires right after that, however late.
  const clock = setInterval(() => order.push("clock"), 100);
  order.length = 0;
  try {
    await until(() => order.length >= 10, "five intervals are over");
  } finally {
    clearInterval(clock);
  }
  assert.deepEqual(order.slice(0, 10), Array.from({ length: 5 }, () => ["tick", "clock"]).flat());
});

Deno.test("The timer of an app that was not started samples once per tick for any number of readers, and not at all without readers", async () => {
  let samples = 0;
  await using server = start({
    interval: 0.05,
    sampler: counting(() => samples++),
    turbo: { frame: 0 }, // each push is a message of its own
  });
  const { turbo } = server.app;
  await pause(200); // a timer of the app would fire before this one
  assert.equal(samples, 0);
  {
    await using one = await connect(server.url);
    await using two = await connect(server.url);
    await using three = await connect(server.url);
    await connected(turbo, { count: 3 });
    const clients = [one, two, three];
    await until(() => three.messages.length >= 3, "all have some");
    const end = String(remove("end"));
    turbo.push(remove("end"));
    const sampled = samples;
    await until(
      () => clients.every(({ messages }) => messages.includes(end)),
      "all have what was sent until now",
    );
    const boxes = clients.map(({ messages }) =>
      messages.slice(0, messages.indexOf(end)).filter((html) => html.includes('target="load"'))
    );
    for (const shown of boxes) {
      const counts = shown.map((box) => Number(/<td>(\d+)\.00<\/td>/.exec(box)![1]));
      const last = counts.map((_, index) => sampled - counts.length + 1 + index);
      assert.deepEqual(counts, last, "each sample once and in order");
      assert.deepEqual(shown.slice(-3), boxes[0]!.slice(-3));
    }
  }
  await until(() => turbo.size === 0, "all are gone");
  const after = samples;
  await pause(200);
  assert.equal(samples, after);
});

Deno.test("The timer survives an error of the sampler", async () => {
  let calls = 0;
  const { report } = counting();
  const log = memoryLog();
  await using server = start({
    interval: 0.05,
    sampler: { report: () => ++calls === 1 ? Promise.reject(new Error("broken")) : report() },
    log,
  });
  await using client = await connect(server.url);
  await client.next();
  assert.deepEqual(log.events, ["error: Cannot push the load averages: broken"]);
});

Deno.test("App.start() takes a reading, then one in each interval, without a reader, until the app is closed", async () => {
  let reads = 0;
  const app = createApp({ interval: 0.05, sampler: counting(() => reads++) });
  await app.start();
  assert.equal(reads, 1);
  await until(() => reads >= 4, "it goes on");
  await app.close(0);
  const after = reads;
  await pause(200); // a timer of the app would fire before this one
  assert.equal(reads, after);
});

Deno.test("App.start() goes on when the last reader has left", async () => {
  let reads = 0;
  await using server = start({ interval: 0.05, sampler: counting(() => reads++) });
  await server.app.start();
  {
    await using _client = await connect(server.url);
    await connected(server.app.turbo);
  }
  await until(() => server.app.turbo.size === 0, "it is gone");
  const before = reads;
  await until(() => reads >= before + 3, "the timer goes on");
});

Deno.test("App.start() of an app that is closed meanwhile takes no reading", async () => {
  let reads = 0;
  const engine = new Hub().engine();
  const { promise, resolve } = Promise.withResolvers<void>();
  engine.ready = promise;
  const app = createApp({ engine, interval: 0.05, sampler: counting(() => reads++) });
  const started = app.start();
  await app.close(0);
  resolve();
  await started;
  assert.equal(reads, 0);
});

Deno.test("App.start() survives a first reading that fails", async () => {
  let calls = 0;
  const { report } = counting();
  const sampler = { report: () => ++calls === 1 ? Promise.reject(new Error("broken")) : report() };
  const log = memoryLog();
  const app = createApp({ interval: 0.05, sampler, log });
  try {
    await app.start();
    await until(() => calls >= 2, "the next reading");
  } finally {
    await app.close(0);
  }
  assert.deepEqual(log.events, ["error: Cannot push the load averages: broken"]);
});

/** The ids of the parts that are replaced by some HTML, in order. */
const partsIn = (html: string) =>
  [...html.matchAll(/action="replace" target="(\w+)"/g)].map(([, id]) => id);

Deno.test("Each part supersedes its earlier ones, so a page that was away is sent each once", async () => {
  let reads = 0;
  const { report } = counting();
  const hangs = new Promise<LoadReport>(() => {});
  const sampler = { report: () => ++reads > 10 ? hangs : report() };
  await using server = start({ interval: 0.05, sampler });
  const { turbo } = server.app;
  const before = turbo.cursor;
  {
    await using _reader = await connect(server.url);
    await until(() => reads > 10, "ten readings are pushed");
  }
  await using client = await connect(server.url, {
    path: `/turbo-stream?since=${before}`,
    protocol: PROTOCOL,
  });
  const html = () => client.messages.flatMap(parseFrame).map(({ html }) => html).join("");
  await until(() => partsIn(html()).length >= 6, "it is sent what it has missed");
  assert.deepEqual(partsIn(html()).sort(), ["day", "facts", "icon", "load", "machine", "title"]);
  assert.match(html(), /<td>10\.00<\/td>[^]*<title id="title">▲ 10\.00 · web1</);
});

Deno.test("A page that is the first to be back is sent the latest reading at once", async () => {
  for (const hasStarted of [true, false]) {
    const machine = new FakeMachine({ interval: 3_600_000 });
    await using server = start({ interval: 3_600, sampler: machine.sampler });
    const { turbo } = server.app;
    const { text } = await request("/", {}, server.app);
    assert.match(text, /<td>0\.50</);
    const since = turbo.cursor;
    {
      await using _reader = await connect(server.url);
      await connected(turbo);
    }
    await until(() => turbo.size === 0, "the page is gone");
    machine.pass(7_200_000);
    machine.reading = [7, 2, 1];
    if (hasStarted) await server.app.start();
    await using client = await connect(server.url, {
      path: `/turbo-stream?since=${since}`,
      protocol: PROTOCOL,
    });
    const html = () => client.messages.flatMap(parseFrame).map(({ html }) => html).join("");
    await until(() => partsIn(html()).length >= 6, "it is sent the reading");
    assert.match(html(), /<td>7\.00<\/td>/);
    assert.equal(machine.reads, 2);
  }
});

Deno.test("Where readings are rare, open pages are sent the date and ages again between them, and a failed reading is tried again", async () => {
  const machine = new FakeMachine({ interval: 86_400_000 });
  const { sampler } = machine;
  await using server = start({ interval: 86_400, refresh: 20, sampler });
  await server.app.start();
  await using client = await connect(server.url);
  const facts = () => /<ul id="facts".*?<\/ul>/s.exec(client.messages.at(-1) ?? "")?.[0] ?? "";
  await until(() => facts().includes("up 41 days") && facts().includes("25 November"), "it is so");
  machine.pass(20 * 3_600_000);
  await until(
    () => facts().includes("up 41 days") && facts().includes("26 November"),
    "it is later",
  );
  assert.equal(machine.reads, 1);
  machine.pass(5 * 3_600_000);
  machine.reading = "broken";
  await until(() => client.messages.at(-1)!.includes("broken"), "it fails");
  machine.reading = [3, 2, 1];
  await until(() => client.messages.at(-1)!.includes("<td>3.00</td>"), "it is read");
});

Deno.test("The last day is pushed when five minutes begin, and not with each reading", async () => {
  const begin = Date.UTC(2026, 10, 25, 14, 30);
  const seconds = [65, 299, 300, 305, 599, 1_000, 1_001];
  const rest = seconds.map((second) => begin + second * 1_000);
  const hangs = new Promise<LoadReport>(() => {});
  const sampler = {
    report() {
      const at = rest.shift();
      return at === undefined ? hangs : reportAfter([[1, 1, 1]], { at });
    },
  };
  await using server = start({ interval: 0.05, sampler });
  await using client = await connect(server.url);
  const pushed: number[] = [];
  for (const second of seconds) {
    if (partsIn(await client.next()).includes("day")) pushed.push(second);
  }
  assert.deepEqual(pushed, [65, 300, 1_000]);
});

// ---- The state

for (const hasEngine of [false, true]) {
  Deno.test(`createApp() with a state${hasEngine ? " and an engine" : ""} keeps the readings over restarts`, async () => {
    using made = directory();
    const state = `${made.path}/state`;
    const before = new FakeMachine({ file: `${state}.readings`, at: Date.now() - 30 * 60_000 });
    await before.next([321, 1, 1]);
    before.sampler.save();
    for (let restart = 0; restart < 3; restart++) {
      const engine = hasEngine ? new Hub().engine() : undefined;
      const app = createApp({ state, engine, node: "web9", turbo: { onNotice() {} } });
      const startedAt = Date.now();
      await app.start();
      const [machine] = JSON.parse((await request("/load.json", {}, app)).text).machines;
      assert.equal(machine.name, "web9");
      const loads = machine.hour.highest.filter((load: number | null) => load !== null);
      assert.deepEqual([loads[0], loads.length > 1], [321, true], `restart ${restart}`);
      await app.close(0);
      const { latest: [readAt] } = JSON.parse(Deno.readTextFileSync(`${state}.readings`));
      assert(readAt >= startedAt - 2, "its own reading is kept, too"); // clocks are read one by one
    }
    const files = hasEngine ? ["state.readings"] : ["state", "state.readings"];
    assert.deepEqual(made.files(), files);
  });
}

// ---- Settings and process

const none = () => undefined;

Deno.test("App.close() says that the readings could not be kept, and ends in due form", async () => {
  using made = directory();
  const folder = `${made.path}/folder`;
  const log = memoryLog();
  const app = createApp({ state: `${folder}/state`, log });
  await app.close(0);
  Deno.removeSync(folder, { recursive: true });
  Deno.writeTextFileSync(folder, "no folder");
  await app.close(0);
  assert.match(log.events.join("\n"), /^error: Cannot keep the readings in ".*state\.readings": /m);
});

Deno.test("parseSettings() has the documented defaults", () => {
  assert.deepEqual(parseSettings([], none), {
    port: 8000,
    hostname: "0.0.0.0",
    interval: 5,
    maxConnections: 10_000,
    allowOrigin: [],
    allowHost: [],
    maxMemory: 1024,
    base: undefined,
    drain: 10,
    state: undefined,
    redis: undefined,
    redisKey: "turbo",
    node: undefined,
    warn: undefined,
    logLevel: "info",
    logFormat: "auto",
    inspector: false,
    healthcheck: false,
  });
});

Deno.test("parseSettings() has defaults on a Deno host that stay below its 5 s and its 768 MB", () => {
  const env: Record<string, string> = { DENO_DEPLOYMENT_ID: "d1" };
  const parse = (args: string[]) => parseSettings(args, (name) => env[name]) as Settings;
  const usual = parseSettings([], none) as Settings;
  assert.deepEqual(parse([]), { ...usual, drain: 4, maxMemory: 640 });
  const set = parse(["--drain=10", "--max-memory=1024"]);
  assert.deepEqual([set.drain, set.maxMemory], [10, 1024]);
});

Deno.test("parseSettings() reads each documented variable", () => {
  const env: Record<string, string> = {
    PORT: "1",
    HOST: "::1",
    INTERVAL: ".5",
    MAX_CONNECTIONS: "2",
    ALLOW_ORIGIN: "https://a.example, http://b.example:81/",
    ALLOW_HOST: "Load.example, localhost:8000",
    MAX_MEMORY: "300",
    BASE_PATH: "/load/",
    DRAIN: "2.5",
    STATE_FILE: "state/log",
    REDIS_URL: "rediss://:p%40ss@redis.example:6380/1",
    REDIS_KEY: "load:pages",
    NODE_NAME: "web 1",
    WARN: "1.5",
    LOG_LEVEL: "DEBUG",
    LOG_FORMAT: "json",
  };
  assert.deepEqual(parseSettings([], (name) => env[name]), {
    port: 1,
    hostname: "::1",
    interval: 0.5,
    maxConnections: 2,
    allowOrigin: ["https://a.example", "http://b.example:81"],
    allowHost: ["load.example", "localhost:8000"],
    maxMemory: 300,
    base: "/load",
    drain: 2.5,
    state: "state/log",
    redis: "rediss://:p%40ss@redis.example:6380/1",
    redisKey: "load:pages",
    node: "web 1",
    warn: 1.5,
    logLevel: "debug",
    logFormat: "json",
    inspector: false,
    healthcheck: false,
  });
});

Deno.test("parseSettings() rejects a value that cannot be used, and says what is allowed", () => {
  const cases: [string, RegExp][] = [
    ["--port=65536", /--port is "65536": a whole number from 0 to 65535/],
    ["--interval=0.04", /--interval is "0.04": seconds from 0.05 to 86400/],
    ["--max-connections=0", /--max-connections is "0": a whole number from 1 to 1000000/],
    ["--max-memory=1e9", /--max-memory is "1e9": a whole number from 0 to 1048576/],
    ["--hostname=a b", /--hostname is "a b": a host name or an IP address/],
    ["--allow-origin=null", /--allow-origin is "null": an origin such as/],
    ["--allow-host=https://a.example", /--allow-host is "https:\/\/a.example": a host such as/],
    ["--base=load", /--base is "load": a path such as \/load is needed/],
    ["--drain=3601", /--drain is "3601": seconds from 0 to 3600/],
    ["--state=", /--state is "": the path of a file/],
    ["--redis=http://a.example", /--redis is wrong: a URL such as redis:/],
    ["--redis-key=", /--redis-key is "": a name of 1 to 200 characters/],
    ["--node= ", /--node is " ": a name of 1 to 80 characters/],
    ["--log-level=all", /--log-level is "all": error, warn, info or debug is needed/],
    ["--log-format=xml", /--log-format is "xml": auto, json or text is needed/],
    ["--warn=0", /--warn is "0": a number from 0.01 to 1000 is needed/],
  ];
  for (const [arg, message] of cases) assert.throws(() => parseSettings([arg], none), message);
  for (const arg of ["--port=0", "--interval=.05", "--max-memory=0", "--drain=0"]) {
    parseSettings([arg], none);
  }
});

/** The options that have a value. */
const VALUED = Object.values<Options[string]>(OPTIONS).filter((option) => "parse" in option);
const VARIABLES = VALUED.map(({ variable }) => variable);

Deno.test("The permissions in deno.json have the variable of each option, and two that are none", () => {
  const { env } = config.permissions.default;
  assert.deepEqual(env.toSorted(), [...VARIABLES, "DENO_DEPLOYMENT_ID", "TURBO_SECRET"].sort());
});

Deno.test("deno task start and dev have the permissions in deno.json, and no others", () => {
  for (const task of ["start", "dev"] as const) {
    assert.match(
      config.tasks[task].command,
      /^deno run (--quiet |--watch )-P --no-prompt main\.ts( --inspector)?$/,
    );
  }
});

Deno.test("docs/running.md names each option, its variable and its default", async () => {
  const page = await Deno.readTextFile(new URL("docs/running.md", import.meta.url));
  const row = /^\| `(--[^`]+)` +\| `([A-Z_]+)` +\| (?:`([^`]+)`|(none)) +\|/gm;
  assert.deepEqual(
    [...page.matchAll(row)].map(([, option, variable, code, none]) => [
      option,
      variable,
      code ?? none,
    ]),
    VALUED.map((option) => [
      `${option.flag} ${option.placeholder}`,
      option.variable,
      showDefault(option.default),
    ]),
  );
  for (const { flag } of Object.values(OPTIONS)) assert(page.includes(`\`${flag}`), flag);
});

const UNITS = ["turbo-deno.service", "turbo-deno@.service"] as const;

/** A unit with the values that systemd fills in on a machine `web1`, for a process on port 8001. */
async function readUnit(name: typeof UNITS[number]): Promise<string> {
  const unit = await Deno.readTextFile(new URL(`deploy/${name}`, import.meta.url));
  return name.includes("@") ? unit.replaceAll("%i", "8001").replaceAll("%H", "web1") : unit;
}

/** The status of an answer, whose body is not wanted. */
async function drained(response: Response): Promise<number> {
  await response.body?.cancel();
  return response.status;
}

/** The settings of a process that a unit starts. */
function settingsOfUnit(unit: string) {
  const env = new Map<string, string>();
  for (const [, pairs] of unit.matchAll(/^Environment=(.+)$/gm)) {
    for (const pair of pairs!.split(" ")) {
      const [, name = "", value = ""] = /^([^=]+)=(.*)$/.exec(pair)!;
      assert(VARIABLES.includes(name), name);
      env.set(name, value);
    }
  }
  const settings = parseSettings([], (name) => env.get(name));
  assert(typeof settings === "object");
  return settings;
}

for (const name of UNITS) {
  Deno.test(`deploy/${name} sets only variables of options, to allowed values`, async () => {
    const unit = await readUnit(name);
    const { drain, maxMemory, hostname } = settingsOfUnit(unit);
    assert.doesNotMatch(unit, /^[^#\n]*%/m, "a specifier that this test does not know");
    assert.equal(hostname, "127.0.0.1", "nginx is in front");
    const [, seconds] = /^TimeoutStopSec=(\d+)$/m.exec(unit) ?? [];
    assert(Number(seconds) > drain, `killed after ${seconds} s, drains for ${drain}`);
    const [, high] = /^MemoryHigh=(\d+)M$/m.exec(unit) ?? [];
    assert(Number(high) > maxMemory, `throttled at ${high} MiB, drains at ${maxMemory}`);
  });
}

for (const name of UNITS) {
  Deno.test(`deploy/${name} offers a path and a warning in comments`, async () => {
    const unit = await readUnit(name);
    const { base, warn } = settingsOfUnit(unit.replaceAll("#Environment=", "Environment="));
    assert.deepEqual([base, warn], ["/load", 1]);
    assert.deepEqual([settingsOfUnit(unit).base, settingsOfUnit(unit).warn], [
      undefined,
      undefined,
    ]);
  });
}

Deno.test("deploy/turbo-deno.service keeps its state where deno task compile allows it", async () => {
  const unit = await readUnit("turbo-deno.service");
  const { state, redis } = settingsOfUnit(unit);
  const [, directory] = /^StateDirectory=(.+)$/m.exec(unit) ?? [];
  assert.deepEqual([state, redis], [`/var/lib/${directory}/state`, undefined]);
  for (const kind of ["read", "write"] as const) {
    assert(config.permissions.default[kind].includes(`/var/lib/${directory}`), kind);
  }
});

Deno.test("deploy/turbo-deno@.service gives each process its own port and row, and all processes one Redis", async () => {
  const { port, node, redis, state } = settingsOfUnit(await readUnit("turbo-deno@.service"));
  assert.deepEqual([port, node, state], [8001, "web1:8001", undefined]);
  assert.match(redis!, /^redis:\/\/127\.0\.0\.1:/);
});

Deno.test("Both units confine the process in the same way", async () => {
  const [one, several] = await Promise.all(UNITS.map(async (name) => {
    const unit = await readUnit(name);
    return unit.split("\n").filter((line) =>
      /^\w+=/.test(line) &&
      !/^(Environment|Description|After|StateDirectory)=/.test(line)
    );
  }));
  assert.deepEqual(several, one);
  assert(one!.includes("DynamicUser=yes"));
});

Deno.test("systemd finds nothing wrong with the units", {
  ignore: WITH_PROCESS.ignore! || !await succeeds("systemd-analyze", "--version"),
}, async () => {
  using made = directory();
  for (const name of UNITS) {
    // The binary need not be installed here.
    const unit = (await Deno.readTextFile(new URL(`deploy/${name}`, import.meta.url)))
      .replace("ExecStart=/usr/local/bin/turbo-deno", `ExecStart=${Deno.execPath()}`);
    const path = `${made.path}/${name.replace("@", "@8001")}`;
    await Deno.writeTextFile(path, unit);
    const { stderr } = await new Deno.Command("systemd-analyze", { args: ["verify", path] })
      .output();
    // It may also report problems of other units of this machine.
    const said = new TextDecoder().decode(stderr).split("\n");
    assert.deepEqual(said.filter((line) => line.includes("turbo-deno")), []);
  }
});

Deno.test(
  "main.ts says in one line what is wrong with an option, and exits with 2",
  WITH_PROCESS,
  async () => {
    const { code, stdout, stderr } = await endApp(["--port", "many"]);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /^turbo-deno: --port is "many": [^\n]+\n$/);
  },
);

Deno.test(
  "main.ts says in one line that the port is taken, and exits with 1",
  WITH_PROCESS,
  async () => {
    await using server = serve(() => new Response());
    const { code, stderr } = await endApp(
      ["--port", String(server.port), "--hostname", "127.0.0.1"],
    );
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^turbo-deno: --port is "(\d+)": cannot listen on 127\.0\.0\.1:\1: the port is taken[^\n]*\n$/,
    );
  },
);

Deno.test(
  "main.ts prints the URL to open, and on all addresses also those by which the network reaches it",
  WITH_PROCESS,
  async () => {
    await using app = await startApp(["--port=0"]);
    assert.match(app.url, /^http:\/\/localhost:[1-9]\d*$/);
    const [line = ""] = app.lines;
    const hosts = networkAddresses("0.0.0.0");
    const urls = hosts.map((host) => `http://${host}:${app.port}/`).join(" and ");
    const reach = urls
      ? `, and in the network on ${urls}`
      : " (on all addresses: the network can reach it)";
    assert.equal(line, `Listening on http://localhost:${app.port}/${reach}`);
    assert.equal(await (await fetch(`${app.url}/healthz`)).text(), "ok");
  },
);

Deno.test(
  "main.ts answers the hosts of --allow-host and accepts pages of the origins of --allow-origin",
  WITH_PROCESS,
  async () => {
    const allowed = ["--allow-host=load.example", "--allow-origin=https://a.example"];
    await using app = await startApp(["--port=0", "--hostname=127.0.0.1", ...allowed]);
    const statusAt = (Host: string, Origin?: string) =>
      statusOf(
        app.port,
        rawRequest("GET /turbo-stream HTTP/1.1", { Host, Origin, Accept: "text/event-stream" }),
      );
    const statuses = [
      await statusAt("load.example"),
      await statusAt("load.example", "https://a.example"),
      await statusAt("load.example", "https://b.example"),
      await statusAt("evil.example"),
    ];
    assert.deepEqual(statuses, [200, 200, 403, 421]);
  },
);

Deno.test(
  "main.ts --healthcheck exits with 0 while the app with the same options is ready, and touches nothing",
  WITH_PROCESS,
  async () => {
    using made = directory();
    const flags = START_FLAGS.map((flag) =>
      flag.replace(/^(--allow-(?:read|write)=)/, `$1${made.path},`)
    );
    const state = `${made.path}/log`;
    const env = { BASE_PATH: "/load", ALLOW_HOST: "load.example", STATE_FILE: state };
    const options = { env: { ...env, PORT: `${freePort()}` }, flags };
    async function check(args: string[] = []) {
      const { code, stdout, stderr } = await endApp(["--healthcheck", ...args], options);
      return [code, stdout, stderr];
    }
    const down = await check();
    assert.match(String(down), /^1,,turbo-deno: Cannot ask http:\/\/127.*\/load\/readyz: .+\n$/);
    await Deno.writeTextFile(state, "kept"); // an app that starts would read and remove it
    assert.equal((await check())[0], 1);
    assert.equal(await Deno.readTextFile(state), "kept");
    await Deno.remove(state);
    await using _app = await startApp([], options);
    assert.deepEqual(await check(), [0, "", ""]);
    assert.deepEqual(await check(["--hostname=localhost"]), [0, "", ""]);
  },
);

Deno.test(
  "main.ts --healthcheck exits with 1 and one line while the app is draining",
  WITH_PROCESS,
  async () => {
    await using app = await startApp();
    await using _page = await RawSocket.upgrade(app.port); // closed, and stays: so the app is still ending
    app.child.kill("SIGTERM");
    await until(
      async () => (await fetch(`${app.url}/readyz`).then(drained)) === 503,
      "it is draining",
    );
    const { code, stderr } = await endApp([`--port=${app.port}`, "--healthcheck"]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^turbo-deno: http:[^ ]+\/readyz answers 503: {"status":"draining",.*}\n$/,
    );
  },
);

Deno.test("main.ts --licenses shows the licences, and exits with 0", WITH_PROCESS, async () => {
  const { code, stdout, stderr } = await endApp(["--licenses"]);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(stdout, await Deno.readTextFile("deploy/licenses.txt"));
});

Deno.test("main.ts --help and --version answer and exit with 0", WITH_PROCESS, async () => {
  const help = await endApp(["--help"]);
  assert.equal(help.code, 0);
  for (const { flag, variable = flag } of Object.values<Options[string]>(OPTIONS)) {
    for (const name of [flag, variable]) assert(help.stdout.includes(name), name);
  }
  const version = await endApp(["--version"]);
  assert.match(version.stdout, /^turbo-deno \d+\.\d+\.\d+\n$/);
});

Deno.test(
  "deno task start needs no -A and shows the numbers of /proc/loadavg",
  WITH_PROCESS,
  async () => {
    assert(START_FLAGS.includes("--no-prompt"));
    assert(
      !START_FLAGS.some((flag) => /^(-A|--allow-all|--allow-(env|sys|read|write))$/.test(flag)),
    );
    const about = async () => (await Deno.readTextFile("/proc/loadavg")).split(" ").slice(0, 3);
    await using app = await startApp();
    const before = await about();
    const text = await (await fetch(app.url)).text();
    const after = await about();
    const shown = [...text.matchAll(/<td>(\d+\.\d\d)<\/td>/g)].map(([, number]) => number!);
    assert.equal(shown.length, 3);
    for (const [index, number] of shown.entries()) {
      const near = [before[index], after[index]].some((real) => Math.abs(+real! - +number) < 0.011);
      assert(near, `shown ${shown}, real ${before} then ${after}`);
    }
    assert.doesNotMatch(text, /Simulated/);
  },
);

/** Whether the app has taken a reading before the first request. */
async function hasRead({ url }: { readonly url: string }): Promise<boolean> {
  await pause(100); // so that a reading before and one after it differ in any case
  const asked = Date.now();
  const { machines: [machine] } = await (await fetch(`${url}/load.json`)).json();
  return Date.parse(machine.readAt) < asked - 50;
}

Deno.test(
  "main.ts takes readings from the start, except on a Deno host, where it sleeps without a reader",
  WITH_PROCESS,
  async () => {
    const args = ["--port=0", "--hostname=127.0.0.1", "--interval=3600"];
    await using app = await startApp(args);
    await using hosted = await startApp(args, { env: { DENO_DEPLOYMENT_ID: "d1" } });
    assert.equal(await hasRead(app), true);
    assert.equal(await hasRead(hosted), false);
  },
);

Deno.test(
  "deno serve main.ts starts the app where its own options say, and no other server",
  WITH_PROCESS,
  async () => {
    const other = freePort();
    const flags = ["serve", `--port=${other}`, ...START_FLAGS];
    const options = ["--port=0", "--hostname=127.0.0.1"];
    await using app = startCommand([Deno.execPath(), ...flags, "main.ts", ...options]);
    const line = await app.line(/^Listening/, { from: 0 });
    const port = Number(/:(\d+)\/$/.exec(line)![1]);
    assert.notEqual(port, other);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/healthz`)).text(), "ok");
    await assert.rejects(fetch(`http://127.0.0.1:${other}/healthz`));
    app.child.kill("SIGTERM");
    assert.equal(await within(app.ended, "the app to end"), 0);
  },
);

Deno.test("main.ts has its pages below --base, and says so", WITH_PROCESS, async () => {
  await using app = await startApp(["--port=0", "--hostname=127.0.0.1"], {
    env: { BASE_PATH: "/load" },
  });
  assert.equal(app.lines[0], `Listening on http://127.0.0.1:${app.port}/load/`);
  const page = await (await fetch(`http://127.0.0.1:${app.port}/load/`)).text();
  assert.match(page, /<link rel="stylesheet" href="\/load\/assets\//);
});

Deno.test("main.ts warns in the log and in the title with --warn", WITH_PROCESS, async () => {
  if (Deno.loadavg()[0]! < 0.03 * navigator.hardwareConcurrency) return; // it could fall below it
  await using app = await startApp(["--port=0", "--hostname=127.0.0.1", "--warn=0.01", "--node=a"]);
  assert.match(await (await fetch(app.url)).text(), /<title id="title">▲ \d+\.\d\d · a</);
  const { level, load, limit_per_cpu } = await app.event(
    /^Load above 0\.01 per CPU: \d+\.\d\d on \d+ CPUs?$/,
  );
  assert.deepEqual([level, typeof load, limit_per_cpu], ["warn", "number", 0.01]);
  assert.equal(app.events.length, 1, app.errors);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(
    `${signal} closes all connections and exits with 0, although one reader is stuck`,
    WITH_PROCESS,
    async () => {
      await using app = await startApp();
      await using client = await connect(app.url);
      using stuck = await Deno.connect({
        hostname: "127.0.0.1",
        port: Number(new URL(app.url).port),
      });
      const handshake = "GET /turbo-stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n" +
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
      await stuck.write(new TextEncoder().encode(handshake)); // never reads or answers
      await until(async () => {
        const { connections } = await (await fetch(`${app.url}/readyz`)).json();
        return connections === 2;
      }, "both are connected");
      app.child.kill(signal);
      assert([1001, 1012].includes((await within(client.closed, "the close")).code));
      const { code } = await within(app.child.status, "the app to exit");
      assert.equal(code, 0);
    },
  );
}

Deno.test("deno compile includes all that the app needs", WITH_PROCESS, async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "main.ts"],
    cwd: new URL(".", import.meta.url).pathname,
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout));
  const specifiers: string[] = modules.map(({ specifier }: { specifier: string }) => specifier);
  const texts = ["turbo/script_texts.ts", "deno.json", "deploy/licenses.txt"];
  for (const name of ["main.ts", ...texts, "server/load.css", "server/icon.png"]) {
    assert(specifiers.some((specifier) => specifier.endsWith(name)), name);
  }
  const foreign = specifiers.filter((specifier) =>
    !specifier.startsWith("file:") && !specifier.startsWith("node:") &&
    !/^npm:\/?hono@/.test(specifier)
  );
  assert.deepEqual(foreign, []);
});

// ---- In a browser

/** Follows a link between the pages, and waits for the page. */
async function visitPage(page: Page, name: string): Promise<void> {
  await page.click(`nav >> text=${name}`);
  // Until the visit is over: a click while Turbo replaces its preview by the page would hit neither.
  await page.waitForSelector(`html:not([aria-busy]) nav [aria-current="page"]:text-is("${name}")`);
}

Deno.test(
  "The box changes by itself on both pages, and 20 visits keep one socket and one box",
  WITH_BROWSER,
  async () => {
    await using server = start({ interval: 0.3 });
    await using browser = await startBrowser();
    const { page, errors, requests } = await browser.open(server.url);
    await page.waitForSelector(OPEN_PAGE);
    const sockets: unknown[] = [];
    page.on("websocket", (socket) => sockets.push(socket));
    const moves = async () => {
      const shown = await page.textContent(`#load tbody td`);
      await page.waitForFunction(
        (shown) => document.querySelector("#load tbody td")?.textContent !== shown,
        shown,
      );
    };
    await moves();
    for (let visit = 0; visit < 20; visit++) {
      await visitPage(page, visit % 2 ? "Last hour" : "Last day");
    }
    await visitPage(page, "Last day");
    await moves();
    assert.equal(await page.locator("#load").count(), 1);
    assert.equal(server.app.turbo.size, 1);
    assert.deepEqual(sockets, []);
    assert.deepEqual(errors, []);
    assert.deepEqual(requests.filter((url) => !url.startsWith(server.url)), []);
  },
);

Deno.test(
  "The box changes again after the server was killed and restarted",
  WITH_BROWSER,
  async () => {
    const args = [`--port=${freePort()}`, "--hostname=127.0.0.1", "--interval=0.2"];
    await using browser = await startBrowser();
    await using first = await startApp(args);
    const { page } = await browser.open(first.url);
    await page.waitForSelector(OPEN_PAGE);
    first.child.kill("SIGKILL");
    await page.waitForSelector(`:root:not(${OPEN_PAGE})`, { state: "attached" });
    await page.evaluate(() => (globalThis as unknown as { same: boolean }).same = true);
    await using _second = await startApp(args);
    await page.waitForSelector(OPEN_PAGE);
    const shown = await page.textContent("#load time");
    await page.waitForFunction(
      (shown) => document.querySelector("#load time")?.textContent !== shown,
      shown,
    );
    assert(await page.evaluate(() => (globalThis as unknown as { same: boolean }).same));
  },
);

Deno.test(
  "Without JavaScript both pages show the numbers and say that they are as of the loading",
  WITH_BROWSER,
  async () => {
    await using server = start();
    await using browser = await startBrowser();
    const { page } = await browser.open(server.url, { javaScriptEnabled: false });
    for (const link of ["Last day", "Last hour"]) {
      await visitPage(page, link);
      assert.equal(await page.textContent("h1"), "web1");
      assert.match((await page.textContent("#load tbody td"))!, /^\d+\.\d\d$/);
      assert(await page.isVisible(".line >> text=As of this page’s loading"));
      assert(!await page.isVisible(".line >> text=Live"));
      assert.equal(await page.isVisible("#day svg"), link === "Last day");
      assert.equal(await page.isVisible("#load svg"), link === "Last hour");
    }
  },
);

Deno.test("1,000 pushes leave nothing behind in the page", WITH_BROWSER, async () => {
  await using server = start({ interval: 60 });
  await using browser = await startBrowser();
  const { page, errors } = await browser.open(server.url);
  await page.waitForSelector(OPEN_PAGE);
  const push = (n: number) =>
    server.app.turbo.push(replace("load", html`\n  <div id="load" class="load">${n}</div>\n`));
  push(0);
  await page.waitForSelector('#load:text-is("0")');
  const count = () =>
    page.evaluate(() => [
      document.documentElement.childNodes.length,
      document.querySelector("#load")!.parentNode!.childNodes.length,
    ]);
  const before = await count();
  for (let n = 1; n <= 1_000; n++) push(n);
  await page.waitForSelector('#load:text-is("1000")');
  assert.deepEqual(await count(), before);
  assert.deepEqual(errors, []);
});

Deno.test(
  "The page shows the state of its connection in words: live, then offline",
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser();
    await using stack = new AsyncDisposableStack();
    const { url } = stack.use(start());
    const { page } = await browser.open(url);
    await page.waitForSelector(OPEN_PAGE);
    assert(await page.isVisible(".line >> text=Live"));
    await stack.disposeAsync();
    await page.waitForSelector(".line >> text=Offline");
    assert(!await page.isVisible(".line >> text=Live"));
  },
);

Deno.test(
  "The pages can be visited with the keyboard alone, and the focus is visible",
  WITH_BROWSER,
  async () => {
    await using server = start();
    await using browser = await startBrowser();
    const { page } = await browser.open(server.url);
    await page.waitForSelector(OPEN_PAGE);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    const outline = await page.evaluate(() =>
      getComputedStyle(document.activeElement!).outlineStyle
    );
    assert.equal(outline, "solid");
    await page.keyboard.press("Enter");
    await page.waitForSelector('[aria-current]:text-is("Last day")');
  },
);
