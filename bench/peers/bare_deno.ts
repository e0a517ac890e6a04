/**
 * The lower bound on this platform: a loop over the sockets of `Deno.upgradeWebSocket`, and a page from
 * memory.
 *
 * @module
 */
import { serve } from "./serve.ts";
import { nextMessage } from "./settings.ts";

const page = await readPage();
const sockets = new Set<WebSocket>();

/** The page as the app answers it: the same headers, the same bytes. */
async function readPage(): Promise<{ body: Uint8Array<ArrayBuffer>; headers: [string, string][] }> {
  const { headers, body } = JSON.parse(await Deno.readTextFile(Deno.env.get("PAGE")!));
  return { headers, body: new TextEncoder().encode(body) };
}

serve({
  pusher(query) {
    const padding = Number(query.get("pad"));
    return () => {
      const message = nextMessage(padding);
      for (const socket of sockets) socket.send(message);
    };
  },
  answer(request, { pathname }) {
    if (pathname !== "/turbo-stream") return new Response(page.body, { headers: page.headers });
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => sockets.add(socket);
    socket.onclose = socket.onerror = () => sockets.delete(socket);
    return response;
  },
});
