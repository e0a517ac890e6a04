import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { connect, connected, serve, type TestClient, within } from "../tests/kit.ts";
import { append, html, Turbo, type TurboOptions } from "./mod.ts";
import { parseFrame, PROTOCOL, REFRESH, sinceOf } from "./protocol.ts";
import { sign, Signer, verify } from "./token.ts";

const SECRET = "a secret of these tests";
const HOUR = 60 * 60 * 1000;
const SECRET_LINE = append("lines", html`<p>for the room alone</p>`);

function grant(overrides: Partial<Parameters<typeof sign>[0]> = {}, secret = SECRET): string {
  return sign(
    {
      path: "/turbo-stream",
      topics: ["room"],
      reader: "ann",
      from: "life.0",
      expires: Date.now() + HOUR,
      ...overrides,
    },
    secret,
  );
}

function forge(payload: string, secret = SECRET): string {
  const encoded = btoa(payload).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `${encoded}.${createHmac("sha256", secret).update(encoded).digest("base64url")}`;
}

function alter(token: string, index: number): string {
  const other = token[index] === "A" ? "B" : "A";
  return token.slice(0, index) + other + token.slice(index + 1);
}

const good = grant();
const dot = good.indexOf(".");
const payload = {
  purpose: "turbo-stream",
  path: "/turbo-stream",
  topics: ["room"],
  from: "life.0",
  expires: Date.now() + HOUR,
};
const bad: Record<string, string> = {
  "altered first byte": alter(good, 0),
  "altered byte of the payload": alter(good, dot - 5),
  "altered first byte of the signature": alter(good, dot + 1),
  "altered last byte": alter(good, good.length - 1),
  "one byte less": good.slice(0, -1),
  "one byte more": `${good}A`,
  "other key": grant({}, "another secret of these tests"),
  "other app": grant({ path: "/other/turbo-stream" }),
  "no path": forge(JSON.stringify({ ...payload, path: undefined })),
  "no cursor": forge(JSON.stringify({ ...payload, from: undefined })),
  "other log": grant({ from: "other.0" }),
  "expired": grant({ expires: Date.now() - 1 }),
  "expires never": forge(JSON.stringify({ ...payload, expires: "never" })),
  "other purpose": forge(JSON.stringify({ ...payload, purpose: "password-reset" })),
  "no purpose": forge(JSON.stringify({ ...payload, purpose: undefined })),
  "other reader": grant({ reader: "bob" }),
  "a reader of another kind": forge(JSON.stringify({ ...payload, reader: 1 })),
  "blank": "%20",
  "a dot": ".",
  "three parts": `${good}.${good}`,
  "payload alone": good.slice(0, dot),
  "signature alone": good.slice(dot),
  "no JSON": forge("{"),
  "null": forge("null"),
  "a list": forge("[]"),
  "topics that are none": forge(JSON.stringify({ ...payload, topics: "room" })),
  "topics of another kind": forge(JSON.stringify({ ...payload, topics: [{}] })),
  "prototype": "__proto__.constructor",
  "markup and escape sequences": "<script>\u001b[31m\u0000.x",
  "brackets": "[object Object]",
};

Deno.test("verify() returns the claims that were signed", () => {
  const expires = Date.now() + HOUR;
  const signed = { path: "/a", topics: ["a", "ü"], reader: "ann", from: "e.1", expires };
  assert.deepEqual(verify(sign(signed, SECRET), SECRET), signed);
});

Deno.test("verify() rejects each token that is not ours, and does not throw", () => {
  for (const [name, token] of Object.entries(bad)) {
    if (!/^other (reader|app|log)$/.test(name)) {
      assert.equal(verify(token, SECRET), undefined, name);
    }
  }
});

Deno.test("verify() rejects a token at the moment of its expiry", () => {
  const token = grant({ expires: 1_000 });
  assert(verify(token, SECRET, 999));
  assert.equal(verify(token, SECRET, 1_000), undefined);
});

Deno.test("verify() rejects a token with any one character changed", () => {
  for (let index = 0; index < good.length; index++) {
    assert.equal(verify(alter(good, index), SECRET), undefined, `character ${index}`);
  }
});

Deno.test("verify() rejects 1 MB without hashing it", () => {
  const token = "a.".padEnd(1 << 20, "b");
  const hashing = fastest(() => createHmac("sha256", SECRET).update(token).digest());
  const refusing = fastest(() => assert.equal(verify(token, SECRET), undefined));
  assert(refusing < hashing / 5, `${refusing} ms, and to hash it takes ${hashing} ms`);
});

