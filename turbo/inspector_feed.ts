/**
 * Keeps the pages of the inspector current, by pushes.
 *
 * @module
 */
import type { Markup } from "./html.ts";
import { LIST_ID, listOf, type View } from "./inspector_views.ts";
import { prepend, remove, replace, type Stream } from "./streams.ts";
import type { Turbo } from "./turbo.ts";

/** Milliseconds between two looks at what has changed. */
const PACE = 250;
/** Milliseconds between two looks at what changes by itself, such as bytes that wait. */
const SLOW_PACE = 1_000;
/** How many pages of the inspector with different content are kept current. */
const MAX_TOPICS = 50;
/** How many rows are changed one by one; beyond that the list is replaced. */
const MAX_ROWS = 60;

/** Pushes the changes of what the pages of the inspector show. Each kind of page listens to a topic. */
export class Feed {
  readonly #turbo: Turbo;
  readonly #prepare: () => void;
  /** What a topic shows. The one used last comes last. */
  readonly #topics = new Map<string, { readonly look: () => View; shown: View }>();
  #next: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;

  /** Starts without topics, and without a timer. `prepare` is called before each look. */
  constructor(turbo: Turbo, prepare: () => void) {
    this.#turbo = turbo;
    this.#prepare = prepare;
  }

  /** What a page of a topic shows now. From then on its changes are pushed to the topic. */
  show(topic: string, look: () => View): View {
    const known = this.#topics.get(topic);
    if (known) this.#push(topic); // so that the pages that listen already show the same
    const shown = known?.shown ?? look();
    this.#topics.delete(topic);
    this.#topics.set(topic, { look, shown });
    this.#forget();
    return shown;
  }

  /** Call when anything has changed. */
  changed(): void {
    if (this.#turbo.size > 0) this.#next ??= setTimeout(() => this.#pushAll(), PACE);
  }

  /** Call when a page of the inspector was opened or closed. */
  readersChanged(): void {
    if (this.#turbo.size === 0) return this.close();
    this.#watch ??= setInterval(() => this.changed(), SLOW_PACE);
    this.changed();
  }

  /** Ends the timers. */
  close(): void {
    clearTimeout(this.#next);
    clearInterval(this.#watch);
    this.#next = this.#watch = undefined;
  }

  #pushAll(): void {
    this.#next = undefined;
    this.#prepare();
    for (const topic of this.#topics.keys()) {
      if (this.#turbo.canPush({ topic })) this.#push(topic);
    }
  }

  #push(topic: string): void {
    const known = this.#topics.get(topic)!;
    const view = known.look();
    const streams = changesOf(known.shown, view);
    known.shown = view;
    for (const stream of streams) this.#turbo.push(stream, { topic });
  }

  // A page of a topic that is forgotten cannot be sent what it misses, so it fetches itself.
  #forget(): void {
    for (const topic of this.#topics.keys()) {
      if (this.#topics.size <= MAX_TOPICS) return;
      this.#topics.delete(topic);
      this.#turbo.revoke(topic);
    }
  }
}

/** The streams that turn one view into another. */
export function changesOf(before: View, after: View): Stream[] {
  const parts = [...after.parts].filter(([id, part]) => isOther(before.parts.get(id), part));
  return [
    ...parts.map(([id, part]) => replace(id, part, { morph: true })),
    ...rowChanges(before.rows, after.rows),
  ];
}

function rowChanges(before: View["rows"], after: View["rows"]): Stream[] {
  const gone = [...before.keys()].filter((id) => !after.has(id));
  const fresh = [...after].filter(([id]) => !before.has(id)).reverse();
  const other = [...after].filter(([id, row]) => before.has(id) && isOther(before.get(id), row));
  if (gone.length + fresh.length + other.length > MAX_ROWS) {
    return [replace(LIST_ID, listOf(after), { morph: true })];
  }
  return [
    ...gone.map((id) => remove(id)),
    ...fresh.map(([, row]) => prepend(LIST_ID, row)),
    ...other.map(([id, row]) => replace(id, row, { morph: true })),
  ];
}

function isOther(before: Markup | undefined, after: Markup): boolean {
  return String(before) !== String(after);
}
