/**
 * The platform's floor: a loop over the sockets of `Deno.upgradeWebSocket`, and a page from memory.
 *
 * @module
 */
import { BACKLOG, HOSTNAME, MESSAGE, PORT } from "./settings.ts";

const [before, after] = MESSAGE.split("########");
const page = await readPage();
const sockets = new Set<WebSocket>();
let ticks = 0;

/** The page as the app answers it: the same headers, the same bytes. */
async function readPage(): Promise<{ body: Uint8Array<ArrayBuffer>; headers: [string, string][] }> {
  const { headers, body } = JSON.parse(await Deno.readTextFile(Deno.env.get("PAGE")!));
  return { headers, body: new TextEncoder().encode(body) };
}

Deno.serve({ port: PORT, hostname: HOSTNAME, tcpBacklog: BACKLOG, onListen() {} }, (request) => {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === "/turbo-stream") {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => sockets.add(socket);
    socket.onclose = socket.onerror = () => sockets.delete(socket);
    return response;
  }
  if (pathname === "/push") {
    const tick = String(++ticks).padStart(8, "0");
    const message = `${before}${tick}${"x".repeat(Number(searchParams.get("pad")))}${after}`;
    for (const socket of sockets) socket.send(message);
    return new Response(null, { status: 204 });
  }
  return new Response(page.body, { headers: page.headers });
});
