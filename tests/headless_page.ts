/**
 * The real client, without a browser: it runs over the little that it needs of a page, by a clock of
 * the test.
 *
 * @module
 */
import { pause, within } from "./kit.ts";

const CLIENT = (await Promise.all(
  ["client_core", "client_keep", "client"].map((name) =>
    Deno.readTextFile(new URL(`../turbo/${name}.js`, import.meta.url))
  ),
)).join("\n").replace(/^import \{[^}]*\} from .*$/gm, "").replace(/^export (?:\{\};)?/gm, "")
  .replace(/\bimport\(/g, "((_) => Promise.resolve({ giveHints() {} }))(");

/** A clock that stands still until it is told to run the next timer. */
export class PageClock {
  /** Milliseconds since it was made. */
  now = 0;
  /** What the wall clock has been set forward by, in milliseconds. */
  setBy = 0;
  readonly #timers = new Map<number, { at: number; run: () => void; every: number | undefined }>();
  #last = 0;

  /** As in a browser. */
  setTimeout = (run: () => void, milliseconds = 0): number => this.#add(run, milliseconds);
  /** As in a browser. */
  setInterval = (run: () => void, milliseconds: number): number =>
    this.#add(run, milliseconds, milliseconds);
  /** Ends a timer. */
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
export class Network {
  readonly #pending = new Set<Promise<unknown>>();

  /** Something is under way. */
  add<T>(promise: Promise<T>): Promise<T> {
    const settled = promise.catch(() => {}).finally(() => this.#pending.delete(settled));
    this.#pending.add(settled);
    return promise;
  }

  /** Waits until nothing is under way. */
  async settle(): Promise<void> {
    while (this.#pending.size > 0) {
      await within(Promise.all(this.#pending), "the network");
      await pause(0); // for what follows from it
    }
  }
}

/** A page with the client. */
export interface Page {
  /** What was rendered last. */
  readonly shown: string;
  /** What the client says of its connection. */
  readonly state: string | undefined;
  /** Whether it has no connection, and none is being opened. */
  readonly isClosed: boolean;
  /** The names of what the client has written down at its body, as `dataset` has them. */
  readonly marks: readonly string[];
  /** Closes its connections. */
  close(): void;
}

/** By what a page is opened. The sources are the platform's where there are no others. */
export interface PageOptions {
  /** Its time. */
  clock: PageClock;
  /** What it asks is under way there. */
  network: Network;
  /** What it opens instead of a WebSocket, ... */
  WebSocket?: unknown;
  /** ... and where none opens. Default: there is none. */
  EventSource?: unknown;
}

/** What the client needs of a browser to stay connected, and a page that can be fetched again. */
export function openPage(
  url: string,
  cursor: string,
  { clock, network, ...sources }: PageOptions,
): Page {
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
    location: { href: `${url}/`, origin: url, hostname: "" },
    WebSocket: Socket,
    fetch: (url: string, init: RequestInit) => network.add(fetchText(url, init)),
    addEventListener() {},
    Date: { now: () => clock.now + clock.setBy },
    performance: { now: () => clock.now },
    setTimeout: clock.setTimeout,
    setInterval: clock.setInterval,
    clearTimeout: clock.clear,
    clearInterval: clock.clear,
    ...sources,
  };
  new Function(...Object.keys(browser), CLIENT)(...Object.values(browser));
  return {
    get shown() {
      return shown;
    },
    get state() {
      return root.dataset["turboStream"];
    },
    get marks() {
      return Object.keys(body.dataset);
    },
    get isClosed() {
      return sockets.size === 0;
    },
    close() {
      for (const socket of sockets) socket.close();
    },
  };
}
