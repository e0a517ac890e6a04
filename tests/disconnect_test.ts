/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { html, type Markup, Turbo, update } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { connect, connected, PROTOCOL, serve, sinceOf, until } from "./kit.ts";
import { WITH_BROWSER, within } from "./kit.ts";

function site() {
  const turbo = new Turbo();
  let refuseWebSockets = false;
  const page = (content: Markup) =>
    new Response(
      String(html`
        <!DOCTYPE html>
        <html>
          <head><title>Site</title><link rel="icon" href="data:,">${turbo.head()}</head>
          <body><b id="text"></b>${content}</body>
        </html>
      `),
      {
        headers: { "Content-Type": "text/html" },
      },
    );
  const handler = (request: Request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/turbo-stream") {
      if (refuseWebSockets && request.headers.has("Upgrade")) {
        return new Response(null, { status: 502 });
      }
      return turbo.connect(request, { as: searchParams.get("as") ?? "ann" });
    }
    return turbo.asset(request) ??
      page(pathname === "/two" ? html`<h1>Two</h1>` : html`<a href="/two">Two</a>`);
  };
  return { turbo, handler, refuseWebSockets: () => refuseWebSockets = true };
}

Deno.test("Turbo.disconnect() ends a name's connections with 4001, and no others", async () => {
  const { turbo, handler } = site();
  await using server = serve(handler);
  const path = (name: string) => ({ path: `/turbo-stream?as=${name}` });
  await using first = await connect(server.url, path("ann"));
  await using second = await connect(server.url, path("ann"));
  await using other = await connect(server.url, path("bob"));
  await connected(turbo, { count: 3 });

  assert.equal(turbo.disconnect("ann"), 2);
  assert.equal(turbo.size, 1);
  assert.equal(turbo.push(update("text", "for those who may")), 1);
  assert.equal((await within(first.closed, "the close")).code, 4001);
  assert.equal((await within(second.closed, "the close")).code, 4001);
  assert.deepEqual([...first.messages, ...second.messages], []);
  assert.match(await other.next(), /for those who may/);
  await until(() => turbo.zombies === 0, "the system has reported both ends");
  assert.equal(turbo.disconnect("nobody"), 0);
});

Deno.test("Turbo.disconnect() ends server-sent events, and forgets them", async () => {
  const { turbo, handler } = site();
  await using server = serve(handler);
  const response = await fetch(`${server.url}/turbo-stream`, {
    headers: { Accept: "text/event-stream" },
  });
  assert.equal(turbo.disconnect("ann"), 1);
  assert.match(await within(response.text(), "the end"), /event: away\ndata:\n\n$/);
  assert.deepEqual([turbo.size, turbo.zombies], [0, 0]);
});

Deno.test("Turbo.close() does not wait for server-sent events that it has ended", async () => {
  const { turbo, handler } = site();
  await using server = serve(handler);
  const response = await fetch(`${server.url}/turbo-stream`, {
    headers: { Accept: "text/event-stream" },
  });
  await connected(turbo);
  await within(turbo.close({ window: 0 }), "the stream to close");
  await within(response.text(), "the end");
});

for (const transport of ["WebSocket", "server-sent events"]) {
  Deno.test(
    `client.js stays away over ${transport} until another page is visited`,
    WITH_BROWSER,
    async () => {
      const { turbo, handler, refuseWebSockets } = site();
      if (transport !== "WebSocket") refuseWebSockets();
      await using server = serve(handler);
      await using browser = await startBrowser();
      const { page, requests } = await browser.open(server.url);
      await page.waitForSelector(OPEN_PAGE);
      const sockets: string[] = [];
      page.on("websocket", (socket) => sockets.push(socket.url()));
      const before = requests.length;

      assert.equal(turbo.disconnect("ann"), 1);
      await page.waitForSelector('html[data-turbo-stream="away"]');
      for (const event of ["online", "pageshow", "visibilitychange"]) {
        await page.evaluate((event) => {
          const init = { persisted: true };
          (event === "visibilitychange" ? document : globalThis).dispatchEvent(
            event === "pageshow" ? new PageTransitionEvent(event, init) : new Event(event),
          );
        }, event);
      }
      // A page waits at most 1,000 ms before its first reconnect, so that timer would fire before this one.
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_500)));
      assert.deepEqual([turbo.size, sockets.length, requests.length - before], [0, 0, 0]);

      await page.click("a");
      await page.waitForSelector("h1");
      await connected(turbo);
    },
  );
}

Deno.test("Turbo.disconnect() is final for a connection that keeps asking before it is closed", async () => {
  const { turbo, handler } = site();
  await using server = serve(handler);
  await using reader = await connect(server.url, { protocol: PROTOCOL });
  await connected(turbo);
  reader.socket.send(sinceOf({ cursor: turbo.cursor }));
  turbo.disconnect("ann");
  reader.socket.send(sinceOf({ cursor: turbo.cursor }));
  assert.equal((await within(reader.closed, "the close")).code, 4001);
  await until(() => turbo.zombies === 0, "the system has reported the end");
  assert.deepEqual([turbo.listeners("ann"), turbo.push(update("text", "x"), { to: "ann" })], [
    0,
    0,
  ]);
});

Deno.test("Turbo.disconnect() also ends an opening connection", async () => {
  const { turbo, handler } = site();
  await using server = serve((request) => {
    const response = handler(request);
    turbo.disconnect("ann");
    return response;
  });
  await using reader = await connect(server.url);
  assert.equal((await within(reader.closed, "the close")).code, 4001);
  assert.deepEqual([turbo.size, turbo.listeners("ann")], [0, 0]);
});
