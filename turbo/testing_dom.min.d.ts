/**
 * What is used of parse5 and css-select, of which testing_dom.min.js is made: see tests/bundle_dom.ts.
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
  /** What is in a `<template>`; its `childNodes` are empty. */
  content?: DomParent;
}

/** Where the reader of selectors finds what it asks. */
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

/** Options of the reader of selectors. */
export interface SelectOptions {
  adapter: Adapter;
  /** Whether it may remember; not where the tree changes. */
  cacheResults: boolean;
}

/** Parses a document. */
export function parse(html: string, options?: { scriptingEnabled?: boolean }): DomParent;
/** Parses what stands in a `<template>`. */
export function parseFragment(html: string, options?: { scriptingEnabled?: boolean }): DomParent;
/** The HTML in a node. */
export function serialize(node: DomParent): string;
/** The HTML of a node. */
export function serializeOuter(node: DomNode): string;
/** All elements that a CSS selector finds, in their order. @throws where it is none */
export function selectAll(
  selector: string,
  node: DomNode,
  options: SelectOptions,
): DomElement[];
/** Whether a CSS selector finds an element. */
export function is(element: DomElement, selector: string, options: SelectOptions): boolean;
