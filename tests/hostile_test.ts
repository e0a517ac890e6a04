import assert from "node:assert/strict";
import { ask, EVENTS, handshake, HostileClient, openPages, repeat, resetAfter } from "./hostile.ts";
import { DEADLINE, pause, sinceOf, until, WITH_PROCESS, within } from "./kit.ts";
import { CAN_MAKE_NETWORKS, makeNetwork } from "./network.ts";
import { startApp, startProcess, startServer, startStream } from "./processes.ts";
import { frame } from "./raw.ts";
import { storm } from "./storm.ts";
import { Witness } from "./witness.ts";

/** Longer than any deadline here: what has to wait for it fails. */
const NEVER = 24 * 60 * 60 * 1000;
/** Pushes a second of a stream that is to say nothing. */
const QUIET = 0.001;

Deno.test("HostileClient.reset() sends RST, and not FIN", async () => {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const client = await HostileClient.open(listener.addr.port);
  using conn = await within(listener.accept(), "the connection");
  client.write("a");
  await client.reset();
  const readAll = async () => {
    while (await conn.read(new Uint8Array(1)) !== null);
  };
  await assert.rejects(within(readAll(), "the end"), Deno.errors.ConnectionReset);
});

Deno.test(
  "Turbo gets 50 of 50 places back after 500 handshakes that are reset before the 101",
  WITH_PROCESS,
  async () => {
    const turbo = { maxConnections: 50, openTimeout: NEVER };
    await using app = await startStream({ turbo });
    await resetHandshakes(500, app.port);
    const { upgraded, opened } = await app.report();
    assert(upgraded - opened >= 50, `only ${upgraded - opened} of ${upgraded} never opened`);
    await using pages = await openPages(50, app.port);
    assert.equal(pages.open, 50);
    assert.equal(await statusOf(handshake(), app.port), 503);
  },
);

Deno.test(
  "Turbo.close() does not wait for handshakes that were reset before the 101",
  WITH_PROCESS,
  async () => {
    const turbo = { maxConnections: 50, openTimeout: NEVER };
    await using app = await startStream({ turbo });
    await resetHandshakes(50, app.port);
    await app.tell("close");
    await app.line(/^closed$/, { from: 0 });
  },
);

Deno.test(
  "main.ts stops at once after handshakes that were reset, though Deno keeps their connections",
  WITH_PROCESS,
  async () => {
    await using app = await startApp(["--port=0", "--hostname=127.0.0.1", "--drain=3600"]);
    await resetHandshakes(20, app.port);
    app.child.kill("SIGTERM");
    assert.equal(await within(app.ended, "the app to end"), 0);
  },
);

Deno.test(
  "an app whose file descriptors all went with handshakes that were reset ends, to be started again",
  WITH_PROCESS,
  async () => {
    const command = ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"];
    const args = ["127.0.0.1", "30000", "1000"];
    await using app = await startServer("apps/faulty_app.ts", args, { command });
    let hasEnded = false;
    const ended = app.ended.finally(() => hasEnded = true);
    while (!hasEnded) {
      await resetAfter(handshake(), app.port).catch(() => pause(10)); // it refuses, where it is deaf
    }
    assert.equal(await ended, 3);
    assert.match(app.errors, /No connection could be accepted for 1 s: ending/);
  },
);

const NAKED = { "Sec-WebSocket-Protocol": undefined };

/** Each way to break the protocol: what is sent after the 101, and the code that it is closed with. */
const BREACHES: readonly [
  name: string,
  code: number,
  bytes: (cursor: string) => Uint8Array,
  headers?: Record<string, string | undefined>,
][] = [
  ["a binary frame", 1003, () => frame(new Uint8Array(1), { opcode: 2 })],
  ["a message that is too long", 1009, () => frame("a".repeat(4_097))],
  ["a message that is no since", 1008, () => frame("x")],
  ["25 since", 1008, (cursor) => repeat(frame(sinceOf({ cursor })), 25)],
  ["101 messages without the sub-protocol", 1008, () => repeat(frame("x"), 101), NAKED],
];

