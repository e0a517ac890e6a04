/**
 * A page of the model. It does what client.js and Turbo do with a document, with a few elements and without
 * time. Whatever happens later is a method of its own; the steps decide the order of the calls.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Batch, Shell, Step } from "../client_core.js";
import { compare, Follower, Refetch, Shown } from "../client_core.js";
import { sinceOf } from "../protocol.ts";
import { parseStreams, type StreamElement } from "../testing.ts";
import { Element, parse } from "./element.ts";
import { Link, type Server } from "./server.ts";

/** A page, as the server answers with it. */
export interface Html {
  readonly cursor: string;
  readonly markup: string;
}

/** An answer to a form. `isExcept`: the page is left out of the push about what the form changed. */
export interface Answer {
  readonly cursor: string;
  readonly html: string;
  readonly isExcept: boolean;
}

/** What a page needs of its environment. */
export interface Outside {
  /** The process to which a connection leads. */
  readonly process: Server;
  /** The page that the server answers with now. */
  render(): Html;
  /** A new id for a page. */
  newId(): string;
}

/** How it asks: in the URL of a WebSocket, in its first message, or by a new connection each time. */
export type Kind = "websocket" | "token" | "events";

type Body = Element & { shown?: Shown<Element> };

/** A page in a tab. */
export class Page implements Shell<Element> {
  readonly follower: Follower<Element> = new Follower<Element>(this);
  body: Body = new Element("body");
  path = 0;
  /** Turbo's snapshots of pages, by path. */
  readonly snapshots = new Map<number, Body>();
  /** A visit in progress, and whether the page before it was cached already. */
  visiting: { path: number; html: Html; isKept: boolean } | undefined;
  /** Answers in transit: to forms, and for frames. */
  answers: Answer[] = [];
  frames: { id: string; cursor: string; html: string }[] = [];

  link: Link | undefined;
  isOpen = false;
  /** Whether it does not connect by itself, because it has given up or is hidden. */
  isAway = false;
  /** Whether the rate limit stops it from asking, and whether it must ask later. */
  mayNotAsk = false;
  asksLater = false;
  /** The batch for the next paint. */
  given: Batch<Element> | undefined;
  /** The refetch in progress, and the answer in transit. */
  refetching: { answer: { status: number; isHtml: boolean; html: Html } | undefined } | undefined;
  decisions: Refetch = new Refetch();

  /** Whether the browser has recently loaded it because a refetch failed. */
  wasLeft = false;
  /** How often it was fetched again. */
  fetches = 0;
  /** Whether content has arrived by another way than the stream since this was set to `false`. */
  isChanged = false;
  /** Whether the cursor of the permanent element is unknown, because Turbo kept it through a refetch. */
  isKeptLost = false;

  constructor(readonly outside: Outside, readonly kind: Kind) {}

  /** The browser loads the page. */
  load(): void {
    this.end();
    this.visiting = this.given = undefined;
    this.answers = [];
    this.frames = [];
    this.snapshots.clear();
    this.decisions = new Refetch();
    this.follower.queue = [];
    this.follower.batch = undefined;
    this.follower.show(undefined);
    this.body = new Element("body");
    this.isKeptLost = false;
    this.#render(this.outside.render());
  }

  // ---- The connection

  connect(): void {
    const { shown } = this.follower;
    if (this.link || !shown || this.isAway) return;
    const asks = this.kind !== "token";
    this.follower.connecting(asks);
    this.link = new Link(this.outside.process, shown.id, asks ? shown.oldest : undefined);
  }

  /** The server accepts the connection. */
  accept(): void {
    if (!this.link || this.link.isAccepted) return;
    this.link.isAccepted = true;
    this.link.server.accept(this.link);
  }

  /** The page learns that the connection is open. */
  open(): void {
    if (!this.link?.isAccepted || this.isOpen) return;
    this.isOpen = true;
    this.follower.connected();
  }

  /** The next message arrives. */
  receive(): void {
    if (!this.isOpen || !this.link?.toPage.length) return;
    const entries: [string, string][] = JSON.parse(this.link.toPage.shift()!);
    this.follower.receive(entries.map(([cursor, html]) => ({ cursor, html })));
  }

  /** The connection is cut. What is in transit on it is lost. */
  end(): void {
    if (!this.link) return;
    this.link.server.drop(this.link);
    this.link = undefined;
    this.isOpen = this.asksLater = false;
    this.follower.disconnected();
  }

  /** The tab has been hidden for long, or the page has given up. */
  rest(): void {
    this.#stopFetching();
    this.isAway = true;
    this.end();
  }

