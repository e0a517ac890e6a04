/**
 * How one node follows the stream that all nodes share, as a pure machine: events go in, effects come
 * out, and it knows neither Redis nor a clock nor a socket.
 *
 * @module
 */
import type { Push, Said } from "./engine.ts";
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

/** What happens. */
export type Event =
  /** Both connections are open. */
  | { readonly type: "connected" }
  /** They could not be opened, or one has ended, and the other was closed. Not after `disconnect`. */
  | { readonly type: "lost"; readonly reason: string }
  /** Of the connections that are open now alone. */
  | { readonly type: "reply"; readonly reply: Reply }
  | { readonly type: "push"; readonly push: Push }
  /** Time has passed. Comes about ten times a second. */
  | { readonly type: "tick" };

/** What is to be done, in this order. */
export type Effect =
  | { readonly type: "connect" }
  /** Close both connections; nothing more is heard of them. */
  | { readonly type: "disconnect" }
  | { readonly type: "send"; readonly command: Command }
  /** Append to the log, where no position is given at its next one; `deliver` where pages are owed it. */
  | {
    readonly type: "append";
    readonly html: string;
    readonly to: readonly string[] | undefined;
    readonly except: string | undefined;
    readonly position: number | undefined;
    readonly deliver: boolean;
  }
  /** Go on to a position at which there is nothing for pages. */
  | { readonly type: "skip"; readonly position: number }
  /** Note in the log, and tell the pages where `deliver`. */
  | {
    readonly type: "revoke";
    readonly name: string;
    readonly position: number | undefined;
    readonly deliver: boolean;
  }
  | { readonly type: "send away"; readonly name: string }
  /** Let the log go on under another name. */
  | { readonly type: "fork" }
  /** Begin another life of the log, which knows nothing up to this position. */
  | { readonly type: "reset"; readonly epoch: string; readonly position: number }
  /** Every page fetches itself again. */
  | { readonly type: "restart" }
  | { readonly type: "hear"; readonly said: Said }
  | { readonly type: "left"; readonly node: string; readonly isOwn: boolean }
  | { readonly type: "say all" }
  /** Tell whoever runs this. */
  | { readonly type: "notice"; readonly message: string }
  /** A function that renders a push has thrown when it was called again. */
  | { readonly type: "failed"; readonly error: unknown };

/** How a replica is to behave. Times are in milliseconds. */
export interface ReplicaOptions {
  /** The name of this node, which no other and no other life of it has. */
  readonly node: string;
  /** For how long pushes wait for a server that says nothing, before they go to this node's pages alone. */
  readonly hold: number;
  /** How often this node says at least that it is there. */
  readonly interval: number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Milliseconds since 1970, for the names of new epochs alone. */
  readonly wallClock: () => number;
  /** What the server is called in notices. */
  readonly server: string;
}

/** Follows the stream. */
export class Replica {
  /** A node that has not connected yet. */
  constructor(_options: ReplicaOptions) {}

  /** Whether it is known yet whether there is a server, and whether it follows. */
  get state(): "starting" | "following" | "away" {
    throw new Error("to be written");
  }

  /** Why it is away, while it is. */
  get away(): string | undefined {
    throw new Error("to be written");
  }

  /** How many pushes there were, and up to which of them all have come into the copy. */
  get pushed(): number {
    throw new Error("to be written");
  }

  /** See {@linkcode pushed}. */
  get settled(): number {
    throw new Error("to be written");
  }

  /** What is to be done when something happens. `now` is of a clock that never goes back. */
  step(_event: Event, _now: number): Effect[] {
    throw new Error("to be written");
  }
}
