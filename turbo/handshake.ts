/**
 * Checks of a request for the stream that do not depend on who sends it.
 *
 * @module
 */
import { offersProtocol, PROTOCOL } from "./protocol.ts";

/** How messages reach a page. */
export type Transport = "websocket" | "event stream";

/** The headers that tell a request without a handshake to upgrade. */
export const UPGRADE: Record<string, string> = { "Upgrade": "websocket", "Connection": "Upgrade" };

/** A `Retry-After` header with jitter, so that clients do not all retry together; `least` in seconds. */
export function retryAfter(least: number): Record<string, string> {
  return { "Retry-After": String(least + Math.floor(Math.random() * 10)) };
}

/** An answer that rejects a request and says why. */
export function refuse(
  status: number,
  reason: string,
  headers: Record<string, string> = {},
): Response {
  return new Response(`${reason}\n`, { status, headers });
}

/** The transport that a request asks for; `undefined` for neither. */
export function transportOf(request: Request): Transport | undefined {
  if (tokens(request.headers.get("Upgrade")).includes("websocket")) return "websocket";
  const accept = request.headers.get("Accept") ?? "";
  const wantsEvents = /(^|,)\s*text\/event-stream\s*($|[;,])/i.test(accept);
  return request.method === "GET" && wantsEvents ? "event stream" : undefined;
}

/** The answer to a WebSocket handshake that is not valid (RFC 6455, section 4.2.1). */
export function handshakeError({ method, headers }: Request): Response | undefined {
  if (method !== "GET") return refuse(400, "A WebSocket handshake is a GET");
  if (!tokens(headers.get("Connection")).includes("upgrade")) {
    return refuse(400, "The Connection header does not say Upgrade");
  }
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(headers.get("Sec-WebSocket-Key")?.trim() ?? "")) {
    return refuse(400, "Sec-WebSocket-Key is not 16 bytes in base64");
  }
  if (headers.get("Sec-WebSocket-Version")?.trim() !== "13") {
    return refuse(426, "WebSocket version 13 is needed", {
      ...UPGRADE,
      "Sec-WebSocket-Version": "13",
    });
  }
  if (headers.get("Host") === null) return refuse(400, "The Host is missing");
  // Deno splits the list only at ", ", and throws where it does not find the protocol.
  const offered = headers.get("Sec-WebSocket-Protocol") ?? "";
  if (offersProtocol(offered) && !offered.split(", ").includes(PROTOCOL)) {
    return refuse(400, "Sec-WebSocket-Protocol needs a space after each comma");
  }
}

function tokens(value: string | null): string[] {
  return (value ?? "").toLowerCase().split(",").map((token) => token.trim());
}
