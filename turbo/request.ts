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

/** The part of Hono's `Context` that the types here need. */
export interface HonoContext {
  /** Hono's request. */
  readonly req: {
    /** The request as the server received it. */
    readonly raw: Request;
  };
  /** The answer. */
  res: Response;
}

/** Options of {@linkcode streamResponse}: those of a `Response`, and the cursor. */
export interface StreamResponseInit extends ResponseInit {
  /**
   * The cursor taken before the data of the streams was read. By it the page knows which pushes are newer
   * than this answer.
   */
  cursor?: string;
}

/** The statuses of answers without a body (RFC 9110), which the platform makes of no other. */
const NO_BODY = [204, 205, 304];

const INIT_RULES = {
  cursor: CURSOR_RULE,
  status: {
    allowed: "the status of an answer with a body, 200 to 599 without 204, 205 and 304,",
    problem(value) {
      if (typeof value !== "number") return "type";
      const hasBody = value >= 200 && value <= 599 && !NO_BODY.includes(value);
      return hasBody && Number.isInteger(value) ? undefined : "range";
    },
  },
  statusText: anything, // Response and Headers check these
  headers: anything,
} satisfies Record<keyof StreamResponseInit, Rule>;

const HOST = /^(\[[0-9a-f:.]+\]|[^\s\0-\x20"<>\\^`{|}/?#@:[\]]+)(:\d{1,5})?$/i;

/** The header that carries a page's id on Turbo's form requests; see {@linkcode connectionId}. */
export const CONNECTION_HEADER = "Turbo-Connection";

/** The header of an answer that carries the cursor at which its HTML was rendered. */
export const CURSOR_HEADER = "Turbo-Cursor";

/**
 * Whether a request asks for streams: its `Accept` names `text/vnd.turbo-stream.html` with a weight that
 * is above 0 and not below that of `text/html` (RFC 9110, section 12.5.1). A wildcard does not count,
 * because a program that accepts anything expects the page.
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

/** The id of the page that sent a form with Turbo. Give it to `push` as `except` to leave that page out. */
export function connectionId(request: Request): string | undefined {
  const id = headersOf("connectionId()", request).get(CONNECTION_HEADER);
  return id !== null && isPageId(id) ? id : undefined;
}

/**
 * Makes an answer of streams, for a request that {@linkcode acceptsStream}. The answer has the status, the
 * headers and the cookies that were set on Hono's context.
 *
 * @throws {TypeError} when a value is not a stream, or an option is wrong or unknown
 * @throws {RangeError} when the cursor is not valid, or the status is that of an answer without a body
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
/** The same without Hono's context. */
export function streamResponse(streams: Streams, init?: StreamResponseInit): Response;
export function streamResponse(
  ...given: WithContext | [Streams, init?: StreamResponseInit | undefined]
): Response {
  const [context, streams, init = {}] = isWithContext(given) ? given : [undefined, ...given];
  const body = joinStreams(streams, "answer with"); // first, because `streams` may be a promise that rejects
  const { cursor, headers: own, ...rest } = checkOptions("streamResponse()", init, INIT_RULES);
  const headers = new Headers(own);
  headers.set("Content-Type", `${STREAM_TYPE}; charset=utf-8`);
  headers.append("Vary", "Accept");
  if (cursor !== undefined) headers.set(CURSOR_HEADER, cursor);
  if (!context) return made(new Response(body, { ...rest, headers }), rest.status !== undefined);
  const c = context as unknown as Context;
  for (const [name, value] of headers) {
    // On the context, because a header that is set there replaces that of the answer.
    c.header(name, value, { append: /^(set-cookie|vary)$/.test(name) });
  }
  return made(c.newResponse(body, rest as { status?: ContentfulStatusCode }), undefined);
}

/**
 * The answers of streams as they were made: without the context, with a status of their own or without
 * one; or with the context (`undefined`).
 */
const answers = new WeakMap<Response, boolean | undefined>();

function made(answer: Response, hasStatus: boolean | undefined): Response {
  answers.set(answer, hasStatus);
  return answer;
}

/**
 * Gives the answer of a context, which consists of streams, what was set on the context: Hono leaves that
 * out of an answer that was made without the context. Of a copy, as Hono's `compress` makes one, nobody
 * knows how it was made, so it is given only what it lacks.
 */
export function adoptContext(c: Context): void {
  const answer = c.res;
  const isCopy = !answers.has(answer);
  const hasStatus = isCopy ? answer.status !== 200 : answers.get(answer);
  if (hasStatus === undefined) return;
  c.res = undefined; // then Hono makes a response of what was set on the context alone
  const { status: set, headers: own } = c.newResponse(null);
  const headers = new Headers(answer.headers);
  const cookies = headers.getSetCookie();
  for (const [name, value] of own) {
    if (name === "set-cookie") {
      if (!cookies.includes(value)) headers.append(name, value);
    } else if (name === "vary") {
      if (!isCopy || !headers.get(name)?.includes(value)) headers.append(name, value);
    } else if (name !== "content-type" && !(isCopy && headers.has(name))) {
      headers.set(name, value);
    }
  }
  const status = hasStatus || NO_BODY.includes(set) ? answer.status : set;
  c.res = new Response(answer.body, { status, headers });
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
  return isContext(given[0]);
}

/** Whether a value is Hono's context. */
export function isContext(value: unknown): value is Pick<HonoContext, "req"> {
  return typeof value === "object" && value !== null && "req" in value;
}

/** The media type of an answer, in lower case and without parameters; empty where it states none. */
export function mediaTypeOf({ headers }: Response): string {
  return (headers.get("Content-Type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
}

/**
 * The names in a header such as `Accept` or `Accept-Encoding`, in lower case, with their weights (RFC 9110,
 * section 12.4.2). 0 means "not acceptable"; a malformed weight counts as 0.
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
 * Whether a request's URL can be parsed, and its `Host`, where it has one, is a host with or without a port
 * (RFC 9110, section 7.2). Deno accepts any text as `Host`, and some texts change the path of the URL.
 */
export function hasValidHost(request: Request): boolean {
  if (!URL.canParse(request.url)) return false; // the URL may come from the request line, not from the Host
  const host = request.headers.get("Host");
  if (host === null || host === lastValidHost) return true;
  if (!isHost(host)) return false;
  lastValidHost = host;
  return true;
}

/** Remembered because parsing takes time, and most requests to a server have the same host. */
let lastValidHost: string | undefined;

/**
 * Whether a request is for one of the hosts that an app answers to. An empty list allows any host; a host
 * without a port is allowed with any port. The check protects against DNS rebinding: another site makes its
 * own name resolve to this machine, and its pages then have the same origin as the app's.
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
 * Whether the browser connects over TLS: the request arrived over TLS, or a proxy says so. A forged
 * `X-Forwarded-Proto` harms only the client that sends it.
 */
export function isSecure(request: Request): boolean {
  const headers = headersOf("isSecure()", request);
  const forwarded = headers.get("X-Forwarded-Proto")?.split(",")[0]?.trim().toLowerCase();
  return forwarded === undefined ? request.url.startsWith("https:") : forwarded === "https";
}

/**
 * Whether an origin, such as that in a request's `Origin` header, is that of the server's own pages: it has
 * the same host and port, and is not `http:` where the pages are `https:`. A page in a browser cannot forge
 * its `Origin`.
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
  // With the scheme of the origin, because behind a proxy that terminates TLS and does not say so the app
  // sees http.
  const own = `${protocol}//${headers.get("Host") ?? new URL(request.url).host}`;
  return URL.canParse(own) && new URL(own).host === host;
}

/** An origin as a URL; `undefined` where the text is not an origin. */
export function parseOrigin(origin: string): URL | undefined {
  // Only the form of RFC 6454, section 6.2: `new URL` would also accept a path or a user.
  const isOrigin = isHost(origin.replace(/^https?:\/\//i, "")) && URL.canParse(origin);
  return isOrigin ? new URL(origin) : undefined;
}

/** Whether a text is a host with or without a port, as in a `Host` header and an `Origin`. */
export function isHost(text: string): boolean {
  return HOST.test(text) && URL.canParse(`http://${text}`);
}
