/**
 * Reads a program's settings from one table of options. A row has an option's flag, its environment
 * variable, the parser of its value, its default and its description. The settings, their types, the
 * error messages and the text of `--help` all come from the table.
 *
 * @module
 */

/**
 * Parses the value of the flag or variable called `name`.
 *
 * @throws {UsageError} that has the name, the value and what is allowed
 */
export type Parser<T> = (name: string, value: string) => T;

/** One option: a row of the table. */
export interface Option<T> {
  /** Its name on the command line. */
  readonly flag: `--${string}`;
  /** The placeholder for its value in the text of `--help`. */
  readonly placeholder: string;
  /** The name of its environment variable. Default: it has none. */
  readonly variable?: string;
  /** Parses its value. */
  readonly parse: Parser<T>;
  /** The value where neither is set. */
  readonly default: T;
  /** Another default where the environment asks for one, such as on a host; `undefined` for `default`. */
  readonly defaultIn?: (env: (name: string) => string | undefined) => T | undefined;
  /** Its meaning, in a line or two. */
  readonly help: string;
  /** Whether the flag may be repeated; the values are then joined with commas. */
  readonly repeatable?: boolean;
}

/** A flag without a value: another kind of row. Its setting is whether the command line has it. */
export interface Switch {
  /** Its name on the command line. */
  readonly flag: `--${string}`;
  /** Its meaning, in a line or two. */
  readonly help: string;
  /** It has no value. */
  readonly placeholder?: undefined;
  /** It has no environment variable. */
  readonly variable?: undefined;
}

/** The table: each option, by the name of its setting. */
export type Options = Readonly<Record<string, Option<unknown> | Switch>>;

/** The settings that a table describes. */
export type SettingsOf<O extends Options> = {
  [Name in keyof O]: O[Name] extends Option<unknown>
    ? ReturnType<O[Name]["parse"]> | O[Name]["default"]
    : boolean;
};

/** What a command line may ask for instead of starting the program. */
export type Asked = "help" | "version" | "licenses";

/** An error in the command line or the environment. Its message is one line. */
export class UsageError extends Error {
  /** The name of the class. */
  override readonly name = "UsageError";
}

/**
 * Reads the settings from the command line and the environment. A flag overrides its variable, and an empty
 * variable counts as not set. `--help` (`-h`) and `--version` (`-V`) exist with every table, and
 * `--licenses` where the program has licences to show.
 *
 * @throws {UsageError} that names the flag or variable, its value and what is allowed
 *
 * @example A flag, a variable and a default
 * ```ts
 * import assert from "node:assert/strict";
 * import { integer, parseSettings, seconds } from "./settings.ts";
 *
 * const OPTIONS = {
 *   port: {
 *     flag: "--port",
 *     placeholder: "N",
 *     variable: "PORT",
 *     parse: integer(0, 65_535),
 *     default: 8000,
 *     help: "Port to listen on",
 *   },
 *   pause: {
 *     flag: "--pause",
 *     placeholder: "SECONDS",
 *     variable: "PAUSE",
 *     parse: seconds(0, 60),
 *     default: 1,
 *     help: "Time between two attempts",
 *   },
 * } as const;
 *
 * const env: Record<string, string> = { PORT: "80", PAUSE: "2.5" };
 * const settings = parseSettings(OPTIONS, { args: ["--port", "81"], env: (name) => env[name] });
 * assert.deepEqual(settings, { port: 81, pause: 2.5 });
 * ```
 */
export function parseSettings<O extends Options>(
  options: O,
  { args, env, hasLicenses = false }: {
    args: readonly string[];
    env: (name: string) => string | undefined;
    hasLicenses?: boolean;
  },
): SettingsOf<O> | Asked {
  const given = parseFlags(options, args, hasLicenses);
  const asked = ASKED.find((asked) => given.flags.has(`--${asked}`));
  if (asked) return asked;
  const settings = Object.entries(options).map(([name, option]) => {
    if (isSwitch(option)) return [name, given.flags.has(option.flag)];
    const source = sourceOf(option, given, env);
    return [name, source ? option.parse(...source) : option.defaultIn?.(env) ?? option.default];
  });
  return Object.fromEntries(settings) as SettingsOf<O>; // each value comes from its row's parser
}

