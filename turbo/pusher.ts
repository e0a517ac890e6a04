/**
 * Pushes from outside the app's own processes into the open pages of every node.
 *
 * @module
 */
import { audienceOf, type PushOptions } from "./audience.ts";
import { checkOptions, checkValue, milliseconds, type Rule } from "./checks.ts";
import { serverOf } from "./redis_client.ts";
import { KEY_RULE, URL_RULE } from "./redis_options.ts";
import { StreamWriter } from "./stream_writer.ts";
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
  readonly #writer: StreamWriter;

  /**
   * Does not connect before the first push.
   *
   * @throws {TypeError | RangeError} when an option is wrong or unknown
   */
  constructor(options: PusherOptions) {
    const { url, key = "turbo", timeout = 5_000 } = checkOptions("Pusher", options, RULES);
    checkValue("Pusher", "url", url, URL_RULE);
    this.#writer = new StreamWriter({ server: serverOf(url)!, key, timeout });
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
    const audience = audienceOf(options);
    if (html !== "") await this.#writer.write({ kind: "streams", html, ...audience });
  }

  /** Waits for pending pushes, then closes the connection. */
  close(): Promise<void> {
    return this.#writer.close();
  }

  /** The same as {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
