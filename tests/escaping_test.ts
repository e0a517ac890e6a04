/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { chatPage, lineItem, lineList, presence, sayForm } from "../examples/chat.ts";
import { countBox, flashPage, greetForm, noticeBox } from "../examples/flash.ts";
import { layout } from "../examples/layout.ts";
import { jobBox, progressPage, startForm } from "../examples/progress.ts";
import { addForm, todoList, todosPage } from "../examples/todos.ts";
import type { FleetReport, LoadReport } from "../loadavg.ts";
import type { LoadRow } from "../server/load_row.ts";
import type { Machine } from "../server/machine.ts";
import * as app from "../templates.ts";
import { action, html, type Markup, replace, Turbo } from "../turbo/mod.ts";
import { startBrowser } from "./browser.ts";
import { WITH_BROWSER } from "./kit.ts";
import { MACHINE, reportAfter, unread } from "./reports.ts";

const HOSTILE = [
  "<script>alert(1)</script>",
  "</title><script>alert(1)</script>",
  "</template></turbo-stream><b>",
  "<turbo-stream action='remove' target='todos'></turbo-stream>",
  '" onfocus="alert(1)" autofocus="',
  "' onfocus='alert(1)' autofocus='",
  '"><img src=x onerror=alert(1)>',
  "` onfocus=alert(1)",
  "x onfocus=alert(1) y",
  "<!--",
  "--><b>",
  "<![CDATA[<b>]]>",
  "</textarea></style></noscript></svg></select><b>",
  "&lt;b&gt;&quot;&#39;",
  "&amp;",
  "${1}</p>",
  "\u2028\u2029\u0085<b>",
  "\uFEFF<b>\u202E",
  "\0<b>\0",
  "\r\n<b>\r",
  "\x1b[31m<b>",
  "=<>/=\"'",
  "javascript:alert(1)",
  "\ud800<b>",
];

// Everything else that `head` writes is checked before, or signed.
const head = (text: string): Markup => new Turbo({ turboUrl: `/${text}` }).head();

const read = await reportAfter([[1, 2, 3]], { simulated: true });
const machine = (text: string): Machine => ({ ...MACHINE, name: text, system: text });
const report = (text: string): LoadReport => ({ ...read, machine: machine(text), failure: text });
const pageOf = (text: string, report: app.Report): app.PageContext => {
  return { head: head(text), base: text, stylesheet: text, icon: text, report };
};
const appPage = (text: string) => pageOf(text, report(text));
const nothing = (text: string): LoadReport => {
  return { ...unread({ machine: machine(text) }), failure: text };
};
const fleet = (text: string): FleetReport => {
  const row: LoadRow = {
    name: text,
    averages: [1, 2, 3],
    simulated: true,
    at: 0,
    age: 0,
    failure: text,
    highSince: undefined,
    hour: [1, 2],
    day: [1, 2],
    interval: 5_000,
    cpus: 2,
    system: text,
    memory: 1,
    bootedAt: 0,
  };
  const rows = [row, row];
  return { rows, hasMore: true, renderer: text, at: 0, interval: 5_000, isAlone: false };
};

const room = (text: string) => ({ slug: text, title: text, lines: [line(text)] });
const line = (text: string) => ({ id: 1, name: text, text, at: 0 });
const todos = (text: string) => [{ id: 1, text, done: false }, { id: 2, text, done: true }];

/** Every template, with a text in each placeholder that accepts one. */
const templates: Record<string, (text: string) => Markup> = {
  "app: hourPage": (text) => app.hourPage(appPage(text)),
  "app: dayPage": (text) => app.dayPage(appPage(text)),
  "app: notFoundPage": (text) => app.notFoundPage(appPage(text)),
  "app: loadBox": (text) => app.loadBox(report(text), text),
  "app: loadBox without a reading": (text) => app.loadBox(nothing(text), text),
  "app: loadBox of a fleet": (text) => app.loadBox(fleet(text), text),
  "app: dayBox": (text) => app.dayBox(report(text)),
  "app: dayBox of a fleet": (text) => app.dayBox(fleet(text)),
  "app: heading": (text) => app.heading(report(text)),
  "app: facts": (text) => app.facts(report(text)),
  "app: lostHead": (text) => app.lostHead(report(text)),
  "app: facts of a fleet": (text) => app.facts(fleet(text)),
  "app: title": (text) => app.title(report(text)),
  "app: icon": (text) => app.icon(report(text)),
  "app: hourPage of a fleet": (text) => app.hourPage(pageOf(text, fleet(text))),
  "app: dayPage of a fleet": (text) => app.dayPage(pageOf(text, fleet(text))),
  "layout": (text) => layout({ head: head(text), title: text }, html`<p>${text}</p>`),
  "todos: todosPage": (text) => todosPage(head(text), todos(text), { text, error: text }),
  "todos: addForm": (text) => addForm({ text, error: text }),
  "todos: todoList": (text) => todoList(todos(text)),
  "chat: chatPage": (text) =>
    chatPage(head(text), {
      room: room(text),
      rooms: [room(text), room("other" + text)],
      here: 1,
      draft: { name: text, text, error: text },
    }),
  "chat: presence": () => presence(1),
  "chat: lineList": (text) => lineList([line(text)]),
  "chat: lineItem": (text) => lineItem(line(text)),
  "chat: sayForm": (text) => sayForm(room(text), { name: text, text, error: text }),
  "progress: progressPage": (text) =>
    progressPage(head(text), { state: "failed", percent: 1, reason: text }, {
      fail: true,
      error: text,
    }),
  "progress: startForm": (text) => startForm({ fail: true, error: text }),
  "progress: jobBox": (text) => jobBox({ state: "failed", percent: 1, reason: text }),
  "flash: flashPage": (text) =>
    flashPage(head(text), { count: 1, notice: text, draft: { name: text, error: text } }),
  "flash: noticeBox": noticeBox,
  "flash: greetForm": (text) => greetForm({ name: text, error: text }),
  "flash: countBox": () => countBox(1),
};

