import assert from "node:assert/strict";
import { html, raw } from "./html.ts";
import * as streams from "./streams.ts";
import { action, append, refresh, remove, replace, update } from "./streams.ts";

const VERBS = ["append", "prepend", "before", "after", "replace", "update"] as const;

for (const verb of VERBS) {
  Deno.test(`${verb}() is exactly the element that Turbo-Flask makes`, () => {
    assert.equal(
      streams[verb]("bar", "foo"),
      `<turbo-stream action="${verb}" target="bar"><template>foo</template></turbo-stream>`,
    );
  });
}

Deno.test("remove() is exactly the element, without a template", () => {
  assert.equal(remove("bar"), '<turbo-stream action="remove" target="bar"></turbo-stream>');
});

Deno.test("refresh() is exactly the element, with what it is given", () => {
  assert.equal(refresh(), '<turbo-stream action="refresh"></turbo-stream>');
  assert.equal(
    refresh({ morph: true, scroll: "preserve", requestId: "r1" }),
    '<turbo-stream action="refresh" request-id="r1" method="morph" scroll="preserve"></turbo-stream>',
  );
});

Deno.test("Builders take a selector as { all }", () => {
  assert.equal(
    update({ all: '.a[title="b"]' }, "c"),
    '<turbo-stream action="update" targets=".a[title=&quot;b&quot;]"><template>c</template></turbo-stream>',
  );
});

Deno.test("replace() and update() morph when told", () => {
  const end = 'target="a" method="morph"><template>b</template></turbo-stream>';
  assert.equal(replace("a", "b", { morph: true }), `<turbo-stream action="replace" ${end}`);
  assert.equal(update("a", "b", { morph: true }), `<turbo-stream action="update" ${end}`);
});

Deno.test("action() carries its parts", () => {
  assert.equal(
    action("highlight", { target: "a", content: html`<b></b>`, attributes: { color: "<red>" } }),
    '<turbo-stream action="highlight" target="a" color="&lt;red&gt;"><template><b></b></template></turbo-stream>',
  );
});

Deno.test("action() refuses a missing name and attributes that are none", () => {
  assert.throws(() => action(""), TypeError);
  for (const name of ["", "a b", 'a"', "a>", "a=b", "Target", "targets", "action", "1a"]) {
    assert.throws(() => action("x", { attributes: { [name]: "" } }), TypeError, name);
  }
});

Deno.test("Builders throw on a missing target and name it", () => {
  for (const target of ["", undefined, null, 5, {}, { all: "" }] as never[]) {
    assert.throws(() => append(target, "x"), { name: "TypeError", message: /target/ });
    assert.throws(() => remove(target), { name: "TypeError", message: /target/ });
  }
});

Deno.test("Builders throw on content that is neither markup nor text", () => {
  for (const content of [null, {}, [], Promise.resolve("x")] as never[]) {
    assert.throws(() => append("a", content), TypeError);
  }
});

Deno.test("Builders trim markup, for what stands beside it would stay in the page", () => {
  assert.match(append("a", raw("\n  <p>x</p>\n")), /<template><p>x<\/p><\/template>/);
});

Deno.test("Builders escape text and leave markup", () => {
  assert.match(append("a", "<b>&"), /<template>&lt;b&gt;&amp;<\/template>/);
  assert.match(append("a", html`<b>${"<i>"}</b>`), /<template><b>&lt;i&gt;<\/b><\/template>/);
});
