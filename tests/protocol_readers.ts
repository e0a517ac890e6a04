/**
 * Readers that follow a stream as client.js does, but have no page.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parseFrame, pause, PROTOCOL } from "./kit.ts";

/** What a page shows: the items of its list, if it has one, and its cursor. */
export interface ListPage {
  /** The numbers in its list. */
  readonly items: readonly number[];
  /** Its cursor. */
  readonly cursor: string;
}

/** One reader. */
export interface ProtocolReader {
  /** The numbers that its page shows, and those that it was sent since. */
  readonly items: number[];
  /** How many of them its page had. */
  readonly loaded: number;
  /** How many refreshes it was sent. A page would fetch itself. */
  refreshes: number;
  /** How often the server has continued from its cursor. */
  resumes: number;
  /** Whether it is connected. */
  isOpen: boolean;
  /** For how many milliseconds it was not connected, each time. */
  readonly away: number[];
}

/** Options of {@linkcode ProtocolReaders}. */
export interface ProtocolReadersOptions {
  /** The client with which they connect, such as one that trusts a certificate. */
  client?: Deno.HttpClient;
}

/** Milliseconds: a page waits at least half of this and less than three halves, at first. */
const SOON = 500;
/** Milliseconds over which they reconnect when the server has been away for longer. */
const SPREAD = 1_000;

/** Readers, until they are disposed of. */
export class ProtocolReaders implements AsyncDisposable {
  readonly all: ProtocolReader[] = [];
  /** How many attempts to connect have failed. */
  failures = 0;
  readonly #url: string;
  readonly #options: ProtocolReadersOptions;
  readonly #sockets = new Set<WebSocket>();
  readonly #following: Promise<void>[] = [];
  #hasEnded = false;

  /** Starts without readers. The URL is that of the server. */
  constructor(url: string, options: ProtocolReadersOptions = {}) {
    this.#url = new URL("/turbo-stream", url.replace("http", "ws")).href;
    this.#options = options;
  }

  /** Adds readers of a page. */
  add(count: number, { items, cursor }: ListPage): void {
    for (let n = 0; n < count; n++) {
      const reader: ProtocolReader = {
        items: [...items],
        loaded: items.length,
        refreshes: 0,
        resumes: 0,
        isOpen: false,
        away: [],
      };
      this.all.push(reader);
      this.#following.push(this.#follow(reader, cursor));
    }
  }

  /** How many refreshes they were sent. */
  get refreshes(): number {
    return this.all.reduce((sum, { refreshes }) => sum + refreshes, 0);
  }

  /** Whether all are connected, and the server has continued from the cursor of each so often. */
  haveResumed(times: number): boolean {
    return this.all.every(({ isOpen, resumes }) => isOpen && resumes >= times);
  }

  async #follow(reader: ProtocolReader, cursor: string): Promise<void> {
    let lostAt: number | undefined;
    while (!this.#hasEnded) {
      const before = reader.resumes;
      cursor = await this.#connect(reader, cursor, () => {
        if (lostAt !== undefined) reader.away.push(performance.now() - lostAt);
      });
      const wasOpen = reader.resumes > before;
      if (wasOpen) lostAt = performance.now();
      if (this.#hasEnded) return;
      if (!wasOpen) this.failures++;
      // Much as the client's pages: soon, and from the second attempt on spread.
      await pause(SOON / 2 + Math.random() * (wasOpen ? SOON : SPREAD));
    }
  }

  /** Connects once. Resolves to the reader's new cursor when the connection has ended. */
  #connect(reader: ProtocolReader, since: string, onOpen: () => void): Promise<string> {
    const options = { protocols: [PROTOCOL], ...this.#options };
    // The types here are those of a browser.
    const socket = new WebSocket(`${this.#url}?since=${since}`, options as never);
    this.#sockets.add(socket);
    let newest = since;
    socket.onmessage = ({ data }) => {
      const messages = parseFrame(data);
      if (!reader.isOpen) {
        assert.deepEqual(messages, [{ cursor: since, html: "" }]);
        reader.isOpen = true;
        reader.resumes++;
        return onOpen();
      }
      for (const { cursor, html } of messages) {
        newest = cursor;
        if (html.includes('action="refresh"')) reader.refreshes++;
        reader.items.push(...itemsIn(html));
      }
    };
    socket.onerror = () => {};
    const { promise, resolve } = Promise.withResolvers<string>();
    socket.onclose = () => {
      this.#sockets.delete(socket);
      reader.isOpen = false;
      resolve(newest);
    };
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hasEnded = true;
    for (const socket of this.#sockets) socket.close();
    await Promise.all(this.#following);
  }
}

/** Reads a page. */
export function listPageIn(html: string): ListPage {
  const [, cursor] = /name="turbo-cursor" content="(\S+?)"/.exec(html)!;
  return { items: itemsIn(html), cursor: cursor! };
}

/** Asserts that a list is 1, 2, 3 and so on. */
export function assertWhole(list: readonly number[], whose: string): void {
  const wrong = list.findIndex((n, index) => n !== index + 1);
  assert.equal(wrong, -1, `${whose}: ${list.slice(Math.max(0, wrong - 2), wrong + 3)} at ${wrong}`);
}

function itemsIn(html: string): number[] {
  return [...html.matchAll(/<li[^>]*>(\d+)<\/li>/g)].map(([, n]) => Number(n));
}
