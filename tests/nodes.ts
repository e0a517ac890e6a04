/**
 * Several nodes of one application in this process, with one database, and pages that move from node to
 * node. What each page shows is compared with the data.
 *
 * @module
 */
import { append, html, replace, Turbo, type TurboOptions } from "../turbo/mod.ts";
import { redis, type RedisOptions } from "../turbo/redis.ts";
import { pause } from "./kit.ts";
import { startProxy, type TestProxy } from "./proxy.ts";

/** One node, and its proxy to the server. */
export interface TestNode {
  /** Its application. */
  readonly turbo: Turbo;
  /** The proxy for its connections to the server. */
  readonly proxy: TestProxy;
  /** Its notices. */
  readonly notices: string[];
}

/** The database of all nodes. */
export class Database {
  /** Numbers, by the ids of the boxes that show them. */
  readonly boxes = new Map<string, number>();
  /** The items of the list, in order. */
  readonly items: string[] = [];
}

/** Some nodes, until they are disposed of. */
export interface TestNodes extends AsyncDisposable {
  /** The nodes. */
  readonly all: readonly TestNode[];
  /** Their database. */
  readonly database: Database;
  /** How many pushes were made. */
  readonly pushes: number;
  /** A node changes a box or adds an item, and pushes it. `isFunction`: as a function, for shared data. */
  push(node: TestNode, options?: { box?: string; isFunction?: boolean }): void;
  /** A random node. */
  any(): TestNode;
}

/** Starts nodes on a server at this port. */
export async function startNodes(
  port: number,
  { count = 3, engine = {}, turbo: options = {} }: {
    count?: number;
    engine?: Partial<RedisOptions>;
    turbo?: TurboOptions;
  } = {},
): Promise<TestNodes> {
  await using made = new AsyncDisposableStack();
  const all = Array.from({ length: count }, () => {
    const proxy = made.use(startProxy(port));
    const notices: string[] = [];
    const turbo = new Turbo({
      ...options,
      engine: redis({ url: proxy.url.replace("http:", "redis:"), ...engine }),
      secret: "the same for all nodes",
      onNotice: (message) => notices.push(message),
    });
    made.defer(() => turbo.close({ window: 0, deadline: 1_000 }));
    return { turbo, proxy, notices };
  });
  await Promise.all(all.map(({ turbo }) => turbo.ready));
  const database = new Database();
  let pushes = 0;
  const stack = made.move();
  return {
    all,
    database,
    get pushes() {
      return pushes;
    },
    any: () => all[Math.floor(Math.random() * all.length)]!,
    push({ turbo }, { box, isFunction = false } = {}) {
      pushes++;
      if (box === undefined) {
        const id = `item-${database.items.length}`;
        database.items.push(id);
        turbo.push(append("list", html`<li id="${id}"></li>`));
        return;
      }
      database.boxes.set(box, (database.boxes.get(box) ?? 0) + 1);
      const stream = () => replace(box, html`<b id="${box}">${database.boxes.get(box)}</b>`);
      turbo.push(isFunction ? stream : stream());
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Options of a page. */
export interface TestPageOptions {
  /** The most milliseconds that reading the data takes. */
  readTime?: number;
  /** Whether to take the cursor after reading the data, which is a mistake. */
  isLate?: boolean;
}

/** A page that follows its stream as the client does, by server-sent events, without a browser. */
export class NodePage {
  /** The boxes that it shows. */
  boxes = new Map<string, number>();
  /** The items that it shows, in order. */
  items: string[] = [];
  /** How often it was sent a refresh. */
  refreshes = 0;
  /** How often an item was repeated, not counting items that were pushed while it loaded. */
  doubles = 0;
  /** How often a box showed an older number. */
  steps = 0;
  #node: TestNode;
  readonly #database: Database;
  readonly #options: TestPageOptions;
  #cursor = "";
  #shown = new Set<string>();
  /** The items that it was loaded with, which may be pushed once more. */
  #loaded = new Set<string>();
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #isClosed = false;
  #reading: Promise<void> = Promise.resolve();

  /** Starts unloaded. */
  constructor(node: TestNode, database: Database, options: TestPageOptions = {}) {
    this.#node = node;
    this.#database = database;
    this.#options = options;
  }

  /** Its node. */
  get node(): TestNode {
    return this.#node;
  }

  /** Its cursor. */
  get cursor(): string {
    return this.#cursor;
  }

  /** Loads it from a node, and opens its stream. */
  async open(): Promise<void> {
    await this.#load();
    this.#reading = this.#follow();
  }

  /** Loses its connection, and continues with another node. */
  hop(node: TestNode): void {
    this.#node = node;
    this.#reader?.cancel().catch(() => {});
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#reader?.cancel().catch(() => {});
    await this.#reading;
  }

  /** The difference between what it shows and the data. */
  problems(): string[] {
    const { boxes, items } = this.#database;
    const wrong = [...boxes].filter(([box, value]) => this.boxes.get(box) !== value)
      .map(([box, value]) => `${box} is ${this.boxes.get(box)}, not ${value}`);
    const missing = items.filter((item) => !this.#shown.has(item)).map((item) =>
      `${item} is missing`
    );
    return [...wrong, ...missing];
  }

  async #load(): Promise<void> {
    const { readTime = 8, isLate = false } = this.#options;
    const { turbo } = this.#node;
    let { cursor } = turbo;
    const read = () => {
      this.boxes = new Map(this.#database.boxes);
      this.items = [...this.#database.items];
      this.#loaded = new Set(this.items);
      this.#shown = new Set(this.items);
    };
    if (isLate) {
      read();
      await pause(Math.random() * readTime);
      await turbo.flush(); // on a busy machine the cursor may still be older than the data
      cursor = turbo.cursor;
    } else {
      await pause(Math.random() * readTime);
      read();
    }
    this.#cursor = cursor;
  }

  async #follow(): Promise<void> {
    for (;;) {
      await pause(Math.random() * 20);
      if (this.#isClosed) return;
      const url = `http://localhost/turbo-stream?since=${this.#cursor}`;
      const headers = { Accept: "text/event-stream" };
      const { body } = this.#node.turbo.connect(new Request(url, { headers }));
      this.#reader = body!.getReader();
      await this.#read(this.#reader);
      this.#reader.cancel().catch(() => {});
    }
  }

  /** Reads until the stream ends, or the page must fetch itself. */
  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = events.pop()!;
      for (const event of events) if (await this.#take(event)) return;
    }
  }

  /** Returns whether the page has fetched itself. */
  async #take(event: string): Promise<boolean> {
    const cursor = /^id: (.+)$/m.exec(event)?.[1];
    const text = event.match(/^data: .*$/gm)?.map((line) => line.slice(6)).join("\n") ?? "";
    if (cursor !== undefined) this.#cursor = cursor;
    if (text.includes('action="refresh"')) {
      this.refreshes++;
      await this.#load();
      return true;
    }
    for (const [, box, value] of text.matchAll(/<b id="([^"]+)">(\d+)<\/b>/g)) {
      if (Number(value) < (this.boxes.get(box!) ?? 0)) this.steps++;
      this.boxes.set(box!, Number(value));
    }
    for (const [, item] of text.matchAll(/<li id="([^"]+)">/g)) {
      if (this.#shown.has(item!) && !this.#loaded.delete(item!)) this.doubles++;
      if (this.#shown.has(item!)) this.items.splice(this.items.indexOf(item!), 1);
      this.#shown.add(item!);
      this.items.push(item!);
    }
    return false;
  }
}
