import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { Watermarks } from "./watermarks.ts";

Deno.test("Watermarks.isAbove() is separate for each name, and stays true", () => {
  const marks = new Watermarks(10);
  marks.raise("a", 5);
  marks.raise("b", 9);
  marks.raise("a", 3);
  const above = (position: number, ...names: string[]) => marks.isAbove(position, names);
  assert.deepEqual([above(4, "a"), above(5, "a"), above(5, "a", "b"), above(9, "a", "b")], [
    true,
    false,
    true,
    false,
  ]);
  assert.deepEqual([above(0), above(0, "c")], [false, false]);
});

Deno.test("Watermarks.reset() raises all names, even unknown ones", () => {
  const marks = new Watermarks(10);
  marks.raise("a", 50);
  marks.reset(7);
  for (const name of ["a", "b"]) {
    assert.deepEqual([6, 7].map((position) => marks.isAbove(position, [name])), [true, false]);
  }
  assert.equal(marks.isAbove(6, []), false);
});

Deno.test("Watermarks.raise() does not lower a name that was forgotten", () => {
  const marks = new Watermarks(1);
  marks.raise("a", 50);
  marks.raise("b", 60);
  marks.raise("a", 40);
  assert(marks.isAbove(49, ["a"]));
});

Deno.test("Watermarks limit the bytes of names, however long one is", () => {
  const marks = new Watermarks(4);
  for (let n = 1; n <= 10; n++) marks.raise("é".repeat(200) + n, n);
  assert.equal(marks.save().names.length, 2);
  marks.raise("x".repeat(100_000), 11);
  assert.deepEqual(marks.save(), { floor: 11, names: [] });
  for (let n = 1; n <= 4; n++) marks.raise(`n${n}`, 11 + n);
  assert.equal(marks.save().names.length, 4, "what was forgotten takes no room");
});

Deno.test("Watermarks.raise() of the same name uses no more bytes, and reset() frees all", () => {
  const marks = new Watermarks(2);
  const [a, b] = ["a".repeat(200), "b".repeat(200)];
  marks.raise(b, 1);
  for (let n = 2; n < 9; n++) marks.raise(a, n);
  assert.deepEqual(marks.save(), { floor: 0, names: [[b, 1], [a, 8]] });
  marks.reset(9);
  for (const name of [a, b]) marks.raise(name, 10);
  assert.deepEqual(marks.save(), { floor: 9, names: [[a, 10], [b, 10]] });
});

Deno.test("Watermarks are never too low, are exact while all names are remembered, and are bounded", () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 9, arbitrary: fc.tuple(fc.constantFrom(..."abcdef"), fc.nat(50)) },
      { weight: 1, arbitrary: fc.constantFrom("save" as const, "reset" as const) },
    ),
    { maxLength: 40, size: "max" },
  );
  let forgotten = 0;
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 6 }), (steps, maxNames) => {
      let marks = new Watermarks(maxNames);
      const exact = new Map<string, number>();
      let base = 0;
      for (const step of steps) {
        if (step === "save") {
          const next = new Watermarks(maxNames);
          next.load(JSON.parse(JSON.stringify(marks.save())));
          marks = next;
        } else if (step === "reset") {
          marks.reset(base = 25);
          exact.clear();
        } else {
          const [name, position] = step;
          exact.set(name, Math.max(position, exact.get(name) ?? base));
          marks.raise(name, position);
        }
        assert(marks.save().names.length <= maxNames);
        for (const name of "abcdefg") {
          for (let position = 0; position <= 50; position += 5) {
            const isAbove = position < (exact.get(name) ?? base);
            const given = marks.isAbove(position, [name]);
            if (isAbove || exact.size <= maxNames) {
              assert.equal(given, isAbove, `${name} ${position}`);
            } else if (given) forgotten++;
          }
        }
      }
    }),
    { numRuns: 200 },
  );
  assert(forgotten > 100, `${forgotten}`);
});
