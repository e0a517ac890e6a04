/**
 * The pushes of a node that it has not read back yet from the stream that all nodes share. Pure.
 *
 * @module
 */
import { audienceKey } from "./conflation.ts";
import type { Audience } from "./log.ts";
import type { Content } from "./stream_entry.ts";
import { targetsOf } from "./subject.ts";

/** One push that has not been read back. */
export interface Item {
  /** Its number among the pushes of this node, from 1 on; its entry in the stream carries it. */
  readonly n: number;
  /** What is pushed. */
  readonly content: Content;
  /** The function that renders it, where the push was given as one. */
  readonly render: (() => string) | undefined;
  /** The time of the push. */
  readonly at: number;
  /** Whether it has been read back, or must not be sent any more. */
  isDone: boolean;
  /** Whether another node has pushed to the same elements since it was rendered. */
  isContested: boolean;
}

/** The content of a push of streams. */
type StreamsContent = Content & { readonly kind: "streams" };

/** Stands for any element: no element has an empty id. */
const ANY = "";

/** A node's pending pushes, oldest first. */
export class Outbox {
  #items: Item[] = [];
  #unsent: Item[] = [];
  #pushed = 0;
  #bytes = 0;
  /** Pushes given as functions that are not contested, by the elements that they change. */
  readonly #uncontested = new Map<string, Set<Item>>();
  /** The newest push given as a function, by its elements and audience. */
  readonly #newest = new Map<string, Item>();

  /** How many pushes were added in all. */
  get pushed(): number {
    return this.#pushed;
  }

  /** The number of the push up to which all have been read back. */
  get settled(): number {
    return (this.#items[0]?.n ?? this.#pushed + 1) - 1;
  }

  /** How many are pending. */
  get size(): number {
    return this.#items.length;
  }

  /** About how many bytes of markup are pending. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The time of the oldest pending push that concerns pages: statements of nodes can be repeated. */
  get waitingSince(): number | undefined {
    return this.#items.find(({ content }) => concernsPages(content))?.at;
  }

  /** Whether there is anything to send. */
  get hasUnsent(): boolean {
    return this.#unsent.length > 0;
  }

  /** Adds a push. */
  add(content: Content, render: (() => string) | undefined, now: number): Item {
    const n = ++this.#pushed;
    const item = { n, content, render, at: now, isDone: false, isContested: false };
    this.#items.push(item);
    this.#unsent.push(item);
    this.#bytes += sizeOf(content);
    if (render && content.kind === "streams") this.#watch(item, content);
    return item;
  }

  /** Returns what is to be sent, in order, and marks it as sent. */
  takeUnsent(): Item[] {
    return this.#unsent.splice(0).filter(({ isDone }) => !isDone).sort((a, b) => a.n - b.n);
  }

  /** What was sent may not have arrived: sends everything again, in order. */
  resend(): void {
    this.#unsent = [...this.#items];
  }

  /** The server has refused a push: sends it again. */
  refuse(item: Item): void {
    this.#unsent.push(item);
  }

  /** Whether an older push has not been read back. */
  hasOlder({ n }: Item): boolean {
    return this.#items[0] !== undefined && this.#items[0].n < n;
  }

  /** Removes a push that was read back, by its number. */
  take(n: number): Item | undefined {
    const index = this.#items.findIndex((item) => item.n === n);
    if (index === -1) return undefined;
    const [item] = this.#items.splice(index, 1);
    this.#done(item!);
    return item;
  }

  /** Removes all pushes, or those of some kind. */
  takeAll(isTaken: (content: Content) => boolean = () => true): Item[] {
    const taken = this.#items.filter(({ content }) => isTaken(content));
    for (const item of taken) this.#done(item);
    this.#items = this.#items.filter(({ isDone }) => !isDone);
    this.#unsent = this.#unsent.filter(({ isDone }) => !isDone);
    return taken;
  }

  /** Another node has pushed this: pending pushes to the same elements may be based on older data. */
  contest(foreign: StreamsContent): void {
    if (this.#uncontested.size === 0) return;
    const elements = targetsOf(foreign.html);
    for (const element of elements ? [...elements, ANY] : [...this.#uncontested.keys()]) {
      for (const item of this.#uncontested.get(element) ?? []) {
        if (!meet(item.content as StreamsContent, foreign)) continue;
        item.isContested = true;
        this.#forget(item);
      }
    }
  }

  /** Marks every pending push as possibly based on older data than what others have pushed. */
  contestAll(): void {
    for (const item of this.#items) item.isContested = item.render !== undefined;
    this.#uncontested.clear();
  }

  /** Whether a later push, also given as a function, has the same elements and audience. */
  hasSuccessor({ content, n }: Item): boolean {
    const key = sameness(content);
    const newest = key === undefined ? undefined : this.#newest.get(key);
    return newest !== undefined && newest.n > n;
  }

  #watch(item: Item, content: StreamsContent): void {
    for (const element of elementsOf(content)) {
      const items = this.#uncontested.get(element);
      if (items) items.add(item);
      else this.#uncontested.set(element, new Set([item]));
    }
    const key = sameness(content);
    if (key !== undefined) this.#newest.set(key, item);
  }

  /** Stops watching for pushes that contest it. */
  #forget(item: Item): void {
    const { content } = item;
    if (content.kind !== "streams") return;
    for (const element of elementsOf(content)) {
      const items = this.#uncontested.get(element);
      items?.delete(item);
      if (items?.size === 0) this.#uncontested.delete(element);
    }
  }

  #done(item: Item): void {
    item.isDone = true;
    this.#bytes -= sizeOf(item.content);
    if (!item.render) return;
    if (!item.isContested) this.#forget(item);
    const key = sameness(item.content);
    if (key !== undefined && this.#newest.get(key) === item) this.#newest.delete(key);
  }
}

/** Whether a push changes what pages show, or who may see it. */
export function concernsPages({ kind }: Content): boolean {
  return kind === "streams" || kind === "disconnect" || kind === "revoke";
}

function sizeOf(content: Content): number {
  return content.kind === "streams" ? content.html.length : 0;
}

/** Whether two pushes may reach the same page. */
function meet({ to: one }: Audience, { to: other }: Audience): boolean {
  return one === undefined || other === undefined || one.some((name) => other.includes(name));
}

/** The elements that a push changes; {@linkcode ANY} where they are unknown. */
function elementsOf({ html }: StreamsContent): Iterable<string> {
  return targetsOf(html) ?? [ANY];
}

/** A text that is equal for pushes with the same elements and audience; `undefined` where unknown. */
function sameness(content: Content): string | undefined {
  if (content.kind !== "streams" || content.except !== undefined) return undefined;
  const targets = targetsOf(content.html);
  return targets && JSON.stringify([[...targets].sort(), audienceKey(content.to)]);
}
