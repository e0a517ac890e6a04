import assert from "node:assert/strict";
import type { Batch, Message, Shell, Step } from "./client_core.js";
import {
  AskRate,
  compare,
  Follower,
  Inbox,
  isAfter,
  parse,
  parseRetryAfter,
  plan,
  Refetch,
  Reports,
  Shown,
  Transport,
} from "./client_core.js";
import { REFRESH } from "./protocol.ts";

const message = (cursor: string, html = `<${cursor}>`): Message => ({ cursor, html });
const answer = (cursor: string): Message => ({
  cursor,
  html: `<answer ${cursor}>`,
  isAnswer: true,
});
const marker = (cursor: string) => [{ cursor, html: "" }];

/** A page at a cursor, with parts at others. */
function shownAt(cursor: string, parts: Record<string, string> = {}): Shown<string> {
  const shown = new Shown<string>({ id: "page", cursor, path: "/turbo-stream", token: "" });
  for (const [part, at] of Object.entries(parts)) shown.parts.set(part, at);
  return shown;
}

// ---- Cursors

Deno.test("compare() orders positions of one log, and does not compare those of two logs", () => {
  const sign = (a: string, b: string) => Math.sign(compare(a, b)!);
  assert.deepEqual([sign("e.1", "e.2"), sign("e.2", "e.2"), sign("e.10", "e.9")], [-1, 0, 1]);
  assert.equal(compare("e.7.3", "e.7"), 0, "a heartbeat is where its position is");
  for (const [a, b] of [["e.1", "f.2"], ["e.1", ""], ["", ""], ["x", "x"], ["e.1", "e.1e3"]]) {
    assert.equal(compare(a!, b!), undefined, `${a} and ${b}`);
  }
});

Deno.test("isAfter() is false for the same cursor, and for one of another log", () => {
  const after = [["e.2", "e.1"], ["e.2", "e.2"], ["e.1", "e.2"], ["f.2", "e.1"], ["e.2", ""]]
    .map(([a, b]) => isAfter(a!, b!));
  assert.deepEqual(after, [true, false, false, false, false]);
});

Deno.test("parse() accepts what protocol.ts allows, and nothing else", () => {
  assert.deepEqual(parse("a-Z_9.12.3"), { epoch: "a-Z_9", position: 12 });
  for (const cursor of ["", "e", "e.", ".1", "e.-1", "e.1.", "e.1.2.3", "e.x", " e.1", "é.1"]) {
    assert.equal(parse(cursor), undefined, cursor);
  }
});

// ---- Shown

Deno.test("Shown.oldest is the cursor of the oldest part, or of the page", () => {
  assert.equal(shownAt("e.5").oldest, "e.5");
  assert.equal(shownAt("e.5", { a: "e.7", b: "e.3", c: "e.4" }).oldest, "e.3");
  assert.equal(shownAt("e.5", { a: "e.7" }).oldest, "e.5");
});

Deno.test("Shown.isDue() compares with the given part, or with the page without one", () => {
  const shown = shownAt("e.5", { older: "e.3", newer: "e.7" });
  const due = (cursor: string) =>
    ["older", undefined, "newer"].filter((part) => shown.isDue(cursor, part));
  assert.deepEqual(due("e.3"), []);
  assert.deepEqual(due("e.4"), ["older"]);
  assert.deepEqual(due("e.6"), ["older", undefined]);
  assert.deepEqual(due("e.8"), ["older", undefined, "newer"]);
  assert.deepEqual(due("f.9"), []);
});

Deno.test("Shown.mark() keeps a part whose cursor differs from what is around it", () => {
  const shown = shownAt("e.5", { box: "e.3" });
  shown.mark("as the page", "e.5", undefined);
  shown.mark("older", "e.4", undefined);
  shown.mark("newer", "e.6", undefined);
  shown.mark("as the box", "e.3", "box");
  shown.mark("as the page in the box", "e.5", "box");
  shown.mark("of another log", "f.4", undefined);
  const parts = { box: "e.3", older: "e.4", newer: "e.6", "as the page in the box": "e.5" };
  assert.deepEqual(Object.fromEntries(shown.parts), parts);
  shown.mark("older", "e.5", undefined);
  assert(!shown.parts.has("older"), "it is where the page is by now");
});

