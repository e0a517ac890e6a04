// @ts-check
/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// Keeps what a reader has typed, chosen and opened through every morph. Turbo's morph (Idiomorph) writes
// the server's state into each element. Where the state of a field is the reader's, this file prevents
// the write or undoes it, using only Turbo's public events.
//
// The *state* of a field is its value, its choice, or whether it is open. Its *default* is the state in
// the server's last version. The rules:
//
// - A state that differs from its default is the reader's. It is kept until a form has sent it and the
//   server has accepted it. The state of a panel, or of text edited in place, is kept until its default
//   changes.
// - The default follows the server, whether or not the state does.
// - A text field whose default stays the same is not written to at all, because `value` does not show
//   everything that a field contains, such as what the browser has autofilled and not revealed yet.
// - A state stays in the field in which it was made, or is lost. It never moves to another field.
//
// Properties of a form or the document are read through the prototype, because elements inside can hide
// them: in a form with a field named "closest", `form.closest` is that field.

/**
 * A control, a panel that opens and closes, or an element whose text is edited in place. Its properties
 * depend on which of these it is.
 * @typedef {any} Field
 * @typedef {(name: string) => Field[]} Groups The fields that have a name.
 * @typedef {[name: string, count: number, place: number, alike: string, likes: number]} Trail
 *   Describes a field so that it can be found again: its two names, how many fields have each name, and
 *   its index among those with the first.
 * @typedef {CustomEvent<{ currentElement: Field, newElement: Field }>} MorphEvent
 */

const BOX = "[type=checkbox],[type=radio]";
const TEXT = `textarea,input:not(${BOX})`;
const PANEL = "details,dialog";
const FIELD = `input,textarea,select,[contenteditable],${PANEL}`;
/** The start of the ids that fields without an id are given while a morph runs. */
const ID = "turbo-stream-keep";
/** Fields that hide properties which Idiomorph reads from forms: with ids in those it may never end. */
const HIDING = "#parentElement,#tagName,[name=parentElement],[name=tagName]";
/** The carried state of an open modal dialog. */
const MODAL = 2;
const STORED = "turbo-stream-edits";
/** Milliseconds for which carried edits stay valid, should another document be shown in between. */
const MAX_AGE = 3_600_000;

/** @type {WeakMap<Field, unknown>} The default of each panel, and of text that is edited in place. */
const defaults = new WeakMap();
/** @type {WeakMap<Field, unknown>} The state that a form has sent and the server has accepted. */
const taken = new WeakMap();
/** @type {WeakMap<object, [Field, unknown][] | undefined>} The states that a form or submission sends. */
const sent = new WeakMap();
/** @type {WeakMap<Field, unknown>} The state before the morph of each field that must keep it. */
const held = new WeakMap();
/** @type {WeakSet<Field>} Fields into which a password was typed, even if the page shows it as text now. */
const secrets = new WeakSet();
/** Whether the page comes from Turbo's cache, in which panels are as the reader left them. */
let isRestored = false;

/** Keeps the reader's edits from now on, and restores those that were carried to this page. */
export function keepEdits() {
  for (const part of ["", "-frame", "-stream"]) listen(`turbo:before${part}-render`, wrapRender);
  listen("turbo:before-morph-element", beforeMorph);
  listen("turbo:before-morph-attribute", (event) => {
    const { target, detail: { attributeName } } = event;
    if (held.has(target) && /^(value|open)$/.test(attributeName)) event.preventDefault();
  });
  listen("turbo:morph-element", afterMorph);

  // Turbo reads the form at this event, which is before it asks for a confirmation.
  listen("formdata", ({ target: form }) => {
    const fields = all(document, FIELD).filter((field) =>
      (field.form ?? call(field, "closest", "form")) === form &&
      !is(field, ":disabled,:not([name],[contenteditable])")
    );
    sent.set(form, fields.map((field) => [field, stateOf(field)]));
  });
  listen("turbo:submit-start", ({ detail: { formSubmission } }) => {
    sent.set(formSubmission, sent.get(formSubmission.formElement));
  });
  listen("turbo:submit-end", ({ detail: { formSubmission, success } }) => {
    if (!success || formSubmission.isSafe) return;
    for (const [field, state] of sent.get(formSubmission) ?? []) taken.set(field, state);
  });
  listen("input", ({ target }) => {
    // What is typed after a submission is the reader's, even where it is the same text again.
    taken.delete(target);
    if (target.type === "password") secrets.add(target);
  });
  listen("beforeinput", ({ target }) => {
    if (is(target, "[contenteditable]") && !defaults.has(target)) {
      defaults.set(target, target.innerHTML);
    }
  });

  listen("turbo:visit", ({ detail: { action } }) => isRestored = action === "restore");
  listen("turbo:render", noteDefaults);
  listen("turbo:reload", carryEdits);
  noteDefaults();
  takeUp();
}