/**
 * The flag or variable that each setting comes from; `undefined` where it is the default. For errors that
 * show only later, such as an address that cannot be listened on.
 *
 * @throws {UsageError} where the command line cannot be parsed
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { hostname, sourcesOf } from "./settings.ts";
 *
 * const OPTIONS = {
 *   hostname: {
 *     flag: "--hostname",
 *     placeholder: "H",
 *     variable: "HOST",
 *     parse: hostname,
 *     default: "localhost",
 *     help: "Address to listen on",
 *   },
 * } as const;
 *
 * assert.equal(sourcesOf(OPTIONS, { args: [], env: () => "::1" }).hostname, "HOST");
 * ```
 */
export function sourcesOf<O extends Options>(
  options: O,
  { args = Deno.args, env = readEnv }: Pick<Program, "args" | "env"> = {},
): Record<keyof O, string | undefined> {
  const given = parseFlags(options, args, true);
  const sources = Object.entries(options).map(([name, option]) => {
    return [name, isSwitch(option) ? undefined : sourceOf(option, given, env)?.[0]];
  });
  return Object.fromEntries(sources);
}

/** What {@linkcode settingsOrExit} prints, and what it uses of the process. */
export interface Program {
  /** The name of the program. */
  name: string;
  /** What `--version` shows after the name. */
  version: string;
  /** The first line of `--help`. */
  summary: string;
  /** What `--licenses` shows. Default: there is no such option. */
  licenses?: string;
  /** The command line. Default `Deno.args`. */
  args?: readonly string[];
  /** Reads a variable. Default {@linkcode readEnv}. */
  env?: (name: string) => string | undefined;
  /** Receives the texts. Default `console`. */
  log?: Pick<Console, "log" | "error">;
  /** Ends the process. Default `Deno.exit`. */
  exit?: (code: number) => never;
}

/**
 * Reads the settings of this process. Ends the process with code 0 after printing what `--help`, `--version`
 * or `--licenses` asks for, and with code 2 after printing one line where something is wrong.
 */
export function settingsOrExit<O extends Options>(options: O, program: Program): SettingsOf<O> {
  const { name, version, licenses, args = Deno.args, env = readEnv } = program;
  const { log = console, exit = Deno.exit } = program;
  try {
    const settings = parseSettings(options, { args, env, hasLicenses: licenses !== undefined });
    if (typeof settings === "object") return settings;
    const texts = {
      help: helpText(options, program),
      version: `${name} ${version}`,
      licenses: licenses ?? "",
    };
    log.log(texts[settings].trimEnd());
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    log.error(`${name}: ${error.message} (see --help)`);
    return exit(2);
  }
  return exit(0);
}

/** The text of `--help`. */
export function helpText(
  options: Options,
  { name, summary, licenses }: Pick<Program, "name" | "summary" | "licenses">,
): string {
  const rows = Object.values(options).map((option) => {
    const { flag, placeholder, variable = "", help } = option;
    if (isSwitch(option)) return [flag, variable, help];
    return [`${flag} ${placeholder}`, variable, `${help} (${showDefault(option.default)})`];
  });
  rows.push(["--help, -h", "", "Show this text"], ["--version, -V", "", "Show the version"]);
  if (licenses !== undefined) {
    rows.push(["--licenses", "", "Show the licences of all that this program carries"]);
  }
  const widths = [0, 1].map((column) => {
    const width = Math.max(...rows.map((row) => row[column]!.length));
    return width === 0 ? 0 : width + 2;
  });
  const indent = " ".repeat(2 + widths[0]! + widths[1]!);
  const lines = rows.map(([flag = "", variable = "", help = ""]) =>
    `  ${flag.padEnd(widths[0]!)}${variable.padEnd(widths[1]!)}${
      wrap(help, LINE_WIDTH - indent.length).join(`\n${indent}`)
    }\n`
  );
  const note = widths[1] === 0
    ? ""
    : ", with the environment variables that set the same; the option wins";
  return `${summary}\n\nUsage: ${name} [options]\n\nOptions${note}:\n${lines.join("")}`;
}

/** Formats a default for `--help` or a manual: `none` where there is no value. */
export function showDefault(value: unknown): string {
  return value === undefined || String(value) === "" ? "none" : String(value);
}

