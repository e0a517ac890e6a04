/**
 * The app itself, with its timer at rest and a way to push from outside.
 *
 * @module
 */
import { getConnInfo } from "hono/deno";
import { createApp } from "../../main.ts";
import { replace } from "../../turbo/mod.ts";
import { box } from "./box.ts";
import { BACKLOG, HOSTNAME, PORT } from "./settings.ts";

const { hono, turbo } = createApp({ interval: 86_400 });
let ticks = 0;

Deno.serve(
  { port: PORT, hostname: HOSTNAME, tcpBacklog: BACKLOG, onListen() {} },
  (request, info) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/push") {
      const to = searchParams.get("to");
      const padding = Number(searchParams.get("pad"));
      for (let left = Number(searchParams.get("n") ?? 1); left > 0; left--) {
        const tick = String(++ticks).padStart(8, "0");
        turbo.push(replace("load", box(tick, padding)), to === null ? {} : { to });
      }
      return new Response(null, { status: 204 });
    }
    // The app has no names: its own route gives none.
    const as = searchParams.get("as");
    if (as !== null) {
      const { address } = getConnInfo({ env: info } as never).remote;
      return turbo.connect(request, { as, ...(address !== undefined && { address }) });
    }
    return hono.fetch(request, info);
  },
);
