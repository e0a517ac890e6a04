import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "npm:fast-check@4.10.2";
import { html, raw } from "./html.ts";
import { type Audience, Log, type LogOptions } from "./log.ts";
import {
  action,
  after,
  append,
  before,
  prepend,
  remove,
  replace,
  update,
} from "../tests/stream_texts.ts";
import { joinStreams, type Streams } from "./streams.ts";
import { meaningOf, soleElementId } from "./subject.ts";
import { parseStreams, type StreamElement } from "./testing.ts";

const item = (id: string) => html`<li id="${id}"></li>`;
const X = item("x");

/** Pushes in order: streams, or streams with their audience. */
type Pushes = readonly (Streams | { of: Streams; to?: string[]; except?: string })[];

/** The indexes of the pushes left in the log, and whether missing the others is a gap. */
function left(pushes: Pushes): [left: number[], hasGap: boolean] {
  const log = new Log();
  for (const push of pushes) {
    const { of, ...audience } = typeof push === "string" || !("of" in push) ? { of: push } : push;
    log.append(joinStreams(of as Streams), audience);
  }
  const { entries, goneForAll, gone } = log.save();
  assert.equal(log.size, entries.length);
  return [entries.map(({ position }) => position - 1), goneForAll > 0 || gone.names.length > 0];
}

