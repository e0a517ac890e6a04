/**
 * A reader without a browser, for tests: it opens a page of an app in the same process, follows its
 * stream, and shows what the page has.
 *
 * @module
 */
import {
  callback,
  checkOptions,
  checkValue,
  milliseconds,
  quote,
  type Rule,
  text,
  withMethods,
} from "./checks.ts";
import { type Batch, Follower, isAfter, Refetch, Shown, type Step } from "./client_core.js";
import { CONNECTION_HEADER, CURSOR_HEADER } from "./request.ts";
import { STREAM_TYPE } from "./streams.ts";
import {
  partAround,
  perform,
  performStep,
  refreshOf,
  type Scene,
  streamsOf,
  takeEmbedded,
} from "./testing_actions.ts";
import {
  attribute,
  detach,
  type DomElement,
  insert,
  loadParser,
  type PageDocument,
  parentOf,
  setAttribute,
  visibleText,
} from "./testing_document.ts";
import { eventsIn } from "./testing_events.ts";
import { type Fields, formOf, isDisabled, isSubmitter, submissionOf } from "./testing_form.ts";
import { type Answer, type Asking, pathOf, Requests, type TestApp } from "./testing_requests.ts";

export type { Fields, TestApp };

/** Options of {@linkcode openPage}. */
export interface OpenPageOptions {
  /** The cookies that it begins with, and keeps. Give those of another page for a second tab. */
  cookies?: Map<string, string>;
  /** Header fields of each of its requests. */
  headers?: Record<string, string>;
  /** Where the app seems to be. Default `http://localhost`. */
  origin?: string;
  /** Milliseconds for which it waits for what a test expects. Default 5,000. */
  deadline?: number;
}

/** What {@linkcode TestPage.shows} looks at, and for how long. */
export interface ShowsOptions {
  /** A CSS selector: what it finds. Default: the whole page. */
  in?: string;
  /** Milliseconds. Default: that of the page. */
  deadline?: number;
}

/**
 * How a page is, as of `<html data-turbo-stream>`: it follows the log; it is connecting or being fetched;
 * there is no connection, and it is tried again; it was sent away, or cannot be had again; or it has no
 * stream.
 */
export type PageState = "open" | "connecting" | "closed" | "away" | "static";

/** What is clicked: a CSS selector, or the text of a link or button. */
export type ClickTarget = string | { readonly text: string };

/** A page that a reader without a browser has open. */
export interface TestPage extends AsyncDisposable {
  /** The path and query of what it shows. */
  readonly path: string;
  /** The status of the answer that it shows. */
  readonly status: number;
  /** How it is. */
  readonly state: PageState;
  /** The cookies, by name. Their domains, paths and times are not looked at. */
  readonly cookies: Map<string, string>;

  /**
   * The text that a reader sees, white space collapsed: of the page, or of what a CSS selector finds. It
   * goes by the markup: no style is looked at.
   *
   * @throws {Error} where it finds nothing
   */
  text(selector?: string): string;

  /**
   * The HTML of the page, or of what a CSS selector finds.
   *
   * @throws {Error} where it finds nothing
   */
  html(selector?: string): string;

  /** How many elements a CSS selector finds. */
  count(selector: string): number;

  /**
   * Waits until the page shows a text.
   *
   * @throws {Error} that says what it shows, when it does not at the deadline
   */
  shows(expected: string | RegExp, options?: ShowsOptions): Promise<void>;

  /**
   * Waits until the page does not show a text.
   *
   * @throws {Error} that says what it shows, when it still does at the deadline
   */
  lacks(unexpected: string | RegExp, options?: ShowsOptions): Promise<void>;

  /**
   * Waits until a condition holds, such as `() => page.state === "away"`.
   *
   * @throws {Error} that says what the page shows, when it does not at the deadline
   */
  until(condition: () => boolean, options?: Pick<ShowsOptions, "deadline">): Promise<void>;

  /** Goes to another page of the app, or to the same one again. */
  visit(path: string): Promise<void>;

  /**
   * Follows a link, or sends a form by a button of it.
   *
   * @throws {Error} where there is not exactly one such element, or nothing follows a click on it
   */
  click(target: ClickTarget): Promise<void>;

  /**
   * Fills in a form and sends it, as Turbo does, by its first button.
   *
   * @throws {Error} where there is not exactly one such form, or Turbo cannot take the answer
   * @throws {TypeError} where it has no such field
   */
  submit(form: string, fields?: Fields): Promise<void>;

