/**
 * Compiles the app into executables: `deno task compile` makes one for this machine, `deno task compile:all`
 * one for each system in {@linkcode TARGETS}.
 *
 * @module
 */
import config from "../deno.json" with { type: "json" };

/** The systems of `deno task compile:all`, each with the name that Deno has for it. */
export const TARGETS: Readonly<Record<string, string>> = {
  "linux-x64": "x86_64-unknown-linux-gnu",
  "linux-arm64": "aarch64-unknown-linux-gnu",
  "macos-x64": "x86_64-apple-darwin",
  "macos-arm64": "aarch64-apple-darwin",
  "windows-x64": "x86_64-pc-windows-msvc",
};

/** Options of {@linkcode compileArguments}. */
export interface CompileOptions {
  /** The path of the executable; Deno adds `.exe` for Windows. Default `dist/turbo-deno`. */
  output?: string;
  /** The system as Deno names it. Default: that of this machine. */
  target?: string;
}

/**
 * The permissions of the app, as flags. `deno compile -P` would read the same set of deno.json, but would
 * make an absolute path of `state`: the executable could keep its state only where it was compiled.
 */
export const PERMISSIONS: string[] = Object.entries(config.permissions.default).map(
  ([kind, allowed]) => `--allow-${kind}${allowed === true ? "" : `=${allowed}`}`,
);

/** The folder of deno.json. */
const ROOT = `${import.meta.dirname}/..`;

/** The arguments of `deno`, which has to run in the folder of deno.json. */
export function compileArguments(options: CompileOptions = {}): string[] {
  const { output = "dist/turbo-deno", target } = options;
  const system = target === undefined ? [] : ["--target", target];
  const flags = ["--bundle", "--minify", "--no-prompt", ...PERMISSIONS, ...system];
  return ["compile", ...flags, "--output", output, "main.ts"];
}

/** Compiles the app, and exits where that fails. */
async function compile(options: CompileOptions = {}): Promise<void> {
  const args = compileArguments(options);
  const { code } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).spawn().status;
  if (code !== 0) Deno.exit(code);
}

if (import.meta.main) {
  if (!Deno.args.includes("--all")) await compile();
  else {
    for (const [name, target] of Object.entries(TARGETS)) {
      await compile({ output: `dist/turbo-deno-${name}`, target });
    }
  }
}
