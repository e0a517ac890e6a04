/**
 * A fleet of processes that all show one box with a row for each process: what this process shares about
 * itself, what it has received from the others, and which process pushes the box when. It works over a
 * `Turbo` with an engine, or over anything else that shares values in one order.
 *
 * @module
 */

/** The row that a process shares, as JSON. The fleet adds a field `box` for its own use. */
export interface FleetRow {
  /** The age of the values in milliseconds. It grows while the row is shared. */
  readonly age: number;
}

/** A value that a process shares. */
export interface SharedValue {
  /** The value shared last. */
  readonly value: unknown;
  /** How many milliseconds ago this process received it. */
  readonly age: number;
  /** Whether it is this process's own. */
  readonly isOwn: boolean;
}

/** A change in what the processes share, as `onShared` of a `Turbo` receives it. */
export interface SharedChange {
  /** The process whose value changed. */
  readonly node: string;
  /** Whether this process caused or reported the change; it is true on one process only. */
  readonly isOwn: boolean;
  /** `joined`: the process shared its first value. `left`: it is gone. */
  readonly kind: "joined" | "changed" | "left";
}

/** What a {@linkcode Fleet} shares values through, such as a `Turbo`. */
export interface Sharing {
  /** The values of all processes, by opaque names that are the same on all of them. */
  readonly shared: ReadonlyMap<string, SharedValue>;
  /** Shares a value with all, replacing the previous one. The value may be read again later. */
  share(value: unknown): void;
  /** Whether any page is connected to this process. */
  canPush(): boolean;
}

/** Options of {@linkcode Fleet}. */
export interface FleetOptions<Row> {
  /** Milliseconds between two calls of `share`. */
  interval: number;
  /** Reads the row of another process from its value; `undefined` where the value is not a row. */
  rowOf: (value: unknown) => Row | undefined;
  /** Pushes the box into the pages of all processes, as a function that renders it. */
  push: () => unknown;
  /** Called when another process pushes the box: by now, this one knows the same rows. */
  onPushed?: () => void;
  /** A monotonic clock in milliseconds. Default `performance.now`. */
  monotonicNow?: () => number;
}

/**
 * Milliseconds between a change of the processes and the box that shows it. A process that has just joined
 * receives the values of the others one by one, and pages need not show each step.
 */
const SETTLING = 100;

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
  /** The key of this process among the shared values, known once it has received its own value. */
  #key = "";
  /** When another process last announced that it pushes the box. */
  #heardOfBox = -Infinity;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #isLeaving = false;

  /** Starts without a row. */
  constructor(sharing: Sharing, options: FleetOptions<Row>) {
    this.#sharing = sharing;
    this.#options = { monotonicNow: () => performance.now(), onPushed: () => {}, ...options };
  }

  /** The row that this process shared last. */
  get own(): Row | undefined {
    return this.#own;
  }

  /**
   * The current rows, each with its process and whether that is this one: first its own row, then those of
   * the others, in the same order on all processes. Rows are read one by one, so a caller that stops early
   * does not pay for the rest.
   */
  *rows(): Generator<readonly [node: string, row: Row, isOwn: boolean]> {
    const { rowOf } = this.#options;
    // Its own row is taken from here, because the value shared last may not have been received yet.
    const own = this.#own && [this.#key, { ...this.#own }, true] as const;
    if (own && !this.#isLeaving) yield own;
    let isAlone = true;
    const byNode = [...this.#sharing.shared].sort(([one], [two]) => one < two ? -1 : 1);
    for (const [node, { value, age, isOwn }] of byNode) {
      const row = isOwn ? undefined : rowOf(value);
      if (!row) continue;
      isAlone = false;
      yield [node, { ...row, age: row.age + age }, false];
    }
    if (own && this.#isLeaving && isAlone) yield own;
  }

  /**
   * Shares a row, and pushes the box unless another process has done so less than half an interval ago. So
   * a fleet of any size sends one or two boxes in each interval.
   */
  share(row: Row): void {
    if (this.#isLeaving) return;
    const { interval, monotonicNow } = this.#options;
    const isFirst = this.#own === undefined;
    const pushes = isFirst || monotonicNow() - this.#heardOfBox >= interval / 2;
    const sharedAt = monotonicNow();
    const own = {
      ...row,
      // Read each time the value is sent, such as again to a process that has just joined.
      get age() {
        return row.age + monotonicNow() - sharedAt;
      },
      box: pushes, // for `changed` of the others
    };
    this.#own = own;
    this.#sharing.share(own);
    own.box = false; // no box is pushed when the value is sent again
    if (isFirst) this.#pushSoon();
    else if (pushes) this.#push();
  }

  /** Handles a change in what the processes share: call it from `onShared`. */
  changed({ node, isOwn, kind }: SharedChange): void {
    if (kind === "left") {
      // Of many processes, the one that reported the loss pushes; what a single one shows, only it knows.
      if (node === this.#key) return;
      if (isOwn || !this.#hasOthers) this.#push();
      else this.#options.onPushed();
      return;
    }
    if (isOwn) {
      this.#key = node;
      return;
    }
    const value = this.#sharing.shared.get(node)?.value;
    const comesWithBox = (value as { box?: unknown } | null)?.box === true;
    // Otherwise that process was there before; this one has just received its value.
    if (!comesWithBox) return kind === "joined" ? this.#pushSoon() : undefined;
    this.#heardOfBox = this.#options.monotonicNow();
    this.#options.onPushed();
  }

  /**
   * Leaves the fleet: shares nothing more, shows only the others, and calls `close`, which announces the end.
   * The box without this process is pushed right after that call, because later it may be too late.
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
    if (this.#hasOthers || this.#sharing.canPush()) this.#options.push(); // else nobody sees it
  }

  get #hasOthers(): boolean {
    return [...this.#sharing.shared.values()].some(({ isOwn }) => !isOwn);
  }
}
