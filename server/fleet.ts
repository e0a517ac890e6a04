/**
 * Processes that show one box with a row for each of them: what this one shares of itself, what it has
 * heard of the others, and which of them pushes the box when. It sits on a `Turbo` with an engine, or
 * on whatever else shares values in one order.
 *
 * @module
 */

/** What a process shares, as JSON can have it. A field `box` in it is the fleet's own. */
export interface FleetRow {
  /** How old it is, in milliseconds. While it is shared it grows older. */
  readonly age: number;
}

/** What another process shares, or this one. */
export interface SharedValue {
  /** What it has shared last. */
  readonly value: unknown;
  /** How many milliseconds ago this process heard of it. */
  readonly age: number;
  /** Whether it is of this process. */
  readonly isOwn: boolean;
}

/** A change of what the processes share: what `onShared` of a `Turbo` is given. */
export interface SharedChange {
  /** The process whose it is. */
  readonly node: string;
  /** Whether this process has brought the change about; of all it is true on one. */
  readonly isOwn: boolean;
  /** Whether that process was not there before, or is gone now, or neither. */
  readonly kind: "joined" | "changed" | "left";
}

/** What a {@linkcode Fleet} shares by. A `Turbo` is one. */
export interface Sharing {
  /** What each process shares, by names of no meaning that are the same on all of them. */
  readonly shared: ReadonlyMap<string, SharedValue>;
  /** Shares a value with all, in place of the one before. It may be read again later. */
  share(value: unknown): void;
  /** Whether anyone has a page of this process open. */
  canPush(): boolean;
}

/** What a {@linkcode Fleet} needs. */
export interface FleetOptions<Row> {
  /** Milliseconds between two calls of `share`. */
  interval: number;
  /** The row that a value of another process is; `undefined` where it is none. */
  rowOf: (value: unknown) => Row | undefined;
  /** Pushes the box into the pages of all, rendered when it is sent. */
  push: () => unknown;
  /** The clock by which time passes. Default `performance.now`. */
  monotonicNow?: () => number;
}

/**
 * Milliseconds between a change of who is there and the box that shows it: a process that has just come
 * hears the others one by one, and a page need not be shown each step.
 */
const SETTLING = 100;
/** What a machine is called that may not read its name. */
const UNNAMED = "unnamed";

/**
 * This process's side of the fleet.
 *
 * @example Two processes, over a `Turbo` each: `onShared: (change) => fleet.changed(change)`
 * ```ts
 * import assert from "node:assert/strict";
 * import { Fleet, type Sharing } from "./fleet.ts";
 *
 * const shared = new Map([["web2", { value: { load: 7, age: 0 }, age: 0, isOwn: false }]]);
 * const turbo: Sharing = { shared, share() {}, canPush: () => true };
 * const fleet = new Fleet(turbo, {
 *   interval: 5_000,
 *   rowOf: (value) => value as { load: number; age: number },
 *   push() {}, // turbo.push(() => replace("box", box([...fleet.rows()])))
 * });
 * fleet.share({ load: 3, age: 0 });
 * assert.deepEqual([...fleet.rows()].map(([, { load }]) => load), [3, 7]);
 * await fleet.leave(() => Promise.resolve()); // turbo.close()
 * ```
 */
export class Fleet<Row extends FleetRow> {
  readonly #sharing: Sharing;
  readonly #options: Required<FleetOptions<Row>>;
  #own: Row | undefined;
  /** Its key among what is shared, which is known when this process hears itself. */
  #key = "";
  /** When another process has said that it pushes the box. */
  #heardOfBox = -Infinity;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #isLeaving = false;

  /** A process that has shared nothing yet. */
  constructor(sharing: Sharing, options: FleetOptions<Row>) {
    this.#sharing = sharing;
    this.#options = { monotonicNow: () => performance.now(), ...options };
  }

  /** What this process has shared last. */
  get own(): Row | undefined {
    return this.#own;
  }

  /**
   * The rows of now and the processes whose they are: its own, and then those of the others in one order
   * on all of them. They are read one by one, so whoever stops early has not paid for the rest.
   */
  *rows(): Generator<readonly [node: string, row: Row]> {
    const { rowOf } = this.#options;
    // As it is here: what was shared last may not have come back yet.
    const own = this.#own && [this.#key, { ...this.#own }] as const;
    if (own && !this.#isLeaving) yield own;
    let isAlone = true;
    const byNode = [...this.#sharing.shared].sort(([one], [two]) => one < two ? -1 : 1);
    for (const [node, { value, age, isOwn }] of byNode) {
      const row = isOwn ? undefined : rowOf(value);
      if (!row) continue;
      isAlone = false;
      yield [node, { ...row, age: row.age + age }];
    }
    if (own && this.#isLeaving && isAlone) yield own;
  }

  /**
   * Shares a row, and pushes the box unless another process has pushed it less than half an interval
   * ago: so a fleet of any size sends one or two boxes in each interval.
   */
  share(row: Row): void {
    if (this.#isLeaving) return;
    const { interval, monotonicNow } = this.#options;
    const isFirst = this.#own === undefined;
    const pushes = isFirst || monotonicNow() - this.#heardOfBox >= interval / 2;
    const sharedAt = monotonicNow();
    const own = {
      ...row,
      // Read whenever this is said again, as to a process that has just come: it is older by then.
      get age() {
        return row.age + monotonicNow() - sharedAt;
      },
      box: pushes, // for `changed` of the others
    };
    this.#own = own;
    this.#sharing.share(own);
    own.box = false; // should it be said again, no box comes with it
    if (isFirst) this.#pushSoon();
    else if (pushes) this.#push();
  }

  /** Something has changed in what the processes share: for `onShared`. */
  changed({ node, isOwn, kind }: SharedChange): void {
    if (kind === "left") {
      if (isOwn && node !== this.#key) this.#push(); // of all processes, this one does
      return;
    }
    if (isOwn) {
      this.#key = node;
      return;
    }
    const value = this.#sharing.shared.get(node)?.value;
    const comesWithBox = (value as { box?: unknown } | null)?.box === true;
    if (comesWithBox) this.#heardOfBox = this.#options.monotonicNow();
    // One that was here before, of which this process only learns now.
    else if (kind === "joined") this.#pushSoon();
  }

  /**
   * Shares nothing more, shows the others alone, and closes by `close`, which tells them. Their box goes
   * right behind that: when this process hears of its own end it may be too late for a push.
   */
  async leave(close: () => Promise<void>): Promise<void> {
    const wasHere = this.#own !== undefined && !this.#isLeaving;
    this.#isLeaving = true;
    clearTimeout(this.#settling);
    const closed = close();
    if (wasHere) this.#push();
    await closed;
  }

  #pushSoon(): void {
    if (this.#own === undefined || this.#isLeaving) return;
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      this.#push();
    }, SETTLING);
  }

  #push(): void {
    const hasOthers = [...this.#sharing.shared.values()].some(({ isOwn }) => !isOwn);
    if (hasOthers || this.#sharing.canPush()) this.#options.push(); // else nobody sees it
  }
}

/** What this machine is called; where that may not be known (`--allow-sys=hostname`), just that. */
export function machineName(hostname: () => string = Deno.hostname): string {
  try {
    return hostname() || UNNAMED;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return UNNAMED;
    throw error;
  }
}
