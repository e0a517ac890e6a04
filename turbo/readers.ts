/**
 * All open pages, and the one way by which what was pushed comes to them: a push notes who owes what,
 * and a flush sends each what it owes.
 *
 * @module
 */
import type { Grant, Visitor } from "./admission.ts";
import { type Carrier, Connection, type ConnectionLimits } from "./connection.ts";
import { Listeners, namesOf, NO_NAMES } from "./listeners.ts";
import type { Audience, Entry, Log } from "./log.ts";
import { Agenda, CLOCK, type Clock } from "./pace.ts";
import type { Move } from "./presence.ts";
import { CLOSE, type Close, type Since } from "./protocol.ts";

/** What {@linkcode Readers} needs to know. Times are in milliseconds. */
export interface ReadersOptions extends ConnectionLimits {
  /** Silence after which a heartbeat is sent. */
  heartbeat: number;
  /** Time between two messages of pushes to one page. */
  frame: number;
  /** Called when a connection has come or gone, or its names have changed; with what it gained or lost. */
  onChange: (names: readonly string[]) => void;
  /** Called before `onChange`, when a connection has come, gone, or listens to something else. */
  onMove?: (move: Move) => void;
  /** Called when a page asks with a cursor of another log. Default: nothing. */
  onForeign?: (cursor: string, page: string | undefined) => void;
  /** Reports what went wrong with one connection or callback. */
  report: (message: string, error: unknown) => void;
  /** Default: the platform's. */
  clock?: Clock;
}

/** Between two looks at connections that took no more. */
const RETRY_INTERVAL = 50;
/** Time over which pages are spread that must all fetch themselves again. */
const RELOAD_SPREAD = 1_000;
/**
 * Time before the first of them does, where the order was lost: other nodes lose it at about the same
 * time, and each may begin another one, for which one refresh is enough.
 */
const RESTART_DELAY = 500;

/** The open pages of one process. */
export class Readers {
  readonly #log: Log;
  readonly #options: ReadersOptions;
  readonly #all = new Map<Connection, Visitor>();
  readonly #listeners = new Listeners<Connection>();
  /** Closed by us, and not known to have ended. Each keeps its place. */
  readonly #zombies = new Map<Connection, Visitor>();
  /** Who owes something is in a queue: to be sent it in this turn, ... */
  #fresh: Connection[] = [];
  /** ... at the end of the frame that its last message began, ... */
  readonly #frames: Agenda<Connection>;
  /** ... or when it takes more. Looked at now and then, because "stuck" compares two looks. */
  readonly #blocked = new Set<Connection>();
  #cancelRetry: (() => void) | undefined;
  #cancelBeat: (() => void) | undefined;
  readonly #clock: Clock;

  /** No pages yet. Starts nothing. */
  constructor(log: Log, options: ReadersOptions) {
    this.#log = log;
    this.#options = options;
    this.#clock = options.clock ?? CLOCK;
    this.#frames = new Agenda(this.#clock, (due) => this.#flushDue(due));
  }

  /** Open connections. */
  get size(): number {
    return this.#all.size;
  }

  /** Connections given up by us whose end the system has not reported yet. */
  get zombies(): number {
    return this.#zombies.size;
  }

