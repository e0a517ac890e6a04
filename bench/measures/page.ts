/**
 * `page`: the app's page, compared with a bare server of the same bytes and with Turbo-Flask's page.
 *
 * @module
 */
import type { Requested } from "../driver.ts";
import { median } from "../figures.ts";
import { type Bench, byTurns, sidesOf, startAll } from "../sides.ts";

const CONNECTIONS = 16;
const SLICES = { warmUp: 4, counted: 6 };

/** The sides take turns in short slices. */
export async function measurePage({ driver, peers, rounds, note }: Bench): Promise<void> {
  const paged = ["turbo-deno", "bare-deno", "turbo-flask"];
  const sides = sidesOf(peers).filter(({ peer, protocol }) =>
    paged.includes(peer.name) && !protocol
  );
  for (let round = 0; round < rounds; round++) {
    await using running = await startAll(sides);
    const all = running.all.map((one) => ({ ...one, cpu: 0, slices: [] as Requested[] }));
    await byTurns(all, SLICES, async (one, counts) => {
      const before = one.server.cpu();
      const got = await driver.request(one.server.port, "/", CONNECTIONS, 0.5);
      const cpu = one.server.cpu() - before;
      await driver.close();
      if (got.errors > 0) throw new Error(`${one.side.name}: ${got.errors} pages failed`);
      if (!counts) return;
      one.cpu += cpu;
      one.slices.push(got);
    });
    for (const { side, cpu, slices } of all) {
      const sample = { round, side: side.name, at: `${CONNECTIONS} connections` };
      const middle = (of: "p50" | "p99" | "perSecond") =>
        median(slices.map((requested) => requested[of]));
      const requests = slices.reduce((sum, requested) => sum + requested.requests, 0);
      note({ ...sample, figure: "requests/s", value: middle("perSecond") });
      note({ ...sample, figure: "p50 ms", value: middle("p50") });
      note({ ...sample, figure: "p99 ms", value: middle("p99") });
      note({ ...sample, figure: "cpu us/request", value: cpu * 1000 / requests });
    }
  }
}
