/**
 * Makes of the browser's side the one file that pages load: `deno task bundle`. It is kept with the source,
 * so that nothing has to be built where the app runs or is published; a test says when it is out of date.
 *
 * @module
 */
import { build, stop } from "npm:esbuild@0.25.12";

const SOURCE = new URL("../turbo/client.js", import.meta.url).pathname;
/** The file that pages load. */
export const BUNDLE: URL = new URL("../turbo/client.min.js", import.meta.url);

/** `client.js` with its modules, minified. What only pages on a loopback address load stays outside. */
export async function bundle(): Promise<string> {
  try {
    const { outputFiles } = await build({
      entryPoints: [SOURCE],
      external: ["./client_hints.js"],
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      charset: "utf8",
      write: false,
      banner: { js: "// Made of client.js by `deno task bundle`." },
    });
    return outputFiles[0]!.text;
  } finally {
    await stop();
  }
}

if (import.meta.main) await Deno.writeTextFile(BUNDLE, await bundle());
