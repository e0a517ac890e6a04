/**
 * The middleware that a Hono app needs for pages with Turbo.
 *
 * @module
 */
import type { Context } from "hono";
import { checkReaders } from "./audience.ts";
import { pathOf } from "./base_path.ts";
import { callback, checkOptions, type Rule } from "./checks.ts";
import { finishForm, type Middleware } from "./form_status.ts";
import { refuse } from "./handshake.ts";
import {
  adoptContext,
  CURSOR_HEADER,
  hasValidHost,
  type HonoContext,
  isAllowedHost,
  mediaTypeOf,
} from "./request.ts";
import { STREAM_TYPE } from "./streams.ts";
import type { StreamContext } from "./websocket.ts";

/** The name or names of the reader that sends a request; `null` or `undefined` for a reader without one. */
export type ReaderNames = string | readonly string[] | null | undefined;

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

/** Mistakes in how the middleware is registered, and their remedies. */
const MISTAKES = {
  // The middleware answers a request for the stream itself, before any route.
  late: (path: string) =>
    `The option as of middleware() names nobody for ${path} before the routes, and somebody after ` +
    "them: register turbo.middleware() after the middleware that says who the reader is, otherwise " +
    "pushes to the reader's name do not reach its pages",
  // The first registration answers requests for the stream.
  second: (path: string) =>
    `The option as of middleware() names somebody for ${path} whom another turbo.middleware() in ` +
    "front of it does not: give that one the option, otherwise pushes to the reader's name do not " +
    "reach its pages",
  alone: (path: string) =>
    `turbo.middleware() is registered for ${path} alone, and not for the paths of the stream and the ` +
    "scripts: register it by app.use(turbo.middleware())",
};

const NOBODY: readonly string[] = [];

/** `Cache-Control` of an answer that is for one reader (RFC 9111, section 5.2.2). */
const PERSONAL = "private, no-store";

/** The middleware of a `Turbo`: see {@linkcode Turbo.middleware}. */
export function middlewareOf<C extends HonoContext>(
  served: Served,
  options: MiddlewareOptions<C>,
): Middleware<C> {
  const { as: readerOf, address: addressOf } = checkOptions("middleware()", options, RULES);
  const { visits } = served;
  const reported = new Set<keyof typeof MISTAKES>();

  /** Reports a mistake in how the middleware is registered, once for each kind. */
  function report(mistake: keyof typeof MISTAKES, path: string): void {
    if (reported.has(mistake)) return;
    reported.add(mistake);
    served.notice(MISTAKES[mistake](JSON.stringify(path)));
  }

  async function namesOf(c: C): Promise<readonly string[]> {
    const names = await readerOf?.(c);
    return names === undefined || names === null ? [] : checkReaders("middleware()", names);
  }

  /** Whether `as` names the reader only after the routes have run. */
  async function isNamedLate(given: C): Promise<boolean> {
    try {
      if ((await namesOf(given)).length === 0) return false;
    } catch {
      return true; // the route has answered; if the error stays, it will fail the next request
    }
    const { req, res } = given as unknown as Context;
    const isNew = res.headers.has("Set-Cookie"); // `as` names this reader from the next request on
    if (!isNew && req.method === "GET" && res.status === 200) report("late", req.path);
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
    const as = readerOf ? await namesOf(given) : NOBODY;
    // When another middleware, such as Hono's timeout, has answered meanwhile, nobody would use or close a
    // connection that is opened now.
    if (isStream && c.finalized) return;
    if (isStream) return served.connect(c, { as, address: addressOf?.(given) }, base);
    if (outer && as.every((name) => outer.as.includes(name))) return await next();
    if (outer?.base === base) report("second", c.req.path);
    else visits.set(c, { cursor, base, as, namesReaders: readerOf !== undefined });

    await next();

    const type = mediaTypeOf(c.res);
    const isStreams = type === STREAM_TYPE;
    if (isStreams) adoptContext(c);
    else finishForm(c);
    if (!isStreams && type !== "text/html") return;
    if (!c.res.headers.has(CURSOR_HEADER)) setHeader(c, CURSOR_HEADER, cursor);
    if (isStreams && !/\baccept\b(?!-)/i.test(c.res.headers.get("Vary") ?? "")) {
      c.header("Vary", "Accept", { append: true }); // a Vary that was set on the context replaced it
    }
    if (alone !== undefined) report("alone", alone);
    const isLate = as.length === 0 && readerOf !== undefined && await isNamedLate(given);
    if (!c.res.headers.has("Cache-Control")) {
      const isPersonal = as.length > 0 || isLate || c.res.headers.has("Set-Cookie");
      setHeader(c, "Cache-Control", isPersonal ? PERSONAL : "no-cache");
    }
  };
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

function methodNotAllowed(): Response {
  return refuse(405, "Method not allowed", { Allow: "GET, HEAD" });
}
