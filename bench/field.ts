/**
 * The sides of `jitter` and `deploy`: servers, each with readers that use its own client library.
 *
 * @module
 */
import { countDelivery, type Delivery, type Receipt } from "./delivery.ts";
import { isRefusal, Lines } from "./lines.ts";
import { type Peer, WORKSHOP } from "./peers.ts";
import { addressOf } from "./readers/address.mjs";
import { now } from "./readers/record.mjs";
import { type Bench, pause } from "./sides.ts";

const HERE = new URL("./readers/", import.meta.url).pathname;
const DENO = [Deno.execPath(), "run", "-A", `${HERE}turbo_deno.ts`];
const WS = ["node", `${HERE}ws.mjs`];
const SOCKET_IO = ["node", `${HERE}socket_io.mjs`];

/** The commands of the readers, by the name of the peer. */
const READERS: Record<string, readonly string[]> = {
  "turbo-deno": DENO,
  "bare-deno": WS,
  "ws-node": WS,
  "socket.io": SOCKET_IO,
  "socket.io recovery": SOCKET_IO,
};

/** Milliseconds that readers have to connect. */
const OPEN_WITHIN = 30_000;
/** Milliseconds between two questions whether all readers are connected. */
const LOOK_INTERVAL = 100;
/** Milliseconds until a push that no server accepted is tried again. */
const PUSH_AGAIN = 10;

/** What one reader has received and lost, as its process reports it. */
export interface ReaderRecord {
  readonly received: readonly Receipt[];
  /** When it was not connected, from its start on. */
  readonly away: readonly (readonly [from: number, to: number])[];
  /** How often its library says that it continued where it was. */
  readonly recovered: number;
  /** How often it fetched its page again. */
  readonly fetched: number;
}

/** The peers that have readers of their own, the app first. */
export function fieldOf({ peers, field }: Bench): Peer[] {
  return [...peers, ...field].filter(({ name }) => READERS[name] !== undefined);
}

/** The readers of one side, in a process of their own, each with a line of its own to the servers. */
export class Readers implements AsyncDisposable {
  /** Their lines. */
  readonly lines: Lines;
  readonly #count: number;
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #rest = "";

  private constructor(peer: Peer, targets: readonly number[], count: number) {
    this.#count = count;
    this.lines = new Lines(targets);
    const [command, ...args] = READERS[peer.name]!;
    this.#child = new Deno.Command(command!, {
      args: [...args, String(this.lines.port), String(count)],
      env: { MODULES: `${WORKSHOP}/npm` },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Starts them, and waits until all are connected. */
  static async start(peer: Peer, targets: readonly number[], count: number): Promise<Readers> {
    const readers = new Readers(peer, targets, count);
    if (await readers.areOpen(OPEN_WITHIN)) return readers;
    await readers[Symbol.asyncDispose]();
    throw new Error(`Not all of ${count} readers of ${peer.name} opened`);
  }

  /** Their addresses, by which their lines can be lost. */
  get addresses(): string[] {
    return Array.from({ length: this.#count }, (_, reader) => addressOf(reader));
  }

  /** Waits until all are connected. Resolves to whether they are, in time. */
  async areOpen(milliseconds: number): Promise<boolean> {
    const end = performance.now() + milliseconds;
    do {
      if (await this.#ask<number>("open") === this.#count) return true;
      await pause(LOOK_INTERVAL);
    } while (performance.now() < end);
    return false;
  }

  /** What each has received so far. */
  records(): Promise<ReaderRecord[]> {
    return this.#ask("all");
  }

  /** Ends them and their lines. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#output.cancel();
    await this.#child.status;
    await this.lines[Symbol.asyncDispose]();
  }

  async #ask<T>(question: string): Promise<T> {
    await this.#writer.write(new TextEncoder().encode(question + "\n"));
    while (!this.#rest.includes("\n")) {
      const { value } = await this.#output.read();
      if (value === undefined) throw new Error(`The readers ended at: ${question}`);
      this.#rest += value;
    }
    const [line] = this.#rest.split("\n", 1);
    this.#rest = this.#rest.slice(line!.length + 1);
    return JSON.parse(line!);
  }
}

/**
 * Pushes numbered messages at a steady rate, in order, each to the first server that accepts it. Two servers
 * that are pushed to in turn may append to what they share in another order.
 */
export class Publisher {
  /** The ports of the servers that take pushes, the preferred first. */
  targets: readonly number[];
  /** When each message was due. */
  readonly sent: Map<number, number> = new Map();
  #last: Promise<void> = Promise.resolve();

  /** Starts with these servers. */
  constructor(targets: readonly number[]) {
    this.targets = targets;
  }

  /** Pushes a message in each interval until told to stop, and resolves when the last one was accepted. */
  async publish(count: number, interval: number, stop?: AbortSignal): Promise<void> {
    const start = now();
    for (let n = 0; n < count && !stop?.aborted; n++) {
      const due = start + n * interval;
      await pause(Math.max(0, due - now()));
      const tick = this.sent.size + 1;
      this.sent.set(tick, due);
      this.#last = this.#last.then(() => this.#push(tick));
    }
    await this.#last;
  }

  async #push(tick: number): Promise<void> {
    for (;;) {
      for (const port of this.targets) if (await accepts(port, tick)) return;
      await pause(PUSH_AGAIN);
    }
  }
}

/** Pushes a message. Returns whether the server has accepted it. */
async function accepts(port: number, tick: number): Promise<boolean> {
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const request = `GET /push?kind=append&tick=${tick} HTTP/1.1\r\n` +
      "Host: 127.0.0.1\r\nConnection: close\r\n\r\n";
    await connection.write(new TextEncoder().encode(request));
    const answer = new Uint8Array(64);
    const length = await connection.read(answer);
    return new TextDecoder().decode(answer.subarray(0, length ?? 0)).startsWith("HTTP/1.1 204");
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return false;
  }
}

/** What the readers of a side have received by now of what was published. */
export async function deliveryOf(
  readers: Readers,
  publisher: Publisher,
): Promise<{ records: readonly ReaderRecord[]; delivery: Delivery }> {
  const records = await readers.records();
  const received = records.map(({ received }) => received);
  return { records, delivery: countDelivery(publisher.sent, received, now()) };
}

/** The figures of a delivery that every side has. */
export function figuresOf({ share, lost, twice, outOfOrder }: Delivery): Record<string, number> {
  return {
    "once and in order, %": share,
    "messages lost": lost,
    "messages twice": twice,
    "messages out of order": outOfOrder,
  };
}

/** The figures that only one side has, after so many connections were lost. */
export function ownFiguresOf(
  peer: Peer,
  records: readonly ReaderRecord[],
  losses: number,
): Record<string, number> {
  const sumOf = (what: "recovered" | "fetched") =>
    records.reduce((sum, record) => sum + record[what], 0);
  return {
    ...(peer.env?.["RECOVERY"] &&
      { "connections recovered, %": 100 * sumOf("recovered") / losses }),
    ...(peer.name === "turbo-deno" && { "pages fetched again": sumOf("fetched") }),
  };
}
