/**
 * The app, and a bare loop over the same sockets. It measures what the app adds to a message without the
 * differences between two processes.
 *
 * @module
 */
import { createApp } from "../../main.ts";
import { replace } from "../../turbo/mod.ts";
import { box } from "./box.ts";
import { nextTick } from "./burst.mjs";
import { serve } from "./serve.ts";
import { nextMessage } from "./settings.ts";

const sockets = new Set<WebSocket>();

function upgrade(request: Request, options?: Deno.UpgradeWebSocketOptions) {
  const upgraded = Deno.upgradeWebSocket(request, options);
  upgraded.socket.addEventListener("open", () => sockets.add(upgraded.socket));
  upgraded.socket.addEventListener("close", () => sockets.delete(upgraded.socket));
  return upgraded;
}

const { hono, turbo } = createApp({ interval: 86_400, turbo: { upgrade, frame: 0 } });

serve({
  pusher: (query) =>
    query.get("by") === "bare"
      ? () => {
        const message = nextMessage();
        for (const socket of sockets) socket.send(message);
      }
      : () => turbo.push(replace("load", box(nextTick()))),
  answer: (request, _url, info) => hono.fetch(request, info),
});
