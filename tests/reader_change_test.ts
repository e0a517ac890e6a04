// A connection is of whoever opened it: a page that Turbo has visited for another reader needs another one.
import { Hono } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import assert from "node:assert/strict";
import { append, html, Turbo } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { connected, serve, WITH_BROWSER } from "./kit.ts";

/** An app that anyone logs in to, and out of, by Turbo's own forms. */
function memberApp() {
  const turbo = new Turbo({ onNotice() {} });
  const app = new Hono();
  let pages = 0;
  app.use(turbo.middleware({ as: (c) => getCookie(c, "user") }));
  app.get("/", (c) => {
    pages++;
    const user = getCookie(c, "user");
    const head = turbo.head(c, user === undefined ? {} : { topics: ["members"] });
    return c.html(html`
      <!DOCTYPE html>
      <html>
        <head><title>Members</title><link rel="icon" href="data:,">${head}</head>
        <body>
          <h1>${user ?? "nobody"}</h1>
          <ul id="notes"></ul>
          <form method="post" action="${user === undefined ? "/in" : "/out"}">
            <button id="go">Go</button>
          </form>
          <a id="again" href="/">Again</a>
        </body>
      </html>
    `);
  });
  app.post("/in", (c) => {
    setCookie(c, "user", "ann");
    return c.redirect("/", 303);
  });
  app.post("/out", (c) => {
    deleteCookie(c, "user");
    return c.redirect("/", 303);
  });
  return { app, turbo, pages: () => pages };
}

Deno.test(
  "a page hears what is for its reader from the log-in on, and nothing of it after the log-out",
  WITH_BROWSER,
  async () => {
    const { app, turbo, pages } = memberApp();
    await using server = serve((request) => app.fetch(request));
    await using browser = await startBrowser();
    const { page, errors } = await browser.open(server.url);
    let sockets = 0;
    page.on("websocket", () => sockets++);
    await page.waitForSelector(OPEN_PAGE);

    await page.click("#go");
    await page.waitForSelector("h1:text-is('ann')");
    await connected(turbo, { name: "ann" });
    await connected(turbo, { topic: "members" });
    turbo.push(append("notes", html`<li id="own">own</li>`), { to: "ann" });
    await page.waitForSelector("#own");
    turbo.push(append("notes", html`<li id="topic">topic</li>`), { topic: "members" });
    await page.waitForSelector("#topic");
    assert.deepEqual([turbo.size, sockets, pages()], [1, 2, 2]);

    await page.click("#again");
    await page.waitForSelector("#own", { state: "detached" });
    await page.waitForSelector(OPEN_PAGE);
    assert.equal(sockets, 2, "a visit of the same reader keeps the connection");

    await page.click("#go");
    await page.waitForSelector("h1:text-is('nobody')");
    await connected(turbo, { name: "ann", count: 0 });
    turbo.push(append("notes", html`<li id="secret">secret</li>`), { to: "ann" });
    turbo.push(append("notes", html`<li id="all">all</li>`));
    await page.waitForSelector("#all");
    assert.equal(await page.locator("#secret").count(), 0);
    assert.deepEqual([turbo.size, sockets, pages()], [1, 3, 4]);
    assert.deepEqual(errors, []);
    await turbo.close({ window: 0 });
  },
);
