/**
 * `deploy`: a deploy while messages are pushed to many readers: one process that is restarted in its place,
 * and two nodes that are restarted one after the other. The scenario is AnyCable's "deploy impact"; see
 * README.md.
 *
 * @module
 */
import { deliveryOf, fieldOf, figuresOf, ownFiguresOf, Publisher } from "../field.ts";
import { type ReaderRecord, Readers } from "../field.ts";
import { quantile } from "../figures.ts";
import { BARE_REDIS, type Peer, RunningPeer, WORKSHOP } from "../peers.ts";
import { now } from "../readers/record.mjs";
import { type Bench, pause } from "../sides.ts";

const READERS = 500;
const MOST_ROUNDS = 3;
/** Milliseconds between two messages. */
const INTERVAL = 200;
/** Milliseconds before the deploy, and after it when all readers are connected. */
const BEFORE = 2_000;
const AFTER = 2_000;
/** The longest time for which readers are waited for after the deploy, in milliseconds. */
const BACK_WITHIN = 30_000;

/** The sides that can run as two nodes: by Redis Streams, or by `PUBLISH`. */
const NODES: Record<string, (peer: Peer) => Peer> = {
  "turbo-deno": (peer) => peer,
  "socket.io recovery": (peer) => peer,
  "bare-deno": () => BARE_REDIS,
};

/** One side after the other, each with new processes. */
export async function measureDeploy(bench: Bench): Promise<void> {
  const peers = fieldOf(bench);
  for (let round = 0; round < Math.min(bench.rounds, MOST_ROUNDS); round++) {
    for (const peer of peers) await deployInPlace(bench, round, peer);
    if (!bench.redis) continue;
    for (const peer of peers) if (NODES[peer.name]) await deployNodes(bench, round, peer);
  }
}

async function deployInPlace(bench: Bench, round: number, peer: Peer): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: WORKSHOP });
  const env = { STATE: `${folder}/state` }; // only the app has one
  await deploy(bench, { round, side: peer.name, at: "in place" }, peer, [env]);
  await Deno.remove(folder, { recursive: true });
}

async function deployNodes(bench: Bench, round: number, peer: Peer): Promise<void> {
  await using redis = await RunningPeer.start(bench.redis!);
  const env = { REDIS: `redis://127.0.0.1:${redis.port}` };
  const about = { round, side: peer.name, at: "two nodes" };
  await deploy(bench, about, NODES[peer.name]!(peer), [env, env]);
}

/** Starts a node for each environment, and restarts them one after the other. */
async function deploy(
  bench: Bench,
  about: { round: number; side: string; at: string },
  peer: Peer,
  envs: readonly Record<string, string>[],
): Promise<void> {
  const count = Math.min(READERS, Math.max(...bench.readers));
  await using stack = new AsyncDisposableStack();
  const nodes: RunningPeer[] = [];
  stack.defer(async () => {
    for (const node of nodes) await node[Symbol.asyncDispose]();
  });
  for (const env of envs) nodes.push(await RunningPeer.start(peer, env));
  const ports = nodes.map(({ port }) => port);
  const readers = stack.use(await Readers.start(peer, ports, count));
  const publisher = new Publisher(ports);
  const publishing = new AbortController();
  const published = publisher.publish(Infinity, INTERVAL, publishing.signal);
  await pause(BEFORE);
  const start = now();
  for (const [index, env] of envs.entries()) {
    const port = ports[index]!;
    // One process alone stays the target, and readers and pushes try it until it is back.
    const others = ports.length > 1 ? ports.filter((other) => other !== port) : ports;
    readers.lines.targets = publisher.targets = others;
    await nodes[index]!.stop();
    nodes[index] = await RunningPeer.start(peer, env, port);
    readers.lines.targets = publisher.targets = ports;
  }
  const deployed = now();
  const areBack = await readers.areOpen(BACK_WITHIN);
  await pause(AFTER);
  publishing.abort();
  await published;
  await pause(AFTER);
  const { records, delivery } = await deliveryOf(readers, publisher);
  const { missed, behind } = delivery;
  const away = records.flatMap(({ away }) => away).filter(([from]) => from >= start);
  const figures = {
    ...figuresOf(delivery),
    "readers that missed some, %": 100 * missed.filter((number) => number > 0).length / count,
    "missed by a reader, p50": quantile(missed, 0.5),
    "missed by a reader, max": Math.max(...missed),
    "s without the newest, p50": quantile(behind, 0.5) / 1000,
    "s without the newest, max": Math.max(...behind) / 1000,
    "s from the first cut to the last return": areBack ? spanOf(away) / 1000 : Infinity,
    "s of the deploy": (deployed - start) / 1000,
    ...ownFiguresOf(peer, records, away.length),
  };
  for (const [figure, value] of Object.entries(figures)) bench.note({ ...about, figure, value });
}

/** From the first lost connection to the last return, in milliseconds. */
function spanOf(away: ReaderRecord["away"]): number {
  if (away.length === 0) return 0;
  return Math.max(...away.map(([, to]) => to)) - Math.min(...away.map(([from]) => from));
}
