import assert from "node:assert/strict";
import { reasonOf, reporting } from "./report.ts";

Deno.test("reasonOf() describes whatever was thrown in one line", () => {
  const unshowable = { toString: () => assert.fail("no text") };
  const hidden = Object.defineProperty(new Error(), "message", { get: () => assert.fail("none") });
  const reasons = [new TypeError("a\nb"), "text", undefined, 42, unshowable, hidden]
    .map(reasonOf);
  const unknown = "something that cannot be shown";
  assert.deepEqual(reasons, ["a", "text", "undefined", "42", unknown, unknown]);
});

/** The ways in which a callback can fail. */
const FAULTS: Record<string, () => unknown> = {
  throws: () => {
    throw new Error("wrong");
  },
  "rejects at once": () => Promise.reject(new Error("wrong")),
  "rejects later": async () => {
    await Promise.resolve();
    throw new Error("wrong");
  },
  "gives back what rejects": () => ({
    then: (_: unknown, reject: (error: Error) => void) => reject(new Error("wrong")),
  }),
  "gives back what rejects twice": () => ({
    then(_: unknown, reject: (error: Error) => void) {
      for (const text of ["wrong", "again"]) reject(new Error(text));
    },
  }),
  "gives back what throws when it is looked at": () => ({
    get then() {
      throw new Error("wrong");
    },
  }),
};

for (const [fault, callback] of Object.entries(FAULTS)) {
  Deno.test(`reporting() reports once a callback that ${fault}`, async () => {
    const reported: string[] = [];
    assert.equal(reporting(callback, (error) => reported.push(reasonOf(error)))(), undefined);
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual(reported, ["wrong"]);
  });
}

Deno.test("reporting() passes on the arguments, and reports nothing when the callback succeeds", async () => {
  const given: unknown[] = [];
  const report = (error: unknown) => assert.fail(reasonOf(error));
  reporting((...args: number[]) => void given.push(args), report)(1, 2);
  reporting(() => Promise.resolve("done"), report)();
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(given, [[1, 2]]);
});
