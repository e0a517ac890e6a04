/**
 * How one node follows the stream that all nodes share, as a pure machine: events go in, effects come
 * out, and it knows neither Redis nor a clock nor a socket.
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
import { isTrueBirth, newestRun, verdict } from "./stream_life.ts";

/** What happens. */
export type Event =
  /** Both connections are open. */
  | { readonly type: "connected" }
  /** They could not be opened, or one has ended, and the other was closed. Not after `disconnect`. */
  | { readonly type: "lost"; readonly reason: string }
  /** Of the connections that are open now alone. */
  | { readonly type: "reply"; readonly reply: Reply }
  /** Where it was given as a function, with what that has rendered just now. */
  | { readonly type: "push"; readonly push: Push; readonly html: string | undefined }
  /** Time has passed. Comes about ten times a second. */
  | { readonly type: "tick" };

/** What is to be done, in this order. */
export type Effect =
  | { readonly type: "connect" }
  /** Close both connections; nothing more is heard of them. */
  | { readonly type: "disconnect" }
  | { readonly type: "send"; readonly command: Command }
  /** Append to the log, where no position is given at its next one; `deliver` where pages are owed it. */
  | {
    readonly type: "append";
    readonly html: string;
    readonly to: readonly string[] | undefined;
    readonly except: string | undefined;
    readonly position: number | undefined;
    readonly deliver: boolean;
  }
  /** Go on to a position at which there is nothing for pages. */
  | { readonly type: "skip"; readonly position: number }
  /** Note in the log, and tell the pages where `deliver`. */
  | {
    readonly type: "revoke";
    readonly name: string;
    readonly position: number | undefined;
    readonly deliver: boolean;
  }
  | { readonly type: "send away"; readonly name: string }
  /** Let the log go on under another name. */
  | { readonly type: "fork" }
  /** Begin another life of the log, which knows nothing up to this position. */
  | { readonly type: "reset"; readonly epoch: string; readonly position: number }
  /** Every page fetches itself again. */
  | { readonly type: "restart" }
  | { readonly type: "hear"; readonly said: Said }
  | { readonly type: "left"; readonly node: string; readonly isOwn: boolean }
  | { readonly type: "say all" }
  /** Tell whoever runs this. */
  | { readonly type: "notice"; readonly message: string }
  /** A function that renders a push has thrown when it was called again. */
  | { readonly type: "failed"; readonly error: unknown };

/** How a replica is to behave. Times are in milliseconds. */
export interface ReplicaOptions {
  /** The name of this node, which no other and no other life of it has. */
  readonly node: string;
  /** For how long pushes wait for a server that says nothing, before they go to this node's pages alone. */
  readonly hold: number;
  /** How often this node says at least that it is there. */
  readonly interval: number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Milliseconds since 1970, for the names of new epochs alone. */
  readonly wallClock: () => number;
  /** What the server is called in notices. */
  readonly server: string;
}

/** Between two looks at the newest entry: a life of the stream with a lower epoch would not be heard. */
const LOOK_INTERVAL = 2_000;
/** How long the server may take to answer a `read` to which there is nothing to say. */
const READ_TIMEOUT = 1_000;
/**
 * Between two steps as this node counts it at most: in one that was stopped, nothing was heard meanwhile,
 * and what has come in the meantime is heard after the first tick.
 */
const MAX_STEP = 250;
/** For how long no read is answered while others can be heard: with more, the server hears nobody. */
const MAX_QUIET = READ_TIMEOUT + 250;
/** How many times longer the server may be silent at most, where what it was asked for was too much before. */
const MAX_SLOWNESS = 32;
/** Before the first and the later tries to connect again. */
const FIRST_RETRY = 50;
const RETRY = 250;
/** How many times `hold` a push may wait for a server that answers, but does not get on. */
const PATIENCE = 5;
/**
 * How often in a row a push is made again at once because others have changed the same, and milliseconds
 * until the next at most: where each rendering is another, as of a time, nodes would make each other
 * push without end.
 */
const TURNS_AT_ONCE = 2;
const MAX_PAUSE = 1_000;
/** Pushes and bytes that wait at most. */
const MAX_WAITING = 20_000;
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** The share of its interval after which a node says that it is there. */
const BEAT_AFTER = 0.8;
/** Names of readers that are to be sent away on the other nodes too, when the server is back. */
const MAX_OWED = 10_000;

