/**
 * A TCP proxy that simulates faults of networks.
 *
 * @module
 */
import { pause } from "./kit.ts";

/** A proxy in front of one port of this machine. */
export interface TestProxy extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** How many connections were accepted. */
  readonly accepted: number;
  /** The port of the server, which may restart on another one. */
  target: number;
  /** Forwards and accepts nothing while true, as with an unplugged cable. */
  stalled: boolean;
  /** Milliseconds by which what the server sends is delayed. */
  delayDown: number;
  /** Milliseconds by which what the browser sends is delayed. */
  delayUp: number;
  /** Answers a WebSocket handshake by 400, as a proxy without WebSockets does. */
  refusesWebSockets: boolean;
  /** Refuses connections while true, as a machine without the server does. */
  refusesAll: boolean;
  /** Ends all connections. */
  cut(): void;
  /** Ends the next WebSocket on which the server sends a message, in the middle of that. */
  cutInMessage(): void;
}

/** Starts a proxy in front of a port. */
export function startProxy(target: number): TestProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<() => void>();
  const running = new Set<Promise<void>>();
  let cutNext = false;
  let accepted = 0;
  let resume = Promise.withResolvers<void>();

  const proxy = {
    url: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    get accepted() {
      return accepted;
    },
    target,
    delayDown: 0,
    delayUp: 0,
    refusesWebSockets: false,
    refusesAll: false,
    isStalled: false,
    get stalled() {
      return this.isStalled;
    },
    set stalled(value: boolean) {
      this.isStalled = value;
      if (value) return;
      resume.resolve();
      resume = Promise.withResolvers<void>();
    },
    cut() {
      for (const end of [...connections]) end();
    },
    cutInMessage() {
      cutNext = true;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      proxy.stalled = false;
      proxy.cut();
      await Promise.all(running);
    },
  };

  async function copy(
    from: Deno.Conn,
    to: Deno.Conn,
    connection: { end: () => void; isWebSocket: boolean },
    way: "up" | "down",
  ): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let first = true;; first = false) {
        const length = await from.read(buffer);
        if (length === null) break;
        const bytes = buffer.slice(0, length);
        while (proxy.isStalled) await resume.promise;
        const delay = way === "up" ? proxy.delayUp : proxy.delayDown;
        if (delay > 0) await pause(delay);
        if (way === "up" && !connection.isWebSocket) {
          connection.isWebSocket = /^upgrade: websocket/im.test(new TextDecoder().decode(bytes));
          if (connection.isWebSocket && proxy.refusesWebSockets) {
            await from.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
            break;
          }
        }
        if (way === "down" && cutNext && connection.isWebSocket && !first) {
          cutNext = false;
          await write(to, bytes.subarray(0, Math.ceil(length / 2)));
          break;
        }
        await write(to, bytes);
      }
    } catch {
      // Connections that end in any way are expected here.
    } finally {
      connection.end();
    }
  }

  async function carry(browser: Deno.TcpConn): Promise<void> {
    accepted++;
    while (proxy.isStalled) await resume.promise;
    let server: Deno.TcpConn;
    try {
      if (proxy.refusesAll) throw new Error("refused");
      server = await Deno.connect({ hostname: "127.0.0.1", port: proxy.target });
    } catch {
      browser.close();
      return;
    }
    const end = () => {
      if (!connections.delete(end)) return;
      browser.close();
      server.close();
    };
    connections.add(end);
    const connection = { end, isWebSocket: false };
    await Promise.all([
      copy(browser, server, connection, "up"),
      copy(server, browser, connection, "down"),
    ]);
  }

  const accepting = (async () => {
    for await (const connection of listener) {
      const carrying = carry(connection).finally(() => running.delete(carrying));
      running.add(carrying);
    }
  })().catch(() => {});
  running.add(accepting);
  return proxy;
}

async function write(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await to.write(bytes.subarray(sent));
}
