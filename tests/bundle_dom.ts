/**
 * Bundles the npm packages by which the test page of turbo/testing.ts reads HTML: a parser that works as
 * browsers do (parse5), and CSS selectors (css-select). The file begins with the licences of all packages in
 * it, because it is published without their other files.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "npm:esbuild@0.25.12";

/**
 * The packages, which neither the app nor the published package depends on. Nobody calls this function. It is
 * here so that `import.meta.resolve` and tests/deno.lock know them.
 */
export async function importDom(): Promise<unknown[]> {
  return [await import("npm:parse5@8.1.1"), await import("npm:css-select@7.0.0")];
}

/** Finds the packages, and those that they import, in Deno's cache. */
const PACKAGES: Plugin = {
  name: "packages",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => ({
      path: createRequire(importer).resolve(path),
    }));
  },
};

/** Makes the file. */
export async function bundleDom(): Promise<string> {
  const [parse5, select] = ["npm:parse5@8.1.1", "npm:css-select@7.0.0"].map((name) =>
    JSON.stringify(fileURLToPath(import.meta.resolve(name)))
  );
  const contents = `export { parse, parseFragment, serialize, serializeOuter } from ${parse5};
    export { is, selectAll } from ${select};`;
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: "/" },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    write: false,
    metafile: true,
    plugins: [PACKAGES],
  });
  const [output] = Object.values(metafile.outputs);
  const used = Object.entries(output!.inputs)
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([path]) => path);
  return `${licensesOf(used)}\n/* @ts-self-types="./testing_dom.min.d.ts" */\n${
    outputFiles[0]!.text
  }`;
}

/** A comment with the licences of the packages of some files, each text once. */
function licensesOf(files: readonly string[]): string {
  const names = new Map<string, Set<string>>();
  for (const file of files) {
    const folder = folderOf(`/${file}`);
    if (folder === undefined) continue; // the entry
    const { name, version } = JSON.parse(Deno.readTextFileSync(`${folder}/package.json`));
    const text = Deno.readTextFileSync(`${folder}/LICENSE`).trim();
    names.set(text, (names.get(text) ?? new Set()).add(`${name} ${version}`));
  }
  const parts = [...names].map(([text, of]) => `${[...of].sort().join(", ")}:\n\n${text}`);
  return `/*!\n${parts.sort().join("\n\n\n")}\n*/`;
}

/** The folder of the package that a file belongs to. */
function folderOf(file: string): string | undefined {
  const folder = file.replace(/\/[^/]*$/, "");
  if (folder === "") return undefined;
  return existsSync(`${folder}/LICENSE`) ? folder : folderOf(folder);
}
