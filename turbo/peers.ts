/**
 * The nodes that write to one stream: the last number of each, and which of them are alive. Pure.
 *
 * @module
 */
import type { Tag } from "./stream_entry.ts";

/** Options of {@linkcode Peers}. Times are in milliseconds. */
export interface PeersOptions {
  /** The name of this node. */
  readonly node: string;
  /** The heartbeat interval of a node that does not state its own. */
  readonly interval: number;
  /** A random number from 0 to 1. */
  readonly random: () => number;
}

interface Peer {
  /** The highest number among its entries. */
  highest: number;
  /** When it last wrote something, on a clock that runs only while this node listens. */
  heardAt: number;
  /** Its heartbeat interval; `undefined` while it is not known to be alive, such as one that only pushes. */
  interval: number | undefined;
  /** For how many of its intervals it may be silent before this node reports it as lost. */
  patience: number;
  /** The time until which it may come back after another node has reported it as lost. */
  lostUntil: number | undefined;
}

/**
 * Intervals of silence after which a node is lost, and a random part of an interval more, so that not all
 * others report it at once. Together with the time that reporting takes it is less than three intervals.
 */
const PATIENCE = 2.25;
const SPREAD = 0.25;
/** Intervals in which a node that was reported as lost may come back, and the least milliseconds. */
const RETURN = 4;
const MIN_RETURN = 2_000;
/** Milliseconds for which the number of a node that only pushes is remembered. */
const MEMORY = 60_000;

/** The nodes that write to the stream. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #peers = new Map<string, Peer>();
  /** A clock that runs only while this node listens. */
  #time = 0;
  #tickedAt: number | undefined;

  /** Starts without any. */
  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Call for each entry. Returns whether it is a repetition, by the number that its writer gave it. */
  heard({ node, n }: Tag): boolean {
    if (node === "") return false;
    const peer = this.#peer(node);
    peer.heardAt = this.#time;
    peer.lostUntil = undefined;
    const isTwice = n > 0 && n <= peer.highest;
    peer.highest = Math.max(peer.highest, n);
    return isTwice;
  }

  /** Another epoch of the stream has begun: forgets the numbers, because no entry of the old one can come. */
  forgetNumbers(): void {
    for (const peer of this.#peers.values()) peer.highest = 0;
  }

  /** A node has sent a heartbeat, with its interval. */
  met(node: string, interval: number = this.#options.interval): void {
    if (node !== this.#options.node && node !== "") this.#peer(node).interval = interval;
  }

  /** A node has left. Its number stays known, in case an entry of it arrives late. */
  left(node: string): void {
    const peer = this.#peers.get(node);
    if (peer) peer.interval = undefined;
  }

  /** Another node has reported this one as lost. */
  lost(node: string): void {
    const peer = this.#peers.get(node);
    if (peer?.interval === undefined) return;
    peer.lostUntil = this.#time + Math.max(RETURN * peer.interval, MIN_RETURN);
    peer.interval = undefined;
  }

  /** Whether a node that was reported as lost has not come back in time; true once for each. */
  takeLost(): boolean {
    let isAny = false;
    for (const peer of this.#peers.values()) {
      if (peer.lostUntil === undefined || peer.lostUntil > this.#time) continue;
      peer.lostUntil = undefined;
      isAny = true;
    }
    return isAny;
  }

  /** Lets time pass; `listens` while entries can be read. Returns the nodes that are silent for too long. */
  tick(now: number, listens: boolean): string[] {
    const elapsed = now - (this.#tickedAt ?? now);
    this.#tickedAt = now;
    if (!listens) return [];
    this.#time += elapsed;
    const silent: string[] = [];
    for (const [node, peer] of this.#peers) {
      const silence = this.#time - peer.heardAt;
      if (peer.interval !== undefined && silence > peer.interval * peer.patience) {
        silent.push(node);
        peer.heardAt = this.#time; // reported again only after as long a silence
      } else if (this.#isOver(node, peer, silence)) {
        this.#peers.delete(node);
      }
    }
    return silent;
  }

  /** Whether a node can be forgotten, its number included. */
  #isOver(node: string, { interval, lostUntil }: Peer, silence: number): boolean {
    const isExpected = interval !== undefined || lostUntil !== undefined;
    return !isExpected && silence > MEMORY && node !== this.#options.node;
  }

  #peer(node: string): Peer {
    let peer = this.#peers.get(node);
    if (!peer) {
      const patience = PATIENCE + SPREAD * this.#options.random();
      peer = {
        highest: 0,
        heardAt: this.#time,
        interval: undefined,
        patience,
        lostUntil: undefined,
      };
      this.#peers.set(node, peer);
    }
    return peer;
  }
}
