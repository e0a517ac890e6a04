/**
 * Makes the package for npm, `dist/turbo-deno-turbo-VERSION.tgz`: `deno task pack`. Deno compiles the files
 * that deno.json publishes to JavaScript and declarations, and npm makes the archive.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };
import { outputOf } from "./processes.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** The oldest version of Hono that works. */
export const OLDEST_HONO = "4.8.0";

/** Fields of package.json in addition to those that `deno pack` takes from deno.json. */
const MANIFEST = {
  description: config.description,
  keywords: ["hono", "turbo", "turbo-streams", "hotwire", "websocket", "sse", "server-sent-events"],
  engines: { node: ">=22.3", deno: ">=2.5", bun: ">=1.3" },
  bin: { "turbo-push": "./bin/turbo-push.js" },
  // The app's own copy, from the first version that knows where a route is mounted.
  dependencies: undefined,
  peerDependencies: { hono: `^${OLDEST_HONO}` },
};

const PUSH = `#!/usr/bin/env node
import { main } from "@turbo-deno/turbo/push";

await main();
`;

/**
 * Makes the archive in a folder, and returns its path. Npm compares `repository`, such as `owner/name`, with
 * the one that publishes the package.
 */
export async function pack(folder: string, repository?: string): Promise<string> {
  const directory = await Deno.makeTempDir();
  try {
    const archive = `${directory}/deno.tgz`;
    const denoPack = ["pack", "--allow-dirty", "--no-source-maps", "--output", archive];
    await outputOf([Deno.execPath(), ...denoPack], { cwd: ROOT });
    await outputOf(["tar", "-xzf", archive], { cwd: directory });
    const path = `${directory}/package/package.json`;
    const manifest = {
      ...JSON.parse(await Deno.readTextFile(path)),
      ...MANIFEST,
      ...(repository !== undefined && {
        repository: { type: "git", url: `git+https://github.com/${repository}.git` },
      }),
    };
    await Deno.writeTextFile(path, JSON.stringify(manifest, undefined, 2));
    await Deno.mkdir(`${directory}/package/bin`);
    await Deno.writeTextFile(`${directory}/package/bin/turbo-push.js`, PUSH);
    await Deno.mkdir(folder, { recursive: true });
    const npmPack = ["npm", "pack", "--silent", "--pack-destination", folder];
    return `${folder}/${await outputOf(npmPack, { cwd: `${directory}/package` })}`;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) {
  console.log(await pack(`${ROOT}dist`, Deno.env.get("GITHUB_REPOSITORY")));
}