/** Reads an environment variable; `undefined` also where reading it is not allowed. */
export function readEnv(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

/** A parser for a whole number within limits, which are allowed too. */
export function integer(least: number, most: number): Parser<number> {
  return (name, value) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= least && number <= most) return number;
    throw unfit(name, value, `a whole number from ${least} to ${most} is needed`);
  };
}

/** A parser for seconds within limits, which are allowed too. Fractions are allowed. */
export function seconds(least: number, most: number): Parser<number> {
  return fraction(least, most, `seconds from ${least} to ${most} are needed`);
}

/** A parser for a number within limits, which are allowed too. Fractions are allowed. */
export function number(least: number, most: number): Parser<number> {
  return fraction(least, most, `a number from ${least} to ${most} is needed`);
}

/** A parser for one of some words, in any case. */
export function word<Word extends string>(...words: readonly Word[]): Parser<Word> {
  return (name, value) => {
    const found = words.find((word) => word === value.toLowerCase());
    if (found !== undefined) return found;
    throw unfit(name, value, `${words.slice(0, -1).join(", ")} or ${words.at(-1)} is needed`);
  };
}

/** Parses a host name or an IP address. Only listening on it shows whether it exists. */
export function hostname(name: string, value: string): string {
  if (/^[A-Za-z0-9._:%][A-Za-z0-9._:%-]*$/.test(value)) return value;
  throw unfit(name, value, "a host name or an IP address is needed");
}

/** Parses origins such as `https://example.com`, separated by commas. */
export function origins(name: string, value: string): string[] {
  const list = value.split(",").map((origin) => origin.trim()).filter((origin) => origin !== "");
  for (const origin of list) {
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    const isHttp = url && /^https?:$/.test(url.protocol) && !url.hostname.includes("*");
    if (isHttp && url.origin === origin.replace(/\/$/, "")) continue;
    throw unfit(name, origin, "an origin such as https://example.com is needed");
  }
  return list.map((origin) => new URL(origin).origin);
}

/**
 * Parses hosts such as `example.com` or `localhost:8000`, separated by commas. At least one is needed,
 * because an empty list would allow any host. Each must be as browsers send it in `Host`, or it would never
 * match.
 */
export function hosts(name: string, value: string): string[] {
  const list = value.split(",").map((host) => host.trim()).filter((host) => host !== "");
  if (list.length === 0) throw unfit(name, value, "a host such as example.com is needed");
  for (const host of list) {
    const sent = sentHost(host);
    if (sent === host.toLowerCase()) continue;
    const hint = sent === undefined ? "" : `; browsers send "${sent}"`;
    throw unfit(name, host, `a host such as example.com is needed${hint}`);
  }
  return list.map((host) => host.toLowerCase());
}

/** Parses the path of a file, which need not exist. */
export function path(name: string, value: string): string {
  if (value !== "" && !value.includes("\0")) return value;
  throw unfit(name, value, "the path of a file is needed");
}

/**
 * Parses the path below which an app is reached, such as `/load`. It is returned without a slash at its end;
 * `/` alone is `undefined`. Only characters that no proxy and no browser encodes are allowed.
 */
export function basePath(name: string, value: string): string | undefined {
  const isPath = /^(?:\/[\w.~-]+)*\/?$/.test(value) && value !== "";
  if (isPath && !/\/\.{1,2}(?:\/|$)/.test(value)) return value.replace(/\/$/, "") || undefined;
  throw unfit(name, value, "a path such as /load is needed");
}

/**
 * Parses the URL of a Redis server, such as `redis://:PASSWORD@host:6379/0`, or `rediss://` for TLS. An
 * error does not show the URL, which may contain a password.
 */
export function redisUrl(name: string, value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isRedis = url && /^rediss?:$/.test(url.protocol) && url.hostname !== "" &&
    /^(?:\/\d*)?$/.test(url.pathname) && url.search === "" && url.hash === "" &&
    canDecode(url.username) && canDecode(url.password);
  if (isRedis) return value;
  throw new UsageError(
    `${name} is wrong: a URL such as redis://localhost:6379 or rediss://:PASSWORD@example.com:6380 ` +
      "is needed, special characters of the password as in %40 (what was given is not shown, because " +
      "of the password)",
  );
}

/**
 * A parser for a name with a limited length: anything printable, without line breaks and without characters
 * that turn the direction of what follows.
 */
