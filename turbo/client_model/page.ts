/**
 * A page of the model: what client.js and Turbo do with a document, over a few elements and without
 * time. What waits for something is a method of its own; the steps say in which order they are called.
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

/** A page as the server answers with it. */
export interface Html {
  readonly cursor: string;
  readonly markup: string;
}

/** An answer to a form, and whether the page is not told otherwise what the form has changed. */
export interface Answer {
  readonly cursor: string;
  readonly html: string;
  readonly isExcept: boolean;
}

/** What a page asks of the world outside. */
export interface Outside {
  /** The process that a connection comes to. */
  readonly process: Server;
  /** The page as it is answered now. */
  render(): Html;
  /** An id that no page has. */
  newId(): string;
}

/** How it asks: by the address of a WebSocket, by its first message, or by each connection anew. */
export type Kind = "websocket" | "token" | "events";

type Body = Element & { shown?: Shown<Element> };

/** A page in a tab. */
export class Page implements Shell<Element> {
  readonly follower: Follower<Element> = new Follower<Element>(this);
  body: Body = new Element("body");
  path = 0;
  /** What Turbo keeps of pages, by their paths. */
  readonly snapshots = new Map<number, Body>();
  /** A visit under way, and whether the page before it is kept already. */
  visiting: { path: number; html: Html; isKept: boolean } | undefined;
  /** Answers on their way: to forms, and for frames. */
  answers: Answer[] = [];
  frames: { id: string; cursor: string; html: string }[] = [];

  link: Link | undefined;
  isOpen = false;
  /** Whether it does not connect by itself: it has given up, or is not looked at. */
  isAway = false;
  /** Whether it has asked as often as it may, and whether it is to ask later. */
  mayNotAsk = false;
  asksLater = false;
  /** What is rendered with the next paint. */
  given: Batch<Element> | undefined;
  /** The page that is asked for again, and the answer to that which is on its way. */
  refetching: { answer: { status: number; isHtml: boolean; html: Html } | undefined } | undefined;
  decisions: Refetch = new Refetch();

  /** Whether it was left to the browser lately. */
  wasLeft = false;
  /** How often it was asked for again. */
  fetches = 0;
  /** Whether content has come in otherwise than by the stream, since this was set to `false`. */
  isChanged = false;
  /** Whether nobody knows as of when the permanent element is: Turbo keeps it through a refetch. */
  isKeptLost = false;

  constructor(readonly outside: Outside, readonly kind: Kind) {}

  /** The browser loads it. */
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

  /** The server lets it in. */
  accept(): void {
    if (!this.link || this.link.isAccepted) return;
    this.link.isAccepted = true;
    this.link.server.accept(this.link);
  }

  /** The page hears of that. */
  open(): void {
    if (!this.link?.isAccepted || this.isOpen) return;
    this.isOpen = true;
    this.follower.connected();
  }

  /** The next frame comes. */
  receive(): void {
    if (!this.isOpen || !this.link?.toPage.length) return;
    const entries: [string, string][] = JSON.parse(this.link.toPage.shift()!);
    this.follower.receive(entries.map(([cursor, html]) => ({ cursor, html })));
  }

  /** The connection is cut. What is under way on it is lost. */
  end(): void {
    if (!this.link) return;
    this.link.server.drop(this.link);
    this.link = undefined;
    this.isOpen = this.asksLater = false;
    this.follower.disconnected();
  }

  /** The tab has been hidden for long, or nothing more can be done. */
  rest(): void {
    this.#stopFetching();
    this.isAway = true;
    this.end();
  }

  /** The reader is there again. */
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

  // ---- What the core acts through

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

  /** The paint that was waited for. */
  paint(): void {
    const batch = this.given;
    if (!batch) return;
    this.given = undefined;
    this.isChanged ||= batch.steps.some(({ isAnswer }) => isAnswer);
    // What is newer than the page may become older by an answer, until the page is there.
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

  /** The tab is hidden or shown: the paint that was waited for does not come. */
  flip(): void {
    this.given = undefined;
    this.follower.restart();
  }

  // As runOn() in client.js.
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

  // ---- The page asked for again

  /** That is answered: with the page as it is now, or by something else. */
  answerFetch(answer: { status?: number; isHtml?: boolean; html?: Html } = {}): void {
    if (!this.refetching || this.refetching.answer) return;
    this.fetches++;
    const { status = 200, isHtml = true, html = this.outside.render() } = answer;
    this.refetching.answer = { status, isHtml, html };
  }

  /** The answer comes. */
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

  /** What was sent is given up where its answer would be the only one to tell what it has changed. */
  abort(): void {
    const { answers, follower } = this;
    this.answers = answers.filter(({ isExcept }) => !isExcept);
    if (this.answers.length < answers.length) follower.refetch(follower.shown!.cursor, "push");
  }

  /** A visit: the page is asked for, and what Turbo keeps of it is shown meanwhile. */
  visit(path: number): void {
    this.abort();
    this.visiting = { path, html: this.outside.render(), isKept: this.#preview(path) };
  }

  /** Its answer comes. */
  arrive(): void {
    const { visiting } = this;
    if (!visiting) return;
    this.visiting = undefined;
    if (!visiting.isKept) this.#keep();
    this.path = visiting.path;
    this.#render(visiting.html);
  }

  /** Back to what Turbo keeps. */
  back(path: number): void {
    this.abort();
    this.visiting = undefined;
    if (!this.#preview(path)) this.visit(path);
  }

  /** An answer for a frame comes. */
  takeFrame(): void {
    const frame = this.frames.shift();
    const element = frame && this.body.find(frame.id);
    if (!element) return;
    this.isChanged = true;
    element.replaceChildren(...parse(frame.html));
    this.follower.partRendered(element, frame.cursor);
  }

  /** An answer to a form comes. */
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

  // As attach() in client.js; Turbo moves the permanent element.
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

/** What Turbo does. */
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
