/**
 * One process of a model: a replica, its copy of the log, and what carries out its effects.
 *
 * @module
 */
import type { Push } from "../engine.ts";
import { type Entry, Log } from "../log.ts";
import { Nodes, type SharedChange } from "../nodes.ts";
import type { Effect, Event, Replica, ReplicaOptions } from "../replica.ts";
import type { Link, Network, Timeline } from "./network.ts";

/** Options of a node. */
export interface NodeOptions extends Omit<ReplicaOptions, "wallClock" | "server"> {
  readonly time: Timeline;
  readonly network: Network;
  readonly Replica: typeof Replica;
  /** Milliseconds by which its wall clock is wrong. */
  readonly clockError: number;
  /** Called with each effect before it is carried out. */
  readonly watch: (effect: Effect, node: ModelNode) => void;
}

/** One process. */
export class ModelNode {
  readonly name: string;
  readonly log: Log;
  readonly replica: Replica;
  readonly nodes: Nodes;
  /** The value that it shares. */
  share: unknown;
  /** Names disconnected here, changes in what nodes share, notices, and errors of renderings. */
  readonly sentAway: string[] = [];
  readonly changes: SharedChange[] = [];
  readonly notices: string[] = [];
  readonly errors: unknown[] = [];
  /** How many commands were sent, by the second. */
  readonly commands = new Map<number, number>();
  isDead = false;
  /** Called for appended entries and for a restart, which the pages of this node learn of. */
  deliver: (entry: Entry) => void = () => {};
  restart: () => void = () => {};
  link: Link | undefined;
  readonly #options: NodeOptions;
  readonly #events: Event[] = [];
  #isBusy = false;
  /** Events that arrive while it is stopped. */
  #held: (Event | Push)[] | undefined;

  /** Starts a process. */
  constructor(options: NodeOptions) {
    const { node, time, Replica, clockError } = options;
    this.name = node;
    this.#options = options;
    this.log = new Log({ maxEntries: 40, epoch: node }, { now: () => time.now });
    this.nodes = new Nodes((change) => this.changes.push(change), () => time.now);
    const wallClock = () => Math.max(0, 1.7e12 + time.now + clockError);
    this.replica = new Replica({ ...options, wallClock, server: "the server" });
    this.#tick();
  }

  /** Stops the process, so that events wait; `goOn` continues with them. */
  stop(): void {
    this.#held ??= [];
  }

  goOn({ ticksFirst = true } = {}): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (ticksFirst) this.happen({ type: "tick" });
    for (const one of held) {
      if ("type" in one) this.happen(one);
      else this.push(one);
    }
  }

  /** Loses the replies that have arrived while it was stopped. */
  dropHeld(): void {
    this.#held = this.#held?.filter((one) => !("type" in one) || one.type !== "reply");
  }

  /** Whether it is stopped. */
  get isStopped(): boolean {
    return this.#held !== undefined;
  }

  /** Pushes, as an app does. */
  push(push: Push): void {
    if (this.#held) return void this.#held.push(push);
    const html = "html" in push && typeof push.html === "function" ? push.html() : undefined;
    this.happen({ type: "push", push, html });
  }

  /** Shares a value. */
  say(value: unknown): void {
    this.share = value;
    this.push({ say: JSON.stringify({ share: value }) });
  }

  /** Handles an event. Events that effects cause come after them. */
  happen(event: Event): void {
    if (this.isDead) return;
    if (this.#held) return void this.#held.push(event);
    this.#events.push(event);
    if (this.#isBusy) return;
    this.#isBusy = true;
    const { time } = this.#options;
    for (let next; (next = this.#events.shift());) {
      for (const effect of this.replica.step(next, time.now)) this.#carryOut(effect);
    }
    this.#isBusy = false;
  }

  #tick(): void {
    if (this.isDead) return;
    if (!this.#held) this.happen({ type: "tick" });
    this.#options.time.later(() => this.#tick(), 100);
  }

  #carryOut(effect: Effect): void {
    const { network, time, watch } = this.#options;
    watch(effect, this);
    switch (effect.type) {
      case "connect": {
        const link = network.connect((event) => this.link === link && this.happen(event));
        this.link = link;
        this.#count(time.now);
        break;
      }
      case "disconnect":
        if (this.link) network.close(this.link);
        this.link = undefined;
        break;
      case "send":
        this.#count(time.now);
        network.send(this.link!, effect.command);
        break;
      case "append": {
        const { html, to, except, position } = effect;
        const entry = this.log.append(html, { to, except }, position);
        if (effect.deliver) this.deliver(entry);
        break;
      }
      case "skip":
        this.log.skip(effect.position);
        break;
      case "revoke":
        this.log.revoke(effect.name, effect.position);
        break;
      case "send away":
        this.sentAway.push(effect.name);
        break;
      case "fork":
        this.log.fork(`${this.name}_${Math.floor(time.now)}`);
        break;
      case "reset":
        this.log.reset(effect.epoch, effect.position);
        break;
      case "restart":
        this.restart();
        break;
      case "hear":
        this.nodes.hear(effect.said, JSON.parse(effect.said.text));
        break;
      case "left":
        this.nodes.left(effect.node, effect.isOwn);
        break;
      case "say all": {
        const all = this.share === undefined ? {} : { share: this.share };
        this.push({ say: JSON.stringify({ all: true, ...all }) });
        break;
      }
      case "notice":
        this.notices.push(effect.message);
        break;
      case "failed":
        this.errors.push(effect.error);
    }
  }

  #count(now: number): void {
    const second = Math.floor(now / 1000);
    this.commands.set(second, (this.commands.get(second) ?? 0) + 1);
  }
}
