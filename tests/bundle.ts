/**
 * Makes the generated files: `deno task bundle`. These are the module with the scripts that pages load, the
 * bundled client of Redis, and the bundled parser of HTML. They are committed, so that no build is needed to
 * run or publish the package; a test fails when they are out of date. The scripts are strings in a module,
 * because JSR and other runtimes do not import text. They are compressed here, because the best compression
 * of Turbo takes 0.1 s, in which the first reader of a process would wait. The client imports two other
 * scripts by their hashed names, relative to its own URL, because an import map would be an inline script,
 * which a strict content security policy forbids.
 *
 * @module
 */
import { isBuiltin } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build, type BuildOptions, type Plugin, stop } from "npm:esbuild@0.25.12";
import { asset } from "../turbo/mod.ts";
import { bundleDom } from "./bundle_dom.ts";

const MAKERS = {
  "turbo/script_texts.ts": scriptTexts,
  "turbo/redis_client.min.js": () => bundle(redisOptions()),
  "turbo/testing_dom.min.js": bundleDom,
};

/** The generated files. */
export const MADE = Object.keys(MAKERS) as (keyof typeof MAKERS)[];

/** The text of a generated file, from its current sources. */
export async function make(path: keyof typeof MAKERS): Promise<string> {
  try {
    return await MAKERS[path]();
  } finally {
    await stop();
  }
}

/**
 * The client of Redis. The app does not depend on the package, because Deno downloads all packages of the
 * lock file at the first start, even those that are never imported. Nobody calls this function. It is here so
 * that `import.meta.resolve` and tests/deno.lock know the package.
 */
export function importRedis(): Promise<typeof import("npm:@redis/client@6.3.1")> {
  return import("npm:@redis/client@6.3.1");
}

/** Its licence, which the package does not contain, and the file of its types. */
const REDIS_BANNER = `/*! @redis/client 6.3.1
MIT License, Copyright (c) 2022-2023, Redis, inc.: see deploy/licenses.txt */
/* @ts-self-types="./redis_client.min.d.ts" */`;

/** Names of properties of the client's own objects, which are shortened: no other object may have them. */
const OWN_NAMES = `
  advance answer around asked awaited batch cancel changed collect connected connecting covers
  cursorOf delay disconnected epoch failures foreign forget give giveUp held inbox judge kept
  kind losses mark messages monotonic need oldest painted parts position queue receive
  reconnect refetch remember rename rendered rest restart resumed retryAfter runs sending
  settle shell shown skip steps stop succeeded tell tries vain vainly wake wall
`.trim().split(/\s+/);
const OWN = new RegExp(
  `^(${OWN_NAMES.join("|")}|(is|has|was|history|events|webSocket|part|page)[A-Z].*)$`,
);
/** ... except those that the platform or Turbo has, too. */
const OTHERS =
  /^(is(Connected|HTML|Safe|Array|Integer|NaN|Finite|ContentEditable|Intersecting|EqualNode|SameNode)|has(Attributes?|Own|OwnProperty|Focus|ChildNodes|Instance))$/;

async function scriptTexts(): Promise<string> {
  const keep = await bundle(clientOptions("client_keep"));
  const hints = await bundle(clientOptions("client_hints"));
  const client = await bundle({
    ...clientOptions("client"),
    mangleProps: OWN,
    reserveProps: OTHERS,
  });
  const texts = {
    TURBO: await bundle(turboOptions()),
    CLIENT: client
      .replace('"./client_keep.js"', `"./turbo-stream-keep-${hashOf(keep)}.js"`)
      .replace('"./client_hints.js"', `"./turbo-stream-hints-${hashOf(hints)}.js"`),
    CLIENT_KEEP: keep,
    CLIENT_HINTS: hints,
  };
  const constants = Object.entries(texts).map(([name, text]) => {
    const brotli = brotliCompressSync(text).toString("base64"); // at its best level
    return `export const ${name}: PackedText = {
  hash: "${hashOf(text)}",
  brotli: "${brotli}",
};
`;
  });
  return `/**
 * The scripts of a page, minified and compressed by Brotli: made by \`deno task bundle\`, see tests/bundle.ts.
 *
 * @module
 */
import type { PackedText } from "./assets.ts";

${constants.join("")}`;
}

/** The hash in the name of an asset with this text. */
function hashOf(text: string): string {
  return asset("/", text, "").path.slice("/-".length);
}

/** A module and the modules that only it imports, minified. */
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

/** Keeps the names of Turbo's properties, which pages use, and the comments about its licence. */
function turboOptions(): BuildOptions {
  const path = fileURLToPath(import.meta.resolve("@hotwired/turbo/dist/turbo.es2017-esm.js"));
  return { entryPoints: [path], legalComments: "eof" };
}

function clientOptions(name: string): BuildOptions {
  return {
    entryPoints: [fileURLToPath(new URL(`../turbo/${name}.js`, import.meta.url))],
    external: ["./client_keep.js", "./client_hints.js"],
  };
}

function redisOptions(): BuildOptions {
  const path = fileURLToPath(import.meta.resolve("npm:@redis/client@6.3.1"));
  const folder = JSON.stringify(`${dirname(path)}/lib/`).slice(0, -1);
  const contents = `
import RedisClient from ${folder}client/index.js";
export const createClient = RedisClient.create;
export { ErrorReply } from ${folder}errors.js";
`;
  return {
    stdin: { contents, resolveDir: "/" },
    platform: "node",
    banner: { js: REDIS_BANNER },
    charset: "utf8",
    legalComments: "none",
    plugins: [NODE_MODULES, OWN_COMMANDS],
  };
}

/**
 * Leaves out what is most of the client: the commands that it offers as methods, and what it knows of them for
 * its cache. They are sent here by `sendCommand()`. The commands that remain are those that it sends by itself.
 */
const OWN_COMMANDS: Plugin = {
  name: "own commands",
  setup(build) {
    build.onLoad({ filter: /\/lib\/commands\/index\.js$/ }, ({ path }) => ({
      contents: `
import AUTH from "./AUTH.js";
import CLIENT_SETNAME from "./CLIENT_SETNAME.js";
import READONLY from "./READONLY.js";
export default { AUTH, CLIENT_SETNAME, READONLY };
export const NON_STICKY_COMMANDS = {};
`,
      resolveDir: dirname(path),
    }));
    build.onLoad({ filter: /\/command-metadata-data\.js$/ }, () => ({
      contents: "export const COMMAND_METADATA = {};",
    }));
  },
};

/**
 * Replaces each `require` of a module of Node by an import, so that the file works from any URL. Other
 * modules that are missing are optional for the package, and not used here.
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
