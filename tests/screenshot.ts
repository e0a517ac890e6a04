/**
 * Makes the picture in docs/running.md: the page after a minute of real load. Check it before you commit it.
 *
 * @module
 */
import { createApp } from "../main.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { pause, serve } from "./kit.ts";

const app = createApp({ interval: 1 });
await using server = serve(app.hono.fetch);
await using browser = await startBrowser();
const { page } = await browser.open(server.url, { viewport: { width: 1100, height: 660 } });
await page.waitForSelector(OPEN_PAGE);
await pause(Number(Deno.args[0] ?? 60) * 1000);
await page.screenshot({ path: new URL("screenshot.png", import.meta.url).pathname });
await page.close();
await app.close(1_000);
