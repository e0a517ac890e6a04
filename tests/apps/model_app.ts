/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * A page with a counter, a list and two frames, whose whole state the server knows. The page also has a
 * field to type into and a link to a download, which are not part of that state.
 *
 * @module
 */
import { Hono } from "hono";
import {
  append,
  html,
  type Markup,
  memory,
  replace,
  streamResponse,
  Turbo,
  type TurboOptions,
  update,
} from "../../turbo/mod.ts";
import { pause, serve, until } from "../kit.ts";

/** The app, its server, and actions on it. */
export interface ModelApp extends AsyncDisposable {
  /** The URL of the app. */
  readonly url: string;
  /** Its port. */
  readonly port: number;
  /** The stream. */
  readonly turbo: Turbo;
  /** The state that the pages should show. */
  readonly state: { count: number; items: number[]; inner: number; innerItems: number[] };
  /** Changes the counter and pushes it. */
  count(): void;
  /** Adds an item to the list and pushes it. */
  add(): void;
  /** Changes the counter in the frame. */
  countInner(): void;
  /** Adds an item to the list in the frame. */
  addInner(): void;
  /** One of the four, by number. */
  change(n: number): void;
  /** Closes all connections with a close code. */
  closeLines(code: number): void;
  /** How many WebSockets have been opened. */
  readonly upgrades: number;
  /** How often the download has been answered. */
  readonly downloads: number;
  /** Milliseconds between rendering a page and sending it. */
  slow: number;
  /** The file that keeps its log after it has ended. */
  readonly file: string | undefined;
}

