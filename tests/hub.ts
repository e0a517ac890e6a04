/**
 * Several nodes in one process: a hub that gives the pushes of its engines one order, as a server would.
 *
 * @module
 */
import type { Copy, Engine, Push } from "../turbo/mod.ts";

/** Applies one item of the order to the copy of a node. */
type Apply = (copy: Copy, node: HubEngine) => void;

/** The pushes of all its engines, in one order. Each engine applies them to its copy in later turns. */
export class Hub {
  /** The HTML of the pushes so far, in order, each with the name of its node. */
  readonly pushed: { readonly node: string; readonly html: string }[] = [];
  /** The statements of the nodes. */
  readonly said: string[] = [];
  /** How many positions of the log are used. */
  positions = 0;
  readonly #order: Apply[] = [];
  readonly #engines = new Set<HubEngine>();
  #count = 0;

  /** Makes a node that has not started. It does not know earlier statements of the others. */
  engine(): HubEngine {
    return new HubEngine(this, `n${++this.#count}`);
  }

  /** Joins a node, which receives what follows. The others state everything again. */
  join(engine: HubEngine): void {
    this.#engines.add(engine);
    engine.taken = this.#order.length;
    this.add((copy, node) => node !== engine && copy.sayAll());
  }

  /** Loses a node, which another one reports. */
  lose(engine: HubEngine, by: HubEngine): void {
    this.#engines.delete(engine);
    this.add((copy, node) => copy.left(engine.node, node === by));
  }

  /** Removes a node that has received everything. */
  leave(engine: HubEngine): void {
    this.#engines.delete(engine);
  }

  /** Appends something to the order. */
  add(apply: Apply): void {
    this.#order.push(apply);
    for (const engine of this.#engines) engine.wake();
  }

  /** The item at an index. */
  at(index: number): Apply | undefined {
    return this.#order[index];
  }
}

/** The engine of one node. */
export class HubEngine implements Engine {
  /** Why it is alone, as the test sets it. */
  away: string | undefined;
  /** The promise for {@linkcode Turbo.ready}, as the test sets it. */
  ready: Promise<void> = Promise.resolve();
  /** Its name. */
  readonly node: string;
  /** How many items of the order are in the copy. */
  taken = 0;
  readonly #hub: Hub;
  #copy!: Copy; // start() sets it
  #working: Promise<void> | undefined;
  #isClosed = false;

  /** Belongs to a hub. */
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

  /** Appends a push. A function is called now, and never again. */
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

  /** Resolves when the whole order is in the copy. */
  async flush(): Promise<void> {
    while (this.#working) await this.#working;
  }

  /** Applies what has arrived, then stops. */
  async close(): Promise<void> {
    await this.flush();
    this.#isClosed = true;
    this.#hub.leave(this);
  }

  /** Call when there is more to apply. */
  wake(): void {
    this.#working ??= this.#takeIn();
  }

  // In later turns, one item at a time, so that the nodes are never equally current.
  async #takeIn(): Promise<void> {
    for (let apply; (apply = this.#hub.at(this.taken));) {
      await new Promise((resolve) => setTimeout(resolve));
      this.taken++;
      apply(this.#copy, this);
    }
    this.#working = undefined;
  }
}
