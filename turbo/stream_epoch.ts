/**
 * Whether a stream is still the one that a node has followed: epochs end, and entries are lost. Pure.
 *
 * @module
 */
import type { Place, StreamEntry, Tag } from "./stream_entry.ts";

/**
 * Compares the newest entry of a node's copy with the first entry of the stream at or after its place.
 *
 * `same`: the stream still has the entry. `hole`: the stream was trimmed beyond it. `other`: the stream was
 * lost, and may have been replaced.
 */
export function verdict(
  { place, tag }: { readonly place: Place; readonly tag: Tag },
  first: StreamEntry | undefined,
): "same" | "hole" | "other" {
  if (first?.epoch !== place.epoch) return "other";
  if (first.position > place.position) return "hole";
  const isSame = first.node === tag.node && first.n === tag.n && first.attempt === tag.attempt;
  return isSame ? "same" : "other";
}

/**
 * Whether the entry at position 0 is the birth of its epoch. A stream that was lost may be started again by
 * a node whose clock is behind. An entry written for the old epoch, which is larger, is then accepted at
 * position 0 of that epoch: the name of the old epoch is used up.
 */
export function isTrueBirth({ attempt }: Tag): boolean {
  return attempt === 0;
}

/** The longest run at the end of some entries that has one epoch and no hole. */
export function newestRun(entries: readonly StreamEntry[]): readonly StreamEntry[] {
  const start = entries.findLastIndex(({ epoch, position }, index) => {
    const before = entries[index - 1];
    return before?.epoch !== epoch || before.position + 1 !== position;
  });
  return start === -1 ? [] : entries.slice(start);
}
