// Socket.IO on Node, as its documentation says: `io.emit` to all. With `RECOVERY` it has "connection
// state recovery", and with `REDIS` the adapter that keeps this recovery over several nodes.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { nextTick, setTick } from "./burst.mjs";

const require = createRequire(process.env.MODULES + "/");
const { Server } = require("socket.io");
const [before, after] = process.env.MESSAGE.split("########");

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://127.0.0.1");
  if (pathname !== "/push") return response.end("ok");
  setTick(searchParams);
  io.emit("stream", before + nextTick() + after);
  response.writeHead(204).end();
});

const redis = process.env.REDIS && await connectRedis(process.env.REDIS);
const io = new Server(server, {
  ...(process.env.RECOVERY && { connectionStateRecovery: {} }),
  ...(redis && { adapter: require("@socket.io/redis-streams-adapter").createAdapter(redis) }),
});

async function connectRedis(url) {
  const client = require("redis").createClient({ url });
  await client.connect();
  return client;
}

process.on("SIGTERM", async () => {
  await io.close();
  await redis?.close(); // after all commands, which keep the sessions of the readers
  process.exit();
});
server.listen(Number(process.env.PORT), "127.0.0.1");
