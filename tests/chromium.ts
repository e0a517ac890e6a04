/**
 * Unpacks the Chromium of an npm package and prints its paths as JSON. It is a separate program, because the
 * package reads and changes the environment, which test files that run at the same time share.
 *
 * @module
 */
import { within } from "./kit.ts";

/** The paths of the unpacked Chromium. */
export interface UnpackedChromium {
  /** The path of the program. */
  readonly executablePath: string;
  /** The directory of its libraries, on a machine that lacks them. */
  readonly libraries: string | null;
}

const CACHE = new URL("../.cache/chromium/", import.meta.url).pathname;

/** Unpacks it if necessary. The directory is kept between runs. */
export async function unpackedChromium(): Promise<UnpackedChromium> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--lock=tests/deno.lock", import.meta.url],
    cwd: new URL("../", import.meta.url).pathname,
    // The package unpacks into the directory for temporary files, and adds libraries when it believes that it
    // runs on Lambda.
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