  /** Closes it, as a reader closes a tab. */
  close(): Promise<void>;
}

/** Milliseconds between two looks at what a test waits for. */
const LOOK_AGAIN = 5;
/** Milliseconds until a connection that was lost is tried again: more than that is for tests too long. */
const RETRY_AFTER = 50;
/** Characters of a page that a message shows. */
const MAX_SHOWN = 1_000;
const HTML_TYPES = "text/html, application/xhtml+xml";

const NAME = text((name) => name !== "", "a text");

const OPTION_RULES = {
  cookies: withMethods("get", "set", "delete", "entries"),
  headers: {
    allowed: "an object of texts",
    problem: (value) =>
      typeof value === "object" && value !== null && !Array.isArray(value) &&
        Object.values(value).every((one) => typeof one === "string")
        ? undefined
        : "type",
  },
  origin: text(
    (origin) => URL.parse(origin)?.origin === origin,
    "an origin such as http://localhost",
  ),
  deadline: milliseconds(0, 2 ** 31 - 1),
} satisfies Record<keyof OpenPageOptions, Rule>;

const SHOWS_RULES = {
  in: NAME,
  deadline: OPTION_RULES.deadline,
} satisfies Record<keyof ShowsOptions, Rule>;

const FIELD: Rule = {
  allowed: "a text, true or false, or a list of texts",
  problem: (value) =>
    typeof value === "string" || typeof value === "boolean" ||
      (Array.isArray(value) && value.every((one) => typeof one === "string"))
      ? undefined
      : "type",
};

const EXPECTED: Rule = {
  allowed: "a text or a regular expression",
  problem: (value) =>
    value instanceof RegExp || (typeof value === "string" && value !== "") ? undefined : "type",
};

/**
 * Opens a page of an app and follows its stream, as a browser does with Turbo and the client of this
 * package, by the same rules: without a server, a socket or a permission. No script and no style is run,
 * and nothing is morphed: what is pushed with `morph` replaces.
 *
 * @throws {Error} where the page cannot be had, or its stream cannot be reached
 * @throws {TypeError | RangeError} where an option is wrong or unknown
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { append, html, Turbo } from "./mod.ts";
 * import { openPage } from "./testing.ts";
 *
 * const turbo = new Turbo();
 * const app = new Hono();
 * app.get("/turbo-stream", (c) => turbo.connect(c.req.raw));
 * app.get("/", (c) => c.html(html`<head>${turbo.head()}</head><ul id="list"></ul>`));
 *
 * await using page = await openPage(app, "/");
 * turbo.push(append("list", html`<li>milk</li>`));
 * await page.shows("milk");
 * ```
 */
export async function openPage(
  app: TestApp,
  path = "/",
  options: OpenPageOptions = {},
): Promise<TestPage> {
  checkValue("openPage()", "app", app, withMethods("fetch"));
  checkValue("openPage()", "path", path, NAME);
  const given = checkOptions("openPage()", options, OPTION_RULES);
  const { cookies = new Map(), headers = {}, origin = "http://localhost" } = given;
  const page = new Page({
    requests: new Requests(app, { cookies, headers }),
    parse: await loadParser(),
    base: new URL(origin),
    deadline: given.deadline ?? 5_000,
  });
  try {
    await page.visit(path);
    if (page.state === "closed" || page.state === "connecting") {
      throw new Error(`Cannot follow the stream of ${page.describe()}`);
    }
  } catch (error) {
    await page.close();
    throw error;
  }
  return page;
}

class Page implements TestPage {
  status = 0;
  readonly #requests: Requests;
  readonly #parse: (html: string) => PageDocument;
  readonly #deadline: number;
  readonly #follower: Follower<DomElement>;
  #document: PageDocument;
  #url: URL;
  /** Whether what it shows answered a form: no request brings it again. */
  #isPosted = false;
  #isClosed = false;
  #isAway = false;
  /** What is being opened, or is open. */
  #source: { reader?: ReadableStreamDefaultReader<Uint8Array> } | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Until the page that is being fetched again is there. */
  #run: object | undefined;
  #decisions = new Refetch();
  /** The cursor of a refresh in an answer, which nobody tells again. */
  #own: string | undefined;
  /** Forms that are being sent. */
  #sending = 0;
  readonly #requestIds = new Set<string>();
  /** What a browser would show nowhere, for the messages of what fails. */
  readonly #problems = new Set<string>();

