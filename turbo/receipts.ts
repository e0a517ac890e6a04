/**
 * Receipts: which pages show what was pushed.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { Connection } from "./connection.ts";

/** Who shows what was pushed. */
export interface Receipt {
  /** How many of the pages show it. */
  readonly shown: number;
  /**
   * How many were connected when the call was made and are not known to show it, those whose client cannot
   * tell included, such as Turbo's own `<turbo-stream-source>`.
   */
  readonly missing: number;
}

/**
 * A page that a call waits for and that has no connection now, or several: one may have been cut unnoticed.
 */
interface Awaited {
  /** Its {@linkcode idOf}. */
  readonly id: string;
  readonly connections: Set<Connection>;
}

/** A call that waits for pages. */
class Waiting {
  readonly position: number;
  readonly done: () => void;
  shown = 0;
  missing = 0;
  /** The connections of pages that have one. Most have, so a call takes little memory for each. */
  readonly #single = new Set<Connection>();
  #singleById: Map<string, Connection> | undefined;
  /** The other pages, by their ids, and by their connections. */
  readonly #byId = new Map<string, Awaited>();
  readonly #byConnection = new Map<Connection, Awaited>();

  constructor(connections: readonly Connection[], position: number, done: () => void) {
    this.position = position;
    this.done = done;
    const first = new Map<string, Connection>();
    for (const connection of connections) this.#add(connection, first);
    const isShown = ({ shown }: Connection) => shown >= position;
    for (const connection of this.#single) {
      if (isShown(connection)) this.#settle(connection, "shown");
      else if (!connection.reports) this.#settle(connection, "missing");
    }
    for (const page of this.#byId.values()) {
      const connections = [...page.connections];
      if (connections.some(isShown)) this.#settle(page, "shown");
      else if (!connections.some(({ reports }) => reports)) this.#settle(page, "missing");
    }
  }

  /** The connections of the pages that have not reported yet. */
  get connections(): readonly Connection[] {
    return [...this.#single, ...this.#byConnection.keys()];
  }

  /** Whether no page is left to wait for. */
  get isOver(): boolean {
    return this.#left === 0;
  }

  /** What is known now. */
  get receipt(): Receipt {
    return { shown: this.shown, missing: this.missing + this.#left };
  }

  reported(connection: Connection, position: number): void {
    const page = this.#single.has(connection) ? connection : this.#pageOf(connection);
    if (!page) return;
    if (position >= this.position) return this.#settle(page, "shown");
    // It has come back on another connection, and renders what it missed in a moment. Its old connection may
    // have been cut, and end later.
    if (page !== connection) this.#join(page, connection);
  }

  ended(connection: Connection): void {
    const page = this.#byConnection.get(connection);
    page?.connections.delete(connection);
    this.#byConnection.delete(connection);
    if (!this.#single.has(connection)) return;
    // A page that has an id is recognized when it comes back.
    const id = idOf(connection);
    if (id === undefined || this.#byId.has(id)) return this.#settle(connection, "missing");
    this.#single.delete(connection);
    this.#byId.set(id, { id, connections: new Set() });
  }

  get #left(): number {
    return this.#single.size + this.#byId.size;
  }

  #pageOf(connection: Connection): Awaited | Connection | undefined {
    const page = this.#byConnection.get(connection);
    const id = idOf(connection);
    if (page || id === undefined) return page;
    return this.#byId.get(id) ?? this.#otherOf(id);
  }

  /** The single connection of a page. Few calls need to look for one, so the index is made late. */
  #otherOf(id: string): Connection | undefined {
    this.#singleById ??= new Map([...this.#single].map((other) => [idOf(other) ?? "", other]));
    const other = this.#singleById.get(id);
    return other && this.#single.has(other) && idOf(other) === id ? other : undefined;
  }

  /** A page has another connection. */
  #join(page: Awaited | Connection, connection: Connection): void {
    if (!(page instanceof Connection)) {
      page.connections.add(connection);
      this.#byConnection.set(connection, page);
      return;
    }
    const id = idOf(connection)!; // by which it was recognized
    const joined = { id, connections: new Set([page, connection]) };
    this.#single.delete(page);
    this.#byId.set(id, joined);
    for (const one of joined.connections) this.#byConnection.set(one, joined);
  }

  /** `first` has the connection of each page that was added first. */
  #add(connection: Connection, first: Map<string, Connection>): void {
    const id = idOf(connection);
    const other = id === undefined ? undefined : first.get(id);
    if (id === undefined || !other) {
      this.#single.add(connection);
      if (id !== undefined) first.set(id, connection);
      return;
    }
    this.#single.delete(other);
    const page = this.#byId.get(id) ?? { id, connections: new Set([other]) };
    page.connections.add(connection);
    this.#byId.set(id, page);
    for (const one of page.connections) this.#byConnection.set(one, page);
  }

  #settle(page: Connection | Awaited, how: "shown" | "missing"): void {
    this[how]++;
    if (page instanceof Connection) this.#single.delete(page);
    else {
      this.#byId.delete(page.id);
      for (const connection of page.connections) this.#byConnection.delete(connection);
    }
    if (this.isOver) this.done();
  }
}

/**
 * By what a page is recognized on another connection: its id, and its reader, because anyone can claim the id
 * of another page; `undefined` where it has told no id.
 */
function idOf({ page, as }: Connection): string | undefined {
  return page === undefined || as.length === 0 ? page : JSON.stringify([page, as]);
}

/** Milliseconds after which a page that has not answered is asked again: it drops what it is not shown. */
const ASK_AGAIN = 1_000;

/** The calls that wait for pages to show what was pushed. */
export class Receipts {
  readonly #clock: Clock;
  readonly #ask: (connection: Connection) => void;
  readonly #waiting = new Set<Waiting>();
  #cancel: (() => void) | undefined;

  /** Starts without calls; `ask` makes a page report what it shows. */
  constructor(clock: Clock, ask: (connection: Connection) => void) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Resolves when all pages that can tell show a position, or after `within` milliseconds. */
  async wait(
    connections: readonly Connection[],
    { position, within }: { position: number; within: number },
  ): Promise<Receipt> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = new Waiting(connections, position, resolve);
    if (waiting.isOver) return waiting.receipt;
    this.#waiting.add(waiting);
    this.#askAll(waiting.connections);
    this.#askLater();
    const cancel = this.#clock.later(resolve, within);
    await promise;
    cancel();
    this.#waiting.delete(waiting);
    this.#rest();
    return waiting.receipt;
  }

  /** A page has reported that it shows a position. */
  reported(connection: Connection, position: number): void {
    for (const waiting of this.#waiting) waiting.reported(connection, position);
  }

  /** A connection has ended. Its page may come back on another one. */
  ended(connection: Connection): void {
    for (const waiting of this.#waiting) waiting.ended(connection);
  }

  /** Ends all calls, with what is known. */
  end(): void {
    for (const { done } of this.#waiting) done();
    this.#waiting.clear();
    this.#rest();
  }

  /** Asks the pages that can tell. */
  #askAll(connections: Iterable<Connection>): void {
    for (const connection of [...connections]) if (connection.reports) this.#ask(connection);
  }

  #askLater(): void {
    this.#cancel ??= this.#clock.later(() => {
      this.#cancel = undefined;
      this.#askAll(new Set([...this.#waiting].flatMap(({ connections }) => connections)));
      this.#askLater();
    }, ASK_AGAIN);
  }

  #rest(): void {
    if (this.#waiting.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
