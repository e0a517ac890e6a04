/**
 * Makes the icon for the home screen of a phone, `server/icon.png`: `deno task icon`. It is the bar of the
 * page's own icon on the same dark tile, half full. The tile has no margin and no round corners, because
 * systems cut an icon to a shape of their own.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";

/** Pixels of each side. */
export const SIDE = 512;
/** The radius of the circle that no system cuts into: 40 % of the side, by the Web App Manifest. */
export const SAFE_RADIUS = 0.4 * SIDE;

/** A rectangle in one colour. */
export interface Bar {
  /** Pixels from the left. */
  readonly x: number;
  /** Pixels from the top. */
  readonly y: number;
  /** Its width in pixels. */
  readonly width: number;
  /** Its height in pixels. */
  readonly height: number;
  /** Its colour, red, green and blue. */
  readonly colour: readonly [number, number, number];
}

/** Pixels for one unit of the page's icon, whose bar has 8 x 12 units. */
const UNIT = 24;
const FRAME = { x: (SIDE - 8 * UNIT) / 2, y: (SIDE - 12 * UNIT) / 2, width: 8 * UNIT };

/** What is drawn: the tile, the bar, and the half of it that is full. */
export const BARS: readonly Bar[] = [
  { x: 0, y: 0, width: SIDE, height: SIDE, colour: [0x14, 0x17, 0x1a] },
  { ...FRAME, height: 12 * UNIT, colour: [0x3a, 0x41, 0x49] },
  { ...FRAME, y: SIDE / 2, height: 6 * UNIT, colour: [0x7c, 0xa6, 0xff] },
];

/** The rows of the picture as PNG has them: a zero for "no filter", then the index of a colour for each pixel. */
export function rows(): Uint8Array<ArrayBuffer> {
  const stride = SIDE + 1;
  const pixels = new Uint8Array(stride * SIDE);
  for (const [index, { x, y, width, height }] of BARS.entries()) {
    for (let row = y; row < y + height; row++) {
      const start = row * stride + 1 + x;
      pixels.fill(index, start, start + width);
    }
  }
  return pixels;
}

/** The picture as PNG, with a palette. */
export function picture(): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(SIDE, 0);
  header.writeUInt32BE(SIDE, 4);
  header.set([8, 3, 0, 0, 0], 8); // 8 bits, a palette, and the only methods that there are
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("PLTE", Uint8Array.from(BARS.flatMap(({ colour }) => colour))),
    chunk("IDAT", deflateSync(rows(), { level: 9 })),
    chunk("IEND", new Uint8Array()),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const content = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, sum] = [data.byteLength, crc32(content)].map((number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(number);
    return bytes;
  });
  return Buffer.concat([length!, content, sum!]);
}

if (import.meta.main) {
  await Deno.writeFile(new URL("../server/icon.png", import.meta.url), picture());
}
