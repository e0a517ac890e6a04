/**
 * A world of nodes, pages, a database and a server: what can happen to them, and the invariants.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Effect, Replica } from "../replica.ts";
import { epochName } from "../stream_entry.ts";
import { Network, Timeline } from "./network.ts";
import { ModelNode } from "./node.ts";
import { boxOf, type Content, itemOf, Page } from "./page.ts";
import { ModelServer } from "./server.ts";

/** Options of a world. */
export interface WorldOptions {
  readonly nodes: number;
  readonly seed?: number;
  readonly hold?: number;
  readonly interval?: number;
  readonly limits?: ModelServer["limits"];
  /** The class under test, which may be a mutant. */
  readonly Replica?: typeof Replica;
  readonly readsFirst?: boolean;
}

/** What nodes have at each position of an epoch of the stream. */
interface Life {
  readonly epoch: string;
  readonly entries: Map<number, string>;
  /** Whether all nodes share it, and its newest entries are not lost. */
  readonly isCommon: boolean;
}

const ALONE: Life = { epoch: "", entries: new Map(), isCommon: false };

/** A world. */
export class World {
  readonly time = new Timeline();
  readonly server: ModelServer;
  readonly network: Network;
  /** The running nodes, and those that have ended. */
  readonly nodes: ModelNode[] = [];
  readonly dead: ModelNode[] = [];
  readonly pages: Page[] = [];
  readonly content: Content = { boxes: new Map(), items: new Set() };
  /** Readers that were disconnected, and the nodes at that time, starting with the one that did it. */
  readonly bans: { readonly name: string; readonly nodes: ModelNode[]; readonly at: number }[] = [];
  /** Whether entries were lost that some nodes may have read and others not. */
  hasLost = false;
  pushes = 0;
  /** The steps so far, to show in a failure. */
  readonly done: string[] = [];
  readonly #options: Required<WorldOptions>;
  readonly #random: () => number;
  /** What nodes have at each position, by epoch. */
  readonly #lives = new Map<string, Life>();
  readonly #life = new WeakMap<ModelNode, Life>();
  readonly #partial = new Set<ModelNode>();
  /** Nodes that have read entries that were lost, and the epoch of those. */
  readonly #witnesses = new Map<ModelNode, string>();
  /**
   * Whether one of them came back so late that its place was trimmed. Then no node can detect the loss, and
   * a page with a cursor from there may miss something.
   */
  #isUnwitnessed = false;
  #started = 0;

