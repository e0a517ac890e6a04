/**
 * How old the pages are that readers look at: measured at the reader, because only a page knows what it
 * shows. A proxy that holds messages back, a frozen tab or a slow machine shows nowhere else.
 *
 * A page reports the cursor of what it has rendered. The time from a push until the report that the page
 * shows it has arrived is at most the age of what its reader saw; the way of the report to the server is
 * part of it. A page that was sent a push and owes its report counts as older with each second.
 *
 * @module
 */
import type { Connection } from "./connection.ts";

/** How old the pages are that readers look at, in milliseconds. */
export interface Staleness {
  /** How many open pages it is known of: those that have reported, and those that owe a report. */
  readonly pages: number;
  /** Half of them are at most this old; 0 where no page is known. */
  readonly p50: number;
  /** 99 of 100 are at most this old. */
  readonly p99: number;
  /** The oldest. */
  readonly max: number;
}

/** Milliseconds of pushes that share one time. */
const RESOLUTION = 10;
/** How many times are kept. */
const MAX_TIMES = 8_192;

/** When the positions of a log were reached, for those that are not too long ago. */
export class PositionTimes {
  /** The last position of each span of time, oldest first from `#start` on, and when the span began. */
  #positions: number[] = [];
  #times: number[] = [];
  #start = 0;

  /** A position was reached. Positions and times grow. */
  note(position: number, now: number): void {
    const last = this.#times.length - 1;
    if (last >= 0 && now - this.#times[last]! < RESOLUTION) {
      this.#positions[last] = position;
      return;
    }
    this.#positions.push(position);
    this.#times.push(now);
    if (this.#times.length - this.#start > MAX_TIMES) this.#start++;
    if (this.#start < MAX_TIMES) return;
    this.#positions = this.#positions.slice(this.#start);
    this.#times = this.#times.slice(this.#start);
    this.#start = 0;
  }

  /** Forgets all, because the positions begin again. */
  clear(): void {
    this.#positions = [];
    this.#times = [];
    this.#start = 0;
  }

  /**
   * When a position was reached, or at most {@linkcode RESOLUTION} milliseconds earlier. Of one that is too
   * long ago the oldest time that is known, and of one that was not reached yet `undefined`.
   */
  at(position: number): number | undefined {
    let [low, high] = [this.#start, this.#positions.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#positions[middle]! < position) low = middle + 1;
      else high = middle;
    }
    return this.#times[low];
  }
}

/** The age of each open page that it is known of, in milliseconds, the youngest first. */
export function agesOf(
  connections: Iterable<Connection>,
  times: PositionTimes,
  now: number,
): readonly number[] {
  const ages: number[] = [];
  for (const { reports, position, probedAt, delay } of connections) {
    if (!reports) continue;
    // Below 0 it is to fetch itself, and how old it is by then is not known.
    const isOwed = position !== undefined && position >= 0;
    const owedSince = isOwed ? times.at(position + 1) : undefined;
    const owed = owedSince === undefined ? -1 : now - owedSince;
    const age = Math.max(owed, delay, probedAt < 0 ? -1 : now - probedAt);
    if (age >= 0) ages.push(age);
  }
  return ages.sort((a, b) => a - b);
}

/** Sums up ages that are sorted. */
export function stalenessOf(ages: readonly number[]): Staleness {
  const at = (share: number) => ages[Math.max(0, Math.ceil(share * ages.length) - 1)] ?? 0;
  return { pages: ages.length, p50: at(0.5), p99: at(0.99), max: ages.at(-1) ?? 0 };
}