for (const [name, code, bytes, headers] of BREACHES) {
  Deno.test(
    `Turbo has at most maxConnections connections open where clients send ${name}, are closed and stay`,
    WITH_PROCESS,
    async () => {
      const most = 5;
      await using app = await startStream({ turbo: { maxConnections: most }, rate: QUIET });
      const { cursor } = await app.report();
      await using stack = new AsyncDisposableStack();
      const clients: HostileClient[] = [];
      for (let i = 0; i < 5 * most; i++) {
        const client = stack.use(await ask(handshake(headers), app.port));
        clients.push(client);
        if (client.status === 101) {
          client.write(bytes(cursor));
          await within(client.closed(), "the server to close");
          assert.equal(client.closeCode, code);
        }
        const open = clients.filter(({ isOpen }) => isOpen).length;
        assert(open <= most, `${open} are open, and ${most} may be`);
      }
      assert.equal((await app.report()).zombies, clients.filter(({ isOpen }) => isOpen).length);
      for (const client of clients) client.finish();
      await using pages = await openPages(most, app.port);
      assert.equal(pages.open, most);
      const { size, zombies } = await app.report();
      assert.deepEqual({ size, zombies }, { size: most, zombies: 0 });
    },
  );
}

Deno.test(
  "main.ts is not ready while connections that do not end have most places",
  WITH_PROCESS,
  async () => {
    const args = ["--port=0", "--hostname=127.0.0.1", "--max-connections=10"];
    await using app = await startApp(args);
    const readiness = async () => {
      const response = await fetch(`${app.url}/readyz`);
      return { code: response.status, ...await response.json() };
    };
    {
      await using stack = new AsyncDisposableStack();
      for (let i = 0; i < 10; i++) {
        const client = stack.use(await ask(handshake(), app.port));
        client.write(frame(new Uint8Array(1), { opcode: 2 }));
        await within(client.closed(), "the server to close");
      }
      const { code, connections, zombies } = await readiness();
      assert.deepEqual({ code, connections, zombies }, { code: 503, connections: 0, zombies: 10 });
    }
    await until(async () => (await readiness()).code === 200, "it is ready when they have gone");
    assert.equal((await readiness()).zombies, 0);
  },
);

// Deno has no timeout for a head: such a connection stays, and only a proxy in front ends it. It has
// no place, so it keeps nobody out.
Deno.test(
  "Turbo gives no place to a handshake whose head is not finished",
  WITH_PROCESS,
  async () => {
    await using app = await startStream({ turbo: { maxConnections: 5 } });
    await using stack = new AsyncDisposableStack();
    const clients: HostileClient[] = [];
    for (let i = 0; i < 20; i++) {
      const client = stack.use(await HostileClient.open(app.port));
      client.write(handshake().slice(0, -2));
      clients.push(client);
    }
    {
      await using pages = await openPages(5, app.port);
      assert.equal(pages.open, 5);
      clients[0]!.write("\r\n");
      assert.equal(await clients[0]!.answer(), 503);
    }
    assert.deepEqual(clients.map(({ hasEnded }) => hasEnded), Array(20).fill(false));
  },
);

Deno.test(
  "Turbo ends the connection of one that is silent after its handshake, and frees its place",
  WITH_PROCESS,
  async () => {
    const turbo = { maxConnections: 5, idleTimeout: 1_000 };
    await using app = await startStream({ turbo, rate: QUIET });
    await using silent = await openPages(5, app.port);
    await within(silent.ended(), "the silent ones to be ended");
    await using pages = await openPages(5, app.port);
    assert.equal(pages.open, 5);
  },
);

Deno.test(
  "Turbo gets all places back after 100 handshakes that are followed by FIN before the 101",
  WITH_PROCESS,
  async () => {
    await using app = await startStream({ turbo: { maxConnections: 5, openTimeout: NEVER } });
    for (let i = 0; i < 100; i++) {
      await using client = await HostileClient.open(app.port);
      client.write(handshake());
      client.finish();
      await within(client.ended(), "the server to end it");
    }
    await using pages = await openPages(5, app.port);
    assert.equal(pages.open, 5);
  },
);

