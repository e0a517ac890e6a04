/**
 * The ordered log of everything pushed. A reader is a position in it, and what it missed is what
 * stands after that position and is for it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Channel, Channels } from "./channel.ts";
import { checkOptions, integer, milliseconds, type Rule, text } from "./checks.ts";
import { audienceKey, conflationKeys } from "./conflation.ts";
import { NO_NAMES } from "./listeners.ts";
import { CLOCK, type Clock } from "./pace.ts";
import { cursorOf, isEpoch, type Message, parseCursor } from "./protocol.ts";
import { type Meaning, meaningOf } from "./subject.ts";
import { Watermarks, type WatermarksState } from "./watermarks.ts";

/** Limits of a {@linkcode Log}. */
export interface LogOptions {
  /** Entries kept. Default 1,000. */
  maxEntries?: number;
  /** Bytes of HTML and of names kept, as UTF-8. Default 4 MiB. */
  maxBytes?: number;
  /** Milliseconds for which an entry is kept; `Infinity` for no limit. Default 15 minutes. */
  maxAge?: number;
  /**
   * Names this life of the log: 1 to 32 letters, digits, `_`, `-`. A new name for each life that does
   * not go on where another ended, or cursors and signed topics of before would hold. Default: random.
   */
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
  /** Up to where entries for everyone are gone. */
  readonly goneForAll: number;
  /** Up to where entries are gone, for each name. */
  readonly gone: WatermarksState;
  /** Up to where names are revoked. */
  readonly revoked: WatermarksState;
  /** What is held, oldest first, each with its age in milliseconds. */
  readonly entries: readonly (Omit<Entry, "bytes" | "cursor"> & { readonly age: number })[];
}

interface Node extends Entry {
  cursor: string;
  /** What it takes of the log: its HTML and its names. */
  readonly size: number;
  /** When it was appended, by the log's clock. */
  readonly at: number;
  readonly keys: readonly string[];
  /** Where it stands among the entries that go with an element, or show one among others. */
  readonly about: readonly string[];
  readonly shows: readonly string[];
  readonly meaning: Meaning;
  readonly audience: string;
  older: Node | undefined;
  newer: Node | undefined;
  isGone: boolean;
}

const RULES = {
  maxEntries: integer(1, 10_000_000),
  maxBytes: integer(1, 2 ** 31),
  maxAge: milliseconds(1, Number.MAX_SAFE_INTEGER, { orInfinity: true }),
  epoch: text(isEpoch, "a text of 1 to 32 letters, digits, _ and -"),
} satisfies Record<keyof LogOptions, Rule>;

const NOTHING: Channel<Node>[] = [];
/** Earlier names of the log that are known: each is one outage of an engine. */
const MAX_PAST = 16;

/** A bounded log that keeps the newest state of every target and the recent events. */
export class Log {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #maxAge: number;
  readonly #clock: Pick<Clock, "now">;
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
  /** What goes with an element, or shows it among others, by the element and whom it is for. */
  readonly #about = new Channels<Node>();
  readonly #shows = new Channels<Node>();
  /** Up to where an element is needed by what stays. */
  readonly #needed: Watermarks;
  /** The same entries by who they are for, so that a reader costs what is for it. */
  #everyone = new Channel<Node>();
  readonly #byName = new Channels<Node>();
  /** Up to where entries are gone, for everyone and for each name: who missed one has a gap. */
  #goneForAll = 0;
  readonly #gone: Watermarks;
  readonly #revoked: Watermarks;
  /** The last batch of one channel: when many readers are at one position, they share it. */
  #last: { channel: Channel<Node>; after: number; maxBytes: number; batch: Batch } | undefined;

