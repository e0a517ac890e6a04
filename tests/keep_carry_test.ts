/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type Page, startBrowser } from "./browser.ts";
import { type Field, radios, startScene } from "./keep_kit.ts";
import { serve, WITH_BROWSER } from "./kit.ts";

const LOADED = `
<form id="one"><input name="a" value="x"><input name="b"></form>
<form action="/two"><input name="a"><textarea name="t"></textarea></form>
<input name="row"><input name="row">
<select name="s"><option>1<option>2</select><select name="m" multiple><option>1<option>2</select>
<input name="c" type="checkbox">${radios("x", "y")}<input name="range" type="range">
<details><summary>More</summary>text</details><dialog><input name="d"></dialog>
<div data-not-carried>
  <input name="p" type="password"><input name="shown" type="password"><input name="password_2"><input name="u" type="file">
  <input name="o" autocomplete="off"><form autocomplete="off"><input name="f"></form>
  <input name="n" autocomplete="section-a cc-number"><input name="k" autocomplete="one-time-code">
  <input name="q" autocomplete="new-password"><p contenteditable>x</p>
</div>
<div style="height: 300vh"></div>`;

/** Changes every field of the page but one. */
function change(page: Page): Promise<void> {
  return page.evaluate(() => {
    const all = (selector: string) => [...document.querySelectorAll<Field>(selector)];
    for (const [index, field] of all("input:not([type]),textarea,[type=password]").entries()) {
      if (field.matches(":not([name=b])")) field.value = `typed ${index}`;
    }
    // As if the page had shown it since.
    const shown = document.querySelector<HTMLInputElement>("[name=shown]")!;
    shown.dispatchEvent(new InputEvent("input", { bubbles: true }));
    shown.type = "text";
    for (const field of all("select")) field.options[1]!.selected = true;
    for (const field of all("[type=checkbox],[value=y]")) field.checked = true;
    for (const field of all("[type=range]")) field.value = "80";
    const chosen = new DataTransfer();
    chosen.items.add(new File(["x"], "a.txt"));
    for (const field of all("[type=file]")) field.files = chosen.files;
    for (const field of all("details")) field.open = true;
    for (const field of all("dialog")) field.showModal();
    for (const field of all("[contenteditable]")) {
      field.dispatchEvent(new InputEvent("beforeinput", { bubbles: true }));
      field.textContent = "typed";
    }
    const focused = document.querySelector<HTMLInputElement>("[name=d]")!;
    focused.focus();
    focused.setSelectionRange(2, 4);
    scrollTo(0, 700);
  });
}

/** The fields that may be carried, and those that may not. */
function contents(page: Page): Promise<{ carried: string[]; others: string[]; scroll: number }> {
  return page.evaluate(() => {
    const fields = [
      ...document.querySelectorAll<Field>("input,textarea,select,details,dialog,[contenteditable]"),
    ].map((field) => {
      const { checked, localName, open, selectedOptions, value } = field;
      const { name = localName, selectionStart, selectionEnd } = field as Partial<HTMLInputElement>;
      const choice = selectedOptions && Array.from(selectedOptions, ({ value }) => value);
      const caret = field === document.activeElement ? [selectionStart, selectionEnd] : [];
      const isModal = field.matches(":modal");
      const others = open === undefined && value === undefined ? field.textContent : value;
      const isOther = field.matches("[data-not-carried] *");
      return {
        isOther,
        text: JSON.stringify([name, choice ?? others, checked, open, isModal, caret]),
      };
    });
    return {
      carried: fields.filter(({ isOther }) => !isOther).map(({ text }) => text),
      others: fields.filter(({ isOther }) => isOther).map(({ text }) => text),
      scroll: document.documentElement.scrollTop,
    };
  });
}

/** Does something that makes the page load again, and waits for that. */
async function loaded(page: Page, cause: () => Promise<unknown>): Promise<void> {
  await page.evaluate("window.isBefore = true");
  await cause();
  await page.waitForFunction("!window.isBefore");
  await page.waitForSelector(OPEN_PAGE);
}

/** Dispatches Turbo's event before it loads the page. */
function willReload(page: Page): Promise<void> {
  return page.evaluate(() => void document.dispatchEvent(new Event("turbo:reload")));
}