/** Whether the reader has changed anything that no form has sent. */
export function hasEdits() {
  return all(document, FIELD).some((field) => !is(field, PANEL) && isChanged(field));
}

/** Carries the reader's edits over the full load of the same page that follows. */
export function carryEdits() {
  try {
    store();
    // The page can be used until the next one is there, or for good if none comes.
    addEventListener("pagehide", store, { once: true });
  } catch (error) {
    console.warn("Cannot carry what was typed over a reload:", error);
  }
}

function store() {
  const { activeElement, body } = document;
  const groups = grouped(document, body);
  const fields = all(document, FIELD).filter(isCarriable).map((field) => [
    trailOf(field, body, groups),
    isChanged(field) ? is(field, ":modal") ? MODAL : stateOf(field) : null,
    field === activeElement && [field.selectionStart, field.selectionEnd],
  ]).filter(([, state, caret]) => state !== null || caret);
  const carried = { page: pageNow(), at: Date.now(), scroll: [scrollX, scrollY], fields };
  sessionStorage.setItem(STORED, JSON.stringify(carried));
}

// Any script of the origin can read the storage, and a browser may write it to disk. So it must contain
// nothing that browsers are told not to remember, or remember only after asking. Nor must it contain
// markup, because another script could have put that there.
/** @param {Field} field */
function isCarriable(field) {
  const { form, name, type } = field;
  const hint = attribute(field, "autocomplete") ?? attribute(form, "autocomplete");
  return !is(field, "[contenteditable]") && !secrets.has(field) &&
    !/passw|[ ,](file|off|one-time-code|cc-)/i.test([name, type, hint].join());
}

// Edits stay stored while a document without this script is shown. Another page discards them.
function takeUp() {
  let stored;
  try {
    stored = JSON.parse(/** @type {string} */ (sessionStorage.getItem(STORED)));
    sessionStorage.removeItem(STORED);
  } catch {
    // Where storage is blocked nothing was stored, and `carryEdits` has logged that.
  }
  if (stored?.page !== pageNow() || Date.now() - stored.at > MAX_AGE) return;
  const groups = grouped(document, document.body);
  for (const [trail, state, caret] of stored.fields) {
    const field = find(trail, groups);
    if (field && state !== null) put(field, state);
    if (field && caret) {
      field.focus();
      if (caret[0] !== null) field.setSelectionRange(...caret);
    }
  }
  scrollTo(...stored.scroll);
}

function noteDefaults() {
  if (isRestored) return;
  for (const panel of all(document, PANEL)) {
    if (!defaults.has(panel)) defaults.set(panel, panel.open);
  }
}

/** @param {{ target: any, detail: { render: (...args: any[]) => unknown } }} event */
function wrapRender({ target, detail }) {
  const { render } = detail;
  detail.render = (...args) => {
    const trees = treesOf(target, args);
    if (trees.length === 0) return render(...args);
    const pairs = trees.flatMap(pair);
    const isSafe = !trees.flat().some((tree) => all(tree, HIDING).length > 0);
    for (const [index, [field, newer]] of pairs.entries()) {
      if (isSafe && !field.id) field.id = newer.id ||= ID + index;
    }
    const restoreSelection = noteSelection();
    try {
      return render(...args);
    } finally {
      restoreSelection();
      for (const field of all(document, `[id^=${ID}]`)) field.removeAttribute("id");
      // Another radio of the group, morphed later, may have been checked instead.
      for (const [field] of pairs) {
        if (field.type === "radio" && held.has(field)) field.checked = true;
      }
      // While a modal dialog is open the rest of the page is inert, even if the dialog is invisible.
      for (const dialog of all(document, "dialog:modal")) {
        if (dialog.checkVisibility?.() === false) {
          dialog.open = true;
          dialog.close();
        }
      }
    }
  };
}

/**
 * Notes the selection, and returns what restores it after a morph. When the browser sets a text, it moves
 * what is selected in it to its start (DOM Standard, "replace data"). What was selected to the end of a text
 * is so again, however long the text is now.
 */
