/**
 * The lower bound for several nodes: a push on one node is published to all, and each sends it in a loop
 * over its sockets. A message that is published while a node is not connected is lost to that node.
 *
 * @module
 */
import { serve } from "./serve.ts";
import { nextMessage, REDIS } from "./settings.ts";

const CHANNEL = "bench";
// Redis serialization protocol (RESP2): an array of three elements, the last of which is the message.
const HEAD = `*3\r\n$7\r\nmessage\r\n$${CHANNEL.length}\r\n${CHANNEL}\r\n$`;
const ANSWER = `*3\r\n$9\r\nsubscribe\r\n$${CHANNEL.length}\r\n${CHANNEL}\r\n:1\r\n`;

const sockets = new Set<WebSocket>();
// Each loop references the connection itself, because Deno closes one that only its streams reference.
const publish = publisher(await connect());
await subscribe(await connect(), (message) => {
  for (const socket of sockets) socket.send(message);
});

async function connect(): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(REDIS!);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  connection.setNoDelay();
  return connection;
}

/** Publishes. Messages that arrive during a write are written together after it. */
function publisher(connection: Deno.TcpConn): (message: string) => void {
  const encoder = new TextEncoder();
  let waiting = "";
  let isWriting = false;
  readAll(connection, () => {}); // how many heard it
  return (message) => {
    waiting += `*3\r\n$7\r\nPUBLISH\r\n$${CHANNEL.length}\r\n${CHANNEL}\r\n` +
      `$${message.length}\r\n${message}\r\n`; // ASCII
    if (!isWriting) write();
  };

  async function write(): Promise<void> {
    isWriting = true;
    await undefined; // what one turn publishes is one write
    while (waiting !== "") {
      let bytes = encoder.encode(waiting);
      waiting = "";
      while (bytes.length > 0) bytes = bytes.subarray(await connection.write(bytes));
    }
    isWriting = false;
  }
}

/** Calls back with each message, starting when it resolves. */
async function subscribe(connection: Deno.TcpConn, hear: (message: string) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let text = "";
  readAll(connection, (piece) => {
    text += piece;
    let at = 0;
    if (text.startsWith(ANSWER)) {
      at = ANSWER.length;
      resolve();
    }
    for (;;) {
      const line = text.indexOf("\r\n", at + HEAD.length);
      if (line === -1) break;
      const end = line + 2 + Number(text.slice(at + HEAD.length, line));
      if (text.length < end + 2) break;
      hear(text.slice(line + 2, end));
      at = end + 2;
    }
    text = text.slice(at);
  });
  await connection.write(new TextEncoder().encode(`SUBSCRIBE ${CHANNEL}\r\n`));
  await promise;
}

async function readAll(connection: Deno.TcpConn, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  const bytes = new Uint8Array(64 * 1024);
  for (let length; (length = await connection.read(bytes)) !== null;) {
    take(decoder.decode(bytes.subarray(0, length)));
  }
}

serve({
  pusher(query) {
    const padding = Number(query.get("pad"));
    return () => publish(nextMessage(padding));
  },
  answer(request, { pathname }) {
    if (pathname !== "/turbo-stream") return new Response("up");
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => sockets.add(socket);
    socket.onclose = socket.onerror = () => sockets.delete(socket);
    return response;
  },
});
