import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { TestClock, turn } from "../tests/clock.ts";
import type { Visitor } from "./admission.ts";
import type { Carrier, Connection } from "./connection.ts";
import { html } from "./html.ts";
import { type Audience, Log } from "./log.ts";
import { type Close, type Message, REFRESH } from "./protocol.ts";
import type { Clock } from "./clock.ts";
import { Readers, type ReadersOptions } from "./readers.ts";
import { append, replace, type Stream, update } from "../tests/stream_texts.ts";

const box = (id: string, n: number) => replace(id, html`<b id="${id}">${n}</b>`);
const item = (n: number) => append("list", html`<li>${n}</li>`);

/** A carrier whose reader takes everything at once, unless the test stops it. */
class TestCarrier implements Carrier {
  endsLater = true;
  /** What its reader has received, one list for each message. */
  readonly received: string[][] = [];
  readonly waiting: (readonly Message[])[] = [];
  isStopped = false;
  closed: Close | undefined;
  fails = false;

  get buffered(): number {
    return this.waiting.flat().reduce((sum, { html }) => sum + html.length + 20, 0);
  }

  send(messages: readonly Message[]): number {
    if (this.fails) throw new Error("broken");
    if (this.closed) return 0;
    this.waiting.push(messages);
    const bytes = messages.reduce((sum, { html }) => sum + html.length + 20, 0);
    if (!this.isStopped) this.take();
    return bytes;
  }

  take(count = Infinity): void {
    for (const messages of this.waiting.splice(0, count)) this.receive(messages);
  }

  receive(messages: readonly Message[]): void {
    if (messages.every(({ html }) => html === "")) return; // a marker or a heartbeat
    this.received.push(messages.map(({ html }) => html));
  }

  close(close: Close): void {
    this.closed ??= close; // a closing socket is not closed again
  }
}

function start(options: Partial<ReadersOptions> = {}) {
  const clock = new TestClock();
  const log = new Log({ maxEntries: 100 }, clock);
  const errors: unknown[] = [];
  const readers = new Readers(log, {
    heartbeat: 15_000,
    frame: 16,
    behindAfter: 64 * 1024,
    maxBuffered: 1024 * 1024,
    dropAfter: 10_000,
    onChange() {},
    report: (_, error) => errors.push(error),
    clock,
    ...options,
  });
  function push(html: Stream, audience: Audience = {}): void {
    readers.owe(log.append(html, audience));
  }
  function join(as: string[] = [], more: Partial<Visitor> = {}, carrier = new TestCarrier()) {
    const visitor = { ...visitorOf(as), ...more };
    return Object.assign(carrier, { connection: readers.add(carrier, visitor), visitor });
  }
  return { clock, log, readers, errors, push, join };
}

function visitorOf(as: readonly string[]): Visitor {
  return {
    transport: "websocket",
    as,
    page: undefined,
    since: undefined,
    reports: false,
    isLost: false,
    token: undefined,
    opened: () => undefined,
    origin: undefined,
    grant: (token) =>
      token === "bad" ? undefined : { names: new Set(as), topics: new Set(), from: undefined },
    release() {},
  };
}

Deno.test("Readers.restart() ends all topics, which were signed for the old order", () => {
  const { log, readers, join } = start();
  const grant = { names: new Set(["ann", "room"]), topics: new Set(["room"]), from: log.cursor };
  const one = join(["ann"], { grant: () => grant });
  readers.resume(one.connection, { cursor: log.cursor, token: "room" });
  assert.deepEqual([readers.listeners("ann"), readers.listeners("room")], [1, 1]);
  readers.restart();
  assert.deepEqual([readers.listeners("ann"), readers.listeners("room")], [1, 0]);
});

// ---- Pace

Deno.test("Readers send the first push in the same turn, and later ones at the end of the frame", async () => {
  const { clock, push, join } = start();
  const one = join();
  push(item(1));
  assert.deepEqual(one.received, [], "not yet: more may be pushed in this turn");
  await turn();
  assert.deepEqual(one.received, [[item(1)]]);
  push(item(2));
  await clock.advance(10);
  push(item(3));
  await clock.advance(5);
  assert.equal(one.received.length, 1, "15 ms have gone");
  await clock.advance(1);
  assert.deepEqual(one.received.slice(1), [[item(2), item(3)]]);
  await clock.advance(16);
  push(item(4));
  await turn();
  assert.deepEqual(one.received.slice(2), [[item(4)]]);
});

