import { Hono } from "hono";
import assert from "node:assert/strict";
import { html, type Markup, remove, streamResponse, Turbo, turboForms } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { serve, WITH_BROWSER } from "./kit.ts";

/** An app whose answers to forms have statuses that Turbo rejects. */
function namesApp() {
  let held: Promise<void> | undefined;
  const turbo = new Turbo({ onNotice() {} });
  const names: string[] = [];
  const app = new Hono();
  const page = (content: Markup) =>
    html`
      <!DOCTYPE html>
      <html>
        <head><title>Names</title><link rel="icon" href="data:,">${turbo.head()}</head>
        <body>${content}</body>
      </html>
    `;
  const form = (typed = "", error = "") =>
    html`
      <form method="post"
        action="/"><p id="error">${error}</p><label>Name <input name="name" value="${typed}"></label><button>Add</button></form>
    `;
  app.get("/turbo-stream", (c) => turbo.connect(c.req.raw));
  app.get("/assets/*", (c) => turbo.asset(c.req.raw) ?? c.notFound());
  app.use(turboForms());
  app.get(
    "/",
    (c) => c.html(page(html`<h1>${names.length} names</h1>${form()}<a href="/other">Other</a>`)),
  );
  app.get("/other", (c) => c.html(page(html`<h1>Other</h1>`)));
  app.post("/", async (c) => {
    const name = String((await c.req.parseBody())["name"] ?? "");
    await held;
    if (name.includes("!")) {
      return c.html(page(html`<h1>${names.length} names</h1>${form(name, "No ! is allowed")}`));
    }
    names.push(name);
    return name === "stream" ? streamResponse(remove("error")) : c.redirect("/", 302);
  });
  return {
    app,
    names,
    /** Holds back the answers to forms while it does something. */
    async beforeAnswer(act: () => Promise<void>) {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      await act();
      resolve();
    },
  };
}

Deno.test(
  "turboForms() lets real forms redirect, once for a double submit, and Back and Forward work",
  WITH_BROWSER,
  async () => {
    const { app, names, beforeAnswer } = namesApp();
    await using server = serve(app.fetch);
    await using browser = await startBrowser();
    const { page, errors, requests } = await browser.open(server.url);
    await page.waitForSelector(OPEN_PAGE);
    await page.evaluate("window.kept = true");
    await page.fill("[name=name]", "Ann");
    await beforeAnswer(() => page.dblclick("button"));
    await page.waitForSelector("h1:text('1 names')");
    assert.deepEqual(names, ["Ann"]);

    await page.click("a");
    await page.waitForSelector("h1:text('Other')");
    await page.goBack();
    await page.waitForSelector("h1:text('1 names')");
    assert.equal(await page.inputValue("[name=name]"), "");
    await page.goForward();
    await page.waitForSelector("h1:text('Other')");
    await page.goBack();
    await page.waitForSelector("h1:text('1 names')");
    assert.deepEqual(names, ["Ann"], "Back sends nothing again");
    assert.equal(await page.evaluate("window.kept"), true, "no full page load");
    assert.equal(requests.filter((url) => url.endsWith("/turbo.js")).length, 0);
    assert.deepEqual(errors, []);
  },
);

Deno.test(
  "turboForms() lets a real form be shown again with what was typed",
  WITH_BROWSER,
  async () => {
    const { app, names } = namesApp();
    await using server = serve(app.fetch);
    await using browser = await startBrowser();
    const { page, errors } = await browser.open(server.url);
    await page.waitForSelector(OPEN_PAGE);
    await page.evaluate("window.kept = true");
    await page.fill("[name=name]", "Ann!");
    await page.press("[name=name]", "Enter");
    await page.waitForSelector("#error:text('No ! is allowed')");
    assert.equal(await page.inputValue("[name=name]"), "Ann!");
    await page.fill("[name=name]", "Ann");
    await page.press("[name=name]", "Enter");
    await page.waitForSelector("h1:text('1 names')");
    assert.deepEqual(names, ["Ann"]);
    assert.equal(await page.evaluate("window.kept"), true, "no full page load");
    assert.deepEqual(errors.filter((error) => !error.includes("422")), []);
  },
);

Deno.test(
  "turboForms() changes nothing for a browser without JavaScript",
  WITH_BROWSER,
  async () => {
    const { app, names } = namesApp();
    await using server = serve(app.fetch);
    await using browser = await startBrowser();
    const { page } = await browser.open(server.url, { javaScriptEnabled: false });
    await page.fill("[name=name]", "Ann!");
    await page.click("button");
    assert.equal(await page.inputValue("[name=name]"), "Ann!");
    await page.fill("[name=name]", "Ann");
    await page.click("button");
    await page.waitForSelector("h1:text('1 names')");
    assert.deepEqual(names, ["Ann"]);
  },
);
