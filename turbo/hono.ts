/**
 * The middleware that a Hono app needs for pages with Turbo.
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

/** The name or names of the reader that sends a request; `null` or `undefined` for a reader without one. */
export type ReaderNames = string | readonly string[] | null | undefined;

/** A middleware of Hono, for the context of an app. */
export type Middleware<C extends HonoContext> = (
  c: C,
  next: () => Promise<void>,
) => Promise<Response | void>;

/** Options of {@linkcode Turbo.middleware}, for the context of an app. */
// deno-lint-ignore no-explicit-any -- as in Hono's own middleware: an app with any variables may use it
export interface MiddlewareOptions<C extends HonoContext = any> {
  /**
   * Returns the name or names of the reader that sends a request, such as a user id that an earlier
   * middleware has put into the context. Called for each request except those for scripts. Where it has
   * named nobody for a page, it is called again after the route, because the reader may have logged in.
   */
  as?: (c: C) => ReaderNames | Promise<ReaderNames>;
  /**
   * Returns the client's own network address, by which `maxConnectionsPerAddress` and `handshakeRate`
   * count. It must not be the address of a proxy, which all readers share.
   */
  address?: (c: C) => string | undefined;
}

/** What the middleware knows of a request while the request is answered. */
export interface Visit {
  /** The cursor from before the route read any data. */
  readonly cursor: string;
  /** The prefix of the paths of the stream and the scripts, as the browser sees them. */
  readonly base: string;
  /** The reader's names. */
  readonly as: readonly string[];
  /** Whether the middleware has the option `as`. */
  readonly namesReaders: boolean;
}

/** What the middleware needs of a `Turbo`. */
export interface Served {
  /** The newest cursor. */
  readonly cursor: string;
  /** The path of the stream; `null` where it is switched off. */
  readonly path: string | null;
  /** The option `base` of the `Turbo`. */
  readonly base: string;
  /** The hosts that the app answers to; an empty list allows any. */
  readonly allowedHosts: readonly string[];
  /** Where `head` looks up the visit of a context. */
  readonly visits: WeakMap<object, Visit>;
  /** Answers a request for the stream, whose path in the browser starts with this base. */
  connect(
    context: StreamContext,
    options: { as: readonly string[]; address: string | undefined },
    base: string,
  ): Response;
  /** Answers a request for a script at this path, which is given without the base. */
  asset(path: string, request: Request): Response | undefined;
  /** Reports a notice for the operator. */
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
  let isReported = false;
  let isAloneReported = false;

  async function namesOf(c: C): Promise<readonly string[]> {
    const names = await readerOf?.(c);
    return names === undefined || names === null ? [] : checkReaders("middleware()", names);
  }

  /**
   * Reports that `as` names the reader only after the routes have run. The middleware answers a request for
   * the stream itself, before any route, so the connection would have no name.
   */
  function reportOrder(c: Context): void {
    const { status, headers } = c.res;
    const isNew = headers.has("Set-Cookie"); // `as` names this reader from the next request on
    if (isReported || isNew || c.req.method !== "GET" || status !== 200) return;
    isReported = true;
    served.notice(
      `The option as of middleware() names nobody for ${
        JSON.stringify(c.req.path)
      } before the routes, ` +
        "and somebody after them: register turbo.middleware() after the middleware that says who the " +
        "reader is, otherwise pushes to the reader's name do not reach its pages",
    );
  }

  /**
   * Reports that only a second registration of the middleware names the reader. The first one answers
   * requests for the stream, so the connection would lack the name.
   */
  function reportSecond(c: Context): void {
    if (isReported) return;
    isReported = true;
    served.notice(
      `The option as of middleware() names somebody for ${
        JSON.stringify(c.req.path)
      } whom another ` +
        "turbo.middleware() in front of it does not: give that one the option, otherwise pushes to the " +
        "reader's name do not reach its pages",
    );
  }

  /**
   * Reports that the middleware is registered for a single path, such as by `app.use("/", …)`, so that it
   * cannot serve the scripts and the stream of its page.
   */
  function reportAlone(path: string): void {
    if (isAloneReported) return;
    isAloneReported = true;
    served.notice(
      `turbo.middleware() is registered for ${
        JSON.stringify(path)
      } alone, and not for the paths of ` +
        "the stream and the scripts: register it by app.use(turbo.middleware())",
    );
  }

