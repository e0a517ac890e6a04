/**
 * Decides which requests may open a connection, how many connections exist at a time, and which
 * topics each may listen to.
 *
 * @module
 */
import { checkReaders, readerName, topicName } from "./audience.ts";
import { anything, checkOptions, quote, type Rule, text } from "./checks.ts";
import { handshakeError, refuse, retryAfter, type Transport } from "./handshake.ts";
import { transportOf, UPGRADE } from "./handshake.ts";
import { namesOf, NO_NAMES } from "./listeners.ts";
import { CLOCK, type Clock } from "./clock.ts";
import { networkOf, Places } from "./places.ts";
import { CLOSE, type Close, isCursor, isPageId } from "./protocol.ts";
import { AddressBuckets, type Rate } from "./rate.ts";
import { hasValidHost, isAllowedHost, isOwnOrigin, parseOrigin } from "./request.ts";
import type { Signer } from "./token.ts";

/** Who opens a connection. */
export interface ConnectOptions {
  /** The name or names of this reader, such as a user id. `present` counts the reader by the first. */
  as?: string | readonly string[] | undefined;
  /**
   * The client's own network address, by which `maxConnectionsPerAddress` and `handshakeRate` count;
   * all addresses of an IPv6 /64 count as one. It must not be the address of a proxy, which all
   * readers share.
   */
  address?: string | undefined;
}

/** Options of {@linkcode Admission}. */
export interface AdmissionOptions {
  /** Whether the stream is switched off: every request is answered 404. */
  isOff: boolean;
  /** The hosts that the app answers to; an empty list allows any. */
  allowedHosts: readonly string[];
  /** Origins other than the server's own whose pages may connect. */
  allowedOrigins: readonly string[];
  /** Maximum connections at a time, including those that are opening or have not finished closing. */
  maxConnections: number;
  /** Maximum connections at a time from one address. */
  maxConnectionsPerAddress: number;
  /** How often one address may start to connect. */
  handshakeRate: Rate;
  /** Milliseconds after which a connection that has not opened is abandoned. */
  openTimeout: number;
  /** Verifies the signed topics of a page. */
  signer: Signer;
  /** Receives notices for the operator. */
  onNotice: (message: string) => void;
  /** Default: the platform's clock. */
  clock?: Clock;
}

/** What a client may listen to. */
export interface Grant {
  /** The names of the reader and its topics. */
  readonly names: ReadonlySet<string>;
  /** The topics alone. */
  readonly topics: ReadonlySet<string>;
  /** The cursor from which on the client may read the topics. */
  readonly from: string | undefined;
}

/** A client that was admitted, and what its request says. */
export interface Visitor {
  /** The transport that it asks for. */
  readonly transport: Transport;
  /** The names that the app gave it, in the form that {@linkcode Listeners} uses. */
  readonly as: readonly string[];
  /** The id of its page. */
  readonly page: string | undefined;
  /** The cursor of its page. */
  readonly since: string | undefined;
  /** Whether its page reports what it shows. */
  readonly reports: boolean;
  /** Whether its page must be fetched, and so does not show what is up to its cursor. */
  readonly isLost: boolean;
  /** The signed topics of its page; `undefined` for a WebSocket, whose URL carries none. */
  readonly token: string | undefined;
  /** The origin of its page, where that is an allowed foreign one. */
  readonly origin: string | undefined;
  /** Call when its connection is open. Returns the close to send where the client may not stay. */
  opened(): Close | undefined;
  /** What it may listen to with these signed topics; `undefined` where they are not valid. */
  grant(token: string | undefined): Grant | undefined;
  /** Call when its connection has ended or never opened. Releases its place; later calls do nothing. */
  release(): void;
  /** Called when it has not opened in time and was abandoned. */
  onLate?: () => void;
}

/** A connection that is opening. */
interface Opening {
  readonly since: number;
  /** The close to send when it opens. */
  close: Close | undefined;
  /** Releases its place. */
  readonly giveBack: () => void;
}

const CONNECT_RULES = {
  as: anything, // checkReaders checks it
  address: text((address) => address !== "", "a network address"),
} satisfies Record<keyof ConnectOptions, Rule>;

/**
 * Milliseconds after which an opening connection loses its place; it takes another when it opens. Deno
 * does not report a client that resets its handshake, so a flood of them would hold every place until
 * the timeout.
 */
