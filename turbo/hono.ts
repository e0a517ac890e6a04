/**
 * What a Hono app needs for pages with Turbo: its middleware.
 *
 * @module
 */
import type { Context } from "hono";
import { checkReaders } from "./audience.ts";
import { callback, checkOptions, type Rule } from "./checks.ts";
import { refuse } from "./handshake.ts";
import {
  acceptsStream,
  CURSOR_HEADER,
  hasValidHost,
  type HonoContext,
  isAllowedHost,
  requestedFrame,
} from "./request.ts";
import { STREAM_TYPE } from "./streams.ts";
import type { StreamContext } from "./websocket.ts";

/** The reader of a request, by a name or names; nobody where there is none. */
export type ReaderNames = string | readonly string[] | null | undefined;

/** Middleware of Hono, for the context of an app. */
export type Middleware<C extends HonoContext> = (
  c: C,
  next: () => Promise<void>,
) => Promise<Response | void>;

/** Options of {@linkcode Turbo.middleware}, with the context of the app. */
// deno-lint-ignore no-explicit-any -- as of Hono's own: a handler for any variables may be given
export interface MiddlewareOptions<C extends HonoContext = any> {
  /**
   * Who sends a request: the name or names of the reader, such as a user id, as whatever stands in front of
   * this middleware has put it into the context. Called for each request but those for scripts, and again
   * for a page where it named nobody, who may have logged in meanwhile.
   */
  as?: (c: C) => ReaderNames | Promise<ReaderNames>;
  /**
   * The reader's own network address, which `maxConnectionsPerAddress` and `handshakeRate` count by; not
   * that of a proxy, which all readers share.
   */
  address?: (c: C) => string | undefined;
}

/** What is known of a request while it is answered. */
export interface Visit {
  /** The cursor before any data was read. */
  readonly cursor: string;
  /** What stands in front of the paths of the stream and the scripts, as the browser sees them. */
  readonly base: string;
  /** The reader's names. */
  readonly as: readonly string[];
  /** Whether the app says who its readers are. */
  readonly namesReaders: boolean;
}

/** What the middleware serves. */
export interface Served {
  /** The newest cursor. */
  readonly cursor: string;
  /** The path of the stream; `null` where there is none. */
  readonly path: string | null;
  /** What the app says stands in front of its paths. */
  readonly base: string;
  /** The hosts that the app is known by; any where there are none. */
  readonly allowedHosts: readonly string[];
  /** Where `head` finds what is known of a request. */
  readonly visits: WeakMap<object, Visit>;
  /** Answers a request for the stream under a base. */
  connect(
    context: StreamContext,
    options: { as: readonly string[]; address: string | undefined },
    base: string,
  ): Response;
  /** Answers a request for a script by its path, without what stands in front. */
  asset(path: string, request: Request): Response | undefined;
  /** Tells whoever runs this. */
  notice(message: string): void;
}

const RULES = { as: callback, address: callback } satisfies Record<keyof MiddlewareOptions, Rule>;

/** `Cache-Control` of an answer that is for one reader (RFC 9111, section 5.2.2). */
const PERSONAL = "private, no-store";