/** The least of 20 times, in milliseconds, because the others may include an interruption. */
function fastest(act: () => void): number {
  const times = Array.from({ length: 20 }, () => {
    const start = performance.now();
    act();
    return performance.now() - start;
  });
  return Math.min(...times);
}

/** Starts a server with a `Turbo`, and collects its errors and notices. */
function room(options: TurboOptions = {}) {
  const logged: unknown[] = [];
  const turbo = new Turbo({
    secret: SECRET,
    log: { epoch: "life" },
    onError: (...entry) => logged.push(entry),
    onNotice: (notice) => logged.push(notice),
    ...options,
  });
  const server = serve((request) => turbo.connect(request, { as: "ann" }));
  return {
    turbo,
    logged,
    url: server.url,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A page that sends its token and its cursor in its first message. */
async function listen(url: string, turbo: Turbo, token?: string): Promise<TestClient> {
  const reader = await connect(url, { protocol: PROTOCOL });
  await reader.next();
  reader.socket.send(sinceOf({ cursor: turbo.cursor, token }));
  return reader;
}

/** The next message as pairs of cursor and HTML. */
async function next(reader: TestClient): Promise<[cursor: string, html: string][]> {
  return parseFrame(await reader.next()).map(({ cursor, html }) => [cursor, html]);
}

Deno.test("Turbo.connect() subscribes a page with a signed token to its topics", async () => {
  await using at = room();
  await using reader = await listen(at.url, at.turbo, good);
  assert.deepEqual(await next(reader), [[at.turbo.cursor, ""]]);
  assert.equal(at.turbo.push(SECRET_LINE, { topic: "room" }), 1);
  assert.deepEqual(await next(reader), [[at.turbo.cursor, String(SECRET_LINE)]]);
});

Deno.test("Turbo.connect() answers each invalid token with a marker and a refresh, and nothing else", async () => {
  for (const [name, token] of Object.entries(bad)) {
    await using at = room();
    const { cursor } = at.turbo;
    const query = new URLSearchParams({ since: cursor, token });
    const stream = await fetch(`${at.url}/turbo-stream?${query}`, {
      headers: { Accept: "text/event-stream" },
    });
    assert.equal(at.turbo.push(SECRET_LINE, { topic: "room" }), 0, name);
    at.turbo.push(append("lines", "for all"));
    const forAll = at.turbo.cursor;
    await at.turbo.close({ window: 0 });
    const events = (await within(stream.text(), "the end")).split("\n\n");
    assert.match(events.shift()!, new RegExp(`event: cursor\nid: ${cursor}\ndata:$`), name);
    assert.equal(events.shift(), `id: ${cursor}\ndata: ${REFRESH}`, name);
    assert.match(events.shift()!, new RegExp(`^id: ${forAll}\ndata: .*for all`), name);
    assert.deepEqual(events, [""], name);
    assert.deepEqual(at.logged, [], name);
  }
});

Deno.test("Turbo.connect() rejects each invalid token in a since, and unsubscribes the earlier one", async () => {
  for (const [name, token] of Object.entries(bad)) {
    if (/\s/.test(token)) continue; // white space makes it a message of another form
    await using at = room();
    await using reader = await listen(at.url, at.turbo, good);
    await reader.next();
    assert.equal(at.turbo.listeners({ topic: "room" }), 1);
    const { cursor } = at.turbo;
    reader.socket.send(`since ${cursor} ${token} page-2`);
    assert.deepEqual(await next(reader), [[cursor, ""]], name);
    assert.deepEqual(await next(reader), [[cursor, REFRESH]], name);
    assert.equal(at.turbo.push(SECRET_LINE, { topic: "room" }), 0, name);
    assert.deepEqual(at.logged, [], name);
  }
});

Deno.test("Turbo.connect() sends a page without topics what it missed, not a refresh", async () => {
  for (const message of ["since CURSOR", "since CURSOR - page-2", "since CURSOR  page-2"]) {
    await using at = room();
    await using reader = await listen(at.url, at.turbo);
    await reader.next();
    const { cursor } = at.turbo;
    reader.socket.send(message.replace("CURSOR", cursor));
    assert.deepEqual(await next(reader), [[cursor, ""]]);
    at.turbo.push(SECRET_LINE);
    assert.match(await reader.next(), /for the room/, message);
  }
});

Deno.test("Turbo.connect() delivers nothing for a token of 1 MB", async () => {
  await using at = room();
  const huge = "a".repeat(1 << 20);
  await using reader = await listen(at.url, at.turbo);
  await reader.next();
  reader.socket.send(sinceOf({ cursor: at.turbo.cursor, token: huge }));
  assert.equal((await within(reader.closed, "the close")).code, 1009);
  const path = `/turbo-stream?since=${at.turbo.cursor}&token=${huge}`;
  const tooLong = await fetch(at.url + path, { headers: { Accept: "text/event-stream" } })
    .catch((error: Error) => error); // the platform itself may reject such a request
  if (tooLong instanceof Response) await tooLong.body?.cancel();
  assert.equal(at.turbo.listeners({ topic: "room" }), 0);
  assert.deepEqual(at.logged, []);
});

Deno.test("Turbo.connect() uses the token of the page that is shown now", async () => {
  await using at = room();
  await using reader = await listen(at.url, at.turbo, good);
  await reader.next();
  reader.socket.send(sinceOf({
    cursor: at.turbo.cursor,
    token: grant({ topics: ["attic"] }),
    page: "page-2",
  }));
  await reader.next();
  const whom = [{ topic: "room" }, { topic: "attic" }, "ann"];
  assert.deepEqual(whom.map((whom) => at.turbo.listeners(whom)), [0, 1, 1]);
  assert.equal(at.turbo.size, 1);
});

Deno.test("Turbo.head() signs topics for one reader", async () => {
  await using at = room();
  const token = /data-token="([^"]+)"/.exec(
    String(at.turbo.head({ topics: ["room"], as: "bob" })),
  )!;
  await using _reader = await listen(at.url, at.turbo, token[1]!);
  await connected(at.turbo);
  assert.equal(at.turbo.listeners({ topic: "room" }), 0);
});

