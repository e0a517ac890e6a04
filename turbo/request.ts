/**
 * What a request asks for, and how to answer it.
 *
 * @module
 */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { anything, checkOptions, type Rule } from "./checks.ts";
import { CURSOR_RULE, isPageId } from "./protocol.ts";
import { joinStreams, STREAM_TYPE, type Streams } from "./streams.ts";

/** Hono's `Context`, as far as its type matters here. */
export interface HonoContext {
  /** The request. */
  readonly req: {
    /** As the server was given it. */
    readonly raw: Request;
  };
  /** The answer. */
  res: Response;
}

/** Options of {@linkcode streamResponse}: those of a `Response`, and the cursor. */
export interface StreamResponseInit extends ResponseInit {
  /**
   * The cursor taken before the streams' data was read. With it the page can tell what it was sent
   * before this answer and what after.
   */
  cursor?: string;
}

const INIT_RULES = {
  cursor: CURSOR_RULE,
  status: {
    allowed: "the status of an answer with a body, 200 to 599 without 204, 205 and 304,",
    problem(value) {
      if (typeof value !== "number") return "type";
      const hasBody = value >= 200 && value <= 599 && ![204, 205, 304].includes(value);
      return hasBody && Number.isInteger(value) ? undefined : "range";
    },
  },
  statusText: anything, // Response and Headers check these
  headers: anything,
} satisfies Record<keyof StreamResponseInit, Rule>;

