/**
 * Which connection listens to which names.
 *
 * @module
 */
/** The one set for all that listen to no name: sharing it keeps it in the CPU's cache. */
export const NO_NAMES: ReadonlySet<string> = new Set();

/** A list of names as a set. */
export function namesOf(list: readonly string[]): ReadonlySet<string> {
  return list.length === 0 ? NO_NAMES : new Set(list);
}

/** Listeners by the names that they listen to. */
export class Listeners<Listener> {
  readonly #byName = new Map<string, Set<Listener>>();
  readonly #namesOf = new Map<Listener, ReadonlySet<string>>();

  /** How many listeners a name has. */
  count(name: string): number {
    return this.#byName.get(name)?.size ?? 0;
  }

  /** The listeners of any of the names, each once. The cost depends on their number alone. */
  of(names: readonly string[]): Iterable<Listener> {
    if (names.length === 1) return this.#byName.get(names[0]!) ?? [];
    const listeners = new Set<Listener>();
    for (const name of names) this.#byName.get(name)?.forEach((one) => listeners.add(one));
    return listeners;
  }

  /** Makes a listener listen to exactly these names; returns the names gained and lost. */
  set(listener: Listener, names: ReadonlySet<string>): string[] {
    const before = this.#namesOf.get(listener) ?? NO_NAMES;
    const changed = [...names].filter((name) => !before.has(name));
    for (const name of before) {
      if (names.has(name)) continue;
      changed.push(name);
      const others = this.#byName.get(name);
      others?.delete(listener);
      if (others?.size === 0) this.#byName.delete(name);
    }
    for (const name of names) {
      const others = this.#byName.get(name);
      if (others) others.add(listener);
      else this.#byName.set(name, new Set([listener]));
    }
    if (names.size > 0) this.#namesOf.set(listener, names);
    else this.#namesOf.delete(listener);
    return changed;
  }
}