function noteSelection() {
  /** @type {any} */
  const selection = document.getSelection();
  const ends = () => [
    [selection.anchorNode, selection.anchorOffset],
    [selection.focusNode, selection.focusOffset],
  ];
  const noted = ends().map(([node, offset]) => [node, offset === node?.length ? Infinity : offset]);
  return () => {
    const now = ends().flat();
    const then = noted.flatMap(([node, offset], index) =>
      node instanceof Text && node.isConnected
        ? [node, Math.min(offset, node.length)]
        : now.slice(2 * index, 2 * index + 2)
    );
    if (then.some((part, index) => part !== now[index])) selection.setBaseAndExtent(...then);
  };
}

/**
 * The trees that a render may morph, each with its new version.
 * @param {any} target @param {any[]} args @returns {[tree: Element, newTree: ParentNode][]}
 */
function treesOf(target, [tree, newTree]) {
  if (!is(target, "turbo-stream")) return [[tree, newTree]];
  const isMorph = is(target, "[method=morph]:is([action=replace],[action=update])");
  return (isMorph ? target.targetElements : []).map((/** @type {Element} */ element) => [
    element,
    target.templateElement.content,
  ]);
}

/**
 * Pairs each changed field, and the focused one, with its new version. A field that is not found in the new
 * tree is paired with an empty object: it gets an id of its own, so that the morph turns it into no other
 * field. This is not done for a panel, whose summary may have changed: the panel at its place is the same.
 * @param {[tree: Element, newTree: ParentNode]} trees @returns {[field: Field, newer: Field][]}
 */
function pair([tree, newTree]) {
  const fields = all(tree, FIELD).filter((field) =>
    isChanged(field) || (field === document.activeElement && field.type !== "radio")
  );
  if (fields.length === 0) return [];
  const groups = grouped(tree, tree);
  const newGroups = grouped(newTree, tree);
  return fields.flatMap((field) => {
    const newer = find(trailOf(field, tree, groups), newGroups);
    return newer || (isChanged(field) && !is(field, PANEL)) ? [[field, newer ?? {}]] : [];
  });
}

/** @param {MorphEvent} event */
function beforeMorph(event) {
  const { currentElement: field, newElement: newer } = event.detail;
  held.delete(field);
  if (!newer || !is(field, FIELD)) return;
  const isSame = kindOf(field) === kindOf(newer);
  const served = newer.open ?? newer.defaultValue ?? newer.options ?? newer.innerHTML;
  const isServedAgain = (defaults.get(field) ?? field.defaultValue ?? served) === served;
  const isTheirs = is(field, `${PANEL},[type=radio]`) || isChanged(field);
  const holds = isSame &&
    (is(field, TEXT)
      ? isTheirs || (isServedAgain && stateOf(field) !== taken.get(field))
      : isTheirs && isServedAgain);
  if (holds) {
    held.set(field, stateOf(field));
    if (is(field, "[contenteditable]")) event.preventDefault();
  } else {
    taken.delete(field);
    defaults.delete(field);
    // A chosen file, or an incomplete number, would stay in what is another field now.
    if (!isSame && is(field, TEXT)) field.value = "";
  }
  if (is(field, PANEL)) defaults.set(field, served);
}

/** @param {MorphEvent} event */
function afterMorph({ detail: { currentElement: field, newElement: newer } }) {
  if (!held.has(field)) return;
  if (field.options) {
    for (const [index, option] of [...field.options].entries()) {
      option.defaultSelected = newer.options[index]?.defaultSelected;
    }
  }
  if (is(field, "select,[type=checkbox]")) put(field, held.get(field));
  // Setting the default would overwrite an incomplete date, so wait until the date is complete.
  else if (
    is(field, TEXT) && field.defaultValue !== newer.defaultValue && !field.validity.badInput
  ) {
    field.defaultValue = newer.defaultValue;
  }
}

/** @param {Field} field */
function stateOf(field) {
  if (field.options) {
    return JSON.stringify(Array.from(field.selectedOptions, ({ value }) => value));
  }
  return is(field, TEXT) ? field.value : field.checked ?? field.open ?? field.innerHTML;
}

