/**
 * Entries that somebody with access writes into the stream. They must cost at most one refresh.
 *
 * @module
 */
import assert from "node:assert/strict";
import { pause, until } from "./kit.ts";
import { NodePage, startNodes } from "./nodes.ts";
import { startRedis, type TestRedis, WITH_REDIS } from "./redis_server.ts";

/** The newest entry: its epoch, its position, and its writer. */
async function newest(redis: TestRedis) {
  const text = await redis.cli("XREVRANGE", "turbo", "+", "-", "COUNT", "1");
  const [, epoch, position, node] = /^(\d+)-(\d+)\nb\n(\w+)/.exec(text)!;
  return { epoch: epoch!, position: Number(position), node: node! };
}

const MARKUP = '<turbo-stream action="append" target="list"><template></template></turbo-stream>';

/** The command to write, given the newest entry. */
const POISONS: Record<string, (last: Awaited<ReturnType<typeof newest>>) => string[]> = {
  "an entry of nobody": ({ epoch }) => [`${epoch}-*`, "foo", "bar"],
  "a jump": ({ epoch, position }) => [`${epoch}-${position + 1_000}`, "foo", "bar"],
  "the largest exact position": ({ epoch }) => [`${epoch}-${2 ** 53 - 1}`, "foo", "bar"],
  "the last position that there is": ({ epoch }) => [`${epoch}-${2n ** 64n - 1n}`, "foo", "bar"],
  "a later life in its middle": ({ epoch }) => [`${Number(epoch) + 1}-7`, "foo", "bar"],
  "a birth that is none": ({ epoch }) => [`${Number(epoch) + 1}-0`, "a", "3"],
  "the name of a node, with a number that it has not come to": ({ epoch, node }) => {
    return [`${epoch}-*`, "b", node, "n", "1000000", "h", MARKUP];
  },
};

for (const [what, fieldsOf] of Object.entries(POISONS)) {
  Deno.test(`A push after ${what} reaches all pages`, WITH_REDIS, async () => {
    await using redis = await startRedis();
    await using nodes = await startNodes(redis.port, { count: 2 });
    const [one, two] = [nodes.all[0]!, nodes.all[1]!];
    await using pages = new AsyncDisposableStack();
    const opened = [one, two].map((node) => pages.adopt(new NodePage(node, nodes.database), close));
    await Promise.all(opened.map((page) => page.open()));
    nodes.push(one, { box: "a" });
    await one.turbo.flush();
    const [id, ...fields] = fieldsOf(await newest(redis));
    await redis.cli("XADD", "turbo", id!, ...fields);
    await pause(200);
    for (let n = 0; n < 5; n++) {
      nodes.push(one, { box: "a" });
      nodes.push(two);
      nodes.push(one);
      await pause(50);
    }
    await until(
      () => opened.every((page) => page.problems().length === 0),
      "all pages are current",
    );
    assert(opened.every(({ refreshes }) => refreshes <= 1));
    assert.deepEqual(nodes.all.map(({ turbo }) => turbo.away), [undefined, undefined]);
  });
}

for (const isCutOff of [false, true]) {
  const when = isCutOff ? "was cut off" : "could not reach the server, as no other could,";
  Deno.test(
    `A page learns what a node has pushed alone that ${when} and has ended`,
    WITH_REDIS,
    async () => {
      await using redis = await startRedis();
      await using nodes = await startNodes(redis.port, {
        count: 2,
        engine: { hold: 300, interval: 500 },
      });
      const [one, two] = [nodes.all[0]!, nodes.all[1]!];
      await using pages = new AsyncDisposableStack();
      const page = pages.adopt(new NodePage(two, nodes.database), close);
      await page.open();
      const cut = isCutOff ? [one] : nodes.all;
      for (const { proxy } of cut) proxy.stalled = true;
      await until(() => cut.every(({ turbo }) => turbo.away !== undefined), "it is alone");
      nodes.push(one, { box: "a" });
      await one.turbo.close({ window: 0, deadline: 1_000 });
      assert.match(one.notices.at(-1)!, /has not stored everything that this node has pushed/);
      for (const { proxy } of cut) proxy.stalled = false;
      await until(() => page.problems().length === 0, "the page is current");
      assert.equal(page.refreshes, 1);
    },
  );
}

async function close(page: NodePage): Promise<void> {
  await page.close();
}
