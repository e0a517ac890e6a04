/**
 * A tab without a browser. It visits pages, submits forms, fills frames, renders pushes and fetches the page
 * again, as a browser with Turbo and our client does. The rules are those of client_core.js.
 *
 * @module
 */
import { quote } from "./checks.ts";
import { type Batch, Follower, isAfter, Refetch, Shown, type Step } from "./client_core.js";
import { CONNECTION_HEADER, CURSOR_HEADER, mediaTypeOf } from "./request.ts";
import { STREAM_TYPE } from "./streams.ts";
import {
  embeddedIn,
  partAround,
  perform,
  performStep,
  refreshOf,
  type Scene,
  streamsOf,
} from "./testing_actions.ts";
import {
  attribute,
  detach,
  type DomElement,
  insert,
  type PageDocument,
  parentOf,
  setAttribute,
} from "./testing_document.ts";
import { type Fields, submissionOf } from "./testing_form.ts";
import { type Answer, type Asking, pathOf, type Requests } from "./testing_requests.ts";
import { TestStream } from "./testing_stream.ts";

/**
 * The state of a page, with the names of `<html data-turbo-stream>`:
 *
 * - `open`: it is connected and current;
 * - `connecting`: it is connecting, or being fetched again;
 * - `closed`: it has lost its connection and reconnects, or was closed by the test;
 * - `away`: the server has disconnected the reader, or the page cannot be fetched again;
 * - `static`: it has no stream.
 */
export type PageState = "open" | "connecting" | "closed" | "away" | "static";

/** How to submit a form. */
export interface Filling {
  /** The values to fill in. */
  fields?: Fields;
  /** The button to click. Default: the first button of the form. */
  button?: DomElement;
}

/** Milliseconds before a page that could not be fetched is requested again. */
const TRY_AGAIN = 50;
/** Most frames that are loaded one after another, because each may load another forever. */
const MAX_FRAMES = 1_000;
const HTML_TYPES = "text/html, application/xhtml+xml";

/** A tab, which shows one page after another. */
export class TestTab {
  /** The document that it shows. */
  document: PageDocument;
  /** The URL of the page. */
  url: URL;
  /** The HTTP status of the page. */
  status = 0;
  /** Problems that a browser would not show. Error messages contain them. */
  readonly problems: Set<string> = new Set();
  readonly #requests: Requests;
  readonly #parse: (html: string) => PageDocument;
  readonly #follower: Follower<DomElement>;
  readonly #stream: TestStream;
  /** Whether the page was the answer to a form, so that it cannot be fetched again. */
  #isPosted = false;
  #isClosed = false;
  #isAway = false;
  /** Identifies the fetch of the page that is in progress; `undefined` where there is none. */
  #run: object | undefined;
  #decisions = new Refetch();
  /** The cursor of a refresh in an answer. The stream does not repeat that refresh, so it is kept here. */
  #own: string | undefined;
  /** How many forms are being sent. */
  #sending = 0;
  readonly #requestIds = new Set<string>();
  /** Streams inside rendered content. They are rendered with the next paint. */
  readonly #embedded = new Set<DomElement>();
  readonly #background = new Set<Promise<void>>();

