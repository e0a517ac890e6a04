/**
 * A page with a list on Node or Bun, whose items and log outlive the process, for tests of the adapters.
 * runtimes.ts bundles it for them.
 *
 * Usage: adapted_app DIRECTORY [PORT [OPTIONS [bare|plain|inspected]]]. The options are those of Turbo as
 * JSON; `bare` means without an adapter, `plain` without the middleware, `inspected` with the inspector.
 * `POST /items` appends an item, `POST /fill?count=N` pushes N large items that are in no page, and
 * `GET /report` answers a report. It ends at SIGTERM.
 *
 * @module
 */
import { Hono } from "hono";
import { serve, upgradeWebSocket } from "npm:@hono/node-server@2.1.9";
import { WebSocketServer } from "npm:ws@8.23.0";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { adaptBun, adaptNode } from "../../turbo/adapter.ts";
import { append, html, memory, Turbo, type Upgrade } from "../../turbo/mod.ts";

/** A report about the app. */
export interface AdaptedReport {
  /** Open connections. */
  size: number;
  /** Closed connections whose end has not been reported. */
  zombies: number;
  /** Bytes that wait to be sent. */
  buffered: number;
  /** Bytes of memory of the process. */
  rss: number;
}

/** The part of Bun that is used here. */
declare const Bun: {
  serve(options: object): { readonly port: number; stop(): Promise<void> };
};

/** The port of a server, and how to stop it. */
interface Listening {
  readonly port: number;
  stop(): void;
}

const [directory = "", port = "0", options = "{}", how = ""] = process.argv.slice(2);
const LIST = `${directory}/list`;
const hostname = "127.0.0.1";

function adapt(): {
  upgrade: Upgrade;
  listen: (fetch: Hono["fetch"]) => Promise<Listening>;
} {
  if ("Bun" in globalThis) {
    const { upgrade, options } = adaptBun();
    return {
      upgrade,
      listen: (fetch) => {
        const server = Bun.serve({ fetch, port: Number(port), hostname, ...options });
        return Promise.resolve({ port: server.port, stop: () => void server.stop() });
      },
    };
  }
  const { upgrade, options } = adaptNode({ upgradeWebSocket, WebSocketServer });
  return {
    upgrade,
    listen: (fetch) =>
      new Promise((resolve) => {
        const server = serve({ fetch, port: Number(port), hostname, ...options }, ({ port }) => {
          resolve({ port, stop: () => void server.close() });
        });
      }),
  };
}

function readList(): string[] {
  try {
    return JSON.parse(readFileSync(LIST, "utf8"));
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return [];
    throw error;
  }
}

async function main(): Promise<void> {
  const { upgrade, listen } = adapt();
  const turbo = new Turbo({
    ...(how !== "bare" && { upgrade }),
    engine: memory({ file: `${directory}/state` }),
    ...JSON.parse(options),
  });
  const items = readList();
  const item = (text: string) => html`<li>${text}</li>`;
  const app = new Hono();
  const isPlain = how === "plain";
  if (isPlain) app.get("/turbo-stream", (c) => turbo.connect(c));
  if (isPlain) app.get("/bare-request", (c) => turbo.connect(c.req.raw));
  else app.use(turbo.middleware());
  if (how === "inspected") app.route("/inspector", turbo.inspector());
  app.get("/", (c) => {
    const { cursor } = turbo;
    if (isPlain) c.header("Turbo-Cursor", cursor);
    return c.html(html`
      <!DOCTYPE html>
      <html>
        <head>
          <title>List</title><link rel="icon" href="data:,">
          ${isPlain ? turbo.head({ cursor }) : turbo.head(c)}
        </head>
        <body>
          <ul id="list">${items.map(item)}</ul>
        </body>
      </html>
    `);
  });
  app.post("/items", async (c) => {
    const text = await c.req.text();
    items.push(text);
    writeFileSync(LIST, JSON.stringify(items));
    return c.text(String(turbo.push(append("list", item(text)))));
  });
  app.post("/fill", (c) => {
    const large = append("none", html`<p>${"x".repeat(64 * 1024)}</p>`);
    for (let n = Number(c.req.query("count")); n > 0; n--) turbo.push(large);
    return c.text(turbo.cursor);
  });
  app.get("/report", (c) => {
    const { size, zombies, buffered } = turbo;
    const { rss } = process.memoryUsage();
    return c.json({ size, zombies, buffered, rss } satisfies AdaptedReport);
  });
  const listening = await listen(app.fetch);
  console.log(`Listening on http://${hostname}:${listening.port}/`);
  process.once("SIGTERM", async () => {
    await turbo.close({ code: 1012, window: 0 });
    listening.stop();
  });
}

await main();
