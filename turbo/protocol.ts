/**
 * The protocol between a page and the server: the sub-protocol `turbo-stream.v2`, its cursors, what a
 * page may ask and how much it may send, and how a connection is closed. Pure. The client, `client.js`,
 * is tested against it.
 *
 * @module
 */
import { type Rule, text } from "./checks.ts";
import { percentDecoded } from "./percent_encoding.ts";

/** The WebSocket sub-protocol that the bundled client offers (RFC 6455, section 1.9). */
export const PROTOCOL = "turbo-stream.v2";

/** Streams with their cursor. Without streams it is a marker, which answers a `since`, or a heartbeat. */
export interface Message {
  /** `EPOCH.POSITION`, or `EPOCH.POSITION.BEAT` in heartbeats. */
  readonly cursor: string;
  /** Zero or more `<turbo-stream>` elements and nothing else. */
  readonly html: string;
  /** Whether the page is asked to report when it shows the cursor. */
  readonly asks?: boolean;
}

/** The report of a page that it shows everything up to a cursor. */
export interface Shown {
  /** The cursor that its oldest part has reached. */
  readonly cursor: string;
  /** For how many milliseconds it has shown that. */
  readonly age: number;
}

/** What a page tells the inspector: its path, or streams whose target it does not have. */
export type Note = { readonly path: string } | { readonly misses: readonly Miss[] };

/** A stream whose target a page does not have. */
export interface Miss {
  /** The cursor of the push. */
  readonly cursor: string;
  /** The target: an id after `#`, or a selector. */
  readonly target: string;
  /** The id in the page that was probably meant. */
  readonly near?: string | undefined;
}

/** The request of a page for everything after a cursor. */
export interface Since {
  /** The cursor of the page. */
  readonly cursor: string;
  /** The signed topics from the page's `<head>`. */
  readonly token?: string | undefined;
  /** The id of the page. */
  readonly page?: string | undefined;
}

/** A close code and its reason in plain words (RFC 6455, section 7.4). */
export interface Close {
  /** 1000 to 1015, or 4000 to 4999 for meanings of our own. */
  readonly code: number;
  /** At most 123 bytes. */
  readonly reason: string;
}

/**
 * The ways in which a server ends a connection. `again` is for server-sent events only. A page reconnects
 * by itself after all but `sentAway`.
 */
export const CLOSE = {
  goingAway: { code: 1001, reason: "The server is going away" },
  binary: { code: 1003, reason: "Text is needed" },
  notSince: { code: 1008, reason: "since CURSOR [TOKEN [PAGE]] is needed" },
  noPlace: { code: 1013, reason: "Too many connections" },
  openedLate: { code: 1013, reason: "The connection opened too late" },
  again: { code: 1000, reason: "Come back" },
  tooMany: { code: 1008, reason: "Too many messages" },
  tooLong: { code: 1009, reason: "The message is too long" },
  failed: { code: 1011, reason: "Internal error" },
  restarting: { code: 1012, reason: "The server is restarting" },
  tooSlow: { code: 1013, reason: "The reader is too slow" },
  doesNotRead: { code: 1013, reason: "The reader asks and does not read" },
  sentAway: { code: 4001, reason: "Disconnected" },
} as const satisfies Record<string, Close>;

/** The most bytes of a message from a page. */
export const MAX_MESSAGE: number = 4 * 1024;
/** How often a page may send `since`, and how often `shown`. */
export const SINCE_RATE = { burst: 20, perSecond: 1 } as const;
/** How often a page may tell the inspector something. The client does so twice a second at most. */
export const NOTE_RATE = { burst: 20, perSecond: 3 } as const;
/** What a message has beside its cursor and its HTML where it asks for a report. */
const ASKS = "shown";
/** Whether a handshake's list of sub-protocols includes this one (RFC 6455, section 4.1). */
export function offersProtocol(list: string): boolean {
  return list.split(",").some((protocol) => protocol.trim() === PROTOCOL);
}

/** The most messages a minute from a client without the sub-protocol, which needs to send none. */
export const MAX_STRAY_MESSAGES = 100;
/** The most characters of a token: what a message has left after `since`, cursor, page and spaces. */
export const MAX_TOKEN: number = MAX_MESSAGE - "since".length - 3 - 64 - 64;
/** Milliseconds without any message after which a heartbeat is sent. The client relies on it. */
export const HEARTBEAT = 15_000;
/** Milliseconds between two reports of a page, where its head does not say. The client has the same. */
export const REPORT_INTERVAL = 60_000;

/** The answer to a cursor from which the log cannot continue: it makes the page fetch itself. */
export const REFRESH = '<turbo-stream action="refresh"></turbo-stream>';

/**
 * Formats messages as one WebSocket message of the sub-protocol: a JSON array of `[CURSOR, HTML]`, oldest
 * first. A third item, `"shown"`, asks for a report; only a page that has said that it reports is asked.
 *
 * Each entry keeps its own cursor. To join entries under the last cursor would be wrong: the answer to a
 * form or a frame may have been rendered between two of them, so it is newer than one and older than the
 * other, and the page must be able to tell which.
 *
 * @example
 * ```ts
 * import { frameOf, parseFrame } from "./protocol.ts";
 * import assert from "node:assert/strict";
 *
 * const frame = frameOf([{ cursor: "e.1", html: "<b>" }, { cursor: "e.2", html: "" }]);
 * assert.equal(frame, '[["e.1","<b>"],["e.2",""]]');
 * assert.deepEqual(parseFrame(frame)[1], { cursor: "e.2", html: "" });
 * ```
 */
export function frameOf(messages: readonly Message[]): string {
  return JSON.stringify(
    messages.map(({ cursor, html, asks }) => asks ? [cursor, html, ASKS] : [cursor, html]),
  );
}

