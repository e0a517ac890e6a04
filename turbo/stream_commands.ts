/**
 * The commands of a node to the server of the stream that all nodes share, and the replies.
 *
 * @module
 */
import type { Place, StreamEntry } from "./stream_entry.ts";

/** A command to the server. `read` has a connection of its own, because it blocks. */
export type Command =
  /** Returns the newest entry, and the first entry at or after a place. */
  | { readonly kind: "look"; readonly at: Place | undefined }
  /** Starts a new epoch of the stream, if its newest epoch is still `seen`. */
  | {
    readonly kind: "birth";
    readonly seen: number | undefined;
    readonly epoch: number;
    readonly node: string;
  }
  /** Returns the newest entries. */
  | { readonly kind: "load" }
  /** Returns the entries after a place: at once where there are any, else within a second. */
  | { readonly kind: "read"; readonly after: Place }
  /** Appends an entry to this epoch of the stream. The reply carries the same `id`. */
  | {
    readonly kind: "add";
    readonly id: number;
    readonly epoch: number;
    readonly fields: readonly string[];
  };

/** The server's reply. Replies of one connection come in the order of its commands. */
export type Reply =
  | {
    readonly kind: "look";
    readonly newest: Place | undefined;
    readonly first: StreamEntry | undefined;
  }
  /** The newest epoch now: the requested one, or that of another node that was faster. */
  | { readonly kind: "birth"; readonly epoch: number }
  /** Oldest first. */
  | { readonly kind: "load"; readonly entries: readonly StreamEntry[] }
  | { readonly kind: "read"; readonly entries: readonly StreamEntry[] }
  /**
   * `gone`: there is no stream. `behind`: the stream has a newer epoch. `refused`: the server's error, such
   * as out of memory.
   */
  | { readonly kind: "add"; readonly id: number; readonly result: "added" | "gone" | "behind" }
  | {
    readonly kind: "add";
    readonly id: number;
    readonly result: "refused";
    readonly reason: string;
  };
