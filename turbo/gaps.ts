/**
 * What is gone from the log, and who missed it.
 *
 * @module
 */

/** Up to where entries are gone, as plain data. */
export interface GapsState {
  /** For everyone. */
  readonly all: number;
  /** For names that are not listed. */
  readonly others: number;
  /** For each name. */
  readonly names: readonly (readonly [name: string, position: number])[];
}

/**
 * Up to which position entries are gone from the log, for everyone and for each name: only a reader
 * who missed one of them has a gap. A bounded number of names is remembered; for all others the
 * newest position of those that were forgotten counts, which may be a gap too many, never too few.
 */
export class Gaps {
  readonly #maxNames: number;
  #all = 0;
  #others = 0;
  /** Who went longest ago first; about the order of their positions, as the oldest goes first. */
  readonly #names = new Map<string, number>();

  /** Nothing is gone. */
  constructor(maxNames: number) {
    this.#maxNames = maxNames;
  }

  /** An entry is gone. */
  add({ position, to }: { position: number; to?: readonly string[] | undefined }): void {
    if (to === undefined) this.#all = Math.max(this.#all, position);
    for (const name of to ?? []) {
      const newest = Math.max(position, this.#names.get(name) ?? 0);
      this.#names.delete(name);
      this.#names.set(name, newest);
    }
    for (const [name, position] of this.#names) {
      if (this.#names.size <= this.#maxNames) break;
      this.#names.delete(name);
      this.#others = Math.max(this.#others, position);
    }
  }

  /** Whether a reader at a position, with these names, has missed something that is gone. */
  has(position: number, names: ReadonlySet<string>): boolean {
    if (position < this.#all) return true;
    if (names.size === 0) return false;
    if (position < this.#others) return true;
    for (const name of names) if (position < (this.#names.get(name) ?? 0)) return true;
    return false;
  }

  /** Nothing up to a position is known. */
  reset(position: number): void {
    this.#all = this.#others = position;
    this.#names.clear();
  }

  /** As plain data. */
  save(): GapsState {
    return { all: this.#all, others: this.#others, names: [...this.#names] };
  }

  /** Goes on from there. */
  load({ all, others, names }: GapsState): void {
    [this.#all, this.#others] = [all, others];
    for (const [name, position] of names) this.#names.set(name, position);
  }
}
