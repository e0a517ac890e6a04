/**
 * A node with a slow network to the server.
 *
 * @module
 */
import { append, html, Turbo } from "../turbo/mod.ts";
import { redis as redisEngine } from "../turbo/redis.ts";
import { until } from "./kit.ts";
import { startNodes } from "./nodes.ts";
import { startProxy } from "./proxy.ts";
import { startRedis, WITH_REDIS } from "./redis_server.ts";

Deno.test(
  "A node joins where loading takes longer than it waits for a silent server",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using nodes = await startNodes(redis.port, { count: 1 });
    const { turbo } = nodes.all[0]!;
    const text = "x".repeat(3_000);
    for (let n = 0; n < 1_000; n++) turbo.push(append("list", html`<li id="i${n}">${text}</li>`));
    await turbo.flush();
    await using proxy = startProxy(redis.port);
    proxy.delayDown = 50; // 64 KiB each: 1.3 MB a second, and 2.4 s for all
    const late = new Turbo({
      engine: redisEngine({ url: proxy.url.replace("http:", "redis:") }),
      onNotice: () => {},
    });
    try {
      await until(() => late.cursor === turbo.cursor, "it follows", 20_000);
    } finally {
      await late.close({ window: 0, deadline: 1_000 });
    }
  },
);
