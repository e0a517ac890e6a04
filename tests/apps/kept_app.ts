/**
 * A page with a list that grows ten times a second. Its length and its log survive the process.
 *
 * Usage: kept_app.ts DIRECTORY [PORT]. `GET /rest` stops the growth and answers the length of the list.
 *
 * @module
 */
import { Hono } from "hono";
import { serve } from "../../server/serve.ts";
import { append, html, memory, Turbo } from "../../turbo/mod.ts";

const [directory = "", port = "0"] = Deno.args;
const COUNT = `${directory}/count`;

const turbo = new Turbo({ engine: memory({ file: `${directory}/state` }) });
const hono = new Hono();
let count = readCount();

const item = (n: number) => html`<li>${n}</li>`;

function readCount(): number {
  try {
    return Number(Deno.readTextFileSync(COUNT));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

const timer = setInterval(() => {
  count++;
  Deno.writeTextFileSync(COUNT, String(count));
  turbo.push(append("list", item(count)));
}, 100);

hono.get("/turbo-stream", (c) => turbo.connect(c.req.raw));
hono.get("/assets/*", (c) => turbo.asset(c.req.raw) ?? c.notFound());
hono.get("/", (c) => {
  const cursor = turbo.cursor;
  const items = Array.from({ length: count }, (_, n) => item(n + 1));
  c.header("Turbo-Cursor", cursor);
  c.header("Cache-Control", "no-cache");
  return c.html(html`
    <!DOCTYPE html>
    <html>
      <head><title>List</title><link rel="icon" href="data:,">${turbo.head({ cursor })}</head>
      <body>
        <ol id="list">${items}</ol>
      </body>
    </html>
  `);
});
hono.get("/rest", (c) => {
  clearInterval(timer);
  return c.text(String(count));
});

const server = serve(hono.fetch, {
  port: Number(port),
  hostname: "127.0.0.1",
  deadline: 600_000, // enough for a very busy machine
  async drain(milliseconds) {
    clearInterval(timer);
    await turbo.close({ code: 1012, window: 500, deadline: milliseconds });
  },
});
Deno.exit(await server.finished);