/** Starts the app. With a state, it continues where an earlier instance stopped. */
export function startModelApp(
  options: TurboOptions & { port?: number; state?: ModelApp["state"]; file?: string } = {},
): ModelApp {
  const { port, file, ...others } = options;
  const { state = { count: 0, items: [], inner: 0, innerItems: [] }, ...rest } = others;
  const sockets = new Set<WebSocket>();
  const turbo = new Turbo({
    engine: memory(file === undefined ? {} : { file }),
    onNotice() {},
    upgrade(request, options) {
      upgrades++;
      const upgraded = Deno.upgradeWebSocket(request, options);
      sockets.add(upgraded.socket);
      upgraded.socket.addEventListener("close", () => sockets.delete(upgraded.socket));
      return upgraded;
    },
    ...rest,
  });
  const hono = new Hono();
  let upgrades = 0;
  let downloads = 0;

  const counter = () => html`<b id="count">${state.count}</b>`;
  const item = (n: number) => html`<li>${n}</li>`;
  const list = () => html`<ol id="list">${state.items.map(item)}</ol>`;
  const inner = () => html`<b id="inner">${state.inner}</b>`;
  const innerList = () => html`<ol id="inner-list">${state.innerItems.map(item)}</ol>`;
  const frame = () =>
    html`<turbo-frame id="frame"><a id="reload" href="/frame">again</a>${inner()}${innerList()}</turbo-frame>`;

  function page(title: string): Response {
    const cursor = turbo.cursor;
    const markup = html`
      <!DOCTYPE html>
      <html>
        <head><meta charset="utf-8"><title>${title}</title><link rel="icon" href="data:,">${turbo
          .head({ cursor })}</head>
        <body><h1>${title}</h1><a id="a" href="/">A</a> <a id="b" href="/b">B</a> <a id="slow" href="/slow">slow</a>
      <a id="download" href="/download">report</a>
      <form id="form" method="post" action="/form"><input id="text" name="text"><button>send</button></form>
      <i id="sent"></i>${counter()}${list()}${frame()}<template id="turbo-stream-closed"
      ><title>Offline</title><link rel="icon" href="data:image/png,"></template></body>
      </html>
    `;
    return answer(markup, cursor);
  }

  function answer(markup: Markup, cursor: string): Response {
    return new Response(String(markup), {
      headers: {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-cache",
        "Turbo-Cursor": cursor,
      },
    });
  }

  async function late(response: Response): Promise<Response> {
    const { slow } = app;
    if (slow > 0) await pause(slow);
    return response;
  }

  hono.get("/turbo-stream", (c) => turbo.connect(c.req.raw));
  hono.get("/assets/*", (c) => turbo.asset(c.req.raw) ?? c.notFound());
  hono.get("/", () => late(page("A")));
  hono.get("/b", () => late(page("B")));
  hono.get("/slow", () => late(page("Slow")));
  hono.get("/frame", () => late(answer(frame(), turbo.cursor)));
  // The answer shows the state when it was rendered, which is before it arrives.
  hono.post(
    "/form",
    () =>
      late(
        streamResponse([
          replace("count", counter()),
          replace("list", list()),
          update("sent", "yes"),
        ], {
          cursor: turbo.cursor,
        }),
      ),
  );
  hono.get("/download", (c) => {
    downloads++;
    return c.body("a,b\n1,2\n", 200, {
      "Content-Type": "text/csv",
      "Content-Disposition": 'attachment; filename="report.csv"',
    });
  });
  hono.get("/source", (c) => {
    const src = c.req.query("src")!;
    return c.html(html`
      <!DOCTYPE html>
      <html>
        <head>
          <title>Source</title>
          <script type="module" src="${/src="([^"]+turbo-[^"]+)"/.exec(
            String(turbo.head()),
          )![1]!}"></script>
        </head>
        <body>${counter()}${list()}<turbo-stream-source src="${src}"></turbo-stream-source></body>
      </html>
    `);
  });
  hono.get("/elsewhere", (c) => c.html("<!DOCTYPE html><title>Elsewhere</title>"));

  const server = serve(hono.fetch, port);
  const app: ModelApp = {
    url: server.url,
    port: server.port,
    turbo,
    state,
    get upgrades() {
      return upgrades;
    },
    get downloads() {
      return downloads;
    },
    slow: 0,
    file,
    count() {
      state.count++;
      turbo.push(replace("count", counter()));
    },
    add() {
      const n = state.items.length + 1;
      state.items.push(n);
      turbo.push(append("list", item(n)));
    },
    countInner() {
      state.inner++;
      turbo.push(replace("inner", inner()));
    },
    addInner() {
      const n = state.innerItems.length + 1;
      state.innerItems.push(n);
      turbo.push(append("inner-list", item(n)));
    },
    change(n) {
      [app.count, app.add, app.countInner, app.addInner][n % 4]!();
    },
    closeLines(code) {
      for (const socket of sockets) socket.close(code);
    },
    async [Symbol.asyncDispose]() {
      await turbo.close({ deadline: 500, window: 0 });
      await server[Symbol.asyncDispose]();
    },
  };
  return app;
}

/** Reads the state that a page of the app shows. Runs in the page. */
export function shown(): ModelApp["state"] {
  const number = (id: string) => Number(document.getElementById(id)?.textContent);
  const numbers = (id: string) =>
    [...document.querySelectorAll(`#${id} > li`)].map((item) => Number(item.textContent));
  return {
    count: number("count"),
    items: numbers("list"),
    inner: number("inner"),
    innerItems: numbers("inner-list"),
  };
}

/** Waits until a page shows the state of its app. `look` reads what it shows, when that is possible. */
export async function untilCurrent(
  { state }: ModelApp,
  look: () => Promise<ModelApp["state"] | undefined>,
): Promise<void> {
  let latest: ModelApp["state"] | undefined;
  await until(async () => {
    latest = await look();
    return JSON.stringify(latest) === JSON.stringify(state);
  }, "the page shows the state").catch((error) => {
    throw new Error(`${JSON.stringify(latest)} is shown, not ${JSON.stringify(state)}`, {
      cause: error,
    });
  });
}

/** Changes everything in the app, a number of times. */
export function changes(app: ModelApp, times = 1): void {
  for (let n = 0; n < 4 * times; n++) app.change(n);
}
