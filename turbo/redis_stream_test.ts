import assert from "node:assert/strict";
import { within } from "../tests/kit.ts";
import { startRedis, type TestRedis, WITH_REDIS } from "../tests/redis_server.ts";
import { connect, type Connection, serverOf } from "./redis_client.ts";
import { ask, canNumber, keptSecret, type StreamOptions } from "./redis_stream.ts";
import type { Command } from "./stream_commands.ts";
import { fieldsOf, placeOf } from "./stream_entry.ts";

const KEY = "a key";
const NODE = "somebody";

/** A connection to a server, and the replies on it. */
async function open({ url }: Pick<TestRedis, "url">, options: Partial<StreamOptions> = {}) {
  const server = serverOf(url)!;
  const { command, close } = await within(
    connect(server, new AbortController().signal),
    "a connection",
  );
  const stream = { key: KEY, maxEntries: 10_000, isScripted: false, ...options };
  return {
    command,
    ask: (asked: Command) => within(ask({ command }, asked, stream), `an answer to ${asked.kind}`),
    [Symbol.dispose]: close,
  };
}

/** An entry of streams. */
function add(id: number, epoch: number, html = `<b>${id}</b>`): Command {
  const content = { kind: "streams", html } as const;
  return { kind: "add", id, epoch, fields: fieldsOf({ node: NODE, n: id, attempt: 0, content }) };
}

/** The ids of all entries. */
async function ids({ command }: Pick<Connection, "command">): Promise<string[]> {
  return (await command(["XRANGE", KEY, "-", "+"]) as [string][]).map(([id]) => id);
}

