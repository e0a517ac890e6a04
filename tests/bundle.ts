/**
 * Makes of the browser's side the two files that pages load, and of npm packages the two files that
 * stand for them: `deno task bundle`. They are kept with the source, so that nothing has to be
 * built where the app runs or is published; a test says when they are out of date.
 *
 * @module
 */
import { isBuiltin } from "node:module";
import { build, type BuildOptions, type Plugin, stop } from "npm:esbuild@0.25.12";
import { bundleDom } from "./bundle_dom.ts";

/** The files that are made, by the module that each is made of. */
export const BUNDLES: ReadonlyMap<string, URL> = new Map(
  ["client", "client_keep", "redis_client", "testing_dom"].map((
    name,
  ) => [name, new URL(`../turbo/${name}.min.js`, import.meta.url)]),
);

/**
 * The package that speaks with Redis. It is no dependency of the app, because Deno downloads whatever the
 * lock file names at the first start, also where it is never imported. Nobody calls this: it is here so
 * that `import.meta.resolve` and tests/deno.lock know the package.
 */
export function importRedis(): Promise<typeof import("npm:@redis/client@6.3.1")> {
  return import("npm:@redis/client@6.3.1");
}

/** Its licence, which the package itself does not carry, and where its types are. */
const REDIS_BANNER = `/*! @redis/client 6.3.1
MIT License, Copyright (c) 2022-2023, Redis, inc.: see deploy/licenses.txt */
/* @ts-self-types="./redis_client.d.ts" */`;

/** What the classes of the client have under such a name, ... */
const OWN = /^(is|has|was|history|events|webSocket|part)[A-Z]/;
/** ... but not the platform or Turbo. */
const OTHERS =
  /^(is(Connected|HTML|Safe|Array|Integer|NaN|Finite|ContentEditable|Intersecting|EqualNode|SameNode)|has(Attributes?|Own|OwnProperty|Focus|ChildNodes|Instance))$/;

/** A module with those that only it imports, minified. */
export async function bundle(name: string): Promise<string> {
  if (name === "testing_dom") return await bundleDom();
  try {
    const { outputFiles } = await build({
      ...(name === "redis_client" ? redisOptions() : clientOptions(name)),
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      charset: "utf8",
      write: false,
    });
    return outputFiles![0]!.text;
  } finally {
    await stop();
  }
}

function clientOptions(name: string): BuildOptions {
  return {
    entryPoints: [new URL(`../turbo/${name}.js`, import.meta.url).pathname],
    external: ["./client_keep.js", "./client_hints.js"],
    ...(name === "client" && { mangleProps: OWN, reserveProps: OTHERS }),
  };
}

function redisOptions(): BuildOptions {
  const path = new URL(import.meta.resolve("npm:@redis/client@6.3.1")).pathname;
  const contents = `export { createClient, ErrorReply } from ${JSON.stringify(path)};`;
  return {
    stdin: { contents, resolveDir: "/" },
    platform: "node",
    banner: { js: REDIS_BANNER },
    legalComments: "none",
    plugins: [NODE_MODULES],
  };
}

/**
 * Has what `require` asks of Node imported instead, so that the file works wherever it comes from. What
 * else is not there is optional for the package, and not used here.
 */
const NODE_MODULES: Plugin = {
  name: "node modules",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, kind, namespace }) => {
      if (!isBuiltin(path)) return { path, namespace: "missing" };
      if (kind !== "require-call") return { path, external: true };
      return {
        path: path.replace(/^(node:)?/, "node:"),
        namespace: namespace === "required" ? "imported" : "required",
      };
    });
    build.onLoad({ filter: /^/, namespace: "required" }, ({ path }) => ({
      contents: `module.exports = require("${path}").default;`,
    }));
    build.onLoad({ filter: /^/, namespace: "imported" }, ({ path }) => ({
      contents: `export { default } from "${path}";`,
    }));
    build.onLoad({ filter: /^/, namespace: "missing" }, ({ path }) => ({
      contents: `throw new Error("${path} is not in this file");`,
    }));
  },
};

if (import.meta.main) {
  for (const [name, file] of BUNDLES) await Deno.writeTextFile(file, await bundle(name));
}