Deno.test("Shown.advance() raises the page and each part that is older, and lowers none", () => {
  const shown = shownAt("e.5", { a: "e.3", b: "e.7" });
  shown.advance("e.4");
  assert.deepEqual([shown.cursor, ...shown.parts.values()], ["e.5", "e.4", "e.7"]);
  shown.advance("e.6");
  assert.deepEqual([shown.cursor, ...shown.parts.values()], ["e.6", "e.6", "e.7"]);
  shown.advance("f.9");
  assert.deepEqual([shown.cursor, ...shown.parts.values()], ["e.6", "e.6", "e.7"]);
});

Deno.test("Shown.after() has what was remembered, where Shown.covers() holds", () => {
  const shown = shownAt("e.5");
  shown.remember([message("e.6"), message("e.7", ""), message("e.8"), message("e.8", "again")]);
  assert.deepEqual(shown.after("e.6"), [message("e.8")]);
  assert.deepEqual(["e.4", "e.5", "e.6", "f.6"].map((at) => shown.covers(at)), [
    false,
    true,
    true,
    false,
  ]);
});

Deno.test("Shown.remember() keeps half a million characters, and where they start", () => {
  const shown = shownAt("e.0");
  const long = "x".repeat(200_000);
  shown.remember([1, 2, 3, 4].map((n) => message(`e.${n}`, long)));
  assert.deepEqual(shown.after("e.0").map(({ cursor }) => cursor), ["e.3", "e.4"]);
  assert.deepEqual(["e.1", "e.2"].map((at) => shown.covers(at)), [false, true]);
});

Deno.test("Shown.forget() empties the history, which starts at the page's cursor", () => {
  const shown = shownAt("e.5");
  shown.remember([message("e.6")]);
  shown.cursor = "e.6";
  shown.forget();
  assert.deepEqual([shown.after("e.5"), shown.covers("e.5"), shown.covers("e.6")], [
    [],
    false,
    true,
  ]);
});

Deno.test("Shown.settle() drops parts that have the cursor of what is around them", () => {
  const shown = shownAt("e.5", {
    same: "e.5",
    older: "e.4",
    newer: "e.6",
    inOlder: "e.4",
    inNewer: "e.5",
  });
  const around: Record<string, string> = { inOlder: "older", inNewer: "newer" };
  shown.settle((part) => around[part]);
  assert.deepEqual([...shown.parts.keys()], ["older", "newer", "inNewer"]);
});

Deno.test("Shown.copy() is the same page with the parts of the snapshot", () => {
  const shown = shownAt("e.5", { a: "e.3", b: "e.7" });
  shown.remember([message("e.6")]);
  shown.isLost = true;
  const copy = shown.copy((part) => part === "a" ? "copy of a" : undefined);
  assert.deepEqual([copy.id, copy.cursor, copy.path, copy.isLost], [
    "page",
    "e.5",
    "/turbo-stream",
    true,
  ]);
  assert.deepEqual([...copy.parts], [["copy of a", "e.3"]]);
  assert.deepEqual(copy.after("e.5"), []);
});

// ---- plan()

const htmlOf = (steps: readonly Step[]) => steps.map(({ html }) => html);

Deno.test("plan() joins messages that are due in the whole page into one step", () => {
  const queue = [message("e.6"), message("e.7"), message("e.7.1", "")];
  const { steps, hasHole } = plan(shownAt("e.5"), queue);
  assert.deepEqual(steps, [
    { cursor: "e.7.1", html: "<e.6><e.7>", isAnswer: false, messages: queue },
  ]);
  assert(!hasHole);
});

Deno.test("plan() keeps the cursor of each message where a part or the page has had some", () => {
  const queue = [message("e.6"), message("e.7")];
  assert.equal(plan(shownAt("e.5", { a: "e.6" }), queue).steps.length, 2);
  assert.equal(plan(shownAt("e.6"), queue).steps.length, 2);
  assert.equal(plan(shownAt("e.5"), [message("e.6"), message("e.6")]).steps.length, 2);
  assert.equal(plan(shownAt("f.5"), queue).steps.length, 2);
  assert.equal(plan(shownAt("e.5"), [message("e.6"), answer("e.6")]).steps.length, 2);
});

