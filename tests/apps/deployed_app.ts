/**
 * An app that is deployed again and again: a page with a list that grows and a form to write in. What it
 * shows is in a file, and its log in another one or in Redis, so both survive the process.
 *
 * Usage: deployed_app.ts DIRECTORY PORT [REDIS_URL]. `POST /items/N` appends the number N, unless that was
 * done before, and answers when it is in the log. With `?wait=MILLISECONDS` the handler is slow.
 *
 * @module
 */
import { Hono } from "hono";
import { serve } from "../../server/serve.ts";
import { append, html, memory, Turbo } from "../../turbo/mod.ts";
import { redis } from "../../turbo/redis.ts";

const [directory = "", port = "0", url] = Deno.args;
const COUNT = `${directory}/count`;

const engine = url === undefined ? memory({ file: `${directory}/state` }) : redis({ url });
const turbo = new Turbo({ engine });
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
  const wait = Number(c.req.query("wait") ?? 0);
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  if (n > readCount()) {
    Deno.writeTextFileSync(COUNT, String(n));
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
