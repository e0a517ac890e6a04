/**
 * Several nodes of one application in this process, with one database, and pages that go from node to
 * node: what each of them shows is compared with the data.
 *
 * @module
 */
import { append, html, replace, Turbo, type TurboOptions } from "../turbo/mod.ts";
import { redis, type RedisOptions } from "../turbo/redis.ts";
import { pause } from "./kit.ts";
import { startProxy, type TestProxy } from "./proxy.ts";

/** One node, and its way to the server. */
export interface TestNode {
  /** Its application. */
  readonly turbo: Turbo;
  /** What its connections to the server go through. */
  readonly proxy: TestProxy;
  /** What it has told whoever runs it. */
  readonly notices: string[];
}

/** What all nodes read and write. */
export class Database {
  /** Numbers by the ids of the boxes that show them. */
  readonly boxes = new Map<string, number>();
  /** What was said, in its order. */
  readonly items: string[] = [];
}

/** Some nodes, until they are disposed of. */
export interface TestNodes extends AsyncDisposable {
  /** The nodes. */
  readonly all: readonly TestNode[];
  /** What they read and write. */
  readonly database: Database;
  /** How many pushes there were. */
  readonly pushes: number;
  /** A node pushes: changes a box, or says something. `isFunction`: in the form for data that others write. */
  push(node: TestNode, options?: { box?: string; isFunction?: boolean }): void;
  /** One of the nodes. */
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

/** How a page behaves. */
export interface TestPageOptions {
  /** Milliseconds that reading the data takes, at most. */
  readTime?: number;
  /** Takes the cursor after the data was read, which is wrong. */
  isLate?: boolean;
}

/** A page as the client has it, by server-sent events, without a browser. */
export class NodePage {
  /** What it shows. */
  boxes = new Map<string, number>();
  /** What it shows of what was said, in its order. */
  items: string[] = [];
  /** How often it was told to fetch itself. */
  refreshes = 0;
  /** How often something was appended that it had already, but for what was under way when it was loaded. */
  doubles = 0;
  /** How often a box went back. */
  steps = 0;
  #node: TestNode;
  readonly #database: Database;
  readonly #options: TestPageOptions;
  #cursor = "";
  #shown = new Set<string>();
  /** What it had when it was loaded: that may come once more. */
  #loaded = new Set<string>();
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #isClosed = false;
  #reading: Promise<void> = Promise.resolve();

  /** A page of a node, which is not loaded yet. */
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

  /** Its connection is lost; it goes on with another node. */
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

  /** What it does not show that is in the data. */
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
      await turbo.flush(); // on a busy machine, the cursor may be older than what was read
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
