import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { html } from "./html.ts";
import { type Batch, Log } from "./log.ts";
import { append, joinStreams, refresh, remove, replace, type Stream, update } from "./streams.ts";

const box = (id: string, n: number) => replace(id, html`<b id="${id}">${n}</b>`);
const htmlOf = (batch: Batch | "gap") =>
  batch === "gap" ? "gap" : batch.entries.map((entry) => entry.html);

Deno.test("Log.after() gives what came after a position, oldest first", () => {
  const log = new Log();
  const streams = [append("a", "1"), append("a", "2"), append("a", "3")];
  const positions = streams.map((stream) => log.append(stream).position);
  assert.deepEqual(htmlOf(log.after(0)), streams);
  assert.deepEqual(htmlOf(log.after(positions[1]!)), streams.slice(2));
  assert.deepEqual(htmlOf(log.after(positions[2]!)), []);
});

Deno.test("Log.append() lets a replace take the place of earlier ones and of updates", () => {
  const log = new Log();
  log.append(box("a", 1));
  log.append(update("a", "x"));
  log.append(box("b", 1));
  log.append(box("a", 2));
  assert.deepEqual(htmlOf(log.after(0)), [box("b", 1), box("a", 2)]);
  assert.equal(log.size, 2);
});

Deno.test("Log.append() lets an update take the place of an update, not of a replace", () => {
  const log = new Log();
  log.append(box("a", 1));
  log.append(update("a", "x"));
  log.append(update("a", "y"));
  assert.deepEqual(htmlOf(log.after(0)), [box("a", 1), update("a", "y")]);
});

Deno.test("Log.append() keeps what a later one does not say again", () => {
  const pairs: [Stream | Stream[], Stream | Stream[]][] = [
    [append("a", "1"), append("a", "1")],
    [remove("a"), remove("a")],
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

Deno.test("Log.append() lets nobody's entry take the place of another's", () => {
  const log = new Log();
  log.append(box("a", 1));
  log.append(box("a", 2), { to: ["x"] });
  log.append(box("a", 3), { to: ["y"] });
  log.append(box("a", 5), { except: "p" });
  assert.equal(log.size, 4);
  log.append(box("a", 6), { to: ["x"] });
  assert.equal(log.size, 4);
});

Deno.test("Log.append() keeps nothing for nobody, and goes on", () => {
  const log = new Log();
  log.append(box("a", 1), { to: [] });
  assert.deepEqual([log.size, log.position], [0, 1]);
  assert.deepEqual(log.after(0), { entries: [], position: 1, isForAll: true });
});

Deno.test("Log.after() is a gap where entries are gone for the bounds", () => {
  const log = new Log({ maxEntries: 2 });
  for (const n of [1, 2, 3]) log.append(append("a", String(n)));
  assert.equal(log.after(0), "gap");
  assert.notEqual(log.after(1), "gap");
});

Deno.test("Log.append() of more than the log holds is a gap for those it was for, and costs no others", () => {
  const log = new Log({ maxBytes: 200 });
  log.append(append("a", "small"));
  log.append(append("a", "é".repeat(100)), { to: ["x"] }); // 200 bytes and the element
  assert.equal(log.size, 1);
  assert.equal(log.after(1, new Set(["x"])), "gap");
  assert.deepEqual(htmlOf(log.after(0, new Set(["y"]))), [append("a", "small")]);
});

/** Who a push is for (`*`: everyone), so often, in a log of this many entries. */
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
    name: "a name whose entries are all there",
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
    name: "more names than are remembered: a gap too many for a name, none for those without",
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

Deno.test("Log.after() forgets no gap of the names that it remembers least", () => {
  const log = new Log({ maxEntries: 10 });
  for (let n = 0; n < 100; n++) log.append(append("a", String(n)), { to: [`n${n}`] });
  // n50 is forgotten: it was dropped when n60 came. Who was there after it has no gap of it.
  assert.equal(log.after(50, new Set(["n50"])), "gap");
  assert.notEqual(log.after(90, new Set(["n50"])), "gap");
  assert(JSON.stringify(log.save().gaps).length < 500, "a bounded number of names is kept");
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

Deno.test("Log.after() stops at a number of bytes, with one entry at least, and says how far it came", () => {
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

Deno.test("Log.after() gives readers at one position the very same entries, so that they are put into a frame once", () => {
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

Deno.test("Log.positionOf() knows its own past, and what is ahead of it under its name", () => {
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

Deno.test("Log.append() takes a position from elsewhere, and skip() leaves one out", () => {
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

Deno.test("Log.fork() goes on under another name, and old cursors stay valid up to there", () => {
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

Deno.test("Log.reset() begins anew: what was is not known, and asking for it is a gap", () => {
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

Deno.test("Log.load() goes on where save() was: cursors, entries, gaps, names, heartbeats", () => {
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

Deno.test("Log.load() keeps to its own limits", () => {
  const log = new Log({ epoch: "e" });
  for (let n = 0; n < 10; n++) log.append(append("a", String(n)));
  const smaller = new Log({ maxEntries: 4 });
  smaller.load(log.save());
  assert.deepEqual([smaller.size, smaller.cursor], [4, "e.10"]);
  assert.equal(smaller.after(5), "gap");
  assert.equal(htmlOf(smaller.after(6)).length, 4);
});

Deno.test("Log.append() keeps the names it was given, whatever becomes of the list", () => {
  const log = new Log({ maxEntries: 1 });
  const to = ["ann"];
  log.append(append("a", "1"), { to });
  to[0] = "bob";
  assert.deepEqual(htmlOf(log.after(0, new Set(["ann"]))), [append("a", "1")]);
  log.append(append("a", "2"), { to });
  assert.equal(log.after(0, new Set(["ann"])), "gap");
  assert.deepEqual(htmlOf(log.after(0, new Set(["bob"]))), [append("a", "2")]);
});

Deno.test("Log lets go of what is gone: an entry that somebody holds does not hold the later ones", () => {
  const log = new Log({ maxEntries: 2 });
  log.append(append("a", "1"));
  const [held] = (log.after(0) as Batch).entries;
  for (let n = 2; n < 6; n++) log.append(append("a", String(n)));
  const reachable = Object.values(held!).filter((value) =>
    typeof value === "object" && value !== null
  );
  assert.deepEqual(reachable, [[]], "its own list of keys");
});

Deno.test("Log refuses a name that is none", () => {
  for (const epoch of ["", "a.b", "a b", "a".repeat(33)]) {
    assert.throws(() => new Log({ epoch }), /RangeError|1 to 32 letters/);
  }
});

Deno.test("Log.cursor is of the documented form, and each life of a log has its own", () => {
  const [one, two] = [new Log(), new Log()];
  for (const cursor of [one.cursor, one.beat()]) assert.match(cursor, /^[A-Za-z0-9._-]{1,64}$/);
  assert.notEqual(one.cursor, two.cursor);
  assert.notEqual(one.beat(), one.beat());
});

// A page as the log sees it: boxes with an outside and an inside, and a list.
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

Deno.test("Log.after() leads a reader at any cursor to where a live one is", () => {
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
