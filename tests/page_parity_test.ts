/// <reference lib="dom" />
// The page of turbo/testing.ts shows the same as a browser.
import { Hono } from "hono";
import assert from "node:assert/strict";
import {
  action,
  after,
  append,
  before,
  html,
  type Markup,
  prepend,
  raw,
  remove,
  replace,
  type Stream,
  Turbo,
  update,
} from "../turbo/mod.ts";
import { OPEN_PAGE, openPage } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { DEADLINE, serve, WITH_BROWSER } from "./kit.ts";

const AREAS = 150;
const STREAMS = 6;

/** Random numbers that are the same in each run. */
function numbers(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
}

const CONTENTS: ((area: number, id: number) => Markup)[] = [
  (area, id) => html`<li id="${area}-${id}">n<b>1</b></li>`,
  (area, id) =>
    html`
      <li id="${area}-${id}">
        <ul id="${area}-9">
          <li>in</li>
        </ul>
      </li>
    `,
  (area, id) => html`text &amp; <li id="${area}-${id}" class="a"></li><!-- no -->`,
  (area) =>
    html`
      <table id="${area}-7">
        <tr>
          <td>1<td>2</table>
    `,
  () => raw("<p>a<p>b<div>c</div></p><textarea>\n\nx</textarea><pre>\n\ny</pre>"),
  (area) => html`<template id="${area}-8"><i id="${area}-1">t</i></template>`,
  (area) => html`${update(`${area}-1`, "from within")}<i>beside</i>`,
  () => raw("<svg viewBox='0 0 1 1'><path d='M0 0'/></svg><tr><td>row</td></tr>"),
  () => html``,
];

/** A random stream for an area; the ids of the area's elements have its number. */
function randomStream(area: number, number: (below: number) => number): Stream {
  const target = `${area}-${number(11)}`;
  const where = number(5) === 0 ? { all: `#area-${area} li:nth-child(odd)` } : target;
  const content = CONTENTS[number(CONTENTS.length)]!(area, number(6));
  const build = [append, prepend, before, after, replace, update][number(7)];
  if (build) return build(where, content);
  return number(2) === 0 ? remove(where) : action("unknown", { target, content });
}

Deno.test("openPage() shows the same as a browser for the same streams", WITH_BROWSER, async () => {
  const turbo = new Turbo({ onNotice() {} });
  const app = new Hono();
  app.use(turbo.middleware());
  const areas = Array.from(
    { length: AREAS },
    (_, area) =>
      html`<ul id="area-${area}">${
        [1, 2, 3].map((id) => html`<li id="${area}-${id}">${id}</li>`)
      }</ul>`,
  );
  app.get("/", (c) =>
    c.html(html`
      <!DOCTYPE html>
      <html>
        <head><title>Areas</title><link rel="icon" href="data:,">${turbo.head(c)}</head>
        <body>${areas}<p id="end"></p></body>
      </html>
    `));
  await using server = serve((request) => app.fetch(request));
  await using browser = await startBrowser();
  const { page } = await browser.open(server.url);
  await page.waitForSelector(OPEN_PAGE);
  await using test = await openPage(app, "/", { deadline: DEADLINE });

  const number = numbers(14);
  const pushed = areas.map((_, area) =>
    Array.from({ length: STREAMS }, () => randomStream(area, number))
  );
  // In one list, because that is one entry of the log; a separate `remove` may delete entries from the log.
  for (const streams of pushed) turbo.push(streams);
  turbo.push(update("end", "end"));
  await test.shows("end");
  await page.waitForSelector("#end:text-is('end')", { state: "attached" });

  let changed = 0;
  for (const [area, streams] of pushed.entries()) {
    const selector = `#area-${area}`;
    const shown = await page.evaluate(
      (selector) => document.querySelector(selector)!.outerHTML,
      selector,
    );
    assert.equal(test.html(selector), shown, streams.join("\n"));
    if (shown !== String(areas[area])) changed++;
  }
  assert.ok(changed > AREAS / 2, `${changed} were changed`);
  await turbo.close({ window: 0 });
});
