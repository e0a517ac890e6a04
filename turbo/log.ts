/**
 * The ordered log of everything pushed. A reader is a position in it, and what it missed is what
 * stands after that position and is for it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { conflationKeys } from "./conflation.ts";
import { NO_NAMES } from "./listeners.ts";
import { Gaps, type GapsState } from "./gaps.ts";
import { cursorOf, isEpoch, type Message, parseCursor } from "./protocol.ts";

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

/** One entry of the log: a message, and who it is for. */
export interface Entry extends Audience, Message {
  /** Its place in the order. Positions grow and need not be dense. */
  readonly position: number;
  /** Its HTML's length as UTF-8. */
  readonly bytes: number;
}

/** What comes next for a reader. */
export interface Batch {
  /** Oldest first. Readers at one position, to whom only one name or everyone's applies, share it. */
  readonly entries: readonly Entry[];
  /** Where the reader is when it has had them. */
  readonly position: number;
  /** Whether none of them is for all but one page. */
  readonly isForAll: boolean;
}

/** A log as plain data, for the next process to go on with. */
export interface LogState {
  /** The name of this life. */
  readonly epoch: string;
  /** Earlier names, each with the last position under it. */
  readonly past: readonly (readonly [epoch: string, end: number])[];
  /** The newest position. */
  readonly position: number;
  /** How many heartbeats there were. */
  readonly beats: number;
  /** Up to where entries are gone. */
  readonly gaps: GapsState;
  /** What is held, oldest first. */
  readonly entries: readonly Omit<Entry, "bytes" | "cursor">[];
}

interface Node extends Entry {
  cursor: string;
  readonly keys: readonly string[];
  older: Node | undefined;
  newer: Node | undefined;
  isGone: boolean;
}

const NOTHING: Channel[] = [];
/** Earlier names of the log that are known: each is one outage of an engine. */
const MAX_PAST = 16;

/** A bounded log that keeps the newest state of every target and the recent events. */
export class Log {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #epoch: string;
  #past: (readonly [epoch: string, end: number])[] = [];
  #position = 0;
  #beats = 0;
  /** The entries in their order, as a linked list, because any of them may be superseded. */
  #oldest: Node | undefined;
  #newest: Node | undefined;
  #entries = 0;
  #bytes = 0;
  readonly #byKey = new Map<string, Node>();
  /** The same entries by who they are for, so that a reader costs what is for it. */
  #everyone = new Channel();
  readonly #byName = new Map<string, Channel>();
  readonly #gaps: Gaps;
  /** The last batch of one channel: when many readers are at one position, they share it. */
  #last: { channel: Channel; after: number; maxBytes: number; batch: Batch } | undefined;

  /** An empty log. */
  constructor(options: LogOptions = {}) {
    const { maxEntries = 1_000, maxBytes = 4 * 1024 * 1024, epoch = randomEpoch() } = options;
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
    this.#epoch = checkEpoch(epoch);
    this.#gaps = new Gaps(maxEntries);
  }

  /** The newest position; 0 before the first. */
  get position(): number {
    return this.#position;
  }

