import assert from "node:assert/strict";
import type { TestPage } from "../tests/browser.ts";
import { assertGuarded, assertNoErrors, assertStrict, PLAIN_FORM } from "../tests/example_kit.ts";
import { post, stage, TURBO_FORM, untilText, untilValue } from "../tests/example_kit.ts";
import { until, WITH_BROWSER } from "../tests/kit.ts";
import { assertNothingPushed, assertStream, capture, OPEN_PAGE } from "../turbo/testing.ts";
import { createApp } from "./chat.ts";

const LOBBY = "/rooms/lobby";

async function say({ page }: TestPage, name: string, text: string): Promise<void> {
  await page.fill("#name", name);
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

async function linesOf({ page }: TestPage): Promise<string[]> {
  const lines = await page.locator("#lines li").allTextContents();
  return lines.map((line) => line.replaceAll(/\s+/g, " ").replace(/^ ?\d\d:\d\d UTC /, "").trim());
}

Deno.test("chat pushes a line to its room, but not to the page that sent it", async () => {
  const app = createApp();
  const headers = { ...TURBO_FORM, "Turbo-Connection": "page-1" };
  let response!: Response;
  const pushed = await capture(app.turbo, async () => {
    response = await post(app, LOBBY, { fields: { name: "Ann", text: "Hello" }, headers });
  });
  assertStream(pushed, { action: "append", target: "lines", content: "Hello", to: "room:lobby" });
  assert.deepEqual(pushed.map(({ except }) => except), ["page-1"]);
  assert.equal(response.headers.get("Turbo-Cursor"), app.turbo.cursor);
  const body = await response.text();
  assertStream(body, { action: "replace", target: "lines", content: /id="line-1"[^]*Hello/ });
  assertStream(body, { action: "replace", target: "say", content: 'value="Ann"' });
});

Deno.test("chat answers a plain form by 303, and what cannot be said by 422", async () => {
  const app = createApp({ onNotice() {} });
  const fields = { name: "Ann", text: "Hello" };
  const said = await post(app, LOBBY, { fields, headers: PLAIN_FORM });
  assert.deepEqual([said.status, said.headers.get("Location")], [303, LOBBY]);
  const refused = [
    { name: " ", text: "Hello" },
    { name: "x".repeat(41), text: "Hello" },
    { name: "Ann", text: " " },
    { name: "Ann", text: "x".repeat(501) },
  ];
  for (const fields of refused) {
    for (const headers of [PLAIN_FORM, TURBO_FORM]) {
      const pushed = await capture(app.turbo, async () => {
        const response = await post(app, LOBBY, { fields, headers });
        assert.equal(response.status, 422);
        assert((await response.text()).includes(`value="${fields.text}"`));
      });
      assertNothingPushed(pushed);
    }
  }
  assert.equal((await post(app, "/rooms/cellar", { fields })).status, 404);
  assert.equal((await app.hono.request("/rooms/cellar")).status, 404);
  assert.equal((await app.hono.request("/")).headers.get("Location"), LOBBY);
});

Deno.test("chat keeps 100 lines, and takes the oldest out of the pages", async () => {
  const app = createApp({ onNotice() {} });
  const pushed = await capture(app.turbo, async () => {
    for (let i = 1; i <= 101; i++) {
      await post(app, LOBBY, { fields: { name: "Ann", text: `line ${i}` } });
    }
  });
  assertStream(pushed, { action: "remove", target: "line-1" });
  assert.equal(
    pushed.flatMap(({ streams }) => streams).filter((s) => s.action === "remove").length,
    1,
  );
  const page = await (await app.hono.request(LOBBY)).text();
  assert.equal(page.match(/<li id="line-/g)?.length, 100);
});

Deno.test("chat refuses forms of other sites and long ones", async () => {
  await assertGuarded(createApp(), LOBBY);
});

Deno.test("chat has pages under a strict policy", async () => {
  await assertStrict(createApp({ onNotice() {} }), LOBBY);
});

Deno.test(
  "chat shows a line once to sender and bystander, and never in the other room",
  WITH_BROWSER,
  async () => {
    await using at = await stage(createApp({ onNotice() {} }));
    const [sender, bystander] = [await at.open(LOBBY), await at.open(LOBBY)];
    const other = await at.open("/rooms/garden");

    await say(sender, "Ann", "<i>Hello</i>");
    await until(async () => (await linesOf(bystander)).length > 0, "the bystander sees the line");
    await until(async () => (await linesOf(sender)).length > 0, "the sender sees the line");
    await say(bystander, "Bob", "Hi");
    for (const tab of [sender, bystander]) {
      await until(async () => (await linesOf(tab)).length > 1, "both see the answer");
    }
    // What came after shows that nothing else is on its way.
    await say(other, "Cy", "Nobody here");
    await until(async () => (await linesOf(other)).length > 0, "the other room has its line");
    assert.deepEqual(await linesOf(sender), ["Ann <i>Hello</i>", "Bob Hi"]);
    assert.deepEqual(await linesOf(bystander), ["Ann <i>Hello</i>", "Bob Hi"]);
    assert.deepEqual(await linesOf(other), ["Cy Nobody here"]);
    await untilValue(sender.page, "#text", "");
    assert.equal(await sender.page.inputValue("#name"), "Ann", "the name stays");
    assertNoErrors(sender, bystander, other);
  },
);

Deno.test("chat shows all pages the same order when all speak at once", WITH_BROWSER, async () => {
  await using at = await stage(createApp({ onNotice() {} }));
  const tabs = [await at.open(LOBBY), await at.open(LOBBY)];
  for (let round = 1; round <= 5; round++) {
    await Promise.all(tabs.map((tab, i) => say(tab, `T${i}`, `${round}`)));
    for (const tab of tabs) {
      await until(async () => (await linesOf(tab)).length === 2 * round, `round ${round} is there`);
      await untilValue(tab.page, "#text", "");
    }
  }
  assert.deepEqual(await linesOf(tabs[0]!), await linesOf(tabs[1]!));
});

Deno.test(
  "chat counts the open pages of a room, also of those that leave",
  WITH_BROWSER,
  async () => {
    await using at = await stage(createApp({ onNotice() {} }));
    const first = await at.open(LOBBY);
    await untilText(first.page, "#presence", "1 page open here");
    const second = await at.open(LOBBY);
    const third = await at.open(LOBBY);
    for (const { page } of [first, second, third]) {
      await untilText(
        page,
        "#presence",
        "3 pages open here",
      );
    }

    await third.page.close();
    for (const { page } of [first, second]) await untilText(page, "#presence", "2 pages open here");

    const sockets: string[] = [];
    second.page.on("websocket", (socket) => sockets.push(socket.url()));
    await second.page.click("nav a:text('Garden')");
    await untilText(second.page, "h1", "Garden");
    await untilText(first.page, "#presence", "1 page open here");
    await untilText(second.page, "#presence", "1 page open here");
    assert.deepEqual(sockets, [], "the same socket listens to the other room");

    await say(first, "Ann", "Anyone?");
    await until(async () => (await linesOf(first)).length > 0, "the line is there");
    await second.page.click("nav a:text('Lobby')");
    await untilText(first.page, "#presence", "2 pages open here");
    assert.deepEqual(await linesOf(second), ["Ann Anyone?"]);
    await say(second, "Bob", "Back");
    for (const tab of [first, second]) {
      await until(async () => (await linesOf(tab)).length > 1, "both see the second again");
    }
    assert.deepEqual(await linesOf(second), ["Ann Anyone?", "Bob Back"]);
    assertNoErrors(first, second);
  },
);

Deno.test("chat keeps what cannot be said in the form", WITH_BROWSER, async () => {
  await using at = await stage(createApp({ onNotice() {} }));
  const tab = await at.open(LOBBY);
  await say(tab, " ", "Hello");
  await untilText(tab.page, "#say-error", "Say who you are");
  assert.equal(await tab.page.inputValue("#text"), "Hello");
  await tab.page.waitForSelector(OPEN_PAGE);
  assertNoErrors(tab);
});

Deno.test("chat works by full pages without JavaScript", WITH_BROWSER, async () => {
  await using at = await stage(createApp({ onNotice() {} }));
  const live = await at.open(LOBBY);
  const plain = await at.openPlain();
  await untilText(plain.page, "#presence", "1 page open here");
  await say(plain, "Ann", "Hello");
  await until(async () => (await linesOf(live)).length > 0, "the live page has the line");
  await until(async () => (await linesOf(plain)).length > 0, "the plain page has the line");
  await say(plain, "", "Hello");
  await untilText(plain.page, "#say-error", "Say who you are");
  assert.equal(await plain.page.inputValue("#text"), "Hello");
  assert.deepEqual(await linesOf(live), ["Ann Hello"]);
});
