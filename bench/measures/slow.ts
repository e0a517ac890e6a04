/**
 * `slow`: a tenth of the readers never reads.
 *
 * @module
 */
import type { Times } from "../driver.ts";
import { median } from "../figures.ts";
import { RunningPeer } from "../peers.ts";
import { type Bench, byTurns, inTurn, optionsFor, sidesOf } from "../sides.ts";

const READERS = 1_000;
const STALLED = 100;
const SLICES = { warmUp: 1, counted: 6 };

/**
 * First fills the system's buffers of the stalled readers, which take some megabytes each. Then sends
 * messages of 4 KiB, 40 a second, in turns to the readers of a process with stalled readers and of one
 * without. Ends before a stalled reader is dropped.
 */
export async function measureSlow({ newDriver, peers, rounds, note }: Bench): Promise<void> {
  const compared = ["turbo-deno", "bare-deno"];
  const sides = sidesOf(peers).filter(({ peer }) => compared.includes(peer.name));
  for (let round = 0; round < rounds; round++) {
    for (const side of inTurn(sides, round)) {
      await using stack = new AsyncDisposableStack();
      const both = [];
      for (const stalled of [0, STALLED]) {
        const server = stack.use(await RunningPeer.start(side.peer));
        const driver = stack.use(newDriver());
        const options = await optionsFor(server, side);
        await driver.control(server.port);
        await driver.open(server.port, READERS, { ...options, stalled });
        const expect = READERS - stalled;
        await driver.push({ count: 50, expect, path: "/push?pad=98304" }); // more than the system takes
        both.push({
          stalled,
          expect,
          server,
          driver,
          memory: server.memory(),
          slices: [] as Times[],
        });
      }
      await byTurns(both, SLICES, async ({ expect, driver, slices }, counts) => {
        const plan = { count: 16, gap: 25, expect, path: "/push?pad=4096" };
        const { latency } = await driver.push(plan);
        if (counts) slices.push(latency);
      });
      for (const { stalled, server, memory, slices } of both) {
        const sample = { round, side: side.name, at: `${stalled} stalled` };
        const middle = (of: "p50" | "p99") => median(slices.map((times) => times[of]));
        note({ ...sample, figure: "p50 ms of the rest", value: middle("p50") });
        note({ ...sample, figure: "p99 ms of the rest", value: middle("p99") });
        note({ ...sample, figure: "MiB grown", value: (server.memory() - memory) / 1024 / 1024 });
      }
    }
  }
}