Deno.test("Readers send ten pushes of one turn as one message of ten", async () => {
  const { push, join } = start();
  const one = join();
  const items = Array.from({ length: 10 }, (_, n) => item(n));
  for (const stream of items) push(stream);
  await turn();
  assert.deepEqual(one.received, [items]);
});

Deno.test("Readers do not send what was superseded before it left", async () => {
  const { clock, push, join } = start();
  const one = join();
  for (let n = 0; n < 10; n++) push(box("a", n));
  await turn();
  assert.deepEqual(one.received, [[box("a", 9)]]);
  for (let n = 10; n < 20; n++) {
    push(box("a", n));
    await clock.advance(1);
  }
  await clock.advance(16);
  assert.deepEqual(one.received.slice(1), [[box("a", 19)]]);
});

Deno.test("Readers pace each page separately: a push to one never waits for a push to another", async () => {
  const { push, join } = start();
  const [ann, bob] = [join(["ann"]), join(["bob"])];
  push(item(1), { to: ["ann"] });
  await turn();
  push(item(2), { to: ["bob"] });
  push(item(3), { to: ["ann"] });
  await turn();
  assert.deepEqual(bob.received, [[item(2)]]);
  assert.deepEqual(ann.received, [[item(1)]]);
});

Deno.test("Readers with frame 0 send the pushes of each turn together and wait for nothing", async () => {
  const { push, join } = start({ frame: 0 });
  const one = join();
  for (let n = 0; n < 3; n++) {
    push(item(10 * n));
    push(item(10 * n + 1));
    await turn();
  }
  assert.deepEqual(one.received, [0, 1, 2].map((n) => [item(10 * n), item(10 * n + 1)]));
});

Deno.test("Readers answer a since at once, even within a frame", async () => {
  const { log, readers, push, join } = start();
  const one = join();
  const { cursor } = log;
  push(item(1));
  await turn();
  push(item(2));
  readers.resume(one.connection, { cursor });
  assert.deepEqual(one.received.slice(1), [[item(1), item(2)]]);
});

Deno.test("A heartbeat does not make a push wait", async () => {
  const { clock, push, join } = start();
  const one = join();
  await clock.advance(15_500);
  push(item(1));
  await turn();
  assert.deepEqual(one.received, [[item(1)]]);
});

// ---- One path

Deno.test("Readers keep the order of pushes to a name, to everyone and to everyone but one", async () => {
  const { push, join } = start();
  const [ann, bob] = [join(["ann"], { page: "a" }), join(["bob"], { page: "b" })];
  push(item(1), { to: ["ann"] });
  push(item(2));
  push(item(3), { except: "a" });
  push(item(4), { to: ["ann", "bob"] });
  push(item(5), { to: ["bob"], except: "b" });
  await turn();
  assert.deepEqual(ann.received, [[item(1), item(2), item(4)]]);
  assert.deepEqual(bob.received, [[item(2), item(3), item(4)]]);
});

Deno.test("A connection that opens between a push and its flush receives it once", async () => {
  const { log, push, join } = start();
  const { cursor } = log;
  const early = join();
  push(item(1));
  const naked = join(); // from the connection on
  const resumed = join([], { since: cursor });
  const current = join([], { since: log.cursor });
  await turn();
  push(item(2));
  await turn();
  assert.deepEqual(early.received[0], [item(1)]);
  assert.deepEqual(naked.received, [[item(2)]]);
  assert.deepEqual(resumed.received, [[item(1)]]);
  assert.deepEqual(current.received, [[item(2)]]);
});

