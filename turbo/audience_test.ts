import assert from "node:assert/strict";
import { audienceOf, nameOf, type PushOptions, type Whom, whomOf } from "./audience.ts";

Deno.test("audienceOf() keeps readers and topics apart, and means everyone only without both", () => {
  const audiences: readonly [PushOptions, readonly string[] | undefined][] = [
    [{}, undefined],
    [{ to: "ann" }, ["@ann"]],
    [{ to: "room:1" }, ["@room:1"]],
    [{ topic: "room:1" }, ["#room:1"]],
    [{ to: ["ann", "bob"], topic: "a" }, ["@ann", "@bob", "#a"]],
    [{ to: [] }, []],
    [{ topic: [] }, []],
  ];
  for (const [options, to] of audiences) assert.deepEqual(audienceOf(options).to, to);
  for (const options of [{}, { to: "ann" }, { topic: "a" }]) {
    assert.equal(audienceOf({ ...options, except: "page-1" }).except, "page-1");
  }
});

Deno.test("whomOf() is the inverse of nameOf()", () => {
  const all: Whom[] = ["ann", "#ann", { topic: "ann" }, { topic: "@ann" }];
  for (const whom of all) assert.deepEqual(whomOf(nameOf("test", whom)), whom);
  assert.equal(new Set(all.map((whom) => nameOf("test", whom))).size, all.length);
});
