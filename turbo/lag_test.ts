import assert from "node:assert/strict";
import { TestClock, turn } from "../tests/clock.ts";
import { Lag } from "./lag.ts";

function start({ isShared = true } = {}) {
  const clock = new TestClock();
  const flushes: PromiseWithResolvers<void>[] = [];
  const engine = {
    ...(isShared && { ready: Promise.resolve() }),
    flush() {
      const one = Promise.withResolvers<void>();
      flushes.push(one);
      return one.promise;
    },
  };
  return { clock, flushes, lag: new Lag(engine, clock) };
}

Deno.test("Lag is how long a push took to come back, or has not come back", async () => {
  const { clock, flushes, lag } = start();
  lag.pushed();
  clock.pause(30);
  assert.equal(lag.milliseconds, 30);
  flushes[0]!.resolve();
  await turn();
  clock.pause(5_000);
  assert.equal(lag.milliseconds, 30);
  lag.pushed();
  clock.pause(10);
  assert.equal(lag.milliseconds, 30);
  clock.pause(40);
  assert.equal(lag.milliseconds, 50);
});

Deno.test("Lag measures one push at a time and one in a second, and goes on after a failure", async () => {
  const { clock, flushes, lag } = start();
  lag.pushed();
  lag.pushed();
  assert.equal(flushes.length, 1);
  flushes[0]!.reject(new Error("away"));
  await turn();
  lag.pushed();
  assert.equal(flushes.length, 1);
  clock.pause(1_000);
  lag.pushed();
  assert.equal(flushes.length, 2);
});

Deno.test("Lag measures nothing where the engine is in memory", () => {
  const { flushes, lag } = start({ isShared: false });
  lag.pushed();
  assert.deepEqual([flushes.length, lag.milliseconds], [0, 0]);
});
