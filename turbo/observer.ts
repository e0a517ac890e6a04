/**
 * What a log and its connections tell an observer, such as the inspector. Without one nothing is told.
 *
 * @module
 */

import type { Miss } from "./protocol.ts";

/** Why an entry left the log, or was never in it. */
export type Leaving =
  /** A newer entry says all that it said, ... */
  | "superseded"
  /** ... or has removed its element. */
  | "removed"
  /** It was older than `maxAge`. */
  | "expired"
  /** The log had more than `maxEntries` or `maxBytes`. */
  | "full"
  /** It is larger than the whole log. */
  | "too large"
  /** It is for an empty list of names. */
  | "for nobody";

/** An entry as an observer is told of it. */
export interface ObservedEntry {
  /** Its place in the order. */
  readonly position: number;
  /** Its HTML. */
  readonly html: string;
  /** The size of that as UTF-8. */
  readonly bytes: number;
  /** The names that it is for, as {@linkcode audienceOf} makes them; everyone where there are none. */
  readonly to?: readonly string[] | undefined;
  /** The id of the page that it leaves out. */
  readonly except?: string | undefined;
}

/** Is told what happens. A connection is told apart by its identity alone. */
export interface Observer {
  /** An entry comes into the log. */
  appended(entry: ObservedEntry): void;
  /** An entry is no longer in the log; `by` is the position of the entry that took it out. */
  left(position: number, why: Leaving, by?: number): void;
  /** The log starts again with an unknown order. */
  cleared(): void;
  /** A connection has opened. */
  opened(connection: object): void;
  /** A connection is sent entries. */
  sent(connection: object, entries: readonly ObservedEntry[]): void;
  /** A connection is sent a refresh, because what it is owed is unknown. */
  refreshed(connection: object): void;
  /** A connection asks for all after a cursor; the position is `undefined` where the log does not know it. */
  resumed(connection: object, cursor: string, position: number | undefined): void;
  /** A page has reported that it shows everything up to a position. */
  reported(connection: object, position: number): void;
  /** A page has no element for a stream. */
  missed(connection: object, misses: readonly Miss[]): void;
  /** A page says at which path it is. */
  located(connection: object, path: string): void;
  /** A connection ends, with the reason that the page is told, or without one by the page itself. */
  ended(connection: object, reason?: string): void;
}
