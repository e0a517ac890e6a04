import assert from "node:assert/strict";
import { Fragment, jsx } from "hono/jsx";
import { html, raw } from "./html.ts";
import { html as honoHtml } from "hono/html";
import { action, append, refresh, remove, replace, update } from "../tests/stream_texts.ts";
import * as streams from "../tests/stream_texts.ts";
import * as builders from "./streams.ts";
import { type Content, joinStreams, type Target } from "./streams.ts";

const ADDING = ["append", "prepend", "before", "after"] as const;
const VERBS = ["append", "prepend", "before", "after", "replace", "update"] as const;

for (const verb of VERBS) {
  Deno.test(`${verb}() returns exactly the element of Turbo-Flask`, () => {
    assert.equal(
      streams[verb]("bar", "foo"),
      `<turbo-stream action="${verb}" target="bar"><template>foo</template></turbo-stream>`,
    );
  });
}

Deno.test("remove() returns exactly the element, without a template", () => {
  assert.equal(remove("bar"), '<turbo-stream action="remove" target="bar"></turbo-stream>');
});

Deno.test("refresh() returns exactly the element, with its options", () => {
  assert.equal(refresh(), '<turbo-stream action="refresh"></turbo-stream>');
  assert.equal(
    refresh({ morph: true, scroll: "preserve", requestId: "r1" }),
    '<turbo-stream action="refresh" request-id="r1" method="morph" scroll="preserve"></turbo-stream>',
  );
});

Deno.test("Builders accept a selector as { all }", () => {
  assert.equal(
    update({ all: '.a[title="b"]' }, "c"),
    '<turbo-stream action="update" targets=".a[title=&quot;b&quot;]"><template>c</template></turbo-stream>',
  );
});

Deno.test("replace() and update() morph with the option", () => {
  const end = 'target="a" method="morph"><template>b</template></turbo-stream>';
  assert.equal(replace("a", "b", { morph: true }), `<turbo-stream action="replace" ${end}`);
  assert.equal(update("a", "b", { morph: true }), `<turbo-stream action="update" ${end}`);
});

Deno.test("action() contains its parts", () => {
  assert.equal(
    action("highlight", { target: "a", content: html`<b></b>`, attributes: { color: "<red>" } }),
    '<turbo-stream action="highlight" target="a" color="&lt;red&gt;"><template><b></b></template></turbo-stream>',
  );
});

Deno.test("action() throws on a missing name and on names that attributes cannot have", () => {
  assert.throws(() => action(""), TypeError);
  for (const name of ["", "a b", 'a"', "a>", "a=b", "Target", "targets", "action", "1a"]) {
    assert.throws(() => action("x", { attributes: { [name]: "" } }), TypeError, name);
  }
});

Deno.test("Builders throw on a missing target and name it", () => {
  for (const target of ["", undefined, null, 5, {}, { all: "" }, { all: 42 }] as never[]) {
    assert.throws(() => append(target, "x"), { name: "TypeError", message: /target/ });
    assert.throws(() => remove(target), { name: "TypeError", message: /target/ });
  }
});

const BUILDERS: Record<string, (target: Target) => unknown> = {
  ...Object.fromEntries(
    VERBS.map((verb) => [verb, (target: Target) => streams[verb](target, "x")]),
  ),
  remove,
  action: (target) => action("x", { target }),
};

for (const [name, build] of Object.entries(BUILDERS)) {
  Deno.test(`${name}() throws on a selector given as an id`, () => {
    assert.throws(() => build("#box"), {
      name: "TypeError",
      message: 'Cannot build a stream for target "#box": an element id without # or ' +
        '{ all: "css selector" } is needed',
    });
  });
}

const contents: [what: string, content: Content, expected: string][] = [
  ["text", "<b>&", "&lt;b&gt;&amp;"],
  ["a number", 0, "0"],
  ["our html", html`<b>${"<"}</b>`, "<b>&lt;</b>"],
  ["Hono's html", honoHtml`<b>${"<"}</b>`, "<b>&lt;</b>"],
  ["Hono JSX", jsx("b", { title: '"' }, "<") as never, '<b title="&quot;">&lt;</b>'],
  ["a component", jsx(() => jsx("b", {}, "<") as never, {}) as never, "<b>&lt;</b>"],
  ["a fragment", jsx(Fragment, {}, "<", 1) as never, "&lt;1"],
  [
    "a list of these",
    [html`<b></b>`, 1, "<", jsx("i", {}) as never, ["&"]],
    "<b></b>1&lt;<i></i>&amp;",
  ],
  ["an empty list", [], ""],
];

