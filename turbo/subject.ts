/**
 * Which elements a push concerns, and how. The log uses this to drop what a later push makes obsolete.
 *
 * @module
 */

/** What a push does to elements. */
export interface Meaning {
  /** Its element and action, where the push is one `replace` or `update` that sets the whole element. */
  readonly state: { readonly action: "replace" | "update"; readonly id: string } | undefined;
  /** Elements whose removal makes the whole push obsolete. */
  readonly about: readonly string[];
  /** Elements that it inserts or changes together with others, or possibly with others. */
  readonly shows: readonly string[];
  /** Elements next to or in place of which it puts others; `undefined` where it may be any. */
  readonly needs: readonly string[] | undefined;
  /** Elements that it removes. */
  readonly removes: readonly string[];
}

/** One stream. */
interface Part {
  readonly action: string;
  readonly target: string;
  /** The id of the element that is its content, where that is exactly one. */
  readonly id: string | undefined;
  /** The id of the first element in its content that has one. */
  readonly first: string | undefined;
}

const STREAM =
  /^<turbo-stream action="([a-z]+)" target="([^"]+)"(?: method="morph")?>(?:<template>([^]*)<\/template>)?<\/turbo-stream>$/;
const OPENING = /<turbo-stream action="([^"]*)"(?: target="([^"]*)")?/g;
const BETWEEN = "</turbo-stream><turbo-stream ";
const REFRESH = '<turbo-stream action="refresh"';
const INSERTS = new Set(["append", "prepend", "before", "after"]);
const KNOWN = new Set([...INSERTS, "replace", "update", "remove"]);
const NONE: readonly string[] = [];

/** The target ids of a push; `undefined` where one of its streams may target any element. */
export function targetsOf(html: string): ReadonlySet<string> | undefined {
  const ids = new Set<string>();
  for (const [, action, id] of html.matchAll(OPENING)) {
    if (id === undefined && action !== "refresh") return undefined;
    if (id !== undefined) ids.add(id);
  }
  return ids;
}

/** Analyses a push. */
export function meaningOf(html: string): Meaning {
  const streams = streamsOf(html).filter((stream) => !stream.startsWith(REFRESH));
  const parts = streams.map(partOf);
  const known = parts.filter((part) => part !== undefined);
  const lone = parts.length === 1 ? known[0] : undefined;
  const about = lone ? aboutOf(lone) : NONE;
  return {
    state: lone && stateOf(lone),
    about,
    shows: [...new Set(known.flatMap(showsOf))].filter((id) => !about.includes(id)),
    needs: known.length === parts.length ? known.flatMap(needsOf) : undefined,
    removes: known.filter(({ action }) => action === "remove").map(({ target }) => target),
  };
}

function stateOf({ action, target, id }: Part): Meaning["state"] {
  if (action === "update") return { action, id: target };
  return action === "replace" && id === target ? { action, id } : undefined;
}

function aboutOf(part: Part): readonly string[] {
  const { action, target, id } = part;
  const state = stateOf(part);
  if (state) return [state.id];
  const inserted = id !== undefined && INSERTS.has(action) ? [id] : NONE;
  const isInside = action === "append" || action === "prepend";
  return isInside && id !== target ? [...inserted, target] : inserted;
}

function showsOf({ action, target, first }: Part): readonly string[] {
  if (action === "remove") return NONE;
  if (action === "update") return [target];
  if (action === "replace") return [first ?? target];
  const inserted = first === undefined ? NONE : [first];
  return action === "append" || action === "prepend" ? [...inserted, target] : inserted;
}

function needsOf({ action, target, id }: Part): readonly string[] {
  const isBeside = action === "before" || action === "after";
  return isBeside || (action === "replace" && id !== target) ? [target] : NONE;
}

function streamsOf(html: string): string[] {
  if (!html.includes(BETWEEN)) return [html];
  return html.split(/(?<=<\/turbo-stream>)(?=<turbo-stream )/);
}

/** Parses a stream that acts on one element; `undefined` where it may act on any, or contains streams. */
function partOf(stream: string): Part | undefined {
  const [, action = "", target = "", content = ""] = STREAM.exec(stream) ?? [];
  if (!KNOWN.has(action) || /<\/?turbo-stream|<\/template/i.test(content)) return undefined;
  return { action, target, id: soleElementId(content), first: firstId(content) };
}

// The expression reads each tag once, even where none is closed, so the time is linear in the length.
function firstId(content: string): string | undefined {
  for (const [, id] of content.matchAll(/<[a-z][^>]*?(?:\sid="([^"]+)"|>|$)/gi)) {
    if (id !== undefined) return id;
  }
  return undefined;
}

const ATTRIBUTE = String.raw`\s+(?!id=)[^\s"'<>/=]+(?:="[^"<>]*")?`;
/** Bounded, because the regular expression can fail with an error on thousands of attributes. */
const ATTRIBUTES = `(?:${ATTRIBUTE}){0,100}`;
const ROOT = new RegExp(
  `^<([a-z][a-z0-9-]*)${ATTRIBUTES}\\s+id="([^"<>&\\s]+)"${ATTRIBUTES}\\s*(/?)>`,
  "i",
);
/** Markup that a parser does not read as plain tags. */
const IN_DOUBT = /<(?:[!?]|script|style)/i;
/** Elements that may contain an element of the same name; in others, the start tag of one closes it. */
const NESTS =
  /^(?:div|span|section|article|aside|main|ul|ol|dl|details|blockquote|fieldset|svg|g|.*-.*)$/i;
/** Elements without content and end tag (WHATWG HTML, "void elements"). */
const VOID = /^(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)$/i;
/** A start tag that closes a `p`. */
const BLOCK =
  /<(?!\/|(?:a|abbr|b|br|cite|code|em|i|img|kbd|mark|p|q|s|small|span|strong|sub|sup|time|u)[\s/>])[a-z]/i;

/** The id of the only element in some markup; `undefined` where there may be more than one. */
export function soleElementId(markup: string): string | undefined {
  const [tag = "", root = "", id, slash] = ROOT.exec(markup) ?? [];
  if (id === undefined || IN_DOUBT.test(markup)) return undefined;
  if (VOID.test(root)) return tag === markup ? id : undefined;
  if (slash !== "") return undefined;
  if (/^p$/i.test(root) && BLOCK.test(markup)) return undefined;
  const mayNest = NESTS.test(root);
  let depth = 0;
  for (const found of markup.matchAll(new RegExp(`<(/?)${root}(?=[\\s/>])[^>]*(?:>|$)`, "gi"))) {
    if (!found[0].endsWith(">")) return undefined;
    depth += found[1] ? -1 : 1;
    if (depth > 1 && !mayNest) return undefined;
    if (depth === 0) return found.index + found[0].length === markup.length ? id : undefined;
  }
  return undefined;
}