  /** Whether `as` names the reader only after the routes have run. */
  async function isNamedLate(given: C): Promise<boolean> {
    try {
      if ((await namesOf(given)).length === 0) return false;
    } catch {
      return true; // the route has answered; if the error stays, it will fail the next request
    }
    reportOrder(given as unknown as Context);
    return true;
  }

  return async function turbo(given, next) {
    const c = given as unknown as Context;
    const request = c.req.raw;
    const outer = visits.get(c);
    if (outer && !readerOf) return await next(); // the middleware is registered twice
    // Checked first, because with some request lines and Hosts the URL cannot be parsed below.
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
    // When another middleware, such as Hono's timeout, has answered meanwhile, nobody would use or close a
    // connection that is opened now.
    if (isStream && c.finalized) return;
    if (isStream) return served.connect(c, { as, address: addressOf?.(given) }, base);
    if (outer && as.every((name) => outer.as.includes(name))) return await next();
    if (outer?.base === base) reportSecond(c);
    else visits.set(c, { cursor, base, as, namesReaders: readerOf !== undefined });

    // Hono merges what is set on the context into a response made without it, but only where the context
    // has a response already. Reading `c.res` makes one.
    if (acceptsStream(request)) void c.res;
    await next();

    finishForm(c);
    const type = c.res.headers.get("Content-Type") ?? "";
    const isStreams = isOfType(type, STREAM_TYPE);
    if (!isStreams && !isOfType(type, "text/html")) return;
    if (!c.res.headers.has(CURSOR_HEADER)) setHeader(c, CURSOR_HEADER, cursor);
    if (isStreams && !/\baccept\b(?!-)/i.test(c.res.headers.get("Vary") ?? "")) {
      c.header("Vary", "Accept", { append: true }); // a Vary that was set on the context replaced it
    }
    if (alone !== undefined) reportAlone(alone);
    const isLate = as.length === 0 && readerOf !== undefined && await isNamedLate(given);
    if (!c.res.headers.has("Cache-Control")) {
      const isPersonal = as.length > 0 || isLate || c.res.headers.has("Set-Cookie");
      setHeader(c, "Cache-Control", isPersonal ? PERSONAL : "no-cache");
    }
  };
}

/**
 * Middleware that gives answers to Turbo's forms the status that Turbo asks for (Turbo handbook,
 * "Redirecting After a Form Submission"): the status of a page changes from 200 to 422, and that of a
 * redirect from 301 or 302 to 303. Other requests and other answers stay as they are, and so does the 200
 * that fills a `<turbo-frame>`, which Turbo accepts. `turbo.middleware()` includes it.
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

/** Gives the answer to one of Turbo's forms the status that Turbo asks for or that the context has. */
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
  // A response that was made without the context lacks the status that was set on the context.
  if (isOfType(type, STREAM_TYPE)) return c.body(null).status;
  return isOfType(type, "text/html") && !framed ? 422 : status;
}

/** Sets a header of the answer, in place where possible, because `c.header` copies the whole answer. */
function setHeader(c: Context, name: string, value: string): void {
  try {
    c.res.headers.set(name, value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    c.header(name, value); // the headers of an answer from fetch() are immutable
  }
}

function isOfType(header: string, type: string): boolean {
  return header.split(";", 1)[0]!.trim().toLowerCase() === type;
}

function methodNotAllowed(): Response {
  return refuse(405, "Method not allowed", { Allow: "GET, HEAD" });
}

/**
 * A request's path without the prefix of the app, and that prefix as the browser sees it (`base`). The prefix
 * has two parts: what a proxy or a mount has stripped (`outer`, which only the app can tell), and the path at
 * which the middleware is registered, such as that of `app.route`. `alone` is the path of the registration
 * where it is for a single path.
 */
function pathOf(
  c: Context,
  outer: string,
): { path: string; base: string; alone: string | undefined } {
  // Not by hono/route: where this package has another copy of Hono than the app, that copy does not know
  // the app's requests.
  const { matchedRoutes, routeIndex } = c.req;
  const { path: pattern, basePath } = matchedRoutes[routeIndex] ?? { path: "/*", basePath: "" };
  const routed = pattern.endsWith("/*") ? pattern.slice(0, -2) : basePath;
  // From the URL, because Hono's path is decoded, and a decoded backslash in a base would name another host.
  const { pathname } = new URL(c.req.url);
  const segments = pathname.split("/");
  // Hono's option getPath may have added the host before the path, or have removed a part of it.
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
