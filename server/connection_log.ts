/**
 * Logs connections: the opening and the end of each at the level debug, and as one warning the readers that
 * were dropped within a second.
 *
 * @module
 */
import type { Log } from "./log.ts";

/** A connection that has opened or ended; the `ConnectionEvent` of the extension, which is not imported here. */
export interface ConnectionEvent {
  /** What has happened. */
  readonly what: "open" | "end";
  /** Its transport, such as `websocket`. */
  readonly transport: string;
  /** The id of its page, where that has told it. */
  readonly page: string | undefined;
  /** How it ended, such as `left` or `tooSlow`. */
  readonly end?: string | undefined;
  /** For how many milliseconds it was open. */
  readonly duration?: number | undefined;
}

/** Options of a {@linkcode ConnectionLog}. */
export interface ConnectionLogOptions {
  /** Receives the events. */
  log: Pick<Log, "warn" | "debug">;
  /** How many connections are open. */
  size: () => number;
  /** Milliseconds in which connections that were ended for one reason are one event. Default 1,000. */
  interval?: number;
}

/** Why a connection was ended, as a reader of the log is told, by how it ended. */
const FAULTS: Readonly<Record<string, string>> = {
  tooSlow: "took too little",
  doesNotRead: "took too little",
  binary: "sent what is not allowed",
  notSince: "sent what is not allowed",
  tooMany: "sent what is not allowed",
  tooLong: "sent what is not allowed",
};

/**
 * Logs connections. A reader that is dropped is a warning, and ten thousand that are dropped within a second
 * are one, too.
 */
export class ConnectionLog implements Disposable {
  readonly #options: Required<ConnectionLogOptions>;
  /** How many were dropped, by why, since the last warning. */
  readonly #dropped = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Starts without events. */
  constructor(options: ConnectionLogOptions) {
    this.#options = { interval: 1_000, ...options };
  }

  /** Logs that a connection has opened or ended. */
  add({ what, transport, page, end, duration }: ConnectionEvent): void {
    const { log, size, interval } = this.#options;
    const connections = size();
    if (what === "open") {
      log.debug("Connection opened", { transport, page, connections });
      return;
    }
    const duration_ms = duration === undefined ? undefined : Math.round(duration);
    log.debug(`Connection ended: ${end}`, { transport, page, end, duration_ms, connections });
    const fault = FAULTS[end ?? ""];
    if (fault === undefined) return;
    this.#dropped.set(fault, (this.#dropped.get(fault) ?? 0) + 1);
    this.#timer ??= setTimeout(() => this.#warn(), interval);
  }

  /** Warns of what was not reported yet. */
  [Symbol.dispose](): void {
    this.#warn();
  }

  #warn(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const connections = this.#options.size();
    for (const [fault, dropped] of this.#dropped) {
      const readers = dropped === 1 ? "reader" : "readers";
      this.#options.log.warn(`Dropped ${dropped} ${readers} that ${fault}`, {
        dropped,
        connections,
      });
    }
    this.#dropped.clear();
  }
}
