/**
 * One node among those of a fleet: what it shares of its machine, what it has heard of the others, and
 * which of them pushes the box when.
 *
 * @module
 */
import type { LoadReport } from "../loadavg.ts";
import type { Markup, SharedChange, Turbo } from "../turbo/mod.ts";
import { replace } from "../turbo/mod.ts";
import { type FleetReport, inOrder, MAX_HISTORY, reportOf, type Row, rowOf } from "./rows.ts";

/** What a {@linkcode Fleet} needs. */
export interface FleetOptions {
  /** What this machine is called. */
  name: string;
  /** Milliseconds between two readings. */
  interval: number;
  /** The id of the box, and the box itself. */
  target: string;
  box: (load: LoadReport | FleetReport) => Markup;
  /** The clock by which time passes. Default `performance.now`. */
  monotonicNow?: () => number;
}

/**
 * Milliseconds between a change of who is there and the box that shows it: a node that has just come
 * hears the others one by one, and a page need not be shown each step.
 */
const SETTLING = 100;

/** This node's side of the fleet. */
export class Fleet {
  readonly #turbo: Turbo;
  readonly #options: Required<FleetOptions>;
  readonly #history: (number | null)[] = [];
  #own: Row | undefined;
  /** Its key among what the nodes share, which is known when this node hears itself. */
  #key = "";
  /** When another node has said that it pushes the box. */
  #heardOfBox = -Infinity;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #isLeaving = false;

  /** A node that has shared nothing yet. */
  constructor(turbo: Turbo, options: FleetOptions) {
    this.#turbo = turbo;
    this.#options = { monotonicNow: () => performance.now(), ...options };
  }

  /** Whether this node has shared something. */
  get hasShared(): boolean {
    return this.#own !== undefined;
  }

  /** What a page shows now: this machine where there is no other, as without a fleet. */
  get report(): LoadReport | FleetReport {
    const rows = new Map<string, Row>();
    for (const [node, { value, age, isOwn }] of this.#turbo.shared) {
      const row = isOwn ? undefined : rowOf(value);
      if (row) rows.set(node, { ...row, age: row.age + age });
    }
    // Its own row as it is here: what was shared last may not have come back yet.
    const isHere = !this.#isLeaving || rows.size === 0;
    if (this.#own && isHere) rows.set(this.#key, { ...this.#own });
    const [first, second] = rows.values();
    if (first && !second) return reportOf(first);
    const { name: renderer } = this.#options;
    const isAlone = this.#turbo.away !== undefined;
    return { rows: inOrder(rows), renderer, at: Date.now(), isAlone };
  }

  /**
   * Shares a reading, and pushes the box unless another node has pushed it less than half an interval
   * ago: so a fleet of any size sends one or two boxes in each interval.
   */
  share({ latest, failure, age }: LoadReport): void {
    if (this.#isLeaving) return;
    const { name, interval, monotonicNow } = this.#options;
    this.#history.push(failure === undefined && latest ? round(latest.averages[0]) : null);
    if (this.#history.length > MAX_HISTORY) this.#history.shift();
    const isFirst = !this.hasShared;
    const pushes = isFirst || monotonicNow() - this.#heardOfBox >= interval / 2;
    const readAt = monotonicNow() - (Number.isFinite(age) ? age : 0);
    const own = {
      name,
      averages: latest?.averages,
      simulated: latest?.simulated ?? false,
      at: latest?.at ?? 0,
      // Read whenever this is said again, as to a node that has just come: it is older by then.
      get age() {
        return monotonicNow() - readAt;
      },
      failure,
      history: [...this.#history],
      interval,
      cpus: navigator.hardwareConcurrency,
      box: pushes,
    };
    this.#own = own;
    this.#turbo.share(own);
    own.box = false; // should it be said again, no box comes with it
    if (isFirst) this.#pushSoon();
    else if (pushes) this.#push();
  }

  /** Something has changed in what the nodes share: for `onShared`. */
  changed({ node, isOwn, kind }: SharedChange): void {
    if (kind === "left") {
      if (isOwn && node !== this.#key) this.#push(); // of all nodes, this one does
      return;
    }
    if (isOwn) {
      this.#key = node;
      return;
    }
    const value = this.#turbo.shared.get(node)?.value;
    const comesWithBox = (value as { box?: unknown } | null)?.box === true;
    if (comesWithBox) this.#heardOfBox = this.#options.monotonicNow();
    // One that was here before, of which this node only learns now.
    else if (kind === "joined") this.#pushSoon();
  }

  /**
   * Shares nothing more, shows the others alone, and closes by `close`, which tells them. Their box goes
   * right behind that: when this node hears of its own end it may be too late for a push.
   */
  async leave(close: () => Promise<void>): Promise<void> {
    const wasHere = this.hasShared && !this.#isLeaving;
    this.#isLeaving = true;
    clearTimeout(this.#settling);
    const closed = close();
    if (wasHere) this.#push();
    await closed;
  }

  #pushSoon(): void {
    if (!this.hasShared || this.#isLeaving) return;
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      this.#push();
    }, SETTLING);
  }

  #push(): void {
    const { target, box } = this.#options;
    const hasOthers = [...this.#turbo.shared.values()].some(({ isOwn }) => !isOwn);
    if (!hasOthers && !this.#turbo.canPush()) return; // nobody sees it
    // In this form, because others change what it shows: see Turbo.push().
    this.#turbo.push(() => replace(target, box(this.report)));
  }
}

function round(load: number): number {
  return Math.round(load * 100) / 100;
}
