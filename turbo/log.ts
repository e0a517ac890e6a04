/**
 * The ordered log of everything pushed. A reader has a position in it; what the reader missed is every
 * entry for it after that position.
 *
 * @module
 */
import { checkOptions, integer, milliseconds, type Rule, text } from "./checks.ts";
import { audienceKey, conflationKeys } from "./conflation.ts";
import { NO_NAMES } from "./listeners.ts";
import { EntryList, LogIndex } from "./log_index.ts";
import { CLOCK, type Clock } from "./clock.ts";
import type { Leaving, Observer } from "./observer.ts";
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
   * The name of this log's positions: 1 to 32 letters, digits, `_`, `-`. Use a new one whenever a log
   * does not continue where another ended; otherwise old cursors and signed topics would count as valid.
   * Default: random.
   */
  epoch?: string;
}

/** Who an entry is for. */
export interface Audience {
  /** The names that it is for; everyone where this is left out. */
  readonly to?: readonly string[] | undefined;
  /** The id of the page to leave out. */
  readonly except?: string | undefined;
}

/** One entry of the log: a message, and whom it is for. */
export interface Entry extends Audience, Message {
  /** Its place in the order. Positions grow and need not be dense. */
  readonly position: number;
  /** The size of its HTML as UTF-8. */
  readonly bytes: number;
}

/** The next entries for a reader. */
export interface Batch {
  /** Oldest first. Shared by readers at one position, where all are for everyone or one name. */
  readonly entries: readonly Entry[];
  /** The position of the reader when it has had them. */
  readonly position: number;
  /** Whether none of the entries leaves out a page. */
  readonly isForAll: boolean;
}

/** A log as plain data, with which the next process can continue. */
export interface LogState {
  /** The current epoch. */
  readonly epoch: string;
  /** Earlier epochs, each with its last position. */
  readonly past: readonly (readonly [epoch: string, end: number])[];
  /** The newest position. */
  readonly position: number;
  /** How many heartbeats were numbered. */
  readonly beats: number;
  /** The newest position of an entry for everyone that was dropped. */
  readonly goneForAll: number;
  /** The same for each name. */
  readonly gone: WatermarksState;
  /** For each name the position at which it was last revoked. */
  readonly revoked: WatermarksState;
  /** The entries kept, oldest first, each with its age in milliseconds. */
  readonly entries: readonly (Omit<Entry, "bytes" | "cursor"> & { readonly age: number })[];
}

interface Node extends Entry {
  cursor: string;
  /** The bytes that count towards `maxBytes`: of its HTML and its names. */
  readonly size: number;
  /** When it was appended, by the log's clock. */
  readonly at: number;
  readonly keys: readonly string[];
  /** Its keys in the indexes `#about` and `#shows`. */
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

const NOTHING: EntryList<Node>[] = [];
/** How many earlier epochs are remembered: each outage of an engine makes one. */
const MAX_PAST = 16;

/** A bounded log that keeps the newest state of every target and the recent events. */
export class Log {
  /**
   * Is told what happens to the entries and, by the connections, who is sent them. Usually there is none.
   *
   * @internal
   */
  observer: Observer | undefined;
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
  /** Entries that are all about an element, and those that show it among others, by element and audience. */
  readonly #about = new LogIndex<Node>();
  readonly #shows = new LogIndex<Node>();
  /** For each element the newest position at which an entry depends on it. */
  readonly #needed: Watermarks;
  /** The entries by audience, so that the cost of a reader depends only on the entries for it. */
  #everyone = new EntryList<Node>();
  readonly #byName = new LogIndex<Node>();
  /** The newest dropped position, for everyone and for each name: a reader before it has a gap. */
  #goneForAll = 0;
  readonly #gone: Watermarks;
  readonly #revoked: Watermarks;
  /** The last batch of one list of entries, which readers at the same position share. */
  #last: { list: EntryList<Node>; after: number; maxBytes: number; batch: Batch } | undefined;

  /**
   * Starts empty. The clock must not go back.
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

  /** The newest position; 0 before the first entry. */
  get position(): number {
    return this.#position;
  }

