import { Hono } from "hono";
import assert from "node:assert/strict";
import { startBrowser } from "../tests/browser.ts";
import { serve } from "../tests/kit.ts";
import { html, type Markup, remove, streamResponse, Turbo, turboForms } from "./mod.ts";

const TURBO = "text/vnd.turbo-stream.html, text/html, application/xhtml+xml";

function answering(status: number, type: string | null): Hono {
  const app = new Hono();
  app.use(turboForms());
  app.all("/", () => {
    const headers = new Headers({ "X-Own": "kept", "Location": "/there" });
    headers.append("Set-Cookie", "a=1");
    headers.append("Set-Cookie", "b=2");
    if (type !== null) headers.set("Content-Type", type);
    return new Response(status === 204 || status === 304 ? null : "body", { status, headers });
  });
  return app;
}

const HTML = "text/html; charset=UTF-8";
const changes: [status: number, type: string | null, expected: number][] = [
  [200, HTML, 422],
  [200, "text/html", 422],
  [200, "TEXT/HTML", 422],
  [200, "text/html ; charset=utf-8", 422],
  [301, HTML, 303],
  [302, HTML, 303],
  [301, null, 303],
  [302, null, 303],
  [200, "text/vnd.turbo-stream.html; charset=utf-8", 200],
  [200, "application/json", 200],
  [200, "text/htmlx", 200],
  [200, null, 200],
  [201, HTML, 201],
  [204, null, 204],
  [303, null, 303],
  [304, null, 304],
  [307, null, 307],
  [308, null, 308],
  [400, HTML, 400],
  [422, HTML, 422],
  [500, HTML, 500],
];

for (const [status, type, expected] of changes) {
  Deno.test(`turboForms() makes ${status} ${type} to a Turbo form ${expected}`, async () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      const headers = { Accept: TURBO };
      const response = await answering(status, type).request("/", { method, headers });
      assert.equal(response.status, expected);
      assert.equal(response.headers.get("X-Own"), "kept");
      assert.equal(response.headers.get("Location"), "/there");
      assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
      if (expected !== 204 && expected !== 304) assert.equal(await response.text(), "body");
      if (type !== null) assert.equal(response.headers.get("Content-Type"), type);
    }
  });
}

Deno.test("turboForms() leaves all that is no Turbo form alone", async () => {
  const requests: [method: string, headers: Record<string, string>][] = [
    ["GET", { Accept: TURBO }],
    ["HEAD", { Accept: TURBO }],
    ["OPTIONS", { Accept: TURBO }],
    ["POST", { Accept: "*/*" }],
    ["POST", { Accept: "text/html" }],
    ["POST", { Accept: "text/vnd.turbo-stream.html;q=0, text/html" }],
    ["POST", {}],
  ];
  for (const [method, headers] of requests) {
    for (const status of [200, 301, 302, 303]) {
      const response = await answering(status, HTML).request("/", { method, headers });
      assert.equal(response.status, status, `${method} ${JSON.stringify(headers)}`);
    }
  }
});

Deno.test("turboForms() leaves the 200 that fills a frame alone, but not its redirect", async () => {
  const init = { method: "POST", headers: { Accept: TURBO, "Turbo-Frame": "f" } };
  assert.equal((await answering(200, HTML).request("/", init)).status, 200);
  assert.equal((await answering(302, HTML).request("/", init)).status, 303);
});

/** An app whose answers to forms have the statuses that Turbo does not take. */
function namesApp() {
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
    await new Promise((resolve) => setTimeout(resolve, 300)); // long enough for a second press
    if (name.includes("!")) {
      return c.html(page(html`<h1>${names.length} names</h1>${form(name, "No ! is allowed")}`));
    }
    names.push(name);
    return name === "stream" ? streamResponse(remove("error")) : c.redirect("/", 302);
  });
  return { app, names };
}

const browserTest = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "turboForms() lets real forms redirect, once for a double submit, and Back and Forward work",
  browserTest,
  async () => {
    const { app, names } = namesApp();
    await using server = serve(app.fetch);
    await using browser = await startBrowser();
    const { page, errors, requests } = await browser.open(server.url);
    await page.waitForSelector('html[data-turbo-stream="open"]');
    await page.evaluate("window.kept = true");
    await page.fill("[name=name]", "Ann");
    await page.dblclick("button");
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
  browserTest,
  async () => {
    const { app, names } = namesApp();
    await using server = serve(app.fetch);
    await using browser = await startBrowser();
    const { page, errors } = await browser.open(server.url);
    await page.waitForSelector('html[data-turbo-stream="open"]');
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
  browserTest,
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
