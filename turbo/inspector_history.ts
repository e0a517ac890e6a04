/**
 * What the inspector remembers: the last pushes with what became of each, and for each connection what it was
 * sent. All of it is bounded.
 *
 * @module
 */
import type { Leaving, ObservedEntry, Observer } from "./observer.ts";
import type { Miss } from "./protocol.ts";

/** One stream of a push. */
export interface PushedStream {
  /** The position of the push. */
  readonly position: number;
  /** Its action. */
  readonly action: string;
  /** Its target: an id after `#`, or a selector; empty for a stream without a target. */
  readonly target: string;
  /** How many pages have said that they do not have the target. */
  missed: number;
  /** The id that those pages have and that was probably meant. */
  near: string | undefined;
}

/** A push, and what became of it. */
export interface PushRecord {
  /** Its place in the order. */
  readonly position: number;
  /** When it came into the log, in milliseconds since 1970. */
  readonly at: number;
  /** The names that it is for; everyone where there are none. */
  readonly to: readonly string[] | undefined;
  /** The id of the page that it leaves out. */
  readonly except: string | undefined;
  /** Its streams, the first ones. */
  readonly streams: readonly PushedStream[];
  /** How many more streams it has. */
  readonly more: number;
  /** The beginning of its HTML. */
  readonly html: string;
  /** The size of the whole as UTF-8. */
  readonly bytes: number;
  /** How many connections it was for when it was pushed; `undefined` where that was before the inspector. */
  readonly readers: number | undefined;
  /** Why it is no longer in the log; `undefined` while it is. */
  left: { readonly why: Leaving; readonly by: number | undefined } | undefined;
  /** How many connections were sent it, ... */
  sent: number;
  /** ... how many of those have reported that they show what came up to it, ... */
  shown: number;
  /** ... and how many of those would say that they miss its target. */
  sentToTelling: number;
}

/** How a connection began to follow the log. */
export interface Resumption {
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** The cursor that the page asked with. */
  readonly cursor: string;
  /** Its position; `undefined` where the log does not know it. */
  readonly position: number | undefined;
  /** The newest position at that time. */
  readonly until: number;
  /** What the page was sent to become current. */
  outcome: "nothing" | "replay" | "refresh";
}

/** A connection, and what it was sent. */
export interface PageRecord {
  /** Counts the connections. */
  readonly number: number;
  /** When it opened, in milliseconds since 1970. */
  readonly since: number;
  /** The page follows the log from this position on: all before that came with the page. */
  from: number;
  /** How it began to follow the log, the last time. */
  resumed: Resumption | undefined;
  /** The positions of what it was sent, oldest first. */
  readonly sent: Set<number>;
  /** The newest position that it has reported to show; negative where it has not. */
  shown: number;
  /** For each position and target that the page did not have: the id that was probably meant. */
  readonly missed: Map<string, string | undefined>;
  /** The newest position when it was told to fetch itself. */
  refreshed: number | undefined;
  /** The path of the page, where it tells that. Only such a page tells which targets it misses. */
  path: string | undefined;
  /** About which position it was asked last, how often, and when. */
  asked:
    | { readonly position: number; readonly times: number; readonly at: number }
    | undefined;
  /** When it ended, and why. */
  ended: { readonly at: number; readonly reason: string | undefined } | undefined;
}

/** What {@linkcode History} needs of the log and of its connections. */
export interface HistorySource {
  /** The newest position. */
  position(): number;
  /** The position that a cursor names. */
  positionOf(cursor: string): number | undefined;
  /** How many connections an audience has. */
  count(audience: Pick<ObservedEntry, "to" | "except">): number;
  /** The time in milliseconds since 1970. */
  now(): number;
}

