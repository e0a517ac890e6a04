/**
 * Whom something is for: readers by their names, and those who listen to a topic. These are two
 * namespaces: a reader who is named as a topic does not listen to it.
 *
 * @module
 */
import { anything, checkOptions, quote, type Rule, text } from "./checks.ts";
import type { Audience } from "./log.ts";
import { isPageId } from "./protocol.ts";

/** A reader by its name, or all who listen to a topic. */
export type Whom = string | { readonly topic: string };

/** Whom a push is for: everyone, or those that `to` and `topic` name. */
export interface PushOptions {
  /** A reader or readers, by the names given to `connect` as `as`. An empty list is nobody. */
  to?: string | readonly string[];
  /** A topic or topics, as `head` signed them into pages. An empty list is nobody. */
  topic?: string | readonly string[];
  /** The page that it is not for, as `connectionId(request)` gives it; `undefined` for none. */
  except?: string | undefined;
}

/** Names that one connection can listen to. */
const MAX_NAMES = 128;
/** Characters of a name. */
const MAX_LENGTH = 255;

// With a character in front that tells the two namespaces apart.
const READER = "@";
const TOPIC = "#";

const PUSH_RULES = {
  to: anything, // see namesIn
  topic: anything,
  except: text(isPageId, "a page's id, as connectionId(request) gives it,"),
} satisfies Record<keyof PushOptions, Rule>;

/**
 * Whom a push is for, as the log and the listeners name them. A key that is present but `undefined`
 * throws: `to: session.user?.id` must not reach everyone.
 *
 * @throws {TypeError} where something is no name, or unknown
 * @throws {RangeError} where a name is empty or too long, or `except` is no page's id
 */
export function audienceOf(options: PushOptions): Audience {
  const { except, ...given } = checkOptions("push()", options, PUSH_RULES);
  if (!("to" in given) && !("topic" in given)) return { to: undefined, except };
  const readers = "to" in given ? namesIn("push()", "to", given.to) : [];
  const topics = "topic" in given ? namesIn("push()", "topic", given.topic) : [];
  return { to: [...readers.map(readerName), ...topics.map(topicName)], except };
}

/**
 * The name of a reader or a topic.
 *
 * @throws {TypeError} where it is none
 * @throws {RangeError} where it is empty or too long
 */
export function nameOf(what: string, whom: Whom): string {
  if (typeof whom !== "object" || whom === null) {
    return readerName(checkName(what, "reader", whom));
  }
  const { topic } = checkOptions(what, whom, { topic: anything });
  return topicName(checkName(what, "topic", topic));
}

/** Whom a name stands for. */
export function whomOf(name: string): Whom {
  const rest = name.slice(1);
  return name.startsWith(TOPIC) ? { topic: rest } : rest;
}

/** Whether something can be the name of a reader or a topic. */
export function isName(value: unknown): value is string {
  // One with half a character would be another one after it was signed.
  return typeof value === "string" && value !== "" && value.length <= MAX_LENGTH &&
    value.isWellFormed();
}

/** The name of one reader. @throws {TypeError | RangeError} where it is none */
export function checkReader(what: string, option: string, reader: string): string {
  return checkName(what, option, reader);
}

/**
 * The names of a reader, as they were given.
 *
 * @throws {TypeError | RangeError} where one is none, or they are too many
 */
export function checkReaders(what: string, as: string | readonly string[]): readonly string[] {
  return checkCount(what, "as", namesIn(what, "as", as));
}

/**
 * Topics, as they were given.
 *
 * @throws {TypeError | RangeError} where one is none, or they are too many
 */
export function checkTopics(what: string, topics: readonly string[]): readonly string[] {
  if (!Array.isArray(topics)) {
    throw new TypeError(`Cannot take ${quote(topics)} as "topics" of ${what}: a list is needed`);
  }
  return checkCount(what, "topics", namesIn(what, "topics", topics));
}

/** A reader, as the log and the listeners name it. */
export function readerName(name: string): string {
  return READER + name;
}

/** A topic, as the log and the listeners name it. */
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
