/**
 * The data of the model's app, which its pages show: texts and lists of lines, some of them in a frame, in
 * a box, or in a frame in the box; and elements that are added and removed.
 *
 * @module
 */
import { raw } from "../html.ts";
import { append, refresh, remove, replace, type Stream, update } from "../streams.ts";

/** Where content is: on the page itself, in a frame, in the box, or in a frame in the box. */
export type Place = "page" | "frame" | "box" | "inner";

/** The data of the app. */
export class Content {
  /** A text for each place. A text is a number that only grows. */
  texts: Record<Place | "kept", number> = { page: 0, frame: 0, box: 0, inner: 0, kept: 0 };
  /** Lines for each place, oldest first. They have no ids, so they show what was rendered twice. */
  lines: Record<Place, number[]> = { page: [], frame: [], box: [], inner: [] };
  /** Elements by their numbers, oldest first, each with its text. */
  elements = new Map<number, number>();
  /** The last number used. */
  #last = 0;

  /** Changes something, and returns the streams to push. */
  change(what: Change): Stream[] {
    const [verb, place] = what.split(" ") as [string, Place];
    switch (verb) {
      case "text":
        this.texts[place] = this.#next();
        return [replace(place, markup.text(this, place))];
      case "inside":
        this.texts[place] = this.#next();
        return [update(place, raw(`${this.texts[place]}`))];
      case "line":
        this.lines[place].push(this.#next());
        return [append(`${place}-lines`, markup.line(this.#last))];
      case "both":
        return [...this.change("line page"), ...this.change("text box")];
      case "two":
        return [...this.change("text page"), ...this.change("inside box")];
      case "box":
        this.texts.inner = this.#next();
        this.texts.box = this.#next();
        return [replace("the-box", markup.box(this))];
      case "add":
        this.elements.set(this.#next(), this.#last);
        return [append("elements", markup.element(this, this.#last))];
      case "edit":
      case "remove":
        return this.#changeElement(verb);
      default: // "refresh": a change without streams of its own
        for (const place of ["page", "frame", "box", "inner"] as const) {
          this.texts[place] = this.#next();
        }
        return [refresh()];
    }
  }

  #changeElement(verb: "edit" | "remove"): Stream[] {
    const n = [...this.elements.keys()].at(-1);
    if (n === undefined) return this.change("add");
    this.elements.set(n, this.#next());
    if (verb === "edit") return [replace(`element${n}`, markup.element(this, n))];
    this.elements.delete(n);
    return [remove(`element${n}`)];
  }

  #next(): number {
    return ++this.#last;
  }
}

/** The possible changes. */
export type Change =
  | `${"text" | "line"} ${Place}`
  | `inside ${Place}`
  | "text kept"
  | "both"
  | "two"
  | "box"
  | "add"
  | "edit"
  | "remove"
  | "refresh";

/** The partials that page, push and answer share. */
export const markup = {
  text: ({ texts }: Content, place: Place | "kept") => raw(`<p id="${place}">${texts[place]}</p>`),
  line: (line: number) => raw(`<li>${line}</li>`),
  lines: ({ lines }: Content, place: Place) =>
    raw(`<ul id="${place}-lines">${lines[place].map(markup.line).join("")}</ul>`),
  element: ({ elements }: Content, n: number) => raw(`<p id="element${n}">${elements.get(n)}</p>`),
  elements: (content: Content) =>
    raw([...content.elements.keys()].map((n) => markup.element(content, n)).join("")),
  /** The content of a place, without that of places inside it. */
  place: (content: Content, place: Place) =>
    raw(markup.text(content, place) + markup.lines(content, place)),
  frame: (content: Content, place: "frame" | "inner") =>
    raw(`<turbo-frame id="the-${place}">${markup.place(content, place)}</turbo-frame>`),
  inBox: (content: Content) => raw(markup.frame(content, "inner") + markup.place(content, "box")),
  box: (content: Content) => raw(`<div id="the-box">${markup.inBox(content)}</div>`),
  page: (content: Content) =>
    raw(
      markup.place(content, "page") + markup.frame(content, "frame") + markup.box(content) +
        markup.text(content, "kept") + `<div id="elements">${markup.elements(content)}</div>`,
    ),
};
