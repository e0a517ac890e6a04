// @ts-check
/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// What a page says in its head while its connection is lost: the content of its template for that state, such
// as <template id="turbo-stream-closed">.

/** The start of the ids of the copies. */
const COPY = "turbo-stream-copy";
const ICON = /** @type {"link"} */ ("link[rel~=icon]");

/** The state that the head shows. */
let inHead = "open";
/** @type {Element[]} What is in the head to show it. */
let copies = [];
/** @type {HTMLLinkElement[]} The page's own icons, while others are shown. */
let icons = [];

/**
 * Shows a state in the head, by copies of what the page has in its template for that. The first title of a
 * document is its title. The page's own icons stop being icons, because Chromium keeps showing an icon that
 * is still there. All that is the page's own stays where it is, so that pushes reach it.
 */
export function showInHead(state = inHead) {
  inHead = state;
  for (const copy of copies) copy.remove();
  for (const icon of icons) icon.rel = "icon";
  // One that was pushed meanwhile is noticed only when it is inserted again.
  if (icons[0]) {
    for (const icon of document.head.querySelectorAll(ICON)) icon.before(icon);
  }
  /** @type {HTMLTemplateElement | null} */
  const template = document.querySelector(`template#turbo-stream-${state}`);
  const content = template?.content;
  copies = Array.from(content?.children ?? [], (element, index) => {
    const copy = /** @type {Element} */ (element.cloneNode(true));
    copy.id = COPY + index;
    copy.append("\t"); // is not shown, and makes it differ from a title with the same text
    return copy;
  });
  icons = content?.querySelector(ICON) ? [...document.head.querySelectorAll(ICON)] : [];
  for (const icon of icons) icon.rel = "";
  document.head.prepend(...copies);
}

/** Whether an element is in the head only to show a state. @param {string} html Its HTML. */
export function isShownInHead(html) {
  return html.includes(COPY);
}
