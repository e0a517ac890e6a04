/**
 * Programs of this folder in processes of their own, for what cannot be done to oneself: to be
 * stopped, killed or cut off.
 *
 * @module
 */
import { until, within } from "./kit.ts";

/** A program that runs until the test ends. */
export interface TestChild extends AsyncDisposable {
  /** The process. */
  readonly process: Deno.ChildProcess;
  /** The lines that it has written to standard output. */
  readonly lines: string[];
  /** What it has written to standard error. */
  readonly errors: string;
  /** Gives it a line. */
  tell(line: string): Promise<void>;
  /** The first line from now on, or from the given index, that fits. */
  line(pattern: RegExp, options?: { from?: number; milliseconds?: number }): Promise<string>;
}

/** Starts a program of this folder, or with `command` any other in front of it. */
export function startChild(
  program: string,
  args: readonly string[] = [],
  { command = [], flags = ["-A"] }: { command?: readonly string[]; flags?: readonly string[] } = {},
): TestChild {
  const path = new URL(program, import.meta.url).pathname;
  const [first = "", ...rest] = [...command, Deno.execPath(), "run", ...flags, path, ...args];
  const process = new Deno.Command(first, {
    args: rest,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const lines: string[] = [];
  let errors = "";
  const reading = Promise.all([
    (async () => {
      let rest = "";
      for await (const chunk of process.stdout.pipeThrough(new TextDecoderStream())) {
        const parts = (rest + chunk).split("\n");
        rest = parts.pop()!;
        lines.push(...parts);
      }
    })(),
    (async () => {
      for await (const chunk of process.stderr.pipeThrough(new TextDecoderStream())) {
        errors += chunk;
      }
    })(),
  ]);
  const writer = process.stdin.getWriter();
  let ended = false;
  process.status.then(() => ended = true);
  return {
    process,
    lines,
    get errors() {
      return errors;
    },
    async tell(line) {
      await writer.write(new TextEncoder().encode(line + "\n"));
    },
    async line(pattern, { from = lines.length, milliseconds } = {}) {
      let found: string | undefined;
      await until(
        () => {
          found = lines.slice(from).find((line) => pattern.test(line));
          if (ended && found === undefined) throw new Error(`${program} ended: ${errors}`);
          return found !== undefined;
        },
        `${program} writes ${pattern}`,
        milliseconds,
      );
      return found!;
    },
    async [Symbol.asyncDispose]() {
      try {
        process.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended already
      }
      await within(process.status, `${program} to end`);
      await writer.close().catch(() => {}); // the pipe is gone with the process
      await within(reading, `the output of ${program} to end`);
    },
  };
}
