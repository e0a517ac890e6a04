import assert from "node:assert/strict";
import { until } from "../tests/kit.ts";
import { HANDSHAKE } from "../tests/raw.ts";
import { adaptBun, adaptNode, type BunSocket, type NodeParts } from "./adapter.ts";
import { html } from "./html.ts";
import { HEARTBEAT } from "./protocol.ts";
import { append } from "./streams.ts";
import { Turbo } from "./turbo.ts";

/** Fakes of the parts of Node. */
class FakeServer {
  readonly settings: object;
  constructor(settings: object) {
    this.settings = settings;
  }
}
const NODE: NodeParts = { upgradeWebSocket: () => {}, WebSocketServer: FakeServer };

const handshake = () => new Request("http://localhost/turbo-stream", { headers: HANDSHAKE });

/** The error that `Turbo` reports when it upgrades a request with this context. */
function reportOf(
  upgrade: ReturnType<typeof adaptBun>["upgrade"],
  context: { env?: unknown } | undefined,
): string[] {
  const reports: string[] = [];
  const turbo = new Turbo({ upgrade, onError: (_, error) => reports.push(String(error)) });
  const raw = handshake();
  const { status } = turbo.connect(context ? { req: { raw }, ...context } : raw);
  assert.equal(status, 400);
  return reports;
}

Deno.test("adaptNode() names a part that is missing or wrong", () => {
  const adapt = (parts: object) => () => adaptNode({ ...NODE, ...parts } as NodeParts);
  const { upgradeWebSocket } = NODE;
  assert.throws(
    () => adaptNode({ upgradeWebSocket } as NodeParts),
    /without WebSocketServer: that of ws is needed/,
  );
  assert.throws(adapt({ WebSocketServer: undefined }), /without WebSocketServer/);
  assert.throws(
    adapt({ upgradeWebSocket: undefined }),
    /without upgradeWebSocket: .*node-server 2/,
  );
  assert.throws(adapt({ WebSocketServer: new FakeServer({}) }), /"WebSocketServer" .* that of ws/);
  assert.throws(adapt({ maxPayload: 0 }), RangeError);
  assert.throws(adapt({ maxpayload: 9 }), /no option "maxpayload"/);
});

Deno.test("adaptNode() makes a WebSocketServer that rejects large messages", () => {
  const settings = { noServer: true, maxPayload: 4_096, closeTimeout: 10_000 };
  assert.deepEqual(adaptNode(NODE).options.websocket.server.settings, settings);
  const { options } = adaptNode({ ...NODE, maxPayload: 65_536 });
  assert.equal(options.websocket.server.settings.maxPayload, 65_536);
});

Deno.test("adaptNode().upgrade names what is missing from serve() or connect()", () => {
  const { upgrade, options: { websocket } } = adaptNode(NODE);
  const incoming = { headers: { upgrade: "websocket" } };
  assert.match(reportOf(upgrade, undefined)[0]!, /turbo\.connect\(c\)/);
  for (const env of [undefined, {}, { incoming }, { incoming, wss: new FakeServer({}) }]) {
    assert.match(reportOf(upgrade, { env })[0]!, /needs the options of adaptNode\(\)/);
  }
  const other = { headers: { upgrade: "websocket, h2c" } }; // any client can send it
  assert.deepEqual(reportOf(upgrade, { env: { incoming: other, wss: websocket.server } }), []);
});

Deno.test("adaptBun().upgrade names what is missing from Bun.serve() or connect()", () => {
  const { upgrade } = adaptBun();
  assert.match(reportOf(upgrade, undefined)[0]!, /turbo\.connect\(c\)/);
  for (const env of [undefined, {}, { server: {} }]) {
    assert.match(reportOf(upgrade, { env })[0]!, /Bun\.serve\(\)/);
  }
  // The client has ended its connection meanwhile.
  assert.deepEqual(reportOf(upgrade, { env: { upgrade: () => false } }), []);
});

Deno.test("adaptBun() releases the place of a client that Bun does not upgrade", async () => {
  const { upgrade } = adaptBun();
  const turbo = new Turbo({ upgrade, maxConnections: 1 });
  const connect = () => turbo.connect({ req: { raw: handshake() }, env: { upgrade: () => false } });
  for (let n = 0; n < 3; n++) {
    assert.equal(connect().status, 400);
    await Promise.resolve();
  }
});

