/**
 * `nodes`: the time from a push on one node to its receipt there and on another, and its cost on each,
 * compared with a process in memory.
 *
 * @module
 */
import type { Driver } from "../driver.ts";
import { median, quantile } from "../figures.ts";
import { canBeNode, startNodes } from "../nodes.ts";
import type { RunningPeer } from "../peers.ts";
import {
  type Bench,
  byTurns,
  NO_FRAME,
  optionsFor,
  pause,
  type Side,
  sidesOf,
  startAll,
} from "../sides.ts";

const MOST_ROUNDS = 5;
const SLICES = { warmUp: 1, counted: 5 };
const COST_SLICES = { warmUp: 1, counted: 3 };
const PAGE_SLICES = { warmUp: 2, counted: 6 };

/** Pushes a second, how many are timed in a slice, and for how many seconds their cost is measured. */
const RATES = [
  { rate: 20, count: 20, seconds: 2 },
  { rate: 200, count: 80, seconds: 1 },
  { rate: 2_000, count: 800, seconds: 1 },
];
const REST_SECONDS = 2;
const PAGE_CONNECTIONS = 16;

/** Milliseconds in which the readers receive the remaining pushes of the previous slice. */
const SETTLE = 50;

/** A reader, and the process on which the push is made. */
interface Way {
  side: Side;
  at: "in memory" | "same node" | "other node";
  driver: Driver;
  pushed: RunningPeer;
  read: RunningPeer;
}

/** The processes that take part in a push. */
interface Payers {
  side: Side;
  /** The path to the last of them. */
  way: Way;
  /** The processes, by their names in the results. */
  all: Map<string, RunningPeer>;
}

/** Each round has new processes, which run at the same time and take turns in short slices. */
export async function measureNodes(bench: Bench): Promise<void> {
  const { redis } = bench;
  if (!redis) return;
  const sides = sidesOf(bench.peers).filter(canBeNode);
  for (let round = 0; round < Math.min(bench.rounds, MOST_ROUNDS); round++) {
    await using stack = new AsyncDisposableStack();
    const alone = stack.use(await startAll(sides, NO_FRAME));
    const ways: Way[] = [];
    const payers: Payers[] = [];
    for (const { side, server } of alone.all) {
      const { redis: shared, all: [first, second] } = stack.use(await startNodes(redis, side, 2));
      const add = (at: Way["at"], pushed: RunningPeer, read: RunningPeer) => {
        const way = { side, at, pushed, read, driver: stack.use(bench.newDriver()) };
        ways.push(way);
        return way;
      };
      const inMemory = add("in memory", server, server);
      add("same node", first!, first!);
      const other = add("other node", first!, second!);
      payers.push({ side, way: inMemory, all: new Map([["in memory", server]]) }, {
        side,
        way: other,
        all: new Map([
          ["pushing node", first!],
          ["receiving node", second!],
          ["redis-server", shared],
        ]),
      });
    }
    for (const { driver, read, side } of ways) {
      await driver.open(read.port, 1, await optionsFor(read, side));
    }
    await timeReceipts(bench, round, ways);
    await countCosts(bench, round, payers);
    await requestPages(bench, round, ways.filter(({ side }) => side.peer.name === "turbo-deno"));
  }
}

/** The driver triggers the push by a request and has the reader too, so one clock times both ends. */
async function timeReceipts({ note }: Bench, round: number, ways: readonly Way[]): Promise<void> {
  for (const { rate, count } of RATES) {
    const all = ways.map((way) => ({ ...way, times: [] as number[], middles: [] as number[] }));
    await byTurns(all, SLICES, async ({ driver, pushed, times, middles }, counts) => {
      await pause(SETTLE);
      await driver.control(pushed.port);
      await driver.push({ count: 1, expect: 1 }); // the others had the caches
      const { each } = await driver.push({ count, expect: 1, gap: 1000 / rate });
      if (!counts) return;
      times.push(...each);
      middles.push(median(each));
    });
    for (const { side, at, times, middles } of all) {
      const sample = { round, side: side.peer.name, at: `${rate}/s, ${at}` };
      note({ ...sample, figure: "ms to receipt, p50", value: median(middles) });
      note({ ...sample, figure: "ms to receipt, p99", value: quantile(times, 0.99) });
    }
  }
}

