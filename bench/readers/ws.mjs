// Readers of a bare WebSocket, as people write them: they connect again when the connection is closed, at
// once and then every second, and go on with what comes then.
import { createRequire } from "node:module";
import process from "node:process";
import { startReaders } from "./record.mjs";

const { WebSocket } = createRequire(process.env.MODULES + "/")("ws");

startReaders((host, record) => {
  connect(0);

  function connect(failures) {
    const socket = new WebSocket(`ws://${host}/turbo-stream`, { perMessageDeflate: false });
    socket.on("open", () => {
      failures = -1;
      record.opens();
    });
    socket.on("message", (data) => record.hears(data.toString()));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => {
      record.closes();
      setTimeout(connect, failures < 0 ? 0 : 1_000, failures + 1);
    });
  }
});
