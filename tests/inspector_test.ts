/// <reference lib="dom" />
import assert from "node:assert/strict";
import { Hono } from "hono";
import { createApp } from "../main.ts";
import { append, html, remove, replace, Turbo, type TurboOptions } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type Page, startBrowser, type TestPage } from "./browser.ts";
import {
  connect,
  connected,
  PROTOCOL,
  serve,
  sinceOf,
  until,
  WITH_BROWSER,
  WITH_PROCESS,
  within,
} from "./kit.ts";
import { startApp } from "./processes.ts";
import { startNginx, WITH_NGINX } from "./nginx.ts";
import { ask, RawSocket, request } from "./raw.ts";
import { get } from "./site.ts";

const TOKEN = "a-long-enough-token";
/** What a browser sends, and `fetch` here does not. */
const BROWSER = { headers: { Connection: "keep-alive" } };

const box = (content: string | number) => replace("box", html`<b id="box">${content}</b>`);

/** An app with an inspector, where there is to be one, and a page that ann sees. */
function start({
  mount = (app: Hono, turbo: Turbo) => {
    app.route("/inspector", turbo.inspector());
  },
  options = {} as TurboOptions,
} = {}) {
  const notices: string[] = [];
  const turbo = new Turbo({ secret: TOKEN, onNotice: (text) => notices.push(text), ...options });
  const app = new Hono();
  app.use(turbo.middleware({ as: () => "ann" }));
  mount(app, turbo);
  app.get("/todos", (c) =>
    c.html(html`
      <!DOCTYPE html>
      <html>
        <head>
          <title>Todos</title><link rel="icon" href="data:,">
          ${turbo.head(c, { topics: ["room:1"] })}
        </head>
        <body><b id="box">0</b><ol id="list"></ol></body>
      </html>
    `));
  const server = serve((request, info) => app.fetch(request, info));
  return {
    ...server,
    turbo,
    app,
    notices,
    /** The inspector's HTML. */
    async html(path = "/inspector") {
      const answer = await fetch(server.url + path, BROWSER);
      return await answer.text();
    },
    async [Symbol.asyncDispose]() {
      await turbo.close({ deadline: 1_000, window: 0 });
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Waits until the text of an element matches. */
async function shows(page: Page, selector: string, pattern: RegExp): Promise<void> {
  let text = "";
  const isShown = async () => {
    text = await page.evaluate(textOf, selector);
    return pattern.test(text);
  };
  await until(isShown, `${selector} shows ${pattern}`).catch((error) => {
    throw new Error(`${error.message}, but ${JSON.stringify(text)}`);
  });
}

function textOf(selector: string): string {
  const text = document.querySelector<HTMLElement>(selector)?.innerText ?? "";
  return text.replaceAll(/\s+/g, " ");
}

const violations = ({ errors }: TestPage) => errors.filter((error) => /policy/i.test(error));

Deno.test(
  "Turbo.inspector() shows live what was pushed, what superseded it, and which target no page had",
  WITH_BROWSER,
  async () => {
    await using running = start();
    const { turbo, url } = running;
    await using browser = await startBrowser();
    const inspector = await browser.open(`${url}/inspector`);
    const { page } = inspector;
    await page.waitForSelector(OPEN_PAGE);
    await shows(page, "#summary", /Open pages 0 .+In the log 0, 0 B/);
    assert.equal(turbo.size, 0, "its own page is not one of the app");

    const todos = await browser.open(`${url}/todos`);
    await todos.page.waitForSelector(OPEN_PAGE);
    await shows(page, "#pages", /1 \/todos current reader "ann" · topic "room:1" · websocket/);
    turbo.push(box(1));
    await shows(page, "#push-1", /1 replace #box in the log .+ for 1 · sent to 1 · shown by 1$/);
    turbo.push(box(2));
    await shows(page, "#push-1", /superseded by 2/);

    await page.click("#push-2 summary");
    await shows(
      page,
      "#push-2 pre",
      /<turbo-stream action="replace" target="box"><template><b id="box">2/,
    );
    turbo.push(append("list", html`<li id="one">1</li>`));
    turbo.push(remove("one"));
    turbo.push(box(3));
    await shows(page, "#push-3", /removed by 4/);
    await shows(page, "#push-2", /superseded by 5/);
    assert(await page.isVisible("#push-2 pre"), "it stays open");

    turbo.push(replace("bxo", html`<b id="bxo">1</b>`));
    await shows(
      page,
      "#lost",
      /^No page had #bxo, which push 6 \(replace\) is for. Did you mean box\?$/,
    );
    await shows(page, "#push-6", /missing at 1/);
    turbo.push(box("secret"), { to: "bob" });

    await page.click("#pages a");
    await shows(page, "#push-7", /Not for it: the push is for the reader "bob"/);
    await shows(page, "#push-6", /Sent, and the page has no #bxo. Did you mean "box"\?/);
    await shows(page, "#push-5", /Sent and shown/);
    await shows(page, "#push-3", /Not sent: removed by 4/);
    turbo.push(box(8), { topic: "room:1" });
    await shows(page, "#push-8", /Sent and shown/);
    await todos.page.goto(`${url}/todos?again`);
    await shows(page, "#page", /State gone/);

    const plain = await browser.open(`${url}/inspector`, { javaScriptEnabled: false });
    await shows(plain.page, "#lost", /^No page had #bxo/);
    await shows(plain.page, ".live", /^as of \d\d:\d\d:\d\d$/);
    await plain.page.click("#push-2 summary");
    assert(await plain.page.isVisible("#push-2 pre"));
    assert.deepEqual([violations(inspector), violations(todos), violations(plain)], [[], [], []]);
    assert.deepEqual(inspector.errors, []);
  },
);

Deno.test(
  "The inspector tells a page that is frozen from one that shows a push",
  WITH_BROWSER,
  async () => {
    await using running = start();
    const { turbo, url } = running;
    await using browser = await startBrowser();
    const todos = await browser.open(`${url}/todos`);
    await todos.page.waitForSelector(OPEN_PAGE);
    const session = await todos.context.newCDPSession(todos.page);
    await session.send("Debugger.enable");
    await session.send("Debugger.pause");
    const { page } = await browser.open(`${url}/inspector`);
    await page.waitForSelector(OPEN_PAGE);
    turbo.push(box(1));
    await shows(page, "#push-1", /for 1 · sent to 1 · shown by 0$/);
    await page.click("#pages a");
    await shows(page, "#push-1", /sent .+ Sent; the page has not reported yet that it shows it/);
    await session.send("Debugger.resume");
    await session.send("Debugger.disable");
    turbo.push(box(2));
    await shows(page, "#push-1", /Sent and shown/);
  },
);

Deno.test("The pages of the inspector fit a phone", WITH_BROWSER, async () => {
  await using running = start();
  const { turbo, url } = running;
  await using browser = await startBrowser();
  const todos = await browser.open(`${url}/todos`);
  await todos.page.waitForSelector(OPEN_PAGE);
  const id = "a-long-id-without-any-place-to-break".repeat(3).replaceAll("-", "");
  turbo.push(replace(id, html`<b id="${id}">${"x".repeat(1_000)}</b>`));
  turbo.push(box(1), { to: Array.from({ length: 9 }, (_, n) => `${id}${n}`) });
  const viewport = { width: 320, height: 700 };
  const { page } = await browser.open(`${url}/inspector`, { viewport });
  await shows(page, "#lost", /No page had/);
  await page.click("#push-1 summary");
  for (const path of ["/inspector", "/inspector/page/1", "/inspector/page/99"]) {
    if (path !== "/inspector") await page.goto(url + path);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert(width <= viewport.width, `${width - viewport.width} px too wide: ${path}`);
  }
});

Deno.test("The inspector shows a page that takes nothing as behind, and what it is owed", async () => {
  await using running = start({ options: { dropAfter: 60_000, frame: 0 } });
  const { turbo, port } = running;
  await using _reader = await RawSocket.upgrade(
    port,
    `/turbo-stream?since=${turbo.cursor}&page=slow`,
    { "Sec-WebSocket-Protocol": PROTOCOL },
  );
  await connected(turbo);
  await running.html(); // it observes from now on
  const big = html`<p>${"x".repeat(60_000)}</p>`;
  while (turbo.buffered < 100_000) {
    turbo.push(append("list", big));
    await new Promise((resolve) => setTimeout(resolve)); // the socket is written to
  }
  turbo.push(box(1));
  turbo.push(box(2));
  const text = await running.html();
  assert.match(text, /class="behind"/);
  assert.match(text, /Is owed \d+ after \d+ since <time.+ wait to be sent/);
  const page = await running.html("/inspector/page/1");
  assert.match(page, /Owed: the page is behind/);
  assert.match(page, /Not sent: superseded by \d+ before that/);
});

Deno.test("The inspector tells that a page was refreshed, and its connection closed by the server", async () => {
  await using running = start();
  const { turbo, url } = running;
  turbo.push(box(1));
  await using client = await connect(url, {
    path: "/turbo-stream?page=lost&since=other.7",
    protocol: PROTOCOL,
  });
  await client.next();
  const page = await running.html("/inspector/page/1");
  assert.match(page, /from other\.7, which is of another log: it was told to fetch itself/);
  turbo.disconnect("ann");
  await within(client.closed, "the close");
  await until(
    async () => /Disconnected/.test(await running.html("/inspector/page/1")),
    "it tells the end",
  );
  assert.match(await running.html("/inspector/page/9"), /Nothing at this address/);
});

Deno.test(
  "With a token the inspector opens for a browser that knows it, with its connection",
  WITH_BROWSER,
  async () => {
    await using running = start({
      mount: (app, turbo) => {
        app.route("/inspector", turbo.inspector({ token: TOKEN }));
      },
    });
    const { turbo, url } = running;
    for (const path of ["/inspector", "/inspector/stream", "/inspector/assets/x.js"]) {
      const { status, headers, body } = await fetch(url + path, BROWSER);
      await body?.cancel();
      assert.deepEqual([status, headers.get("Cache-Control")], [401, "no-store"], path);
    }
    await using browser = await startBrowser();
    const httpCredentials = { username: "me", password: TOKEN };
    const { page, errors } = await browser.open("", { httpCredentials });
    const sockets: string[] = [];
    page.on("websocket", (socket) => sockets.push(new URL(socket.url()).pathname));
    await page.goto(`${url}/inspector`);
    await page.waitForSelector(OPEN_PAGE);
    turbo.push(box(1));
    await shows(page, "#push-1", /in the log/);
    assert.deepEqual(sockets, ["/inspector/stream"]);
    assert.deepEqual(errors, []);
  },
);

Deno.test("The inspector answers a browser on this machine alone, with headers that keep it there", async () => {
  await using running = start();
  const { url, port } = running;
  const statusOf = async (headers: Record<string, string>, path = "/inspector") => {
    const head = { Host: `127.0.0.1:${port}`, ...headers };
    return (await ask(port, request(`GET ${path} HTTP/1.1`, head))).status;
  };
  assert.equal(await statusOf(BROWSER.headers), 200);
  assert.equal(await statusOf({}), 403);
  assert.equal(await statusOf({ ...BROWSER.headers, "X-Forwarded-For": "203.0.113.9" }), 403);
  assert.equal(await statusOf({ ...BROWSER.headers, Host: "evil.example" }), 403);
  const events = { ...BROWSER.headers, Accept: "text/event-stream" };
  assert.equal(
    await statusOf({ ...events, Origin: "https://evil.example" }, "/inspector/stream"),
    403,
  );
  assert.equal(await statusOf({ ...events, "X-Real-IP": "1" }, "/inspector/stream"), 403);
  const posted = await fetch(`${url}/inspector`, { method: "POST", ...BROWSER });
  await posted.body?.cancel();
  assert.equal(posted.status, 405);
  const { headers, body } = await fetch(`${url}/inspector`, BROWSER);
  await body?.cancel();
  assert.equal(headers.get("Cache-Control"), "no-store");
  assert.match(
    headers.get("Content-Security-Policy")!,
    /^default-src 'none'; script-src 'self'; style/,
  );
  assert.match(headers.get("Content-Security-Policy")!, /frame-ancestors 'none'/);
});

Deno.test("The inspector's stream tells nothing to a client that has not had its page", async () => {
  await using running = start();
  const { turbo, url } = running;
  await using client = await connect(url, { path: "/inspector/stream", protocol: PROTOCOL });
  const [, cursor] = /name="turbo-cursor" content="(\S+)"/.exec(await running.html())!;
  turbo.push(box("secret"));
  await running.html(); // what changed is pushed now
  client.socket.send(sinceOf({ cursor: cursor! }));
  await until(() => client.messages.length >= 2, "its answer");
  assert.doesNotMatch(client.messages.join(""), /secret/);
});

Deno.test(
  "An nginx that adds no header does not open the inspector to others",
  WITH_NGINX,
  async () => {
    await using running = start();
    const host = new URL(running.url).host;
    const bare = `location / { proxy_pass http://${host}; }`;
    await using nginx = await startNginx(running, { "return 200 other;": bare }, "snippet");
    const ask = (path: string, Host: string) => nginx.ask(get(`GET ${path} HTTP/1.1`, { Host }));
    assert.match(await ask("/todos", "other.example"), /^HTTP\/1\.1 200/);
    assert.match(
      await ask("/inspector", "other.example"),
      /^HTTP\/1\.1 403[^]+no Connection: keep-alive/,
    );
    assert.match(await ask("/inspector", "localhost"), /^HTTP\/1\.1 403[^]+through a proxy/);
  },
);

Deno.test("turbo.inspector() works below a path, of the app or of a proxy", async () => {
  for (const [base, path] of [["", "/api/inspector"], ["/live", "/api/inspector"]] as const) {
    await using running = start({
      options: { base },
      mount: (app, turbo) => {
        app.basePath("/api").route("/inspector", turbo.inspector());
      },
    });
    const { turbo, url } = running;
    await using _client = await connect(url, { protocol: PROTOCOL });
    turbo.push(box(1));
    const text = await running.html(path);
    const links = [...text.matchAll(/(?:href|src|data-stream)="(\/[^"]+)"/g)].map(([, link]) =>
      link!
    );
    assert(links.length >= 5, `${links}`);
    for (const link of links) {
      assert(link.startsWith(`${base}${path}/`), link);
      if (link.endsWith("/stream")) continue;
      const answer = await fetch(url + link.slice(base.length), BROWSER);
      await answer.body?.cancel();
      const { status, headers } = answer;
      assert.equal(status, 200, link);
      if (link.endsWith(".css")) assert.match(headers.get("Content-Type")!, /^text\/css/);
    }
  }
});

Deno.test(
  "Without an inspector a page tells nothing, and what it would tell is ignored",
  WITH_BROWSER,
  async () => {
    await using running = start({ mount: () => {} });
    const { turbo, url } = running;
    await using browser = await startBrowser();
    const { page } = await browser.open("");
    const sent: string[] = [];
    const warned: string[] = [];
    page.on(
      "websocket",
      (socket) => socket.on("framesent", ({ payload }) => sent.push(String(payload))),
    );
    page.on("console", (message) => message.type() === "warning" && warned.push(message.text()));
    await page.goto(`${url}/todos`);
    await page.waitForSelector(OPEN_PAGE);
    assert.equal(await page.getAttribute('meta[name="turbo-cursor"]', "data-inspect"), null);
    turbo.push(replace("bxo", html`<b id="bxo">1</b>`));
    await until(() => warned.some((line) => line.includes('"bxo"')), "the console warns");
    // A page with an inspector would have told it by then: it does so once a second.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_100)));
    assert.deepEqual(sent.filter((text) => /^(?:at|missed) /.test(text)), []);
    assert.equal((await fetch(`${url}/inspector`, BROWSER)).status, 404);

    await using client = await connect(url, { protocol: PROTOCOL });
    client.socket.send("at %2Ftodos");
    client.socket.send(`missed ${turbo.cursor} %23bxo box`);
    client.socket.send(sinceOf({ cursor: turbo.cursor }));
    await until(() => client.messages.length >= 2, "the connection goes on");
  },
);

Deno.test("A page may tell the inspector 20 things at once; one that continues is closed with 1008", async () => {
  await using running = start();
  await using client = await connect(running.url, { protocol: PROTOCOL });
  for (let n = 0; n < 20; n++) client.socket.send(`at %2F${n}`);
  client.socket.send(sinceOf({ cursor: running.turbo.cursor }));
  await until(() => client.messages.length >= 2, "it is open");
  for (let n = 0; n < 20; n++) client.socket.send(`at %2F${n}`);
  const { code, reason } = await within(client.closed, "the close");
  assert.deepEqual([code, reason], [1008, "Too many messages"]);
});

Deno.test("main.ts --inspector mounts it below the path of the app", WITH_PROCESS, async () => {
  const args = ["--port=0", "--hostname=127.0.0.1", "--base=/load", "--inspector"];
  await using app = await startApp([...args, "--interval=0.1"]);
  const { origin } = new URL(app.url);
  await using _reader = await connect(origin, { path: "/load/turbo-stream", protocol: PROTOCOL });
  let page = "";
  await until(async () => {
    page = await (await fetch(`${origin}/load/inspector`, BROWSER)).text();
    return /id="pushes"[^]+<code>#load<[^]+for 1/.test(page);
  }, "it shows a push");
  const [stylesheet] = page.match(/\/load\/inspector\/assets\/inspector-\w+\.css/)!;
  const answer = await fetch(origin + stylesheet, BROWSER);
  await answer.body?.cancel();
  assert.equal(answer.status, 200);
});

Deno.test("createApp() has no inspector by default", async () => {
  const { hono } = createApp({ turbo: { secret: TOKEN } });
  assert.equal((await hono.request("/inspector")).status, 404);
});

Deno.test("turbo.inspector() rejects a short token and a second call", () => {
  const turbo = new Turbo();
  assert.throws(() => turbo.inspector({ token: "short" }), {
    name: "RangeError",
    message:
      'Cannot take a text of 5 characters as "token" of inspector(): a text of at least 16 characters is needed',
  });
  assert.throws(() => turbo.inspector({ password: TOKEN } as never), /has no option "password"/);
  turbo.inspector({ token: undefined });
  assert.throws(() => turbo.inspector(), /^Error: Cannot make a second inspector/);
});