for (const isScripted of [false, true]) {
  const way = isScripted ? "a script numbers" : "the server numbers";

  Deno.test(`ask() writes and reads a stream where ${way} its entries`, WITH_REDIS, async () => {
    await using server = await startRedis();
    using stream = await open(server, { isScripted });
    const nothing = { kind: "look", newest: undefined, first: undefined };
    assert.deepEqual(await stream.ask({ kind: "look", at: undefined }), nothing);
    assert.deepEqual(await stream.ask({ kind: "look", at: { epoch: 5, position: 1 } }), nothing);
    assert.deepEqual(await stream.ask({ kind: "load" }), { kind: "load", entries: [] });
    assert.deepEqual(await stream.ask(add(1, 5)), { kind: "add", id: 1, result: "gone" });
    assert.deepEqual(await ids(stream), [], "no stream begins by that");

    const birth = { kind: "birth", seen: undefined, epoch: 5, node: NODE } as const;
    assert.deepEqual(await stream.ask(birth), { kind: "birth", epoch: 5 });
    assert.deepEqual(await stream.ask({ ...birth, epoch: 6 }), { kind: "birth", epoch: 5 });
    assert.deepEqual(await stream.ask({ ...birth, seen: 4, epoch: 6 }), {
      kind: "birth",
      epoch: 5,
    }, "another was faster");

    const added = await Promise.all([add(1, 5), add(2, 5), add(3, 5)].map(stream.ask));
    assert.deepEqual(
      added.map((reply) => "result" in reply && reply.result),
      Array(3).fill("added"),
    );
    assert.deepEqual(await ids(stream), ["5-0", "5-1", "5-2", "5-3"]);
    const entry = (position: number) => ({
      epoch: 5,
      position,
      node: NODE,
      n: position,
      attempt: 0,
      interval: undefined,
      content: { kind: "streams", html: `<b>${position}</b>`, to: undefined, except: undefined },
    });
    const born = { ...entry(0), content: { kind: "birth" } };
    assert.deepEqual(await stream.ask({ kind: "look", at: { epoch: 5, position: 2 } }), {
      kind: "look",
      newest: { epoch: 5, position: 3 },
      first: entry(2),
    });
    assert.deepEqual(await stream.ask({ kind: "load" }), {
      kind: "load",
      entries: [born, entry(1), entry(2), entry(3)],
    });
    assert.deepEqual(await stream.ask({ kind: "read", after: { epoch: 5, position: 1 } }), {
      kind: "read",
      entries: [entry(2), entry(3)],
    });
    assert.deepEqual(await stream.ask({ kind: "read", after: { epoch: 5, position: 3 } }), {
      kind: "read",
      entries: [],
    }, "after a second");

    assert.deepEqual(await stream.ask({ ...birth, seen: 5, epoch: 8 }), {
      kind: "birth",
      epoch: 8,
    });
    assert.deepEqual(await stream.ask(add(4, 5)), { kind: "add", id: 4, result: "behind" });
    await stream.ask(add(4, 8));
    assert.deepEqual((await ids(stream)).slice(-2), ["8-0", "8-1"]);
  });

  Deno.test(`ask() says why an entry is refused where ${way}`, WITH_REDIS, async () => {
    await using server = await startRedis();
    using stream = await open(server, { isScripted });
    await stream.ask({ kind: "birth", seen: undefined, epoch: 5, node: NODE });
    await stream.command(["CONFIG", "SET", "maxmemory", "1"]);
    const reply = await stream.ask(add(1, 5));
    assert(reply.kind === "add" && reply.result === "refused", JSON.stringify(reply));
    assert.match(reply.reason, /OOM command not allowed/);
    await stream.command(["CONFIG", "SET", "maxmemory", "0"]);
    await stream.command(["DEL", KEY]);
    await stream.command(["SET", KEY, "something else"]);
    const other = await stream.ask(add(2, 5));
    assert(other.kind === "add" && other.result === "refused", JSON.stringify(other));
    assert.match(other.reason, /WRONGTYPE/);
    await assert.rejects(stream.ask({ kind: "look", at: undefined }), {
      name: "RefusedError",
      message: /^WRONGTYPE/,
    });
  });

  Deno.test(
    `ask() keeps about as many entries as it is told where ${way}`,
    WITH_REDIS,
    async () => {
      await using server = await startRedis();
      using stream = await open(server, { isScripted, maxEntries: 200 });
      await stream.ask({ kind: "birth", seen: undefined, epoch: 5, node: NODE });
      await Promise.all(Array.from({ length: 1_000 }, (_, id) => stream.ask(add(id + 1, 5))));
      const kept = await ids(stream);
      assert(kept.length >= 200 && kept.length < 400, `${kept.length} entries`);
      assert.equal(kept.at(-1), "5-1000");
      // The first entry after a trimmed place shows that it is gone.
      const look = await stream.ask({ kind: "look", at: { epoch: 5, position: 1 } });
      assert(look.kind === "look");
      assert.deepEqual(look.first?.position, placeOf(kept[0]!)?.position);
    },
  );
}

Deno.test(
  "ask() writes the same whether the server or a script numbers the entries",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    const written = [];
    for (const isScripted of [false, true]) {
      using stream = await open(server, { isScripted });
      await stream.command(["DEL", KEY]);
      await stream.ask({
        kind: "birth",
        seen: undefined,
        epoch: Number.MAX_SAFE_INTEGER,
        node: NODE,
      });
      for (const html of ["", "<b>ä€😀\0\r\n</b>", "x".repeat(300_000)]) {
        await stream.ask(add(1, Number.MAX_SAFE_INTEGER, html));
      }
      written.push(await stream.command(["XRANGE", KEY, "-", "+"]));
    }
    assert.equal((written[0] as unknown[]).length, 4);
    assert(JSON.stringify(written[1]) === JSON.stringify(written[0]), "they differ");
  },
);

Deno.test("ask() reads an entry that is written while it waits", WITH_REDIS, async () => {
  await using server = await startRedis();
  using reader = await open(server);
  using writer = await open(server);
  await writer.ask({ kind: "birth", seen: undefined, epoch: 5, node: NODE });
  const reading = reader.ask({ kind: "read", after: { epoch: 5, position: 0 } });
  await writer.ask(add(1, 5));
  const reply = await reading;
  assert.deepEqual(reply.kind === "read" && reply.entries.map(({ n }) => n), [1]);
});

