import assert from "node:assert/strict";
import { readerName, topicName } from "./audience.ts";
import { html } from "./html.ts";
import { History, MAX_PUSHES } from "./inspector_history.ts";
import { type Reason, reasonOf } from "./inspector_reasons.ts";
import { targetsOf } from "./inspector_snapshot.ts";
import { Log, type LogOptions } from "./log.ts";
import { append, remove, replace, type Stream, update } from "./streams.ts";

const PAGE = {};
const box = (content: string | number) => String(replace("box", html`<b id="box">${content}</b>`));

/** A log with a history of it, and one page that follows it. */
function start(options: LogOptions = {}, now = () => 0) {
  const log = new Log({ epoch: "e", ...options }, { now });
  const history = new History({
    position: () => log.position,
    positionOf: (cursor) => log.positionOf(cursor),
    count: () => 1,
    now,
  });
  log.observer = history;
  history.opened(PAGE);
  const record = history.page(PAGE)!;
  return {
    log,
    history,
    record,
    /** Sends the page what is in the log, as a connection does. */
    send(...positions: number[]) {
      const entries = log.entries().map(({ entry }) => entry);
      history.sent(PAGE, entries.filter(({ position }) => positions.includes(position)));
    },
    /** What became of a push at the page. */
    why(position: number, page: Partial<Parameters<typeof reasonOf>[1]> = {}): Reason {
      const push = history.push(position)!;
      const all = {
        record,
        names: new Set<string>(),
        id: "page",
        had: undefined,
        shown: undefined,
      };
      return reasonOf(push, { ...all, ...page });
    },
  };
}

const left = (history: History) =>
  [...history.pushes].map(({ left }) => left && `${left.why} ${left.by ?? ""}`.trim());

Deno.test("History tells of each push why it is not in the log", () => {
  let time = 0;
  const { log, history } = start({ maxEntries: 3, maxBytes: 300, maxAge: 1_000 }, () => time);
  log.append(box(1));
  log.append(box(2));
  log.append(String(append("list", html`<i id="one">1</i>`)));
  log.append(String(remove("one")));
  log.append("x".repeat(400));
  log.append(box(6), { to: [] });
  assert.deepEqual(left(history), [
    "superseded 2",
    undefined,
    "removed 4",
    undefined,
    "too large",
    "for nobody",
  ]);
  for (let n = 7; n < 9; n++) log.append(String(update(`part${n}`, "")));
  assert.equal(left(history)[1], "full");
  time = 1_001;
  log.expire();
  assert.deepEqual(left(history).slice(6), ["expired", "expired"]);
});

Deno.test("History keeps the last pushes, their first streams and the beginning of their HTML", () => {
  const { log, history, record, send } = start();
  const long = html`<p>${"é".repeat(5_000)}</p>`;
  for (let n = 1; n <= MAX_PUSHES + 5; n++) {
    log.append(String(append("list", long)).repeat(n % 2 === 0 ? 1 : 30));
    send(n);
  }
  const pushes = [...history.pushes];
  assert.deepEqual([pushes.length, pushes[0]!.position], [MAX_PUSHES, 6]);
  assert.deepEqual([pushes[1]!.streams.length, pushes[1]!.more], [20, 10]);
  assert.equal(pushes[0]!.html.length, 2_000);
  assert.equal(record.sent.size, MAX_PUSHES);
});

Deno.test("History reads actions and targets as a page does", () => {
  const { log, history } = start();
  log.append(String(replace(`a"b&c<d`, html`<b></b>`)) + String(remove({ all: ".x > .y" })));
  log.append('<turbo-stream action="refresh"></turbo-stream>');
  const streams = [...history.pushes].map(({ streams }) =>
    streams.map(({ action, target }) => [action, target])
  );
  assert.deepEqual(streams, [[["replace", `#a"b&c<d`], ["remove", ".x > .y"]], [["refresh", ""]]]);
});

Deno.test("History tells how a page began to follow the log", () => {
  const { log, history, record, send } = start();
  log.append(String(append("list", html`<i></i>`)));
  history.resumed(PAGE, "e.1", 1);
  assert.deepEqual([record.resumed?.outcome, record.from], ["nothing", 1]);
  log.append(String(append("list", html`<i></i>`)));
  send(2); // pushed after it asked
  assert.equal(record.resumed?.outcome, "nothing");
  history.resumed(PAGE, "e.1", 1);
  send(2);
  assert.equal(record.resumed?.outcome, "replay");
  history.resumed(PAGE, "other.7", undefined);
  history.refreshed(PAGE);
  assert.deepEqual([record.resumed?.outcome, record.resumed?.position], ["refresh", undefined]);
});

Deno.test("History remembers connections that have ended, and no number of them", () => {
  const { history } = start();
  history.ended(PAGE, "The reader is too slow");
  assert.deepEqual(history.gone.map(({ number, ended }) => [number, ended?.reason]), [
    [1, "The reader is too slow"],
  ]);
  for (let n = 0; n < 100; n++) {
    const connection = {};
    history.opened(connection);
    history.ended(connection);
  }
  assert.equal(history.gone.length, 20);
  assert.equal(history.page({}), undefined);
});

