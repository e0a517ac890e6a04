// Bun's own publish to a topic.
const [before, after] = process.env.MESSAGE.split("########");
let ticks = 0;

Bun.serve({
  port: Number(process.env.PORT),
  hostname: "127.0.0.1",
  fetch(request, server) {
    const { pathname } = new URL(request.url);
    if (pathname === "/turbo-stream") {
      return server.upgrade(request) ? undefined : new Response(null, { status: 400 });
    }
    if (pathname === "/push") {
      server.publish("load", before + String(++ticks).padStart(8, "0") + after);
      return new Response(null, { status: 204 });
    }
    return new Response("ok");
  },
  websocket: {
    open: (socket) => socket.subscribe("load"),
    message() {},
  },
});
