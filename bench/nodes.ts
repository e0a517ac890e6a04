/**
 * Several processes as nodes of one Redis server: a push on one reaches the readers of all.
 *
 * @module
 */
import { BARE_REDIS, type Peer, RunningPeer } from "./peers.ts";
import { NO_FRAME, type Side } from "./sides.ts";

/** Nodes that run until they are disposed of. */
export interface Nodes extends AsyncDisposable {
  /** Their own Redis server. */
  redis: RunningPeer;
  /** The nodes. */
  all: RunningPeer[];
}

/** Starts nodes of a side, and a Redis server for them. The app sends each push by itself. */
export async function startNodes(redis: Peer, side: Side, count: number): Promise<Nodes> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await RunningPeer.start(redis));
  const env = { ...NO_FRAME, REDIS: `redis://127.0.0.1:${server.port}` };
  const peer = side.peer.name === BARE_REDIS.name ? BARE_REDIS : side.peer;
  const all: RunningPeer[] = [];
  while (all.length < count) all.push(stack.use(await RunningPeer.start(peer, env)));
  const started = stack.move();
  return { redis: server, all, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** The sides that can run as nodes: the app with protocol readers, and the bare loop. */
export function canBeNode({ peer, protocol }: Side): boolean {
  return peer.name === "turbo-deno" ? protocol : peer.name === BARE_REDIS.name;
}
