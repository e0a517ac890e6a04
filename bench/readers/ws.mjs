// Readers of a bare WebSocket, as people write them: they connect again when the connection is closed, at
// once and then every second, and go on with what comes then.
import { createRequire } from "node:module";
import process from "node:process";
import { startReaders } from "./record.mjs";

const { WebSocket } = createRequire(process.env.MODULES + "/")("ws");

startReaders((host, record) => {
  connect();

  function connect() {
    const socket = new WebSocket(`ws://${host}/turbo-stream`, { perMessageDeflate: false });
    let wasOpen = false;
    socket.on("open", () => {
      wasOpen = true;
      record.opens();
    });
    socket.on("message", (data) => record.hears(data.toString()));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => {
      record.closes();
      setTimeout(connect, wasOpen ? 0 : 1_000);
    });
  }
});
