/**
 * The entries of the stream that many nodes share (Redis or Valkey Streams): their content, and how it is
 * encoded. Pure.
 *
 * The id of an entry is `EPOCH-POSITION`. When a stream is lost or replaced, a new epoch starts, whose
 * number is larger. Position 0 is the birth of an epoch, and positions have no holes.
 *
 * @module
 */
import type { Audience } from "./log.ts";

/** The content of an entry. */
export type Content =
  | Audience & { readonly kind: "streams"; readonly html: string }
  | { readonly kind: "disconnect"; readonly name: string }
  | { readonly kind: "revoke"; readonly name: string }
  /** A statement of a node about itself. `asks`: the others are to state everything again. */
  | { readonly kind: "say"; readonly text: string; readonly asks: boolean }
  /** The writer reports that a node is gone, which may be itself. */
  | { readonly kind: "left"; readonly node: string }
  /** A heartbeat: the writer is alive. */
  | { readonly kind: "beat" }
  | { readonly kind: "birth" }
  /** The content of a later version, or of another program. */
  | { readonly kind: "unknown" };

/** A place in the stream. */
export interface Place {
  /** The epoch of the stream. */
  readonly epoch: number;
  /** The position in the epoch. */
  readonly position: number;
}

/** The writer of an entry, and its numbers. */
export interface Tag {
  /** The writer; empty where the entry does not say. */
  readonly node: string;
  /**
   * The writer's number of this push, from 1 on. A push that is written again, because its fate is
   * unknown, has the same number. 0 where repetitions do no harm.
   */
  readonly n: number;
  /** The writer's number of this write, which no other entry of it has; 0 where the entry does not say. */
  readonly attempt: number;
}

/** An entry of the stream. */
export interface StreamEntry extends Place, Tag {
  /** What it contains. */
  readonly content: Content;
  /** The writer's heartbeat interval in milliseconds, where the entry says. */
  readonly interval?: number | undefined;
}

/** The largest epoch: integers up to it are exact. */
const MAX_EPOCH = Number.MAX_SAFE_INTEGER;
/** The largest position that an epoch can reach. A larger one is an error, or an attack. */
export const MAX_POSITION = 2 ** 52;
/** The longest interval that an engine allows, in milliseconds. */
const MAX_INTERVAL = 60 * 60 * 1000;

/** Encodes an entry as fields: alternating names and values. */
export function fieldsOf(
  { node, n, attempt, interval, content }: Tag & Pick<StreamEntry, "content" | "interval">,
): string[] {
  const fields = ["b", node];
  if (n > 0) fields.push("n", String(n));
  if (attempt > 0) fields.push("a", String(attempt));
  if (interval !== undefined) fields.push("i", String(interval));
  switch (content.kind) {
    case "streams": {
      const { html, to, except } = content;
      fields.push("h", html);
      if (to || except !== undefined) {
        fields.push("t", JSON.stringify([to ?? null, except ?? null]));
      }
      break;
    }
    case "disconnect":
      fields.push("d", content.name);
      break;
    case "revoke":
      fields.push("r", content.name);
      break;
    case "say":
      fields.push("s", content.text);
      if (content.asks) fields.push("q", "1");
      break;
    case "left":
      fields.push("l", content.node);
      break;
  }
  return fields;
}

/**
 * Decodes an entry of the stream; `undefined` where its id is not one of ours.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { entryOf, fieldsOf } from "./stream_entry.ts";
 *
 * const content = { kind: "disconnect", name: "@ann" } as const;
 * const tag = { node: "a", n: 2, attempt: 5 };
 * const entry = { epoch: 7, position: 3, ...tag, interval: undefined, content };
 * assert.deepEqual(entryOf("7-3", fieldsOf(entry)), entry);
 * ```
 */
export function entryOf(id: string, fields: readonly string[]): StreamEntry | undefined {
  const place = placeOf(id);
  if (!place) return undefined;
  const values = new Map<string, string>();
  for (let i = 0; i + 1 < fields.length; i += 2) values.set(fields[i]!, fields[i + 1]!);
  const interval = values.get("i");
  return {
    ...place,
    ...tagOf(values),
    interval: interval === undefined ? undefined : intervalOf(interval),
    content: place.position === 0 ? { kind: "birth" } : contentOf(values),
  };
}

/** Parses an id; `undefined` where it is not one of ours. A position above 2^53 loses precision. */
export function placeOf(id: string): Place | undefined {
  const [, epoch, position] = /^(\d{1,16})-(\d{1,20})$/.exec(id) ?? [];
  if (epoch === undefined) return undefined;
  const place = { epoch: Number(epoch), position: Number(position) };
  return place.epoch <= MAX_EPOCH ? place : undefined;
}

/** The id of a place. */
export function idOf({ epoch, position }: Place): string {
  return `${epoch}-${position}`;
}

/** Whether a place comes after another one. */
export function isAfter(one: Place, other: Place): boolean {
  return one.epoch > other.epoch || one.epoch === other.epoch && one.position > other.position;
}

/** The name of an epoch in cursors. */
export function epochName(epoch: number): string {
  return `r${epoch.toString(36)}`;
}

function tagOf(values: ReadonlyMap<string, string>): Tag {
  const number = (name: string) => wholeOf(values.get(name) ?? "0") ?? 0;
  return { node: values.get("b") ?? "", n: number("n"), attempt: number("a") };
}

function contentOf(values: ReadonlyMap<string, string>): Content {
  const [html, name, revoked, text, left] = ["h", "d", "r", "s", "l"].map((key) => values.get(key));
  if (html !== undefined) {
    const audience = audienceOf(values.get("t"));
    return audience ? { kind: "streams", html, ...audience } : { kind: "unknown" };
  }
  if (name !== undefined) return { kind: "disconnect", name };
  if (revoked !== undefined) return { kind: "revoke", name: revoked };
  if (text !== undefined) return { kind: "say", text, asks: values.get("q") === "1" };
  if (left !== undefined) return { kind: "left", node: left };
  return values.has("i") ? { kind: "beat" } : { kind: "unknown" };
}

/** Decodes an audience; `undefined` where that fails, so that an entry never reaches everyone by mistake. */
function audienceOf(text: string | undefined): Audience | undefined {
  if (text === undefined) return { to: undefined, except: undefined };
  try {
    const [to, except] = JSON.parse(text);
    const isList = to === null ||
      Array.isArray(to) && to.every((name) => typeof name === "string");
    if (!isList || (except !== null && typeof except !== "string")) return undefined;
    return { to: to ?? undefined, except: except ?? undefined };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** `undefined` for an interval that no node can have: its writer would never count as lost. */
function intervalOf(text: string): number | undefined {
  const interval = wholeOf(text) ?? 0;
  return interval > 0 && interval <= MAX_INTERVAL ? interval : undefined;
}

function wholeOf(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
