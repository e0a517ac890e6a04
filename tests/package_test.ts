// The packages for JSR and npm.
import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { serveJsrRegistry } from "./jsr_registry.ts";
import { directory, WITH_PROCESS } from "./kit.ts";
import { OLDEST_HONO, pack } from "./pack.ts";
import { outputOf } from "./processes.ts";

const ROOT = new URL("../", import.meta.url).pathname;

const DENO = Deno.execPath();

/** The published files that are not modules. */
const TEXTS = config.publish.include.filter((path) => !path.startsWith("turbo/"));

Deno.test(
  "deno publish would publish the modules of the entries and no others, without a warning",
  WITH_PROCESS,
  async () => {
    const modules = (await modulesOfEntries()).map(({ specifier }) => specifier);
    const files = [...modules, ...TEXTS, "deno.json"].sort();
    assert.deepEqual(await publishedFiles(), files);
    await using jsr = await serveJsrRegistry(ROOT);
    assert.deepEqual([...jsr.files.keys()].sort(), files);
  },
);

// JSR rejects both, but the dry run does not (denoland/deno#35546).
Deno.test(
  "No published module imports text, or a package by another name than in deno.json",
  WITH_PROCESS,
  async () => {
    const packages = new Set<string>();
    for (const { specifier, dependencies = [] } of await modulesOfEntries()) {
      for (const { specifier: imported, assertionType } of dependencies) {
        assert.equal(assertionType, undefined, `${specifier} imports ${imported}`);
        if (!/^(\.|node:)/.test(imported)) packages.add(imported.split("/")[0]!);
      }
    }
    assert.deepEqual([...packages], ["hono"]);
  },
);

Deno.test(
  "The package for npm has each entry with its types, the licences, and no test",
  WITH_PROCESS,
  async () => {
    using folder = directory();
    const archive = await pack(folder.path, "owner/name");
    await outputOf(["tar", "-xzf", archive], { cwd: folder.path });
    const read = (path: string) => Deno.readTextFile(`${folder.path}/package/${path}`);
    const manifest = JSON.parse(await read("package.json"));
    assert.equal(archive, `${folder.path}/turbo-deno-turbo-${config.version}.tgz`);
    assert.deepEqual(Object.keys(manifest.exports), Object.keys(config.exports));
    for (const entry of Object.values<Record<string, string>>(manifest.exports)) {
      for (const path of Object.values(entry)) assert((await read(path)).length > 0, path);
    }
    const { dependencies, peerDependencies, license, type } = manifest;
    assert.deepEqual({ dependencies, peerDependencies, license, type }, {
      dependencies: undefined,
      peerDependencies: { hono: `^${OLDEST_HONO}` },
      license: "MIT",
      type: "module",
    });
    assert.equal(manifest.repository.url, "git+https://github.com/owner/name.git");
    for (const file of TEXTS) assert.equal(await read(file), await Deno.readTextFile(ROOT + file));
    const files = await outputOf(["tar", "-tzf", archive]);
    assert.doesNotMatch(files, /_test|tests\/|\.ts$(?<!\.d\.ts)/m);
  },
);

/** The files that would be published to JSR. */
async function publishedFiles(): Promise<string[]> {
  const command = new Deno.Command(DENO, {
    args: ["publish", "--dry-run", "--allow-dirty", "--no-check"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  });
  const { success, stdout, stderr } = await command.output();
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  assert(success && !/^(warning|error)/im.test(said), said);
  return [...said.matchAll(/^ +file:\/\/(\S+) \(/gm)].map(([, path]) => path!.slice(ROOT.length))
    .sort();
}

/** A module in the output of `deno info`. */
interface Module {
  specifier: string;
  readonly dependencies?: { readonly specifier: string; readonly assertionType?: string }[];
}

/** The modules of this repository that the entries import, and their declarations. */
async function modulesOfEntries(): Promise<Module[]> {
  const modules = new Map<string, Module>();
  for (const entry of Object.values(config.exports)) {
    const graph = JSON.parse(await outputOf([DENO, "info", "--json", entry], { cwd: ROOT }));
    for (const module of graph.modules as Module[]) {
      if (!module.specifier.startsWith("file://")) continue;
      const path = module.specifier.slice(7 + ROOT.length);
      modules.set(path, { ...module, specifier: path });
    }
  }
  return [...modules.values()];
}
