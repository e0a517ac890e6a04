// The oldest version of Deno that a Deno host may run, one between, and the pinned one.
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import config from "../deno.json" with { type: "json" };
import { connect, directory, parseFrame, PROTOCOL, QUICK, within } from "./kit.ts";
import { outputOf, startCommand, type TestProcess } from "./processes.ts";
import { denoCache, HAS_RUNTIMES, pathOf } from "./runtimes.ts";

const ROOT = new URL("../", import.meta.url).pathname;

const OLD = ["deno-2.5", "deno-2.7"] as const;
const WITH_OLD = { ignore: QUICK || !HAS_RUNTIMES };

/** What a Deno host does not get: `.gitignore` has them, and the history. */
const LEFT_OUT = /^(?:\.git|\.cache|dist|node_modules|coverage|state)$/;

for (const version of OLD) {
  Deno.test(
    `A Deno host can install, build and run what deno.json says to deploy, and main.ts, on ${version}`,
    WITH_OLD,
    async () => {
      const deno = await pathOf(version);
      using made = await denoCache();
      using folder = directory();
      for (const { name } of Deno.readDirSync(ROOT)) {
        if (LEFT_OUT.test(name)) continue;
        await cp(ROOT + name, `${folder.path}/${name}`, { recursive: true });
      }
      const env = { ...made.env, ...TRUSTED, DENO_DEPLOYMENT_ID: "d1" };
      const { install, build, runtime } = config.deploy;
      for (const command of [install, build]) {
        assert.match(command, /^deno /);
        await outputOf([deno, ...command.split(" ").slice(1)], { cwd: folder.path, env });
      }
      // The host's flags, and no download at the start.
      for (const entry of [runtime.entrypoint, "main.ts"]) {
        const command = [deno, "run", "-A", "--cached-only", entry, ...ADDRESS];
        await using app = startCommand(command, { cwd: folder.path, env });
        await assertIsLive(app);
        app.child.kill("SIGINT");
        assert.equal(await within(app.ended, "the app to end"), 0, app.errors);
      }
    },
  );
}

for (const version of [...OLD, "the pinned version"] as const) {
  Deno.test(
    `deno task start serves the page, WebSockets and events, and ends with 0, on ${version}`,
    WITH_OLD,
    async () => {
      const deno = version === "the pinned version" ? Deno.execPath() : await pathOf(version);
      using made = await denoCache();
      const command = [deno, "task", "start", ...ADDRESS];
      await using app = startCommand(command, { cwd: ROOT, env: made.env });
      assert.match(await outputOf([deno, "--version"]), RegExp(`^deno ${VERSIONS[version]}\\.`));
      await assertIsLive(app);
      app.child.kill("SIGTERM");
      assert.equal(await within(app.ended, "the app to end"), 0, app.errors);
    },
  );
}

const ADDRESS = ["--port=0", "--hostname=127.0.0.1", "--interval=0.2"];

/** Older versions do not trust the certificates of the system by themselves, and fetch their bundler. */
const TRUSTED = { DENO_TLS_CA_STORE: "mozilla,system" };

/** Asserts that the app has its page, and pushes by WebSocket and by server-sent events. */
async function assertIsLive(app: TestProcess): Promise<void> {
  const line = await app.line(/^Listening/, { from: 0 });
  const [, url = ""] = /^Listening on (http:\S+)\/$/.exec(line)!;
  const page = await fetch(`${url}/`);
  const cursor = page.headers.get("Turbo-Cursor")!;
  assert.match(await page.text(), /<th[^>]*>15 min<\/th>[^]*<td>\d+\.\d\d<\/td>/);
  const path = `/turbo-stream?since=${cursor}`;
  {
    await using client = await connect(url, { path, protocol: PROTOCOL });
    assert.deepEqual(parseFrame(await client.next()), [{ cursor, html: "" }]);
    const [first] = parseFrame(await client.next());
    assert.match(first!.html, /^<turbo-stream action="replace" /);
  }
  const headers = { Accept: "text/event-stream" };
  const events = await fetch(url + path, { headers });
  let text = "";
  for await (const chunk of events.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (/^data: ?<turbo-stream action="replace" /m.test(text)) break;
  }
}

/** How the versions begin. */
const VERSIONS: Readonly<Record<typeof OLD[number] | "the pinned version", string>> = {
  "deno-2.5": "2.5",
  "deno-2.7": "2.7",
  "the pinned version": Deno.version.deno.replace(/\.\d+$/, ""),
};

for (const version of OLD) {
  Deno.test(`The tests of turbo/ pass on ${version}`, WITH_OLD, async () => {
    using made = await denoCache();
    // Garbage is collected on demand by a flag, because older versions cannot set it later.
    const flags = ["-A", "--no-check", "--parallel", "--v8-flags=--expose-gc"];
    // RUNS is for properties of this code, not of Deno: with few runs its mutants are left out.
    const env = { ...made.env, RUNS: "100", DENO_JOBS: "2" };
    const command = [await pathOf(version), "test", ...flags, "--lock=tests/deno.lock", "turbo/"];
    const output = await outputOf(command, { cwd: ROOT, env });
    const [, passed] = /^ok \| (\d+) passed/m.exec(output)!;
    assert(Number(passed) > 1_000, `${passed} passed`);
  });
}
