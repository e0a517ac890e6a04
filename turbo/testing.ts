/**
 * For tests of apps that push: what a block pushed, whether a page is connected, what streams say, and
 * what an open page shows, without a browser. Not part of `mod.ts`, so it is in no program that does not ask for it.
 *
 * @example A test of an app that pushes
 * ```ts
 * import { append, html, Turbo } from "./mod.ts";
 * import { assertStream, capture } from "./testing.ts";
 *
 * const turbo = new Turbo();
 * const add = (text: string) => turbo.push(append("list", html`<li>${text}</li>`), { to: "ann" });
 *
 * const pushed = await capture(turbo, () => add("milk"));
 * assertStream(pushed, { action: "append", target: "list", content: "milk", to: "ann" });
 * ```
 *
 * @example A page, a form and a second tab
 * ```ts
 * import { Hono } from "hono";
 * import { html, replace, Turbo } from "./mod.ts";
 * import { openPage } from "./testing.ts";
 *
 * const names: string[] = [];
 * const list = () => html`<p id="names">${names.join(", ")}</p>`;
 * const turbo = new Turbo();
 * const app = new Hono();
 * app.use(turbo.middleware());
 * app.get("/", (c) =>
 *   c.html(html`<head>${turbo.head(c)}</head>${list()}
 *     <form method="post"><input name="name"><button>Add</button></form>`));
 * app.post("/", async (c) => {
 *   names.push(String((await c.req.formData()).get("name")));
 *   turbo.push(replace("names", list()));
 *   return c.redirect("/", 303);
 * });
 *
 * await using page = await openPage(app, "/");
 * await using tab = await openPage(app, "/", { cookies: page.cookies });
 * await page.submit("form", { name: "Ann" });
 * for (const one of [page, tab]) await one.shows("Ann", { in: "#names" });
 * ```
 *
 * @module
 */
import assert from "node:assert/strict";
import { inspect } from "node:util";
import type { PushOptions, Whom } from "./audience.ts";
import {
  checkOptions,
  checkValue,
  integer,
  milliseconds,
  orNull,
  type Rule,
  type Rules,
  text,
} from "./checks.ts";
import { joinStreams, type Streams } from "./streams.ts";
import type { Turbo } from "./turbo.ts";

export { type Message, parseFrame, PROTOCOL, type Since, sinceOf } from "./protocol.ts";
export {
  type ClickTarget,
  type Fields,
  openPage,
  type OpenPageOptions,
  type PageState,
  type ShowsOptions,
  type TestApp,
  type TestPage,
} from "./testing_page.ts";

/** Selects the root of a page whose line is open, as for Playwright's `page.waitForSelector`. */
export const OPEN_PAGE = 'html[data-turbo-stream="open"]';

/** One `<turbo-stream>` element, taken apart. */
export interface StreamElement {
  /** Its action. */
  readonly action: string;
  /** The id of its target, where it has one. */
  readonly target: string | undefined;
  /** The CSS selector of its targets, where it has one. */
  readonly targets: string | undefined;
  /** All its attributes, those above included, as the browser reads them. */
  readonly attributes: Readonly<Record<string, string>>;
  /** The HTML inside its `<template>`. */
  readonly content: string;
}

/** One call of `push`. */
export interface Pushed {
  /** What it pushed. */
  readonly streams: readonly StreamElement[];
  /** The readers it was for; `undefined` where none were named. */
  readonly to: readonly string[] | undefined;
  /** The topics it was for; `undefined` where none were named. Without both it was for everyone. */
  readonly topic: readonly string[] | undefined;
  /** The page it was not for. */
  readonly except: string | undefined;
  /** How many connections it was for. */
  readonly count: number;
}

/** What a stream must be; what is left out may be anything. */
export interface ExpectedStream {
  /** Its action. */
  action?: string;
  /** The id of its target. */
  target?: string;
  /** What its HTML holds. */
  content?: string | RegExp;
  /** A reader that its push was for; `null`: everyone. */
  to?: string | null;
  /** A topic that its push was for. */
  topic?: string;
}

/** What {@linkcode connected} waits for. */
export interface ConnectedOptions {
  /** The reader whose pages they are. Default: any. */
  name?: string;
  /** The topic that they listen to. Default: any. */
  topic?: string;
  /** How many connections; with `0` it waits until all are gone. Default 1. */
  count?: number;
  /** Milliseconds after which it gives up. Default 5,000. */
  deadline?: number;
}

const NAME = text((name) => name !== "", "a name");

const EXPECTED_RULES = {
  action: NAME,
  target: NAME,
  content: {
    allowed: "a text or a regular expression",
    problem: (value) => typeof value === "string" || value instanceof RegExp ? undefined : "type",
  },
  to: orNull(NAME),
  topic: NAME,
} satisfies Record<keyof ExpectedStream, Rule>;

const WHOM_RULES = { name: NAME, topic: NAME };

const CONNECTED_RULES = {
  ...WHOM_RULES,
  count: integer(0, 1_000_000),
  deadline: milliseconds(0, 2 ** 31 - 1),
} satisfies Record<keyof ConnectedOptions, Rule>;

/**
 * Runs a block and returns what was pushed meanwhile, oldest first. The pushes are still delivered.
 * For one block at a time.
 */
export async function capture(
  turbo: Turbo,
  block: () => unknown,
): Promise<Pushed[]> {
  const pushed: Pushed[] = [];
  const push = turbo.push;
  turbo.push = (streams: Streams | (() => Streams), options: PushOptions = {}): number => {
    const { to, topic, except } = options;
    let elements: StreamElement[] = [];
    const render = (streams: Streams) => {
      elements = parseStreams(joinStreams(streams));
      return streams;
    };
    const watched = typeof streams === "function" ? () => render(streams()) : render(streams);
    const count = push.call(turbo, watched, options);
    pushed.push({
      get streams() {
        return elements; // an engine may render a function later
      },
      ...{ to: listOf(to), topic: listOf(topic), except, count },
    });
    return count;
  };
  try {
    await block();
  } finally {
    turbo.push = push;
  }
  return pushed;
}