Deno.test("A push inside onChange reaches the new connection once, after its marker", async () => {
  const all: string[] = [];
  const at = start({ onChange: (names) => names.includes("ann") && at.push(item(7)) });
  const carrier = new TestCarrier();
  carrier.receive = (messages) => all.push(...messages.map(({ cursor, html }) => html || cursor));
  const { cursor } = at.log;
  at.join(["ann"], { since: cursor }, carrier);
  await turn();
  assert.deepEqual(all, [cursor, item(7)]);
});

Deno.test("A push inside onChange is not covered by the first cursor of the new connection", async () => {
  const positions: number[] = [];
  const at = start({ onChange: (names) => names.includes("ann") && at.push(item(7)) });
  const carrier = new TestCarrier();
  carrier.receive = (messages) =>
    positions.push(...messages.map(({ cursor }) => positionOf(cursor)));
  at.join(["ann"], {}, carrier);
  await turn();
  assert.deepEqual(positions, [0, 1]);
});

Deno.test("Readers.resume() refuses a connection that asks without reading", () => {
  const { log, readers, push, join } = start({ maxBuffered: 100 });
  const one = join();
  one.isStopped = true;
  const { cursor } = log;
  push(item(1));
  assert(readers.resume(one.connection, { cursor }));
  assert(
    readers.resume(one.connection, { cursor }),
    "100 bytes may wait beside the largest message",
  );
  assert(!readers.resume(one.connection, { cursor }));
  one.take();
  assert(readers.resume(one.connection, { cursor }));
});

Deno.test("Readers.close() sends what is owed before it closes", async () => {
  const { readers, push, join } = start();
  const one = join();
  push(item(1));
  await turn();
  push(item(2)); // within the frame of the first
  await readers.close({ code: 1001, reason: "x" }, 0);
  assert.deepEqual(one.received, [[item(1)], [item(2)]]);
  assert.equal(one.closed?.code, 1001);
});

Deno.test("Readers.disconnect() sends what is owed before it closes", async () => {
  const { readers, push, join } = start();
  const [ann, bob] = [join(["ann"]), join(["bob"])];
  push(item(1), { to: ["ann"] });
  readers.disconnect("ann");
  assert.deepEqual(ann.received, [[item(1)]]);
  assert.equal(ann.closed?.code, 4001);
  await turn();
  assert.deepEqual([bob.closed, readers.size, readers.zombies], [undefined, 1, 1]);
});

Deno.test("A connection that is not addressed holds no position, so pushes to others are no gap", async () => {
  const { push, join } = start();
  const [ann, bob] = [join(["ann"]), join(["bob"])];
  for (let n = 0; n < 1_001; n++) push(item(n), { to: ["bob"] });
  assert.equal(ann.connection.position, undefined);
  push(item(7));
  await turn();
  assert.deepEqual(ann.received, [[item(7)]]);
  assert.deepEqual(bob.received, [[REFRESH]]); // more than the log holds, in one turn
});

Deno.test("A page that resumes after 1,001 pushes to a busy name gets its marker and nothing else", async () => {
  const at = start();
  const { cursor } = at.log;
  for (let n = 0; n < 1_001; n++) at.push(item(n), { to: ["busy"] });
  const carrier = new TestCarrier();
  const all: Message[] = [];
  carrier.receive = (messages) => all.push(...messages);
  at.join(["quiet"], { since: cursor }, carrier);
  await at.clock.advance(1_000);
  assert.deepEqual(all, [{ cursor, html: "" }]);
});

Deno.test("A page that is left out by except still moves to the newer cursor", async () => {
  const at = start();
  const carrier = new TestCarrier();
  const cursors: string[] = [];
  carrier.receive = (messages) => cursors.push(...messages.map(({ cursor }) => cursor));
  at.join([], { page: "me", since: at.log.cursor }, carrier);
  at.push(item(1), { except: "me" });
  await turn();
  assert.match(cursors[1]!, new RegExp(`^${at.log.cursor}\\.\\d+$`));
  assert.equal(at.readers.count({ except: "me" }), 0);
});

Deno.test("A token that is not valid is answered by the marker and one refresh", async () => {
  const { log, readers, push, join } = start();
  const one = join(["ann"]);
  push(item(1));
  await turn();
  readers.resume(one.connection, { cursor: log.cursor, token: "bad" });
  assert.deepEqual(one.received, [[item(1)], [REFRESH]]);
  assert.equal(one.connection.position, undefined);
  assert.equal(readers.listeners("ann"), 1, "its own name is not in question");
});

