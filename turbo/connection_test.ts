import assert from "node:assert/strict";
import { connect, pause, serve, type TestClient, until, within } from "../tests/kit.ts";
import { Connection, EventStreamLine, type Line, PROTOCOL } from "./connection.ts";
import { WebSocketLine } from "./connection.ts";
import { html } from "./html.ts";
import { Log } from "./log.ts";
import { append, replace, type Stream } from "./streams.ts";
import { Turbo, type TurboOptions } from "./turbo.ts";

const REFRESH = '<turbo-stream action="refresh"></turbo-stream>';
const box = (n: number) => replace("box", html`<b id="box">${n}</b>`);
const item = (n: number) => append("list", html`<li>${n}</li>`);

function start(options: TurboOptions = {}) {
  const turbo = new Turbo(options);
  const server = serve((request) => turbo.connect(request));
  return {
    turbo,
    url: server.url,
    async [Symbol.asyncDispose]() {
      await turbo.close({ deadline: 1_000 });
      await server[Symbol.asyncDispose]();
    },
  };
}

function follow(url: string, since: string): Promise<TestClient> {
  return connect(url, { path: `/turbo-stream?since=${since}`, protocol: PROTOCOL });
}

// ---- The sub-protocol

Deno.test("A since in the URL is answered by its marker, what was missed and what comes", async () => {
  await using server = start();
  const { turbo } = server;
  const since = turbo.cursor;
  turbo.push(item(1));
  turbo.push(item(2));
  await using client = await follow(server.url, since);
  assert.equal(client.socket.protocol, PROTOCOL);
  assert.equal(await client.next(), `${since}\n`);
  assert.match(await client.next(), new RegExp(`^[\\w.-]{1,64}\n${item(1)}$`));
  assert.equal(await client.next(), `${turbo.cursor}\n${item(2)}`);
  turbo.push(item(3));
  assert.equal(await client.next(), `${turbo.cursor}\n${item(3)}`);
});

Deno.test("A later since goes back to where it says, behind its marker", async () => {
  await using server = start();
  const { turbo } = server;
  const begin = turbo.cursor;
  await using client = await follow(server.url, begin);
  assert.equal(await client.next(), `${begin}\n`);
  turbo.push(item(1));
  await client.next();
  client.socket.send(`since ${begin}`);
  assert.equal(await client.next(), `${begin}\n`);
  assert.equal(await client.next(), `${turbo.cursor}\n${item(1)}`);
});

