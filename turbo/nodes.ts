/**
 * What each node of an application says of itself, as all nodes know it at one place in the log.
 *
 * @module
 */
import type { Said } from "./engine.ts";

/** What a node shares. */
export interface Shared {
  /** What it has shared last: JSON. */
  readonly value: unknown;
  /** How many milliseconds ago this node heard of it. */
  readonly age: number;
  /** Whether it is of this node. */
  readonly isOwn: boolean;
}

/** A change of what the nodes share. */
export interface SharedChange {
  /** The node whose it is. */
  readonly node: string;
  /**
   * Whether this node has brought the change about: it has shared something, or it alone has told that
   * another node is gone. So of all nodes one pushes what follows from it.
   */
  readonly isOwn: boolean;
  /** Whether the node was not there before, or is gone now, or neither. */
  readonly kind: "joined" | "changed" | "left";
}

/** What stands in a text that a node says. */
export interface Statement {
  /** It is all that the node has to say: nothing counts that it has said before. */
  readonly all?: boolean;
  /** What it shares. */
  readonly share?: unknown;
  /** Who of its readers is there: see {@linkcode Attendance}. */
  readonly present?: unknown;
}

/** What each node shares. */
export class Nodes {
  readonly #byNode = new Map<string, { value: unknown; at: number; isOwn: boolean }>();
  readonly #changed: (change: SharedChange) => void;
  readonly #now: () => number;

  /** No node has shared anything yet. The clock is in milliseconds, and never goes back. */
  constructor(
    changed: (change: SharedChange) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#changed = changed;
    this.#now = now;
  }

  /** What each node shares, by the node. */
  get shared(): ReadonlyMap<string, Shared> {
    const now = this.#now();
    return new Map(
      [...this.#byNode].map(([node, { at, ...rest }]) => [node, { ...rest, age: now - at }]),
    );
  }

  /** A node has said something. */
  hear({ node, isOwn }: Said, statement: Statement): void {
    if (!("share" in statement)) return;
    const kind = this.#byNode.has(node) ? "changed" : "joined";
    this.#byNode.set(node, { value: statement.share, at: this.#now(), isOwn });
    this.#changed({ node, isOwn, kind });
  }

  /** A node is gone. */
  left(node: string, isOwn: boolean): void {
    if (this.#byNode.delete(node)) this.#changed({ node, isOwn, kind: "left" });
  }
}