Deno.test(
  "Turbo answers 429 to an address that shakes hands all the time, and 101 to another",
  WITH_PROCESS,
  async () => {
    await using app = await startStream();
    const from = (address: string) => handshake({ "X-From": address });
    await until(
      async () => await statusOf(from("1"), app.port) === 429,
      "it is refused",
    );
    assert.equal(await statusOf(from("2"), app.port), 101);
    assert.equal(await statusOf(handshake(), app.port), 101, "without an address");
  },
);

/** How fast a flood is: frames in one write, at most a hundred times a second, and connections. */
const FLOODS: readonly [name: string, frames: number, connections: number][] = [
  ["1,000 since a second", 10, 1],
  ["since as fast as five connections can", 10_000, 5],
];

for (const [name, frames, connections] of FLOODS) {
  Deno.test(
    `Turbo pushes to another page as ever while one address sends ${name}`,
    WITH_PROCESS,
    async () => {
      await using app = await startStream({ log: { entries: 1_000, names: 1_000 } });
      const { cursor } = await app.report();
      await using witness = await Witness.connect(app.url, { "X-From": "1" });
      const goal = witness.pushes + 30;
      const over = new AbortController();
      const bytes = repeat(frame(sinceOf({ cursor })), frames);
      const flooding = Promise.all(
        Array.from({ length: connections }, () => flood(bytes, app.port, over.signal)),
      );
      try {
        await until(() => witness.pushes >= goal, "30 pushes come, ten a second", 6_000);
      } finally {
        over.abort();
        await flooding;
      }
      assert.deepEqual(witness.gaps, []);
      assert((await flooding).every((ends) => ends > 0), `its ends: ${await flooding}`);
    },
  );
}

Deno.test(
  "Turbo ends event streams, and frees the place of a reader that ignores it",
  WITH_PROCESS,
  async () => {
    const turbo = { maxConnections: 5, eventStreamLifetime: 1_000 };
    await using app = await startStream({ turbo });
    await using stack = new AsyncDisposableStack();
    for (let i = 0; i < 5; i++) stack.use(await ask(EVENTS, app.port));
    assert.equal(await statusOf(EVENTS, app.port), 503);
    await until(async () => (await app.report()).size === 0, "they are ended");
    await using pages = await openPages(5, app.port);
    assert.equal(pages.open, 5);
  },
);

Deno.test({
  name: "Turbo gets the place back of a reader of an event stream that vanished",
  ignore: !CAN_MAKE_NETWORKS,
  async fn() {
    await using network = await makeNetwork();
    const turbo = { eventStreamLifetime: 2_000 };
    await using app = await startStream({ turbo, hostname: network.address });
    const { command } = network;
    await using reader = startProcess("event_reader.ts", [app.url], { command });
    await reader.line(/^open/, { from: 0 });
    await network.cut();
    assert.equal((await app.report()).size, 1);
    await until(async () => (await app.report()).size === 0, "it is out");
  },
});

Deno.test(
  "Turbo keeps nothing of a storm, in which a page misses nothing",
  WITH_PROCESS,
  async () => {
    const { problems } = await storm({
      clients: 1_000,
      rate: 400,
      silence: DEADLINE / 15, // two seconds on an idle machine
      growth: 1.3, // a short storm is over before memory has its size
    });
    assert.deepEqual(problems, []);
  },
);

/** Resets handshakes before they can be answered, in small groups, so that the server sees them all. */
async function resetHandshakes(count: number, port: number): Promise<void> {
  for (let i = 1; i <= count; i++) {
    await resetAfter(handshake(), port);
    if (i % 20 === 0) await pause(20);
  }
}

async function statusOf(head: string, port: number): Promise<number> {
  await using client = await ask(head, port);
  return client.status;
}

/**
 * Sends the same bytes again and again, and comes back when it is closed or cut off. Returns how often
 * it was. Whoever sends without end may not see the close, because its connection is reset.
 */
async function flood(bytes: Uint8Array, port: number, over: AbortSignal): Promise<number> {
  let ends = 0;
  while (!over.aborted) {
    await using client = await ask(handshake({ "X-From": "2" }), port);
    const wasOpen = client.isOpen;
    while (client.isOpen && client.closeCode === undefined && !over.aborted) {
      if (client.hasRoom) client.write(bytes);
      await pause(10);
    }
    if (wasOpen && !over.aborted) ends++;
    await pause(10);
  }
  return ends;
}