for (const [what, content, expected] of contents) {
  Deno.test(`Builders accept ${what} as content`, () => {
    for (const verb of VERBS) {
      const stream = streams[verb]("a", content);
      assert.equal(
        stream.slice(stream.indexOf("<template>")),
        `<template>${expected}</template></turbo-stream>`,
      );
    }
    assert(action("x", { content }).includes(`<template>${expected}</template>`));
  });
}

Deno.test("A stream in a page is markup in our html, in Hono's and in JSX", () => {
  const stream = builders.replace("a", html`<b id="a">${"<"}</b>`);
  const text =
    '<turbo-stream action="replace" target="a"><template><b id="a">&lt;</b></template></turbo-stream>';
  assert.equal(String(stream), text);
  assert.equal(String(html`<p>${stream}</p>`), `<p>${text}</p>`);
  assert.equal(String(honoHtml`<p>${[stream]}</p>`), `<p>${text}</p>`);
  assert.equal(String(jsx("p", {}, stream as never)), `<p>${text}</p>`);
  assert.equal(joinStreams([stream, stream]), text + text);
});

Deno.test("The text of a stream in a page is escaped, so typing one has no effect", () => {
  assert(String(html`<p>${remove("a")}</p>`).startsWith("<p>&lt;turbo-stream"));
});

Deno.test("joinStreams() rejects markup that only looks like a stream", () => {
  assert.throws(
    () => joinStreams(html`<turbo-stream action="remove" target="a"></turbo-stream>` as never),
    {
      message: /Cannot push the markup "<turbo-stream/,
    },
  );
});

for (const verb of VERBS) {
  Deno.test(`${verb}() throws on content that is missing, or neither markup nor text`, () => {
    for (const content of [undefined, null, true, {}, [undefined], [[null]]] as never[]) {
      assert.throws(() => streams[verb]("a", content), {
        name: "TypeError",
        message: `Cannot build a stream from content ${JSON.stringify([content].flat(3)[0])}: ` +
          "markup or text is needed",
      });
    }
  });
}

/** A promise that rejects after the builder has thrown. */
async function fail(): Promise<never> {
  await Promise.resolve();
  throw new Error("the database is down");
}

const thenable = (): PromiseLike<never> => ({ then: (...both) => fail().then(...both) });
const asyncMarkup = () => Object.assign(new String(), { isEscaped: true, toString: fail });

Deno.test("Builders throw on a promise, and its later rejection ends no process", async () => {
  for (const content of [fail, thenable, asyncMarkup, () => [fail(), fail()]] as never[]) {
    const promise = content as () => never;
    const error = { name: "TypeError", message: /from a promise: await / };
    for (const verb of VERBS) assert.throws(() => streams[verb]("a", promise()), error);
    assert.throws(() => append("", promise()), error);
    assert.throws(() => replace("a", promise(), { morf: true } as never), error);
    assert.throws(() => action("x", { target: "#a", content: promise() }), error);
  }
  await new Promise((resolve) => setTimeout(resolve)); // a rejection nobody handles fails the test
});

Deno.test("joinStreams() throws on a promise, and its later rejection ends no process", async () => {
  const lists = [fail, thenable, () => [remove("a"), fail(), fail()], () => [[fail()]]];
  for (const promise of lists as (() => never)[]) {
    assert.throws(() => joinStreams(promise()), {
      name: "TypeError",
      message: "Cannot push a promise: await it first",
    });
  }
  await new Promise((resolve) => setTimeout(resolve));
});

const s = remove("a");
const Item = (): never => {
  throw new Error("it is not rendered");
};
const WRONG: [shown: string, streams: unknown][] = [
  ["undefined", undefined],
  ["null", null],
  ["42", 42],
  ["{}", {}],
  ["an object of Set", new Set([s])],
  ["an object of no class", Object.create(null)],
  ["a function", () => s],
  ['["<turbo-stream action=\\"remove\\" target=\\"a\\"></turbo-stream>"]', [[s]]],
  ["undefined", [s, undefined]],
  ['""', ""],
  ['"\\n<turbo-stream ></turbo-stream>"', "\n<turbo-stream ></turbo-stream>"],
  ['the markup "<p>a</p>"', html`<p>a</p>`],
  [`the markup "${"x".repeat(100)}"`, [html`${"x".repeat(101)}`]],
  ['the markup "<p>a</p>"', [s, html`<p>a</p>`]],
  ['the markup "<p>"', new String("<p>")],
  ['[the markup "<p>a</p>"]', [[html`<p>a</p>`]]],
  ['["1", the JSX <li>, null, …]', [["1", jsx("li", {}), null, 4]]],
  ["the JSX <li>", jsx("li", { id: "a" }, "x")],
  ["the JSX <Item>", jsx(Item, {})],
  ["the JSX <>", Fragment({ children: "x" })],
];