/**
 * Parses a WebSocket message of the sub-protocol.
 *
 * @throws {SyntaxError} when it is not one
 */
export function parseFrame(frame: string): Message[] {
  const pairs: unknown = JSON.parse(frame);
  const valid = Array.isArray(pairs) && pairs.length > 0 &&
    pairs.every((pair) =>
      Array.isArray(pair) && isCursor(pair[0]) && typeof pair[1] === "string" &&
      (pair.length === 2 || (pair.length === 3 && pair[2] === ASKS))
    );
  if (!valid) {
    throw new SyntaxError(
      `Cannot parse ${JSON.stringify(frame.slice(0, 100))}: a list of [CURSOR, HTML] is needed`,
    );
  }
  return pairs.map(([cursor, html, asks]) => ({ cursor, html, ...(asks && { asks: true }) }));
}

/**
 * Formats messages as server-sent events (WHATWG HTML, section 9.2), one event for each. A message
 * without HTML is an event named `cursor`, because Turbo's own stream source would render an unnamed one.
 */
export function eventsOf(messages: readonly Message[]): string {
  return messages.map(({ cursor, html }) =>
    html === "" ? `event: cursor\nid: ${cursor}\ndata:\n\n` : `id: ${cursor}\n${dataOf(html)}\n`
  ).join("");
}

/** The last event for a reader who was disconnected: the page does not reconnect by itself. */
export const AWAY_EVENT = "event: away\ndata:\n\n";
/** Tells the client that the stream ends soon, so that it reconnects at once. */
export const AGAIN_EVENT = "event: again\ndata:\n\n";

// CR, LF and CRLF all end a line (WHATWG HTML, section 9.2.5). Each line must start with the field name,
// or pushed content could write fields of its own.
function dataOf(html: string): string {
  return html.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join("");
}

/** Whether a value has the form of a cursor. */
export function isCursor(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(value);
}

/** The rule for a cursor that an app passes. */
export const CURSOR_RULE: Rule = text(isCursor, "a cursor, as turbo.cursor gives it,");

/** Whether a text can be the id of a page. */
export function isPageId(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(text);
}

/** Whether a text can name the epoch of a log. */
export function isEpoch(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,32}$/.test(text);
}

/** The cursor of a position in an epoch. */
export function cursorOf(epoch: string, position: number): string {
  return `${epoch}.${position}`;
}

/** The parts of a cursor; `undefined` where it is not one of a log. Cursors of two epochs do not compare. */
export function parseCursor(cursor: string): { epoch: string; position: number } | undefined {
  const [, epoch, digits] = /^([A-Za-z0-9_-]{1,32})\.(\d{1,16})(?:\.\d{1,16})?$/.exec(cursor) ?? [];
  const position = Number(digits);
  return epoch !== undefined && Number.isSafeInteger(position) ? { epoch, position } : undefined;
}

/** Formats the message by which a page asks; the inverse of {@linkcode parseSince}. */
export function sinceOf({ cursor, token, page }: Since): string {
  const words = ["since", cursor];
  if (token || page !== undefined) words.push(token || "-");
  if (page !== undefined) words.push(page);
  return words.join(" ");
}

/** Parses `since CURSOR [TOKEN [PAGE]]`, with `-` for no token; `undefined` for any other message. */
export function parseSince(message: string): Since | undefined {
  const [verb, cursor, token = "-", page, ...rest] = message.split(" ");
  const valid = verb === "since" && isCursor(cursor) && rest.length === 0 &&
    (page === undefined || isPageId(page));
  return valid
    ? { cursor, token: token === "-" || token === "" ? undefined : token, page }
    : undefined;
}

/** Formats a page's report; the inverse of {@linkcode parseShown}. */
export function shownOf({ cursor, age }: Shown): string {
  return `shown ${cursor} ${Math.round(age)}`;
}

/** Parses `shown CURSOR MILLISECONDS`; `undefined` for any other message. */
export function parseShown(message: string): Shown | undefined {
  const [, cursor, age] = /^shown ([A-Za-z0-9._-]{1,64}) (\d{1,12})$/.exec(message) ?? [];
  return cursor === undefined ? undefined : { cursor, age: Number(age) };
}

/**
 * Parses `at PATH` or `missed CURSOR TARGET NEAR [CURSOR TARGET NEAR]…`, where all but the cursors is encoded
 * as in a URL, and `-` stands for no near id; `undefined` for any other message.
 *
 * @example
 * ```ts
 * import { parseNote } from "./protocol.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseNote("at %2Ftodos"), { path: "/todos" });
 * assert.deepEqual(parseNote("missed e.1 %23bxo box"), {
 *   misses: [{ cursor: "e.1", target: "#bxo", near: "box" }],
 * });
 * assert.equal(parseNote("since e.1"), undefined);
 * ```
 */
export function parseNote(message: string): Note | undefined {
  const [verb, ...encoded] = message.split(" ");
  if (verb !== "at" && verb !== "missed") return undefined;
  const words = encoded.map(percentDecoded);
  const isWhole = words.every((word) => word !== undefined && word !== "");
  if (!isWhole || words.length === 0) return undefined;
  if (verb === "at") return words.length === 1 ? { path: words[0]! } : undefined;
  const misses: Miss[] = [];
  for (let index = 0; index < words.length; index += 3) {
    const [cursor, target, near] = words.slice(index, index + 3);
    if (!isCursor(cursor) || target === undefined || near === undefined) return undefined;
    misses.push({ cursor, target, near: near === "-" ? undefined : near });
  }
  return { misses };
}

/** Whether a message from a page is longer than {@linkcode MAX_MESSAGE}. */
export function isTooLong(message: string): boolean {
  return Buffer.byteLength(message) > MAX_MESSAGE;
}
