/**
 * All connections, and the one path by which pushes reach them: a push marks what each connection is
 * owed, and a flush sends it.
 *
 * @module
 */
import type { Grant, Visitor } from "./admission.ts";
import { type Carrier, Connection, type ConnectionLimits } from "./connection.ts";
import type { Transport } from "./handshake.ts";
import { type End, endOf, Instruments, TRANSPORTS } from "./instruments.ts";
import { Listeners, namesOf, NO_NAMES } from "./listeners.ts";
import type { Audience, Entry, Log } from "./log.ts";
import { Agenda, CLOCK, type Clock } from "./clock.ts";
import type { Move } from "./presence.ts";
import { CLOSE, type Close, type Note, type Shown, type Since } from "./protocol.ts";
import { type Receipt, Receipts } from "./receipts.ts";
import { agesOf, PositionTimes, type Staleness, stalenessOf } from "./staleness.ts";

/** Options of {@linkcode Readers}. Times are in milliseconds. */
export interface ReadersOptions extends ConnectionLimits {
  /** Silence after which a heartbeat is sent. */
  heartbeat: number;
  /** Least time between two messages with pushes to one page. */
  frame: number;
  /** Called with the names that a connection gained or lost, also when it opens or ends. */
  onChange: (names: readonly string[]) => void;
  /** Called before `onChange`, when a connection has opened, has ended, or listens to other names. */
  onMove?: (move: Move) => void;
  /** Called when a connection has opened or ended. Default: nothing. */
  onConnection?: ((event: ConnectionEvent) => void) | undefined;
  /** Milliseconds between two reports of a page. Default: see {@linkcode Connection}. */
  reportInterval?: number;
  /** What is counted and measured. Default: nobody reads it. */
  instruments?: Instruments;
  /** Called when a page asks with a cursor of another log. Default: nothing. */
  onForeign?: (cursor: string, page: string | undefined) => void;
  /** Reports an error of one connection or callback. */
  report: (message: string, error: unknown) => void;
  /** Default: the platform's clock. */
  clock?: Clock;
}

/** A connection has opened or ended. */
export interface ConnectionEvent {
  /** What has happened. */
  readonly what: "open" | "end";
  /** Its transport. */
  readonly transport: "websocket" | "sse";
  /** The readers that it belongs to, by the names that the app gave them. */
  readonly as: readonly string[];
  /** The id of its page, where that has told it. */
  readonly page: string | undefined;
  /**
   * How it ended: `left` (the reader closed it), `lost` (it was cut), or why this process ended it, such as
   * `tooSlow`, `restarting` or `sentAway`; `undefined` where it has opened.
   */
  readonly end?: string;
  /** For how many milliseconds it was open; `undefined` where it has opened. */
  readonly duration?: number;
}

/** Time between two looks at blocked connections. */
const RETRY_INTERVAL = 50;
/** Time over which refreshes are spread when many pages must fetch themselves. */
const RELOAD_SPREAD = 1_000;
/**
 * Time before the first of those refreshes when the order was lost. Other nodes lose it at about the same
 * time, and each may start a new epoch; one refresh after all of them is enough.
 */
const RESTART_DELAY = 500;

/** The connections of one process. */
export class Readers {
  readonly #log: Log;
  readonly #options: ReadersOptions;
  readonly #all = new Map<Connection, Visitor>();
  readonly #listeners = new Listeners<Connection>();
  /** Connections that we closed and whose end is not reported yet. Each keeps its place. */
  readonly #zombies = new Map<Connection, Visitor>();
  /** A connection that is owed something is in one of three queues: to be flushed in this turn, ... */
  #fresh: Connection[] = [];
  /** ... at the end of the frame that its last message started, ... */
  readonly #frames: Agenda<Connection>;
  /** ... or when it takes more. This is polled, because "stuck" compares two looks. */
  readonly #blocked = new Set<Connection>();
  #cancelRetry: (() => void) | undefined;
  #cancelBeat: (() => void) | undefined;
  readonly #clock: Clock;
  readonly #instruments: Instruments;
  readonly #sizes: Record<Transport, number> = { "websocket": 0, "event stream": 0 };
  readonly #times = new PositionTimes();
  readonly #receipts: Receipts;

