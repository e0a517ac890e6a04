/**
 * One page and the answer to its form. A test sets the markup of both.
 *
 * @module
 */
import { html, type Markup, raw, refresh, replace, Turbo, update } from "../../turbo/mod.ts";
import { serve } from "../kit.ts";

/** The ways in which a page is morphed. */
export const WAYS = ["refetch", "refresh", "replace", "update"] as const;

/** One of them. */
export type Way = typeof WAYS[number];

/** The app and its server. */
export interface KeepApp extends AsyncDisposable {
  /** The URL of the app. */
  readonly url: string;
  /** The stream, which is a new one after a restart. */
  readonly turbo: Turbo;
  /** The content of the page's `#box`. */
  markup: string;
  /** Additional markup in its head. */
  head: string;
  /** Answers a form, and every path but the page's. */
  answer: (request: Request) => Response | Promise<Response>;
  /** How often the page's markup has changed, as shown in `#version`. */
  readonly version: number;
  /** Makes the open pages show other markup. */
  show(markup: string, way?: Way): Promise<void>;
  /** The box, as a page shows it. */
  box(): Markup;
  /** The page. */
  page(status?: number): Response;
}

/** Starts the app. */
export function startKeepApp(markup = ""): KeepApp {
  let turbo = new Turbo({ onNotice() {} });
  let version = 0;

  const box = () => html`<div id="box">${content()}</div>`;
  const content = () => html`<b id="version">${version}</b>${raw(app.markup)}`; // of a test
  function page(status = 200): Response {
    const { cursor } = turbo;
    const markup = html`
      <!DOCTYPE html>
      <html>
        <head>
          <meta charset="utf-8">
          <title>Keep</title>
          <meta name="turbo-refresh-method" content="morph">
          <meta name="turbo-refresh-scroll" content="preserve">
          <link rel="icon" href="data:,">
          ${turbo.head({ cursor })}${raw(app.head)}
        </head>
        <body>${box()}</body>
      </html>
    `;
    return new Response(String(markup), {
      status,
      headers: { "Content-Type": "text/html; charset=utf-8", "Turbo-Cursor": cursor },
    });
  }

  const server = serve((request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/turbo-stream") return turbo.connect(request);
    if (request.method === "GET" && pathname === "/") return page();
    return turbo.asset(request) ?? app.answer(request);
  });
  const close = () => turbo.close({ deadline: 500, window: 0 });
  const app: KeepApp = {
    url: server.url,
    markup,
    head: "",
    answer: () => new Response("Not found", { status: 404 }),
    get turbo() {
      return turbo;
    },
    get version() {
      return version;
    },
    async show(markup, way = "replace") {
      app.markup = markup;
      version++;
      if (way === "replace") turbo.push(replace("box", box(), { morph: true }));
      if (way === "update") turbo.push(update("box", content(), { morph: true }));
      if (way === "refresh") turbo.push(refresh({ morph: true }));
      if (way === "refetch") {
        const before = turbo;
        turbo = new Turbo({ onNotice() {} });
        await before.close({ deadline: 500, window: 0 });
      }
    },
    box,
    page,
    async [Symbol.asyncDispose]() {
      await close();
      await server[Symbol.asyncDispose]();
    },
  };
  return app;
}
