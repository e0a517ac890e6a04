import assert from "node:assert/strict";
import { type Carrier, Connection, isStuck, type Look } from "./connection.ts";
import { html } from "./html.ts";
import { Log } from "./log.ts";
import { type Message, REFRESH } from "./protocol.ts";
import { append, replace } from "./streams.ts";

const box = (n: number) => replace("box", html`<b id="box">${n}</b>`);
const item = (n: number) => append("list", html`<li>${n}</li>`);
const ITEM_BYTES = item(0).length;

/** A carrier whose reader takes what the test lets it take. */
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
    const bytes = messages.reduce((sum, { html }) => sum + html.length, 0);
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

Deno.test("Connection.flush() sends messages of a bounded size, until the carrier is full, and goes on later", () => {
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

Deno.test("Connection.flush() sends an entry that is larger than a message, alone", () => {
  const { connection, carrier, log } = start();
  const large = append("list", "x".repeat(1_000));
  for (const stream of [item(1), large, item(2)]) log.append(stream);
  connection.position = 0;
  while (connection.flush(0) === "blocked") carrier.buffered = 0;
  assert.deepEqual(carrier.sent, [[item(1)], [large], [item(2)]]);
});

Deno.test("Connection.flush() sends one who was behind only the last state of a target", () => {
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

Deno.test("Connection.flush() sends one refresh to one whose place in the log is gone", () => {
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
  connection.flush(0);
  log.append(item(4));
  connection.position = 4;
  connection.flush(0);
  assert.equal(carrier.looks, before + 1);
});

Deno.test("Connection.resume() owes what came after a cursor, nothing at the head, and else a refresh", () => {
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

Deno.test("Connection.flush() sends a marker also where too much waits, and that is no reading", () => {
  const { connection, carrier, log } = start(5_000);
  log.append(item(1));
  for (const [now, expected] of [[0, "blocked"], [50, "stuck"]] as const) {
    connection.resume("e.0");
    assert.equal(connection.flush(now), expected);
  }
  assert.deepEqual(carrier.sent, [["e.0"], ["e.0"]]);
});

Deno.test("A page that is ahead fetches itself when the log goes on under another name before it is there", () => {
  const { connection, carrier, log } = start();
  log.append(item(1));
  connection.resume("e.2");
  connection.flush(0);
  log.fork("f");
  log.append(item(2)); // f.2 is not what e.2 was elsewhere
  log.append(item(3));
  assert.equal(connection.flush(50), "current");
  assert.deepEqual(carrier.sent.slice(1), [[REFRESH]]);
});

Deno.test("A page that is ahead has its second from each time that it asks", () => {
  const { connection, carrier } = start();
  connection.resume("e.2");
  assert.equal(connection.flush(0), "blocked");
  connection.resume("e.3");
  assert.equal(connection.flush(900), "blocked");
  assert.equal(connection.flush(1_800), "blocked");
  assert.equal(connection.flush(1_900), "current");
  assert.deepEqual(carrier.sent, [["e.2"], ["e.3"], [REFRESH]]);
});

Deno.test("Connection.flush() gives up one that has taken nothing for the time, by looks at it", () => {
  const { connection, carrier, log } = start(500);
  log.append(item(1));
  connection.position = 0;
  assert.equal(connection.flush(0), "blocked");
  assert.equal(connection.flush(8_000), "blocked");
  carrier.buffered = 400; // it has taken something
  assert.equal(connection.flush(8_500), "blocked");
  assert.equal(connection.flush(17_000), "blocked");
  assert.equal(connection.flush(17_600), "stuck");
});

Deno.test("Connection.flush() counts anew for one that has been sent something", () => {
  const { connection, carrier, log } = start(500);
  log.append(item(1));
  connection.position = 0;
  assert.equal(connection.flush(0), "blocked");
  carrier.buffered = 0;
  assert.equal(connection.flush(8_000), "current");
  carrier.buffered = 500;
  log.append(append("list", "x".repeat(300)));
  log.append(item(2));
  connection.position = 1;
  assert.equal(connection.flush(9_500), "blocked");
  assert.equal(connection.flush(18_000), "blocked");
});

const look: Look = { buffered: 500, at: 10_000, since: 4_000 };
const judged: [
  name: string,
  buffered: number,
  now: number,
  before: Partial<Look>,
  stuck: boolean,
][] = [
  ["has taken something", 499, 14_000, {}, false],
  ["has taken something, though it was long", 499, 99_000, {}, false],
  ["has taken nothing, for less than the time", 500, 12_900, {}, false],
  ["has taken nothing for nine tenths of the time", 500, 13_001, {}, true],
  ["was given more and has taken nothing for the time", 900, 13_001, {}, true],
  ["has too much waiting and has taken nothing", 1_001, 10_050, {}, true],
  ["has too much waiting and has taken some", 1_001, 10_050, { buffered: 1_002 }, false],
  ["has as much waiting as it may", 1_000, 10_050, {}, false],
  ["was looked at a moment ago", 1_001, 10_024, {}, false],
  ["was looked at a moment ago, at the end of the time", 500, 10_024, { since: 0 }, false],
];
for (const [name, buffered, now, before, stuck] of judged) {
  Deno.test(`isStuck() ${stuck ? "gives up" : "keeps"} a reader that ${name}`, () => {
    assert.equal(isStuck({ buffered, now }, { ...look, ...before }, LIMITS), stuck);
  });
}
