import assert from "node:assert/strict";
import { type Health, healthAnswers } from "./health.ts";

const WELL: Health = {
  isDraining: false,
  connections: 3,
  zombies: 2,
  maxConnections: 4,
  away: undefined,
};

async function readyz(health: Partial<Health>): Promise<[status: number, body: unknown]> {
  const response = healthAnswers(() => ({ ...WELL, ...health }))["/readyz"]();
  return [response.status, await response.json()];
}

Deno.test("/readyz answers ready with the counts, also where half of all places are zombies", async () => {
  assert.deepEqual(await readyz({}), [200, { status: "ready", connections: 3, zombies: 2 }]);
});

Deno.test("/readyz answers what was counted, after the rest, but not with 503", async () => {
  const counts = { pushes: 2 };
  const ready = { status: "ready", connections: 3, zombies: 2, counts };
  assert.deepEqual(await readyz({ counts }), [200, ready]);
  const degraded = { status: "degraded", connections: 3, zombies: 2, engine: "refused", counts };
  assert.deepEqual(await readyz({ counts, away: "refused" }), [200, degraded]);
  const draining = { status: "draining", connections: 3, zombies: 2 };
  assert.deepEqual(await readyz({ counts, isDraining: true }), [503, draining]);
});

Deno.test("/readyz answers 200 without the engine, and says why it is away", async () => {
  const body = { status: "degraded", connections: 3, zombies: 2, engine: "refused" };
  assert.deepEqual(await readyz({ away: "refused" }), [200, body]);
});

Deno.test("/readyz answers 503 beyond that share of zombies, and while draining, whatever else is wrong", async () => {
  const overloaded = { status: "overloaded", connections: 3, zombies: 3 };
  assert.deepEqual(await readyz({ zombies: 3, away: "refused" }), [503, overloaded]);
  const draining = { ...overloaded, status: "draining" };
  assert.deepEqual(await readyz({ zombies: 3, away: "refused", isDraining: true }), [
    503,
    draining,
  ]);
});

Deno.test("/healthz answers ok without looking at anything", async () => {
  const response = healthAnswers(() => assert.fail("read"))["/healthz"]();
  assert.deepEqual([response.status, await response.text()], [200, "ok"]);
});
