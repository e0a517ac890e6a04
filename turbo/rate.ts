/**
 * How often something may happen.
 *
 * @module
 */
import type { Clock } from "./pace.ts";

/** So much at once, and then so much a second. */
export interface Rate {
  /** How often at once. */
  burst: number;
  /** How often a second, after that. */
  perSecond: number;
}

/** A token bucket: full at first, one token for each time, refilled as time goes on. */
export class TokenBucket {
  readonly #rate: Rate;
  readonly #clock: Pick<Clock, "now">;
  #tokens: number;
  #at: number;

  /** A full bucket. */
  constructor(rate: Rate, clock: Pick<Clock, "now">) {
    this.#rate = rate;
    this.#clock = clock;
    this.#tokens = rate.burst;
    this.#at = clock.now();
  }

  /** Whether it is as full as at first. */
  get isFull(): boolean {
    this.#refill();
    return this.#tokens >= this.#rate.burst;
  }

  /** Takes a token, where there is one. */
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

/** So many in each minute, from the first on. */
export class MinuteWindow {
  readonly #most: number;
  readonly #clock: Pick<Clock, "now">;
  #since: number;
  #count = 0;

  /** None yet. */
  constructor(most: number, clock: Pick<Clock, "now">) {
    this.#most = most;
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Counts one, where it is not too many. */
  take(): boolean {
    const now = this.#clock.now();
    if (now - this.#since >= MINUTE) [this.#since, this.#count] = [now, 0];
    return ++this.#count <= this.#most;
  }
}

/** Addresses that are remembered; the one that came longest ago is forgotten, and begins again. */
const MAX_ADDRESSES = 10_000;

/** A bucket for each address that came lately. */
export class AddressBuckets {
  readonly #rate: Rate;
  readonly #clock: Pick<Clock, "now">;
  /** Who came longest ago first. */
  readonly #byAddress = new Map<string, TokenBucket>();

  /** None yet. */
  constructor(rate: Rate, clock: Pick<Clock, "now">) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** Addresses that are remembered. */
  get size(): number {
    return this.#byAddress.size;
  }

  /** Takes a token of an address, where there is one. */
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
      if (this.#byAddress.size === 1) return; // the one that is taken from
      this.#byAddress.delete(address);
    }
  }
}