Deno.test("A token that is not valid is answered by a refresh even for a page that is ahead", async () => {
  const { clock, log, readers, push, join } = start();
  const one = join(["ann"]);
  readers.resume(one.connection, { cursor: log.cursor.replace(/0$/, "1"), token: "bad" });
  assert.deepEqual(one.received, [[REFRESH]]);
  push(item(1));
  await clock.advance(2_000);
  assert.deepEqual(one.received, [[REFRESH], [item(1)]]);
});

Deno.test("Readers.restart() makes each page fetch itself once, after half a second to one second", async () => {
  const { clock, log, readers, push, join } = start();
  const all = Array.from({ length: 50 }, () => join());
  const count = () => all.filter(({ received }) => received.length > 0).length;
  log.reset("other", 7);
  readers.restart();
  push(item(1));
  await turn();
  await clock.advance(400);
  log.reset("third", 9);
  readers.restart(); // as when several nodes come back, each with a new order
  await clock.advance(499);
  assert.equal(count(), 0, "none yet: there may come more");
  await clock.advance(251);
  assert(count() > 5 && count() < 45, `${count()} of 50 after three quarters of a second`);
  await clock.advance(250);
  for (const { received } of all) assert.deepEqual(received, [[REFRESH]]);
});

Deno.test("Readers.revoke() makes only the pages of a topic fetch themselves, spread over a second", async () => {
  const { clock, readers, join } = start();
  const all = Array.from({ length: 50 }, () => join(["#room"]));
  const other = join(["#attic"]);
  readers.revoke("#room");
  await clock.advance(500);
  const half = all.filter(({ received }) => received.length > 0).length;
  assert(half > 5 && half < 45, `${half} of 50 after half a second`);
  await clock.advance(500);
  for (const { received } of all) assert.deepEqual(received, [[REFRESH]]);
  assert.deepEqual(other.received, []);
});

Deno.test("Readers.restart() spreads the pages of a busy app too", async () => {
  const { clock, log, readers, push, join } = start();
  const all = Array.from({ length: 50 }, () => join());
  push(item(1));
  await turn();
  push(item(2)); // all connections are in a frame now
  log.reset("other", 7);
  readers.restart();
  push(item(3));
  await clock.advance(100);
  const early = all.filter(({ received }) => received.length > 1).length;
  assert(early < 20, `${early} of 50 after a tenth of the second`);
  await clock.advance(900);
  for (const { received } of all) assert.deepEqual(received, [[item(1)], [REFRESH]]);
});

Deno.test("An answer to a since starts a frame of its own", async () => {
  const { clock, log, readers, push, join } = start();
  const one = join();
  const { cursor } = log;
  push(item(1));
  await turn();
  push(item(2)); // due 16 ms after the first
  await clock.advance(14);
  readers.resume(one.connection, { cursor });
  push(item(3));
  await clock.advance(15);
  assert.deepEqual(one.received, [[item(1)], [item(1), item(2)]]);
  await clock.advance(1);
  assert.deepEqual(one.received[2], [item(3)]);
});

Deno.test("A timer that fires early loses no message", async () => {
  const early: Clock = {
    now: () => clock.now(),
    later: (run, milliseconds) => clock.later(run, Math.max(1, milliseconds - 1)),
  };
  const clock = new TestClock();
  const { push, join } = start({ clock: early });
  const one = join();
  push(item(1));
  await turn();
  push(item(2));
  await clock.advance(14);
  assert.equal(one.received.length, 1);
  await clock.advance(4);
  assert.deepEqual(one.received[1], [item(2)]);
});

Deno.test("A socket that throws is closed with 1011 and reported once, and affects no other", async () => {
  const { readers, errors, push, join } = start();
  const [broken, healthy] = [join(), join()];
  broken.fails = true;
  push(item(1));
  push(item(2));
  await turn();
  assert.deepEqual(healthy.received, [[item(1), item(2)]]);
  assert.equal(broken.closed?.code, 1011);
  assert.deepEqual([readers.size, errors.length], [1, 1]);
});

