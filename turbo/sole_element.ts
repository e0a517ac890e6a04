/**
 * Whether markup is one element and nothing else.
 *
 * @module
 */

/** Longer markup is not looked at: this is on the way of each push. */
const MAX_LENGTH = 16 * 1024;

const TAG =
  /<(\/?)([a-z][a-z0-9-]*)((?:[\t\n\f\r ]+[^\s"'<>/=]+(?:=(?:"[^"]*"|'[^']*'|[^\s"'<>/=`]+))?)*)[\t\n\f\r ]*(\/?)>/iy;
const ATTRIBUTE = /([^\s"'<>/=]+)(?:=(?:"([^"]*)"|'[^']*'|[^\s"'<>/=`]+))?/g;

const VOID = words("area br col embed hr img input source track wbr");
/** May stand in a `p`, which any other element ends. */
const PHRASING = words(
  "a abbr area audio b bdi bdo br button canvas cite code data datalist del dfn em embed i img " +
    "input ins kbd label map mark meter optgroup option output picture progress q s samp select " +
    "small source span strong sub sup svg time track u var video wbr " +
    "circle ellipse g line path polygon polyline rect use",
);
const FLOW = words(
  "address article aside blockquote details dialog div dl fieldset figcaption figure footer form " +
    "header hgroup hr legend main menu nav ol p pre search section summary table ul " +
    "h1 h2 h3 h4 h5 h6 caption colgroup col thead tbody tfoot tr td th li dt dd",
);
/** A second one ends the first, however deep it stands. */
const ALONE = words("a button form h1 h2 h3 h4 h5 h6");
/** Parents outside of which an element ends another one or is moved. */
const PARENTS: Readonly<Record<string, ReadonlySet<string>>> = {
  li: words("ul ol menu"),
  dt: words("dl"),
  dd: words("dl"),
  caption: words("table"),
  colgroup: words("table"),
  thead: words("table"),
  tbody: words("table"),
  tfoot: words("table"),
  col: words("colgroup"),
  tr: words("table thead tbody tfoot"),
  td: words("tr"),
  th: words("tr"),
  optgroup: words("select datalist"),
  option: words("select datalist optgroup"),
  ...Object.fromEntries(
    "circle ellipse g line path polygon polyline rect use".split(" ").map((
      name,
    ) => [name, words("svg g")]),
  ),
};
/** Elements out of which everything is moved that has not them in `PARENTS`; text too. */
const STRICT = words(
  "table thead tbody tfoot tr colgroup select optgroup svg g circle ellipse line path polygon " +
    "polyline rect use",
);

/**
 * The id of the element that markup is, where it is one element and nothing else for certain.
 *
 * A parser of HTML ends elements early, moves some out of others, and leaves some out (WHATWG HTML,
 * section 13.2.6). So only markup is known here in which nothing of that can happen: all tags are in
 * pairs, and each of a known element stands where it may. All other markup is in doubt.
 */
export function soleElementId(markup: string): string | undefined {
  if (markup.length > MAX_LENGTH) return undefined;
  const open: string[] = [];
  let id: string | undefined;
  let at = 0;
  do {
    const start = markup.indexOf("<", at);
    const parent = open.at(-1);
    if (start === -1) return undefined;
    if ((parent === undefined || STRICT.has(parent)) && hasText(markup, at, start)) {
      return undefined;
    }
    TAG.lastIndex = start;
    const [tag, slash, written = "", attributes = "", isClosed] = TAG.exec(markup) ?? [];
    if (tag === undefined) return undefined;
    at = start + tag.length;
    const name = written.toLowerCase();
    if (slash) {
      if (open.pop() !== name) return undefined;
    } else {
      if (!mayStand(name, open)) return undefined;
      if (parent === undefined) id = idOf(attributes);
      if (id === undefined) return undefined;
      const isEmpty = VOID.has(name) || (isClosed && PARENTS[name]?.has("svg"));
      if (!isEmpty) open.push(name);
    }
  } while (open.length > 0);
  return at === markup.length ? id : undefined;
}

function mayStand(name: string, open: readonly string[]): boolean {
  const isPhrasing = PHRASING.has(name) || name.includes("-");
  if (!isPhrasing && !FLOW.has(name)) return false;
  const parent = open.at(-1);
  if (parent === undefined) return true;
  const parents = PARENTS[name];
  if (parents ? !parents.has(parent) : STRICT.has(parent)) return false;
  if (parent === "option" || (!isPhrasing && open.includes("p"))) return false;
  return !ALONE.has(name) || !open.some((one) => one === name || isHeading(one) && isHeading(name));
}

function isHeading(name: string): boolean {
  return /^h[1-6]$/.test(name);
}

function idOf(attributes: string): string | undefined {
  for (const [, name, value] of attributes.matchAll(ATTRIBUTE)) {
    if (name!.toLowerCase() === "id") return value;
  }
  return undefined;
}

// White space as HTML has it: a no-break space is text.
function hasText(markup: string, start: number, end: number): boolean {
  return start < end && /[^\t\n\f\r ]/.test(markup.slice(start, end));
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(" "));
}