Deno.test("plan() repeats the messages after an answer", () => {
  const shown = shownAt("e.5");
  shown.remember([message("e.6"), message("e.7")]);
  shown.cursor = "e.7";
  const { steps, hasHole } = plan(shown, [message("e.8"), answer("e.6"), message("e.9")]);
  assert.deepEqual(htmlOf(steps), ["<e.8>", "<answer e.6>", "<e.7>", "<e.8>", "<e.9>"]);
  assert.deepEqual(steps.map(({ isAnswer }) => isAnswer), [false, true, false, false, false]);
  assert(!hasHole);
});

Deno.test("plan() renders only answers after one that the history does not cover", () => {
  for (const hole of ["e.4", "f.6"]) {
    const queue = [message("e.6"), answer(hole), message("e.7"), answer("e.6")];
    const { steps, hasHole, source } = plan(shownAt("e.5"), queue);
    assert.deepEqual(htmlOf(steps), ["<e.6>", `<answer ${hole}>`, "<answer e.6>"]);
    assert.deepEqual([hasHole, source], [true, queue]);
  }
});

// ---- Inbox

Deno.test("Inbox.read() drops whatever arrives before the marker", () => {
  const inbox = new Inbox();
  inbox.asked("e.5");
  const read = [
    [message("e.6")],
    marker("e.5.1"),
    marker("e.4"),
    [message("e.5")],
    [...marker("e.5"), message("e.6")],
    [message("e.5", REFRESH)],
    marker("e.5"),
    [message("e.6")],
  ].map((messages) => inbox.read(messages));
  const drops = Array.from({ length: 6 }, () => "drop");
  assert.deepEqual(read, [...drops, "marker", "messages"]);
});

Deno.test("Inbox.read() waits for each marker, in the order of the questions", () => {
  const inbox = new Inbox();
  for (const cursor of ["e.5", "e.3", "e.5"]) inbox.asked(cursor);
  const read = ["e.3", "e.5", "e.5", "e.3", "e.5", "e.5"].map((at) => inbox.read(marker(at)));
  assert.deepEqual(read, ["drop", "marker", "drop", "marker", "marker", "messages"]);
});

Deno.test("Inbox.read() reads a refresh as a gap right after the marker only", () => {
  const inbox = new Inbox();
  assert.equal(inbox.read([message("e.6", REFRESH)]), "messages");
  for (const next of ["gap", "messages"]) {
    inbox.asked("e.5");
    inbox.read(marker("e.5"));
    if (next === "messages") inbox.read([message("e.6")]);
    assert.equal(inbox.read([message("e.7", REFRESH)]), next);
  }
});

Deno.test("Inbox.reset() forgets what was asked on the previous connection", () => {
  const inbox = new Inbox();
  inbox.asked("e.5");
  inbox.read(marker("e.5"));
  inbox.asked("e.6");
  inbox.reset();
  assert.equal(inbox.read([message("e.7", REFRESH)]), "messages");
});

// ---- Follower

/** A follower whose shell renders when the test says so. */
function start(cursor = "e.5") {
  const calls: string[] = [];
  let given: Batch<string> | undefined;
  const rendered: string[] = [];
  const shell: Shell<string> & { mayAsk: boolean } = {
    mayAsk: true,
    ask() {
      calls.push("ask");
      return this.mayAsk;
    },
    give: (batch) => void (given = batch),
    cancel: () => void (given = undefined),
    run({ html }) {
      rendered.push(html);
      return html.includes("refresh");
    },
    around: () => undefined,
    refetch: (why) => void calls.push(`refetch ${why}`),
    resumed: () => void calls.push("resumed"),
    changed: () => void calls.push(follower.isCurrent ? "current" : "not current"),
  };
  const follower = new Follower<string>(shell);
  follower.show(shownAt(cursor));
  return {
    follower,
    shell,
    rendered,
    paint: () => given && follower.painted(given),
    /** The calls of the shell since this was emptied. */
    take: () => calls.splice(0),
    connect() {
      follower.connecting(true);
      follower.connected();
      follower.receive(marker(follower.shown!.oldest));
    },
  };
}

