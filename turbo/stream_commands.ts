/**
 * What a node asks of the server of the stream that all nodes share, and what it is answered.
 *
 * @module
 */
import type { Place, StreamEntry } from "./stream_entry.ts";

/** What is asked of the server, on one of two connections: `read` has one of its own, because it blocks. */
export type Command =
  /** What is the newest entry, and which is the first at this place or after it? */
  | { readonly kind: "look"; readonly at: Place | undefined }
  /** Begin another life of the stream, where its newest epoch is still this one. */
  | {
    readonly kind: "birth";
    readonly seen: number | undefined;
    readonly epoch: number;
    readonly node: string;
  }
  /** The newest entries. */
  | { readonly kind: "load" }
  /** What comes after a place. Answered at once where there is something, else within a second. */
  | { readonly kind: "read"; readonly after: Place }
  /** Write an entry at the end of this life of the stream. `id` tells the answers apart. */
  | {
    readonly kind: "add";
    readonly id: number;
    readonly epoch: number;
    readonly fields: readonly string[];
  };

/** What the server has answered. Those of one connection come in the order of the commands. */
export type Reply =
  | {
    readonly kind: "look";
    readonly newest: Place | undefined;
    readonly first: StreamEntry | undefined;
  }
  /** The epoch that is the newest now: the one asked for, or that of another node which was faster. */
  | { readonly kind: "birth"; readonly epoch: number }
  /** Oldest first. */
  | { readonly kind: "load"; readonly entries: readonly StreamEntry[] }
  | { readonly kind: "read"; readonly entries: readonly StreamEntry[] }
  /**
   * `gone`: there is no stream. `behind`: there is a newer life of it. `refused`: the server's error, as
   * where it has no memory left.
   */
  | { readonly kind: "add"; readonly id: number; readonly result: "added" | "gone" | "behind" }
  | {
    readonly kind: "add";
    readonly id: number;
    readonly result: "refused";
    readonly reason: string;
  };