const HOST = /^(\[[0-9a-f:.]+\]|[^\s\0-\x20"<>\\^`{|}/?#@:[\]]+)(:\d{1,5})?$/i;

/** The header that carries a page's id on Turbo's form requests; see {@linkcode connectionId}. */
export const CONNECTION_HEADER = "Turbo-Connection";

/** The header of an answer that carries the cursor its HTML was rendered at. */
export const CURSOR_HEADER = "Turbo-Cursor";

/**
 * Whether a request asks for streams: its `Accept` names `text/vnd.turbo-stream.html` with a weight
 * above 0 and not below that of `text/html` (RFC 9110, section 12.5.1). A wildcard does not count,
 * because a program that accepts anything wants the page.
 *
 * @example
 * ```ts
 * import { acceptsStream } from "./request.ts";
 * import assert from "node:assert/strict";
 *
 * const accept = (value: string) => new Request("http://localhost", { headers: { accept: value } });
 * assert(acceptsStream(accept("text/vnd.turbo-stream.html, text/html")));
 * assert(!acceptsStream(accept("*" + "/*")));
 * ```
 */
export function acceptsStream(request: Request): boolean {
  const accept = headersOf("acceptsStream()", request).get("Accept")?.toLowerCase();
  if (!accept?.includes(STREAM_TYPE)) return false; // at once: most requests are for pages
  const weights = weightsOf(accept);
  const weight = weights.get(STREAM_TYPE) ?? 0;
  return weight > 0 && weight >= (weights.get("text/html") ?? 0);
}

/** The id of the `<turbo-frame>` that a request is for (Turbo handbook, "Frames"). */
export function requestedFrame(request: Request): string | undefined {
  return headersOf("requestedFrame()", request).get("Turbo-Frame") || undefined;
}

/** The id of the page that sent a form with Turbo, to be given to `push` as `except`. */
export function connectionId(request: Request): string | undefined {
  const id = headersOf("connectionId()", request).get(CONNECTION_HEADER);
  return id !== null && isPageId(id) ? id : undefined;
}

/**
 * An answer that consists of streams, for a request that {@linkcode acceptsStream}. With Hono's context in
 * front it has what was set on that: the status, headers and cookies.
 *
 * @throws {TypeError} when one of them is no stream, or an option is wrong or unknown
 * @throws {RangeError} when the cursor is none, or the status is that of an answer without a body
 *
 * @example With a cookie
 * ```ts
 * import { Hono } from "hono";
 * import { setCookie } from "hono/cookie";
 * import { remove, streamResponse } from "./mod.ts";
 * import assert from "node:assert/strict";
 *
 * const app = new Hono();
 * app.post("/hint/close", (c) => {
 *   setCookie(c, "hint", "seen");
 *   return streamResponse(c, remove("hint"));
 * });
 *
 * const response = await app.request("/hint/close", { method: "POST" });
 * assert.equal(response.headers.get("Set-Cookie"), "hint=seen; Path=/");
 * ```
 */
export function streamResponse(
  c: HonoContext,
  streams: Streams,
  init?: StreamResponseInit,
): Response;
/** The same without Hono: an answer that has nothing of a context. */
export function streamResponse(streams: Streams, init?: StreamResponseInit): Response;
export function streamResponse(
  ...given: WithContext | [Streams, init?: StreamResponseInit | undefined]
): Response {
  const [context, streams, init = {}] = isWithContext(given) ? given : [undefined, ...given];
  const body = joinStreams(streams, "answer with"); // first, as it may be a promise that rejects
  const { cursor, headers: own, ...rest } = checkOptions("streamResponse()", init, INIT_RULES);
  const headers = new Headers(own);
  headers.set("Content-Type", `${STREAM_TYPE}; charset=utf-8`);
  headers.append("Vary", "Accept");
  if (cursor !== undefined) headers.set(CURSOR_HEADER, cursor);
  if (!context) return new Response(body, { ...rest, headers });
  const c = context as unknown as Context;
  for (const [name, value] of headers) {
    // Hono lets what is set on the context take the place of what an answer has.
    c.header(name, value, { append: /^(set-cookie|vary)$/.test(name) });
  }
  return c.newResponse(body, rest as { status?: ContentfulStatusCode });
}

/** The headers of a request. Hono's context, or its `c.req`, is easily given in place of that. */
function headersOf(what: string, request: Request): Headers {
  if (typeof request?.headers?.get === "function") return request.headers;
  throw new TypeError(
    `Cannot read the request that ${what} was given: a Request, such as c.req.raw, is needed`,
  );
}

type WithContext = [c: HonoContext, streams: Streams, init?: StreamResponseInit | undefined];

function isWithContext(given: readonly unknown[]): given is WithContext {
  const [first] = given;
  return typeof first === "object" && first !== null && "req" in first;
}

/**
 * What a header such as `Accept` or `Accept-Encoding` names, in lower case, and how much it is wanted
 * (RFC 9110, section 12.4.2): 0 is "not acceptable", and so is a weight that is none.
 */
export function weightsOf(header: string | null): Map<string, number> {
  const weights = new Map<string, number>();
  for (const part of (header ?? "").toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((word) => word.trim());
    const q = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
    const weight = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q) ? Number(q) : 0;
    weights.set(name, Math.max(weight, weights.get(name) ?? 0));
  }
  return weights;
}

/**
 * Whether a request's URL can be parsed and its `Host`, where it has one, is a host and at most a port
 * (RFC 9110, section 7.2). Deno takes any text, and with some the URL has another path.
 */
export function hasValidHost(request: Request): boolean {
  if (!URL.canParse(request.url)) return false; // a request line may name any, whatever the Host is
  const host = request.headers.get("Host");
  if (host === null || host === lastValidHost) return true;
  if (!isHost(host)) return false;
  lastValidHost = host;
  return true;
}

/** Kept because a server is asked for by one name, mostly, and to parse it takes a while. */
let lastValidHost: string | undefined;

/**
 * Whether a request is for one of the hosts that an app is known by; for any where the list is empty.
 * Without that a page whose name a foreigner has resolve to this machine is of the app's own origin
 * (DNS rebinding). One without a port is allowed with every port.
 *
 * @example
 * ```ts
 * import { isAllowedHost } from "./request.ts";
 * import assert from "node:assert/strict";
 *
 * const at = (Host: string) => new Request("http://localhost", { headers: { Host } });
 * assert(isAllowedHost(at("load.example:8443"), ["load.example"]));
 * assert(!isAllowedHost(at("evil.example"), ["load.example"]));
 * ```
 */
export function isAllowedHost(request: Request, hosts: readonly string[]): boolean {
  if (hosts.length === 0) return true;
  const headers = headersOf("isAllowedHost()", request);
  const host = (headers.get("Host") ?? new URL(request.url).host).toLowerCase();
  return hosts.some((allowed) => {
    const one = allowed.toLowerCase();
    return host === one || host.replace(/:\d+$/, "") === one;
  });
}

/**
 * Whether a browser sees the page over TLS: the request came over TLS, or a proxy says so. A forged
 * `X-Forwarded-Proto` harms only whoever sends it.
 */
export function isSecure(request: Request): boolean {
  const headers = headersOf("isSecure()", request);
  const forwarded = headers.get("X-Forwarded-Proto")?.split(",")[0]?.trim().toLowerCase();
  return forwarded === undefined ? request.url.startsWith("https:") : forwarded === "https";
}

/**
 * Whether an origin is that of the server's own pages: the same host and port, and not `http:` where
 * the pages are `https:`. For what a request's `Origin` says; a browser lets no page forge that.
 *
 * @example
 * ```ts
 * import { isOwnOrigin } from "./request.ts";
 * import assert from "node:assert/strict";
 *
 * const headers = { "Host": "load.example", "X-Forwarded-Proto": "https" };
 * const request = new Request("http://load.example/", { headers });
 * assert(isOwnOrigin(request, "https://load.example"));
 * assert(!isOwnOrigin(request, "http://load.example"));
 * ```
 */
export function isOwnOrigin(request: Request, origin: string): boolean {
  const headers = headersOf("isOwnOrigin()", request);
  const url = parseOrigin(origin);
  if (!url) return false;
  const { protocol, host } = url;
  if (protocol === "http:" && isSecure(request)) return false;
  // Behind a proxy that does not say so the app sees http, so the scheme is the origin's.
  const own = `${protocol}//${headers.get("Host") ?? new URL(request.url).host}`;
  return URL.canParse(own) && new URL(own).host === host;
}

/** An origin as a URL; `undefined` for what is none. */
export function parseOrigin(origin: string): URL | undefined {
  // Nothing but what RFC 6454, section 6.2, makes: `new URL` would also take a path or a user.
  const isOrigin = isHost(origin.replace(/^https?:\/\//i, "")) && URL.canParse(origin);
  return isOrigin ? new URL(origin) : undefined;
}

/** Whether a text is a host and at most a port, as a `Host` header and an `Origin` name one. */
export function isHost(text: string): boolean {
  return HOST.test(text) && URL.canParse(`http://${text}`);
}
