import assert from "node:assert/strict";
import { Nodes, type SharedChange } from "./nodes.ts";

/** Nodes, their clock, and the changes that were reported. */
function start() {
  const changes: SharedChange[] = [];
  const clock = { now: 1_000 };
  const nodes: Nodes = new Nodes((change) => {
    assert.equal(nodes.shared.has(change.node), change.kind !== "left", "it is changed already");
    changes.push(change);
  }, () => clock.now);
  const say = (node: string, statement: object, isOwn = false) =>
    nodes.hear({ node, text: "", isOwn }, statement);
  return { nodes, changes, clock, say };
}

Deno.test("Nodes.shared has the last value of each node, and how long ago it was received", () => {
  const { nodes, clock, say } = start();
  assert.deepEqual([...nodes.shared], []);
  say("a", { share: 1 });
  clock.now += 500;
  say("b", { share: { name: "two" } }, true);
  clock.now += 10;
  assert.deepEqual([...nodes.shared], [
    ["a", { value: 1, age: 510, isOwn: false }],
    ["b", { value: { name: "two" }, age: 10, isOwn: true }],
  ]);
  say("a", { share: 2 });
  assert.deepEqual(nodes.shared.get("a"), { value: 2, age: 0, isOwn: false });
});

Deno.test("Nodes.shared is a copy of the moment", () => {
  const { nodes, say } = start();
  say("a", { share: 1 });
  const before = nodes.shared;
  say("b", { share: 2 });
  nodes.left("a", false);
  assert.deepEqual([...before.keys()], ["a"]);
});

Deno.test("Nodes.hear() reports new and changed nodes, and whether it is this one", () => {
  const { changes, say } = start();
  say("a", { share: 1 });
  say("a", { share: 1 });
  say("b", { all: true, share: null }, true);
  assert.deepEqual(changes, [
    { node: "a", isOwn: false, kind: "joined" },
    { node: "a", isOwn: false, kind: "changed" },
    { node: "b", isOwn: true, kind: "joined" },
  ]);
});

Deno.test("Nodes.hear() accepts null as a value, and ignores a statement without one", () => {
  const { nodes, changes, say } = start();
  say("a", { share: null });
  assert.equal(nodes.shared.get("a")?.value, null);
  for (const statement of [{}, { all: true }, { later: "version" }]) say("a", statement);
  say("b", {});
  assert.deepEqual([[...nodes.shared.keys()], changes.length], [["a"], 1]);
});

Deno.test("Nodes.left() reports a node once, and not one that has shared nothing", () => {
  const { nodes, changes, say } = start();
  say("a", { share: 1 });
  changes.length = 0;
  nodes.left("b", true);
  nodes.left("a", true);
  nodes.left("a", false);
  assert.deepEqual(changes, [{ node: "a", isOwn: true, kind: "left" }]);
  assert.deepEqual([...nodes.shared], []);
  say("a", { share: 2 });
  assert.equal(changes.at(-1)?.kind, "joined", "it may come back");
});
