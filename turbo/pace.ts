/**
 * Things to be done at a time, those of the same millisecond together.
 *
 * @module
 */

/** Time, as far as it is needed here. */
export interface Clock {
  /** Whole milliseconds of a clock that never goes back. */
  now(): number;
  /** Calls a function once, later; what it returns cancels that. */
  later(run: () => void, milliseconds: number): () => void;
}

/** The platform's clock. */
export const CLOCK: Clock = {
  now: () => Math.trunc(performance.now()),
  later(run, milliseconds) {
    const timer = setTimeout(run, Math.max(0, milliseconds)); // of what is late already, Deno warns
    return () => clearTimeout(timer);
  },
};

/** What is due, by the millisecond: one timer serves all that began a frame together. */
export class Agenda<T> {
  readonly #clock: Clock;
  readonly #run: (due: readonly T[]) => void;
  readonly #byTime = new Map<number, { cancel: () => void; due: T[] }>();

  /** An empty agenda; `run` is given what is due. */
  constructor(clock: Clock, run: (due: readonly T[]) => void) {
    this.#clock = clock;
    this.#run = run;
  }

  /** Puts something down for a time, in whole milliseconds of the clock. */
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

  /** Crosses out everything. */
  clear(): void {
    for (const { cancel } of this.#byTime.values()) cancel();
    this.#byTime.clear();
  }
}