Deno.test("A socket that throws at its first message is not counted, but keeps its place until it ends", () => {
  for (const since of [undefined, "e.1"]) {
    const { readers, errors, join } = start();
    let released = 0;
    const carrier = new TestCarrier();
    carrier.fails = true;
    const { connection } = join(["ann"], { since, release: () => released++ }, carrier);
    assert.deepEqual([readers.size, readers.listeners("ann"), errors.length], [0, 0, 1]);
    assert.deepEqual([released, readers.zombies], [0, 1]);
    readers.remove(connection);
    assert.deepEqual([released, readers.zombies], [1, 0]);
  }
});

Deno.test("Readers call onChange once when a connection opens and once when it ends, even without a name", () => {
  const changes: (readonly string[])[] = [];
  const { log, readers, join } = start({ onChange: (names) => changes.push(names) });
  for (const since of [undefined, log.cursor]) {
    for (const as of [[], ["ann"]]) {
      const one = join(as, { since });
      assert.deepEqual(changes.splice(0), [as], "it has come");
      readers.resume(one.connection, { cursor: log.cursor });
      assert.deepEqual(changes.splice(0), [], "nothing has changed");
      readers.forget(one.connection);
      assert.deepEqual(changes.splice(0), [as], "it is closed");
      readers.remove(one.connection);
      assert.deepEqual(changes.splice(0), [], "it has gone long ago");
    }
  }
});

Deno.test("Readers.refuse() does not count a connection, but keeps its place until it has ended", () => {
  const { readers } = start();
  let released = 0;
  const visitor = { ...visitorOf(["ann"]), release: () => released++ };
  const connection = readers.refuse(new TestCarrier(), visitor);
  assert.deepEqual([readers.size, readers.listeners("ann"), readers.zombies], [0, 0, 1]);
  assert.equal(connection.hasEnded, true);
  assert.equal(released, 0);
  readers.remove(connection);
  assert.deepEqual([released, readers.zombies], [1, 0]);
});

Deno.test("Readers.forget() keeps only the place of a connection that ends later", () => {
  for (const [endsLater, zombies] of [[true, 1], [false, 0]] as const) {
    const { readers, join } = start();
    let released = 0;
    const one = join([], { release: () => released++ });
    one.endsLater = endsLater;
    readers.forget(one.connection);
    assert.deepEqual([readers.size, readers.zombies, released], [0, zombies, 1 - zombies]);
  }
});

Deno.test("Readers.buffered includes a connection that was closed and has not ended", () => {
  const { log, readers, push, join } = start();
  const one = join(["ann"]);
  one.isStopped = true;
  push(item(1));
  readers.resume(one.connection, { cursor: log.cursor });
  const { buffered } = readers;
  assert(buffered > 0);
  readers.disconnect("ann");
  assert.deepEqual([readers.zombies, readers.buffered], [1, buffered]);
  readers.remove(one.connection);
  assert.equal(readers.buffered, 0);
});

Deno.test("Readers do nothing with a connection that has ended", () => {
  const { log, readers, push, join } = start();
  const one = join();
  readers.remove(one.connection);
  push(item(1));
  readers.sendBack(one.connection);
  assert.equal(readers.resume(one.connection, { cursor: log.cursor }), true);
  assert.deepEqual([one.closed, one.received], [undefined, []]);
});

Deno.test("A page that asks without its id keeps the one that it had", async () => {
  const { log, readers, push, join } = start();
  const one = join([], { page: "me" });
  readers.resume(one.connection, { cursor: log.cursor });
  push(item(1), { except: "me" });
  await turn();
  assert.deepEqual(one.received, []);
});

Deno.test("Readers expire old entries of the log at a heartbeat", async () => {
  const { clock, log, push, join } = start();
  join();
  push(item(1));
  await clock.advance(15 * 60 * 1000);
  assert.equal(log.size, 1);
  await clock.advance(1_000);
  assert.equal(log.size, 0);
});

