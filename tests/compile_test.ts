// What `deno task compile` makes, as far as it can be seen without `denort`, the runtime that Deno downloads:
// any ELF file stands in for it.
import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import licenses from "../deploy/licenses.txt" with { type: "text" };
import { compileArguments } from "./compile.ts";
import { directory, freePort, until, WITH_PROCESS, within } from "./kit.ts";
import { outputOf, START_FLAGS, startCommand } from "./processes.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const WITH_ELF = { ignore: WITH_PROCESS.ignore! || Deno.build.os !== "linux" };

/** What Deno has added to the runtime. */
interface Executable {
  /** How it will run. */
  readonly metadata: {
    readonly permissions: Readonly<Record<string, unknown>>;
    readonly otel_config: Readonly<Record<string, unknown>>;
    readonly entrypoint_key: string;
  };
  /** The names of the files in it, and the bytes of the first. */
  readonly files: readonly string[];
  readonly content: Uint8Array<ArrayBuffer>;
  /** Bytes without the runtime. */
  readonly size: number;
}

/** Compiles the app into a folder, and reads the result. */
async function compiled(
  folder: string,
  env: Record<string, string> = {},
): Promise<Executable> {
  const runtime = "/bin/true";
  const output = `${folder}/turbo-deno`;
  const [command = "", ...args] = compileArguments({ output });
  await outputOf([Deno.execPath(), command, "--no-check", ...args], {
    cwd: ROOT,
    env: { DENORT_BIN: runtime, ...env },
  });
  const bytes = await Deno.readFile(output);
  const [metadata] = jsonAfter(bytes, '{"argv":');
  const [tree, end] = jsonAfter(bytes, '[{"File":');
  const entries: { File: { n: string; o: [start: number, length: number] } }[] = JSON.parse(tree);
  const [start, length] = entries[0]!.File.o;
  return {
    metadata: JSON.parse(metadata),
    files: entries.map(({ File }) => File.n),
    content: bytes.slice(end + 8 + start, end + 8 + start + length), // behind its length in all
    size: bytes.length - (await Deno.stat(runtime)).size,
  };
}

/** A JSON text, whose length stands before it as 64 bits, and where it ends. */
function jsonAfter(bytes: Uint8Array<ArrayBuffer>, begin: string): [text: string, end: number] {
  const start = new TextDecoder("latin1").decode(bytes).indexOf(begin);
  assert(start > 8, `${begin} is in the executable`);
  const length = Number(new DataView(bytes.buffer).getBigUint64(start - 8, true));
  return [new TextDecoder().decode(bytes.slice(start, start + length)), start + length];
}

Deno.test(
  "deno task compile bundles the app into one small file, which serves all and loads the client of Redis",
  WITH_ELF,
  async () => {
    using folder = directory();
    const { metadata, files, content, size } = await compiled(folder.path);
    assert.deepEqual(files, [metadata.entrypoint_key]);
    assert(size < 600_000, `${size} bytes`);
    const program = `${folder.path}/app.mjs`;
    await Deno.writeFile(program, content);
    const command = [Deno.execPath(), "run", "--no-config", ...START_FLAGS, program];
    const redis = `127.0.0.1:${freePort()}`;
    const options = ["--port=0", "--hostname=127.0.0.1", `--redis=redis://${redis}`];
    await using app = startCommand([...command, ...options], { cwd: folder.path });
    const [, url] = /^Listening on (http:\S+)\/$/.exec(await app.line(/^Listening/, { from: 0 }))!;
    const page = await (await fetch(`${url}/`)).text();
    const assets = page.match(/\/assets\/[\w.-]+/g) ?? [];
    for (const kind of [".css", ".js", ".png"]) {
      assert(assets.some((path) => path.endsWith(kind)), `${kind} of ${assets}`);
    }
    for (const path of assets) {
      const { status, body } = await fetch(url + path);
      await body?.cancel();
      assert.equal(status, 200, path);
    }
    await until(() => app.errors.includes(redis), "it says that it cannot reach Redis");
    app.child.kill("SIGTERM");
    assert.equal(await within(app.ended, "the app to end"), 0, app.errors);
    assert.equal(await outputOf([...command, "--licenses"]), licenses.trim());
    assert.equal(await outputOf([...command, "--version"]), `turbo-deno ${config.version}`);
  },
);

Deno.test(
  "The executable has the permissions in deno.json, state/ where it runs, and telemetry by OTEL_DENO",
  WITH_ELF,
  async () => {
    using folder = directory();
    const { metadata } = await compiled(folder.path);
    const { net, sys, env, read, write } = config.permissions.default;
    assert.equal(net, true);
    const { allow_sys, allow_env, allow_read, allow_write, ...others } = metadata.permissions;
    assert.deepEqual({ allow_sys, allow_env, allow_read, allow_write }, {
      allow_sys: sys,
      allow_env: env,
      allow_read: read,
      allow_write: write,
    });
    assert.deepEqual([others.allow_net, others.allow_run, others.allow_ffi, others.prompt], [
      [], // all addresses
      null,
      null,
      false,
    ]);
    assert.equal(metadata.otel_config.metrics_enabled, false);
    const watched = await compiled(folder.path, { OTEL_DENO: "true" });
    assert.equal(watched.metadata.otel_config.metrics_enabled, true);
    assert.equal(watched.metadata.otel_config.tracing_enabled, true);
  },
);
