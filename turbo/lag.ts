/**
 * How long a push takes to come back from the engine that orders it.
 *
 * @module
 */
import { CLOCK, type Clock } from "./clock.ts";
import type { Engine } from "./engine.ts";

/** Milliseconds in which the lag is measured once. */
const INTERVAL = 1_000;

/** Measures the lag of an engine by some of the pushes of this process. */
export class Lag {
  readonly #engine: Pick<Engine, "ready" | "flush">;
  readonly #clock: Pick<Clock, "now">;
  #last = 0;
  /** When the push was made that is being measured, and when the last one was that was measured. */
  #since: number | undefined;
  #measuredAt = -INTERVAL;

  /** Starts without a measurement. */
  constructor(engine: Pick<Engine, "ready" | "flush">, clock: Pick<Clock, "now"> = CLOCK) {
    this.#engine = engine;
    this.#clock = clock;
  }

  /** What was measured last, or for how long a push has not come back, where that is longer. */
  get milliseconds(): number {
    return this.#since === undefined
      ? this.#last
      : Math.max(this.#last, this.#clock.now() - this.#since);
  }

  /** A push was given to the engine. */
  pushed(): void {
    if (this.#engine.ready === undefined || this.#since !== undefined) return;
    const since = this.#clock.now();
    if (since - this.#measuredAt < INTERVAL) return;
    this.#since = since;
    const done = () => {
      this.#last = this.#clock.now() - since;
      this.#measuredAt = since;
      this.#since = undefined;
    };
    this.#engine.flush().then(done, done);
  }
}
