/**
 * Makes the package for npm, `dist/turbo-deno-turbo-VERSION.tgz`: `deno task pack`. Deno makes JavaScript
 * and declarations of the files that deno.json publishes, and npm the archive.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("..", import.meta.url).pathname;

/** What npm is told beside what `deno pack` takes from deno.json. */
const MANIFEST = {
  description: config.description,
  keywords: ["hono", "turbo", "turbo-streams", "hotwire", "websocket", "sse", "server-sent-events"],
  engines: { node: ">=22", deno: ">=2.5", bun: ">=1.3" },
  // The app's own: of two copies, neither would know the other's context.
  dependencies: undefined,
  peerDependencies: { hono: config.imports.hono.replace("npm:hono@", "^") },
};

/** Makes the archive in a folder, and returns its path. */
export async function pack(folder: string): Promise<string> {
  const directory = await Deno.makeTempDir();
  try {
    const archive = `${directory}/deno.tgz`;
    await run(Deno.execPath(), ["pack", "--allow-dirty", "--no-source-maps", "-o", archive], ROOT);
    await run("tar", ["-xzf", archive], directory);
    const path = `${directory}/package/package.json`;
    const manifest = { ...JSON.parse(await Deno.readTextFile(path)), ...MANIFEST };
    await Deno.writeTextFile(path, JSON.stringify(manifest, undefined, 2));
    await Deno.mkdir(folder, { recursive: true });
    const name = await run(
      "npm",
      ["pack", "--silent", "--pack-destination", folder],
      `${directory}/package`,
    );
    return `${folder}/${name}`;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const command = new Deno.Command(program, {
    args: [...args],
    cwd,
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  const [output, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  if (!success) throw new Error(`${program} ${args.join(" ")} failed:\n${errors}`);
  return output!;
}

if (import.meta.main) console.log(await pack(`${ROOT}dist`));