Deno.test("A reader that stops reading is dropped even when it is owed nothing more", async () => {
  const { clock, readers, push, join } = start({ behindAfter: 150 });
  const [stopped, healthy] = [join(), join()];
  stopped.isStopped = true;
  for (const n of [1, 2]) {
    push(item(n));
    await clock.advance(16);
  }
  assert.equal(stopped.connection.position, undefined);
  await clock.advance(8_900);
  assert.equal(readers.size, 2);
  await clock.advance(1_100);
  assert.deepEqual([stopped.closed?.code, healthy.closed, readers.size], [1013, undefined, 1]);
});

Deno.test("Readers.disconnect() closes a stuck reader as well", async () => {
  const { clock, readers, push, join } = start({ behindAfter: 50, maxBuffered: 60 });
  const one = join(["ann"]);
  one.isStopped = true;
  for (let n = 0; n < 5; n++) {
    push(item(n));
    await turn();
  }
  await clock.advance(16);
  await clock.advance(30);
  readers.disconnect("ann");
  assert.equal(one.closed?.code, 4001);
});

Deno.test("A pause of the process does not count as time in which a reader takes nothing", async () => {
  const { clock, push, join } = start({ behindAfter: 150 });
  const [slow, stuck] = [join(), join()];
  for (const one of [slow, stuck]) one.isStopped = true;
  for (let n = 0; n < 3; n++) {
    push(box("a", n));
    await clock.advance(1_000);
  }
  clock.pause(60_000);
  await clock.advance(1_000);
  assert.deepEqual([slow.closed, stuck.closed], [undefined, undefined]);
  slow.take();
  await clock.advance(9_000);
  assert.deepEqual([slow.closed, stuck.closed?.code], [undefined, 1013]);
  slow.take();
  assert.deepEqual(slow.received.at(-1), [box("a", 2)]);
});

Deno.test("Readers have no timer when the last page has left", async () => {
  const { clock, readers, push, join } = start({ behindAfter: 50 });
  const one = join();
  one.isStopped = true;
  for (let n = 0; n < 3; n++) {
    push(item(n));
    await turn();
  }
  readers.restart();
  assert(clock.pending > 2);
  readers.remove(one.connection);
  readers.remove(one.connection);
  assert.equal(clock.pending, 0);
});

Deno.test("Heartbeats go to connections that were sent nothing, and never to one that is owed something", async () => {
  const { clock, push, join } = start({ behindAfter: 50 });
  const beats = (carrier: TestCarrier) => {
    let count = 0;
    const { receive } = carrier;
    carrier.receive = (messages) => {
      if (messages.every(({ html }) => html === "")) count++;
      receive.call(carrier, messages);
    };
    return () => count;
  };
  const [quiet, busy, stopped] = [join(), join(["busy"]), join(["stopped"])];
  const counts = [quiet, busy, stopped].map(beats);
  stopped.isStopped = true;
  for (let n = 0; n < 3; n++) push(item(n), { to: ["stopped"] });
  await clock.advance(5_000);
  for (let n = 0; n < 4; n++) {
    push(item(n), { to: ["busy"] });
    push(item(n), { to: ["stopped"] });
    await clock.advance(9_000);
    stopped.take(1);
  }
  assert.deepEqual(counts.map((count) => count()), [2, 0, 0]);
});

// ---- Any interleaving

/** What a page shows: two boxes and a list. */
type Shown = { boxes: Record<string, number>; items: number[] };
interface Pushed {
  position: number;
  kind: "replace" | "update" | "append";
  id: string;
  n: number;
  audience: Audience;
}

const NAMES = ["x", "y", "z"];