Deno.test("Follower.connected() does not repeat what the URL has asked", () => {
  const { follower, take } = start();
  follower.connecting(true);
  follower.connected();
  follower.receive([message("e.4")]);
  assert.deepEqual(take(), []);
  follower.receive(marker("e.5"));
  assert.deepEqual(take(), ["current"]);
});

Deno.test("Follower.ask() does nothing without a connection; Follower.connected() asks later", () => {
  const { follower, take } = start();
  follower.ask();
  follower.connecting(false);
  follower.ask();
  assert.deepEqual(take(), []);
  follower.connected();
  assert.deepEqual(take(), ["ask"]);
});

Deno.test("Follower.isCurrent waits for the marker of the last question", () => {
  const { follower, take } = start();
  follower.connecting(true);
  follower.connected();
  follower.show(shownAt("e.3"));
  follower.receive(marker("e.5"));
  assert.deepEqual([follower.isCurrent, follower.isAnswered], [false, false]);
  follower.receive(marker("e.3"));
  assert.deepEqual([follower.isCurrent, follower.isAnswered], [true, true]);
  assert.deepEqual(take(), ["ask", "current"]);
});

Deno.test("Follower.isCurrent is false while a question is held, which is asked once later", () => {
  const { follower, shell, take, connect } = start();
  connect();
  take();
  shell.mayAsk = false;
  follower.show(shownAt("e.3"));
  follower.show(shownAt("e.4"));
  assert.deepEqual(take(), ["ask", "not current", "ask"]);
  shell.mayAsk = true;
  follower.ask();
  follower.receive(marker("e.4"));
  assert.deepEqual(take(), ["ask", "current"]);
});

Deno.test("Follower.receive() asks again when the queue is too long", () => {
  const { follower, take, connect, rendered, paint } = start();
  connect();
  take();
  follower.receive([message("e.6")]);
  follower.receive(Array.from({ length: 10_001 }, (_, n) => message(`e.${n + 7}`)));
  paint();
  assert.deepEqual([take(), rendered], [["ask"], []]);
});

Deno.test("Follower.receive() fetches the page after a gap, unless the server can continue again", () => {
  const { follower, take, connect, rendered, paint } = start();
  connect();
  follower.receive([message("e.9", REFRESH)]);
  assert.deepEqual(take(), ["current", "not current", "refetch gap"]);
  assert.equal(follower.need, "e.9");
  follower.receive([message("e.10")]);
  follower.disconnected();
  connect();
  assert.deepEqual(take(), [], "it is not known yet whether a gap follows");
  follower.receive([message("e.6")]);
  paint();
  assert.deepEqual([take(), rendered], [["resumed", "current"], ["<e.6>"]]);
});

Deno.test("Follower.receive() fetches the page after a pushed refresh, whatever arrives", () => {
  const { follower, take, connect, paint } = start();
  connect();
  follower.receive([message("e.6"), message("e.7", REFRESH)]);
  paint();
  assert.deepEqual(take(), ["current", "not current", "refetch push"]);
  follower.disconnected();
  connect();
  follower.receive([message("e.8")]);
  assert.deepEqual(take(), []);
});

Deno.test("Follower.receive() needs a page of the log that serves the connection", () => {
  const { follower, connect } = start();
  connect();
  follower.receive([message("f.3", REFRESH)]);
  assert.equal(follower.need, "f.3");
  follower.disconnected();
  connect();
  assert.equal(follower.need, "e.5", "where no gap follows");
});

Deno.test("Follower.receive() continues where the log continues under another epoch", () => {
  const { follower, take, connect, rendered, paint } = start();
  connect();
  take();
  const { shown } = follower;
  follower.receive([message("e.6")]);
  paint();
  shown!.parts.set("frame", "e.3");
  follower.receive([message("e.7")]);
  follower.receive([message("f.8"), message("f.9")]);
  assert.deepEqual([shown!.cursor, shown!.oldest], ["f.6", "f.3"]);
  paint();
  assert.deepEqual(rendered.join(""), "<e.6><e.7><f.8><f.9>");
  assert.deepEqual([shown!.cursor, shown!.oldest, shown!.historyStart], ["f.9", "f.9", "f.5"]);
  assert.deepEqual(shown!.after("f.6").map(({ cursor }) => cursor), ["f.7", "f.8", "f.9"]);
  follower.disconnected();
  connect(); // with the new epoch
  follower.receive([message("g.10")]);
  paint();
  assert.deepEqual([rendered.at(-1), shown!.cursor], ["<g.10>", "g.10"]);
  assert.deepEqual(take(), ["not current", "current"], "nothing was fetched");
});

