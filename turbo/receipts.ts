/**
 * Receipts: which pages show what was pushed.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";

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

/** A page that a call waits for. It may have several connections: one may have been cut unnoticed. */
interface Awaited {
  /** Its {@linkcode idOf}. */
  readonly id: string | undefined;
  readonly connections: Set<Connection>;
}

/** A call that waits for pages. */
class Waiting {
  readonly position: number;
  readonly done: () => void;
  shown = 0;
  missing = 0;
  readonly #pages = new Set<Awaited>();
  readonly #byConnection = new Map<Connection, Awaited>();
  readonly #byId = new Map<string, Awaited>();

  constructor(connections: readonly Connection[], position: number, done: () => void) {
    this.position = position;
    this.done = done;
    for (const connection of connections) this.#add(connection);
    const isShown = ({ connections }: Awaited) =>
      [...connections].some(({ shown }) => shown >= position);
    for (const page of [...this.#pages]) if (isShown(page)) this.#settle(page, "shown");
    const reports = ({ connections }: Awaited) => [...connections].some(({ reports }) => reports);
    for (const page of [...this.#pages]) if (!reports(page)) this.#settle(page, "missing");
  }

  /** The connections of the pages that have not reported yet. */
  get connections(): Iterable<Connection> {
    return this.#byConnection.keys();
  }

  /** Whether no page is left to wait for. */
  get isOver(): boolean {
    return this.#pages.size === 0;
  }

  /** What is known now. */
  get receipt(): Receipt {
    return { shown: this.shown, missing: this.missing + this.#pages.size };
  }

  reported(connection: Connection, position: number): void {
    const page = this.#byConnection.get(connection) ?? this.#byId.get(idOf(connection) ?? "");
    if (!page) return;
    if (position >= this.position) return this.#settle(page, "shown");
    // It has come back on another connection, and renders what it missed in a moment.
    page.connections.add(connection);
    this.#byConnection.set(connection, page);
  }

  ended(connection: Connection): void {
    const page = this.#byConnection.get(connection);
    if (!page) return;
    page.connections.delete(connection);
    this.#byConnection.delete(connection);
    // A page that has an id is recognized when it comes back.
    if (page.id === undefined) this.#settle(page, "missing");
  }

  #add(connection: Connection): void {
    const id = idOf(connection);
    const page = (id !== undefined && this.#byId.get(id)) ||
      { id, connections: new Set<Connection>() };
    page.connections.add(connection);
    this.#pages.add(page);
    this.#byConnection.set(connection, page);
    if (id !== undefined) this.#byId.set(id, page);
  }

  #settle(page: Awaited, how: "shown" | "missing"): void {
    this[how]++;
    this.#pages.delete(page);
    for (const connection of page.connections) this.#byConnection.delete(connection);
    if (page.id !== undefined) this.#byId.delete(page.id);
    if (this.isOver) this.done();
  }
}

/**
 * By what a page is recognized on another connection: its id, and its reader, because anyone can claim the id
 * of another page; `undefined` where it has told no id.
 */
function idOf({ page, as }: Connection): string | undefined {
  return page === undefined ? undefined : JSON.stringify([page, as]);
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
      this.#askAll(new Set([...this.#waiting].flatMap(({ connections }) => [...connections])));
      this.#askLater();
    }, ASK_AGAIN);
  }

  #rest(): void {
    if (this.#waiting.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
