import assert from "node:assert/strict";
import { soleElementId } from "./sole_element.ts";

for (
  const markup of [
    '<li id="x">text</li>',
    '<li class="a" id="x" hidden>a <b>b</b><br>c</li>',
    '<LI ID="x"></li>',
    '<x-y id="x"><x-z></x-z></x-y>',
    '<input type="text" id="x">',
    '<div id="x"><p>a <a href="/">b</a></p><ul><li><div><ul><li></li></ul></div></li></ul></div>',
    '<tr id="x">\n  <td>1</td><td><table><tbody><tr><td>2</td></tr></tbody></table></td></tr>',
    '<p id="x"><svg viewBox="0 0 1 1"><g><path d="M0 0"/></g></svg></p>',
    `<div id="x" title='">' data-a=1></div>`,
    '<select id="x"><optgroup><option>a</option></optgroup></select>',
  ]
) {
  Deno.test(`soleElementId() is sure of ${markup}`, () => {
    assert.equal(soleElementId(markup), "x");
  });
}

for (
  const [why, markup] of [
    ["nothing", ""],
    ["text", "text"],
    ["no id", "<li></li>"],
    ["an id that is in another attribute", `<li title=' id="x"'></li>`],
    ["an id without quotes", "<li id=x></li>"],
    ["text before", 'a<li id="x"></li>'],
    ["text after", '<li id="x"></li>a'],
    ["white space after", '<li id="x"></li> '],
    ["another element after", '<li id="x"></li><li></li>'],
    ["another element after one that is empty", '<hr id="x"><hr>'],
    ["an element that is not closed", '<li id="x"><b></li>'],
    ["an end that closes nothing", '<li id="x"></b></li>'],
    ["a tag that is cut off", '<li id="x"></li'],
    ["an attribute that is cut off", '<li id="x" title="></li>'],
    ["a slash that closes nothing", '<div id="x"/>'],
    ["a comment", '<li id="x"><!-- --></li>'],
    ["raw text", '<div id="x"><script>"</div>"</script></div>'],
    ["an element that nobody knows", '<foo id="x"></foo>'],
    ["a block in a paragraph", '<p id="x"><div></div></p>'],
    ["a block in a paragraph, below", '<span id="x"><p><span><div></div></span></p></span>'],
    ["an item in an item", '<li id="x"><li></li></li>'],
    ["a link in a link", '<a id="x"><b><a></a></b></a>'],
    ["a heading in a heading", '<h1 id="x"><h2></h2></h1>'],
    ["an option with an element", '<option id="x"><b></b></option>'],
    ["a row in a cell", '<td id="x"><tr></tr></td>'],
    ["text in a table", '<table id="x">a</table>'],
    ["a no-break space in a table", '<table id="x">\u00a0</table>'],
    ["an element in a row", '<tr id="x"><div></div></tr>'],
    ["HTML in SVG", '<svg id="x"><div></div></svg>'],
    ["a tag that only looks like one", '<div\u00a0id="x"></div>'],
    ["something very long", `<li id="x">${"a".repeat(20_000)}</li>`],
  ] as const
) {
  Deno.test(`soleElementId() is not sure of ${why}`, () => {
    assert.equal(soleElementId(markup), undefined);
  });
}
