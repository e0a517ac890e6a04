/**
 * Many nodes in one process: a hub that gives the pushes of its engines one order, as a server would.
 *
 * @module
 */
import type { Copy, Engine, Push } from "../turbo/mod.ts";

/** What stands at one place in the order. */
interface Ordered {
  /** Whether it goes into the log. */
  readonly isPush: boolean;
  /** Does to the copy of one node what it means. */
  readonly apply: (copy: Copy, node: HubEngine) => void;
}

/** What its engines have pushed, in one order. Each takes it into its copy at a later turn. */
export class Hub {
  /** The HTML of the pushes so far, in their order, and the name of the node that each is of. */
  readonly pushed: { readonly node: string; readonly html: string }[] = [];
  readonly #entries: Ordered[] = [];
  readonly #engines = new Set<HubEngine>();
  #count = 0;

  /** A node that has not started. It knows nothing of what the others have said before. */
  engine(): HubEngine {
    return new HubEngine(this, `n${++this.#count}`);
  }

  /** Begins to take in what comes from now on; the others say again what they have said. */
  join(engine: HubEngine): void {
    this.#engines.add(engine);
    engine.taken = this.#entries.length;
    this.add((copy, node) => node !== engine && copy.sayAll());
  }

  /** A node is gone without a word, and another one tells so. */
  lose(engine: HubEngine, by: HubEngine): void {
    this.#engines.delete(engine);
    this.add((copy, node) => copy.left(engine.node, node === by));
  }

  /** Takes a node out that has nothing more to take in. */
  leave(engine: HubEngine): void {
    this.#engines.delete(engine);
  }

  /** Puts something at the end of the order. */
  add(apply: Ordered["apply"], isPush = false): void {
    this.#entries.push({ isPush, apply });
    for (const engine of this.#engines) engine.wake();
  }

  /** What stands at a place. */
  at(index: number): Ordered | undefined {
    return this.#entries[index];
  }
}

/** The engine of one node. */
export class HubEngine implements Engine {
  /** Why it is on its own: what a test says. */
  away: string | undefined;
  /** What {@linkcode Turbo.ready} is: what a test says. */
  ready: Promise<void> = Promise.resolve();
  /** Its name. */
  readonly node: string;
  /** How much of the order is in the copy. */
  taken = 0;
  readonly #hub: Hub;
  #copy: Copy | undefined;
  #working: Promise<void> | undefined;
  #isClosed = false;

  /** A node of a hub. */
  constructor(hub: Hub, node: string) {
    this.#hub = hub;
    this.node = node;
  }

  /** Joins the hub. */
  start(copy: Copy): void {
    this.#copy = copy;
    this.#hub.join(this);
    copy.log.reset("hub", this.taken);
  }

  /** Puts it into the order. A function is called now, and its return is not checked against others. */
  push(push: Push): void {
    if (this.#isClosed) return;
    const by = this.node;
    if ("disconnect" in push) return this.#hub.add((copy) => copy.disconnect(push.disconnect));
    if ("revoke" in push) throw new Error("The hub revokes nothing");
    if ("leave" in push) return this.#hub.add((copy, node) => copy.left(by, node === this));
    if ("say" in push) {
      const said = { node: by, text: push.say };
      return this.#hub.add((copy, node) => copy.hear({ ...said, isOwn: node === this }));
    }
    const { html, ...audience } = push;
    const text = typeof html === "function" ? html() : html;
    if (text === "") return;
    this.#hub.pushed.push({ node: by, html: text });
    this.#hub.add((copy, node) => copy.deliver(copy.log.append(text, audience, node.taken)), true);
  }

  /** Resolves when all that is in the order is in the copy. */
  async flush(): Promise<void> {
    while (this.#working) await this.#working;
  }

  /** Takes in what has come, and nothing more. */
  async close(): Promise<void> {
    await this.flush();
    this.#isClosed = true;
    this.#hub.leave(this);
  }

  /** There is more to take in. */
  wake(): void {
    this.#working ??= this.#takeIn();
  }

  // In a later turn, one at a time, so that the nodes never know the same at a moment.
  async #takeIn(): Promise<void> {
    for (let entry; (entry = this.#hub.at(this.taken));) {
      await new Promise((resolve) => setTimeout(resolve));
      const copy = this.#copy;
      if (this.#isClosed || !copy) break;
      this.taken++;
      if (!entry.isPush) copy.log.skip(this.taken);
      entry.apply(copy, this);
    }
    this.#working = undefined;
  }
}
