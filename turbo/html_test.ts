import assert from "node:assert/strict";
import { html } from "./mod.ts";
import { unquotedAttribute } from "./quotes.ts";

const x = "x";

Deno.test("html names an attribute without quotes, and the remedy", () => {
  const message =
    'Cannot make markup of title=${…} without quotes: write title="${…}", because a ' +
    "space in the value would begin another attribute";
  assert.throws(() => html`<div class="a" title=${x}>b</div>`, { name: "SyntaxError", message });
  assert.throws(() => html`<div class="a" title=${x}>b</div>`, { name: "SyntaxError", message });
});

const templates: [template: readonly string[], attribute: string | undefined][] = [
  [["<div title=", ">"], "title"],
  [["<div title = ", ">"], "title"],
  [["<div\n  data-a.b:c=\n", ">"], "data-a.b:c"],
  [["<a href=/users/", ">"], "href"],
  [["<a href=x", "y>"], "href"],
  [["<a hidden href=", ">"], "href"],
  [['<a title="a>b" href=', ">"], "href"],
  [["<a title='\"' href=", ">"], "href"],
  [["<p>a = b</p><DIV TITLE=", ">"], "TITLE"],
  [["<b ", ' title="', '" id=', ">"], "id"],
  [["<b><!-- ", " --><i id=", "></i>"], "id"],
  [["<!--b--><i id=", "></i>"], "id"],
  [["<!--b--!><i id=", "></i>"], "id"],
  [["<!--><i id=", "></i>"], "id"],
  [["<!---><i id=", "></i>"], "id"],
  [["<!--[if !IE]><!--><i id=", "></i><!--<![endif]-->"], "id"],
  [["<script src=", "></script>"], "src"],
  [["<script>a<b</script><i id=", ">"], "id"],
  [["<div ", "=", ">"], ""],
  [['<div title="', '">'], undefined],
  [["<div title='", "'>"], undefined],
  [['<div title = "a ', " b ", '">'], undefined],
  [["<div ", ">"], undefined],
  [["<div ", ">a=", "</div>"], undefined],
  [["<p>1 < 2, a=", "</p>"], undefined],
  [["a=", ""], undefined],
  [["<p>", "</p>"], undefined],
  [["<!-- <a href=", "> -->"], undefined],
  [["<!--a b-- c=", "-->"], undefined],
  [["<!---!> <a b=", "-->"], undefined],
  [["<p --> a=", "</p>"], undefined],
  [["<script>if (a<b) c=", "</script>"], undefined],
  [["<style>a<b {} c=", "</style>"], undefined],
  [["<textarea><a b=", "</textarea>"], undefined],
  [["<input value=a><b>", "</b>"], undefined],
  [["<input disabled value=a data-x='", "'>"], undefined],
  [["</p><br/><p class=a>", ""], undefined],
];

for (const [template, attribute] of templates) {
  const shown = template.join("${…}");
  Deno.test(`html ${attribute === undefined ? "takes" : "throws on"} ${shown}`, () => {
    assert.equal(unquotedAttribute(template), attribute);
  });
}
