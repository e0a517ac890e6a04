/**
 * The log of a process: one line an event, as JSON for programs or as text for people.
 *
 * @module
 */
import { later } from "./later.ts";
import { LineWriter } from "./line_writer.ts";
import { clockWithSeconds } from "./local_time.ts";

/** The levels, the most important first. */
export const LEVELS = ["error", "warn", "info", "debug"] as const;

/** How important an event is. */
export type Level = typeof LEVELS[number];

/**
 * The forms of a line. `auto` is `text` where standard error is a terminal, and `json` everywhere else.
 */
export const FORMATS = ["auto", "json", "text"] as const;

/** What a line looks like. */
export type Format = typeof FORMATS[number];

/**
 * What is known of an event besides its message, by name. A name is in snake_case, with the unit at its end
 * (`duration_ms`); docs/running.md lists those in use. An error belongs in the field `error`: its message is
 * written where that of the event does not have it, `error_type` is its class, and at the level debug `stack`
 * is where it was thrown.
 */
export type Fields = Readonly<Record<string, unknown>>;

/** Receives events. `console` is one, too, where no field is an error: see {@linkcode createLog}. */
export interface Log {
  /** Something failed, and somebody should look. */
  error(message: string, fields?: Fields): void;
  /** Something is not as it should be, and the process goes on. */
  warn(message: string, fields?: Fields): void;
  /** Something that happens in the life of a process, such as its end. */
  info(message: string, fields?: Fields): void;
  /** Anything else, such as a request. */
  debug(message: string, fields?: Fields): void;
}

/** A log that is written. */
export interface WrittenLog extends Log {
  /** The least important level that is written. */
  readonly level: Level;
  /** Resolves when all events so far are written or lost, or after the given milliseconds. Default 500. */
  flush(milliseconds?: number): Promise<void>;
}

/** Options of {@linkcode createLog}. */
export interface LogOptions {
  /** The least important level that is written. Default `info`. */
  level?: Level;
  /** What a line looks like. Default `auto`. */
  format?: Format;
  /** Receives each line, without a line break. Default: a {@linkcode LineWriter} to standard error. */
  write?: (line: string) => void;
  /** The time in milliseconds since 1970. Default `Date.now`. */
  now?: () => number;
  /** Whether the lines go to a terminal. Default: whether standard error is one. */
  isTerminal?: boolean;
  /** Whether a line of text has colours. Default: on a terminal, where `NO_COLOR` is not set. */
  hasColors?: boolean;
}

/** The most UTF-16 units that are shown of a message, of a value and of a stack. */
const MAX_MESSAGE = 1_000;
const MAX_VALUE = 1_000;
const MAX_STACK = 4_000;
/** The most bytes of a line's fields. With its message a line stays below 16 KiB, where Docker splits lines. */
const MAX_FIELDS = 9_000;
/** The most entries that are shown of an array or an object, and how deep. */
const MAX_ENTRIES = 20;
const MAX_DEPTH = 3;
/** The most UTF-16 units of the name of a field or a class. */
const MAX_NAME = 100;
/** What stands for a value whose getter or `toString` throws. */
const UNSHOWN = "[cannot be shown]";