export function shortName(most: number): Parser<string> {
  return (name, value) => {
    const isShown = value.isWellFormed() && /[^\p{C}\p{Z}]/u.test(value) &&
      !/[\p{Cc}\p{Bidi_Control}]/u.test(value);
    if (isShown && value.length <= most) return value.trim();
    throw unfit(name, value, `a name of 1 to ${most} characters is needed`);
  };
}

/** What every table offers, the most urgent first, and its short flags. */
const ASKED: readonly Asked[] = ["help", "version", "licenses"];
const SHORT: Readonly<Record<string, string>> = { "-h": "--help", "-V": "--version" };

/** The line width of the text of `--help`. */
const LINE_WIDTH = 100;

function fraction(least: number, most: number, needed: string): Parser<number> {
  return (name, value) => {
    const number = Number(value);
    if (/^(?:\d+\.?\d*|\.\d+)$/.test(value) && number >= least && number <= most) return number;
    throw unfit(name, value, needed);
  };
}

/** What a command line holds. */
interface Given {
  /** The values of flags that have one; those of a repeated one are joined with commas. */
  readonly values: ReadonlyMap<string, string>;
  /** The flags without a value. */
  readonly flags: ReadonlySet<string>;
}

// Not by parseArgs() of node:util, which takes Deno 5 ms to load: a fifth of the start of a bare server.
function parseFlags(options: Options, args: readonly string[], hasLicenses: boolean): Given {
  const rows = Object.values(options);
  const values = new Map<string, string>();
  const flags = new Set<string>();
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [, name = arg, attached] = /^(--[^=]+)=(.*)$/s.exec(arg) ?? [];
    const flag = SHORT[name] ?? name;
    const option = rows.find((row) => row.flag === flag);
    const isAsked = ASKED.some((asked) => flag === `--${asked}`) &&
      (hasLicenses || flag !== "--licenses");
    if (option && !isSwitch(option)) {
      const value = attached ?? valueOf(option, rest.shift());
      const earlier = option.repeatable ? values.get(flag) : undefined;
      values.set(flag, earlier === undefined ? value : `${earlier},${value}`);
    } else if (option || isAsked) {
      if (attached !== undefined) throw new UsageError(`${flag} takes no value`);
      flags.add(flag);
    } else if (arg !== "--") {
      const what = arg.startsWith("-") ? "Unknown option" : "Unexpected argument";
      throw new UsageError(`${what} '${withoutPasswords(name)}'`);
    } else if (rest.length > 0) {
      throw new UsageError(`Unexpected argument '${withoutPasswords(rest[0]!)}'`);
    }
  }
  return { values, flags };
}

/** The next argument as the value of an option. It may begin with a hyphen, such as -1, but not be a flag. */
function valueOf({ flag, placeholder }: Option<unknown>, next: string | undefined): string {
  if (next !== undefined && !/^(?:--.*|-[hV])$/s.test(next)) return next;
  throw new UsageError(`${flag} has no value: ${flag} ${placeholder} is needed`);
}

function isSwitch(option: Option<unknown> | Switch): option is Switch {
  return option.placeholder === undefined;
}

/** The flag or variable of an option that is set, and its value. An empty variable is not set. */
function sourceOf(
  { flag, variable }: Option<unknown>,
  { values }: Given,
  env: (name: string) => string | undefined,
): [name: string, value: string] | undefined {
  const value = values.get(flag);
  if (value !== undefined) return [flag, value];
  const set = variable === undefined ? undefined : env(variable);
  return set ? [variable!, set] : undefined;
}

/** A host as browsers send it in `Host`; `undefined` for anything other than a host and a port. */
function sentHost(host: string): string | undefined {
  if (/[\s/?#@\\*]/.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  return new URL(`http://${host}`).host.replace(/:443$/, ""); // browsers leave it out with https
}

/** A text from the command line, without a password, such as that in a URL at the wrong option. */
function withoutPasswords(text: string): string {
  return text.replace(/(:\/\/).*@/s, "$1…@");
}

function canDecode(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch (error) {
    if (error instanceof URIError) return false;
    throw error;
  }
}

function unfit(name: string, value: string, needed: string): UsageError {
  const shown = JSON.stringify(withoutPasswords(value).slice(0, 100));
  return new UsageError(`${name} is ${shown}: ${needed}`);
}

/** Lines of at most `width` characters, broken at spaces. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : word;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