  /**
   * An empty log. Its clock must not go back.
   *
   * @throws {TypeError | RangeError} when an option is wrong or unknown
   */
  constructor(options: LogOptions = {}, clock: Pick<Clock, "now"> = CLOCK) {
    const {
      maxEntries = 1_000,
      maxBytes = 4 * 1024 * 1024,
      maxAge = 15 * 60 * 1000,
      epoch = randomEpoch(),
    } = checkOptions("the log", options, RULES);
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
    this.#maxAge = maxAge;
    this.#clock = clock;
    this.#epoch = epoch;
    this.#gone = new Watermarks(maxEntries);
    this.#needed = new Watermarks(maxEntries);
    this.#revoked = new Watermarks(maxEntries);
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

  /** Bytes of HTML and of names held. */
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
   * Adds an entry, which takes the place of the entries that it supersedes and takes out those of
   * elements that it removes. Where the order comes from elsewhere it brings its position. An entry
   * that is larger than the whole log is not kept: for those it was for it is a gap.
   *
   * @throws {RangeError} when the position is not after the newest one
   */
  append(html: string, audience: Audience = {}, position: number = this.#position + 1): Entry {
    this.skip(position);
    const to = audience.to && [...new Set(audience.to)]; // a list of its own, which nobody changes
    const at = this.#clock.now();
    const node = this.#node({ position, html, to, except: audience.except }, at);
    this.expire(at);
    if (to?.length === 0) return node; // for nobody
    for (const key of node.keys) {
      const superseded = this.#byKey.get(key);
      if (superseded) this.#unlink(superseded);
    }
    if (node.size > this.#maxBytes) this.#noteGone(node);
    else this.#link(node);
    for (const id of node.meaning.removes) this.#takeOut(id, node);
    this.#trim();
    return node;
  }

  /** Drops what is too old, as it would never be given out: for those who missed it, it is a gap. */
  expire(now: number = this.#clock.now()): void {
    // Entries are in the order of their ages.
    while (this.#oldest && now - this.#oldest.at > this.#maxAge) this.#drop(this.#oldest);
  }

  /**
   * Moves on by one position, or to the one given, before which nothing that was signed for a name
   * counts any more.
   *
   * @throws {RangeError} when the position is not after the newest one
   */
  revoke(name: string, position: number = this.#position + 1): void {
    this.skip(position);
    this.#revoked.raise(name, position);
  }

  /** Whether one of the names was revoked after a position, or may have been: not all are remembered. */
  isRevoked(names: Iterable<string>, position: number): boolean {
    return this.#revoked.isAbove(position, names);
  }

  /**
   * Whether nothing was said to these names after one position and up to another: it neither stands in
   * the log nor is gone from it. What is for everyone does not count, nor what was superseded.
   */
  isSilent(names: ReadonlySet<string>, after: number, until: number): boolean {
    if (this.#gone.isAbove(after, names)) return false;
    const said = this.#channelsAfter(after, names).flatMap((channel) => channel.after(after));
    return said.every(({ position }) => position > until);
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

  /**
   * Begins another life at a position: empty, and nothing before it is known. Whatever was signed
   * before counts as revoked.
   */
  reset(epoch: string, position: number): void {
    this.#epoch = checkEpoch(epoch);
    this.#past = [];
    this.#position = position;
    this.#oldest = this.#newest = this.#last = undefined;
    this.#entries = this.#bytes = 0;
    this.#byKey.clear();
    this.#about.clear();
    this.#shows.clear();
    this.#needed.reset(0);
    this.#everyone = new Channel();
    this.#byName.clear();
    this.#goneForAll = position;
    this.#gone.reset(position);
    this.#revoked.reset(position);
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
   *
   * Reading the clock costs more than all else here: whoever asks for many readers and knows the time
   * of the log's clock gives it.
   */
  after(
    position: number,
    names: ReadonlySet<string> = NO_NAMES,
    maxBytes: number = Infinity,
    now: number = this.#clock.now(),
  ): Batch | "gap" {
    this.expire(now);
    if (position < this.#goneForAll || this.#gone.isAbove(position, names)) return "gap";
    const own = names.size === 0 ? NOTHING : this.#channelsAfter(position, names);
    if (own.length === 0) return this.#batchOf(this.#everyone, position, maxBytes);
    const channels = this.#everyone.position > position ? [this.#everyone, ...own] : own;
    if (channels.length === 1) return this.#batchOf(channels[0]!, position, maxBytes);
    const count = channels.reduce((sum, channel) => sum + channel.countAfter(position), 0);
    const all = count > this.#entries
      ? this.#walk(position, names) // most stand in several channels
      : merge(channels.map((channel) => channel.after(position)));
    return this.#batch(all, maxBytes);
  }

  /** Everything that another process needs to go on. */
  save(): LogState {
    const now = this.#clock.now();
    this.expire(now);
    const entries = [];
    for (let node = this.#oldest; node; node = node.newer) {
      const { position, html, to, except, at } = node;
      entries.push({ position, html, to, except, age: now - at });
    }
    return {
      epoch: this.#epoch,
      past: this.#past,
      position: this.#position,
      beats: this.#beats,
      goneForAll: this.#goneForAll,
      gone: this.#gone.save(),
      revoked: this.#revoked.save(),
      entries,
    };
  }

  /**
   * Continues from a state that was saved `elapsed` milliseconds ago. If two processes load the same
   * state, each must {@linkcode fork}: otherwise equal cursors would name different entries.
   */
  load(state: LogState, elapsed: number = 0): void {
    const now = this.#clock.now();
    this.reset(state.epoch, 0);
    this.#past = [...state.past];
    this.#position = state.position;
    this.#beats = state.beats;
    this.#goneForAll = state.goneForAll;
    this.#gone.load(state.gone);
    this.#revoked.load(state.revoked);
    for (const { age, ...entry } of state.entries) {
      this.#link(this.#node(entry, now - age - elapsed));
    }
    this.expire(now);
    this.#trim();
  }

  #channelsAfter(position: number, names: ReadonlySet<string>): Channel<Node>[] {
    const channels: Channel<Node>[] = [];
    for (const name of names) {
      const channel = this.#byName.get(name);
      if (channel && channel.position > position) channels.push(channel);
    }
    return channels;
  }

  /** What is for these names after a position, looked up in the log itself. */
  #walk(position: number, names: ReadonlySet<string>): Node[] {
    const nodes: Node[] = [];
    for (let node = this.#newest; node && node.position > position; node = node.older) {
      if (node.to === undefined || node.to.some((name) => names.has(name))) nodes.push(node);
    }
    return nodes.reverse();
  }

  // Made once for all readers that are at one position: this is on the way of every message.
  #batchOf(channel: Channel<Node>, after: number, maxBytes: number): Batch {
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

  #node(entry: Omit<Entry, "bytes" | "cursor">, at: number): Node {
    const { position, html, except } = entry;
    const bytes = Buffer.byteLength(html);
    const audience = audienceKey(entry.to);
    const meaning = meaningOf(html);
    return {
      ...entry,
      cursor: cursorOf(this.#epoch, position),
      bytes,
      size: bytes + bytesOf(entry),
      at,
      audience,
      keys: except === undefined ? conflationKeys(meaning, audience) : [],
      about: meaning.about.map((id) => elementKey(id, audience)),
      shows: meaning.shows.map((id) => elementKey(id, audience)),
      meaning,
      older: undefined,
      newer: undefined,
      isGone: false,
    };
  }

  /**
   * An element is removed, so nobody is sent it any more. What goes with it is not missed, where
   * nothing that stays needs it since; all else is a gap for those who missed it.
   */
  #takeOut(id: string, by: Node): void {
    const key = elementKey(id, by.audience);
    for (const node of this.#about.get(key)?.after(0) ?? []) {
      if (this.#needed.isAbove(node.position, [id])) this.#drop(node);
      else this.#unlink(node);
    }
    for (const node of this.#shows.get(key)?.after(0) ?? []) if (node !== by) this.#drop(node);
  }

  #link(node: Node): void {
    const { needs } = node.meaning;
    if (!needs) this.#needed.reset(node.position);
    for (const id of needs ?? []) this.#needed.raise(id, node.position);
    const [own] = node.keys;
    if (own !== undefined) this.#byKey.set(own, node);
    node.older = this.#newest;
    if (this.#newest) this.#newest.newer = node;
    else this.#oldest = node;
    this.#newest = node;
    this.#entries++;
    this.#bytes += node.size;
    for (const key of node.about) this.#about.add(key, node);
    for (const key of node.shows) this.#shows.add(key, node);
    if (node.to === undefined) this.#everyone.add(node);
    for (const name of node.to ?? []) this.#byName.add(name, node);
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
    this.#bytes -= node.size;
    node.isGone = true;
    node.older = node.newer = undefined; // whoever holds it would hold all that go after it
    for (const key of node.about) this.#about.removed(key);
    for (const key of node.shows) this.#shows.removed(key);
    if (node.to === undefined) this.#everyone.removed();
    for (const name of node.to ?? []) this.#byName.removed(name);
    this.#last = undefined;
  }

  #trim(): void {
    while (this.#oldest && (this.#entries > this.#maxEntries || this.#bytes > this.#maxBytes)) {
      this.#drop(this.#oldest);
    }
  }

  #drop(node: Node): void {
    this.#noteGone(node);
    this.#unlink(node);
  }

  /** Remembers that an entry is gone, for each name that it was for. */
  #noteGone({ position, to }: Entry): void {
    if (to === undefined) this.#goneForAll = Math.max(this.#goneForAll, position);
    for (const name of to ?? []) this.#gone.raise(name, position);
  }
}

/** Lists in order as one list in order; an entry that stands in several of them is there once. */
function merge(lists: readonly Node[][]): Node[] {
  const all = [...new Set(lists.flat())];
  return lists.length > 1 ? all.sort((a, b) => a.position - b.position) : all;
}

function elementKey(id: string, audience: string): string {
  return `${id}"${audience}`;
}

/** Bytes of the names of an audience, as UTF-8. */
function bytesOf({ to, except }: Audience): number {
  let bytes = except === undefined ? 0 : Buffer.byteLength(except);
  for (const name of to ?? []) bytes += Buffer.byteLength(name);
  return bytes;
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
