import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import {
  type Content,
  entryOf,
  epochName,
  fieldsOf,
  idOf,
  MAX_POSITION,
  placeOf,
  type StreamEntry,
} from "./stream_entry.ts";

const RUNS = { numRuns: 500, seed: 20_260_101 };

const PLAIN = { noNullPrototype: true } as const;
const text = fc.string({ unit: "grapheme", maxLength: 30 });
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });
const content: fc.Arbitrary<Content> = fc.oneof(
  fc.record({
    kind: fc.constant("streams" as const),
    html: text,
    to: maybe(fc.array(text, { maxLength: 3 })),
    except: maybe(text),
  }, PLAIN),
  fc.record({ kind: fc.constant("disconnect" as const), name: text }, PLAIN),
  fc.record({ kind: fc.constant("revoke" as const), name: text }, PLAIN),
  fc.record({ kind: fc.constant("say" as const), text, asks: fc.boolean() }, PLAIN),
  fc.record({ kind: fc.constant("left" as const), node: text }, PLAIN),
);
const entry: fc.Arbitrary<StreamEntry> = fc.record({
  epoch: fc.nat(Number.MAX_SAFE_INTEGER),
  position: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  node: text,
  n: fc.nat(999_999_999_999_999),
  attempt: fc.nat(999_999_999_999_999),
  interval: maybe(fc.integer({ min: 1, max: 3_600_000 })),
  content,
}, PLAIN);

/** An entry with these fields, in the middle of a stream. */
const read = (...fields: string[]) => entryOf("7-1", ["b", "x", "n", "1", ...fields]);

Deno.test("entryOf() is the inverse of fieldsOf()", () => {
  fc.assert(
    fc.property(entry, (entry) => assert.deepEqual(entryOf(idOf(entry), fieldsOf(entry)), entry)),
    RUNS,
  );
});

Deno.test("entryOf() never reads a malformed audience as everyone", () => {
  const odd = fc.oneof(
    fc.string(),
    fc.json(),
    fc.constantFrom("", "null", "[]", "[null]", '["a"]', "[[1],null]", "[null,1]", '["a",null]'),
    fc.constantFrom("{}", "1", '"a"', '[["a",null],null]', "[[[]],null]", "[null,null"),
  );
  fc.assert(
    fc.property(odd, (t) => {
      const { content } = read("h", "<b>1</b>", "t", t)!;
      if (content.kind === "unknown") return;
      assert.equal(content.kind, "streams");
      const [to, except] = JSON.parse(t); // the audience was well-formed, ...
      assert.deepEqual([content.to ?? null, content.except ?? null], [to, except]); // ... and is read as it was
    }),
    RUNS,
  );
});

Deno.test("entryOf() accepts any fields, and marks unknown content", () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 9 }), (fields) => {
      const entry = entryOf("7-1", fields)!;
      assert.deepEqual([entry.epoch, entry.position], [7, 1]);
      assert(Number.isSafeInteger(entry.n), `${entry.n}`);
    }),
    RUNS,
  );
  assert.deepEqual(read("z", "of a later version")!.content, { kind: "unknown" });
  assert.deepEqual(read()!.content, { kind: "unknown" });
  assert.deepEqual(read("i", "5000")!.content, { kind: "beat" });
  assert.deepEqual(entryOf("7-1", [])!.node, "");
  assert.deepEqual([entryOf("7-1", ["n", "-1"])!.n, entryOf("7-1", ["n", "1e3"])!.n], [0, 0]);
});

Deno.test("entryOf() reads an entry at position 0 as a birth, whatever it contains", () => {
  assert.deepEqual(entryOf("7-0", ["b", "x"])!.content, { kind: "birth" });
  assert.deepEqual(entryOf("7-0", ["b", "x", "h", "<b>1</b>"])!.content, { kind: "birth" });
});

Deno.test("placeOf() parses the ids that idOf() makes, and no others", () => {
  const number = fc.nat(Number.MAX_SAFE_INTEGER);
  fc.assert(
    fc.property(number, number, (epoch, position) => {
      assert.deepEqual(placeOf(idOf({ epoch, position })), { epoch, position });
    }),
    RUNS,
  );
  const others = ["", "-", "1", "1-", "-1", "1-*", "a-1", "1-1-1", " 1-1", "1.5-1", "1e3-1"];
  for (
    const id of [...others, "9007199254740992-1", "18446744073709551615-1"]
  ) {
    assert.equal(placeOf(id), undefined, id);
  }
});

Deno.test("placeOf() rounds a position above 2^53", () => {
  assert(placeOf("1-18446744073709551615")!.position > MAX_POSITION);
});

for (const interval of ["0", "3600001", "999999999999999", "1e3", "-1"]) {
  Deno.test(`entryOf() ignores an interval of ${interval}`, () => {
    const entry = entryOf("7-3", ["b", "a", "i", interval]);
    assert.deepEqual([entry?.interval, entry?.content], [undefined, { kind: "beat" }]);
  });
}

Deno.test("epochName() gives each epoch a name of its own that a log can have", () => {
  assert.equal(epochName(0), "r0");
  assert.match(epochName(Number.MAX_SAFE_INTEGER), /^[\w-]{1,32}$/);
  assert.notEqual(epochName(36), epochName(1));
});
