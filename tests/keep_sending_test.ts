/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { replace, streamResponse, update } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import type { KeepApp } from "./apps/keep_app.ts";
import type { Page } from "./browser.ts";
import { type Field, radios, type Scene, startScene } from "./keep_kit.ts";
import { WITH_BROWSER, within } from "./kit.ts";

const FORM = `
<form id="send" method="post" action="/send">
  <input name="a"><textarea name="t"></textarea><select name="s"><option>1<option>2</select>
  <input name="c" type="checkbox">${radios("x", "y", "z")}<p contenteditable>x</p>
  <input id="nameless"><input id="disabled" name="d" disabled><button>Send</button>
</form>
<input name="e" form="send"><form id="other"><input name="b"></form><i id="note"></i>`;
const ANSWERED = FORM.replace("</i>", "answered</i>");

/** The values of the form's fields. */
const SENT = { a: "sent", t: "sent", s: "2", c: true, r: "y", e: "sent", p: "sent" };
const CLEARED: typeof SENT = { a: "", t: "", s: "1", c: false, r: "x", e: "", p: "x" };
/** The fields that the form does not send, and those of another form. */
const UNSENT = { nameless: "unsent", disabled: "unsent", b: "unsent" };

/** A submission, its answer, and the values of the fields afterwards. */
interface Sending {
  name: string;
  /** The server's answer, with the markup of `ANSWERED`. Default: one that leaves the form alone. */
  answer?: (app: KeepApp) => Response;
  /** What happens during the submission. */
  during?: (page: Page) => Promise<void>;
  /** What happens after the answer. */
  later?: (scene: Scene) => Promise<void>;
  /** The values that differ from `CLEARED`, or from `SENT` and `UNSENT`. */
  is: Partial<typeof SENT & typeof UNSENT>;
}

const leavesAlone = ({ turbo }: KeepApp) =>
  streamResponse(update("note", "answered"), { cursor: turbo.cursor });
const refreshed = ({ show }: Scene) => show(ANSWERED, "refresh");

const SENDINGS: Sending[] = [
  {
    name: "A morph answers",
    answer: ({ box, turbo }) =>
      streamResponse(replace("box", box(), { morph: true }), { cursor: turbo.cursor }),
    is: CLEARED,
  },
  {
    name: "The page answers, by a redirect",
    answer: ({ url }) => Response.redirect(url, 303),
    is: CLEARED,
  },
  { name: "The answer leaves the form alone", is: SENT },
  {
    name: "The answer leaves the form alone, and a refresh comes later",
    later: refreshed,
    is: CLEARED,
  },
  {
    name: "The answer leaves the form alone, and the server changes it later",
    later: ({ show }) => show(ANSWERED.replace('name="a"', 'name="a" value="news"'), "refresh"),
    is: { ...CLEARED, a: "news" },
  },
  {
    name: "The server refuses the form, and does not repeat it",
    answer: ({ page }) => page(422),
    later: ({ show }) => show(ANSWERED),
    is: SENT,
  },
  {
    name: "More is typed and chosen while the form is sent",
    during: async (page) => {
      await page.fill("[name=a]", "sent more");
      await page.uncheck("[name=c]");
      await page.selectOption("[name=s]", "1");
    },
    later: refreshed,
    is: { ...CLEARED, a: "sent more" },
  },
  {
    name: "More is typed while the form is sent, and the app reads it to save a draft",
    during: async (page) => {
      await page.fill("[name=a]", "sent more");
      await page.evaluate(() => void new FormData(document.querySelector("form")!));
    },
    later: refreshed,
    is: { ...CLEARED, a: "sent more" },
  },
  {
    name: "Another is chosen while the form is sent",
    during: (page) => page.check("[value=z]"),
    later: refreshed,
    is: { ...CLEARED, r: "z" },
  },
  {
    name: "A script sets the same values again after the answer",
    later: async (scene) => {
      await refreshed(scene);
      await scene.page.evaluate(() => document.querySelector<Field>("[name=a]")!.value = "sent");
      await scene.show(ANSWERED);
    },
    is: { ...CLEARED, a: "sent" },
  },
  {
    name: "The app resets the form after the answer, and the same is typed again",
    later: async (scene) => {
      await scene.page.evaluate(() => document.querySelector<Field>("#send")!.reset());
      await scene.page.type("[name=a]", "sent");
      await refreshed(scene);
    },
    is: { ...CLEARED, a: "sent", nameless: "", disabled: "" },
  },
];