const cases: { name: string; pushes: Pushes; left: number[]; gap?: boolean }[] = [
  ...[append, prepend, before, after].map((insert) => ({
    name: `${insert.name} of the element`,
    pushes: [insert("list", X), remove("x")],
    left: [1],
  })),
  ...[replace, update, append, prepend].map((change) => ({
    name: `${change.name} of, or into, the element`,
    pushes: [change("x", change === replace ? X : "1"), remove("x")],
    left: [1],
  })),
  {
    name: "several entries about it",
    pushes: [append("list", X), append("a", X), update("x", "1"), append("x", "2"), remove("x")],
    left: [4],
  },
  {
    name: "a morph",
    pushes: [replace("x", X, { morph: true }), update("x", "1", { morph: true }), remove("x")],
    left: [2],
  },
  {
    name: "neither an earlier remove nor entries about other elements",
    pushes: [remove("x"), remove("y"), append("list", item("y")), append("list", X), remove("x")],
    left: [0, 1, 2, 4],
  },
  {
    name: "entries about any of the elements that a list removes",
    pushes: [
      ...["a", "b", "c", "d"].map((id) => append("list", item(id))),
      [remove("a"), append("list", "1"), remove("b"), update("n", "2"), remove("c")],
    ],
    left: [3, 4],
  },
  {
    name: "whatever was inserted into it",
    pushes: [append("x", html`a<b></b>`), append("x", item("y")), remove("x")],
    left: [2],
  },
  {
    name: "an entry that is about it twice, once",
    pushes: [append("x", X), update("n", "1"), remove("x")],
    left: [1, 2],
  },
  {
    name: "one entry that two removes of a list are about",
    pushes: [append("x", item("y")), append("list", "1"), [remove("x"), remove("y")]],
    left: [1, 2],
  },
  {
    name: "an element that is inserted again",
    pushes: [append("list", X), [remove("x"), append("list", X)]],
    left: [1],
  },
  { name: "no later entry", pushes: [remove("x"), append("list", X)], left: [0, 1] },
  // Cases with a gap for those who missed the entry.
  {
    name: "a list, as a gap",
    pushes: [[append("list", X), update("n", "1")], remove("x")],
    left: [1],
    gap: true,
  },
  {
    name: "an entry about more than the element, or possibly more, as a gap",
    pushes: [
      append("list", html`${X}<li></li>`),
      append("list", html`${X} and text`),
      append("list", html`<li id="y">${X}</li>`),
      append("list", raw('<p id="x"><div></div></p>')),
      replace("x", html`${X}<li></li>`),
      remove("x"),
    ],
    left: [2, 5],
    gap: true,
  },
  {
    name: "an element next to or in place of which another was inserted, as a gap",
    pushes: [
      ...["a", "b", "c", "d"].map((id) => append("list", item(id))),
      after("a", "1"),
      [before("b", "1"), update("n", "2")],
      replace("c", item("z")),
      ...["a", "b", "c", "d"].map((id) => remove(id)),
    ],
    left: [4, 5, 6, 7, 8, 9, 10],
    gap: true,
  },
  {
    name: "what was pushed after that",
    pushes: [after("x", "1"), append("list", X), remove("x")],
    left: [0, 2],
  },
  {
    name: "a list that replaces the element by itself, as a gap",
    pushes: [append("list", X), [replace("x", X), update("n", "1")], remove("x")],
    left: [2],
    gap: true,
  },
  {
    name: "a list that replaces the element by more, as a gap",
    pushes: [append("list", X), [replace("x", html`${X}<b></b>`), update("n", "1")], remove("x")],
    left: [2],
    gap: true,
  },
  {
    name: "what the entry itself depends on, as a gap",
    pushes: [append("list", X), [after("x", "1"), remove("x")]],
    left: [1],
    gap: true,
  },
  ...[
    action("move", { target: "y" }),
    before({ all: "li" }, "1"),
    update({ all: "li" }, "1"),
    append("list", raw('<turbo-stream action="after" target="x"><template>1</template>')),
    append("list", raw(action("move", { target: "y" }))),
    append("list", raw("</template></turbo-stream>text")),
  ].map((stream) => ({
    name: `what came before a stream that may be about any element, as a gap: ${stream}`,
    pushes: [append("list", X), stream, append("list", item("y")), remove("x"), remove("y")],
    left: [1, 3, 4],
    gap: true,
  })),
  {
    name: "what a refresh does not change",
    pushes: [append("list", X), action("refresh"), remove("x")],
    left: [1, 2],
  },
  {
    name: "nothing where the remove is nested, or has a selector",
    pushes: [
      append("list", X),
      remove({ all: "#x" }),
      append("list", html`${raw(remove("x"))}`),
      action("remove", { content: remove("x") }),
    ],
    left: [0, 1, 2, 3],
  },
  {
    name: "an element whose id can be spelled in another way, as a gap",
    pushes: [
      append("list", item("a&b")),
      remove("a&b"),
      append("list", item("a b")),
      remove("a b"),
    ],
    left: [1, 3],
    gap: true,
  },
  // Audiences.
  {
    name: "no entry for another audience",
    pushes: [
      { of: append("list", X), to: ["a"] },
      append("list", X),
      { of: remove("x"), to: ["a", "b"] },
    ],
    left: [0, 1, 2],
  },
  {
    name: "an entry for the same names in another order",
    pushes: [{ of: append("list", X), to: ["a", "b"] }, { of: remove("x"), to: ["b", "a", "b"] }],
    left: [1],
  },
  {
    name: "what an entry for another audience depends on, as a gap",
    pushes: [append("list", X), { of: after("x", "1"), to: ["a"] }, remove("x")],
    left: [1, 2],
    gap: true,
  },
  {
    name: "an entry, whichever page it leaves out",
    pushes: [{ of: append("list", X), except: "p" }, { of: remove("x"), except: "q" }],
    left: [1],
  },
];
for (const { name, pushes, left: expected, gap = false } of cases) {
  Deno.test(`Log.append() of a remove takes out ${name}`, () => {
    assert.deepEqual(left(pushes), [expected, gap]);
  });
}

Deno.test("Log.append() does not supersede a replace by more than one element", () => {
  const log = new Log();
  for (const content of [html`${X}<li></li>`, X, X]) log.append(replace("x", content));
  assert.deepEqual(log.save().entries.map(({ position }) => position), [1, 3]);
});