Deno.test("adaptBun() calls the app's own handlers for its other WebSockets", () => {
  const calls: unknown[][] = [];
  const websocket = {
    idleTimeout: 120,
    message(...args: unknown[]) {
      calls.push([this, ...args]);
    },
  };
  const { options } = adaptBun({ websocket });
  const other = { data: { events: {} } } as unknown as BunSocket;
  options.websocket.message(other, "hello");
  options.websocket.drain(other); // for which the app has no handler
  assert.deepEqual(calls, [[websocket, other, "hello"]]);
  const { idleTimeout, maxPayloadLength } = options.websocket as unknown as Record<string, number>;
  assert.deepEqual([idleTimeout, maxPayloadLength], [120, 4_096]);
  assert(options.idleTimeout * 1_000 > HEARTBEAT, "otherwise Bun ends event streams");
  assert.throws(() => adaptBun({ websocket: null as unknown as object }), TypeError);
});

/** The state of a fake socket of Bun. */
interface FakeRaw {
  waiting: number;
  isFull: boolean;
  reads: number;
  readonly sent: string[];
  readonly ends: unknown[];
}

/** A fake server of Bun. As Bun does, it opens a socket before `upgrade` returns. */
function fakeBun() {
  const { upgrade, options } = adaptBun();
  const raw: FakeRaw = { waiting: 0, isFull: false, reads: 0, sent: [], ends: [] };
  let socket!: BunSocket;
  function open(_: Request, { data }: { data: unknown }): boolean {
    socket = {
      data,
      send: (text) => (raw.sent.push(text), raw.isFull ? 0 : text.length),
      getBufferedAmount: () => (raw.reads++, raw.waiting),
      ping() {},
      close(code, reason) {
        raw.ends.push(code);
        options.websocket.close(socket, code, reason);
      },
      terminate() {
        raw.ends.push("terminated");
        options.websocket.close(socket, 1006, "");
      },
    };
    options.websocket.open(socket);
    return true;
  }
  const context = { req: { raw: handshake() }, env: { server: { upgrade: open } } };
  return { upgrade, options, raw, context, socket: () => socket };
}

/** A `Turbo` with one connection, over a fake socket of Bun. */
function bunSocket() {
  const { upgrade, options, raw, context, socket } = fakeBun();
  const turbo = new Turbo({ upgrade, onError() {} });
  turbo.connect(context, { as: "ann" });
  return { turbo, raw, options, socket: socket() };
}

Deno.test("A WebSocket of Bun reports its opening, although Bun opens it before anybody listens", async () => {
  const { turbo, options, socket } = bunSocket();
  assert.equal(turbo.size, 0);
  await Promise.resolve();
  assert.equal(turbo.size, 1);
  options.websocket.close(socket, 1000, "");
  assert.deepEqual([turbo.size, turbo.zombies], [0, 0]);
});

Deno.test("A WebSocket of Bun is closed when no bytes wait, and keeps its place until then", async () => {
  const { turbo, raw, options, socket } = bunSocket();
  await Promise.resolve();
  raw.waiting = 1_000;
  turbo.disconnect("ann");
  assert.deepEqual([turbo.size, turbo.zombies, raw.ends], [0, 1, []]);
  options.websocket.drain(socket); // a part of it
  raw.waiting = 0;
  assert.deepEqual(raw.ends, []);
  options.websocket.drain(socket);
  assert.deepEqual([turbo.zombies, raw.ends], [0, [4001]]);
});

Deno.test("A message that Bun drops ends the connection, and is not lost", async () => {
  const { turbo, raw } = bunSocket();
  await Promise.resolve();
  raw.isFull = true;
  turbo.push(append("list", html`<li>1</li>`));
  await Promise.resolve(); // the flush
  assert.deepEqual([turbo.size, raw.sent.length, raw.ends], [0, 1, [1011]]);
});

Deno.test("A closed WebSocket of Bun sends nothing more, and is closed once", async () => {
  const { upgrade, options, raw, context, socket: bun } = fakeBun();
  const { socket } = upgrade(context.req.raw, { idleTimeout: 30, context });
  raw.waiting = 1_000;
  socket.close(1001, "first");
  socket.close(1013, "second");
  socket.send("late");
  raw.waiting = 0;
  options.websocket.drain(bun());
  assert.deepEqual([raw.ends, raw.sent], [[1001], []]);
  await Promise.resolve();
});

Deno.test("A reader that is behind does not count as dead, because the ping waits too", async () => {
  const { upgrade, raw, context } = fakeBun();
  upgrade(context.req.raw, { idleTimeout: 0.02, context });
  raw.waiting = 1_000;
  await until(() => raw.reads >= 4, "four pings were due");
  assert.deepEqual(raw.ends, []);
  raw.waiting = 0;
  await until(() => raw.ends.length > 0, "it does not answer its ping");
  assert.deepEqual(raw.ends, ["terminated"]);
});
