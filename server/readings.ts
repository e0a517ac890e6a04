/**
 * Readings in the order of their times, in little memory.
 *
 * @module
 */

/** A value and when it was read. */
export interface Moment {
  /** The value. */
  readonly value: number;
  /** When it was read, in milliseconds since 1970. */
  readonly at: number;
}

/** A reading that stands for a time. */
export interface Reading extends Moment {
  /** For how many milliseconds it stands: since the one before it, or one interval. */
  readonly time: number;
}

/** How many numbers a reading takes. */
const NUMBERS = 3;

/**
 * Readings in the order of their times, in a ring that grows.
 *
 * @example
 * ```ts
 * import { Readings } from "./readings.ts";
 * import assert from "node:assert/strict";
 *
 * const readings = new Readings();
 * readings.add({ value: 1, at: 1_000, time: 500 }, 250);
 * readings.add({ value: 3, at: 1_100, time: 100 }, 250);
 * assert.deepEqual([...readings], [{ value: 3, at: 1_000, time: 600 }]);
 * readings.forget(2_000);
 * assert.equal(readings.length, 0);
 * ```
 */
export class Readings {
  #numbers = new Float64Array(NUMBERS * 64);
  #first = 0;
  #length = 0;

  /** How many there are. */
  get length(): number {
    return this.#length;
  }

  /** How many bytes the ring takes. */
  get byteLength(): number {
    return this.#numbers.byteLength;
  }

  /** The reading at an index, from the oldest, which is 0, to the latest. */
  get(index: number): Reading {
    const place = this.#placeOf(index);
    const numbers = this.#numbers;
    return { value: numbers[place]!, at: numbers[place + 1]!, time: numbers[place + 2]! };
  }

  /** All, oldest first. */
  *[Symbol.iterator](): Generator<Reading> {
    for (let index = 0; index < this.#length; index++) yield this.get(index);
  }

  /** Calls a function with each, oldest first. */
  forEach(visit: (value: number, at: number, time: number) => void): void {
    const numbers = this.#numbers;
    for (let index = 0; index < this.#length; index++) {
      const place = this.#placeOf(index);
      visit(numbers[place]!, numbers[place + 1]!, numbers[place + 2]!);
    }
  }

  /**
   * Adds a reading that is not earlier than the latest. Where it is closer to that than `spacing`
   * milliseconds, they become one: with the higher value, at the earlier time.
   */
  add({ value, at, time }: Reading, spacing: number): void {
    const latest = this.#length > 0 ? this.get(this.#length - 1) : undefined;
    if (latest && at - latest.at < spacing) {
      value = Math.max(value, latest.value);
      this.#set(this.#length - 1, { value, at: latest.at, time: latest.time + time });
    } else {
      if (NUMBERS * this.#length === this.#numbers.length) this.#grow();
      this.#length++;
      this.#set(this.#length - 1, { value, at, time });
    }
  }

  /** Forgets the readings before a moment. */
  forget(before: number): void {
    while (this.#length > 0 && this.get(0).at < before) {
      this.#first = this.#placeOf(1);
      this.#length--;
    }
  }

  /** Moves all in time. */
  shift(milliseconds: number): void {
    for (let place = 1; place < this.#numbers.length; place += NUMBERS) {
      this.#numbers[place]! += milliseconds;
    }
  }

  #set(index: number, { value, at, time }: Reading): void {
    this.#numbers.set([value, at, time], this.#placeOf(index));
  }

  #placeOf(index: number): number {
    return (this.#first + NUMBERS * index) % this.#numbers.length;
  }

  #grow(): void {
    const before = this.#numbers;
    this.#numbers = new Float64Array(2 * before.length);
    this.#numbers.set(before.subarray(this.#first));
    this.#numbers.set(before.subarray(0, this.#first), before.length - this.#first);
    this.#first = 0;
  }
}
