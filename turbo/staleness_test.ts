import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { TestClock, turn } from "../tests/clock.ts";
import { append } from "../tests/stream_texts.ts";
import type { Visitor } from "./admission.ts";
import type { Carrier } from "./connection.ts";
import { html } from "./html.ts";
import { Log } from "./log.ts";
import type { Message } from "./protocol.ts";
import { Readers } from "./readers.ts";
import { PositionTimes, stalenessOf } from "./staleness.ts";

const item = (n: number) => append("list", html`<li>${n}</li>`);
const MINUTE = 60_000;

Deno.test("PositionTimes.at() is when a position was reached, within 10 ms, for dense and sparse ones", () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 30 })));
  fc.assert(fc.property(steps, (steps) => {
    const times = new PositionTimes();
    const noted: [position: number, now: number][] = [];
    let [position, now] = [0, 0];
    for (const [positions, milliseconds] of steps) {
      position += positions;
      now += milliseconds;
      times.note(position, now);
      noted.push([position, now]);
    }
    for (let asked = 0; asked <= position + 1; asked++) {
      const real = noted.find(([position]) => position >= asked)?.[1];
      const at = times.at(asked);
      if (real === undefined) assert.equal(at, undefined, `${asked}`);
      else assert(at !== undefined && at <= real && real - at <= 10, `${asked}: ${at}, ${real}`);
    }
  }));
});

Deno.test("PositionTimes forgets the oldest times, and gives the oldest that it knows for them", () => {
  const times = new PositionTimes();
  for (let n = 1; n <= 20_000; n++) times.note(n, 10 * n);
  assert.equal(times.at(20_000), 200_000);
  assert.equal(times.at(19_000), 190_000);
  const oldest = times.at(1)!;
  assert(oldest >= 110_000 && oldest <= 120_000, `${oldest}`);
});

Deno.test("stalenessOf() gives what half and 99 of 100 pages do not exceed", () => {
  assert.deepEqual(stalenessOf([]), { pages: 0, p50: 0, p99: 0, max: 0 });
  assert.deepEqual(stalenessOf([7]), { pages: 1, p50: 7, p99: 7, max: 7 });
  const ages = Array.from({ length: 200 }, (_, index) => index + 1);
  assert.deepEqual(stalenessOf(ages), { pages: 200, p50: 100, p99: 198, max: 200 });
});

Deno.test("Readers.staleness is how long after its push a page showed what it reports", async () => {
  const { clock, push, join, readers, log } = start();
  const page = join();
  join({ reports: false }); // another client, of which nothing is known
  await push();
  clock.pause(3_000);
  readers.shown(page.connection, { cursor: log.cursor, age: 0 });
  assert.deepEqual(readers.staleness, { pages: 1, p50: 3_000, p99: 3_000, max: 3_000 });
});

Deno.test("Readers.staleness does not count the time for which the page has shown it already", async () => {
  const { clock, push, join, readers, log } = start();
  const page = join();
  await push();
  clock.pause(5_000);
  readers.shown(page.connection, { cursor: log.cursor, age: 4_900 });
  assert.equal(readers.staleness.max, 100);
  clock.pause(1_000);
  readers.shown(page.connection, { cursor: log.cursor, age: 0 }); // nothing newer: says nothing
  assert.equal(readers.staleness.max, 100);
});

Deno.test("Readers.staleness grows while a page owes its report, and a report ends that", async () => {
  const { clock, push, join, readers, log } = start();
  const page = join();
  await clock.advance(MINUTE);
  await push(); // it has to report this
  await clock.advance(0);
  clock.pause(40_000);
  assert.deepEqual(readers.staleness, { pages: 1, p50: 40_000, p99: 40_000, max: 40_000 });
  await push();
  readers.shown(page.connection, { cursor: log.cursor, age: 0 });
  assert.equal(readers.staleness.max, 0);
});

Deno.test("Readers.staleness does not count a page that had to report nothing", async () => {
  const { clock, push, join, readers } = start();
  join();
  await clock.advance(MINUTE / 2);
  await push(); // it reports one push in a minute, and may take any
  await clock.advance(MINUTE / 4);
  assert.equal(readers.staleness.pages, 0);
});

