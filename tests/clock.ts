/**
 * Time for tests that must not wait.
 *
 * @module
 */
/** Time that goes on when the test says so. */
export class TestClock {
  #now = 1_000;
  readonly #timers = new Set<{ run: () => void; at: number }>();

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  later(run: () => void, milliseconds: number): () => void {
    const timer = { run, at: this.#now + milliseconds };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Time goes on, and nothing runs: the process is stopped. */
  pause(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /** Goes on, and runs what comes due. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      await turn();
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (!next || next.at > end) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }
}

/** Lets everything run that is to run in this turn of the event loop. */
export async function turn(): Promise<void> {
  for (let n = 0; n < 5; n++) await Promise.resolve();
}
