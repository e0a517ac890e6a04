/**
 * What a node has pushed and has not yet seen in the stream that all nodes share. Pure.
 *
 * @module
 */
import { audienceKey } from "./conflation.ts";
import type { Audience } from "./log.ts";
import type { Content } from "./stream_entry.ts";
import { targetsOf } from "./subject.ts";

/** One push that has not come back. */
export interface Item {
  /** Its place among the pushes of this node, from 1 on, which is its number in the stream too. */
  readonly n: number;
  /** What it says. */
  readonly content: Content;
  /** What renders it, where it was given as a function. */
  readonly render: (() => string) | undefined;
  /** When it was pushed. */
  readonly at: number;
  /** Whether it has come back, or is no longer to be sent. */
  isDone: boolean;
  /** Whether another node has pushed something for the same elements since it was rendered. */
  isContested: boolean;
}

/** Streams, as an item or an entry has them. */
type StreamsContent = Content & { readonly kind: "streams" };

/** A node's pushes that are under way, oldest first. */
export class Outbox {
  #items: Item[] = [];
  #unsent: Item[] = [];
  #pushed = 0;
  #bytes = 0;
  /** Those that were given as functions, and what each is for. */
  readonly #rendered = new Map<Item, { targets: ReadonlySet<string> | undefined; key: string }>();
  /** The latest of them for the same elements and readers. */
  readonly #latest = new Map<string, Item>();

  /** How many pushes there were. */
  get pushed(): number {
    return this.#pushed;
  }

  /** Up to which push all have come back. */
  get settled(): number {
    return (this.#items[0]?.n ?? this.#pushed + 1) - 1;
  }

  /** How many are under way. */
  get size(): number {
    return this.#items.length;
  }

  /** Bytes of markup that is under way, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the oldest was pushed that pages wait for; what nodes say of themselves can be said again. */
  get waitingSince(): number | undefined {
    return this.#items.find(({ content }) => concernsPages(content))?.at;
  }

  /** Whether there is something to send. */
  get hasUnsent(): boolean {
    return this.#unsent.length > 0;
  }

  /** Takes a push. */
  add(content: Content, render: (() => string) | undefined, now: number): Item {
    const n = ++this.#pushed;
    const item = { n, content, render, at: now, isDone: false, isContested: false };
    this.#items.push(item);
    this.#unsent.push(item);
    this.#bytes += sizeOf(content);
    if (render && content.kind === "streams") {
      const targets = targetsOf(content.html);
      const key = sameness(content, targets) ?? "";
      this.#rendered.set(item, { targets, key });
      if (key !== "") this.#latest.set(key, item);
    }
    return item;
  }

  /** What is to be sent, in order. It counts as sent from now on. */
  takeUnsent(): Item[] {
    return this.#unsent.splice(0).filter(({ isDone }) => !isDone).sort((a, b) => a.n - b.n);
  }

  /** What was sent may not have arrived: all is to be sent, in order. */
  resend(): void {
    this.#unsent = [...this.#items];
  }

  /** The server has refused one: it is to be sent again. */
  refuse(item: Item): void {
    this.#unsent.push(item);
  }

  /** Whether one that was pushed before it has not come back. */
  hasOlder({ n }: Item): boolean {
    return this.#items[0] !== undefined && this.#items[0].n < n;
  }

  /** One has come back, by its number. */
  take(n: number): Item | undefined {
    const index = this.#items.findIndex((item) => item.n === n);
    if (index === -1) return undefined;
    const [item] = this.#items.splice(index, 1);
    this.#done(item!);
    return item;
  }

  /** Takes all out, or those of one kind. */
  takeAll(isTaken: (content: Content) => boolean = () => true): Item[] {
    const taken = this.#items.filter(({ content }) => isTaken(content));
    for (const item of taken) this.#done(item);
    this.#items = this.#items.filter(({ isDone }) => !isDone);
    this.#unsent = this.#unsent.filter(({ isDone }) => !isDone);
    return taken;
  }

  /** Another node has pushed this: what is under way for the same elements may be older than that. */
  contest(foreign: StreamsContent): void {
    if (this.#rendered.size === 0) return;
    const targets = targetsOf(foreign.html);
    for (const [item, { targets: own }] of this.#rendered) {
      if (item.isContested || !meet(item.content as StreamsContent, foreign)) continue;
      item.isContested = !own || !targets || !own.isDisjointFrom(targets);
    }
  }

  /** All that is under way may be older than what others have changed. */
  contestAll(): void {
    for (const item of this.#rendered.keys()) item.isContested = true;
  }

  /** Whether a later one, given as a function too, is for the same elements and the same readers. */
  hasSuccessor({ content, n }: Item): boolean {
    if (content.kind !== "streams") return false;
    const key = sameness(content, targetsOf(content.html));
    return key !== undefined && (this.#latest.get(key)?.n ?? 0) > n;
  }

  #done(item: Item): void {
    item.isDone = true;
    const { key = "" } = this.#rendered.get(item) ?? {};
    this.#rendered.delete(item);
    if (this.#latest.get(key) === item) this.#latest.delete(key);
    this.#bytes -= sizeOf(item.content);
  }
}

/** Whether it changes what pages show, or who may see it. */
export function concernsPages({ kind }: Content): boolean {
  return kind === "streams" || kind === "disconnect" || kind === "revoke";
}

function sizeOf(content: Content): number {
  return content.kind === "streams" ? content.html.length : 0;
}

/** Whether two pushes may be for the same page. */
function meet({ to: one }: Audience, { to: other }: Audience): boolean {
  return one === undefined || other === undefined || one.some((name) => other.includes(name));
}

/** The same text for pushes for the same elements and readers; `undefined` where nobody can tell. */
function sameness(
  { to, except }: StreamsContent,
  targets: ReadonlySet<string> | undefined,
): string | undefined {
  if (!targets || except !== undefined) return undefined;
  return JSON.stringify([[...targets].sort(), audienceKey(to)]);
}