Deno.test("soleElementId() distinguishes one element from more, and from doubtful markup", () => {
  const markups: Record<string, string | undefined> = {
    '<li id="x"></li>': "x",
    '<li class="a" id="x" hidden><b>1</b></li>': "x",
    '<LI id="x"></li>': "x",
    '<div id="x"><div><div></div></div></div>': "x",
    '<p id="x"><b>1</b> <a href="/">2</a></p>': "x",
    '<turbo-frame id="x"><turbo-frame></turbo-frame></turbo-frame>': "x",
    '<div id="x" title="a">&lt;/div&gt;</div>': "x",
    '<div id="x"><textarea>1</textarea></div>': "x",
    '<link id="x" rel="icon">': "x",
    '<img src="/a.png" id="x" />': "x",
    "": undefined,
    "text": undefined,
    "<li></li>": undefined,
    '<li id="x">': undefined,
    '<img id="x">text': undefined,
    '<img id="x"><img>': undefined,
    '<li id="x"/></li>': undefined,
    ' <li id="x"></li>': undefined,
    '<li id="x"></li> ': undefined,
    '<li id="x"></li><li></li>': undefined,
    '<div id="x"></div><div></div>': undefined,
    '<div id="x"><div></div>': undefined,
    '<li id="x"><li></li></li>': undefined,
    '<p id="x"><div></div></p>': undefined,
    '<p id="x"><p></p></p>': undefined,
    '<div id="x"><!-- </div> --></div>': undefined,
    '<div id="x"><script></div></script></div>': undefined,
    '<div id="a" id="x"></div>': undefined,
    "<div id='x'></div>": undefined,
    '<div id="a&amp;b"></div>': undefined,
    '<div id="x" title="</div>"></div>': undefined,
    '<div id="x"><textarea><div></textarea></div>': undefined,
    '<divs id="x"></div>': undefined,
  };
  for (const [markup, id] of Object.entries(markups)) {
    assert.equal(soleElementId(markup), id, markup);
  }
});

Deno.test("Log.append() of a remove makes no gap, and sends nobody what it took out", () => {
  const log = new Log();
  log.append(append("list", X), { to: ["a"] });
  log.append(remove("x"), { to: ["a"] });
  const batch = log.after(0, new Set(["a"]));
  assert(batch !== "gap");
  assert.deepEqual(batch.entries.map(({ html }) => html), [remove("x")]);
  assert.deepEqual([log.size, log.bytes], [1, remove("x").length + 1]);
});

Deno.test("Log.append() of a remove that is too large to keep takes entries out all the same", () => {
  const log = new Log({ maxBytes: 400 });
  log.append(append("list", X));
  log.append(joinStreams([remove("x"), append("list", "x".repeat(400))]));
  assert.deepEqual([log.size, log.after(0)], [0, "gap"]);
});

Deno.test("Log.load() restores which entries are about which element", () => {
  const log = new Log();
  for (const stream of [remove("y"), update("a", item("y")), append("list", X), after("y", "1")]) {
    log.append(stream);
  }
  const next = new Log();
  next.load(JSON.parse(JSON.stringify(log.save())));
  for (const one of [log, next]) for (const id of ["x", "y"]) one.append(remove(id));
  assert.deepEqual(
    next.save().entries.map(({ html }) => html),
    log.save().entries.map(({ html }) => html),
  );
  assert.equal(next.size, 5);
});

Deno.test("No index of the log keeps entries alive that have gone", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const log = new Log({ maxEntries: 1 });
  const streams: Streams[] = [
    remove("y"),
    update("a", item("y")),
    append("list", X),
    after("z", "1"),
    [replace("z", X), replace("z", X)],
    action("move"),
    remove("y"),
  ];
  const gone = streams.map((stream) => {
    const html = joinStreams(stream);
    return { html, entry: new WeakRef(log.append(html, { to: ["ann"] })) };
  });
  log.append(append("other", "1"));
  await new Promise((resolve) => setTimeout(resolve)); // a dereferenced WeakRef keeps its target for a turn
  collect();
  for (const { html, entry } of gone) assert.equal(entry.deref(), undefined, html);
});