  /** Starts without connections, and without a timer. */
  constructor(log: Log, options: ReadersOptions) {
    const { clock = CLOCK, instruments = new Instruments() } = options;
    this.#log = log;
    this.#clock = clock;
    this.#instruments = instruments;
    this.#options = { ...options, instruments };
    this.#frames = new Agenda(clock, (due) => this.#flushDue(due));
    this.#receipts = new Receipts(clock, (connection) => {
      connection.ask(clock.now());
      this.#flush(connection, clock.now());
    });
  }

  /** How many connections are open. */
  get size(): number {
    return this.#all.size;
  }

  /** How many connections are open by a transport. */
  sizeOf(transport: Transport): number {
    return this.#sizes[transport];
  }

  /** How many connections do not take what they are sent. */
  get behind(): number {
    return this.#blocked.size;
  }

  /** How old the open pages are. */
  get staleness(): Staleness {
    return stalenessOf(agesOf(this.#all.keys(), this.#times, this.#clock.now()));
  }

  /** How many connections we have closed whose end is not reported yet. */
  get zombies(): number {
    return this.#zombies.size;
  }

  /** The open connections, each with who opened it. */
  get open(): Iterable<readonly [Connection, Visitor]> {
    return this.#all;
  }

  /** Connections that we have closed and whose end is not reported yet, each with who opened it. */
  get closing(): Iterable<readonly [Connection, Visitor]> {
    return this.#zombies;
  }

  /** Bytes that the operating system has not taken yet, of closed connections too. */
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

  /** How many connections an audience has. */
  count({ to, except }: Audience): number {
    if (except === undefined && to === undefined) return this.size;
    let count = 0;
    for (const { page } of this.#addressed(to)) {
      if (except === undefined || page !== except) count++;
    }
    return count;
  }

  /** Marks a new entry as owed to its audience. It is sent in this turn, or at the end of the frame. */
  owe({ position, to }: Entry): void {
    const now = this.#clock.now();
    this.#times.note(position, now);
    for (const connection of this.#addressed(to)) {
      if (connection.position !== undefined) continue;
      connection.position = position - 1;
      this.#schedule(connection, now);
    }
  }

  /** Makes every page fetch itself, within about a second, because the log has another order now. */
  restart(): void {
    this.#times.clear();
    this.#receipts.end();
    for (const connection of this.#all.keys()) connection.forgetReports();
    // Topics end as well: they were signed for the old order.
    this.#reload([...this.#all.keys()], { delay: RESTART_DELAY });
  }

  /** Adds a connection that is open. */
  add(carrier: Carrier, visitor: Visitor): Connection {
    const connection = new Connection(carrier, this.#log, this.#options);
    this.#all.set(connection, visitor);
    this.#log.observer?.opened(connection);
    this.#sizes[visitor.transport]++;
    if (!this.#cancelBeat) this.#beatLater();
    connection.page = visitor.page;
    connection.as = visitor.as;
    connection.openedAt = this.#clock.now();
    if (visitor.reports) connection.startReports(connection.openedAt);
    this.#tell("open", connection, visitor);
    if (visitor.since === undefined) {
      // Spelled as a heartbeat, so that a page whose first `since` is on its way does not take it for
      // the marker. Taken before `onChange`, which may push.
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

  /** Registers an open connection that may not stay. It holds its place until it has ended. */
  refuse(carrier: Carrier, visitor: Visitor): Connection {
    const connection = new Connection(carrier, this.#log, this.#options);
    connection.hasEnded = true;
    this.#zombies.set(connection, visitor);
    return connection;
  }

  /**
   * Answers a `since` at once. If the page may not have its topics, or not from its cursor on, the answer
   * is a refresh, which brings a new token. Returns `false` for a connection that asks without reading.
   */
  resume(connection: Connection, since: Since): boolean {
    const visitor = this.#all.get(connection);
    if (!visitor) return true;
    if (!connection.mayAsk()) return false;
    connection.page = since.page ?? connection.page;
    this.#resume(connection, visitor, since);
    return true;
  }

  /** A page has reported what it shows. */
  shown(connection: Connection, { cursor, age }: Shown): void {
    const position = this.#log.positionOf(cursor);
    if (position === undefined || position > this.#log.position || connection.hasEnded) return;
    this.#reported(connection, position, age);
  }

  /** A page has told something for the inspector, which there may not be. */
  noted(connection: Connection, note: Note): void {
    if (connection.hasEnded) return;
    if ("path" in note) this.#log.observer?.located(connection, note.path);
    else this.#log.observer?.missed(connection, note.misses);
  }

  /** Asks some pages what they show, those on WebSockets alone. */
  ask(connections: Iterable<Connection>): void {
    const now = this.#clock.now();
    for (const connection of connections) {
      if (!connection.reports || !connection.isTwoWay) continue;
      connection.ask(now);
      this.#flush(connection, now);
    }
  }

  /**
   * Resolves when the pages of an audience show everything up to a position, or after some milliseconds.
   */
  receipt({ to }: Audience, position: number, within: number): Promise<Receipt> {
    return this.#receipts.wait([...this.#addressed(to)], { position, within });
  }

  /** Removes a connection that has ended, as its client did unless this process has closed it. */
  remove(connection: Connection, how: "left" | "lost" = "left"): void {
    const visitor = this.#all.get(connection) ?? this.#zombies.get(connection);
    if (!visitor) return;
    this.#zombies.delete(connection);
    this.#takeOut(connection, how);
    visitor.release();
  }

  /**
   * Removes a connection that is being closed without waiting for its end, which a stuck one may never
   * report. It holds its place until it has ended.
   */
  forget(connection: Connection, close?: Close): void {
    const visitor = this.#all.get(connection);
    if (!visitor) return;
    connection.endedBy ??= close;
    if (!connection.carrier.endsLater) return this.remove(connection);
    this.#zombies.set(connection, visitor);
    this.#takeOut(connection);
  }

  /** Ends a connection whose client reconnects at once and asks for what it has not had. */
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

  /** Disconnects the connections of a name, after sending each what it is still owed. */
  disconnect(name: string): void {
    for (const connection of [...this.#listeners.of([name])]) {
      this.#flushLast(connection);
      this.#drop(connection, CLOSE.sentAway);
    }
  }

  /**
   * Closes all connections, after sending each what it is still owed: in random order within `window`
   * milliseconds, so that clients do not all reconnect at once.
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
      connection.endedBy = close;
      if (!connection.carrier.endsLater) this.remove(connection);
      this.#close(connection, close);
    }
  }

  /** Removes all remaining connections. */
  removeAll(): void {
    for (const connection of [...this.#all.keys()]) this.remove(connection, "lost");
    this.#receipts.end();
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
    const position = this.#log.positionOf(cursor);
    const isLost = how === "comes" && visitor.isLost;
    if (!isLost && position !== undefined && position <= this.#log.position) {
      this.#reported(connection, position);
    }
  }

  /** `age`: for how long the page has shown the position; `undefined` where that is not known. */
  #reported(connection: Connection, position: number, age?: number): void {
    const now = this.#clock.now();
    const isNew = age !== undefined && position > connection.shown;
    connection.reported(position, now, isNew ? this.#pushedAt(position, age) : undefined);
    this.#receipts.reported(connection, position);
  }

  /** When a position was reached, as if its page had reported it at once. */
  #pushedAt(position: number, age: number): number | undefined {
    const at = this.#times.at(position);
    return at === undefined ? undefined : at + age;
  }

  /** Unsubscribes pages from their topics and makes them fetch themselves, spread over a second. */
  #reload(connections: readonly Connection[], { delay = 0 } = {}): void {
    const first = this.#clock.now() + delay;
    for (const connection of connections) {
      const visitor = this.#all.get(connection);
      if (!visitor) continue; // a callback has removed it meanwhile
      this.#listen(connection, namesOf(visitor.as), { visitor, how: "stays" });
      connection.refresh();
      this.#defer(connection, first + Math.random() * (RELOAD_SPREAD - delay));
    }
  }

  #takeOut(connection: Connection, how: "left" | "lost" = "left"): void {
    const visitor = this.#all.get(connection);
    if (!visitor) return;
    this.#all.delete(connection);
    this.#sizes[visitor.transport]--;
    const end = connection.endedBy ? endOf(connection.endedBy) : how;
    const duration = this.#clock.now() - connection.openedAt;
    this.#instruments.ended(visitor.transport, end, duration);
    this.#tell("end", connection, visitor, { end, duration });
    this.#receipts.ended(connection);
    const { reason = end === "lost" ? "the connection was lost" : undefined } =
      connection.endedBy ?? {};
    this.#log.observer?.ended(connection, reason);
    this.#blocked.delete(connection);
    connection.hasEnded = true;
    this.#listen(connection, NO_NAMES, { visitor, how: "goes" });
    if (this.#all.size === 0) this.#rest();
  }

  /** Returns the grant where its topics were signed for this log and not revoked since. */
  #holding(grant: Grant | undefined): Grant | undefined {
    if (!grant || grant.topics.size === 0) return grant;
    const from = this.#log.positionOf(grant.from ?? "");
    return from === undefined || this.#log.isRevoked(grant.topics, from) ? undefined : grant;
  }

  /** Whether something was pushed to a page's topics after its cursor, but before it was allowed them. */
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

  // A frame belongs to one connection, so that a push to one page never waits for a push to another.
  #schedule(connection: Connection, now: number): void {
    const frameEnd = connection.pushedAt + this.#options.frame;
    if (now < frameEnd) return this.#defer(connection, frameEnd);
    if (this.#fresh.length === 0) queueMicrotask(() => this.#flushFresh());
    this.#fresh.push(connection);
  }

  #tell(
    what: ConnectionEvent["what"],
    { page }: Connection,
    { transport, as }: Visitor,
    ended?: { readonly end: End; readonly duration: number },
  ): void {
    if (!this.#options.onConnection) return;
    const names = as.map((name) => name.slice(1));
    this.#options.onConnection({
      what,
      transport: TRANSPORTS[transport],
      as: names,
      page,
      ...ended,
    });
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

  // A connection that was deferred while it was in the queue, or whose timer was early, is not due yet.
  #flushDue(connections: Iterable<Connection>): void {
    const now = this.#clock.now();
    const begin = performance.now();
    for (const connection of connections) {
      if (now >= connection.dueAt) this.#flush(connection, now);
      else if (connection.position !== undefined) this.#frames.add(connection, connection.dueAt);
    }
    this.#instruments.ticks.record((performance.now() - begin) / 1_000);
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

  // What cannot be sent now is never sent, because the connection is closed next.
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
    const interval = this.#options.heartbeat / 15;
    const due = this.#clock.now() + interval;
    this.#cancelBeat = this.#clock.later(() => {
      this.#instruments.delays.record(Math.max(0, this.#clock.now() - due) / 1_000);
      this.#beatLater();
      this.#sendHeartbeats();
    }, interval);
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

  /** Makes a connection listen to these names, and calls the callbacks where something changes. */
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
    this.forget(connection, close);
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
