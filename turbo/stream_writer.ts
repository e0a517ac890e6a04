/**
 * Writes single entries into the stream that the nodes of an app share, without following it.
 *
 * @module
 */
import { connect, type Connection, RefusedError, type Server } from "./redis_client.ts";
import { failureOf } from "./redis_errors.ts";
import { ask, canNumber } from "./redis_stream.ts";
import type { Command, Reply } from "./stream_commands.ts";
import { type Content, fieldsOf } from "./stream_entry.ts";

/** Options of {@linkcode StreamWriter}. */
export interface StreamWriterOptions {
  /** The server. */
  readonly server: Server;
  /** The key of the stream. */
  readonly key: string;
  /** Milliseconds after which a write fails. */
  readonly timeout: number;
}

/** Milliseconds between two attempts. */
const PAUSE = 100;
/** So large that this never trims the stream: the app's nodes decide how many entries it keeps. */
const MAX_ENTRIES = 100_000_000;

/** A writer, under a name of its own. It counts as no node, so nobody misses it when it is silent. */
export class StreamWriter {
  readonly #options: StreamWriterOptions;
  readonly #name: string;
  /** The name of this writer. By it and the number of an entry, nodes drop repetitions. */
  readonly #node: string = crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  #n = 0;
  #opened: Promise<Opened> | undefined;
  #epoch: number | undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  /** Does not connect before the first write. */
  constructor(options: StreamWriterOptions) {
    this.#options = options;
    this.#name = `Redis at ${options.server.name}`;
  }

  /**
   * Writes an entry. Resolves when the server has stored it. Entries keep their order, even where they are
   * not awaited. While the server cannot be reached the write is tried again; the entry counts once.
   *
   * @throws {Error} when the server has not stored it in time, or at once where it never will
   */
  async write(content: Content): Promise<void> {
    const turn = this.#last.then(() => this.#write(content));
    this.#last = turn.catch(() => {});
    await turn;
  }

  /** Waits for pending writes, then closes the connection. */
  async close(): Promise<void> {
    await this.#last;
    this.#closing.abort();
    const opened = await this.#opened?.catch(() => undefined);
    opened?.connection.close();
    this.#opened = undefined;
  }

  async #write(content: Content): Promise<void> {
    if (this.#closing.signal.aborted) throw new Error("Cannot push: the Pusher is closed");
    const adding = { n: ++this.#n, content, attempt: 0, isUnanswered: false };
    const end = performance.now() + this.#options.timeout;
    let reason = "it has not answered";
    for (;;) {
      try {
        const outcome = await before(end, this.#try(adding));
        if (outcome === "added") return;
        reason = outcome;
      } catch (error) {
        this.#drop();
        if (error !== LATE) reason = this.#reasonOf(error);
      }
      if (performance.now() + PAUSE >= end) break;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    const doubt = adding.isUnanswered ? "; it may come all the same" : "";
    throw new Error(
      `Cannot push by ${this.#name} within ${this.#options.timeout} ms: ${reason}${doubt}`,
    );
  }

  /** The reason of a failure that may pass. @throws {Error} for one that will not */
  #reasonOf(error: unknown): string {
    const { server, key } = this.#options;
    const { reason, isFatal } = failureOf(error, { server: server.name, key });
    if (!isFatal) return reason;
    throw new Error(`Cannot push by ${this.#name}: ${reason}`, { cause: error });
  }

  async #try(adding: Adding): Promise<string> {
    const { connection, isScripted } = await (this.#opened ??= this.#open());
    const options = { key: this.#options.key, maxEntries: MAX_ENTRIES, isScripted };
    const answer = <R extends Reply>(command: Command) => {
      return ask(connection, command, options) as Promise<R>;
    };
    if (this.#epoch === undefined) {
      const { newest } = await answer<Reply & { kind: "look" }>({ kind: "look", at: undefined });
      this.#epoch = newest?.epoch;
    }
    if (this.#epoch === undefined) {
      return `no app has begun a stream under the key ${this.#options.key}`;
    }
    const { n, content } = adding;
    const fields = fieldsOf({ node: this.#node, n, attempt: ++adding.attempt, content });
    const add: Command = { kind: "add", id: n, epoch: this.#epoch, fields };
    adding.isUnanswered = true;
    const reply = await answer<Reply & { kind: "add" }>(add);
    adding.isUnanswered = false;
    if (reply.result === "refused") throw new RefusedError(reply.reason);
    if (reply.result !== "added") this.#epoch = undefined;
    return reply.result;
  }

  async #open(): Promise<Opened> {
    const connection = await connect(this.#options.server, this.#closing.signal);
    try {
      const isScripted = !await canNumber(connection, this.#options.key);
      const opened = { connection, isScripted };
      connection.ended.then(() => this.#drop(opened));
      return opened;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Drops a connection that has ended or whose state is unknown: the next attempt opens another. */
  #drop(ended?: Opened): void {
    const opened = this.#opened;
    if (!opened) return;
    this.#opened = undefined;
    opened.then((one) => {
      if (ended && one !== ended) this.#opened = opened;
      else one.connection.close();
    }, () => {});
  }
}

/** A push in progress. */
interface Adding {
  readonly n: number;
  readonly content: Content;
  /** How many times it was sent. */
  attempt: number;
  /** Whether it was sent and its fate is unknown. */
  isUnanswered: boolean;
}

interface Opened {
  readonly connection: Connection;
  readonly isScripted: boolean;
}

/** The reason with which a promise that takes too long is rejected. */
const LATE = new Error("too late");

async function before<T>(end: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(LATE), Math.max(1, end - performance.now()));
  });
  promise.catch(() => {}); // it may reject after the time is over
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
