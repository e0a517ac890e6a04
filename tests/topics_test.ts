/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { Hono } from "hono";
import { append, html, Turbo } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { connected, serve, until, WITH_BROWSER } from "./kit.ts";

/** A page with a list for everyone and one for a room, and the requests to its server. */
function room() {
  const sockets = new Set<WebSocket>();
  const turbo = new Turbo({
    secret: "a secret of this test",
    upgrade(request, options) {
      const upgraded = Deno.upgradeWebSocket(request, options);
      sockets.add(upgraded.socket);
      return upgraded;
    },
  });
  const hono = new Hono();
  const items: number[] = [];
  const asked: { isWebSocket: boolean; hasToken: boolean }[] = [];
  let refusesWebSockets = false;
  hono.get("/turbo-stream", (c) => {
    const isWebSocket = c.req.header("Upgrade") !== undefined;
    asked.push({ isWebSocket, hasToken: c.req.query("token") !== undefined });
    if (refusesWebSockets && isWebSocket) return c.body(null, 502);
    return turbo.connect(c.req.raw);
  });
  hono.get("/assets/*", (c) => turbo.asset(c.req.raw) ?? c.notFound());
  hono.get("/", (c) => {
    const head = turbo.head({ cursor: turbo.cursor, topics: ["room"] });
    const list = items.map((n) => html`<li>${n}</li>`);
    return c.html(html`
      <!DOCTYPE html>
      <html>
        <head><title>Room</title><link rel="icon" href="data:,">${head}</head>
        <body>
          <ol id="list">${list}</ol>
        </body>
      </html>
    `);
  });
  return {
    turbo,
    hono,
    asked,
    items,
    refuseWebSockets: () => refusesWebSockets = true,
    cut() {
      for (const socket of sockets) socket.close();
      sockets.clear();
    },
    add() {
      items.push(items.length + 1);
      const stream = append("list", html`<li>${items.length}</li>`);
      turbo.push(stream, items.length % 2 === 0 ? {} : { topic: "room" });
    },
  };
}

for (const transport of ["WebSocket", "server-sent events"]) {
  Deno.test(
    `client.js shows its token over ${transport}, in no WebSocket's URL, and misses nothing`,
    WITH_BROWSER,
    async () => {
      const { turbo, hono, asked, items, add, cut, refuseWebSockets } = room();
      const isWebSocket = transport === "WebSocket";
      if (!isWebSocket) refuseWebSockets();
      await using server = serve(hono.fetch);
      await using browser = await startBrowser();
      const { page, errors } = await browser.open(server.url);
      await page.waitForSelector(OPEN_PAGE);
      // Pushes are made all the time, so that some fall between handshake, first message and marker.
      const timer = setInterval(add, 5);
      try {
        for (let cuts = 0; cuts < (isWebSocket ? 4 : 0); cuts++) {
          await connected(turbo, { topic: "room" });
          const before = items.length;
          await until(() => items.length > before + 20, "there were pushes");
          cut();
          await until(() => turbo.listeners({ topic: "room" }) === 0, "the connection has ended");
        }
        await connected(turbo, { topic: "room" });
      } finally {
        clearInterval(timer);
      }
      await page.waitForFunction(
        (count) => document.querySelectorAll("#list li").length >= count,
        items.length,
      );
      const shown = await page.evaluate(() =>
        [...document.querySelectorAll("#list li")].map((item) => Number(item.textContent))
      );
      assert.deepEqual(shown, items);
      for (const { isWebSocket, hasToken } of asked) assert.equal(hasToken, !isWebSocket);
      assert(asked.some((one) => one.isWebSocket === isWebSocket));
      if (isWebSocket) assert.deepEqual(errors, []);
    },
  );
}