/** How many pushes are remembered. */
export const MAX_PUSHES = 200;
/** How many connections are followed one by one. */
export const MAX_FOLLOWED = 1_000;
/** How many connections are remembered after their end. */
const MAX_ENDED = 20;
/** Characters of a push that are kept. */
const MAX_HTML = 2_000;
/** Streams of a push that are kept. */
const MAX_STREAMS = 20;
/** Targets in one message of a page that are looked up; the client tells ten at most. */
const MAX_MISSES = 20;
/** Characters of a path, a target or an id that are kept. */
const MAX_TEXT = 200;

/** Remembers what happens. */
export class History implements Observer {
  readonly #source: HistorySource;
  /** Oldest first. */
  readonly #pushes = new Map<number, PushRecord>();
  readonly #pages = new Map<object, PageRecord>();
  /** The same for a connection that was closed and has not ended. */
  readonly #closed = new WeakMap<object, PageRecord>();
  /** Those that have ended, oldest first. */
  readonly #gone: PageRecord[] = [];
  #opened = 0;
  /** Called after each change. */
  onChange: () => void = () => {};

  /** Starts empty. */
  constructor(source: HistorySource) {
    this.#source = source;
  }

  /** The pushes, oldest first. */
  get pushes(): Iterable<PushRecord> {
    return this.#pushes.values();
  }

  /** Connections that have ended, oldest first. */
  get gone(): readonly PageRecord[] {
    return this.#gone;
  }

  /** A push, where it is remembered. */
  push(position: number): PushRecord | undefined {
    return this.#pushes.get(position);
  }

  /** What is known of a connection; `undefined` where there are too many. */
  page(connection: object): PageRecord | undefined {
    return this.#pages.get(connection) ?? this.#closed.get(connection);
  }

  /** Adds an entry or a connection from before the inspector. */
  adopt(found: { entry: ObservedEntry; age: number } | { connection: object }): void {
    if ("entry" in found) this.#add(found.entry, { at: this.#source.now() - found.age });
    else this.opened(found.connection);
  }

  appended(entry: ObservedEntry): void {
    this.#add(entry, { at: this.#source.now(), readers: this.#source.count(entry) });
  }

  left(position: number, why: Leaving, by?: number): void {
    const push = this.#pushes.get(position);
    if (push) push.left ??= { why, by };
    this.onChange();
  }

  cleared(): void {
    this.#pushes.clear();
    for (const page of this.#pages.values()) {
      page.from = this.#source.position();
      page.sent.clear();
      page.shown = -1;
      page.missed.clear();
    }
    this.onChange();
  }

