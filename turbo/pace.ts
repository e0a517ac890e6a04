/**
 * The clock, and an agenda of what is due when.
 *
 * @module
 */

/** A clock and its timers. */
export interface Clock {
  /** The time in whole milliseconds, which never goes back. */
  now(): number;
  /** Calls a function once, after some milliseconds. The function that it returns cancels the call. */
  later(run: () => void, milliseconds: number): () => void;
}

/** The platform's clock. */
export const CLOCK: Clock = {
  now: () => Math.trunc(performance.now()),
  later(run, milliseconds) {
    const timer = setTimeout(run, Math.max(0, milliseconds)); // Deno warns about a negative delay
    return () => clearTimeout(timer);
  },
};

/** Things that are due at a millisecond. One timer serves all of the same millisecond. */
export class Agenda<T> {
  readonly #clock: Clock;
  readonly #run: (due: readonly T[]) => void;
  readonly #byTime = new Map<number, { cancel: () => void; due: T[] }>();

  /** Starts empty; `run` is called with what is due. */
  constructor(clock: Clock, run: (due: readonly T[]) => void) {
    this.#clock = clock;
    this.#run = run;
  }

  /** Adds something that is due at a time, in whole milliseconds of the clock. */
  add(one: T, at: number): void {
    const entry = this.#byTime.get(at);
    if (entry) return void entry.due.push(one);
    const due = [one];
    const cancel = this.#clock.later(() => {
      this.#byTime.delete(at);
      this.#run(due);
    }, at - this.#clock.now());
    this.#byTime.set(at, { cancel, due });
  }

  /** Removes everything. */
  clear(): void {
    for (const { cancel } of this.#byTime.values()) cancel();
    this.#byTime.clear();
  }
}
