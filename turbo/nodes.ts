/**
 * What each node of an application states about itself. At the same position of the log all nodes know
 * the same.
 *
 * @module
 */
import type { Said } from "./engine.ts";

/** What a node shares. */
export interface Shared {
  /** The value shared last, as parsed from JSON. */
  readonly value: unknown;
  /** How many milliseconds ago this node received it. */
  readonly age: number;
  /** Whether it is this node's own. */
  readonly isOwn: boolean;
}

/** A change in what the nodes share. */
export interface SharedChange {
  /** The node whose shared value changed. */
  readonly node: string;
  /**
   * Whether this node caused the change: it shared something, or it is the one that reported the loss of
   * another node. It is true on one node only, which can push what follows from the change.
   */
  readonly isOwn: boolean;
  /** `joined`: the node shared its first value. `left`: it is gone. */
  readonly kind: "joined" | "changed" | "left";
}

/** The content of a statement that a node makes about itself. */
export interface Statement {
  /** Whether it is complete, and replaces everything that the node stated before. */
  readonly all?: boolean;
  /** The value that it shares. */
  readonly share?: unknown;
  /** Which of its readers are present: an {@linkcode Attendance}. */
  readonly present?: unknown;
}

/** The values that the nodes share. */
export class Nodes {
  readonly #byNode = new Map<string, { value: unknown; at: number; isOwn: boolean }>();
  readonly #changed: (change: SharedChange) => void;
  readonly #now: () => number;

  /** Starts empty. The clock counts milliseconds and never goes back. */
  constructor(
    changed: (change: SharedChange) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#changed = changed;
    this.#now = now;
  }

  /** The shared values, by node. */
  get shared(): ReadonlyMap<string, Shared> {
    const now = this.#now();
    return new Map(
      [...this.#byNode].map(([node, { at, ...rest }]) => [node, { ...rest, age: now - at }]),
    );
  }

  /** Call when a node has made a statement. */
  hear({ node, isOwn }: Said, statement: Statement): void {
    if (!("share" in statement)) return;
    const kind = this.#byNode.has(node) ? "changed" : "joined";
    this.#byNode.set(node, { value: statement.share, at: this.#now(), isOwn });
    this.#changed({ node, isOwn, kind });
  }

  /** Call when a node is gone. */
  left(node: string, isOwn: boolean): void {
    if (this.#byNode.delete(node)) this.#changed({ node, isOwn, kind: "left" });
  }
}
