/**
 * The wire between a page and the server, in one room: the sub-protocol `turbo-stream.v2`, its
 * cursors, what a page may ask and how much it may send, and how a connection is closed. Pure; the
 * browser's side, `client.js`, is tested against it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Rule, text } from "./checks.ts";
import { refresh } from "./streams.ts";

/** The sub-protocol of the client that comes with this extension (RFC 6455, section 1.9). */
export const PROTOCOL = "turbo-stream.v2";

/** Streams at a cursor. Without streams it is a marker, which answers a `since`, or a heartbeat. */
export interface Message {
  /** `EPOCH.POSITION`, in heartbeats `EPOCH.POSITION.BEAT`. */
  readonly cursor: string;
  /** Zero or more `<turbo-stream>` elements and nothing else. */
  readonly html: string;
}

/** What a page asks for: everything after a cursor. */
export interface Since {
  /** The cursor that the page is at. */
  readonly cursor: string;
  /** The signed topics that the page's `<head>` carries. */
  readonly token?: string | undefined;
  /** The page's own id. */
  readonly page?: string | undefined;
}

/** How a connection is closed (RFC 6455, section 7.4); the reason says in plain words why. */
export interface Close {
  /** 1000 to 1015, or 4000 to 4999 where the meaning is ours. */
  readonly code: number;
  /** At most 123 bytes. */
  readonly reason: string;
}

/**
 * How a server ends a connection; `again` is for server-sent events alone. A page comes back by itself
 * after all but `sentAway`.
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

/** Bytes of a message that a page sends, at most. */
export const MAX_MESSAGE: number = 4 * 1024;
/** How often a page may ask with `since`: so many at once, and then so many a second. */
export const SINCE_RATE = { burst: 20, perSecond: 1 } as const;
/** Whether a list of sub-protocols, as a handshake offers it, has this one (RFC 6455, section 4.1). */
export function offersProtocol(list: string): boolean {
  return list.split(",").some((protocol) => protocol.trim() === PROTOCOL);
}

/** Messages a minute from a client without the sub-protocol, which has nothing to say. */
export const MAX_STRAY_MESSAGES = 100;
/** Characters of a token: what is left of a message beside `since`, a cursor, a page and spaces. */
export const MAX_TOKEN: number = MAX_MESSAGE - "since".length - 3 - 64 - 64;
/** Milliseconds without any message after which a heartbeat is sent; the client counts on it. */
export const HEARTBEAT = 15_000;

/** What answers a cursor that the log cannot continue from: the page fetches itself again. */
export const REFRESH: string = String(refresh());

/**
 * The frame of the sub-protocol: a JSON array of `[CURSOR, HTML]`, oldest first.
 *
 * Each entry keeps its own cursor. Joined under the last one they would be shorter, and wrong: a
 * form's or a frame's answer that was rendered between two of them is newer than the first and older
 * than the second, and the page must be able to tell.
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
  return JSON.stringify(messages.map(({ cursor, html }) => [cursor, html]));
}

/**
 * The messages of a frame.
 *
 * @throws {SyntaxError} when it is none
 */
export function parseFrame(frame: string): Message[] {
  const pairs: unknown = JSON.parse(frame);
  const valid = Array.isArray(pairs) && pairs.length > 0 &&
    pairs.every((pair) =>
      Array.isArray(pair) && pair.length === 2 && isCursor(pair[0]) && typeof pair[1] === "string"
    );
  if (!valid) {
    throw new SyntaxError(
      `Cannot parse ${JSON.stringify(frame.slice(0, 100))}: a list of [CURSOR, HTML] is needed`,
    );
  }
  return pairs.map(([cursor, html]) => ({ cursor, html }));
}

/**
 * Messages as server-sent events (WHATWG HTML, section 9.2), one event a message. One without HTML
 * is an event named `cursor`, because Turbo's own stream source would take an unnamed one for HTML.
 */
export function eventsOf(messages: readonly Message[]): string {
  return messages.map(({ cursor, html }) =>
    html === "" ? `event: cursor\nid: ${cursor}\ndata:\n\n` : `id: ${cursor}\n${dataOf(html)}\n`
  ).join("");
}

/** The last event for a reader who was sent away: its page does not come back by itself. */
export const AWAY_EVENT = "event: away\ndata:\n\n";
/** Tells the client that a stream ends soon, so that it comes back at once. */
export const AGAIN_EVENT = "event: again\ndata:\n\n";

// CR, LF and CRLF all end a line (WHATWG HTML, section 9.2.5), and each new line must say that it is
// data, or pushed content could write fields of its own.
function dataOf(html: string): string {
  return html.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join("");
}

/** Whether a value has the form of a cursor. */
export function isCursor(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(value);
}

/** What a cursor given by an app must be. */
export const CURSOR_RULE: Rule = text(isCursor, "a cursor, as turbo.cursor gives it,");

/** Whether a text can be the id of a page. */
export function isPageId(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(text);
}

/** Whether a text can name a life of a log. */
export function isEpoch(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,32}$/.test(text);
}

/** The cursor of a position in a life of the log. */
export function cursorOf(epoch: string, position: number): string {
  return `${epoch}.${position}`;
}

/** What a cursor says, where it is one of a log. Cursors of two epochs do not compare. */
export function parseCursor(cursor: string): { epoch: string; position: number } | undefined {
  const [, epoch, digits] = /^([A-Za-z0-9_-]{1,32})\.(\d{1,16})(?:\.\d{1,16})?$/.exec(cursor) ?? [];
  const position = Number(digits);
  return epoch !== undefined && Number.isSafeInteger(position) ? { epoch, position } : undefined;
}

/** The message by which a page asks; the inverse of {@linkcode parseSince}. */
export function sinceOf({ cursor, token, page }: Since): string {
  const words = ["since", cursor];
  if (token || page !== undefined) words.push(token || "-");
  if (page !== undefined) words.push(page);
  return words.join(" ");
}

/** What a page asks for with `since CURSOR [TOKEN [PAGE]]`, `-` for no token. */
export function parseSince(message: string): Since | undefined {
  const [verb, cursor, token = "-", page, ...rest] = message.split(" ");
  const valid = verb === "since" && isCursor(cursor) && rest.length === 0 &&
    (page === undefined || isPageId(page));
  return valid
    ? { cursor, token: token === "-" || token === "" ? undefined : token, page }
    : undefined;
}

/** Whether a message of a page is longer than it may be. */
export function isTooLong(message: string): boolean {
  return Buffer.byteLength(message) > MAX_MESSAGE;
}
