/**
 * Whether a stream is still what a node has followed: lives of it end, and entries are lost. Pure.
 *
 * @module
 */
import type { Place, StreamEntry, Tag } from "./stream_entry.ts";

/**
 * Whether the stream is the one that was followed, by the first entry at the place of the copy or after
 * it: the newest entry of the copy is where it was, by whom it was. "hole": it is gone, with all before
 * it, and later ones are there. "other": it was lost, and maybe something else stands in its place.
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
 * Whether a life begins with an entry that stands at position 0. Where a stream was lost, and begun again
 * by a node whose clock is behind, what is written for the life before stands after that, from position 0
 * on: its name is used up.
 */
export function isTrueBirth({ attempt }: Tag): boolean {
  return attempt === 0;
}

/** The last of some entries that are of one life and have no hole between them. */
export function newestRun(entries: readonly StreamEntry[]): readonly StreamEntry[] {
  const start = entries.findLastIndex(({ epoch, position }, index) => {
    const before = entries[index - 1];
    return before?.epoch !== epoch || before.position + 1 !== position;
  });
  return start === -1 ? [] : entries.slice(start);
}
