/**
 * `fanout`: processor time per delivered message, and time to the last reader.
 *
 * @module
 */
import type { Driver, PushPlan } from "../driver.ts";
import { median, quantile } from "../figures.ts";
import {
  type Bench,
  byTurns,
  NO_FRAME,
  openReaders,
  type RunningSide,
  sidesOf,
  startAll,
} from "../sides.ts";

const SLICES = { warmUp: 2, counted: 12 };
const SLICE_MESSAGES = 27_000;

/** A push interval that a page can show, in ms. */
const PACED_GAP = 50;
const PACED_SLICES = { warmUp: 1, counted: 6 };
const PACED_PUSHES = 10;
const PACED_SIDES = ["turbo-deno", "bare-deno"];
const PACED_MOST_READERS = 1_000; // more take longer than the gap

interface Contestant extends RunningSide {
  driver: Driver;
  readers: number;
  cpu: number[];
  last: number[];
}

/**
 * Each round has new processes. All of them hold their readers at the same time and take turns in short
 * slices, so that other load on the machine affects all sides equally.
 */
export async function measureFanout(bench: Bench): Promise<void> {
  for (let round = 0; round < bench.rounds; round++) {
    for (const readers of bench.readers) {
      await backToBack(bench, round, readers);
      if (readers <= PACED_MOST_READERS) await paced(bench, round, readers);
    }
  }
}

/** The next push follows as soon as every reader has the last one. */
async function backToBack(bench: Bench, round: number, readers: number): Promise<void> {
  await using running = await startAll(sidesOf(bench.peers), NO_FRAME);
  await using drivers = new AsyncDisposableStack();
  const all = await contestants(running.all, readers, () => drivers.use(bench.newDriver()));
  const count = Math.ceil(SLICE_MESSAGES / readers);
  await byTurns(all, SLICES, async (one, counts) => {
    await one.driver.control(one.server.port);
    await one.driver.push({ count: 1, expect: readers }); // the others had the caches
    await slice(one, { count, expect: readers }, counts);
  });
  noteAll(bench, round, String(readers), all);
}

/** The app's default frame, at an interval at which it delays nothing. */
async function paced(bench: Bench, round: number, readers: number): Promise<void> {
  const peers = bench.peers.filter(({ name }) => PACED_SIDES.includes(name));
  await using running = await startAll(sidesOf(peers));
  await using drivers = new AsyncDisposableStack();
  const all = await contestants(running.all, readers, () => drivers.use(bench.newDriver()));
  await byTurns(all, PACED_SLICES, async (one, counts) => {
    await one.driver.control(one.server.port);
    await slice(one, { count: PACED_PUSHES, expect: readers, gap: PACED_GAP }, counts);
  });
  noteAll(bench, round, `${readers}, every ${PACED_GAP} ms`, all);
}

async function contestants(
  running: readonly RunningSide[],
  readers: number,
  newDriver: () => Driver,
): Promise<Contestant[]> {
  const all = [];
  for (const { side, server } of running) {
    const driver = newDriver();
    await openReaders(driver, server, side, readers);
    all.push({ side, server, driver, readers, cpu: [], last: [] });
  }
  return all;
}

async function slice(one: Contestant, plan: PushPlan, counts: boolean): Promise<void> {
  const { side, server, driver, readers, cpu, last } = one;
  try {
    const before = server.cpu();
    const pushed = await driver.push(plan);
    if (!counts) return;
    cpu.push((server.cpu() - before) * 1000 / pushed.messages);
    last.push(...pushed.lasts);
  } catch (error) {
    throw new Error(`${side.name} with ${readers} readers failed`, { cause: error });
  }
}

function noteAll({ note }: Bench, round: number, at: string, all: readonly Contestant[]): void {
  for (const { side, cpu, last } of all) {
    const sample = { round, side: side.name, at };
    note({ ...sample, figure: "cpu us/message", value: median(cpu) });
    note({ ...sample, figure: "ms to the last", value: median(last) });
    note({ ...sample, figure: "ms to the last, p99", value: quantile(last, 0.99) });
  }
}
