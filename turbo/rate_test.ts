import assert from "node:assert/strict";
import { TestClock } from "../tests/clock.ts";
import { AddressBuckets, MinuteWindow, TokenBucket } from "./rate.ts";

const RATE = { burst: 3, perSecond: 2 };

Deno.test("TokenBucket gives a burst, then so many a second, and never more than the burst", async () => {
  const clock = new TestClock();
  const bucket = new TokenBucket(RATE, clock);
  const take = (times: number) => Array.from({ length: times }, () => bucket.take());
  assert.deepEqual(take(4), [true, true, true, false]);
  await clock.advance(499);
  assert.deepEqual(take(1), [false]);
  await clock.advance(1);
  assert.deepEqual(take(2), [true, false]);
  await clock.advance(60_000);
  assert(bucket.isFull);
  assert.deepEqual(take(4), [true, true, true, false]);
});

Deno.test("MinuteWindow allows a number of events in each minute", async () => {
  const clock = new TestClock();
  const window = new MinuteWindow(3, clock);
  const take = (times: number) => Array.from({ length: times }, () => window.take());
  assert.deepEqual(take(4), [true, true, true, false]);
  await clock.advance(59_999);
  assert.deepEqual(take(1), [false]);
  await clock.advance(1);
  assert.deepEqual(take(4), [true, true, true, false]);
});

Deno.test("AddressBuckets count each address separately, and forget those that are full again", async () => {
  const clock = new TestClock();
  const buckets = new AddressBuckets(RATE, clock);
  for (let n = 0; n < 3; n++) assert(buckets.take("a"));
  assert(!buckets.take("a"));
  assert(buckets.take("b"));
  assert.equal(buckets.size, 2);
  await clock.advance(1_500);
  assert(buckets.take("c"));
  assert.equal(buckets.size, 1, "a and b have full buckets again");
});

Deno.test("AddressBuckets remember 10,000 addresses at most", () => {
  const buckets = new AddressBuckets(RATE, new TestClock());
  for (let n = 0; n < 11_000; n++) buckets.take(`${n}`);
  assert.equal(buckets.size, 10_000);
});

Deno.test("AddressBuckets forget the least recent address first", () => {
  const buckets = new AddressBuckets({ burst: 2, perSecond: 1 }, new TestClock());
  for (let n = 0; n < 10_000; n++) buckets.take(`${n}`);
  buckets.take("0"); // its second and last token
  buckets.take("new");
  assert.equal(buckets.take("0"), false, "it is still known");
});
