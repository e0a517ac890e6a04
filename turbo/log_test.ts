import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { html } from "./html.ts";
import { type Batch, Log } from "./log.ts";
import { append, refresh, replace, type Stream, update } from "../tests/stream_texts.ts";
import { joinStreams } from "./streams.ts";

const box = (id: string, n: number) => replace(id, html`<b id="${id}">${n}</b>`);
const htmlOf = (batch: Batch | "gap") =>
  batch === "gap" ? "gap" : batch.entries.map((entry) => entry.html);

Deno.test("Log.after() returns what came after a position, oldest first", () => {
  const log = new Log();
  const streams = [append("a", "1"), append("a", "2"), append("a", "3")];
  const positions = streams.map((stream) => log.append(stream).position);
  assert.deepEqual(htmlOf(log.after(0)), streams);
  assert.deepEqual(htmlOf(log.after(positions[1]!)), streams.slice(2));
  assert.deepEqual(htmlOf(log.after(positions[2]!)), []);
});

Deno.test("Log.append() of a replace supersedes earlier replaces and updates", () => {
  const log = new Log();
  log.append(box("a", 1));
  log.append(update("a", "x"));
  log.append(box("b", 1));
  log.append(box("a", 2));
  assert.deepEqual(htmlOf(log.after(0)), [box("b", 1), box("a", 2)]);
  assert.equal(log.size, 2);
});

Deno.test("Log.append() of an update supersedes an update, but not a replace", () => {
  const log = new Log();
  log.append(box("a", 1));
  log.append(update("a", "x"));
  log.append(update("a", "y"));
  assert.deepEqual(htmlOf(log.after(0)), [box("a", 1), update("a", "y")]);
});

Deno.test("Log.append() keeps what a later entry does not repeat", () => {
  const pairs: [Stream | Stream[], Stream | Stream[]][] = [
    [append("a", "1"), append("a", "1")],
    [refresh(), refresh()],
    [replace({ all: "a" }, "1"), replace({ all: "a" }, "2")],
    [box("a", 1), [box("a", 2), append("c", "1")]],
    [[box("a", 1), append("c", "1")], box("a", 2)],
    // The element gets another id, so the second replace finds nothing.
    [replace("a", html`<b id="other"></b>`), box("a", 2)],
    [replace("a", "text"), box("a", 2)],
    [replace("a", html`<b title='id="a"'></b>`), box("a", 2)],
  ];
  for (const [first, second] of pairs) {
    const log = new Log();
    log.append(joinStreams(first));
    log.append(joinStreams(second));
    assert.equal(log.size, 2, joinStreams(first));
  }
});

Deno.test("Log.append() supersedes only entries for the same audience", () => {
  const log = new Log();
  log.append(box("a", 1));
  log.append(box("a", 2), { to: ["x"] });
  log.append(box("a", 3), { to: ["y"] });
  log.append(box("a", 5), { except: "p" });
  assert.equal(log.size, 4);
  log.append(box("a", 6), { to: ["x"] });
  assert.equal(log.size, 4);
});

Deno.test("Log.append() for nobody keeps no entry, but moves on", () => {
  const log = new Log();
  log.append(box("a", 1), { to: [] });
  assert.deepEqual([log.size, log.position], [0, 1]);
  assert.deepEqual(log.after(0), { entries: [], position: 1, isForAll: true });
});

Deno.test("Log.after() is a gap where entries were dropped for the limits", () => {
  const log = new Log({ maxEntries: 2 });
  for (const n of [1, 2, 3]) log.append(append("a", String(n)));
  assert.equal(log.after(0), "gap");
  assert.notEqual(log.after(1), "gap");
});

Deno.test("Log.append() of more than the log holds is a gap only for its audience", () => {
  const log = new Log({ maxBytes: 200 });
  log.append(append("a", "small"));
  log.append(append("a", "é".repeat(100)), { to: ["x"] }); // 200 bytes and the element
  assert.equal(log.size, 1);
  assert.equal(log.after(1, new Set(["x"])), "gap");
  assert.deepEqual(htmlOf(log.after(0, new Set(["y"]))), [append("a", "small")]);
});