  /** Bytes given to connections and not yet taken by the system, those given up included. */
  get buffered(): number {
    let bytes = 0;
    for (const { carrier } of this.#all.keys()) bytes += carrier.buffered;
    for (const { carrier } of this.#zombies.keys()) bytes += carrier.buffered;
    return bytes;
  }

  /** How many connections listen to a name. */
  listeners(name: string): number {
    return this.#listeners.count(name);
  }

  /** How many connections something is for. */
  count({ to, except }: Audience): number {
    if (except === undefined && to === undefined) return this.size;
    let count = 0;
    for (const { page } of this.#addressed(to)) {
      if (except === undefined || page !== except) count++;
    }
    return count;
  }

  /** Notes who owes a new entry. It leaves in this turn, or at the end of the frame. */
  owe({ position, to }: Entry): void {
    const now = this.#clock.now();
    for (const connection of this.#addressed(to)) {
      if (connection.position !== undefined) continue;
      connection.position = position - 1;
      this.#schedule(connection, now);
    }
  }

  /** Has every page fetch itself, within a second, because the log has another order now. */
  restart(): void {
    // Topics, too, were signed for the order of before.
    this.#reload([...this.#all.keys()], { delay: RESTART_DELAY });
  }

  /** Adds a connection that is open. */
  add(carrier: Carrier, visitor: Visitor): Connection {
    const connection = new Connection(carrier, this.#log, this.#options);
    this.#all.set(connection, visitor);
    if (!this.#cancelBeat) this.#beatLater();
    connection.page = visitor.page;
    if (visitor.since === undefined) {
      // Spelled as a heartbeat: a page whose first `since` is under way must not take it for its
      // marker. Taken before `onChange`, which may push.
      const cursor = this.#log.beat();
      this.#listen(connection, namesOf(visitor.as), { visitor, how: "comes" });
      connection.mark(cursor);
      this.#flush(connection, this.#clock.now());
    } else {
      const asked = { cursor: visitor.since, token: visitor.token };
      this.#resume(connection, visitor, asked, "comes");
    }
    return connection;
  }

  /** A connection that is open and may not stay: its place is taken until it is gone. */
  refuse(carrier: Carrier, visitor: Visitor): Connection {
    const connection = new Connection(carrier, this.#log, this.#options);
    connection.hasEnded = true;
    this.#zombies.set(connection, visitor);
    return connection;
  }

  /**
   * Answers a `since` at once. Topics that a page may not have, or not from its cursor on, are answered
   * by a refresh, which brings a new token. `false`: it has asked too often for what it does not take.
   */
  resume(connection: Connection, since: Since): boolean {
    const visitor = this.#all.get(connection);
    if (!visitor) return true;
    if (!connection.mayAsk()) return false;
    connection.page = since.page ?? connection.page;
    this.#resume(connection, visitor, since);
    return true;
  }

  /** Removes a connection that has ended. */
  remove(connection: Connection): void {
    const visitor = this.#all.get(connection) ?? this.#zombies.get(connection);
    if (!visitor) return;
    this.#zombies.delete(connection);
    this.#takeOut(connection);
    visitor.release();
  }

  /**
   * Takes out a connection that is being closed, at once: a stuck one may never report its end. Its
   * place is taken until it does.
   */
  forget(connection: Connection): void {
    const visitor = this.#all.get(connection);
    if (!visitor) return;
    if (!connection.carrier.endsLater) return this.remove(connection);
    this.#zombies.set(connection, visitor);
    this.#takeOut(connection);
  }

  /** Ends a connection that comes back at once and asks for what it has not had. */
  sendBack(connection: Connection): void {
    if (!connection.hasEnded) this.#drop(connection, CLOSE.again);
  }

  /**
   * Unsubscribes everyone from a topic. Their pages reload, spread over a second, and subscribe again
   * where the app still signs the topic.
   */
  revoke(topic: string): void {
    this.#reload([...this.#listeners.of([topic])]);
  }

  /** Sends the readers of a name away, each with what it still owes. */
  disconnect(name: string): void {
    for (const connection of [...this.#listeners.of([name])]) {
      this.#flushLast(connection);
      this.#drop(connection, CLOSE.sentAway);
    }
  }

  /**
   * Closes all connections, each with what it still owes, in random order and `window` milliseconds
   * at most, so that they do not come back all at once.
   */
  async close(close: Close, window: number): Promise<void> {
    const connections = shuffle([...this.#all.keys()]);
    const pause = Math.min(25, window / connections.length);
    const start = this.#clock.now();
    for (const [index, connection] of connections.entries()) {
      const early = start + index * pause - this.#clock.now();
      if (early > 1) await new Promise<void>((resolve) => this.#clock.later(resolve, early));
      if (connection.hasEnded) continue;
      this.#flushLast(connection);
      if (!connection.carrier.endsLater) this.remove(connection);
      this.#close(connection, close);
    }
  }

  /** Removes all that are left. */
  removeAll(): void {
    for (const connection of [...this.#all.keys()]) this.remove(connection);
  }

  #resume(
    connection: Connection,
    visitor: Visitor,
    { cursor, token }: Since,
    how: "comes" | "stays" = "stays",
  ): void {
    const grant = this.#holding(visitor.grant(token));
    this.#listen(connection, grant?.names ?? namesOf(visitor.as), { visitor, how });
    if (!connection.resume(cursor)) this.#options.onForeign?.(cursor, connection.page);
    if (!grant || this.#hasMissed(grant, cursor)) connection.refresh();
    this.#flush(connection, this.#clock.now());
  }

  /** Ends the topics of pages and has them fetch themselves, spread over a second. */
  #reload(connections: readonly Connection[], { delay = 0 } = {}): void {
    const first = this.#clock.now() + delay;
    for (const connection of connections) {
      const visitor = this.#all.get(connection);
      if (!visitor) continue; // a callback has ended it meanwhile
      this.#listen(connection, namesOf(visitor.as), { visitor, how: "stays" });
      connection.refresh();
      this.#defer(connection, first + Math.random() * (RELOAD_SPREAD - delay));
    }
  }

  #takeOut(connection: Connection): void {
    const visitor = this.#all.get(connection);
    if (!visitor) return;
    this.#all.delete(connection);
    this.#blocked.delete(connection);
    connection.hasEnded = true;
    this.#listen(connection, NO_NAMES, { visitor, how: "goes" });
    if (this.#all.size === 0) this.#rest();
  }

  /** What is granted, where its topics were signed in this log and not revoked since. */
  #holding(grant: Grant | undefined): Grant | undefined {
    if (!grant || grant.topics.size === 0) return grant;
    const from = this.#log.positionOf(grant.from ?? "");
    return from === undefined || this.#log.isRevoked(grant.topics, from) ? undefined : grant;
  }

  /** Whether a page asks from a time at which it could not hear its topics, and something was said. */
  #hasMissed({ topics, from }: Grant, cursor: string): boolean {
    if (from === undefined) return false;
    const start = this.#log.positionOf(from);
    const position = this.#log.positionOf(cursor);
    if (start === undefined || position === undefined || position >= start) return false;
    return !this.#log.isSilent(topics, position, start);
  }

  #addressed(to: readonly string[] | undefined): Iterable<Connection> {
    return to === undefined ? this.#all.keys() : this.#listeners.of(to);
  }

  // Per connection, so that a push to one page never waits for a push to another.
  #schedule(connection: Connection, now: number): void {
    const frameEnd = connection.pushedAt + this.#options.frame;
    if (now < frameEnd) return this.#defer(connection, frameEnd);
    if (this.#fresh.length === 0) queueMicrotask(() => this.#flushFresh());
    this.#fresh.push(connection);
  }

  #flushFresh(): void {
    const connections = this.#fresh;
    this.#fresh = [];
    this.#flushDue(connections);
  }

  #defer(connection: Connection, time: number): void {
    connection.dueAt = Math.ceil(time);
    this.#frames.add(connection, connection.dueAt);
  }

  // One that was put off since it came into this queue, or whose timer was early, is not due yet.
  #flushDue(connections: Iterable<Connection>): void {
    const now = this.#clock.now();
    for (const connection of connections) {
      if (now >= connection.dueAt) this.#flush(connection, now);
      else if (connection.position !== undefined) this.#frames.add(connection, connection.dueAt);
    }
  }

  #flush(connection: Connection, now: number): void {
    if (connection.hasEnded) return;
    try {
      const flushed = connection.flush(now);
      if (flushed === "stuck") this.#drop(connection, CLOSE.tooSlow);
      else if (flushed === "blocked") this.#retryLater(connection);
      else this.#blocked.delete(connection);
    } catch (error) {
      this.#options.report("Cannot send to a connection:", error);
      this.#drop(connection, CLOSE.failed);
    }
  }

  // What cannot be sent now will not be: the connection is closed next, whatever comes of this.
  #flushLast(connection: Connection): void {
    try {
      connection.flush(this.#clock.now());
    } catch (error) {
      this.#options.report("Cannot send to a connection:", error);
    }
  }

  #retryLater(connection: Connection): void {
    this.#blocked.add(connection);
    this.#cancelRetry ??= this.#clock.later(() => {
      this.#cancelRetry = undefined;
      this.#flushDue([...this.#blocked]);
    }, RETRY_INTERVAL);
  }

