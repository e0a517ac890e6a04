/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import { startScene } from "./keep_kit.ts";
import { WITH_BROWSER } from "./kit.ts";

const DIALOG =
  '<dialog><form method="dialog"><input name="a"><button>Close</button></form></dialog>';

/** Markup that a server may push while a modal dialog is open, and whether it is open afterwards. */
const MODAL: { name: string; after: string; isOpen: boolean }[] = [
  { name: "the same", after: DIALOG, isOpen: true },
  { name: "other markup in it", after: DIALOG.replace("<input", "<p>new</p><input"), isOpen: true },
  { name: "other attributes", after: DIALOG.replace("<dialog", '<dialog class="a"'), isOpen: true },
  { name: "it comes elsewhere", after: `<p>new</p><div>${DIALOG}</div>`, isOpen: true },
  { name: "another dialog in front", after: `<dialog>other</dialog>${DIALOG}`, isOpen: true },
  { name: "it is gone", after: "", isOpen: false },
  { name: "another element", after: DIALOG.replaceAll("dialog>", "div>"), isOpen: false },
  {
    name: "it is hidden",
    after: DIALOG.replace("<dialog", "<dialog style='display: none'"),
    isOpen: false,
  },
  { name: "what it is in is hidden", after: `<div hidden>${DIALOG}</div>`, isOpen: false },
];

for (const id of ["", ' id="dialog"']) {
  Deno.test(
    `A page whose dialog is modal stays alive, whatever the server says${id && ", by its id"}`,
    WITH_BROWSER,
    async () => {
      const named = (markup: string) => markup.replace(/<dialog(?=[^o]*<form)/, `<dialog${id}`);
      const outside = '<button onclick="this.textContent = `clicked`">Outside</button>';
      await using scene = await startScene(named(DIALOG) + outside);
      const { page, show, errors } = scene;
      for (const way of ["refresh", "replace"] as const) {
        for (const { name, after, isOpen } of MODAL) {
          await show(named(DIALOG) + outside);
          await page.evaluate(() => {
            const dialog = document.querySelector("dialog")!;
            dialog.close();
            dialog.showModal();
            dialog.querySelector("input")!.value = "typed";
          });
          await show(named(after) + outside, way);
          const now = await page.evaluate(() => {
            const dialog = document.querySelector<HTMLDialogElement>("dialog:has(input)");
            return {
              isOpen: dialog?.open ?? false,
              isModal: document.querySelector(":modal") !== null,
              typed: dialog?.querySelector("input")?.value,
            };
          });
          assert.deepEqual([now.isOpen, now.isModal], [isOpen, isOpen], `${way}: ${name}`);
          if (isOpen) assert.equal(now.typed, "typed", `${way}: ${name}`);
          if (isOpen) await page.click("dialog button");
          await page.click("text=Outside");
          await page.waitForSelector("text=clicked");
        }
      }
      assert.deepEqual(errors, []);
    },
  );
}

Deno.test(
  "The server can close a dialog that it opened and that is modal now",
  WITH_BROWSER,
  async () => {
    const outside = '<button onclick="this.textContent = `clicked`">Outside</button>';
    await using scene = await startScene(`<dialog>text</dialog>${outside}`);
    const { page, show } = scene;
    await page.evaluate(() => document.querySelector("dialog")!.showModal());
    await show(`<dialog open>text</dialog>${outside}`);
    assert.equal(await page.locator("dialog:modal").count(), 1);
    await show(`<dialog>text</dialog>${outside}`);
    assert.equal(await page.locator("dialog:modal, dialog[open]").count(), 0);
    await page.click("text=Outside");
    await page.waitForSelector("text=clicked");
  },
);