Deno.test("Follower.receive() fetches the page when another log with other positions serves it", () => {
  const { follower, take, connect, paint } = start();
  connect();
  follower.receive([message("e.6")]);
  paint();
  take();
  follower.receive([message("f.3", REFRESH)]);
  paint();
  assert.deepEqual(take(), ["not current", "refetch push"]);
  assert.deepEqual([follower.need, follower.shown!.cursor], ["f.3", "e.6"]);
});

Deno.test("Follower.receive() fetches a page with a part that is ahead when the epoch changes", () => {
  for (const cursor of ["e.9", "d.1"]) {
    const { follower, take, connect, rendered, paint } = start();
    connect();
    take();
    follower.shown!.parts.set("frame", cursor);
    follower.receive([message("f.8")]);
    paint();
    assert.deepEqual(take(), ["not current", "refetch push"], cursor);
    assert.deepEqual([follower.need, rendered], ["f.8", []]);
  }
});

Deno.test("Follower.painted() fetches the page for a pushed refresh, an answered one, and another log", () => {
  const { follower, take, paint } = start();
  for (
    const [cursor, html, why, need] of [
      ["e.4", REFRESH, "answer", "e.4"],
      ["f.4", "<p>", "push", "e.5"],
      ["e.4", "<p>", undefined, "e.5"],
    ] as const
  ) {
    follower.answer(cursor, html);
    paint();
    assert.deepEqual([take(), follower.need], [why ? [`refetch ${why}`] : [], need]);
  }
});

Deno.test("Follower.restart() gives the shell what waits once more, in order", () => {
  const { follower, connect, rendered, paint } = start();
  connect();
  follower.receive([message("e.6")]);
  follower.receive([message("e.7")]);
  follower.restart();
  follower.restart();
  paint();
  assert.deepEqual(rendered, ["<e.6><e.7>"]);
});

Deno.test("Follower.answer() renders on a page without a stream, and neither asks nor fetches", () => {
  const { follower, take, rendered, paint } = start();
  follower.show(undefined);
  follower.answer("e.6", "<p>");
  paint();
  assert.deepEqual([rendered, take()], [["<p>"], []]);
});

// ---- Transport

const REFUSED = { hasOpened: false, wasHeard: false, age: 0, wasCut: true };
const SWALLOWED = { hasOpened: true, wasHeard: false, age: 10_000, wasCut: true };
const KILLED = { hasOpened: true, wasHeard: true, age: 100, wasCut: true };
const HELD = { hasOpened: true, wasHeard: true, age: 60_000, wasCut: true };

/** The kinds that are used in turn when WebSockets end in these ways. */
function kindsAfter(...ends: readonly (typeof REFUSED)[]): string[] {
  const transport = new Transport();
  return ends.map((end) => {
    transport.webSocketEnded(end);
    return transport.kind;
  });
}

Deno.test("Transport tries server-sent events after three WebSockets that did not open", () => {
  assert.deepEqual(kindsAfter(REFUSED, REFUSED, REFUSED), ["websocket", "websocket", "events"]);
});

Deno.test("Transport tries server-sent events after two WebSockets that opened and were cut, or received nothing", () => {
  assert.deepEqual(kindsAfter(KILLED, KILLED), ["websocket", "events"]);
  assert.deepEqual(kindsAfter(SWALLOWED, SWALLOWED), ["websocket", "events"]);
});

Deno.test("Transport forgets failures when a WebSocket has held, or was closed in due form", () => {
  assert.deepEqual(kindsAfter(REFUSED, REFUSED, HELD, REFUSED, REFUSED).at(-1), "websocket");
  const closed = { ...KILLED, wasCut: false };
  assert.deepEqual(kindsAfter(REFUSED, REFUSED, closed, REFUSED).at(-1), "websocket");
});

