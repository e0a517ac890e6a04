// Bun's own publish to a topic.
import { burst, nextTick } from "./burst.mjs";

const [before, after] = process.env.MESSAGE.split("########");

const server = Bun.serve({
  port: Number(process.env.PORT),
  hostname: "127.0.0.1",
  async fetch(request, server) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/turbo-stream") {
      return server.upgrade(request) ? undefined : new Response(null, { status: 400 });
    }
    if (pathname === "/burst") return new Response(await burst(searchParams, push));
    if (pathname === "/push") {
      push();
      return new Response(null, { status: 204 });
    }
    return new Response("ok");
  },
  websocket: {
    open: (socket) => socket.subscribe("load"),
    message() {},
  },
});

function push() {
  server.publish("load", before + nextTick() + after);
}