/** The server's data and pushes in the simplest form, and what each page must show of them. */
class Model {
  readonly pushes: Pushed[] = [];
  #held: Pushed[] = [];
  readonly dropped: Pushed[] = [];
  readonly #maxEntries: number;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  push(push: Pushed): void {
    this.pushes.push(push);
    const who = JSON.stringify(push.audience);
    this.#held = this.#held.filter(({ kind, id, audience }) =>
      kind === "append" || push.kind === "append" || id !== push.id ||
      (push.kind === "update" && kind === "replace") ||
      push.audience.except !== undefined || JSON.stringify(audience) !== who
    );
    this.#held.push(push);
    if (this.#held.length > this.#maxEntries) this.dropped.push(this.#held.shift()!);
  }

  view(page: { names: readonly string[]; id: string }): Shown {
    const shown: Shown = { boxes: {}, items: [] };
    for (const { kind, id, n, audience } of this.pushes) {
      if (!isFor(audience, page.names) || audience.except === page.id) continue;
      if (kind === "append") shown.items.push(n);
      else shown.boxes[id] = n;
    }
    return shown;
  }

  hasGap(position: number, names: readonly string[]): boolean {
    return this.dropped.some((push) => push.position > position && isFor(push.audience, names));
  }
}

function isFor({ to }: Audience, names: readonly string[]): boolean {
  return to === undefined || to.some((name) => names.includes(name));
}

function positionOf(cursor: string): number {
  return Number(cursor.split(".")[1]);
}

/** A page as client.js keeps it: a cursor, and the markers that it expects. */
class Page {
  readonly #world: World;
  carrier = new TestCarrier();
  isStopped = false;
  names: readonly string[] = [];
  id = "";
  shown: Shown = { boxes: {}, items: [] };
  cursor = "";
  awaited: string[] = [];
  connection: Connection | undefined;
  refreshes = 0;

  constructor(world: World, names: readonly string[]) {
    this.#world = world;
    this.names = names;
    this.render();
  }

  /** The server renders the page, taking the cursor first. */
  render(): void {
    this.cursor = this.#world.log.cursor;
    this.id = `page${this.#world.ids++}`;
    this.shown = this.#world.model.view(this);
  }

  connect(): void {
    if (this.connection) return;
    this.carrier = new TestCarrier();
    this.carrier.isStopped = true; // what is sent is in transit until `deliver`
    this.carrier.receive = (messages) => this.receive(messages);
    this.awaited = [this.cursor];
    const names = () => new Set(this.names);
    const visitor = { ...visitorOf(this.names), since: this.cursor, page: this.id, names };
    this.connection = this.#world.readers.add(this.carrier, visitor);
  }