Deno.test(
  "Every template of app and examples keeps its elements and attributes for any texts",
  WITH_BROWSER,
  async () => {
    await using browser = await startBrowser();
    const { page } = await browser.open("about:blank");
    const skeletonsOf = (documents: string[]): Promise<string[]> =>
      page.evaluate((documents) =>
        documents.map((text) => {
          const skeleton = (node: Element | DocumentFragment): string =>
            [...node.children].map((child) => {
              const names = child.getAttributeNames().sort().join(" ");
              const inside = child instanceof HTMLTemplateElement ? child.content : child;
              return `<${child.localName} ${names}>${skeleton(inside)}</>`;
            }).join("");
          const parsed = new DOMParser().parseFromString(text, "text/html");
          return skeleton(parsed as unknown as DocumentFragment);
        }), documents);
    for (const [name, template] of Object.entries(templates)) {
      const texts = ["x", ...HOSTILE.map((text) => text.toWellFormed())];
      const pages = texts.map((text) => String(template(text)));
      const streams = texts.map((text) => replace(text, template(text)));
      for (const documents of [pages, streams]) {
        const [harmless, ...hostile] = await skeletonsOf(documents);
        for (const [index, skeleton] of hostile.entries()) {
          assert.equal(skeleton, harmless, `${name} with ${JSON.stringify(HOSTILE[index])}`);
        }
      }
    }
  },
);

Deno.test("Every template of app and examples shows a text as it is", WITH_BROWSER, async () => {
  await using browser = await startBrowser();
  const { page } = await browser.open("about:blank");
  const text = `<b title="'x'">&amp;</b>`;
  for (const [name, template] of Object.entries(templates)) {
    if (!String(template("marker")).includes("marker")) continue; // it accepts only numbers
    const found = await page.evaluate(({ markup, text }) => {
      const parsed = new DOMParser().parseFromString(markup, "text/html");
      const values = [...parsed.querySelectorAll("*")].flatMap((element) =>
        element.getAttributeNames().map((name) => element.getAttribute(name) ?? "")
      );
      const inside = [...parsed.querySelectorAll("template")].map(({ content }) =>
        content.textContent
      );
      return [parsed.documentElement.textContent, ...inside, ...values].some((shown) =>
        shown?.includes(text)
      );
    }, { markup: String(template(text)), text });
    assert(found, name);
  }
});

Deno.test(
  "Builders keep any text in target, attribute and content, as a browser parses it",
  WITH_BROWSER,
  async () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", minLength: 1 }),
      fc.string({ unit: "grapheme", minLength: 1 }),
      fc.string({ unit: fc.constantFrom(..."<>&\"'\r\n\t\0 =/`-!x"), minLength: 1 }),
    );
    const target = text.filter((text) => !text.startsWith("#")); // builders reject a target that looks like a selector
    const samples = fc.sample(fc.tuple(target, text, text), { numRuns: 2_000, seed: 42 });
    const built = samples.map(([target, attribute, content]) => ({
      stream: action("custom", { target, attributes: { "data-x": attribute }, content }),
      // Characters that HTML or UTF-8 cannot carry become U+FFFD, as the standards require.
      expected: [target, attribute, content].map((value) =>
        value.toWellFormed().replaceAll("\0", "\uFFFD")
      ),
    }));
    await using browser = await startBrowser();
    const { page } = await browser.open("about:blank");
    const parsed = await page.evaluate(
      (list) =>
        list.map((stream) => {
          const template = document.createElement("template");
          template.innerHTML = stream;
          const [element, ...others] = template.content.childNodes as unknown as Element[];
          const inner = element?.firstChild as HTMLTemplateElement;
          return {
            alone: others.length === 0 && element?.childNodes.length === 1,
            names: element?.getAttributeNames().join(" "),
            values: [
              element?.getAttribute("target"),
              element?.getAttribute("data-x"),
              inner.content.textContent,
            ],
            elements: inner.content.childElementCount,
          };
        }),
      built.map(({ stream }) => stream.toWellFormed()),
    );
    for (const [index, { alone, names, values, elements }] of parsed.entries()) {
      assert(alone);
      assert.equal(names, "action target data-x");
      assert.equal(elements, 0);
      assert.deepEqual(values, built[index]!.expected);
    }
  },
);

Deno.test("The test of the templates knows all of them", async () => {
  for (const file of ["todos", "chat", "progress", "flash", "layout"]) {
    const exported = await import(new URL(`../examples/${file}.ts`, import.meta.url).href);
    for (const [name, value] of Object.entries(exported)) {
      const isTemplate = typeof value === "function" && /html`|return layout\(/.test(String(value));
      if (!isTemplate || /^(?:createApp|[A-Z])/.test(name)) continue;
      assert(Object.keys(templates).some((known) => known.split(": ").at(-1) === name), name);
    }
  }
  for (const [name, value] of Object.entries(app)) {
    const isMarkup = !["manifest", "nameOf"].includes(name); // JSON and text
    if (typeof value !== "function" || !isMarkup) continue;
    assert(`app: ${name}` in templates, name);
  }
});