  /** Starts with an empty document. */
  constructor({ requests, parse, origin }: {
    requests: Requests;
    parse: (html: string) => PageDocument;
    origin: URL;
  }) {
    this.#requests = requests;
    this.#parse = parse;
    this.url = origin;
    this.document = parse("");
    this.#follower = new Follower<DomElement>({
      ask: () => {
        this.#stream.reconnect();
        return true;
      },
      give: (batch: Batch<DomElement>) => {
        this.#follower.painted(batch);
        this.#performEmbedded();
      },
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
    this.#stream = new TestStream({
      requests,
      follower: this.#follower,
      address: () => this.url,
      received: () => this.#inBackground(this.#loadFrames().catch((error) => this.#note(error))),
      sentAway: () => this.#rest("the server has disconnected it"),
      lost: (problem) => this.problems.add(problem),
    });
  }

  /** The state of the page. */
  get state(): PageState {
    if (this.#isAway) return "away";
    if (!this.#follower.shown) return this.#isClosed ? "closed" : "static";
    if (!this.#stream.isThere) return "closed";
    return this.#follower.isCurrent ? "open" : "connecting";
  }

  /** Ends the connection and all work. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#run = undefined;
    this.#follower.show(undefined);
    await this.#stream.rest();
    await Promise.all(this.#background);
  }

  /**
   * The URL of a path on this page.
   *
   * @throws {Error} when the URL has another origin
   */
  urlOf(path: string): URL {
    const base = this.document.all("base[href]")[0];
    const url = URL.parse(path, new URL(base ? attribute(base, "href")! : "", this.url));
    if (url?.origin === this.url.origin) return url;
    throw new Error(`Cannot go to ${quote(path)}: a path of the app is needed`);
  }

  /** Follows a link, as Turbo does. */
  async follow(link: DomElement): Promise<void> {
    const href = attribute(link, "href")!;
    if (href.startsWith("#")) return;
    const url = this.urlOf(href);
    const method = attribute(link, "data-turbo-method")?.toUpperCase() ?? "GET";
    const isTurbo = this.#isTurbo(link);
    if (isTurbo && (method !== "GET" || attribute(link, "data-turbo-stream") !== undefined)) {
      return await this.#send(url, { method }, this.#frameFor(link));
    }
    const frame = isTurbo ? this.#frameFor(link) : undefined;
    if (!frame) return await this.go(url);
    await this.#loadFrame(frame, url);
    await this.#loadFrames();
  }

  /** Submits a form, as Turbo does. */
  async submit(form: DomElement, { fields, button }: Filling = {}): Promise<void> {
    const submission = submissionOf(this.document, form, {
      ...(fields && { fields }),
      submitter: button,
    });
    const { method, entries, isMultipart } = submission;
    const url = this.urlOf(submission.action === "" ? pathOf(this.url) : submission.action);
    const isTurbo = this.#isTurbo(form) && (!button || this.#isTurbo(button));
    const frame = isTurbo ? this.#frameFor(button ?? form, form) : undefined;
    const pairs = entries.map(([name, value]) => [name, value]);
    if (method === "GET") {
      url.search = new URLSearchParams(pairs).toString();
      const asksForStreams = [form, button].some((element) =>
        element && attribute(element, "data-turbo-stream") !== undefined
      );
      if (isTurbo && asksForStreams) return await this.#send(url, { method }, frame);
      if (!frame) return await this.go(url);
      await this.#loadFrame(frame, url);
      return await this.#loadFrames();
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

  /** Sends the request of a form as Turbo does, and handles the answer as Turbo does. */
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
      if (mediaTypeOf(response) === STREAM_TYPE) return await this.#takeStreams(response);
      if (frame) {
        await this.#fillFrame(frame, answer);
        return await this.#loadFrames();
      }
      if (asking.method !== "GET" && response.status === 200 && !isRedirected) {
        throw new Error(
          `Cannot take the answer of ${
            pathOf(url)
          } to a form, a page with status 200: Turbo needs a ` +
            "redirect with 303, an error such as 422, or streams",
        );
      }
      if (!isPage(response)) { // such as a 204: the page stays as it is
        await response.body?.cancel();
        if (!response.ok) {
          this.problems.add(`${pathOf(url)} answered a form by ${response.status}, and no page`);
        }
        return;
      }
      // When an answer rejects a form, Turbo shows it at the URL of the form.
      const isRefused = response.status >= 400;
      await this.#open(isRefused ? { ...answer, url: this.url } : answer, {
        isPosted: !isRedirected,
      });
    } finally {
      this.#sending--;
    }
  }

  async #takeStreams(response: Response): Promise<void> {
    const cursor = response.headers.get(CURSOR_HEADER);
    const body = await response.text();
    if (cursor) this.#follower.answer(cursor, body);
    else {
      for (const stream of streamsOf(this.document, body)) this.#perform(stream);
      this.#performEmbedded();
    }
    await this.#loadFrames();
  }

  /** Goes to another page. */
  async go(url: URL): Promise<void> {
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
  }

  // Does what `attach` in client.js does.
  #show(
    document: PageDocument,
    { url, status, isPosted }: { url: URL; status: number; isPosted: boolean },
  ): void {
    if (this.#isClosed) return;
    this.document = document;
    this.url = url;
    this.status = status;
    this.#isPosted = isPosted;
    this.#isAway = false;
    this.problems.clear();
    this.#embedded.clear();
    this.#run = undefined;
    const { cursor, path, token = "" } = metaIn(document) ?? {};
    const shown = cursor && path
      ? new Shown<DomElement>({ id: crypto.randomUUID(), cursor, path, token })
      : undefined;
    this.#follower.show(shown);
    if (shown) this.#stream.connect();
    else this.#stream.rest();
    this.#noteEmbedded();
    this.#performEmbedded();
    const own = this.#own;
    this.#own = undefined;
    if (own && shown && isAfter(own, shown.cursor)) this.#follower.refetch(own, "answer");
  }

  #isTurbo(element: DomElement): boolean {
    const nearest = this.document.closest(element, "[data-turbo]");
    return !nearest || attribute(nearest, "data-turbo") !== "false";
  }

  // ---- Frames

  /** The frame in which a link or form opens; `undefined` for the page as a whole. */
  #frameFor(element: DomElement, form?: DomElement): DomElement | undefined {
    const around = this.document.closest(element, "turbo-frame[id]:not([disabled])");
    const named = attribute(element, "data-turbo-frame") ??
      (form && attribute(form, "data-turbo-frame")) ?? (around && attribute(around, "target"));
    if (named === undefined || named === "_self") return around;
    if (named === "_top") return undefined;
    const frame = this.document.byId(named);
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
    if (!this.document.has(frame)) return;
    for (const child of [...frame.childNodes]) detach(child);
    if (filling?.tagName === "turbo-frame") insert(frame, [...filling.childNodes]);
    else {
      const message = `the answer of ${pathOf(url)} has no <turbo-frame id=${quote(id)}>`;
      this.problems.add(message);
      insert(frame, this.document.fragment("Content missing").childNodes);
    }
    const cursor = response.headers.get(CURSOR_HEADER);
    if (cursor) this.#follower.partRendered(frame, cursor);
  }

  /**
   * Loads the frames with a `src`, including those with `loading="lazy"`.
   *
   * @throws {Error} when each frame loads another, which a browser would do forever
   */
  async #loadFrames(): Promise<void> {
    for (let count = 0;; count++) {
      const [frame] = this.document.all("turbo-frame[id][src]:not([disabled]):not([complete])");
      if (!frame) return;
      if (count === MAX_FRAMES) {
        throw new Error(
          `Cannot load more than ${MAX_FRAMES} frames of ${pathOf(this.url)}: each loads another`,
        );
      }
      setAttribute(frame, "complete", "");
      await this.#loadFrame(frame, this.urlOf(attribute(frame, "src")!));
    }
  }

  // ---- Pushes

  get #scene(): Scene {
    return {
      document: this.document,
      shown: this.#follower.shown,
      problem: (message) => void this.problems.add(message),
    };
  }

  #render(step: Step, shown: Shown<DomElement>): boolean {
    let hasRefresh = false;
    for (const stream of streamsOf(this.document, step.html)) {
      const refresh = refreshOf(stream);
      if (!refresh) performStep(this.#scene, stream, step, shown);
      else hasRefresh ||= !this.#isOwn(refresh);
      this.#noteEmbedded();
    }
    return hasRefresh;
  }

  #perform(stream: DomElement): void {
    const refresh = refreshOf(stream);
    if (!refresh) perform(this.#scene, stream);
    else if (!this.#isOwn(refresh)) this.#refetchLater();
    this.#noteEmbedded();
  }

  /** Notes the streams inside the document. They stay there as elements until they are rendered. */
  #noteEmbedded(): void {
    for (const stream of embeddedIn(this.document)) this.#embedded.add(stream);
  }

  #performEmbedded(): void {
    for (const stream of this.#embedded) { // also visits those that are added meanwhile
      this.#perform(stream);
      detach(stream);
    }
    this.#embedded.clear();
  }

  #isOwn({ requestId }: { requestId: string | undefined }): boolean {
    return requestId !== undefined && this.#requestIds.has(requestId);
  }

  #refetchLater(): void {
    this.#inBackground(
      this.#refetch().catch((error) => this.#giveUp(`it cannot be fetched again: ${error}`)),
    );
  }

  #inBackground(work: Promise<void>): void {
    const working = work.finally(() => this.#background.delete(working));
    this.#background.add(working);
  }

  // Does what `Refetching` in client.js does, without its pauses.
  async #refetch(): Promise<void> {
    if (this.#run || this.#isClosed) return;
    const run = this.#run = {};
    const follower = this.#follower;
    if (this.#isPosted) return await this.#leave();
    for (let wait = 0;; wait = TRY_AGAIN) {
      do await pause(wait); while (this.#sending > 0 && run === this.#run);
      if (run !== this.#run) return;
      const { response, url } = await this.#requests.ask(this.url, {
        headers: { Accept: HTML_TYPES },
      });
      const document = this.#parse(await response.text());
      if (run !== this.#run) return;
      const { status } = response;
      const cursor = metaIn(document)?.cursor;
      const answer = { status, isHtml: isPage(response), cursor };
      const decision = this.#decisions.judge(answer, follower.need, follower.isAnswered);
      if (decision === "take") {
        this.#show(document, { url, status, isPosted: false });
        return await this.#loadFrames();
      }
      if (decision === "leave") return await this.#leave();
      if (decision === "stop") return this.#giveUp("the page is of another log than its stream");
      if (decision === "reconnect") this.#stream.reconnect();
    }
  }

  /** Loads the page in full, as a browser does, unless the reader would lose the input of a form. */
  async #leave(): Promise<void> {
    if (this.#isPosted && this.document.all("form :is(input, textarea, select)").length > 0) {
      return this.#giveUp("it answered a form, and cannot be fetched again");
    }
    this.#run = undefined;
    await this.go(this.url);
  }

  #giveUp(problem: string): void {
    this.#run = undefined;
    this.#rest(problem);
  }

  /** Ends the connection for good. A page that is being fetched is still shown. */
  #rest(problem: string): void {
    this.problems.add(problem);
    this.#isAway = true;
    this.#stream.rest();
  }

  #note(error: unknown): void {
    this.problems.add(String(error));
  }
}

/** The cursor, path and token that `turbo.head()` has written into a page. */
function metaIn(document: PageDocument) {
  const [meta] = document.all('head > meta[name="turbo-cursor"]');
  return meta && {
    cursor: attribute(meta, "content"),
    path: attribute(meta, "data-stream"),
    token: attribute(meta, "data-token"),
  };
}

function isPage(response: Response): boolean {
  return /^(text\/html|application\/xhtml\+xml)$/.test(mediaTypeOf(response));
}

function escaped(text: string): string {
  return `<pre>${text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</pre>`;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