Deno.test(
  "The reader's edits survive a full load, except what must not be stored",
  WITH_BROWSER,
  async () => {
    await using scene = await startScene(LOADED);
    const { app, page, errors } = scene;
    const clean = await contents(page);
    await change(page);
    const before = await contents(page);
    app.head = '<meta name="version" content="2" data-turbo-track="reload">';
    await loaded(page, () => page.evaluate("Turbo.visit('/', { action: 'replace' })"));
    assert.deepEqual(await contents(page), { ...before, others: clean.others });
    assert.equal(before.scroll, 700);
    assert.equal(await page.evaluate("sessionStorage.length"), 0);
    // The text is still the reader's, and its default follows the server.
    await scene.show(LOADED.replace('value="x"', 'value="news"'), "refresh");
    assert.deepEqual((await contents(page)).carried, before.carried);
    await page.reload();
    assert.equal((await contents(page)).carried[1], clean.carried[1], "it is taken up once");
    assert.deepEqual(errors, []);
  },
);

Deno.test("What is typed before the next page loads is carried too", WITH_BROWSER, async () => {
  await using scene = await startScene('<input name="a">');
  const { app, page } = scene;
  const { promise, resolve } = Promise.withResolvers<void>();
  await page.route(app.url, async (route) => {
    await promise;
    await route.continue();
  });
  await page.fill("[name=a]", "typed");
  await willReload(page);
  await loaded(page, async () => {
    await page.evaluate(() => location.reload());
    await page.keyboard.type(" more");
    resolve();
  });
  assert.equal(await page.inputValue("[name=a]"), "typed more");
});

Deno.test(
  "Carried edits wait while another document is shown in between",
  WITH_BROWSER,
  async () => {
    await using scene = await startScene('<input name="a">');
    const { app, page } = scene;
    app.answer = () => new Response("Unavailable", { status: 503 });
    await page.fill("[name=a]", "typed");
    await willReload(page);
    await page.goto(`${app.url}/challenge`);
    assert.equal(await page.evaluate("sessionStorage.length"), 1);
    await page.goto(app.url);
    await page.waitForSelector(OPEN_PAGE);
    assert.equal(await page.inputValue("[name=a]"), "typed");
  },
);

Deno.test(
  "Carried edits are only for the same page, and expire",
  WITH_BROWSER,
  async () => {
    await using scene = await startScene('<input name="a">');
    const { app, page } = scene;
    const otherwise = async (query: string) => {
      await page.goto(app.url);
      await page.fill("[name=a]", "typed");
      await willReload(page);
      await page.goto(app.url + query);
      await page.waitForSelector(OPEN_PAGE);
      const value = await page.inputValue("[name=a]");
      return [value, await page.evaluate("sessionStorage.length")];
    };
    assert.deepEqual(await otherwise("/"), ["typed", 0]);
    assert.deepEqual(await otherwise("/?other"), ["", 0]);
    await page.addInitScript(() => {
      const { now } = Date;
      const loads = Number(localStorage["loads"] ?? 0);
      localStorage["loads"] = loads + 1;
      Date.now = () => now() + loads * 3_600_000;
    });
    assert.deepEqual(await otherwise("/"), ["", 0]);
  },
);

Deno.test("Carried edits return to their own field or are lost", WITH_BROWSER, async () => {
  const before = `<input name="a"><input name="b"><input name="row"><input name="row">
    <form action="/1"><input name="c"></form><input id="d" name="d"><input name="e"><input name="g">
    <input name="box" type="checkbox" value="1">`;
  const after = `<input name="n"><input name="a" value="news"><input name="row"><input name="row">
    <input name="row"><form action="/2"><input name="c"></form><p><input id="d" name="d"></p>
    <textarea name="e"></textarea><input name="g" value="news"><input name="box" type="checkbox" value="2">`;
  await using scene = await startScene(before);
  const { app, page } = scene;
  for (const field of await page.locator("input:not([name=g],[type=checkbox])").all()) {
    await field.fill("typed");
  }
  await page.check("[name=box]");
  app.markup = after;
  await willReload(page);
  await loaded(page, () => page.reload());
  const values = await page.locator("input,textarea").evaluateAll((all) =>
    (all as Field[]).map(({ checked, name, value }) => `${name}=${checked || value}`)
  );
  assert.deepEqual(
    values.join(" "),
    "n= a=typed row= row= row= c= d=typed e= g=news box=2",
  );
});

