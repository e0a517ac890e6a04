import assert from "node:assert/strict";
import { HANDSHAKE } from "../tests/raw.ts";
import { connect, serve, serveStream, type TestClient, until, within } from "../tests/kit.ts";
import { html } from "./html.ts";
import { parseFrame, PROTOCOL, REFRESH, sinceOf } from "./protocol.ts";
import { append, replace } from "../tests/stream_texts.ts";
import { Turbo } from "./turbo.ts";
import { WebSocketCarrier } from "./websocket.ts";

const box = (n: number) => replace("box", html`<b id="box">${n}</b>`);
const item = (n: number) => append("list", html`<li>${n}</li>`);

function follow(url: string, since: string, query = ""): Promise<TestClient> {
  return connect(url, { path: `/turbo-stream?since=${since}${query}`, protocol: PROTOCOL });
}

/** The next message, as pairs of cursor and HTML. */
async function next(client: TestClient): Promise<[cursor: string, html: string][]> {
  return parseFrame(await client.next()).map(({ cursor, html }) => [cursor, html]);
}

// ---- The sub-protocol

Deno.test("A since in the URL is answered by its marker, what was missed, and later pushes", async () => {
  await using server = serveStream();
  const { turbo } = server;
  const since = turbo.cursor;
  turbo.push(item(1));
  const first = turbo.cursor;
  turbo.push(item(2));
  await using client = await follow(server.url, since);
  assert.equal(client.socket.protocol, PROTOCOL);
  assert.equal(await client.next(), `[["${since}",""]]`);
  assert.deepEqual(await next(client), [[first, item(1)], [turbo.cursor, item(2)]]);
  turbo.push(item(3));
  assert.deepEqual(await next(client), [[turbo.cursor, item(3)]]);
});

Deno.test("A later since goes back to its cursor, after its marker", async () => {
  await using server = serveStream();
  const { turbo } = server;
  const begin = turbo.cursor;
  await using client = await follow(server.url, begin);
  assert.deepEqual(await next(client), [[begin, ""]]);
  turbo.push(item(1));
  await client.next();
  client.socket.send(`since ${begin}`);
  assert.deepEqual(await next(client), [[begin, ""]]);
  assert.deepEqual(await next(client), [[turbo.cursor, item(1)]]);
});

Deno.test("A since at the newest position is answered by its marker and nothing else", async () => {
  await using server = serveStream();
  const { turbo } = server;
  turbo.push(item(1));
  await using client = await follow(server.url, turbo.cursor);
  client.socket.send(`since ${turbo.cursor}`);
  assert.deepEqual(await next(client), [[turbo.cursor, ""]]);
  assert.deepEqual(await next(client), [[turbo.cursor, ""]]);
  turbo.push(item(2));
  assert.deepEqual(await next(client), [[turbo.cursor, item(2)]]);
});

Deno.test("Ten pushes of one turn are one message with ten cursors", async () => {
  await using server = serveStream();
  const { turbo } = server;
  await using client = await follow(server.url, turbo.cursor);
  await client.next();
  const expected = Array.from({ length: 10 }, (_, n) => {
    turbo.push(item(n));
    return [turbo.cursor, item(n)];
  });
  assert.deepEqual(await next(client), expected);
});

Deno.test("States of several targets are one message a turn, in order, and each supersedes its own", async () => {
  await using server = serveStream();
  const { turbo } = server;
  const state = {
    box: (n: number) => replace("box", html`<div id="box">${n}</div>`, { morph: true }),
    title: (n: number) => replace("title", html`<title id="title">${n}</title>`, { morph: true }),
    icon: (n: number) => replace("icon", html`<link id="icon" rel="icon" href="/${n}">`),
  };
  const states = Object.values(state);
  const pushAll = (n: number) => states.map((one) => (turbo.push(one(n)), turbo.cursor));
  const since = turbo.cursor;
  await using plain = await connect(server.url);
  await using reader = await follow(server.url, since);
  await reader.next();
  pushAll(1); // superseded before it leaves
  const cursors = pushAll(2);
  const newest = states.map((one) => one(2));
  assert.deepEqual(await next(reader), newest.map((html, n) => [cursors[n], html]));
  assert.equal(await plain.next(), newest.join(""));
  pushAll(3);
  turbo.push(state.title(4));
  await using late = await follow(server.url, since);
  await late.next();
  const kept = [state.box(3), state.icon(3), state.title(4)];
  assert.deepEqual((await next(late)).map(([, html]) => html), kept);
});

