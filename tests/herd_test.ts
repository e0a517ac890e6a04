import assert from "node:assert/strict";
import { html, replace, Turbo } from "../turbo/mod.ts";
import { pause, serve, startApp, until, within } from "./kit.ts";

const CLIENT = await Deno.readTextFile(new URL("../turbo/client.js", import.meta.url));

/** What the client needs of a browser to keep a line, and a page that can be fetched anew. */
function openPage(url: string, cursor: string) {
  const listeners: Record<string, ((event: unknown) => void)[]> = {};
  const element = (dataset: Record<string, string> = {}) => ({
    dataset,
    content: "",
    querySelectorAll: () => [],
    hasAttribute: () => false,
    getAttribute: () => null,
    setAttribute(name: string, value: string) {
      if (name === "content") this.content = value;
      if (name === "data-page") this.dataset["page"] = value;
    },
  });
  const root = element();
  const meta = element({ stream: "/turbo-stream", token: "" });
  meta.content = cursor;
  let body = element();
  let shown = "";
  const sockets = new Set<WebSocket>();
  const document = {
    documentElement: root,
    get body() {
      return body;
    },
    hidden: false,
    head: { querySelector: (selector: string) => selector.includes("turbo-cursor") ? meta : null },
    addEventListener: (type: string, listener: (event: unknown) => void) =>
      (listeners[type] ??= []).push(listener),
    dispatchEvent() {},
  };
  const turbo = {
    navigator: {},
    session: { recentRequests: new Set() },
    renderStreamMessage: (message: string) => void (shown = message),
    async visit(_: string, { response }: { response: { responseHTML: string } }) {
      await pause(0);
      [, shown, meta.content] = JSON.parse(response.responseHTML);
      body = element();
      for (const listener of listeners["turbo:render"] ?? []) listener({});
    },
  };
  class Socket extends WebSocket {
    constructor(url: URL, protocol: string) {
      super(url, protocol);
      sockets.add(this);
      this.addEventListener("close", () => sockets.delete(this));
    }
  }
  let stopped = false;
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const later = (set: typeof setTimeout | typeof setInterval) => (run: () => void, ms: number) => {
    if (stopped) return;
    const timer = set(run, ms);
    timers.add(timer);
    return timer;
  };
  const location = { href: `${url}/`, origin: url };
  new Function(
    ...["document", "window", "location", "WebSocket", "addEventListener", "setTimeout"],
    ...["setInterval", CLIENT],
  )(document, { Turbo: turbo }, location, Socket, () => {}, later(setTimeout), later(setInterval));
  return {
    get shown() {
      return shown;
    },
    get state() {
      return root.dataset["turboStream"];
    },
    close() {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.close();
      return until(() => sockets.size === 0, "the sockets are closed");
    },
  };
}

function start(port = 0) {
  const turbo = new Turbo();
  const opened: number[] = [];
  let state = "old";
  const server = serve((request) => {
    if (new URL(request.url).pathname === "/") {
      return Response.json(["page", state, turbo.cursor]);
    }
    const response = turbo.connect(request);
    if (response.status === 101) opened.push(Date.now());
    return response;
  }, port);
  return {
    turbo,
    opened,
    server,
    change(value: string) {
      state = value;
      turbo.push(replace("state", html`<b id="state">${value}</b>`));
    },
  };
}

// A browser for each of 500 pages is too much for any machine that runs tests: the real client runs
// here in as many copies over the little that it needs of a page.
Deno.test({
  name: "500 pages whose server is killed and back after 2 s do not come all at once",
  sanitizeOps: false,
  async fn() {
    const first = start();
    const { port, url } = first.server;
    const pages = Array.from({ length: 500 }, () => openPage(url, first.turbo.cursor));
    await until(() => pages.every((page) => page.state === "open"), "all are open", 20_000);
    // Killed: every line ends without a word, and nobody listens on the port.
    await first.turbo.close({ window: 0, deadline: 5_000 });
    await first.server[Symbol.asyncDispose]();
    await pause(2_000);
    const second = start(port);
    const back = Date.now();
    second.change("new");
    const isCurrent = ({ shown, state }: typeof pages[number]) =>
      state === "open" && shown.includes("new");
    await until(() => pages.every(isCurrent), "all are current", 25_000);
    const seconds = (Date.now() - back) / 1000;
    const counts = second.opened.map((start) =>
      second.opened.filter((at) => at >= start && at < start + 250).length
    );
    const busiest = Math.max(...counts);
    console.log(`all current after ${seconds} s, the busiest 250 ms held ${busiest} of 500`);
    for (const page of pages) await page.close();
    await second.turbo.close({ window: 0, deadline: 5_000 });
    await second.server[Symbol.asyncDispose]();
    assert(busiest <= 50, `${busiest} of 500 within 250 ms`);
  },
});

// Beyond the backlog the kernel drops the handshake, and the client's kernel tries again after 1 s,
// then 2 s: it would seem that the server is away.
Deno.test("700 connections at once find room at a main.ts that is too busy to accept any", async () => {
  await using app = await startApp(["--port=0", "--hostname=127.0.0.1"]);
  const port = Number(new URL(app.url).port);
  app.child.kill("SIGSTOP");
  try {
    const begin = Date.now();
    const connections = await within(
      Promise.all(
        Array.from({ length: 700 }, () => Deno.connect({ hostname: "127.0.0.1", port })),
      ),
      "all to be connected",
    );
    const milliseconds = Date.now() - begin;
    for (const connection of connections) connection.close();
    assert(milliseconds < 900, `the last was connected after ${milliseconds} ms`);
  } finally {
    app.child.kill("SIGCONT");
  }
});
