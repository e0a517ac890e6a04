/**
 * The import map by which a process runs the tests with other files in the place of some of ours.
 *
 * @module
 */

/** The imports of deno.json, as an import map needs them. */
export async function importsOfProject(): Promise<Record<string, string>> {
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const { imports } = JSON.parse(config);
  // An import map does not know the paths in a package, as the imports of deno.json do.
  imports["hono/"] = `${imports.hono.replace("npm:", "npm:/")}/`;
  return imports;
}
