/**
 * Entries of the log that have something in common, in their order.
 *
 * @module
 */

/** What stands in a log. */
export interface Placed {
  /** Its place in the order. */
  readonly position: number;
  /** Whether it has gone from the log. */
  readonly isGone: boolean;
}

/** Some of the entries of a log, in their order. */
export class Channel<Node extends Placed> {
  #nodes: Node[] = [];
  #removed = 0;

  /** The newest position that there was; 0 for none. */
  get position(): number {
    return this.#nodes.at(-1)?.position ?? 0;
  }

  /** Whether none is left. */
  get isEmpty(): boolean {
    return this.#removed === this.#nodes.length;
  }

  /** Adds one that is newer than all others. */
  add(node: Node): void {
    this.#nodes.push(node);
  }

  /** One of the nodes has gone; they are taken out when they are most of all. */
  removed(): void {
    this.#removed++;
    if (this.#removed < 32 || this.#removed < this.#nodes.length / 2) return;
    this.#nodes = this.#nodes.filter((node) => !node.isGone);
    this.#removed = 0;
  }

  /** How many there were after a position. */
  countAfter(position: number): number {
    return this.#nodes.length - this.#indexAfter(position);
  }

  /** Those after a position. */
  after(position: number): Node[] {
    return this.#nodes.slice(this.#indexAfter(position)).filter((node) => !node.isGone);
  }

  #indexAfter(position: number): number {
    let [low, high] = [0, this.#nodes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#nodes[middle]!.position > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The newest that there is; `without` leaves some out. */
  newest(without?: ReadonlySet<Node>): Node | undefined {
    return this.#nodes.findLast((node) => !node.isGone && !without?.has(node));
  }
}

/** Channels by what their entries have in common; there is none without an entry. */
export class Channels<Node extends Placed> {
  readonly #byKey = new Map<string, Channel<Node>>();

  /** How many channels there are. */
  get size(): number {
    return this.#byKey.size;
  }

  /** The channel of a key. */
  get(key: string): Channel<Node> | undefined {
    return this.#byKey.get(key);
  }

  /** Adds an entry that is newer than all others. */
  add(key: string, node: Node): void {
    let channel = this.#byKey.get(key);
    if (!channel) this.#byKey.set(key, channel = new Channel());
    channel.add(node);
  }

  /** One of the entries of a key has gone. */
  removed(key: string): void {
    const channel = this.#byKey.get(key);
    channel?.removed();
    if (channel?.isEmpty) this.#byKey.delete(key);
  }

  /** Forgets all. */
  clear(): void {
    this.#byKey.clear();
  }
}
