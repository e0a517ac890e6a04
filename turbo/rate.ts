/**
 * Rate limits.
 *
 * @module
 */
import type { Clock } from "./pace.ts";

/** A rate limit: some events at once, and then some a second. */
export interface Rate {
  /** How many events at once. */
  burst: number;
  /** How many events a second after that. */
  perSecond: number;
}

/** A token bucket: full at first, one token for each event, refilled over time. */
export class TokenBucket {
  readonly #rate: Rate;
  readonly #clock: Pick<Clock, "now">;
  #tokens: number;
  #at: number;

  /** Starts with a full bucket. */
  constructor(rate: Rate, clock: Pick<Clock, "now">) {
    this.#rate = rate;
    this.#clock = clock;
    this.#tokens = rate.burst;
    this.#at = clock.now();
  }

  /** Whether it is full. */
  get isFull(): boolean {
    this.#refill();
    return this.#tokens >= this.#rate.burst;
  }

  /** Takes a token; `false` where there is none. */
  take(): boolean {
    this.#refill();
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #refill(): void {
    const now = this.#clock.now();
    const { burst, perSecond } = this.#rate;
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#at) / 1000 * perSecond);
    this.#at = now;
  }
}

const MINUTE = 60_000;

/** Limits the events in each minute, counted from the first. */
export class MinuteWindow {
  readonly #most: number;
  readonly #clock: Pick<Clock, "now">;
  #since: number;
  #count = 0;

  /** Starts without events. */
  constructor(most: number, clock: Pick<Clock, "now">) {
    this.#most = most;
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Counts an event; `false` where it is one too many. */
  take(): boolean {
    const now = this.#clock.now();
    if (now - this.#since >= MINUTE) [this.#since, this.#count] = [now, 0];
    return ++this.#count <= this.#most;
  }
}

/** How many addresses are remembered. The least recent one is forgotten, and starts again. */
const MAX_ADDRESSES = 10_000;

/** A token bucket for each recent address. */
export class AddressBuckets {
  readonly #rate: Rate;
  readonly #clock: Pick<Clock, "now">;
  /** Least recent first. */
  readonly #byAddress = new Map<string, TokenBucket>();

  /** Starts without addresses. */
  constructor(rate: Rate, clock: Pick<Clock, "now">) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#byAddress.size;
  }

  /** Takes a token of an address; `false` where there is none. */
  take(address: string): boolean {
    const bucket = this.#byAddress.get(address) ?? new TokenBucket(this.#rate, this.#clock);
    this.#byAddress.delete(address);
    this.#byAddress.set(address, bucket);
    this.#forget();
    return bucket.take();
  }

  #forget(): void {
    for (const [address, bucket] of this.#byAddress) {
      if (this.#byAddress.size <= MAX_ADDRESSES && !bucket.isFull) return;
      if (this.#byAddress.size === 1) return; // the address in use
      this.#byAddress.delete(address);
    }
  }
}
