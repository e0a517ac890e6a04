import assert from "node:assert/strict";
import { append, html } from "../turbo/mod.ts";
import { Pusher } from "../turbo/push.ts";
import type { NodeAppOptions, NodeReport } from "./apps/node_app.ts";
import { parseFrame, pause, PROTOCOL, until, within } from "./kit.ts";
import { startServer, type TestServerProcess } from "./processes.ts";
import { startRedis, type TestRedis, WITH_REDIS } from "./redis_server.ts";

const NODES = 3;
const READERS = 300;
const HOPPERS = 30;
const HOPS = 50;
const PUSHES = { node: 3_000, outside: 1_000 };
const TOTAL = NODES * PUSHES.node + PUSHES.outside;
/** How many pushes each node makes in a second, which decides the length of the test. */
const RATE = 300;

/** A reader, and what it has received. It connects to a node, and to another one when it hops. */
class Reader {
  readonly items: string[] = [];
  refreshes = 0;
  losses = 0;
  #cursor: string;
  #socket: WebSocket | undefined;
  #isClosed = false;

  constructor(cursor: string) {
    this.#cursor = cursor;
  }

  /** Moves to another node. */
  connect(nodes: readonly TestServerProcess[], index: number): void {
    this.#leave();
    const url = nodes[index % nodes.length]!.url.replace("http", "ws");
    const socket = new WebSocket(`${url}/turbo-stream?since=${this.#cursor}`, PROTOCOL);
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      for (const { cursor, items, isRefresh } of entriesOf(data)) {
        this.#cursor = cursor;
        this.items.push(...items);
        if (isRefresh) this.refreshes++;
      }
    };
    socket.onclose = async () => {
      this.losses++;
      await pause(50 + Math.random() * 100);
      if (!this.#isClosed && this.#socket === socket) this.connect(nodes, index + 1);
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#leave();
  }

  #leave(): void {
    const socket = this.#socket;
    if (!socket) return;
    socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }
}

interface ReadEntry {
  cursor: string;
  items: string[];
  isRefresh: boolean;
}

// Cached, because most readers receive the same text one after the other.
let last: { text: string; entries: ReadEntry[] } | undefined;

function entriesOf(text: string): ReadEntry[] {
  if (last?.text === text) return last.entries;
  const entries = parseFrame(text).map(({ cursor, html }) => ({
    cursor,
    items: [...html.matchAll(/<i>([^<]+)<\/i>/g)].map(([, item]) => item!),
    isRefresh: html.includes('action="refresh"'),
  }));
  last = { text, entries };
  return entries;
}

function startNode({ url }: TestRedis): Promise<TestServerProcess> {
  const options: NodeAppOptions = { engine: { url, hold: 3_000 } };
  return startServer("apps/node_app.ts", [JSON.stringify(options)]);
}

/** Three nodes, with readers spread over them. */
async function startApp(redis: TestRedis, { readers: count }: { readers: number }) {
  await using made = new AsyncDisposableStack();
  const nodes = await Promise.all(
    Array.from({ length: NODES }, async () => made.use(await startNode(redis))),
  );
  const start = await cursorOf(nodes[0]!);
  const readers = Array.from({ length: count }, () => new Reader(start));
  made.defer(() => readers.forEach((reader) => reader.close()));
  readers.forEach((reader, index) => reader.connect(nodes, index));
  const all = made.move();
  return { nodes, readers, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function reportOf(node: TestServerProcess): Promise<NodeReport> {
  const from = node.lines.length;
  await node.tell("report");
  return JSON.parse(await node.line(/^{/, { from }));
}

async function cursorOf(node: TestServerProcess): Promise<string> {
  return await (await fetch(node.url)).text();
}

/** For each list, an entry that is not in the same order as in the first list. */
function differences(lists: readonly (readonly string[])[]): string[] {
  const [first, ...others] = lists;
  return others.flatMap((list) => {
    const at = list.findIndex((item, index) => item !== first![index]);
    return at === -1 ? [] : [`${list[at]} instead of ${first![at]} at ${at}`];
  });
}

Deno.test(
  "Each of 300 readers on three nodes, even one that hops, has all of 10,000 pushes once and in one order",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using app = await startApp(redis, { readers: READERS + HOPPERS });
    const { nodes, readers } = app;
    await until(async () => {
      const reports = await Promise.all(nodes.map(reportOf));
      return reports.reduce((sum, { size }) => sum + size, 0) === readers.length;
    }, "all are connected");

    await using outside = new Pusher({ url: redis.url });
    const pushed = nodes.map(async (node, index) => {
      const from = node.lines.length;
      await node.tell(`push node${index} ${PUSHES.node} ${RATE}`);
      await node.line(/^pushed/, { from, milliseconds: 120_000 });
    });
    const pushedOutside = (async () => {
      const between = 1000 * PUSHES.node / RATE / PUSHES.outside;
      for (let i = 0; i < PUSHES.outside; i++) {
        outside.push(append("list", html`<i>outside-${i}</i>`));
        await pause(between);
      }
    })();
    const hopping = readers.slice(READERS).map(async (reader, index) => {
      for (let hop = 0; hop < HOPS; hop++) {
        await pause(Math.random() * 2 * 1000 * PUSHES.node / RATE / HOPS);
        reader.connect(nodes, index + hop + 1);
      }
    });
    await within(Promise.all([...pushed, pushedOutside, ...hopping]), "all is pushed", 180_000);
    const lists = readers.map(({ items }) => items);
    await until(() => lists.every(({ length }) => length >= TOTAL), "all have all", 60_000);
    assert.deepEqual(differences(lists), []);
    assert.equal(new Set(lists[0]).size, TOTAL);
    assert.deepEqual(lists.map(({ length }) => length), lists.map(() => TOTAL));
    const refreshes = readers.reduce((sum, { refreshes }) => sum + refreshes, 0);
    assert.equal(refreshes, 0);
    const cursors = await Promise.all(nodes.map(cursorOf));
    assert.deepEqual(cursors, cursors.map(() => cursors[0]));
  },
);

Deno.test(
  "The readers of a node that is killed under load continue on the others, and miss nothing",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using app = await startApp(redis, { readers: 60 });
    const { nodes, readers } = app;
    const [first, second, third] = nodes as [
      TestServerProcess,
      TestServerProcess,
      TestServerProcess,
    ];
    const pushed = [first, second].map(async (node, index) => {
      const from = node.lines.length;
      await node.tell(`push node${index} 1500 ${RATE}`);
      await node.line(/^pushed/, { from, milliseconds: 60_000 });
    });
    await third.tell("push doomed 100000 300");
    await until(() => readers[2]!.items.length > 300, "pushes come");
    third.child.kill("SIGKILL");
    await third.ended;
    await Promise.all(pushed);
    await until(() => {
      return readers.every(({ items }) => items.at(-1) === readers[0]!.items.at(-1)) &&
        readers.every(({ items }) =>
          items.filter((item) => item.startsWith("node")).length >= 3_000
        );
    }, "all have all");
    const lists = readers.map(({ items }) => items);
    assert.deepEqual(differences(lists), []);
    assert.equal(new Set(lists[0]).size, lists[0]!.length, "something came twice");
    assert(
      readers.filter(({ losses }) => losses > 0).length >= 20,
      "those of the third have moved",
    );
    assert.equal(readers.reduce((sum, { refreshes }) => sum + refreshes, 0), 0);
  },
);
