// `ws` on Node, as its README says: broadcast by a loop over the clients that are open.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { burst, nextTick, setTick } from "./burst.mjs";

const { WebSocket, WebSocketServer } = createRequire(process.env.MODULES + "/")("ws");
const [before, after] = process.env.MESSAGE.split("########");

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://127.0.0.1");
  if (pathname === "/burst") return response.end(await burst(searchParams, push));
  if (pathname !== "/push") return response.end("ok");
  setTick(searchParams);
  push();
  response.writeHead(204).end();
});

function push() {
  const message = before + nextTick() + after;
  for (const client of sockets.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(message);
  }
}

const sockets = new WebSocketServer({ server, path: "/turbo-stream", perMessageDeflate: false });
sockets.on("connection", (socket) => socket.on("error", () => {}));
process.on("SIGTERM", () => {
  for (const client of sockets.clients) client.close(1001);
  server.close(() => process.exit());
  server.closeIdleConnections();
});
server.listen(Number(process.env.PORT), "127.0.0.1");
