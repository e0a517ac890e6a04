/**
 * Makes the one file that the test page of turbo/testing.ts reads HTML with, of npm packages: a parser
 * that reads it as browsers do (parse5), and a reader of CSS selectors (css-select). The file begins with
 * the licences of all that is in it, because it is published without anything else of them.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { build, type Plugin } from "npm:esbuild@0.25.12";

/**
 * The packages. They are no dependency of the app or of the published package. Nobody calls this: it is
 * here so that `import.meta.resolve` and tests/deno.lock know them.
 */
export async function importDom(): Promise<unknown[]> {
  return [await import("npm:parse5@8.1.1"), await import("npm:css-select@7.0.0")];
}

/** Has the packages that these import found where Deno keeps them. */
const PACKAGES: Plugin = {
  name: "packages",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => ({
      path: createRequire(importer).resolve(path),
    }));
  },
};

/** The file. */
export async function bundleDom(): Promise<string> {
  const [parse5, select] = ["npm:parse5@8.1.1", "npm:css-select@7.0.0"].map((name) =>
    JSON.stringify(new URL(import.meta.resolve(name)).pathname)
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

/** The licences of the packages that some files are of, each text once, as a comment. */
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

/** The folder of the package that a file is of. */
function folderOf(file: string): string | undefined {
  const folder = file.replace(/\/[^/]*$/, "");
  if (folder === "") return undefined;
  return existsSync(`${folder}/LICENSE`) ? folder : folderOf(folder);
}
