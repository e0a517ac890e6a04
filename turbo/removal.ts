/**
 * What an entry of the log has to do with elements that are removed.
 *
 * @module
 */
import { soleElementId } from "./sole_element.ts";

/** What an entry says of elements, as far as it matters when one of them is removed. */
export interface Meaning {
  /** Ids of the elements with which all that it does goes, unless {@linkcode escapesOf} has them. */
  readonly about: readonly string[];
  /** Ids of the elements without which something else would be missing; `ANY` where it may be each. */
  readonly needs: readonly string[];
  /** Ids of the elements that it replaces: it needs those that {@linkcode escapesOf} has. */
  readonly replaces: readonly string[];
  /** Ids of the elements that it removes. */
  readonly removes: readonly string[];
  /** Whether it is one `remove` and nothing else. */
  readonly isLoneRemove: boolean;
}

/** Stands for the ids of all elements: no element has it. */
export const ANY = "";

interface Parts {
  readonly action: string;
  readonly target: string | undefined;
  readonly targets: string | undefined;
  readonly content: string;
}

const HEAD =
  /<turbo-stream action="([^"]*)"(?: target="([^"]*)"| targets="([^"]*)")?(?: [^\s"=<>]+="[^"]*")*>/y;
const TEMPLATE = "<template>";
const TAIL = "</turbo-stream>";
/** An expression, because `indexOf` takes twice as long where there are many tags. */
const CONTENT_END = /<\/template>(?=<\/turbo-stream>)/g;
const INSERTS = new Set(["append", "prepend", "before", "after"]);
/** Actions that change nothing outside of their target. */
const INSIDE = new Set(["append", "prepend", "update", "remove"]);
const NOTHING: readonly string[] = [];
const EACH: readonly string[] = [ANY];

/**
 * Reads an entry, cheaply: what takes a look into the content is left to {@linkcode escapesOf}. An
 * entry that cannot be read, or has streams in its content, or a custom action, may need any element.
 */
export function meaningOf(html: string): Meaning {
  const streams = streamsIn(html);
  if (!streams) return { about: [], needs: [ANY], replaces: [], removes: [], isLoneRemove: false };
  const [needs, replaces, removes]: string[][] = [[], [], []];
  for (const stream of streams) {
    const { action, target } = stream;
    if (action === "remove" && target !== undefined) removes!.push(target);
    else if (action === "replace" && target !== undefined) replaces!.push(target);
    else needs!.push(...needsOf(stream));
  }
  const isLone = streams.length === 1;
  return {
    about: isLone ? aboutOf(streams[0]!) : [],
    needs: needs!,
    replaces: replaces!,
    removes: removes!,
    isLoneRemove: isLone && removes!.length === 1,
  };
}

/**
 * Ids of the elements of which an entry makes something else too, or may: what it inserts or puts in
 * place of the element is not for certain one element with the same id.
 */
export function escapesOf(html: string): ReadonlySet<string> {
  const escapes = new Set<string>();
  for (const stream of streamsIn(html) ?? []) {
    const { action, target, content } = stream;
    const id = action === "replace" ? target : INSERTS.has(action) ? rootId(content) : undefined;
    if (id !== undefined && soleElementId(content) !== id) escapes.add(id);
  }
  return escapes;
}

/**
 * Ids of the elements that an entry holds, in any spelling, or acts on other than by `remove`; `ANY`
 * where one cannot be told.
 */
export function* idsIn(html: string): Iterable<string> {
  const named = /action="(?!remove")[^"]*" target="([^"]*)"|\bid\s*=\s*["']?([^\s"'>]*)/gi;
  for (const [, target, held] of html.matchAll(named)) {
    const id = target ?? held!;
    yield id.includes("&") ? ANY : id;
  }
}

function aboutOf({ action, target, content }: Parts): string[] {
  const about: string[] = [];
  if ((INSIDE.has(action) || action === "replace") && isPlain(target)) about.push(target);
  const root = INSERTS.has(action) ? rootId(content) : undefined;
  if (isPlain(root) && root !== target) about.push(root);
  return about;
}

function needsOf({ action, target, targets }: Parts): readonly string[] {
  if (action === "refresh") return NOTHING;
  // A selector may ask for what stands beside an element, or for how many there are.
  if (INSIDE.has(action)) return targets && /[+~:]/.test(targets) ? EACH : NOTHING;
  return INSERTS.has(action) && target !== undefined ? [target] : EACH;
}

// Others can be spelled in several ways, and so two of them cannot be compared.
function isPlain(id: string | undefined): id is string {
  return id !== undefined && /^[^\s"'&<>=`]+$/.test(id);
}

// A first look, which `soleElementId` confirms.
function rootId(content: string): string | undefined {
  return /^<[a-z][^\s/>]*(?:\s+[^\s=>]+(?:="[^"]*")?)*?\s+id="([^"]*)"/i.exec(content)?.[1];
}

function streamsIn(html: string): Parts[] | undefined {
  const streams: Parts[] = [];
  for (let at = 0; at < html.length;) {
    HEAD.lastIndex = at;
    const [head, action, target, targets] = HEAD.exec(html) ?? [];
    if (head === undefined) return undefined;
    at += head.length;
    let content = "";
    if (html.startsWith(TEMPLATE, at)) {
      CONTENT_END.lastIndex = at;
      const end = CONTENT_END.exec(html)?.index;
      if (end === undefined) return undefined;
      content = html.slice(at + TEMPLATE.length, end);
      if (/<turbo-stream/i.test(content)) return undefined;
      at = CONTENT_END.lastIndex;
    }
    if (!html.startsWith(TAIL, at)) return undefined;
    at += TAIL.length;
    streams.push({ action: action!, target, targets, content });
  }
  return streams;
}
