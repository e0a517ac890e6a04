import assert from "node:assert/strict";
import { inOrder, isLate, MAX_HISTORY, MAX_NAME, reportOf, type Row, rowOf } from "./rows.ts";

const ROW: Row = {
  name: "web1",
  averages: [0.5, 0.4, 0.3],
  simulated: false,
  at: 1_000,
  age: 20,
  failure: undefined,
  history: [0.4, null, 0.5],
  interval: 5_000,
  cpus: 8,
};

Deno.test("rowOf() takes what a node shares, as it comes by JSON", () => {
  assert.deepEqual(rowOf(JSON.parse(JSON.stringify(ROW))), ROW);
  const unread = { ...ROW, averages: undefined, failure: "broken", history: [null] };
  assert.deepEqual(rowOf(JSON.parse(JSON.stringify(unread))), unread);
});

Deno.test("rowOf() takes nothing else for a row", () => {
  for (
    const value of [
      undefined,
      null,
      "web1",
      7,
      [],
      {},
      { averages: [1, 2, 3] },
      ...[undefined, null, 7, "", " ", "a\nb", "\0"].map((name) => ({ ...ROW, name })),
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

Deno.test("rowOf() takes a row of which another part is missing or wrong", () => {
  const { name, averages } = ROW;
  const bare = {
    name,
    averages,
    simulated: false,
    at: 0,
    age: 0,
    failure: undefined,
    history: [],
    interval: 5_000,
    cpus: undefined,
  };
  assert.deepEqual(rowOf({ name, averages }), bare);
  const wrong = [undefined, null, "x", -1, NaN, Infinity, {}, [-1], ["x"]];
  for (
    const part of ["simulated", "at", "age", "failure", "history", "interval", "cpus"] as const
  ) {
    for (const value of wrong) {
      if (part === "failure" && typeof value === "string") continue;
      assert.deepEqual(rowOf({ name, averages, [part]: value }), bare, `${part}: ${value}`);
    }
  }
  assert.deepEqual(rowOf({ name, averages, cpus: 1.5, later: "version" }), bare);
});

Deno.test("rowOf() bounds what is shown", () => {
  const row = rowOf({
    ...ROW,
    name: "😀".repeat(MAX_NAME),
    failure: "x".repeat(1e6),
    history: Array(1e5).fill(1),
  })!;
  assert.deepEqual([row.name.length, row.failure?.length], [MAX_NAME, 200]);
  assert.equal(row.history.length, MAX_HISTORY);
  assert(rowOf({ ...ROW, name: "x" + "😀".repeat(MAX_NAME) })!.name.isWellFormed());
});

Deno.test("inOrder() sorts by name, numbers by their size, whatever the nodes are called", () => {
  const named = (...names: string[]) =>
    inOrder(names.map((name, index) => [`${9 - index}`, { ...ROW, name }] as const))
      .map(({ name }) => name);
  assert.deepEqual(named("web10", "web2", "db", "Web2"), ["db", "web2", "Web2", "web10"]);
  assert.deepEqual(named("Web2", "db", "web10", "web2"), ["db", "web2", "Web2", "web10"]);
});

Deno.test("inOrder() shows all of one name, in the order of their nodes", () => {
  const rows = [3, 1, 2].map((cpus) => [`node${cpus}`, { ...ROW, cpus }] as const);
  assert.deepEqual(
    inOrder([...rows, ["a", { ...ROW, name: "web2" }]]).map(({ name, cpus }) => [name, cpus]),
    [["web1", 1], ["web1 (2)", 2], ["web1 (3)", 3], ["web2", 8]],
  );
});

Deno.test("isLate() is said of a machine that has missed two intervals", () => {
  const late = (age: number) => isLate({ ...ROW, age });
  assert.deepEqual([0, 5_200, 10_000, 11_000, 1e9].map(late), [false, false, false, true, true]);
});

Deno.test("reportOf() is what a machine alone is shown by", () => {
  const { latest, history, failure, age } = reportOf({ ...ROW, failure: "broken" });
  assert.deepEqual([latest?.averages, latest?.at, failure, age], [
    [0.5, 0.4, 0.3],
    1_000,
    "broken",
    20,
  ]);
  assert.deepEqual(
    history.map(({ averages: [one], monotonicAt }) => [one, monotonicAt]),
    [[0.4, 0], [0.5, 10_000]],
  );
  assert.equal(reportOf({ ...ROW, averages: undefined }).latest, undefined);
});