/** @param {Field} field @param {any} state */
function put(field, state) {
  if (state === MODAL && !field.open) return field.showModal();
  if (!field.options) {
    field[is(field, TEXT) ? "value" : is(field, BOX) ? "checked" : "open"] = state;
    return;
  }
  // By value, because the options may have changed or moved. A value that is no longer offered cannot be
  // chosen.
  const values = JSON.parse(state);
  const isOffered = (/** @type {HTMLOptionElement} */ { value }) => values.includes(value);
  const isPossible = values.length === 0 || [...field.options].some(isOffered);
  for (const option of field.options) {
    option.selected = isPossible ? isOffered(option) : option.defaultSelected;
  }
}

/** @param {Field} field */
function isChanged(field) {
  return isDirty(field) && stateOf(field) !== taken.get(field);
}

/** Whether a state differs from its default. @param {Field} field */
function isDirty(field) {
  const { checked, defaultChecked, defaultValue, type, validity, value } = field;
  if (!validity) return defaults.has(field) && defaults.get(field) !== stateOf(field);
  if (type === "radio") return checked && !defaultChecked;
  if (type === "checkbox") return checked !== defaultChecked;
  if (validity.badInput || value === defaultValue) return validity.badInput;
  // A copy shows what the browser makes of the default: a range without one is at 50. The copy of a select
  // starts at its default; the copy of another control starts with the current value.
  const clean = field.cloneNode(true);
  if (!clean.options) clean.value = type === "file" ? "" : defaultValue;
  return stateOf(field) !== stateOf(clean);
}

/** @param {Node} tree @param {Element} around @returns {Groups} */
function grouped(tree, around) {
  const groups = new Map();
  const get = (/** @type {string} */ name) => groups.get(name) ?? [];
  for (const field of all(tree, FIELD)) {
    for (const name of namesOf(field, around)) groups.set(name, [...get(name), field]);
  }
  return get;
}

/** @param {Field} field @param {Element} around @param {Groups} groups @returns {Trail} */
function trailOf(field, around, groups) {
  const [name, alike] = namesOf(field, around);
  const group = groups(name);
  return [name, group.length, group.indexOf(field), alike, groups(alike).length];
}

/**
 * The only field with the second name; or the field at the same index among those with the first name, if
 * no similar field was added or removed.
 * @param {Trail} trail @param {Groups} groups
 */
function find([name, count, place, alike, likes], groups) {
  const [group, others] = [groups(name), groups(alike)];
  if (likes === 1 && others.length === 1) return others[0];
  if (group.length === count && (count === 1 || others.length === likes)) return group[place];
}

/**
 * Two names that identify a field, with its default and without. Fields with the same names can be told
 * apart only by their order.
 * @param {Field} field @param {Element} around The element in the page around a tree that is not in it.
 * @returns {[string, string]}
 */
function namesOf(field, around) {
  const near = (/** @type {string} */ selector) =>
    call(field, "closest", selector) ?? call(around, "closest", selector);
  const [owner, form] = [near("[id]"), near("form")];
  const name = JSON.stringify([
    attribute(owner, "id"),
    field.id || (attribute(form, "id") ?? attribute(form, "action")),
    attribute(field, "form"),
    kindOf(field),
  ]);
  const content = is(field, PANEL)
    ? field.firstElementChild?.textContent
    : field.defaultValue ?? defaults.get(field) ?? field.innerHTML;
  return [`${name}=${content}`, name];
}

/** @param {Field} field */
function kindOf(field) {
  const { name, tagName, type, validity, value } = field;
  return JSON.stringify(
    validity
      // A page that shows a password turns its field into a text field.
      ? [type.replace("password", "text"), name, is(field, BOX) && value]
      : [tagName, attribute(field, "contenteditable")],
  );
}

/** The elements that a selector selects, the root of the tree included. @param {Node} tree @param {string} selector @returns {Field[]} */
function all(tree, selector) {
  const isRoot = tree instanceof Element && is(tree, selector);
  return [...isRoot ? [tree] : [], ...call(tree, "querySelectorAll", selector)];
}

/** @param {Element} element @param {string} selector @returns {boolean} */
function is(element, selector) {
  return call(element, "matches", selector);
}

/** @param {Element | null} element @param {string} name @returns {string | null} */
function attribute(element, name) {
  return element && call(element, "getAttribute", name);
}

/** @param {any} node @param {string} method @param {string} argument */
function call(node, method, argument) {
  return /** @type {any} */ (Reflect.getPrototypeOf(node))[method].call(node, argument);
}

function pageNow() {
  return location.pathname + location.search;
}

// On the window, in the capture phase, so that it runs before the listeners of an app.
/** @param {string} type @param {(event: any) => void} listener */
function listen(type, listener) {
  addEventListener(type, listener, true);
}
