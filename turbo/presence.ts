/**
 * Who is there: each node tells the others who comes to it and goes from it, and each keeps the roster
 * of all of them.
 *
 * A reader who leaves is there for a grace, so that nobody sees a reload. A node that nobody is left
 * on says so at once and waits for nothing; the others wait out the grace for it, as for a node that is
 * lost, and one of them then tells all to forget it.
 *
 * @module
 */
import type { Said } from "./engine.ts";
import { NO_NAMES } from "./listeners.ts";
import type { Statement } from "./nodes.ts";
import { CLOCK, type Clock } from "./pace.ts";
import {
  type Attendance,
  attendanceOf,
  type Change,
  EVERYONE,
  type Present,
  Roster,
} from "./roster.ts";

/** A connection has come or gone, or listens to something else. */
export interface Move {
  /** The first of the names that the app gave it, as the listeners know it; `undefined`: it has none. */
  readonly reader: string | undefined;
  /** What it has listened to; `undefined`: it was not there. */
  readonly before: ReadonlySet<string> | undefined;
  /** What it listens to; `undefined`: it is gone. */
  readonly after: ReadonlySet<string> | undefined;
}

/** What {@linkcode Presence} needs to know. */
export interface PresenceOptions {
  /** Milliseconds for which a reader who has left is still there. */
  readonly grace: number;
  /** Tells all nodes, this one included, in the order of the pushes. */
  readonly say: (attendance: Attendance) => void;
  /**
   * Called with the names whose presence is different now, on every node, because of this one. Default:
   * nobody wants to know, so that no timer is needed where nobody is there.
   */
  readonly onChange?: ((names: readonly string[]) => void) | undefined;
  /** Default: the platform's. */
  readonly clock?: Clock;
}

/** Milliseconds between two statements. */
const INTERVAL = 250;
/** Milliseconds beyond two graces after which every node forgets a node that is gone. */
const MARGIN = 1_000;

/** One reader in one group, or all who have no name in it, on this node. */
interface Member {
  readonly group: string;
  /** As the listeners know it. */
  readonly reader: string | undefined;
  connections: number;
  /** Those whose grace is not over, oldest first. */
  leaving: Departure[];
  /** How many it has said to be there. */
  told: number;
}

/** One who has left, which has an identity of its own. */
interface Departure {
  readonly member: Member;
  readonly at: number;
}

