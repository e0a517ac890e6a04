/**
 * The real client without a browser. It runs with a minimal page and with the clock of
 * the test.
 *
 * @module
 */
import { Turbo } from "../turbo/mod.ts";
import { pause, within } from "./kit.ts";

// Without the import of client_keep.js, because these pages have no forms.
const PROGRAM = (await client()).replace(
  /import\{([^}]*)\}from"[^"]*";/,
  (_, names: string) =>
    names.split(",").map((name) => `const ${name.split(" as ").at(-1)} = () => false;`).join(""),
);

/** The browser's side, as it is served. */
async function client(): Promise<string> {
  const turbo = new Turbo();
  const [, path] = / src="([^"]*\/turbo-stream-\w+\.js)"/.exec(String(turbo.head()))!;
  return await turbo.asset(new Request(`http://localhost${path}`))!.text();
}

/** A clock that stands still until it is told to advance. */
export class PageClock {
  /** Milliseconds since it was made. */
  now = 0;
  /** Milliseconds by which the wall clock was set forward. */
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

  /** Advances to the next timer and runs it. */
  runNext(): void {
    this.now = this.next;
    const [id, timer] = [...this.#timers].find(([, { at }]) => at === this.now)!;
    if (timer.every === undefined) this.#timers.delete(id);
    else timer.at += timer.every;
    timer.run();
  }

  /** Advances for a time, and runs what is due within it. */
  run(milliseconds: number): void {
    const end = this.now + milliseconds;
    while (this.next <= end) this.runNext();
  }

  #add(run: () => void, milliseconds: number, every?: number): number {
    this.#timers.set(++this.#last, { at: this.now + milliseconds, run, every });
    return this.#last;
  }
}

/** What is in transit on the network, which takes no time on the clock. */
export class Network {
  readonly #pending = new Set<Promise<unknown>>();

  /** Registers something that is in transit. */
  add<T>(promise: Promise<T>): Promise<T> {
    const settled = promise.catch(() => {}).finally(() => this.#pending.delete(settled));
    this.#pending.add(settled);
    return promise;
  }

  /** Waits until nothing is in transit. */
  async settle(): Promise<void> {
    while (this.#pending.size > 0) {
      await within(Promise.all(this.#pending), "the network");
      await pause(0); // for what follows from that
    }
  }
}

/** A page with the client. */
export interface Page {
  /** The HTML that was rendered last. */
  readonly shown: string;
  /** The state that the client shows on the document. */
  readonly state: string | undefined;
  /** Whether it neither has nor opens a connection. */
  readonly isClosed: boolean;
  /** Closes its connections. */
  close(): void;
}

/** Options of a page. Default: the platform's WebSocket and no EventSource. */
export interface PageOptions {
  /** Its clock. */
  clock: PageClock;
  /** Tracks its requests. */
  network: Network;
  /** Whether its tab is hidden. Default: visible. */
  hidden?: boolean;
  /** Whether it keeps its connection then. Default `false`. */
  background?: boolean;
  /** The class that it uses as `WebSocket`. */
  WebSocket?: unknown;
  /** The class that it uses as `EventSource`. Default: none. */
  EventSource?: unknown;
}

/** The part of a browser that the client needs to stay connected, and a page that can be fetched. */
export function openPage(
  url: string,
  cursor: string,
  { clock, network, hidden = false, background = false, ...sources }: PageOptions,
): Page {
  const listeners: Record<string, ((event: unknown) => void)[]> = {};
  const dispatch = (type: string, detail: unknown) =>
    listeners[type]?.forEach((listener) => listener({ detail }));
  const body = () => ({ querySelectorAll: () => [], contains: () => false });
  const dataset = { stream: "/turbo-stream", token: "", ...(background && { background: "true" }) };
  const meta = (content: string) => ({ content, dataset });
  const head = (content?: string) => ({
    querySelector: (selector: string) =>
      content !== undefined && selector.includes("turbo-cursor") ? meta(content) : null,
    querySelectorAll: () => [],
    append() {},
    prepend() {},
  });
  const root = { dataset: {} as Record<string, string> };
  let shown = "";
  const sockets = new Set<WebSocket>();
  const document = {
    documentElement: root,
    body: body(),
    hidden,
    head: head(cursor),
    addEventListener: (type: string, listener: (event: unknown) => void) =>
      (listeners[type] ??= []).push(listener),
    dispatchEvent() {},
    createElement: () => ({ dataset: {}, remove() {} }),
    querySelector: () => null,
    querySelectorAll: () => [],
  };
  const turbo = {
    navigator: {},
    session: { recentRequests: new Set() },
    PageSnapshot: class {},
    renderStreamMessage: (message: string) => void (shown = message),
    visit(_: string, { response }: { response: { responseHTML: string } }) {
      const newBody = body();
      dispatch("turbo:before-render", { newBody });
      const [, html, cursor] = JSON.parse(response.responseHTML);
      shown = html;
      document.head = head(cursor);
      document.body = newBody;
      dispatch("turbo:render", {});
    },
  };
  class Node {
    get parentElement() {
      return null;
    }
  }
  class Element extends Node {
    get children() {
      return [];
    }
  }
  class DOMParser {
    parseFromString(text: string) {
      return { head: head(JSON.parse(text)[2]) };
    }
  }
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
    const headers = new Headers({ "Content-Type": "text/html" });
    return {
      status: response.status,
      headers,
      redirected: false,
      text: () => Promise.resolve(text),
    };
  };
  const browser = {
    document,
    window: { Turbo: turbo },
    location: { href: `${url}/`, origin: url, pathname: "/", search: "", hostname: "" },
    ...{ Node, Element, DOMParser },
    AbortSignal: { any: ([signal]: AbortSignal[]) => signal, timeout() {} },
    WebSocket: Socket,
    fetch: (url: string, init: RequestInit) => network.add(fetchText(url, init)),
    addEventListener() {},
    Date: { now: () => clock.now + clock.setBy, parse: Date.parse },
    performance: { now: () => clock.now },
    setTimeout: clock.setTimeout,
    setInterval: clock.setInterval,
    clearTimeout: clock.clear,
    clearInterval: clock.clear,
    ...sources,
  };
  new Function(...Object.keys(browser), PROGRAM)(...Object.values(browser));
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