Deno.test("reasonOf() says whom a push is for where it is not for the page", () => {
  const { log, why } = start();
  log.append(box(1), { to: [readerName("bob"), topicName("room:1")] });
  log.append(box(2), { except: "page" });
  assert.equal(why(1).text, 'Not for it: the push is for the reader "bob", the topic "room:1"');
  assert.equal(why(1, { names: new Set([topicName("room:1")]) }).outcome, "unknown");
  assert.match(why(2).text, /except/);
  assert.equal(why(2, { id: "other" }).outcome, "unknown");
});

Deno.test("reasonOf() tells what came with the page, was superseded, is owed, or was lost by a gap", () => {
  const { log, history, why } = start();
  log.append(box(1));
  history.resumed(PAGE, "e.1", 1);
  log.append(box(2));
  log.append(box(3));
  assert.equal(why(1).outcome, "came with the page");
  assert.deepEqual(why(2, { had: 1 }), {
    outcome: "superseded",
    text: "Not sent: superseded by 3 before that",
  });
  assert.equal(why(3, { had: 1 }).outcome, "owed");
  history.refreshed(PAGE);
  assert.match(why(3).text, /told to fetch itself/);
});

Deno.test("reasonOf() tells what the page shows, and what it has no target for", () => {
  const { log, history, record, send, why } = start();
  log.append(box(1));
  log.append(String(replace("bxo", html`<b id="bxo"></b>`)));
  log.append(String(remove("gone")));
  send(1, 2, 3);
  assert.equal(why(1).outcome, "sent");
  history.reported(PAGE, 3);
  history.missed(PAGE, [
    { cursor: "e.3", target: "#bxo", near: "box" }, // told with a later cursor, as of one batch
    { cursor: "e.3", target: "#gone" },
    { cursor: "e.3", target: "#other" },
  ]);
  assert.equal(why(1, { shown: record.shown }).text, "Sent and shown");
  assert.equal(why(2, { shown: 3 }).text, 'Sent, and the page has no #bxo. Did you mean "box"?');
  assert.equal(why(3, { shown: 3 }).outcome, "nothing to remove");
  assert.deepEqual([...history.pushes].map(({ sent, shown }) => [sent, shown]), [[1, 1], [1, 1], [
    1,
    1,
  ]]);
});

Deno.test("A miss is that of the newest push up to its cursor that the page was sent", () => {
  const { log, history, record, send } = start();
  const list = String(append("list", html`<i></i>`));
  for (let n = 1; n <= 3; n++) log.append(list);
  send(1, 2, 3);
  history.missed(PAGE, [{ cursor: "e.2", target: "#list" }, { cursor: "e.2", target: "#list" }]);
  assert.deepEqual([...record.missed.keys()], ["2 #list", "1 #list"]);
});

Deno.test("A miss of a push that the page was not sent, or of another log, changes nothing", () => {
  const { log, history, record } = start();
  log.append(box(1));
  history.missed(PAGE, [{ cursor: "e.1", target: "#box" }, { cursor: "other.1", target: "#box" }]);
  history.missed({}, [{ cursor: "e.1", target: "#box" }]);
  assert.equal(record.missed.size, 0);
  assert.equal(history.push(1)?.streams[0]?.missed, 0);
});

Deno.test("History keeps and looks up little of what a page tells, which may be hostile", () => {
  const { log, history, record, send } = start();
  for (let n = 1; n <= 30; n++) log.append(box(n), { to: [`${n}`] });
  send(...Array.from({ length: 30 }, (_, index) => index + 1));
  const miss = { cursor: "e.30", target: "#box", near: "x".repeat(4_000) };
  history.missed(PAGE, Array.from({ length: 30 }, () => miss));
  assert.equal(record.missed.size, 20);
  assert.deepEqual(new Set(record.missed.values()), new Set(["x".repeat(200)]));
});

Deno.test("targetsOf() puts first what no page had, and takes nothing to remove for no mistake", () => {
  const { log, history, send } = start({}, () => 1_000);
  history.located(PAGE, "/");
  const lost = (streams: readonly Stream[], misses: string[], now = 1_000) => {
    const { position } = log.append(streams.join(""));
    send(position);
    history.missed(PAGE, misses.map((target) => ({ cursor: log.cursor, target })));
    return targetsOf([...history.pushes].reverse(), now).filter(({ isLost }) => isLost)
      .map(({ target }) => target);
  };
  assert.deepEqual(lost([update("here", "")], []), []);
  assert.deepEqual(lost([update("no", ""), remove("nor")], ["#no", "#nor"]), ["#no"]);
  assert.deepEqual(lost([update("no", "a")], []), ["#no"], "it may still be told");
  assert.deepEqual(lost([update("no", "b")], [], 60_000), [], "some page has it by now");
});
