/**
 * What the Deno servers here have in common: where they listen, and that `/push` is answered by 204.
 *
 * @module
 */
import { HOSTNAME, PORT } from "./settings.ts";

/** Connections that may wait to be accepted, as in the app. */
const BACKLOG = 4_096;

/** What such a server does. */
export interface Peer {
  /** Pushes once, as the query says. */
  push(query: URLSearchParams): void;
  /** Answers any other request. */
  answer(
    request: Request,
    url: URL,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Response | Promise<Response>;
}

/** Serves on the port that the runner gave. */
export function serve({ push, answer }: Peer): void {
  const options = { port: PORT, hostname: HOSTNAME, tcpBacklog: BACKLOG, onListen() {} };
  Deno.serve(options, (request, info) => {
    const url = new URL(request.url);
    if (url.pathname !== "/push") return answer(request, url, info);
    push(url.searchParams);
    return new Response(null, { status: 204 });
  });
}
