/**
 * How one node follows the stream that all nodes share, as a pure state machine: events go in, effects
 * come out. It knows neither Redis nor a clock nor a socket.
 *
 * @module
 */
import type { Push, Said } from "./engine.ts";
import { concernsPages, type Item, Outbox } from "./outbox.ts";
import { Peers } from "./peers.ts";
import type { Command, Reply } from "./stream_commands.ts";
import {
  type Content,
  epochName,
  fieldsOf,
  isAfter,
  MAX_POSITION,
  type Place,
} from "./stream_entry.ts";
import type { StreamEntry, Tag } from "./stream_entry.ts";
import { Silence } from "./silence.ts";
import { isTrueBirth, newestRun, verdict } from "./stream_epoch.ts";

/** An input of the state machine. */
export type Event =
  /** Both connections are open. */
  | { readonly type: "connected" }
  /** They could not be opened, or one has ended and the other was closed. Never after `disconnect`. */
  | { readonly type: "lost"; readonly reason: string }
  /** A reply has come on the connections that are open now. */
  | { readonly type: "reply"; readonly reply: Reply }
  /** The app pushes. `html`: what a push that was given as a function has just rendered. */
  | { readonly type: "push"; readonly push: Push; readonly html: string | undefined }
  /** Time has passed. Expected about ten times a second. */
  | { readonly type: "tick" };

/** An output of the state machine. Effects must be carried out in their order. */
export type Effect =
  | { readonly type: "connect" }
  /** Close both connections. No further events may come from them. */
  | { readonly type: "disconnect" }
  | { readonly type: "send"; readonly command: Command }
  /** Append to the log, at its next position where none is given; `deliver`: send it to pages too. */
  | {
    readonly type: "append";
    readonly html: string;
    readonly to: readonly string[] | undefined;
    readonly except: string | undefined;
    readonly position: number | undefined;
    readonly deliver: boolean;
  }
  /** Move the log on to a position that has nothing for pages. */
  | { readonly type: "skip"; readonly position: number }
  /** Revoke a name in the log; `deliver`: for open pages too. */
  | {
    readonly type: "revoke";
    readonly name: string;
    readonly position: number | undefined;
    readonly deliver: boolean;
  }
  | { readonly type: "send away"; readonly name: string }
  /** Continue the log under another epoch. */
  | { readonly type: "fork" }
  /** Start the log again under another epoch, without knowledge up to this position. */
  | { readonly type: "reset"; readonly epoch: string; readonly position: number }
  /** Make every page fetch itself. */
  | { readonly type: "restart" }
  | { readonly type: "hear"; readonly said: Said }
  | { readonly type: "left"; readonly node: string; readonly isOwn: boolean }
  | { readonly type: "say all" }
  /** Pass a notice to the operator. */
  | { readonly type: "notice"; readonly message: string }
  /** A function that renders a push has thrown an error when it was called again. */
  | { readonly type: "failed"; readonly error: unknown };

/** Options of {@linkcode Replica}. Times are in milliseconds. */
export interface ReplicaOptions {
  /** The name of this node; no other node has it, nor has this one after a restart. */
  readonly node: string;
  /** How long pushes wait for a silent server before they go to the pages of this node alone. */
  readonly hold: number;
  /** Longest time between two signs of life of this node. */
  readonly interval: number;
  /** A random number from 0 to 1. */
  readonly random: () => number;
  /** Milliseconds since 1970; used only for the numbers of new epochs. */
  readonly wallClock: () => number;
  /** The server's name in notices. */
  readonly server: string;
}

/** Time between two looks at the newest entry, because a blocked read never sees a lower epoch. */
const LOOK_INTERVAL = 2_000;
/** How long the server may hold a `read` while there is nothing new. */
const READ_TIMEOUT = 1_000;
/**
 * The most time that counts between two steps. A process that was stopped has heard nothing meanwhile, and
 * handles what has arrived only after its first tick.
 */
