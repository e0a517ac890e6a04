import { Hono } from "hono";
import assert from "node:assert/strict";
import { turboForms } from "./mod.ts";

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
  Deno.test(`turboForms() turns ${status} ${type} for a Turbo form into ${expected}`, async () => {
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

Deno.test("turboForms() changes no answer to other requests", async () => {
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

Deno.test("turboForms() keeps the 200 that fills a frame, and changes its redirect", async () => {
  const init = { method: "POST", headers: { Accept: TURBO, "Turbo-Frame": "f" } };
  assert.equal((await answering(200, HTML).request("/", init)).status, 200);
  assert.equal((await answering(302, HTML).request("/", init)).status, 303);
});