async function fieldsOf(page: Page): Promise<typeof SENT & typeof UNSENT> {
  return await page.evaluate(() => {
    const value = (selector: string) => document.querySelector<Field>(selector)!.value;
    return {
      a: value("[name=a]"),
      t: value("[name=t]"),
      s: value("[name=s]"),
      c: document.querySelector<Field>("[name=c]")!.checked,
      r: value("[type=radio]:checked"),
      e: value("[name=e]"),
      p: document.querySelector("[contenteditable]")!.textContent!,
      nameless: value("#nameless"),
      disabled: value("#disabled"),
      b: value("[name=b]"),
    };
  });
}

async function fillIn(page: Page): Promise<void> {
  for (const field of ["[name=a]", "[name=t]", "[name=e]", "[contenteditable]"]) {
    await page.fill(field, "sent");
  }
  await page.selectOption("[name=s]", "2");
  await page.check("[name=c]");
  await page.check("[value=y]");
  await page.fill("#nameless", "unsent");
  await page.fill("[name=b]", "unsent");
  // Typed before the server disables the field.
  await page.evaluate(() => document.querySelector<Field>("#disabled")!.value = "unsent");
}

Deno.test(
  "What a form has sent and the server has accepted is no longer the reader's",
  WITH_BROWSER,
  async () => {
    await using scene = await startScene(FORM);
    const { app, page, errors } = scene;
    for (const { name, answer = leavesAlone, during, later, is } of SENDINGS) {
      const [arrival, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      app.answer = async () => {
        arrival.resolve();
        await release.promise;
        app.markup = ANSWERED;
        return answer(app);
      };
      app.markup = FORM;
      await page.goto(app.url);
      await page.waitForSelector(OPEN_PAGE);
      await fillIn(page);
      await page.click("text=Send");
      await within(arrival.promise, "the form to be sent");
      await during?.(page);
      release.resolve();
      await page.waitForSelector("#note:text('answered')");
      await later?.(scene);
      assert.deepEqual(await fieldsOf(page), { ...SENT, ...UNSENT, ...is }, name);
    }
    assert.deepEqual(errors.filter((error) => !error.includes("422")), []);
  },
);

Deno.test("What a form has sent without success stays the reader's", WITH_BROWSER, async () => {
  await using scene = await startScene(FORM);
  const { app, page, show } = scene;
  await fillIn(page);
  await page.route("**/send", (route) => route.abort());
  await page.click("text=Send");
  await page.waitForSelector("#send:not([aria-busy])");
  await show(ANSWERED, "refetch");
  assert.deepEqual(await fieldsOf(page), { ...SENT, ...UNSENT });
  assert(app.turbo.size > 0);
});

Deno.test("What a form sends by GET stays the reader's", WITH_BROWSER, async () => {
  const form = '<form action="/"><input name="q"><button>Search</button></form>';
  await using scene = await startScene(form);
  const { page, show } = scene;
  await page.evaluate(() => document.querySelector("form")!.dataset["turboAction"] = "replace");
  await page.fill("[name=q]", "typed");
  await page.click("text=Search");
  await page.waitForURL("**/?q=typed");
  await show(form, "refresh");
  assert.equal(await page.inputValue("[name=q]"), "typed");
});

Deno.test(
  "What is typed while Turbo asks for a confirmation is not sent, so it stays",
  WITH_BROWSER,
  async () => {
    const form =
      `<form method="post" action="/" data-turbo-confirm="Sure?"><input name="a"><button>Send</button></form>
    <i id="note"></i>`;
    await using scene = await startScene(form);
    const { app, page, show } = scene;
    let sent = "";
    app.answer = async (request) => {
      sent = await request.text();
      return leavesAlone(app);
    };
    await page.evaluate(() => {
      const { Turbo } = window as unknown as { Turbo: { config: { forms: { confirm: unknown } } } };
      Turbo.config.forms.confirm = () =>
        new Promise((resolve) => Object.assign(window, { resolve }));
    });
    await page.fill("[name=a]", "sent");
    await page.click("text=Send");
    await page.waitForFunction("window.resolve");
    await page.fill("[name=a]", "sent more");
    await page.evaluate("window.resolve(true)");
    await page.waitForSelector("#note:text('answered')");
    await show(form, "refresh");
    assert.deepEqual([sent, await page.inputValue("[name=a]")], ["a=sent", "sent more"]);
  },
);
