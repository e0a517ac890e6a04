import assert from "node:assert/strict";
import { append, html, Turbo } from "../turbo/mod.ts";
import type { Report } from "./apps/pushing_app.ts";
import { connect, pause, PROTOCOL, serve, sinceOf, type TestClient } from "./kit.ts";
import { until, WITH_PROCESS } from "./kit.ts";
import { startProcess, type TestProcess } from "./processes.ts";
import { frame, HANDSHAKE, numberAfter, RawSocket, request } from "./raw.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

Deno.test(
  "Turbo.push() drops a stopped reader at little cost, and it comes back current",
  WITH_PROCESS,
  async () => {
    await using app = startProcess("apps/pushing_app.ts");
    const { url } = await reportOf(app);
    await using reader = startProcess("reader.ts", [url]);
    await reader.line(/^open/, { from: 0 });
    await using stack = new AsyncDisposableStack();
    const others: TestClient[] = [];
    for (let n = 0; n < 5; n++) others.push(stack.use(await connect(url)));

    await app.tell(`push ${64 * KiB} 50`);
    const begin = app.lines.length;
    await until(
      () => others.every(({ messages }) => messages.length >= 200),
      "the heap has its size",
    );
    const before = reportsSince(app, begin);
    assert.equal(before.at(-1)?.size, 6);

    const from = app.lines.length;
    const had = others.map(({ messages }) => messages.length);
    reader.child.kill("SIGSTOP");
    await app.line(/"size":5/, { from, milliseconds: 60_000 });
    const more = others.map(({ messages }, index) => messages.length - had[index]!);
    const reports = reportsSince(app, from);
    // Everything that counts as waiting. The kernel has taken some megabytes before.
    const crossing = reports.find(({ buffered }) => buffered > 64 * KiB)!;
    const dropped = reports.find(({ size }) => size === 5)!;
    const most = Math.max(...reports.map(({ buffered }) => buffered));
    const rss = (list: Report[]) => Math.max(...list.map(({ rss }) => rss));
    const growth = rss(reports) - rss(before);
    const pushed = dropped.pushed - reports[0]!.pushed;
    assert(
      dropped.at - crossing.at >= 8_000,
      `dropped after ${dropped.at - crossing.at} ms of 10 s`,
    );
    assert(most <= MiB, `${most} bytes wait for it`);
    assert(growth <= 20 * MiB, `it takes ${growth} bytes of memory`);
    assert(more.every((count) => count > pushed / 2), `the others get ${more} of ${pushed} pushes`);
    const { connections, zombies } = await (await fetch(`${url}/readyz`)).json();
    assert.deepEqual({ connections, zombies }, { connections: 5, zombies: 1 });

    const stopping = app.line(/^done push 0 0/);
    await app.tell("push 0 0");
    await stopping;
    const newest = (await (await fetch(`${url}/`)).text()).match(
      /name="turbo-cursor" content="(\S+)"/,
    )![1]!;
    const told = reader.lines.length;
    reader.child.kill("SIGCONT");
    await reader.line(/^close/, { from: told });
    await reader.line(new RegExp(`^at ${newest} \\d+$`), { from: told });
    await app.line(/"size":6,"zombies":0/);
  },
);

Deno.test(
  "A pause of the server for several times dropAfter drops no reader that was blocked before",
  WITH_PROCESS,
  async () => {
    const dropAfter = 2_000;
    await using app = startProcess("apps/pushing_app.ts", ["127.0.0.1", `${dropAfter}`]);
    const { url } = await reportOf(app);
    await using socket = await RawSocket.upgrade(Number(new URL(url).port));
    await app.tell(`push ${64 * KiB} 100`);
    const isBehind = ({ buffered }: Report) => buffered > 64 * KiB;
    await until(() => reportsSince(app, 0).slice(-2).every(isBehind), "it takes no more");
    app.child.kill("SIGSTOP");
    const { pushed } = reportsSince(app, 0).at(-1)!;
    await pause(3 * dropAfter);
    app.child.kill("SIGCONT");
    await numberAfter(socket, pushed + 100);
    assert.equal((await reportOf(app)).size, 1);
  },
);

Deno.test("Turbo drops a reader that keeps asking without reading", async () => {
  const turbo = new Turbo({ dropAfter: 500, log: { maxBytes: 64 * MiB } });
  await using server = serve((request) => turbo.connect(request));
  const cursor = turbo.cursor;
  fill(turbo);
  await using socket = await RawSocket.open(server.port);
  const headers = { ...HANDSHAKE, "Sec-WebSocket-Protocol": PROTOCOL };
  await socket.write(request(`GET /turbo-stream?since=${cursor} HTTP/1.1`, headers));
  await until(() => turbo.size === 1, "it is in");
  await until(() => turbo.buffered > 64 * KiB, "it is behind");
  for (let asked = 0; asked < 18 && turbo.size === 1; asked++) { // as often as it is allowed to
    await socket.write(frame(sinceOf({ cursor })));
    await pause(25);
  }
  await until(() => turbo.size === 0, "it is dropped all the same");
  await socket[Symbol.asyncDispose]();
  await until(() => turbo.zombies === 0, "its line has ended");
});

Deno.test("Turbo drops an event stream whose reader takes nothing, and frees everything", async () => {
  const turbo = new Turbo({ dropAfter: 500, log: { maxBytes: 64 * MiB } });
  await using server = serve((request) => turbo.connect(request));
  const cursor = turbo.cursor;
  fill(turbo);
  await using socket = await RawSocket.open(server.port);
  const headers = { Host: "a", Accept: "text/event-stream", "Last-Event-ID": cursor };
  await socket.write(request("GET /turbo-stream HTTP/1.1", headers));
  await until(() => turbo.buffered > 64 * KiB, "it is behind");
  await until(() => turbo.size === 0, "it is dropped");
  assert.deepEqual([turbo.zombies, turbo.buffered], [0, 0]);
});

/** More bytes than the kernel buffers for a client that does not read. */
function fill(turbo: Turbo): void {
  for (let i = 0; i < 300; i++) turbo.push(append("list", html`<p>${"x".repeat(64 * KiB)}</p>`));
}

async function reportOf(app: TestProcess): Promise<Report> {
  return JSON.parse(await app.line(/^{/));
}

function reportsSince({ lines }: TestProcess, from: number): Report[] {
  return lines.slice(from).filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}
