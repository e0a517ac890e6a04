import assert from "node:assert/strict";
import { figure, type FigureOptions } from "./figure.ts";
import { History } from "./history.ts";

const END = Date.UTC(2026, 10, 25, 14, 31, 5);

const OPTIONS: FigureOptions = {
  name: "1-minute load of the last hour",
  limit: 8,
  isSimulated: false,
};

/** The figure of some loads, five seconds apart; `undefined` stands for none. */
function figureOf(
  loads: readonly (number | undefined)[],
  options: Partial<FigureOptions> = {},
): string {
  const history = new History({ interval: 5_000, limit: 8 });
  for (const [index, load] of loads.entries()) {
    if (load !== undefined) history.add(load, END - (loads.length - 1 - index) * 5_000);
  }
  return String(figure(history.hour(END), { ...OPTIONS, ...options }));
}

const labelOf = (svg: string) => /^<svg role="img" aria-label="([^"]*)">/.exec(svg)![1];
const textsOf = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text);

Deno.test("figure() says in words what it shows", () => {
  const clock = new Date(END - 5_000).toTimeString().slice(0, 5);
  assert.equal(
    labelOf(figureOf([0.5, 9, 1])),
    `1-minute load of the last hour: from 0.50 to 9.00 at ${clock}, latest 1.00; ` +
      "all CPUs are busy at 8.00",
  );
  assert.doesNotMatch(figureOf([0.5, 9, 1]), /<title>/, "it would be read twice");
});

Deno.test("figure() says nothing of CPUs where their number is not known, and draws no line", () => {
  const svg = figureOf([1, 9, 2], { limit: undefined });
  assert.match(labelOf(svg)!, /, latest 2\.00$/);
  assert.doesNotMatch(svg, /class="busy"|class="above"|hot/);
});

Deno.test("figure() without a reading says so, and has the axis", () => {
  const svg = figureOf([]);
  assert.equal(labelOf(svg), "1-minute load of the last hour: no reading");
  assert.doesNotMatch(svg, /<path|<circle|NaN|Infinity|undefined/);
  assert.match(svg, /class="busy"/);
  assert(textsOf(svg).includes("all 8 CPUs busy"));
});

Deno.test("figure() of one reading is a dot, with its value", () => {
  const svg = figureOf([1.5]);
  assert.match(svg, /<path class="curve" d="M\S+ \d+h\.01"\/>/);
  assert.match(svg, /<circle class="dot" cx="100%"/);
  assert(textsOf(svg).includes("1.50"));
  assert.match(labelOf(svg)!, /from 1\.50 to 1\.50 at .*, latest 1\.50/);
});

Deno.test("figure() draws what is above the limit once more, and marks a newest value there", () => {
  const svg = figureOf([1, 9, 10]);
  assert.match(svg, /<path class="above"[^>]*\/><path class="curve hot"/);
  assert.match(svg, /class="dot hot"[^]*class="now hot"/);
  assert.doesNotMatch(figureOf([1, 7, 8]), /above|hot/);
});

Deno.test("figure() of simulated numbers is dotted, and says so first", () => {
  const svg = figureOf([1, 9], { isSimulated: true });
  assert.match(labelOf(svg)!, /^Simulated 1-minute load of the last hour: from/);
  const curves = svg.match(/class="curve[^"]*"/g);
  assert.deepEqual(curves, ['class="curve random"', 'class="curve random hot"']);
});

Deno.test("figure() that is small has the curve, the dashed line and the dot, and no text", () => {
  const svg = figureOf([1, 9, 2], { isSmall: true });
  assert.deepEqual(textsOf(svg), []);
  assert.match(svg, /class="curve"[^]*class="busy"[^]*<circle class="dot"/);
});

Deno.test("figure() names one CPU and two as people do", () => {
  const names = [1, 2, 3].map((limit) =>
    textsOf(figureOf([0.1], { limit })).find((text) => text!.endsWith(" busy"))
  );
  assert.deepEqual(names, ["the CPU busy", "both CPUs busy", "all 3 CPUs busy"]);
});

Deno.test("figure() names a wide hole", () => {
  const svg = figureOf([1, ...Array(30).fill(undefined), 2]);
  assert(textsOf(svg).includes("no reading"));
  assert.equal(svg.match(/class="curve"/g)?.length, 2, "and draws nothing there");
});

Deno.test("figure() without a summary marks the latest reading that is given", () => {
  const history = new History({ interval: 60_000 });
  history.add(3, END - 60_000);
  const span = { series: history.trend(END), length: 60 * 60_000, summary: undefined };
  const of = (latest?: { value: number; at: number }) =>
    String(figure(span, { ...OPTIONS, isSmall: true, latest }));
  assert.match(labelOf(of())!, /, latest 3\.00;/);
  assert.match(labelOf(of({ value: 2, at: END - 60_000 }))!, /from 3\.00 to 3\.00, latest 2\.00;/);
});

Deno.test("figure() shows no value beside the plot that is not of now", () => {
  const history = new History({ interval: 5_000 });
  history.add(1.5, END - 60_000);
  const svg = String(figure(history.hour(END), OPTIONS));
  assert.match(svg, /<circle/);
  assert(!textsOf(svg).includes("1.50"));
});

Deno.test("figure() shows the minute of its end once", () => {
  for (const seconds of [0, 5, 45, 59]) {
    const end = Date.UTC(2026, 10, 25, 14, 31, seconds);
    const history = new History({ interval: 5_000 });
    history.add(1, end);
    const texts = textsOf(String(figure(history.hour(end), OPTIONS)));
    const times = texts.filter((text) => /^\d\d:\d\d$/.test(text!));
    assert(times.length > 3, `${times}`);
    assert.deepEqual(times, [...new Set(times)], `${seconds} s`);
  }
});

Deno.test("figure() escapes its name", () => {
  const name = `<b> & "x" 'y'`;
  const label = labelOf(figureOf([1], { name }))!;
  assert(label.startsWith("&lt;b&gt; &amp; &quot;x&quot; &#39;y&#39;: "), label);
});
