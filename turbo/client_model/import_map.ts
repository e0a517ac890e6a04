/**
 * The import map with which a process runs the tests while some files are replaced by mutants.
 *
 * @module
 */

/** The imports of deno.json, in the form of an import map. */
export async function importsOfProject(): Promise<Record<string, string>> {
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const { imports } = JSON.parse(config);
  // Unlike the imports of deno.json, an import map needs an entry for the paths within a package.
  imports["hono/"] = `${imports.hono.replace("npm:", "npm:/")}/`;
  return imports;
}
