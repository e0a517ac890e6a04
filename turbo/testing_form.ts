/**
 * What a form sends (WHATWG HTML, section 4.10.21).
 *
 * @module
 */
import { quote } from "./checks.ts";
import {
  attribute,
  type DomElement,
  elementsIn,
  type PageDocument,
  visibleText,
} from "./testing_document.ts";

/** The values to fill in, by the names of the fields of a form. `true` ticks a checkbox. */
export type Fields = Readonly<Record<string, string | boolean | readonly string[]>>;

/** The submission of a form. */
export interface Submission {
  /** The HTTP method, in capitals. */
  readonly method: string;
  /** The `action` of the form; an empty text means the URL of the page. */
  readonly action: string;
  /** The names and values that it sends, in the order of the fields. */
  readonly entries: readonly (readonly [name: string, value: string])[];
  /** Whether it is encoded as `multipart/form-data`. */
  readonly isMultipart: boolean;
}

/** The types of `<input>` that are not fields: buttons, and files, which are not supported. */
const BUTTONS = new Set(["submit", "button", "reset", "image", "file"]);

/**
 * What a form sends with some of its fields filled in, when one of its buttons is clicked.
 *
 * @throws {TypeError} when the form has no such field, or the field does not accept the value
 */
export function submissionOf(
  document: PageDocument,
  form: DomElement,
  { fields = {}, submitter }: { fields?: Fields; submitter?: DomElement | undefined } = {},
): Submission {
  const controls = controlsOf(document, form);
  const given = new Map(Object.entries(fields));
  const names = new Set(controls.filter(isFillable).map((control) => attribute(control, "name")!));
  for (const name of given.keys()) {
    if (names.has(name)) continue;
    const known = names.size === 0 ? "none" : [...names].join(", ");
    throw new TypeError(`The form has no field ${quote(name)} to fill in: there are ${known}`);
  }
  const filled = new Set<string>();
  const entries: [string, string][] = [];
  for (const control of controls) {
    const name = attribute(control, "name")!;
    const value = given.get(name);
    const isFilled = value !== undefined && isFillable(control);
    const values = isFilled
      ? valuesFor(document, control, value, controls)
      : valuesOf(document, control);
    // A text fills only the first field with its name. Checkboxes and radio buttons of one name belong
    // together, so a value applies to all of them.
    if (isFilled && !isChoice(control) && filled.has(name)) continue;
    if (isFilled) filled.add(name);
    for (const one of values) entries.push([name, one]);
  }
  const button = submitter ?? buttonsOf(document, form)[0];
  const name = button && attribute(button, "name");
  if (name) entries.push([name, attribute(button, "value") ?? ""]);
  const of = (which: string) =>
    (button && attribute(button, `form${which}`)) ?? attribute(form, which);
  const method = of("method")?.toUpperCase() ?? "";
  return {
    method: /^(POST|PUT|PATCH|DELETE)$/.test(method) ? method : "GET",
    action: of("action") ?? "",
    entries,
    isMultipart: of("enctype")?.toLowerCase() === "multipart/form-data",
  };
}

/** Whether an element is a button that submits its form. */
export function isSubmitter(element: DomElement): boolean {
  const type = attribute(element, "type")?.toLowerCase();
  return element.tagName === "button"
    ? type !== "button" && type !== "reset"
    : element.tagName === "input" && (type === "submit" || type === "image");
}

/** The form that a button or field belongs to. */
export function formOf(document: PageDocument, element: DomElement): DomElement | undefined {
  const id = attribute(element, "form");
  return id === undefined ? document.closest(element, "form") : document.byId(id);
}

/** Whether an element, or a `<fieldset>` around it, is disabled. */
export function isDisabled(document: PageDocument, element: DomElement): boolean {
  return attribute(element, "disabled") !== undefined ||
    document.closest(element, "fieldset[disabled]") !== undefined;
}

/** The buttons that submit a form, in document order. */
function buttonsOf(document: PageDocument, form: DomElement): DomElement[] {
  return [...elementsIn(document.root)].filter((element) =>
    isSubmitter(element) && formOf(document, element) === form && !isDisabled(document, element)
  );
}

function controlsOf(document: PageDocument, form: DomElement): DomElement[] {
  return [...elementsIn(document.root)].filter((element) =>
    /^(input|select|textarea)$/.test(element.tagName) && attribute(element, "name") &&
    !(element.tagName === "input" && BUTTONS.has(typeOf(element))) &&
    formOf(document, element) === form && !isDisabled(document, element)
  );
}

/** Whether a reader can change the value of a field. */
function isFillable(control: DomElement): boolean {
  return typeOf(control) !== "hidden" && attribute(control, "readonly") === undefined;
}

function isChoice(control: DomElement): boolean {
  const type = typeOf(control);
  return type === "checkbox" || type === "radio";
}

/** The values that a field sends where nobody has filled it in. */
function valuesOf(document: PageDocument, control: DomElement): string[] {
  if (isChoice(control)) {
    return attribute(control, "checked") === undefined ? [] : [valueOf(control)];
  }
  if (control.tagName === "textarea") return [textOf(control).replace(/\r?\n/g, "\r\n")];
  if (control.tagName !== "select") return [attribute(control, "value") ?? ""];
  const options = optionsOf(document, control);
  const selected = options.filter((option) => attribute(option, "selected") !== undefined);
  if (attribute(control, "multiple") !== undefined) return selected.map(optionValue);
  const [one] = selected.length > 0 ? selected.slice(-1) : options;
  return one ? [optionValue(one)] : [];
}

/** The values that a field sends when it is filled in with a value. */
function valuesFor(
  document: PageDocument,
  control: DomElement,
  value: string | boolean | readonly string[],
  controls: readonly DomElement[],
): string[] {
  const name = attribute(control, "name")!;
  const isList = typeof value !== "string" && typeof value !== "boolean";
  if (isChoice(control)) {
    if (typeof value === "boolean") return value ? [valueOf(control)] : [];
    const wanted = isList ? value : [value];
    const known = controls.filter((other) => attribute(other, "name") === name).map(valueOf);
    checkKnown(name, wanted, known);
    return wanted.includes(valueOf(control)) ? [valueOf(control)] : [];
  }
  if (control.tagName === "select" && typeof value !== "boolean") {
    const wanted = isList ? value : [value];
    checkKnown(name, wanted, optionsOf(document, control).map(optionValue));
    return [...wanted];
  }
  if (typeof value === "string") return [value.replace(/\r?\n/g, "\r\n")];
  throw new TypeError(`Cannot take ${quote(value)} for the field ${quote(name)}: a text is needed`);
}

function checkKnown(name: string, wanted: readonly string[], known: readonly string[]): void {
  const unknown = wanted.find((value) => !known.includes(value));
  if (unknown === undefined) return;
  const choices = known.map(quote).join(", ");
  throw new TypeError(
    `Cannot choose ${quote(unknown)} for the field ${quote(name)}: there are ${choices}`,
  );
}

function typeOf(control: DomElement): string {
  return control.tagName === "input" ? attribute(control, "type")?.toLowerCase() ?? "text" : "";
}

function valueOf(control: DomElement): string {
  return attribute(control, "value") ?? "on";
}

function optionsOf(document: PageDocument, select: DomElement): DomElement[] {
  return [...elementsIn(select)].filter((element) =>
    element.tagName === "option" && !isDisabled(document, element)
  );
}

function optionValue(option: DomElement): string {
  return attribute(option, "value") ?? visibleText(option);
}

function textOf(element: DomElement): string {
  return element.childNodes.map(({ value = "" }) => value).join("");
}