  constructor({ requests, parse, base, deadline }: {
    requests: Requests;
    parse: (html: string) => PageDocument;
    base: URL;
    deadline: number;
  }) {
    this.#requests = requests;
    this.#parse = parse;
    this.#url = base;
    this.#deadline = deadline;
    this.#document = parse("");
    this.#follower = new Follower<DomElement>({
      ask: () => {
        this.#reconnect();
        return true;
      },
      give: (batch: Batch<DomElement>) => this.#follower.painted(batch),
      cancel() {},
      run: (step: Step, shown: Shown<DomElement>) => this.#render(step, shown),
      around: (part: DomElement) => partAround(this.#follower.shown, parentOf(part)),
      refetch: (why) => {
        if (why === "answer") this.#own = this.#follower.need;
        this.#refetchLater();
      },
      resumed: () => this.#run = undefined,
      changed: () => {
        if (this.#follower.isCurrent) this.#decisions = new Refetch();
      },
    });
  }

  get path(): string {
    return pathOf(this.#url);
  }

  get cookies(): Map<string, string> {
    return this.#requests.cookies;
  }

  get state(): PageState {
    if (this.#isAway) return "away";
    if (!this.#follower.shown) return this.#isClosed ? "closed" : "static";
    if (!this.#source) return "closed";
    return this.#follower.isCurrent ? "open" : "connecting";
  }

  text(selector?: string): string {
    return this.#find(selector ?? "body").map(visibleText).join(" ");
  }

  html(selector?: string): string {
    return this.#find(selector ?? "html").map((element) => this.#document.html(element)).join("");
  }

  count(selector: string): number {
    checkValue("page.count()", "selector", selector, NAME);
    return this.#document.all(selector).length;
  }

  async shows(expected: string | RegExp, options: ShowsOptions = {}): Promise<void> {
    checkValue("page.shows()", "expected", expected, EXPECTED);
    const given = checkOptions("page.shows()", options, SHOWS_RULES);
    await this.#wait(() => matches(this.#textIn(given.in), expected), given, wordsOf(expected));
  }

  async lacks(unexpected: string | RegExp, options: ShowsOptions = {}): Promise<void> {
    checkValue("page.lacks()", "unexpected", unexpected, EXPECTED);
    const given = checkOptions("page.lacks()", options, SHOWS_RULES);
    const words = `the end of ${wordsOf(unexpected)}`;
    await this.#wait(() => !matches(this.#textIn(given.in), unexpected), given, words);
  }

  async until(condition: () => boolean, options: ShowsOptions = {}): Promise<void> {
    checkValue("page.until()", "condition", condition, callback);
    const given = checkOptions("page.until()", options, { deadline: SHOWS_RULES.deadline });
    await this.#wait(condition, given, String(condition));
  }

  async visit(path: string): Promise<void> {
    checkValue("page.visit()", "path", path, NAME);
    await this.#go(this.#urlOf(path));
  }

  async click(target: ClickTarget): Promise<void> {
    const element = this.#clicked(target);
    const document = this.#document;
    const link = document.closest(element, "a[href]");
    if (link) return await this.#follow(link);
    const button = document.closest(element, "button, input");
    const form = button && isSubmitter(button) ? formOf(document, button) : undefined;
    if (form && button && !isDisabled(document, button)) {
      return await this.#submit(form, { button });
    }
    throw new Error(
      `Cannot click ${document.html(element)}: a link, or a button that sends a form, is needed`,
    );
  }

  async submit(selector: string, fields: Fields = {}): Promise<void> {
    checkValue("page.submit()", "form", selector, NAME);
    checkFields(fields);
    const form = this.#one(selector);
    if (form.tagName !== "form") {
      throw new Error(`Cannot submit ${quote(selector)}: that is a <${form.tagName}>, and no form`);
    }
    await this.#submit(form, { fields });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#run = undefined;
    this.#follower.show(undefined);
    await this.#end();
    clearTimeout(this.#retry);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The page in words. */
  describe(): string {
    const problems = [...this.#problems].map((problem) => `; ${problem}`).join("");
    const shown = this.#textIn(undefined);
    const text = shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown;
    const hint = this.state === "static" ? ": it has no turbo.head(), so no push reaches it" : "";
    return `${this.path} (${this.status}, ${this.state}${hint}), which shows ${
      JSON.stringify(text)
    }${problems}`;
  }

  // ---- What is shown.

  #find(selector: string): DomElement[] {
    checkValue("page", "selector", selector, NAME);
    const found = this.#document.all(selector);
    if (found.length > 0) return found;
    throw new Error(`Cannot find ${quote(selector)} in ${this.describe()}`);
  }

  #one(selector: string): DomElement {
    return only(this.#find(selector), quote(selector), this.#document);
  }

  #textIn(selector: string | undefined): string {
    return this.#document.all(selector ?? "body").map(visibleText).join(" ");
  }

  #clicked(target: ClickTarget): DomElement {
    if (typeof target === "string") return this.#one(target);
    const { text: label } = checkOptions("page.click()", target, { text: NAME });
    checkValue("page.click()", "text", label, NAME);
    const found = this.#document.all("a[href], button, input").filter((element) =>
      (element.tagName === "input" ? attribute(element, "value") : visibleText(element)) === label
    );
    if (found.length > 0) return only(found, quote(label), this.#document);
    throw new Error(`Cannot find a link or button ${quote(label)} in ${this.describe()}`);
  }

  async #wait(
    condition: () => boolean,
    { deadline = this.#deadline }: ShowsOptions,
    words: string,
  ): Promise<void> {
    const end = performance.now() + deadline;
    while (!condition()) {
      if (performance.now() > end) {
        throw new Error(`Waited ${deadline} ms in vain for ${words}: ${this.describe()}`);
      }
      await pause(LOOK_AGAIN);
    }
  }

  // ---- Visits and forms.

  #urlOf(path: string): URL {
    const base = this.#document.all("base[href]")[0];
    const url = URL.parse(path, new URL(base ? attribute(base, "href")! : "", this.#url));
    if (url?.origin === this.#url.origin) return url;
    throw new Error(`Cannot go to ${quote(path)}: a path of the app is needed`);
  }

  async #follow(link: DomElement): Promise<void> {
    const href = attribute(link, "href")!;
    if (href.startsWith("#")) return;
    const url = this.#urlOf(href);
    const method = attribute(link, "data-turbo-method")?.toUpperCase() ?? "GET";
    const isTurbo = this.#isTurbo(link);
    if (isTurbo && (method !== "GET" || attribute(link, "data-turbo-stream") !== undefined)) {
      return await this.#send(url, { method }, this.#frameFor(link));
    }
    const frame = isTurbo ? this.#frameFor(link) : undefined;
    if (frame) await this.#loadFrame(frame, url);
    else await this.#go(url);
  }

  async #submit(
    form: DomElement,
    { fields, button }: { fields?: Fields; button?: DomElement } = {},
  ): Promise<void> {
    const submission = submissionOf(this.#document, form, {
      ...(fields && { fields }),
      submitter: button,
    });
    const { method, entries, isMultipart } = submission;
    const url = this.#urlOf(submission.action === "" ? this.path : submission.action);
    const isTurbo = this.#isTurbo(form) && (!button || this.#isTurbo(button));
    const frame = isTurbo ? this.#frameFor(button ?? form, form) : undefined;
    const pairs = entries.map(([name, value]) => [name, value]);
    if (method === "GET") {
      url.search = new URLSearchParams(pairs).toString();
      const asksForStreams = [form, button].some((element) =>
        element && attribute(element, "data-turbo-stream") !== undefined
      );
      if (isTurbo && asksForStreams) return await this.#send(url, { method }, frame);
      return frame ? await this.#loadFrame(frame, url) : await this.#go(url);
    }
    const body = isMultipart ? new FormData() : new URLSearchParams(pairs);
    if (body instanceof FormData) { for (const [name, value] of entries) body.append(name, value); }
    if (isTurbo) return await this.#send(url, { method, body }, frame);
    const answer = await this.#ask(url, {
      method,
      body,
      headers: { Accept: `${HTML_TYPES}, */*` },
    });
    await this.#open(answer, { isPosted: !answer.isRedirected });
  }

  /** Sends a form as Turbo does, and takes the answer as Turbo does. */
  async #send(url: URL, asking: Asking, frame: DomElement | undefined): Promise<void> {
    const { shown } = this.#follower;
    const headers = {
      Accept: `${STREAM_TYPE}, ${HTML_TYPES}`,
      ...(shown && { [CONNECTION_HEADER]: shown.id }),
      ...this.#frameHeader(frame),
    };
    this.#sending++;
    try {
      const answer = await this.#ask(url, { ...asking, headers });
      const { response, isRedirected } = answer;
      if (typeOf(response) === STREAM_TYPE) return await this.#takeStreams(response);
      if (frame) return await this.#fillFrame(frame, answer);
      if (asking.method !== "GET" && response.status < 300 && !isRedirected) {
        const body = await response.text();
        if (body === "") return;
        throw new Error(
          `Cannot take the answer of ${pathOf(url)} to a form, a page with status ` +
            `${response.status}: Turbo needs a redirect with 303, an error such as 422, or streams`,
        );
      }
      // Turbo shows a page that refuses a form where the form was.
      await this.#open(isRedirected ? answer : { ...answer, url: this.#url }, {
        isPosted: !isRedirected,
      });
    } finally {
      this.#sending--;
    }
    await this.#settled();
  }

  async #takeStreams(response: Response): Promise<void> {
    const cursor = response.headers.get(CURSOR_HEADER);
    const body = await response.text();
    if (cursor) this.#follower.answer(cursor, body);
    else this.#performAll(streamsOf(this.#document, body));
    await this.#loadFrames();
    await this.#settled();
  }

  async #go(url: URL): Promise<void> {
    await this.#open(await this.#ask(url, { headers: { Accept: HTML_TYPES } }));
  }

  async #ask(url: URL, { headers, ...asking }: Asking): Promise<Answer> {
    if (this.#isClosed) throw new Error(`Cannot ask for ${pathOf(url)}: the page is closed`);
    const id = crypto.randomUUID();
    this.#requestIds.add(id);
    return await this.#requests.ask(url, {
      ...asking,
      headers: { ...headers, "X-Turbo-Request-Id": id },
    });
  }

  async #open({ response, url }: Answer, { isPosted = false } = {}): Promise<void> {
    const html = await response.text();
    this.#show(this.#parse(isPage(response) ? html : escaped(html)), {
      url,
      status: response.status,
      isPosted,
    });
    await this.#loadFrames();
    await this.#settled();
  }

  // As `attach` in client.js.
  #show(
    document: PageDocument,
    { url, status, isPosted }: { url: URL; status: number; isPosted: boolean },
  ): void {
    if (this.#isClosed) return;
    this.#document = document;
    this.#url = url;
    this.status = status;
    this.#isPosted = isPosted;
    this.#isAway = false;
    this.#problems.clear();
    this.#run = undefined;
    const { cursor, path, token = "" } = metaIn(document) ?? {};
    const shown = cursor && path
      ? new Shown<DomElement>({ id: crypto.randomUUID(), cursor, path, token })
      : undefined;
    this.#follower.show(shown);
    if (shown) this.#connect();
    else this.#rest();
    this.#performAll(takeEmbedded(document));
    const own = this.#own;
    this.#own = undefined;
    if (own && shown && isAfter(own, shown.cursor)) this.#follower.refetch(own, "answer");
  }

  #isTurbo(element: DomElement): boolean {
    const nearest = this.#document.closest(element, "[data-turbo]");
    return !nearest || attribute(nearest, "data-turbo") !== "false";
  }

  // ---- Frames.

  /** The frame that a link or form is for; `undefined` where it is for the page. */
  #frameFor(element: DomElement, form?: DomElement): DomElement | undefined {
    const around = this.#document.closest(element, "turbo-frame[id]:not([disabled])");
    const named = attribute(element, "data-turbo-frame") ??
      (form && attribute(form, "data-turbo-frame")) ?? (around && attribute(around, "target"));
    if (named === undefined || named === "_self") return around;
    if (named === "_top") return undefined;
    const frame = this.#document.byId(named);
    return frame?.tagName === "turbo-frame" ? frame : undefined;
  }

  #frameHeader(frame: DomElement | undefined): Record<string, string> {
    return frame ? { "Turbo-Frame": attribute(frame, "id")! } : {};
  }

  async #loadFrame(frame: DomElement, url: URL): Promise<void> {
    const headers = { Accept: HTML_TYPES, ...this.#frameHeader(frame) };
    await this.#fillFrame(frame, await this.#ask(url, { headers }));
  }

  async #fillFrame(frame: DomElement, { response, url }: Answer): Promise<void> {
    const id = attribute(frame, "id")!;
    const filling = this.#parse(await response.text()).byId(id);
    if (!this.#document.has(frame)) return;
    for (const child of [...frame.childNodes]) detach(child);
    if (filling?.tagName === "turbo-frame") insert(frame, [...filling.childNodes]);
    else {
      const message = `the answer of ${pathOf(url)} has no <turbo-frame id=${quote(id)}>`;
      this.#problems.add(message);
      insert(frame, this.#document.fragment("Content missing").childNodes);
    }
    const cursor = response.headers.get(CURSOR_HEADER);
    if (cursor) this.#follower.partRendered(frame, cursor);
    await this.#loadFrames();
    await this.#settled();
  }

  /** Loads the frames that name what they show, those that a browser loads later too. */
  async #loadFrames(): Promise<void> {
    for (;;) {
      const [frame] = this.#document.all("turbo-frame[id][src]:not([disabled]):not([complete])");
      if (!frame) return;
      setAttribute(frame, "complete", "");
      await this.#loadFrame(frame, this.#urlOf(attribute(frame, "src")!));
    }
  }

  // ---- What is pushed.

  get #scene(): Scene {
    return {
      document: this.#document,
      shown: this.#follower.shown,
      problem: (message) => void this.#problems.add(message),
    };
  }

  #render(step: Step, shown: Shown<DomElement>): boolean {
    let hasRefresh = false;
    for (const stream of streamsOf(this.#document, step.html)) {
      const refresh = refreshOf(stream);
      if (!refresh) performStep(this.#scene, stream, step, shown);
      else hasRefresh ||= !this.#isOwn(refresh);
    }
    this.#performAll(takeEmbedded(this.#document));
    return hasRefresh;
  }

  #performAll(streams: readonly DomElement[]): void {
    for (const stream of streams) {
      const refresh = refreshOf(stream);
      if (!refresh) perform(this.#scene, stream);
      else if (!this.#isOwn(refresh)) this.#refetchLater();
    }
  }

  #isOwn({ requestId }: { requestId: string | undefined }): boolean {
    return requestId !== undefined && this.#requestIds.has(requestId);
  }

  #refetchLater(): void {
    this.#refetch().catch((error) => this.#giveUp(`it cannot be fetched again: ${error}`));
  }

  // As `Refetching` in client.js, but without its pauses.
  async #refetch(): Promise<void> {
    if (this.#run || this.#isClosed) return;
    const run = this.#run = {};
    const follower = this.#follower;
    if (this.#isPosted) return await this.#leave();
    for (let wait = 0;; wait = RETRY_AFTER) {
      do await pause(wait); while (this.#sending > 0 && run === this.#run);
      if (run !== this.#run) return;
      const { response, url } = await this.#requests.ask(this.#url, {
        headers: { Accept: HTML_TYPES },
      });
      const document = this.#parse(await response.text());
      if (run !== this.#run) return;
      const [meta] = document.all('head > meta[name="turbo-cursor"]');
      const { status } = response;
      const answer = {
        status,
        isHtml: isPage(response),
        cursor: meta && attribute(meta, "content"),
      };
      const decision = this.#decisions.judge(answer, follower.need, follower.isAnswered);
      if (decision === "take") {
        this.#show(document, { url, status, isPosted: false });
        return await this.#loadFrames();
      }
      if (decision === "leave") return await this.#leave();
      if (decision === "stop") return this.#giveUp("the page is of another log than its stream");
      if (decision === "reconnect") this.#reconnect();
    }
  }

  /** As a browser that loads the page in full, where its reader loses nothing by it. */
  async #leave(): Promise<void> {
    if (this.#isPosted && this.count("form :is(input, textarea, select)") > 0) {
      return this.#giveUp("it answered a form, and cannot be fetched again");
    }
    this.#run = undefined;
    await this.#go(this.#url);
  }

  #giveUp(problem: string): void {
    this.#problems.add(problem);
    this.#run = undefined;
    this.#isAway = true;
    this.#rest();
  }

  // ---- The connection, by server-sent events.

  #connect(): void {
    if (this.#source || this.#isClosed || this.#isAway || !this.#follower.shown) return;
    clearTimeout(this.#retry);
    this.#follower.connecting(true);
    this.#listen(this.#source = {}, this.#follower.shown);
  }

  #reconnect(): void {
    this.#end();
    this.#connect();
  }

  #rest(): void {
    this.#end();
    clearTimeout(this.#retry);
  }

  async #listen(
    source: { reader?: ReadableStreamDefaultReader<Uint8Array> },
    { id, oldest, path, token }: Shown<DomElement>,
  ): Promise<void> {
    const url = new URL(path, this.#url);
    url.searchParams.set("page", id);
    url.searchParams.set("since", oldest);
    if (token !== "") url.searchParams.set("token", token);
    const isGone = () => source !== this.#source;
    try {
      const headers = { Accept: "text/event-stream" };
      const { response } = await this.#requests.ask(url, { headers });
      const isStream = response.ok && typeOf(response) === "text/event-stream";
      if (isGone() || !isStream || !response.body) {
        const words = await wordsIn(response);
        if (!isGone()) this.#lost(`its stream ${path} answered ${words}`);
        return;
      }
      source.reader = response.body.getReader();
      this.#follower.connected();
      for await (const events of eventsIn(source.reader)) {
        for (const { type, id: cursor, data } of events) {
          if (isGone()) return;
          if (type === "message" || type === "cursor") {
            this.#follower.receive([{ cursor, html: data }]);
            this.#loadFramesLater();
          } else if (type === "away") this.#giveUp("the server has sent it away");
          else if (type === "again") this.#reconnect();
        }
      }
      if (!isGone()) this.#lost(`its stream ${path} ended`);
    } catch (error) {
      if (!isGone()) this.#lost(`its stream ${path} failed: ${error}`);
    }
  }

  #lost(problem: string): void {
    this.#problems.add(problem);
    this.#end();
    this.#retry = setTimeout(() => this.#connect(), RETRY_AFTER);
  }

  async #end(): Promise<void> {
    const source = this.#source;
    if (!source) return;
    this.#source = undefined;
    this.#follower.disconnected();
    await source.reader?.cancel().catch(() => {}); // one that has failed is told of already
  }

  #loadFramesLater(): void {
    this.#loadFrames().catch((error) => this.#problems.add(String(error)));
  }

  /** Waits until the page follows its stream, or it is known that it does not. */
  async #settled(): Promise<void> {
    await this.#wait(
      () => this.state !== "connecting",
      {},
      "the page to follow its stream",
    );
  }
}