  ask(): void {
    this.awaited.push(this.cursor);
    if (!this.connection || this.carrier.closed) return;
    const { cursor, id: page } = this;
    if (!this.#world.readers.resume(this.connection, { cursor, page })) this.cut();
  }

  cut(): void {
    if (!this.connection) return;
    this.#world.readers.remove(this.connection);
    this.connection = undefined;
    this.carrier.waiting.length = 0;
  }

  receive(messages: readonly Message[]): void {
    if (this.awaited.length > 0) {
      const [{ cursor, html }, ...more] = messages as [Message, ...Message[]];
      if (more.length === 0 && html === "" && cursor === this.awaited[0]) this.awaited.shift();
      return;
    }
    for (const { cursor, html } of messages) {
      if (html === REFRESH) {
        assert(this.#world.model.hasGap(positionOf(this.cursor), this.names), "a gap without need");
        this.refreshes++;
        this.render();
        return this.ask();
      }
      const [position, before] = [positionOf(cursor), positionOf(this.cursor)];
      assert(
        html === "" ? position >= before : position > before,
        `${cursor} after ${this.cursor}`,
      );
      this.cursor = cursor;
      if (html !== "") this.apply(html);
    }
  }

  apply(html: string): void {
    const [, verb, id, digits] = /action="(\w+)" target="(\w+)"><template>(?:<\w+[^>]*>)?(\d+)/
      .exec(html)!;
    if (verb === "append") this.shown.items.push(Number(digits));
    else this.shown.boxes[id!] = Number(digits);
  }
}

class World {
  ids = 0;
  readonly clock = new TestClock();
  readonly log: Log;
  readonly model: Model;
  readonly readers: Readers;
  readonly pages: Page[];

  constructor(maxEntries: number, frame: number) {
    this.log = new Log({ maxEntries }, this.clock);
    this.model = new Model(maxEntries);
    this.readers = new Readers(this.log, {
      ...{ heartbeat: 1_500, frame, behindAfter: 300, maxBuffered: 2_000, dropAfter: 1_000 },
      onChange() {},
      report: (message, error) => assert.fail(`${message} ${error}`),
      clock: this.clock,
    });
    this.pages = [[], ["x"], ["x", "y"], ["y", "z"]].map((names) => new Page(this, names));
  }

  push(kind: Pushed["kind"], id: string, audience: Audience): void {
    const n = this.model.pushes.length + 1;
    const html = kind === "append" ? item(n) : kind === "replace" ? box(id, n) : update(id, `${n}`);
    const entry = this.log.append(html, audience);
    this.model.push({ position: entry.position, kind, id, n, audience });
    this.readers.owe(entry);
  }

  /** Delivers what is in transit, and tells dropped pages that their connection has ended. */
  deliver(): void {
    for (const page of this.pages) {
      while (!page.isStopped && page.carrier.waiting.length > 0) page.carrier.take(1);
      if (!page.isStopped && page.carrier.closed) page.cut();
    }
  }
}

type Step =
  | {
    do: "push";
    kind: Pushed["kind"];
    id: string;
    to: string[] | undefined;
    except: number | undefined;
  }
  | { do: "connect" | "visit" | "ask" | "cut" | "stop" | "go"; page: number }
  | { do: "take"; page: number; count: number }
  | { do: "turn" }
  | { do: "wait"; milliseconds: number };

const page = fc.integer({ min: 0, max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("push" as const),
      kind: fc.constantFrom("replace", "update", "append") as fc.Arbitrary<Pushed["kind"]>,
      id: fc.constantFrom("a", "b"),
      to: fc.option(fc.subarray(NAMES, { minLength: 1 }), { nil: undefined }),
      except: fc.option(page, { nil: undefined, freq: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("connect", "visit", "ask", "cut", "stop", "go") as fc.Arbitrary<
        "connect" | "visit" | "ask" | "cut" | "stop" | "go"
      >,
      page,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("take" as const),
      page,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("turn" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      milliseconds: fc.constantFrom(1, 8, 16, 60, 400, 2_000),
    }),
  },
);

async function act(world: World, step: Step): Promise<void> {
  if (step.do === "turn") return await turn();
  if (step.do === "wait") return await world.clock.advance(step.milliseconds);
  if (step.do === "push") {
    const { kind, id, to, except } = step;
    const skipped = except === undefined ? undefined : world.pages[except]!.id;
    return world.push(kind, id, { to, except: skipped });
  }
  const page = world.pages[step.page]!;
  if (step.do === "take") return page.carrier.take(step.count);
  if (step.do === "visit") page.render();
  if (step.do === "connect") page.connect();
  if (step.do === "ask" || step.do === "visit") page.ask();
  if (step.do === "cut") page.cut();
  if (step.do === "stop") page.isStopped = true;
  if (step.do === "go") page.isStopped = false;
}

Deno.test("After any interleaving each page shows what the server has: nothing missing, twice or out of order", async () => {
  let [refreshes, sent] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 80, size: "max" }),
      fc.integer({ min: 2, max: 30 }),
      fc.constantFrom(0, 16),
      async (steps, maxEntries, frame) => {
        const world = new World(maxEntries, frame);
        for (const page of world.pages) page.connect();
        for (const step of steps) {
          await act(world, step);
          world.deliver();
          assert(world.log.size <= maxEntries, "memory is bounded");
        }
        for (const page of world.pages) page.isStopped = false;
        for (let n = 0; n < 20; n++) { // looks are 50 ms apart, and a message is small
          world.deliver();
          for (const page of world.pages) page.connect();
          await world.clock.advance(50);
        }
        for (const page of world.pages) {
          assert.deepEqual(page.shown, world.model.view(page));
          assert.deepEqual(page.awaited, []);
          assert.equal(page.connection!.position, undefined, "nothing is owed");
          refreshes += page.refreshes;
          sent += page.shown.items.length;
          page.cut();
        }
        assert.deepEqual([world.readers.size, world.clock.pending], [0, 0]);
      },
    ),
    { numRuns: 3_000 },
  );
  assert(refreshes > 50 && sent > 5_000, `${refreshes} refreshes, ${sent} items`);
});
