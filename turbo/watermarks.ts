/**
 * For each name, the newest position at which something happened.
 *
 * @module
 */

/** The marks of {@linkcode Watermarks} as plain data. */
export interface WatermarksState {
  /** The mark of all names that are not listed. */
  readonly floor: number;
  /** The mark of each listed name. */
  readonly names: readonly (readonly [name: string, position: number])[];
}

/** Bytes of UTF-8 allowed for each name on average: the longest name that one can listen to. */
const NAME_BYTES = 255;

/**
 * For each name, the newest position at which something happened to it, such as that an entry for it was
 * dropped or that it was revoked. The number of names and their bytes are limited. A name that is not
 * remembered counts with the newest mark that was forgotten: a mark may be too high, but is never too low.
 */
export class Watermarks {
  readonly #maxNames: number;
  #floor = 0;
  /** Least recently raised first, which is about the order of the positions. */
  readonly #names = new Map<string, number>();
  #bytes = 0;

  /** Starts with all marks at 0. */
  constructor(maxNames: number) {
    this.#maxNames = maxNames;
  }

  /** Raises the mark of a name to at least a position. */
  raise(name: string, position: number): void {
    // A name that is not remembered may have been forgotten, so its mark starts at the floor.
    const mark = Math.max(position, this.#names.get(name) ?? this.#floor);
    if (!this.#names.delete(name)) this.#bytes += Buffer.byteLength(name);
    this.#names.set(name, mark);
    for (const [name, mark] of this.#names) {
      if (this.#names.size <= this.#maxNames && this.#bytes <= this.#maxNames * NAME_BYTES) break;
      this.#names.delete(name);
      this.#bytes -= Buffer.byteLength(name);
      this.#floor = Math.max(this.#floor, mark);
    }
  }

  /** Whether the mark of one of the names is above a position. */
  isAbove(position: number, names: Iterable<string>): boolean {
    for (const name of names) {
      if (position < (this.#names.get(name) ?? this.#floor)) return true;
    }
    return false;
  }

  /** Raises the marks of all names to a position, and forgets the names. */
  reset(position: number): void {
    this.#floor = position;
    this.#names.clear();
    this.#bytes = 0;
  }

  /** Returns the marks as plain data. */
  save(): WatermarksState {
    return { floor: this.#floor, names: [...this.#names] };
  }

  /** Continues from saved marks. */
  load({ floor, names }: WatermarksState): void {
    this.reset(floor);
    for (const [name, position] of names) this.raise(name, position);
  }
}