Deno.test("Log.reset() forgets which entries were about which element", () => {
  const log = new Log();
  log.append(append("list", X));
  log.reset("e", 10);
  log.append(append("list", X));
  log.append(after("y", "1"));
  log.append(remove("x"));
  assert.equal(log.size, 2);
});

// ---- Any interleaving, against a page in the simplest form

/** The elements that a stream inserts first or changes; none where the log cannot know. */
function shownBy({ action, target, targets, content }: StreamElement): string[] {
  const [, first] = /^<i id="(\w+)">/.exec(content) ?? [];
  if (targets !== undefined || !/^(append|prepend|before|after|replace|update)$/.test(action)) {
    return [];
  }
  if (action === "update") return [target!];
  if (action === "replace") return [first ?? target!];
  const isInside = action === "append" || action === "prepend";
  return [...(first === undefined ? [] : [first]), ...(isInside ? [target!] : [])];
}

function isSame(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === b || (!!a && !!b && [...a].sort().join() === [...b].sort().join());
}

interface Element {
  id: string;
  text: string;
  kids: Element[];
  parent?: Element | undefined;
}

/** A page: a tree of elements, on which streams act as in Turbo. */
class Page {
  readonly root: Element;
  /** Elements that were removed with one around them. */
  readonly #lost: Set<string>;
  /**
   * Whether something happened for which the log makes no promise: two elements had the same id,
   * or an element removed with another came back or was changed. The entry that removed it may be
   * gone by then, so a page that was away may still have it for a while.
   */
  isBeyond = false;

  constructor(
    root: Element = parse('<i id="l1"></i><i id="l2"></i>'),
    lost: Iterable<string> = [],
  ) {
    this.root = root;
    this.#lost = new Set(lost);
  }

