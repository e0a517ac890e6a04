/**
 * Where the processor time of a server goes, by `perf` (perf-record(1)).
 *
 * @module
 */

/** Shares of the processor time, which add up to 1. */
export interface Shares {
  /** In the kernel: system calls, and the packets that are handled during those. */
  kernel: number;
  /** In the program and its libraries. */
  native: number;
  /** In code that V8 or another engine has compiled. */
  compiled: number;
}

/** The reason why `perf` cannot be used here; `undefined` where it can. */
export async function perfProblem(): Promise<string | undefined> {
  try {
    const { success, stderr } = await new Deno.Command("perf", {
      args: ["record", "-q", "-e", "cpu-clock", "-o", "/dev/null", "true"],
      stdout: "null",
      stderr: "piped",
    }).output();
    return success ? undefined : new TextDecoder().decode(stderr).trim().split("\n").at(-1);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no perf here";
    throw error;
  }
}

/** Samples the processes while some work runs. */
export async function profile(
  pids: readonly number[],
  work: () => Promise<void>,
): Promise<Shares> {
  const file = await Deno.makeTempFile({ prefix: "turbo-deno-perf-" });
  try {
    const recording = new Deno.Command("perf", {
      args: ["record", "-q", "-F", "1999", "-e", "cpu-clock", "-o", file, "-p", pids.join()],
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    await new Promise((done) => setTimeout(done, 300)); // until it has attached itself
    try {
      await work();
    } finally {
      recording.kill("SIGINT");
      await recording.status;
    }
    return sharesOf(await report(file));
  } finally {
    await Deno.remove(file);
  }
}

async function report(file: string): Promise<string> {
  const args = ["report", "-i", file, "--stdio", "--sort", "dso", "-F", "overhead,dso"];
  const { stdout } = await new Deno.Command("perf", { args, stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}

/** Reads lines such as `  69.50%  [kernel.kallsyms]`. */
function sharesOf(text: string): Shares {
  const shares = { kernel: 0, native: 0, compiled: 0 };
  for (const [, percent, object = ""] of text.matchAll(/^\s*([\d.]+)%\s+(\S.*)$/gm)) {
    shares[partOf(object)] += Number(percent) / 100;
  }
  return shares;
}

function partOf(object: string): keyof Shares {
  if (/^\[(guest\.)?kernel/.test(object)) return "kernel";
  return /^\[JIT\]|anon|^\[unknown\]/.test(object) ? "compiled" : "native";
}
