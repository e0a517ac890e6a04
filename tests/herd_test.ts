import assert from "node:assert/strict";
import { html, replace, Turbo } from "../turbo/mod.ts";
import { pause, serve, until, WITH_PROCESS, within } from "./kit.ts";
import { startApp } from "./processes.ts";

const CLIENT = await Deno.readTextFile(new URL("../turbo/client.js", import.meta.url));

/** A clock that stands still until it is told to run the next timer. */
class Clock {
  /** Milliseconds since it was made. */
  now = 0;
  readonly #timers = new Map<number, { at: number; run: () => void; every: number | undefined }>();
  #last = 0;

  setTimeout = (run: () => void, milliseconds = 0): number => this.#add(run, milliseconds);
  setInterval = (run: () => void, milliseconds: number): number =>
    this.#add(run, milliseconds, milliseconds);
  clear = (id: number): void => void this.#timers.delete(id);

  /** When the next timer is due. */
  get next(): number {
    return Math.min(...[...this.#timers.values()].map(({ at }) => at));
  }

  /** Goes on to the next timer and runs it. */
  runNext(): void {
    this.now = this.next;
    const [id, timer] = [...this.#timers].find(([, { at }]) => at === this.now)!;
    if (timer.every === undefined) this.#timers.delete(id);
    else timer.at += timer.every;
    timer.run();
  }

  #add(run: () => void, milliseconds: number, every?: number): number {
    this.#timers.set(++this.#last, { at: this.now + milliseconds, run, every });
    return this.#last;
  }
}

/** What is under way on the network, which takes no time on the clock. */
class Network {
  readonly #pending = new Set<Promise<unknown>>();

  add<T>(promise: Promise<T>): Promise<T> {
    const settled = promise.catch(() => {}).finally(() => this.#pending.delete(settled));
    this.#pending.add(settled);
    return promise;
  }

  async settle(): Promise<void> {
    while (this.#pending.size > 0) {
      await within(Promise.all(this.#pending), "the network");
      await pause(0); // for what follows from it
    }
  }
}

/** What the client needs of a browser to stay connected, and a page that can be fetched again. */
function openPage(url: string, cursor: string, clock: Clock, network: Network) {
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
    visit(_: string, { response }: { response: { responseHTML: string } }) {
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
      network.add(
        new Promise<void>((answered) => {
          this.addEventListener("message", () => answered(), { once: true });
          this.addEventListener("close", () => answered());
        }),
      );
    }
  }
  const fetchText = async (url: string, init: RequestInit) => {
    const response = await fetch(url, init);
    const text = await response.text();
    return { status: response.status, redirected: false, text: () => Promise.resolve(text) };
  };
  const browser = {
    document,
    window: { Turbo: turbo },
    location: { href: `${url}/`, origin: url },
    WebSocket: Socket,
    fetch: (url: string, init: RequestInit) => network.add(fetchText(url, init)),
    addEventListener() {},
    setTimeout: clock.setTimeout,
    setInterval: clock.setInterval,
    clearTimeout: clock.clear,
    clearInterval: clock.clear,
  };
  new Function(...Object.keys(browser), CLIENT)(...Object.values(browser));
  return {
    get shown() {
      return shown;
    },
    get state() {
      return root.dataset["turboStream"];
    },
    get isClosed() {
      return sockets.size === 0;
    },
    close() {
      for (const socket of sockets) socket.close();
    },
  };
}

/** A server whose one page says "old" until it is changed; `opened` is called for each connection. */
function start({ port = 0, opened = () => {} }: { port?: number; opened?: () => void } = {}) {
  const turbo = new Turbo();
  let state = "old";
  const server = serve((request) => {
    if (new URL(request.url).pathname === "/") {
      return Response.json(["page", state, turbo.cursor]);
    }
    const response = turbo.connect(request);
    if (response.status === 101) opened();
    return response;
  }, port);
  return {
    turbo,
    url: server.url,
    port: server.port,
    change(value: string) {
      state = value;
      turbo.push(replace("state", html`<b id="state">${value}</b>`));
    },
    async [Symbol.asyncDispose]() {
      await turbo.close({ window: 0 });
      await server[Symbol.asyncDispose]();
    },
  };
}

// A browser for each of 500 pages is too much for any machine that runs tests: the real client runs
// here in as many copies over the little that it needs of a page, by a clock of the test.
Deno.test("500 pages whose server is killed and back after 2 s do not come all at once", async () => {
  const clock = new Clock();
  const network = new Network();
  await using first = start();
  await using pages = new AsyncDisposableStack();
  const { url, turbo } = first;
  const all = Array.from({ length: 500 }, () => openPage(url, turbo.cursor, clock, network));
  pages.defer(async () => {
    for (const page of all) page.close();
    await until(() => all.every(({ isClosed }) => isClosed), "the sockets are closed");
  });
  await network.settle();
  assert(all.every(({ state }) => state === "open"), "all are open");

  await first[Symbol.asyncDispose](); // and nobody listens on the port
  await until(() => all.every(({ state }) => state === "closed"), "all have noticed");
  const back = clock.now + 2_000;
  while (clock.next < back) {
    clock.runNext();
    await network.settle();
  }
  const times: number[] = [];
  await using second = start({ port: first.port, opened: () => times.push(clock.now) });
  second.change("new");
  while (!all.every(({ shown, state }) => state === "open" && shown.includes("new"))) {
    clock.runNext();
    await network.settle();
    assert(clock.now < back + 25_000, `${clock.now - back} ms, and not all are current`);
  }
  const counts = times.map((start) => times.filter((at) => at >= start && at < start + 250).length);
  const busiest = Math.max(...counts);
  assert(busiest <= 50, `${busiest} of 500 within 250 ms`);
});

// Beyond the backlog the kernel drops the handshake, which then waits until there is room again.
Deno.test(
  "700 connections at once find room at a main.ts that is too busy to accept any",
  WITH_PROCESS,
  async () => {
    await using app = await startApp();
    app.child.kill("SIGSTOP");
    const connecting = Array.from(
      { length: 700 },
      () => Deno.connect({ hostname: "127.0.0.1", port: app.port }),
    );
    try {
      await within(Promise.all(connecting), "all to be connected");
    } finally {
      app.child.kill("SIGCONT");
      for (const connection of await Promise.all(connecting)) connection.close();
    }
  },
);
