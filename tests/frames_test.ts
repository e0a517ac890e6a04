import assert from "node:assert/strict";
import { append, html, Turbo } from "../turbo/mod.ts";
import { connect, pause, PROTOCOL, serve, sinceOf, until, WITH_PROCESS, within } from "./kit.ts";
import { startApp } from "./processes.ts";
import { closeFrame, frame, RawSocket } from "./raw.ts";

/** What Deno does when a frame violates RFC 6455: it ends the connection without a close frame. */
const CUT = 1006;
const bytes = (...values: number[]) => new Uint8Array(values);
const MiB = 1024 * 1024;

/** How the server ends a connection that is sent these frames. */
const FRAMES: readonly [name: string, code: number, ...frames: (() => Uint8Array)[]][] = [
  [
    "101 texts without the sub-protocol",
    1008,
    ...Array.from({ length: 101 }, () => () => frame("x")),
  ],
  ["binary", 1003, () => frame(bytes(1), { opcode: 2 })],
  ["text of 4,097 bytes", 1009, () => frame("a".repeat(4097))],
  ["text of 1 MiB", 1009, () => frame("a".repeat(MiB))],
  ["text of 63 MiB", 1009, () => frame(new Uint8Array(63 * MiB).fill(97))],
  ["text of 65 MiB", CUT, () => frame(new Uint8Array(65 * MiB))],
  ["a length of 2^63", CUT, () => bytes(0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
  ["text that is no UTF-8", CUT, () => frame(bytes(0xff, 0xfe))],
  ["text with a surrogate", CUT, () => frame(bytes(0xed, 0xa0, 0x80))],
  ["reserved bit 1", CUT, () => frame("a", { reserved: 4 })],
  ["reserved bit 2", CUT, () => frame("a", { reserved: 2 })],
  ["reserved bit 3", CUT, () => frame("a", { reserved: 1 })],
  ["opcode 3", CUT, () => frame("a", { opcode: 3 })],
  ["opcode 11", CUT, () => frame("a", { opcode: 11 })],
  ["opcode 15", CUT, () => frame("a", { opcode: 15 })],
  ["a ping of 126 bytes", CUT, () => frame(new Uint8Array(126), { opcode: 9 })],
  ["a ping in fragments", CUT, () => frame("a", { opcode: 9, fin: false })],
  ["a stray continuation", CUT, () => frame("a", { opcode: 0 })],
  ["a text inside a text", CUT, () => frame("a", { fin: false }), () => frame("b")],
  ["HTTP", CUT, () => new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")],
  ["close 1000", 1000, () => closeFrame(1000)],
  ["close 4999", 4999, () => closeFrame(4999)],
  ["close without a code", 1005, () => frame("", { opcode: 8 })],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((
    code,
  ): [string, number, () => Uint8Array] => [`close ${code}`, 1002, () => closeFrame(code)]),
  ["a close of 1 byte", CUT, () => frame(bytes(3), { opcode: 8 })],
  ["a close whose reason is no UTF-8", CUT, () => frame(bytes(3, 232, 255), { opcode: 8 })],
  ["a close in fragments", CUT, () => frame(bytes(3, 232), { opcode: 8, fin: false })],
];

Deno.test(`Turbo ends a connection with the right code for each bad frame (${FRAMES.length})`, async () => {
  await using running = await start();
  const { turbo, server } = running;
  const wrong: string[] = [];
  for (const [name, expected, ...frames] of FRAMES) {
    await using socket = await RawSocket.upgrade(server.port);
    await until(() => turbo.size === 2, "the bad client is in");
    for (const make of frames) await socket.write(make());
    const code = await socket.closeCode();
    if (code !== expected) wrong.push(`${name}: ${code} instead of ${expected}`);
    await until(() => turbo.size === 1, `${name} is out, though TCP is still up`);
  }
  assert.deepEqual(wrong, []);
  await until(() => turbo.zombies === 0, "their lines have ended");
  await running.assertUndisturbed();
});

Deno.test("Turbo answers pings, and accepts pongs, fragments and unmasked frames", async () => {
  await using running = await start();
  const { turbo, server } = running;
  await using socket = await RawSocket.upgrade(server.port);
  for (const length of [0, 125]) {
    await socket.write(frame(new Uint8Array(length), { opcode: 9 }));
    for (;;) {
      const answer = await socket.frame();
      if (answer?.opcode === 1) continue; // a push
      assert.equal(answer?.opcode, 10);
      assert.equal(answer.payload.length, length);
      break;
    }
  }
  await socket.write(frame("a", { opcode: 10 }));
  await socket.write(frame("a", { fin: false }));
  await socket.write(frame("b", { opcode: 0 }));
  await socket.write(frame("a", { mask: false })); // Deno accepts this; it cannot poison a proxy
  await socket.write(frame("", { opcode: 9 }));
  while ((await socket.frame())?.opcode !== 10);
  assert.equal(turbo.size, 2);
});

for (const text of ["x", "since", "since a b c d", "since \u0000", `since ${"a".repeat(65)}`]) {
  Deno.test(`Turbo closes with 1008 on ${JSON.stringify(text.slice(0, 20))} in the sub-protocol`, async () => {
    await using running = await start();
    await using client = await connect(running.server.url, { protocol: PROTOCOL });
    client.socket.send(text);
    assert.equal((await within(client.closed, "the close")).code, 1008);
    await until(() => running.turbo.size === 1, "it is out");
  });
}

Deno.test("Turbo closes with 1008 on 10,000 small messages, and other readers are undisturbed", async () => {
  await using running = await start();
  const { turbo, server } = running;
  await using socket = await RawSocket.upgrade(server.port);
  const one = frame("x");
  const flood = new Uint8Array(10_000 * one.length);
  for (let i = 0; i < 10_000; i++) flood.set(one, i * one.length);
  const code = socket.closeCode();
  await socket.write(flood);
  assert.equal(await code, 1008);
  await until(() => turbo.size === 1, "it is out");
  await running.assertUndisturbed();
});

// Its code may be lost: Deno ends the connection when more comes after the close.
Deno.test("Turbo ends the connection of a client that never stops sending", async () => {
  await using running = await start();
  await using socket = await RawSocket.upgrade(running.server.port);
  const code = socket.closeCode();
  let sent = 0;
  while (sent < 1_000 && await socket.write(frame("x"))) {
    sent++;
    await pause(1);
  }
  assert(sent < 1_000, `it takes ${sent} messages, and 100 are allowed`);
  assert([CUT, 1008].includes(await code), `${await code}`);
  await running.assertUndisturbed();
});

Deno.test("Turbo answers 10,000 `since` in a row, and buffers little for a client that does not read", async () => {
  await using running = await start();
  const { turbo, server } = running;
  await using socket = await RawSocket.upgrade(
    server.port,
    `/turbo-stream?since=${turbo.cursor}`,
    { "Sec-WebSocket-Protocol": PROTOCOL },
  );
  const cursor = turbo.cursor;
  for (let i = 0; i < 200; i++) turbo.push(append("list", html`<p>${"x".repeat(4_000)}</p>`));
  let asked = 0;
  for (; asked < 10_000 && turbo.size === 2; asked++) {
    if (!await within(socket.write(frame(sinceOf({ cursor }))), "the server to read")) break;
    if (asked % 100 === 0) assert(turbo.buffered <= MiB + 128 * 1024, `${turbo.buffered} buffered`);
  }
  await running.assertUndisturbed();
});

// The platform cannot prevent this: Deno does not limit a fragmented message, and no event comes
// before the last fragment (denoland/deno#15809). When this test fails, Deno has fixed it, and the
// memory watchdog can be removed.
Deno.test(
  "main.ts drains and exits with code 3 when endless fragments fill its memory",
  WITH_PROCESS,
  async () => {
    const limit = 250;
    await using app = await startApp([
      "--port=0",
      "--hostname=127.0.0.1",
      "--interval=0.05",
      `--max-memory=${limit}`,
    ]);
    await using reader = await connect(app.url);
    await using socket = await RawSocket.upgrade(app.port);
    const part = new Uint8Array(MiB).fill(97);
    await socket.write(frame(part, { fin: false }));
    const piece = frame(part, { opcode: 0, fin: false });
    let ended = false;
    app.ended.then(() => ended = true);
    let sent = 1;
    for (; !ended && sent < 1_000 && !/Memory/.test(app.errors); sent++) {
      if (!await within(socket.write(piece), "the app to read")) break;
    }
    assert(sent > 64, `${sent} MiB: Deno holds it all`);
    assert.equal((await within(reader.closed, "the close")).code, 1012);
    assert.equal(await within(app.ended, "the app to end"), 3);
    await app.event(/^Memory is at \d+ MiB of 250/);
  },
);

/** A stream with one good reader, who is sent something every 20 ms. */
async function start() {
  const errors: unknown[] = [];
  const turbo = new Turbo({ onError: (...error) => errors.push(error) });
  const server = serve((request) => turbo.connect(request));
  const reader = await connect(server.url);
  await until(() => turbo.size === 1, "the reader is in");
  let pushed = 0;
  const timer = setInterval(() => turbo.push(append("list", html`<p>${++pushed}</p>`)), 20);
  return {
    turbo,
    server,
    /** Asserts that the reader has had everything once and in order, and still receives pushes. */
    async assertUndisturbed() {
      const goal = pushed + 5;
      const own = () => [...reader.messages.join("").matchAll(/<p>(\d+)<\/p>/g)].map(([, n]) => n);
      await until(() => own().length >= goal, "the reader has more");
      assert.deepEqual(own(), own().map((_, index) => String(index + 1)));
      assert.deepEqual(errors, []);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await reader[Symbol.asyncDispose]();
      await turbo.close({ window: 0, deadline: 100 });
      await server[Symbol.asyncDispose]();
    },
  };
}
