/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { action, html, raw, replace, update } from "../turbo/mod.ts";
import { check, choose, edited, files, radio, radios, selected, startScene } from "./keep_kit.ts";
import { type Field, type Row, typed, value } from "./keep_kit.ts";
import { WITH_BROWSER } from "./kit.ts";

const LOST: Row[] = [
  {
    name: "a choice that is no longer offered",
    before: '<select name="a"><option>1<option>2<option>3</select>',
    act: (field) => field.value = "3",
    after: ['<select name="a"><option>1<option selected>2</select>'],
    shown: selected,
    is: ["2", "2"],
  },
  {
    name: "a radio that is no longer offered",
    before: radios("a", "b", "c"),
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [radios("a", "c")],
    shown: radio,
    is: ["a", "a"],
  },
  {
    name: "text of a field that has another name now",
    before: '<input id="i-ROW" name="a" value="x">',
    act: typed,
    after: ['<input id="i-ROW" name="b" value="y">'],
    shown: value,
    is: ["y", "y"],
  },
  {
    name: "text of a field that is of another type now",
    before: '<input id="j-ROW" name="a" value="x">',
    act: typed,
    after: ['<input id="j-ROW" name="a" type="number" value="5">'],
    shown: value,
    is: ["5", "5"],
  },
  {
    name: "a checkbox that has another value now",
    before: '<input id="k-ROW" name="a" type="checkbox" value="1">',
    act: (field) => field.checked = true,
    after: ['<input id="k-ROW" name="a" type="checkbox" value="2">'],
    shown: (field) => field.checked,
    is: false,
  },
  {
    name: "a radio that has another value now",
    before: radios("a", "b").replace("<input", '<input id="m-ROW"').replace(
      /<input(?= type)/,
      '<input id="n-ROW"',
    ),
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [
      radios("a", "c").replace("<input", '<input id="m-ROW"').replace(
        /<input(?= type)/,
        '<input id="n-ROW"',
      ),
    ],
    shown: radio,
    is: ["a", "a"],
  },
  {
    name: "a file, and another field replaces its field",
    before: '<input name="a" type="file">',
    act: choose,
    after: ['<input name="b" type="file">'],
    shown: files,
    is: [],
  },
  {
    name: "a file of a field that has another name now",
    before: '<input id="l-ROW" name="a" type="file">',
    act: choose,
    after: ['<input id="l-ROW" name="b" type="file">'],
    shown: files,
    is: [],
  },
  {
    name: "an incomplete number, and another field replaces its field",
    before: '<input name="a" type="number">',
    act: typed,
    after: ['<input name="b" type="number">'],
    shown: value,
    is: ["", ""],
  },
];

const typedInB = (_: Field, row: HTMLElement) =>
  row.querySelector<HTMLInputElement>("[name=b]")!.value = "typed";
const typedInSecond = (_: Field, row: HTMLElement) =>
  row.querySelectorAll("input")[1]!.value = "typed";
const values = (_: Field, row: HTMLElement) =>
  Array.from(row.querySelectorAll("input"), ({ name, value }) => `${name}=${value}`).join(" ");

