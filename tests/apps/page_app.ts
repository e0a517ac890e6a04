/**
 * One page whose markup and answers a test chooses, on a server that outlives its log.
 *
 * @module
 */
import { Hono } from "hono";
import {
  html,
  type Markup,
  replace,
  streamResponse,
  type Streams,
  Turbo,
  type TurboOptions,
} from "../../turbo/mod.ts";
import { serve } from "../kit.ts";

/** The app, its server and what to do to it. */
export interface PageApp extends AsyncDisposable {
  /** Where it is. */
  readonly url: string;
  /** Its port. */
  readonly port: number;
  /** The log of this life. */
  turbo: Turbo;
  /** Further routes, by method and path. */
  readonly routes: Record<string, (request: Request) => Response | Promise<Response>>;
  /** A number that each page shows in `#n`. */
  n: number;
  /** What stands in the page. */
  body: () => Markup;
  /** What stands in its head beside what the stream needs. */
  head: () => Markup;
  /** What is done to what the stream needs in a head. */
  patch: (head: string) => string;
  /** Answers a request for the page in place of the app, where it returns something. */
  answer: (request: Request) => Response | Promise<Response> | undefined;
  /** How often the page was asked for. */
  asked: number;
  /** The page as it is now. */
  page(title?: string): Response;
  /** Changes the number and pushes it. */
  count(): void;
  /** An answer of streams as of now. */
  streams(streams: Streams, init?: ResponseInit): Response;
  /** Ends this life of the log, with all its connections, and begins another. */
  restart(): Promise<void>;
}

/** Starts the app: `/` and `/other` are pages. */
export function startPageApp(options: TurboOptions = {}): PageApp {
  const start = () => new Turbo({ onNotice() {}, ...options });
  const number = () => html`<b id="n">${app.n}</b>`;
  const hono = new Hono();
  hono.get("/turbo-stream", (c) => app.turbo.connect(c.req.raw));
  hono.get("/assets/*", (c) => app.turbo.asset(c.req.raw) ?? c.notFound());
  for (const path of ["/", "/other"]) {
    hono.get(path, (c) => {
      app.asked++;
      return app.answer(c.req.raw) ?? app.page(path);
    });
  }
  hono.all("*", (c) => app.routes[`${c.req.method} ${c.req.path}`]?.(c.req.raw) ?? c.notFound());
  const server = serve(hono.fetch);
  const app: PageApp = {
    url: server.url,
    port: server.port,
    turbo: start(),
    routes: {},
    n: 0,
    asked: 0,
    body: () => html``,
    head: () => html``,
    patch: (head) => head,
    answer: () => undefined,
    page(title = "/") {
      const cursor = app.turbo.cursor;
      const head = app.patch(String(app.turbo.head({ cursor })));
      return new Response(
        `<!DOCTYPE html><html><head><meta charset="utf-8"><title>${title}</title>` +
          `<link rel="icon" href="data:,">${head}${app.head()}</head><body><h1>${title}</h1>` +
          `<a id="home" href="/">home</a> <a id="other" href="/other">other</a>${number()}${app.body()}` +
          `</body></html>`,
        { headers: { "Content-Type": "text/html; charset=utf-8", "Turbo-Cursor": cursor } },
      );
    },
    count() {
      app.n++;
      app.turbo.push(replace("n", number()));
    },
    streams(streams, init = {}) {
      return streamResponse(streams, { ...init, cursor: app.turbo.cursor });
    },
    async restart() {
      const before = app.turbo;
      app.turbo = start();
      app.n++;
      await before.close({ window: 0, deadline: 300 });
    },
    async [Symbol.asyncDispose]() {
      await app.turbo.close({ window: 0, deadline: 300 });
      await server[Symbol.asyncDispose]();
    },
  };
  return app;
}
