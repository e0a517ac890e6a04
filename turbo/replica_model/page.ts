/**
 * One open page of a model: what it shows, the node to which it is connected, and how it fetches itself.
 *
 * @module
 */
import { Connection } from "../connection.ts";
import type { Entry } from "../log.ts";
import { type Message, REFRESH } from "../protocol.ts";
import type { ModelNode } from "./node.ts";
import type { Timeline } from "./network.ts";

/** The data of an app, and what a page shows of it. */
export interface Content {
  /** The number in each box. */
  readonly boxes: Map<string, number>;
  /** A list, to which items are only added. */
  readonly items: Set<number>;
}

/** Options of a page. */
export interface PageOptions {
  readonly time: Timeline;
  readonly random: () => number;
  /** The data of the app now. */
  readonly read: () => Content;
  /** The nodes that answer requests now. */
  readonly nodes: () => readonly ModelNode[];
  /** Whether to take the cursor after reading the content, which is the mistake that must be noticed. */
  readonly readsFirst: boolean;
}

const LIMITS = { behindAfter: 64 * 1024, maxBuffered: 1024 * 1024, dropAfter: 10_000 };
const STREAM = /action="(\w+)" target="(\w+)"><template>(?:<b id="\w+">)?(?:<li id="i)?(\d+)/;

/** The streams for a box, and for an item of the list. */
export const boxOf = (id: string, n: number): string =>
  `<turbo-stream action="replace" target="${id}"><template><b id="${id}">${n}</b></template></turbo-stream>`;
export const itemOf = (n: number, title = ""): string =>
  `<turbo-stream action="append" target="list"><template><li id="i${n}" title="${title}">${n}</li></template></turbo-stream>`;

/** One open page. */
export class Page {
  node: ModelNode;
  boxes = new Map<string, number>();
  items = new Set<number>();
  /** How often it has fetched itself because of a refresh. */
  refreshes = 0;
  #cursor = "";
  #connection!: Connection; // connect() sets it
  #dueAt = 0;
  #fetches = 0;
  readonly #options: PageOptions;

  /** Loads the page from a node, and connects to the node. */
  constructor(node: ModelNode, options: PageOptions) {
    this.node = node;
    this.#options = options;
    this.#show(this.#options.read(), node.log.cursor);
    this.connect(node);
  }

  /** Connects to a node, and asks for what it has missed. */
  connect(node: ModelNode): void {
    this.node = node;
    let connection: Connection | undefined = undefined;
    const carrier = {
      buffered: 0,
      endsLater: false,
      send: (messages: readonly Message[]) => {
        if (connection === this.#connection) this.#receive(messages);
        return 0;
      },
      close() {},
    };
    connection = this.#connection = new Connection(carrier, node.log, LIMITS);
    connection.resume(this.#cursor);
    this.#dueAt = 0;
    this.#flush(connection);
  }

  /** Call when its node has appended an entry. */
  owe({ position }: Entry): void {
    const connection = this.#connection;
    if (connection.position !== undefined) return;
    connection.position = position - 1;
    this.#flush(connection);
  }

  /** Makes it fetch itself within a second, but not at once, because more restarts may follow. */
  restart(): void {
    const { time, random } = this.#options;
    const connection = this.#connection;
    connection.refresh();
    const wait = 500 + 500 * random();
    this.#dueAt = time.now + wait;
    time.later(() => this.#flush(connection), wait);
  }

  #flush(connection: Connection): void {
    const { time } = this.#options;
    if (connection !== this.#connection || time.now < this.#dueAt || this.node.isDead) return;
    const flushed = connection.flush(time.now);
    if (flushed === "blocked") time.later(() => this.#flush(connection), 50);
  }

  #receive(messages: readonly Message[]): void {
    for (const { cursor, html } of messages) {
      if (html === REFRESH) {
        this.refreshes++;
        this.visit();
      } else if (html !== "") {
        const [, action, target, n] = STREAM.exec(html)!;
        if (action === "append") this.items.add(Number(n));
        else this.boxes.set(target!, Number(n));
        this.#cursor = cursor;
      }
    }
  }

  /** Fetches itself. Of several fetches the newest counts. */
  visit(): void {
    const { time, random, read, readsFirst } = this.#options;
    const number = ++this.#fetches;
    const wait = () => 1 + 30 * random();
    const at = (run: () => void) =>
      time.later(() => {
        if (number === this.#fetches) run();
      }, wait());
    at(() => {
      const node = this.#answering();
      let cursor = node.log.cursor;
      at(() => {
        const { boxes, items } = read();
        const content = { boxes: new Map(boxes), items: new Set(items) };
        at(() => {
          if (readsFirst) cursor = node.log.cursor;
          this.#show(content, cursor);
          this.#connection.resume(cursor);
          this.#dueAt = 0;
          this.#flush(this.#connection);
        });
      });
    });
  }

  /** A random node: mostly the one to which it is connected. */
  #answering(): ModelNode {
    const { random, nodes } = this.#options;
    const others = nodes();
    const isOwn = !this.node.isDead && !this.node.isStopped && random() < 0.8;
    return isOwn ? this.node : others[Math.floor(random() * others.length)] ?? this.node;
  }

  #show({ boxes, items }: Content, cursor: string): void {
    this.boxes = new Map(boxes);
    this.items = new Set(items);
    this.#cursor = cursor;
  }
}
