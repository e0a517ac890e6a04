/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { raw, replace } from "../turbo/mod.ts";
import { WAYS } from "./apps/keep_app.ts";
import { check, choose, edited, files, radio, radios, selected, startScene } from "./keep_kit.ts";
import { type Field, type Row, typed, value } from "./keep_kit.ts";
import { WITH_BROWSER } from "./kit.ts";

const opened = (field: Field) => field.open;

const KINDS: Row[] = [
  ...["text", "email", "search", "tel", "url", "password"].map((type) => ({
    name: `<input type=${type}>`,
    before: `<input name="a" type="${type}" value="x">`,
    act: typed,
    shown: value,
    is: ["typed", "x"],
  })),
  ...[["number", "7"], ["date", "2020-02-03"], ["time", "07:08"], ["month", "2020-02"]].map((
    [type, chosen],
  ) => ({
    name: `<input type=${type}>`,
    before: `<input name="a" type="${type}" data-chosen="${chosen}">`,
    act: (field: Field) => field.value = field.dataset["chosen"]!,
    shown: value,
    is: [chosen, ""],
  })),
  {
    name: "<input type=range>",
    before: '<input name="a" type="range">',
    act: (field) => field.value = "80",
    shown: value,
    is: ["80", ""],
  },
  {
    name: "<input type=color>",
    before: '<input name="a" type="color">',
    act: (field) => field.value = "#ff0000",
    shown: value,
    is: ["#ff0000", ""],
  },
  {
    name: "<textarea>",
    before: '<textarea name="a">\n\nx</textarea>',
    act: (field) => field.value = "typed\nmore",
    shown: value,
    is: ["typed\nmore", "\nx"],
  },
  {
    name: "<select>",
    before: '<select name="a"><option>1<option selected>2<option>3</select>',
    act: (field) => field.value = "3",
    shown: selected,
    is: ["3", "2"],
  },
  {
    name: "<select> without default",
    before: '<select name="a"><option>1<option>2<option>3</select>',
    act: (field) => field.value = "3",
    shown: selected,
    is: ["3", ""],
  },
  {
    name: "<select multiple>",
    before: '<select name="a" multiple><option selected>1<option>2<option>3</select>',
    act: (field) => [field.options[0]!.selected, field.options[2]!.selected] = [false, true],
    shown: selected,
    is: ["3", "1"],
  },
  {
    name: "<select multiple> without a choice",
    before: '<select name="a" multiple><option selected>1<option>2</select>',
    act: (field) => field.options[0]!.selected = false,
    shown: selected,
    is: ["", "1"],
  },
  {
    name: "<select size=3> without a choice",
    before: '<select name="a" size="3"><option selected>1<option>2</select>',
    act: (field) => field.selectedIndex = -1,
    shown: selected,
    is: ["", "1"],
  },
  {
    name: "a checkbox checked",
    before: '<input name="a" type="checkbox">',
    act: (field) => field.checked = true,
    shown: (field) => [field.checked, field.defaultChecked],
    is: [true, false],
  },
  {
    name: "a checkbox unchecked",
    before: '<input name="a" type="checkbox" checked>',
    act: (field) => field.checked = false,
    shown: (field) => [field.checked, field.defaultChecked],
    is: [false, true],
  },
  {
    name: "a radio",
    before: radios("a", "b", "c"),
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    shown: radio,
    is: ["b", "a"],
  },
  {
    name: "<details> opened",
    before: "<details><summary>More</summary>text</details>",
    act: (field) => field.open = true,
    shown: opened,
    is: true,
  },
  {
    name: "<details open> closed",
    before: "<details open><summary>More</summary>text</details>",
    act: (field) => field.open = false,
    shown: opened,
    is: false,
  },
  {
    name: "<details> in <details>",
    before: "<details><summary>A</summary><details><summary>B</summary>text</details></details>",
    act: (_, row) => row.querySelectorAll("details").forEach((panel) => panel.open = true),
    shown: (_, row) => Array.from(row.querySelectorAll("details"), ({ open }) => open),
    is: [true, true],
  },
  {
    name: "<details> of which only one can be open",
    before: '<details name="g" open><summary>A</summary></details><details name="g"></details>',
    act: (_, row) => row.querySelectorAll("details")[1]!.open = true,
    shown: (_, row) => Array.from(row.querySelectorAll("details"), ({ open }) => open),
    is: [false, true],
  },
  {
    name: "<dialog> shown",
    before: "<dialog>text</dialog>",
    act: (field) => field.show(),
    shown: opened,
    is: true,
  },
  {
    name: "a popover",
    before: '<div popover data-a>text</div><input name="a">',
    act: (_, row) => row.querySelector<HTMLElement>("[popover]")!.showPopover(),
    shown: (_, row) => row.querySelector("[popover]")!.matches(":popover-open"),
    is: true,
  },
  {
    name: "a file",
    before: '<input name="a" type="file">',
    act: choose,
    shown: files,
    is: ["a.txt"],
  },
  {
    name: "a file, and the server sends a value",
    before: '<input name="a" type="file" value="x">',
    act: choose,
    shown: files,
    is: ["a.txt"],
  },
  {
    name: "a control of a form in another place",
    before: '<form id="elsewhere"></form><input name="a" form="elsewhere" value="x">',
    act: typed,
    shown: value,
    is: ["typed", "x"],
  },
  {
    name: "a control in a disabled fieldset",
    before: '<fieldset disabled><input name="a" value="x"></fieldset>',
    act: typed,
    shown: value,
    is: ["typed", "x"],
  },
  {
    name: "a control in an element of the app's",
    before: '<my-field><input name="a" value="x"></my-field>',
    act: typed,
    shown: value,
    is: ["typed", "x"],
  },
  {
    name: "a control without a name",
    before: '<input name="">',
    act: typed,
    shown: value,
    is: ["typed", ""],
  },
];

