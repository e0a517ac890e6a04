/**
 * Unpacks the Chromium of an npm package and prints where it is, as JSON: a program of its own, because the
 * package goes by the environment and changes it, and test files that run at the same time share theirs.
 *
 * @module
 */
import { within } from "./kit.ts";

/** The Chromium that was unpacked. */
export interface UnpackedChromium {
  /** The program. */
  readonly executablePath: string;
  /** Where its libraries are, on a machine that has not got them. */
  readonly libraries: string | null;
}

const CACHE = new URL("../.cache/chromium/", import.meta.url).pathname;

/** Unpacks it where that has not been done; the folder is kept between runs. */
export async function unpackedChromium(): Promise<UnpackedChromium> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--lock=tests/deno.lock", import.meta.url],
    cwd: new URL("../", import.meta.url).pathname,
    // It unpacks into the directory for temporary files, and brings libraries of its own if it believes
    // that it runs on Lambda.
    env: { TMPDIR: CACHE, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs22.x" },
    stdin: "null",
    stderr: "inherit",
  });
  const { success, stdout } = await within(command.output(), "Chromium to be unpacked", 120_000);
  if (!success) throw new Error("Chromium cannot be unpacked");
  return JSON.parse(new TextDecoder().decode(stdout));
}

if (import.meta.main) {
  const { default: packaged } = await import("npm:@sparticuz/chromium@153.0.0");
  const executablePath = await packaged.executablePath();
  const unpacked: UnpackedChromium = {
    executablePath,
    libraries: Deno.env.get("LD_LIBRARY_PATH") ?? null,
  };
  console.log(JSON.stringify(unpacked));
}
