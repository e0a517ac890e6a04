import assert from "node:assert/strict";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser } from "./browser.ts";
import { startCluster } from "./cluster.ts";
import { Visitor } from "./deploys.ts";
import { directory, QUICK, serve, until, WITH_BROWSER, within } from "./kit.ts";
import { startNginx, WITH_NGINX } from "./nginx.ts";
import { startCommand, succeeds, type TestProcess, type TestServerProcess } from "./processes.ts";
import { listPageIn, ProtocolReaders } from "./protocol_readers.ts";
import { startRedis, WITH_REDIS } from "./redis_server.ts";

const SCRIPT = new URL("../deploy/rolling.sh", import.meta.url).pathname;
const documentation = Deno.readTextFileSync(new URL("../docs/deploys.md", import.meta.url));
const canRun = !QUICK && Deno.build.os !== "windows" && await succeeds("curl", "--version");
if (!canRun && !QUICK) {
  console.log("NOTICE: curl is not installed, the tests of rolling.sh are skipped");
}
const WITH_CURL = { ignore: !canRun };
const WITH_ALL = {
  ...WITH_BROWSER,
  ignore: !canRun || WITH_NGINX.ignore! || WITH_REDIS.ignore!,
};

/** Runs deploy/rolling.sh, with a `systemctl` that calls `restart` with the name of the unit. */
function startScript(
  args: readonly (string | number)[],
  restart = (_unit: string) => Promise.resolve(),
) {
  const at = directory();
  const server = serve(async (request) => {
    const [, command, unit] = new URL(request.url).pathname.split("/");
    assert.equal(command, "restart");
    await restart(unit!);
    return new Response();
  });
  const systemctl = `#!/bin/sh\nexec curl --silent --fail "${server.url}/$1/$2"\n`;
  Deno.writeTextFileSync(`${at.path}/systemctl`, systemctl, { mode: 0o755 });
  const env = { PATH: `${at.path}:${Deno.env.get("PATH")}` };
  const script = startCommand(["sh", SCRIPT, ...args.map(String)], { env });
  return {
    script,
    async [Symbol.asyncDispose]() {
      await script[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      at[Symbol.dispose]();
    },
  };
}

async function resultOf(script: TestProcess) {
  const code = await within(script.ended, "rolling.sh to end");
  const { lines, errors } = script;
  return { code, lines, errors };
}

/** An instance that answers `/readyz` with this. */
function startInstance(status: string) {
  return serve(() => Response.json({ status }, { status: status === "draining" ? 503 : 200 }));
}

Deno.test(
  "rolling.sh says what is wrong with its options, and restarts nothing",
  WITH_CURL,
  async () => {
    for (
      const [args, message] of [
        [[], /at least two ports are needed/],
        [["8000"], /at least two ports are needed; a single instance keeps its pages by --state/],
        [["8000", "8000"], /port 8000 is given twice/],
        [["8000", "08000"], /"08000" is neither an option nor a port/],
        [["8000", "65536"], /"65536" is neither an option nor a port/],
        [
          ["--wait", "999999", "8000", "8001"],
          /--wait is "999999": a whole number of seconds up to/,
        ],
        [["8000", "here"], /"here" is neither an option nor a port/],
        [
          ["--wait", "soon", "8000", "8001"],
          /--wait is "soon": a whole number of seconds up to 99999 is needed/,
        ],
        [["8000", "8001", "--pause"], /--pause is ""/],
        [["--unit", "", "8000", "8001"], /--unit is ""/],
      ] as const
    ) {
      await using run = startScript(args, () => assert.fail("it restarts"));
      const { code, errors } = await resultOf(run.script);
      assert.equal(code, 2, args.join(" "));
      assert.match(errors, message);
    }
    await using run = startScript(["--help"]);
    const { code, lines } = await resultOf(run.script);
    assert.deepEqual([code, lines[0]], [
      0,
      "Usage: rolling.sh [--wait SECONDS] [--pause SECONDS] [--unit NAME] PORT PORT...",
    ]);
  },
);

Deno.test("rolling.sh restarts nothing while no other instance is ready", WITH_CURL, async () => {
  for (const status of ["degraded", "draining"]) {
    await using one = startInstance("ready");
    await using two = startInstance(status);
    await using run = startScript([one.port, two.port], () => assert.fail("it restarts"));
    const { code, errors } = await resultOf(run.script);
    assert.equal(code, 1);
    assert.match(errors, /no other instance is ready, so turbo-deno@\d+ is not restarted/);
  }
});

Deno.test(
  "rolling.sh stops at the first instance that is not ready in time",
  WITH_CURL,
  async () => {
    await using one = startInstance("degraded");
    await using two = startInstance("ready");
    const restarted: string[] = [];
    const restart = (unit: string) => Promise.resolve(void restarted.push(unit));
    const args = ["--wait", 0, "--unit", "app@", one.port, two.port];
    await using run = startScript(args, restart);
    const { code, errors } = await resultOf(run.script);
    assert.equal(code, 1);
    assert.match(
      errors,
      /app@\d+ is not ready after 0 s, and answers "{"status":"degraded"}": stopped/,
    );
    assert.deepEqual(restarted, [`app@${one.port}`]);
  },
);

Deno.test("rolling.sh restarts nothing while another one runs", {
  ignore: WITH_CURL.ignore || !await succeeds("flock", "--version"),
}, async () => {
  await using one = startInstance("ready");
  await using two = startInstance("ready");
  const ports = [one.port, two.port];
  const [begun, rest] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using first = startScript(ports, () => {
    begun.resolve();
    return rest.promise;
  });
  await within(begun.promise, "the first restart");
  await using second = startScript(ports, () => assert.fail("it restarts"));
  const { code, errors } = await resultOf(second.script);
  assert.deepEqual([code, errors.includes("another rolling.sh runs")], [1, true], errors);
  rest.resolve();
  assert.equal((await resultOf(first.script)).code, 0);
});

Deno.test(
  "rolling.sh does not say that all are ready where one has ended since",
  WITH_CURL,
  async () => {
    await using one = startInstance("ready");
    await using two = startInstance("ready");
    const restart = async (unit: string) => {
      if (unit.endsWith(String(two.port))) await one[Symbol.asyncDispose]();
    };
    await using run = startScript([one.port, two.port], restart);
    const { code, lines, errors } = await resultOf(run.script);
    assert.equal(code, 1);
    assert.match(errors, RegExp(`turbo-deno@${one.port} was ready and is not any more`));
    assert.equal(lines.at(-1), `rolling.sh: turbo-deno@${two.port} is ready`);
  },
);

Deno.test(
  "rolling.sh deploys two main.ts behind nginx: pages notice nothing, and no request fails",
  WITH_ALL,
  async () => {
    await using redis = await startRedis();
    await using cluster = await startCluster(redis, ["a", "b"]);
    await using nginx = await startNginx(cluster.nodes);
    const { url, client } = nginx;
    await using browser = await startBrowser();
    const { page, errors, requests } = await browser.open("", { ignoreHTTPSErrors: true });
    await page.goto(url);
    await page.waitForSelector(OPEN_PAGE);
    await page.evaluate("document.querySelector('h1').after(document.createElement('input'))");
    await page.focus("input");
    await using readers = new ProtocolReaders(url, { client });
    readers.add(50, listPageIn(await (await nginx.fetch(url)).text()));
    await until(() => readers.haveResumed(1), "all readers are connected");
    const visitor = new Visitor(url, { client });
    const nodes = new Map(cluster.nodes.map((node) => [`turbo-deno@${node.port}`, node]));
    const starting: Promise<TestServerProcess>[] = [];
    let typed = "";
    async function restart(unit: string): Promise<void> {
      const { child, ended, port } = nodes.get(unit)!;
      child.kill("SIGTERM");
      assert.equal(await within(ended, "the instance to end"), 0);
      starting.push(cluster.start(`of ${port}`, port));
      await page.keyboard.type("x");
      typed += "x";
    }
    const ports = cluster.nodes.map(({ port }) => port);
    const [, command = ""] = /^deploy\/rolling\.sh (.+)$/m.exec(documentation)!;
    const args = command.replace("8000", String(ports[0])).replace("8001", String(ports[1]));
    await using run = startScript(args.split(" "), restart);
    const { code, lines, errors: complaints } = await resultOf(run.script);
    await Promise.all(starting);
    const [a, b] = [...nodes.keys()];
    assert.deepEqual([code, complaints], [0, ""]);
    assert.deepEqual(lines, [
      `rolling.sh: ${a} restarts, and ${cluster.nodes[1]!.port} has its pages`,
      `rolling.sh: ${a} is ready`,
      `rolling.sh: ${b} restarts, and ${cluster.nodes[0]!.port} has its pages`,
      `rolling.sh: ${b} is ready`,
      "rolling.sh: all are ready",
    ]);
    await until(() => readers.haveResumed(2), "all readers are back");
    await page.waitForSelector(OPEN_PAGE);
    await page.waitForSelector(`text=of ${cluster.nodes[0]!.port}`);
    await page.waitForSelector(`text=of ${cluster.nodes[1]!.port}`);
    await visitor.stop();
    assert.deepEqual(visitor.failures, []);
    assert(visitor.loads > 20, `${visitor.loads} loads`);
    assert.deepEqual([readers.refreshes, await page.inputValue("input")], [0, typed]);
    assert.equal(await page.evaluate("document.activeElement.tagName"), "INPUT");
    assert.equal(requests.filter((asked) => new URL(asked).pathname === "/").length, 1);
    assert.deepEqual(errors, []);
  },
);