/** Who is there, on all nodes. */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #clock: Clock;
  readonly #roster = new Roster();
  readonly #members = new Map<string, Map<string | undefined, Member>>();
  /** Of whom not all has been told. */
  readonly #untold = new Set<Member>();
  /** In the order in which they left. */
  readonly #leaving = new Set<Departure>();
  /** Nodes that this one has told to forget, and since when they were gone. */
  readonly #forgotten = new Map<string, number>();
  /** This node's name, once it has heard itself. */
  #own: string | undefined;
  /** Connections of this node. */
  #here = 0;
  /** Whether the others take what it says of changes, because it has said all. */
  #isKnown = false;
  #saidAt = -Infinity;
  #wakesAt = Infinity;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  /** Nobody is there. Starts nothing. */
  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? CLOCK;
  }

  /** Who is there of a name; without one, everyone. */
  of(name: string = EVERYONE): Present {
    if (this.#isIdle()) this.#roster.expire(this.#clock.now() - this.#options.grace);
    return this.#roster.of(name);
  }

  /** A connection of this node has come or gone, or listens to something else. */
  move({ reader, before, after }: Move): void {
    if (this.#isClosed) return;
    const now = this.#clock.now();
    if (!before) {
      this.#here++;
      this.#arrive(EVERYONE, reader);
    }
    for (const name of after ?? NO_NAMES) {
      if (!before?.has(name) && name !== reader) this.#arrive(name, reader);
    }
    for (const name of before ?? NO_NAMES) {
      if (!after?.has(name) && name !== reader) this.#depart(name, reader, now);
    }
    if (!after) {
      this.#depart(EVERYONE, reader, now);
      if (--this.#here === 0) return this.#rest(now);
    }
    if (this.#hasNews()) this.#wakeBy(this.#saidAt + INTERVAL);
    if (this.#leaving.size > 0) this.#wakeBy(now + this.#options.grace);
  }

  /** A node has said something. */
  hear({ node, isOwn }: Said, { all, present }: Statement): void {
    if (isOwn) this.#own = node;
    const said = attendanceOf(present);
    const attendance = all ? { ...said, all: true, gone: present === undefined } : said;
    const changed = this.#roster.hear(node, attendance, this.#clock.now());
    this.#plan();
    if (isOwn && changed.size > 0) {
      this.#options.onChange?.([...changed].filter((name) => name !== EVERYONE));
    }
  }

  /** A node is gone. */
  left(node: string): void {
    this.#roster.leave(node, this.#clock.now(), { isLost: true });
    if (node === this.#own) this.#isKnown = false; // it was taken for gone
    this.#plan();
  }

  /** Everyone on this node, for those who may not have heard of them; `undefined` where nobody is. */
  all(): Attendance | undefined {
    if (this.#isClosed || this.#here === 0) return undefined;
    this.#saidAt = this.#clock.now();
    this.#expire(this.#saidAt);
    this.#isKnown = true;
    this.#forgotten.clear(); // that, too, may not have been heard
    return { all: true, groups: this.#changes({ isAll: true }) };
  }

  /** This node says nothing more, and no timer of it is left. */
  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  #arrive(group: string, reader: string | undefined): void {
    const member = this.#memberOf(group, reader);
    member.connections++;
    const departure = member.leaving.pop();
    if (departure) this.#leaving.delete(departure);
    this.#note(member);
  }

  #depart(group: string, reader: string | undefined, at: number): void {
    const member = this.#memberOf(group, reader);
    member.connections--;
    if (countOf(member) < member.told) { // somebody has seen it
      const departure = { member, at };
      member.leaving.push(departure);
      this.#leaving.add(departure);
    }
    this.#note(member);
  }

  #memberOf(group: string, reader: string | undefined): Member {
    let members = this.#members.get(group);
    if (!members) this.#members.set(group, members = new Map());
    let member = members.get(reader);
    if (!member) {
      member = { group, reader, connections: 0, leaving: [], told: 0 };
      members.set(reader, member);
    }
    return member;
  }

  #note(member: Member): void {
    const count = countOf(member);
    if (count !== member.told) return void this.#untold.add(member);
    this.#untold.delete(member);
    if (count === 0) this.#drop(member);
  }

  #drop({ group, reader }: Member): void {
    const members = this.#members.get(group);
    members?.delete(reader);
    if (members?.size === 0) this.#members.delete(group);
  }

  /** Ends the graces that are over. */
  #expire(now: number): void {
    for (const departure of this.#leaving) {
      if (departure.at + this.#options.grace > now) break;
      this.#leaving.delete(departure);
      departure.member.leaving.shift();
      this.#note(departure.member);
    }
  }

  // Said at once, however little time has passed: nobody is left for whom a timer would be kept.
  #rest(now: number): void {
    this.#stop();
    if (this.#isKnown) {
      this.#isKnown = false;
      this.#saidAt = now;
      this.#options.say({ gone: true });
    }
    this.#plan();
  }

  #hasNews(): boolean {
    return this.#here > 0 && (this.#untold.size > 0 || !this.#isKnown);
  }

  #wakeBy(at: number): void {
    if (this.#isClosed || this.#wakesAt <= at) return;
    this.#stop();
    const early = at - this.#clock.now();
    if (early <= 0) return this.#wake();
    this.#wakesAt = at;
    this.#cancel = this.#clock.later(() => this.#wake(), early);
  }

  #wake(): void {
    this.#stop();
    const now = this.#clock.now();
    this.#expire(now);
    if (now >= this.#saidAt + INTERVAL) this.#tell(now);
    this.#plan();
  }

  #tell(now: number): void {
    const forget = [...this.#due()].filter(([, , at]) => at <= now);
    if (forget.length === 0 && !this.#hasNews()) return;
    for (const [node, since] of forget) this.#forgotten.set(node, since);
    const attendance = this.#here === 0
      ? {}
      : this.#isKnown
      ? { groups: this.#changes({ isAll: false }) }
      : this.all();
    this.#saidAt = now;
    this.#options.say({
      ...attendance,
      ...(forget.length > 0 && { forget: forget.map(([node]) => node) }),
    });
  }

  /** Who has come and gone by the group, or everyone. From here on it counts as told. */
  #changes({ isAll }: { isAll: boolean }): Record<string, Change> {
    const changes = new Map<string, { add: string[]; remove: string[]; nameless?: number }>();
    for (const member of isAll ? this.#everyone() : this.#untold) {
      const { group, reader } = member;
      const count = countOf(member);
      member.told = count;
      if (count === 0) this.#drop(member);
      if (isAll && count === 0) continue;
      const change = changes.get(group) ?? { add: [], remove: [] };
      changes.set(group, change);
      if (reader === undefined) change.nameless = count;
      else change[count > 0 ? "add" : "remove"].push(reader.slice(1));
    }
    this.#untold.clear();
    return Object.fromEntries(changes);
  }

  *#everyone(): Iterable<Member> {
    for (const members of this.#members.values()) yield* members.values();
  }

  /**
   * The nodes that are gone, and when this one is to tell all to forget them: after the grace where it
   * is the first of the nodes that are there, and later where no other does so.
   */
  *#due(): Iterable<readonly [node: string, since: number, at: number]> {
    const { grace } = this.#options;
    const first = [...this.#roster.nodes()].sort()[0];
    for (const [node, since] of this.#roster.gone()) {
      if (this.#forgotten.get(node) === since) continue;
      const isMine = this.#own !== undefined && this.#own === (first ?? node);
      yield [node, since, since + (isMine ? grace : 2 * grace + MARGIN)];
    }
  }

  /** Whether it keeps no timer: nobody is here, and nobody wants to hear of changes. */
  #isIdle(): boolean {
    return this.#here === 0 && !this.#options.onChange;
  }

  #plan(): void {
    for (const [node, since] of this.#forgotten) {
      if (this.#roster.goneAt(node) !== since) this.#forgotten.delete(node);
    }
    const times = this.#hasNews() ? [this.#saidAt + INTERVAL] : [];
    if (!this.#isIdle()) {
      const [next] = this.#leaving;
      if (next) times.push(next.at + this.#options.grace);
      for (const [, , at] of this.#due()) times.push(Math.max(at, this.#saidAt + INTERVAL));
    }
    if (times.length === 0) this.#stop();
    else this.#wakeBy(Math.min(...times));
  }

  #stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#wakesAt = Infinity;
  }
}

/** How many are there: a reader once, however many pages it has open. */
function countOf({ reader, connections, leaving }: Member): number {
  const count = connections + leaving.length;
  return reader === undefined ? count : Math.min(1, count);
}
