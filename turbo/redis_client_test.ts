import assert from "node:assert/strict";
import { startRedis, WITH_REDIS } from "../tests/redis_server.ts";
import { freePort, serve, until, within } from "../tests/kit.ts";
import { connect, type Connection, serverOf } from "./redis_client.ts";
import { failureOf } from "./redis_errors.ts";

const forever = new AbortController().signal;

/** Opens a connection, or returns the message for the operator. */
async function attempt(url: string): Promise<Connection | string> {
  const server = serverOf(url)!;
  try {
    const connection = await within(connect(server, forever), "a connection");
    try {
      await within(connection.command(["XRANGE", "key", "-", "+"]), "an answer");
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  } catch (error) {
    const { reason, isFatal } = failureOf(error, { server: server.name, key: "key" });
    return `${isFatal ? "fatal" : "again"}: ${reason}`;
  }
}

Deno.test("serverOf() parses URLs of Redis, and no others", () => {
  const plain = { isTls: false, username: undefined, password: undefined, database: 0 };
  const at = (host: string, port = 6379) => ({ ...plain, host, port, name: `${host}:${port}` });
  assert.deepEqual(serverOf("redis://localhost"), at("localhost"));
  assert.deepEqual(serverOf("redis://localhost/"), at("localhost"));
  assert.deepEqual(serverOf("redis://10.0.0.1:7000"), at("10.0.0.1", 7000));
  assert.deepEqual(serverOf("rediss://user:a%40b%3A%2F@db.example:1/12"), {
    ...at("db.example", 1),
    isTls: true,
    username: "user",
    password: "a@b:/",
    database: 12,
  });
  assert.deepEqual(serverOf("redis://:pass@[::1]:7000"), {
    ...at("::1", 7000),
    password: "pass",
    name: "[::1]:7000",
  });
  const wrong = ["", "localhost", "http://localhost", "redis://", "redis:", "redis:///1"];
  wrong.push("redis://localhost/x", "redis://localhost/1/2", "redis://localhost:99999");
  wrong.push("redis://:%zz@localhost", "redis://:pa#ss@localhost", "redis://localhost?tls=true");
  for (const url of wrong) assert.equal(serverOf(url), undefined, url);
});

Deno.test("connect() reports what is wrong, and the remedy", WITH_REDIS, async () => {
  await using open = await startRedis();
  await using locked = await startRedis({ args: ["--requirepass", "right"] });
  await open.cli("ACL", "SETUSER", "poor", "on", ">poor", "~key", "+get");
  await using other = serve(() => new Response("hello"));
  const nobody = `127.0.0.1:${freePort()}`;
  const user = (server: { name: string }, credentials: string) =>
    `redis://${credentials}@${server.name}`;
  const cases: [url: string, said: RegExp][] = [
    [locked.url, /^fatal: it needs a password, and the URL has none \(NOAUTH /],
    [user(locked, ":mistaken"), /^fatal: the URL has a wrong user or password \(WRONGPASS /],
    [user(locked, "ann:right"), /^fatal: the URL has a wrong user or password \(WRONGPASS /],
    [user(open, ":mistaken"), /^fatal: it has no password, and the URL has one \(ERR AUTH /],
    [
      user(open, "poor:poor"),
      /^fatal: the user lacks .+ allow the keys key and key:\*, .+NOPERM/,
    ],
    [`${open.url}/99`, /^fatal: there is no such database: .+ERR DB index/],
    [`redis://127.0.0.1:${other.port}`, /^fatal: it is not a Redis server/],
    [`rediss://127.0.0.1:${other.port}`, /^fatal: it does not use TLS: write redis:\/\/ /],
    [`redis://${nobody}`, new RegExp(`^again: connect ECONNREFUSED ${nobody}$`)],
  ];
  for (const [url, said] of cases) {
    // Deno 2.5 keeps the timer of a socket that is closed while it is read, and says that TLS is there before
    // it is.
    if (Deno.version.deno.startsWith("2.5.") && url.endsWith(`:${other.port}`)) continue;
    const result = await attempt(url);
    assert(typeof result === "string", url);
    assert.match(result, said);
    assert.doesNotMatch(result, /:mistaken|:right|\n/, url);
  }
  await open.cli("SET", "key", "something else");
  const taken = await attempt(open.url);
  assert.match(`${taken}`, /^fatal: the key key or key:secret holds something else: .+WRONGTYPE/);
});

Deno.test("connect() takes user, password and database from the URL", WITH_REDIS, async () => {
  await using server = await startRedis();
  await server.cli("ACL", "SETUSER", "ann@home", "on", ">p@ss:/ w%rd", "~*", "+@all");
  const url = `redis://${encodeURIComponent("ann@home")}:${encodeURIComponent("p@ss:/ w%rd")}@`;
  const connection = await attempt(`${url}${server.name}/3`);
  assert(typeof connection !== "string", `${connection}`);
  await connection.command(["SET", "here", "1"]);
  connection.close();
  assert.equal(await server.cli("-n", "3", "GET", "here"), "1");
});

Deno.test(
  "connect() answers in order, and sends commands of one turn together",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    const connection = await connect(serverOf(server.url)!, forever);
    const texts = Array.from({ length: 1_000 }, (_, n) => `${n} ä€😀`.repeat(n % 50));
    const order: string[] = [];
    await Promise.all(texts.map(async (text) => {
      order.push(await connection.command(["ECHO", text]) as string);
    }));
    assert.deepEqual(order, texts);
    connection.close();
  },
);

Deno.test(
  "A connection reports once that it has ended, and unanswered commands reject",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    const connection = await connect(serverOf(server.url)!, forever);
    const blocked = connection.command(["XREAD", "BLOCK", "0", "STREAMS", "key", "0-0"]);
    const message = /^Socket closed unexpectedly$|^read ECONNRESET$/;
    const rejected = assert.rejects(blocked, { message });
    // One that is sent only after the end would be rejected with the reason of its write.
    await until(async () => /cmd=xread/.test(await server.cli("CLIENT", "LIST")), "it is sent");
    await server.kill();
    assert.match((await within(connection.ended, "its end")).message, message);
    await rejected;
    await assert.rejects(connection.command(["PING"]), Error);
    connection.close();
    await server.restart();
    assert.doesNotMatch(await server.cli("CLIENT", "LIST"), /cmd=xread/, "and does not come back");
  },
);

Deno.test("A closed connection reports nothing more", WITH_REDIS, async () => {
  await using server = await startRedis();
  const connection = await connect(serverOf(server.url)!, forever);
  let ended = 0;
  connection.ended.then(() => ended++);
  const blocked = connection.command(["XREAD", "BLOCK", "0", "STREAMS", "key", "0-0"]);
  connection.close();
  await assert.rejects(blocked, Error);
  connection.close();
  await until(async () => !/cmd=xread/.test(await server.cli("CLIENT", "LIST")), "it is gone");
  assert.equal(ended, 0);
});

Deno.test(
  "connect() can be aborted, even with a server that does not answer",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    server.pause();
    const end = new AbortController();
    const url = `redis://:password@${server.name}`; // so that there is something to wait for
    const connecting = connect(serverOf(url)!, end.signal);
    const reason = new Error("enough");
    setTimeout(() => end.abort(reason), 50);
    await assert.rejects(within(connecting, "the end"), reason);
    await assert.rejects(connect(serverOf(url)!, AbortSignal.abort(reason)), reason);
    server.resume();
  },
);

Deno.test("failureOf() shows no argument of a command, because one may be the password", () => {
  const error = new Error("ERR unknown command 'AUTH', with args beginning with: 'ann' 'secret' ");
  assert.deepEqual(failureOf(error, { server: "h:1", key: "k" }), {
    reason:
      "it is too old, or a command is renamed: Redis 5 is needed (ERR unknown command 'AUTH')",
    isFatal: true,
  });
});

Deno.test("failureOf() distinguishes failures that may pass", () => {
  const said = (message: string) => failureOf(new Error(message), { server: "h:1", key: "k" });
  for (const message of ["OOM command not allowed", "LOADING", "getaddrinfo ENOTFOUND db", ""]) {
    assert.deepEqual(said(message), { reason: message, isFatal: false });
  }
  assert.deepEqual(said("Socket closed unexpectedly"), {
    reason: "it has closed the connection",
    isFatal: false,
  });
  assert.deepEqual(said("getaddrinfo EPERM h"), {
    reason: "Deno needs --allow-net=h:1 (getaddrinfo EPERM h)",
    isFatal: true,
  });
  assert.deepEqual(said("DENIED Redis is running in protected mode\nbecause").isFatal, true);
});
