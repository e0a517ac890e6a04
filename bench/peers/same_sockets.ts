/**
 * The app, and a bare loop over the very sockets that it opened: what the app adds to a message, with
 * nothing else that differs between two processes.
 *
 * @module
 */
import { createApp } from "../../main.ts";
import { replace } from "../../turbo/mod.ts";
import { box } from "./box.ts";
import { BACKLOG, HOSTNAME, MESSAGE, PORT } from "./settings.ts";

const sockets = new Set<WebSocket>();
const upgrade = Deno.upgradeWebSocket;
Deno.upgradeWebSocket = (request, options) => {
  const upgraded = upgrade(request, options);
  upgraded.socket.addEventListener("open", () => sockets.add(upgraded.socket));
  upgraded.socket.addEventListener("close", () => sockets.delete(upgraded.socket));
  return upgraded;
};

const [before, after] = MESSAGE.split("########");
const { hono, turbo } = createApp({ interval: 86_400 });
let ticks = 0;

Deno.serve(
  { port: PORT, hostname: HOSTNAME, tcpBacklog: BACKLOG, onListen() {} },
  (request, info) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/push") return hono.fetch(request, info);
    const tick = String(++ticks).padStart(8, "0");
    if (searchParams.get("by") === "bare") {
      const message = `${before}${tick}${after}`;
      for (const socket of sockets) socket.send(message);
    } else {
      turbo.push(replace("load", box(tick)));
    }
    return new Response(null, { status: 204 });
  },
);