/** Whom pushes are for (`*`: everyone), how many there are, and how many entries the log keeps. */
type Pushes = [to: string, times: number][];
const gapCases: {
  name: string;
  maxEntries: number;
  pushes: Pushes;
  gaps: Record<string, boolean>;
}[] = [
  {
    name: "a busy name costs the quiet ones nothing",
    maxEntries: 1_000,
    pushes: [["quiet", 1], ["busy", 1_001]],
    gaps: { busy: true, quiet: true, other: false, "": false },
  },
  {
    name: "a name whose entries are all kept",
    maxEntries: 1_000,
    pushes: [["busy", 1_001], ["quiet", 1]],
    gaps: { busy: true, quiet: false, other: false, "": false },
  },
  {
    name: "what was for everyone is a gap for everyone",
    maxEntries: 10,
    pushes: [["*", 1], ["busy", 10]],
    gaps: { busy: true, quiet: true, "": true },
  },
  {
    name: "many names, each of which lost its own",
    maxEntries: 10,
    pushes: [...Array.from({ length: 8 }, (_, n): [string, number] => [`n${n}`, 1]), ["busy", 10]],
    gaps: { n0: true, n7: true, busy: false, other: false, "": false },
  },
  {
    name: "more names than are remembered: an unneeded gap for a name, none without names",
    maxEntries: 10,
    pushes: Array.from({ length: 40 }, (_, n): [string, number] => [`n${n}`, 1]),
    gaps: { n0: true, n29: true, n30: true, other: true, "": false },
  },
];
for (const { name, maxEntries, pushes, gaps } of gapCases) {
  Deno.test(`Log.after() knows who missed something: ${name}`, () => {
    const log = new Log({ maxEntries });
    for (const [to, times] of pushes) {
      for (let n = 0; n < times; n++) {
        log.append(append("a", String(n)), to === "*" ? {} : { to: [to] });
      }
    }
    for (const [name, isGap] of Object.entries(gaps)) {
      const batch = log.after(0, new Set(name === "" ? [] : [name]));
      assert.equal(batch === "gap", isGap, `${name || "a reader without names"} at position 0`);
    }
  });
}

Deno.test("Log.after() still has a gap for a name that was forgotten", () => {
  const log = new Log({ maxEntries: 10 });
  for (let n = 0; n < 100; n++) log.append(append("a", String(n)), { to: [`n${n}`] });
  // n50 was forgotten when n60 was added. A reader that has had its entries has no gap because of it.
  assert.equal(log.after(50, new Set(["n50"])), "gap");
  assert.notEqual(log.after(90, new Set(["n50"])), "gap");
  assert(JSON.stringify(log.save().gone).length < 500, "a bounded number of names is kept");
});

Deno.test("Log.after() gives a reader of several names each entry once, in order, and no others", () => {
  const log = new Log();
  const to = (...names: string[]) => ({ to: names });
  log.append(append("a", "1"), to("x", "y", "x"));
  log.append(append("a", "2"), to("z"));
  log.append(append("a", "3"));
  log.append(append("a", "4"), to("y"));
  log.append(append("a", "5"), to("x"));
  const contents = (...names: string[]) => {
    const html = htmlOf(log.after(0, new Set(names)));
    return [...html].map((html) => /\d/.exec(html)![0]).join("");
  };
  assert.equal(contents("x", "y"), "1345");
  assert.equal(contents("z"), "23");
  assert.equal(contents(), "3");
});

