/**
 * What a request asks for, and how to answer it.
 *
 * @module
 */
import { joinStreams, type Stream, STREAM_TYPE } from "./streams.ts";

/** Options of {@linkcode streamResponse}: those of a `Response`, and the cursor. */
export interface StreamResponseInit extends ResponseInit {
  /**
   * The cursor taken before the streams' data was read. With it the page can tell what it was sent
   * before this answer and what after.
   */
  cursor?: string;
}

const HOST = /^(\[[0-9a-f:.]+\]|[^\s\0-\x20"<>\\^`{|}/?#@:[\]]+)(:\d{1,5})?$/i;

/** The header that carries a page's id on Turbo's form requests; see {@linkcode connectionId}. */
export const CONNECTION_HEADER = "Turbo-Connection";

/** The header of an answer that carries the cursor its HTML was rendered at. */
export const CURSOR_HEADER = "Turbo-Cursor";

/**
 * Whether a request asks for streams: its `Accept` names `text/vnd.turbo-stream.html` with a weight
 * above 0 and not below that of `text/html` (RFC 9110, section 12.5.1). A wildcard does not count,
 * for a program that takes anything wants the page.
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
  const weights = weightsOf(request.headers.get("Accept"));
  const weight = weights.get(STREAM_TYPE) ?? 0;
  return weight > 0 && weight >= (weights.get("text/html") ?? 0);
}

/** The id of the `<turbo-frame>` that a request is for (Turbo handbook, "Frames"). */
export function requestedFrame(request: Request): string | undefined {
  return request.headers.get("Turbo-Frame") || undefined;
}

/** The id of the page that sent a form with Turbo, to be given to `push` as `except`. */
export function connectionId(request: Request): string | undefined {
  const id = request.headers.get(CONNECTION_HEADER);
  return id !== null && isId(id) ? id : undefined;
}

/** An answer that consists of streams, for a request that {@linkcode acceptsStream}. */
export function streamResponse(
  streams: Stream | readonly Stream[],
  init: StreamResponseInit = {},
): Response {
  const { cursor, ...rest } = init;
  const headers = new Headers(rest.headers);
  headers.set("Content-Type", `${STREAM_TYPE}; charset=utf-8`);
  headers.append("Vary", "Accept");
  if (cursor !== undefined) headers.set(CURSOR_HEADER, cursor);
  return new Response(joinStreams(streams), { ...rest, headers });
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

/** Whether a text can be the id of a page. */
export function isId(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(text);
}

/** Whether a request wants to become a WebSocket, well-formed or not. */
export function wantsWebSocket(request: Request): boolean {
  return tokens(request.headers.get("Upgrade")).includes("websocket");
}

/** Whether a request wants server-sent events. */
export function wantsEventStream(request: Request): boolean {
  return request.method === "GET" &&
    /(^|,)\s*text\/event-stream\s*($|[;,])/i.test(request.headers.get("Accept") ?? "");
}

/** What is wrong with a WebSocket handshake (RFC 6455, section 4.2.1), as an answer. */
export function handshakeError({ method, headers }: Request): Response | undefined {
  if (method !== "GET") {
    return new Response("A WebSocket handshake is a GET\n", { status: 400 });
  }
  if (!tokens(headers.get("Connection")).includes("upgrade")) {
    return new Response("The Connection header does not say Upgrade\n", { status: 400 });
  }
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(headers.get("Sec-WebSocket-Key")?.trim() ?? "")) {
    return new Response("Sec-WebSocket-Key is not 16 bytes in base64\n", { status: 400 });
  }
  if (headers.get("Sec-WebSocket-Version")?.trim() !== "13") {
    return new Response("WebSocket version 13 is needed\n", {
      status: 426,
      headers: { "Sec-WebSocket-Version": "13", "Upgrade": "websocket", "Connection": "Upgrade" },
    });
  }
  if (headers.get("Host") === null) return new Response("The Host is missing\n", { status: 400 });
}

/**
 * Whether a request's `Host`, where it has one, is a host and at most a port (RFC 9110, section
 * 7.2). Deno takes any text, and with some the request's URL cannot be parsed or has another path.
 */
export function hasValidHost(request: Request): boolean {
  const host = request.headers.get("Host");
  if (host === null || host === lastValidHost) return true;
  if (!HOST.test(host) || !URL.canParse(`http://${host}`)) return false;
  lastValidHost = host;
  return true;
}

/** Kept because a server is asked for by one name, mostly, and to parse it takes a while. */
let lastValidHost: string | undefined;

/**
 * Whether a request comes from a page of the same host and port, of an allowed origin, or from no
 * browser (no `Origin`). Browsers let any page open a WebSocket anywhere (RFC 6455, section 10.2).
 */
export function isAllowedOrigin(request: Request, allowed: readonly string[]): boolean {
  const origin = request.headers.get("Origin");
  if (origin === null) return true;
  // Nothing but what RFC 6454, section 6.2, makes: `new URL` would also take a path or a user.
  if (!HOST.test(origin.replace(/^https?:\/\//i, "")) || !URL.canParse(origin)) return false;
  const { protocol, host, origin: normalized } = new URL(origin);
  if (allowed.includes(normalized)) return true;
  const own = `${protocol}//${request.headers.get("Host")}`;
  return URL.canParse(own) && new URL(own).host === host;
}

function tokens(value: string | null): string[] {
  return (value ?? "").toLowerCase().split(",").map((token) => token.trim());
}
