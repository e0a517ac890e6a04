/**
 * What happens to a server that many nodes share, and what their pages show afterwards.
 *
 * @module
 */
import assert from "node:assert/strict";
import { pause, until } from "./kit.ts";
import { NodePage, startNodes, type TestNodes } from "./nodes.ts";
import { startRedis, type TestRedis, WITH_REDIS } from "./redis_server.ts";

/** How long an outage lasts, in milliseconds; the engine holds pushes for 1,000. */
const OUTAGE = Number(Deno.env.get("OUTAGE") ?? 3_500);
const HOLD = 1_000;
const PAGES = 60;
/** Of them this many stay with their node. */
const STAYING = 20;

/** Something that goes wrong, for as long as it takes. */
interface Fault {
  readonly name: string;
  happen(redis: TestRedis, nodes: TestNodes): Promise<void>;
  /** How often a page that stays may fetch itself. */
  readonly refreshes: number;
  /** How often a node tells that the server is away. */
  readonly isAway?: boolean;
  /** Milliseconds for which the engine holds pushes. */
  readonly hold?: number;
}

const FAULTS: readonly Fault[] = [
  {
    name: "connections are cut at random",
    refreshes: 0,
    hold: 5_000, // connecting again may take long on a busy machine
    async happen(_, { all }) {
      for (const end = performance.now() + OUTAGE; performance.now() < end;) {
        all[Math.floor(Math.random() * all.length)]!.proxy.cut();
        await pause(40 + Math.random() * 150);
      }
    },
  },
  {
    name: "each way takes 200 ms",
    refreshes: 0,
    hold: 5_000,
    async happen(_, { all }) {
      for (const { proxy } of all) proxy.delayUp = proxy.delayDown = 200;
      await pause(OUTAGE);
      for (const { proxy } of all) proxy.delayUp = proxy.delayDown = 0;
    },
  },
  {
    name: "the server stands still (SIGSTOP)",
    refreshes: 1,
    isAway: true,
    async happen(redis) {
      redis.pause();
      await pause(OUTAGE);
      redis.resume();
    },
  },
  {
    name: "the server ends and is back, empty",
    refreshes: 1,
    isAway: true,
    async happen(redis) {
      await redis.kill();
      await pause(OUTAGE);
      await redis.restart();
    },
  },
  {
    name: "the server is killed and back at once, empty",
    refreshes: 1,
    hold: 5_000,
    async happen(redis) {
      await redis.kill();
      await redis.restart();
    },
  },
  {
    name: "FLUSHALL",
    refreshes: 1,
    hold: 5_000,
    async happen(redis) {
      await redis.cli("FLUSHALL");
    },
  },
  {
    name: "the newest entries are lost: the server is back with an older dump",
    refreshes: 1,
    hold: 5_000,
    async happen(redis) {
      await redis.cli("SAVE");
      await pause(OUTAGE / 4);
      await redis.kill();
      await redis.restart();
    },
  },
  {
    name: "connections are cut between what is written and its answer",
    refreshes: 0,
    hold: 5_000,
    async happen(_, { all }) {
      for (const { proxy } of all) {
        proxy.delayDown = 150;
        await pause(300);
        proxy.cut(); // what was written has been done, and nobody has been told
        proxy.delayDown = 0;
        await pause(300);
      }
    },
  },
  {
    name: "the network is gone",
    refreshes: 1,
    isAway: true,
    async happen(_, { all }) {
      for (const { proxy } of all) proxy.stalled = true;
      await pause(OUTAGE);
      for (const { proxy } of all) proxy.stalled = false;
    },
  },
  {
    name: "the server has no memory left for a while",
    refreshes: 1,
    isAway: true,
    async happen(redis) {
      await redis.cli("CONFIG", "SET", "maxmemory", "1");
      await pause(OUTAGE);
      await redis.cli("CONFIG", "SET", "maxmemory", "0");
    },
  },
];

for (const { name, happen, refreshes, isAway = false, hold = HOLD } of FAULTS) {
  Deno.test(`Pages are current soon after: ${name}`, WITH_REDIS, async () => {
    await using redis = await startRedis();
    await using nodes = await startNodes(redis.port, {
      engine: { hold, interval: 1_000 },
      turbo: { log: { maxEntries: 10_000 } },
    });
    await using crowd = await startCrowd(nodes);
    await pause(500);
    await happen(redis, nodes);
    const back = performance.now();
    await pause(500);
    await crowd.stop();
    const { pages } = crowd;
    await until(
      () => pages.every((page) => page.problems().length === 0),
      "every page is current",
    );
    const took = performance.now() - back;
    const staying = pages.slice(0, STAYING);
    const told = staying.map((page) => page.refreshes);
    const said = nodes.all.map(({ notices }) => notices.join("\n")).join("\n");
    assert(
      Math.max(...told) <= refreshes,
      `pages that stay fetched themselves ${told} times: ${said}`,
    );
    const doubles = pages.reduce((sum, page) => sum + page.doubles, 0);
    if (refreshes === 0) assert.equal(doubles, 0, "appended twice");
    for (const { notices } of nodes.all) {
      const kinds = notices.map((notice) => /is (away|back)/.exec(notice)?.[1]);
      assert.deepEqual(kinds, isAway ? ["away", "back"] : [], notices.join("\n"));
    }
    await until(
      () => new Set(nodes.all.map(({ turbo }) => turbo.cursor)).size === 1,
      "all nodes are at one position",
    );
    if (Deno.env.get("OUTAGE")) {
      const all = pages.reduce((sum, page) => sum + page.refreshes, 0);
      console.log(`${nodes.pushes} pushes, ${all} refreshes, ${told} of those that stay,`);
      console.log(`${doubles} doubles, current ${Math.round(took)} ms after`);
    }
  });
}

/** Pages of all nodes, most of which hop, while all nodes push. */
async function startCrowd(nodes: TestNodes) {
  let isRunning = true;
  const pages = Array.from({ length: PAGES }, (_, index) => {
    return new NodePage(nodes.all[index % nodes.all.length]!, nodes.database);
  });
  const pushing = (async () => {
    while (isRunning) {
      const box = Math.random() < 0.5 ? `box-${Math.floor(Math.random() * 5)}` : undefined;
      nodes.push(nodes.any(), { ...(box !== undefined && { box }), isFunction: true });
      await pause(5);
    }
  })();
  const hopping = (async () => {
    while (isRunning) {
      const index = STAYING + Math.floor(Math.random() * (PAGES - STAYING));
      pages[index]!.hop(nodes.any());
      await pause(15);
    }
  })();
  await Promise.all(pages.map((page) => page.open()));
  const stop = async () => {
    isRunning = false;
    await Promise.all([pushing, hopping]);
  };
  return {
    pages,
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await Promise.all(pages.map((page) => page.close()));
    },
  };
}
