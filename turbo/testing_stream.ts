/**
 * The connection of a page without a browser to its stream, by server-sent events.
 *
 * @module
 */
import { quote } from "./checks.ts";
import type { Follower, Shown } from "./client_core.js";
import { mediaTypeOf } from "./request.ts";
import type { DomElement } from "./testing_document.ts";
import { eventsIn } from "./testing_events.ts";
import type { Requests } from "./testing_requests.ts";

/** Options of a {@linkcode TestStream}. */
export interface StreamOptions {
  /** Sends requests to the app. */
  readonly requests: Requests;
  /** Receives all messages, and the state of the connection. */
  readonly follower: Follower<DomElement>;
  /** The URL of the page. */
  address(): URL;
  /** Called when a message has arrived. */
  received(): void;
  /** Called when the server has disconnected the reader, who must not reconnect. */
  sentAway(): void;
  /** Called when the connection was lost or did not open. It is opened again. */
  lost(problem: string): void;
}

/** Milliseconds before the connection is opened again. A browser waits longer, too long for tests. */
const RETRY_AFTER = 50;

/** The connection of a page to its stream. */
export class TestStream {
  readonly #options: StreamOptions;
  /** The connection that is open or opening. */
  #source: { reader?: ReadableStreamDefaultReader<Uint8Array> } | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #listening = new Set<Promise<void>>();

  /** Starts without a connection. */
  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** Whether the connection is open or opening. */
  get isThere(): boolean {
    return this.#source !== undefined;
  }

  /** Opens the connection, where it is neither open nor opening. */
  connect(): void {
    const { follower } = this.#options;
    if (this.#source || !follower.shown) return;
    clearTimeout(this.#retry);
    follower.connecting(true);
    const listening = this.#listen(this.#source = {}, follower.shown)
      .finally(() => this.#listening.delete(listening));
    this.#listening.add(listening);
  }

  /** Opens the connection again. */
  reconnect(): void {
    this.#end();
    this.connect();
  }

  /** Ends the connection. Resolves when all its work has ended. */
  async rest(): Promise<void> {
    this.#end();
    clearTimeout(this.#retry);
    await Promise.all(this.#listening);
  }

  async #listen(
    source: { reader?: ReadableStreamDefaultReader<Uint8Array> },
    { id, oldest, path, token }: Shown<DomElement>,
  ): Promise<void> {
    const { requests, follower, address, received, sentAway } = this.#options;
    const url = new URL(path, address());
    url.searchParams.set("page", id);
    url.searchParams.set("since", oldest);
    if (token !== "") url.searchParams.set("token", token);
    const isGone = () => source !== this.#source;
    try {
      const { response } = await requests.ask(url, { headers: { Accept: "text/event-stream" } });
      const isStream = response.ok && mediaTypeOf(response) === "text/event-stream";
      if (isGone() || !isStream || !response.body) {
        const words = await wordsIn(response);
        if (!isGone()) this.#lost(`its stream ${path} answered ${words}`);
        return;
      }
      source.reader = response.body.getReader();
      follower.connected();
      for await (const events of eventsIn(source.reader)) {
        for (const { type, id: cursor, data } of events) {
          if (isGone()) return;
          if (type === "away") sentAway();
          else if (type === "again") this.reconnect();
          else {
            follower.receive([{ cursor, html: data }]);
            received();
          }
        }
      }
      if (!isGone()) this.#lost(`its stream ${path} ended`);
    } catch (error) {
      if (!isGone()) this.#lost(`its stream ${path} failed: ${error}`);
    }
  }

  #lost(problem: string): void {
    this.#options.lost(problem);
    this.#end();
    this.#retry = setTimeout(() => this.connect(), RETRY_AFTER);
  }

  #end(): void {
    const source = this.#source;
    if (!source) return;
    this.#source = undefined;
    this.#options.follower.disconnected();
    source.reader?.cancel().catch(() => {}); // rejects where the body has failed, which is reported already
  }
}

/** An unexpected answer in words. */
async function wordsIn(response: Response): Promise<string> {
  const { status } = response;
  if (!response.ok) return `${status} ${quote(await response.text())}`;
  await response.body?.cancel(); // the body may be endless
  return `${status} ${mediaTypeOf(response)}`;
}
