/**
 * `processes`: the same readers on two processes, compared with one.
 *
 * @module
 */
import type { Pushed } from "../driver.ts";
import { median } from "../figures.ts";
import { canBeNode, startNodes } from "../nodes.ts";
import type { RunningPeer } from "../peers.ts";
import {
  type Bench,
  byTurns,
  NO_FRAME,
  optionsFor,
  type Side,
  sidesOf,
  startAll,
} from "../sides.ts";

const READERS = 1_000;
const SLICES = { warmUp: 1, counted: 6 };
const SLICE_PUSHES = 25;

interface Setting {
  side: Side;
  /** Its name in the results. */
  at: string;
  /** The processes over which the readers are spread. */
  servers: readonly RunningPeer[];
  /** The processes that are asked to push. */
  pushed: readonly RunningPeer[];
  /** The processes whose processor time counts. */
  counted: readonly RunningPeer[];
}

/**
 * Each setting has processes of its own, which run all the time with their readers. The settings take turns
 * in short slices. In memory each process pushes to its own readers; with Redis the first one pushes to the
 * readers of both.
 */
export async function measureProcesses(bench: Bench): Promise<void> {
  const { peers, redis, rounds, note } = bench;
  const sides = sidesOf(peers).filter(canBeNode);
  await using stack = new AsyncDisposableStack();
  const settings: Setting[] = [];
  for (const count of [1, 2]) {
    for (const side of sides) {
      const running = stack.use(await startAll(Array(count).fill(side), NO_FRAME));
      const servers = running.all.map(({ server }) => server);
      settings.push({ side, at: nameOf(servers), servers, pushed: servers, counted: servers });
    }
  }
  for (const count of redis ? [1, 2] : []) {
    for (const side of sides) {
      const nodes = stack.use(await startNodes(redis!, side, count));
      settings.push({
        side,
        at: `${nameOf(nodes.all)}, Redis`,
        servers: nodes.all,
        pushed: nodes.all.slice(0, 1),
        counted: [...nodes.all, nodes.redis],
      });
    }
  }
  const all = [];
  for (const setting of settings) {
    const driver = stack.use(bench.newDriver());
    for (const server of setting.servers) {
      const options = await optionsFor(server, setting.side);
      await driver.open(server.port, READERS / setting.servers.length, options);
    }
    all.push({ ...setting, driver });
  }
  for (let round = 0; round < rounds; round++) {
    const contestants = all.map((one) => ({ ...one, slices: [] as Pushed[], cpu: [] as number[] }));
    await byTurns(contestants, SLICES, async ({ driver, slices, cpu, ...setting }, counts) => {
      for (const { port } of setting.pushed) await driver.control(port);
      await driver.push({ count: 1, expect: READERS }); // the others had the caches
      const spent = () => setting.counted.reduce((sum, server) => sum + server.cpu(), 0);
      const before = spent();
      const got = await driver.push({ count: SLICE_PUSHES, expect: READERS });
      if (!counts) return;
      cpu.push((spent() - before) * 1000 / got.messages);
      slices.push(got);
    });
    for (const { side, at, slices, cpu } of contestants) {
      const sample = { round, side: side.name, at };
      const perSecond = slices.map(({ messages, ms }) => messages * 1000 / ms);
      note({ ...sample, figure: "messages/s", value: median(perSecond) });
      note({
        ...sample,
        figure: "ms to the last",
        value: median(slices.flatMap(({ lasts }) => lasts)),
      });
      note({ ...sample, figure: "cpu us/message", value: median(cpu) });
    }
  }
}

function nameOf(servers: readonly RunningPeer[]): string {
  return servers.length === 1 ? "1 process" : `${servers.length} processes`;
}
