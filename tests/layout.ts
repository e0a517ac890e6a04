/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * What is wrong with the layout of a page: functions that run in a page of any browser, with nothing from
 * outside.
 *
 * @module
 */

/**
 * What sticks out, overlaps, touches or is broken over two lines, in words; and text that is as large as the
 * first number of a table with the class of one machine.
 */
export function layoutProblems(): string[] {
  const found: string[] = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) found.push(`${scrollWidth - clientWidth} px too wide`);
  const isVisible = (element: Element) =>
    element.checkVisibility({ visibilityProperty: true }) && !element.closest("caption") &&
    element.localName !== "wbr";
  const nameOf = (element: Element) => {
    const name = [element.localName, ...element.classList].join(".");
    return `<${name}> ${JSON.stringify(element.textContent.trim().slice(0, 40))}`;
  };

  const roomOf = (element: Element) =>
    element.closest("svg")
      ? new DOMRect(0, 0, clientWidth) // the numbers beside a plot are in its margin
      : element.closest("header, main")!.getBoundingClientRect();
  const checkOut = (what: string, by: number) => {
    if (by > 0.5) found.push(`${what} sticks out by ${by.toFixed(1)} px`);
  };
  for (const element of document.body.querySelectorAll("*")) {
    if (!isVisible(element)) continue;
    const { left, right } = element.getBoundingClientRect();
    const room = roomOf(element);
    checkOut(nameOf(element), Math.max(right - room.right, room.left - left));
  }

  // Without its halo, which the bounding rectangle contains in some browsers.
  const rectOf = (text: SVGTextElement) => {
    const { x, y, width, height } = text.getBBox();
    const { e, f } = text.getScreenCTM()!;
    return new DOMRect(x + e, y + f, width, height);
  };
  const words: { text: string; block: Element; size: number; rects: DOMRect[] }[] = [];
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = nodes.nextNode() as Text | null);) {
    const parent = node.parentElement!;
    const block = parent.closest("text, th, td, p, ul, figcaption, h1, nav a, dt, dd");
    if (!block || !isVisible(parent)) continue;
    const size = parseFloat(getComputedStyle(parent).fontSize);
    for (const { 0: text, index } of node.data.matchAll(/\S+/g)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + text.length);
      const rects = parent instanceof SVGTextElement
        ? [rectOf(parent)]
        : [...range.getClientRects()];
      words.push({ text, block, size, rects });
    }
  }
  for (const { text, block, rects } of words) {
    // On the left a large digit may begin before the small text above it, so that both look aligned.
    for (const { right } of rects) checkOut(text, right - roomOf(block).right);
    const isNumber = /^\d[\d.:]*[.,;:]?$/.test(text);
    const isBroken = rects.some(({ top }) => Math.abs(top - rects[0]!.top) > 2);
    if (isNumber && isBroken) found.push(`${text} is broken over two lines`);
  }

  // A line is higher than its letters.
  const letters = words.flatMap(({ text, block, rects }) =>
    rects.map(({ left, right, top, bottom, height }) => ({
      ...{ text, block, left, right, top: top + height / 5, bottom: bottom - height / 5 },
    }))
  );
  for (const [index, one] of letters.entries()) {
    for (const other of letters.slice(index + 1)) {
      const isApart = one.right + 2 < other.left || other.right + 2 < one.left ||
        one.bottom < other.top || other.bottom < one.top;
      if (one.block !== other.block && !isApart) found.push(`${one.text} touches ${other.text}`);
    }
  }

  const number = document.querySelector(".load table:not(.fleet) tbody td");
  if (number) {
    const size = parseFloat(getComputedStyle(number).fontSize);
    const large = words.filter((word) => word.block !== number && word.size >= size);
    if (large.length > 0) found.push(`${large.map(({ text }) => text)} not below ${size} px`);
  }
  return [...new Set(found)];
}
