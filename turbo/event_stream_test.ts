import assert from "node:assert/strict";
import { serveStream, until, within } from "../tests/kit.ts";
import type { Visitor } from "./admission.ts";
import { EventStreamCarrier, openEventStream } from "./event_stream.ts";
import { html } from "./html.ts";
import { CLOSE } from "./protocol.ts";
import { append } from "./streams.ts";

const item = (n: number) => append("list", html`<li>${n}</li>`);

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

Deno.test("SSE has the cursor as id and the HTML as data, and resumes by both ways", async () => {
  await using server = serveStream();
  const { turbo, url } = server;
  const begin = turbo.cursor;
  turbo.push(item(1));
  const ways: [string, Record<string, string>][] = [
    [`${url}?since=${begin}`, {}],
    [url, { "Last-Event-ID": begin }],
  ];
  for (const [url, headers] of ways) {
    await using stream = await events(url, headers);
    assert.match(stream.response.headers.get("Content-Type")!, /^text\/event-stream/);
    const text = await stream.until(`${item(1)}\n\n`);
    const [marker, event] = text.split("\n\n");
    assert.match(marker!, new RegExp(`^retry: \\d+\nevent: cursor\nid: ${begin}\ndata:$`));
    assert.equal(event, `id: ${turbo.cursor}\ndata: ${item(1)}`);
  }
});

Deno.test("SSE without a cursor is live from the connection on, and sends the cursor of that", async () => {
  await using server = serveStream();
  const { turbo } = server;
  turbo.push(item(1));
  await using stream = await events(server.url);
  await stream.until(`id: ${turbo.cursor}`);
  turbo.push(item(2));
  const text = await stream.until(item(2));
  assert(!text.includes(item(1)));
});

Deno.test("SSE sends one event for each push, even of one turn", async () => {
  await using server = serveStream();
  const { turbo } = server;
  await using stream = await events(`${server.url}?since=${turbo.cursor}`);
  await stream.until("\n\n");
  const ids = [1, 2].map((n) => {
    turbo.push(item(n));
    return turbo.cursor;
  });
  const text = await stream.until(item(2));
  assert.deepEqual(text.match(/(?<=id: )\S+/g)!.slice(1), ids);
});

Deno.test("SSE sends heartbeats, as events that are not messages", async () => {
  await using server = serveStream({ heartbeat: 100 });
  await using stream = await events(`${server.url}?since=${server.turbo.cursor}`);
  await stream.until(`event: cursor\nid: ${server.turbo.cursor}.`);
});

Deno.test("SSE connections are counted until the reader leaves", async () => {
  await using server = serveStream();
  {
    await using stream = await events(server.url);
    await stream.until("id:");
    assert.equal(server.turbo.size, 1);
  }
  await until(() => server.turbo.size === 0, "it is gone");
});

function carrier(onClose = () => {}) {
  return new EventStreamCarrier({ retry: 7, highWaterMark: 1_000, onClose });
}

Deno.test("EventStreamCarrier sends retry once, within its first event", async () => {
  const stream = carrier();
  for (const n of [1, 2]) stream.send([{ cursor: `e.${n}`, html: "" }]);
  stream.close(CLOSE.goingAway);
  const text = await new Response(stream.body).text();
  assert.equal(
    text,
    "retry: 7\nevent: cursor\nid: e.1\ndata:\n\nevent: cursor\nid: e.2\ndata:\n\n",
  );
});

Deno.test("EventStreamCarrier counts what waits, and nothing after its end", async () => {
  let closed = 0;
  const stream = carrier(() => closed++);
  const bytes = stream.send([{ cursor: "e.1", html: "é" }]);
  assert.equal(stream.buffered, bytes);
  stream.close(CLOSE.sentAway);
  stream.close(CLOSE.sentAway);
  assert.equal(stream.send([{ cursor: "e.2", html: "late" }]), 0);
  assert.equal(closed, 1);
  const text = await new Response(stream.body).text();
  assert.match(text, /data: é\n\nevent: away\ndata:\n\n$/);
  assert.equal(new TextEncoder().encode(text.replace("event: away\ndata:\n\n", "")).length, bytes);
});

Deno.test("EventStreamCarrier sends nothing, and does not throw, after its reader has left", async () => {
  let closed = 0;
  const stream = carrier(() => closed++);
  await stream.body.cancel();
  assert.equal(stream.send([{ cursor: "e.1", html: "late" }]), 0);
  for (const close of [CLOSE.sentAway, CLOSE.again, CLOSE.tooSlow]) stream.close(close);
  assert.equal(closed, 1);
});

for (
  const [name, close, isTaken, fails] of [
    ["is too slow", CLOSE.tooSlow, false, true],
    ["is to come back and has not taken it", CLOSE.again, false, true],
    ["is to come back and has taken all before", CLOSE.again, true, false],
    ["is sent away", CLOSE.sentAway, false, false],
  ] as const
) {
  Deno.test(`EventStreamCarrier ${fails ? "drops" : "keeps"} what waits for a reader that ${name}`, async () => {
    const stream = carrier();
    stream.send([{ cursor: "e.1", html: "waits" }]);
    const reader = stream.body.getReader();
    if (isTaken) await reader.read();
    stream.close(close);
    const rest = async () => {
      while (!(await reader.read()).done);
    };
    if (fails) await assert.rejects(rest(), (error) => /takes nothing/.test(String(error)));
    else await rest();
  });
}

Deno.test("openEventStream() throws for a client that may not stay", () => {
  const visitor = { opened: () => CLOSE.noPlace } as Visitor;
  const options = { readers: undefined as never, highWaterMark: 1, lifetime: 1_000 };
  assert.throws(() => openEventStream(visitor, options), /Too many connections/);
});

Deno.test("SSE ends after about its lifetime, and continues by Last-Event-ID without a loss", async () => {
  await using server = serveStream({ eventStreamLifetime: 1_000 });
  const { turbo, url } = server;
  let cursor = turbo.cursor;
  const numbers: string[] = [];
  let pushed = 0;
  for (let life = 0; life < 2; life++) {
    await using stream = await events(url, { "Last-Event-ID": cursor });
    turbo.push(item(pushed++));
    const text = await stream.until("event: again\ndata:\n\n");
    numbers.push(...[...text.matchAll(/<li>(\d+)</g)].map(([, number]) => number!));
    cursor = [...text.matchAll(/^id: (\S+)$/gm)].at(-1)![1]!;
    turbo.push(item(pushed++)); // while the reader is away
  }
  assert.deepEqual(numbers, ["0", "1", "2"]);
  await until(() => turbo.size === 0, "both are forgotten");
});

Deno.test("SSE lets a page of an allowed origin read it, with its cookies, and no other", async () => {
  const allowed = "https://a.example";
  await using server = serveStream({ allowedOrigins: [allowed] });
  {
    await using stream = await events(server.url, { Origin: allowed });
    const { headers } = stream.response;
    assert.equal(headers.get("Access-Control-Allow-Origin"), allowed);
    assert.equal(headers.get("Access-Control-Allow-Credentials"), "true");
    assert.match(headers.get("Vary")!, /\bOrigin\b/);
  }
  await using own = await events(server.url, { Origin: server.url });
  assert.equal(own.response.headers.get("Access-Control-Allow-Origin"), null);
});
