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

/** A call that waits for pages. */
interface Waiting {
  readonly position: number;
  /** The connections whose pages have not reported yet. */
  readonly connections: Set<Connection>;
  /** The ids of pages whose connection has ended: they may come back on another one. */
  readonly pages: Set<string>;
  shown: number;
  readonly all: number;
  readonly done: () => void;
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
    const open = connections.filter(({ shown }) => shown < position);
    const waiting: Waiting = {
      position,
      connections: new Set(open.filter(({ reports }) => reports)),
      pages: new Set(),
      shown: connections.length - open.length,
      all: connections.length,
      done: resolve,
    };
    if (waiting.connections.size > 0) {
      this.#waiting.add(waiting);
      for (const connection of waiting.connections) this.#ask(connection);
      this.#askLater();
      const cancel = this.#clock.later(resolve, within);
      await promise;
      cancel();
      this.#waiting.delete(waiting);
      this.#rest();
    }
    return { shown: waiting.shown, missing: waiting.all - waiting.shown };
  }

  /** A page has reported that it shows a position. */
  reported(connection: Connection, position: number): void {
    for (const waiting of this.#waiting) {
      if (position < waiting.position) {
        // Its page may be back, and shows what it missed as soon as it has rendered it.
        if (this.#isBack(connection, waiting)) waiting.connections.add(connection);
        continue;
      }
      if (waiting.connections.delete(connection) || this.#isBack(connection, waiting)) {
        waiting.shown++;
        this.#settle(waiting);
      }
    }
  }

  /** A connection has ended. Its page may come back on another one. */
  ended(connection: Connection): void {
    for (const waiting of this.#waiting) {
      if (!waiting.connections.delete(connection)) continue;
      if (connection.page !== undefined) waiting.pages.add(connection.page);
      this.#settle(waiting);
    }
  }

  /** Ends all calls, with what is known. */
  close(): void {
    for (const { done } of this.#waiting) done();
  }

  #isBack({ page }: Connection, { pages }: Waiting): boolean {
    return page !== undefined && pages.delete(page);
  }

  #settle({ connections, pages, done }: Waiting): void {
    if (connections.size === 0 && pages.size === 0) done();
  }

  #askLater(): void {
    this.#cancel ??= this.#clock.later(() => {
      this.#cancel = undefined;
      const late = new Set([...this.#waiting].flatMap(({ connections }) => [...connections]));
      for (const connection of late) this.#ask(connection);
      this.#askLater();
    }, ASK_AGAIN);
  }

  #rest(): void {
    if (this.#waiting.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
