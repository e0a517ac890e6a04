/**
 * A document without a browser, parsed as browsers parse it. It can be searched by CSS selectors and changed.
 *
 * @module
 */
import { quote } from "./checks.ts";
import type { Adapter, DomElement, DomNode, DomParent } from "./testing_dom.min.js";

export type { DomElement, DomNode, DomParent };

type Dom = typeof import("./testing_dom.min.js");

/** The elements that a reader never sees, with any style. */
const UNSEEN = new Set(["head", "script", "style", "template", "noscript", "datalist", "textarea"]);
/** The elements that are inline by default. The text of any other is separate from the text around it. */
const INLINE = new Set(
  ("a abbr b bdi bdo cite code data del dfn em font i ins kbd label mark q ruby s samp small span strong " +
    "sub sup time tt u var").split(" "),
);

/** Loads the parser. Returns a function that makes a document from HTML. */
export async function loadParser(): Promise<(html: string) => PageDocument> {
  const dom = await import("./testing_dom.min.js");
  return (html) => new PageDocument(dom, html);
}

/** The document of a page. */
export class PageDocument {
  readonly #dom: Dom;
  readonly #root: DomParent;

  /** Parses HTML. */
  constructor(dom: Dom, html: string) {
    this.#dom = dom;
    this.#root = dom.parse(html);
  }

  /** Its `<html>`. */
  get root(): DomElement {
    return this.#root.childNodes.find(isElement)!; // the parser always makes one
  }

  /**
   * All elements that match a CSS selector, in document order. Elements inside a `<template>` do not count.
   *
   * @throws {SyntaxError} when the selector is not valid
   */
  all(selector: string): DomElement[] {
    try {
      return this.#dom.selectAll(selector, this.#root, { adapter: ADAPTER, cacheResults: false });
    } catch (error) {
      throw unreadable(selector, error);
    }
  }

  /** Whether an element matches a CSS selector. */
  matches(element: DomElement, selector: string): boolean {
    return this.#dom.is(element, selector, { adapter: ADAPTER, cacheResults: false });
  }

  /** The nearest element that matches a CSS selector: the given one, or one around it. */
  closest(element: DomElement, selector: string): DomElement | undefined {
    for (let at: DomElement | undefined = element; at; at = parentOf(at)) {
      if (this.matches(at, selector)) return at;
    }
    return undefined;
  }

  /** The first element with an id. */
  byId(id: string): DomElement | undefined {
    for (const element of elementsIn(this.#root)) {
      if (attribute(element, "id") === id) return element;
    }
    return undefined;
  }

  /** Parses HTML into nodes outside of the document. */
  fragment(html: string): DomParent {
    return this.#dom.parseFragment(html);
  }

  /** The HTML of an element. */
  html(element: DomElement): string {
    return this.#dom.serializeOuter(element);
  }

  /** Whether a node is in the document. */
  has(node: DomNode): boolean {
    return contains(this.#root, node);
  }
}

/** The text of an element that a reader sees, with white space collapsed. It depends on the markup alone. */
export function visibleText(element: DomElement): string {
  return [...textsIn(element)].join("").replace(/\s+/g, " ").trim();
}

/** The value of an attribute; `undefined` where the element does not have it. */
export function attribute(element: DomElement, name: string): string | undefined {
  return element.attrs.find((attr) => attr.name === name)?.value;
}

/** Sets an attribute. */
export function setAttribute(element: DomElement, name: string, value: string): void {
  element.attrs = [...element.attrs.filter((attr) => attr.name !== name), { name, value }];
}

/** All elements inside a node, in document order. */
export function* elementsIn(node: DomNode): Generator<DomElement> {
  for (const child of childrenOf(node)) {
    yield child;
    yield* elementsIn(child);
  }
}

/** The elements that are children of a node. */
export function childrenOf(node: DomNode): DomElement[] {
  return isParent(node) ? node.childNodes.filter(isElement) : [];
}

/** The element around a node. */
export function parentOf(node: DomNode): DomElement | undefined {
  const parent = node.parentNode;
  return parent && isElement(parent) ? parent : undefined;
}

/** Whether the inner node is the outer node, or inside it. */
export function contains(outer: DomNode, inner: DomNode): boolean {
  for (let at: DomNode | null | undefined = inner; at; at = at.parentNode) {
    if (at === outer) return true;
  }
  return false;
}

/** Removes a node from its tree. */
export function detach(node: DomNode): void {
  const siblings = node.parentNode?.childNodes;
  siblings?.splice(siblings.indexOf(node), 1);
  node.parentNode = null;
}

/** Inserts nodes before a child of the parent, or after all children where none is given. */
export function insert(parent: DomParent, nodes: readonly DomNode[], before?: DomNode): void {
  const index = before ? parent.childNodes.indexOf(before) : parent.childNodes.length;
  parent.childNodes.splice(index, 0, ...nodes);
  for (const node of nodes) node.parentNode = parent;
}

/** Copies of all nodes inside a node. */
export function copiesIn({ childNodes }: DomParent): DomNode[] {
  return childNodes.map((node) => {
    const copy = { ...node, parentNode: null };
    if (isElement(copy)) copy.attrs = copy.attrs.map((attr) => ({ ...attr }));
    if (isElement(copy) && copy.content) {
      copy.content = { ...copy.content, childNodes: [] };
      insert(copy.content, copiesIn((node as DomElement).content!));
    }
    if (isParent(copy)) {
      copy.childNodes = [];
      insert(copy, copiesIn(node as DomParent));
    }
    return copy;
  });
}

/** Whether a node is an element. */
export function isElement(node: DomNode): node is DomElement {
  return "tagName" in node;
}

function* textsIn(node: DomNode): Generator<string> {
  if (node.nodeName === "#text") yield node.value!;
  if (!isElement(node)) return;
  const { tagName } = node;
  const isApart = !INLINE.has(tagName);
  if (isApart) yield " ";
  const isClosed = tagName === "details" && attribute(node, "open") === undefined;
  for (const child of node.childNodes) {
    const isSeen = isElement(child) ? isShown(child) : true;
    if (isSeen && (!isClosed || child.nodeName === "summary")) yield* textsIn(child);
  }
  if (isApart) yield " ";
}

function isShown(element: DomElement): boolean {
  return !UNSEEN.has(element.tagName) && attribute(element, "hidden") === undefined &&
    (element.tagName !== "dialog" || attribute(element, "open") !== undefined);
}

function isParent(node: DomNode): node is DomParent {
  return "childNodes" in node;
}

function unreadable(selector: string, error: unknown): SyntaxError {
  const reason = error instanceof Error ? error.message : String(error);
  return new SyntaxError(`Cannot read ${quote(selector)} as a CSS selector: ${reason}`);
}

const ADAPTER: Adapter = {
  isTag: isElement,
  getAttributeValue: attribute,
  getChildren: (node) => isParent(node) ? node.childNodes : [],
  getName: ({ tagName }) => tagName,
  getParent: (node) => node.parentNode ?? null,
  getSiblings: (node) => node.parentNode?.childNodes ?? [node],
  getText: (node) =>
    isParent(node) ? node.childNodes.map(ADAPTER.getText).join("") : node.value ?? "",
  hasAttrib: (element, name) => attribute(element, name) !== undefined,
  removeSubsets: (nodes) =>
    nodes.filter((node) => !nodes.some((other) => other !== node && contains(other, node))),
};
