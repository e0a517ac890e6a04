/**
 * `burst`: a server that pushes faster than a page can show.
 *
 * @module
 */
import type { Burst } from "../driver.ts";
import { RunningPeer } from "../peers.ts";
import { type Bench, openReaders, shuffled, type Side, sidesOf } from "../sides.ts";

const READERS = 1_000;
const MOST_ROUNDS = 5;
const SECONDS = 2;
const WARM_UP_SECONDS = 0.5;

/** Without the `write()` loop in C, which never waits, and Turbo-Flask, which is too slow for these rates. */
const COMPARED = ["turbo-deno", "bare-deno", "ws-node", "bun", "gorilla"];

interface Scenario {
  /** Its name in the results. */
  at: string;
  /** What the app pushes. The other peers always push the same message. */
  kind: "replace" | "append" | "ten";
  /** Pushes a second. */
  rate: number;
  /** How many of them are made in one turn of the event loop. */
  turn?: number;
}

const SCENARIOS: readonly Scenario[] = [
  ...[10, 100, 1_000, 10_000].map((rate): Scenario => (
    { at: `replace ${rate}/s`, kind: "replace", rate }
  )),
  ...[100, 1_000].map((rate): Scenario => ({ at: `append ${rate}/s`, kind: "append", rate })),
  { at: "ten in a turn, 100/s", kind: "ten", rate: 100, turn: 10 },
];

/**
 * Each side has a process of its own for each scenario, so that one that cannot keep up does not affect
 * the next.
 */
export async function measureBurst(bench: Bench): Promise<void> {
  const sides = sidesOf(bench.peers.filter(({ name }) => COMPARED.includes(name)));
  for (let round = 0; round < Math.min(bench.rounds, MOST_ROUNDS); round++) {
    const figures = new Map<string, Record<string, number>>();
    for (const scenario of shuffled(SCENARIOS)) {
      for (const side of shuffled(sides)) {
        try {
          figures.set(`${scenario.at}|${side.name}`, await measureOne(bench, side, scenario));
        } catch (error) {
          console.log(`Left out: ${side.name}, ${scenario.at}, round ${round}:`, error);
        }
      }
    }
    for (const { at } of SCENARIOS) {
      for (const { name } of sides) {
        for (const [figure, value] of Object.entries(figures.get(`${at}|${name}`) ?? {})) {
          bench.note({ round, side: name, at, figure, value });
        }
      }
    }
  }
}

async function measureOne(bench: Bench, side: Side, scenario: Scenario) {
  const readers = Math.min(READERS, Math.max(...bench.readers));
  await using server = await RunningPeer.start(side.peer);
  await using driver = bench.newDriver();
  await openReaders(driver, server, side, readers);
  const warmUp = pathOf({ ...scenario, rate: 100 }, WARM_UP_SECONDS);
  await driver.burst(server.port, WARM_UP_SECONDS, warmUp);
  const before = server.cpu();
  const burst = await driver.burst(server.port, SECONDS, pathOf(scenario, SECONDS));
  return figuresOf(burst, server.cpu() - before, scenario.rate * SECONDS);
}

function figuresOf(burst: Burst, cpu: number, asked: number): Record<string, number> {
  const seconds = burst.ms / 1000;
  return {
    "cpu ms/s": cpu / seconds,
    "cpu us/push": cpu * 1000 / burst.pushes,
    "messages/s": burst.messages / seconds,
    "KiB/s": burst.bytes / 1024 / seconds,
    "age ms, p50": burst.age.p50,
    "age ms, p99": burst.age.p99,
    "pushes made, %": 100 * burst.pushes / asked,
    "backlog, KiB after the last push": burst.bytesAfter / 1024,
    "backlog, ms after the last push": burst.lastMs,
    "readers lost or left behind": burst.lost + burst.behind,
  };
}

function pathOf({ kind, rate, turn = 1 }: Scenario, seconds: number): string {
  return `/burst?kind=${kind}&rate=${rate}&seconds=${seconds}&turn=${turn}`;
}
