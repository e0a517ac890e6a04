import assert from "node:assert/strict";
import { isAlike, nearest } from "./client_hints.js";

const NEAREST: readonly [id: string, ids: readonly string[], expected: string | undefined][] = [
  ["bxo", ["load", "box"], "box"], // two exchanged are one
  ["boxx", ["box"], "box"],
  ["bo", ["box"], "box"],
  ["lod", ["load", "lid"], "load"], // of two that are as near, the first
  ["mesages", ["message", "messages"], "messages"],
  ["load-box", ["load_box", "loadBox"], "load_box"],
  ["BOX", ["box"], "box"],
  ["messages", ["message_list", "end"], undefined],
  ["b", ["a"], undefined],
  ["box", [], undefined],
  ["box", [""], undefined],
  ["x".repeat(101), ["x".repeat(100)], undefined],
];

for (const [id, ids, expected] of NEAREST) {
  Deno.test(`nearest() of ${id} among ${JSON.stringify(ids)} is ${expected}`, () => {
    assert.equal(nearest(id, ids), expected);
  });
}

Deno.test("isAlike() holds for what differs by numbers or UUIDs alone", () => {
  const uuids = [crypto.randomUUID(), crypto.randomUUID()];
  assert(isAlike("todo_7", "todo_12"));
  assert(isAlike(`todo-${uuids[0]}`, `todo-${uuids[1]}`));
  assert(!isAlike("todo_7", "todo_7"));
  assert(!isAlike("todo_7", "tood_7"));
  assert(!isAlike("todo", "todo_7"));
  assert(!isAlike("box", "bxo"));
});
