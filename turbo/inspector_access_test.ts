import assert from "node:assert/strict";
import { refusalOf } from "./inspector_access.ts";

const TOKEN = "a-long-enough-token";
const HERE = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 50_000 } };
const BROWSER = { Host: "localhost:8000", Connection: "keep-alive" };

function request(
  {
    headers = {},
    env = HERE as unknown,
    token = undefined as string | undefined,
    isStream = false,
  },
): Response | undefined {
  const raw = new Request("http://localhost:8000/inspector", {
    headers: { ...BROWSER, ...headers },
  });
  return refusalOf({ req: { raw }, env }, { token, isStream });
}

async function why(parts: Parameters<typeof request>[0]): Promise<string> {
  const answer = request(parts);
  assert.equal(answer?.status, 403);
  const text = await answer.text();
  assert.match(text, /^The inspector is for a browser on this machine, and .+\n$/);
  assert.match(text, /turbo\.inspector\(\{ token \}\)/);
  return text;
}

Deno.test("refusalOf() accepts a browser on this machine, by any loopback name and address", () => {
  for (
    const Host of ["localhost", "127.0.0.1:8000", "[::1]:8000", "app.localhost:1", "LOCALHOST"]
  ) {
    assert.equal(request({ headers: { Host } }), undefined, Host);
  }
  for (const hostname of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(request({ env: { remoteAddr: { hostname } } }), undefined, hostname);
  }
  const handshake = { Connection: "keep-alive, Upgrade", Upgrade: "websocket" };
  assert.equal(request({ headers: handshake, isStream: true }), undefined);
});

Deno.test("refusalOf() reads the address as Deno, Node and Bun tell it", async () => {
  const socket = (remoteAddress: string) => ({ incoming: { socket: { remoteAddress } } });
  const bun = (address: string) => ({ requestIP: () => ({ address }) });
  for (const tell of [socket, bun, (address: string) => ({ server: bun(address) })]) {
    assert.equal(request({ env: tell("127.0.0.1") }), undefined);
    assert.match(await why({ env: tell("192.168.1.5") }), /from "192\.168\.1\.5"/);
  }
});

Deno.test("refusalOf() rejects a client elsewhere, and one whose address is unknown", async () => {
  for (
    const hostname of ["192.168.1.5", "1.127.0.0", "::ffff:10.0.0.1", "127.0.0.1.evil.example"]
  ) {
    assert.match(await why({ env: { remoteAddr: { hostname } } }), /this request is from/);
  }
  const unix = { remoteAddr: { transport: "unix", path: "/run/app.sock" } };
  for (const env of [null, {}, unix, { requestIP: () => null }]) {
    assert.match(await why({ env }), /address is unknown: give app\.fetch all/);
  }
});

Deno.test("refusalOf() rejects what came through a proxy on this machine", async () => {
  for (
    const name of [
      "X-Forwarded-For",
      "X-Forwarded-Proto",
      "X-Original-Forwarded-For",
      "X-Envoy-External-Address",
      "X-Client-IP",
      "X-Cluster-Client-IP",
      "True-Client-IP",
      "Fastly-Client-IP",
      "CF-Ray",
      "CDN-Loop",
      "Forwarded",
      "Via",
      "X-Real-IP",
    ]
  ) {
    assert.match(
      await why({ headers: { [name]: "1" } }),
      new RegExp(`proxy.+${name.toLowerCase()}`),
    );
  }
});

Deno.test("refusalOf() rejects the Connection header of an nginx that adds no other header", async () => {
  for (const Connection of ["close", "", "upgrade"]) {
    assert.match(await why({ headers: { Connection } }), /Connection: keep-alive/);
  }
  // `proxy_set_header Connection "upgrade"` for every request, and a client that adds Upgrade.
  const forged = { Connection: "upgrade", Upgrade: "websocket" };
  assert.match(await why({ headers: forged }), /keep-alive/);
});

Deno.test("refusalOf() rejects another host, as with DNS rebinding", async () => {
  for (const Host of ["evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example"]) {
    assert.match(await why({ headers: { Host } }), new RegExp(`the host "${Host}"`));
  }
  assert.equal(request({ headers: { Host: "a b" } })?.status, 400);
});

Deno.test("refusalOf() with a token asks for it, and accepts whoever has it, from anywhere", () => {
  const basic = (text: string) => `Basic ${btoa(text)}`;
  const elsewhere = { Host: "app.example", Connection: "close", Via: "1.1 proxy" };
  const env = { remoteAddr: { hostname: "203.0.113.9" } };
  const ask = (authorization?: string) =>
    request({
      headers: { ...elsewhere, ...(authorization !== undefined && { authorization }) },
      env,
      token: TOKEN,
    });
  for (const right of [basic(`:${TOKEN}`), basic(`me:${TOKEN}`), `basic ${btoa(`:${TOKEN}`)}`]) {
    assert.equal(ask(right), undefined, right);
  }
  const wrong = [
    `me:${TOKEN}x`,
    `me:${TOKEN.slice(1)}`,
    `me:x${TOKEN.slice(1)}`,
    "me:",
    TOKEN + ":",
  ];
  for (const authorization of [undefined, "Basic", "Bearer x", ...wrong.map(basic)]) {
    const answer = ask(authorization);
    assert.equal(answer?.status, 401, authorization);
    assert.match(
      answer.headers.get("WWW-Authenticate") ?? "",
      /^Basic realm="[^"]+", charset="UTF-8"$/,
    );
  }
  assert.equal(request({ token: TOKEN })?.status, 401, "on this machine, too");
});
