/**
 * Counts what readers received of the messages that were sent to all of them.
 *
 * @module
 */

/** A message that a reader has received: its tick, and when that was, in milliseconds. */
export type Receipt = readonly [tick: number, at: number];

/** What of the messages arrived. */
export interface Delivery {
  /** Percent of all messages to all readers that arrived exactly once, and after no later one. */
  readonly share: number;
  /** Messages that never arrived, for all readers together. */
  readonly lost: number;
  /** Copies of messages that had arrived before. */
  readonly twice: number;
  /** Messages that arrived after a later one. */
  readonly outOfOrder: number;
  /** How many messages never arrived, for each reader. */
  readonly missed: readonly number[];
  /** From when a message was due to its first receipt, in milliseconds. */
  readonly delays: readonly number[];
  /** The longest time without the newest message, for each reader, in milliseconds. */
  readonly behind: readonly number[];
}

/**
 * Counts. A message that arrived once and in order counts as delivered; one that arrived twice, or after a
 * later one, does not.
 *
 * @param sent When each message was due, by its tick, from the first to the last.
 * @param readers What each reader received, in the order in which it did.
 * @param end When the readers stopped.
 */
export function countDelivery(
  sent: ReadonlyMap<number, number>,
  readers: readonly (readonly Receipt[])[],
  end: number,
): Delivery {
  let [right, lost, twice, outOfOrder] = [0, 0, 0, 0];
  const delays: number[] = [];
  const missed: number[] = [];
  const behind: number[] = [];
  for (const receipts of readers) {
    const counts = new Map<number, number>();
    const late = new Set<number>();
    let newest = 0;
    for (const [tick, at] of receipts) {
      const due = sent.get(tick);
      if (due === undefined) continue; // it was sent before
      const count = (counts.get(tick) ?? 0) + 1;
      counts.set(tick, count);
      if (count > 1) twice++;
      else {
        delays.push(at - due);
        if (tick < newest) late.add(tick);
      }
      newest = Math.max(newest, tick);
    }
    outOfOrder += late.size;
    missed.push(sent.size - counts.size);
    lost += sent.size - counts.size;
    for (const [tick, count] of counts) if (count === 1 && !late.has(tick)) right++;
    behind.push(longestBehind(sent, receipts, end));
  }
  const share = 100 * right / (sent.size * readers.length);
  return { share, lost, twice, outOfOrder, missed, delays, behind };
}

/** The longest time in which a reader did not have the newest message. */
function longestBehind(
  sent: ReadonlyMap<number, number>,
  receipts: readonly Receipt[],
  end: number,
): number {
  const dues = [...sent];
  let [next, had, since, longest] = [0, 0, Infinity, 0];
  for (const [tick, at] of [...receipts, [Infinity, end] as const]) {
    for (; next < dues.length && dues[next]![1] <= at; next++) {
      since = Math.min(since, dues[next]![1]);
    }
    had = Math.max(had, tick);
    if (next === 0 || had < dues[next - 1]![0]) continue;
    longest = Math.max(longest, at - since); // -Infinity where it was not behind
    since = Infinity;
  }
  return longest;
}