Deno.test("Turbo.head() throws on topics that a page could not send back", () => {
  const turbo = new Turbo({ secret: SECRET });
  const topics = (count: number) =>
    Array.from({ length: count }, (_, i) => `${i}`.padStart(100, "t"));
  turbo.head({ topics: topics(20) });
  assert.throws(() => turbo.head({ topics: topics(40) }), /Cannot sign 40 topics/);
});

Deno.test("Turbo.head() reports once that a random key signs, and not without topics", () => {
  const notices: string[] = [];
  const turbo = new Turbo({ onNotice: (notice) => notices.push(notice) });
  turbo.head();
  assert.equal(notices.length, 0);
  turbo.head({ topics: ["a"] });
  turbo.head({ topics: ["b"] });
  assert.equal(notices.length, 1);
  assert.match(notices[0]!, /TURBO_SECRET/);
});

Deno.test("Turbo.head() reports the random key also after a foreign token was verified", async () => {
  const notices: string[] = [];
  const turbo = new Turbo({ onNotice: (notice) => notices.push(notice) });
  await using server = serve((request) => turbo.connect(request));
  await using reader = await listen(server.url, turbo, good);
  await reader.next();
  turbo.head({ topics: ["a"] });
  assert.equal(notices.length, 1);
});

Deno.test("Signer signs with the secret that is set, also when an engine has kept another", () => {
  const options = { lifetime: HOUR, onNotice() {} };
  const said = { path: "/a", topics: ["a"], reader: undefined, from: "e.1" };
  const signer = new Signer({ ...options, secret: "x".repeat(16) });
  signer.kept = "a secret of an engine";
  assert(verify(signer.sign(said), "x".repeat(16)));
  const other = new Signer({ ...options, secret: undefined });
  other.kept = "a secret of an engine";
  assert(verify(other.sign(said), "a secret of an engine"));
});

Deno.test("Turbo.head() signs for the lifetime that is set", () => {
  const turbo = new Turbo({ secret: "x".repeat(16), tokenLifetime: HOUR });
  const before = Date.now();
  const [, token] = /data-token="([^"]+)"/.exec(String(turbo.head({ topics: ["a"] })))!;
  const { expires } = verify(token!, "x".repeat(16))!;
  assert(before + HOUR <= expires && expires <= Date.now() + HOUR, `${expires - before} ms`);
});