/** What terminals and log viewers take for line breaks, commands or a change of direction. */
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
/** Names of fields whose value is a secret. */
const SECRET = /authorization|cookie|passw|secret|token|credential|api_?key/i;
/** A user and a password in a URL, the query of a URL, and that of a path. */
const USER_IN_URL = /(\b[a-z][a-z\d+.-]{0,20}:\/\/)[^\s/?#"'<>]+@/gi;
const QUERY_OF_URL = /(:\/\/[^\s?"'<>()]*)\?[^\s"'<>()]+/g;
const QUERY_OF_PATH = /\?[^\s?"'<>()=]*=[^\s"'<>()]*/g;

/** SGR sequences (ECMA-48, section 8.3.117). */
const COLORS: Readonly<Record<Level | "dim", number>> = {
  error: 31,
  warn: 33,
  info: 32,
  debug: 36,
  dim: 2,
};

/**
 * Creates a log. A line is one line whatever is in the event: control characters and what would turn the
 * direction of a text are escaped, what is very long is cut, and what cannot be shown is named. Neither a
 * value nor a failing write makes a method throw.
 *
 * Users, passwords and queries are removed from URLs, and the values of fields that are named like a
 * secret. That is a second guard, for what an error of somewhere else says: do not log secrets.
 *
 * An `Error` is never given to the console, because Deno panics when it formats one and no file descriptor
 * is left.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createLog } from "./log.ts";
 *
 * const lines: string[] = [];
 * const log = createLog({ write: (line) => lines.push(line), now: () => 0 });
 * log.info("Stopping: closing 2 connections", { connections: 2 });
 * log.debug("GET /"); // below the level
 * assert.deepEqual(lines, [
 *   '{"time":"1970-01-01T00:00:00.000Z","level":"info",' +
 *   '"message":"Stopping: closing 2 connections","connections":2}',
 * ]);
 * ```
 */
export function createLog(options: LogOptions = {}): WrittenLog {
  const { level = "info", format = "auto", now = Date.now } = options;
  // Reading the first one needs a file descriptor, without which Deno panics. It takes 6 ms, so not at once.
  later(() => void new Error().stack);
  const { isTerminal = Deno.stderr.isTerminal() } = options;
  const { hasColors = isTerminal && !Deno.noColor } = options;
  const isText = format === "text" || format === "auto" && isTerminal;
  const most = LEVELS.indexOf(level);
  const lost = (count: number) =>
    lineOf("warn", `${count} log lines are lost: they could not be written, or not fast enough`, {
      lines: count,
    });
  let writer: LineWriter | undefined;

  function lineOf(level: Level, message: string, fields: Fields): string {
    const shown = textOf(message, MAX_MESSAGE);
    const entries = entriesOf(fields, { shown, hasStack: most === LEVELS.indexOf("debug") });
    return isText
      ? textLine({ at: now(), level, message: shown, entries, hasColors })
      : jsonLine({ at: now(), level, message: shown, entries });
  }

  function log(level: Level, message: string, fields: Fields = {}): void {
    if (LEVELS.indexOf(level) > most) return;
    try {
      const line = lineOf(level, message, fields);
      if (options.write) options.write(line);
      else (writer ??= new LineWriter({ lost })).write(line);
    } catch {
      // The given `write` or `now` has thrown, and a log that ends the process would be worse than a lost line.
    }
  }

  return {
    level,
    error: (message, fields) => log("error", message, fields),
    warn: (message, fields) => log("warn", message, fields),
    info: (message, fields) => log("info", message, fields),
    debug: (message, fields) => log("debug", message, fields),
    flush: async (milliseconds = 500) => await writer?.flush(milliseconds),
  };
}

/** An event, whose texts are cut and without secrets. */
interface Event {
  at: number;
  level: Level;
  message: string;
  entries: readonly Entry[];
}

/** A field, whose value is plain JSON. */
type Entry = readonly [name: string, value: Plain];
type Plain = string | number | boolean | null | Plain[] | { [name: string]: Plain };

function jsonLine({ at, level, message, entries }: Event): string {
  const head: Entry[] = [["time", new Date(at).toISOString()], ["level", level], [
    "message",
    message,
  ]];
  const members = [...head, ...entries].map(([name, value]) => `${json(name)}:${json(value)}`);
  return `{${members.join(",")}}`;
}

function textLine(
  { at, level, message, entries, hasColors }: Event & { hasColors: boolean },
): string {
  const paint = (color: keyof typeof COLORS, text: string) =>
    hasColors ? `\x1b[${COLORS[color]}m${text}\x1b[0m` : text;
  const fields = entries.map(([name, value]) => {
    return ` ${paint("dim", `${wordOf(name)}=`)}${wordOf(value)}`;
  });
  const name = paint(level, level.toUpperCase().padEnd(5));
  return `${paint("dim", timeOfDay(at))} ${name} ${escaped(message)}${fields.join("")}`;
}

/** The local time, as in `14:30:05.012`. */
function timeOfDay(at: number): string {
  return `${clockWithSeconds(at)}.${String(new Date(at).getMilliseconds()).padStart(3, "0")}`;
}

/** A value in a line of text: as it is where it is one word, and otherwise as JSON. */
function wordOf(value: Plain): string {
  return typeof value === "string" && /^[^\s"'=\\{}[\]]+$/.test(value)
    ? escaped(value)
    : json(value);
}

function json(value: Plain): string {
  return JSON.stringify(value).replace(UNPRINTABLE, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** A text whose unprintable characters are shown as JSON would show them. */
function escaped(text: string): string {
  return text.replace(UNPRINTABLE, (char) => json(char).slice(1, -1));
}

/**
 * The fields as plain JSON. What would be too much for a line is left out, and the line says so. So is an
 * error that the message shows already: whoever looks for it finds it once.
 */
function entriesOf(
  fields: Fields,
  { shown, hasStack }: { shown: string; hasStack: boolean },
): Entry[] {
  const entries: Entry[] = [];
  const names = new Set<string>(); // programs disagree about which of two members of one name counts
  let left = MAX_FIELDS;
  for (const [name, value] of readEntries(fields, Infinity)) {
    for (const entry of expanded(name, value, hasStack)) {
      if (entry[0] === "error" && shown.includes(String(entry[1]))) continue;
      if (names.has(entry[0])) continue;
      names.add(entry[0]);
      left -= new TextEncoder().encode(json(entry[0]) + json(entry[1])).length + 2;
      if (left < 0) return [...entries, ["cut", true]];
      entries.push(entry);
    }
  }
  return entries;
}

/** A field, or the fields of an error. */
function expanded(name: string, value: unknown, hasStack: boolean): Entry[] {
  const key = /^(?:time|level|message)$/.test(name) ? `${name}_` : textOf(name, MAX_NAME);
  if (value === undefined) return [];
  if (!isError(value)) return [[key, plain(name, value)]];
  const entries: Entry[] = [[key, messageOf(value)], [`${key}_type`, classOf(value)]];
  const stack = hasStack ? read(value, "stack") : undefined;
  if (typeof stack === "string") entries.push(["stack", textOf(stack, MAX_STACK)]);
  return entries;
}

function plain(name: string, value: unknown, above: readonly object[] = []): Plain {
  if (SECRET.test(name)) return "[secret]";
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value !== "object") return textOf(value, MAX_VALUE);
  try {
    return plainObject(value, above);
  } catch {
    return UNSHOWN; // a proxy throws
  }
}

function plainObject(value: object, above: readonly object[]): Plain {
  if (isError(value)) return messageOf(value);
  if (value instanceof Date) return Number.isNaN(+value) ? "Invalid Date" : value.toISOString();
  if (value instanceof URL) return textOf(value.origin + value.pathname, MAX_VALUE);
  if (above.includes(value)) return "[circular]";
  if (above.length === MAX_DEPTH) return "[more]";
  const inside = [...above, value];
  if (Array.isArray(value)) {
    const items = value.slice(0, MAX_ENTRIES).map((item) => plain("", item, inside));
    return value.length > MAX_ENTRIES ? [...items, "[more]"] : items;
  }
  // What the headers of a request and other objects of the platform contain is never read.
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return `[${classOf(value)}]`;
  const entries = readEntries(value as Fields, MAX_ENTRIES).map(([name, item]) => {
    return [textOf(name, MAX_NAME), plain(name, item, inside)] as const;
  });
  return Object.fromEntries(entries);
}

/** The first entries of an object, each of which can be read; none where it is no object. */
function readEntries(object: Fields, most: number): [name: string, value: unknown][] {
  return Object.keys(object ?? {}).slice(0, most).map((name) => [name, read(object, name)]);
}

function read(object: object, name: string): unknown {
  try {
    return (object as Fields)[name];
  } catch {
    return UNSHOWN; // a getter throws
  }
}

function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false; // a proxy throws
  }
}

/** The message of an error, in one line. */
function messageOf(error: Error): string {
  const message = read(error, "message");
  return textOf(typeof message === "string" ? message.split("\n")[0] : message, MAX_VALUE);
}

/** The name of an error, such as `AbortError`, or that of its class where it says no more than `Error`. */
function classOf(value: object): string {
  const own = isError(value) ? read(value, "name") : "Error";
  const name = own === "Error" ? value.constructor?.name : own;
  return typeof name === "string" ? textOf(name, MAX_NAME) : "Object";
}

/**
 * A value as text of at most so many UTF-16 units, without half characters, and without users, passwords
 * and queries in URLs.
 */
function textOf(value: unknown, most: number): string {
  let text: string;
  try {
    text = String(value);
  } catch {
    return UNSHOWN;
  }
  // A URL at the cut must not lose the @ by which its password is recognized.
  const shown = text.slice(0, 2 * most).toWellFormed()
    .replace(USER_IN_URL, "$1…@")
    .replace(QUERY_OF_URL, "$1?…")
    .replace(QUERY_OF_PATH, "?…");
  return shown.length <= most ? shown : `${shown.slice(0, most).toWellFormed()}…`;
}