interface Slice {
  /** Milliseconds of processor time, in the order of the processes. */
  spent: number[];
  seconds: number;
  pushes: number;
}

/** The server pushes by a timer, because a request costs more than a push. */
async function countCosts({ note }: Bench, round: number, payers: readonly Payers[]) {
  const all = payers.map((one) => ({ ...one, rest: [] as Slice[] }));
  const jobs = all.flatMap((one) => RATES.map((at) => ({ ...one, ...at, slices: [] as Slice[] })));
  await byTurns([...jobs, undefined], COST_SLICES, async (job, counts) => {
    if (!job) {
      const meters = all.map(({ rest, all }) => ({ rest, stop: meter([...all.values()]) }));
      await pause(1000 * REST_SECONDS);
      for (const { rest, stop } of meters) if (counts) rest.push(stop(0));
      return;
    }
    const { way, rate, seconds, slices } = job;
    await pause(SETTLE);
    const stop = meter([...job.all.values()]);
    const path = `/burst?kind=replace&rate=${rate}&seconds=${seconds}`;
    const { pushes } = await way.driver.burst(way.pushed.port, seconds, path);
    const slice = stop(pushes);
    if (counts) slices.push(slice);
  });
  for (const { side, rest, all: processes } of all) {
    [...processes.keys()].forEach((at, index) => {
      const value = restOf(rest, index);
      note({ round, side: side.peer.name, at, figure: "cpu ms/s at rest", value });
    });
  }
  for (const { side, rate, rest, slices, all: processes } of jobs) {
    [...processes.keys()].forEach((name, index) => {
      const sample = { round, side: side.peer.name, at: `${rate}/s, ${name}` };
      const idle = restOf(rest, index);
      const perPush = (least: number) =>
        median(
          slices.map(({ spent, seconds, pushes }) =>
            1000 * (spent[index]! - least * seconds) / pushes
          ),
        );
      note({ ...sample, figure: "cpu us/push", value: perPush(0) });
      note({ ...sample, figure: "cpu us/push above rest", value: perPush(idle) });
    });
  }
}

/** Starts to measure; the function that it returns ends that. */
function meter(processes: readonly RunningPeer[]): (pushes: number) => Slice {
  const before = processes.map((one) => one.cpu());
  const start = performance.now();
  return (pushes) => ({
    spent: processes.map((one, index) => one.cpu() - before[index]!),
    seconds: (performance.now() - start) / 1000,
    pushes,
  });
}

function restOf(slices: readonly Slice[], index: number): number {
  return median(slices.map(({ spent, seconds }) => spent[index]! / seconds));
}

/** The page of a node contains the table of all nodes. */
async function requestPages({ driver, note }: Bench, round: number, ways: readonly Way[]) {
  const all = ways.filter(({ at }) => at !== "other node")
    .map((way) => ({ ...way, perSecond: [] as number[] }));
  await byTurns(all, PAGE_SLICES, async ({ pushed, perSecond }, counts) => {
    const got = await driver.request(pushed.port, "/", PAGE_CONNECTIONS, 0.5);
    await driver.close();
    if (got.errors > 0) throw new Error(`${got.errors} pages failed`);
    if (counts) perSecond.push(got.perSecond);
  });
  for (const { side, at, perSecond } of all) {
    const place = at === "in memory" ? at : "a node";
    note({
      round,
      side: side.peer.name,
      at: place,
      figure: "pages/s",
      value: median(perSecond),
    });
  }
}
