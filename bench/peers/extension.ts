/**
 * An app with one page, on Hono and the extension.
 *
 * @module
 */
import { Hono } from "hono";
import { html, Turbo } from "../../turbo/mod.ts";
import { HOSTNAME, PORT } from "./settings.ts";

const turbo = new Turbo();
const app = new Hono();

app.use(turbo.middleware());
app.get("/", (c) =>
  c.html(
    html`
      <!DOCTYPE html>
      <html>
        <head>
          <title>Count</title>
          ${turbo.head(c)}
        </head>
        <body>
          <b id="count">${1}</b>
        </body>
      </html>
    `,
  ));

Deno.serve({ port: PORT, hostname: HOSTNAME, onListen() {} }, app.fetch);