Deno.test("Log.after() stops at maxBytes, with at least one entry, and returns the position reached", () => {
  const log = new Log();
  for (const n of [1, 2, 3, 4]) log.append(append("a", String(n)), n === 4 ? { to: ["x"] } : {});
  const { bytes } = log.append(append("a", "5"));
  const after = (position: number, maxBytes: number) => {
    const batch = log.after(position, new Set(), maxBytes);
    return batch === "gap" ? batch : [batch.entries.length, batch.position];
  };
  assert.deepEqual(after(0, 1), [1, 1]);
  assert.deepEqual(after(0, 2 * bytes), [2, 2]);
  assert.deepEqual(after(2, 2 * bytes), [2, 5]);
  assert.deepEqual(after(2, bytes), [1, 3]);
  assert.deepEqual(after(5, 1), [0, 5]);
});

Deno.test("Log.after() gives readers at one position the same list, so that it is formatted once", () => {
  const log = new Log();
  log.append(append("a", "1"));
  log.append(append("a", "2"), { to: ["x"] });
  const entries = (...names: string[]) => (log.after(0, new Set(names)) as Batch).entries;
  assert.equal(entries(), entries("nothing"));
  assert.notEqual(entries(), entries("x"));
  const before = entries();
  log.append(append("a", "3"));
  assert.equal(entries().length, before.length + 1);
});

Deno.test("Log.positionOf() knows earlier epochs, and positions ahead in its own", () => {
  const log = new Log({ epoch: "e" });
  log.append(append("a", "1"));
  assert.equal(log.positionOf("e.0"), 0);
  assert.equal(log.positionOf(log.cursor), 1);
  assert.equal(log.positionOf(log.beat()), 1);
  assert.equal(log.positionOf("e.2"), 2);
  assert.equal(log.positionOf("e.9007199254740991"), Number.MAX_SAFE_INTEGER);
  const others = [
    "f.1",
    "e",
    "e.",
    ".1",
    "",
    "e.1.1.1",
    "e.-1",
    "e.1x",
    "e. 1",
    "e.9007199254740992",
  ];
  for (const cursor of others) assert.equal(log.positionOf(cursor), undefined, cursor);
  assert.equal(log.positionOf("e." + "1".repeat(1_000_000)), undefined);
});

Deno.test("Log.append() accepts a position from elsewhere, and skip() leaves one out", () => {
  const log = new Log({ epoch: "e" });
  assert.equal(log.append(append("a", "1"), {}, 5).cursor, "e.5");
  assert.equal((log.after(0) as Batch).position, 5);
  log.skip(7);
  assert.equal((log.after(0) as Batch).position, 7);
  assert.equal(log.cursor, "e.7");
  assert.equal(log.append(append("a", "2")).position, 8);
  assert.deepEqual(htmlOf(log.after(5)), [append("a", "2")]);
  for (const position of [8, 0, -1, 8.5, NaN]) {
    assert.throws(() => log.append(append("a", "3"), {}, position), RangeError);
  }
  assert.deepEqual([log.position, log.size], [8, 2]);
});

Deno.test("Log.fork() continues under another epoch, and old cursors stay valid up to there", () => {
  const log = new Log({ epoch: "e" });
  log.append(append("a", "1"));
  log.fork("f");
  log.append(append("a", "2"));
  assert.equal(log.cursor, "f.2");
  assert.deepEqual([log.positionOf("e.1"), log.positionOf("e.2"), log.positionOf("f.2")], [
    1,
    undefined,
    2,
  ]);
  assert.deepEqual(htmlOf(log.after(1)), [append("a", "2")]);
});

Deno.test("Log.reset() starts again: what was before is a gap", () => {
  const log = new Log({ epoch: "e" });
  log.append(append("a", "1"), { to: ["x"] });
  log.reset("g", 40);
  assert.deepEqual([log.cursor, log.size, log.bytes], ["g.40", 0, 0]);
  assert.equal(log.positionOf("e.1"), undefined);
  for (const names of [new Set<string>(), new Set(["x"])]) {
    assert.equal(log.after(39, names), "gap");
    assert.deepEqual(log.after(40, names), { entries: [], position: 40, isForAll: true });
  }
});

