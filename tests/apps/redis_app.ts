/**
 * An app that connects to a Redis server, reports the result, and ends.
 *
 * @module
 */
import { Turbo } from "../../turbo/mod.ts";
import { redis } from "../../turbo/redis.ts";

const [url = ""] = Deno.args;
const turbo = new Turbo({ engine: redis({ url }), onNotice: () => {} });
try {
  await turbo.ready;
  console.log(turbo.away ?? "following");
} catch (error) {
  console.log((error as Error).message);
}
await turbo.close();
