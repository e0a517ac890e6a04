import assert from "node:assert/strict";
import { startChild, type TestChild } from "./children.ts";
import { connect, pause } from "./kit.ts";
import type { Report } from "./pushing_app.ts";

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

async function reportOf(app: TestChild): Promise<Report> {
  return JSON.parse(await app.line(/^{/));
}

function p99(values: readonly number[]): number {
  assert(values.length > 100, `${values.length} values are too few`);
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]!;
}
