/**
 * The newest position at which something happened, for each name.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** The marks of {@linkcode Watermarks} as plain data. */
export interface WatermarksState {
  /** For names that are not listed. */
  readonly floor: number;
  /** For each name. */
  readonly names: readonly (readonly [name: string, position: number])[];
}

/** Bytes of a name, as UTF-8, for which there is room on average: the longest that one may listen to. */
const NAME_BYTES = 255;

/**
 * The newest position at which something happened to a name: an entry of it is gone, or it was
 * revoked. A bounded number of names is remembered, and of bytes, as nothing bounds the length of a
 * name that is pushed to. For all others the newest position of those that were forgotten counts:
 * some marks are too high then, none is too low.
 */
export class Watermarks {
  readonly #maxNames: number;
  #floor = 0;
  /** Who was raised longest ago first; about the order of their positions. */
  readonly #names = new Map<string, number>();
  #bytes = 0;

  /** No mark above 0. */
  constructor(maxNames: number) {
    this.#maxNames = maxNames;
  }

  /** Raises the mark of a name to a position, where it is not above it. */
  raise(name: string, position: number): void {
    // One that comes back may have been forgotten: it starts from the floor, not from nothing.
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

  /** As plain data. */
  save(): WatermarksState {
    return { floor: this.#floor, names: [...this.#names] };
  }

  /** Goes on from there. */
  load({ floor, names }: WatermarksState): void {
    this.reset(floor);
    for (const [name, position] of names) this.raise(name, position);
  }
}
