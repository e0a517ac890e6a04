/**
 * The app, and a bare loop over the very sockets that it opened: what the app adds to a message, with
 * nothing else that differs between two processes.
 *
 * @module
 */
import { createApp } from "../../main.ts";
import { replace } from "../../turbo/mod.ts";
import { box } from "./box.ts";
import { serve } from "./serve.ts";
import { nextMessage, nextTick } from "./settings.ts";

const sockets = new Set<WebSocket>();
const upgrade = Deno.upgradeWebSocket;
Deno.upgradeWebSocket = (request, options) => {
  const upgraded = upgrade(request, options);
  upgraded.socket.addEventListener("open", () => sockets.add(upgraded.socket));
  upgraded.socket.addEventListener("close", () => sockets.delete(upgraded.socket));
  return upgraded;
};

const { hono, turbo } = createApp({ interval: 86_400 });

serve({
  push(query) {
    if (query.get("by") === "bare") {
      const message = nextMessage();
      for (const socket of sockets) socket.send(message);
    } else {
      turbo.push(replace("load", box(nextTick())));
    }
  },
  answer: (request, _url, info) => hono.fetch(request, info),
});
