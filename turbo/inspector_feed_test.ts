import assert from "node:assert/strict";
import { html, type Markup } from "./html.ts";
import { changesOf } from "./inspector_feed.ts";
import type { View } from "./inspector_views.ts";
import { targetsOf } from "./subject.ts";

const row = (id: string, text = "") => html`<li id="${id}">${text}</li>`;

function view(part: string, ...rows: [string, Markup][]): View {
  return { parts: new Map([["part", html`<p id="part">${part}</p>`]]), rows: new Map(rows) };
}

/** Each stream as its action and target. */
function changes(before: View, after: View): string[] {
  return changesOf(before, after).map((stream) => {
    const [, action] = /action="([a-z]+)"/.exec(String(stream))!;
    return `${action} ${[...targetsOf(String(stream))!]}`;
  });
}

Deno.test("changesOf() changes only what differs, and puts new rows on top in their order", () => {
  const before = view("1", ["c", row("c")], ["b", row("b")], ["a", row("a")]);
  assert.deepEqual(changes(before, before), []);
  const after = view("2", ["e", row("e")], ["d", row("d")], ["c", row("c")], ["b", row("b", "2")]);
  assert.deepEqual(changes(before, after), [
    "replace part",
    "remove a",
    "prepend pushes",
    "prepend pushes",
    "replace b",
  ]);
  const prepended = changesOf(before, after).slice(2, 4).map((stream) =>
    /id="(.)"/.exec(String(stream))![1]
  );
  assert.deepEqual(prepended, ["d", "e"]);
});

Deno.test("changesOf() replaces the list where many rows have changed", () => {
  const rows = Array.from({ length: 61 }, (_, n): [string, Markup] => [`r${n}`, row(`r${n}`)]);
  assert.deepEqual(changes(view("1"), view("1", ...rows)), ["replace pushes"]);
});