Deno.test("A reader who was away gets the newest box and each event", async () => {
  await using server = serveStream();
  const { turbo } = server;
  const since = turbo.cursor;
  for (let n = 0; n < 100; n++) turbo.push(box(n));
  turbo.push(item(1));
  await using client = await follow(server.url, since);
  await client.next();
  assert.deepEqual((await next(client)).map(([, html]) => html), [box(99), item(1)]);
});

const gaps: [string, (turbo: Turbo) => string][] = [
  ["of another epoch", () => "other.1"],
  ["from the future", (turbo) => turbo.cursor.replace(/\d+$/, "999")],
  ["of no known form", () => "nonsense"],
  ["older than the log", (turbo) => {
    const { cursor } = turbo;
    for (let n = 0; n < 10; n++) turbo.push(item(n));
    return cursor;
  }],
];
for (const [name, make] of gaps) {
  Deno.test(`A cursor ${name} is a gap: the marker and one refresh, then later pushes`, async () => {
    await using server = serveStream({ log: { maxEntries: 3 } });
    const { turbo } = server;
    const cursor = make(turbo);
    await using client = await follow(server.url, cursor);
    assert.deepEqual(await next(client), [[cursor, ""]]);
    assert.deepEqual(await next(client), [[turbo.cursor, REFRESH]]);
    turbo.push(item(1));
    assert.deepEqual(await next(client), [[turbo.cursor, item(1)]]);
  });
}

Deno.test("A since that is malformed is refused: 400 in the URL, 1008 on the connection", async () => {
  await using server = serveStream();
  const headers = { accept: "text/event-stream" };
  for (const since of ["%00", "a%20b", "a".repeat(65), "%3Cb%3E", ""]) {
    const response = await fetch(`${server.url}/turbo-stream?since=${since}`, { headers });
    assert.equal(response.status, 400, since);
    await response.body?.cancel();
  }
  for (const message of ["hello", "since", "since a b c d", "Since a.1"]) {
    await using client = await follow(server.url, server.turbo.cursor);
    client.socket.send(message);
    const { code, reason } = await within(client.closed, "the close");
    assert.deepEqual([code, reason], [1008, "since CURSOR [TOKEN [PAGE]] is needed"], message);
  }
  await until(() => server.turbo.size === 0, "all are gone");
});

Deno.test("A since of 1 MB is refused, on the connection and in the URL", async () => {
  await using server = serveStream();
  await using client = await follow(server.url, server.turbo.cursor);
  client.socket.send("since " + "a".repeat(1_000_000));
  assert.equal((await within(client.closed, "the close")).code, 1009);
  const long = await fetch(`${server.url}/turbo-stream?since=${"a".repeat(60_000)}`, {
    headers: { accept: "text/event-stream" },
  }).catch((error) => error as Error);
  // Deno itself closes a connection whose request line is too long.
  if (long instanceof Response) {
    assert([400, 414, 431].includes(long.status));
    await long.body?.cancel();
  }
});

Deno.test("A token in the URL of a WebSocket is refused, because proxies log URLs", async () => {
  await using server = serveStream();
  await assert.rejects(follow(server.url, server.turbo.cursor, "&token=a.b"));
  await using client = await follow(server.url, server.turbo.cursor, "&token=");
  await client.next();
});

Deno.test("A heartbeat is a cursor without HTML that cannot be confused with a marker", async () => {
  await using server = serveStream({ heartbeat: 150 });
  const { turbo } = server;
  turbo.push(item(1));
  const since = turbo.cursor;
  await using client = await follow(server.url, since);
  assert.deepEqual(await next(client), [[since, ""]]);
  const beats = [await next(client), await next(client)].map(([pair]) => pair!);
  for (const [cursor, html] of beats) {
    assert.match(cursor, /^[A-Za-z0-9._-]{1,64}$/);
    assert.equal(html, "");
  }
  assert.equal(new Set([since, ...beats.map(([cursor]) => cursor)]).size, 3);
  turbo.push(item(2));
  const [[beat]] = [beats[0]!];
  client.socket.send(`since ${beat}`);
  while ((await next(client))[0]![0] !== beat); // skips its push, and perhaps further heartbeats
  let pair: [string, string];
  do [pair] = await next(client) as [[string, string]]; while (pair[1] === "");
  assert.deepEqual(pair, [turbo.cursor, item(2)]);
});

