/**
 * Who may open a connection, how many are open at a time, and what a visitor may listen to.
 *
 * @module
 */
import { checkReaders, readerName, topicName } from "./audience.ts";
import { anything, checkOptions, quote, type Rule, text } from "./checks.ts";
import { handshakeError, refuse, retryAfter, type Transport } from "./handshake.ts";
import { transportOf, UPGRADE } from "./handshake.ts";
import { namesOf, NO_NAMES } from "./listeners.ts";
import { CLOCK, type Clock } from "./pace.ts";
import { networkOf, Places } from "./places.ts";
import { CLOSE, type Close, isCursor, isPageId } from "./protocol.ts";
import { AddressBuckets, type Rate } from "./rate.ts";
import { hasValidHost, isAllowedHost, isOwnOrigin, parseOrigin } from "./request.ts";
import type { Signer } from "./token.ts";

/** Who a connection is from. */
export interface ConnectOptions {
  /** The name or names of this reader, such as a user id. By the first it counts in `present`. */
  as?: string | readonly string[] | undefined;
  /**
   * Its own network address, which `maxConnectionsPerAddress` and `handshakeRate` count by, the
   * addresses of an IPv6 /64 as one. Not that of a proxy, which all readers share.
   */
  address?: string | undefined;
}

/** What {@linkcode Admission} goes by. */
export interface AdmissionOptions {
  /** Whether there is a stream at all. */
  isOff: boolean;
  /** The hosts that the app is known by; any where there are none. */
  allowedHosts: readonly string[];
  /** Origins other than the server's own whose pages may connect. */
  allowedOrigins: readonly string[];
  /** Connections at a time, those being opened and those that do not end included. */
  maxConnections: number;
  /** Connections at a time from one address. */
  maxConnectionsPerAddress: number;
  /** How often one address may begin to connect. */
  handshakeRate: Rate;
  /** Milliseconds after which a connection that has not opened is given up. */
  openTimeout: number;
  /** Reads the topics that a page was given. */
  signer: Signer;
  /** Tells whoever runs this. */
  onNotice: (message: string) => void;
  /** Default: the platform's. */
  clock?: Clock;
}

/** What a visitor listens to. */
export interface Grant {
  /** Its names and topics. */
  readonly names: ReadonlySet<string>;
  /** Its topics alone. */
  readonly topics: ReadonlySet<string>;
  /** The cursor from which on it may read the topics. */
  readonly from: string | undefined;
}

/** Who has been admitted, and what it says of itself. */
export interface Visitor {
  /** How it is to be reached. */
  readonly transport: Transport;
  /** The names that the app gave it, as the listeners know them. */
  readonly as: readonly string[];
  /** The page's own id. */
  readonly page: string | undefined;
  /** The cursor that its page is at. */
  readonly since: string | undefined;
  /** The topics that its page was given, signed; not of a WebSocket, whose URL has none. */
  readonly token: string | undefined;
  /** The foreign origin that its page is of, which may connect. */
  readonly origin: string | undefined;
  /** Its connection is open: the close to be sent instead of anything else, where it may not stay. */
  opened(): Close | undefined;
  /** What it may listen to with these signed topics; `undefined` where they do not hold. */
  grant(token: string | undefined): Grant | undefined;
  /** Its connection is gone, or never came: gives back its place, once however often it is called. */
  release(): void;
  /** Called when it has not opened in time, and is given up. */
  onLate?: () => void;
}

/** One whose connection is being opened. */
interface Opening {
  readonly since: number;
  /** The close that waits for it. */
  close: Close | undefined;
  /** Gives back its place. */
  readonly giveBack: () => void;
}

const CONNECT_RULES = {
  as: anything, // see checkReaders
  address: text((address) => address !== "", "a network address"),
} satisfies Record<keyof ConnectOptions, Rule>;

/**
 * Milliseconds after which a connection that is being opened gives its place back; it takes one again
 * when it opens. Deno does not report a client that resets its handshake, so a flood of them would hold
 * every place until the time-out.
 */
const OPENING_HOLDS_PLACE = 1_000;
const SWEEP_INTERVAL = 250;
/** Connections that may be being opened; beyond, the one that has waited longest is given up. */
const MAX_OPENING = 10_000;
/** Refusals of a foreign origin that are told; who connects can make up any number. */
const MAX_TOLD = 100;

/** Decides who may connect to one application. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #clock: Clock;
  readonly #places: Places;
  readonly #handshakes: AddressBuckets;
  /** In the order in which they came. */
  readonly #opening = new Map<Visitor, Opening>();
  #cancelSweep: (() => void) | undefined;
  readonly #told = new Set<string>();
  #closing: Close | undefined;

  /** All places are free. */
  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? CLOCK;
    this.#places = new Places(options.maxConnections, options.maxConnectionsPerAddress);
    this.#handshakes = new AddressBuckets(options.handshakeRate, this.#clock);
  }

  /** Places that are taken. */
  get taken(): number {
    return this.#places.taken;
  }

  /** From now on every request is refused, and what is being opened is closed when it opens. */
  close(close: Close): void {
    this.#closing = close;
  }

  /** Sends away those of a name whose connection is being opened. */
  disconnect(name: string): void {
    for (const [visitor, opening] of this.#opening) {
      if (visitor.as.includes(name)) opening.close = CLOSE.sentAway;
    }
  }

  /**
   * Admits a visitor to the stream of this path, or answers what is wrong (400, 403, 404, 421, 426, 429, 503).
   *
   * @throws {TypeError | RangeError} when `as` is no name, or an option is unknown or wrong
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
    if (!place) return refuse(503, "Too many connections", retryAfter(5));
    const said = { transport, as, page, since, token, origin };
    return this.#visitor(said, { place, address, path });
  }

  /** Gives up all that have not opened yet. */
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
        release ??= this.#places.take(address); // it was late
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
   * The foreign origin of a request that may connect, or the answer where it may not; `undefined` for
   * our own pages, and for programs, which send none. Browsers let any page open a WebSocket anywhere
   * (RFC 6455, section 10.2).
   */
  #foreignOrigin(request: Request): string | Response | undefined {
    const { headers } = request;
    const origin = headers.get("Origin");
    const written = parseOrigin(origin ?? "")?.origin; // as browsers write it
    if (written !== undefined && this.#options.allowedOrigins.includes(written)) return written;
    // A browser sends it where it sends no Origin, as for an image.
    const isCrossSite = headers.get("Sec-Fetch-Site") === "cross-site";
    if (!isCrossSite && (origin === null || isOwnOrigin(request, origin))) return undefined;
    this.#tell(origin, headers.get("Host"));
    return refuse(403, "This origin may not connect");
  }

  #tell(origin: string | null, host: string | null): void {
    const pair = `${quote(origin)} at ${quote(host)}`;
    if (origin === null || this.#told.size >= MAX_TOLD || this.#told.has(pair)) return;
    this.#told.add(pair);
    const isLast = this.#told.size === MAX_TOLD;
    this.#options.onNotice(
      `Refused a page of the origin ${pair}: where it may connect, set the option allowedOrigins ` +
        `(turbo-deno: --allow-origin)${isLast ? ". No others will be told" : ""}`,
    );
  }
}