/** What the other nodes are asked with: it says nothing, but that this node may not have heard them. */
const QUESTION: Content = { kind: "say", text: "{}", asks: true };

/**
 * Follows the stream. Its copy, the log, is a prefix of the stream without holes; or, while the server is
 * away and something had to be pushed, it goes on under a name of its own, and every page fetches itself
 * when the server is back. What this node pushes is in the outbox until it is read from the stream.
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
  /** The newest entry that is in the copy, and by whom it is; none before the first. */
  #place: Place | undefined;
  #tag: Tag = { node: "", n: 0, attempt: 0 };
  /** Up to where the copy must come before anything is sent. */
  #catchUp = 0;
  /** Whether the copy goes on without the server. */
  #isLocal = false;
  #away: string | undefined;
  #hasBeenReady = false;

  /** Since when there is no order but one's own; `undefined` while the copy follows. */
  #downSince: number | undefined;
  #reason = "it has not answered yet";
  readonly #silence = new Silence();
  /** How many times longer than usual the server may be silent. */
  #slowness = 1;
  /** Since when the server refuses what is written, and why. */
  #refused: { readonly since: number; readonly reason: string } | undefined;
  #resendAt = 0;
  /** Whether something has come back before what was pushed earlier. */
  #isOvertaken = false;

  #lastId = 0;
  #adds = new Map<number, Item | undefined>();
  /** What a look is to find. */
  #look: { readonly place: Place; readonly tag: Tag } | undefined;
  #lookedAt = 0;

  /** How often in a row a function was pushed again; and those whose next turn is put off, until when. */
  readonly #turns = new WeakMap<Item, number>();
  readonly #putOff = new Map<Item, number>();
  #isLeaving = false;
  #mustSayAll = false;
  /** Whether the others are to be asked what they say, and whether the question is under way. */
  #mustAsk = false;
  #hasAsked = false;
  #saidAt = -Infinity;
  /** Readers that this node alone has sent away; and what tells the others so, which it has done. */
  readonly #sentAway = new Set<string>();
  readonly #owed = new WeakSet<Item>();

  /** A node that has not connected yet. It does so at the first tick. */
  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#peers = new Peers(options);
  }

  /** Whether it is known yet whether there is a server, and whether it follows. */
  get state(): "starting" | "following" | "away" {
    if (this.#away !== undefined) return "away";
    return this.#hasBeenReady ? "following" : "starting";
  }

  /** Why it is away, while it is. */
  get away(): string | undefined {
    return this.#away;
  }

  /** Whether something was pushed that concerns pages, and the other nodes have not had. */
  get owes(): boolean {
    return this.#isLocal || this.#outbox.waitingSince !== undefined;
  }

  /** How many pushes there were. */
  get pushed(): number {
    return this.#outbox.pushed;
  }

  /** Up to which push all have come into the copy. */
  get settled(): number {
    return this.#outbox.settled;
  }

  /**
   * What is to be done when something happens. `now` is of a clock that never goes back. Not to be called
   * by a function that renders: what that pushes comes after this step.
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

  /** Gives the connections up: what is heard on new ones is judged afresh. */
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
    if (this.#phase === "loading") return; // it is of the time before
    if (this.#phase === "following") {
      // A newer life comes by itself; one with a lower epoch, or a shorter one, would not be heard.
      const isNewer = newest && look && newest.epoch > look.place.epoch;
      if (!isNewer && (!newest || !look || verdict(look, first) === "other")) {
        this.#reconnect("the stream is not the one it was");
      }
      return;
    }
    // What was pushed without the server is in no other copy, and what others have pushed meanwhile is
    // not in this one: the new life says so to all, and nothing of the old one can be written behind it.
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
    if (last.position > MAX_POSITION) return this.#birth(last.epoch); // where nothing fits behind
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
    // Those of an earlier life, too: whoever was sent away must not stay here for a change of it.
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
      if (!isBirth && !isNext) return this.#load(); // what was between them is gone
      if (isBirth && !isTrueBirth(entry)) return this.#birth(entry.epoch);
      if (isBirth) this.#adopt(entry);
      this.#apply(entry, true);
      // Somebody writes in this node's name, and what it pushes is taken for what came before.
      if (this.#isFalse(entry)) return this.#birth(entry.epoch);
    }
    this.#sendRead();
  }

  #isFalse({ node, n }: StreamEntry): boolean {
    return node === this.#options.node && n > this.#outbox.pushed;
  }

  /** Another node has begun a new life of the stream. */
  #adopt({ epoch }: StreamEntry): void {
    this.#do({ type: "reset", epoch: epochName(epoch), position: 0 });
    this.#do({ type: "restart" });
    this.#catchUp = 0;
    this.#peers.forgetNumbers();
    // What has not come back by now was refused for the end of the old life, or will be.
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
    if (position === 0) return; // the birth, which the log begins after
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
        // One that was taken for gone, as after a stop, says that it is there.
        if (content.node === this.#options.node && deliver) this.#mustSayAll = true;
    }
    if (item?.isContested) this.#pushAgain(item);
  }

  /** Others have changed the same elements while a push was under way: what is newest goes last. */
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

  /** Pushes what was put off, where it is time. */
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
    // "behind": the newer life is read next, and what was refused for it is sent again then.
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
    // What it has changed last, or pushed alone while it was cut off, is in the data and in no log.
    if (this.#peers.takeLost() && this.#isCurrent) this.#do({ type: "restart" });
    if (this.#isCurrent && !this.#isLeaving) {
      const beatAfter = this.#options.interval * BEAT_AFTER;
      if (this.#now - this.#saidAt >= beatAfter) this.#add({ kind: "beat" });
    }
  }

  // What it says may take as long as that, as where the line is thin. Next time it has longer.
  #giveUp(patience: number): void {
    if (this.#phase !== "looking") this.#slowness = Math.min(2 * this.#slowness, MAX_SLOWNESS);
    this.#reconnect(`it has said nothing for ${patience / 1000} s`);
  }

  #tellGone(node: string): void {
    if (this.#isCurrent) return this.#add({ kind: "left", node });
    this.#peers.left(node);
    this.#do({ type: "left", node, isOwn: true });
  }

  /** What follows from where it is now, after anything has happened. */
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

  /** Why what waits is not to wait for the server any longer; `undefined` where it is. */
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

  /** Why there is no order but this node's own, although nothing need be delivered without the server. */
  #whyAway(): string | undefined {
    const isOnItsWay = this.#away !== undefined && this.#downSince !== undefined;
    return this.#isDown || isOnItsWay ? this.#reason : undefined;
  }

  get #isDown(): boolean {
    return this.#downSince !== undefined && this.#now - this.#downSince > this.#hold;
  }

  /** For how long pushes wait. Longer at the start, where a process has more to do than to connect. */
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

  /** Delivers what waits to this node's own pages. */
  #goLocal(reason: string): void {
    if (this.#phase !== "down" && this.#phase !== "opening") {
      const { hold } = this.#options;
      this.#reconnect(reason);
      // One that answers would be as slow again. One that was silent may be back for all nodes at once.
      if (this.#silence.total(this.#now) <= hold) this.#retryAt = this.#now + hold;
    }
    this.#downSince ??= this.#now;
    if (!this.#isLocal && this.#place) this.#do({ type: "fork" });
    this.#isLocal = true;
    this.#isOvertaken = false;
    for (const item of this.#outbox.takeAll()) this.#applyAlone(item);
  }

  /** What this node says of itself changes no page: its own copy has it, and the others hear it later. */
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

  /** The other nodes are to send a reader away, too. */
  #oweTo(name: string): void {
    if (this.#sentAway.size === MAX_OWED) return;
    this.#sentAway.add(name);
    if (this.#sentAway.size < MAX_OWED) return;
    this.#notice("will not be told of all readers who were sent away meanwhile: they are many");
  }

  /** Says to the others what they may not have heard. */
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

function contentOf(push: Push, html: string | undefined, node: string): Content {
  if ("disconnect" in push) return { kind: "disconnect", name: push.disconnect };
  if ("revoke" in push) return { kind: "revoke", name: push.revoke };
  if ("say" in push) return { kind: "say", text: push.say, asks: false };
  if ("leave" in push) return { kind: "left", node };
  const { to, except } = push;
  const text = typeof push.html === "function" ? html ?? push.html() : push.html;
  return { kind: "streams", html: text, to, except };
}