/** The middleware of a `Turbo`: see {@linkcode Turbo.middleware}. */
export function middlewareOf<C extends HonoContext>(
  served: Served,
  options: MiddlewareOptions<C>,
): Middleware<C> {
  const { as: readerOf, address: addressOf } = checkOptions("middleware()", options, RULES);
  const { visits } = served;
  let isTold = false;
  let isAloneTold = false;

  async function namesOf(c: C): Promise<readonly string[]> {
    const names = await readerOf?.(c);
    return names === undefined || names === null ? [] : checkReaders("middleware()", names);
  }

  /** A reader who is known only after the routes: the stream, which has none, would not know it. */
  function tellOrder(c: Context): void {
    const { status, headers } = c.res;
    const isNew = headers.has("Set-Cookie"); // it is known from its next request on
    if (isTold || isNew || c.req.method !== "GET" || status !== 200) return;
    isTold = true;
    served.notice(
      `The option as of middleware() names nobody for ${
        JSON.stringify(c.req.path)
      } before the routes, ` +
        "and somebody after them: register turbo.middleware() after the middleware that says who the " +
        "reader is, else its pages are sent nothing that is pushed to them by name",
    );
  }

  /** Names that only a second registration gives: the stream, which the first answers, lacks them. */
  function tellSecond(c: Context): void {
    if (isTold) return;
    isTold = true;
    served.notice(
      `The option as of middleware() names somebody for ${
        JSON.stringify(c.req.path)
      } whom another ` +
        "turbo.middleware() in front of it does not: give that one the option, else its pages are " +
        "sent nothing that is pushed to them by name",
    );
  }

  /** One path alone, as by `app.use("/", …)`: none of its pages finds its scripts there. */
  function tellAlone(path: string): void {
    if (isAloneTold) return;
    isAloneTold = true;
    served.notice(
      `turbo.middleware() is registered for ${
        JSON.stringify(path)
      } alone, and not for the paths of ` +
        "the stream and the scripts: register it by app.use(turbo.middleware())",
    );
  }

  /** Whether somebody is named only after the routes. */
  async function isNamedLate(given: C): Promise<boolean> {
    try {
      if ((await namesOf(given)).length === 0) return false;
    } catch {
      return true; // the answer is there; what fails will fail in front of the next one
    }
    tellOrder(given as unknown as Context);
    return true;
  }

  return async function turbo(given, next) {
    const c = given as unknown as Context;
    const request = c.req.raw;
    const outer = visits.get(c);
    if (outer && !readerOf) return await next(); // it is registered twice
    // What follows parses the URL, and some request lines and Hosts make one that cannot be parsed.
    if (!hasValidHost(request)) return refuse(400, "The Host or the URL is malformed");
    if (!isAllowedHost(request, served.allowedHosts)) {
      return refuse(421, "This host is not served here");
    }
    const { base, path, alone } = pathOf(c, served.base);
    const isGet = request.method === "GET" || request.method === "HEAD";
    const script = served.asset(path, request);
    if (script) return isGet ? script : methodNotAllowed();
    const isStream = path === served.path;
    if (isStream && !isGet) return methodNotAllowed();
    const { cursor } = outer ?? served;
    const as = await namesOf(given);
    // Answered meanwhile, as by Hono's timeout: nobody would ever take what is opened now, or close it.
    if (isStream && c.finalized) return;
    if (isStream) return served.connect(c, { as, address: addressOf?.(given) }, base);
    if (outer && as.every((name) => outer.as.includes(name))) return await next();
    if (outer?.base === base) tellSecond(c);
    else visits.set(c, { cursor, base, as, namesReaders: readerOf !== undefined });

    // Hono merges what is set on the context into a response made beside it only where it has one.
    if (acceptsStream(request)) void c.res;
    await next();

    finishForm(c);
    const type = c.res.headers.get("Content-Type") ?? "";
    const isStreams = isOfType(type, STREAM_TYPE);
    if (!isStreams && !isOfType(type, "text/html")) return;
    if (!c.res.headers.has(CURSOR_HEADER)) setHeader(c, CURSOR_HEADER, cursor);
    if (isStreams && !/\baccept\b(?!-)/i.test(c.res.headers.get("Vary") ?? "")) {
      c.header("Vary", "Accept", { append: true }); // what the context has took its place
    }
    if (alone !== undefined) tellAlone(alone);
    const isLate = as.length === 0 && readerOf !== undefined && await isNamedLate(given);
    if (!c.res.headers.has("Cache-Control")) {
      const isPersonal = as.length > 0 || isLate || c.res.headers.has("Set-Cookie");
      setHeader(c, "Cache-Control", isPersonal ? PERSONAL : "no-cache");
    }
  };
}

