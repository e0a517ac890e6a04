import assert from "node:assert/strict";
import {
  type Carrier,
  Connection,
  type Flushed,
  isStuck,
  type Look,
  type Waiting,
} from "./connection.ts";
import { html } from "./html.ts";
import { Log } from "./log.ts";
import { type Message, REFRESH } from "./protocol.ts";
import { append, replace } from "../tests/stream_texts.ts";

const box = (n: number) => replace("box", html`<b id="box">${n}</b>`);
const item = (n: number) => append("list", html`<li>${n}</li>`);
const ITEM_BYTES = item(0).length;

/** A carrier whose buffer the test sets. */
class SlowCarrier implements Carrier {
  readonly endsLater = true;
  /** One list for each message. */
  readonly sent: string[][] = [];
  looks = 0;
  #buffered = 0;

  get buffered(): number {
    this.looks++;
    return this.#buffered;
  }

  set buffered(bytes: number) {
    this.#buffered = bytes;
  }

  send(messages: readonly Message[]): number {
    this.sent.push(messages.map(({ cursor, html }) => html || cursor));
    const bytes = messages.reduce((sum, { cursor, html }) => sum + (html || cursor).length, 0);
    this.#buffered += bytes;
    return bytes;
  }

  close(): void {}
}

const LIMITS = { behindAfter: 3 * ITEM_BYTES, maxBuffered: 1_000, dropAfter: 10_000 };

function start(buffered = 0, log = new Log({ epoch: "e" })) {
  const carrier = new SlowCarrier();
  carrier.buffered = buffered;
  return { log, carrier, connection: new Connection(carrier, log, LIMITS) };
}

Deno.test("Connection.flush() sends nothing where nothing is owed", () => {
  const { connection, carrier, log } = start();
  log.append(item(1));
  assert.equal(connection.flush(0), "current");
  assert.deepEqual(carrier.sent, []);
});

Deno.test("Connection.flush() sends messages of a bounded size until the carrier is full, and continues later", () => {
  const { connection, carrier, log } = start();
  const items = Array.from({ length: 10 }, (_, n) => item(n));
  for (const stream of items) log.append(stream);
  connection.position = 0;
  for (let now = 0; connection.flush(now) === "blocked"; now += 50) {
    assert(carrier.sent.at(-1)!.length <= 3, "no more than behindAfter in a message");
    assert(carrier.buffered <= 2 * LIMITS.behindAfter);
    carrier.buffered = 0;
  }
  assert.deepEqual(carrier.sent.flat(), items);
  assert.equal(connection.position, undefined);
});

Deno.test("Connection.flush() sends an entry that is larger than a message by itself", () => {
  const { connection, carrier, log } = start();
  const large = append("list", "x".repeat(1_000));
  for (const stream of [item(1), large, item(2)]) log.append(stream);
  connection.position = 0;
  while (connection.flush(0) === "blocked") carrier.buffered = 0;
  assert.deepEqual(carrier.sent, [[item(1)], [large], [item(2)]]);
});

Deno.test("Connection.flush() sends only the last state of a target to a connection that was behind", () => {
  const { connection, carrier, log } = start(5_000);
  connection.position = 0;
  for (let n = 0; n < 100; n++) {
    log.append(box(n));
    assert.equal(connection.flush(0), "blocked");
  }
  carrier.buffered = 0;
  assert.equal(connection.flush(0), "current");
  assert.deepEqual(carrier.sent, [[box(99)]]);
});

Deno.test("Connection.flush() sends one refresh where the position is in a gap", () => {
  const { connection, carrier, log } = start(0, new Log({ maxEntries: 2 }));
  for (let n = 0; n < 10; n++) log.append(item(n));
  connection.position = 0;
  assert.equal(connection.flush(0), "current");
  assert.deepEqual(carrier.sent, [[REFRESH]]);
  assert.equal(connection.position, undefined);
});

Deno.test("Connection.flush() reads what is buffered only when it may matter", () => {
  const { connection, carrier, log } = start();
  const before = carrier.looks;
  for (let n = 0; n < 3; n++) {
    log.append(item(n));
    connection.position = n;
    connection.flush(0);
  }
  assert.equal(carrier.looks, before);
  log.append(item(3));
  connection.position = 3;
  assert.equal(connection.flush(0), "blocked", "so that one who has had all is judged too");
  assert.equal(carrier.looks, before + 1);
  log.append(item(4));
  connection.position = 4;
  assert.equal(connection.flush(0), "blocked");
  assert.equal(carrier.looks, before + 2);
});

