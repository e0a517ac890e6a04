/**
 * `memory`: memory per connection, and connects per second.
 *
 * @module
 */
import { RunningPeer } from "../peers.ts";
import { type Bench, inTurn, openReaders, pause, sidesOf } from "../sides.ts";

const READERS = 9_000;

/** Uses a new process each time. */
export async function measureMemory({ driver, peers, rounds, note }: Bench): Promise<void> {
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    for (const side of inTurn(sidesOf(peers), round)) {
      await using server = await RunningPeer.start(side.peer);
      await openReaders(driver, server, side, 100);
      await driver.push({ count: 20, expect: 100 });
      await driver.close();
      await pause(300);
      const before = server.memory();
      const cpu = server.cpu();
      const opened = await openReaders(driver, server, side, READERS);
      const connectCpu = server.cpu() - cpu;
      await driver.push({ count: 3, expect: READERS });
      await pause(500);
      const grown = server.memory() - before;
      await driver.close();
      const sample = { round, side: side.name, at: String(READERS) };
      note({ ...sample, figure: "KiB/connection", value: grown / 1024 / READERS });
      note({ ...sample, figure: "connects/s", value: READERS * 1000 / opened.ms });
      note({ ...sample, figure: "connect cpu us", value: connectCpu * 1000 / READERS });
    }
  }
}
