/**
 * Presence: each node tells the others which readers connect to it and leave it, and each keeps the
 * roster of all nodes.
 *
 * A reader who leaves stays present for a grace period, so that nobody notices a reload. When the last
 * reader leaves a node, the node says so at once and keeps no timer. The other nodes wait for the grace
 * period on its behalf, as they do for a node that is lost; then one of them tells all to forget it.
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

/** A connection has opened, has ended, or listens to other names. */
export interface Move {
  /** The first name that the app gave it, as an internal name; `undefined` where it has none. */
  readonly reader: string | undefined;
  /** The names to which it listened; `undefined` where it has just opened. */
  readonly before: ReadonlySet<string> | undefined;
  /** The names to which it listens; `undefined` where it has ended. */
  readonly after: ReadonlySet<string> | undefined;
}

/** Options of {@linkcode Presence}. */
export interface PresenceOptions {
  /** Milliseconds for which a reader who has left stays present. */
  readonly grace: number;
  /** Sends a statement to all nodes, this one included, in the order of the pushes. */
  readonly say: (attendance: Attendance) => void;
  /**
   * Called with the names whose presence has changed on every node because of this one. Without it, a
   * node without readers needs no timer.
   */
  readonly onChange?: ((names: readonly string[]) => void) | undefined;
  /** Default: the platform's clock. */
  readonly clock?: Clock;
}

/** Least milliseconds between two statements. */
const INTERVAL = 250;
/** Milliseconds after two grace periods at which any node tells all to forget a node that is gone. */
const MARGIN = 1_000;

/** One reader in one group on this node, or all connections in it without a name. */
interface Member {
  readonly group: string;
  /** The internal name; `undefined` for the connections without a name. */
  readonly reader: string | undefined;
  connections: number;
  /** Departures within the grace period, oldest first. */
  leaving: Departure[];
  /** The count that this node last stated. */
  stated: number;
}

/** One connection that has left. It is an object because its identity matters. */
interface Departure {
  readonly member: Member;
  readonly at: number;
}

/** Tracks which readers are present on all nodes. */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #clock: Clock;
  readonly #roster = new Roster();
  readonly #members = new Map<string, Map<string | undefined, Member>>();
  /** The members whose count has changed since it was stated. */
  readonly #unstated = new Set<Member>();
  /** All departures within the grace period, oldest first. */
  readonly #leaving = new Set<Departure>();
  /** Nodes that this one has told all to forget, and since when they were gone. */
  readonly #forgotten = new Map<string, number>();
  /** The name of this node, known once it has received its own statement. */
  #own: string | undefined;
  /** How many connections this node has. */
  #here = 0;
  /** Whether the others can apply changes from this node, because it has sent a complete statement. */
  #isKnown = false;
  #saidAt = -Infinity;
  #wakesAt = Infinity;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  /** Starts with nobody present, and without a timer. */
  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? CLOCK;
  }

  /** Who is present under a name, or everyone where none is given. */
  of(name: string = EVERYONE): Present {
    if (this.#isIdle()) this.#roster.expire(this.#clock.now() - this.#options.grace);
    return this.#roster.of(name);
  }

  /** Call when a connection of this node has opened, has ended, or listens to other names. */
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

  /** Call when a node has made a statement. */
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

  /** Call when a node is gone. */
  left(node: string): void {
    this.#roster.leave(node, this.#clock.now(), { isLost: true });
    if (node === this.#own) this.#isKnown = false; // the others have dropped its statement
    this.#plan();
  }

  /** A complete statement of this node, for nodes that may have missed one; `undefined` without readers. */
  all(): Attendance | undefined {
    if (this.#isClosed || this.#here === 0) return undefined;
    this.#saidAt = this.#clock.now();
    this.#expire(this.#saidAt);
    this.#isKnown = true;
    this.#forgotten.clear(); // those statements may have been missed as well
    return { all: true, groups: this.#changes({ isAll: true }) };
  }

  /** Stops: this node makes no more statements and keeps no timer. */
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
    if (countOf(member) < member.stated) { // others know it as present
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
      member = { group, reader, connections: 0, leaving: [], stated: 0 };
      members.set(reader, member);
    }
    return member;
  }

  #note(member: Member): void {
    const count = countOf(member);
    if (count !== member.stated) return void this.#unstated.add(member);
    this.#unstated.delete(member);
    if (count === 0) this.#drop(member);
  }

  #drop({ group, reader }: Member): void {
    const members = this.#members.get(group);
    members?.delete(reader);
    if (members?.size === 0) this.#members.delete(group);
  }

  /** Ends the grace periods that are over. */
  #expire(now: number): void {
    for (const departure of this.#leaving) {
      if (departure.at + this.#options.grace > now) break;
      this.#leaving.delete(departure);
      departure.member.leaving.shift();
      this.#note(departure.member);
    }
  }

  // Stated at once, even within INTERVAL, so that a node without readers keeps no timer.
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
    return this.#here > 0 && (this.#unstated.size > 0 || !this.#isKnown);
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
    if (now >= this.#saidAt + INTERVAL) this.#state(now);
    this.#plan();
  }

  #state(now: number): void {
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

  /** The changes in each group, or everyone; marks them as stated. */
  #changes({ isAll }: { isAll: boolean }): Record<string, Change> {
    const changes = new Map<string, { add: string[]; remove: string[]; nameless?: number }>();
    for (const member of isAll ? this.#everyone() : this.#unstated) {
      const { group, reader } = member;
      const count = countOf(member);
      member.stated = count;
      if (count === 0) this.#drop(member);
      if (isAll && count === 0) continue;
      const change = changes.get(group) ?? { add: [], remove: [] };
      changes.set(group, change);
      if (reader === undefined) change.nameless = count;
      else change[count > 0 ? "add" : "remove"].push(reader.slice(1));
    }
    this.#unstated.clear();
    return Object.fromEntries(changes);
  }

  *#everyone(): Iterable<Member> {
    for (const members of this.#members.values()) yield* members.values();
  }

  /**
   * The nodes that are gone, and when this node is to tell all to forget them: after the grace period where
   * this node is the first of the present ones by name, and later otherwise, in case no other does so.
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

  /** Whether it keeps no timer: this node has no readers, and nobody listens for changes. */
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

/** How many are present: a reader counts once, however many pages are open. */
function countOf({ reader, connections, leaving }: Member): number {
  const count = connections + leaving.length;
  return reader === undefined ? count : Math.min(1, count);
}