Deno.test("Connection.resume() owes what came after a cursor, nothing at the newest, and otherwise a refresh", () => {
  const { connection, carrier, log } = start();
  for (let n = 0; n < 3; n++) log.append(item(n));
  for (const [cursor, position] of [["e.1", 1], ["e.3", undefined], ["e.0", 0], ["f.1", -1]]) {
    connection.resume(cursor as string);
    assert.equal(connection.position, position, String(cursor));
    connection.flush(0);
    assert.deepEqual(carrier.sent.splice(0)[0], [cursor], "the marker first");
  }
});

Deno.test("A page that is ahead of this copy of the log waits, and after a second fetches itself", () => {
  for (const comes of [true, false]) {
    const { connection, carrier, log } = start();
    log.append(item(1));
    connection.resume("e.2");
    assert.equal(connection.flush(100), "blocked");
    if (comes) {
      log.append(item(2));
      log.append(item(3));
    } else {
      assert.equal(connection.flush(900), "blocked");
    }
    assert.equal(connection.flush(1_200), "current");
    assert.deepEqual(carrier.sent.slice(1), [[comes ? item(3) : REFRESH]]);
  }
});

Deno.test("Connection.flush() sends a marker however much waits, which does not count as progress", () => {
  const { connection, carrier, log } = start(5_000);
  log.append(item(1));
  for (const [now, expected] of [[0, "blocked"], [50, "stuck"]] as const) {
    connection.resume("e.0");
    assert.equal(connection.flush(now), expected);
  }
  assert.deepEqual(carrier.sent, [["e.0"], ["e.0"]]);
});

Deno.test("A page that is ahead fetches itself when the log continues under another epoch first", () => {
  const { connection, carrier, log } = start();
  log.append(item(1));
  connection.resume("e.2");
  connection.flush(0);
  log.fork("f");
  log.append(item(2)); // f.2 is another entry than e.2 of the other process
  log.append(item(3));
  assert.equal(connection.flush(50), "current");
  assert.deepEqual(carrier.sent.slice(1), [[REFRESH]]);
});

Deno.test("A page that is ahead waits a second after each time that it asks", () => {
  const { connection, carrier } = start();
  connection.resume("e.2");
  assert.equal(connection.flush(0), "blocked");
  connection.resume("e.3");
  assert.equal(connection.flush(900), "blocked");
  assert.equal(connection.flush(1_800), "blocked");
  assert.equal(connection.flush(1_900), "current");
  assert.deepEqual(carrier.sent, [["e.2"], ["e.3"], [REFRESH]]);
});

Deno.test("Connection.flush() drops a reader that takes nothing for dropAfter, by repeated looks", () => {
  const { connection, carrier, log } = start(500);
  log.append(item(1));
  connection.position = 0;
  assert.equal(lookAt(connection, 0, 8_000), "blocked");
  carrier.buffered = 400; // the reader has taken something
  assert.equal(lookAt(connection, 8_050, 17_050), "blocked");
  assert.equal(connection.flush(17_100), "stuck");
});

Deno.test("Connection.flush() restarts the time of a reader that has been sent something", () => {
  const { connection, carrier, log } = start(500);
  log.append(item(1));
  connection.position = 0;
  assert.equal(lookAt(connection, 0, 7_950), "blocked");
  carrier.buffered = 0;
  assert.equal(connection.flush(8_000), "current");
  carrier.buffered = 500;
  log.append(append("list", "x".repeat(300)));
  log.append(item(2));
  connection.position = 1;
  assert.equal(lookAt(connection, 9_500, 18_000), "blocked");
});

Deno.test("Connection.flush() does not count a pause of the process before a look", () => {
  const { connection, log } = start(500);
  log.append(item(1));
  connection.position = 0;
  assert.equal(lookAt(connection, 0, 1_000), "blocked");
  assert.equal(connection.flush(61_000), "blocked");
  assert.equal(connection.flush(121_000), "blocked");
  assert.equal(lookAt(connection, 121_050, 128_600), "blocked", "two pauses count as 0.4 s");
  assert.equal(connection.flush(128_650), "stuck");
});

Deno.test("Connection.flush() waits longer for a reader of a large message", () => {
  const { connection, carrier, log } = start();
  const large = append("list", "x".repeat(4 * LIMITS.behindAfter));
  for (const stream of [large, item(1)]) log.append(stream);
  connection.position = 0;
  const most = 0.9 * LIMITS.dropAfter * large.length / LIMITS.behindAfter;
  assert.equal(lookAt(connection, 0, most - 50), "blocked");
  carrier.buffered = 0; // at last it is taken as a whole
  assert.equal(connection.flush(most), "current");
  for (let n = 2; n < 6; n++) log.append(item(n));
  connection.position = 2;
  assert.equal(connection.flush(most), "blocked"); // the large message has been taken
  assert.equal(carrier.sent.length, 3);
  assert.equal(lookAt(connection, most, most + 0.9 * LIMITS.dropAfter), "blocked");
  assert.equal(connection.flush(most + 0.9 * LIMITS.dropAfter + 50), "stuck");
});

