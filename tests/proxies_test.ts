import assert from "node:assert/strict";
import { type App, createApp } from "../main.ts";
import { serve as serveProcess } from "../server/serve.ts";
import { append, html, type Turbo } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import {
  parseFrame,
  pause,
  PROTOCOL,
  serve,
  sideBySide,
  until,
  WITH_BROWSER,
  within,
} from "./kit.ts";
import { PROXIES, type ProxySite } from "./proxies.ts";
import { HANDSHAKE, request } from "./raw.ts";
import { drip, get, isReset } from "./site.ts";

/** The proxies that are installed. */
const HERE = Object.keys(PROXIES).filter((name) => !PROXIES[name]!.options.ignore);

/** Starts the app, which reads nothing for an hour, behind a proxy. */
async function startSite(name: string) {
  await using made = new AsyncDisposableStack();
  const app: App = createApp({ interval: 3_600 });
  const server = made.use(serve(app.hono.fetch));
  made.defer(() => app.close(0));
  const site = made.use(await PROXIES[name]!.start(server));
  const all = made.move();
  return { app, server, site, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** A reader that connects again when its connection ends, and asks for what it missed. */
interface Reader extends AsyncDisposable {
  /** The numbers that it was sent, in order. */
  readonly numbers: number[];
  /** How often its connection has ended. */
  readonly ends: number;
}

const READERS = { "WebSocket": webSocketReader, "server-sent events": eventReader };

/** Reads over WebSockets, by the sub-protocol. */
async function webSocketReader({ url, client }: ProxySite, cursor: string): Promise<Reader> {
  const reader = { numbers: [] as number[], ends: 0 };
  const opened = Promise.withResolvers<void>();
  let isOver = false;
  let socket: WebSocket;
  let closed = Promise.resolve();
  function connect(): void {
    const address = `${url.replace("https", "wss")}turbo-stream?since=${cursor}`;
    socket = new WebSocket(address, { protocols: [PROTOCOL], client } as never);
    socket.onopen = () => opened.resolve();
    socket.onerror = () => {};
    socket.onmessage = ({ data }) => {
      for (const entry of parseFrame(data)) {
        cursor = entry.cursor;
        reader.numbers.push(...numbersIn(entry.html));
      }
    };
    const { promise, resolve } = Promise.withResolvers<void>();
    closed = promise;
    socket.onclose = () => {
      resolve();
      if (isOver) return;
      reader.ends++;
      setTimeout(() => isOver || connect(), 10);
    };
  }
  connect();
  await within(opened.promise, "the socket to open");
  return Object.assign(reader, {
    async [Symbol.asyncDispose]() {
      isOver = true;
      socket.close();
      await within(closed, "the socket to close");
    },
  });
}

/** Reads server-sent events. */
async function eventReader(site: ProxySite, cursor: string): Promise<Reader> {
  const reader = { numbers: [] as number[], ends: 0 };
  const aborter = new AbortController();
  const opened = Promise.withResolvers<void>();
  async function connect(): Promise<void> {
    const response = await site.fetch(`${site.url}turbo-stream?since=${cursor}`, {
      headers: { Accept: "text/event-stream" },
      signal: aborter.signal,
    });
    let rest = "";
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      opened.resolve();
      const events = (rest + text).split("\n\n");
      rest = events.pop()!;
      for (const event of events) {
        cursor = /^id: ?(.*)$/m.exec(event)?.[1] ?? cursor;
        reader.numbers.push(...numbersIn(event));
      }
    }
  }
  const reading = (async () => {
    while (!aborter.signal.aborted) {
      await connect().catch(() => {}); // the connection is cut, or the proxy is away
      if (!aborter.signal.aborted) reader.ends++;
      await pause(10);
    }
  })();
  await within(opened.promise, "the event stream to open");
  return Object.assign(reader, {
    async [Symbol.asyncDispose]() {
      aborter.abort();
      await within(reading, "the event stream to end");
    },
  });
}

function numbersIn(html: string): number[] {
  return [...html.matchAll(/<i>(\d+)<\/i>/g)].map(([, number]) => Number(number));
}

function pushNumber(turbo: Turbo, number: number): void {
  turbo.push(append("list", html`<i>${number}</i>`));
}

/** Posts a slow body by HTTP/2, until the proxy has answered and does not want the rest. */
async function postSlowly({ url, cert }: ProxySite, path: string): Promise<void> {
  using client = Deno.createHttpClient({ caCerts: [cert], http1: false, http2: true });
  const { promise: unwanted, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream({
    async pull(controller) {
      await pause(200);
      controller.enqueue(new Uint8Array([120]));
    },
    cancel: () => resolve(),
  });
  const posting = fetch(new URL(path, url), { method: "POST", body, client });
  const response = await within(posting, `an answer for ${path} by HTTP/2`);
  assert([405, 408].includes(response.status), `${response.status}`);
  await response.body?.cancel();
  await within(unwanted, "the end of the body");
}

/** How many TCP connections to a port of this machine are open. */
function connectionsTo(port: number): number {
  const address = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = Deno.readTextFileSync("/proc/net/tcp").trim().split("\n").slice(1);
  const open = "01";
  return lines.map((line) => line.trim().split(/\s+/))
    .filter(([, , remote, state]) => remote!.endsWith(address) && state === open).length;
}

for (const [name, { file, options }] of Object.entries(PROXIES)) {
  const test = (what: string, run: () => Promise<void>) =>
    Deno.test(`${name} with deploy/${file}: ${what}`, options, run);

  test("the page and all that it links to answer, over TLS only", async () => {
    await using started = await startSite(name);
    const { site } = started;
    const page = await site.fetch(site.url);
    assert.equal(page.headers.get("strict-transport-security"), "max-age=31536000");
    const links = [...(await page.text()).matchAll(/ (?:href|src|data-stream)="(\/[^"]*)"/g)];
    const statuses = new Set<string>();
    for (const [, path] of links) {
      const response = await site.fetch(new URL(path!, site.url).href);
      await response.body?.cancel();
      statuses.add(`${path === "/turbo-stream" ? path : "others"} ${response.status}`);
    }
    assert.deepEqual(statuses, new Set(["others 200", "/turbo-stream 426"]));
    const plain = await site.askPlain(get("GET /page2 HTTP/1.1"));
    assert.match(plain, /^HTTP\/1\.[01] 30[18] /);
    assert.match(plain, /^location: https:\/\/localhost(?::\d+)?\/page2\r$/im);
  });

  test("a push comes at once over a WebSocket, and in an unbuffered event stream", async () => {
    await using started = await startSite(name);
    const { app: { turbo }, site } = started;
    for (const open of Object.values(READERS)) {
      await using reader = await open(site, turbo.cursor);
      await until(() => turbo.size === 1, "it is connected");
      for (const number of [1, 2]) {
        pushNumber(turbo, number);
        await until(() => reader.numbers.at(-1) === number, "it has the push");
      }
      await reader[Symbol.asyncDispose]();
      await until(() => {
        if (name === "Apache") pushNumber(turbo, 3); // it notices when it writes
        return turbo.size === 0;
      }, "the app knows that it has gone");
    }
  });

  test("its own origin connects, and a foreign one sees the app's 403", async () => {
    await using started = await startSite(name);
    const { site } = started;
    const { host, origin } = new URL(site.url);
    for (
      const [Origin, socket, events] of [[origin, 101, 200], ["https://evil.example", 403, 403]]
    ) {
      const headers = { Host: host, Origin: `${Origin}` };
      const handshake = request("GET /turbo-stream HTTP/1.1", { ...HANDSHAKE, ...headers });
      assert.equal(await site.status(handshake), socket);
      const response = await site.fetch(`${site.url}turbo-stream`, {
        headers: { Accept: "text/event-stream", Origin: `${Origin}` },
      });
      assert.equal(response.status, events);
      if (events === 403) assert.match(await response.text(), /This origin may not connect/);
      else await response.body?.cancel();
    }
  });

  test("what is for monitors is refused, however it is written", async () => {
    await using started = await startSite(name);
    const { server, site } = started;
    assert.equal(await site.status(get("GET /healthz HTTP/1.1")), 200);
    for (
      const path of [
        "/readyz",
        "/metrics",
        "/readyz?a=b",
        "/rea%64yz",
        "/metric%73",
        "/x/../readyz",
        "/x/%2e%2e/readyz",
        "/x\\..\\readyz",
        "/./readyz",
        "/\\readyz",
      ]
    ) {
      const status = await site.status(get(`GET ${path} HTTP/1.1`));
      assert([403, 400, 404].includes(status), `${path} is answered by ${status}`);
      if (!path.includes("\\")) assert.equal(status, 403, path);
    }
    assert.equal((await (await fetch(`${server.url}/readyz`)).json()).status, "ready");
  });

  test("the app is told who asks, and not what a client claims", async () => {
    const seen: Headers[] = [];
    await using app = serve(({ headers }) => (seen.push(headers), new Response("ok")));
    await using site = await PROXIES[name]!.start(app);
    const { host } = new URL(site.url);
    const claims = {
      "X-Forwarded-For": "192.0.2.1",
      "X-Forwarded-Proto": "http",
      "X-Forwarded-Host": "evil.example",
      "Forwarded": "for=192.0.2.1;host=evil.example",
    };
    assert.equal(await site.status(get("GET / HTTP/1.1", { ...claims, Host: host })), 200);
    const told = (header: string) => seen[0]!.get(header);
    assert.deepEqual(
      ["Host", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"].map(told),
      [host, "127.0.0.1", "https", null],
    );
    assert([null, host].includes(told("X-Forwarded-Host")));
  });

  test("a reload of it loses no push and doubles none", async () => {
    await using started = await startSite(name);
    const { app: { turbo }, site } = started;
    await using readers = new AsyncDisposableStack();
    const open: Reader[] = [];
    for (const reader of [...Object.values(READERS), ...Object.values(READERS)]) {
      open.push(readers.use(await reader(site, turbo.cursor)));
    }
    await until(() => turbo.size === open.length, "all are connected");
    let count = 0;
    let isReloading = true;
    const reloading = (async () => {
      for (let reloads = 0; reloads < 2; reloads++) await site.reload();
    })().finally(() => isReloading = false);
    const pushing = (async () => {
      for (let after = 0; after < 20; after += isReloading ? 0 : 1) {
        pushNumber(turbo, ++count);
        await pause(5);
      }
    })();
    await Promise.all([reloading, pushing]);
    const all = Array.from({ length: count }, (_, index) => index + 1);
    for (const { numbers } of open) {
      await until(() => numbers.at(-1) === count, "it has the last push");
      assert.deepEqual(numbers, all);
    }
    const ends = open.map(({ ends }) => ends);
    if (name === "Caddy") assert(ends[0]! > 0, "a WebSocket stays: change deploy/Caddyfile");
    else assert.deepEqual(ends, [0, 0, 0, 0], "open connections stay");
    await using late = await webSocketReader(site, turbo.cursor);
    pushNumber(turbo, count + 1);
    await until(() => late.numbers.length === 1, "a new reader has a push");
  });
}

Deno.test(
  "HAProxy gives each address its share of connections and requests, and answers to its own name only",
  PROXIES["HAProxy"]!.options,
  async () => {
    await using app = serve(() => new Response("ok"));
    const few = { "gt 2000": "gt 3", "gt 3500": "gt 5" };
    await using site = await PROXIES["HAProxy"]!.start(app, few);
    const page = get("GET / HTTP/1.1");
    assert.equal(await site.ask(get("GET / HTTP/1.1", { Host: "evil.example" })), "");
    assert.equal(await site.askPlain(get("GET / HTTP/1.1", { Host: "evil.example" })), "");
    const statuses = [];
    for (let count = 1; count <= 6; count++) statuses.push(await site.status(page));
    assert.deepEqual([statuses[0], statuses.at(-1)], [200, 429]);
    await using held = new AsyncDisposableStack();
    for (let count = 1; count <= 3; count++) {
      const conn = await site.connect();
      held.defer(() => conn.close());
    }
    await assert.rejects(site.connect(), isReset);
  },
);

/** Sends heads and bodies slowly through a proxy, until it has closed the connections of all. */
async function sendSlowly(name: string): Promise<void> {
  const app = createApp({ interval: 3_600 });
  const asked: string[] = [];
  await using server = serveProcess(async (incoming, info) => {
    asked.push(new URL(incoming.url).pathname);
    if (incoming.url.endsWith("/form")) return new Response(await incoming.text());
    return await app.hono.fetch(incoming, info);
  }, {
    port: 0,
    hostname: "127.0.0.1",
    bodyTimeout: 1_000,
    log: { log() {}, warn() {}, error() {} },
    signals: { addSignalListener() {}, removeSignalListener() {} },
  });
  await using site = await PROXIES[name]!.start(server);
  const length = { "Content-Length": "1000", "Connection": "keep-alive" };
  const chunked = { "Transfer-Encoding": "chunked", "Connection": "keep-alive" };
  const head = get("GET /head HTTP/1.1").slice(0, -2);
  const slow: [head: string, bytes: string][] = [[`${head}X: `, "x"]];
  for (const line of ["POST / HTTP/1.1", "GET / HTTP/1.1", "POST /form HTTP/1.1"]) {
    slow.push([get(line, length), "x"], [get(line, chunked), "1\r\nx\r\n"]);
  }
  // Apache speaks HTTP/1.1 only; see its file.
  const http2 = name === "Apache" ? [] : ["/", "/form"].map((path) => postSlowly(site, path));
  const answers = await Promise.all(
    Array.from({ length: name === "nginx" ? 25 : 5 }, () => slow).flat().map(([head, bytes]) =>
      drip(site, head, bytes)
    ),
  );
  await Promise.all(http2);
  assert(!asked.includes("/head"), "the app sees no request whose head is not complete");
  assert.deepEqual(answers.filter((text) => /^HTTP\/1\.1 5/.test(text)), []);
  await until(
    () => connectionsTo(server.port) <= 3,
    `only a few connections of ${name} to the app are idle`,
  );
  await app.close(0);
}

Deno.test(
  "Slow heads and slow bodies end behind each proxy, there and between it and the app",
  { ignore: HERE.length === 0 },
  () => sideBySide(HERE, sendSlowly),
);

Deno.test("A page is live behind each proxy, and after a reload of it", WITH_BROWSER, async () => {
  await using browser = await startBrowser();
  for (const name of HERE) {
    await using started = await startSite(name);
    const { app, site } = started;
    const { page, errors, context } = await browser.open("", { ignoreHTTPSErrors: true });
    const sockets: string[] = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    await page.goto(site.url);
    await page.waitForSelector(OPEN_PAGE);
    assert.match(sockets[0] ?? "", /^wss:/, name);
    await page.evaluate(() => document.body.insertAdjacentHTML("beforeend", "<p id=list></p>"));
    for (let number = 1; number <= 3; number++) {
      pushNumber(app.turbo, number);
      await page.waitForSelector(`#list :nth-child(${number})`);
      if (number === 2) await site.reload();
    }
    assert.equal(await page.textContent("#list"), "123", name);
    assert.deepEqual(errors, [], name);
    await context.close();
  }
});
