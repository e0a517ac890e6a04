/**
 * The present readers of all nodes, from the statements of each. At the same position in the order all
 * nodes have the same roster. Pure.
 *
 * A group is everyone (its name is `""`), or the readers that listen to an internal name. Each reader is
 * also in the group of its own name, which statements leave out.
 *
 * @module
 */
import { isName, readerName } from "./audience.ts";

/** Who is present. */
export interface Present {
  /** How many readers, each counted once for any number of pages, plus the connections without a name. */
  readonly count: number;
  /** The names of the readers, sorted. */
  readonly readers: readonly string[];
}

/** A node's statement about its present readers. */
export interface Attendance {
  /** Whether it is complete: readers that it does not name are not present on this node. */
  readonly all?: boolean;
  /** Whether nobody is left on this node. Its earlier statements count until the node is forgotten. */
  readonly gone?: boolean;
  /** The changes, by group. */
  readonly groups?: Readonly<Record<string, Change>>;
  /** Nodes that have been gone for long enough to be forgotten. */
  readonly forget?: readonly string[];
}

/** A change in one group of a node. */
export interface Change {
  /** Readers that are present now. */
  readonly add?: readonly string[];
  /** Readers that are no longer present. */
  readonly remove?: readonly string[];
  /** The new number of connections without a name, where it has changed. */
  readonly nameless?: number | undefined;
}

/** The group of everyone. */
export const EVERYONE = "";

const NOBODY: Present = Object.freeze({ count: 0, readers: Object.freeze([]) });
/** The most connections of a node: the largest `maxConnections` allowed. */
const MAX_CONNECTIONS = 10_000_000;

/** The readers of one node. */
interface Table {
  readonly groups: Map<string, { readonly readers: Set<string>; nameless: number }>;
  /** Since when the node has been gone, in milliseconds of the clock; `undefined` while it is not. */
  goneAt: number | undefined;
  /** Whether it was lost without a word, so that its last changes may not have been acted on. */
  isLost: boolean;
}

/** One group, over all nodes. */
interface Group {
  /** For each reader, on how many nodes it is. */
  readonly readers: Map<string, number>;
  nameless: number;
  /** The cached result of `of`, until the group changes. */
  present: Present | undefined;
}

/** The readers of all nodes. */
export class Roster {
  readonly #tables = new Map<string, Table>();
  readonly #groups = new Map<string, Group>();

  /** The nodes that have readers and are not gone. */
  *nodes(): Iterable<string> {
    for (const [node, { goneAt }] of this.#tables) if (goneAt === undefined) yield node;
  }

  /** The nodes that are gone and not yet forgotten, and since when. */
  *gone(): Iterable<readonly [node: string, since: number]> {
    for (const [node, { goneAt }] of this.#tables) if (goneAt !== undefined) yield [node, goneAt];
  }

  /** Since when a node has been gone that is not yet forgotten. */
  goneAt(node: string): number | undefined {
    return this.#tables.get(node)?.goneAt;
  }

  /** The present readers of a group. */
  of(name: string): Present {
    const group = this.#groups.get(name);
    const reader = name.slice(1);
    const isOne = name === readerName(reader) && this.#isThere(reader);
    if (!group) return isOne ? presentOf([reader], 0) : NOBODY;
    if (group.present) return group.present;
    const readers = isOne ? [reader, ...group.readers.keys()] : [...group.readers.keys()];
    return group.present = presentOf(readers, group.nameless);
  }

  /**
   * Applies a statement of a node, and returns the groups that changed. Changes count only after a complete
   * statement.
   */
  hear(node: string, said: Attendance, now: number): ReadonlySet<string> {
    const changed = new Set<string>();
    const table = this.#tables.get(node);
    if (said.gone) this.leave(node, now);
    else if (said.all) this.#replace(node, said.groups ?? {}, changed);
    else if (table?.goneAt === undefined && table) {
      this.#apply(table, Object.entries(said.groups ?? {}), changed);
    }
    for (const other of said.forget ?? []) this.#forget(other, changed);
    return changed;
  }

  /** Marks a node as gone. Its readers count until it is forgotten: they may be moving to another node. */
  leave(node: string, now: number, { isLost = false } = {}): void {
    const table = this.#tables.get(node);
    if (!table) return;
    table.goneAt ??= now;
    table.isLost ||= isLost;
  }

  /** Forgets the nodes that have been gone since some time or longer. */
  expire(time: number): void {
    for (const [node, since] of this.gone()) if (since <= time) this.#forget(node, new Set());
  }

  #isThere(reader: string): boolean {
    return this.#groups.get(EVERYONE)?.readers.has(reader) ?? false;
  }

  #replace(node: string, said: Readonly<Record<string, Change>>, changed: Set<string>): void {
    const table = this.#tables.get(node) ?? { groups: new Map(), goneAt: undefined, isLost: false };
    this.#tables.set(node, table);
    table.goneAt = undefined;
    table.isLost = false;
    const changes = new Map(Object.entries(said));
    for (const [name, { readers }] of table.groups) {
      const { add = [], nameless = 0 } = changes.get(name) ?? {};
      const kept = new Set(add);
      const remove = [...readers].filter((reader) => !kept.has(reader));
      changes.set(name, { add, remove, nameless });
    }
    this.#apply(table, changes, changed);
  }

