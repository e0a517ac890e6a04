/**
 * Detects pages whose cursor is of another log than the one that serves their connection.
 *
 * After a restart each page connects once with a cursor of the old log and then fetches itself; it does
 * so twice where its connection is lost meanwhile. Where two `Turbo` instances or processes answer for
 * one app, the pages of one connect to the other again and again.
 *
 * @module
 */
import { quote } from "./checks.ts";
import type { Log } from "./log.ts";
import { parseCursor } from "./protocol.ts";

/** How often one page asks with a cursor of one foreign log before that is reported. */
const TOO_OFTEN = 3;
/** How many pages are remembered: those that asked last. */
const MAX_PAGES = 1_000;

/** The logs in use in this process. Weak, so that a log that was never closed can be collected. */
const logs = new Set<WeakRef<Log>>();

/** Reports, once, that pages ask for another log than this one. */
export class ForeignLogs {
  readonly #own: WeakRef<Log>;
  readonly #notice: (message: string) => void;
  /** For each page, the foreign log and how often the page asked with it; least recently asked first. */
  readonly #pages = new Map<string, { readonly epoch: string; readonly count: number }>();
  #isTold = false;

  /**
   * Registers the log as in use. A log that many nodes share is not registered: while its server is away,
   * each node continues with a log of its own.
   */
  constructor(log: Log, notice: (message: string) => void, { isShared = false } = {}) {
    this.#own = new WeakRef(log);
    this.#notice = notice;
    for (const other of logs) if (!other.deref()) logs.delete(other);
    if (!isShared) logs.add(this.#own);
  }

  /** The log is no longer in use: another may take its place, such as after a restart. */
  close(): void {
    logs.delete(this.#own);
  }

  /** Call when a page asks with a cursor that the log does not know. */
  asked(cursor: string, page: string | undefined): void {
    if (this.#isTold) return;
    if (this.#isOfThisProcess(cursor)) {
      return this.#report(
        `A page of another Turbo of this process asks this one (cursor ${quote(cursor)}): make ` +
          "one Turbo, and use it for head(), push() and connect() alike",
      );
    }
    const epoch = parseCursor(cursor)?.epoch;
    if (epoch === undefined || page === undefined) return;
    if (this.#count(page, epoch) < TOO_OFTEN) return;
    this.#report(
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

  #report(message: string): void {
    this.#isTold = true;
    this.#pages.clear();
    this.#notice(message);
  }
}
