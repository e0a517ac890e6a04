/**
 * `start`: from the start of the process to the first byte of the page.
 *
 * @module
 */
import { copyPage, RunningPeer, STARTED } from "../peers.ts";
import { type Bench, inTurn, pause } from "../sides.ts";

/** Milliseconds in which a process that warms up writes what Deno keeps of it for the next start. */
const WARM_UP = 1_500;

/** How many times each side starts in a round: a start is short, and what else the machine does is not. */
const STARTS = 3;

/** Each start is a new process. The first of each side is not counted. */
export async function measureStart({ peers, rounds, note }: Bench): Promise<void> {
  const hasApp = peers.some(({ name }) => name === "turbo-deno");
  const started = hasApp ? STARTED : [];
  for (const peer of started) await peer.install();
  const all = [...started, ...peers.filter(({ name }) => name !== "turbo-deno")];
  for (let round = -1; round < STARTS * rounds; round++) {
    for (const peer of inTurn(all, Math.max(0, round))) {
      await using server = await RunningPeer.start(peer);
      const sample = { round, side: peer.name, at: "" };
      if (round >= 0) {
        note({ ...sample, figure: "ms to the first byte", value: server.startMs });
        note({ ...sample, figure: "cpu ms to the first byte", value: server.startCpu });
        note({ ...sample, figure: "MiB at rest", value: server.memory() / 1024 / 1024 });
        continue;
      }
      if (peer.name === "turbo-deno") await copyPage(server.port);
      await pause(WARM_UP);
    }
  }
}
