/**
 * What the examples share: the page around them, its stylesheet, what guards their forms, and how
 * they report errors.
 *
 * @module
 */
import type { Context, Env, ErrorHandler, Hono, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { csrf } from "hono/csrf";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";
import type { CookieOptions } from "hono/utils/cookie";
import { asset, html, isOwnOrigin, isSecure, type Markup } from "@turbo-deno/turbo";
import { type MiddlewareOptions, pagePolicy, type Turbo } from "@turbo-deno/turbo";
import type { TurboOptions } from "@turbo-deno/turbo";

/** An example: its routes and its open pages. */
export interface Example<E extends Env = Env> {
  /** The routes. */
  readonly hono: Hono<E>;
  /** The open pages. */
  readonly turbo: Turbo;
}

/** What every page needs besides its content. */
export interface PageContext {
  /** The page's heading. */
  title: string;
  /** What `turbo.head(c)` returned. */
  head: Markup;
}

/** Bytes that a form may send. */
const MAX_BODY = 64 * 1024;
/** `Cache-Control` of an answer that is for one reader (RFC 9111, section 5.2.2). */
export const PERSONAL = "private, no-store";

/**
 * What stands in front of the routes of every example: the stream and the scripts, a policy that lets pages
 * load from their own server alone, and what refuses forms of other sites and long ones.
 */
export function frontOf(turbo: Turbo, options?: MiddlewareOptions): MiddlewareHandler[] {
  return [
    secureHeaders({
      ...pagePolicy(),
      strictTransportSecurity: false, // for whoever terminates TLS to say
      xFrameOptions: "DENY",
    }),
    turbo.middleware(options),
    async (c, next) => {
      if (c.req.path === STYLESHEET.path) return STYLESHEET.respond(c.req.raw);
      await next();
    },
    csrf({ origin: (origin, c) => isOwnOrigin(c.req.raw, origin) }),
    bodyLimit({
      maxSize: MAX_BODY,
      onError: (c) => c.text(`More than ${MAX_BODY / 1024} KiB are not taken\n`, 413),
    }),
    // What answers a form repeats what was typed, or sets a cookie.
    async (c, next) => {
      await next();
      if (c.req.method === "POST") c.header("Cache-Control", PERSONAL);
    },
  ];
}

/** Takes what went wrong, as the `onError` of {@linkcode TurboOptions}. */
export type Report = (message: string, error: unknown) => void;

/** Reports by the app's `onError`, else in one line. What `onError` throws is reported too. */
export function reporter({ onError = logError }: Pick<TurboOptions, "onError">): Report {
  return (message, error) => {
    Promise.try(() => onError(message, error))
      .catch((failure) => logError("onError failed:", failure));
  };
}

// By its message alone, because Deno panics when it formats an error and no file descriptor is left.
function logError(message: string, error: unknown): void {
  console.error(message, error instanceof Error ? error.message.split("\n")[0] : String(error));
}

/** Answers a request whose handler throws: 500, or what Hono's own exceptions say. */
export function errorHandler(report: Report): ErrorHandler {
  return (error, c) => {
    if (error instanceof HTTPException) {
      const response = error.getResponse();
      return c.newResponse(response.body, response);
    }
    // Hono has decoded the path: a line break in it must not begin another line of the log.
    report(`Cannot answer ${c.req.method} ${encodeURI(c.req.path)}:`, error);
    return c.text("Internal server error\n", 500);
  };
}

/** Attributes of a cookie that no script reads and, over TLS, nothing but TLS carries. */
export function cookieOptions(c: Context): CookieOptions {
  // A proxy that terminates TLS says so. Whoever says so without TLS makes a cookie that their own
  // browser does not keep.
  return { httpOnly: true, sameSite: "Lax", path: "/", secure: isSecure(c.req.raw) };
}

/**
 * A field of a form: text, whatever was sent.
 *
 * @throws {HTTPException} with status 400 when the form cannot be read or is not UTF-8
 */
export async function field(c: Context, name: string): Promise<string> {
  const value = (await c.req.parseBody().catch(unreadable))[name];
  if (typeof value !== "string") return "";
  return value.includes("\uFFFD") ? unreadable() : value;
}

function unreadable(error?: unknown): never {
  if (error !== undefined && !(error instanceof TypeError)) throw error;
  throw new HTTPException(400, { message: "The form cannot be read" });
}

/** The page around an example. */
export function layout({ title, head }: PageContext, content: Markup): Markup {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <title>${title}</title>
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <link rel="stylesheet" href="${STYLESHEET.path}" data-turbo-track="reload">
        <link rel="icon" href="data:,">
        ${head}
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${content}
          <footer>
            <p class="line" role="status">
              <span class="static">As of this page’s loading</span>
              <span class="open">Live</span>
              <span class="connecting">Connecting…</span>
              <span class="closed">Offline, trying again</span>
              <span class="away">No longer live. <a href="" data-turbo="false">Reload</a></span>
            </p>
            <p>All of this lives in the server’s memory and is gone when it stops.</p>
          </footer>
        </main>
      </body>
    </html>
  `;
}

const STYLESHEET = asset(
  "/assets/example.css",
  `
:root {
  color-scheme: light dark;
  --text: #1d2530; --faint: #5b6672; --page: #fbfbf9; --box: #fff; --edge: #8b949e; --accent: #0b63c5;
  --on-accent: #fff; --good: #1a7f37; --wait: #8a5a00; --bad: #b42318;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e4e8ec; --faint: #9aa5b1; --page: #14181d; --box: #1c2229; --edge: #6b7682; --accent: #6cb0ff;
    --on-accent: #10151b; --good: #57d27a; --wait: #e2b340; --bad: #ff8a7a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1.0625rem/1.5 system-ui, sans-serif; }
main { max-width: 38rem; margin: 0 auto; padding: 1rem 1.25rem 2rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0.5rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 1.5rem 0 0.5rem; }
p { margin: 0 0 0.75rem; }
a { color: var(--accent); text-underline-offset: 0.15em; }
nav { display: flex; flex-wrap: wrap; gap: 1rem; margin-bottom: 1rem; }
nav [aria-current] { color: inherit; font-weight: 600; text-decoration: none; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
form.fields { display: grid; gap: 0.35rem; margin: 0 0 1.25rem; }
label { font-weight: 600; }
input + label { margin-top: 0.5rem; }
label.choice { font-weight: 400; }
input:not([type]), input[type="password"], select, button { font: inherit; min-height: 2.75rem; border-radius: 0.4rem; border: 1px solid var(--edge); padding: 0.4rem 0.75rem; }
input:not([type]), input[type="password"], select { width: 100%; background: var(--box); color: inherit; }
input[aria-invalid="true"] { border-color: var(--bad); }
button { background: var(--accent); border-color: var(--accent); color: var(--on-accent); cursor: pointer; justify-self: start; }
button.plain { background: none; color: var(--accent); }
button:disabled { opacity: 0.6; cursor: progress; }
.error { color: var(--bad); margin: 0; }
.note { color: var(--faint); }
ul, ol { list-style: none; margin: 0 0 1.25rem; padding: 0; }
li { overflow-wrap: anywhere; }
.todos li { display: flex; align-items: center; gap: 0.5rem; padding: 0.4rem 0; border-bottom: 1px solid var(--edge); }
.todos span { flex: 1; }
.todos .done span { text-decoration: line-through; color: var(--faint); }
.scroll { display: flex; flex-direction: column-reverse; max-height: 50vh; overflow-y: auto; margin-bottom: 1rem; padding: 0.5rem 0.75rem; background: var(--box); border: 1px solid var(--edge); border-radius: 0.5rem; }
.scroll ol { margin: 0; }
.scroll ol:empty::before { content: "Nobody has written yet"; color: var(--faint); }
.scroll time { color: var(--faint); font-size: 0.85rem; }
.box { background: var(--box); border: 1px solid var(--edge); border-radius: 0.5rem; padding: 0.75rem 1rem; margin-bottom: 1.25rem; overflow-wrap: anywhere; }
.box > :last-child { margin-bottom: 0; }
.good { color: var(--good); }
progress { width: 100%; height: 1.25rem; accent-color: var(--accent); }
.notes li { margin-bottom: 0.5rem; }
.notes:empty::before { content: "None yet"; color: var(--faint); }
.notice { border: 1px solid var(--accent); border-left-width: 0.4rem; border-radius: 0.4rem; padding: 0.5rem 0.75rem; overflow-wrap: anywhere; }
footer { margin-top: 2rem; font-size: 0.85rem; color: var(--faint); }
.line span::before { content: ""; display: inline-block; width: 0.6em; height: 0.6em; margin-right: 0.45em; border-radius: 50%; background: currentColor; }
.line .open { color: var(--good); }
.line .connecting { color: var(--wait); }
.line .closed, .line .away { color: var(--bad); }
.line .open, .line .connecting, .line .closed, .line .away, [data-turbo-stream] .line .static { display: none; }
[data-turbo-stream="open"] .line .open,
[data-turbo-stream="connecting"] .line .connecting,
[data-turbo-stream="closed"] .line .closed,
[data-turbo-stream="away"] .line .away { display: inline; }
`,
  "text/css",
);