Deno.test("Log.load() continues from save(): cursors, entries, gaps, names, heartbeats", () => {
  const log = new Log({ epoch: "e", maxEntries: 4 });
  log.append(box("a", 1));
  log.append(append("a", "1"), { to: ["x"] });
  log.append(append("a", "2"), { to: ["y"], except: "p" });
  for (let n = 0; n < 3; n++) log.append(append("b", String(n)));
  const beat = log.beat();
  const next = new Log({ maxEntries: 4 });
  next.load(JSON.parse(JSON.stringify(log.save())));
  assert.equal(next.cursor, log.cursor);
  assert.deepEqual([next.size, next.bytes], [log.size, log.bytes]);
  assert.notEqual(next.beat(), beat);
  for (const names of [[], ["x"], ["y"], ["x", "y"]]) {
    for (let position = 0; position <= 6; position++) {
      const batches = [log, next].map((log) => htmlOf(log.after(position, new Set(names))));
      assert.deepEqual(batches[1], batches[0], `${names} after ${position}`);
    }
  }
  for (const one of [log, next]) one.append(box("a", 2));
  assert.deepEqual(htmlOf(next.after(5)), htmlOf(log.after(5)));
});

Deno.test("Log.load() knows the earlier epochs", () => {
  const log = new Log({ epoch: "e" });
  log.append(append("a", "1"));
  log.fork("f");
  const next = new Log();
  next.load(JSON.parse(JSON.stringify(log.save())));
  assert.deepEqual([next.positionOf("e.1"), next.positionOf("f.1")], [1, 1]);
});

Deno.test("Log.after() stays a gap when an older entry is dropped later", () => {
  const log = new Log({ maxBytes: 200, maxEntries: 2 });
  log.append(append("a", "1"));
  log.append(append("a", "x".repeat(200))); // too large to keep
  for (const n of [3, 4]) log.append(append("a", String(n)));
  assert.equal(log.after(1), "gap");
  assert.notEqual(log.after(2), "gap");
});

Deno.test("Log.load() keeps to its own limits", () => {
  const log = new Log({ epoch: "e" });
  for (let n = 0; n < 10; n++) log.append(append("a", String(n)));
  const smaller = new Log({ maxEntries: 4 });
  smaller.load(log.save());
  assert.deepEqual([smaller.size, smaller.cursor], [4, "e.10"]);
  assert.equal(smaller.after(5), "gap");
  assert.equal(htmlOf(smaller.after(6)).length, 4);
});

Deno.test("Log.append() copies the list of names", () => {
  const log = new Log({ maxEntries: 1 });
  const to = ["ann"];
  log.append(append("a", "1"), { to });
  to[0] = "bob";
  assert.deepEqual(htmlOf(log.after(0, new Set(["ann"]))), [append("a", "1")]);
  log.append(append("a", "2"), { to });
  assert.equal(log.after(0, new Set(["ann"])), "gap");
  assert.deepEqual(htmlOf(log.after(0, new Set(["bob"]))), [append("a", "2")]);
});

Deno.test("An entry that has gone from the log does not keep later entries alive", () => {
  const log = new Log({ maxEntries: 2 });
  log.append(append("a", "1"));
  const [held] = (log.after(0) as Batch).entries;
  for (let n = 2; n < 6; n++) log.append(append("a", String(n)));
  assert.doesNotMatch(JSON.stringify(held), /<template>[2-9]/);
});

Deno.test("Log.after() has a gap where entries are too old", () => {
  let now = 5_000;
  const log = new Log({ maxAge: 1_000 }, { now: () => now });
  log.append(append("a", "1"), { to: ["x"] });
  now += 600;
  log.append(append("a", "2"));
  now += 400;
  const [x, y] = [new Set(["x"]), new Set(["y"])];
  assert.equal(htmlOf(log.after(0, x)).length, 2);
  now += 1;
  assert.equal(log.after(0, x), "gap");
  assert.deepEqual(htmlOf(log.after(0, y)), [append("a", "2")]);
  assert.deepEqual(htmlOf(log.after(1, x)), [append("a", "2")]);
  now += 600; // nothing was appended since
  assert.equal(log.after(1, y), "gap");
  assert.deepEqual(log.after(2, x), { entries: [], position: 2, isForAll: true });
  assert.deepEqual([log.size, log.bytes, log.position], [0, 0, 2]);
});

