/**
 * `catchup`: readers that reconnect all at once while others are connected and 20 messages a second are
 * sent.
 *
 * @module
 */
import { type Bench, inTurn, optionsFor, sidesOf, startAll } from "../sides.ts";

const READERS = 1_000;

/** The bare loop only accepts them, because it replays nothing. */
export async function measureCatchUp({ driver, peers, rounds, note }: Bench): Promise<void> {
  const sides = sidesOf(peers).filter(({ peer, protocol }) =>
    peer.name === "bare-deno" || (peer.name === "turbo-deno" && protocol)
  );
  await using running = await startAll(sides);
  for (let round = 0; round < rounds; round++) {
    for (const { side, server } of inTurn(running.all, round)) {
      const options = await optionsFor(server, side);
      await driver.control(server.port);
      await driver.open(server.port, READERS, options);
      await driver.push({ count: 5, expect: READERS }); // they missed these
      const plan = { count: 40, gap: 50, expect: READERS };
      const calm = await driver.push(plan);
      const want = side.protocol ? 1 : 0;
      const herd = { ...options, want, inflight: READERS };
      await driver.openLater(server.port, READERS, herd);
      const busy = await driver.push(plan);
      await driver.close();
      const sample = { round, side: side.name, at: `${READERS} at once` };
      note({ ...sample, figure: "ms until all are current", value: busy.joinMs });
      note({ ...sample, figure: "p99 ms of the running before", value: calm.latency.p99 });
      note({ ...sample, figure: "p99 ms of the running meanwhile", value: busy.latency.p99 });
    }
  }
}