function checkFields(fields: Fields): void {
  const rules = Object.fromEntries(Object.keys(fields ?? {}).map((name) => [name, FIELD]));
  checkOptions("page.submit()", fields, rules);
  for (const [name, value] of Object.entries(fields)) {
    checkValue("page.submit()", name, value, FIELD); // one that is `undefined` too
  }
}

/** What `turbo.head()` has put in. */
function metaIn(document: PageDocument) {
  const [meta] = document.all('head > meta[name="turbo-cursor"]');
  return meta && {
    cursor: attribute(meta, "content"),
    path: attribute(meta, "data-stream"),
    token: attribute(meta, "data-token"),
  };
}

function only(found: readonly DomElement[], words: string, document: PageDocument): DomElement {
  const [element] = found;
  if (element && found.length === 1) return element;
  const all = found.map((one) => document.html(one).slice(0, 100)).join(", ");
  throw new Error(`Cannot choose among ${found.length} elements for ${words}: ${all}`);
}

function matches(shown: string, expected: string | RegExp): boolean {
  return typeof expected === "string" ? shown.includes(expected) : shown.search(expected) >= 0;
}

function wordsOf(expected: string | RegExp): string {
  return typeof expected === "string" ? quote(expected) : String(expected);
}

function typeOf({ headers }: Response): string {
  return (headers.get("Content-Type") ?? "").split(";")[0]!.trim().toLowerCase();
}

/** An answer that is not what was asked for, in words. */
async function wordsIn(response: Response): Promise<string> {
  const { status } = response;
  return response.ok
    ? `${status} ${typeOf(response)}`
    : `${status} ${quote(await response.text())}`;
}

function isPage(response: Response): boolean {
  return /^(text\/html|application\/xhtml\+xml)$/.test(typeOf(response));
}

function escaped(text: string): string {
  return `<pre>${text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</pre>`;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
