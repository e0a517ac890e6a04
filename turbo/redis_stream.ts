/**
 * Turns the commands of a replica into commands of Redis, and the answers into replies.
 *
 * @module
 */
import { type Connection, RefusedError } from "./redis_client.ts";
import type { Command, Reply } from "./stream_commands.ts";
import { entryOf, idOf, type Place, placeOf, type StreamEntry } from "./stream_entry.ts";
import { MIN_SECRET } from "./token.ts";

/** A stream, and how entries are added to it. */
export interface StreamOptions {
  /** Its key. */
  readonly key: string;
  /** About how many entries the stream keeps. */
  readonly maxEntries: number;
  /** Whether a script numbers the entries, because servers before 7.0 do not. */
  readonly isScripted: boolean;
}

/** The most entries that a node loads of a stream that it has not followed. */
const LOADED = 1_000;
/** About the most characters of their markup: as much as a log keeps by default. */
const LOADED_SIZE = 4 * 1024 * 1024;
const LOADED_AT_A_TIME = 101;
/** How many entries are read at a time. */
const READ = 100;
/** Milliseconds for which the server holds a read that finds nothing. */
const BLOCK = 1_000;

const BIRTH = `
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local epoch = newest and string.match(newest[1], '^%d+') or ''
if epoch ~= ARGV[1] then return epoch end
redis.call('XADD', KEYS[1], ARGV[2] .. '-0', 'b', ARGV[3])
return ARGV[2]`;

/** Answers nil where there is no stream, and an empty text where the stream has another epoch. */
const ADD = `
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not newest then return false end
local epoch, position = string.match(newest[1], '^(%d+)-(%d+)$')
if epoch ~= ARGV[1] then return '' end
local id = epoch .. '-' .. string.format('%.0f', position + 1)
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, unpack(ARGV, 3))`;

/**
 * Sends a command and resolves to the reply. Commands of one turn of the event loop are sent together.
 *
 * @throws {RefusedError} when the server refuses a command other than `add`
 * @throws {Error} when the connection ends, or the stream contains an entry that is not ours
 */
export async function ask(
  { command }: Pick<Connection, "command">,
  asked: Command,
  options: StreamOptions,
): Promise<Reply> {
  const { key } = options;
  switch (asked.kind) {
    case "look": {
      const [newest, first] = await Promise.all([
        command(["XREVRANGE", key, "+", "-", "COUNT", "1"]),
        asked.at && command(["XRANGE", key, idOf(asked.at), "+", "COUNT", "1"]),
      ]);
      const entries = entriesOf(first ?? [], key);
      return { kind: "look", newest: placesOf(newest, key)[0], first: entries[0] };
    }
    case "birth": {
      const { seen, epoch, node } = asked;
      const args = [seen === undefined ? "" : String(seen), String(epoch), node];
      return { kind: "birth", epoch: Number(await command(["EVAL", BIRTH, "1", key, ...args])) };
    }
    case "load": {
      const entries = await newestOf({ command }, key);
      // Another program's entry may look like ours: an id made from a clock, such as 1735689600000-0, looks
      // like the birth of an epoch.
      if (entries.length > 0 && entries.every(({ node }) => node === "")) {
        notOurs(idOf(entries[0]!), key);
      }
      return { kind: "load", entries };
    }
    case "read": {
      const limits = ["COUNT", String(READ), "BLOCK", String(BLOCK)];
      const streams = await command(["XREAD", ...limits, "STREAMS", key, idOf(asked.after)]);
      const [, entries] = (streams as [unknown, unknown][] | null)?.[0] ?? [];
      return { kind: "read", entries: entriesOf(entries ?? [], key) };
    }
    case "add":
      return { kind: "add", id: asked.id, ...await add({ command }, asked, options) };
  }
}

/** The newest entries, oldest first. They are read in parts, because each may be as large as a log. */
async function newestOf(
  { command }: Pick<Connection, "command">,
  key: string,
): Promise<StreamEntry[]> {
  const entries: StreamEntry[] = [];
  let size = 0;
  for (let end = "+"; entries.length < LOADED && size < LOADED_SIZE;) {
    const part = await command(["XREVRANGE", key, end, "-", "COUNT", String(LOADED_AT_A_TIME)]);
    const [first, ...rest] = entriesOf(part, key);
    // Servers before 6.2 cannot leave out the entry at `end`, which is the last one of the previous part.
    const added = end === "+" && first ? [first, ...rest] : rest;
    if (added.length === 0) break;
    entries.push(...added);
    for (const { content } of added) size += content.kind === "streams" ? content.html.length : 0;
    end = idOf(added.at(-1)!);
  }
  return entries.reverse();
}

/**
 * Whether a server can number the entries of an epoch by itself, as since Redis 7.0. Writes nothing.
 */
export async function canNumber(
  { command }: Pick<Connection, "command">,
  key: string,
): Promise<boolean> {
  try {
    await command(["XADD", `${key}:probe`, "NOMKSTREAM", "1-*", "b", ""]);
    return true;
  } catch (error) {
    if (error instanceof RefusedError && /Invalid stream ID/i.test(error.message)) return false;
    throw error;
  }
}

/**
 * The secret that is stored with a stream, so that all nodes have the same one: the existing secret, or
 * the offered one where there is none.
 */
export async function keptSecret(
  { command }: Pick<Connection, "command">,
  key: string,
  offered: string,
): Promise<string> {
  const name = `${key}:secret`;
  const kept = await command(["GET", name]) as string | null;
  if (kept !== null && kept.length >= MIN_SECRET) return kept;
  // A stored secret that is too short could be guessed, so it is overwritten.
  await command(["SET", name, offered, ...(kept === null ? ["NX"] : [])]);
  return (await command(["GET", name]) ?? offered) as string;
}

async function add(
  { command }: Pick<Connection, "command">,
  { epoch, fields }: Command & { kind: "add" },
  { key, maxEntries, isScripted }: StreamOptions,
): Promise<{ result: "added" | "gone" | "behind" } | { result: "refused"; reason: string }> {
  const max = String(maxEntries);
  try {
    const id = await command(
      isScripted
        ? ["EVAL", ADD, "1", key, String(epoch), max, ...fields]
        : ["XADD", key, "NOMKSTREAM", "MAXLEN", "~", max, `${epoch}-*`, ...fields],
    );
    return { result: id === null ? "gone" : id === "" ? "behind" : "added" };
  } catch (error) {
    if (!(error instanceof RefusedError) || IS_ELSEWHERE.test(error.message)) throw error;
    if (/equal or smaller/.test(error.message)) return { result: "behind" };
    return { result: "refused", reason: error.message };
  }
}

/** Errors that mean that this server cannot be written to now; a new connection may reach another. */
const IS_ELSEWHERE = /^(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|MOVED)/;

/** The entries in an answer, in its order. */
function entriesOf(answer: unknown, key: string): StreamEntry[] {
  return (answer as [string, string[]][]).map(([id, fields]) =>
    entryOf(id, fields) ?? notOurs(id, key)
  );
}

function placesOf(answer: unknown, key: string): Place[] {
  return (answer as [string, unknown][]).map(([id]) => placeOf(id) ?? notOurs(id, key));
}

function notOurs(id: string, key: string): never {
  throw new Error(
    `the key ${key} has an entry ${id.slice(0, 50)}, which turbo-deno has not written`,
  );
}
