/**
 * Makes the module of the scripts that pages load, of the npm package that speaks with Redis one file,
 * and of those that read HTML another: `deno task bundle`. They are kept with the source, so that nothing has to be built where the app
 * runs or is published; a test fails when they are out of date. The scripts are strings in a module,
 * because JSR and other runtimes do not import text.
 *
 * @module
 */
import { createRequire, isBuiltin } from "node:module";
import { build, type BuildOptions, type Plugin, stop } from "npm:esbuild@0.25.12";
import { bundleDom } from "./bundle_dom.ts";

const MAKERS = {
  "turbo/script_texts.ts": scriptTexts,
  "turbo/redis_client.min.js": () => bundle(redisOptions()),
  "turbo/testing_dom.min.js": bundleDom,
};

/** The files that are made. */
export const MADE = Object.keys(MAKERS) as (keyof typeof MAKERS)[];

/** The text of such a file, of its sources as they are now. */
export async function make(path: keyof typeof MAKERS): Promise<string> {
  try {
    return await MAKERS[path]();
  } finally {
    await stop();
  }
}

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
/* @ts-self-types="./redis_client.min.d.ts" */`;

/** What the classes of the client have under such a name, ... */
const OWN = /^(is|has|was|history|events|webSocket|part)[A-Z]/;
/** ... but not the platform or Turbo. */
const OTHERS =
  /^(is(Connected|HTML|Safe|Array|Integer|NaN|Finite|ContentEditable|Intersecting|EqualNode|SameNode)|has(Attributes?|Own|OwnProperty|Focus|ChildNodes|Instance))$/;

async function scriptTexts(): Promise<string> {
  const scripts: Record<string, BuildOptions> = {
    TURBO: turboOptions(),
    CLIENT: { ...clientOptions("client"), mangleProps: OWN, reserveProps: OTHERS },
    CLIENT_KEEP: clientOptions("client_keep"),
    CLIENT_HINTS: clientOptions("client_hints"),
  };
  let text = `/**
 * The scripts of a page, minified: made by \`deno task bundle\`, see tests/bundle.ts.
 *
 * @module
 */
`;
  for (const [name, options] of Object.entries(scripts)) {
    text += `export const ${name}: string =\n  ${literal(await bundle(options))};\n`;
  }
  return text;
}

/** A text as a string literal, without characters for which V8 would keep the module with two bytes each. */
function literal(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[^\0-\xff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A module with those that only it imports, minified. */
async function bundle(options: BuildOptions): Promise<string> {
  const { outputFiles } = await build({
    ...options,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return outputFiles![0]!.text;
}

/** Turbo keeps the names of its properties, which pages use, and the lines about its licence. */
function turboOptions(): BuildOptions {
  const folder = createRequire(import.meta.url).resolve("@hotwired/turbo").replace(/[^/]*$/, "");
  return { entryPoints: [`${folder}turbo.es2017-esm.js`], legalComments: "eof" };
}

function clientOptions(name: string): BuildOptions {
  return {
    entryPoints: [new URL(`../turbo/${name}.js`, import.meta.url).pathname],
    external: ["./client_keep.js", "./client_hints.js"],
  };
}

function redisOptions(): BuildOptions {
  const path = new URL(import.meta.resolve("npm:@redis/client@6.3.1")).pathname;
  const contents = `export { createClient, ErrorReply } from ${JSON.stringify(path)};`;
  return {
    stdin: { contents, resolveDir: "/" },
    platform: "node",
    banner: { js: REDIS_BANNER },
    charset: "utf8",
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
  for (const path of MADE) {
    await Deno.writeTextFile(new URL(`../${path}`, import.meta.url), await make(path));
  }
}