for (const way of WAYS) {
  Deno.test(
    `What was typed, chosen and opened stays in each kind of field, by ${way}`,
    WITH_BROWSER,
    async () => {
      await check(KINDS, way);
      const withIds = (markup: string) =>
        markup.replace(
          /<(input|textarea|select|details|dialog)/g,
          (start, _, at) => `${start} id="field-ROW-${at}"`,
        );
      await check(KINDS.map((row) => ({ ...row, before: withIds(row.before) })), way);
    },
  );
}

const FOLLOWING: Row[] = [
  {
    name: "clean text",
    before: '<input name="a" value="x">',
    after: ['<input name="a" value="y">'],
    shown: value,
    is: ["y", "y"],
  },
  {
    name: "clean textarea",
    before: '<textarea name="a">x</textarea>',
    after: ['<textarea name="a">y</textarea>'],
    shown: value,
    is: ["y", "y"],
  },
  {
    name: "clean select",
    before: '<select name="a"><option selected>1<option>2</select>',
    after: ['<select name="a"><option>1<option selected>2</select>'],
    shown: selected,
    is: ["2", "2"],
  },
  {
    name: "clean select without default, an option inserted first",
    before: '<select name="a"><option>1<option>2</select>',
    after: ['<select name="a"><option>0<option>1<option>2</select>'],
    shown: selected,
    is: ["0", ""],
  },
  {
    name: "clean checkbox",
    before: '<input name="a" type="checkbox">',
    after: ['<input name="a" type="checkbox" checked>'],
    shown: (field) => field.checked,
    is: true,
  },
  {
    name: "clean radios, an earlier one",
    before:
      '<input type="radio" name="r-ROW" value="a"><input type="radio" name="r-ROW" value="b" checked>',
    after: [radios("a", "b")],
    shown: radio,
    is: ["a", "a"],
  },
  {
    name: "clean radios, a later one",
    before: radios("a", "b"),
    after: [
      '<input type="radio" name="r-ROW" value="a"><input type="radio" name="r-ROW" value="b" checked>',
    ],
    shown: radio,
    is: ["b", "b"],
  },
  {
    name: "a range whose default is not written",
    before: '<input name="a" type="range">',
    after: ['<input name="a" type="range" value="70">'],
    shown: value,
    is: ["70", "70"],
  },
  {
    name: "a color whose default is not written",
    before: '<input name="a" type="color">',
    after: ['<input name="a" type="color" value="#00ff00">'],
    shown: value,
    is: ["#00ff00", "#00ff00"],
  },
  {
    name: "typed back to the default",
    before: '<input name="a" value="x">',
    act: (field) => [field.value = "typed", field.value = "x"],
    after: ['<input name="a" value="y">'],
    shown: value,
    is: ["y", "y"],
  },
  {
    name: "a form that was reset",
    before: '<form><input name="a" value="x"></form>',
    act: (field) => [field.value = "typed", field.form.reset()],
    after: ['<form><input name="a" value="y"></form>'],
    shown: value,
    is: ["y", "y"],
  },
  {
    name: "text that the server then has too",
    before: '<input name="a" value="x">',
    act: typed,
    after: ['<input name="a" value="typed">', '<input name="a" value="newer">'],
    shown: value,
    is: ["newer", "newer"],
  },
  {
    name: "textarea that the server then has too",
    before: '<textarea name="a">x</textarea>',
    act: typed,
    after: ['<textarea name="a">typed</textarea>', '<textarea name="a">newer</textarea>'],
    shown: value,
    is: ["newer", "newer"],
  },
  {
    name: "a choice that the server then has too",
    before: '<select name="a"><option selected>1<option>2<option>3</select>',
    act: (field) => field.value = "2",
    after: [
      '<select name="a"><option>1<option selected>2<option>3</select>',
      '<select name="a"><option>1<option>2<option selected>3</select>',
    ],
    shown: selected,
    is: ["3", "3"],
  },
  {
    name: "a checkbox that the server then has too",
    before: '<input name="a" type="checkbox">',
    act: (field) => field.checked = true,
    after: ['<input name="a" type="checkbox" checked>', '<input name="a" type="checkbox">'],
    shown: (field) => [field.checked, field.defaultChecked],
    is: [false, false],
  },
  {
    name: "a radio that the server then has too",
    before: radios("a", "b", "c"),
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [
      radios("a", "b", "c").replace(" checked", "").replace('"b"', '"b" checked'),
      radios("a", "b", "c").replace(" checked", "").replace('"c"', '"c" checked'),
    ],
    shown: radio,
    is: ["c", "c"],
  },
  {
    name: "<details> that the server opens",
    before: "<details><summary>A</summary></details>",
    after: ["<details open><summary>A</summary></details>"],
    shown: opened,
    is: true,
  },
  {
    name: "<details> that the reader opened and the server opens and closes",
    before: "<details><summary>A</summary></details>",
    act: (field) => field.open = true,
    after: [
      "<details open><summary>A</summary></details>",
      "<details><summary>A</summary></details>",
    ],
    shown: opened,
    is: false,
  },
  {
    name: "<dialog> that the server opens",
    before: "<dialog>text</dialog>",
    after: ["<dialog open>text</dialog>"],
    shown: opened,
    is: true,
  },
  {
    name: "text edited in place, nothing typed",
    before: "<p contenteditable>x</p>",
    after: ["<p contenteditable>y</p>"],
    shown: (field) => field.textContent,
    is: "y",
  },
  {
    name: "<output>, which is the app's",
    before: '<output name="a">1</output>',
    act: (field) => field.value = "2",
    after: ['<output name="a">3</output>'],
    shown: (field) => field.value,
    is: "3",
  },
  {
    name: "a hidden input, which is the app's",
    before: '<input type="hidden" name="a" value="1">',
    act: typed,
    after: ['<input type="hidden" name="a" value="2">'],
    shown: value,
    is: ["2", "2"],
  },
];

