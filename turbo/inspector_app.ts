/**
 * Answers the requests for the inspector. Loaded only where an app has mounted it.
 *
 * @module
 */
import type { Context } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { asset } from "./assets.ts";
import { pathOf } from "./base_path.ts";
import { refuse } from "./handshake.ts";
import type { Markup } from "./html.ts";
import { refusalOf } from "./inspector_access.ts";
import { Feed } from "./inspector_feed.ts";
import { History } from "./inspector_history.ts";
import { askPages, type Observed, pageByNumber, snapshotOf } from "./inspector_snapshot.ts";
import { STYLE } from "./inspector_style.ts";
import { type Frame, missingPage, overviewOf, overviewPage } from "./inspector_views.ts";
import { pagePage, pageViewOf, type View } from "./inspector_views.ts";
import type { CloseOptions } from "./options.ts";
import { pagePolicy } from "./policy.ts";
import { Turbo } from "./turbo.ts";

const STREAM = "/stream";
const OVERVIEW = "overview";
const NO_STORE = "no-store";

/** The inspector of one `Turbo`. */
export class InspectorApp {
  readonly #observed: Observed;
  readonly #token: string | undefined;
  readonly #history: History;
  /** That of the inspector's own pages, which the inspector does not show. */
  readonly #turbo: Turbo;
  readonly #feed: Feed;
  readonly #stylesheet = asset("/assets/inspector.css", STYLE, "text/css");
  readonly #secure = secureHeaders({
    ...pagePolicy(),
    strictTransportSecurity: false, // as in the app around it, which knows what terminates TLS
    xFrameOptions: "DENY",
  });
  readonly #middleware: ReturnType<Turbo["middleware"]>;

  /** Begins to observe. */
  constructor(observed: Observed, token: string | undefined) {
    const { log, readers, base } = observed;
    this.#observed = observed;
    this.#token = token;
    this.#history = new History({
      position: () => log.position,
      positionOf: (cursor) => log.positionOf(cursor),
      count: (audience) => readers.count(audience),
      now: Date.now,
    });
    for (const kept of log.entries()) this.#history.adopt(kept);
    for (const [connection] of readers.open) this.#history.adopt({ connection });
    this.#turbo = new Turbo({
      path: STREAM,
      base,
      upgrade: observed.upgrade,
      secret: crypto.randomUUID(),
      onError: observed.report,
      onNotice: () => {}, // they name options that the inspector does not have
      onChange: () => this.#feed.readersChanged(),
    });
    this.#feed = new Feed(this.#turbo, () => askPages(observed, this.#history));
    this.#middleware = this.#turbo.middleware();
    this.#history.onChange = () => this.#feed.changed();
    log.observer = this.#history;
  }

  /** Answers a request. */
  async answer(c: Context): Promise<Response> {
    const { base, path } = pathOf(c, this.#observed.base);
    const refusal = refusalOf(c, { token: this.#token, isStream: path === STREAM });
    if (refusal) {
      refusal.headers.set("Cache-Control", NO_STORE);
      return refusal;
    }
    await this.#secure(c, async () => {
      const served = await this.#middleware(c, () => {
        c.res = this.#route(c, base, path);
        return Promise.resolve();
      });
      if (served) c.res = served;
    });
    return c.res;
  }

  /** Closes the pages of the inspector. */
  async close(options: CloseOptions): Promise<void> {
    this.#observed.log.observer = undefined;
    await this.#turbo.close(options);
    this.#feed.close();
  }

  #route(c: Context, base: string, path: string): Response {
    const { method } = c.req;
    if (method !== "GET" && method !== "HEAD") {
      return refuse(405, "Method not allowed", { Allow: "GET, HEAD" });
    }
    if (path === this.#stylesheet.path) return this.#stylesheet.respond(c.req.raw);
    const frame = (topic?: string): Frame => ({
      head: this.#turbo.head(c, topic === undefined ? {} : { topics: [topic] }),
      base,
      stylesheet: base + this.#stylesheet.path,
      at: Date.now(),
    });
    if (path === "/") {
      const view = this.#feed.show(
        OVERVIEW,
        () => overviewOf(snapshotOf(this.#observed, this.#history), base),
      );
      return answerOf(overviewPage(view, frame(OVERVIEW)));
    }
    const number = Number(/^\/page\/(\d{1,9})$/.exec(path)?.[1]);
    let last: View | undefined;
    const look = () => {
      const page = pageByNumber(number, this.#observed, this.#history);
      if (page) last = pageViewOf(page, [...this.#history.pushes].reverse());
      return last; // of a page that is gone and forgotten, what was known
    };
    const topic = `page ${number}`;
    const first = look();
    if (!first) return answerOf(missingPage(frame()), 404);
    return answerOf(pagePage(number, this.#feed.show(topic, () => look() ?? first), frame(topic)));
  }
}

function answerOf(page: Markup, status = 200): Response {
  return new Response(String(page), {
    status,
    headers: { "Content-Type": "text/html; charset=utf-8", "Cache-Control": NO_STORE },
  });
}
