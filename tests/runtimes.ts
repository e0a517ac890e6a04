/**
 * Programs of other runtimes, from npm.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { outputOf } from "./processes.ts";

const FOLDER = new URL("../.cache/runtimes", import.meta.url).pathname;

const { os, arch } = Deno.build;
const isX64 = arch === "x86_64";

/** The packages, by the program. Those of Node and Bun hold it for one kind of machine. */
const PACKAGES = {
  node: { name: `node-${os}-${isX64 ? "x64" : "arm64"}`, version: "22.23.3" },
  bun: { name: `@oven/bun-${os}-${isX64 ? "x64" : "aarch64"}`, version: "1.4.5" },
  tsc: { name: "typescript", version: "7.0.2" },
};

/** The path of such a program, which is installed when it is first asked for. */
export async function programOf(program: keyof typeof PACKAGES): Promise<string> {
  const { name, version } = PACKAGES[program];
  const folder = `${FOLDER}/${program}-${version}`;
  const path = `${folder}/node_modules/${name}/bin/${program}`;
  if (!existsSync(path)) {
    await Deno.mkdir(folder, { recursive: true });
    const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder];
    await outputOf(["npm", "install", ...flags, `${name}@${version}`]);
  }
  return path;
}