Deno.test("Log.after() uses the time that it is given", () => {
  let looks = 0;
  const log = new Log({ maxAge: 1_000 }, { now: () => looks++ });
  log.append(append("a", "1"));
  const before = looks;
  assert.notEqual(log.after(0, new Set(), Infinity, 1_000), "gap");
  assert.equal(log.after(0, new Set(), Infinity, 1_001), "gap");
  assert.equal(looks, before);
});

for (const look of ["expire", "append", "save"] as const) {
  Deno.test(`Log.${look}() drops what is too old`, () => {
    let now = 0;
    const log = new Log({ maxAge: 1_000 }, { now: () => now });
    for (let n = 0; n < 3; n++) log.append(append("a", String(n)));
    now = 1_001;
    if (look === "append") log.append(append("a", "new"));
    else log[look]();
    assert.equal(log.size, look === "append" ? 1 : 0);
    assert.equal(log.after(2), "gap");
  });
}

Deno.test("Log keeps an entry for 15 minutes where nothing else is said", () => {
  let now = 0;
  const log = new Log({}, { now: () => now });
  log.append(append("a", "1"));
  now = 15 * 60 * 1000;
  assert.equal(htmlOf(log.after(0)).length, 1);
  now++;
  assert.equal(log.after(0), "gap");
});

Deno.test("Log.load() keeps the ages, and adds the time between", () => {
  let now = 0;
  const log = new Log({ maxAge: 1_000 }, { now: () => now });
  for (const n of [1, 2, 3]) {
    log.append(append("a", String(n)));
    now += 300;
  }
  const state = JSON.parse(JSON.stringify(log.save()));
  const sizes = [0, 100, 101, 700, 701].map((elapsed) => {
    let then = 77;
    const next = new Log({ maxAge: 1_000 }, { now: () => then });
    next.load(state, elapsed);
    const { size } = next;
    then += 300;
    return [size, next.after(3) !== "gap" && next.size];
  });
  assert.deepEqual(sizes, [[3, 2], [3, 2], [2, 1], [1, 0], [0, 0]]);
});

Deno.test("Log.bytes are HTML and names; Entry.bytes are HTML alone", () => {
  const log = new Log();
  const stream = append("a", "é");
  const entry = log.append(stream, { to: ["é", "xyz", "xyz"], except: "page" });
  assert.equal(entry.bytes, stream.length + 1);
  assert.equal(log.bytes, stream.length + 1 + 2 + 3 + 4);
  log.reset("e", 5);
  assert.equal(log.bytes, 0);
});

Deno.test("Log.append() keeps names and HTML within maxBytes", () => {
  const log = new Log({ maxBytes: 500 });
  for (let n = 0; n < 20; n++) {
    log.append(append("a", String(n)), { to: ["n".repeat(100) + n] });
    assert(log.bytes <= 500 && log.size > 0);
  }
  const { size } = log;
  log.append(append("a", "1"), { to: ["n".repeat(500)] });
  assert.equal(log.after(20, new Set(["n".repeat(500)])), "gap", "larger than the whole log");
  assert.equal(log.size, size, "and it costs no others");
  assert.notEqual(log.after(20, new Set(["other"])), "gap");
});

