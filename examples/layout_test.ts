import assert from "node:assert/strict";
import { createApp } from "./todos.ts";

function post(headers: Record<string, string>, body: string | Uint8Array<ArrayBuffer>) {
  const { hono } = createApp();
  return hono.request("http://app.example/todos", { method: "POST", headers, body });
}

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

Deno.test("field() answers a form that cannot be read by 400", async () => {
  const cases: [string, string | Uint8Array<ArrayBuffer>][] = [
    ["multipart/form-data", "text=milk"],
    ["application/x-www-form-urlencoded", "text=%E0%A4%A"],
    ["application/x-www-form-urlencoded", "text=%ff"],
    ["application/x-www-form-urlencoded", new Uint8Array([116, 101, 120, 116, 61, 0xff])],
  ];
  for (const [type, body] of cases) {
    const headers = { "Content-Type": type, Origin: "http://app.example", Host: "app.example" };
    const response = await post(headers, body);
    assert.equal(response.status, 400, `${type} ${body}`);
    assert.equal(await response.text(), "The form cannot be read");
  }
});

Deno.test("guards() let in forms of the same host, also where a proxy ends the TLS", async () => {
  const cases: [Record<string, string>, number][] = [
    [{ Origin: "http://app.example", Host: "app.example" }, 303],
    [{ Origin: "https://app.example", Host: "app.example" }, 303],
    [{ Origin: "https://evil.example", Host: "app.example" }, 403],
    [{ Origin: "https://app.example.evil", Host: "app.example" }, 403],
    [{ Origin: "null", Host: "app.example" }, 403],
  ];
  for (const [headers, status] of cases) {
    const response = await post({ ...FORM, ...headers }, "text=milk");
    assert.equal(response.status, status, headers["Origin"]);
    await response.body?.cancel();
  }
});