Deno.test("A reader who was away gets the newest box and each event", async () => {
  await using server = start();
  const { turbo } = server;
  const since = turbo.cursor;
  for (let n = 0; n < 100; n++) turbo.push(box(n));
  turbo.push(item(1));
  await using client = await follow(server.url, since);
  await client.next();
  assert((await client.next()).endsWith(box(99)));
  assert((await client.next()).endsWith(item(1)));
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
  Deno.test(`A cursor ${name} is a gap: the marker and one refresh, then what comes`, async () => {
    await using server = start({ log: { maxEntries: 3 } });
    const { turbo } = server;
    const cursor = make(turbo);
    await using client = await follow(server.url, cursor);
    assert.equal(await client.next(), `${cursor}\n`);
    assert.equal(await client.next(), `${turbo.cursor}\n${REFRESH}`);
    turbo.push(item(1));
    assert.equal(await client.next(), `${turbo.cursor}\n${item(1)}`);
  });
}

Deno.test("A since that is malformed is refused: 400 in the URL, 1008 on the line", async () => {
  await using server = start();
  const headers = { accept: "text/event-stream" };
  for (const since of ["%00", "a%20b", "a".repeat(65), "%3Cb%3E", ""]) {
    const response = await fetch(`${server.url}/turbo-stream?since=${since}`, { headers });
    assert.equal(response.status, 400, since);
    await response.body?.cancel();
  }
  for (const message of ["hello", "since", "since ", "since a b c d", "since a\nb", "Since a.1"]) {
    await using client = await follow(server.url, server.turbo.cursor);
    client.socket.send(message);
    assert.equal((await within(client.closed, "the close")).code, 1008, message);
  }
  await until(() => server.turbo.size === 0, "all are gone");
});

Deno.test("A since of 1 MB is refused, on the line and in the URL", async () => {
  await using server = start();
  await using client = await follow(server.url, server.turbo.cursor);
  client.socket.send("since " + "a".repeat(1_000_000));
  assert.equal((await within(client.closed, "the close")).code, 1009);
  const long = await fetch(`${server.url}/turbo-stream?since=${"a".repeat(60_000)}`, {
    headers: { accept: "text/event-stream" },
  }).catch((error) => error as Error);
  // The platform itself cuts off a request line that is longer than it reads.
  if (long instanceof Response) {
    assert([400, 414, 431].includes(long.status));
    await long.body?.cancel();
  }
});

Deno.test("A heartbeat is a cursor alone that no marker can be taken for", async () => {
  await using server = start({ heartbeat: 150 });
  const { turbo } = server;
  turbo.push(item(1));
  const since = turbo.cursor;
  await using client = await follow(server.url, since);
  assert.equal(await client.next(), `${since}\n`);
  const [one, two] = [await client.next(), await client.next()];
  for (const beat of [one, two]) assert.match(beat, /^[A-Za-z0-9._-]{1,64}\n$/);
  assert.equal(new Set([`${since}\n`, one, two]).size, 3);
  turbo.push(item(2));
  await client.next();
  client.socket.send(`since ${one.trim()}`);
  assert.equal(await client.next(), one);
  assert.equal(await client.next(), `${turbo.cursor}\n${item(2)}`);
});

Deno.test("A heartbeat goes out only when nothing else did", async () => {
  await using server = start({ heartbeat: 300 });
  await using client = await follow(server.url, server.turbo.cursor);
  for (let n = 0; n < 10; n++) {
    server.turbo.push(item(n));
    await pause(100);
  }
  assert.equal(client.messages.filter((message) => message.endsWith("\n")).length, 1);
});

Deno.test("push({ except }) skips the page but takes its cursor on", async () => {
  await using server = start();
  const { turbo } = server;
  const path = `/turbo-stream?since=${turbo.cursor}&page=me`;
  await using me = await connect(server.url, { path, protocol: PROTOCOL });
  await using other = await follow(server.url, turbo.cursor);
  await me.next();
  await other.next();
  assert.equal(turbo.push(item(1), { except: "me" }), 1);
  assert.equal(await other.next(), `${turbo.cursor}\n${item(1)}`);
  const skipped = await me.next();
  assert.match(skipped, /\n$/);
  // Another page in the same tab has not had it.
  me.socket.send(`since ${turbo.cursor.replace(/\d+$/, "0")} - another`);
  await me.next();
  assert.equal(await me.next(), `${turbo.cursor}\n${item(1)}`);
});

// ---- Naked lines

Deno.test("A plain client gets naked frames, from its moment on, and no heartbeat", async () => {
  await using server = start({ heartbeat: 60 });
  const { turbo } = server;
  turbo.push(item(1));
  await using client = await connect(server.url);
  await until(() => turbo.size === 1, "it is connected");
  await pause(200);
  turbo.push(item(2));
  assert.equal(await client.next(), item(2));
  assert.deepEqual(client.messages, [item(2)]);
});

Deno.test("A plain client may send 100 messages a minute, and no more", async () => {
  await using server = start();
  await using client = await connect(server.url);
  for (let n = 0; n < 100; n++) client.socket.send("x");
  await until(() => server.turbo.size === 1, "it is connected");
  server.turbo.push(item(1));
  assert.equal(await client.next(), item(1));
  client.socket.send("x");
  assert.equal((await within(client.closed, "the close")).code, 1008);
});

Deno.test("A message of more than 4 KiB is refused with 1009, counted in bytes", async () => {
  await using server = start();
  for (const [text, code] of [["x".repeat(4_097), 1009], ["€".repeat(1_366), 1009]] as const) {
    await using client = await connect(server.url);
    client.socket.send(text);
    assert.equal((await within(client.closed, "the close")).code, code);
  }
  await using client = await connect(server.url);
  client.socket.send("€".repeat(1_365));
  await until(() => server.turbo.size === 1, "it is still there");
  server.turbo.push(item(1));
  assert.equal(await client.next(), item(1));
});

Deno.test("A binary message is refused with 1003", async () => {
  await using server = start();
  await using client = await connect(server.url);
  client.socket.send(new Uint8Array(8));
  assert.equal((await within(client.closed, "the close")).code, 1003);
});

// ---- Behind

/** A line whose reader takes what the test lets it take. */
class SlowLine implements Line {
  sent: string[] = [];
  buffered = 0;
  closed: number | undefined;
  send({ cursor, html }: { cursor: string; html: string }) {
    this.sent.push(html === "" ? `[${cursor}]` : html);
    this.buffered += html.length;
  }
  mark(cursor: string) {
    this.send({ cursor, html: "" });
  }
  close(code: number) {
    this.closed = code;
  }
}

function slow(log: Log, buffered = 0) {
  const line = new SlowLine();
  line.buffered = buffered;
  const limits = { behindAfter: 100, maxBuffered: 1_000, dropAfter: 10_000 };
  return { line, connection: new Connection(line, log, limits, () => {}) };
}

Deno.test("Connection falls behind at the threshold and is fed from the log, without a hole", () => {
  const log = new Log();
  const { line, connection } = slow(log);
  const push = (stream: Stream) => connection.deliver(log.append(stream), 0);
  const items = Array.from({ length: 10 }, (_, n) => item(n));
  for (const stream of items.slice(0, 5)) push(stream);
  assert.equal(connection.live, false);
  const first = line.sent.length;
  assert(first < 5);
  for (const stream of items.slice(5)) push(stream);
  assert.equal(line.sent.length, first);
  while (connection.feed() === "behind") line.buffered = 0;
  assert.equal(connection.live, true);
  assert.deepEqual(line.sent, items);
});

Deno.test("Connection that is behind gets only the last state of a target", () => {
  const log = new Log();
  const { line, connection } = slow(log, 101);
  for (let n = 0; n < 100; n++) connection.deliver(log.append(box(n)), 0);
  line.buffered = 0;
  connection.feed();
  assert.deepEqual(line.sent, [box(99)]);
});

Deno.test("Connection whose place in the log is gone gets one refresh", () => {
  const log = new Log({ maxEntries: 2 });
  const { line, connection } = slow(log, 101);
  for (let n = 0; n < 10; n++) connection.deliver(log.append(item(n)), 0);
  line.buffered = 0;
  assert.equal(connection.feed(), "live");
  assert.deepEqual(line.sent, [REFRESH]);
});

Deno.test("Connection is stuck when it has taken nothing for ten seconds", () => {
  const log = new Log();
  const { line, connection } = slow(log, 500);
  connection.deliver(log.append(item(1)), 0);
  const begin = Date.now();
  assert.equal(connection.feed(begin + 8_000), "behind");
  line.buffered = 400; // it has taken something
  assert.equal(connection.feed(begin + 8_500), "behind");
  assert.equal(connection.feed(begin + 17_000), "behind");
  assert.equal(connection.feed(begin + 18_500), "stuck");
});

Deno.test("Connection is stuck at once when too much is buffered and nothing is taken", () => {
  const log = new Log();
  const { line, connection } = slow(log, 5_000);
  connection.deliver(log.append(item(1)), 0);
  line.buffered = 4_000;
  assert.equal(connection.feed(), "behind");
  assert.equal(connection.feed(), "stuck");
});

// ---- Server-sent events

async function events(url: string, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const response = await fetch(url, {
    headers: { accept: "text/event-stream", ...headers },
    signal: abort.signal,
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    response,
    async until(end: string) {
      while (!text.includes(end)) {
        const { value, done } = await within(reader.read(), `the event ${end}`);
        if (done) throw new Error(`Ended after ${text}`);
        text += value;
      }
      return text;
    },
    async [Symbol.asyncDispose]() {
      await reader.cancel();
      abort.abort();
    },
  };
}

Deno.test("SSE has the cursor as id, the HTML as data and a retry, and resumes by both ways", async () => {
  await using server = start();
  const { turbo } = server;
  const begin = turbo.cursor;
  turbo.push(item(1));
  const path = `${server.url}/turbo-stream`;
  for (
    const [url, headers] of [[`${path}?since=${begin}`, {}], [path, { "Last-Event-ID": begin }]]
  ) {
    await using stream = await events(url as string, headers as Record<string, string>);
    assert.match(stream.response.headers.get("Content-Type")!, /^text\/event-stream/);
    const text = await stream.until(item(1));
    assert.match(text, /^retry: \d+\n\n/);
    assert(text.includes(`id: ${turbo.cursor}\ndata: ${item(1)}\n`));
  }
});

Deno.test("SSE without a cursor is live from its moment and tells where that is", async () => {
  await using server = start();
  const { turbo } = server;
  turbo.push(item(1));
  await using stream = await events(`${server.url}/turbo-stream`);
  await stream.until(`id: ${turbo.cursor}\n`);
  turbo.push(item(2));
  const text = await stream.until(item(2));
  assert(!text.includes(item(1)));
});

Deno.test("SSE content with any line break creates no field", () => {
  const breaks = ["\r", "\n", "\r\n", "\n\r", "\r\r", "\n\n", "\u2028", "\u0085"];
  const chunks: string[] = [];
  for (const br of breaks) {
    const line = new EventStreamLine({ retry: 1, highWaterMark: 65_536, onClose() {} });
    line.send({
      cursor: "e.1",
      html: `<p>a${br}event: x${br}id: y${br}${br}data: z${br}retry: 9</p>`,
    });
    line.close(1000);
    chunks.push(br);
    const text = new Response(line.body).text();
    void text.then((text) => chunks.push(text));
  }
  return until(() => chunks.length === 2 * breaks.length, "all are read").then(() => {
    for (const text of chunks.filter((chunk) => chunk.startsWith("retry"))) {
      const event = text.replace(/^retry: 1\n\n/, "");
      const lines = event.split(/\r\n|\r|\n/);
      assert.equal(lines.shift(), "id: e.1");
      assert.deepEqual(lines.splice(-2), ["", ""]);
      assert(lines.every((line) => line.startsWith("data: ")), event);
    }
  });
});

Deno.test("SSE has heartbeats, as events that are no messages", async () => {
  await using server = start({ heartbeat: 100 });
  await using stream = await events(`${server.url}/turbo-stream?since=${server.turbo.cursor}`);
  const beat = `event: cursor\nid: ${server.turbo.cursor}.1\ndata:\n\n`;
  await stream.until(beat);
});

Deno.test("SSE connections are counted, and gone when the reader goes", async () => {
  await using server = start();
  {
    await using stream = await events(`${server.url}/turbo-stream`);
    await stream.until("id:");
    assert.equal(server.turbo.size, 1);
  }
  await until(() => server.turbo.size === 0, "it is gone");
});

// ---- Replay and live, overlapping

Deno.test("50 clients that come, go and ask at random get each of 10,000 pushes once, in order", async () => {
  await using server = start({ log: { maxEntries: 20_000, maxBytes: 64 * 1024 * 1024 } });
  const { turbo, url } = server;
  const total = 10_000;
  let seed = 1;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  let reconnects = 0;
  let asked = 0;

  async function read(): Promise<number[]> {
    const seen: number[] = [];
    let cursor = turbo.cursor.replace(/\d+$/, "0");
    while (seen.length < total) {
      const socket = new WebSocket(
        `${url.replace("http", "ws")}/turbo-stream?since=${cursor}`,
        PROTOCOL,
      );
      const awaited = [cursor];
      const closed = new Promise<void>((resolve) => socket.onclose = () => resolve());
      const leaveAt = seen.length + 1 + Math.floor(random() * 1_500);
      socket.onmessage = ({ data }) => {
        const end = data.indexOf("\n");
        const [at, html] = [data.slice(0, end), data.slice(end + 1)];
        if (socket.readyState !== WebSocket.OPEN) return;
        if (awaited.length > 0) {
          if (html === "" && at === awaited[0]) awaited.shift();
          return;
        }
        if (html === "") return;
        cursor = at;
        for (const [, n] of html.matchAll(/<li>(\d+)<\/li>/g)) seen.push(Number(n));
        if (seen.length >= total || seen.length >= leaveAt) return socket.close();
        if (random() < 0.005) {
          awaited.push(cursor);
          socket.send(`since ${cursor}`);
          asked++;
        }
      };
      await within(closed, "the client to leave", 60_000);
      reconnects++;
    }
    return seen;
  }

  const readers = Array.from({ length: 50 }, read);
  for (let n = 0; n < total; n++) {
    turbo.push(item(n));
    if (n % 50 === 49) await pause(0);
  }
  const expected = Array.from({ length: total }, (_, n) => n);
  for (const seen of await within(Promise.all(readers), "all readers", 60_000)) {
    assert.deepEqual(seen, expected);
  }
  assert(reconnects > 200 && asked > 500, `${reconnects} reconnects, ${asked} asked`);
});

Deno.test("A line that is closing takes nothing more, and does not throw", async () => {
  const { promise, resolve } = Promise.withResolvers<WebSocket>();
  await using server = serve((request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => resolve(socket);
    return response;
  });
  await using client = await connect(server.url);
  const line = new WebSocketLine(await promise, { naked: true });
  line.close(1000, "done");
  line.send({ cursor: "epoch.1", html: "late" });
  assert.equal((await within(client.closed, "the close")).code, 1000);
});
