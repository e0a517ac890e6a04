/**
 * The common part of the Deno servers here: where they listen, and how they are asked to push.
 * `/push?n=N` pushes N times; `/burst` is described in `burst.mjs`.
 *
 * @module
 */
import { burst } from "./burst.mjs";
import { HOSTNAME, PORT } from "./settings.ts";

/** Connections that may wait to be accepted, as in the app. */
const BACKLOG = 4_096;

/** The behaviour of such a server. */
export interface Peer {
  /** Pushes once, as the query says. */
  pusher(query: URLSearchParams): () => void;
  /** Answers any other request. */
  answer(
    request: Request,
    url: URL,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Response | Promise<Response>;
}

/** Serves on the port that the runner gave. */
export function serve({ pusher, answer }: Peer): void {
  const options = { port: PORT, hostname: HOSTNAME, tcpBacklog: BACKLOG, onListen() {} };
  Deno.serve(options, async (request, info) => {
    const url = new URL(request.url);
    const { pathname, searchParams } = url;
    if (pathname === "/burst") return new Response(await burst(searchParams, pusher(searchParams)));
    if (pathname !== "/push") return answer(request, url, info);
    const push = pusher(searchParams);
    for (let left = Number(searchParams.get("n") ?? 1); left > 0; left--) {
      push();
      await undefined; // pushes of one turn would be one message
    }
    return new Response(null, { status: 204 });
  });
}
