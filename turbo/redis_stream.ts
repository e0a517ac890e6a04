/**
 * The commands by which a stream of Redis is asked what a replica wants to know, and what is made of the
 * answers.
 *
 * @module
 */
import { type Connection, RefusedError } from "./redis_client.ts";
import type { Command, Reply } from "./stream_commands.ts";
import { entryOf, idOf, type Place, placeOf, type StreamEntry } from "./stream_entry.ts";
import { MIN_SECRET } from "./token.ts";

/** A stream, and how it is written. */
export interface StreamOptions {
  /** Its key. */
  readonly key: string;
  /** About how many entries it keeps. */
  readonly maxEntries: number;
  /** Whether a script numbers the entries, as servers before 7.0 do not. */
  readonly isScripted: boolean;
}

/** Entries that a node loads of a stream that it has not followed. */
const LOADED = 1_000;
/** And their markup, about: so much as a log keeps by default. */
const LOADED_SIZE = 4 * 1024 * 1024;
const LOADED_AT_A_TIME = 101;
/** Entries that are read at a time. */
const READ = 100;
/** Milliseconds for which the server keeps a read that finds nothing. */
const BLOCK = 1_000;

const BIRTH = `
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local epoch = newest and string.match(newest[1], '^%d+') or ''
if epoch ~= ARGV[1] then return epoch end
redis.call('XADD', KEYS[1], ARGV[2] .. '-0', 'b', ARGV[3])
return ARGV[2]`;

/** Answers nothing where there is no stream, and an empty text where this is not its life. */
const ADD = `
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not newest then return false end
local epoch, position = string.match(newest[1], '^(%d+)-(%d+)$')
if epoch ~= ARGV[1] then return '' end
local id = epoch .. '-' .. string.format('%.0f', position + 1)
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, unpack(ARGV, 3))`;

/**
 * Has a command done, and resolves to what is answered. What is asked in one turn of the event loop is
 * sent together.
 *
 * @throws {RefusedError} where the server refuses it, and it is not `add`
 * @throws {Error} where the connection ends, or what is in the stream is not ours
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
      // Ids are those of others, too: one of a clock, such as 1735689600000-0, looks like a birth.
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

/** The newest entries, oldest first: read in parts, because each may be as large as a log. */
async function newestOf(
  { command }: Pick<Connection, "command">,
  key: string,
): Promise<StreamEntry[]> {
  const entries: StreamEntry[] = [];
  let size = 0;
  for (let end = "+"; entries.length < LOADED && size < LOADED_SIZE;) {
    const part = await command(["XREVRANGE", key, end, "-", "COUNT", String(LOADED_AT_A_TIME)]);
    const [first, ...rest] = entriesOf(part, key);
    // The last one of the part before, which the server cannot leave out before 6.2.
    const added = end === "+" && first ? [first, ...rest] : rest;
    if (added.length === 0) break;
    entries.push(...added);
    for (const { content } of added) size += content.kind === "streams" ? content.html.length : 0;
    end = idOf(added.at(-1)!);
  }
  return entries.reverse();
}

/**
 * Whether a server gives the entries of an epoch their positions by itself, as since 7.0. Writes nothing.
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
 * The text that is kept beside a stream so that all nodes have the same: the one that is there, or else
 * the one that is offered.
 */
export async function keptSecret(
  { command }: Pick<Connection, "command">,
  key: string,
  offered: string,
): Promise<string> {
  const name = `${key}:secret`;
  const kept = await command(["GET", name]) as string | null;
  if (kept !== null && kept.length >= MIN_SECRET) return kept;
  await command(["SET", name, offered, ...(kept === null ? ["NX"] : [])]); // one that is short is guessed
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

/** The server is not the one to write to any more: another connection may find that one. */
const IS_ELSEWHERE = /^(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|MOVED)/;

/** The entries of an answer, in its order. */
function entriesOf(answer: unknown, key: string): StreamEntry[] {
  return (answer as [string, string[]][]).map(([id, fields]) =>
    entryOf(id, fields) ?? notOurs(id, key)
  );
}

function placesOf(answer: unknown, key: string): Place[] {
  return (answer as [string, unknown][]).map(([id]) => placeOf(id) ?? notOurs(id, key));
}

function notOurs(id: string, key: string): never {
  throw new Error(`the key ${key} has an entry ${id.slice(0, 50)}, which is none of turbo-deno`);
}