Deno.test("Transport tries one more WebSocket when server-sent events have opened, and stays with them", () => {
  const transport = new Transport();
  for (let n = 0; n < 3; n++) transport.webSocketEnded(REFUSED);
  assert.equal(
    transport.eventsOpened(),
    true,
    "the server is there: perhaps it was not a moment ago",
  );
  assert.equal(transport.kind, "websocket");
  transport.eventsEnded(true);
  transport.webSocketEnded(REFUSED);
  assert.equal(transport.kind, "events");
  assert.equal(transport.eventsOpened(), false);
  transport.eventsEnded(true);
  assert.equal(transport.kind, "events", "they are ended now and then");
});

Deno.test("Transport stays with server-sent events where a WebSocket opened and received nothing", () => {
  const transport = new Transport();
  for (let n = 0; n < 2; n++) transport.webSocketEnded(SWALLOWED);
  assert.equal(transport.eventsOpened(), false);
});

Deno.test("Transport alternates where neither opens", () => {
  const transport = new Transport();
  for (let n = 0; n < 3; n++) transport.webSocketEnded(REFUSED);
  for (let n = 0; n < 3; n++) {
    transport.eventsEnded(false);
    assert.equal(transport.kind, "websocket");
    transport.webSocketEnded(REFUSED);
    assert.equal(transport.kind, "events");
  }
});

Deno.test("Transport.delay() is short after the first cut, and longer with each loss", () => {
  const transport = new Transport();
  transport.webSocketEnded(HELD);
  const spans = () => [transport.delay(0), new Transport().delay(0), transport.delay(1)];
  assert.deepEqual(spans(), [250, 250, 500 + 8_000]);
  for (let n = 0; n < 5; n++) transport.delay(1);
  assert.equal(transport.delay(1), 20_500);
  transport.held();
  assert.equal(transport.delay(1), 750);
});

Deno.test("Transport.delay() stays below a second for some time where few pages reconnect", () => {
  const transport = new Transport();
  transport.webSocketEnded(HELD);
  const delays = Array.from({ length: 24 }, () => transport.delay(1, 500));
  assert.deepEqual(new Set(delays.slice(0, 17)), new Set([750]));
  assert.deepEqual(delays.slice(17, 20), [1_500, 2_500, 4_500]);
  assert.equal(delays.at(-1), 20_500);
});

Deno.test("Transport.delay() is 0 before server-sent events are first tried", () => {
  const transport = new Transport();
  for (let n = 0; n < 3; n++) transport.webSocketEnded(REFUSED);
  assert.equal(transport.delay(1), 0);
  transport.eventsOpened();
  transport.webSocketEnded(REFUSED);
  assert.equal(transport.kind, "events");
  assert(transport.delay(1) > 0, "they are known to open");
});

// ---- Refetch

Deno.test("Refetch.judge() takes a page of its log that is new enough", () => {
  const page = { status: 200, isHtml: true, cursor: "e.5" };
  const table: [decision: string, answer: Parameters<Refetch["judge"]>[0], isAnswered?: boolean][] =
    [
      ["take", page],
      ["take", { ...page, cursor: "e.6" }],
      ["take", { ...page, status: 203, cursor: "e.6" }, false],
      ["again", { ...page, cursor: "e.4" }],
      ["reconnect", { ...page, cursor: "f.9" }],
      ["again", { ...page, cursor: "f.9" }, false],
      ["again", { ...page, status: 0 }, false],
      ...[408, 425, 429, 500, 503].map((status) =>
        ["again", { ...page, status }] as [string, typeof page]
      ),
    ];
  for (const [decision, answer, isAnswered = true] of table) {
    const refetch = new Refetch();
    assert.equal(refetch.judge(answer, "e.5", isAnswered), decision, JSON.stringify(answer));
  }
});

Deno.test("Refetch.judge() leaves the page to the browser after five answers that are not the page", () => {
  const page = { status: 200, isHtml: true, cursor: "e.5" };
  const vain = [
    ...[300, 304, 401, 403, 404, 410].map((status) => ({ ...page, status })),
    { status: 204, isHtml: false, cursor: undefined },
    { ...page, isHtml: false },
    { ...page, cursor: undefined },
    { ...page, cursor: "" },
    { ...page, status: 0 },
  ];
  for (const answer of vain) {
    const refetch = new Refetch();
    const judge = () => refetch.judge(answer, "e.5", true);
    const decisions = [judge(), judge(), judge(), judge(), judge()];
    assert.deepEqual(
      decisions,
      ["again", "again", "again", "again", "leave"],
      JSON.stringify(answer),
    );
  }
  const refetch = new Refetch();
  for (let n = 0; n < 100; n++) {
    const answer = n % 2 ? { ...page, status: 503 } : { ...page, cursor: "e.4" };
    assert.equal(refetch.judge(answer, "e.5", true), "again", "there will be one");
  }
});

