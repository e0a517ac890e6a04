/**
 * Many nodes in one process: a hub that gives the pushes of its engines one order, as a server would.
 *
 * @module
 */
import type { Copy, Engine, Push } from "../turbo/mod.ts";

/** Does to the copy of a node what stands at one place in the order. */
type Apply = (copy: Copy, node: HubEngine) => void;

/** What its engines have pushed, in one order. Each takes it into its copy at later turns. */
export class Hub {
  /** The HTML of the pushes so far, in their order, and the name of the node that each is of. */
  readonly pushed: { readonly node: string; readonly html: string }[] = [];
  /** What the nodes have said of themselves. */
  readonly said: string[] = [];
  /** Positions that are taken in the log. */
  positions = 0;
  readonly #order: Apply[] = [];
  readonly #engines = new Set<HubEngine>();
  #count = 0;

  /** A node that has not started. It knows nothing of what the others have said before. */
  engine(): HubEngine {
    return new HubEngine(this, `n${++this.#count}`);
  }

  /** Begins to take in what comes from now on; the others say again what they have said. */
  join(engine: HubEngine): void {
    this.#engines.add(engine);
    engine.taken = this.#order.length;
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
  add(apply: Apply): void {
    this.#order.push(apply);
    for (const engine of this.#engines) engine.wake();
  }

  /** What stands at a place. */
  at(index: number): Apply | undefined {
    return this.#order[index];
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
  #copy!: Copy; // by start()
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
    copy.log.reset("hub", this.#hub.positions);
    this.#hub.join(this);
  }

  /** Puts it into the order. A function is called now, and its return is not checked against others. */
  push(push: Push): void {
    if (this.#isClosed) return;
    const hub = this.#hub;
    const by = this.node;
    if ("disconnect" in push) return hub.add((copy) => copy.disconnect(push.disconnect));
    if ("leave" in push) return hub.add((copy, node) => copy.left(by, node === this));
    if ("say" in push) {
      hub.said.push(push.say);
      const said = { node: by, text: push.say };
      return hub.add((copy, node) => copy.hear({ ...said, isOwn: node === this }));
    }
    if ("revoke" in push) {
      hub.positions++;
      return hub.add((copy) => {
        copy.log.revoke(push.revoke);
        copy.revoke(push.revoke);
      });
    }
    const { html, ...audience } = push;
    const text = typeof html === "function" ? html() : html;
    if (text === "") return;
    hub.positions++;
    hub.pushed.push({ node: by, html: text });
    hub.add((copy) => copy.deliver(copy.log.append(text, audience)));
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

  // In later turns, one at a time, so that the nodes never know the same at a moment.
  async #takeIn(): Promise<void> {
    for (let apply; (apply = this.#hub.at(this.taken));) {
      await new Promise((resolve) => setTimeout(resolve));
      this.taken++;
      apply(this.#copy, this);
    }
    this.#working = undefined;
  }
}
