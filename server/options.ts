/**
 * The options of the app: their flags, their variables, and their defaults.
 *
 * @module
 */
import { MAX_NAME } from "./load_row.ts";
import { FORMATS, LEVELS } from "./log.ts";
import {
  type Asked,
  basePath,
  hostname,
  hosts,
  integer,
  number,
  type Options,
  origins,
  parseSettings as parseSettingsOf,
  path,
  readEnv,
  redisUrl,
  seconds,
  type SettingsOf,
  shortName,
  word,
} from "./settings.ts";

/** The options of the command line and their environment variables. */
export const OPTIONS = {
  port: {
    flag: "--port",
    placeholder: "N",
    variable: "PORT",
    parse: integer(0, 65_535),
    default: 8000,
    help: "Port to listen on, 0 for a free one",
  },
  hostname: {
    flag: "--hostname",
    placeholder: "H",
    variable: "HOST",
    parse: hostname,
    default: "0.0.0.0",
    help: "Address to listen on",
  },
  interval: {
    flag: "--interval",
    placeholder: "SECONDS",
    variable: "INTERVAL",
    parse: seconds(0.05, 86_400),
    default: 5,
    help: "Time between two readings, at least 0.05",
  },
  maxConnections: {
    flag: "--max-connections",
    placeholder: "N",
    variable: "MAX_CONNECTIONS",
    parse: integer(1, 1_000_000),
    default: 10_000,
    help: "Most open pages at a time",
  },
  allowOrigin: {
    flag: "--allow-origin",
    placeholder: "URL",
    variable: "ALLOW_ORIGIN",
    parse: origins,
    default: [],
    help: "Another origin whose pages may connect; repeat the option, or separate with commas",
    repeatable: true,
  },
  allowHost: {
    flag: "--allow-host",
    placeholder: "HOST",
    variable: "ALLOW_HOST",
    parse: hosts,
    default: [],
    help: "Host name that the app answers to; a request for any other gets 421, against DNS " +
      "rebinding; repeat the option, or separate with commas",
    repeatable: true,
  },
  maxMemory: {
    flag: "--max-memory",
    placeholder: "MIB",
    variable: "MAX_MEMORY",
    parse: integer(0, 1_048_576),
    default: 1024,
    defaultIn: onHost(640),
    help: "Memory above which the process closes all connections and exits with code 3, to be " +
      "restarted; 0 for no limit; 640 by default on a Deno host",
  },
  base: {
    flag: "--base",
    placeholder: "PATH",
    variable: "BASE_PATH",
    parse: basePath,
    default: undefined,
    help: "Path below which a proxy offers the app, such as /load, whether the proxy removes it " +
      "from the requests or not",
  },
  drain: {
    flag: "--drain",
    placeholder: "SECONDS",
    variable: "DRAIN",
    parse: seconds(0, 3_600),
    default: 10,
    defaultIn: onHost(4),
    help: "Time from SIGTERM or SIGINT to the end, in which all connections are closed; 4 by " +
      "default on a Deno host",
  },
  state: {
    flag: "--state",
    placeholder: "FILE",
    variable: "STATE_FILE",
    parse: path,
    default: undefined,
    help:
      "File that lets open pages continue after a clean restart; FILE.readings beside it keeps " +
      "the readings of the last day; permitted in state/ and /var/lib/turbo-deno",
  },
  redis: {
    flag: "--redis",
    placeholder: "URL",
    variable: "REDIS_URL",
    parse: redisUrl,
    default: undefined,
    help:
      "Redis or Valkey server, redis:// or rediss://; all processes with the same server and key " +
      "form one app; give a password in the environment, where other users cannot see it",
  },
  redisKey: {
    flag: "--redis-key",
    placeholder: "KEY",
    variable: "REDIS_KEY",
    parse: shortName(200),
    default: "turbo",
    help: "Key on that server, the same for all processes of one app",
  },
  node: {
    flag: "--node",
    placeholder: "NAME",
    variable: "NODE_NAME",
    parse: shortName(MAX_NAME),
    default: undefined,
    help: "Name of this machine in the pages; by default its host name",
  },
  warn: {
    flag: "--warn",
    placeholder: "LOAD",
    variable: "WARN",
    parse: number(0.01, 1_000),
    default: undefined,
    help: "Load for each CPU, such as 1.0, above which the pages and the log warn",
  },
  logLevel: {
    flag: "--log-level",
    placeholder: "LEVEL",
    variable: "LOG_LEVEL",
    parse: word(...LEVELS),
    default: "info" as const,
    help: "Least important events that the log has: error, warn, info or debug",
  },
  logFormat: {
    flag: "--log-format",
    placeholder: "FORMAT",
    variable: "LOG_FORMAT",
    parse: word(...FORMATS),
    default: "auto" as const,
    help: "Form of a line of the log on standard error: json, text, or auto, which is text on a " +
      "terminal and JSON elsewhere",
  },
  inspector: {
    flag: "--inspector",
    help: "Show at /inspector which push reached which page, and why not, to a browser on this " +
      "machine alone",
  },
  healthcheck: {
    flag: "--healthcheck",
    help:
      "Start nothing; ask the process with the same options whether it is ready, and exit with " +
      "0 or 1",
  },
} satisfies Options;

/** The values of {@linkcode OPTIONS}. */
export type Settings = SettingsOf<typeof OPTIONS>;

/** Reads the settings of the app from the command line and the environment. */
export function parseSettings(
  args: readonly string[],
  env: (name: string) => string | undefined,
): Settings | Asked {
  return parseSettingsOf(OPTIONS, { args, env });
}

/** A default for a Deno host: it gives a process 768 MB, and kills it 5 s after it has asked it to stop. */
function onHost(value: number): (env: typeof readEnv) => number | undefined {
  return (env) => isOnHost(env) ? value : undefined;
}

/** Whether the process runs on a Deno host. */
export function isOnHost(env: typeof readEnv = readEnv): boolean {
  return env("DENO_DEPLOYMENT_ID") !== undefined;
}
