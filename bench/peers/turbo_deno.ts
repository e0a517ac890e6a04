/**
 * The app itself, with its timer stopped and a route to trigger pushes.
 *
 * @module
 */
import { createApp } from "../../main.ts";
import { append, type Engine, replace, type Stream } from "../../turbo/mod.ts";
import { box } from "./box.ts";
import { nextTick } from "./burst.mjs";
import { serve } from "./serve.ts";
import { FRAME, REDIS, STATE } from "./settings.ts";

/** Milliseconds that the app has to close its connections, as `--drain` gives it by default. */
const DRAIN = 9_000;

const { hono, turbo, start, close } = createApp({
  interval: 86_400,
  engine: await engine(),
  state: STATE,
  turbo: { ...(FRAME !== undefined && { frame: FRAME }) },
});

async function engine(): Promise<Engine | undefined> {
  if (REDIS === undefined) return undefined;
  const { redis } = await import("../../turbo/redis.ts");
  return redis({ url: REDIS });
}

/** The kinds of push, by the value of `kind` in the query. */
const KINDS: Record<string, (tick: string, padding: number) => Stream> = {
  replace: (tick, padding) => replace("load", box(tick, { padding })),
  append: (tick) => append("log", box(tick)),
  ten(tick) {
    const id = `load${Number(tick) % 10}`;
    return replace(id, box(tick, { id }));
  },
};

await start();
serve({
  pusher(query) {
    const make = KINDS[query.get("kind") ?? "replace"]!;
    const padding = Number(query.get("pad"));
    const to = query.get("to");
    const whom = to === null ? {} : { to };
    return () => turbo.push(make(nextTick(), padding), whom);
  },
  answer(request, { searchParams }, info) {
    // The app has no names: its own route gives none.
    const as = searchParams.get("as");
    if (as === null) return hono.fetch(request, info);
    return turbo.connect(request, { as, address: info.remoteAddr.hostname });
  },
  close: () => close(DRAIN),
});