  #beatLater(): void {
    this.#cancelBeat = this.#clock.later(() => {
      this.#beatLater();
      this.#sendHeartbeats();
    }, this.#options.heartbeat / 15);
  }

  #sendHeartbeats(): void {
    const now = this.#clock.now();
    this.#log.expire(now);
    const beat = this.#log.beat();
    for (const connection of this.#all.keys()) {
      const isQuiet = now - connection.sentAt >= this.#options.heartbeat;
      if (!isQuiet || connection.position !== undefined) continue;
      connection.mark(beat);
      this.#flush(connection, now);
    }
  }

  /** Has a connection hear these names, and says so where something has changed. */
  #listen(
    connection: Connection,
    names: ReadonlySet<string>,
    { visitor, how }: { visitor: Visitor; how: "comes" | "stays" | "goes" },
  ): void {
    const before = how === "comes" ? undefined : connection.names;
    const after = how === "goes" ? undefined : names;
    connection.names = names;
    const changed = this.#listeners.set(connection, names);
    if (changed.length === 0 && how === "stays") return;
    this.#options.onMove?.({ reader: visitor.as[0], before, after });
    this.#options.onChange(changed);
  }

  #drop(connection: Connection, close: Close): void {
    this.forget(connection);
    this.#close(connection, close);
  }

  #close({ carrier }: Connection, close: Close): void {
    try {
      carrier.close(close);
    } catch (error) {
      this.#options.report("Cannot close a connection:", error);
    }
  }

  #rest(): void {
    this.#cancelBeat?.();
    this.#cancelRetry?.();
    this.#cancelBeat = this.#cancelRetry = undefined;
    this.#frames.clear();
  }
}

function shuffle<T>(list: T[]): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}
