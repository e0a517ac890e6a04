import assert from "node:assert/strict";
import { Lines } from "./lines.ts";
import { addressOf } from "./readers/address.mjs";

/** Other systems have only one address of the loopback network, or the benchmarks do not run there. */
const LINUX = { ignore: Deno.build.os !== "linux" };

/** A server that remembers its connections and answers each first byte. */
function startServer() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.TcpConn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) {
      accepted.push(connection);
      await connection.read(new Uint8Array(1));
      await connection.write(new TextEncoder().encode("ok"));
    }
  })();
  return {
    port: listener.addr.port,
    accepted,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of accepted) connection.close();
    },
  };
}

/** Connects as a reader. `undefined` where it is refused. */
async function connect(lines: Lines, reader: number): Promise<Deno.TcpConn | undefined> {
  const connection = await Deno.connect({ hostname: addressOf(reader), port: lines.port });
  await connection.write(new Uint8Array(1)).catch(() => {});
  if (await read(connection) === "ok") return connection;
  connection.close();
  return undefined;
}

/** What arrives next; `undefined` where the connection has ended. */
async function read(connection: Deno.TcpConn): Promise<string | undefined> {
  const bytes = new Uint8Array(8);
  const length = await connection.read(bytes).catch(() => null);
  return length === null ? undefined : new TextDecoder().decode(bytes.subarray(0, length));
}

Deno.test(
  "Lines.lose() ends the line of one reader at both ends, and refuses it until it is restored",
  LINUX,
  async () => {
    await using server = startServer();
    await using lines = new Lines([server.port]);
    using lost = (await connect(lines, 300))!;
    using other = (await connect(lines, 301))!;
    lines.lose(addressOf(300), { isTold: true });
    assert.equal(await read(lost), undefined);
    assert.equal(await read(server.accepted[0]!), undefined);
    assert.equal(await connect(lines, 300), undefined);
    assert.equal(server.accepted.length, 2, "the server was not asked");
    await server.accepted[1]!.write(new TextEncoder().encode("on"));
    assert.equal(await read(other), "on");
    lines.restore(addressOf(300));
    using _again = (await connect(lines, 300))!;
    assert.equal(server.accepted.length, 3);
  },
);

Deno.test(
  "Lines.lose() leaves the server's end open where the server is not told",
  LINUX,
  async () => {
    await using server = startServer();
    let hasEnded = false;
    let ended: Promise<unknown>;
    {
      await using lines = new Lines([server.port]);
      using lost = (await connect(lines, 0))!;
      ended = read(server.accepted[0]!).then(() => hasEnded = true);
      lines.lose(addressOf(0), { isTold: false });
      assert.equal(await read(lost), undefined);
      lines.restore(addressOf(0));
      // What the relay had to do about the lost line is done when it has connected others.
      for (let reader = 0; reader < 3; reader++) (await connect(lines, reader))!.close();
      assert(!hasEnded);
    }
    await ended;
  },
);

Deno.test(
  "Lines connects readers to its targets in turn, and past one that refuses",
  LINUX,
  async () => {
    await using first = startServer();
    await using second = startServer();
    const gone = startServer();
    await gone[Symbol.asyncDispose]();
    await using lines = new Lines([first.port, gone.port, second.port]);
    for (let reader = 0; reader < 4; reader++) (await connect(lines, reader))!.close();
    assert.deepEqual([first.accepted.length, second.accepted.length], [2, 2]);
    lines.targets = [gone.port];
    assert.equal(await connect(lines, 0), undefined);
  },
);
