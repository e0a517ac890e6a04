/**
 * `start`: from the start of the process to the first byte of the page.
 *
 * @module
 */
import { copyPage, RunningPeer } from "../peers.ts";
import { type Bench, inTurn } from "../sides.ts";

/** Each start is a new process. */
export async function measureStart({ peers, rounds, note }: Bench): Promise<void> {
  for (let round = -1; round < rounds; round++) {
    for (const peer of inTurn(peers, round)) {
      await using server = await RunningPeer.start(peer);
      if (peer.name === "turbo-deno") await copyPage(server.port);
      if (round < 0) continue;
      const sample = { round, side: peer.name, at: "" };
      note({ ...sample, figure: "ms to the first byte", value: server.startMs });
      note({ ...sample, figure: "MiB at rest", value: server.memory() / 1024 / 1024 });
    }
  }
}
