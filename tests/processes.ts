/**
 * Programs in processes of their own, so that tests can stop them, kill them, or cut them
 * off from the network.
 *
 * @module
 */
import type { StreamAppOptions, StreamReport } from "./apps/stream_app.ts";
import { PERMISSIONS } from "./compile.ts";
import { assertNotQuick, until, within } from "./kit.ts";

/** A line of the log of `main.ts`, and its further fields. */
export interface TestEvent extends Readonly<Record<string, unknown>> {
  /** How important it is. */
  readonly level: string;
  /** What it says. */
  readonly message: string;
}

/** A running program, which ends with the test. */
export interface TestProcess extends AsyncDisposable {
  /** The process. */
  readonly child: Deno.ChildProcess;
  /** The lines that it has written to standard output. */
  readonly lines: string[];
  /** The text that it has written to standard error. */
  readonly errors: string;
  /** The events among its whole lines on standard error, where its log is JSON. */
  readonly events: readonly TestEvent[];
  /** Resolves to its exit code when it has ended and all its output is read. */
  readonly ended: Promise<number>;
  /** Writes a line to its standard input. */
  tell(line: string): Promise<void>;
  /** The first matching line from now on, or from an index on. The deadline is as for `until`. */
  line(pattern: RegExp, options?: { from?: number; milliseconds?: number }): Promise<string>;
  /** The first event, from the start on, whose message matches. The deadline is as for `until`. */
  event(pattern: RegExp): Promise<TestEvent>;
}

/** Options of a program. */
export interface StartOptions {
  /** The command before `deno run`, such as `["ip", "netns", "exec", "name"]`. */
  command?: readonly string[];
  /** The flags of `deno run`. Default `-A`. */
  flags?: readonly string[];
  /** What runs the program in place of Deno, such as `["node"]`. */
  runtime?: readonly string[];
  /** Additional environment variables. */
  env?: Readonly<Record<string, string>>;
  /** The directory in which it runs. Default: that of this process. */
  cwd?: string;
}

/** The permissions of `deno task start`, as flags for any directory. */
export const START_FLAGS: string[] = ["--no-prompt", ...PERMISSIONS];

const MAIN = "../main.ts";

/** Starts a program, whose path is relative to this directory. */
export function startProcess(
  program: string,
  args: readonly string[] = [],
  options: StartOptions = {},
): TestProcess {
  return follow(spawn(program, args, options), program);
}

/** Starts any program, Deno or another, with its arguments. */
export function startCommand(
  command: readonly string[],
  { env = {}, cwd = Deno.cwd() }: Pick<StartOptions, "env" | "cwd"> = {},
): TestProcess {
  assertNotQuick("WITH_PROCESS");
  return follow(spawnCommand(command, { env, cwd }), command[0]!);
}

function follow(child: Deno.ChildProcess, program: string): TestProcess {
  const lines: string[] = [];
  let errors = "";
  const reading = Promise.all([
    (async () => {
      let rest = "";
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        const parts = (rest + chunk).split("\n");
        rest = parts.pop()!;
        lines.push(...parts);
      }
    })(),
    (async () => {
      for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
        errors += chunk;
      }
    })(),
  ]);
  const writer = child.stdin.getWriter();
  let hasEnded = false;
  const ended = Promise.all([child.status, reading]).then(([{ code }]) => {
    hasEnded = true;
    return code;
  });
  return {
    child,
    lines,
    get errors() {
      return errors;
    },
    get events() {
      return eventsIn(errors);
    },
    ended,
    async tell(line) {
      await writer.write(new TextEncoder().encode(line + "\n"));
    },
    async line(pattern, { from = lines.length, milliseconds } = {}) {
      let found: string | undefined;
      await until(
        () => {
          found = lines.slice(from).find((line) => pattern.test(line));
          if (hasEnded && found === undefined) throw new Error(`${program} ended: ${errors}`);
          return found !== undefined;
        },
        `${program} writes ${pattern}`,
        milliseconds,
      );
      return found!;
    },
    async event(pattern) {
      const found = () => eventsIn(errors).find(({ message }) => pattern.test(message));
      await until(() => {
        if (hasEnded && !found()) throw new Error(`${program} ended: ${errors}`);
        return found() !== undefined;
      }, `${program} logs ${pattern}`);
      return found()!;
    },
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended already
      }
      await within(ended, `${program} to end`);
      await writer.close().catch(() => {}); // the pipe is gone with the process
    },
  };
}