Deno.test("Connection.mayAsk() counts what waits besides the largest message, reading the buffer only when needed", () => {
  const { connection, carrier, log } = start();
  const large = append("list", "x".repeat(4 * LIMITS.maxBuffered));
  log.append(large);
  connection.position = 0;
  connection.flush(0);
  const ask = (bytes: number): [mayAsk: boolean, looks: number] => {
    connection.mark("e.1".padEnd(bytes));
    connection.flush(0);
    const { looks } = carrier;
    return [connection.mayAsk(), carrier.looks - looks];
  };
  assert.deepEqual(ask(400), [true, 0], "nothing of it can be too much");
  assert.deepEqual(ask(600), [true, 0]);
  assert.deepEqual(ask(1), [false, 1], "now 1,001 bytes wait beside it");
  carrier.buffered = large.length; // the reader has taken the others
  assert.deepEqual([connection.mayAsk(), connection.mayAsk()], [true, true]);
  assert.deepEqual(ask(400), [true, 0]);
});

/** Flushes every 50 ms, as `Readers` does. Returns the last result, or the first that is not "blocked". */
function lookAt(connection: Connection, from: number, to: number): Flushed {
  let flushed: Flushed = "blocked";
  for (let now = from; now <= to && flushed === "blocked"; now += 50) {
    flushed = connection.flush(now);
  }
  return flushed;
}

// Nothing had been taken for 6 s at the last look; 200 bytes are behindAfter.
const limits = { behindAfter: 200, maxBuffered: 1_000, dropAfter: 10_000 };
const look: Look = { buffered: 500, at: 10_000, idle: 6_000 };
const judged: [
  name: string,
  waiting: Partial<Waiting>,
  before: Partial<Look>,
  stuck: boolean,
][] = [
  ["has taken something", { buffered: 499 }, { idle: 8_990 }, false],
  ["has taken something, though it was long", { buffered: 499 }, { idle: 99_000 }, false],
  ["has taken nothing, for less than the time", {}, { idle: 8_950 }, false],
  ["has taken nothing for nine tenths of the time", {}, { idle: 8_951 }, true],
  ["was given more and has taken nothing for the time", { buffered: 900 }, { idle: 8_951 }, true],
  ["has too much waiting and has taken nothing", { buffered: 1_001 }, {}, true],
  ["has too much waiting and has taken some", { buffered: 1_001 }, { buffered: 1_002 }, false],
  ["has as much waiting as it may", { buffered: 1_000 }, {}, false],
  ["was looked at a moment ago", { buffered: 1_001, now: 10_024 }, {}, false],
  ["was looked at a moment ago, at the end of the time", { now: 10_024 }, { idle: 9_999 }, false],
  // Messages of several sizes
  ["takes one as large as a small one", { largest: 200 }, { idle: 8_951 }, true],
  ["takes a large message, within its time", { largest: 400 }, { idle: 17_950 }, false],
  ["takes a large message, for too long", { largest: 400 }, { idle: 17_951 }, true],
  ["takes one larger than may wait", { buffered: 5_000, largest: 5_000 }, {}, false],
  ["has as much waiting beside it as it may", { buffered: 6_000, largest: 5_000 }, {}, false],
  ["has too much waiting beside it", { buffered: 6_001, largest: 5_000 }, {}, true],
  // Pauses of this process
  ["was not looked at for a minute", { now: 70_000 }, {}, false],
  ["was not looked at for a minute, near the end", { now: 70_000 }, { idle: 8_800 }, false],
  ["was not looked at for a minute, at the end", { now: 70_000 }, { idle: 8_801 }, true],
  ["has too much waiting after a pause", { buffered: 1_001, now: 10_201 }, {}, false],
  ["has too much waiting after no pause", { buffered: 1_001, now: 10_200 }, {}, true],
];
for (const [name, waiting, before, stuck] of judged) {
  Deno.test(`isStuck() ${stuck ? "drops" : "keeps"} a reader that ${name}`, () => {
    const now: Waiting = { buffered: 500, largest: 0, now: 10_050, ...waiting };
    assert.equal(isStuck(now, { ...look, ...before }, limits), stuck);
  });
}
