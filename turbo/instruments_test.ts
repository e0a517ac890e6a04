import assert from "node:assert/strict";
import { connect, parseFrame, pause, PROTOCOL, serveStream, sinceOf, until } from "../tests/kit.ts";
import { append, html, type Turbo } from "./mod.ts";

/** The values of a metric, by its attributes' values. */
function valuesOf(turbo: Turbo, name: string): Record<string, number> {
  const metric = turbo.metrics.find((metric) => metric.name === `turbo.server.${name}`);
  assert(metric, `no metric ${name}`);
  const points = metric.kind === "histogram"
    ? metric.histogram.series.map(({ attributes, count }) => ({ attributes, value: count }))
    : metric.read();
  return Object.fromEntries(
    points.map(({ attributes, value }) => [Object.values(attributes).join(" "), value]),
  );
}

Deno.test("Turbo.metrics counts connections by transport, and how they ended", async () => {
  await using server = serveStream();
  const { turbo, url } = server;
  const one = await connect(url, { protocol: PROTOCOL });
  const bad = await connect(url, { protocol: PROTOCOL });
  const other = await connect(url);
  const abort = new AbortController();
  const headers = { Accept: "text/event-stream" };
  await fetch(`${url}/turbo-stream`, { headers, signal: abort.signal });
  await until(() => turbo.size === 4, "all are connected");
  assert.deepEqual(valuesOf(turbo, "active_connections"), { websocket: 3, sse: 1 });
  bad.socket.send("nonsense");
  await bad.closed;
  await one[Symbol.asyncDispose]();
  abort.abort();
  await other[Symbol.asyncDispose]();
  await until(() => turbo.size === 0 && turbo.zombies === 0, "all have ended");
  assert.deepEqual(valuesOf(turbo, "active_connections"), { websocket: 0, sse: 0 });
  assert.deepEqual(valuesOf(turbo, "connection.duration"), {
    "websocket left": 2,
    "websocket not_since": 1,
    "sse left": 1,
  });
  assert.deepEqual(valuesOf(turbo, "drops"), {
    binary: 0,
    does_not_read: 0,
    failed: 0,
    not_since: 1,
    too_long: 0,
    too_many: 0,
    too_slow: 0,
  });
});

Deno.test("Turbo.metrics counts rejected requests by their status", async () => {
  await using server = serveStream();
  const { turbo, url } = server;
  for (const headers of [{ Origin: "https://evil.example", Accept: "text/event-stream" }, {}]) {
    const answer = await fetch(`${url}/turbo-stream`, { headers });
    await answer.body?.cancel();
  }
  assert.deepEqual(valuesOf(turbo, "rejected_connections"), { 403: 1, 426: 1 });
});

Deno.test("Turbo.metrics counts pushes, messages, and how pages that ask are served", async () => {
  await using server = serveStream({ log: { maxEntries: 2 } });
  const { turbo, url } = server;
  const item = (n: number) => append("list", html`<li>${n}</li>`);
  const start = turbo.cursor;
  turbo.push(item(1));
  const first = turbo.cursor;
  turbo.push(item(2));
  turbo.push(item(3));
  for (const since of [turbo.cursor, first, start]) { // nothing, replay, gap
    await using client = await connect(url, {
      protocol: PROTOCOL,
      path: `/turbo-stream?since=${since}`,
    });
    await client.next();
  }
  assert.deepEqual(valuesOf(turbo, "resumes"), { nothing: 1, replay: 1, refresh: 1 });
  assert.deepEqual(valuesOf(turbo, "pushes"), { "": 3 });
  // A marker for each, and what the last two had missed.
  await until(() => valuesOf(turbo, "messages")[""] === 5, "all is sent");
});

Deno.test("Turbo.shown() asks a page of our client alone, and says who shows it", async () => {
  await using server = serveStream();
  const { turbo, url } = server;
  const { cursor } = turbo;
  const path = `/turbo-stream?since=${cursor}&page=p&reports=1`;
  await using client = await connect(url, { protocol: PROTOCOL, path });
  await using other = await connect(url, { protocol: PROTOCOL });
  await client.next();
  turbo.push(append("list", html`<li>1</li>`));
  const receipt = turbo.shown(turbo.cursor, { within: 60_000 });
  await client.next();
  const [asked] = parseFrame(await client.next());
  assert.equal(asked?.asks, true);
  assert.equal(asked.html, "");
  client.socket.send(`shown ${asked.cursor} 12`);
  assert.deepEqual(await receipt, { shown: 1, missing: 1 });
  assert.equal(turbo.staleness.pages, 1);
  assert(other.messages.every((frame) => parseFrame(frame).every(({ asks }) => !asks)));
});

Deno.test("Turbo.shown() rejects a cursor that is not one of its log, and wrong options", async () => {
  await using server = serveStream();
  const { turbo } = server;
  for (const cursor of ["other.1", `${turbo.cursor}1`, "", "a b"]) {
    await assert.rejects(turbo.shown(cursor), RangeError, cursor);
  }
  await assert.rejects(turbo.shown(42 as never), TypeError);
  await assert.rejects(turbo.shown(turbo.cursor, { within: -1 }), RangeError);
  await assert.rejects(turbo.shown(turbo.cursor, { to: undefined as never }), TypeError);
  await assert.rejects(turbo.shown(turbo.cursor, { except: "p" } as never), TypeError);
});

Deno.test("A page that reports too often is disconnected, and its reports do not count as since", async () => {
  await using server = serveStream();
  const { turbo, url } = server;
  await using client = await connect(url, { protocol: PROTOCOL });
  for (let n = 0; n < 20; n++) client.socket.send(`shown ${turbo.cursor} 0`);
  for (let n = 0; n < 20; n++) client.socket.send(sinceOf({ cursor: turbo.cursor }));
  await until(() => client.messages.length >= 21, "each since is answered");
  let isOver = false;
  client.closed.then(() => isOver = true);
  while (!isOver) { // one by one, because a client that goes on may miss the close code
    client.socket.send(`shown ${turbo.cursor} 0`);
    await pause(25);
  }
  const { code } = await client.closed;
  assert.equal(code, 1008);
});

Deno.test("Turbo tells onConnection of each connection that opens or ends, and how", async () => {
  const events: object[] = [];
  await using server = serveStream({
    onConnection({ duration, ...event }) {
      events.push({ ...event, ...(duration !== undefined && { hasDuration: duration >= 0 }) });
      throw new Error("the app's own"); // reported, and ends nothing
    },
    onError: () => {},
  });
  const client = await connect(server.url, { path: "/turbo-stream?page=p" });
  await until(() => events.length === 1, "it has opened");
  await client[Symbol.asyncDispose]();
  await until(() => events.length === 2, "it has ended");
  const who = { transport: "websocket", as: [], page: "p" };
  assert.deepEqual(events, [
    { what: "open", ...who },
    { what: "end", ...who, end: "left", hasDuration: true },
  ]);
});