  /** The reader is back. */
  wake(): void {
    this.isAway = false;
    this.connect();
    if (this.follower.isFetching) this.refetch();
  }

  /** It may ask again. */
  askLater(): void {
    this.mayNotAsk = false;
    if (!this.asksLater) return;
    this.asksLater = false;
    this.follower.ask();
  }

  #reconnect(): void {
    this.end();
    this.connect();
  }

  // ---- The shell of the follower

  ask(): boolean {
    assert(this.isOpen, "it asks by a connection that is open");
    const { id, oldest } = this.follower.shown!;
    this.asksLater = this.mayNotAsk;
    if (this.mayNotAsk) return false;
    if (this.kind === "events") this.#reconnect();
    else this.link!.toServer.push(sinceOf({ cursor: oldest, page: id }));
    return true;
  }

  give(batch: Batch<Element>): void {
    assert(!this.given, "one batch at a time");
    this.given = batch;
    if (batch.steps.every(({ html }) => html === "")) this.paint();
  }

  cancel(): void {
    this.given = undefined;
  }

  run(step: Step, shown: Shown<Element>): boolean {
    let hasRefresh = false;
    for (const stream of streamsOf(step.html)) {
      if (stream.action === "refresh") hasRefresh = true;
      else this.#runOn(stream, step, shown);
    }
    return hasRefresh;
  }

  around = (part: Element): Element | undefined => this.#partAround(part.parent);

  refetch(): void {
    this.refetching ??= { answer: undefined };
  }

  resumed(): void {
    this.#stopFetching();
  }

  changed(): void {
    if (this.follower.isCurrent) this.decisions = new Refetch();
  }

  // ---- Rendering

  /** The next paint. */
  paint(): void {
    const batch = this.given;
    if (!batch) return;
    this.given = undefined;
    this.isChanged ||= batch.steps.some(({ isAnswer }) => isAnswer);
    // An answer may make content older that is ahead of the page, until the page has caught up.
    const { cursor, parts } = batch.shown;
    const isAhead = [...parts.values()].some((at) => compare(at, cursor)! > 0);
    const before = batch.hasHole || isAhead ? [] : this.body.texts();
    this.follower.painted(batch);
    const now = new Map(this.body.texts());
    for (const [id, text] of before) {
      assert(
        this.follower.isFetching || (now.get(id) ?? text) >= text,
        `${id} is as new as it was`,
      );
    }
  }

  /** The tab is hidden or shown, so that the expected paint does not come. */
  flip(): void {
    this.given = undefined;
    this.follower.restart();
  }

  // Does what runOn() does in client.js.
  #runOn(stream: StreamElement, { cursor, isAnswer }: Step, shown: Shown<Element>): void {
    const { action } = stream;
    const target = this.body.find(stream.target!);
    if (!target) return;
    if (!isAnswer && shown.parts.size === 0) {
      if (shown.isDue(cursor)) act(stream, target);
      return;
    }
    const isWhole = action === "replace" || action === "update";
    const inside = [...shown.parts.keys()].filter((part) => target.contains(part));
    const isDue = isAnswer || shown.isDue(cursor, this.#partAround(target)) ||
      isWhole && inside.some((part) => shown.isDue(cursor, part));
    if (!isDue) return;
    const place = action === "append" || action === "update" ? target : target.parent!;
    const before = new Set(place.children);
    act(stream, target);
    const changed = place.children.filter((child) => child.tag && !before.has(child));
    if (isWhole) {
      for (const part of inside) shown.parts.delete(part);
      changed.push(
        target,
        ...[this.body.find(stream.target!)].filter((found) => found !== undefined),
      );
    }
    for (const part of changed) {
      if (this.body.contains(part)) shown.mark(part, cursor, this.#partAround(part.parent));
    }
  }

  #partAround(element: Element | undefined): Element | undefined {
    const parts = this.follower.shown?.parts;
    for (; parts?.size && element; element = element.parent) {
      if (parts.has(element)) return element;
    }
    return undefined;
  }

  // ---- Refetching

  /** The server answers the refetch, with the page as it is now or with something else. */
  answerFetch(answer: { status?: number; isHtml?: boolean; html?: Html } = {}): void {
    if (!this.refetching || this.refetching.answer) return;
    this.fetches++;
    const { status = 200, isHtml = true, html = this.outside.render() } = answer;
    this.refetching.answer = { status, isHtml, html };
  }

  /** The answer to the refetch arrives. */
  takeFetch(): void {
    const answer = this.refetching?.answer;
    if (!answer) return;
    this.refetching!.answer = undefined;
    const { status, isHtml, html } = answer;
    const judged = { status, isHtml, cursor: html.cursor };
    const decision = this.decisions.judge(judged, this.follower.need, this.follower.isAnswered);
    if (decision === "leave" && !this.wasLeft) {
      this.wasLeft = true;
      this.load();
    } else if (decision === "leave") this.rest();
    else if (decision === "stop") this.rest();
    else if (decision === "reconnect") this.#reconnect();
    else if (decision === "take") {
      const isPage = status === 200 && isHtml && compare(html.cursor, this.follower.need)! >= 0;
      assert(isPage, "only a page that is new enough is taken for the page");
      if (!this.visiting) this.#render(html);
    }
  }

  #stopFetching(): void {
    this.refetching = undefined;
  }

  // ---- Visits, frames and forms

  /** Cancels forms; the page must be fetched if only their answers would have shown what they changed. */
  abort(): void {
    const { answers, follower } = this;
    this.answers = answers.filter(({ isExcept }) => !isExcept);
    if (this.answers.length < answers.length) follower.refetch(follower.shown!.cursor, "push");
  }

  /** A visit: requests the page, and shows Turbo's snapshot meanwhile. */
  visit(path: number): void {
    this.abort();
    this.visiting = { path, html: this.outside.render(), isKept: this.#preview(path) };
  }

  /** The answer to the visit arrives. */
  arrive(): void {
    const { visiting } = this;
    if (!visiting) return;
    this.visiting = undefined;
    if (!visiting.isKept) this.#keep();
    this.path = visiting.path;
    this.#render(visiting.html);
  }

  /** Goes back, to Turbo's snapshot if there is one. */
  back(path: number): void {
    this.abort();
    this.visiting = undefined;
    if (!this.#preview(path)) this.visit(path);
  }

  /** An answer for a frame arrives. */
  takeFrame(): void {
    const frame = this.frames.shift();
    const element = frame && this.body.find(frame.id);
    if (!element) return;
    this.isChanged = true;
    element.replaceChildren(...parse(frame.html));
    this.follower.partRendered(element, frame.cursor);
  }

  /** An answer to a form arrives. */
  takeAnswer(): void {
    const answer = this.answers.shift();
    if (answer) this.follower.answer(answer.cursor, answer.html);
  }

  #preview(path: number): boolean {
    const kept = this.snapshots.get(path);
    if (!kept || path === this.path) return false;
    this.#keep();
    this.path = path;
    this.#show(kept, kept.shown);
    return true;
  }

  #keep(): void {
    const { body } = this;
    const copy: Body = body.clone();
    const [elements, copies] = [body.all(), copy.all()];
    if (body.shown) {
      copy.shown = body.shown.copy((part) => copies[elements.indexOf(part)]);
      copy.shown.isLost ||= this.answers.some(({ isExcept }) => isExcept);
    }
    this.snapshots.set(this.path, copy);
  }

  #render({ cursor, markup }: Html): void {
    const body = new Element("body");
    body.append(...parse(markup));
    const page = { id: this.outside.newId(), cursor, path: "/turbo-stream", token: "" };
    this.#show(body, new Shown<Element>(page));
  }

  // Does what attach() does in client.js, and moves the permanent element as Turbo does.
  #show(body: Body, shown: Shown<Element> | undefined): void {
    this.isChanged = true;
    const { follower } = this;
    const before = follower.shown;
    const kept = this.body.find("kept");
    const keptCursor = kept && before?.cursorOf(this.#partAround(kept));
    if (kept) body.find("kept")?.replaceWith(kept);
    this.body = body;
    if (shown) body.shown = shown;
    if (kept && keptCursor && shown) {
      this.isKeptLost ||= follower.isFetching || compare(keptCursor, shown.cursor) === undefined;
      const isGap = follower.isFetching && !before?.isLost;
      if (!isGap) shown.mark(kept, keptCursor, undefined);
    }
    this.#stopFetching();
    follower.show(shown);
    this.isAway = false;
    this.connect();
  }
}

const parsed = new Map<string, StreamElement[]>();

function streamsOf(html: string): StreamElement[] {
  let streams = parsed.get(html);
  if (!streams) parsed.set(html, streams = parseStreams(html));
  return streams;
}

/** Renders a stream, as Turbo does. */
function act({ action, content }: StreamElement, target: Element): void {
  const added = parse(content);
  if (action === "replace") target.replaceWith(...added);
  else if (action === "update") target.replaceChildren(...added);
  else if (action === "remove") target.replaceWith();
  else if (action === "append") {
    const ids = new Set(added.map(({ id }) => id));
    for (const child of target.children.filter(({ id }) => id && ids.has(id))) child.replaceWith();
    target.append(...added);
  } else throw new Error(`No action: ${action}`);
}
