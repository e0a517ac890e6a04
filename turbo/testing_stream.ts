/**
 * The connection of a page without a browser to its stream, by server-sent events.
 *
 * @module
 */
import { quote } from "./checks.ts";
import type { Follower, Shown } from "./client_core.js";
import type { DomElement } from "./testing_document.ts";
import { eventsIn } from "./testing_events.ts";
import { type Requests, typeOf } from "./testing_requests.ts";

/** What a {@linkcode TestStream} acts through. */
export interface StreamOptions {
  /** What asks the app. */
  readonly requests: Requests;
  /** What receives all that comes. */
  readonly follower: Follower<DomElement>;
  /** The address of the page. */
  address(): URL;
  /** Something has come. */
  received(): void;
  /** The server has sent the page away. */
  sentAway(): void;
  /** The connection was lost, or not had; it is tried again. */
  lost(problem: string): void;
}

/** Milliseconds until it is tried again: a browser waits longer, which is for tests too long. */
const RETRY_AFTER = 50;

/** The connection. */
export class TestStream {
  readonly #options: StreamOptions;
  /** What is being opened, or is open. */
  #source: { reader?: ReadableStreamDefaultReader<Uint8Array> } | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #listening = new Set<Promise<void>>();

  /** Not connected. */
  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** Whether it is open or being opened. */
  get isThere(): boolean {
    return this.#source !== undefined;
  }

  /** Connects, where it is neither connected nor connecting. */
  connect(): void {
    const { follower } = this.#options;
    if (this.#source || !follower.shown) return;
    clearTimeout(this.#retry);
    follower.connecting(true);
    const listening = this.#listen(this.#source = {}, follower.shown)
      .finally(() => this.#listening.delete(listening));
    this.#listening.add(listening);
  }

  /** Connects again. */
  reconnect(): void {
    this.#end();
    this.connect();
  }

  /** Ends it, and resolves when nothing of it is left. */
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
      const isStream = response.ok && typeOf(response) === "text/event-stream";
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
    source.reader?.cancel().catch(() => {}); // a failure is reported already
  }
}

/** An answer that is not what was asked for, in words. */
async function wordsIn(response: Response): Promise<string> {
  const { status } = response;
  if (!response.ok) return `${status} ${quote(await response.text())}`;
  await response.body?.cancel(); // it may go on
  return `${status} ${typeOf(response)}`;
}
