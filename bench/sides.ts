/**
 * The common part of all measures: the sides that are compared, and how they take turns.
 *
 * @module
 */
import type { Driver, Opened, OpenOptions } from "./driver.ts";
import type { Sample } from "./figures.ts";
import { copyPage, type Peer, RunningPeer } from "./peers.ts";

/** What a measure uses. */
export interface Bench {
  /** A driver. */
  driver: Driver;
  /** Starts another driver, for sides that hold their readers at the same time. */
  newDriver(): Driver;
  /** The peers that could be installed. */
  peers: readonly Peer[];
  /** Those that take part in `jitter` and `deploy` only. */
  field: readonly Peer[];
  /** The Redis server for nodes; `undefined` where it is not installed. */
  redis: Peer | undefined;
  /** How many rounds each measure has; `jitter` and `deploy` have 3 at most, and `start` starts 3 times in each. */
  rounds: number;
  /** The numbers of readers in `fanout`, `added`, `burst` and `profile`; the most in `jitter` and `deploy`. */
  readers: readonly number[];
  /** Records a figure. */
  note(sample: Sample): void;
}

/** A side of a comparison: a peer, and the protocol of its readers. */
export interface Side {
  name: string;
  peer: Peer;
  protocol: boolean;
}

/** A side whose server is running. */
export interface RunningSide {
  side: Side;
  server: RunningPeer;
}

/** Sides that run until they are disposed of. */
export interface RunningSides extends AsyncDisposable {
  all: RunningSide[];
}

/**
 * Environment that makes the app send each push by itself. It is for measures that push again as soon as
 * all readers have the last push: otherwise they would measure only the pause of a frame.
 */
export const NO_FRAME = { FRAME: "0" };

/** Time for which a server rests after its readers have opened. */
const SETTLE = 200;

/** The sides of the peers: the app has two, with plain and with protocol readers. */
export function sidesOf(peers: readonly Peer[]): Side[] {
  return peers.flatMap((peer) =>
    peer.name === "turbo-deno"
      ? [
        { name: "turbo-deno plain", peer, protocol: false },
        { name: "turbo-deno protocol", peer, protocol: true },
      ]
      : [{ name: peer.name, peer, protocol: false }]
  );
}

/** Starts a server for each side. */
export async function startAll(
  sides: readonly Side[],
  env: Record<string, string> = {},
): Promise<RunningSides> {
  const stack = new AsyncDisposableStack();
  const all: RunningSide[] = [];
  for (const side of sides) {
    all.push({ side, server: stack.use(await startPeer(side.peer, env)) });
  }
  return { all, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Starts a server. The page of the app is kept for the others, which answer with the same. */
export async function startPeer(peer: Peer, env: Record<string, string>): Promise<RunningPeer> {
  const server = await RunningPeer.start(peer, env);
  if (peer.name === "turbo-deno") await copyPage(server.port);
  return server;
}

/** Opens readers, and a connection to trigger pushes. */
export async function openReaders(
  driver: Driver,
  server: RunningPeer,
  side: Pick<Side, "protocol">,
  count: number,
): Promise<Opened> {
  const options = await optionsFor(server, side);
  await driver.control(server.port);
  const opened = await driver.open(server.port, count, options);
  await pause(SETTLE); // some answer the handshake before they take the reader in
  return opened;
}

/** How the readers of a side open. */
export async function optionsFor(
  server: RunningPeer,
  { protocol }: Pick<Side, "protocol">,
): Promise<OpenOptions> {
  if (!protocol) return {};
  const page = await fetch(`http://127.0.0.1:${server.port}/`);
  await page.body?.cancel();
  const cursor = page.headers.get("Turbo-Cursor");
  return { protocol, path: `/turbo-stream?since=${cursor}&page=bench%d` };
}

/** Rotates the list by the round, so that no side is always first. */
export function inTurn<T>(list: readonly T[], round: number): T[] {
  const start = (round + list.length) % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

/** Uses each in turn, in another order each time. The first slices warm up and do not count. */
export async function byTurns<T>(
  all: readonly T[],
  { warmUp, counted }: { warmUp: number; counted: number },
  use: (one: T, counts: boolean) => Promise<void>,
): Promise<void> {
  for (let slice = -warmUp; slice < counted; slice++) {
    for (const one of shuffled(all)) await use(one, slice >= 0);
  }
}

/** The list in a random order. */
export function shuffled<T>(list: readonly T[]): T[] {
  return list.map((one) => ({ one, at: Math.random() })).sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

/** Waits. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
