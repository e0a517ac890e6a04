/**
 * A TCP proxy that does to a line what networks do.
 *
 * @module
 */
import { pause } from "./kit.ts";

/** A proxy in front of one port of this machine. */
export interface TestProxy extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Connections that have been made, for each of its states. */
  readonly accepted: number;
  /** Where it leads; a server may come back on another port. */
  target: number;
  /** Lets nothing through and accepts nothing while true: the cable is out. */
  stalled: boolean;
  /** Milliseconds by which what the server says is late. */
  delayDown: number;
  /** Milliseconds by which what the browser says is late. */
  delayUp: number;
  /** Answers a WebSocket handshake by 400, as a proxy does that knows none. */
  refusesWebSockets: boolean;
  /** Refuses connections while true: the machine is there, the server is not. */
  refusesAll: boolean;
  /** Ends all lines now. */
  cut(): void;
  /** Ends the next WebSocket that a server's message goes through, in the middle of it. */
  cutInMessage(): void;
}

/** Starts a proxy in front of a port. */
export function startProxy(target: number): TestProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const lines = new Set<() => void>();
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
      for (const end of [...lines]) end();
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
    line: { end: () => void; isWebSocket: boolean },
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
        if (way === "up" && !line.isWebSocket) {
          line.isWebSocket = /^upgrade: websocket/im.test(new TextDecoder().decode(bytes));
          if (line.isWebSocket && proxy.refusesWebSockets) {
            await from.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
            break;
          }
        }
        if (way === "down" && cutNext && line.isWebSocket && !first) {
          cutNext = false;
          await write(to, bytes.subarray(0, Math.ceil(length / 2)));
          break;
        }
        await write(to, bytes);
      }
    } catch {
      // A line that ends in its own way is what the proxy is for.
    } finally {
      line.end();
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
      if (!lines.delete(end)) return;
      browser.close();
      server.close();
    };
    lines.add(end);
    const line = { end, isWebSocket: false };
    await Promise.all([copy(browser, server, line, "up"), copy(server, browser, line, "down")]);
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