for (const [shown, wrong] of WRONG) {
  Deno.test(`joinStreams() quotes ${shown} and says what is needed`, () => {
    assert.throws(() => joinStreams(wrong as never), {
      name: "TypeError",
      message: `Cannot push ${shown}: one <turbo-stream> element from a builder such as ` +
        "replace(), or a list of them, is needed",
    });
  });
}

Deno.test("joinStreams() joins one stream, several, or none", () => {
  assert.deepEqual([s, [s, s], []].map((one) => joinStreams(one)), [s, s + s, ""]);
});

type WrongCall = [what: string, build: (options: never) => unknown, options: unknown, RegExp];

const WRONG_OPTIONS: WrongCall[] = [
  ...([replace, update] as const).flatMap((build): WrongCall[] => {
    const call = (options: never) => build("a", "b", options);
    return [
      [`${build.name}() with`, call, { morf: true }, /has no option "morf": there are morph/],
      [`${build.name}() with`, call, { morph: "false" }, /"false" as "morph".* true or false is/],
      [`${build.name}() with`, call, true, /Cannot take true for .*an object of options is needed/],
      [`${build.name}() with`, call, null, /Cannot take null for .*an object of options is needed/],
    ];
  }),
  ...ADDING.flatMap((verb): WrongCall[] => {
    const call = (options: never) =>
      (streams[verb] as (...all: unknown[]) => unknown)("a", "b", options);
    return [[
      `${verb}() with`,
      call,
      { morph: true },
      /options are for replace\(\), update\(\) and/,
    ]];
  }),
  ["refresh() with", refresh, { scroll: "foo" }, /"foo" as "scroll".* preserve or reset is needed/],
  ["refresh() with", refresh, { requestId: 42 }, /42 as "requestId" of refresh\(\): a text is/],
  ["refresh() with", refresh, { requestId: null }, /null as "requestId"/],
  ["refresh() with", refresh, { morph: 1 }, /1 as "morph".* true or false is needed/],
  ["action() named", action, {}, /for action {}: a name is needed/],
  ["action() named", action, undefined, /for action undefined: a name is needed/],
  ["action() with", acting, { targt: "y" }, /has no option "targt": there are target, content, a/],
  ["action() with", acting, { target: "#y" }, /for target "#y"/],
  ["action() with", acting, { content: null }, /from content null/],
  ["action() with", acting, { attributes: null }, /null as "attributes".* an object of texts is/],
  ["action() with", acting, { attributes: new Map([["a", "b"]]) }, /an object of texts is needed/],
  ["action() with", acting, { attributes: ["a"] }, /as "attributes".* an object of texts is/],
  ["action() with", acting, { attributes: { a: undefined } }, /undefined is not .* attribute "a"/],
  ["action() with", acting, { attributes: { a: raw('"') } }, /the markup .* not .* attribute "a"/],
];

function acting(parts: never): unknown {
  return action("x", parts);
}

for (const [what, build, options, message] of WRONG_OPTIONS) {
  Deno.test(`${what} ${Deno.inspect(options, { breakLength: Infinity })} throws and says what is allowed`, () => {
    assert.throws(() => build(options as never), (error: Error) => {
      assert(error instanceof TypeError || error instanceof RangeError);
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("Builders treat an option that is undefined as left out", () => {
  const left = { morph: undefined, scroll: undefined, requestId: undefined } as never;
  assert.equal(refresh(left), refresh());
  assert.equal(replace("a", "b", { morph: undefined } as never), replace("a", "b"));
  assert.equal(replace("a", "b", { morph: false }), replace("a", "b"));
  assert.equal(action("x", { target: undefined, content: undefined } as never), action("x"));
});

Deno.test("Builders trim markup, because white space beside it would stay in the page", () => {
  assert.match(append("a", raw("\n  <p>x</p>\n")), /<template><p>x<\/p><\/template>/);
});

Deno.test("Builders escape text and not markup", () => {
  assert.match(append("a", "<b>&"), /<template>&lt;b&gt;&amp;<\/template>/);
  assert.match(append("a", html`<b>${"<i>"}</b>`), /<template><b>&lt;i&gt;<\/b><\/template>/);
});
