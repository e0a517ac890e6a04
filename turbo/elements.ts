/**
 * What in the log has to do with which element of a page.
 *
 * @module
 */
import { Channels, type Placed } from "./channel.ts";
import { ANY, escapesOf, idsIn, type Meaning } from "./removal.ts";

/** An entry of the log as far as it matters here. */
export interface Told extends Placed {
  /** Its streams. */
  readonly html: string;
  /** Whom it is for, as text that is equal for equal audiences. */
  readonly audience: string;
  /** The page that it is not for. */
  readonly except?: string | undefined;
  /** What it says of elements. */
  readonly meaning: Meaning;
  /** Where it stands among those that are about an element. */
  aboutKeys: readonly string[];
  /** What `escapesOf` found, where it was asked for. */
  escapes: ReadonlySet<string> | undefined;
  /** Ids of removed elements that it may bring back, or would change if they were there. */
  shows: readonly string[];
}

/**
 * The entries of a log by the elements they act on: those that are for nothing when an element is
 * removed, and those for which they must stay.
 *
 * An entry that is taken out had no effect but on the element itself, which the `remove` takes away in
 * any case. The same is true of an earlier `remove`, unless the element came back since, or was acted
 * on: a page would have it twice for a while, and the later `remove` finds but one.
 *
 * As HTML has it, an id is that of one element of a page. What stands inside of an element goes with
 * it; an app that then puts an inner element elsewhere, under the same id, should have removed it by a
 * `remove` of its own.
 */
export class Elements<Node extends Told> {
  /** By the element with which they go and whom they are for. */
  readonly #about = new Channels<Node>();
  /** By the element that must be there for what they bring, which stays. */
  readonly #needs = new Channels<Node>();
  /** The lone removes, by their element; ... */
  readonly #removes = new Channels<Node>();
  /** ... and what shows that such an element may be there. */
  readonly #shows = new Channels<Node>();

  /** Adds an entry that is newer than all others. */
  add(node: Node): void {
    const { html, meaning } = node;
    if (this.#removes.size > 0) {
      node.shows = [...idsIn(html)].filter((id) => id === ANY || this.#removes.get(id));
    }
    node.aboutKeys = meaning.about.map((id) => aboutKey(id, node));
    for (const key of node.aboutKeys) this.#about.add(key, node);
    for (const id of neededBy(meaning)) this.#needs.add(id, node);
    for (const id of node.shows) this.#shows.add(id, node);
    if (meaning.isLoneRemove) this.#removes.add(meaning.removes[0]!, node);
  }

  /** An entry has gone. */
  removed(node: Node): void {
    const { meaning } = node;
    for (const key of node.aboutKeys) this.#about.removed(key);
    for (const id of neededBy(meaning)) this.#needs.removed(id);
    for (const id of node.shows) this.#shows.removed(id);
    if (meaning.isLoneRemove) this.#removes.removed(meaning.removes[0]!);
  }

  /**
   * The earlier entries for the same audience that say nothing any more because `by` removes an element.
   *
   * Whom they are not for (`except`) does not matter for what goes with the element: that page is the
   * one that made the change, and has it by the answer to its form. If it made the insert it is sent
   * the `remove`; if it made the `remove`, the insert would bring back what it has removed. An earlier
   * `remove` is kept for it, because no other entry may tell it so.
   */
  goneWith(id: string, by: Node): Node[] {
    const any = this.#needs.get(ANY)?.newest()?.position ?? 0;
    const all = this.#about.get(aboutKey(id, by))?.after(any).filter((node) => node !== by) ?? [];
    const [oldest] = all;
    if (!oldest) return [];
    const needed = this.#neededAt(id, oldest.position);
    const later = all.filter(({ position }) => position > needed);
    const gone = later.filter((node) => !node.meaning.isLoneRemove && !escapes(node).has(id));
    const shown = this.#shownAt(id, new Set(gone));
    const removes = later.filter(({ meaning, position, except }) =>
      meaning.isLoneRemove && position > shown && (by.except === undefined || by.except === except)
    );
    return [...gone, ...removes];
  }

  /** Forgets all. */
  clear(): void {
    for (const index of [this.#about, this.#needs, this.#removes, this.#shows]) index.clear();
  }

  /** The newest position after `oldest` at which something needs the element; 0 for none. */
  #neededAt(id: string, oldest: number): number {
    const nodes = this.#needs.get(id)?.after(oldest) ?? [];
    const last = nodes.findLast((node) => node.meaning.needs.includes(id) || escapes(node).has(id));
    return last?.position ?? 0;
  }

  /** The newest position at which the element may have come back, but for entries that go. */
  #shownAt(id: string, gone: ReadonlySet<Node>): number {
    const [one, any] = [id, ANY].map((id) => this.#shows.get(id)?.newest(gone)?.position ?? 0);
    return Math.max(one!, any!);
  }
}

function aboutKey(id: string, { audience }: Told): string {
  return `${id}"${audience}`;
}

function neededBy({ needs, replaces }: Meaning): readonly string[] {
  return needs.length === 0 ? replaces : [...needs, ...replaces];
}

function escapes(node: Told): ReadonlySet<string> {
  return node.escapes ??= escapesOf(node.html);
}
