/**
 * Nodes that change the same element at once, and whose renderings always differ.
 *
 * @module
 */
import assert from "node:assert/strict";
import { html, replace } from "../turbo/mod.ts";
import { pause } from "./kit.ts";
import { startNodes } from "./nodes.ts";
import { startRedis, WITH_REDIS } from "./redis_server.ts";

Deno.test("Sixteen nodes do not make each other push without end", WITH_REDIS, async () => {
  await using redis = await startRedis();
  await using nodes = await startNodes(redis.port, { count: 16 });
  let renderings = 0;
  const box = () => replace("box", html`<b id="box">${++renderings}</b>`);
  for (let round = 0; round < 10; round++) {
    for (const { turbo } of nodes.all) turbo.push(box);
    await pause(5);
  }
  await pause(1_000);
  const before = renderings;
  await pause(2_000);
  assert(renderings - before < 200, `${renderings - before} renderings in 2 s`); // once 2,000
});
