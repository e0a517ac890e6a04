import assert from "node:assert/strict";
import { startChild, type TestChild } from "./children.ts";
import { append, html, Turbo } from "../turbo/mod.ts";
import { connect, pause, serve, until } from "./kit.ts";
import type { Report } from "./pushing_app.ts";
import { frame, HANDSHAKE, RawSocket, request } from "./raw.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

Deno.test("Turbo.push() drops a stopped reader within 10 s at little cost, and it comes back current", async () => {
  await using app = startChild("pushing_app.ts");
  const { url } = await reportOf(app);
  await using reader = startChild("reader.ts", [url]);
  await reader.line(/^open/, { from: 0 });

  const delays: number[] = [];
  const others = await Promise.all(Array.from({ length: 5 }, () => connect(url)));
  for (const { socket } of others) {
    socket.onmessage = ({ data }) => {
      const sentAt = /<i>(\d+)<\/i>/.exec(data)?.[1];
      if (sentAt !== undefined) delays.push(Date.now() - Number(sentAt));
    };
  }
  await app.tell(`push ${64 * KiB} 100`);
  await pause(4_000); // the heap has its size, and the log is full
  const normal = p99(delays.splice(0));
  const before = await reportOf(app);
  assert.equal(before.size, 6);

  reader.process.kill("SIGSTOP");
  const from = app.lines.length;
  await app.line(/"size":5/, { milliseconds: 15_000 });
  const reports = app.lines.slice(from).map((line): Report => JSON.parse(line));
  // All that counts as waiting for it; the kernel has taken some megabytes before.
  const crossing = reports.find(({ buffered }) => buffered > 64 * KiB)!;
  const dropped = reports.find(({ size }) => size === 5)!;
  const most = Math.max(...reports.map(({ buffered }) => buffered));
  const growth = Math.max(...reports.map(({ rss }) => rss)) - before.rss;
  const slowed = p99(delays);
  const seconds = (dropped.at - crossing.at) / 1000;
  console.log(
    `    out after ${seconds.toFixed(2)} s, at most ${(most / KiB).toFixed(0)} KiB waiting, ` +
      `RSS +${(growth / MiB).toFixed(1)} MiB, p99 of the others ${normal} -> ${slowed} ms`,
  );
  assert(seconds <= 10);
  assert(most <= MiB);
  assert(growth <= 20 * MiB);
  assert(slowed <= normal + 200);
  const { connections, zombies } = await (await fetch(`${url}/readyz`)).json();
  assert.deepEqual({ connections, zombies }, { connections: 5, zombies: 1 });

  await app.tell("push 0 0");
  const newest = (await (await fetch(`${url}/`)).text()).match(
    /name="turbo-cursor" content="(\S+)"/,
  )![1]!;
  const told = reader.lines.length;
  reader.process.kill("SIGCONT");
  await reader.line(/^close/, { from: told });
  await reader.line(new RegExp(`^at ${newest} \\d+$`), { from: told });
  await app.line(/"size":6,"zombies":0/);
  await Promise.all(others.map((other) => other[Symbol.asyncDispose]()));
});

Deno.test("Turbo drops a reader that asks again and again and takes nothing", async () => {
  const turbo = new Turbo({ dropAfter: 1_000, log: { maxBytes: 64 * MiB } });
  await using server = serve((request) => turbo.connect(request));
  const cursor = turbo.cursor;
  fill(turbo);
  await using socket = await RawSocket.open(server.port);
  const headers = { ...HANDSHAKE, "Sec-WebSocket-Protocol": "turbo-stream.v1" };
  await socket.write(request(`GET /turbo-stream?since=${cursor} HTTP/1.1`, headers));
  await until(() => turbo.size === 1, "it is in");
  let tookAt = Date.now();
  for (let asked = 0; asked < 200 && turbo.size === 1; asked++) {
    if (turbo.buffered <= 64 * KiB) tookAt = Date.now();
    await socket.write(frame(`since ${cursor}`));
    await pause(50);
  }
  const seconds = (Date.now() - tookAt) / 1000;
  assert(seconds >= 0.8 && seconds <= 1.2, `it held out for ${seconds} s`);
  assert.equal(turbo.size, 0);
  await socket[Symbol.asyncDispose]();
  await until(() => turbo.zombies === 0, "its line has ended");
  await pause(100); // Deno's own close ends after its event
});

Deno.test("Turbo drops an event stream whose reader takes nothing, and nothing is left of it", async () => {
  const turbo = new Turbo({ dropAfter: 1_000, log: { maxBytes: 64 * MiB } });
  await using server = serve((request) => turbo.connect(request));
  const cursor = turbo.cursor;
  fill(turbo);
  await using socket = await RawSocket.open(server.port);
  const headers = { Host: "a", Accept: "text/event-stream", "Last-Event-ID": cursor };
  await socket.write(request("GET /turbo-stream HTTP/1.1", headers));
  await until(() => turbo.buffered > 64 * KiB, "it is behind");
  await until(() => turbo.size === 0, "it is dropped", 1_500);
  assert.deepEqual([turbo.zombies, turbo.buffered], [0, 0]);
});

/** More than the kernel takes for one who does not read. */
function fill(turbo: Turbo): void {
  for (let i = 0; i < 300; i++) turbo.push(append("list", html`<p>${"x".repeat(64 * KiB)}</p>`));
}

async function reportOf(app: TestChild): Promise<Report> {
  return JSON.parse(await app.line(/^{/));
}

function p99(values: readonly number[]): number {
  assert(values.length > 100, `${values.length} values are too few`);
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]!;
}