  #forget(node: string, changed: Set<string>): void {
    const table = this.#tables.get(node);
    if (table?.goneAt === undefined) return;
    // A node that was lost may not have acted on its last change, so all its groups count as changed.
    if (table.isLost) { for (const name of table.groups.keys()) changed.add(name); }
    const all = [...table.groups].map(([name, { readers }]) =>
      [name, { remove: [...readers], nameless: 0 }] as const
    );
    this.#apply(table, all, changed);
    this.#tables.delete(node);
  }

  #apply(
    table: Table,
    changes: Iterable<readonly [string, Change]>,
    changed: Set<string>,
  ): void {
    for (const [name, { add = [], remove = [], nameless }] of changes) {
      const own = table.groups.get(name) ?? { readers: new Set(), nameless: 0 };
      table.groups.set(name, own);
      for (const reader of add) {
        if (own.readers.has(reader) || name === readerName(reader)) continue;
        own.readers.add(reader);
        this.#count(name, reader, 1, changed);
      }
      for (const reader of remove) {
        if (own.readers.delete(reader)) this.#count(name, reader, -1, changed);
      }
      if (nameless !== undefined) this.#countNameless(table, name, nameless, changed);
      if (own.readers.size === 0 && own.nameless === 0) table.groups.delete(name);
    }
  }

  #count(name: string, reader: string, by: 1 | -1, changed: Set<string>): void {
    const group = this.#groupOf(name);
    const nodes = (group.readers.get(reader) ?? 0) + by;
    if (nodes > 0) group.readers.set(reader, nodes);
    else group.readers.delete(reader);
    if (nodes !== (by === 1 ? 1 : 0)) return;
    this.#change(name, group, changed);
    if (name !== EVERYONE) return;
    const own = readerName(reader);
    changed.add(own);
    const others = this.#groups.get(own);
    if (others) others.present = undefined;
  }

  /** A new connection without a name may have moved from a node that is gone, so it takes a place there. */
  #countNameless(table: Table, name: string, count: number, changed: Set<string>): void {
    const own = table.groups.get(name)!;
    let rise = count - own.nameless;
    own.nameless = count;
    for (const { goneAt, groups } of this.#tables.values()) {
      const left = goneAt === undefined ? undefined : groups.get(name);
      if (!left || left === own) continue;
      const taken = Math.max(0, Math.min(rise, left.nameless));
      left.nameless -= taken;
      rise -= taken;
    }
    if (rise === 0) return;
    const group = this.#groupOf(name);
    group.nameless += rise;
    this.#change(name, group, changed);
  }

  #groupOf(name: string): Group {
    const group = this.#groups.get(name) ??
      { readers: new Map(), nameless: 0, present: undefined };
    this.#groups.set(name, group);
    return group;
  }

  #change(name: string, group: Group, changed: Set<string>): void {
    changed.add(name);
    group.present = undefined;
    if (group.readers.size === 0 && group.nameless === 0) this.#groups.delete(name);
  }
}

/** Parses a statement, ignoring what is not understood: a later version may send more, or other, fields. */
export function attendanceOf(value: unknown): Attendance {
  const { all, gone, groups, forget } = recordOf(value);
  const changes = Object.entries(recordOf(groups)).filter(([name]) => isGroup(name));
  return {
    all: all === true,
    gone: gone === true,
    groups: Object.fromEntries(changes.map(([name, change]) => [name, changeOf(change)])),
    forget: listOf(forget, (node) => typeof node === "string"),
  };
}

function changeOf(value: unknown): Change {
  const { add, remove, nameless } = recordOf(value);
  const isCount = Number.isInteger(nameless) && 0 <= (nameless as number) &&
    (nameless as number) <= MAX_CONNECTIONS;
  return {
    add: listOf(add, isName),
    remove: listOf(remove, isName),
    nameless: isCount ? nameless as number : undefined,
  };
}

function isGroup(name: string): boolean {
  return name === EVERYONE || (/^[@#]/.test(name) && isName(name.slice(1)));
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function listOf(value: unknown, passes: (item: unknown) => boolean): string[] {
  return Array.isArray(value) ? value.filter(passes) : [];
}

function presentOf(readers: string[], nameless: number): Present {
  return Object.freeze({
    count: readers.length + nameless,
    readers: Object.freeze(readers.sort()),
  });
}
