/**
 * A page whose stream needs a token and a cookie, in a process of its own, for what telemetry records of it.
 *
 * @module
 */
import { Hono } from "hono";
import { html, Turbo } from "../../turbo/mod.ts";

if (import.meta.main) {
  const turbo = new Turbo({ secret: "a secret of this app" });
  const hono = new Hono();
  hono.use(turbo.middleware({ as: (c) => c.req.raw.headers.has("Cookie") ? "ann" : undefined }));
  hono.get("/", (c) => {
    const head = turbo.head(c, { topics: ["room"] });
    return c.html(html`
      <!DOCTYPE html>
      <html>
        <head><title>Room</title>${head}</head>
      </html>
    `);
  });
  const { addr: { port } } = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    hono.fetch,
  );
  console.log(`Listening on http://127.0.0.1:${port}`);
}