/**
 * Resolves when a page is connected.
 *
 * @throws {Error} when it is not at the deadline
 * @throws {TypeError | RangeError} at once, when an option is wrong or unknown, or `name` or `topic` is
 * there but `undefined`
 */
export function connected(turbo: Turbo, options: ConnectedOptions = {}): Promise<void> {
  const given = checkOptions("connected()", options, CONNECTED_RULES);
  checkPresent("connected()", given, WHOM_RULES);
  const { name, topic, count = 1, deadline = 5_000 } = given;
  if (name !== undefined && topic !== undefined) {
    throw new TypeError("Cannot take both name and topic for connected(): one of them is needed");
  }
  return untilConnected(turbo, topic === undefined ? name : { topic }, { count, deadline });
}

/**
 * The streams of a message, or of the body of a stream answer.
 *
 * @throws {SyntaxError} when there is anything beside them, which would stay in the page for ever
 *
 * @example
 * ```ts
 * import { remove } from "./mod.ts";
 * import { parseStreams } from "./testing.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(parseStreams(remove("load"))[0]?.target, "load");
 * ```
 */
export function parseStreams(html: string): StreamElement[] {
  const elements: StreamElement[] = [];
  // Content from a builder that holds streams of its own is beyond this; a browser is not.
  const element =
    /<turbo-stream((?: [^\s=>]+="[^"]*")*)>(?:<template>([^]*?)<\/template>)?<\/turbo-stream>/y;
  while (element.lastIndex < html.length) {
    const at = element.lastIndex;
    const match = element.exec(html);
    if (!match) {
      throw new SyntaxError(
        `Cannot parse ${JSON.stringify(html.slice(at, at + 100))}: not a <turbo-stream> element`,
      );
    }
    const [, written = "", content = ""] = match;
    const attributes: Record<string, string> = {};
    for (const [, name, value] of written.matchAll(/ ([^\s=>]+)="([^"]*)"/g)) {
      attributes[name!] = unescape(value!);
    }
    const { action = "", target, targets } = attributes;
    elements.push({ action, target, targets, attributes, content });
  }
  return elements;
}

/**
 * Asserts that a stream was pushed, or is in the body of an answer, and returns it.
 *
 * @throws {assert.AssertionError} that shows what there was instead
 * @throws {TypeError | RangeError} when what is expected is wrong or unknown, or there but `undefined`
 */
export function assertStream(
  actual: readonly Pushed[] | string,
  expected: ExpectedStream,
): StreamElement {
  checkOptions("assertStream()", expected, EXPECTED_RULES);
  checkPresent("assertStream()", expected, EXPECTED_RULES);
  const all = typeof actual === "string" || actual instanceof String
    ? parseStreams(String(actual)).map((stream) => ({ stream, to: undefined, topic: undefined }))
    : actual.flatMap(({ streams, to, topic }) => streams.map((stream) => ({ stream, to, topic })));
  const found = all.find(({ stream, to, topic }) => {
    const { action, target, content } = expected;
    return (action === undefined || stream.action === action) &&
      (target === undefined || stream.target === target) &&
      (content === undefined ||
        (typeof content === "string"
          ? stream.content.includes(content)
          : content.test(stream.content))) &&
      (expected.to === undefined ||
        (expected.to === null ? !to && !topic : to?.includes(expected.to) === true)) &&
      (expected.topic === undefined || topic?.includes(expected.topic) === true);
  });
  const seen = all.map(({ stream: { action, target, targets, content }, to, topic }) => {
    const words = (to ? `to ${to.join(", ")} ` : "") + (topic ? `topic ${topic.join(", ")} ` : "");
    return `  ${action} ${target ?? targets ?? ""} ${words}${content}`;
  });
  assert(
    found,
    `No stream is ${inspect(expected)}; there were ${all.length}:\n${seen.join("\n")}`,
  );
  return found.stream;
}

/** Asserts that nothing was pushed. */
export function assertNothingPushed(pushed: readonly Pushed[]): void {
  assert.deepEqual(pushed, [], "Something was pushed");
}

/** A key that is there but `undefined`, as by `name: user?.id`, must not stand for anything at all. */
function checkPresent(what: string, options: object, rules: Rules): void {
  for (const [name, rule] of Object.entries(rules)) {
    if (name in options) checkValue(what, name, options[name as keyof typeof options], rule);
  }
}

async function untilConnected(
  turbo: Turbo,
  whom: Whom | undefined,
  { count, deadline }: { count: number; deadline: number },
): Promise<void> {
  const now = () => whom === undefined ? turbo.size : turbo.listeners(whom);
  const end = performance.now() + deadline;
  while (count === 0 ? now() > 0 : now() < count) {
    if (performance.now() > end) {
      const words = whom === undefined ? "" : ` listening to ${JSON.stringify(whom)}`;
      throw new Error(
        `Waited ${deadline} ms in vain for ${count} connection${
          count === 1 ? "" : "s"
        }${words}: there are ${now()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function listOf(names: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof names === "string" ? [names] : names;
}

const ENTITIES: Record<string, string> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
  "&#13;": "\r",
  "&amp;": "&",
};

function unescape(text: string): string {
  return text.replace(/&(?:lt|gt|quot|#39|#13|amp);/g, (entity) => ENTITIES[entity]!);
}