Deno.test("Refetch.judge() stops after five pages of another log than the connection's", () => {
  const refetch = new Refetch();
  const answer = { status: 200, isHtml: true, cursor: "f.9" };
  const judge = () => refetch.judge(answer, "e.5", true);
  const decisions = [judge(), judge(), judge(), judge(), judge()];
  assert.deepEqual(decisions, ["reconnect", "reconnect", "reconnect", "reconnect", "stop"]);
});

Deno.test("Refetch.vainly() counts by its weight", () => {
  const refetch = new Refetch();
  assert.deepEqual([refetch.vainly(3), refetch.vainly(3)], ["again", "leave"]);
});

Deno.test("Refetch.delay() is longer with each request, and respects Retry-After", () => {
  const refetch = new Refetch();
  assert.deepEqual([refetch.delay(0), refetch.delay(0), refetch.delay(1)], [0, 500, 2_500]);
  for (let n = 0; n < 20; n++) refetch.delay(0);
  assert.equal(refetch.delay(1), 60_500);
  assert.equal(refetch.delay(0, 7_000), 7_500);
  assert.equal(refetch.delay(0, 1e9), 300_500);
});

// ---- The rest

Deno.test("parseRetryAfter() reads seconds and dates", () => {
  const now = Date.UTC(2026, 0, 1);
  assert.equal(parseRetryAfter(null, now), undefined);
  assert.equal(parseRetryAfter("soon", now), undefined);
  assert.equal(parseRetryAfter("0", now), 0);
  assert.equal(parseRetryAfter("120", now), 120_000);
  assert.equal(parseRetryAfter("Thu, 01 Jan 2026 00:00:05 GMT", now), 5_000);
  assert.equal(parseRetryAfter("Wed, 31 Dec 2025 23:59:00 GMT", now), 0);
});

Deno.test("AskRate.take() allows 15 at once, and then one a second", () => {
  const rate = new AskRate();
  const waits = Array.from({ length: 16 }, () => rate.take(10_000));
  assert.deepEqual(waits, [...Array(15).fill(0), 1_000]);
  assert.equal(rate.take(10_400), 600);
  assert.equal(rate.take(11_000), 0);
  assert(rate.take(11_000) > 0);
  assert.deepEqual(
    Array.from({ length: 16 }, () => rate.take(1e9)).filter((wait) => wait > 0).length,
    1,
  );
});

// ---- Reports

Deno.test("Reports makes a page report the first rendering that comes an interval after its last report", () => {
  const reports = new Reports();
  reports.start(0, 0.5, 60_000);
  const rendered = [29_999, 30_000, 30_001, 89_999, 90_000, 90_000].map((now) =>
    reports.rendered("e.1", true, now)
  );
  assert.deepEqual(rendered, [undefined, 0, undefined, undefined, 0, undefined]);
});

Deno.test("Reports does not make a page report a heartbeat, and takes a minute where the server says nothing", () => {
  const reports = new Reports();
  reports.start(0, 1);
  assert.equal(reports.rendered("e.1", false, 70_000), undefined);
  assert.equal(reports.rendered("e.2", true, 59_999), undefined);
  assert.equal(reports.rendered("e.2", true, 60_000), 0);
});

Deno.test("Reports answers the server once the page is at the cursor that it asks about, and says for how long", () => {
  const reports = new Reports();
  reports.start(0, 1, 60_000);
  reports.asked = "e.7.3"; // a heartbeat
  assert.equal(reports.rendered("e.6", true, 100), undefined);
  assert.equal(reports.rendered("e.7", true, 200), 0);
  reports.asked = "e.7.4";
  assert.equal(reports.rendered("e.7", false, 900), 700);
  assert.equal(reports.rendered("e.8", true, 1_000), undefined, "it was answered");
});
