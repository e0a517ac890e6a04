/**
 * The lines of readers: a TCP relay in front of servers. Each reader connects to another address of the
 * loopback network, so its line can be lost without touching its client library or the other readers.
 *
 * @module
 */

/** What a connection is made of. */
interface Link {
  reader: Deno.TcpConn;
  server: Deno.TcpConn;
}

/** How a line is lost. */
export interface Loss {
  /** Whether the server's connection ends too. Otherwise the server learns nothing: what it sends is lost. */
  isTold: boolean;
}

/** The lines of all readers of one side. */
export class Lines implements AsyncDisposable {
  /** The ports of the servers that take new connections, in turn. */
  targets: readonly number[];
  readonly #listener: Deno.TcpListener;
  readonly #links = new Map<string, Set<Link>>();
  readonly #lost = new Set<string>();
  /** The servers' ends of lost lines of which they know nothing. */
  readonly #left = new Set<Deno.TcpConn>();
  readonly #running = new Set<Promise<void>>();
  #turn = 0;

  /** Starts to relay to the servers on these ports. */
  constructor(targets: readonly number[]) {
    this.targets = targets;
    this.#listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    this.#run(this.#accept());
  }

  /** The port to which readers connect. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Ends the connections of a reader, and refuses it new ones. */
  lose(address: string, { isTold }: Loss): void {
    this.#lost.add(address);
    for (const { reader, server } of this.#links.get(address) ?? []) {
      close(reader);
      if (isTold) close(server);
      else this.#left.add(server);
    }
    this.#links.delete(address);
  }

  /** The reader can connect again. */
  restore(address: string): void {
    this.#lost.delete(address);
  }

  /** Ends all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const address of [...this.#links.keys()]) this.lose(address, { isTold: true });
    for (const server of this.#left) close(server);
    await Promise.all(this.#running);
  }

  #run(task: Promise<void>): void {
    const running = task.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #accept(): Promise<void> {
    for await (const reader of this.#listener) this.#run(this.#relay(reader));
  }

  async #relay(reader: Deno.TcpConn): Promise<void> {
    const address = (reader.localAddr as Deno.NetAddr).hostname;
    const server = this.#lost.has(address) ? undefined : await this.#connect();
    if (!server) return close(reader);
    if (this.#lost.has(address)) { // meanwhile
      close(server);
      return close(reader);
    }
    const link = { reader, server };
    const links = this.#links.get(address) ?? new Set();
    this.#links.set(address, links.add(link));
    await Promise.race([copy(reader, server), copy(server, reader)]);
    links.delete(link);
    close(reader);
    if (!this.#left.has(server)) close(server);
  }

  /** Connects to the next server that accepts. */
  async #connect(): Promise<Deno.TcpConn | undefined> {
    const { targets } = this;
    for (let tries = 0; tries < targets.length; tries++) {
      const port = targets[this.#turn++ % targets.length]!;
      try {
        return await Deno.connect({ hostname: "127.0.0.1", port });
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    }
    return undefined;
  }
}

/** Copies until one of the two has ended. */
async function copy(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(4_096);
  try {
    to.setNoDelay();
    for (let length; (length = await from.read(buffer)) !== null;) {
      for (let at = 0; at < length;) at += await to.write(buffer.subarray(at, length));
    }
  } catch {
    // Connections that end in any way are expected here.
  }
}

/** Whether nobody listens on a port, or its server has just ended. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset;
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error; // it was closed already
  }
}
