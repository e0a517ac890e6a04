/** @jsxImportSource hono/jsx */
// An app in Hono JSX that uses each builder. The check of its types is a part of the test.
import { action, after, append, before, prepend, refresh, remove } from "@turbo-deno/turbo";
import { replace, type Stream, streamResponse, Turbo, update } from "@turbo-deno/turbo";
import { assertStream, capture } from "@turbo-deno/turbo/testing";
import { Hono } from "hono";
import type { FC, PropsWithChildren } from "hono/jsx";
import assert from "node:assert/strict";

interface Item {
  id: number;
  text: string;
}

const Line: FC<{ item: Item }> = ({ item }) => <li id={`item-${item.id}`}>{item.text}</li>;
const List: FC<{ items: readonly Item[] }> = ({ items }) => (
  <ul id="items">{items.map((item) => <Line key={item.id} item={item} />)}</ul>
);
const Slow = async ({ item }: { item: Item }) => {
  await Promise.resolve();
  return <Line item={item} />;
};

function start() {
  const items: Item[] = [{ id: 1, text: "<milk>" }];
  const turbo = new Turbo();
  const Page: FC<PropsWithChildren<{ head: unknown }>> = ({ head, children }) => (
    <html>
      <head>
        <title>Items</title>
        {head}
      </head>
      <body>{children}</body>
    </html>
  );
  const hono = new Hono();
  hono.use(turbo.middleware());
  hono.get("/", (c) =>
    c.html(
      <Page head={turbo.head(c)}>
        <List items={items} />
        {remove("hint")}
      </Page>,
    ));
  hono.post("/items", (c) => {
    const item = { id: items.length + 1, text: "bread" };
    items.push(item);
    turbo.push(append("items", <Line item={item} />));
    return streamResponse(c, replace("items", <List items={items} />), { cursor: turbo.cursor });
  });
  return { hono, turbo };
}

Deno.test("Each builder accepts JSX, in types and at run time", () => {
  const line = <Line item={{ id: 1, text: "<" }} />;
  const expected = '<li id="item-1">&lt;</li>';
  const streams: Stream[] = [
    append("a", line),
    prepend("a", line),
    before("a", line),
    after("a", line),
    replace("a", line, { morph: true }),
    update("a", <>{line}</>),
    update({ all: ".a" }, [line]),
    action("x", { content: line }),
  ];
  for (const stream of streams) {
    assert(`${stream}`.includes(`<template>${expected}</template>`), `${stream}`);
  }
  assert.match(`${update("a", [line, 1, "<"])}`, /<\/li>1&lt;<\/template>/);
  assert.match(`${refresh()}${remove("a")}`, /^<turbo-stream action="refresh">/);
});

Deno.test("A page in JSX has the head, escapes text, and contains a stream as markup", async () => {
  const { hono, turbo } = start();
  const page = await (await hono.request("/")).text();
  assert(page.includes(`<meta name="turbo-cursor" content="${turbo.cursor}"`));
  assert(page.includes('<ul id="items"><li id="item-1">&lt;milk&gt;</li></ul>'));
  assert(page.includes('<turbo-stream action="remove" target="hint"></turbo-stream>'));
});

Deno.test("A form in JSX is answered by streams", async () => {
  const { hono, turbo } = start();
  const post = () => hono.request("/items", { method: "POST" });
  let body = "";
  const pushed = await capture(turbo, async () => body = await (await post()).text());
  assertStream(pushed, { action: "append", target: "items", content: "bread" });
  assertStream(body, { action: "replace", target: "items", content: "bread" });
});

Deno.test("An async component throws, and the message names the remedy", () => {
  const message =
    "Cannot build a stream from a promise: await its data first, and make its components " +
    "without async";
  const item = { id: 1, text: "a" };
  assert.throws(() => append("a", <Slow item={item} />), { name: "TypeError", message });
  assert.throws(() => append("a", ["b", <Slow key="c" item={item} />]), { message });
  assert.throws(() =>
    append(
      "a",
      <ul>
        <Slow item={item} />
      </ul>,
    ), { message });
});
