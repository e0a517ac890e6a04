/**
 * The README's moving picture exists, and is short and small. `deno task film` makes it.
 *
 * @module
 */
import assert from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);
const MAX_BYTES = 600 * 1024;

/** The size of a GIF in pixels, its number of repetitions and its length. */
interface Gif {
  width: number;
  height: number;
  frames: number;
  /** Milliseconds, of all frames. */
  duration: number;
  isEndless: boolean;
}

/** Reads the blocks of a GIF (GIF89a Specification, sections 18 to 27). */
function parseGif(bytes: Uint8Array): Gif {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ascii = (from: number, length: number) =>
    String.fromCharCode(...bytes.subarray(from, from + length));
  const colorTable = (flags: number) => flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
  assert.equal(ascii(0, 6), "GIF89a");
  const gif = { width: view.getUint16(6, true), height: view.getUint16(8, true) };
  let [frames, duration, isEndless] = [0, 0, false];
  let at = 13 + colorTable(bytes[10]!);
  while (bytes[at] !== 0x3b) {
    assert(at < bytes.length, `it ends after ${bytes.length} bytes, in the middle`);
    if (bytes[at] === 0x21) {
      if (bytes[at + 1] === 0xf9) duration += 10 * view.getUint16(at + 4, true);
      if (ascii(at + 3, 11) === "NETSCAPE2.0") isEndless = view.getUint16(at + 16, true) === 0;
      at += 2;
    } else {
      assert.equal(bytes[at], 0x2c, `at ${at} is neither an extension nor a picture nor the end`);
      frames++;
      at += 11 + colorTable(bytes[at + 9]!);
    }
    while (bytes[at]! > 0) at += 1 + bytes[at]!;
    at++;
  }
  assert.equal(at, bytes.length - 1, "nothing stands after the end");
  return { ...gif, frames, duration, isEndless };
}

Deno.test("docs/restart.gif runs for ten seconds in an endless loop, and is small", async () => {
  const bytes = await Deno.readFile(new URL("docs/restart.gif", ROOT));
  assert(bytes.length <= MAX_BYTES, `${bytes.length} bytes, ${MAX_BYTES} at most`);
  const { width, frames, duration, isEndless } = parseGif(bytes);
  assert(isEndless);
  assert(frames > 10, `${frames} frames`);
  assert(duration >= 9_000 && duration <= 11_000, `${duration} ms`);
  assert(width >= 640 && width <= 800, `${width} px wide`);
});

Deno.test("README shows docs/restart.gif, and says in words what it shows", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const [, words] = /!\[([^\]]*)\]\(docs\/restart\.gif\)/.exec(readme) ?? [];
  assert(words !== undefined, "README.md does not name docs/restart.gif");
  assert(words.length > 40, `the words for those who do not see it are ${JSON.stringify(words)}`);
});
