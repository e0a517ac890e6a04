/**
 * `added`: what the app adds to a message. The app's push and a bare loop take turns over the same
 * sockets in one process, because two processes differ by more, if only in their memory layout.
 *
 * @module
 */
import { median } from "../figures.ts";
import { RunningPeer, SAME_SOCKETS } from "../peers.ts";
import { type Bench, byTurns, openReaders } from "../sides.ts";

const SLICES = { warmUp: 2, counted: 12 };
const SLICE_MESSAGES = 27_000;

/** The bare loop is in `same_sockets.ts`. */
export async function measureAdded({ driver, rounds, readers: sizes, note }: Bench): Promise<void> {
  const ways = { "turbo-deno": "/push", "bare-deno": "/push?by=bare" };
  for (let round = 0; round < rounds; round++) {
    for (const readers of sizes) {
      for (const protocol of [false, true]) {
        await using server = await RunningPeer.start(SAME_SOCKETS);
        await openReaders(driver, server, { protocol }, readers);
        const all = Object.entries(ways).map(([side, path]) => ({
          side,
          path,
          cpu: [] as number[],
        }));
        const count = Math.ceil(SLICE_MESSAGES / readers);
        await byTurns(all, SLICES, async ({ path, cpu }, counts) => {
          const before = server.cpu();
          const { messages } = await driver.push({ count, expect: readers, path });
          if (counts) cpu.push((server.cpu() - before) * 1000 / messages);
        });
        await driver.close();
        const at = `${readers} ${protocol ? "protocol" : "plain"}`;
        for (const { side, cpu } of all) {
          note({ round, side, at, figure: "cpu us/message", value: median(cpu) });
        }
      }
    }
  }
}
