/**
 * `jitter`: readers that lose their line for 2 s again and again while messages are pushed. The scenario is
 * AnyCable's "delivery under jitter"; see README.md.
 *
 * @module
 */
import { deliveryOf, fieldOf, figuresOf, ownFiguresOf, Publisher, Readers } from "../field.ts";
import { quantile } from "../figures.ts";
import type { Loss } from "../lines.ts";
import { RunningPeer } from "../peers.ts";
import { type Bench, pause } from "../sides.ts";

const READERS = 200;
const MOST_ROUNDS = 3;
const MESSAGES = 120;
/** Milliseconds between two messages. */
const INTERVAL = 500;
/** Milliseconds for which a line is lost. */
const LOST_FOR = 2_000;
/** Milliseconds from the first message until a line is lost for the first time, and between two losses. */
const FIRST = { least: 5_000, spread: 15_000 };
const AGAIN = { least: 15_000, spread: 5_000 };
/** The longest time for which readers are waited for at the end, in milliseconds. */
const SETTLE_WITHIN = 30_000;
/** Milliseconds in which the last readers receive what they missed. */
const SETTLE = 1_000;

const LOSSES: readonly ({ at: string } & Loss)[] = [
  { at: "both ends told", isTold: true },
  { at: "server not told", isTold: false },
];

/** A line that is lost at a time. */
interface Cut {
  reader: number;
  at: number;
}

/** All sides run at the same time, and lose the same lines at the same moments. */
export async function measureJitter(bench: Bench): Promise<void> {
  for (let round = 0; round < Math.min(bench.rounds, MOST_ROUNDS); round++) {
    for (const loss of LOSSES) await measureLoss(bench, round, loss);
  }
}

async function measureLoss(bench: Bench, round: number, loss: typeof LOSSES[number]) {
  const count = Math.min(READERS, Math.max(...bench.readers));
  await using stack = new AsyncDisposableStack();
  const all = [];
  for (const peer of fieldOf(bench)) {
    const { port } = stack.use(await RunningPeer.start(peer));
    const readers = stack.use(await Readers.start(peer, [port], count));
    all.push({ peer, readers, publisher: new Publisher([port]) });
  }
  const cuts = cutsFor(count);
  const cutting = loseLines(all.map(({ readers }) => readers), cuts, loss);
  await Promise.all(all.map(async ({ publisher }, index) => {
    await pause(index * INTERVAL / all.length); // so that not all push at the same moment
    await publisher.publish(MESSAGES, INTERVAL);
  }));
  await cutting;
  await Promise.all(all.map(({ readers }) => readers.areOpen(SETTLE_WITHIN)));
  await pause(SETTLE);
  for (const { peer, readers, publisher } of all) {
    const { records, delivery } = await deliveryOf(readers, publisher);
    const { delays } = delivery;
    const figures = {
      ...figuresOf(delivery),
      "ms to receipt, p50": quantile(delays, 0.5),
      "ms to receipt, p99": quantile(delays, 0.99),
      "ms to receipt, max": quantile(delays, 1),
      "lines lost": cuts.length,
      ...ownFiguresOf(peer, records, cuts.length),
    };
    for (const [figure, value] of Object.entries(figures)) {
      bench.note({ round, side: peer.name, at: loss.at, figure, value });
    }
  }
}

/** When which line is lost, while messages are pushed. */
function cutsFor(count: number): Cut[] {
  const cuts: Cut[] = [];
  for (let reader = 0; reader < count; reader++) {
    let at = FIRST.least + Math.random() * FIRST.spread;
    while (at < MESSAGES * INTERVAL) {
      cuts.push({ reader, at });
      at += LOST_FOR + AGAIN.least + Math.random() * AGAIN.spread;
    }
  }
  return cuts.sort((a, b) => a.at - b.at);
}

/** Loses the lines of all sides, and resolves when all are back. */
async function loseLines(sides: readonly Readers[], cuts: readonly Cut[], loss: Loss) {
  const start = performance.now();
  await Promise.all(cuts.map(async ({ reader, at }) => {
    await pause(start + at - performance.now());
    for (const { lines, addresses } of sides) lines.lose(addresses[reader]!, loss);
    await pause(LOST_FOR);
    for (const { lines, addresses } of sides) lines.restore(addresses[reader]!);
  }));
}