const STAYING: Row[] = [
  {
    name: "text, and the server changes the default",
    before: '<input name="a" value="x">',
    act: typed,
    after: ['<input name="a" value="news">'],
    shown: value,
    is: ["typed", "news"],
  },
  {
    name: "text, and the server removes the default",
    before: '<input name="a" value="x">',
    act: typed,
    after: ['<input name="a">'],
    shown: value,
    is: ["typed", ""],
  },
  {
    name: "text, and the server changes the default twice",
    before: '<textarea name="a">x</textarea>',
    act: typed,
    after: ['<textarea name="a">news</textarea>', '<textarea name="a">newer</textarea>'],
    shown: value,
    is: ["typed", "newer"],
  },
  {
    name: "text that the reader deleted",
    before: '<input name="a" value="x">',
    act: (field) => field.value = "",
    after: ['<input name="a" value="news">'],
    shown: value,
    is: ["", "news"],
  },
  {
    name: "a choice, and the server chooses another",
    before: '<select name="a"><option selected>1<option>2<option>3</select>',
    act: (field) => field.value = "2",
    after: ['<select name="a"><option>1<option>2<option selected>3</select>'],
    shown: selected,
    is: ["2", "3"],
  },
  {
    name: "a choice, and an option is inserted first",
    before: '<select name="a"><option>a<option>b<option>c</select>',
    act: (field) => field.value = "c",
    after: ['<select name="a"><option>0<option>a<option>b<option>c</select>'],
    shown: selected,
    is: ["c", ""],
  },
  {
    name: "a choice, and the options change their order",
    before: '<select name="a"><option selected>a<option>b<option>c</select>',
    act: (field) => field.value = "c",
    after: ['<select name="a"><option>c<option>b<option selected>a</select>'],
    shown: selected,
    is: ["c", "a"],
  },
  {
    name: "a choice, and the options come in groups",
    before: '<select name="a"><optgroup label="A"><option>a<option>b</optgroup></select>',
    act: (field) => field.value = "b",
    after: [
      '<select name="a"><optgroup label="B"><option>0</optgroup><optgroup label="A"><option>a<option>b</optgroup></select>',
    ],
    shown: selected,
    is: ["b", ""],
  },
  {
    name: "choices, and one is no longer offered",
    before: '<select name="a" multiple><option>a<option>b<option>c</select>',
    act: (field) => [field.options[0]!.selected, field.options[2]!.selected] = [true, true],
    after: ['<select name="a" multiple><option>b<option>c</select>'],
    shown: selected,
    is: ["c", ""],
  },
  {
    name: "a choice by value, and the options have other texts",
    before: '<select name="a"><option value="1">One<option value="2">Two</select>',
    act: (field) => field.value = "2",
    after: ['<select name="a"><option value="1">Un<option value="2">Deux</select>'],
    shown: (field) => [field.value, field.selectedOptions[0]!.text],
    is: ["2", "Deux"],
  },
  {
    name: "a checkbox, and the server changes the default",
    before: '<input name="a" type="checkbox" value="1">',
    act: (field) => field.checked = true,
    after: [
      '<input name="a" type="checkbox" value="1" checked>',
      '<input name="a" type="checkbox" value="1" checked class="x">',
    ],
    shown: (field) => [field.checked, field.defaultChecked],
    is: [true, true],
  },
  {
    name: "one checkbox of several with a name",
    before: '<input name="a" type="checkbox" value="1"><input name="a" type="checkbox" value="2">',
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [
      '<input name="a" type="checkbox" value="0"><input name="a" type="checkbox" value="1"><input name="a" type="checkbox" value="2">',
    ],
    shown: (_, row) => Array.from(row.querySelectorAll("input"), ({ checked }) => checked),
    is: [false, false, true],
  },
  {
    name: "a radio, and the server chooses another",
    before: radios("a", "b", "c"),
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [radios("a", "b", "c").replace(" checked", "").replace('"c"', '"c" checked')],
    shown: radio,
    is: ["b", "c"],
  },
  {
    name: "a radio, and the server inserts and chooses one before it",
    before: radios("a", "b"),
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [radios("0", "a", "b")],
    shown: radio,
    is: ["b", "0"],
  },
  {
    name: "a radio, and the server adds and chooses one after it",
    before: radios("a", "b"),
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [radios("a", "b", "c").replace(" checked", "").replace('"c"', '"c" checked')],
    shown: radio,
    is: ["b", "c"],
  },
  {
    name: "radios of one name in two forms",
    before: `<form id="one">${radios("a", "b")}</form><form id="two">${radios("a", "b")}</form>`,
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [
      `<form id="one">${radios("a", "b")}</form><form id="two">${
        radios("a", "b").replace(" checked", "").replace('"b"', '"b" checked')
      }</form>`,
    ],
    shown: radio,
    is: ["b,b", "a,b"],
  },
  {
    name: "a radio of which the server has chosen none",
    before: radios("a", "b").replace(" checked", ""),
    act: (_, row) => row.querySelectorAll("input")[1]!.checked = true,
    after: [radios("a", "b")],
    shown: radio,
    is: ["b", "a"],
  },
  {
    name: "text in a field that the server disables",
    before: '<input name="a" value="x">',
    act: typed,
    after: ['<input name="a" value="x" disabled>'],
    shown: (field) => [field.value, field.disabled],
    is: ["typed", true],
  },
  {
    name: "text in a fieldset that the server disables",
    before: '<fieldset><input name="a" value="x"></fieldset>',
    act: typed,
    after: ['<fieldset disabled><input name="a" value="news"></fieldset>'],
    shown: (field) => [field.value, field.matches(":disabled")],
    is: ["typed", true],
  },
  {
    name: "a password that the page shows",
    before: '<input name="a" type="password">',
    act: (field) => [field.setAttribute("type", "text"), field.value = "typed"],
    shown: (field) => [field.value, field.getAttribute("type")],
    is: ["typed", "password"],
  },
  {
    name: "<details> with another summary",
    before: "<details><summary>2 answers</summary></details>",
    act: (field) => field.open = true,
    after: ["<details><summary>3 answers</summary></details>"],
    shown: opened,
    is: true,
  },
  {
    name: "<details> of several, with another summary",
    before:
      "<details><summary>A</summary></details><details><summary>2 answers</summary></details>",
    act: (_, row) => row.querySelectorAll("details")[1]!.open = true,
    after: [
      "<details><summary>A</summary></details><details><summary>3 answers</summary></details>",
    ],
    shown: (_, row) => Array.from(row.querySelectorAll("details"), ({ open }) => open),
    is: [false, true],
  },
  {
    name: "<details> with other markup around and in it",
    before: "<div><details><summary>A</summary>x</details></div>",
    act: (field) => field.open = true,
    after: ['<p>new</p><div class="a"><details class="b"><summary>A</summary>y</details></div>'],
    shown: (field) => [field.open, field.className, field.lastChild!.textContent],
    is: [true, "b", "y"],
  },
  {
    name: "<details open> closed, and the server does not change it",
    before: "<details open><summary>A</summary></details>",
    act: (field) => field.open = false,
    after: [
      "<details open><summary>A</summary>x</details>",
      "<details open><summary>A</summary>y</details>",
    ],
    shown: opened,
    is: false,
  },
];

