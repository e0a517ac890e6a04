/**
 * Tests the commands in `docs/`. Its code blocks are run by `deno task test` itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { until, within } from "./kit.ts";
import { startApp } from "./processes.ts";
import { startRedis, type TestRedis, WITH_REDIS } from "./redis_server.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const REDIS = "redis://127.0.0.1:6379";

/** The command lines of a file. */
function commandsOf(file: string): string[] {
  const text = Deno.readTextFileSync(ROOT + file);
  return [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].flatMap(([, block]) => {
    return block!.trim().split("\n").map((line) => line.replace(/ +#.*$/, ""));
  });
}

async function runInShell(line: string, { url }: TestRedis): Promise<string> {
  const deno = `"${Deno.execPath()}" run --no-prompt`;
  const command = line.replace("deno run", deno).replace(REDIS, url);
  const { code, stderr } = await within(
    new Deno.Command("sh", { args: ["-c", command], cwd: ROOT, env: { NO_COLOR: "1" } }).output(),
    line,
  );
  const said = new TextDecoder().decode(stderr);
  assert.equal(code, 0, `${line}: ${said}`);
  return said;
}

Deno.test("The commands of docs/many-machines.md do what it says", WITH_REDIS, async () => {
  await using redis = await startRedis();
  await using stack = new AsyncDisposableStack();
  const commands = commandsOf("docs/many-machines.md");
  const starts = commands.filter((line) => line.startsWith("deno task start "));
  const pushes = commands.filter((line) => line.includes("turbo/push.ts"));
  assert.equal(starts.length + pushes.length, commands.length, "each is run here");
  const apps = [];
  for (const line of starts) {
    const args = line.split(" ").slice(3).map((arg) => arg === REDIS ? redis.url : arg);
    args[args.indexOf("--port") + 1] = "0";
    apps.push(stack.use(await startApp([...args, "--hostname", "127.0.0.1"])));
  }
  assert.equal(apps.length, 2);
  for (const { url } of apps) {
    await until(async () => {
      const page = await (await fetch(url)).text();
      return page.includes("web1") && page.includes("web2");
    }, "a page shows both nodes");
  }
  assert.equal(pushes.length, 2);
  for (const line of pushes) await runInShell(line, redis);
  const entries = await redis.cli("XRANGE", "turbo", "-", "+");
  assert.match(entries, /target="load"><template><b id="load">busy<\/b>/);
  assert.match(entries, /target="list"><template><li>Done<\/li>[^]*@ann/);
});
