/**
 * The app itself, with its timer at rest and a way to push from outside.
 *
 * @module
 */
import { getConnInfo } from "hono/deno";
import { createApp } from "../../main.ts";
import { replace } from "../../turbo/mod.ts";
import { box } from "./box.ts";
import { serve } from "./serve.ts";
import { nextTick } from "./settings.ts";

const { hono, turbo } = createApp({ interval: 86_400 });

serve({
  push(query) {
    const to = query.get("to");
    const padding = Number(query.get("pad"));
    for (let left = Number(query.get("n") ?? 1); left > 0; left--) {
      turbo.push(replace("load", box(nextTick(), padding)), to === null ? {} : { to });
    }
  },
  answer(request, { searchParams }, info) {
    // The app has no names: its own route gives none.
    const as = searchParams.get("as");
    if (as === null) return hono.fetch(request, info);
    const { address } = getConnInfo({ env: info } as never).remote;
    return turbo.connect(request, { as, ...(address !== undefined && { address }) });
  },
});
