/**
 * Whom a push is for: readers by their names, and listeners to a topic. These are two namespaces: a
 * reader whose name equals that of a topic does not listen to the topic.
 *
 * @module
 */
import { anything, checkOptions, milliseconds, quote, type Rule, text } from "./checks.ts";
import type { Audience } from "./log.ts";
import { isPageId } from "./protocol.ts";

/** A reader, by name, or all who listen to a topic. */
export type Whom = string | { readonly topic: string };

/** Whom a push is for: everyone, or those named by `to` and `topic`. */
export interface PushOptions {
  /** A reader or readers, by the names given to `connect` as `as`. An empty list means nobody. */
  to?: string | readonly string[];
  /** A topic or topics, as given to `head`. An empty list means nobody. */
  topic?: string | readonly string[];
  /** The page to leave out, as `connectionId(request)` gives it; `undefined` for none. */
  except?: string | undefined;
}

/** Options of `Turbo.shown`. */
export interface ShownOptions extends Pick<PushOptions, "to" | "topic"> {
  /** Milliseconds after which it resolves with what is known. Default 10,000. */
  within?: number;
}

/** How many names one connection can listen to. */
const MAX_NAMES = 128;
/** The most characters of a name. */
const MAX_LENGTH = 255;

// The first character of an internal name says which of the two namespaces it is in.
const READER = "@";
const TOPIC = "#";

const PUSH_RULES = {
  to: anything, // namesIn checks it
  topic: anything,
  except: text(isPageId, "a page's id, as connectionId(request) gives it,"),
} satisfies Record<keyof PushOptions, Rule>;

const SHOWN_RULES = {
  to: anything, // namesIn checks it
  topic: anything,
  within: milliseconds(0, 3_600_000),
} satisfies Record<keyof ShownOptions, Rule>;

/**
 * Whom a push is for, as internal names. A key that is present but `undefined` throws, because
 * `to: session.user?.id` must not reach everyone.
 *
 * @throws {TypeError} when a value is not a name, or an option is unknown
 * @throws {RangeError} when a name is empty or too long, or `except` is not the id of a page
 */
export function audienceOf(options: PushOptions): Audience {
  const { except, ...given } = checkOptions("push()", options, PUSH_RULES);
  return { to: allNamesIn("push()", given), except };
}

/**
 * The audience and the time of a call of `Turbo.shown`.
 *
 * @throws {TypeError | RangeError} as {@linkcode audienceOf}, or when `within` is not allowed
 */
export function askedOf(options: ShownOptions): { audience: Audience; within: number } {
  const { within = 10_000, ...given } = checkOptions("shown()", options, SHOWN_RULES);
  return { audience: { to: allNamesIn("shown()", given) }, within };
}

function allNamesIn(
  what: string,
  given: Pick<PushOptions, "to" | "topic">,
): readonly string[] | undefined {
  if (!("to" in given) && !("topic" in given)) return undefined;
  const readers = "to" in given ? namesIn(what, "to", given.to) : [];
  const topics = "topic" in given ? namesIn(what, "topic", given.topic) : [];
  return [...readers.map(readerName), ...topics.map(topicName)];
}

/**
 * The internal name of a reader or a topic.
 *
 * @throws {TypeError} when it is not a name
 * @throws {RangeError} when it is empty or too long
 */
export function nameOf(what: string, whom: Whom): string {
  if (typeof whom !== "object" || whom === null) {
    return readerName(checkName(what, "reader", whom));
  }
  const { topic } = checkOptions(what, whom, { topic: anything });
  return topicName(checkName(what, "topic", topic));
}

/** The reader or topic that an internal name stands for. */
export function whomOf(name: string): Whom {
  const rest = name.slice(1);
  return name.startsWith(TOPIC) ? { topic: rest } : rest;
}

/** Whether a value can be the name of a reader or a topic. */
export function isName(value: unknown): value is string {
  // A lone surrogate would be replaced when the name is encoded as UTF-8 and signed.
  return typeof value === "string" && value !== "" && value.length <= MAX_LENGTH &&
    value.isWellFormed();
}

/** Checks the name of one reader, and returns it. @throws {TypeError | RangeError} when it is not a name */
export function checkReader(what: string, option: string, reader: string): string {
  return checkName(what, option, reader);
}

/**
 * Checks the names of a reader, and returns them as a list.
 *
 * @throws {TypeError | RangeError} when one is not a name, or they are too many
 */
export function checkReaders(what: string, as: string | readonly string[]): readonly string[] {
  return checkCount(what, "as", namesIn(what, "as", as));
}

/**
 * Checks topics, and returns them as a list.
 *
 * @throws {TypeError | RangeError} when one is not a name, or they are too many
 */
export function checkTopics(what: string, topics: readonly string[]): readonly string[] {
  if (!Array.isArray(topics)) {
    throw new TypeError(`Cannot take ${quote(topics)} as "topics" of ${what}: a list is needed`);
  }
  return checkCount(what, "topics", namesIn(what, "topics", topics));
}

/** The internal name of a reader, as the log and the listeners use it. */
export function readerName(name: string): string {
  return READER + name;
}

/** The internal name of a topic, as the log and the listeners use it. */
export function topicName(topic: string): string {
  return TOPIC + topic;
}

function namesIn(what: string, option: string, names: unknown): readonly string[] {
  const list = Array.isArray(names) ? names : [names];
  return list.map((name) => checkName(what, option, name));
}

function checkName(what: string, option: string, name: unknown): string {
  const needed = `a name of 1 to ${MAX_LENGTH} characters is needed`;
  if (typeof name !== "string") {
    throw new TypeError(`Cannot take ${quote(name)} as "${option}" of ${what}: ${needed}`);
  }
  if (!isName(name)) {
    throw new RangeError(`Cannot take ${quote(name)} as "${option}" of ${what}: ${needed}`);
  }
  return name;
}

function checkCount(what: string, option: string, names: readonly string[]): readonly string[] {
  if (names.length <= MAX_NAMES) return names;
  throw new RangeError(
    `Cannot take ${names.length} names as "${option}" of ${what}: at most ${MAX_NAMES} are allowed`,
  );
}