  clone(): Page {
    return new Page(parse(this.toString()), this.#lost);
  }

  toString(): string {
    const write = ({ id, text, kids }: Element): string =>
      `<i id="${id}">${text}${kids.map(write).join("")}</i>`;
    return this.root.kids.map(write).join("");
  }

  apply(streams: string): void {
    for (const { action, target, targets, content } of parseStreams(streams)) {
      const id = target ?? targets!.slice(1);
      this.isBeyond ||= this.#lost.has(id);
      const one = this.#find(id);
      if (!one) continue;
      const [before, added] = [this.#ids(), parse(content)];
      this.#act(action, one, added);
      const ids = this.#ids();
      this.isBeyond ||= new Set(ids).size < ids.length;
      this.isBeyond ||= this.#ids(added).some((id) => this.#lost.has(id));
      for (const one of before) if (one !== id && !ids.includes(one)) this.#lost.add(one);
    }
  }

  #act(action: string, one: Element, { kids, text }: Element): void {
    const parent = one.parent!;
    const side = () => parent.kids.indexOf(one);
    const clear = (all: Element[]) =>
      all.forEach((old) => kids.some(({ id }) => id === old.id) && put(old));
    if (action === "append" || action === "prepend") {
      clear([...one.kids]);
      one.kids.splice(action === "append" ? one.kids.length : 0, 0, ...kids);
      adopt(one);
    } else if (/^(before|after|place)$/.test(action)) {
      clear(parent.kids.filter((kid) => kid !== one));
      parent.kids.splice(side() + (action === "after" ? 1 : 0), 0, ...kids);
      adopt(parent);
    } else if (action === "update") {
      Object.assign(one, { kids, text });
      adopt(one);
    } else put(one, ...kids);
  }

  #ids(element = this.root): string[] {
    return element.kids.flatMap((kid) => [kid.id, ...this.#ids(kid)]);
  }

  #find(id: string, element = this.root): Element | undefined {
    for (const kid of element.kids) {
      const found = kid.id === id ? kid : this.#find(id, kid);
      if (found) return found;
    }
    return undefined;
  }
}

/** Replaces an element with others. */
function put(one: Element, ...others: Element[]): void {
  one.parent!.kids.splice(one.parent!.kids.indexOf(one), 1, ...others);
  adopt(one.parent!);
}

function adopt(parent: Element): void {
  for (const kid of parent.kids) kid.parent = parent;
}

function parse(markup: string): Element {
  const root: Element = { id: "", text: "", kids: [] };
  let at = root;
  for (const [token, id] of markup.matchAll(/<i id="(\w+)">|<\/i>|[^<]+/g)) {
    if (id !== undefined) at.kids.push(at = { id, text: "", kids: [], parent: at });
    else if (token === "</i>") at = at.parent!;
    else at.text += token;
  }
  return root;
}

const IDS = [..."abcd"];
const id = fc.constantFrom(...IDS);
const place = fc.constantFrom("l1", "l2", "l1", "l2", ...IDS);
const element = fc.tuple(id, fc.nat(9), fc.option(id, { nil: undefined, freq: 8 })).map((
  [id, n, inner],
) => raw(`<i id="${id}">${n}${inner && inner !== id ? `<i id="${inner}"></i>` : ""}</i>`));
const content = fc.oneof(
  { weight: 6, arbitrary: element },
  { weight: 1, arbitrary: fc.tuple(element, element).map((all) => raw(all.join(""))) },
);
const stream = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(place, content).map((all) => append(...all)) },
  { weight: 1, arbitrary: fc.tuple(place, content).map((all) => prepend(...all)) },
  { weight: 2, arbitrary: fc.tuple(id, content).map((all) => before(...all)) },
  { weight: 2, arbitrary: fc.tuple(id, content).map((all) => after(...all)) },
  { weight: 2, arbitrary: fc.tuple(id, content).map((all) => replace(...all)) },
  { weight: 3, arbitrary: id.map((id) => replace(id, raw(`<i id="${id}">r</i>`))) },
  { weight: 2, arbitrary: fc.tuple(place, content).map((all) => update(...all)) },
  { weight: 9, arbitrary: id.map((id) => remove(id)) },
  { weight: 1, arbitrary: fc.tuple(id, content).map(([id, one]) => after({ all: `#${id}` }, one)) },
  {
    weight: 1,
    arbitrary: fc.record({ target: id, content }).map((parts) => action("place", parts)),
  },
);

type Step =
  | { streams: Streams; audience: Audience }
  | { wait: number }
  | { restart: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      streams: fc.oneof(
        { weight: 3, arbitrary: stream },
        { weight: 1, arbitrary: fc.array(stream, { minLength: 2, maxLength: 3 }) },
      ),
      audience: fc.record({
        to: fc.constantFrom(undefined, undefined, undefined, ["x"], ["y"], ["x", "y"], ["y", "x"]),
        except: fc.constantFrom(undefined, undefined, undefined, "p"),
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ wait: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ restart: fc.nat(60) }) },
);

const READERS = [[], ["x"], ["y"], ["x", "y"]].map((names) => new Set<string>(names));

Deno.test("Log.after() brings a page at any position to the state of a live one, whatever was removed", () => {
  const counts = { replays: 0, gaps: 0, expired: 0, removed: 0 };
  const options = fc.record({
    maxEntries: fc.integer({ min: 3, max: 60 }),
    maxBytes: fc.constantFrom(700, 2_000, 100_000),
    maxAge: fc.constantFrom(100, 400, Infinity),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), options, (steps, options) => {
      run(steps, options, counts);
    }),
    { numRuns: 1_500 },
  );
  const { replays, gaps, expired, removed } = counts;
  const message = JSON.stringify(counts);
  assert(replays > 20_000 && gaps > 5_000 && expired > 1_000 && removed > 1_000, message);
});

