import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type Page, startBrowser } from "./browser.ts";
import { startCluster } from "./cluster.ts";
import { until, WITH_BROWSER, within } from "./kit.ts";
import { startNginx, WITH_NGINX } from "./nginx.ts";
import { startProcess, type TestServerProcess } from "./processes.ts";
import { startRedis, WITH_REDIS } from "./redis_server.ts";

const WITH_ALL = { ...WITH_BROWSER, ignore: WITH_NGINX.ignore! || WITH_REDIS.ignore! };

/** The names of the machines on a page; `only NAME` where it is the page of a single one. */
function namesIn(page: Page): Promise<string> {
  return page.evaluate(() => {
    const names = [...document.querySelectorAll("#load tbody th")]
      .map((head) => head.firstChild!.textContent!.trim()).join(" ");
    return names || `only ${document.querySelector("h1")!.textContent}`;
  });
}

/** Waits until some more boxes have arrived. */
async function moves(page: Page, boxes = 3): Promise<void> {
  const moved = page.evaluate((boxes) =>
    new Promise<void>((resolve) => {
      const count = (event: Event) => {
        if ((event as CustomEvent).detail.targets.includes("load")) boxes--;
        if (boxes > 0) return;
        document.removeEventListener("turbo-stream:rendered", count);
        resolve();
      };
      document.addEventListener("turbo-stream:rendered", count);
    }), boxes);
  await within(moved, "the page to move on");
}

/** The process to which the only page is connected. */
async function processOf(
  nodes: readonly TestServerProcess[],
): Promise<TestServerProcess> {
  let found: TestServerProcess | undefined;
  await until(async () => {
    for (const node of nodes) {
      const { connections } = await (await fetch(`${node.url}/readyz`)).json();
      if (connections === 1) found = node;
    }
    return found !== undefined;
  }, "the page is connected to one of them");
  return found!;
}

Deno.test(
  "A page behind nginx with three processes moves between them, never stale and without a full load",
  WITH_ALL,
  async () => {
    await using redis = await startRedis();
    await using cluster = await startCluster(redis, ["a", "b", "c"]);
    await using nginx = await startNginx(cluster.nodes);
    await using browser = await startBrowser();
    const { page, errors, requests } = await browser.open("", { ignoreHTTPSErrors: true });
    await page.goto(nginx.url);
    await page.waitForSelector(OPEN_PAGE);
    const alive = new Map(cluster.nodes.map((node, index) => ["abc"[index]!, node]));
    await page.evaluate(() => {
      const field = document.createElement("input");
      document.querySelector("h1")!.after(field);
      field.focus();
    });
    const typed: string[] = [];
    const loads = () => requests.filter((url) => new URL(url).pathname === "/").length;
    async function isCurrent(step: string): Promise<void> {
      await page.waitForSelector(OPEN_PAGE);
      const names = [...alive.keys()].join(" ");
      await until(async () => await namesIn(page) === names, `the page shows ${names}: ${step}`);
      await page.keyboard.type(`${typed.length}`);
      typed.push(`${typed.length}`);
      await moves(page);
      assert.equal(await namesIn(page), names, step);
      const { value, isFocused } = await page.evaluate(() => {
        const field = document.querySelector("input");
        return { value: field?.value, isFocused: document.activeElement === field };
      });
      assert.deepEqual([value, isFocused], [typed.join(""), true], step);
      assert.deepEqual([loads(), errors.splice(0)], [1, []], step);
    }
    async function end(signal: "SIGKILL" | "SIGTERM"): Promise<[name: string, port: number]> {
      const node = await processOf([...alive.values()]);
      const [name = ""] = [...alive].find(([, one]) => one === node)!;
      node.child.kill(signal);
      await node.ended;
      alive.delete(name);
      return [name, node.port];
    }
    await isCurrent("at first");
    const [name, port] = await end("SIGTERM");
    await isCurrent("its process has ended");
    alive.set("d", await cluster.start("d", port));
    await isCurrent(`another is there instead of ${name}`);
    await nginx.restart(async () => {
      await page.waitForSelector('[data-turbo-stream="closed"]', { state: "attached" });
    });
    // The browser logs the refused connections itself.
    await page.waitForSelector(OPEN_PAGE);
    for (const error of errors.splice(0)) assert.match(error, /ERR_CONNECTION_REFUSED/);
    await isCurrent("nginx was started again");
    await end("SIGTERM");
    await isCurrent("the next one has ended");
    await end("SIGKILL");
    await page.waitForSelector(OPEN_PAGE);
    const [last = ""] = alive.keys();
    await until(async () => await namesIn(page) === `only ${last}`, "the page shows one");
    await page.waitForFunction((last) => document.title.endsWith(` · ${last}`), last);
    // The process may have changed data without pushing it, so the page fetches itself once.
    await until(() => loads() === 2, "the page fetches itself");
    await moves(page);
    assert.deepEqual([loads(), errors], [2, []]);
  },
);

Deno.test(
  "A page behind nginx continues while Redis is away, and shows all machines again when it is back",
  WITH_ALL,
  async () => {
    await using redis = await startRedis();
    await using cluster = await startCluster(redis, ["a", "b", "c"]);
    await using nginx = await startNginx(cluster.nodes);
    await using browser = await startBrowser();
    const { page, errors, requests } = await browser.open("", { ignoreHTTPSErrors: true });
    const loads = () => requests.filter((url) => new URL(url).pathname === "/").length;
    await page.goto(nginx.url);
    await page.waitForSelector(OPEN_PAGE);
    await until(async () => await namesIn(page) === "a b c", "it shows all");
    await redis.kill();
    await page.waitForSelector("text=hears nothing of the others");
    await moves(page);
    await until(async () => (await namesIn(page)).length === 1, "it shows its own alone");
    await moves(page);
    assert.equal(await page.isVisible("text=hears nothing of the others"), true);
    assert.deepEqual([loads(), errors], [1, []]);
    await page.click("text=Last day"); // perhaps from another process with an order of its own
    await page.waitForSelector('[aria-current]:text-is("Last day")');
    await page.waitForSelector(OPEN_PAGE);
    await moves(page);
    await redis.restart();
    await until(async () => await namesIn(page) === "a b c", "it shows all again");
    await page.waitForSelector(OPEN_PAGE);
    await moves(page);
    assert.equal(await page.isVisible("text=hears nothing of the others"), false);
    assert.deepEqual([loads(), errors], [1, []]);
  },
);

Deno.test(
  "A push of push.ts shows in the open pages of all processes",
  WITH_ALL,
  async () => {
    await using redis = await startRedis();
    await using cluster = await startCluster(redis, ["a", "b", "c"]);
    await using browser = await startBrowser();
    const opened = await Promise.all(cluster.nodes.map(({ url }) => browser.open(url)));
    await Promise.all(opened.map(({ page }) => page.waitForSelector(OPEN_PAGE)));
    await using command = startProcess(
      "../turbo/push.ts",
      ["--all", "--text", "update", ".read", "Back at 12 <noon>"],
      {
        flags: ["--no-prompt", "--allow-net=127.0.0.1", "--allow-env=REDIS_URL"],
        env: { REDIS_URL: redis.url },
      },
    );
    assert.equal(await within(command.ended, "the command to end"), 0, command.errors);
    for (const { page, errors } of opened) {
      await page.waitForSelector('.read:text-is("Back at 12 <noon>")');
      assert.deepEqual(errors, []);
    }
  },
);
