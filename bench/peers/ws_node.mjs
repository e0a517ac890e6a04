// `ws` on Node, as its README says: broadcast by a loop over the clients that are open.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const { WebSocket, WebSocketServer } = createRequire(process.env.MODULES + "/")("ws");
const [before, after] = process.env.MESSAGE.split("########");
let ticks = 0;

const server = createServer((request, response) => {
  if (!request.url.startsWith("/push")) return response.end("ok");
  const message = before + String(++ticks).padStart(8, "0") + after;
  for (const client of sockets.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(message);
  }
  response.writeHead(204).end();
});
const sockets = new WebSocketServer({ server, path: "/turbo-stream", perMessageDeflate: false });
sockets.on("connection", (socket) => socket.on("error", () => {}));
server.listen(Number(process.env.PORT), "127.0.0.1");
