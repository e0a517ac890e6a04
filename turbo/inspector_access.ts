/**
 * Who may see the inspector: without a token only a browser on the same machine, with a token whoever has it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { quote } from "./checks.ts";
import { refuse } from "./handshake.ts";
import { hasValidHost } from "./request.ts";
import type { StreamContext } from "./websocket.ts";

/** Headers that a proxy adds, and how others begin. A client may send them too, and is then refused. */
const FORWARDING = [
  "forwarded",
  "via",
  "cdn-loop",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "true-client-ip",
  "fastly-client-ip",
];
const FORWARDING_BEGINS = ["x-forwarded-", "x-original-", "x-envoy-", "cf-"];
const LOOPBACK_HOST = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;
const LOOPBACK_ADDRESS = /^(?:(?:::ffff:)?127(?:\.\d{1,3}){3}|::1)$/i;

/**
 * The answer to a request that may not see the inspector (400, 401, 403); `undefined` for one that may.
 *
 * Without a token the request must come from this machine, and from a browser. The address of the client
 * does not prove that: behind a proxy on this machine every client has a loopback address. Most proxies add a
 * header, or send the `Host` of the site. An nginx whose site is one `proxy_pass` does neither, but it sends
 * `Connection: close`, or none at all, where a browser sends `keep-alive`. The check of `Host` also closes DNS
 * rebinding.
 */
export function refusalOf(
  c: StreamContext,
  { token, isStream }: { token: string | undefined; isStream: boolean },
): Response | undefined {
  const { raw } = c.req;
  if (!hasValidHost(raw)) return refuse(400, "The Host or the URL is malformed");
  if (token !== undefined) return hasToken(raw, token) ? undefined : askForToken();
  const why = remoteness(c, isStream);
  return why === undefined ? undefined : refuse(
    403,
    `The inspector is for a browser on this machine, and ${why}. To open it from elsewhere, set ` +
      "turbo.inspector({ token })",
  );
}

/** Why a request may not come from a browser on this machine; `undefined` for one that does. */
function remoteness(c: StreamContext, isStream: boolean): string | undefined {
  const { headers, url } = c.req.raw;
  for (const [name] of headers) {
    if (FORWARDING.includes(name) || FORWARDING_BEGINS.some((begin) => name.startsWith(begin))) {
      return `this request came through a proxy: it has the header ${name}`;
    }
  }
  const host = headers.get("Host") ?? new URL(url).host;
  if (!LOOPBACK_HOST.test(host)) return `this request is for the host ${quote(host)}`;
  const address = addressOf(c);
  if (address === undefined) {
    return "the client's address is unknown: give app.fetch all that the server gives its handler";
  }
  if (!LOOPBACK_ADDRESS.test(address)) return `this request is from ${quote(address)}`;
  // A proxy that is set up for WebSockets may send `Connection: upgrade` with every request.
  const needed = isStream && headers.has("Upgrade") ? "upgrade" : "keep-alive";
  const options = headers.get("Connection")?.toLowerCase().split(",").map((one) => one.trim());
  if (options?.includes(needed)) return undefined;
  return "this request is not as a browser sends it, and may come through a proxy: it has no " +
    "Connection: keep-alive";
}

/**
 * The address of the client, as Deno, `@hono/node-server` and Bun tell it to a Hono app; `undefined` where it
 * is unknown, or no address of a network.
 */
export function addressOf({ env, req }: StreamContext): string | undefined {
  const told = (env ?? {}) as {
    remoteAddr?: { hostname?: unknown };
    incoming?: { socket?: { remoteAddress?: unknown } };
    server?: { incoming?: { socket?: { remoteAddress?: unknown } } } & Bun;
  } & Bun;
  const { incoming = told.server?.incoming } = told;
  const bun = typeof told.requestIP === "function" ? told : told.server;
  const address = told.remoteAddr?.hostname ?? incoming?.socket?.remoteAddress ??
    (typeof bun?.requestIP === "function" ? bun.requestIP(req.raw)?.address : undefined);
  return typeof address === "string" ? address : undefined;
}

/** The part of Bun's server that tells the address of a client. */
interface Bun {
  requestIP?: (request: Request) => { address?: unknown } | null;
}

/** Whether a request has the token as the password of HTTP's basic authentication (RFC 7617). */
function hasToken({ headers }: Request, token: string): boolean {
  const [, encoded] = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(headers.get("Authorization") ?? "") ??
    [];
  if (encoded === undefined) return false;
  const given = Buffer.from(encoded, "base64");
  const password = given.subarray(given.indexOf(":") + 1);
  const expected = Buffer.from(token);
  // Compared in full where the length is wrong, too.
  const isLong = password.length === expected.length;
  return timingSafeEqual(isLong ? password : expected, expected) && isLong;
}

function askForToken(): Response {
  return refuse(401, "The inspector needs its token as the password, with any user name", {
    "WWW-Authenticate": 'Basic realm="Turbo inspector", charset="UTF-8"',
  });
}
