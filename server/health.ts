/**
 * Answers that say whether a process is well: for whoever restarts it, and for whoever sends it requests.
 *
 * @module
 */
import type { Counts } from "./counts.ts";

/** How a process is, as `/readyz` reports it. */
export interface Health {
  /** Whether the process is ending. */
  readonly isDraining: boolean;
  /** How many connections are open. */
  readonly connections: number;
  /** How many closed connections have not ended. */
  readonly zombies: number;
  /** How many connections there may be, zombies included. */
  readonly maxConnections: number;
  /** Why the engine is away; `undefined` where it is not. */
  readonly away: string | undefined;
  /** What it has counted, for an answer with 200. Default: nothing. */
  readonly counts?: Counts;
}

/** The share of `maxConnections` that zombies may hold; beyond it `/readyz` answers 503. */
const MAX_ZOMBIES = 0.5;

/**
 * The answers by their paths: `/healthz`, which answers while the process answers at all, and `/readyz`,
 * which answers 503 where the process should get no new readers. `read` is called for each `/readyz`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { healthAnswers } from "./health.ts";
 *
 * const well = { connections: 3, zombies: 0, maxConnections: 10, away: undefined };
 * const answers = healthAnswers(() => ({ ...well, isDraining: true }));
 * const response = answers["/readyz"]();
 * assert.equal(response.status, 503);
 * assert.deepEqual(await response.json(), { status: "draining", connections: 3, zombies: 0 });
 * ```
 */
export function healthAnswers(
  read: () => Health,
): Record<"/healthz" | "/readyz", () => Response> {
  return {
    "/healthz": () => new Response("ok"),
    "/readyz": () => readiness(read()),
  };
}

function readiness(health: Health): Response {
  const { isDraining, connections, zombies, maxConnections, away, counts } = health;
  const held = { connections, zombies };
  if (isDraining) return Response.json({ status: "draining", ...held }, { status: 503 });
  if (zombies > MAX_ZOMBIES * maxConnections) {
    return Response.json({ status: "overloaded", ...held }, { status: 503 });
  }
  // Without its engine it still serves pages and pushes to them.
  if (away !== undefined) {
    return Response.json({ status: "degraded", ...held, engine: away, counts });
  }
  return Response.json({ status: "ready", ...held, counts });
}
