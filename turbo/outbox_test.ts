import assert from "node:assert/strict";
import { Outbox } from "./outbox.ts";
import type { Content } from "./stream_entry.ts";
import { append, refresh, replace } from "../tests/stream_texts.ts";

type Streams = Content & { readonly kind: "streams" };

const box = (id: string, n = 1) => replace(id, `<b id="${id}">${n}</b>`);
const streams = (html: string, more: Partial<Streams> = {}): Streams => ({
  kind: "streams",
  html,
  ...more,
});
const render = () => "";

Deno.test("Outbox.settled is the push before the first one that was not read back", () => {
  const outbox = new Outbox();
  for (const n of [1, 2, 3]) outbox.add(streams(box("a", n)), undefined, 0);
  const settled = [outbox.settled];
  for (const n of [1, 3, 2]) {
    outbox.take(n);
    settled.push(outbox.settled);
  }
  assert.deepEqual(settled, [0, 1, 1, 3]);
  assert.deepEqual([outbox.size, outbox.bytes, outbox.take(2)], [0, 0, undefined]);
});

Deno.test("Outbox.takeUnsent() returns a refused push before later ones", () => {
  const outbox = new Outbox();
  const [one, two] = [1, 2].map((n) => outbox.add(streams(box("a", n)), undefined, 0));
  outbox.takeUnsent();
  const three = outbox.add(streams(box("a", 3)), undefined, 0);
  outbox.refuse(two!);
  outbox.refuse(one!);
  assert.deepEqual(outbox.takeUnsent(), [one, two, three]);
});

Deno.test("Outbox.takeUnsent() leaves out a refused push that was read back since", () => {
  const outbox = new Outbox();
  const one = outbox.add(streams(box("a")), undefined, 0);
  outbox.takeUnsent();
  outbox.refuse(one);
  outbox.take(1);
  assert.deepEqual(outbox.takeUnsent(), []);
});

Deno.test("Outbox.waitingSince does not count statements of nodes", () => {
  const outbox = new Outbox();
  outbox.add({ kind: "say", text: "", asks: false }, undefined, 1);
  assert.equal(outbox.waitingSince, undefined);
  outbox.add({ kind: "revoke", name: "a" }, undefined, 2);
  assert.equal(outbox.waitingSince, 2);
});

Deno.test("Outbox.takeAll() removes pushes of a kind, which are then not sent", () => {
  const outbox = new Outbox();
  outbox.add({ kind: "say", text: "", asks: false }, undefined, 0);
  const box1 = outbox.add(streams(box("a")), undefined, 0);
  assert.equal(outbox.takeAll(({ kind }) => kind === "say").length, 1);
  assert.deepEqual(outbox.takeUnsent(), [box1]);
});

for (
  const [what, own, foreign, isContested] of [
    ["the same element", streams(box("a")), streams(box("a", 2)), true],
    ["another element", streams(box("a")), streams(box("b")), false],
    ["one of several", streams(box("a") + box("b")), streams(box("b")), true],
    ["what may be for any", streams(box("a")), streams(append({ all: "p" }, "x")), true],
    ["one element, of one for any", streams(append({ all: "p" }, "x")), streams(box("a")), true],
    ["no element", streams(box("a")), streams(refresh()), false],
    ["other readers", streams(box("a"), { to: ["x"] }), streams(box("a"), { to: ["y"] }), false],
    [
      "some of its readers",
      streams(box("a"), { to: ["x", "y"] }),
      streams(box("a"), { to: ["y"] }),
      true,
    ],
    ["everyone", streams(box("a"), { to: ["x"] }), streams(box("a")), true],
  ] as const
) {
  Deno.test(`Outbox.contest() by a push for ${what}: ${isContested}`, () => {
    const outbox = new Outbox();
    const item = outbox.add(own, render, 0);
    outbox.contest(foreign);
    assert.equal(item.isContested, isContested);
  });
}

for (
  const [what, later, isCovered] of [
    ["the same element", streams(box("a", 2)), true],
    ["another element", streams(box("b")), false],
    ["more elements", streams(box("a") + box("b")), false],
    ["other readers", streams(box("a"), { to: ["x"] }), false],
    ["all but one page", streams(box("a"), { except: "p" }), false],
  ] as const
) {
  Deno.test(`Outbox.hasSuccessor() where a later push is for ${what}: ${isCovered}`, () => {
    const outbox = new Outbox();
    const item = outbox.add(streams(box("a")), render, 0);
    const other = outbox.add(later, render, 0);
    assert.deepEqual([outbox.hasSuccessor(item), outbox.hasSuccessor(other)], [isCovered, false]);
  });
}

Deno.test("Outbox.hasSuccessor() does not count a later push that is not a function", () => {
  const outbox = new Outbox();
  const item = outbox.add(streams(box("a")), render, 0);
  outbox.add(streams(box("a")), undefined, 0);
  assert(!outbox.hasSuccessor(item));
});

Deno.test("Outbox ignores pushes that were read back when it contests and covers", () => {
  const outbox = new Outbox();
  const [one, two] = [1, 2].map(() => outbox.add(streams(box("a")), render, 0));
  outbox.take(2);
  outbox.contest(streams(box("a")));
  assert.deepEqual([one!.isContested, two!.isContested], [true, false]);
  assert(!outbox.hasSuccessor(one!));
});

Deno.test("Outbox.hasSuccessor() holds after another push was read back", () => {
  const outbox = new Outbox();
  const [one, two] = [1, 2, 3].map(() => outbox.add(streams(box("a")), render, 0));
  outbox.take(1);
  assert.deepEqual([outbox.hasSuccessor(one!), outbox.hasSuccessor(two!)], [true, true]);
});
