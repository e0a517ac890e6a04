/**
 * The whole program in several processes with one Redis, and readers that move between them.
 *
 * @module
 */
import { freePort, parseFrame, pause, PROTOCOL, within } from "./kit.ts";
import { startApp, type StartOptions, type TestServerProcess } from "./processes.ts";

/** Options of the processes of a cluster. */
export interface ClusterOptions extends StartOptions {
  /** Seconds between two readings. Default 0.2. */
  interval?: number;
}

/** Processes that end with the test. */
export interface Cluster extends AsyncDisposable {
  /** The first processes, in the order of their names. */
  readonly nodes: readonly TestServerProcess[];
  /** Starts another process, on a free port or on that of one that has ended. */
  start(name: string, port?: number): Promise<TestServerProcess>;
}

/** Starts `main.ts` as `deno task start` does, once for each name. */
export async function startCluster(
  redis: { readonly url: string },
  names: readonly string[],
  { interval = 0.2, ...options }: ClusterOptions = {},
): Promise<Cluster> {
  await using made = new AsyncDisposableStack();
  async function start(name: string, port = freePort()): Promise<TestServerProcess> {
    const args = [`--port=${port}`, "--hostname=127.0.0.1", `--redis=${redis.url}`];
    const more = [`--node=${name}`, `--interval=${interval}`, "--drain=1"];
    return await startApp([...args, ...more], options);
  }
  const started = await Promise.allSettled(names.map(async (name) => made.use(await start(name))));
  const nodes = started.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  });
  const all = made.move();
  return {
    nodes,
    async start(name, port) {
      return all.use(await start(name, port));
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** A box with the rows of machines. */
export interface Box {
  /** The names of the machines, in order, each with the seconds since its reading. */
  readonly ages: ReadonlyMap<string, number>;
  /** The machine that has rendered it. */
  readonly by: string | undefined;
}

/** The first box of a page or a push. */
export function boxIn(html: string): Box {
  const [box = "", rows = ""] = /<div id="load"([^]*?)<\/table>[^]*?<\/p>/.exec(html) ?? [];
  const row = /<th scope="row">\s*([^<]*?)\s*<[^]*?<td class="late">(\d+) s/g;
  const ages = [...rows.matchAll(row)].map(([, name, age]) => [name!, Number(age)] as const);
  return { ages: new Map(ages), by: /As (\S+) sees it/.exec(box)?.[1] };
}

/** The names of the machines on a page of a process; there are none where it shows itself alone. */
export async function namesOn({ url }: { readonly url: string }): Promise<string> {
  return namesOf(boxIn(await (await fetch(url)).text()));
}

/** The names in a box. */
export function namesOf(box: Box | undefined): string {
  return [...box?.ages.keys() ?? []].join(" ");
}

/** A reader that moves to the next process when it loses one. */
export class Follower implements AsyncDisposable {
  /** The boxes that it was sent. */
  readonly boxes: Box[] = [];
  /** The texts of `<i>` that it was sent, in order. */
  readonly marks: string[] = [];
  /** How many boxes it had before each of them. */
  readonly boxesBefore: number[] = [];
  /** How often it was sent a refresh. */
  refreshes = 0;
  /** How often it has lost its process. */
  losses = 0;
  #nodes: readonly { readonly url: string }[] = [];
  #index = 0;
  #cursor = "";
  #socket!: WebSocket;
  #closed: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** Loads the page of the process with this index and follows it; it moves to the others later. */
  static async open(
    nodes: readonly { readonly url: string }[],
    index = 0,
  ): Promise<Follower> {
    const follower = new Follower();
    const response = await fetch(nodes[index]!.url);
    await response.body?.cancel();
    follower.#cursor = response.headers.get("Turbo-Cursor")!;
    follower.#nodes = nodes;
    follower.#index = index;
    const opened = Promise.withResolvers<void>();
    follower.#connect(opened.resolve);
    await within(opened.promise, "a reader to be connected");
    return follower;
  }

  /** The names in the newest box. */
  get names(): string {
    return namesOf(this.boxes.at(-1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#socket.close();
    await within(this.#closed, "a reader to end");
  }

  #connect(onOpen = () => {}): void {
    const { url } = this.#nodes[this.#index % this.#nodes.length]!;
    const path = `/turbo-stream?since=${this.#cursor}`;
    const socket = this.#socket = new WebSocket(url.replace(/^http/, "ws") + path, PROTOCOL);
    socket.onopen = onOpen;
    socket.onmessage = ({ data }) => parseFrame(data).forEach((message) => this.#take(message));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    socket.onclose = async () => {
      if (this.#isClosed) return resolve();
      this.losses++;
      this.#index++;
      await pause(50);
      if (!this.#isClosed) this.#connect();
      resolve();
    };
  }

  #take({ cursor, html }: { cursor: string; html: string }): void {
    this.#cursor = cursor;
    if (html.includes('action="refresh"')) this.refreshes++;
    if (html.includes('id="load"')) this.boxes.push(boxIn(html));
    for (const [, mark] of html.matchAll(/<i>([^<]+)<\/i>/g)) {
      this.marks.push(mark!);
      this.boxesBefore.push(this.boxes.length);
    }
  }
}
