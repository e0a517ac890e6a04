/**
 * Readers that follow a stream as a page does, but have no page. The client's own core decides when they
 * reconnect, and which messages are for them.
 *
 * @module
 */
import { Inbox, Transport } from "../turbo/client_core.js";
import { pause, parseFrame, PROTOCOL } from "./kit.ts";

/** What a page shows: the items of its list, if it has one, and its cursor. */
export interface ListPage {
  /** The numbers in its list. */
  readonly items: readonly number[];
  /** Its cursor. */
  readonly cursor: string;
  /** Milliseconds over which pages reconnect. */
  readonly spread: number;
}

/** Options of {@linkcode ProtocolReaders}. */
export interface ReadersOptions {
  /** The client with which they connect, such as one that trusts a certificate. */
  client?: Deno.HttpClient;
  /** The ways to connect again, each that of a page at another time. Default: that of the page. */
  isPatient?: boolean;
}

/** Reads a page. */
export function listPageIn(html: string): ListPage {
  return {
    items: itemsIn(html),
    cursor: /name="turbo-cursor" content="(\S+?)"/.exec(html)![1]!,
    spread: Number(/data-spread="(\d+)"/.exec(html)?.[1]),
  };
}

/** The numbers of the list items in a markup. */
export function itemsIn(html: string): number[] {
  return [...html.matchAll(/<li(?: id="item-\d+")?>(\d+)<\/li>/g)].map(([, n]) => Number(n));
}

/** One reader. */
export interface ProtocolReader {
  /** What its page shows and what it was sent since. */
  readonly items: number[];
  /** How many refreshes it was sent. */
  refreshes: number;
  /** How often the server has continued from its cursor. */
  resumes: number;
  /** For how many milliseconds it was not connected, each time. */
  readonly away: number[];
  /** Whether it is connected. */
  isOpen: boolean;
}

/** Readers, until they are disposed of. */
export class ProtocolReaders implements AsyncDisposable {
  readonly all: ProtocolReader[] = [];
  /** How many attempts to connect have failed, and of how many that was the third in a row. */
  failures = 0;
  fallbacks = 0;
  readonly #url: string;
  readonly #options: ReadersOptions;
  readonly #sockets = new Set<WebSocket>();
  readonly #following: Promise<void>[] = [];
  #hasEnded = false;

  /** `url` is that of the server. */
  constructor(url: string, options: ReadersOptions = {}) {
    this.#url = new URL("/turbo-stream", url).href;
    this.#options = options;
  }

  /** Adds readers of a page. */
  add(count: number, page: ListPage): void {
    for (let i = 0; i < count; i++) {
      const reader = { items: [...page.items], refreshes: 0, resumes: 0, away: [], isOpen: false };
      this.all.push(reader);
      this.#following.push(this.#follow(reader, page));
    }
  }

  /** How many were sent a refresh. */
  get refreshes(): number {
    return this.all.reduce((sum, { refreshes }) => sum + refreshes, 0);
  }

  /** Whether each has been resumed that often. */
  haveResumed(times: number): boolean {
    return this.all.every(({ resumes, isOpen }) => isOpen && resumes >= times);
  }

  async #follow(reader: ProtocolReader, { cursor, spread }: ListPage): Promise<void> {
    const transport = new Transport();
    const state = { cursor };
    let since: number | undefined;
    while (!this.#hasEnded) {
      if (transport.kind === "events") await this.#tryEvents(transport);
      else {
        await this.#connect(reader, transport, state, () => {
          if (since !== undefined) reader.away.push(performance.now() - since);
        });
      }
      if (reader.isOpen) since = performance.now();
      reader.isOpen = false;
      if (!this.#hasEnded) await pause(transport.delay(Math.random(), spread));
    }
  }

  /** Resolves when the connection has ended. */
  #connect(
    reader: ProtocolReader,
    transport: Transport,
    state: { cursor: string },
    onOpen: () => void,
  ): Promise<void> {
    const options = { protocols: [PROTOCOL], ...this.#options };
    const url = `${this.#url.replace("http", "ws")}?since=${state.cursor}`;
    const socket = new WebSocket(url, options as never); // the types here are those of a browser
    const inbox = new Inbox();
    inbox.asked(state.cursor);
    this.#sockets.add(socket);
    let openedAt: number | undefined;
    socket.onopen = () => openedAt = performance.now();
    socket.onmessage = ({ data }) => {
      const messages = parseFrame(data);
      const reading = inbox.read(messages);
      if (reading === "marker") {
        reader.isOpen = true;
        reader.resumes++;
        transport.held();
        return onOpen();
      }
      for (const { cursor, html } of messages) {
        state.cursor = cursor;
        if (html.includes('action="refresh"')) reader.refreshes++;
        reader.items.push(...itemsIn(html));
      }
    };
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.onerror = () => {};
    socket.onclose = ({ code }) => {
      this.#sockets.delete(socket);
      const hasOpened = openedAt !== undefined;
      const age = hasOpened ? performance.now() - openedAt! : 0;
      if (!reader.isOpen) this.failures++;
      transport.webSocketEnded({
        hasOpened,
        wasHeard: reader.isOpen,
        age,
        wasCut: code === 1006 || !hasOpened,
      });
      if (transport.kind === "events") this.fallbacks++;
      resolve();
    };
    return promise;
  }

  /** Tries server-sent events, after which the client tries a WebSocket again where the server is there. */
  async #tryEvents(transport: Transport): Promise<void> {
    try {
      const headers = { Accept: "text/event-stream" };
      const response = await fetch(this.#url, { headers, ...this.#options });
      await response.body?.cancel();
      if (response.ok) return void transport.eventsOpened();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the server is not there
    }
    transport.eventsEnded(false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hasEnded = true;
    for (const socket of this.#sockets) socket.close();
    await Promise.all(this.#following);
  }
}

/** What is wrong with a list that should be 1, 2, 3 and so on. */
export function wrongIn(items: readonly number[]): string | undefined {
  const at = items.findIndex((n, index) => n !== index + 1);
  return at < 0 ? undefined : `${items.slice(Math.max(0, at - 2), at + 3)} at ${at}`;
}