/** The events in a log; lines that are none, and a line that is not yet whole, are left out. */
export function eventsIn(text: string): TestEvent[] {
  return text.split("\n").slice(0, -1).filter((line) => line.startsWith('{"time":'))
    .map((line) => JSON.parse(line));
}

/** A running server program. */
export interface TestServerProcess extends TestProcess {
  /** Its URL. */
  readonly url: string;
  /** The port. */
  readonly port: number;
}

/** Starts a server program, and waits until it logs its URL. */
export async function startServer(
  program: string,
  args: readonly string[] = [],
  options: StartOptions = {},
): Promise<TestServerProcess> {
  const process = startProcess(program, args, options);
  try {
    const line = await process.line(/^Listening on http/, { from: 0 });
    const url = /http:\/\/[^\s/]+/.exec(line)![0];
    return Object.assign(process, { url, port: Number(new URL(url).port) });
  } catch (error) {
    await process[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts `main.ts` as `deno task start` does, on a free port. */
export function startApp(
  args: readonly string[] = ["--port=0", "--hostname=127.0.0.1"],
  options: StartOptions = {},
): Promise<TestServerProcess> {
  return startServer(MAIN, args, { flags: START_FLAGS, ...options });
}

/** Only a stream, in a process of its own. */
export interface TestStreamProcess extends TestServerProcess {
  /** Its resources, after garbage collection. */
  report(): Promise<StreamReport>;
}

/** Starts `apps/stream_app.ts`. */
export async function startStream(options: StreamAppOptions = {}): Promise<TestStreamProcess> {
  const flags = ["-A", "--v8-flags=--expose-gc"];
  const app = await startServer("apps/stream_app.ts", [JSON.stringify(options)], { flags });
  const report = async () => {
    const from = app.lines.length;
    await app.tell("report");
    return JSON.parse(await app.line(/^{/, { from }));
  };
  return Object.assign(app, { report });
}

/** Runs `main.ts` to its end, for cases in which it does not start. */
export async function endApp(
  args: readonly string[],
  options: StartOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(MAIN, args, { flags: START_FLAGS, ...options });
  await child.stdin.close();
  const { code, stdout, stderr } = await within(child.output(), "the app to end");
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function spawn(
  program: string,
  args: readonly string[],
  { command = [], flags = ["-A"], runtime, env = {}, cwd = Deno.cwd() }: StartOptions,
): Deno.ChildProcess {
  assertNotQuick("WITH_PROCESS");
  const path = new URL(program, import.meta.url).pathname;
  const running = runtime ?? [Deno.execPath(), "run", ...flags];
  return spawnCommand([...command, ...running, path, ...args], { env, cwd });
}

function spawnCommand(
  [first = "", ...rest]: readonly string[],
  { env, cwd }: Required<Pick<StartOptions, "env" | "cwd">>,
): Deno.ChildProcess {
  return new Deno.Command(first, {
    args: rest,
    env: { NO_COLOR: "1", ...env },
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs a program to its end, and returns what it writes to standard output; throws where it fails. */
export async function outputOf(
  [program = "", ...args]: readonly string[],
  options: Pick<StartOptions, "env" | "cwd"> = {},
): Promise<string> {
  const command = new Deno.Command(program, { args, stdin: "null", ...options });
  const { success, stdout, stderr } = await within(command.output(), program, 120_000);
  const [output, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  if (!success) throw new Error(`${[program, ...args].join(" ")} failed: ${output}\n${errors}`);
  return output!;
}

/** Whether a program exists and exits with 0 for these arguments. */
export async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  try {
    const command = new Deno.Command(program, { args, stdout: "null", stderr: "null" });
    return (await command.output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