  /** The cursor of the newest position. */
  get cursor(): string {
    return cursorOf(this.#epoch, this.#position);
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
   * A cursor of a position that is spelled as no other: a heartbeat that carries it cannot be taken
   * for the marker that answers a `since`.
   */
  beat(position: number = this.#position): string {
    return `${cursorOf(this.#epoch, position)}.${++this.#beats}`;
  }

  /**
   * Adds an entry, which takes the place of the entries that it supersedes. Where the order comes
   * from elsewhere it brings its position. An entry that is larger than the whole log is not kept:
   * for those it was for it is a gap.
   *
   * @throws {RangeError} when the position is not after the newest one
   */
  append(html: string, audience: Audience = {}, position: number = this.#position + 1): Entry {
    this.skip(position);
    const to = audience.to && [...new Set(audience.to)]; // a list of its own, which nobody changes
    const node = this.#node({ position, html, to, except: audience.except });
    if (to?.length === 0) return node; // for nobody
    for (const key of node.keys) {
      const superseded = this.#byKey.get(key);
      if (superseded) this.#unlink(superseded);
    }
    if (node.bytes > this.#maxBytes) this.#gaps.add(node);
    else this.#link(node);
    this.#trim();
    return node;
  }

  /** Moves on to a position at which there is nothing. @throws {RangeError} when it is not ahead */
  skip(position: number): void {
    if (!Number.isSafeInteger(position) || position <= this.#position) {
      throw new RangeError(
        `Cannot go on at position ${position}: a whole number above ${this.#position} is needed`,
      );
    }
    this.#position = position;
    this.#last = undefined;
  }

  /**
   * Goes on under another name. Cursors up to here stay valid; what is held is called by the new name,
   * because a page can compare only cursors of one name.
   */
  fork(epoch: string = randomEpoch()): void {
    this.#past = [...this.#past, [this.#epoch, this.#position] as const].slice(-MAX_PAST);
    this.#epoch = checkEpoch(epoch);
    for (let node = this.#oldest; node; node = node.newer) {
      node.cursor = cursorOf(epoch, node.position);
    }
    this.#last = undefined;
  }

  /** Begins another life at a position: empty, and nothing before it is known. */
  reset(epoch: string, position: number): void {
    this.#epoch = checkEpoch(epoch);
    this.#past = [];
    this.#position = position;
    this.#oldest = this.#newest = this.#last = undefined;
    this.#entries = this.#bytes = 0;
    this.#byKey.clear();
    this.#everyone = new Channel();
    this.#byName.clear();
    this.#gaps.reset(position);
  }

  /**
   * The position that a cursor names, also one that is ahead of this log; `undefined` where this log
   * cannot know it.
   */
  positionOf(cursor: string): number | undefined {
    const { epoch, position } = parseCursor(cursor) ?? {};
    if (position === undefined || epoch === this.#epoch) return position;
    const end = this.#past.findLast(([past]) => past === epoch)?.[1];
    return end !== undefined && position <= end ? position : undefined;
  }

  /**
   * The entries after a position for a reader of these names, oldest first and no more than come to
   * `maxBytes` (but one at least), or `"gap"` where some of them are gone. An entry that was
   * superseded is not missing: a newer one says all that it said.
   */
  after(
    position: number,
    names: ReadonlySet<string> = NO_NAMES,
    maxBytes: number = Infinity,
  ): Batch | "gap" {
    if (this.#gaps.has(position, names)) return "gap";
    const own = names.size === 0 ? NOTHING : this.#channelsAfter(position, names);
    if (own.length === 0) return this.#batchOf(this.#everyone, position, maxBytes);
    const channels = this.#everyone.position > position ? [this.#everyone, ...own] : own;
    if (channels.length === 1) return this.#batchOf(channels[0]!, position, maxBytes);
    return this.#batch(merge(channels.map((channel) => channel.after(position))), maxBytes);
  }

  /** Everything that another process needs to go on. */
  save(): LogState {
    const entries = [];
    for (let node = this.#oldest; node; node = node.newer) {
      const { position, html, to, except } = node;
      entries.push({ position, html, to, except });
    }
    return {
      epoch: this.#epoch,
      past: this.#past,
      position: this.#position,
      beats: this.#beats,
      gaps: this.#gaps.save(),
      entries,
    };
  }

  /**
   * Goes on where another process saved. Whoever lets two processes do so, one after the other or at
   * once, must {@linkcode fork} each, or their cursors would be equal where their entries are not.
   */
  load({ epoch, past, position, beats, gaps, entries }: LogState): void {
    this.reset(epoch, 0);
    this.#past = [...past];
    this.#beats = beats;
    this.#gaps.load(gaps);
    for (const entry of entries) this.#link(this.#node(entry));
    this.#position = position;
    this.#trim();
  }

  #channelsAfter(position: number, names: ReadonlySet<string>): Channel[] {
    const channels: Channel[] = [];
    for (const name of names) {
      const channel = this.#byName.get(name);
      if (channel && channel.position > position) channels.push(channel);
    }
    return channels;
  }

  // Made once for all readers that are at one position: this is on the way of every message.
  #batchOf(channel: Channel, after: number, maxBytes: number): Batch {
    const last = this.#last;
    if (last?.channel === channel && last.after === after && last.maxBytes === maxBytes) {
      return last.batch;
    }
    const batch = this.#batch(channel.after(after), maxBytes);
    this.#last = { channel, after, maxBytes, batch };
    return batch;
  }

  #batch(all: readonly Entry[], maxBytes: number): Batch {
    let bytes = 0;
    const end = all.findIndex((entry, index) => (bytes += entry.bytes) > maxBytes && index > 0);
    const entries = end === -1 ? all : all.slice(0, end);
    return {
      entries,
      position: end === -1 ? this.#position : entries.at(-1)!.position,
      isForAll: entries.every(({ except }) => except === undefined),
    };
  }

  #node(entry: LogState["entries"][number]): Node {
    return {
      ...entry,
      cursor: cursorOf(this.#epoch, entry.position),
      bytes: Buffer.byteLength(entry.html),
      keys: conflationKeys(entry.html, entry),
      older: undefined,
      newer: undefined,
      isGone: false,
    };
  }

  #link(node: Node): void {
    const [own] = node.keys;
    if (own !== undefined) this.#byKey.set(own, node);
    node.older = this.#newest;
    if (this.#newest) this.#newest.newer = node;
    else this.#oldest = node;
    this.#newest = node;
    this.#entries++;
    this.#bytes += node.bytes;
    for (const channel of this.#channelsOf(node)) channel.add(node);
    this.#last = undefined;
  }

  #unlink(node: Node): void {
    if (node.older) node.older.newer = node.newer;
    else this.#oldest = node.newer;
    if (node.newer) node.newer.older = node.older;
    else this.#newest = node.older;
    const [own] = node.keys;
    if (own !== undefined && this.#byKey.get(own) === node) this.#byKey.delete(own);
    this.#entries--;
    this.#bytes -= node.bytes;
    node.isGone = true;
    node.older = node.newer = undefined; // whoever holds it would hold all that go after it
    for (const channel of this.#channelsOf(node)) channel.removed();
    for (const name of node.to ?? []) {
      if (this.#byName.get(name)?.isEmpty) this.#byName.delete(name);
    }
    this.#last = undefined;
  }

  #trim(): void {
    while (this.#oldest && (this.#entries > this.#maxEntries || this.#bytes > this.#maxBytes)) {
      this.#gaps.add(this.#oldest);
      this.#unlink(this.#oldest);
    }
  }

  #channelsOf({ to }: Audience): Channel[] {
    if (to === undefined) return [this.#everyone];
    return to.map((name) => {
      const channel = this.#byName.get(name) ?? new Channel();
      this.#byName.set(name, channel);
      return channel;
    });
  }
}

/** The entries for everyone, or for one name, in their order. */
class Channel {
  #nodes: Node[] = [];
  #removed = 0;

  /** The newest position that there was; 0 for none. */
  get position(): number {
    return this.#nodes.at(-1)?.position ?? 0;
  }

  get isEmpty(): boolean {
    return this.#removed === this.#nodes.length;
  }

  add(node: Node): void {
    this.#nodes.push(node);
  }

  /** One of the nodes has gone; they are taken out when they are most of all. */
  removed(): void {
    this.#removed++;
    if (this.#removed < 32 || this.#removed < this.#nodes.length / 2) return;
    this.#nodes = this.#nodes.filter((node) => !node.isGone);
    this.#removed = 0;
  }

  after(position: number): Node[] {
    let [low, high] = [0, this.#nodes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#nodes[middle]!.position > position) high = middle;
      else low = middle + 1;
    }
    return this.#nodes.slice(low).filter((node) => !node.isGone);
  }
}

/** Lists in order as one list in order; an entry that stands in several of them is there once. */
function merge(lists: readonly Node[][]): Node[] {
  const all = [...new Set(lists.flat())];
  return lists.length > 1 ? all.sort((a, b) => a.position - b.position) : all;
}

function checkEpoch(epoch: string): string {
  if (isEpoch(epoch)) return epoch;
  throw new RangeError(
    `Cannot name a log ${JSON.stringify(epoch)}: 1 to 32 letters, digits, _ and - are needed`,
  );
}

function randomEpoch(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 12);
}
