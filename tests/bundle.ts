/**
 * Makes of the browser's side the two files that pages load: `deno task bundle`. They are kept with the
 * source, so that nothing has to be built where the app runs or is published; a test says when they are out
 * of date.
 *
 * @module
 */
import { build, stop } from "npm:esbuild@0.25.12";

/** The files that pages load, by the module that each is made of. */
export const BUNDLES: ReadonlyMap<string, URL> = new Map(
  ["client", "client_keep"].map((
    name,
  ) => [name, new URL(`../turbo/${name}.min.js`, import.meta.url)]),
);

/** What the classes of the client have under such a name, ... */
const OWN = /^(is|has|was|history|events|webSocket|part)[A-Z]/;
/** ... but not the platform or Turbo. */
const OTHERS =
  /^(is(Connected|HTML|Safe|Array|Integer|NaN|Finite|ContentEditable|Intersecting|EqualNode|SameNode)|has(Attributes?|Own|OwnProperty|Focus|ChildNodes|Instance))$/;

/** A module of the browser's side with those that only it imports, minified. */
export async function bundle(name: string): Promise<string> {
  try {
    const { outputFiles } = await build({
      entryPoints: [new URL(`../turbo/${name}.js`, import.meta.url).pathname],
      external: ["./client_keep.js", "./client_hints.js"],
      bundle: true,
      minify: true,
      ...(name === "client" && { mangleProps: OWN, reserveProps: OTHERS }),
      format: "esm",
      target: "es2022",
      charset: "utf8",
      write: false,
    });
    return outputFiles[0]!.text;
  } finally {
    await stop();
  }
}

if (import.meta.main) {
  for (const [name, file] of BUNDLES) await Deno.writeTextFile(file, await bundle(name));
}