Deno.test("A connection without a since is live from its start, and its first cursor is not a marker", async () => {
  await using server = serveStream();
  const { turbo } = server;
  turbo.push(item(1));
  await using client = await connect(server.url, { protocol: PROTOCOL });
  const [[cursor, html]] = await next(client) as [[string, string]];
  assert.equal(html, "");
  assert.match(cursor, new RegExp(`^${turbo.cursor}\\.\\d+$`));
  turbo.push(item(2));
  assert.deepEqual(await next(client), [[turbo.cursor, item(2)]]);
});

Deno.test("push({ except }) leaves out the page but moves its cursor on", async () => {
  await using server = serveStream();
  const { turbo } = server;
  await using me = await follow(server.url, turbo.cursor, "&page=me");
  await using other = await follow(server.url, turbo.cursor);
  await me.next();
  await other.next();
  assert.equal(turbo.push(item(1), { except: "me" }), 1);
  assert.deepEqual(await next(other), [[turbo.cursor, item(1)]]);
  const [[cursor, html]] = await next(me) as [[string, string]];
  assert(cursor.startsWith(turbo.cursor) && html === "", `${cursor} ${html}`);
  // The next page in the same tab has not received it.
  me.socket.send(`since ${turbo.cursor.replace(/\d+$/, "0")} - another`);
  await me.next();
  assert.deepEqual(await next(me), [[turbo.cursor, item(1)]]);
});

// ---- Without the sub-protocol

Deno.test("A plain client gets plain HTML, from the connection on, and no heartbeat", async () => {
  const beat = 40;
  await using server = serveStream({ heartbeat: beat });
  const { turbo } = server;
  turbo.push(item(1));
  await using client = await connect(server.url);
  await using other = await follow(server.url, turbo.cursor);
  await until(() => turbo.size === 2, "both are connected");
  for (let beats = 0; beats < 4; beats++) await other.next(); // there were heartbeats in the meantime
  turbo.push(item(2));
  assert.equal(await client.next(), item(2));
  assert.deepEqual(client.messages, [item(2)]);
});

Deno.test("A plain client gets the pushes of one turn as one message of plain HTML", async () => {
  await using server = serveStream();
  await using client = await connect(server.url);
  await until(() => server.turbo.size === 1, "it is connected");
  for (const n of [1, 2]) server.turbo.push(item(n));
  assert.equal(await client.next(), item(1) + item(2));
});

Deno.test("A plain client may send 100 messages a minute, and no more", async () => {
  await using server = serveStream();
  await using client = await connect(server.url);
  for (let n = 0; n < 100; n++) client.socket.send("x");
  await until(() => server.turbo.size === 1, "it is connected");
  server.turbo.push(item(1));
  assert.equal(await client.next(), item(1));
  client.socket.send("x");
  assert.equal((await within(client.closed, "the close")).code, 1008);
});

Deno.test("A message of more than 4 KiB is refused with 1009, counted in bytes", async () => {
  await using server = serveStream();
  for (const text of ["x".repeat(4_097), "€".repeat(1_366)]) {
    await using client = await connect(server.url);
    client.socket.send(text);
    assert.equal((await within(client.closed, "the close")).code, 1009);
  }
  await using client = await connect(server.url);
  client.socket.send("€".repeat(1_365));
  await until(() => server.turbo.size === 1, "it is still there");
  server.turbo.push(item(1));
  assert.equal(await client.next(), item(1));
});

Deno.test("A binary message is refused with 1003", async () => {
  await using server = serveStream();
  await using client = await connect(server.url);
  client.socket.send(new Uint8Array(8));
  assert.equal((await within(client.closed, "the close")).code, 1003);
});

