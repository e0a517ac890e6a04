import { Hono } from "hono";
import assert from "node:assert/strict";
import { assertGuarded, assertNoErrors, assertStrict, PLAIN_FORM } from "../tests/example_kit.ts";
import { post, stage, untilText } from "../tests/example_kit.ts";
import { WITH_BROWSER } from "../tests/kit.ts";
import { remove, streamResponse } from "../turbo/mod.ts";
import { assertStream, capture } from "../turbo/testing.ts";
import { createApp, flash, type FlashEnv } from "./flash.ts";

Deno.test("flash() adds the notice to any answer of streams, and leaves the rest of it", async () => {
  const hono = new Hono<FlashEnv>();
  hono.use(flash());
  hono.get("/notice", (c) => {
    c.set("notice", "<b>saved</b>");
    return streamResponse(remove("a"), { status: 422, cursor: "e.1", headers: { "X-Own": "1" } });
  });
  hono.get("/none", () => streamResponse(remove("a")));
  const response = await hono.request("/notice");
  assert.equal(response.status, 422);
  assert.deepEqual(
    ["Turbo-Cursor", "X-Own", "Vary"].map((name) => response.headers.get(name)),
    ["e.1", "1", "Accept"],
  );
  const body = await response.text();
  assert(body.startsWith(remove("a")));
  assertStream(body, { action: "update", target: "notice", content: "&lt;b&gt;saved&lt;/b&gt;" });
  assert.equal(await (await hono.request("/none")).text(), String(remove("a")));
});

Deno.test("flash tells the others what changed, without the notice", async () => {
  const app = createApp();
  const pushed = await capture(
    app.turbo,
    () => post(app, "/greetings", { fields: { name: "Ann" } }),
  );
  assertStream(pushed, { action: "replace", target: "count", content: "1 greeted" });
  assert.equal(pushed.flatMap(({ streams }) => streams).length, 1);
});

Deno.test("flash takes the notice to the next page, once", async () => {
  const app = createApp();
  const posted = await post(app, "/greetings", {
    fields: { name: "Zoë; <b>" },
    headers: PLAIN_FORM,
  });
  assert.deepEqual([posted.status, posted.headers.get("Location")], [303, "/"]);
  const cookie = posted.headers.get("Set-Cookie")!;
  assert.match(cookie, /HttpOnly; SameSite=Lax/);
  const page = await app.hono.request("/", { headers: { Cookie: cookie.split(";")[0]! } });
  assert.match(await page.text(), /Hello, Zoë; &lt;b&gt;!/);
  assert.match(page.headers.get("Set-Cookie")!, /^notice=; Max-Age=0/);
});

Deno.test("flash answers what cannot be greeted by 422", async () => {
  for (const name of ["", " ", "x".repeat(41)]) {
    const app = createApp();
    const plain = await post(app, "/greetings", { fields: { name }, headers: PLAIN_FORM });
    assert.equal(plain.status, 422);
    assert.match(await plain.text(), /Nobody was greeted/);
    const streams = await post(app, "/greetings", { fields: { name } });
    assert.equal(streams.status, 422);
    assertStream(await streams.text(), { target: "notice", content: "Nobody was greeted" });
  }
});

Deno.test("flash refuses forms of other sites and long ones", async () => {
  await assertGuarded(createApp(), "/greetings");
});

Deno.test("flash has pages under a strict policy", async () => {
  await assertStrict(createApp(), "/");
});

Deno.test("flash shows the notice to who acted, and the count to all", WITH_BROWSER, async () => {
  await using at = await stage(createApp());
  const [first, second] = [await at.open(), await at.open()];
  await first.page.fill("#name", "<b>Ann</b>");
  await at.beforeAnswer(() => first.page.dblclick("#greet button"));
  await untilText(first.page, "#notice", "Hello, <b>Ann</b>!");
  for (const { page } of [first, second]) await untilText(page, "#count", "1 greeted so far");
  await untilText(second.page, "#notice", "");

  await second.page.fill("#name", "  ");
  await second.page.press("#name", "Enter");
  await untilText(second.page, "#notice", "Nobody was greeted");
  await untilText(second.page, "#greet-error", "Say who is to be greeted");
  assert.equal(await second.page.inputValue("#name"), "  ");

  await second.page.click("button:text('Start over')");
  await untilText(second.page, "#notice", "Counting from the start");
  for (const { page } of [first, second]) await untilText(page, "#count", "0 greeted so far");
  await untilText(first.page, "#notice", "Hello, <b>Ann</b>!");
  assertNoErrors(first, second);
});

Deno.test("flash works by full pages without JavaScript", WITH_BROWSER, async () => {
  await using at = await stage(createApp());
  const { page } = await at.openPlain();
  await page.fill("#name", "Ann");
  await page.click("#greet button");
  await untilText(page, "#notice", "Hello, Ann!");
  await untilText(page, "#count", "1 greeted so far");
  await page.reload();
  await untilText(page, "#notice", "");
  await page.fill("#name", " ");
  await page.click("#greet button");
  await untilText(page, "#notice", "Nobody was greeted");
  assert.equal(await page.inputValue("#name"), " ");
});
