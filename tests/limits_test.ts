import assert from "node:assert/strict";
import { createApp } from "../main.ts";
import { Turbo } from "../turbo/mod.ts";
import { connect, serve, until } from "./kit.ts";
import { ask, HANDSHAKE, RawSocket, request, statusOf } from "./raw.ts";

const UPGRADE = request("GET /turbo-stream HTTP/1.1", HANDSHAKE);
const EVENTS = request("GET /turbo-stream HTTP/1.1", { Host: "a", Accept: "text/event-stream" });

Deno.test("Turbo.connect() answers 503 with Retry-After beyond maxConnections, and frees places", async () => {
  const turbo = new Turbo({ maxConnections: 2 });
  await using server = serve((request) => turbo.connect(request));
  await using _first = await connect(server.url);
  {
    await using _second = await connect(server.url);
    for (const line of [UPGRADE, EVENTS]) {
      const { status, headers } = await ask(server.port, line);
      assert.equal(status, 503);
      assert.match(headers.get("retry-after")!, /^([5-9]|1[0-4])$/);
    }
  }
  await until(() => turbo.size === 1, "the second is gone");
  await using _third = await connect(server.url);
  await until(() => turbo.size === 2, "the third has its place");
});

Deno.test("Turbo.connect() counts connections that are being upgraded: 50 at once, 10 places", async () => {
  const turbo = new Turbo({ maxConnections: 10 });
  await using server = serve((request) => turbo.connect(request));
  const sockets = await Promise.all(Array.from({ length: 50 }, () => RawSocket.open(server.port)));
  await Promise.all(sockets.map((socket) => socket.write(UPGRADE)));
  const answers = await Promise.all(sockets.map((socket) => socket.read(12)));
  const statuses = answers.map((bytes) => new TextDecoder().decode(bytes.slice(9)));
  assert.equal(statuses.filter((status) => status === "101").length, 10);
  assert.equal(statuses.filter((status) => status === "503").length, 40);
  await Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]()));
  await until(() => turbo.size === 0, "all are gone");
});

Deno.test("Turbo.connect() frees the place of a client that leaves while being upgraded (100 times)", async () => {
  const turbo = new Turbo({ maxConnections: 3 });
  await using server = serve((request) => turbo.connect(request));
  for (let i = 0; i < 100; i++) {
    await using socket = await RawSocket.open(server.port);
    await socket.write(i % 2 === 0 ? UPGRADE : EVENTS);
  }
  await until(() => turbo.size === 0, "all are gone");
  const free = async () => await statusOf(server.port, EVENTS) === 200;
  await until(free, "a place is free");
  await using _first = await connect(server.url);
  await using _second = await connect(server.url);
  await until(() => turbo.size === 2, "only those are in");
});

Deno.test("Turbo.connect() admits maxConnectionsPerAddress from each address", async () => {
  const turbo = new Turbo({ maxConnectionsPerAddress: 1 });
  await using server = serve((request) =>
    turbo.connect(request, { address: request.headers.get("X-From") ?? "" })
  );
  await using one = await connect(server.url, { headers: { "X-From": "1" } });
  await using _two = await connect(server.url, { headers: { "X-From": "2" } });
  const again = request("GET /turbo-stream HTTP/1.1", { ...HANDSHAKE, "X-From": "1" });
  const { status, headers } = await ask(server.port, again);
  assert.equal(status, 503);
  assert(headers.has("retry-after"));
  one.socket.close();
  await until(() => turbo.size === 1, "the first is gone");
  await using _one = await connect(server.url, { headers: { "X-From": "1" } });
});

Deno.test("createApp() counts connections by network address", async () => {
  const app = createApp({ turbo: { maxConnectionsPerAddress: 1 } });
  await using server = serve((request, info) => app.hono.fetch(request, info));
  {
    await using _one = await connect(server.url);
    assert.equal(await statusOf(server.port, UPGRADE), 503);
  }
  await app.close(100);
});
