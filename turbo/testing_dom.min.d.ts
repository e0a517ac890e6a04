/**
 * The parts of parse5 and css-select that are used. tests/bundle_dom.ts makes testing_dom.min.js from them.
 *
 * @module
 */

/** A node of the tree that the parser makes. */
export interface DomNode {
  /** `#document`, `#document-fragment`, `#text`, `#comment`, or the name of a tag. */
  nodeName: string;
  parentNode?: DomParent | null;
  /** The text of a `#text`. */
  value?: string;
}

/** A node that has children: an element, a document, or a fragment. */
export interface DomParent extends DomNode {
  childNodes: DomNode[];
}

/** An element. */
export interface DomElement extends DomParent {
  tagName: string;
  attrs: { name: string; value: string }[];
  namespaceURI: string;
  /** The content of a `<template>`, whose `childNodes` are empty. */
  content?: DomParent;
}

/** Gives css-select access to the tree. */
export interface Adapter {
  isTag(node: DomNode): node is DomElement;
  getAttributeValue(element: DomElement, name: string): string | undefined;
  getChildren(node: DomNode): DomNode[];
  getName(element: DomElement): string;
  getParent(node: DomNode): DomNode | null;
  getSiblings(node: DomNode): DomNode[];
  getText(node: DomNode): string;
  hasAttrib(element: DomElement, name: string): boolean;
  removeSubsets(nodes: DomNode[]): DomNode[];
}

/** Options of css-select. */
export interface SelectOptions {
  adapter: Adapter;
  /** Whether it caches results; wrong where the tree changes. */
  cacheResults: boolean;
}

/** Parses a document. */
export function parse(html: string, options?: { scriptingEnabled?: boolean }): DomParent;
/** Parses the content of a `<template>`. */
export function parseFragment(html: string, options?: { scriptingEnabled?: boolean }): DomParent;
/** The HTML inside a node. */
export function serialize(node: DomParent): string;
/** The HTML of a node. */
export function serializeOuter(node: DomNode): string;
/** All elements that match a CSS selector, in document order. @throws when the selector is not valid */
export function selectAll(
  selector: string,
  node: DomNode,
  options: SelectOptions,
): DomElement[];
/** Whether an element matches a CSS selector. */
export function is(element: DomElement, selector: string, options: SelectOptions): boolean;