Deno.test("Log.revoke() moves on by one, and invalidates what was signed before", () => {
  const log = new Log({ epoch: "e" });
  log.append(append("a", "1"));
  log.revoke("room");
  assert.equal(log.cursor, "e.2");
  assert.deepEqual(log.after(1), { entries: [], position: 2, isForAll: true });
  const revoked = (position: number, ...names: string[]) => log.isRevoked(names, position);
  assert.deepEqual([revoked(1, "room"), revoked(2, "room"), revoked(1, "other"), revoked(0)], [
    true,
    false,
    false,
    false,
  ]);
  assert(revoked(1, "other", "room"));
  log.revoke("room", 7); // an engine gives the position
  assert.deepEqual([log.position, revoked(6, "room"), revoked(7, "room")], [7, true, false]);
  assert.throws(() => log.revoke("room", 7), RangeError);
});

Deno.test("Log.isRevoked() outlives fork() and save(), and reset() revokes all that was before", () => {
  const log = new Log({ epoch: "e" });
  log.revoke("room");
  log.fork("f");
  assert.deepEqual([log.isRevoked(["room"], 0), log.isRevoked(["other"], 0)], [true, false]);
  const next = new Log();
  next.load(JSON.parse(JSON.stringify(log.save())));
  assert.deepEqual([0, 1].map((position) => next.isRevoked(["room"], position)), [true, false]);
  assert.equal(next.isRevoked(["other"], 0), false);
  next.reset("g", 40);
  for (const name of ["room", "other"]) {
    assert.deepEqual([39, 40].map((position) => next.isRevoked([name], position)), [true, false]);
  }
});

Deno.test("Log.isRevoked() remembers a bounded number of names, and treats others as revoked", () => {
  const log = new Log({ maxEntries: 3 });
  for (let n = 1; n <= 5; n++) log.revoke(`n${n}`);
  assert.deepEqual([1, 2].map((position) => log.isRevoked(["other"], position)), [true, false]);
  assert.deepEqual([4, 5].map((position) => log.isRevoked(["n5"], position)), [true, false]);
  assert.equal(log.save().revoked.names.length, 3);
});

Deno.test("Log.isSilent() tells whether something was said to names between two positions", () => {
  const log = new Log({ maxEntries: 4 });
  log.append(append("a", "1")); // for everyone
  log.append(append("a", "2"), { to: ["x"] });
  log.append(append("a", "3"), { to: ["y", "z"] });
  log.append(append("a", "4"));
  const silent = (after: number, until: number, ...names: string[]) =>
    log.isSilent(new Set(names), after, until);
  assert.deepEqual(
    [silent(0, 1, "x"), silent(0, 2, "x"), silent(1, 2, "x"), silent(2, 4, "x")],
    [true, false, false, true],
  );
  assert.deepEqual([silent(2, 2, "z"), silent(2, 3, "z")], [true, false]);
  assert.deepEqual(
    [silent(0, 4), silent(0, 4, "other"), silent(0, 2, "z"), silent(0, 3, "other", "z")],
    [true, true, true, false],
  );
  for (const n of [5, 6, 7]) log.append(append("a", String(n))); // the first three are dropped
  assert.deepEqual([silent(1, 7, "x"), silent(2, 7, "x"), silent(0, 7, "other")], [
    false,
    true,
    true,
  ]);
  assert.deepEqual([silent(2, 2, "y"), silent(3, 7, "y")], [false, true]);
  for (const n of [8, 9]) log.append(append("a", String(n)), { to: ["x"] });
  assert.deepEqual([silent(8, 8, "x"), silent(8, 9, "x"), silent(2, 7, "x")], [true, false, true]);
  log.reset("e", 20);
  assert.deepEqual([silent(19, 20, "other"), silent(20, 20, "other")], [false, true]);
});

Deno.test("Log rejects an epoch that is not valid", () => {
  for (const epoch of ["", "a.b", "a b", "a".repeat(33)]) {
    assert.throws(() => new Log({ epoch }), /RangeError|1 to 32 letters/);
  }
});

Deno.test("Log.cursor has the documented form, and each log has an epoch of its own", () => {
  const [one, two] = [new Log(), new Log()];
  for (const cursor of [one.cursor, one.beat()]) assert.match(cursor, /^[A-Za-z0-9._-]{1,64}$/);
  assert.notEqual(one.cursor, two.cursor);
  assert.notEqual(one.beat(), one.beat());
});

