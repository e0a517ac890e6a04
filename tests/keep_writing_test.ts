/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { WAYS } from "./apps/keep_app.ts";
import type { Page } from "./browser.ts";
import { type Field, startScene } from "./keep_kit.ts";
import { WITH_BROWSER } from "./kit.ts";

Deno.test(
  "A morph keeps what `value` does not show: a minus, an incomplete date",
  WITH_BROWSER,
  async () => {
    const markup = (number = "", date = "") =>
      `<input name="n" type="number" value="${number}"><input name="d" type="date" value="${date}">`;
    await using scene = await startScene(markup());
    const { page, show, errors } = scene;
    await page.focus("[name=n]");
    await page.keyboard.type("-");
    await show(markup());
    await page.keyboard.type("3");
    await show(markup("7"), "refresh");
    await page.keyboard.type("5");
    assert.equal(await page.inputValue("[name=n]"), "-35");

    await page.focus("[name=d]");
    await page.keyboard.type("02");
    await show(markup("7"));
    await page.keyboard.type("03");
    await show(markup("8", "2001-01-01"));
    await page.keyboard.type("2020");
    await show(markup("9", "2001-01-01"));
    assert.equal(await page.inputValue("[name=d]"), "2020-02-03");
    assert.equal(
      await page.evaluate(() => document.querySelector<Field>("[name=d]")!.defaultValue),
      "2001-01-01",
    );
    assert.deepEqual(errors, []);
  },
);

Deno.test("A morph keeps a minus when the default changes", WITH_BROWSER, async () => {
  await using scene = await startScene('<input name="n" type="number" value="1">');
  const { page, show } = scene;
  await page.fill("[name=n]", "");
  await page.keyboard.type("-");
  await show('<input name="n" type="number" value="2">');
  await page.keyboard.type("3");
  assert.equal(await page.inputValue("[name=n]"), "-3");
});

const WRITING = [
  ["<input>", '<input name="a" value="TEXT">'],
  ["<textarea>", '<textarea name="a">TEXT</textarea>'],
  ["text edited in place", "<p contenteditable>TEXT</p>"],
] as const;

for (const [name, template] of WRITING) {
  const isInPlace = template.includes("contenteditable");
  // Text that is edited in place is replaced when the server's text changes.
  const markup = (text: string, n: number) =>
    `<i>${n}</i>` + template.replace("TEXT", isInPlace ? "HEADTAIL" : text);
  const textOf = (page: Page) =>
    page.evaluate(() => {
      const field = document.querySelector<Field>("[name=a],[contenteditable]")!;
      return field.value ?? field.textContent;
    });

  Deno.test(`The caret stays where the reader types, in ${name}`, WITH_BROWSER, async () => {
    await using scene = await startScene(markup("HEADTAIL", 0));
    const { page, show, errors } = scene;
    await page.evaluate(() => {
      const field = document.querySelector<HTMLElement>("[name=a],[contenteditable]")!;
      field.onblur = () => console.error("It lost the focus");
      field.focus();
    });
    await page.keyboard.press("Home");
    for (let n = 0; n < 4; n++) await page.keyboard.press("ArrowRight");
    let typed = "";
    for (const [n, way] of WAYS.entries()) {
      for (const key of `${n}ab`) await page.keyboard.type(key);
      typed += `${n}ab`;
      await show(markup(`news ${n}`, n), way);
    }
    assert.equal(await textOf(page), `HEAD${typed}TAIL`);
    await page.keyboard.press("Shift+ArrowLeft");
    await show(markup("more", 9));
    await page.keyboard.type("!");
    assert.equal(await textOf(page), `HEAD${typed.slice(0, -1)}!TAIL`);
    await page.keyboard.press("Control+z");
    assert.equal(await textOf(page), `HEAD${typed}TAIL`);
    assert.deepEqual(errors, []);
  });

  Deno.test(`The composition of a word continues, in ${name}`, WITH_BROWSER, async () => {
    await using scene = await startScene(markup("HEADTAIL", 0));
    const { page, context, show, errors } = scene;
    await page.evaluate(() => {
      const field = document.querySelector<HTMLElement>("[name=a],[contenteditable]")!;
      const seen: string[] = [];
      Object.assign(window, { seen });
      for (const type of ["compositionstart", "compositionend"]) {
        field.addEventListener(type, () => seen.push(type));
      }
      field.focus();
    });
    await page.keyboard.press("Home");
    for (let n = 0; n < 4; n++) await page.keyboard.press("ArrowRight");
    const cdp = await context.newCDPSession(page);
    const compose = (text: string) =>
      cdp.send("Input.imeSetComposition", {
        text,
        selectionStart: text.length,
        selectionEnd: text.length,
      });
    await compose("に");
    await show(markup("HEADTAIL", 1));
    await compose("にほ");
    await show(markup("news", 2), "refresh");
    await compose("にほん");
    await cdp.send("Input.insertText", { text: "日本" });
    assert.equal(await textOf(page), "HEAD日本TAIL");
    assert.deepEqual(await page.evaluate("seen"), ["compositionstart", "compositionend"]);
    assert.deepEqual(errors, []);
  });
}

Deno.test("The focus and the caret follow a field without an id", WITH_BROWSER, async () => {
  const field = '<p>Name</p><input name="a">';
  await using scene = await startScene(field);
  const { page, show } = scene;
  await page.focus("[name=a]");
  await show(`<p>New</p><input name="n">${field}`);
  await page.keyboard.type("ab");
  await page.keyboard.press("ArrowLeft");
  await show(`<input name="m"><p>New</p><input name="n">${field}`, "refresh");
  await page.keyboard.type("c");
  const all = page.locator("input");
  assert.deepEqual(await all.evaluateAll((all) => all.map((field) => (field as Field).value)), [
    "",
    "",
    "acb",
  ]);
});

Deno.test(
  "A default that stays the same is not written, because the browser may hide what it has autofilled",
  WITH_BROWSER,
  async () => {
    await using scene = await startScene('<input name="a"><textarea name="t"></textarea>');
    const { page, show } = scene;
    await page.evaluate(() => {
      const written: string[] = [];
      for (const field of document.querySelectorAll<Field>("[name]")) {
        const set = () => written.push(field.localName);
        Object.defineProperty(field, "value", { get: () => "", set });
      }
      Object.assign(window, { written });
    });
    await show('<input name="a"><textarea name="t"></textarea>');
    await show('<input name="a" class="b"><textarea name="t"></textarea>', "refresh");
    assert.deepEqual(await page.evaluate("written"), []);
  },
);

Deno.test("Text that is edited in place again is kept again", WITH_BROWSER, async () => {
  await using scene = await startScene("<p contenteditable>x</p>");
  const { page, show } = scene;
  const type = async (text: string) => {
    await page.focus("p");
    await page.keyboard.press("End");
    await page.keyboard.type(text);
  };
  await type("1");
  await show("<p contenteditable>news</p>");
  assert.equal(await page.textContent("p"), "news");
  await type("2");
  await show("<p contenteditable>news</p>");
  assert.equal(await page.textContent("p"), "news2");
});