  /** Starts a world, with its nodes and two pages on each. */
  constructor(options: WorldOptions) {
    this.#options = {
      seed: 1,
      hold: 1_000,
      interval: 1_000,
      limits: { kept: 60, loaded: 25, read: 4 },
      Replica,
      readsFirst: false,
      ...options,
    };
    this.#random = randomOf(this.#options.seed);
    this.server = new ModelServer(this.#options.limits);
    this.network = new Network(this.server, this.time, this.#random);
    for (let n = 0; n < options.nodes; n++) this.startNode();
    for (const node of this.nodes) for (const _ of [1, 2]) this.#open(node);
  }

  /** Starts a process. */
  startNode(): ModelNode {
    const { hold, interval, Replica } = this.#options;
    const node = new ModelNode({
      node: `n${++this.#started}`,
      time: this.time,
      network: this.network,
      Replica,
      hold,
      interval,
      random: this.#random,
      clockError: this.#started % 3 === 2 ? -1e11 : 0,
      watch: (effect, node) => this.#watch(effect, node),
    });
    node.deliver = (entry) => this.#pagesOf(node).forEach((page) => page.owe(entry));
    node.restart = () => this.#pagesOf(node).forEach((page) => page.restart());
    this.nodes.push(node);
    return node;
  }

  /** Changes a box, and pushes it as a function. */
  pushBox(node: ModelNode, id: string, delay = 0): void {
    const { boxes } = this.content;
    boxes.set(id, (boxes.get(id) ?? 0) + 1);
    this.#soon(() => node.push({ html: () => boxOf(id, boxes.get(id)!) }), delay);
  }

  /** Changes the box that only one node changes, and pushes its markup. */
  pushOwnBox(node: ModelNode): void {
    const { boxes } = this.content;
    const n = (boxes.get(node.name) ?? 0) + 1;
    boxes.set(node.name, n);
    this.#soon(() => node.push({ html: boxOf(node.name, n) }), 0);
  }

  /** Adds an item to the list, and pushes it. */
  pushItem(node: ModelNode, delay = 0): void {
    const n = this.content.items.size + 1;
    this.content.items.add(n);
    this.#soon(() => node.push({ html: itemOf(n) }), delay);
  }

  /** Disconnects a reader. */
  ban(node: ModelNode): void {
    const name = `@${this.bans.length}`;
    const joined = this.nodes.filter((node) => this.#life.has(node));
    this.bans.push({ name, nodes: [node, ...joined], at: this.server.appended });
    node.push({ disconnect: name });
  }

  /** A process crashes. What it had not pushed is lost, so another process pushes the data later. */
  kill(node: ModelNode): void {
    this.#end(node, () => {});
  }

  /** A process shuts down, and announces that. */
  leave(node: ModelNode): void {
    this.#end(node, () => node.push({ leave: true }));
  }

  #end(node: ModelNode, act: () => void): void {
    if (this.nodes.length === 1) return;
    act();
    node.isDead = true;
    if (node.link) this.network.close(node.link);
    this.nodes.splice(this.nodes.indexOf(node), 1);
    this.dead.push(node);
    for (const page of this.#pagesOf(node)) page.connect(this.#anyNode());
  }

  /** A page connects to another node. */
  hop(page: Page, node: ModelNode): void {
    page.connect(node);
  }

  /** Ends all faults, and lets time pass. */
  quiet(milliseconds = 12_000): void {
    this.done.push("quiet");
    this.server.refuses = false;
    this.network.delay = 2;
    if (this.network.state !== "up") this.network.start();
    for (const node of this.nodes) if (node.isStopped) node.goOn();
    this.time.advance(milliseconds);
    if (this.dead.length > 0) this.#pushAll(this.nodes[0]!);
    this.time.advance(4_000);
    // A node may be sending a heartbeat at this moment.
    for (let n = 0; n < 100 && this.#cursors.size > 1; n++) this.time.advance(1);
  }

  /** Pushes all data, because processes that have ended may have changed some without pushing it. */
  #pushAll(node: ModelNode): void {
    const { boxes, items } = this.content;
    for (const id of boxes.keys()) node.push({ html: () => boxOf(id, boxes.get(id)!) });
    for (const n of items) node.push({ html: itemOf(n, "again") });
  }

  get #cursors(): Set<string> {
    return new Set(this.nodes.map(({ log }) => log.cursor));
  }

  /** Checks what must hold when nothing is happening. */
  check(): void {
    const [first] = this.nodes;
    for (const node of this.nodes) {
      const { replica, name } = node;
      assert.equal(replica.state, "following", `${name} follows (${replica.away})`);
      assert.equal(node.log.cursor, first!.log.cursor, `${name} is where ${first!.name} is`);
      assert.equal(replica.settled, replica.pushed, `all of ${name} has come back`);
      assert.deepEqual(node.errors, []);
      this.#checkShares(node);
      this.#checkBans(node);
    }
    if (this.#isUnwitnessed) return;
    this.pages.forEach((page, index) =>
      this.#checkPage(page, `page ${index} at ${page.node.name}`)
    );
  }

  /** The most commands that a node has sent within one of the last seconds. */
  busiest(seconds: number): number {
    const now = Math.floor(this.time.now / 1000);
    return Math.max(
      ...this.nodes.flatMap(({ commands }) =>
        Array.from({ length: seconds }, (_, n) => commands.get(now - n - 1) ?? 0)
      ),
    );
  }

  #checkPage({ boxes, items }: Page, what: string): void {
    const sort = <T>(values: Iterable<T>) => [...values].sort();
    assert.deepEqual(sort(boxes), sort(this.content.boxes), `${what}: boxes`);
    assert.deepEqual(sort(items), sort(this.content.items), `${what}: items`);
  }

  #checkShares(node: ModelNode): void {
    const sharing = this.nodes.filter(({ share }) => share !== undefined);
    const expected = sharing.map(({ name, share }) => [name, share]);
    const shared = [...node.nodes.shared].map(([name, { value }]) => [name, value]);
    assert.deepEqual(shared.sort(), expected.sort(), `what ${node.name} knows of what all share`);
  }

