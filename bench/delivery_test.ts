import assert from "node:assert/strict";
import { countDelivery, type Receipt } from "./delivery.ts";

/** Four messages, one each 100 ms. */
const SENT = new Map([[1, 100], [2, 200], [3, 300], [4, 400]]);
const END = 1_000;

function count(...readers: Receipt[][]) {
  return countDelivery(SENT, readers, END);
}

Deno.test("countDelivery() counts a message as delivered that arrives once and in order", () => {
  const whole: Receipt[] = [[1, 101], [2, 202], [3, 303], [4, 404]];
  const { delays, ...counts } = count(whole, whole);
  assert.deepEqual(delays, [1, 2, 3, 4, 1, 2, 3, 4]);
  assert.deepEqual(counts, {
    share: 100,
    lost: 0,
    twice: 0,
    outOfOrder: 0,
    missed: [0, 0],
    behind: [4, 4],
  });
});

Deno.test("countDelivery() counts what never arrived, for each reader and for all", () => {
  const { share, lost, missed } = count([[1, 101], [4, 404]], [[1, 101], [2, 202], [3, 303]], []);
  assert.deepEqual({ share, lost, missed }, { share: 100 * 5 / 12, lost: 7, missed: [2, 1, 4] });
});

Deno.test("countDelivery() does not count as delivered what arrives twice or after a later one", () => {
  const again = count([[1, 101], [2, 202], [2, 203], [3, 303], [4, 404]]);
  assert.deepEqual([again.share, again.twice, again.outOfOrder, again.lost], [75, 1, 0, 0]);
  const late = count([[1, 101], [3, 303], [2, 304], [4, 404]]);
  assert.deepEqual([late.share, late.twice, late.outOfOrder, late.lost], [75, 0, 1, 0]);
  // The second copy of a message is not out of order as well.
  const replayed = count([[1, 101], [2, 202], [3, 303], [2, 304], [4, 404]]);
  assert.deepEqual([replayed.share, replayed.twice, replayed.outOfOrder], [75, 1, 0]);
});

Deno.test("countDelivery() leaves out what was sent before it counts", () => {
  const { share, lost, twice } = count([[0, 50], [1, 101], [2, 202], [3, 303], [4, 404]]);
  assert.deepEqual([share, lost, twice], [100, 0, 0]);
});

Deno.test("countDelivery() measures how long a reader was without the newest message", () => {
  const behind = (...receipts: Receipt[]) => count(receipts).behind[0];
  assert.equal(behind([1, 101], [4, 700]), 500, "from 2, which was due at 200");
  assert.equal(
    behind([1, 101], [2, 450], [3, 460], [4, 470]),
    270,
    "a replay ends with the newest",
  );
  assert.equal(behind([1, 101], [2, 202], [3, 303]), 600, "to the end, without the last one");
  assert.equal(behind(), 900, "to the end, without any");
});