const OPENING_HOLDS_PLACE = 1_000;
const SWEEP_INTERVAL = 250;
/** Connections that may be opening at a time; beyond that, the one that has waited longest is abandoned. */
const MAX_OPENING = 10_000;
/** Milliseconds in which it is reported once that all connections are taken. */
const FULL_INTERVAL = 60_000;
/** How many foreign origins are reported: a client can make up any number of them. */
const MAX_REPORTED = 100;

/** Decides which clients may connect to one application. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #clock: Clock;
  readonly #places: Places;
  readonly #handshakes: AddressBuckets;
  /** In the order of their requests. */
  readonly #opening = new Map<Visitor, Opening>();
  #cancelSweep: (() => void) | undefined;
  readonly #reported = new Set<string>();
  /** Until when it is not reported again that all connections are taken. */
  #fullUntil = -Infinity;
  #closing: Close | undefined;

  /** Starts with all places free. */
  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? CLOCK;
    this.#places = new Places(options.maxConnections, options.maxConnectionsPerAddress);
    this.#handshakes = new AddressBuckets(options.handshakeRate, this.#clock);
  }

  /** How many places are taken. */
  get taken(): number {
    return this.#places.taken;
  }

  /** The clients that were admitted and whose connection is not open yet, oldest first. */
  get opening(): Iterable<Visitor> {
    return this.#opening.keys();
  }

  /** Rejects every request from now on, and closes each opening connection when it opens. */
  close(close: Close): void {
    this.#closing = close;
  }

  /** Disconnects the opening connections of a name when they open. */
  disconnect(name: string): void {
    for (const [visitor, opening] of this.#opening) {
      if (visitor.as.includes(name)) opening.close = CLOSE.sentAway;
    }
  }

  /**
   * Admits a client to the stream at this path, or returns the answer that says what is wrong (400, 403,
   * 404, 421, 426, 429, 503).
   *
   * @throws {TypeError | RangeError} when `as` is not a name, or an option is unknown or wrong
   */
  admit(request: Request, options: ConnectOptions, path: string): Visitor | Response {
    const { as: names = [], address: given } = checkOptions("connect()", options, CONNECT_RULES);
    const address = given && networkOf(given);
    const as = checkReaders("connect()", names).map(readerName);
    const transport = transportOf(request);
    const { isOff, allowedHosts } = this.#options;
    if (!hasValidHost(request)) return refuse(400, "The Host is malformed");
    if (!isAllowedHost(request, allowedHosts)) return refuse(421, "This host is not served here");
    if (isOff) return refuse(404, "Not found");
    if (!transport) {
      return refuse(426, "A WebSocket, or Accept: text/event-stream, is needed", UPGRADE);
    }
    const invalid = transport === "websocket" ? handshakeError(request) : undefined;
    if (invalid) return invalid;
    const origin = this.#foreignOrigin(request);
    if (origin instanceof Response) return origin;
    const query = new URL(request.url).searchParams;
    const since = request.headers.get("Last-Event-ID") ?? query.get("since") ?? undefined;
    const page = query.get("page") ?? undefined;
    if ((since !== undefined && !isCursor(since)) || (page !== undefined && !isPageId(page))) {
      return refuse(400, "since or page is malformed");
    }
    const token = query.get("token") || undefined;
    if (token !== undefined && transport === "websocket") {
      return refuse(400, "A token must not stand in the URL of a WebSocket: send it with since");
    }
    if (address !== undefined && !this.#handshakes.take(address)) {
      return refuse(429, "Too many handshakes", retryAfter(1));
    }
    if (this.#closing) return refuse(503, this.#closing.reason, retryAfter(5));
    const place = this.#places.take(address);
    if (!place) {
      this.#reportFull();
      return refuse(503, "Too many connections", retryAfter(5));
    }
    const reports = query.has("reports");
    const isLost = query.get("reports") === "0";
    const said = { transport, as, page, since, reports, isLost, token, origin };
    return this.#visitor(said, { place, address, path });
  }

  /** Abandons all connections that have not opened yet. */
  giveUp(): void {
    for (const [visitor, opening] of [...this.#opening]) this.#giveUp(visitor, opening);
  }

  #visitor(
    said: Omit<Visitor, "opened" | "grant" | "release">,
    { place, address, path }: { place: () => void; address: string | undefined; path: string },
  ): Visitor {
    let release: (() => void) | undefined = place;
    const giveBack = () => {
      release?.();
      release = undefined;
    };
    const visitor: Visitor = {
      ...said,
      grant: (token) => this.#grant(said.as, token, path),
      opened: () => {
        const waiting = this.#opening.get(visitor)?.close ?? this.#closing;
        this.#forget(visitor);
        release ??= this.#places.take(address); // it opened late and has lost its place
        return waiting ?? (release ? undefined : CLOSE.noPlace);
      },
      release: () => {
        this.#forget(visitor);
        giveBack();
      },
    };
    this.#opening.set(visitor, { since: this.#clock.now(), close: undefined, giveBack });
    const [oldest] = this.#opening;
    if (oldest && this.#opening.size > MAX_OPENING) this.#giveUp(...oldest);
    this.#sweepLater();
    return visitor;
  }

  #forget(visitor: Visitor): void {
    this.#opening.delete(visitor);
    if (this.#opening.size > 0) return;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }

  #sweepLater(): void {
    if (this.#opening.size === 0) return;
    this.#cancelSweep ??= this.#clock.later(() => this.#sweep(), SWEEP_INTERVAL);
  }

  #sweep(): void {
    const now = this.#clock.now();
    const { openTimeout } = this.#options;
    for (const [visitor, opening] of this.#opening) {
      const age = now - opening.since;
      if (age >= openTimeout) this.#giveUp(visitor, opening);
      else if (age >= OPENING_HOLDS_PLACE) opening.giveBack();
      else break;
    }
    this.#cancelSweep = undefined;
    this.#sweepLater();
  }

  #giveUp(visitor: Visitor, { giveBack }: Opening): void {
    giveBack();
    this.#forget(visitor);
    visitor.onLate?.();
  }

  #grant(as: readonly string[], token: string | undefined, path: string): Grant | undefined {
    if (token === undefined) return { names: namesOf(as), topics: NO_NAMES, from: undefined };
    const claims = this.#options.signer.verify(token, path);
    if (!claims) return undefined;
    const { reader, from } = claims;
    if (reader !== undefined && !as.includes(readerName(reader))) return undefined;
    const topics = claims.topics.map(topicName);
    return { names: new Set([...as, ...topics]), topics: new Set(topics), from };
  }

  /**
   * The origin of a request from an allowed foreign page, or the answer that rejects it; `undefined` for
   * our own pages, and for programs, which send no `Origin`. Browsers let any page open a WebSocket to
   * any server, so the server must check (RFC 6455, section 10.2).
   */
  #foreignOrigin(request: Request): string | Response | undefined {
    const { headers } = request;
    const origin = headers.get("Origin");
    const written = parseOrigin(origin ?? "")?.origin; // normalized, as browsers write it
    if (written !== undefined && this.#options.allowedOrigins.includes(written)) return written;
    // Browsers send it also where they send no Origin, such as for an image.
    const isCrossSite = headers.get("Sec-Fetch-Site") === "cross-site";
    if (!isCrossSite && (origin === null || isOwnOrigin(request, origin))) return undefined;
    this.#report(origin, headers.get("Host"));
    return refuse(403, "This origin may not connect");
  }

  #reportFull(): void {
    const { maxConnections } = this.#options;
    const now = this.#clock.now();
    // One address that has too many concerns its own users only.
    if (this.#places.taken < maxConnections || now < this.#fullUntil) return;
    this.#fullUntil = now + FULL_INTERVAL;
    this.#options.onNotice(
      `All ${maxConnections} connections are taken: further ones are answered 503. Raise the option ` +
        "maxConnections (turbo-deno: --max-connections), or add a process",
    );
  }

  #report(origin: string | null, host: string | null): void {
    const pair = `${quote(origin)} at ${quote(host)}`;
    if (origin === null || this.#reported.size >= MAX_REPORTED || this.#reported.has(pair)) return;
    this.#reported.add(pair);
    const isLast = this.#reported.size === MAX_REPORTED;
    this.#options.onNotice(
      `Refused a page of the origin ${pair}: where it may connect, set the option allowedOrigins ` +
        `(turbo-deno: --allow-origin)${isLast ? ". Further origins are not reported" : ""}`,
    );
  }
}
