import assert from "node:assert/strict";
import { html, Turbo } from "../turbo/mod.ts";
import { connect, parseFrame, pause, PROTOCOL, serve, serveStream, sinceOf, until } from "./kit.ts";
import { frame, HANDSHAKE, RawSocket, request } from "./raw.ts";
import { append, refresh, replace } from "./stream_texts.ts";

const MiB = 1024 * 1024;
const SENT_AWAY = /The reader (is too slow|asks and does not read)/;
const WEBSOCKET = { ...HANDSHAKE, "Sec-WebSocket-Protocol": PROTOCOL };
const TRANSPORTS = [
  ["a WebSocket", WEBSOCKET],
  ["server-sent events", { Host: "a", Accept: "text/event-stream" }],
] as const;

/** A connected reader over bare TCP, which receives all later pushes. */
async function open(turbo: Turbo, port: number, headers: Readonly<Record<string, string>>) {
  const socket = await RawSocket.open(port);
  await socket.write(request(`GET /turbo-stream?since=${turbo.cursor} HTTP/1.1`, headers));
  await until(() => turbo.size === 1, "it is in");
  return socket;
}

/**
 * Reads steadily at most 4 MB a second, up to some end or until the connection is closed. Returns what it
 * received without the filler.
 */
async function readSteadily(socket: RawSocket, end: string): Promise<string> {
  let text = "";
  for (;;) {
    const chunk = await socket.take();
    if (chunk === undefined) return text;
    text += chunk.replaceAll("x", "");
    if (text.includes(end) || SENT_AWAY.test(text)) return text;
    await pause(chunk.length / 4_000);
  }
}

function pushLarge(turbo: Turbo, n: number, megabytes: number): void {
  turbo.push(append("list", html`<i>${n}</i><p>${"x".repeat(megabytes * MiB)}</p>`));
}

for (const [name, headers] of TRANSPORTS) {
  Deno.test(`Turbo keeps a steady reader of messages of 1.5 and 3 MiB by ${name}, and the reader gets everything`, async () => {
    const turbo = new Turbo({ dropAfter: 500, log: { maxBytes: 64 * MiB } });
    await using server = serve((request) => turbo.connect(request));
    await using socket = await open(turbo, server.port, headers);
    const reading = readSteadily(socket, "<i>last</i>");
    for (let n = 1; n <= 4; n++) pushLarge(turbo, n, n % 2 === 0 ? 3 : 1.5);
    turbo.push(append("list", html`<i>last</i>`));
    const numbers = [...(await reading).matchAll(/<i>(\w+)<\/i>/g)].map(([, number]) => number);
    assert.deepEqual(numbers, ["1", "2", "3", "4", "last"]);
    assert.equal(turbo.size, 1);
  });

  Deno.test(`Turbo keeps a steady reader of a box of 3 MiB by ${name}, and the reader gets the newest`, async () => {
    const turbo = new Turbo({ dropAfter: 500 });
    await using server = serve((request) => turbo.connect(request));
    await using socket = await open(turbo, server.port, headers);
    const box = (state: string) =>
      replace("box", html`<b id="box"><i>${state}</i>${"x".repeat(3 * MiB)}</b>`);
    let pushed = 0;
    async function push(): Promise<void> {
      for (let waits = 0; waits < 10 && turbo.size === 1; pushed++) {
        turbo.push(box(`${pushed}`));
        await pause(25);
        if (turbo.buffered > MiB) waits++;
      }
      turbo.push(box("last"));
    }
    const [text] = await Promise.all([readSteadily(socket, "<i>last</i>"), push()]);
    const numbers = [...text.matchAll(/<i>(\d+)<\/i>/g)].map(([, number]) => Number(number));
    assert.match(text, /<i>last<\/i>/);
    assert(numbers.length < pushed, "what was superseded in the meantime is not sent");
    assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b));
    assert.equal(turbo.size, 1);
  });

  Deno.test(`Turbo drops a reader that stops within a message of 1.5 MiB by ${name}`, async () => {
    const turbo = new Turbo({ dropAfter: 40, log: { maxBytes: 64 * MiB } });
    await using server = serve((request) => turbo.connect(request));
    await using _socket = await open(turbo, server.port, headers);
    for (let n = 1; n <= 6; n++) pushLarge(turbo, n, 1.5);
    await until(() => turbo.buffered > MiB, "the kernel takes no more");
    await until(() => turbo.size === 0, "it is dropped");
  });
}

Deno.test("Turbo answers a reader that asks while it is sent a message of 3 MiB", async () => {
  const turbo = new Turbo({ log: { maxBytes: 64 * MiB } });
  await using server = serve((request) => turbo.connect(request));
  await using socket = await open(turbo, server.port, WEBSOCKET);
  for (let n = 1; n <= 3; n++) pushLarge(turbo, n, 3);
  await until(() => turbo.buffered > MiB, "it is on its way");
  await socket.write(frame(sinceOf({ cursor: turbo.cursor })));
  const text = await readSteadily(socket, `["${turbo.cursor}",""]`);
  assert(text.includes(`["${turbo.cursor}",""]`), "its marker has come");
  assert.equal(turbo.size, 1);
});

Deno.test("Turbo.push() of more than the log holds makes each page that it is for fetch itself", async () => {
  await using server = serveStream({ log: { maxBytes: MiB } });
  const { turbo, url } = server;
  const path = `/turbo-stream?since=${turbo.cursor}`;
  await using client = await connect(url, { path, protocol: PROTOCOL });
  await client.next(); // its marker
  pushLarge(turbo, 1, 1.5);
  const { cursor } = turbo;
  assert.deepEqual(parseFrame(await client.next()), [{ cursor, html: refresh() }]);
  const small = append("list", html`<i>2</i>`);
  turbo.push(small);
  assert.deepEqual(parseFrame(await client.next()), [{ cursor: turbo.cursor, html: small }]);
  await using late = await connect(url, { path, protocol: PROTOCOL });
  await late.next(); // its marker
  assert.equal(parseFrame(await late.next())[0]!.html, refresh());
});