  /** The cursor of the newest position. */
  get cursor(): string {
    return cursorOf(this.#epoch, this.#position);
  }

  /** How many entries are kept. */
  get size(): number {
    return this.#entries;
  }

  /** Bytes of HTML and of names that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A cursor of a position with a spelling that is used once. So a heartbeat that carries it cannot be
   * confused with the marker that answers a `since`.
   */
  beat(position: number = this.#position): string {
    return `${cursorOf(this.#epoch, position)}.${++this.#beats}`;
  }

  /**
   * Adds an entry. It replaces the entries that it supersedes, and removes those of elements that it
   * removes. An engine that orders pushes elsewhere gives the position. An entry that is larger than the
   * whole log is not kept, which is a gap for its audience.
   *
   * @throws {RangeError} when the position is not after the newest one
   */
  append(html: string, audience: Audience = {}, position: number = this.#position + 1): Entry {
    this.skip(position);
    const to = audience.to && [...new Set(audience.to)]; // a copy, which the caller cannot change
    const at = this.#clock.now();
    const node = this.#node({ position, html, to, except: audience.except }, at);
    this.expire(at);
    this.observer?.appended(node);
    if (to?.length === 0) { // it is for nobody
      this.observer?.left(position, "for nobody");
      return node;
    }
    for (const key of node.keys) {
      const superseded = this.#byKey.get(key);
      if (superseded) this.#unlink(superseded, "superseded", position);
    }
    if (node.size > this.#maxBytes) {
      this.#noteGone(node);
      this.observer?.left(position, "too large");
    } else this.#link(node);
    for (const id of node.meaning.removes) this.#takeOut(id, node);
    this.#trim();
    return node;
  }

  /** Drops the entries that are too old, which is a gap for those who missed them. */
  expire(now: number = this.#clock.now()): void {
    // The oldest entry comes first.
    while (this.#oldest && now - this.#oldest.at > this.#maxAge) {
      this.#drop(this.#oldest, "expired");
    }
  }

  /**
   * Moves on by one position, or to the one given. Everything signed for the name before that position
   * becomes invalid.
   *
   * @throws {RangeError} when the position is not after the newest one
   */
  revoke(name: string, position: number = this.#position + 1): void {
    this.skip(position);
    this.#revoked.raise(name, position);
  }

  /** Whether one of the names was, or may have been, revoked after a position: not all are remembered. */
  isRevoked(names: Iterable<string>, position: number): boolean {
    return this.#revoked.isAbove(position, names);
  }

  /**
   * Whether nothing was pushed to these names after one position and up to another: no such entry is in
   * the log, and none was dropped. Entries for everyone and superseded entries do not count.
   */
  isSilent(names: ReadonlySet<string>, after: number, until: number): boolean {
    if (this.#gone.isAbove(after, names)) return false;
    const said = this.#listsAfter(after, names).flatMap((list) => list.after(after));
    return said.every(({ position }) => position > until);
  }

  /** Moves on to a position that has no entry. @throws {RangeError} when it is not after the newest one */
  skip(position: number): void {
    if (!Number.isSafeInteger(position) || position <= this.#position) {
      throw new RangeError(
        `Cannot continue at position ${position}: a whole number above ${this.#position} is needed`,
      );
    }
    this.#position = position;
    this.#last = undefined;
  }

  /**
   * Continues under another epoch. Cursors up to here stay valid. The entries kept get cursors of the new
   * epoch, because a page can compare only cursors of one epoch.
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
   * Starts again under another epoch: empty, at a position before which nothing is known. Everything that
   * was signed before counts as revoked.
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
    this.#everyone = new EntryList();
    this.#byName.clear();
    this.#goneForAll = position;
    this.#gone.reset(position);
    this.#revoked.reset(position);
    this.observer?.cleared();
  }

  /** The entries that are kept, oldest first, each with its age in milliseconds. */
  entries(): readonly { readonly entry: Entry; readonly age: number }[] {
    const now = this.#clock.now();
    return this.#walk(0, undefined).map((node) => ({ entry: node, age: now - node.at }));
  }

  /**
   * The position that a cursor names, which may be ahead of this log; `undefined` where the cursor is not
   * of this log.
   */
  positionOf(cursor: string): number | undefined {
    const { epoch, position } = parseCursor(cursor) ?? {};
    if (position === undefined || epoch === this.#epoch) return position;
    const end = this.#past.findLast(([past]) => past === epoch)?.[1];
    return end !== undefined && position <= end ? position : undefined;
  }

  /**
   * The entries after a position for a reader of these names, oldest first: at most `maxBytes`, but at
   * least one entry. `"gap"` where some of them were dropped. A superseded entry is not missing, because a
   * newer one says all that it said.
   *
   * Reading the clock is most of the cost here, so a caller that asks for many readers passes the time of
   * the log's clock as `now`.
   */
  after(
    position: number,
    names: ReadonlySet<string> = NO_NAMES,
    maxBytes: number = Infinity,
    now: number = this.#clock.now(),
  ): Batch | "gap" {
    this.expire(now);
    if (position < this.#goneForAll || this.#gone.isAbove(position, names)) return "gap";
    const own = names.size === 0 ? NOTHING : this.#listsAfter(position, names);
    if (own.length === 0) return this.#batchOf(this.#everyone, position, maxBytes);
    const lists = this.#everyone.position > position ? [this.#everyone, ...own] : own;
    if (lists.length === 1) return this.#batchOf(lists[0]!, position, maxBytes);
    const count = lists.reduce((sum, list) => sum + list.countAfter(position), 0);
    const all = count > this.#entries
      ? this.#walk(position, names) // most are in several lists
      : merge(lists.map((list) => list.after(position)));
    return this.#batch(all, maxBytes);
  }

  /** Everything that another process needs to continue. */
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
   * state, each must {@linkcode fork}; otherwise equal cursors would name different entries.
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

  #listsAfter(position: number, names: ReadonlySet<string>): EntryList<Node>[] {
    const lists: EntryList<Node>[] = [];
    for (const name of names) {
      const list = this.#byName.get(name);
      if (list && list.position > position) lists.push(list);
    }
    return lists;
  }

  /** The entries after a position for these names, or for any, found by walking the log itself. */
  #walk(position: number, names: ReadonlySet<string> | undefined): Node[] {
    const nodes: Node[] = [];
    for (let node = this.#newest; node && node.position > position; node = node.older) {
      const isAddressed = !names || !node.to || node.to.some((name) => names.has(name));
      if (isAddressed) nodes.push(node);
    }
    return nodes.reverse();
  }

  // Cached for all readers at one position: every message comes through here.
  #batchOf(list: EntryList<Node>, after: number, maxBytes: number): Batch {
    const last = this.#last;
    if (last?.list === list && last.after === after && last.maxBytes === maxBytes) {
      return last.batch;
    }
    const batch = this.#batch(list.after(after), maxBytes);
    this.#last = { list, after, maxBytes, batch };
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
   * Takes out the entries of an element that was removed, so that nobody is sent it any more. An entry
   * that is all about the element leaves no gap, unless a later entry depends on the element; every other
   * one is a gap for those who missed it.
   */
  #takeOut(id: string, by: Node): void {
    const key = elementKey(id, by.audience);
    for (const node of this.#about.get(key)?.after(0) ?? []) {
      if (this.#needed.isAbove(node.position, [id])) this.#drop(node, "removed", by);
      else this.#unlink(node, "removed", by.position);
    }
    for (const node of this.#shows.get(key)?.after(0) ?? []) {
      if (node !== by) this.#drop(node, "removed", by);
    }
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

  #unlink(node: Node, why: Leaving, by?: number): void {
    this.observer?.left(node.position, why, by);
    if (node.older) node.older.newer = node.newer;
    else this.#oldest = node.newer;
    if (node.newer) node.newer.older = node.older;
    else this.#newest = node.older;
    const [own] = node.keys;
    if (own !== undefined && this.#byKey.get(own) === node) this.#byKey.delete(own);
    this.#entries--;
    this.#bytes -= node.size;
    node.isGone = true;
    node.older = node.newer = undefined; // else whoever holds it would hold its neighbours too
    for (const key of node.about) this.#about.removed(key);
    for (const key of node.shows) this.#shows.removed(key);
    if (node.to === undefined) this.#everyone.removed();
    for (const name of node.to ?? []) this.#byName.removed(name);
    this.#last = undefined;
  }

  #trim(): void {
    while (this.#oldest && (this.#entries > this.#maxEntries || this.#bytes > this.#maxBytes)) {
      this.#drop(this.#oldest, "full");
    }
  }

  #drop(node: Node, why: Leaving, by?: Node): void {
    this.#noteGone(node);
    this.#unlink(node, why, by?.position);
  }

  /** Remembers that an entry was dropped, for each name that it was for. */
  #noteGone({ position, to }: Entry): void {
    if (to === undefined) this.#goneForAll = Math.max(this.#goneForAll, position);
    for (const name of to ?? []) this.#gone.raise(name, position);
  }
}

/** Merges ordered lists into one; an entry that is in several of them appears once. */
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