Deno.test("Readers.staleness does not wait for the report of a push that leaves the page out", async () => {
  const { clock, join, readers, log } = start();
  join({ page: "p" });
  await clock.advance(MINUTE);
  readers.owe(log.append(item(0), { to: undefined, except: "p" })); // it is sent the cursor alone
  await turn();
  await clock.advance(MINUTE);
  assert.equal(readers.staleness.pages, 0);
});

Deno.test("Readers.staleness does not take a page that is to fetch itself for as old as the log", async () => {
  const { clock, push, join, readers } = start();
  await push();
  await clock.advance(60 * MINUTE);
  const visitor = {
    grant: () => ({ names: new Set(["#t"]), topics: new Set<string>(), from: undefined }),
  };
  const { connection } = join({ ...visitor, since: "none.1" });
  await clock.advance(MINUTE / 2);
  readers.shown(connection, { cursor: "none.1", age: 0 });
  readers.revoke("#t"); // the refresh is sent within a second
  assert.equal(connection.position, -1);
  assert.equal(readers.staleness.max, 0);
});

Deno.test("Readers.staleness does not wait for a page on an event stream, which sends no reports", async () => {
  const { clock, push, join, readers } = start();
  join({ transport: "event stream" }, { comesBack: true });
  await clock.advance(2 * MINUTE);
  await push();
  await clock.advance(MINUTE);
  assert.equal(readers.staleness.pages, 0);
});

Deno.test("Readers.staleness counts what a slow reader is owed", async () => {
  const { clock, push, join, readers } = start();
  join({}, { buffered: 1e6 });
  join({ reports: false }, { buffered: 1e6 });
  await push();
  await clock.advance(2_000);
  assert.deepEqual(readers.staleness, { pages: 1, p50: 2_000, p99: 2_000, max: 2_000 });
});

Deno.test("Readers.shown() ignores cursors of another log, and those that no page can have", async () => {
  const { push, join, readers, log } = start();
  const page = join();
  await push();
  for (const cursor of ["other.1", `${log.cursor}1`, "nonsense"]) {
    readers.shown(page.connection, { cursor, age: 0 });
  }
  assert.equal(readers.staleness.pages, 0);
  assert.equal(page.connection.shown, -1);
});

Deno.test("Readers.restart() forgets what pages have reported", async () => {
  const { push, join, readers, log } = start();
  const page = join();
  await push();
  readers.shown(page.connection, { cursor: log.cursor, age: 0 });
  assert.equal(page.connection.shown, log.position);
  readers.restart();
  assert.equal(page.connection.shown, -1);
});

Deno.test("Readers.receipt() counts who shows it, and waits for who does not, for a time", async () => {
  const { clock, push, join, readers, log } = start();
  const [quick, slow, foreign] = [join(), join(), join({ reports: false })];
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 5_000);
  await clock.advance(0);
  assert.deepEqual([quick, slow, foreign].map(({ asked }) => asked), [1, 1, 0]);
  readers.shown(quick.connection, { cursor: log.cursor, age: 0 });
  await clock.advance(5_000);
  assert.deepEqual(await receipt, { shown: 1, missing: 2 });
  assert(slow.asked > 1, "it is asked again");
  assert.equal(quick.asked, 1);
  assert.equal(clock.pending, 1, "only the heartbeat is left");
});

Deno.test("Readers.receipt() resolves as soon as all who can tell have reported, and asks nobody twice", async () => {
  const { clock, push, join, readers, log } = start();
  const page = join();
  join({ reports: false });
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  await clock.advance(0);
  readers.shown(page.connection, { cursor: log.cursor, age: 0 });
  assert.deepEqual(await receipt, { shown: 1, missing: 1 });
  assert.deepEqual(await readers.receipt({ to: undefined }, log.position, 60_000), {
    shown: 1,
    missing: 1,
  });
  assert.equal(page.asked, 1);
});

Deno.test("Readers.receipt() asks a page once in a second, for any number of calls", async () => {
  const { clock, push, join, readers, log } = start();
  const page = join();
  const receipts = [];
  for (let n = 0; n < 9; n++) {
    await push();
    receipts.push(readers.receipt({ to: undefined }, log.position, 60_000));
  }
  assert.equal(page.asked, 1);
  await clock.advance(1_000);
  assert.equal(page.asked, 2);
  readers.shown(page.connection, { cursor: log.cursor, age: 0 });
  for (const receipt of receipts) assert.deepEqual(await receipt, { shown: 1, missing: 0 });
});