const WITHOUT_IDS: Row[] = [
  {
    name: "a field inserted before it",
    before: '<p>p</p><input name="a"><input name="b"><input name="c">',
    act: typedInB,
    after: ['<p>new</p><input name="n"><p>p</p><input name="a"><input name="b"><input name="c">'],
    shown: values,
    is: "n= a= b=typed c=",
  },
  {
    name: "the field before it removed",
    before: '<input name="a"><input name="b"><input name="c">',
    act: typedInB,
    after: ['<input name="b"><input name="c">'],
    shown: values,
    is: "b=typed c=",
  },
  {
    name: "the field itself removed",
    before: '<input name="a"><input name="b"><input name="c">',
    act: typedInB,
    after: ['<input name="a"><input name="c">'],
    shown: values,
    is: "a= c=",
  },
  {
    name: "a field that moves into other elements",
    before: '<p><input name="b"></p>',
    act: typedInB,
    after: ['<div><label>B <input name="b" value="news"></label></div>'],
    shown: values,
    is: "b=typed",
  },
  {
    name: "a textarea and a select inserted before others of their kind",
    before: '<textarea name="a"></textarea><select name="b"><option>1<option>2</select>',
    act: (_, row) => {
      row.querySelector("textarea")!.value = "typed";
      row.querySelector("select")!.value = "2";
    },
    after: [
      '<textarea name="n"></textarea><textarea name="a"></textarea>' +
      '<select name="m"><option>1<option>2</select><select name="b"><option>1<option>2</select>',
    ],
    shown: (_, row) =>
      Array.from(row.querySelectorAll("textarea, select"), (e) => (e as Field).value),
    is: ["", "typed", "1", "2"],
  },
  {
    name: "rows of one name, one inserted first",
    before:
      '<li><input name="i" value="1"><li><input name="i" value="2"><li><input name="i" value="3">',
    act: typedInSecond,
    after: [
      '<li><input name="i" value="0"><li><input name="i" value="1"><li><input name="i" value="2"><li><input name="i" value="3">',
    ],
    shown: values,
    is: "i=0 i=1 i=typed i=3",
  },
  {
    name: "rows of one name, one removed",
    before: '<li><input name="i" value="1"><li><input name="i" value="2">',
    act: (_, row) => row.querySelector("input")!.value = "typed",
    after: ['<li><input name="i" value="2">'],
    shown: values,
    is: "i=2",
  },
  {
    name: "rows of one name, in another order",
    before: '<li><input name="i" value="1"><li><input name="i" value="2">',
    act: typedInSecond,
    after: ['<li><input name="i" value="2"><li><input name="i" value="1">'],
    shown: values,
    is: "i=typed i=1",
  },
  {
    name: "rows of one name, in an order of ids around them",
    before: '<li id="ROW-1"><input name="i"><li id="ROW-2"><input name="i">',
    act: typedInSecond,
    after: [
      '<li id="ROW-3"><input name="i"><li id="ROW-2"><input name="i" value="news"><li id="ROW-1"><input name="i">',
    ],
    shown: values,
    is: "i= i=typed i=",
  },
  {
    name: "rows of one name and no default, as many",
    before: '<li><input name="i"><li><input name="i">',
    act: typedInSecond,
    after: ['<li class="a"><input name="i"><li class="b"><input name="i">'],
    shown: values,
    is: "i= i=typed",
  },
  {
    name: "rows of one name and no default, one more: which is which is unknown",
    before: '<li><input name="i"><li><input name="i">',
    act: typedInSecond,
    after: ['<li><input name="i"><li><input name="i"><li><input name="i">'],
    shown: values,
    is: "i= i= i=",
  },
  {
    name: "rows of one name and no default, one saved and one more",
    before: '<li><input name="i"><li><input name="i">',
    act: (_, row) => row.querySelector("input")!.value = "typed",
    after: ['<li><input name="i" value="saved"><li><input name="i"><li><input name="i">'],
    shown: values,
    is: "i=saved i= i=",
  },
  {
    name: "forms with other actions, one inserted first",
    before: '<form action="/1"><input name="a"></form><form action="/2"><input name="a"></form>',
    act: typedInSecond,
    after: [
      '<form action="/0"><input name="a"></form><form action="/1"><input name="a"></form><form action="/2"><input name="a"></form>',
    ],
    shown: values,
    is: "a= a= a=typed",
  },
  {
    name: "radios of forms with other actions, one inserted first",
    before: `<form action="/1">${radios("a", "b")}</form>`,
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [
      `<form action="/0">${radios("a", "b")}</form><form action="/1">${radios("a", "b")}</form>`,
    ],
    shown: radio,
    is: ["a,b", "a,a"],
  },
  {
    name: "<details> inserted before an opened one",
    before: "<details><summary>A</summary></details><details><summary>B</summary></details>",
    act: (_, row) => row.querySelectorAll("details")[1]!.open = true,
    after: [
      "<details><summary>0</summary></details><details><summary>A</summary></details><details><summary>B</summary></details>",
    ],
    shown: (_, row) => Array.from(row.querySelectorAll("details"), ({ open }) => open),
    is: [false, false, true],
  },
  {
    name: "text edited in place, another inserted before it",
    before: "<p contenteditable>x</p>",
    act: edited,
    after: ["<p contenteditable>0</p><p contenteditable>x</p>"],
    shown: (_, row) => Array.from(row.querySelectorAll("p"), ({ textContent }) => textContent),
    is: ["0", "typed"],
  },
];

/** Properties that fields can hide from a form. Turbo itself reads some others, such as `getAttribute`. */
const CLOBBERING = [
  ...["id", "name", "action", "method", "elements", "matches", "closest", "contains", "innerHTML"],
  ...[
    "querySelectorAll",
    "open",
    "options",
    "type",
    "value",
    "form",
    "checked",
    "validity",
    "length",
  ],
  ...["isConnected", "tagName", "parentElement", "addEventListener", "defaultValue", "constructor"],
];

const CLOBBERED: Row[] = CLOBBERING.map((name) => ({
  name: `a field named ${name}`,
  before: `<form><input name="${name}" value="x"><input type="checkbox" name="c"></form>`,
  act: (field, row) => {
    field.value = "typed";
    row.querySelectorAll("input")[1]!.checked = true;
  },
  after: [`<form><input name="${name}" value="news"><input type="checkbox" name="c"></form>`],
  shown: (field, row) => [field.value, row.querySelectorAll("input")[1]!.checked],
  is: name === "tagName" ? ["news", false] : ["typed", true], // Turbo treats it as another form
}));

