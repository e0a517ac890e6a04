/**
 * The routes that say whether a process is well: for whoever restarts it, and for whoever sends it requests.
 *
 * @module
 */
import { Hono } from "hono";

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
}

/** The share of `maxConnections` that zombies may hold; beyond it `/readyz` answers 503. */
const MAX_ZOMBIES = 0.5;

/**
 * The routes: `/healthz`, which answers while the process answers at all, and `/readyz`, which answers 503
 * where the process should get no new readers. `read` is called for each request of `/readyz`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { healthRoutes } from "./health.ts";
 *
 * const well = { connections: 3, zombies: 0, maxConnections: 10, away: undefined };
 * const routes = healthRoutes(() => ({ ...well, isDraining: true }));
 * const response = await routes.request("/readyz");
 * assert.equal(response.status, 503);
 * assert.deepEqual(await response.json(), { status: "draining", connections: 3, zombies: 0 });
 * ```
 */
export function healthRoutes(read: () => Health): Hono {
  const routes = new Hono();
  routes.get("/healthz", (c) => c.text("ok"));
  routes.get("/readyz", (c) => {
    const { isDraining, connections, zombies, maxConnections, away } = read();
    if (isDraining) return c.json({ status: "draining", connections, zombies }, 503);
    if (zombies > MAX_ZOMBIES * maxConnections) {
      return c.json({ status: "overloaded", connections, zombies }, 503);
    }
    // Without its engine it still serves pages and pushes to them.
    if (away !== undefined) {
      return c.json({ status: "degraded", connections, zombies, engine: away });
    }
    return c.json({ status: "ready", connections, zombies });
  });
  return routes;
}