Deno.test("Readers.receipt() waits for a page whose connection ends, and counts it when it is back", async () => {
  const { clock, push, join, readers, log } = start();
  const page = join({ page: "p" });
  const cursor = log.cursor;
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  readers.remove(page.connection);
  const back = join({ page: "p", since: cursor }); // it has not rendered it yet
  await clock.advance(1_000);
  assert.equal(back.asked, 1);
  readers.shown(back.connection, { cursor: log.cursor, age: 0 });
  assert.deepEqual(await receipt, { shown: 1, missing: 0 });
});

Deno.test("Readers.receipt() counts a page once whose old connection was cut and has not ended yet", async () => {
  const { push, join, readers, log } = start();
  const old = join({ page: "p" });
  const page = join({ page: "p" });
  await push();
  const receipts = [0, 0].map(() => readers.receipt({ to: undefined }, log.position, 60_000));
  readers.shown(page.connection, { cursor: log.cursor, age: 0 });
  assert.deepEqual(await receipts[0], { shown: 1, missing: 0 });
  readers.remove(old.connection);
  assert.deepEqual(await receipts[1], { shown: 1, missing: 0 });
});

Deno.test("Readers.receipt() counts each page once, however their connections come, end and are named", async () => {
  const { push, join, readers, log } = start();
  const cursor = log.cursor;
  const pages = ["a", "a", "a", "b", "c", "d", undefined].map((page) => join({ page }));
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  for (const { connection } of pages.slice(0, 4)) readers.remove(connection); // a and b are away
  readers.resume(pages[4]!.connection, { cursor, page: "b" }); // c claims to be b
  readers.remove(pages[4]!.connection);
  readers.shown(pages[5]!.connection, { cursor: log.cursor, age: 0 });
  for (let n = 0; n < 2; n++) join({ page: "a", since: log.cursor });
  readers.removeAll();
  assert.deepEqual(await receipt, { shown: 2, missing: 3 });
});

for (const hasRendered of [true, false]) {
  Deno.test(`Readers.receipt() follows a page that comes back before its old connection ends, ${hasRendered ? "with" : "without"} what it asks about`, async () => {
    const { clock, push, join, readers, log } = start();
    const old = join({ page: "p" });
    const { cursor } = log;
    await push();
    const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
    const back = join({ page: "p", since: hasRendered ? log.cursor : cursor });
    readers.remove(old.connection);
    if (!hasRendered) {
      await clock.advance(1_000);
      assert(back.asked > 0, "it is asked");
      readers.shown(back.connection, { cursor: log.cursor, age: 0 });
    }
    assert.deepEqual(await receipt, { shown: 1, missing: 0 });
  });
}

Deno.test("Readers.receipt() follows a connection whose page changes by a visit", async () => {
  const { push, join, readers, log } = start();
  const page = join({ page: "p" });
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  readers.resume(page.connection, { cursor: log.cursor, page: "q" });
  assert.deepEqual(await receipt, { shown: 1, missing: 0 });
});

Deno.test("Readers.receipt() does not wait for a page without an id whose connection has ended", async () => {
  const { push, join, readers, log } = start();
  const page = join();
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  readers.remove(page.connection);
  assert.deepEqual(await receipt, { shown: 0, missing: 1 });
});

Deno.test("Readers.receipt() takes the cursor with which a page connects for a report", async () => {
  const { push, join, readers, log } = start();
  const page = join({ page: "p" });
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  readers.remove(page.connection);
  join({ page: "p", since: log.cursor });
  assert.deepEqual(await receipt, { shown: 1, missing: 0 });
});

Deno.test("Readers.receipt() does not take the report of another reader for that of a page", async () => {
  const { push, join, readers, log } = start();
  const [ann, eve] = [{ page: "p", as: ["@ann"] }, { page: "p", as: ["@eve"] }]; // who claims its id
  const claimed = join(eve);
  const page = join(ann);
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  readers.shown(claimed.connection, { cursor: log.cursor, age: 0 });
  readers.remove(page.connection);
  join({ ...eve, since: log.cursor });
  readers.removeAll();
  assert.deepEqual(await receipt, { shown: 1, missing: 1 });
});

