/**
 * Two servers for the model: one that is as simple as the contract, and one made of the parts that serve
 * real pages. Each can have several processes that know the same order, as with an engine.
 *
 * @module
 */
import { Connection } from "../connection.ts";
import { Log } from "../log.ts";
import { cursorOf, frameOf, type Message, parseCursor, parseSince, REFRESH } from "../protocol.ts";

/** A connection of a page to a process, with the messages in both directions. */
export class Link {
  /** Messages in transit to the page. */
  readonly toPage: string[] = [];
  /** Messages in transit to the server. */
  readonly toServer: string[] = [];
  isAccepted = false;

  /** `since` is the cursor in the URL, if there is one. */
  constructor(readonly server: Server, readonly page: string, readonly since: string | undefined) {}

  send(messages: readonly Message[]): void {
    this.toPage.push(frameOf(messages));
  }
}

/** One process. */
export interface Server {
  /** The newest position. */
  readonly cursor: string;
  /** Appends to the log. Every connection is owed the entry. */
  append(html: string, except?: string): void;
  /** Accepts a connection. */
  accept(link: Link): void;
  /** Handles the next message of a page. */
  read(link: Link): void;
  /** Whether a connection is owed something. */
  owes(link: Link): boolean;
  /** Sends what a connection is owed, in one message. */
  flush(link: Link): void;
  /** Sends a heartbeat to every connection that is owed nothing. */
  beat(): void;
  /** A connection has ended. */
  drop(link: Link): void;
  /** Drops all entries. */
  forget(): void;
  /** Ends all connections; with a name, starts another log. */
  restart(epoch?: string): void;
}

/** A log that keeps everything until `forget`, and connections that send it. */
export class ModelServer implements Server {
  #epoch: string;
  #position = 0;
  #beats: number;
  /** The position up to which entries were dropped. */
  #start = 0;
  #entries: { position: number; html: string; except: string | undefined }[] = [];
  readonly #links = new Map<Link, { page: string; position: number }>();

  /** Heartbeats are numbered from `beats` on, so that no two are the same. */
  constructor(epoch: string, beats: number) {
    this.#epoch = epoch;
    this.#beats = beats;
  }

  get cursor(): string {
    return cursorOf(this.#epoch, this.#position);
  }

  /** The position up to which a connection has been sent everything. */
  positionOf(link: Link): number | undefined {
    return this.#links.get(link)?.position;
  }

  append(html: string, except?: string): void {
    this.#entries.push({ position: ++this.#position, html, except });
  }

  accept(link: Link): void {
    this.#links.set(link, { page: link.page, position: this.#position });
    if (link.since !== undefined) this.#resume(link, link.since, link.page);
    else link.send([{ cursor: this.#nextBeat(), html: "" }]);
  }

  read(link: Link): void {
    const { cursor, page } = parseSince(link.toServer.shift()!)!;
    this.#resume(link, cursor, page!);
  }

  owes(link: Link): boolean {
    return (this.#links.get(link)?.position ?? this.#position) !== this.#position;
  }

  flush(link: Link): void {
    if (!this.owes(link)) return;
    const { page, position } = this.#links.get(link)!;
    this.#links.set(link, { page, position: this.#position });
    if (position < this.#start) return link.send([{ cursor: this.cursor, html: REFRESH }]);
    const messages = this.#entries
      .filter((entry) => entry.position > position && entry.except !== page)
      .map((entry) => ({ cursor: cursorOf(this.#epoch, entry.position), html: entry.html }));
    link.send(messages.length > 0 ? messages : [{ cursor: this.#nextBeat(), html: "" }]);
  }

  beat(): void {
    const cursor = this.#nextBeat();
    for (const link of this.#links.keys()) if (!this.owes(link)) link.send([{ cursor, html: "" }]);
  }

  drop(link: Link): void {
    this.#links.delete(link);
  }

  forget(): void {
    this.#start = this.#position;
    this.#entries = [];
  }

  restart(epoch?: string): void {
    this.#links.clear();
    if (epoch === undefined) return;
    this.#epoch = epoch;
    this.#entries = [];
    this.#start = this.#position = 0;
  }

  #resume(link: Link, cursor: string, page: string): void {
    const { epoch, position = 0 } = parseCursor(cursor) ?? {};
    const isKnown = epoch === this.#epoch && position <= this.#position;
    link.send([{ cursor, html: "" }]);
    this.#links.set(link, { page, position: isKnown ? position : -1 });
    this.flush(link);
  }

  #nextBeat(): string {
    return `${this.cursor}.${++this.#beats}`;
  }
}

/** The real log and the real connections, including conflation, over links instead of sockets. */
export class RealServer implements Server {
  #log: Log;
  #now = 0;
  readonly #clock = { now: () => this.#now };
  readonly #links = new Map<Link, Connection>();

  constructor(epoch: string, beats: number) {
    this.#log = new Log({ epoch }, this.#clock);
    this.#log.load({ ...this.#log.save(), beats });
  }

  get cursor(): string {
    return this.#log.cursor;
  }

  append(html: string, except?: string): void {
    const { position } = this.#log.append(html, { except });
    for (const connection of this.#links.values()) connection.position ??= position - 1;
  }

  accept(link: Link): void {
    const limits = { behindAfter: 64 * 1024, maxBuffered: 1024 * 1024, dropAfter: 10_000 };
    const carrier = {
      buffered: 0,
      endsLater: false,
      send(messages: readonly Message[]) {
        link.send(messages);
        return 0;
      },
      close() {},
    };
    const connection = new Connection(carrier, this.#log, limits);
    connection.page = link.page;
    this.#links.set(link, connection);
    if (link.since !== undefined) connection.resume(link.since);
    else connection.mark(this.#log.beat());
    connection.flush(this.#now);
  }

  read(link: Link): void {
    const connection = this.#links.get(link)!;
    const { cursor, page } = parseSince(link.toServer.shift()!)!;
    connection.page = page;
    connection.resume(cursor);
    connection.flush(this.#now);
  }

  owes(link: Link): boolean {
    return this.#links.get(link)?.position !== undefined;
  }

  flush(link: Link): void {
    this.#links.get(link)?.flush(this.#now);
  }

  beat(): void {
    const cursor = this.#log.beat();
    for (const connection of this.#links.values()) {
      if (connection.position !== undefined) continue;
      connection.mark(cursor);
      connection.flush(this.#now);
    }
  }

  drop(link: Link): void {
    this.#links.delete(link);
  }

  forget(): void {
    this.#now += 24 * 60 * 60 * 1000;
    this.#log.expire();
  }

  restart(epoch?: string): void {
    this.#links.clear();
    const { beats, ...state } = this.#log.save();
    this.#log = new Log({}, this.#clock);
    if (epoch === undefined) this.#log.load({ beats, ...state });
    else this.#log.load({ ...new Log({ epoch }).save(), beats });
  }
}