  #checkBans(node: ModelNode): void {
    if (this.hasLost) return;
    for (const { name, nodes } of this.bans) {
      if (nodes[0]!.isDead || !nodes.includes(node)) continue;
      assert(node.sentAway.includes(name), `${node.name} has sent ${name} away`);
    }
  }

  #watch(effect: Effect, node: ModelNode): void {
    switch (effect.type) {
      case "reset":
        this.#life.set(node, this.#lifeOf(effect.epoch));
        if (this.#witnesses.get(node) === effect.epoch) this.#isUnwitnessed = true;
        this.#witnesses.delete(node);
        if (effect.position > 0) this.#partial.add(node);
        else this.#partial.delete(node);
        for (const { name, nodes, at } of this.bans) {
          const isLoaded = this.server.appended - at < this.server.limits.loaded - 5;
          if (!isLoaded && !node.sentAway.includes(name) && node !== nodes[0]) {
            nodes.splice(nodes.lastIndexOf(node), nodes.includes(node) ? 1 : 0);
          }
        }
        break;
      case "fork":
        this.#life.set(node, ALONE);
        break;
      case "append":
        if (effect.position === undefined) break;
        this.#note(node, effect.position, effect.html);
        break;
      case "revoke":
        if (effect.position !== undefined) this.#note(node, effect.position, "revoke");
        break;
      case "skip":
        this.#note(node, effect.position, "nothing");
    }
  }

  /** Checks that nodes have the same at the same position, and that no position is missing. */
  #note(node: ModelNode, position: number, what: string): void {
    const { epoch, entries, isCommon } = this.#life.get(node) ?? ALONE;
    assert(isCommon, `${node.name} goes on where others do`);
    assert.equal(position, node.log.position + 1, `${node.name} has all of ${epoch}`);
    const known = entries.get(position);
    // A node that has not loaded all of an epoch cannot recognize every repetition.
    if (this.#partial.has(node) && (known === undefined || known === "nothing")) return;
    if (known === undefined) {
      entries.set(position, what);
      if (what.includes('"append"')) {
        const twice = [...entries].filter(([, other]) => other === what);
        assert.equal(twice.length, 1, `once in ${epoch}: ${what}`);
      }
    }
    assert.equal(what, entries.get(position), `what ${node.name} has at ${epoch}.${position}`);
  }

  #lifeOf(epoch: string): Life {
    let life = this.#lives.get(epoch);
    if (!life) this.#lives.set(epoch, life = { epoch, entries: new Map(), isCommon: true });
    return life;
  }

  /** Loses the newest entries. No node that has read them may continue as if they were there. */
  lose(count: number): void {
    this.hasLost = true;
    this.network.stop("down");
    for (const node of this.nodes) node.dropHeld();
    this.server.lose(count);
    const newest = this.server.entries.at(-1);
    for (const [epoch, { entries }] of this.#lives) {
      const end = newest && epochName(newest.epoch) === epoch ? newest.position : 0;
      if (newest && epochName(newest.epoch) !== epoch) continue;
      const left = new Map([...entries].filter(([position]) => position <= end));
      const life = { epoch, entries: left, isCommon: true };
      for (const node of this.nodes) {
        if (this.#life.get(node)?.epoch !== epoch) continue;
        const hasRead = node.log.position > end;
        if (hasRead) this.#witnesses.set(node, epoch);
        this.#life.set(node, hasRead ? ALONE : life);
      }
      this.#lives.set(epoch, life);
    }
    this.network.start();
  }

  #open(node: ModelNode): void {
    const { time } = this;
    this.pages.push(
      new Page(node, {
        time,
        random: this.#random,
        read: () => this.content,
        nodes: () => this.nodes.filter(({ isStopped }) => !isStopped),
        readsFirst: this.#options.readsFirst,
      }),
    );
  }

  #pagesOf(node: ModelNode): Page[] {
    return this.pages.filter((page) => page.node === node);
  }

  #anyNode(): ModelNode {
    return this.nodes[Math.floor(this.#random() * this.nodes.length)]!;
  }

  #soon(push: () => void, delay: number): void {
    this.pushes++;
    if (delay === 0) push();
    else this.time.later(push, delay);
  }
}

/** Pseudorandom numbers from 0 to 1, the same for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
