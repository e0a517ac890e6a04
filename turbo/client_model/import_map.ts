/**
 * The import map with which a process runs the tests while some files are replaced by mutants.
 *
 * @module
 */

/** The imports of deno.json, in the form of an import map. */
export async function importsOfProject(): Promise<Record<string, string>> {
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const { imports } = JSON.parse(config);
<<<<<<< HEAD
  // An import map does not know the paths in a package, as the imports of deno.json do.
  imports["hono/html"] = `${imports.hono}/html`;
=======
  // Unlike the imports of deno.json, an import map needs an entry for the paths within a package.
  for (const path of ["hono/html", "@hotwired/turbo/dist/turbo.es2017-esm.js"]) {
    const name = Object.keys(imports).find((name) => path.startsWith(`${name}/`))!;
    imports[path] = path.replace(name, imports[name]);
  }
>>>>>>> refs/heads/w-english
  return imports;
}