for (const way of ["refresh", "replace"] as const) {
  Deno.test(`No field gets the state of another, by ${way}`, WITH_BROWSER, async () => {
    await check(LOST, way);
  });
  Deno.test(
    `Fields without an id are found again by what they are, by ${way}`,
    WITH_BROWSER,
    async () => {
      await check(WITHOUT_IDS, way);
    },
  );
  Deno.test(
    `No property that fields can hide is read from a form, by ${way}`,
    WITH_BROWSER,
    async () => {
      await check(CLOBBERED, way);
    },
  );
}

Deno.test("A stream recognizes the fields in each of its targets", WITH_BROWSER, async () => {
  const cards = '<div class="card"><input name="a"></div><div class="card"><input name="a"></div>';
  await using scene = await startScene(cards);
  const { app, page, errors } = scene;
  for (const [index, field] of (await page.locator("input").all()).entries()) {
    await field.fill(`typed ${index}`);
  }
  const card = html`<div class="card new"><input name="n"><input name="a"></div>`;
  app.turbo.push(replace({ all: ".card" }, card, { morph: true }));
  await page.waitForSelector(".new");
  const fields = await page.locator("input").evaluateAll((all) =>
    (all as Field[]).map((field) => `${field.id}${field.getAttribute("name")}=${field.value}`)
  );
  assert.deepEqual(fields, ["n=", "a=typed 0", "n=", "a=typed 1"]);
  assert.deepEqual(errors, []);
});

Deno.test(
  "A stream recognizes the fields of a form that is its target",
  WITH_BROWSER,
  async () => {
    const field = '<input name="a">';
    await using scene = await startScene(
      `<form id="form">${field}</form><form id="other">${field}</form>`,
    );
    const { app, page } = scene;
    await page.fill("#form input", "typed");
    app.turbo.push(update("form", raw(`<input name="n">${field}`), { morph: true }));
    await page.waitForSelector("[name=n]");
    assert.equal(await page.inputValue("#form [name=a]"), "typed");
  },
);

Deno.test(
  "The focus stays in a row that is like others when another row is added",
  WITH_BROWSER,
  async () => {
    const row = '<li><input name="i"></li>';
    await using scene = await startScene(row + row);
    const { page, show } = scene;
    await page.locator("input").nth(1).focus();
    await show(row + row + row);
    await page.keyboard.type("typed");
    assert.equal(await page.locator("input").nth(1).inputValue(), "typed");
  },
);

Deno.test("An action of the app's own may morph in its own way", WITH_BROWSER, async () => {
  await using scene = await startScene('<input name="a">');
  const { app, page, errors } = scene;
  await page.evaluate(() => {
    const { Turbo } = window as unknown as { Turbo: { StreamActions: Record<string, () => void> } };
    Turbo.StreamActions["mark"] = () => document.querySelector("#box")!.classList.add("marked");
  });
  await page.fill("input", "typed");
  app.turbo.push(action("mark", { attributes: { method: "morph" } }));
  await page.waitForSelector("#box.marked");
  assert.deepEqual(errors, []);
});

Deno.test("A morph by a script of the app keeps what was typed, too", WITH_BROWSER, async () => {
  await using scene = await startScene(
    '<input id="a" name="a"><input id="b" name="b" type="number">',
  );
  const { page, errors } = scene;
  await page.fill("#a", "typed");
  await page.focus("#b");
  await page.keyboard.type("-");
  await page.evaluate(() => {
    const { Turbo } = window as unknown as {
      Turbo: { morphChildren(element: Element, newer: Element): void };
    };
    const newer = document.createElement("div");
    newer.innerHTML =
      '<p>new</p><input id="a" name="a" value="news"><input id="b" name="b" type="number">';
    Turbo.morphChildren(document.querySelector("#box")!, newer);
  });
  await page.keyboard.type("5");
  assert.deepEqual([await page.inputValue("#a"), await page.inputValue("#b")], ["typed", "-5"]);
  assert.deepEqual(errors, []);
});

Deno.test(
  "Back restores what was typed and opened, which is kept, without ids of ours",
  WITH_BROWSER,
  async () => {
    const markup =
      `<input name="a"><details><summary>More</summary>text</details><a href="/?2">next</a>`;
    await using scene = await startScene(markup);
    const { page, show, errors } = scene;
    await page.fill("[name=a]", "typed");
    await page.click("summary");
    await show(`<input name="n">${markup}`);
    await page.click("a");
    await page.waitForURL("**/?2");
    await page.waitForSelector("details:not([open])");
    await page.goBack();
    await page.waitForSelector("details[open]");
    assert.equal(await page.locator('[id^="turbo-stream-keep"]').count(), 0);
    await show(`<input name="n"><input name="m">${markup}`, "refresh");
    assert.equal(await page.inputValue("[name=a]"), "typed");
    assert.equal(await page.locator("details[open]").count(), 1);
    assert.deepEqual(errors, []);
  },
);
