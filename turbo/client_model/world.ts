/**
 * The app, its processes and its pages, and every step that can happen to them. A step is written in a few
 * words, so that a list of steps is readable and can be copied into a test.
 *
 * @module
 */
import assert from "node:assert/strict";
import { compare } from "../client_core.js";
import { joinStreams, remove, replace, type Stream, update } from "../streams.ts";
import { type Change, Content, markup, type Place } from "./content.ts";
import { Element, parse } from "./element.ts";
import { type Answer, type Html, type Kind, type Outside, Page } from "./page.ts";
import type { Server } from "./server.ts";

/** Options of a world. */
export interface Beginning {
  /** The class of its processes. */
  readonly server: new (epoch: string, beats: number) => Server;
  /** The kind of each page. */
  readonly kinds: readonly Kind[];
}

/** The process that is asked normally, and the one of another log. */
const [FIRST, OTHER] = [0, 2];

const PLACES: readonly Place[] = ["page", "frame", "box", "inner"];

/** The steps that finish something pending on a page, each with a test whether it is pending. */
const PROGRESS: Readonly<
  Record<string, readonly [isDue: (page: Page) => unknown, (page: Page) => void]>
> = {
  "connect": [({ link, isAway }) => !link && !isAway, (page) => page.connect()],
  "accept": [({ link }) => link && !link.isAccepted, (page) => page.accept()],
  "open": [({ link, isOpen }) => link?.isAccepted && !isOpen, (page) => page.open()],
  "read": [({ link }) => link?.toServer.length, ({ link }) => link!.server.read(link!)],
  "flush": [({ link }) => link?.server.owes(link), ({ link }) => link!.server.flush(link!)],
  "receive": [({ link, isOpen }) => isOpen && link?.toPage.length, (page) => page.receive()],
  "paint": [({ given }) => given, (page) => page.paint()],
  "arrive": [({ visiting }) => visiting, (page) => page.arrive()],
  "take answer": [({ answers }) => answers.length, (page) => page.takeAnswer()],
  "take frame": [({ frames }) => frames.length, (page) => page.takeFrame()],
  "fetch": [({ refetching }) => refetching && !refetching.answer, (page) => page.answerFetch()],
  "take fetch": [({ refetching }) => refetching?.answer, (page) => page.takeFetch()],
  "ask later": [({ asksLater }) => asksLater, (page) => page.askLater()],
};

/** The pending steps of a page. */
export function stepsDue(page: Page): string[] {
  return Object.keys(PROGRESS).filter((step) => PROGRESS[step]![0](page));
}

/** The events in one place of a page: pushes, answers for its frame, and answers to forms. */
export function eventsIn(place: Place): string[] {
  const frame = place === "page" || place === "frame" ? "frame" : "inner";
  return [
    ...["text", "inside", "line"].map((change) => `push ${change} ${place}`),
    ...["push box", `frame ${frame}`, `form text ${place}`, `form lines ${place}`],
    ...["form box", "form in the box"],
  ];
}

/** Other events, by topic. */
export const EVENTS: Readonly<Record<string, readonly string[]>> = {
  elements: [
    ...["push add", "push edit", "push remove", "push both", "form add", "form edit"],
    ...["form remove", "form elements", "form nowhere", "form two"],
  ],
  visits: ["visit 0", "visit 1", "back 0", "back 1", "push text kept"],
  connection: ["cut", "rest", "wake", "flip", "may not ask", "beat"],
  processes: [
    ...["restart", "restart afresh", "forget", "streams from 0", "streams from 1"],
    ...["streams from 2", "pages from 0", "pages from 2", "form by the other process", "cut"],
  ],
  fetches: [
    ...["push refresh", "form refresh", "fetch old", "fetch 404", "fetch 500", "fetch json"],
    "forget",
  ],
  exceptions: ["form text page except", "form add except", "push text page", "push add"],
};

/** Whether a step concerns all pages: a push, or something that happens to a process. */
export function concernsAll(step: string): boolean {
  return /^(?:push|beat|forget|restart|pages|streams)\b/.test(step);
}

/** More rounds than are needed until nothing is pending, and more requests than one page needs. */
const MANY_ROUNDS = 100;
const MANY_FETCHES = 20;

/**
 * The app with three processes. The second has the same log as the first. The third has another log, which
 * does not contain the changes.
 */
export class World implements Outside {
  readonly content: Content = new Content();
  readonly servers: readonly Server[];
  readonly pages: Page[] = [];
  /** The processes that answer requests for pages, and for streams. */
  pagesFrom = FIRST;
  streamsFrom = FIRST;
  /** An old version of the page, with which a cache may answer. */
  readonly old: Html;
  /** The steps so far. */
  readonly done: string[] = [];
  #ids = 0;
  #epochs = 0;

