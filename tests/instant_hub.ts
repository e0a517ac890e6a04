/**
 * Several nodes in one process, for tests: what one of them pushes, all have at once and in one order.
 *
 * @module
 */
import type { Copy, Engine, Push } from "../turbo/mod.ts";

interface Pushed {
  readonly node: string;
  readonly push: Push;
}

/** What orders the pushes of its nodes. */
export class Hub {
  readonly #copies = new Map<string, Copy>();
  readonly #queue: Pushed[] = [];
  #nodes = 0;
  /** What the nodes have said of themselves. */
  readonly said: string[] = [];

  /** The engine of another node. */
  engine(): Engine & { readonly node: string } {
    const node = `node-${++this.#nodes}`;
    return {
      node,
      start: (copy) => {
        for (const { sayAll } of [...this.#copies.values()]) queueMicrotask(sayAll);
        this.#copies.set(node, copy);
      },
      push: (push) => this.#push(node, push),
      flush: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }

  /** Tells all nodes but the first that one is gone; the first has found it out. */
  lose(node: string): void {
    let isOwn = true;
    for (const [name, copy] of this.#copies) {
      if (name === node) continue;
      copy.left(node, isOwn);
      isOwn = false;
    }
  }

  // Something may be pushed while nodes are being given what was pushed before: it comes after that.
  #push(node: string, push: Push): void {
    if ("say" in push) this.said.push(push.say);
    const html = "html" in push && typeof push.html === "function" ? push.html() : undefined;
    if (html === "") return;
    this.#queue.push({ node, push: html === undefined ? push : { ...push, html } });
    if (this.#queue.length > 1) return;
    for (; this.#queue.length > 0; this.#queue.shift()) this.#deliver(this.#queue[0]!);
  }

  #deliver({ node, push }: Pushed): void {
    for (const [name, copy] of this.#copies) {
      const isOwn = name === node;
      if ("say" in push) copy.hear({ node, text: push.say, isOwn });
      else if ("leave" in push) copy.left(node, isOwn);
      else if ("disconnect" in push) copy.disconnect(push.disconnect);
      else if ("revoke" in push) {
        copy.log.revoke(push.revoke);
        copy.revoke(push.revoke);
      } else copy.deliver(copy.log.append(push.html as string, push));
    }
  }
}