Deno.test(
  "Nothing is carried when the storage is full or blocked, which is logged once",
  WITH_BROWSER,
  async () => {
    await using scene = await startScene('<input name="a">');
    const { page, context, app, errors } = scene;
    const warnings: string[] = [];
    page.on("console", (message) => {
      if (/^Cannot carry/.test(message.text())) warnings.push(message.text());
    });
    const carries = async () => {
      await page.fill("[name=a]", "typed");
      await willReload(page);
      await loaded(page, () => page.reload());
      return await page.inputValue("[name=a]");
    };
    await page.evaluate(() => {
      Storage.prototype.setItem = () => {
        throw new DOMException("It is full", "QuotaExceededError");
      };
    });
    assert.equal(await carries(), "");
    await context.addInitScript(() =>
      Object.defineProperty(window, "sessionStorage", {
        get() {
          throw new DOMException("It is blocked", "SecurityError");
        },
      })
    );
    await page.goto(app.url);
    await page.waitForSelector(OPEN_PAGE);
    assert.equal(warnings.length, 1);
    assert.equal(await carries(), "");
    assert.match(warnings.join(), /^Cannot carry [^]*It is full[^]*Cannot carry [^]*It is blocked/);
    assert.equal(warnings.length, 2);
    assert.deepEqual(errors, []);
  },
);

/** Actions of a reader in the page, and whether each leaves something unsent. */
const EDITS: [name: string, act: () => void, isEdit: boolean][] = [
  ["nothing", () => {}, false],
  ["text", () => document.querySelector<Field>("[name=a]")!.value = "typed", true],
  ["a password", () => document.querySelector<Field>("[name=p]")!.value = "typed", true],
  ["a checkbox", () => document.querySelector<Field>("[name=c]")!.checked = true, true],
  ["a choice", () => document.querySelector<Field>("select")!.value = "2", true],
  ["<details>", () => document.querySelector<Field>("details")!.open = true, false],
  ["a file", () => {
    const chosen = new DataTransfer();
    chosen.items.add(new File(["x"], "a.txt"));
    document.querySelector<Field>("[name=u]")!.files = chosen.files;
  }, true],
  ["text in place", () => {
    const field = document.querySelector("[contenteditable]")!;
    field.dispatchEvent(new InputEvent("beforeinput", { bubbles: true }));
    field.textContent = "typed";
  }, true],
  ["text typed and taken back", () => {
    const field = document.querySelector<Field>("[name=a]")!;
    field.value = "typed";
    field.value = "";
  }, false],
  ["text that a form has sent", () => {
    const form = document.querySelector("form")!;
    document.querySelector<Field>("[name=a]")!.value = "typed";
    new FormData(form);
    const formSubmission = { formElement: form, isSafe: false };
    const tell = (type: string, detail: unknown) =>
      form.dispatchEvent(new CustomEvent(type, { bubbles: true, detail }));
    tell("turbo:submit-start", { formSubmission });
    tell("turbo:submit-end", { formSubmission, success: true });
  }, false],
];

Deno.test(
  "hasEdits() is true for edits that no form has sent",
  WITH_BROWSER,
  async () => {
    const module = await Deno.readTextFile(new URL("../turbo/client_keep.js", import.meta.url));
    const markup = `<!DOCTYPE html><link rel="icon" href="data:,">
    <form><input name="a"><input name="p" type="password"><input name="c" type="checkbox">
    <input name="u" type="file"><select><option>1<option>2</select></form>
    <details></details><p contenteditable>x</p>`;
    await using server = serve((request) =>
      request.url.endsWith("/keep.js")
        ? new Response(module, { headers: { "Content-Type": "text/javascript" } })
        : new Response(markup, { headers: { "Content-Type": "text/html" } })
    );
    await using browser = await startBrowser();
    const { page, errors } = await browser.open("");
    for (const [name, act, isEdit] of EDITS) {
      await page.goto(server.url);
      await page.evaluate(async () => {
        const path = "/keep.js";
        const keep = await import(path);
        keep.keepEdits();
        Object.assign(window, keep);
      });
      await page.evaluate(act);
      assert.equal(await page.evaluate("hasEdits()"), isEdit, name);
    }
    assert.deepEqual(errors, []);
  },
);