/** A socket that the test opens and ends, on a server with a single place. */
function fakeSocket(headers: Record<string, string> = {}) {
  const sent: unknown[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<number>();
  const socket = { bufferedAmount: 0, send: (data: unknown) => sent.push(data), close: resolve };
  const fake = socket as unknown as WebSocket;
  const turbo = new Turbo({
    maxConnections: 1,
    upgrade: () => ({ socket: fake, response: new Response() }),
  });
  const connect = () =>
    turbo.connect(
      new Request("http://localhost/turbo-stream", { headers: { ...HANDSHAKE, ...headers } }),
      { as: "ann" },
    ).status;
  assert.equal(connect(), 200);
  return { turbo, fake, sent, closed, connect };
}

Deno.test("A client that is disconnected while it is opening is closed, and keeps its place until it has ended", async () => {
  const { turbo, fake, sent, closed, connect } = fakeSocket();
  turbo.disconnect("ann");
  fake.onopen!(new Event("open"));
  assert.deepEqual([turbo.size, turbo.zombies], [0, 1]);
  assert.equal(fake.onmessage, null, "what it sends is not looked at");
  assert.equal(await within(closed, "the server to close it"), 4001);
  assert.deepEqual([sent, connect()], [[], 503]);
  fake.onclose!(new CloseEvent("close"));
  assert.deepEqual([turbo.zombies, connect()], [0, 200]);
  fake.onclose!(new CloseEvent("close"));
});

Deno.test("A client that fails while it is opening releases its place", () => {
  const { fake, connect } = fakeSocket();
  assert.equal(connect(), 503);
  fake.onerror!(new Event("error"));
  assert.equal(connect(), 200);
  fake.onerror!(new Event("error"));
});

Deno.test("Turbo.close() does not wait for a client that was closed before and does not end", async () => {
  const { turbo, fake } = fakeSocket();
  fake.onopen!(new Event("open"));
  fake.onmessage!(new MessageEvent("message", { data: new Uint8Array(8) }));
  await within(turbo.close({ window: 0, deadline: 600_000 }), "the close");
  fake.onclose!(new CloseEvent("close"));
});

Deno.test("Turbo.close() leaves no client at its deadline, however long one takes to end", async () => {
  const { turbo, fake, closed } = fakeSocket();
  fake.onopen!(new Event("open"));
  await turbo.close({ window: 0, deadline: 0 });
  assert.equal(await closed, 1001);
  assert.deepEqual([turbo.size, turbo.zombies], [0, 0]);
});

Deno.test("A client whose socket fails at once is closed with 1011, and affects no other", async () => {
  const { turbo, fake, closed } = fakeSocket();
  const { error } = console;
  const written: unknown[][] = [];
  console.error = (...parts) => written.push(parts);
  Object.defineProperty(fake, "bufferedAmount", { get: () => assert.fail("broken") });
  try {
    fake.onopen!(new Event("open"));
  } finally {
    console.error = error;
  }
  assert.deepEqual(written, [["A connection failed:", "broken"]]);
  assert.equal(await within(closed, "the server to close it"), 1011);
  assert.equal(turbo.size, 0);
});

Deno.test("A page that asks while too much waits is closed with 1013, and not answered", async () => {
  const { turbo, fake, sent, closed } = fakeSocket({ "Sec-WebSocket-Protocol": PROTOCOL });
  Object.assign(fake, { bufferedAmount: 2 * 1024 * 1024 });
  fake.onopen!(new Event("open"));
  assert.equal(sent.length, 1, "the first cursor");
  fake.onmessage!(new MessageEvent("message", { data: sinceOf({ cursor: turbo.cursor }) }));
  // At once, without waiting to see that it takes nothing.
  assert.deepEqual([turbo.size, turbo.zombies, sent.length], [0, 1, 1]);
  assert.equal(await within(closed, "the server to close it"), 1013);
});

Deno.test("A client that ends before it is closed leaves no timer", () => {
  const { turbo, fake } = fakeSocket();
  fake.onopen!(new Event("open"));
  fake.onmessage!(new MessageEvent("message", { data: new Uint8Array(8) }));
  assert.equal(turbo.zombies, 1);
  fake.onclose!(new CloseEvent("close"));
});

Deno.test("A client that opens after it was abandoned is closed with 1013, and its socket references nothing", async () => {
  const { turbo, fake, sent, closed } = fakeSocket();
  await turbo.close({ window: 0, deadline: 0 });
  assert.deepEqual([fake.onmessage, fake.onclose, fake.onerror], [null, null, null]);
  const open = new Event("open");
  Object.defineProperty(open, "target", { value: fake });
  fake.onopen!(open);
  assert.equal(await within(closed, "the server to close it"), 1013);
  assert.deepEqual([turbo.size, turbo.zombies, sent], [0, 0, []]);
});

Deno.test("A client that is refused is sent nothing more and is not counted, though it does not end", async () => {
  const { turbo, fake, sent, closed } = fakeSocket();
  fake.onopen!(new Event("open"));
  assert.equal(turbo.size, 1);
  fake.onmessage!(new MessageEvent("message", { data: new Uint8Array(8) }));
  assert.deepEqual([turbo.size, turbo.zombies, turbo.listeners("ann")], [0, 1, 0]);
  assert.equal(turbo.push(item(1)), 0);
  await within(closed, "the server to close it");
  assert.deepEqual(sent, []);
  assert.equal(turbo.zombies, 1);
  fake.onclose!(new CloseEvent("close"));
  fake.onclose!(new CloseEvent("close")); // Deno may report an end twice
  assert.equal(turbo.zombies, 0);
});

Deno.test("A closing socket sends nothing more, and does not throw", async () => {
  const { promise, resolve } = Promise.withResolvers<WebSocket>();
  await using server = serve((request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => resolve(socket);
    return response;
  });
  await using client = await connect(server.url);
  const carrier = new WebSocketCarrier(await promise, { isNaked: true });
  carrier.close({ code: 1000, reason: "done" });
  carrier.send([{ cursor: "epoch.1", html: "late" }]);
  assert.equal((await within(client.closed, "the close")).code, 1000);
});

// ---- Replay and live, overlapping

Deno.test("20 clients that connect, leave and ask at random get each of 2,000 pushes once, in order", async () => {
  await using server = serveStream({ log: { maxEntries: 4_000 }, frame: 2 });
  const { turbo, url } = server;
  const total = 2_000;
  let seed = 1;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  let [reconnects, asked] = [0, 0];

  async function read(): Promise<number[]> {
    const seen: number[] = [];
    let cursor = turbo.cursor.replace(/\d+$/, "0");
    while (seen.length < total) {
      const path = `/turbo-stream?since=${cursor}`;
      const socket = new WebSocket(url.replace("http", "ws") + path, PROTOCOL);
      const awaited = [cursor];
      const closed = new Promise<void>((resolve) => socket.onclose = () => resolve());
      const leaveAt = seen.length + 1 + Math.floor(random() * 500);
      socket.onmessage = ({ data }) => {
        if (socket.readyState !== WebSocket.OPEN) return;
        const messages = parseFrame(data);
        if (awaited.length > 0) {
          const isMarker = messages.length === 1 && messages[0]!.html === "";
          if (isMarker && messages[0]!.cursor === awaited[0]) awaited.shift();
          return;
        }
        for (const message of messages) {
          if (message.html === "") continue;
          cursor = message.cursor;
          for (const [, n] of message.html.matchAll(/<li>(\d+)<\/li>/g)) seen.push(Number(n));
        }
        if (seen.length >= total || seen.length >= leaveAt) return socket.close();
        if (random() < 0.1) {
          awaited.push(cursor);
          socket.send(`since ${cursor}`);
          asked++;
        }
      };
      await within(closed, "the client to leave");
      reconnects++;
    }
    return seen;
  }

  const readers = Array.from({ length: 20 }, read);
  for (let n = 0; n < total; n++) {
    turbo.push(item(n));
    if (n % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  const expected = Array.from({ length: total }, (_, n) => n);
  for (const seen of await within(Promise.all(readers), "all readers")) {
    assert.deepEqual(seen, expected);
  }
  assert(reconnects > 60 && asked > 50, `${reconnects} reconnects, ${asked} asked`);
});

Deno.test("A page may ask 20 times at once; one that continues is closed with 1008", async () => {
  await using server = serveStream();
  const { turbo } = server;
  const path = `/turbo-stream?since=${turbo.cursor}`; // this since does not count
  await using client = await connect(server.url, { path, protocol: PROTOCOL });
  const ask = () => client.socket.send(sinceOf({ cursor: turbo.cursor }));
  for (let n = 0; n < 20; n++) ask();
  await until(() => client.messages.length === 21, "each is answered");
  for (let n = 0; n < 100; n++) ask(); // far more than tokens are refilled meanwhile
  const { code, reason } = await within(client.closed, "the close");
  assert.deepEqual([code, reason], [1008, "Too many messages"]);
});