// A page in the simplest form: boxes with an outside and an inside, and a list.
type State = { outer: Record<string, number>; inner: Record<string, number>; list: number[] };
type Push = { kind: "replace" | "update" | "append" | "both"; id: string; to: string | undefined };

function streamsOf({ kind, id }: Push, n: number): string {
  if (kind === "replace") return box(id, n);
  if (kind === "update") return update(id, String(n));
  if (kind === "append") return append("list", String(n));
  return joinStreams([box(id, n), append("list", String(n))]);
}

function apply(state: State, html: string): void {
  const pattern = /action="(\w+)" target="(\w+)"><template>(?:<b id="\w+">)?(\d+)/g;
  for (const [, verb, id, digits] of html.matchAll(pattern)) {
    const n = Number(digits);
    if (verb === "append") state.list.push(n);
    else state.inner[id!] = n;
    if (verb === "replace") state.outer[id!] = n;
  }
}

Deno.test("Log.after() brings a reader at any cursor to the state of a live one", () => {
  const pushes = fc.array(
    fc.record({
      kind: fc.constantFrom("replace", "update", "append", "both") as fc.Arbitrary<Push["kind"]>,
      id: fc.constantFrom("a", "b", "c"),
      to: fc.constantFrom(undefined, undefined, "x", "y"),
    }),
    { maxLength: 120, size: "max" },
  );
  let replays = 0;
  let gaps = 0;
  fc.assert(
    fc.property(pushes, fc.integer({ min: 1, max: 60 }), (list, maxEntries) => {
      const log = new Log({ maxEntries });
      const naive: { html: string; to: string | undefined }[] = [];
      for (const [n, push] of list.entries()) {
        const html = streamsOf(push, n);
        naive.push({ html, to: push.to });
        const audience = push.to === undefined ? {} : { to: [push.to] };
        assert.equal(log.append(html, audience).position, naive.length);
        assert(log.size <= maxEntries);
      }
      for (const name of ["x", "y", "z"]) {
        const reads = ({ to }: { to?: string | readonly string[] | undefined }) =>
          to === undefined || to === name || to[0] === name;
        for (let position = 0; position <= naive.length; position++) {
          const replay = log.after(position, new Set([name]));
          if (replay === "gap") {
            const missed = naive.slice(position);
            assert(missed.length > maxEntries && missed.some(reads), "a gap without need");
            gaps++;
            continue;
          }
          const state: State = { outer: {}, inner: {}, list: [] };
          for (const { html } of naive.slice(0, position).filter(reads)) apply(state, html);
          const live = structuredClone(state);
          for (const { html } of naive.slice(position).filter(reads)) apply(live, html);
          assert(replay.entries.every(reads), "what is for others");
          for (const entry of replay.entries) apply(state, entry.html);
          assert.deepEqual(state, live);
          replays++;
        }
      }
    }),
    { numRuns: 200, seed: 7 },
  );
  assert(replays > 10_000 && gaps > 1_000, `${replays} replays, ${gaps} gaps`);
});

Deno.test("Log.after() returns the same for many names, whether they share entries or not", () => {
  const names = Array.from({ length: 20 }, (_, n) => `n${n}`);
  const log = new Log();
  for (let n = 0; n < 50; n++) {
    log.append(append("a", `${n}`), n % 5 === 0 ? {} : { to: n % 7 === 0 ? ["other"] : names });
  }
  const wanted = log.save().entries.filter(({ to }) => !to?.includes("other"));
  for (const position of [0, 13, 49]) {
    const batch = log.after(position, new Set(names)); // each entry is in twenty lists
    assert(batch !== "gap");
    assert.deepEqual(
      batch.entries.map((entry) => entry.position),
      wanted.map((entry) => entry.position).filter((at) => at > position),
    );
  }
});