  opened(connection: object): void {
    if (this.#pages.size >= MAX_FOLLOWED) return;
    this.#pages.set(connection, {
      number: ++this.#opened,
      since: this.#source.now(),
      from: this.#source.position(),
      resumed: undefined,
      sent: new Set(),
      shown: -1,
      missed: new Map(),
      refreshed: undefined,
      path: undefined,
      asked: undefined,
      ended: undefined,
    });
    this.onChange();
  }

  sent(connection: object, entries: readonly ObservedEntry[]): void {
    const page = this.#pages.get(connection);
    for (const { position } of entries) {
      const push = this.#pushes.get(position);
      if (push) push.sent++;
      if (!page) continue;
      if (push && page.path !== undefined) push.sentToTelling++;
      page.sent.add(position);
      if (page.sent.size > MAX_PUSHES) page.sent.delete(page.sent.values().next().value!);
    }
    const { resumed } = page ?? {};
    if (resumed && entries[0] && entries[0].position <= resumed.until) resumed.outcome = "replay";
    this.onChange();
  }

  refreshed(connection: object): void {
    const page = this.#pages.get(connection);
    if (!page) return;
    page.refreshed = this.#source.position();
    if (page.resumed && page.resumed.until === page.refreshed) page.resumed.outcome = "refresh";
    this.onChange();
  }

  resumed(connection: object, cursor: string, position: number | undefined): void {
    const page = this.#pages.get(connection);
    if (!page) return;
    const until = this.#source.position();
    page.resumed = { at: this.#source.now(), cursor, position, until, outcome: "nothing" };
    page.from = position ?? -1;
    page.refreshed = undefined;
    this.onChange();
  }

  reported(connection: object, position: number): void {
    const page = this.#pages.get(connection);
    if (!page) return;
    for (const sent of page.sent) {
      const push = sent > page.shown && sent <= position ? this.#pushes.get(sent) : undefined;
      if (push) push.shown++;
    }
    page.shown = Math.max(page.shown, position);
    this.onChange();
  }

  missed(connection: object, misses: readonly Miss[]): void {
    const page = this.#pages.get(connection);
    if (!page) return;
    page.path ??= "";
    for (const { cursor, target, near: told } of misses.slice(0, MAX_MISSES)) {
      const stream = this.#missedStream(page, this.#source.positionOf(cursor) ?? -1, target);
      if (!stream) continue;
      const near = told && cut(told, MAX_TEXT);
      page.missed.set(missKey(stream.position, target), near);
      if (page.missed.size > MAX_PUSHES) page.missed.delete(page.missed.keys().next().value!);
      stream.missed++;
      stream.near ??= near;
    }
    this.onChange();
  }

  /**
   * The stream that a page has missed: that of the newest push up to a position, because a page renders several
   * pushes as one.
   */
  #missedStream(
    { sent, missed }: PageRecord,
    until: number,
    target: string,
  ): PushedStream | undefined {
    for (const position of [...sent].reverse()) {
      if (position > until || missed.has(missKey(position, target))) continue;
      const stream = this.#pushes.get(position)?.streams.find((one) => one.target === target);
      if (stream) return stream;
    }
    return undefined;
  }

  located(connection: object, path: string): void {
    const page = this.#pages.get(connection);
    if (page) page.path = cut(path, MAX_TEXT);
    this.onChange();
  }

  ended(connection: object, reason?: string): void {
    const page = this.#pages.get(connection);
    if (!page) return this.onChange();
    this.#pages.delete(connection);
    this.#closed.set(connection, page);
    page.ended = { at: this.#source.now(), reason };
    this.#gone.push(page);
    if (this.#gone.length > MAX_ENDED) this.#gone.shift();
    this.onChange();
  }

  #add(
    { position, html, bytes, to, except }: ObservedEntry,
    { at, readers }: { at: number; readers?: number },
  ): void {
    const all = streamsOf(html, position);
    this.#pushes.set(position, {
      position,
      at,
      to,
      except,
      streams: all.slice(0, MAX_STREAMS),
      more: Math.max(0, all.length - MAX_STREAMS),
      html: cut(html, MAX_HTML),
      bytes,
      readers,
      left: undefined,
      sent: 0,
      shown: 0,
      sentToTelling: 0,
    });
    if (this.#pushes.size > MAX_PUSHES) this.#pushes.delete(this.#pushes.keys().next().value!);
    this.onChange();
  }
}

/** The key of a push and a target in {@linkcode PageRecord.missed}. */
export function missKey(position: number, target: string): string {
  return `${position} ${target}`;
}

const STREAM = /<turbo-stream action="([^"]*)"(?: target(s?)="([^"]*)")?/g;

/** The streams of a push. Those that its content contains follow the stream around them. */
function streamsOf(html: string, position: number): PushedStream[] {
  return [...html.matchAll(STREAM)].map(([, action = "", all, target = ""]) => ({
    position,
    action: unescaped(action),
    target: all === "" ? `#${unescaped(target)}` : unescaped(target),
    missed: 0,
    near: undefined,
  }));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
  "&#13;": "\r",
};

/** An attribute's value, as the stream builders escape it. */
function unescaped(text: string): string {
  return text.replace(/&(?:amp|lt|gt|quot|#39|#13);/g, (entity) => ENTITIES[entity]!);
}

/** The beginning of a text, as a copy: a part of a long text would keep the whole in memory. */
function cut(text: string, most: number): string {
  return JSON.parse(JSON.stringify(text.slice(0, most)));
}