Deno.test("ask() rejects a stream of another program", WITH_REDIS, async () => {
  await using server = await startRedis();
  using stream = await open(server);
  await stream.command(["XADD", KEY, "18446744073709551615-1", "a", "b"]);
  const message =
    `the key ${KEY} has an entry 18446744073709551615-1, which turbo-deno has not written`;
  await assert.rejects(stream.ask({ kind: "look", at: undefined }), { message });
  await assert.rejects(stream.ask({ kind: "load" }), { message });
});

Deno.test("canNumber() distinguishes servers, and writes nothing", WITH_REDIS, async () => {
  await using server = await startRedis();
  using stream = await open(server);
  assert.equal(await canNumber(stream, KEY), true);
  assert.equal(await stream.command(["DBSIZE"]), 0);
});

Deno.test("keptSecret() returns the first stored secret to all", WITH_REDIS, async () => {
  await using server = await startRedis();
  using one = await open(server);
  using two = await open(server);
  const offered = ["a", "b", "c"].map((name) => name.repeat(16));
  const secrets = await Promise.all([
    keptSecret(one, KEY, offered[0]!),
    keptSecret(two, KEY, offered[1]!),
  ]);
  assert.equal(secrets[0], secrets[1]);
  assert.equal(await keptSecret(two, KEY, offered[2]!), secrets[0]);
});

Deno.test("keptSecret() does not keep a secret that can be guessed", WITH_REDIS, async () => {
  await using server = await startRedis();
  using stream = await open(server);
  await stream.command(["SET", `${KEY}:secret`, ""]);
  const offered = "a".repeat(16);
  assert.equal(await keptSecret(stream, KEY, offered), offered);
  assert.equal(await stream.command(["GET", `${KEY}:secret`]), offered);
});

Deno.test("ask() does not load a stream without an entry of a node", WITH_REDIS, async () => {
  await using server = await startRedis();
  using stream = await open(server);
  await stream.command(["XADD", KEY, "1735689600000-0", "order", "42"]);
  await assert.rejects(stream.ask({ kind: "load" }), /which turbo-deno has not written/);
});

for (
  const [version, refusal] of [
    ["6.2", "ERR Invalid stream ID specified as stream command argument"],
    ["6.0", "ERR Invalid stream ID specified as stream command argument"],
    ["4.0", "ERR unknown command 'XADD'"],
  ] as const
) {
  Deno.test(`canNumber() knows a server of version ${version}`, async () => {
    using server = fakeServer((command) => command === "XADD" ? `-${refusal}` : "+OK");
    using stream = await open(server);
    if (version === "4.0") await assert.rejects(canNumber(stream, KEY), { message: refusal });
    else assert.equal(await canNumber(stream, KEY), false);
  });
}

for (const refusal of ["READONLY You can't write against a read only replica.", "LOADING Redis"]) {
  Deno.test(`ask() ends with a server that answers ${refusal.split(" ")[0]}, as another may be the one`, async () => {
    using server = fakeServer(() => `-${refusal}`);
    using stream = await open(server);
    await assert.rejects(stream.ask(add(1, 5)), { name: "RefusedError", message: refusal });
  });
}

/** A server that answers each command with one line. */
function fakeServer(answer: (command: string) => string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns: Deno.Conn[] = [];
  (async () => {
    for await (const conn of listener) {
      conns.push(conn);
      serve(conn, answer).catch(() => {}); // it is closed
    }
  })();
  return {
    url: `redis://127.0.0.1:${listener.addr.port}`,
    [Symbol.dispose]() {
      listener.close();
      for (const conn of conns) conn.close();
    },
  };
}

async function serve(conn: Deno.Conn, answer: (command: string) => string): Promise<void> {
  const chunk = new Uint8Array(65_536);
  for (let length; (length = await conn.read(chunk)) !== null;) {
    const text = new TextDecoder().decode(chunk.subarray(0, length));
    for (const [, command] of text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
      await conn.write(new TextEncoder().encode(`${answer(command!)}\r\n`));
    }
  }
}
