import assert from "node:assert/strict";
import { loadIcon } from "./load_icon.ts";

const svgOf = (icon: Partial<Parameters<typeof loadIcon>[0]>) =>
  decodeURIComponent(loadIcon({ share: 0, isHigh: false, isOld: false, ...icon }));

/** The height and the colour of the bar. */
function barOf(icon: Parameters<typeof svgOf>[0]): [height: number, colour: string] {
  const bar = svgOf(icon).match(/<rect [^>]*>/g)!.at(-1)!;
  const [y, height, colour] = / y="(.*?)" width="8" height="(.*?)" fill="(.*?)"/.exec(bar)!.slice(
    1,
  );
  assert.equal(Number(y) + Number(height), 14, "it stands on the ground");
  return [Number(height), colour!];
}

Deno.test("loadIcon() has a bar in six steps, which is never empty and never too high", () => {
  const heights = [0, 0.05, 0.09, 0.25, 0.5, 0.75, 0.9, 1, 50, Infinity].map((share) =>
    barOf({ share })[0]
  );
  assert.deepEqual(heights, [1, 1, 2, 4, 6, 10, 10, 12, 12, 12]);
});

Deno.test("loadIcon() is full and warm where the load is high, whatever its share", () => {
  const [normal, high] = [barOf({ share: 0.4 }), barOf({ share: 0.4, isHigh: true })];
  assert.equal(high[0], 12);
  assert.notEqual(high[1], normal[1]);
});

Deno.test("loadIcon() is grey and crossed out where the load is not known", () => {
  const old = svgOf({ isOld: true });
  assert.match(old, /<path d="M3 13 13 3"/);
  assert.doesNotMatch(svgOf({}), /<path/);
  const [[, colour], [, normal], [, high]] = [
    barOf({ isOld: true, isHigh: true }),
    barOf({}),
    barOf({ isHigh: true }),
  ];
  assert.equal(new Set([colour, normal, high]).size, 3);
});

Deno.test("loadIcon() is a short URL without the characters that end an attribute or a URL", () => {
  const url = loadIcon({ share: 1, isHigh: true, isOld: true });
  assert.match(url, /^data:image\/svg\+xml,[^<>#"]+$/);
  assert(url.length < 600, `${url.length} characters`);
});
