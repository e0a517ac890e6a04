/**
 * One page whose markup and answers a test chooses, on a server that can start another log.
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

/** The app, its server, and actions on it. */
export interface PageApp extends AsyncDisposable {
  /** The URL of the app. */
  readonly url: string;
  /** Its port. */
  readonly port: number;
  /** The current stream, with its log. */
  turbo: Turbo;
  /** Further routes, by method and path. */
  readonly routes: Record<string, (request: Request) => Response | Promise<Response>>;
  /** A number that each page shows in `#n`. */
  n: number;
  /** The markup of the page. */
  body: () => Markup;
  /** Additional markup in its head. */
  head: () => Markup;
  /** Changes the markup that the stream needs in a head. */
  patch: (head: string) => string;
  /** Answers a request for the page instead of the app, if it returns something. */
  answer: (request: Request) => Response | Promise<Response> | undefined;
  /** How often the page was requested. */
  asked: number;
  /** The page as it is now. */
  page(title?: string): Response;
  /** Changes the number and pushes it. */
  count(): void;
  /** An answer of streams, with the current cursor. */
  streams(streams: Streams, init?: ResponseInit): Response;
  /** Ends the log and all its connections, and starts another log. */
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
