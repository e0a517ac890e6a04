/**
 * The nodes that write to one stream: what each has written last, and which of them are there. Pure.
 *
 * @module
 */
import type { Tag } from "./stream_entry.ts";

/** How {@linkcode Peers} judges. Times are in milliseconds. */
export interface PeersOptions {
  /** This node. */
  readonly node: string;
  /** How often a node says that it is there, where it does not say how often. */
  readonly interval: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

interface Peer {
  /** The highest number that it has given to an entry. */
  highest: number;
  /** When it was heard last, by the time in which this node listened. */
  heardAt: number;
  /** How often it says that it is there; `undefined` where it never has, as one that only pushes. */
  interval: number | undefined;
  /** How many of its intervals it may be silent for before this node tells that it is gone. */
  patience: number;
  /** Until when it may come back, where it was told gone by another. */
  lostUntil: number | undefined;
}

/**
 * Intervals of silence after which a node is gone, and how many more at most, so that not all others say so
 * at once: with the time that it takes to say so it comes to less than three.
 */
const PATIENCE = 2.25;
const SPREAD = 0.25;
/** Intervals, and milliseconds at least, in which one that was told gone may come back. */
const RETURN = 4;
const MIN_RETURN = 2_000;
/** Milliseconds for which the number of one that only pushes is remembered. */
const MEMORY = 60_000;

/** The nodes that write to the stream. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #peers = new Map<string, Peer>();
  /** Goes on only while this node listens. */
  #time = 0;
  #tickedAt: number | undefined;

  /** Knows nobody. */
  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** A node has written something. Returns whether that has come before: a node numbers what it writes. */
  heard({ node, n }: Tag): boolean {
    if (node === "") return false;
    const peer = this.#peer(node);
    peer.heardAt = this.#time;
    peer.lostUntil = undefined;
    const isTwice = n > 0 && n <= peer.highest;
    peer.highest = Math.max(peer.highest, n);
    return isTwice;
  }

  /** Another life of the stream has begun: nothing that was written for the one before can come. */
  forgetNumbers(): void {
    for (const peer of this.#peers.values()) peer.highest = 0;
  }

  /** A node has said that it is there, and how often it does. */
  met(node: string, interval: number = this.#options.interval): void {
    if (node !== this.#options.node && node !== "") this.#peer(node).interval = interval;
  }

  /** A node is gone. Its number stays known, in case something of it is written late. */
  left(node: string): void {
    const peer = this.#peers.get(node);
    if (peer) peer.interval = undefined;
  }

  /** Another node has told that one is gone, which has not said so itself. */
  lost(node: string): void {
    const peer = this.#peers.get(node);
    if (peer?.interval === undefined) return;
    peer.lostUntil = this.#time + Math.max(RETURN * peer.interval, MIN_RETURN);
    peer.interval = undefined;
  }

  /** Whether one that was told gone is not coming back, as is told once. */
  takeLost(): boolean {
    let isAny = false;
    for (const peer of this.#peers.values()) {
      if (peer.lostUntil === undefined || peer.lostUntil > this.#time) continue;
      peer.lostUntil = undefined;
      isAny = true;
    }
    return isAny;
  }

  /** Time passes; `listens` while the nodes can be heard. Returns those that are silent for too long. */
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
        peer.heardAt = this.#time; // until it is told again
      } else if (this.#isOver(node, peer, silence)) {
        this.#peers.delete(node);
      }
    }
    return silent;
  }

  /** Whether nothing more is to be expected of one, nor of its number. */
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
