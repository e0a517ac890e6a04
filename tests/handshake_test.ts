import assert from "node:assert/strict";
import { Turbo, type TurboOptions } from "../turbo/mod.ts";
import { PROTOCOL, serve, type TestServer, until } from "./kit.ts";
import { ask, HANDSHAKE, RawSocket, request, statusOf } from "./raw.ts";

const GET = "GET /turbo-stream HTTP/1.1";
const KEY = HANDSHAKE["Sec-WebSocket-Key"]!;

type Overrides = Record<string, string | readonly string[] | undefined>;

/** The status of the answer, by the change in the handshake. */
const HANDSHAKES: readonly [name: string, status: number, changed: Overrides, line?: string][] = [
  ["as the RFC has it", 101, {}],
  ["header names in lower case", 101, {
    ...Object.fromEntries(Object.keys(HANDSHAKE).map((name) => [name, undefined])),
    ...Object.fromEntries(
      Object.entries(HANDSHAKE).map(([name, value]) => [name.toLowerCase(), value]),
    ),
  }],
  ["Upgrade: WebSocket", 101, { Upgrade: "WebSocket" }],
  ["Upgrade: h2c, websocket", 101, { Upgrade: "h2c, websocket" }],
  ["Connection: keep-alive, Upgrade", 101, { Connection: "keep-alive, Upgrade" }],
  ["Connection in two lines", 101, { Connection: ["keep-alive", "upgrade"] }],
  ["our sub-protocol among others", 101, { "Sec-WebSocket-Protocol": `a, ${PROTOCOL}` }],
  ["an unknown sub-protocol", 101, { "Sec-WebSocket-Protocol": "a" }],
  ["permessage-deflate", 101, { "Sec-WebSocket-Extensions": "permessage-deflate" }],
  ["a target in absolute form", 101, {}, "GET http://127.0.0.1/turbo-stream HTTP/1.1"],
  ["no version", 426, { "Sec-WebSocket-Version": undefined }],
  ["version 8", 426, { "Sec-WebSocket-Version": "8" }],
  ["version 12", 426, { "Sec-WebSocket-Version": "12" }],
  ["version 013", 426, { "Sec-WebSocket-Version": "013" }],
  ["version 13, 8", 426, { "Sec-WebSocket-Version": "13, 8" }],
  ["two versions", 426, { "Sec-WebSocket-Version": ["13", "13"] }],
  ["no key", 400, { "Sec-WebSocket-Key": undefined }],
  ["an empty key", 400, { "Sec-WebSocket-Key": "" }],
  ["a key of 15 bytes", 400, { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j" }],
  ["a key of 17 bytes", 400, { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZXg=" }],
  ["a key that is no base64", 400, { "Sec-WebSocket-Key": "!GhlIHNhbXBsZSBub25jZQ==" }],
  ["a key with bits left over", 400, { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZR==" }],
  ["two keys", 400, { "Sec-WebSocket-Key": [KEY, KEY] }],
  ["no Connection", 400, { Connection: undefined }],
  ["Connection: keep-alive", 400, { Connection: "keep-alive" }],
  ["no Upgrade", 426, { Upgrade: undefined }],
  ["Upgrade: h2c", 426, { Upgrade: "h2c", Connection: "Upgrade, HTTP2-Settings" }],
  ["Upgrade: websocket/13", 426, { Upgrade: "websocket/13" }],
  ["no Host", 400, { Host: undefined }],
  ["an empty Host", 400, { Host: "" }],
  ["two Hosts", 400, { Host: ["127.0.0.1", "evil.example"] }],
  ["a Host with a space", 400, { Host: "a b" }],
  ["a Host with a path", 400, { Host: "a/b" }],
  ["a Host with a query", 400, { Host: "a?b" }],
  ["a Host with a user", 400, { Host: "user@127.0.0.1" }],
  ["a Host with an open bracket", 400, { Host: "[::1" }],
  ["a Host with two ports", 400, { Host: "a:1:2" }],
  ["a Host with port 65536", 400, { Host: "a:65536" }],
  ["POST", 400, { "Content-Length": "0" }, "POST /turbo-stream HTTP/1.1"],
  ["HEAD", 400, {}, "HEAD /turbo-stream HTTP/1.1"],
  ["CONNECT", 400, {}, "CONNECT /turbo-stream HTTP/1.1"],
  ["PUT", 400, {}, "PUT /turbo-stream HTTP/1.1"],
  ["get", 400, {}, "get /turbo-stream HTTP/1.1"],
  ["BREW", 400, {}, "BREW /turbo-stream HTTP/1.1"],
  ["HTTP/1.2", 400, {}, "GET /turbo-stream HTTP/1.2"],
  ["HTTP/2.0 without its preface", 400, {}, "GET /turbo-stream HTTP/2.0"],
  ["HTTP/1.0 without Host", 400, { Host: undefined }, "GET /turbo-stream HTTP/1.0"],
  ["a body", 400, { "Content-Length": "4096" }],
  ["a malformed since", 400, {}, "GET /turbo-stream?since=%00 HTTP/1.1"],
  ["a malformed page", 400, {}, "GET /turbo-stream?page=a%20b HTTP/1.1"],
];

Deno.test(`Turbo.connect() opens a WebSocket only for valid handshakes (${HANDSHAKES.length})`, async () => {
  const errors: unknown[] = [];
  const { turbo, server } = start({ onError: (...error) => errors.push(error) });
  await using _ = server;
  const wrong: string[] = [];
  for (const [name, expected, changed, line = GET] of HANDSHAKES) {
    const status = await statusOf(server.port, request(line, { ...HANDSHAKE, ...changed }));
    if (status !== expected) wrong.push(`${name}: ${status} instead of ${expected}`);
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual(errors, []);
  await until(() => turbo.size === 0, "all are gone");
});

Deno.test("Turbo.connect() names the version that it supports when it rejects another", async () => {
  const { server } = start();
  await using _ = server;
  const answer = await ask(
    server.port,
    request(GET, { ...HANDSHAKE, "Sec-WebSocket-Version": "8" }),
  );
  assert.equal(answer.headers.get("sec-websocket-version"), "13");
  assert.equal(answer.headers.get("upgrade"), "websocket");
});

Deno.test("Turbo.connect() selects no sub-protocol where none is offered", async () => {
  const { server } = start();
  await using _ = server;
  for (const [offer, chosen] of [[`a, ${PROTOCOL}`, PROTOCOL], ["a", undefined]]) {
    const answer = await ask(
      server.port,
      request(GET, { ...HANDSHAKE, "Sec-WebSocket-Protocol": offer }),
    );
    assert.equal(answer.headers.get("sec-websocket-protocol"), chosen);
  }
});

Deno.test("Deno.serve() accepts HTTP/2 without TLS, over which no WebSocket can be opened", async () => {
  const { turbo, server } = start();
  await using _ = server;
  await using socket = await RawSocket.open(server.port);
  await socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  // An empty SETTINGS frame of the client, then the server's own: it must not name
  // SETTINGS_ENABLE_CONNECT_PROTOCOL (8), without which RFC 8441 allows no WebSocket.
  await socket.write(new Uint8Array([0, 0, 0, 4, 0, 0, 0, 0, 0]));
  const settings = await socket.read(9);
  assert.equal(settings[3], 4);
  const parameters = await socket.read(settings[1]! * 256 + settings[2]!);
  for (let at = 0; at < parameters.length; at += 6) assert.notEqual(parameters[at + 1], 8);
  assert.equal(turbo.size, 0);
});

// A limit of the platform: neither Request nor Deno.ServeHandlerInfo has the HTTP version. This lets
// in nobody who may not connect, because Host, Origin and key are checked all the same.
Deno.test("Turbo.connect() cannot see that a handshake with Host is HTTP/1.0, and accepts it", async () => {
  const { server } = start();
  await using _ = server;
  const status = await statusOf(server.port, request("GET /turbo-stream HTTP/1.0", HANDSHAKE));
  assert.equal(status, 101);
});

/** Whether a page of this origin may connect to http://127.0.0.1:8000 or the allowed one. */
const ORIGINS: readonly [origin: string | readonly string[] | undefined, allowed: boolean][] = [
  [undefined, true],
  ["http://127.0.0.1:8000", true],
  ["https://127.0.0.1:8000", true], // behind TLS, whoever ends it passes on the Host
  ["HTTP://127.0.0.1:8000", true],
  ["https://friend.example", true],
  ["https://friend.example:443", true],
  ["http://friend.example", false],
  ["http://127.0.0.1", false],
  ["http://127.0.0.1:8001", false],
  ["http://127.0.0.1.evil.example:8000", false],
  ["http://127.0.0.1:8000@evil.example", false],
  ["http://evil.example@127.0.0.1:8000", false],
  ["http://127.0.0.1:8000/", false],
  ["http://127.0.0.1:8000/path", false],
  ["http://127.0.0.1:8000?query", false],
  ["http://127.0.0.1:8000#hash", false],
  ["http:\\\\127.0.0.1:8000", false],
  ["127.0.0.1:8000", false],
  ["ftp://127.0.0.1:8000", false],
  ["file://", false],
  ["javascript:alert(1)", false],
  ["http://evil.example", false],
  ["http://127.0.0.1:8000 http://evil.example", false],
  [["http://127.0.0.1:8000", "http://evil.example"], false],
  ["null", false],
  ["", false],
];

for (const transport of ["a WebSocket", "server-sent events"] as const) {
  Deno.test(`Turbo.connect() opens ${transport} only for its own and allowed origins (${ORIGINS.length})`, async () => {
    const { server } = start({ allowedOrigins: ["https://friend.example"] });
    await using _ = server;
    const headers = transport === "a WebSocket" ? HANDSHAKE : { Accept: "text/event-stream" };
    const wrong: string[] = [];
    for (const [Origin, allowed] of ORIGINS) {
      const status = await statusOf(
        server.port,
        request(GET, { ...headers, Host: "127.0.0.1:8000", Origin }),
      );
      const expected = !allowed ? 403 : transport === "a WebSocket" ? 101 : 200;
      if (status !== expected) wrong.push(`${Origin}: ${status} instead of ${expected}`);
    }
    assert.deepEqual(wrong, []);
  });
}

/** A server with only a stream. */
function start(options: TurboOptions = {}): { turbo: Turbo; server: TestServer } {
  const turbo = new Turbo({ onNotice() {}, ...options });
  return { turbo, server: serve((request) => turbo.connect(request)) };
}
