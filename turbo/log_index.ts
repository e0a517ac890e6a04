/**
 * Indexes of the log: the entries that have a key in common, in the order of the log.
 *
 * @module
 */

/** An entry of a log, as far as an index needs to know it. */
export interface Indexed {
  /** Its place in the order. */
  readonly position: number;
  /** Whether it has gone from the log. */
  readonly isGone: boolean;
}

/** Some of the entries of a log, in its order. */
export class EntryList<Node extends Indexed> {
  #nodes: Node[] = [];
  #removed = 0;

  /** The newest position ever added; 0 for none. */
  get position(): number {
    return this.#nodes.at(-1)?.position ?? 0;
  }

  /** Whether no entry is left. */
  get isEmpty(): boolean {
    return this.#removed === this.#nodes.length;
  }

  /** Adds an entry that is newer than all others. */
  add(node: Node): void {
    this.#nodes.push(node);
  }

  /** Call when one of the entries has gone. They are taken out when at least half of them are gone. */
  removed(): void {
    this.#removed++;
    if (this.#removed < 32 || this.#removed < this.#nodes.length / 2) return;
    this.#nodes = this.#nodes.filter((node) => !node.isGone);
    this.#removed = 0;
  }

  /** How many entries after a position are held, including some that have gone. */
  countAfter(position: number): number {
    return this.#nodes.length - this.#indexAfter(position);
  }

  /** The entries after a position. */
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
}

/** Lists of entries by a key. A key whose entries have all gone is removed. */
export class LogIndex<Node extends Indexed> {
  readonly #byKey = new Map<string, EntryList<Node>>();

  /** The entries of a key. */
  get(key: string): EntryList<Node> | undefined {
    return this.#byKey.get(key);
  }

  /** Adds an entry that is newer than all others. */
  add(key: string, node: Node): void {
    let list = this.#byKey.get(key);
    if (!list) this.#byKey.set(key, list = new EntryList());
    list.add(node);
  }

  /** Call when one of the entries of a key has gone. */
  removed(key: string): void {
    const list = this.#byKey.get(key);
    list?.removed();
    if (list?.isEmpty) this.#byKey.delete(key);
  }

  /** Removes all keys. */
  clear(): void {
    this.#byKey.clear();
  }
}
