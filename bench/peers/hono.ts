/**
 * An app with one page, on Hono alone.
 *
 * @module
 */
import { Hono } from "hono";
import { html } from "hono/html";
import { HOSTNAME, PORT } from "./settings.ts";

const app = new Hono();

app.get("/", (c) =>
  c.html(
    html`
      <!DOCTYPE html>
      <html>
        <head>
          <title>Count</title>
        </head>
        <body>
          <b id="count">${1}</b>
        </body>
      </html>
    `,
  ));

Deno.serve({ port: PORT, hostname: HOSTNAME, onListen() {} }, app.fetch);
