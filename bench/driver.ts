/**
 * The load driver, a C program in a process of its own.
 *
 * @module
 */

/** How readers are opened. */
export interface OpenOptions {
  /** Concurrent handshakes. Default 64. */
  inflight?: number;
  /** How many of them never read. Default 0. */
  stalled?: number;
  /** Whether they speak `turbo-stream.v2`. Default no. */
  protocol?: boolean;
  /** Messages that each must receive before it counts as open. Default 0. */
  want?: number;
  /** The path that they request; `%d` becomes their number. Default `/turbo-stream`. */
  path?: string;
}

/** How readers opened. */
export interface Opened {
  readonly opened: number;
  readonly failed: number;
  /** Time until the last was open. */
  readonly ms: number;
  readonly bytes: number;
}

/** Options of a push. */
export interface PushPlan {
  /** How many pushes. */
  count: number;
  /** Ticks that each push brings to all readers together. */
  expect: number;
  /** Ticks that a push brings to one reader. Default 1. */
  per?: number;
  /** Time between pushes in ms. Default 0: the next one when every reader has the last. */
  gap?: number;
  /** What triggers it. Default `/push`. */
  path?: string;
}

/** Three points of a distribution, in ms. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The result of pushes. */
export interface Pushed {
  readonly pushes: number;
  /** Messages delivered. */
  readonly messages: number;
  readonly bytes: number;
  readonly ms: number;
  /** Connections that ended meanwhile. */
  readonly lost: number;
  /** From push to the last reader, in ms, of each push. */
  readonly lasts: readonly number[];
  /** From push to any reader. */
  readonly latency: Times;
  /** From push to the reader, ascending, if there is only one reader; otherwise empty. */
  readonly each: readonly number[];
  readonly joined: number;
  /** Time until the readers that connected during the push had received their messages. */
  readonly joinMs: number;
}

/** The result of a burst that the server made. */
export interface Burst {
  /** Pushes that the server made. */
  readonly pushes: number;
  /** Messages delivered. */
  readonly messages: number;
  readonly bytes: number;
  /** Time until all readers had the last push, or nothing arrived any more. */
  readonly ms: number;
  /** Connections that ended meanwhile. */
  readonly lost: number;
  /** Other readers that never got the last push. */
  readonly behind: number;
  /** Bytes that arrived after the last push was made. */
  readonly bytesAfter: number;
  /** Time from the last push to the last message. */
  readonly lastMs: number;
  /** The age of what a reader shows; see README.md. */
  readonly age: Times;
}

/** The result of GET requests. */
export interface Requested {
  readonly requests: number;
  readonly errors: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** The driver. It does one thing at a time, for the readers of all peers. */
export class Driver implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;

  /** Starts the program that `buildC` built. */
  constructor(binary: string) {
    this.#child = new Deno.Command(binary, { stdin: "piped", stdout: "piped" }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(lines())
      .getReader();
  }

  /** How many file descriptors it may open. */
  async files(): Promise<number> {
    return (await this.#ask<{ files: number }>("files")).files;
  }

  /**
   * Opens a connection to trigger pushes, unless there is one: some servers close it when it is idle. A
   * push is triggered on the connections to all ports.
   */
  async control(port: number): Promise<void> {
    await this.#ask(`control ${port}`);
  }

  /** Opens readers. */
  async open(port: number, count: number, options: OpenOptions = {}): Promise<Opened> {
    const opened = await this.#ask<Opened>(`open ${port} ${count} ${openWords(options)}`);
    if (opened.failed > 0) throw new Error(`${opened.failed} of ${count} readers did not open`);
    return opened;
  }

  /** Opens readers while the next push runs. */
  async openLater(port: number, count: number, options: OpenOptions = {}): Promise<void> {
    await this.#ask(`later ${port} ${count} ${openWords(options)}`);
  }

  /** Pushes. */
  async push({ count, expect, per = 1, gap = 0, path = "/push" }: PushPlan): Promise<Pushed> {
    const pushed = await this.#ask<Pushed>(`push ${count} ${gap * 1000} ${expect} ${per} ${path}`);
    if (pushed.pushes < count) {
      const { lasts: _, each: __, ...about } = pushed;
      throw new Error(`Only ${pushed.pushes} of ${count} pushes arrived: ${JSON.stringify(about)}`);
    }
    return pushed;
  }

  /** Makes a server push a burst. Throws when the server does not report in time what it made. */
  async burst(port: number, seconds: number, path: string): Promise<Burst> {
    const burst = await this.#ask<Burst & { answered: boolean }>(
      `burst ${port} ${seconds} ${path}`,
    );
    if (!burst.answered) throw new Error(`No answer to ${path}: ${JSON.stringify(burst)}`);
    return burst;
  }

  /** Requests a page repeatedly. */
  request(port: number, path: string, connections: number, seconds: number): Promise<Requested> {
    return this.#ask(`http ${port} ${connections} ${seconds} ${path}`);
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await this.#ask("close");
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#child.status;
  }

  async #ask<T>(command: string): Promise<T> {
    await this.#writer.write(new TextEncoder().encode(command + "\n"));
    const { value } = await this.#lines.read();
    if (value === undefined) throw new Error(`The driver ended at: ${command}`);
    return JSON.parse(value);
  }
}

function openWords(options: OpenOptions): string {
  const { inflight = 64, stalled = 0, protocol = false, want = 0 } = options;
  const { path = "/turbo-stream" } = options;
  return `${inflight} ${stalled} ${protocol ? 1 : 0} ${want} ${path}`;
}

function lines(): TransformStream<string, string> {
  let rest = "";
  return new TransformStream({
    transform(chunk, controller) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop()!;
      for (const part of parts) controller.enqueue(part);
    },
  });
}