const EDITED: Row[] = [
  {
    name: "its markup is the same",
    before: "<p contenteditable>x <i>y</i></p>",
    act: edited,
    after: ["<p contenteditable>x <i>y</i></p>", "<p contenteditable>x <i>y</i></p>"],
    shown: (field) => field.innerHTML,
    is: "<b>typed</b>",
  },
  {
    name: "its markup changes",
    before: "<p contenteditable>x</p>",
    act: edited,
    after: ["<p contenteditable>news</p>"],
    shown: (field) => field.innerHTML,
    is: "news",
  },
  {
    name: "its markup changes twice",
    before: "<p contenteditable>x</p>",
    act: edited,
    after: ["<p contenteditable>news</p>", "<p contenteditable>newer</p>"],
    shown: (field) => field.innerHTML,
    is: "newer",
  },
  {
    name: "it is no longer editable",
    before: "<p contenteditable>x</p>",
    act: edited,
    after: ['<p contenteditable="false">x</p>'],
    shown: (field) => [field.innerHTML, field.isContentEditable],
    is: ["x", false],
  },
];

for (const way of ["refresh", "replace"] as const) {
  Deno.test(
    `What the reader has not changed follows the server, by ${way}`,
    WITH_BROWSER,
    async () => {
      await check(FOLLOWING, way);
    },
  );
  Deno.test(
    `What the reader has changed stays, and its default follows, by ${way}`,
    WITH_BROWSER,
    async () => {
      await check(STAYING, way);
    },
  );
  Deno.test(
    `Text that is edited in place stays unless the server changes it, by ${way}`,
    WITH_BROWSER,
    async () => {
      await check(EDITED, way);
    },
  );
}