  constructor({ server, kinds }: Beginning) {
    const [epoch, other] = [this.#newEpoch(), this.#newEpoch()];
    this.servers = [new server(epoch, 0), new server(epoch, 1_000), new server(other, 0)];
    this.old = this.render();
    for (const kind of kinds) {
      const page = new Page(this, kind);
      this.pages.push(page);
      page.load();
      this.#goOn(page);
    }
  }

  get process(): Server {
    return this.servers[this.streamsFrom]!;
  }

  render(): Html {
    const { cursor } = this.servers[this.pagesFrom]!;
    return { cursor, markup: markup.page(this.content).toString() };
  }

  newId(): string {
    return `page${++this.#ids}`;
  }

  /** Runs a step, and checks the invariants. */
  run(step: string): void {
    this.done.push(step);
    const before = this.pages.map((page) => {
      page.isChanged = false;
      return cursorsOf(page);
    });
    const [, n, words = ""] = /^(?:(\d) )?(.*)$/.exec(step)!;
    if (n === undefined) this.#runWorld(words);
    else this.#runPage(this.pages[Number(n) % this.pages.length]!, words);
    for (const [index, page] of this.pages.entries()) {
      this.#assertHolds(page);
      if (!page.isChanged) assertNoneFalls(before[index]!, page);
    }
  }

  /** Continues until nothing is pending, and checks that each page shows what the server has. */
  quiet(): void {
    this.pagesFrom = this.streamsFrom = FIRST;
    for (const page of this.pages) if (page.link?.server === this.servers[OTHER]) page.end();
    this.#settle();
    for (const page of this.pages) if (page.isAway) page.wake();
    for (let n = 0; n < 2; n++) {
      this.#settle();
      this.servers[FIRST]!.beat();
      this.servers[1]!.beat();
    }
    this.#settle();
    for (const page of this.pages) {
      assert(page.follower.isCurrent, "a page that follows is current");
      this.#assertEqual(page);
      assert.equal(page.follower.shown!.parts.size, 0, "no part is left");
    }
  }

  /** Continues until nothing is pending, with pages from one process and streams from another. */
  apart(): void {
    [this.pagesFrom, this.streamsFrom] = [FIRST, OTHER];
    for (const page of this.pages) page.end();
    this.#settle();
    for (const page of this.pages) {
      const { isCurrent, shown } = page.follower;
      const isOfOther = compare(shown!.cursor, this.process.cursor) !== undefined;
      assert(!isCurrent || isOfOther, "a page of another log is not current");
      assert(isCurrent || page.isAway, "a page that cannot be had says so");
    }
  }

  #settle(): void {
    for (const page of this.pages) {
      page.fetches = 0;
      page.wasLeft = false;
    }
    for (let n = 0; this.pages.some((page) => stepsDue(page).length > 0); n++) {
      assert(n < MANY_ROUNDS, "it comes to rest");
      for (const page of this.pages) {
        if (page.answers.length > 0 || page.frames.length > 0) page.fetches = 0;
        for (const step of ["arrive", "take answer", "take frame", "ask later"]) {
          this.#runPage(page, step);
        }
        this.#goOn(page);
        for (const step of ["fetch", "take fetch"]) this.#runPage(page, step);
        assert(page.fetches < MANY_FETCHES, "it is not fetched without end");
        this.#assertHolds(page);
      }
    }
    for (const { follower } of this.pages) {
      assert(!follower.batch && follower.queue.length === 0, "nothing waits forever");
    }
  }

