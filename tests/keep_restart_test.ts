/// <reference lib="dom" />
import assert from "node:assert/strict";
import { createApp } from "../examples/todos.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { post } from "./example_kit.ts";
import { freePort, serve, type TestServer, until, WITH_BROWSER, within } from "./kit.ts";

const RESTARTS = 20;
/** How many of the restarts bring other scripts and another stylesheet. */
const DEPLOYS = 5;

/** A todo app without todos, and the version that is deployed. */
interface Life extends TestServer {
  readonly app: ReturnType<typeof createApp>;
}

/**
 * Starts the todo app without earlier data. Assets of another version have other names,
 * as when their content differs.
 */
function start(version: number, port: number): Life {
  const app = createApp({ onNotice() {} });
  const name = `/assets/v${version}-`;
  const server = serve(async (request) => {
    if (request.url.includes(name)) {
      return await app.hono.fetch(new Request(request.url.replace(name, "/assets/")));
    }
    const response = await app.hono.fetch(request);
    if (!response.headers.get("Content-Type")?.startsWith("text/html")) return response;
    const page = (await response.text()).replaceAll('"/assets/', `"${name}`);
    return new Response(page, response);
  }, port);
  return {
    ...server,
    app,
    async [Symbol.asyncDispose]() {
      await within(app.turbo.close({ window: 0, deadline: 500 }), "the stream to close");
      await server[Symbol.asyncDispose]();
    },
  };
}

Deno.test(
  `Half-typed text survives ${RESTARTS} restarts, ${DEPLOYS} of them with other scripts and styles`,
  WITH_BROWSER,
  async () => {
    const port = freePort();
    let life = start(0, port);
    const { url } = life;
    await using lives = new AsyncDisposableStack();
    lives.defer(() => life[Symbol.asyncDispose]());
    await using browser = await startBrowser();
    const { page, errors } = await browser.open(url);
    await page.waitForSelector(OPEN_PAGE);
    await page.evaluate(() => {
      Object.assign(window, { isFirst: true });
      document.querySelector("#text")!.addEventListener(
        "blur",
        () => console.error("It lost the focus"),
      );
    });
    await page.fill("#text", "HEADTAIL");
    for (let n = 0; n < 4; n++) await page.keyboard.press("ArrowLeft");
    let typed = "";
    const type = async (text: string) => {
      for (const key of text) await page.keyboard.type(key);
      typed += text;
    };

    let version = 0;
    for (let n = 0; n < RESTARTS; n++) {
      await type("ab");
      await life[Symbol.asyncDispose]();
      await page.waitForSelector(`:root:not(${OPEN_PAGE})`, { state: "attached" });
      await type("cd");
      if (n % (RESTARTS / DEPLOYS) === 1) version++;
      life = start(version, port);
      await post(life.app, "/todos", { fields: { text: `todo of life ${n}` } });
      const isCurrent = page.waitForSelector(`#todos :text("todo of life ${n}")`);
      await type("ef");
      await isCurrent;
      await page.waitForSelector(OPEN_PAGE);
      await until(() => life.app.turbo.size === 1, "the page is connected");
      assert.equal(await page.inputValue("#text"), `HEAD${typed}TAIL`, `after restart ${n}`);
    }
    assert.equal(version, DEPLOYS);
    const styles = await page.getAttribute("link[rel=stylesheet]", "href");
    assert.match(styles!, new RegExp(`^/assets/v${DEPLOYS}-`));
    assert.equal(
      await page.evaluate("window.isFirst"),
      true,
      "it is the same page, not loaded again",
    );
    assert.deepEqual(errors.filter((error) => !/WebSocket|net::ERR/.test(error)), []);

    await page.keyboard.press("Enter");
    await page.waitForSelector(`#todos :text("HEAD${typed}TAIL")`);
    assert.equal(await page.inputValue("#text"), "");
  },
);
