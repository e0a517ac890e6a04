/**
 * A notice that middleware adds to any answer of streams. Without JavaScript it is on the next page.
 *
 * @module
 */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { acceptsStream, connectionId, html, type Markup, replace } from "@turbo-deno/turbo";
import { type Stream, STREAM_TYPE, streamResponse, Turbo } from "@turbo-deno/turbo";
import { type TurboOptions, update } from "@turbo-deno/turbo";
import { cookieOptions, errorHandler, type Example } from "./layout.ts";
import { field, frontOf, layout, PERSONAL, reporter } from "./layout.ts";
import { run } from "./run.ts";

/** What is in the form. */
export interface Draft {
  /** What was typed. */
  name: string;
  /** What is wrong with it. */
  error?: string | undefined;
}

/** A context in which a route can leave a notice. */
export interface FlashEnv {
  /** Hono's name for it. */
  Variables: { notice?: string };
}

const NOTICE_ID = "notice";
const FORM_ID = "greet";
const COUNT_ID = "count";
const MAX_LENGTH = 40;

/** Wires the example together. Starts nothing. */
export function createApp(options: TurboOptions = {}): Example<FlashEnv> {
  const turbo = new Turbo(options);
  const hono = new Hono<FlashEnv>();
  let count = 0;

  hono.onError(errorHandler(reporter(options)));
  hono.use(...frontOf(turbo));
  hono.use(flash());
  hono.get("/", (c) => page(c));

  hono.post("/greetings", async (c) => {
    const name = await field(c, "name");
    const error = problemWith(name.trim());
    if (error !== undefined) {
      c.set("notice", "Nobody was greeted");
      const draft = { name, error };
      if (!acceptsStream(c.req.raw)) return page(c, draft);
      return streamResponse(c, replace(FORM_ID, greetForm(draft)), { status: 422 });
    }
    c.set("notice", `Hello, ${name.trim()}!`);
    return counted(c, count + 1, replace(FORM_ID, greetForm()));
  });

  hono.post("/greetings/clear", (c) => {
    c.set("notice", "Counting from the start");
    return counted(c, 0);
  });

  function counted(c: Context, now: number, ...more: Stream[]): Response {
    count = now;
    const box = replace(COUNT_ID, countBox(count));
    turbo.push(box, { except: connectionId(c.req.raw) });
    if (!acceptsStream(c.req.raw)) return c.redirect("/", 303);
    return streamResponse(c, [box, ...more], { cursor: turbo.cursor }); // after the push
  }

  function page(c: Context<FlashEnv>, draft?: Draft): Response | Promise<Response> {
    const notice = c.get("notice") ?? takeNotice(c);
    c.header("Cache-Control", PERSONAL); // the notice is for one reader
    return c.html(flashPage(turbo.head(c), { count, notice, draft }), draft ? 422 : 200);
  }

  return { hono, turbo };
}

/** Shows what a route left as `notice`: in the answer of streams, or on the page it redirects to. */
export function flash(): MiddlewareHandler<FlashEnv> {
  return async (c, next) => {
    await next();
    const notice = c.get("notice");
    if (notice === undefined) return;
    if (c.res.headers.get("Content-Type")?.startsWith(STREAM_TYPE)) {
      const streams = await c.res.text();
      c.res = new Response(streams + update(NOTICE_ID, noticeBox(notice)), c.res);
    } else if (c.res.status === 303) {
      setCookie(c, "notice", notice, { ...cookieOptions(c), maxAge: 60 });
    }
  };
}

function takeNotice(c: Context): string | undefined {
  const notice = getCookie(c, "notice");
  if (notice !== undefined) deleteCookie(c, "notice", cookieOptions(c));
  return notice;
}

function problemWith(name: string): string | undefined {
  if (name === "") return "Say who is to be greeted";
  if (name.length > MAX_LENGTH) return `A name has at most ${MAX_LENGTH} characters`;
}

/** The page. */
export function flashPage(
  head: Markup,
  { count, notice, draft }: {
    count: number;
    notice?: string | undefined;
    draft?: Draft | undefined;
  },
): Markup {
  return layout(
    { head, title: "Greetings" },
    html`
      <div id="${NOTICE_ID}" role="status">${notice === undefined ? "" : noticeBox(notice)}</div>
      ${greetForm(draft)} ${countBox(count)}
      <form method="post" action="/greetings/clear"><button class="plain">Start over</button></form>
    `,
  );
}

/** The notice. Turbo leaves it out when it keeps the page for Back. */
export function noticeBox(notice: string): Markup {
  return html`<p class="notice" data-turbo-temporary>${notice}</p>`;
}

/** The form that greets. */
export function greetForm({ name, error }: Draft = { name: "" }): Markup {
  return html`
    <form id="${FORM_ID}" class="fields" method="post" action="/greetings">
      <label for="name">Name</label>
      <input id="name" name="name" value="${name}" maxlength="${MAX_LENGTH}" autocomplete="off"
        aria-describedby="greet-error" aria-invalid="${error === undefined ? "false" : "true"}">
      <p id="greet-error" class="error" role="alert">${error ?? ""}</p>
      <button id="greet-button">Greet</button>
    </form>
  `;
}

/** How many were greeted, by anyone. */
export function countBox(count: number): Markup {
  return html`<p id="${COUNT_ID}" class="note">${count} greeted so far</p>`;
}

if (import.meta.main) {
  await run("flash", "A notice that middleware adds to any answer of streams.", createApp);
}