  /** Delivers everything on a page's stream. */
  #goOn(page: Page): void {
    for (const step of ["connect", "accept", "open"]) this.#runPage(page, step);
    while (page.link?.toServer.length) this.#runPage(page, "read");
    this.#runPage(page, "flush");
    while (page.isOpen && page.link?.toPage.length) page.receive();
    page.paint();
  }

  #runWorld(step: string): void {
    const [verb, ...words] = step.split(" ");
    const what = words.join(" ");
    if (verb === "push") this.#push(this.content.change(what as Change));
    else if (step === "beat") this.servers[FIRST]!.beat();
    else if (step === "forget") this.servers[FIRST]!.forget();
    else if (verb === "restart") this.#restart(what === "afresh" ? this.#newEpoch() : undefined);
    else if (verb === "pages") this.pagesFrom = Number(words[1]);
    else if (verb === "streams") this.streamsFrom = Number(words[1]);
    else throw new Error(`No step: ${step}`);
  }

  #runPage(page: Page, step: string): void {
    const [verb, ...words] = step.split(" ");
    const what = words.join(" ");
    const [isDue, progress] = PROGRESS[step] ?? [];
    if (progress) isDue!(page) && progress(page);
    else if (step === "go on") this.#goOn(page);
    else if (step === "flip") page.flip();
    else if (step === "cut") page.end();
    else if (step === "rest") page.rest();
    else if (step === "wake") page.wake();
    else if (step === "may not ask") page.mayNotAsk = true;
    else if (verb === "visit" || verb === "back") page[verb](Number(what));
    else if (verb === "frame") this.#load(page, what as "frame" | "inner");
    else if (verb === "form") this.#submit(page, what);
    else if (step === "fetch old") page.answerFetch({ html: this.old });
    else if (step === "fetch json") page.answerFetch({ isHtml: false });
    else if (verb === "fetch") page.answerFetch({ status: Number(what) });
    else throw new Error(`No step: ${step}`);
  }

  #newEpoch(): string {
    return `log${++this.#epochs}`;
  }

  #restart(epoch: string | undefined): void {
    for (const server of this.servers.slice(FIRST, OTHER)) {
      server.restart(epoch);
      for (const page of this.pages) if (page.link?.server === server) page.end();
    }
  }

  #push(streams: Stream[], except?: string): string {
    const html = joinStreams(streams);
    for (const server of this.servers.slice(FIRST, OTHER)) server.append(html, except);
    this.servers[OTHER]!.append(String(remove("nowhere")));
    return html;
  }

  #load(page: Page, place: "frame" | "inner"): void {
    const { cursor } = this.servers[this.pagesFrom]!;
    const html = markup.place(this.content, place).toString();
    page.frames.push({ id: `the-${place}`, cursor, html });
  }

  /** Submits a form, which cancels one that is being submitted. */
  #submit(page: Page, form: string): void {
    page.abort();
    page.answers.push({ ...this.#answer(page, form), isExcept: form.endsWith("except") });
  }

  /** The answer to a form. Its cursor is taken when the request arrives. */
  #answer(page: Page, form: string): Omit<Answer, "isExcept"> {
    const { content } = this;
    const [{ cursor }, , other] = this.servers as [Server, Server, Server];
    const answer = (...streams: Stream[]) => ({ cursor, html: streams.join("") });
    const [what, place] = form.split(" ") as [string, Place];
    switch (form) {
      case "by the other process":
        return { ...answer(replace("page", markup.text(content, "page"))), cursor: other.cursor };
      case "elements":
        return answer(update("elements", markup.elements(content)));
      case "box":
        return answer(replace("the-box", markup.box(content)));
      case "in the box":
        return answer(update("the-box", markup.inBox(content)));
      case "nowhere":
        return answer(remove("nowhere"));
    }
    if (what === "lines") return answer(replace(`${place}-lines`, markup.lines(content, place)));
    const except = form.endsWith("except") ? page.follower.shown!.id : undefined;
    const change = form.replace(" except", "") as Change;
    return { cursor, html: this.#push(content.change(change), except) };
  }

  /** Checks the invariants. */
  #assertHolds(page: Page): void {
    const { follower, body, refetching } = page;
    const { isCurrent, isConnected, isFetching } = follower;
    assert(!isCurrent || isConnected && !isFetching, "current is connected and not fetched");
    assert(!refetching || isFetching, "what is asked for again is waited for");
    for (const place of follower.shown!.isLost ? [] : PLACES) {
      const list = body.find(`${place}-lines`)!;
      const lines = list.children.map((line) => Number(line.children[0]!.text));
      const isRight = lines.every((line, index) => index === 0 || line > lines[index - 1]!);
      assert(isRight, `no line twice or after a newer one: ${lines}`);
    }
    const knows = page.link !== undefined && page.link.server !== this.servers[OTHER];
    if (isCurrent && knows && stepsDue(page).length === 0) this.#assertEqual(page);
  }

  #assertEqual(page: Page): void {
    const truth = new Element("body");
    truth.append(...parse(markup.page(this.content).toString()));
    const shown = page.body.clone();
    for (const body of [truth, shown]) {
      // An answer may be rendered before elements that were added earlier.
      body.find("elements")!.children.sort((a, b) => a.id < b.id ? -1 : 1);
      if (page.isKeptLost) body.find("kept")!.replaceWith();
    }
    assert.equal(`${shown}`, `${truth}`, "the page is as the server has it");
  }
}

/** The cursors of a page and of its parts. */
function cursorsOf({ follower: { shown } }: Page) {
  const parts = new Map(shown?.parts);
  return { shown, cursor: shown?.cursor, parts };
}

function assertNoneFalls({ shown, cursor, parts }: ReturnType<typeof cursorsOf>, page: Page): void {
  const now = page.follower.shown;
  if (!shown || shown !== now) return;
  assert(compare(now.cursor, cursor!)! >= 0, `the page's cursor falls from ${cursor}`);
  for (const [part, at] of parts) {
    const after = now.parts.get(part);
    assert(after === undefined || compare(after, at)! >= 0, `a part's cursor falls from ${at}`);
  }
}
