import assert from "node:assert/strict";
import { inOrder, isLate, type LoadRow, MAX_DAY, MAX_HOUR, MAX_NAME, rowOf } from "./load_row.ts";

const ROW: LoadRow = {
  name: "web1",
  averages: [0.5, 0.4, 0.3],
  simulated: false,
  at: 1_000,
  age: 20,
  failure: undefined,
  highSince: 900,
  hour: [0.4, null, 0.5],
  day: [2, null],
  interval: 5_000,
  cpus: 8,
  system: "Debian 13",
  memory: 16e9,
  bootedAt: 500,
};

/** What a row is without any of its other parts. */
const BARE: LoadRow = {
  name: "web1",
  averages: [0.5, 0.4, 0.3],
  simulated: false,
  at: 0,
  age: 0,
  failure: undefined,
  highSince: undefined,
  hour: [],
  day: [],
  interval: 5_000,
  cpus: undefined,
  system: undefined,
  memory: undefined,
  bootedAt: undefined,
};

Deno.test("rowOf() accepts what a machine shares, as JSON", () => {
  assert.deepEqual(rowOf(JSON.parse(JSON.stringify(ROW))), ROW);
  const unread = { ...ROW, averages: undefined, failure: "broken", hour: [null], day: [null] };
  assert.deepEqual(rowOf(JSON.parse(JSON.stringify(unread))), unread);
  assert.deepEqual(rowOf({ ...ROW, averages: null }), { ...ROW, averages: undefined });
});

Deno.test("rowOf() rejects everything else", () => {
  for (
    const value of [
      undefined,
      null,
      "web1",
      7,
      [],
      {},
      { averages: [1, 2, 3] },
      ...[undefined, null, 7, "", " ", "a\nb", "\0", "\u200b", "\u202ebew"].map((name) => ({
        ...ROW,
        name,
      })),
      ...[
        7,
        "1 2 3",
        [],
        [1, 2],
        [1, 2, 3, 4],
        [1, 2, "3"],
        [1, 2, null],
        [1, 2, -1],
        [1, 2, NaN],
        [1, 2, 1e9],
        { length: 3 },
      ].map((averages) => ({ ...ROW, averages })),
    ]
  ) assert.equal(rowOf(value), undefined, JSON.stringify(value));
});

Deno.test("rowOf() lets a text of another machine neither break a line nor turn its direction", () => {
  const { failure, system } = rowOf({ ...ROW, failure: "a\n\u202eb", system: "c\0\u2067d" })!;
  assert.deepEqual([failure, system], ["a  b", "c  d"]);
});

Deno.test("rowOf() accepts a row with other missing or wrong parts", () => {
  const { name, averages } = ROW;
  assert.deepEqual(rowOf({ name, averages }), BARE);
  const wrong = [undefined, null, "x", -1, NaN, Infinity, {}, [-1], ["x"]];
  for (const part of Object.keys(ROW)) {
    if (part === "name" || part === "averages") continue;
    for (const value of wrong) {
      const isText = part === "failure" || part === "system";
      if (isText && typeof value === "string") continue;
      assert.deepEqual(rowOf({ name, averages, [part]: value }), BARE, `${part}: ${value}`);
    }
  }
  assert.deepEqual(rowOf({ name, averages, cpus: 1.5, later: "version" }), BARE);
  for (const at of [8.7e15, 1e300]) { // new Date() of it is invalid, and toISOString() would throw
    assert.deepEqual(rowOf({ name, averages, at, highSince: at, bootedAt: at }), BARE, `${at}`);
  }
});

Deno.test("rowOf() bounds what is shown", () => {
  const row = rowOf({
    ...ROW,
    name: "😀".repeat(MAX_NAME),
    failure: "x".repeat(1e6),
    system: "x".repeat(1e6),
    hour: Array(1e5).fill(1),
    day: [...Array(1e5).fill(1), 2],
  })!;
  assert.equal(row.name.length, MAX_NAME);
  assert.deepEqual([row.failure?.length, row.system?.length], [200, 200]);
  assert.deepEqual([row.hour.length, row.day.length, row.day.at(-1)], [MAX_HOUR, MAX_DAY, 2]);
  const cut = rowOf({
    ...ROW,
    name: "x" + "😀".repeat(MAX_NAME),
    failure: "x" + "😀".repeat(500),
  })!;
  assert(cut.name.isWellFormed() && cut.failure?.isWellFormed());
});

Deno.test("isLate() is true for a machine that has missed two intervals", () => {
  const late = (age: number) => isLate({ ...ROW, age });
  assert.deepEqual([0, 5_200, 10_000, 11_000, 1e9].map(late), [false, false, false, true, true]);
});

Deno.test("inOrder() sorts by name, with numbers by value, whatever the nodes' keys are", () => {
  const sorted = (...names: string[]) => {
    const rows = names.map((name, index) => [`${9 - index}`, { ...ROW, name }] as const);
    return inOrder(rows).map(({ name }) => name);
  };
  assert.deepEqual(sorted("web10", "web2", "db", "Web2"), ["db", "web2", "Web2", "web10"]);
  assert.deepEqual(sorted("Web2", "db", "web10", "web2"), ["db", "web2", "Web2", "web10"]);
});

Deno.test("inOrder() numbers all but the first of one name, in the order of their nodes", () => {
  const rows = [3, 1, 2].map((cpus) => [`node${cpus}`, { ...ROW, cpus }] as const);
  assert.deepEqual(
    inOrder([...rows, ["a", { ...ROW, name: "web2" }]]).map(({ name, cpus }) => [name, cpus]),
    [["web1", 1], ["web1 (2)", 2], ["web1 (3)", 3], ["web2", 8]],
  );
});
