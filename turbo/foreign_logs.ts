/**
 * Pages that come with a cursor of another log than the one that they ask.
 *
 * After a restart each page does so once, and fetches itself; a second time where its connection is lost
 * meanwhile. Where two `Turbo` instances or processes answer for one app, the pages of one ask the other
 * again and again.
 *
 * @module
 */
import { quote } from "./checks.ts";
import type { Log } from "./log.ts";
import { parseCursor } from "./protocol.ts";

/** How often one page asks in the name of one log that is not here before that is told. */
const TOO_OFTEN = 3;
/** Pages that are remembered, those that asked last. */
const MAX_PAGES = 1_000;

/** The logs of this process that are in use. Who forgets to close one does not keep it. */
const logs = new Set<WeakRef<Log>>();

/** Tells, once, that another log than this one is asked for. */
export class ForeignLogs {
  readonly #own: WeakRef<Log>;
  readonly #notice: (message: string) => void;
  /** How often each page has asked in the name of which log, in the order in which they asked last. */
  readonly #pages = new Map<string, { readonly epoch: string; readonly count: number }>();
  #isTold = false;

  /**
   * From now on the log is in use. One that is the copy of an order of many nodes is not told of here:
   * while that is away, each node of it has an order of its own.
   */
  constructor(log: Log, notice: (message: string) => void, { isShared = false } = {}) {
    this.#own = new WeakRef(log);
    this.#notice = notice;
    for (const other of logs) if (!other.deref()) logs.delete(other);
    if (!isShared) logs.add(this.#own);
  }

  /** The log is no longer in use: another one may take its place, as after a restart. */
  close(): void {
    logs.delete(this.#own);
  }

  /** A page asks with a cursor that the log does not know. */
  asked(cursor: string, page: string | undefined): void {
    if (this.#isTold) return;
    if (this.#isOfThisProcess(cursor)) {
      return this.#tell(
        `A page of another Turbo of this process asks this one (cursor ${quote(cursor)}): make ` +
          "one Turbo, and use it for head(), push() and connect() alike",
      );
    }
    const epoch = parseCursor(cursor)?.epoch;
    if (epoch === undefined || page === undefined) return;
    if (this.#count(page, epoch) < TOO_OFTEN) return;
    this.#tell(
      `A page of another log keeps asking this one (cursor ${
        quote(cursor)
      }): two Turbo instances ` +
        "or processes answer for one app. Make one Turbo for all routes, or give the processes one engine",
    );
  }

  #isOfThisProcess(cursor: string): boolean {
    for (const log of logs) if (log.deref()?.positionOf(cursor) !== undefined) return true;
    return false;
  }

  #count(page: string, epoch: string): number {
    const before = this.#pages.get(page);
    const count = before?.epoch === epoch ? before.count + 1 : 1;
    this.#pages.delete(page);
    this.#pages.set(page, { epoch, count });
    if (this.#pages.size > MAX_PAGES) this.#pages.delete(this.#pages.keys().next().value!);
    return count;
  }

  #tell(message: string): void {
    this.#isTold = true;
    this.#pages.clear();
    this.#notice(message);
  }
}
