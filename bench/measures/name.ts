/**
 * `name`: the cost of a push to one name, with few and with many connections.
 *
 * @module
 */
import { median } from "../figures.ts";
import { PEERS, RunningPeer } from "../peers.ts";
import { type Bench, inTurn, NO_FRAME } from "../sides.ts";

const READERS = [10, 9_000];
const BATCH = 50;

/** Each push of a batch is sent by itself. */
export async function measureName({ driver, rounds, note }: Bench): Promise<void> {
  const peer = PEERS[0]!;
  await using server = await RunningPeer.start(peer, NO_FRAME);
  for (let round = -1; round < rounds; round++) {
    for (const readers of inTurn(READERS, round)) {
      await driver.control(server.port);
      await driver.open(server.port, readers, { path: "/turbo-stream?as=reader%d" });
      const path = `/push?to=reader7&n=${BATCH}`;
      const plan = { count: 400, expect: BATCH, per: BATCH, path };
      await driver.push({ ...plan, count: 20 });
      const before = server.cpu();
      const pushed = await driver.push(plan);
      const cpu = server.cpu() - before;
      await driver.close();
      if (round < 0) continue;
      const sample = { round, side: peer.name, at: String(readers) };
      note({ ...sample, figure: "cpu us/push", value: cpu * 1000 / pushed.messages });
      note({ ...sample, figure: "ms/batch of 50", value: median(pushed.lasts) });
    }
  }
}
