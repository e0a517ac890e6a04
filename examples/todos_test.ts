import assert from "node:assert/strict";
import { assertGuarded, assertNoErrors, assertStrict, PLAIN_FORM } from "../tests/example_kit.ts";
import { post, stage, untilText, untilValue } from "../tests/example_kit.ts";
import { WITH_BROWSER } from "../tests/kit.ts";
import { assertNothingPushed, assertStream, capture } from "../turbo/testing.ts";
import { createApp } from "./todos.ts";

Deno.test("todos pushes the list to all and answers a Turbo form with it", async () => {
  const app = createApp();
  let response!: Response;
  const pushed = await capture(app.turbo, async () => {
    response = await post(app, "/todos", { fields: { text: " milk " } });
  });
  assertStream(pushed, {
    action: "replace",
    target: "todos",
    content: "<span>milk</span>",
    to: null,
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("Turbo-Cursor"), app.turbo.cursor);
  const body = await response.text();
  assertStream(body, { action: "replace", target: "todos", content: "<span>milk</span>" });
  assertStream(body, { action: "replace", target: "add", content: 'value=""' });
});

Deno.test("todos answers a plain form with 303, and a todo that is not allowed with 422", async () => {
  const app = createApp();
  const add = (text: string) => post(app, "/todos", { fields: { text }, headers: PLAIN_FORM });
  const added = await add("milk");
  assert.deepEqual([added.status, added.headers.get("Location")], [303, "/"]);
  for (const text of ["", "   ", "x".repeat(201)]) {
    const pushed = await capture(app.turbo, async () => {
      const refused = await add(text);
      assert.equal(refused.status, 422);
      assert.match(await refused.text(), /<main>[^]*role="alert">\w/);
    });
    assertNothingPushed(pushed);
  }
  const done = await post(app, "/todos/1", { fields: { done: "yes" }, headers: PLAIN_FORM });
  assert.equal(done.status, 303);
  assert.equal((await post(app, "/todos/1/delete", { headers: PLAIN_FORM })).status, 303);
});

Deno.test("todos has the same result when a form is sent twice", async () => {
  const app = createApp();
  await post(app, "/todos", { fields: { text: "milk" } });
  for (let i = 0; i < 2; i++) {
    const done = await post(app, "/todos/1", { fields: { done: "yes" } });
    assert.match(await done.text(), /id="todo-1" class="done"/);
  }
  for (let i = 0; i < 2; i++) {
    const gone = await post(app, "/todos/1/delete");
    assert.match(await gone.text(), /Nothing to do/);
  }
});

Deno.test("todos keeps no more than 200", async () => {
  const app = createApp();
  const add = () => post(app, "/todos", { fields: { text: "milk" } });
  for (let i = 0; i < 200; i++) assert.equal((await add()).status, 200);
  assert.equal((await add()).status, 422);
});

Deno.test("todos rejects forms of other sites and forms that are too long", async () => {
  await assertGuarded(createApp(), "/todos");
});

Deno.test("todos has pages under a strict policy", async () => {
  await assertStrict(createApp(), "/");
});

Deno.test("todos shows a change in all tabs", WITH_BROWSER, async () => {
  await using at = await stage(createApp());
  const [first, second] = [await at.open(), await at.open()];

  await first.page.fill("#text", "<b>milk</b> & bread");
  await first.page.press("#text", "Enter");
  for (const { page } of [first, second]) {
    await untilText(page, "#todos li span", "<b>milk</b> & bread");
    await untilText(page, "#todos .note", "1 of 1 to do");
  }
  await untilValue(first.page, "#text", "");
  assert.equal(await first.page.evaluate("document.activeElement.id"), "text");

  await second.page.fill("#text", "half typed");
  await first.page.fill("#text", "tea");
  await first.page.click("#add button");
  await untilText(second.page, "#todos .note", "2 of 2 to do");
  assert.equal(await second.page.inputValue("#text"), "half typed", "a push leaves the form alone");

  await second.page.click("#done-1");
  for (const { page } of [first, second]) await untilText(page, "#todos .note", "1 of 2 to do");
  await first.page.click("#delete-2");
  for (const { page } of [first, second]) await untilText(page, "#todos .note", "0 of 1 to do");
  assert.deepEqual(await second.page.locator("#todos li").count(), 1);
  assertNoErrors(first, second);
});

Deno.test(
  "todos adds once for a double submit, and keeps what cannot be added",
  WITH_BROWSER,
  async () => {
    await using at = await stage(createApp());
    const tab = await at.open();
    const { page } = tab;
    await page.fill("#text", "milk");
    await at.beforeAnswer(() => page.dblclick("#add button"));
    await untilText(page, "#todos .note", "1 of 1 to do");
    await untilValue(page, "#text", "");

    await page.evaluate("document.getElementById('text').maxLength = 1000");
    const long = "x".repeat(201);
    await page.fill("#text", long);
    await page.press("#text", "Enter");
    await untilText(page, "#add-error", "That is longer than 200 characters");
    assert.equal(await page.inputValue("#text"), long);
    assert.equal(await page.getAttribute("#text", "aria-invalid"), "true");

    await page.fill("#text", "tea");
    await page.press("#text", "Enter");
    await untilText(page, "#todos .note", "2 of 2 to do");
    await untilText(page, "#add-error", "");
    assertNoErrors(tab);
  },
);

Deno.test("todos works by full pages without JavaScript", WITH_BROWSER, async () => {
  await using at = await stage(createApp());
  const { page } = await at.openPlain();
  await page.fill("#text", "milk");
  await page.press("#text", "Enter");
  await untilText(page, "#todos li span", "milk");
  assert.equal(page.url(), `${at.url}/`);

  await page.fill("#text", "   ");
  await page.press("#text", "Enter");
  await untilText(page, "#add-error", "Say what is to be done");
  assert.equal(await page.inputValue("#text"), "   ");

  await page.goto(at.url);
  await page.click("#done-1");
  await untilText(page, "#todos .note", "0 of 1 to do");
  await page.reload();
  await untilText(page, "#todos .note", "0 of 1 to do");
  await page.click("#delete-1");
  await untilText(page, "#todos .note", "Nothing to do");
  await page.goBack();
  await page.reload();
  await untilText(page, "#todos .note", "Nothing to do");
});

Deno.test("todos can be used by keyboard alone", WITH_BROWSER, async () => {
  await using at = await stage(createApp());
  const { page } = await at.open();
  await page.keyboard.press("Tab");
  await page.keyboard.type("milk");
  await page.keyboard.press("Enter");
  await untilValue(page, "#text", "");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.id"), "done-1");
  await page.keyboard.press("Enter");
  await untilText(page, "#todos .note", "0 of 1 to do");
});
