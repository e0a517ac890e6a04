/**
 * The ordered log of everything pushed. A reader is a position in it, and what it missed is what
 * stands after that position.
 *
 * @module
 */
import { Buffer } from "node:buffer";

const CURSOR = /^([A-Za-z0-9_-]{1,32})\.(\d{1,15})(?:\.\d{1,15})?$/;

/** Limits of a {@linkcode Log}. */
export interface LogOptions {
  /** Entries kept. Default 1,000. */
  maxEntries?: number;
  /** Bytes of HTML kept, as UTF-8. Default 4 MiB. */
  maxBytes?: number;
  /** Names this life of the log: 1 to 32 letters, digits, `_`, `-`. Default: random. */
  epoch?: string;
}

/** Who an entry is for. */
export interface Audience {
  /** The names it is for; everyone where left out. */
  readonly to?: readonly string[] | undefined;
  /** The page that it is not for, by its id. */
  readonly except?: string | undefined;
}

/** One message in the log. */
export interface Entry extends Audience {
  /** Its place in the order, from 1. */
  readonly position: number;
  /** The same for the outside. */
  readonly cursor: string;
  /** Zero or more `<turbo-stream>` elements. */
  readonly html: string;
  /** Its length as UTF-8. */
  readonly bytes: number;
}

interface Node extends Entry {
  readonly keys: readonly string[];
  older: Node | undefined;
  newer: Node | undefined;
}

/** A bounded log that keeps the newest state of every target and the recent events. */
export class Log {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #epoch: string;
  readonly #byKey = new Map<string, Node>();
  #oldest: Node | undefined;
  #newest: Node | undefined;
  #position = 0;
  #dropped = 0;
  #entries = 0;
  #bytes = 0;
  #beats = 0;

  /** An empty log. */
  constructor(options: LogOptions = {}) {
    const { maxEntries = 1_000, maxBytes = 4 * 1024 * 1024, epoch = randomEpoch() } = options;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
    this.#epoch = epoch;
  }

  /** The newest position; 0 while empty. */
  get position(): number {
    return this.#position;
  }

  /** The cursor of the newest position. */
  get cursor(): string {
    return this.#cursorOf(this.#position);
  }

  /** Entries held. */
  get size(): number {
    return this.#entries;
  }

  /** Bytes of HTML held. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A cursor of the newest position that is spelled as no other: a heartbeat that carries it
   * cannot be taken for the marker that answers a `since`.
   */
  beat(): string {
    return `${this.cursor}.${++this.#beats}`;
  }

  /** Adds an entry, which takes the place of the entries that it supersedes. */
  append(html: string, audience: Audience = {}): Entry {
    const position = ++this.#position;
    const node: Node = {
      position,
      cursor: this.#cursorOf(position),
      html,
      to: audience.to,
      except: audience.except,
      bytes: Buffer.byteLength(html),
      keys: conflationKeys(html, audience),
      older: this.#newest,
      newer: undefined,
    };
    for (const key of node.keys) {
      const superseded = this.#byKey.get(key);
      if (superseded) this.#unlink(superseded);
    }
    const own = node.keys[0];
    if (own !== undefined) this.#byKey.set(own, node);

    node.older = this.#newest;
    if (this.#newest) this.#newest.newer = node;
    else this.#oldest = node;
    this.#newest = node;
    this.#entries++;
    this.#bytes += node.bytes;
    while (this.#oldest && (this.#entries > this.#maxEntries || this.#bytes > this.#maxBytes)) {
      this.#dropped = this.#oldest.position;
      this.#unlink(this.#oldest);
    }
    return node;
  }

  /** The position that a cursor names, or `undefined` where this log cannot know it. */
  positionOf(cursor: string): number | undefined {
    const [, epoch, digits] = CURSOR.exec(cursor) ?? [];
    const position = Number(digits);
    return epoch === this.#epoch && position <= this.#position ? position : undefined;
  }

  /**
   * The entries after a position, oldest first, or `"gap"` where some of them are gone. An entry
   * that was superseded is not missing: a newer one says all that it said.
   */
  since(position: number): Iterable<Entry> | "gap" {
    if (position < this.#dropped) return "gap";
    let first: Node | undefined;
    for (let node = this.#newest; node && node.position > position; node = node.older) first = node;
    return walk(first);
  }

  #cursorOf(position: number): string {
    return `${this.#epoch}.${position}`;
  }

  #unlink(node: Node): void {
    if (node.older) node.older.newer = node.newer;
    else this.#oldest = node.newer;
    if (node.newer) node.newer.older = node.older;
    else this.#newest = node.older;
    const own = node.keys[0];
    if (own !== undefined && this.#byKey.get(own) === node) this.#byKey.delete(own);
    this.#entries--;
    this.#bytes -= node.bytes;
  }
}

function* walk(node: Node | undefined): Iterable<Entry> {
  for (; node; node = node.newer) yield node;
}

/**
 * The key under which an entry is found and, after it, the keys that it supersedes too. Only a
 * lone `replace` or `update` of one id has a key; a `replace` only where the new element has the
 * target's id, for otherwise the next one finds nothing and this one must stay.
 */
function conflationKeys(html: string, { to, except }: Audience): string[] {
  if (except !== undefined) return [];
  const [head, verb, target] =
    /^<turbo-stream action="(replace|update)" target="([^"]*)"(?: method="morph")?>/.exec(html) ??
      [];
  if (!head || html.indexOf("</turbo-stream>") !== html.length - "</turbo-stream>".length) {
    return [];
  }
  const key = (verb: string) => JSON.stringify([verb, target, to ? [...to].sort() : null]);
  if (verb === "update") return [key("update")];
  const [tag = ""] = /^<template>\s*<[a-z][^\s/>]*(?:\s+[^\s=>]+(?:="[^"]*")?)*/i.exec(
    html.slice(head.length),
  ) ?? [];
  return tag.includes(` id="${target}"`) ? [key("replace"), key("update")] : [];
}

function randomEpoch(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 12);
}
