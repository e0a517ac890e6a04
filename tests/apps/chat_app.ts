/**
 * The chat of `examples/chat.ts` as one node of several, in a process of its own.
 *
 * It takes {@linkcode ChatAppOptions} as JSON.
 *
 * @module
 */
import { createApp } from "../../examples/chat.ts";
import { redis, type RedisOptions } from "../../turbo/redis.ts";

/** Options of the app. */
export interface ChatAppOptions {
  /** Options of the engine. */
  engine: RedisOptions;
  /** Milliseconds for which a reader who has left stays present. */
  presenceGrace: number;
}

if (import.meta.main) {
  const { engine, presenceGrace }: ChatAppOptions = JSON.parse(Deno.args[0]!);
  const { hono, turbo } = createApp({
    engine: redis(engine),
    presenceGrace,
    secret: "the same for all nodes",
  });
  await turbo.ready;
  const { addr: { port } } = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    hono.fetch,
  );
  console.log(`Listening on http://127.0.0.1:${port}`);
}