/**
 * Middleware that gives the answers to Turbo's forms the status that Turbo asks for (Turbo handbook,
 * "Redirecting After a Form Submission"): a page that is shown again with status 200 becomes 422, a
 * redirect with 301 or 302 becomes 303. All else stays as it is: other requests, other answers, and
 * the 200 that fills a `<turbo-frame>`, which Turbo takes. `turbo.middleware()` does it, too.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { turboForms } from "./hono.ts";
 * import assert from "node:assert/strict";
 *
 * const app = new Hono();
 * app.use(turboForms());
 * app.post("/names", (c) => c.html("<p>A name is needed</p>"));
 *
 * const headers = { Accept: "text/vnd.turbo-stream.html, text/html" };
 * assert.equal((await app.request("/names", { method: "POST", headers })).status, 422);
 * assert.equal((await app.request("/names", { method: "POST" })).status, 200);
 * ```
 */
export function turboForms(): Middleware<HonoContext> {
  return async function turboForms(c, next) {
    await next();
    finishForm(c as unknown as Context);
  };
}

/** Gives the answer to one of Turbo's forms the status that Turbo, or the context, asks for. */
function finishForm(c: Context): void {
  const request = c.req.raw;
  if (/^(GET|HEAD|OPTIONS)$/.test(request.method) || !acceptsStream(request)) return;
  const status = statusFor(c, requestedFrame(request) !== undefined);
  if (status !== c.res.status) c.res = new Response(c.res.body, { status, headers: c.res.headers });
}

function statusFor(c: Context, framed: boolean): number {
  const { status, headers } = c.res;
  if (status === 301 || status === 302) return 303;
  const type = headers.get("Content-Type") ?? "";
  if (status !== 200) return status;
  // A response that was made beside the context has not the status that was set on that.
  if (isOfType(type, STREAM_TYPE)) return c.body(null).status;
  return isOfType(type, "text/html") && !framed ? 422 : status;
}

/** Sets a header of the answer, in place where that can be: Hono makes a copy of it each time. */
function setHeader(c: Context, name: string, value: string): void {
  try {
    c.res.headers.set(name, value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    c.header(name, value); // an answer of fetch() cannot be changed
  }
}

function isOfType(header: string, type: string): boolean {
  return header.split(";", 1)[0]!.trim().toLowerCase() === type;
}

function methodNotAllowed(): Response {
  return refuse(405, "Method not allowed", { Allow: "GET, HEAD" });
}

/**
 * A request's path below whatever stands in front of the app, and what does, as the browser sees it: the
 * path that the middleware is registered at, such as that of `app.route`, and in front of it what a proxy
 * or a mount has taken off, which only the app can say. `alone` is the path where it is but one.
 */
function pathOf(
  c: Context,
  outer: string,
): { path: string; base: string; alone: string | undefined } {
  // Of the app's own copy of Hono: hono/route of another one does not know its requests.
  const { matchedRoutes, routeIndex } = c.req;
  const { path: pattern, basePath } = matchedRoutes[routeIndex] ?? { path: "/*", basePath: "" };
  const routed = pattern.endsWith("/*") ? pattern.slice(0, -2) : basePath;
  // Of the URL and not of Hono's path, which is decoded: a backslash would name another host.
  const { pathname } = new URL(c.req.url);
  const segments = pathname.split("/");
  // The option getPath of Hono may have put the host in front, or have taken something off.
  const added = c.req.path === pathname ? 0 : depthOf(c.req.path) - depthOf(pathname);
  const depth = Math.max(1, depthOf(routed) - added);
  const own = segments.slice(0, depth).join("/").replace(/^\/+/, "/").replace(/\/$/, "");
  const path = `/${segments.slice(depth).join("/")}`;
  const isWhole = own === outer || own.startsWith(`${outer}/`);
  return {
    base: isWhole ? own : outer + own,
    path: outer !== "" && path.startsWith(`${outer}/`) ? path.slice(outer.length) : path,
    alone: /[*{]/.test(pattern) ? undefined : pattern,
  };
}

/** How many segments a path has, without slashes at its end. */
function depthOf(path: string): number {
  let end = path.length; // /\/+$/ would take long for many slashes that are not at the end
  while (path[end - 1] === "/") end--;
  return path.slice(0, end).split("/").length;
}