const MAX_STEP = 250;
/** Silence of reads up to which other nodes can be heard; beyond it, the server itself is the problem. */
const MAX_QUIET = READ_TIMEOUT + 250;
/** The largest factor for the patience with a server that was too slow for what it was asked. */
const MAX_SLOWNESS = 32;
/** Time before the first and before later attempts to reconnect. */
const FIRST_RETRY = 50;
const RETRY = 250;
/** How many times `hold` a push may wait for a server that answers but makes no progress. */
const PATIENCE = 5;
/**
 * How often in a row a contested push is rendered again at once, and the longest time until the next one.
 * Where each rendering differs, such as one of the time, nodes would otherwise make each other push without
 * end.
 */
const TURNS_AT_ONCE = 2;
const MAX_PAUSE = 1_000;
/** The most pushes, and bytes of them, that wait. */
const MAX_WAITING = 20_000;
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** The part of its interval after which a node sends a heartbeat. */
const BEAT_AFTER = 0.8;
/** The most readers that are remembered as to be disconnected on other nodes when the server is back. */
const MAX_OWED = 10_000;

/** Asks the other nodes to state everything again, because this node may have missed something. */
const QUESTION: Content = { kind: "say", text: "{}", asks: true };

/**
 * Follows the stream. Its copy, the log, is a prefix of the stream without holes. If something must be
 * pushed while the server is away, the copy continues under an epoch of its own, and every page fetches
 * itself when the server is back. A push of this node stays in the outbox until it is read from the stream.
 */
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #outbox = new Outbox();
  readonly #peers: Peers;
  #effects: Effect[] = [];
  #now = 0;
  #steppedAt: number | undefined;

  #phase: "down" | "opening" | "looking" | "born" | "loading" | "following" = "down";
  #retryAt = 0;
  #tries = 0;
  /** The newest entry in the copy, and its writer; `undefined` before the first. */
  #place: Place | undefined;
  #tag: Tag = { node: "", n: 0, attempt: 0 };
  /** The position that the copy must reach before anything is sent. */
  #catchUp = 0;
  /** Whether the copy continues without the server. */
  #isLocal = false;
  #away: string | undefined;
  #hasBeenReady = false;

  /** Since when the copy does not follow the stream; `undefined` while it does. */
  #downSince: number | undefined;
  #reason = "it has not answered yet";
  readonly #silence = new Silence();
  /** The factor by which the server may be silent for longer than usual. */
  #slowness = 1;
  /** Since when the server refuses writes, and why. */
  #refused: { readonly since: number; readonly reason: string } | undefined;
  #resendAt = 0;
  /** Whether a push was read back before an earlier one. */
  #isOvertaken = false;

  #lastId = 0;
  #adds = new Map<number, Item | undefined>();
  /** The entry that a pending look must find. */
  #look: { readonly place: Place; readonly tag: Tag } | undefined;
  #lookedAt = 0;

  /** How often in a row a function was pushed again, and until when the next push of some is delayed. */
  readonly #turns = new WeakMap<Item, number>();
  readonly #putOff = new Map<Item, number>();
  #isLeaving = false;
  #mustSayAll = false;
  /** Whether the others must be asked for their statements, and whether the question was sent. */
  #mustAsk = false;
  #hasAsked = false;
  #saidAt = -Infinity;
  /** Readers that only this node has disconnected, and the pushes that make the others do so. */
  readonly #sentAway = new Set<string>();
  readonly #owed = new WeakSet<Item>();

  /** Starts unconnected. The first tick connects. */
  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#peers = new Peers(options);
  }

  /** Whether it follows a server, has none, or does not know yet. */
  get state(): "starting" | "following" | "away" {
    if (this.#away !== undefined) return "away";
    return this.#hasBeenReady ? "following" : "starting";
  }

  /** Why the server is away, while it is. */
  get away(): string | undefined {
    return this.#away;
  }

  /** Whether other nodes have not received something that was pushed here and concerns pages. */
  get owes(): boolean {
    return this.#isLocal || this.#outbox.waitingSince !== undefined;
  }

  /** How many pushes there were in all. */
  get pushed(): number {
    return this.#outbox.pushed;
  }

  /** The number of the push up to which all are in the copy. */
  get settled(): number {
    return this.#outbox.settled;
  }

  /**
   * Handles an event and returns its effects. `now` is the time of a clock that never goes back. Must not
   * be called from a function that renders a push: events caused by that come after this step.
   */
  step(event: Event, now: number): Effect[] {
    this.#effects = [];
    this.#now += Math.min(now - (this.#steppedAt ?? now), MAX_STEP);
    this.#steppedAt = now;
    this.#downSince ??= this.#phase === "following" ? undefined : this.#now;
    switch (event.type) {
      case "tick":
        this.#tick();
        break;
      case "connected":
        this.#connected();
        break;
      case "lost":
        this.#lost(event.reason);
        break;
      case "reply":
        this.#silence.hear(this.#now, event.reply.kind === "read");
        this.#reply(event.reply);
        break;
      case "push":
        this.#push(event.push, event.html);
    }
    this.#goOn();
    return this.#effects;
  }

  // Connections

  #connected(): void {
    this.#silence.open(this.#now);
    this.#phase = "looking";
    this.#sendLook();
  }

  #lost(reason: string): void {
    this.#reason = reason;
    this.#phase = "down";
    this.#downSince ??= this.#now;
    this.#look = this.#refused = undefined;
    this.#adds.clear();
    this.#hasAsked = false;
    this.#retryAt = this.#now + (this.#tries++ === 0 ? FIRST_RETRY : RETRY);
  }

  /** Closes the connections and connects again. */
  #reconnect(reason: string): void {
    this.#do({ type: "disconnect" });
    this.#lost(reason);
  }

  #reply(reply: Reply): void {
    if (reply.kind === "read") return this.#read(reply.entries);
    if (reply.kind === "look") this.#looked(reply);
    else if (reply.kind === "birth") this.#load();
    else if (reply.kind === "load") this.#loaded(reply.entries);
    else this.#added(reply);
  }

  // Joining

  #sendLook(): void {
    const place = this.#place;
    this.#look = place && { place, tag: this.#tag };
    this.#lookedAt = this.#now;
    this.#send({ kind: "look", at: place });
  }

  #looked({ newest, first }: Reply & { readonly kind: "look" }): void {
    const look = this.#look;
    this.#look = undefined;
    if (this.#phase === "loading") return; // the reply to a look that was sent before
    if (this.#phase === "following") {
      // A read returns a newer epoch by itself, but not a lower one, nor a stream that is shorter now.
      const isNewer = newest && look && newest.epoch > look.place.epoch;
      if (!isNewer && (!newest || !look || verdict(look, first) === "other")) {
        this.#reconnect("the stream is not the one it was");
      }
      return;
    }
    // What was pushed here without the server is in no other copy, and what others have pushed meanwhile
    // is not in this one. A new epoch makes all nodes notice that, and accepts no more entries of the old.
    if (this.#isLocal || !newest) return this.#birth(newest?.epoch);
    if (!look || newest.epoch > look.place.epoch) return this.#load();
    const found = verdict(look, first);
    if (found === "other") this.#birth(newest.epoch);
    else if (found === "hole") this.#load();
    else this.#follow(newest.position);
  }

  #birth(seen: number | undefined): void {
    const { wallClock, random, node } = this.#options;
    const byClock = Math.floor(wallClock()) * 1024 + Math.floor(random() * 1024);
    const epoch = Math.max(byClock, (seen ?? 0) + 1, (this.#place?.epoch ?? 0) + 1);
    this.#phase = "born";
    this.#send({ kind: "birth", seen, epoch, node });
  }

  #load(): void {
    this.#phase = "loading";
    this.#send({ kind: "load" });
  }

  #loaded(entries: readonly StreamEntry[]): void {
    const whole = newestRun(entries);
    const [first, last] = [whole[0], whole.at(-1)];
    if (!first || !last) return this.#reconnect("the stream has gone while it was loaded");
    if (first.position === 0 && !isTrueBirth(first)) return this.#birth(first.epoch);
    if (last.position > MAX_POSITION) return this.#birth(last.epoch); // no more positions are left
    this.#isLocal = false;
    const known = this.#place;
    if (first.epoch !== known?.epoch) this.#peers.forgetNumbers();
    this.#do({
      type: "reset",
      epoch: epochName(first.epoch),
      position: Math.max(0, first.position - 1),
    });
    this.#place = { epoch: first.epoch, position: first.position - 1 };
    for (const entry of whole) this.#apply(entry, false);
    // Entries of an earlier epoch count too: a reader must not stay connected because the epoch changed.
    for (const { content, ...place } of known ? entries : []) {
      if (content.kind === "disconnect" && isAfter(place, known!)) {
        this.#do({ type: "send away", name: content.name });
      }
    }
    this.#do({ type: "restart" });
    this.#outbox.contestAll();
    this.#mustSayAll = this.#mustAsk = true;
    this.#follow(last.position);
  }

  #follow(catchUp: number): void {
    this.#phase = "following";
    this.#catchUp = catchUp;
    this.#outbox.resend();
    this.#sendRead();
  }

  // Following

  get #isCurrent(): boolean {
    return this.#phase === "following" && this.#place!.position >= this.#catchUp;
  }

  #sendRead(): void {
    this.#send({ kind: "read", after: this.#place! });
  }

  #read(entries: readonly StreamEntry[]): void {
    if (this.#phase !== "following") return;
    for (const entry of entries) {
      const { epoch, position } = this.#place!;
      const isBirth = entry.epoch !== epoch && entry.position === 0;
      const isNext = entry.epoch === epoch && entry.position === position + 1;
      if (!isBirth && !isNext) return this.#load(); // the entries in between are gone
      if (isBirth && !isTrueBirth(entry)) return this.#birth(entry.epoch);
      if (isBirth) this.#adopt(entry);
      this.#apply(entry, true);
      // Another writer uses this node's name, so that this node's own pushes would count as repetitions.
      if (this.#isFalse(entry)) return this.#birth(entry.epoch);
    }
    this.#sendRead();
  }

  #isFalse({ node, n }: StreamEntry): boolean {
    return node === this.#options.node && n > this.#outbox.pushed;
  }

  /** Switches to a new epoch, which another node has started. */
  #adopt({ epoch }: StreamEntry): void {
    this.#do({ type: "reset", epoch: epochName(epoch), position: 0 });
    this.#do({ type: "restart" });
    this.#catchUp = 0;
    this.#peers.forgetNumbers();
    // Pushes that are not read back by now were refused because the old epoch has ended, or will be.
    this.#adds.clear();
    this.#hasAsked = false;
    this.#outbox.resend();
    this.#outbox.contestAll();
    this.#mustSayAll = true;
  }

  #apply(entry: StreamEntry, deliver: boolean): void {
    const { epoch, position, node, n, attempt, content, interval } = entry;
    const isOwn = node === this.#options.node;
    this.#place = { epoch, position };
    this.#tag = { node, n, attempt };
    if (position === 0) return; // the birth of the epoch; the log starts after it
    const isTwice = this.#peers.heard(entry);
    const item = isOwn && n > 0 ? this.#outbox.take(n) : undefined;
    if (item && this.#outbox.hasOlder(item)) this.#isOvertaken = true;
    if (isTwice || (content.kind === "streams" && content.html === "")) {
      return this.#do({ type: "skip", position });
    }
    if (content.kind === "streams") {
      const { html, to, except } = content;
      this.#do({ type: "append", html, to, except, position, deliver });
      if (!isOwn) this.#outbox.contest(content);
    } else if (content.kind === "revoke") {
      this.#do({ type: "revoke", name: content.name, position, deliver });
    } else {
      this.#do({ type: "skip", position });
    }
    switch (content.kind) {
      case "disconnect":
        if (deliver && !(item && this.#owed.has(item))) {
          this.#do({ type: "send away", name: content.name });
        }
        break;
      case "say":
        this.#peers.met(node, interval);
        this.#do({ type: "hear", said: { node, text: content.text, isOwn } });
        if (content.asks && isOwn) this.#mustAsk = false;
        else if (content.asks && deliver) this.#mustSayAll = true;
        break;
      case "beat":
        this.#peers.met(node, interval);
        break;
      case "left":
        if (node === content.node || !deliver) this.#peers.left(content.node);
        else this.#peers.lost(content.node);
        this.#do({ type: "left", node: content.node, isOwn });
        // A node that was reported as lost, such as after it was stopped, states everything again.
        if (content.node === this.#options.node && deliver) this.#mustSayAll = true;
    }
    if (item?.isContested) this.#pushAgain(item);
  }

  /** Others have changed the same elements while a push was pending: pushes it again, with newer data. */
  #pushAgain(item: Item, { isDue = false } = {}): void {
    const { content, render } = item;
    if (content.kind !== "streams" || !render || this.#outbox.hasSuccessor(item)) return;
    const turns = this.#turns.get(item) ?? 0;
    if (turns >= TURNS_AT_ONCE && !this.#isLeaving && !isDue) {
      const pause = MAX_PAUSE * this.#options.random();
      return void this.#putOff.set(item, this.#now + pause);
    }
    const html = this.#render(render);
    if (html === undefined || html === content.html) return;
    this.#turns.set(this.#outbox.add({ ...content, html }, render, this.#now), turns + 1);
  }

  /** Makes the delayed pushes that are due. */
  #pushDue(): void {
    for (const [item, at] of this.#putOff) {
      if (at > this.#now && !this.#isLeaving) continue;
      this.#putOff.delete(item);
      this.#pushAgain(item, { isDue: true });
    }
  }

  #render(render: () => string): string | undefined {
    try {
      return render();
    } catch (error) {
      this.#do({ type: "failed", error });
      return undefined;
    }
  }

  // Pushing

  #push(push: Push, html: string | undefined): void {
    const content = contentOf(push, html, this.#options.node);
    if (content.kind === "left") {
      this.#isLeaving = true;
      this.#pushDue();
    }
    const render = "html" in push && typeof push.html === "function" ? push.html : undefined;
    this.#outbox.add(content, render, this.#now);
  }

  #sendUnsent(): void {
    for (const item of this.#outbox.takeUnsent()) {
      this.#add(item.content, item);
    }
  }

  #add(content: Content, item?: Item): void {
    const { node, interval } = this.#options;
    const isOfNode = content.kind === "say" || content.kind === "beat";
    const id = ++this.#lastId;
    const fields = fieldsOf({
      node,
      n: item?.n ?? 0,
      attempt: id,
      interval: isOfNode ? interval : undefined,
      content,
    });
    this.#adds.set(id, item);
    this.#saidAt = this.#now;
    this.#send({ kind: "add", id, epoch: this.#place!.epoch, fields });
  }

  #added(reply: Reply & { readonly kind: "add" }): void {
    const isKnown = this.#adds.has(reply.id);
    const item = this.#adds.get(reply.id);
    this.#adds.delete(reply.id);
    if (reply.result === "added") this.#refused = undefined;
    else if (reply.result === "refused") {
      this.#refused ??= { since: this.#now, reason: reply.reason };
      this.#resendAt = this.#now + RETRY;
      this.#hasAsked = false;
      if (item) this.#outbox.refuse(item);
    } else if (reply.result === "gone" && isKnown) {
      this.#reconnect("the stream is gone");
    }
    // "behind": the newer epoch is read next, and then what was refused is sent again.
  }

  #send(command: Command): void {
    this.#silence.ask(this.#now, command.kind === "read");
    this.#do({ type: "send", command });
  }

  // Time

  #tick(): void {
    const { hold } = this.#options;
    this.#pushDue();
    if (this.#phase === "down" && this.#now >= this.#retryAt) {
      this.#phase = "opening";
      this.#do({ type: "connect" });
    }
    const patience = (READ_TIMEOUT + hold) * this.#slowness;
    const isOpen = this.#phase !== "down" && this.#phase !== "opening";
    const isSilent = this.#silence.ofCommands(this.#now) > patience ||
      this.#phase === "following" && this.#silence.ofRead(this.#now) > patience;
    if (isOpen && isSilent) this.#giveUp(patience);
    if (this.#isCurrent && !this.#look && this.#now - this.#lookedAt >= LOOK_INTERVAL) {
      this.#sendLook();
    }
    const isHeard = this.#isCurrent && this.#silence.ofRead(this.#now) <= MAX_QUIET;
    const listens = this.#isLocal || isHeard;
    for (const node of this.#peers.tick(this.#now, listens)) this.#tellGone(node);
    // The last changes of a lost node, or what it pushed alone while cut off, may be in the data but in no
    // log, so pages must fetch themselves.
    if (this.#peers.takeLost() && this.#isCurrent) this.#do({ type: "restart" });
    if (this.#isCurrent && !this.#isLeaving) {
      const beatAfter = this.#options.interval * BEAT_AFTER;
      if (this.#now - this.#saidAt >= beatAfter) this.#add({ kind: "beat" });
    }
  }

  // On a slow network an answer may take longer than the patience, so the server gets longer next time.
  #giveUp(patience: number): void {
    if (this.#phase !== "looking") this.#slowness = Math.min(2 * this.#slowness, MAX_SLOWNESS);
    this.#reconnect(`it has said nothing for ${patience / 1000} s`);
  }

  #tellGone(node: string): void {
    if (this.#isCurrent) return this.#add({ kind: "left", node });
    this.#peers.left(node);
    this.#do({ type: "left", node, isOwn: true });
  }

  /** Does what the new state requires, after every event. */
  #goOn(): void {
    if (this.#isCurrent && !this.#isOvertaken) {
      this.#hasBeenReady = true;
      this.#downSince = undefined;
      this.#tries = 0;
      this.#slowness = 1;
      if (!this.#refused) this.#restate();
      if (this.#outbox.hasUnsent && this.#now >= this.#resendAt) this.#sendUnsent();
    }
    const reason = this.#whyAlone();
    this.#noteAway(reason ?? this.#whyAway());
    if (reason === undefined) return;
    if (this.#isOvertaken || this.#outbox.waitingSince !== undefined) this.#goLocal(reason);
    else if (this.#outbox.size > 0) this.#hearAlone();
  }

  /** Why pending pushes must not wait for the server any longer; `undefined` while they may. */
  #whyAlone(): string | undefined {
    const { hold } = this.#options;
    if (this.#isOvertaken) {
      return "it has refused what was written, and not what was written after it";
    }
    if (this.#refused && this.#now - this.#refused.since > hold) {
      return `it refuses what is written (${this.#refused.reason})`;
    }
    const isClosed = this.#phase === "down" || this.#phase === "opening";
    if (isClosed && (this.#isLocal || this.#isDown)) return this.#reason;
    const since = this.#outbox.waitingSince;
    if (since === undefined) return undefined;
    if (Math.min(this.#silence.total(this.#now), this.#now - since) > this.#hold) {
      return isClosed ? this.#reason : `it has said nothing for ${hold / 1000} s`;
    }
    if (this.#now - since > PATIENCE * hold) return "it is too slow";
    const isTooMuch = this.#outbox.size > MAX_WAITING || this.#outbox.bytes > MAX_WAITING_BYTES;
    return isTooMuch && !this.#isCurrent ? "too much waits for it" : undefined;
  }

  /** Why this node counts as away from the server even though no push is waiting. */
  #whyAway(): string | undefined {
    const isOnItsWay = this.#away !== undefined && this.#downSince !== undefined;
    return this.#isDown || isOnItsWay ? this.#reason : undefined;
  }

  get #isDown(): boolean {
    return this.#downSince !== undefined && this.#now - this.#downSince > this.#hold;
  }

  /** How long pushes wait. Longer at the start, when a process is busy with more than connecting. */
  get #hold(): number {
    const isStarting = !this.#hasBeenReady && this.#tries === 0;
    return this.#options.hold * (isStarting ? PATIENCE : 1);
  }

  #noteAway(reason: string | undefined): void {
    if (reason === undefined && this.#away !== undefined) this.#notice("is back");
    if (reason !== undefined && this.#away === undefined) {
      this.#notice(`is away: ${reason}. Pages follow this node alone until it is back`);
    }
    this.#away = reason;
  }

  /** Delivers pending pushes to this node's own pages. */
  #goLocal(reason: string): void {
    if (this.#phase !== "down" && this.#phase !== "opening") {
      const { hold } = this.#options;
      this.#reconnect(reason);
      // A server that answers would be just as slow again. A silent one may be back at any time.
      if (this.#silence.total(this.#now) <= hold) this.#retryAt = this.#now + hold;
    }
    this.#downSince ??= this.#now;
    if (!this.#isLocal && this.#place) this.#do({ type: "fork" });
    this.#isLocal = true;
    this.#isOvertaken = false;
    for (const item of this.#outbox.takeAll()) this.#applyAlone(item);
  }

  /** Applies this node's own statements alone. They change no page, and the others receive them later. */
  #hearAlone(): void {
    for (const item of this.#outbox.takeAll((content) => !concernsPages(content))) {
      this.#applyAlone(item);
    }
  }

  #applyAlone(item: Item): void {
    const { content, render } = item;
    const { node } = this.#options;
    switch (content.kind) {
      case "streams": {
        const { to, except } = content;
        const html = (render && this.#render(render)) ?? content.html;
        if (html === "") break;
        this.#do({ type: "append", html, to, except, position: undefined, deliver: true });
        break;
      }
      case "revoke":
        this.#do({ type: "revoke", name: content.name, position: undefined, deliver: true });
        break;
      case "disconnect":
        this.#oweTo(content.name);
        if (!this.#owed.has(item)) this.#do({ type: "send away", name: content.name });
        break;
      case "say":
        this.#mustSayAll = true;
        this.#do({ type: "hear", said: { node, text: content.text, isOwn: true } });
        break;
      case "left":
        this.#do({ type: "left", node, isOwn: true });
    }
  }

  /** Remembers that other nodes must disconnect a reader too. */
  #oweTo(name: string): void {
    if (this.#sentAway.size === MAX_OWED) return;
    this.#sentAway.add(name);
    if (this.#sentAway.size < MAX_OWED) return;
    this.#notice("will not receive all disconnects of this time: there were too many");
  }

  /** Sends the others what they may have missed. */
  #restate(): void {
    for (const name of this.#sentAway) {
      this.#owed.add(this.#outbox.add({ kind: "disconnect", name }, undefined, this.#now));
    }
    this.#sentAway.clear();
    if (this.#isLeaving) return;
    if (this.#mustAsk && !this.#hasAsked) this.#add(QUESTION);
    this.#hasAsked = this.#mustAsk;
    if (this.#mustSayAll) this.#do({ type: "say all" });
    this.#mustSayAll = false;
  }

  #notice(what: string): void {
    this.#do({ type: "notice", message: `${this.#options.server} ${what}` });
  }

  #do(effect: Effect): void {
    this.#effects.push(effect);
  }
}

/** The content of the entry for a push, with the HTML that its function has rendered. */
export function contentOf(push: Push, html: string | undefined, node: string): Content {
  if ("disconnect" in push) return { kind: "disconnect", name: push.disconnect };
  if ("revoke" in push) return { kind: "revoke", name: push.revoke };
  if ("say" in push) return { kind: "say", text: push.say, asks: false };
  if ("leave" in push) return { kind: "left", node };
  const { to, except } = push;
  const text = typeof push.html === "function" ? html ?? push.html() : push.html;
  return { kind: "streams", html: text, to, except };
}
