/**
 * A minimal document for the model.
 *
 * @module
 */
/** An element, or a text. */
export class Element {
  parent: Element | undefined;
  children: Element[] = [];

  constructor(readonly tag: string, readonly id: string = "", readonly text: string = "") {}

  /** Whether another element is this one or inside it. */
  contains(other: Element): boolean {
    let at: Element | undefined = other;
    while (at && at !== this) at = at.parent;
    return at === this;
  }

  /** The first element with an id in this subtree. */
  find(id: string): Element | undefined {
    if (this.id === id) return this;
    for (const child of this.children) {
      const found = child.find(id);
      if (found) return found;
    }
    return undefined;
  }

  /** This element and all inside it, in document order. */
  all(list: Element[] = []): Element[] {
    list.push(this);
    for (const child of this.children) child.all(list);
    return list;
  }

  /** The texts of elements with an id, as numbers. */
  texts(): [id: string, text: number][] {
    return this.all().flatMap(({ id, children: [child] }) =>
      id && child && !child.tag ? [[id, Number(child.text)] as [string, number]] : []
    );
  }

  append(...added: Element[]): void {
    for (const child of added) child.parent = this;
    this.children.push(...added);
  }

  /** Replaces it with others, or removes it. */
  replaceWith(...others: Element[]): void {
    const siblings = this.parent!.children;
    siblings.splice(siblings.indexOf(this), 1, ...others);
    for (const other of others) other.parent = this.parent;
    this.parent = undefined;
  }

  replaceChildren(...others: Element[]): void {
    for (const child of this.children) child.parent = undefined;
    this.children = [];
    this.append(...others);
  }

  clone(): Element {
    const copy = new Element(this.tag, this.id, this.text);
    copy.append(...this.children.map((child) => child.clone()));
    return copy;
  }

  toString(): string {
    if (this.tag === "") return this.text;
    const id = this.id && ` id="${this.id}"`;
    return `<${this.tag}${id}>${this.children.join("")}</${this.tag}>`;
  }
}

/** Parses the markup of the model's partials. */
export function parse(markup: string): Element[] {
  const root = new Element("body");
  let at = root;
  for (
    const [, end, tag, id, text] of markup.matchAll(/<(\/?)([\w-]+)(?: id="(\w+-?\w*)")?>|([^<]+)/g)
  ) {
    if (end) at = at.parent!;
    else {
      const element = new Element(tag ?? "", id, text);
      at.append(element);
      if (tag) at = element;
    }
  }
  root.children.forEach((child) => child.parent = undefined);
  return root.children;
}
