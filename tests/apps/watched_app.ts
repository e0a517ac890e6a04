/**
 * The app without its timer, in a process of its own, for what it tells those who watch it. It has a page
 * with a topic, `/room`, and pushes each line of its standard input.
 *
 * @module
 */
import { createApp } from "../../main.ts";
import { append, html } from "../../turbo/mod.ts";

if (import.meta.main) {
  const { hono, turbo } = createApp({ interval: 86_400, refresh: 86_400_000 });
  hono.get("/room", (c) => {
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
  for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    turbo.push(append("lines", html`<li>${line.trim()}</li>`));
    console.log(`pushed ${turbo.cursor}`);
  }
}
