import assert from "node:assert/strict";
import { connect, PROTOCOL, serve, sinceOf, until } from "../tests/kit.ts";
import { ForeignLogs } from "./foreign_logs.ts";
import { Log } from "./log.ts";
import { Turbo } from "./turbo.ts";

function start() {
  const told: string[] = [];
  return { told, foreign: new ForeignLogs(new Log({ epoch: "own" }), (text) => told.push(text)) };
}

Deno.test("ForeignLogs reports once that a page asks for the third time with a cursor of one other log", () => {
  const { told, foreign } = start();
  foreign.asked("other.1", "page");
  foreign.asked("other.1", "page");
  assert.deepEqual(told, []);
  foreign.asked("other.2", "page");
  assert.deepEqual(told, [
    'A page of another log keeps asking this one (cursor "other.2"): two Turbo instances or ' +
    "processes answer for one app. Make one Turbo for all routes, or give the processes one engine",
  ]);
  for (let n = 0; n < 3; n++) foreign.asked("another.1", "page2");
  assert.equal(told.length, 1);
});

Deno.test("ForeignLogs says nothing after a restart, when each page asks once or twice", () => {
  const { told, foreign } = start();
  for (let page = 0; page < 10_000; page++) {
    foreign.asked("before.7", `page${page}`);
    if (page % 2 === 0) foreign.asked("before.7", `page${page}`);
  }
  assert.deepEqual(told, []);
});

Deno.test("ForeignLogs counts each log of a page separately, as after several restarts", () => {
  const { told, foreign } = start();
  for (const epoch of ["a", "a", "b", "b", "a"]) foreign.asked(`${epoch}.1`, "page");
  assert.deepEqual(told, []);
});

Deno.test("ForeignLogs ignores what is not a cursor of a log, and a page without an id", () => {
  const { told, foreign } = start();
  for (let n = 0; n < 5; n++) {
    foreign.asked("none", "page");
    foreign.asked("other.1", undefined);
  }
  assert.deepEqual(told, []);
});

for (const others of [999, 1_000]) {
  Deno.test(`ForeignLogs ${others < 1_000 ? "remembers" : "has forgotten"} a page after ${others} others`, () => {
    const { told, foreign } = start();
    for (let n = 0; n < 2; n++) foreign.asked("other.1", "page");
    for (let page = 0; page < others; page++) foreign.asked("other.1", `page${page}`);
    foreign.asked("other.1", "page");
    assert.equal(told.length, others < 1_000 ? 1 : 0);
  });
}

Deno.test("ForeignLogs forgets the page that asked least recently", () => {
  const { told, foreign } = start();
  foreign.asked("other.1", "page");
  for (let page = 1; page < 1_000; page++) foreign.asked("other.1", `page${page}`);
  foreign.asked("other.1", "page");
  for (let page = 1_000; page < 1_010; page++) foreign.asked("other.1", `page${page}`);
  assert.deepEqual(told, []);
  foreign.asked("other.1", "page");
  assert.equal(told.length, 1);
});

Deno.test("ForeignLogs reports another log of this process at once, but not a closed one", () => {
  const { told, foreign } = start();
  const other = new Log({ epoch: "live" });
  new ForeignLogs(other, () => {}).close();
  foreign.asked(other.cursor, "page");
  assert.deepEqual(told, []);
  const others = new ForeignLogs(other, () => {});
  foreign.asked(other.cursor, "page2");
  others.close();
  assert.deepEqual(told, [
    'A page of another Turbo of this process asks this one (cursor "live.0"): make one Turbo, and use ' +
    "it for head(), push() and connect() alike",
  ]);
});

/** A Turbo on a server, and its notices. */
function serveTurbo(epoch: string) {
  const notices: string[] = [];
  const turbo = new Turbo({ log: { epoch }, onNotice: (text) => notices.push(text) });
  const server = serve((request) => turbo.connect(request));
  return {
    turbo,
    notices,
    url: server.url,
    async [Symbol.asyncDispose]() {
      await turbo.close({ deadline: 1_000, window: 0 });
      await server[Symbol.asyncDispose]();
    },
  };
}

Deno.test("Turbo reports pages of another process, by either transport", async () => {
  await using asked = serveTurbo("own");
  const path = "/turbo-stream?since=elsewhere.1&page=p";
  await using client = await connect(asked.url, { protocol: PROTOCOL, path });
  await client.next();
  client.socket.send(sinceOf({ cursor: "elsewhere.1", page: "p" }));
  client.socket.send(sinceOf({ cursor: "own.0", page: "p2" }));
  client.socket.send(sinceOf({ cursor: "own.1", page: "p3" })); // of this log, but ahead of it
  await until(() => client.messages.length >= 5, "the answers");
  assert.deepEqual(asked.notices, []);
  const events = await fetch(asked.url + path, { headers: { Accept: "text/event-stream" } });
  await events.body!.cancel();
  assert.equal(asked.notices.length, 1);
  assert.match(asked.notices[0]!, /^A page of another log keeps asking .*"elsewhere\.1"/);
});

Deno.test("Turbo reports a page of another Turbo of its process at once", async () => {
  await using rendering = serveTurbo("rendering");
  await using asked = serveTurbo("asked");
  const path = `/turbo-stream?since=${rendering.turbo.cursor}&page=p`;
  await using client = await connect(asked.url, { protocol: PROTOCOL, path });
  await client.next();
  assert.match(asked.notices.join(), /^A page of another Turbo of this process asks this one/);
});

Deno.test("Turbo does not report a page of an earlier Turbo of its process that was closed", async () => {
  const before = new Turbo();
  const { cursor } = before;
  await before.close();
  await using asked = serveTurbo("asked");
  const path = `/turbo-stream?since=${cursor}&page=p`;
  await using client = await connect(asked.url, { protocol: PROTOCOL, path });
  await client.next();
  assert.deepEqual(asked.notices, []);
});
