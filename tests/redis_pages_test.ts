import assert from "node:assert/strict";
import { pause, until } from "./kit.ts";
import {
  NodePage,
  startNodes,
  type TestNode,
  type TestNodes,
  type TestPageOptions,
} from "./nodes.ts";
import { startRedis, WITH_REDIS } from "./redis_server.ts";

const PAGES = 60;
const BOXES = 5;

/** Pages that are loaded from one node and connect to another, while all nodes push. */
async function hopWhilePushing(
  nodes: TestNodes,
  { seconds, ...options }: TestPageOptions & { seconds: number },
): Promise<NodePage[]> {
  const pages = Array.from({ length: PAGES }, () => {
    return new NodePage(nodes.any(), nodes.database, options);
  });
  const end = performance.now() + seconds * 1000;
  const pushing = (async () => {
    while (performance.now() < end) {
      for (let i = 0; i < 5; i++) {
        const box = Math.random() < 0.5 ? `box-${Math.floor(Math.random() * BOXES)}` : undefined;
        nodes.push(nodes.any(), { ...(box !== undefined && { box }), isFunction: true });
      }
      await pause(5);
    }
  })();
  const hopping = (async () => {
    while (performance.now() < end) {
      pages[Math.floor(Math.random() * PAGES)]!.hop(nodes.any());
      await pause(15);
    }
  })();
  await pause(500); // to warm up: a node that lags at first sends more later
  await Promise.all(pages.map(async (page) => {
    await page.open();
    page.hop(nodes.any());
  }));
  await Promise.all([pushing, hopping]);
  await Promise.all(nodes.all.map(({ turbo }) => turbo.flush()));
  return pages;
}

function sum(pages: readonly NodePage[], count: (page: NodePage) => number): number {
  return pages.reduce((sum, page) => sum + count(page), 0);
}

Deno.test(
  "Pages that connect to another node than the one that rendered them miss nothing and show nothing twice",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using nodes = await startNodes(redis.port, { turbo: { log: { maxEntries: 10_000 } } });
    const pages = await hopWhilePushing(nodes, { seconds: 4 });
    try {
      await until(
        () => pages.every((page) => page.problems().length === 0),
        "all pages are current",
      );
      assert.equal(sum(pages, ({ refreshes }) => refreshes), 0, "refreshes");
      assert.equal(sum(pages, ({ doubles }) => doubles), 0, "appended twice");
      // Until all have read what was written last, such as that a page has left.
      const cursors = () => new Set(nodes.all.map(({ turbo }) => turbo.cursor));
      await until(() => cursors().size === 1, "all nodes are at one cursor");
    } finally {
      await Promise.all(pages.map((page) => page.close()));
    }
  },
);

Deno.test(
  "The previous test notices a cursor that is taken after the data was read",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using nodes = await startNodes(redis.port, { turbo: { log: { maxEntries: 10_000 } } });
    const pages = await hopWhilePushing(nodes, { seconds: 2, isLate: true, readTime: 30 });
    await pause(500);
    const wrong = pages.filter((page) => page.problems().length > 0).length;
    await Promise.all(pages.map((page) => page.close()));
    assert(wrong > PAGES / 4, `${wrong} of ${PAGES} pages lack something`);
  },
);

for (const isFunction of [true, false]) {
  const ends = isFunction ? "ends as the data is" : "ends older than the data, as it would show";
  Deno.test(
    `What two nodes change at once and push as ${
      isFunction ? "a function" : "markup"
    } ${ends}, where the first is slow`,
    WITH_REDIS,
    async () => {
      await using redis = await startRedis();
      await using nodes = await startNodes(redis.port, { count: 2 });
      const [slow, fast] = nodes.all as [TestNode, TestNode];
      const pages = nodes.all.map((node) => new NodePage(node, nodes.database));
      await Promise.all(pages.map((page) => page.open()));
      slow.proxy.delayUp = 20;
      let stale = 0;
      try {
        for (let burst = 0; burst < 20; burst++) {
          nodes.push(slow, { box: "box", isFunction });
          nodes.push(fast, { box: "box", isFunction });
          // A push is repeated when the first one was read back.
          for (let i = 0; i < 2; i++) {
            await Promise.all(nodes.all.map(({ turbo }) => turbo.flush()));
          }
          nodes.push(fast); // when this has arrived, everything has
          const last = nodes.database.items.at(-1)!;
          await until(() => pages.every(({ items }) => items.includes(last)), "all have all");
          if (pages.some((page) => page.problems().length > 0)) stale++;
          assert.equal(pages[0]!.boxes.get("box"), pages[1]!.boxes.get("box"), "all agree");
        }
      } finally {
        await Promise.all(pages.map((page) => page.close()));
      }
      assert.equal(stale, isFunction ? 0 : 20);
    },
  );
}
