/**
 * `profile`: where the processor time of a delivered message goes.
 *
 * @module
 */
import { perfProblem, profile } from "../perf.ts";
import { RunningPeer } from "../peers.ts";
import { type Bench, inTurn, NO_FRAME, openReaders, sidesOf } from "../sides.ts";

/** Runs each server alone, because `perf` counts what others do on its core as its own. */
export async function measureProfile(bench: Bench): Promise<void> {
  const { driver, peers, rounds, note } = bench;
  const problem = await perfProblem();
  if (problem !== undefined) return console.log(`Left out: profile: ${problem}`);
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    for (const readers of bench.readers.filter((readers) => readers >= 1_000)) {
      for (const side of inTurn(sidesOf(peers), round)) {
        await using server = await RunningPeer.start(side.peer, NO_FRAME);
        await openReaders(driver, server, side, readers);
        await driver.push({ count: Math.ceil(100_000 / readers), expect: readers });
        const before = server.cpu();
        let messages = 0;
        const shares = await profile(server.pids(), async () => {
          const count = Math.ceil(200_000 / readers);
          messages = (await driver.push({ count, expect: readers })).messages;
        });
        const perMessage = (server.cpu() - before) * 1000 / messages;
        await driver.close();
        const sample = { round, side: side.name, at: String(readers) };
        note({ ...sample, figure: "us in the kernel", value: perMessage * shares.kernel });
        note({ ...sample, figure: "us in native code", value: perMessage * shares.native });
        note({
          ...sample,
          figure: "us in compiled JavaScript",
          value: perMessage * shares.compiled,
        });
      }
    }
  }
}
