/**
 * Pushes from outside the app's own processes, by the class {@linkcode Pusher} or by a command: see
 * `deno run turbo/push.ts --help`.
 *
 * @module
 */
import process from "node:process";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import type { PushOptions } from "./audience.ts";
import { raw } from "./html.ts";
import { Pusher, type PusherOptions } from "./pusher.ts";
import { reasonOf } from "./report.ts";
import * as streams from "./streams.ts";
import type { Stream, Target } from "./streams.ts";

export type { PushOptions } from "./audience.ts";
export { Pusher, type PusherOptions } from "./pusher.ts";
export type { Stream, Streams } from "./streams.ts";

const HELP = `Pushes a Turbo Stream into every open page of an app whose nodes share a Redis.

Usage: deno run --allow-net push.ts [options] ACTION TARGET [CONTENT]
       turbo-push [options] ACTION TARGET [CONTENT]   (from npm)

ACTION is append, prepend, before, after, replace, update, remove or refresh (which has no TARGET).
TARGET is the id of an element. CONTENT is HTML; where it is - or left out, it is read from the
standard input.

  --redis URL       The server, redis://host:port or rediss://user:password@host (REDIS_URL, where
                    --allow-env=REDIS_URL lets it be read)
  --redis-key KEY   The key of the app's stream (turbo)
  --to NAME         Only to this reader; repeat the option for more
  --topic TOPIC     Only to listeners of this topic; repeat the option for more
  --except PAGE     Not to the page with this id
  --all             TARGET is a CSS selector, for all elements that match it
  --text            CONTENT is text, and is escaped
  --morph           Morph the existing elements (replace, update, refresh)
  --timeout SECONDS Give up after this time (5)
  -h, --help        Show this help

The exit code is 0 when the server has stored the push, 1 when it could not be pushed, and 2 when the
command line is wrong.`;

const OPTIONS = {
  "redis": { type: "string" },
  "redis-key": { type: "string" },
  "to": { type: "string", multiple: true },
  "topic": { type: "string", multiple: true },
  "except": { type: "string" },
  "all": { type: "boolean" },
  "text": { type: "boolean" },
  "morph": { type: "boolean" },
  "timeout": { type: "string" },
  "help": { type: "boolean", short: "h" },
} as const;

/** A parsed command line. */
export interface PushCommand {
  /** Where to push. */
  readonly to: PusherOptions;
  /** Makes the stream to push from its content. */
  stream(content: string): Stream;
  /** Whom the push is for. */
  readonly options: PushOptions;
  /** The content; `undefined` where it must be read from the standard input. */
  readonly content: string | undefined;
}

/** An error in the command line. Its message is one line. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The actions with content. */
const FILLING = ["append", "prepend", "before", "after", "replace", "update"] as const;
const MORPHING = ["replace", "update", "refresh"];

/**
 * Reads a command line.
 *
 * @throws {Error} in one line, where something is wrong with it
 */
export function parseCommand(
  args: readonly string[],
  url: string | undefined,
): PushCommand | "help" {
  const { values, positionals } = parse(args);
  if (values.help) return "help";
  const [action, ...rest] = positionals;
  const isRefresh = action === "refresh";
  const [target, content, ...more] = isRefresh ? [undefined, "", ...rest] : rest;
  const filling = FILLING.find((name) => name === action);
  if (!filling && !isRefresh && action !== "remove") {
    throw new UsageError(
      action === undefined ? "an ACTION is needed" : `there is no action ${JSON.stringify(action)}`,
    );
  }
  if (!isRefresh && target === undefined) throw new UsageError(`${action} needs a TARGET`);
  if (more.length > 0 || (!filling && content)) {
    throw new UsageError(`${action} takes no ${JSON.stringify(more[0] ?? content)}`);
  }
  if (values.morph && !MORPHING.includes(action!)) {
    throw new UsageError(`--morph is for ${MORPHING.join(", ")}`);
  }
  const redis = values.redis ?? url;
  if (redis === undefined) throw new UsageError("--redis URL is needed");
  const { to, topic, except, "redis-key": key } = values;
  return {
    to: { url: redis, ...(key !== undefined && { key }), ...timeoutOf(values.timeout) },
    options: {
      ...(to && { to }),
      ...(topic && { topic }),
      ...(except !== undefined && { except }),
    },
    content: filling ? (content === "-" ? undefined : content) : "",
    stream(content) {
      const at: Target = values.all ? { all: target! } : target!;
      const morph = values.morph ? { morph: true } : undefined;
      if (isRefresh) return streams.refresh(morph);
      if (!filling) return streams.remove(at);
      // It is the caller's own, as in the app's templates.
      const markup = values.text ? content : raw(content);
      return morph && (filling === "replace" || filling === "update")
        ? streams[filling](at, markup, morph)
        : streams[filling](at, markup);
    },
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(error.message.split(/\n|\. /)[0]);
  }
}

function timeoutOf(text: string | undefined): { timeout?: number } {
  if (text === undefined) return {};
  const seconds = Number(text);
  if (/^(\d+\.?\d*|\.\d+)$/.test(text) && seconds >= 0.01 && seconds <= 3600) {
    return { timeout: seconds * 1000 };
  }
  throw new UsageError(
    `--timeout is ${JSON.stringify(text)}: seconds from 0.01 to 3600 are needed`,
  );
}

/** Runs the command of the process's arguments. */
export async function main(): Promise<void> {
  let command: PushCommand | "help";
  let streams: Stream;
  let pusher: Pusher;
  try {
    command = parseCommand(process.argv.slice(2), urlOfEnvironment());
    if (command === "help") return console.log(HELP);
    const { content = await text(process.stdin) } = command;
    streams = command.stream(content);
    pusher = new Pusher(command.to);
  } catch (error) {
    console.error(`push: ${reasonOf(error)} (see --help)`);
    process.exit(2);
  }
  try {
    await pusher.push(streams, command.options);
  } catch (error) {
    console.error(`push: ${reasonOf(error)}`);
    process.exitCode = error instanceof TypeError || error instanceof RangeError ? 2 : 1;
  }
  await pusher.close();
}

function urlOfEnvironment(): string | undefined {
  if (typeof Deno === "undefined") return process.env["REDIS_URL"] || undefined;
  const { state } = Deno.permissions.querySync({ name: "env", variable: "REDIS_URL" });
  return state === "granted" ? Deno.env.get("REDIS_URL") || undefined : undefined;
}

if (import.meta.main) await main();