Deno.test("A later page brings its own defaults", WITH_BROWSER, async () => {
  const markup = '<a href="/?2">next</a><details><summary>More</summary></details>';
  await using scene = await startScene(markup);
  const { page, show } = scene;
  await page.click("a");
  await page.waitForURL("**/?2");
  await show(markup.replace("<details", "<details open"));
  assert.equal(await page.locator("details[open]").count(), 1);
});

Deno.test(
  "A stream keeps what the reader has chosen in the target itself",
  WITH_BROWSER,
  async () => {
    const [first, second] = ["a", "b"].map((value) =>
      `<input type="radio" name="r" id="${value}" value="${value}">`
    );
    await using scene = await startScene(first! + second!);
    const { app, page } = scene;
    await page.check("#b");
    app.turbo.push(
      replace("b", raw(second!.replace("<input", '<input class="new"')), { morph: true }),
    );
    await page.waitForSelector(".new");
    assert.equal(await page.isChecked("#b"), true);
  },
);

Deno.test(
  "A frame that is refreshed by a morph keeps what was typed in it",
  WITH_BROWSER,
  async () => {
    const frame = '<turbo-frame id="frame" src="/frame" refresh="morph"></turbo-frame>';
    await using scene = await startScene("");
    const { app, page, show, errors } = scene;
    app.answer = () => {
      // Each time another one is inserted first.
      const before = Array.from({ length: app.version }, (_, n) => `<input name="n${n}">`).join("");
      const fields = `${before}<input name="a"><i class="n${app.version}">${app.version}</i>`;
      const markup = `<turbo-frame id="frame">${fields}</turbo-frame>`;
      return new Response(markup, { headers: { "Content-Type": "text/html" } });
    };
    await show(frame);
    await page.waitForSelector(".n1");
    await page.fill("[name=a]", "typed");
    await show(frame, "refresh");
    await page.waitForSelector(".n2");
    assert.equal(await page.inputValue("[name=a]"), "typed");
    assert.deepEqual(errors, []);
  },
);

Deno.test("What is typed before an app's delayed render stays", WITH_BROWSER, async () => {
  await using scene = await startScene('<input name="a">');
  const { app, page } = scene;
  await page.evaluate(() => {
    document.addEventListener("turbo:before-stream-render", (event) => {
      const { detail } = event as CustomEvent<{ render: (stream: Element) => Promise<void> }>;
      const { render } = detail;
      detail.render = async (stream) => {
        await new Promise((resolve) => Object.assign(window, { resolve }));
        await render(stream);
      };
    });
  });
  await app.show('<input name="n"><input name="a">');
  await page.waitForFunction("window.resolve");
  await page.fill("[name=a]", "typed");
  await page.evaluate("window.resolve()");
  await page.waitForSelector("[name=n]");
  assert.equal(await page.inputValue("[name=a]"), "typed");
});
