import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";
import icon from "../server/icon.png" with { type: "bytes" };
import { BARS, picture, rows, SAFE_RADIUS, SIDE } from "./icon.ts";

Deno.test("server/icon.png is the picture that deno task icon makes, and small", () => {
  const made = picture();
  const palette = 33; // where the header ends
  const data = palette + 12 + 3 * BARS.length;
  assert.deepEqual(icon.slice(0, data), Uint8Array.from(made.slice(0, data)));
  // Compressed again, the rows may differ in another version of zlib.
  const view = new DataView(icon.buffer, icon.byteOffset);
  assert.deepEqual([view.getUint32(16), view.getUint32(20)], [SIDE, SIDE]);
  const compressed = icon.slice(data + 8, data + 8 + view.getUint32(data));
  assert.deepEqual(new Uint8Array(inflateSync(compressed)), rows());
  assert(icon.byteLength < 4_000, `${icon.byteLength} bytes`);
});

Deno.test("The icon survives being cut to a circle", () => {
  const [tile, ...inside] = BARS;
  assert.deepEqual([tile!.width, tile!.height], [SIDE, SIDE]);
  for (const { x, y, width, height } of inside) {
    for (const corner of [[x, y], [x + width, y], [x, y + height], [x + width, y + height]]) {
      const distance = Math.hypot(corner[0]! - SIDE / 2, corner[1]! - SIDE / 2);
      assert(distance <= SAFE_RADIUS, `${distance} px from the middle`);
    }
  }
});
