/**
 * A clock for tests that must not wait.
 *
 * @module
 */
/** A clock that advances when the test says so. */
export class TestClock {
  #now = 1_000;
  readonly #timers = new Set<{ run: () => void; at: number }>();

  /** The pending timers. */
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

  /** Advances the time without running timers, as when the process is stopped. */
  pause(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /** Advances the time, and runs what comes due. */
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

/** Lets everything run that is due in this turn of the event loop. */
export async function turn(): Promise<void> {
  for (let n = 0; n < 5; n++) await Promise.resolve();
}
