/**
 * An app that is deployed again and again: a page with a list that grows and a form to write in. What it
 * shows is in a file, and its log in another one or in Redis, so both survive the process.
 *
 * Usage: deployed_app.ts DIRECTORY PORT VERSION [REDIS_URL]. Each version has scripts of other names.
 * `POST /items/N` appends the number N, unless that was done before, and answers when it is in the log; each
 * tenth takes its time, as one that asks a database. The environment has DRAIN, in seconds.
 *
 * @module
 */
import { Hono } from "hono";
import { serve } from "../../server/serve.ts";
import { append, html, memory, Turbo } from "../../turbo/mod.ts";
import { redis } from "../../turbo/redis.ts";

const [directory = "", port = "0", version = "1", url] = Deno.args;
const COUNT = `${directory}/count`;
/** Milliseconds that a slow request takes: longer than the connections take to close. */
const SLOW = 300;

const engine = url === undefined ? memory({ file: `${directory}/state` }) : redis({ url });
const turbo = new Turbo({ engine, assetsPath: `/assets/${version}` });
const hono = new Hono();
let isDraining = false;

const item = (n: number) => html`<li id="item-${n}">${n}</li>`;

function readCount(): number {
  try {
    return Number(Deno.readTextFileSync(COUNT));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

// Renamed, because another process may read it at any time.
function writeCount(n: number): void {
  const beside = `${COUNT}.${Deno.pid}`;
  Deno.writeTextFileSync(beside, String(n));
  Deno.renameSync(beside, COUNT);
}

hono.get("/readyz", (c) => {
  const status = isDraining ? "draining" : turbo.away === undefined ? "ready" : "degraded";
  return c.json({ status, connections: turbo.size }, isDraining ? 503 : 200);
});
hono.use(turbo.middleware());
hono.get("/", (c) =>
  c.html(html`
    <!DOCTYPE html>
    <html>
      <head><title>Items</title><link rel="icon" href="data:,">${turbo.head(c)}</head>
      <body>
        <form method="post">
          <input id="title" name="title">
          <textarea id="text" name="text"></textarea>
        </form>
        <ol id="list">${Array.from({ length: readCount() }, (_, n) => item(n + 1))}</ol>
      </body>
    </html>
  `));
hono.post("/items/:n", async (c) => {
  const n = Number(c.req.param("n"));
  if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, SLOW));
  if (n > readCount()) {
    writeCount(n);
    turbo.push(append("list", item(n)));
  }
  await turbo.flush();
  return c.text(`${n}\n`);
});

await turbo.ready;
const server = serve(hono.fetch, {
  port: Number(port),
  hostname: "127.0.0.1",
  deadline: Number(Deno.env.get("DRAIN") ?? 1) * 1_000,
  async drain(milliseconds) {
    isDraining = true;
    await turbo.close({ code: 1012, window: milliseconds / 2, deadline: milliseconds });
  },
});
Deno.exit(await server.finished);