function run(
  steps: Step[],
  options: LogOptions,
  counts: { replays: number; gaps: number; expired: number; removed: number },
): void {
  let now = 1_000;
  let skew = 0;
  let log = new Log(options, { now: () => now + skew });
  const pushed: { html: string; audience: Audience; at: number; size: number }[] = [];
  /** What a reader's page showed at each position. */
  const shown = READERS.map(() => [new Page()]);
  /** The last position at which page `p` changed something itself. */
  let own = 0;
  for (const step of steps) {
    if ("wait" in step) now += step.wait;
    if ("restart" in step) {
      const state = JSON.parse(JSON.stringify(log.save()));
      now += step.restart;
      skew += 12_345; // another process, another clock
      log = new Log(options, { now: () => now + skew });
      log.load(state, step.restart);
    }
    if (!("streams" in step)) continue;
    const { audience } = step;
    const html = joinStreams(step.streams);
    const pages = READERS.map((names, reader) => {
      const page = shown[reader]!.at(-1)!.clone();
      if (isFor(audience, names)) page.apply(html);
      return page;
    });
    if (pages.some(({ isBeyond }) => isBeyond)) continue;
    const before = log.size;
    const { bytes } = log.append(html, audience);
    if (log.size <= before && html.includes('"remove"')) counts.removed++;
    pages.forEach((page, reader) => shown[reader]!.push(page));
    const size = bytes + (audience.to ?? []).join("").length + (audience.except ?? "").length;
    pushed.push({ html, audience, at: now, size });
    if (audience.except) own = pushed.length;
    assert(log.size <= options.maxEntries! && log.bytes <= options.maxBytes!);
  }
  for (const { position, html, to } of log.save().entries) {
    const shown = new Set(parseStreams(html).flatMap(shownBy));
    const removed = pushed.slice(position).filter(({ audience }) => isSame(audience.to, to))
      .flatMap(({ html }) => parseStreams(html).filter(({ action }) => action === "remove"));
    const leak = removed.find(({ target }) => shown.has(target!));
    assert(!leak, `${html} is held after ${leak?.target} was removed`);
  }
  const { maxEntries, maxBytes, maxAge } = options as Required<LogOptions>;
  for (const [reader, names] of READERS.entries()) {
    const live = String(shown[reader]!.at(-1)!);
    for (let position = 0; position <= pushed.length; position++) {
      const replay = log.after(position, names);
      const missed = pushed.slice(position);
      if (replay === "gap") {
        const first = missed.findIndex(({ audience }) => isFor(audience, names));
        assert(first !== -1, "a gap for one who missed nothing");
        const since = missed.slice(first);
        const bytes = since.reduce((sum, { size }) => sum + size, 0);
        const isOld = now - since[0]!.at > maxAge;
        const wasRemoved = since.some(({ html }) => html.includes('action="remove"'));
        assert(
          isOld || since.length > maxEntries || bytes > maxBytes || wasRemoved,
          "a gap without need",
        );
        counts.gaps++;
        if (isOld) counts.expired++;
        continue;
      }
      const ways = position >= own ? [undefined, "p"] : [undefined];
      for (const page of ways) {
        const view = shown[reader]![position]!.clone();
        for (const { html, position, except } of replay.entries) {
          assert(now - pushed[position - 1]!.at <= maxAge, "too old");
          if (except === undefined || except !== page) view.apply(html);
        }
        assert.equal(String(view), live, `${[...names]} after ${position}`);
        counts.replays++;
      }
    }
  }
}

function isFor({ to }: Audience, names: ReadonlySet<string>): boolean {
  return to === undefined || to.some((name) => names.has(name));
}

for (
  const [what, markup] of [
    ["tags that do not end", "<a".repeat(100_000)],
    ["tags of its own name that do not end", '<b id="x">' + "<b ".repeat(100_000)],
    ["three million attributes", `<b${" a".repeat(3_000_000)} id="x"></b>`],
  ] as const
) {
  Deno.test(`meaningOf() analyses ${what} in linear time`, () => {
    const start = performance.now();
    meaningOf(joinStreams(append("list", raw(markup))));
    const took = performance.now() - start;
    assert(took < 2_000, `${took} ms`); // a quadratic expression takes 6 s, 22 s and throws a RangeError
  });
}
