/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * Pages in which a reader does something and the server changes something, for the tests of what is kept.
 *
 * @module
 */
import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type KeepApp, startKeepApp, type Way } from "./apps/keep_app.ts";
import { type Page, startBrowser, type TestPage } from "./browser.ts";

/** An app, and an open page of it. */
export interface Scene extends AsyncDisposable, TestPage {
  readonly app: KeepApp;
  /** Makes the page show other markup, and waits until it does. */
  show(markup: string, way?: Way): Promise<void>;
}

/** Starts an app and opens its page. */
export async function startScene(markup: string): Promise<Scene> {
  await using made = new AsyncDisposableStack();
  const app = made.use(startKeepApp(markup));
  const browser = made.use(await startBrowser());
  const opened = await browser.open(app.url);
  await opened.page.waitForSelector(OPEN_PAGE);
  const all = made.move();
  return {
    app,
    ...opened,
    async show(markup, way) {
      await app.show(markup, way);
      await isShown(opened.page, app);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function isShown(page: Page, { version }: KeepApp): Promise<void> {
  await page.waitForSelector(`#version:text-is("${version}")`);
}

/** The properties of any kind of field. */
export interface Field extends HTMLElement {
  name: string;
  value: string;
  defaultValue: string;
  checked: boolean;
  defaultChecked: boolean;
  disabled: boolean;
  open: boolean;
  files: FileList | null;
  form: HTMLFormElement;
  elements: Record<string, Field>;
  options: HTMLOptionElement[];
  selectedOptions: HTMLOptionElement[];
  selectedIndex: number;
  reset(): void;
  show(): void;
  showModal(): void;
}

/** One action of a reader, and its state after the server has changed something. */
export interface Row {
  /** The name of the case. */
  name: string;
  /** The markup before the action. */
  before: string;
  /** The action on the first field, in the page. */
  act?: (field: Field, row: HTMLElement) => unknown;
  /** The server's markup after it, one version after another. Default: the same markup. */
  after?: string[];
  /** Reads the state to compare, in the page. */
  shown: (field: Field, row: HTMLElement) => unknown;
  /** The expected state. */
  is: unknown;
}

/** Runs all cases in one page, each in a section of its own, and compares the states. */
export async function check(rows: Row[], way: Way): Promise<void> {
  const steps = Math.max(...rows.map(({ after = [] }) => after.length), 1);
  const markup = (step: number) =>
    rows.map(({ before, after = [before] }, index) => {
      const content = step === 0 ? before : after[Math.min(step, after.length) - 1];
      return `<section id="row-${index}">${content!.replaceAll("ROW", `${index}`)}</section>`;
    }).join("\n");
  await using scene = await startScene(markup(0));
  const { page, errors } = scene;
  const inPage = (does: (field: Field, row: HTMLElement) => unknown, index: number) =>
    page.evaluate(
      `((row) => (${does})(row.querySelector("[name],[contenteditable],details,dialog"), row))` +
        `(document.getElementById("row-${index}"))`,
    );
  for (const [index, { act }] of rows.entries()) if (act) await inPage(act, index);
  for (let step = 1; step <= steps; step++) await scene.show(markup(step), way);
  const wrong: string[] = [];
  for (const [index, { name, shown, is }] of rows.entries()) {
    const [found, expected] = [await inPage(shown, index), is].map((value) =>
      JSON.stringify(value)
    );
    if (found !== expected) wrong.push(`${name}: ${found}, not ${expected}`);
  }
  assert.deepEqual(wrong, []);
  assert.equal(await page.locator('[id^="turbo-stream-keep"]').count(), 0, "no id of ours stays");
  assert.deepEqual(errors, []);
}

/** Radio buttons with one name, the first of them checked by the server. */
export function radios(...values: string[]): string {
  return values.map((value, index) =>
    `<input type="radio" name="r-ROW" value="${value}"${index === 0 ? " checked" : ""}>`
  ).join("");
}

/** Types into a field. */
export const typed = (field: Field): string => field.value = "typed";
/** Edits text in place, as a keyboard does. */
export function edited(field: Field): void {
  field.dispatchEvent(new InputEvent("beforeinput", { bubbles: true }));
  field.innerHTML = "<b>typed</b>";
}
/** Its value and its default. */
export const value = (field: Field): string[] => [field.value, field.defaultValue];
/** What is selected, and what is by default. */
export const selected = (field: Field): string[] => [
  Array.from(field.selectedOptions, ({ value }) => value).join(),
  Array.from(field.options).filter((option) => option.defaultSelected).map(({ value }) => value)
    .join(),
];
/** Which radio buttons are checked, and which by default. */
export function radio(_: Field, row: HTMLElement): string[] {
  const all = [...row.querySelectorAll<HTMLInputElement>("input[type=radio]")];
  return [
    all.filter(({ checked }) => checked).map(({ value }) => value).join(),
    all.filter(({ defaultChecked }) => defaultChecked).map(({ value }) => value).join(),
  ];
}
/** Chooses a file. */
export function choose(field: Field): void {
  const chosen = new DataTransfer();
  chosen.items.add(new File(["x"], "a.txt"));
  field.files = chosen.files;
}
/** The names of the chosen files. */
export const files = (field: Field): string[] => Array.from(field.files!, ({ name }) => name);
