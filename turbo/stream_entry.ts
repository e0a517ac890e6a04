/**
 * What stands in one entry of the stream that many nodes share (Redis or Valkey Streams), and how it is
 * written there. Pure.
 *
 * An entry's id is `EPOCH-POSITION`. Each life of the stream has an epoch, larger than the one before;
 * position 0 is its birth, and positions have no holes.
 *
 * @module
 */
import type { Audience } from "./log.ts";

/** What an entry says. */
export type Content =
  | Audience & { readonly kind: "streams"; readonly html: string }
  | { readonly kind: "disconnect"; readonly name: string }
  | { readonly kind: "revoke"; readonly name: string }
  /** What a node says of itself. `asks`: it may not have heard the others, who say all again. */
  | { readonly kind: "say"; readonly text: string; readonly asks: boolean }
  /** A node is gone, as the writer tells. */
  | { readonly kind: "left"; readonly node: string }
  /** The writer is there. */
  | { readonly kind: "beat" }
  | { readonly kind: "birth" }
  /** That of a later version, or of somebody else. */
  | { readonly kind: "unknown" };

/** A place in the stream. */
export interface Place {
  /** The life of the stream. */
  readonly epoch: number;
  /** The place in it. */
  readonly position: number;
}

/** By whom an entry was written, and which of that writer's it is. */
export interface Tag {
  /** Who has written it; empty where it does not say. */
  readonly node: string;
  /**
   * The writer's number of what it says, from 1 on. What is written once more, because nobody knows
   * whether it arrived, has the same. 0 where it does not matter how often it comes.
   */
  readonly n: number;
  /** The writer's number of this very entry, which no other entry of it has; 0 where it does not say. */
  readonly attempt: number;
}

/** An entry of the stream. */
export interface StreamEntry extends Place, Tag {
  /** What it says. */
  readonly content: Content;
  /** How often the writer says at least that it is there, in milliseconds, where it says so. */
  readonly interval?: number | undefined;
}

/** The largest epoch: numbers up to it are exact. */
const MAX_EPOCH = Number.MAX_SAFE_INTEGER;
/** The largest position that a life comes to. One beyond it is somebody's mistake, or worse. */
export const MAX_POSITION = 2 ** 52;
/** The longest interval that an engine can be given, in milliseconds. */
const MAX_INTERVAL = 60 * 60 * 1000;

/** An entry's fields: names and values in turn. */
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
 * An entry as it stands in the stream; `undefined` where its id is none of ours.
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

/** The place that an id names, if only about where it is beyond all; `undefined` where it is none of ours. */
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

/** What an epoch is called in cursors. */
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

/** Whom an entry is for; `undefined` where nobody can tell, so that it never reaches all by mistake. */
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

/** `undefined` where no node has such an interval: whoever says so would be there for ever. */
function intervalOf(text: string): number | undefined {
  const interval = wholeOf(text) ?? 0;
  return interval > 0 && interval <= MAX_INTERVAL ? interval : undefined;
}

function wholeOf(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
