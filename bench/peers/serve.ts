/**
 * The common part of the Deno servers here: where they listen, and how they are asked to push.
 * `/push?n=N` pushes N times, `/push?tick=T` the tick T; `/burst` is described in `burst.mjs`. SIGTERM ends
 * them.
 *
 * @module
 */
import { burst, setTick } from "./burst.mjs";
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
  /** Closes what is open before the process ends. Default: the server closes all WebSockets, with 1001. */
  close?(): Promise<void>;
}

/** Serves on the port that the runner gave. */
export function serve({ pusher, answer, close }: Peer): void {
  const options = { port: PORT, hostname: HOSTNAME, tcpBacklog: BACKLOG, onListen() {} };
  const server = Deno.serve(options, async (request, info) => {
    const url = new URL(request.url);
    const { pathname, searchParams } = url;
    if (pathname === "/burst") return new Response(await burst(searchParams, pusher(searchParams)));
    if (pathname !== "/push") return answer(request, url, info);
    setTick(searchParams);
    const push = pusher(searchParams);
    for (let left = Number(searchParams.get("n") ?? 1); left > 0; left--) {
      push();
      await undefined; // pushes of one turn would be one message
    }
    return new Response(null, { status: 204 });
  });
  Deno.addSignalListener("SIGTERM", async () => {
    await close?.();
    await server.shutdown();
    Deno.exit(0);
  });
}
