// Readers of Socket.IO, with the defaults of its client, which connects again by itself. Only the transport
// is chosen, because a server behind a balancer needs "sticky sessions" for the others.
import { createRequire } from "node:module";
import process from "node:process";
import { startReaders } from "./record.mjs";

const { io } = createRequire(process.env.MODULES + "/")("socket.io-client");

startReaders((host, record) => {
  const socket = io(`http://${host}`, { transports: ["websocket"] });
  socket.on("connect", () => {
    record.opens();
    if (socket.recovered) record.recovered++;
  });
  socket.on("disconnect", () => record.closes());
  socket.on("stream", (html) => record.hears(html));
});
