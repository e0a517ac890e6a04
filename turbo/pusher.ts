/**
 * Pushes from outside the app's own processes into the open pages of every node.
 *
 * @module
 */
import { audienceOf, type PushOptions } from "./audience.ts";
import { checkOptions, checkValue, milliseconds, type Rule } from "./checks.ts";
import { connect, type Connection, RefusedError, type Server, serverOf } from "./redis_client.ts";
import { failureOf } from "./redis_errors.ts";
import { KEY_RULE, URL_RULE } from "./redis_options.ts";
import { ask, canNumber } from "./redis_stream.ts";
import type { Command, Reply } from "./stream_commands.ts";
import { type Content, fieldsOf } from "./stream_entry.ts";
import { joinStreams, type Streams } from "./streams.ts";

/** Options of {@linkcode Pusher}. */
export interface PusherOptions {
  /** The URL of the server that the app's engine uses, `redis://…` or `rediss://…`. */
  url: string;
  /** The key that the app's engine uses. Default `turbo`. */
  key?: string;
  /** Milliseconds after which a push fails. Default 5,000. */
  timeout?: number;
}

const RULES = {
  url: URL_RULE,
  key: KEY_RULE,
  timeout: milliseconds(10, 3_600_000),
} satisfies Record<keyof PusherOptions, Rule>;

/** Milliseconds between two attempts. */
const PAUSE = 100;
/** So large that this never trims the stream: the app's nodes decide how many entries it keeps. */
const MAX_ENTRIES = 100_000_000;

/**
 * Pushes into the open pages of an app from another program, such as a worker or a cron job, through the
 * Redis or Valkey server that the app's nodes share. It needs no secret but the server's password. A push
 * to an app that has never run fails.
 *
 * As with any push, write to the app's data first and push then, because a page that fetches itself reads
 * the data. Where others change the same data at the same time, let the app itself push a function that
 * renders it (`turbo.push(() => …)`).
 *
 * @example A job that shows its progress
 * ```ts
 * import { html, replace } from "./mod.ts";
 * import { Pusher } from "./pusher.ts";
 *
 * export async function work(url: string): Promise<void> {
 *   await using pages = new Pusher({ url });
 *   for (let done = 0; done <= 100; done += 10) {
 *     await pages.push(replace("done", html`<b id="done">${done} %</b>`), { to: "ann" });
 *   }
 * }
 * ```
 */
export class Pusher implements AsyncDisposable {
  readonly #server: Server;
  readonly #name: string;
  readonly #key: string;
  readonly #timeout: number;
  /** The name of this writer. By it and the number of a push, nodes drop repetitions. */
  readonly #node: string = crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  #n = 0;
  #opened: Promise<Opened> | undefined;
  #epoch: number | undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  /**
   * Does not connect before the first push.
   *
   * @throws {TypeError | RangeError} when an option is wrong or unknown
   */
  constructor(options: PusherOptions) {
    const { url, key = "turbo", timeout = 5_000 } = checkOptions("Pusher", options, RULES);
    checkValue("Pusher", "url", url, URL_RULE);
    this.#server = serverOf(url)!;
    this.#name = `Redis at ${this.#server.name}`;
    [this.#key, this.#timeout] = [key, timeout];
  }

  /**
   * Pushes one stream, or a list of streams as one message, to everyone or to those named, as `Turbo.push`
   * does. Resolves when the server has stored it; each node then delivers it, in the order of all pushes.
   * Pushes of one `Pusher` keep their order, even where they are not awaited. While the server cannot be
   * reached the push is tried again; pages receive it once all the same.
   *
   * @throws {TypeError | RangeError} when a stream, a name or an option is wrong
   * @throws {Error} when the server has not stored it in time, or at once where it never will
   */
  async push(streams: Streams, options: PushOptions = {}): Promise<void> {
    const html = joinStreams(streams);
    const content: Content = { kind: "streams", html, ...audienceOf(options) };
    if (html === "") return;
    const turn = this.#last.then(() => this.#push(content));
    this.#last = turn.catch(() => {});
    await turn;
  }

  /** Waits for pending pushes, then closes the connection. */
  async close(): Promise<void> {
    await this.#last;
    this.#closing.abort();
    const opened = await this.#opened?.catch(() => undefined);
    opened?.connection.close();
    this.#opened = undefined;
  }

  /** The same as {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #push(content: Content): Promise<void> {
    if (this.#closing.signal.aborted) throw new Error("Cannot push: the Pusher is closed");
    const adding = { n: ++this.#n, content, attempt: 0, isUnanswered: false };
    const end = performance.now() + this.#timeout;
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
    throw new Error(`Cannot push by ${this.#name} within ${this.#timeout} ms: ${reason}${doubt}`);
  }

  /** The reason of a failure that may pass. @throws {Error} for one that will not */
  #reasonOf(error: unknown): string {
    const { reason, isFatal } = failureOf(error, { server: this.#server.name, key: this.#key });
    if (!isFatal) return reason;
    throw new Error(`Cannot push by ${this.#name}: ${reason}`, { cause: error });
  }

  async #try(adding: Adding): Promise<string> {
    const { connection, isScripted } = await (this.#opened ??= this.#open());
    const options = { key: this.#key, maxEntries: MAX_ENTRIES, isScripted };
    const answer = <R extends Reply>(command: Command) => {
      return ask(connection, command, options) as Promise<R>;
    };
    if (this.#epoch === undefined) {
      const { newest } = await answer<Reply & { kind: "look" }>({ kind: "look", at: undefined });
      this.#epoch = newest?.epoch;
    }
    if (this.#epoch === undefined) return `no app has begun a stream under the key ${this.#key}`;
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
    const connection = await connect(this.#server, this.#closing.signal);
    try {
      const isScripted = !await canNumber(connection, this.#key);
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
