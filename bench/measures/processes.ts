/**
 * `processes`: the same readers on two processes against one.
 *
 * @module
 */
import { median } from "../figures.ts";
import { type Bench, inTurn, NO_FRAME, optionsFor, sidesOf, startAll } from "../sides.ts";

const READERS = 1_000;

/** Both are there all the time; for one process, the other one rests. */
export async function measureProcesses({ driver, peers, rounds, note }: Bench): Promise<void> {
  const names = ["turbo-deno", "bare-deno"];
  const sides = sidesOf(peers).filter(({ peer, protocol }) =>
    names.includes(peer.name) && protocol === (peer.name === "turbo-deno")
  );
  await using running = await startAll([...sides, ...sides], NO_FRAME);
  for (let round = -1; round < rounds; round++) {
    for (const side of inTurn(sides, round)) {
      const both = running.all.filter((other) => other.side === side).map(({ server }) => server);
      for (const servers of [both.slice(0, 1), both]) {
        for (const server of servers) {
          const options = await optionsFor(server, side);
          await driver.control(server.port);
          await driver.open(server.port, READERS / servers.length, options);
        }
        const cpu = () => servers.reduce((sum, server) => sum + server.cpu(), 0);
        const before = cpu();
        const pushed = await driver.push({ count: 100, expect: READERS });
        const spent = cpu() - before;
        await driver.close();
        if (round < 0) continue;
        const at = servers.length === 1 ? "1 process" : "2 processes";
        const sample = { round, side: side.name, at };
        note({ ...sample, figure: "messages/s", value: pushed.messages * 1000 / pushed.ms });
        note({ ...sample, figure: "ms to the last", value: median(pushed.lasts) });
        note({ ...sample, figure: "cpu us/message", value: spent * 1000 / pushed.messages });
      }
    }
  }
}
