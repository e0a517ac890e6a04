/**
 * Turbo's stream actions (https://turbo.hotwired.dev/reference/streams) on a document without a browser.
 * As in client.js, a stream is rendered only into those elements that do not show it yet.
 *
 * @module
 */
import type { Shown, Step } from "./client_core.js";
import { quote } from "./checks.ts";
import {
  attribute,
  childrenOf,
  contains,
  copiesIn,
  detach,
  type DomElement,
  type DomParent,
  elementsIn,
  insert,
  type PageDocument,
  parentOf,
} from "./testing_document.ts";

/** The page that a stream is rendered into. */
export interface Scene {
  /** The document. */
  readonly document: PageDocument;
  /** Which pushes the document and its parts show; `undefined` for a page without a stream. */
  readonly shown: Shown<DomElement> | undefined;
  /** Called with a problem that a page would not show, such as a target that does not exist. */
  problem(message: string): void;
}

/** What a `<turbo-stream>` does to its targets, by its action. */
const ACTIONS: Record<string, (target: DomElement, content: DomParent) => void> = {
  append: (target, content) => insert(target, copiesIn(content)),
  prepend: (target, content) => insert(target, copiesIn(content), target.childNodes[0]),
  before: (target, content) => insertBeside(target, content, target),
  after(target, content) {
    const siblings = target.parentNode?.childNodes ?? [];
    insertBeside(target, content, siblings[siblings.indexOf(target) + 1]);
  },
  replace(target, content) {
    insertBeside(target, content, target);
    detach(target);
  },
  update(target, content) {
    for (const child of [...(target.content ?? target).childNodes]) detach(child);
    insert(target, copiesIn(content));
  },
  remove: (target) => detach(target),
};

/** The streams of a message, as elements outside of the document. */
export function streamsOf(document: PageDocument, html: string): DomElement[] {
  return childrenOf(document.fragment(html)).filter(({ tagName }) => tagName === "turbo-stream");
}

/** The streams inside the document itself. A browser renders each once and then removes it. */
export function embeddedIn(document: PageDocument): DomElement[] {
  return [...elementsIn(document.root)].filter(({ tagName }) => tagName === "turbo-stream");
}

/** Whether a stream is a refresh, with the id of the request that caused it; `undefined` for others. */
export function refreshOf(stream: DomElement): { requestId: string | undefined } | undefined {
  if (attribute(stream, "action") !== "refresh") return undefined;
  return { requestId: attribute(stream, "request-id") };
}

/** Renders a stream into all of its targets. */
export function perform(scene: Scene, stream: DomElement): void {
  performOn(scene, stream, () => targetsOf(scene, stream));
}

/**
 * Renders a pushed stream into those of its targets that do not show it yet, and a stream of an answer into
 * all its targets. Marks what it has inserted with the cursor of the stream.
 */
export function performStep(
  scene: Scene,
  stream: DomElement,
  { cursor, isAnswer }: Step,
  shown: Shown<DomElement>,
): void {
  if (!isAnswer && shown.parts.size === 0) {
    if (shown.isDue(cursor)) perform(scene, stream);
    return;
  }
  const action = attribute(stream, "action") ?? "";
  const targets = targetsOf(scene, stream);
  const isWhole = action === "replace" || action === "update";
  const parts = [...shown.parts.keys()];
  const partsIn = (target: DomElement) => parts.filter((part) => contains(target, part));
  const due = isAnswer ? targets : targets.filter((target) => {
    const isOutside = action === "before" || action === "after";
    return shown.isDue(cursor, partAround(shown, isOutside ? parentOf(target) : target)) ||
      (isWhole && partsIn(target).some((part) => shown.isDue(cursor, part)));
  });
  if (due.length === 0) return;
  const isInside = action === "append" || action === "prepend" || action === "update";
  const places = new Set(due.map((target) => isInside ? target : parentOf(target)));
  const childrenIn = () => [...places].flatMap((place) => place ? childrenOf(place) : []);
  const before = new Set(childrenIn());
  const partsInside = due.flatMap(partsIn);
  performOn(scene, stream, () => due);
  const changed = childrenIn().filter((child) => !before.has(child));
  if (isWhole) {
    for (const part of partsInside) shown.parts.delete(part);
    changed.push(...due, ...targetsOf(scene, stream));
  }
  for (const part of changed) {
    if (scene.document.has(part)) shown.mark(part, cursor, partAround(shown, parentOf(part)));
  }
}

/** The nearest part of the page that is the element itself or contains it. */
export function partAround(
  shown: Shown<DomElement> | undefined,
  element: DomElement | undefined,
): DomElement | undefined {
  for (let at = element; at && shown?.parts.size; at = parentOf(at)) {
    if (shown.parts.has(at)) return at;
  }
  return undefined;
}

// Looks for the targets twice, as Turbo does, because the removal of duplicates can remove a target.
function performOn(
  { problem }: Scene,
  stream: DomElement,
  targets: () => readonly DomElement[],
): void {
  const name = attribute(stream, "action") ?? "";
  const action = ACTIONS[name];
  if (!action) return problem(`no action is called ${quote(name)} here`);
  const [template] = childrenOf(stream);
  if (template && template.tagName !== "template") {
    return problem(`the first element in a <turbo-stream> is a <${template.tagName}>`);
  }
  const content = template?.content ?? { nodeName: "#document-fragment", childNodes: [] };
  removeDuplicates(name, targets, content);
  for (const target of targets()) action(target, content);
}

/** Removes the elements that have the same ids as those to be inserted beside them. */
function removeDuplicates(
  action: string,
  targets: () => readonly DomElement[],
  content: DomParent,
): void {
  const isInside = action === "append" || action === "prepend";
  if (!isInside && action !== "before" && action !== "after") return;
  const idOf = (element: DomElement) => attribute(element, "id");
  const ids = new Set(childrenOf(content).map(idOf).filter(Boolean));
  for (const target of targets()) {
    const place = isInside ? target : parentOf(target);
    for (const child of place ? childrenOf(place) : []) if (ids.has(idOf(child))) detach(child);
  }
}

function insertBeside(
  { parentNode }: DomElement,
  content: DomParent,
  before: DomParent["childNodes"][number] | undefined,
): void {
  if (parentNode) insert(parentNode, copiesIn(content), before);
}

function targetsOf({ document, problem }: Scene, stream: DomElement): DomElement[] {
  const { target, targets } = {
    target: attribute(stream, "target"),
    targets: attribute(stream, "targets"),
  };
  const action = quote(attribute(stream, "action"));
  if (target) {
    const found = document.byId(target);
    if (!found) problem(`no element has the id ${quote(target)}, the target of a stream ${action}`);
    return found ? [found] : [];
  }
  try {
    return targets ? document.all(targets) : [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    problem(error.message);
    return [];
  }
}