Deno.test("Readers.restart() ends the calls that wait, because the positions begin again", async () => {
  const { push, join, readers, log } = start();
  const page = join({ page: "p" });
  await push();
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  log.reset("other", 100);
  readers.restart();
  readers.shown(page.connection, { cursor: log.cursor, age: 0 });
  assert.deepEqual(await receipt, { shown: 0, missing: 1 });
});

Deno.test("Readers.receipt() lets a page on an event stream connect again once in a second, for any number of calls", async () => {
  const { clock, push, join, readers, log } = start();
  const again = () => {
    return join({ page: "p", since: cursor, transport: "event stream" }, { comesBack: true });
  };
  const cursor = log.cursor;
  let page = again();
  let times = 0;
  for (let n = 0; n < 50; n++) { // five seconds
    await push();
    readers.receipt({ to: undefined }, log.position, 60_000);
    if (page.sentBack > 0) {
      times++;
      readers.remove(page.connection);
      page = again();
    }
    await clock.advance(100);
  }
  assert(times >= 3 && times <= 5, `${times} times`);
  readers.removeAll();
});

Deno.test("Readers.receipt() does not take the cursor of a page for a report that must be fetched", async () => {
  const { push, join, readers, log } = start();
  const page = join({ page: "p" });
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  readers.remove(page.connection);
  const back = join({ page: "p", since: log.cursor, isLost: true });
  assert.equal(back.connection.shown, -1);
  readers.resume(back.connection, { cursor: log.cursor, page: "p" }); // it is fetched
  assert.deepEqual(await receipt, { shown: 1, missing: 0 });
});

Deno.test("Readers.receipt() makes a page on an event stream connect again", async () => {
  const { clock, push, join, readers, log } = start();
  const page = join({ page: "p", transport: "event stream" }, { comesBack: true });
  await clock.advance(1_000);
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  assert.equal(page.sentBack, 1);
  readers.remove(page.connection);
  join({ page: "p", since: log.cursor, transport: "event stream" }, { comesBack: true });
  assert.deepEqual(await receipt, { shown: 1, missing: 0 });
});

Deno.test("Readers.receipt() for nobody resolves at once, and removeAll() ends those that wait", async () => {
  const { push, join, readers, log, clock } = start();
  assert.deepEqual(await readers.receipt({ to: undefined }, 0, 60_000), { shown: 0, missing: 0 });
  join({ page: "p" });
  await push();
  const receipt = readers.receipt({ to: undefined }, log.position, 60_000);
  readers.removeAll();
  assert.deepEqual(await receipt, { shown: 0, missing: 1 });
  await clock.advance(0);
  assert.equal(clock.pending, 0);
});

/** A carrier that takes everything. */
class TestCarrier implements Carrier {
  readonly endsLater = false;
  readonly buffered: number;
  /** How often its page was asked what it shows. */
  asked = 0;
  sentBack = 0;
  readonly comeBack?: () => void;

  constructor({ comesBack = false, buffered = 0 } = {}) {
    this.buffered = buffered;
    if (comesBack) this.comeBack = () => this.sentBack++;
  }

  send(messages: readonly Message[]): number {
    if (messages.some(({ asks }) => asks)) this.asked++;
    return 10;
  }

  close(): void {}
}

function start() {
  const clock = new TestClock();
  const log = new Log({}, clock);
  const readers = new Readers(log, {
    heartbeat: 1e9,
    frame: 0,
    behindAfter: 1_000,
    maxBuffered: 1e9,
    dropAfter: 1e9,
    onChange() {},
    report: (message, error) => assert.fail(`${message} ${error}`),
    clock,
  });
  let n = 0;
  return {
    clock,
    log,
    readers,
    /** Pushes, and lets what is due be sent. */
    async push() {
      readers.owe(log.append(item(n++)));
      await turn();
    },
    join(more: Partial<Visitor> = {}, options: { comesBack?: boolean; buffered?: number } = {}) {
      const carrier = new TestCarrier(options);
      const visitor: Visitor = {
        transport: "websocket",
        as: [],
        page: undefined,
        since: undefined,
        reports: true,
        isLost: false,
        token: undefined,
        origin: undefined,
        opened: () => undefined,
        grant: () => ({ names: new Set(), topics: new Set(), from: undefined }),
        release() {},
        ...more,
      };
      return Object.assign(carrier, { connection: readers.add(carrier, visitor) });
    },
  };
}
