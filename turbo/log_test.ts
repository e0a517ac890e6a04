import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { html } from "./html.ts";
import { type Entry, Log } from "./log.ts";
import { append, joinStreams, refresh, remove, replace, type Stream, update } from "./streams.ts";

const box = (id: string, n: number) => replace(id, html`<b id="${id}">${n}</b>`);
const htmlOf = (entries: Iterable<Entry> | "gap") =>
  entries === "gap" ? "gap" : [...entries].map((entry) => entry.html);

Deno.test("Log.since() gives what came after a position, oldest first", () => {
  const log = new Log();
  const streams = [append("a", "1"), append("a", "2"), append("a", "3")];
  const positions = streams.map((stream) => log.append(stream).position);
  assert.deepEqual(htmlOf(log.since(0)), streams);
  assert.deepEqual(htmlOf(log.since(positions[1]!)), streams.slice(2));
  assert.deepEqual(htmlOf(log.since(positions[2]!)), []);
});

Deno.test("Log.append() lets a replace take the place of earlier ones and of updates", () => {
  const log = new Log();
  log.append(box("a", 1));
  log.append(update("a", "x"));
  log.append(box("b", 1));
  log.append(box("a", 2));
  assert.deepEqual(htmlOf(log.since(0)), [box("b", 1), box("a", 2)]);
  assert.equal(log.size, 2);
});

Deno.test("Log.append() lets an update take the place of an update, not of a replace", () => {
  const log = new Log();
  log.append(box("a", 1));
  log.append(update("a", "x"));
  log.append(update("a", "y"));
  assert.deepEqual(htmlOf(log.since(0)), [box("a", 1), update("a", "y")]);
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
  log.append(box("a", 4), { to: [] });
  log.append(box("a", 5), { except: "p" });
  assert.equal(log.size, 5);
  log.append(box("a", 6), { to: ["x"] });
  assert.equal(log.size, 5);
});

Deno.test("Log.since() is a gap where entries are gone for the bounds", () => {
  const log = new Log({ maxEntries: 2 });
  for (const n of [1, 2, 3]) log.append(append("a", String(n)));
  assert.equal(log.since(0), "gap");
  assert.notEqual(log.since(1), "gap");
  const small = new Log({ maxBytes: 100 });
  small.append(append("a", "é".repeat(30)));
  assert.equal(small.since(0), "gap"); // 60 bytes and the element
  assert.equal(small.bytes, 0);
});

Deno.test("Log.positionOf() knows only its own past", () => {
  const log = new Log({ epoch: "e" });
  log.append(append("a", "1"));
  assert.equal(log.positionOf("e.0"), 0);
  assert.equal(log.positionOf(log.cursor), 1);
  assert.equal(log.positionOf(log.beat()), 1);
  for (const cursor of ["e.2", "f.1", "e", "e.", ".1", "", "e.1.1.1", "e.-1", "e.1x", "e. 1"]) {
    assert.equal(log.positionOf(cursor), undefined, cursor);
  }
  assert.equal(log.positionOf("e." + "1".repeat(1_000_000)), undefined);
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

Deno.test("Log.since() leads a reader at any cursor to where a live one is", () => {
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
          const replay = log.since(position);
          if (replay === "gap") {
            assert(naive.length - position > maxEntries, "a gap without need");
            gaps++;
            continue;
          }
          const state: State = { outer: {}, inner: {}, list: [] };
          for (const { html } of naive.slice(0, position).filter(reads)) apply(state, html);
          const live = structuredClone(state);
          for (const { html } of naive.slice(position).filter(reads)) apply(live, html);
          for (const entry of [...replay].filter(reads)) apply(state, entry.html);
          assert.deepEqual(state, live);
          replays++;
        }
      }
    }),
    { numRuns: 200, seed: 7 },
  );
  assert(replays > 10_000 && gaps > 1_000, `${replays} replays, ${gaps} gaps`);
});
