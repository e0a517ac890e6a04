/**
 * Who may open a connection: what is wrong with a request for the stream, how many are open at a
 * time, and what a visitor may listen to.
 *
 * @module
 */
import { checkReaders, readerName, topicName } from "./audience.ts";
import { checkOptions, quote, type Rule, text } from "./checks.ts";
import { namesOf, NO_NAMES } from "./listeners.ts";
import { CLOCK, type Clock } from "./pace.ts";
import { Places } from "./places.ts";
import { CLOSE, type Close, isCursor, isPageId } from "./protocol.ts";
import { AddressBuckets, type Rate } from "./rate.ts";
import { hasValidHost, isAllowedHost, isHost, isSecure } from "./request.ts";
import type { Signer } from "./token.ts";

/** Who a connection is from. */
export interface ConnectOptions {
  /** The name or names of this reader, such as a user id. */
  as?: string | readonly string[] | undefined;
  /**
   * Its own network address, which `maxConnectionsPerAddress` and `handshakeRate` count by. Not that
   * of a proxy, which all readers share.
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
  readonly transport: "websocket" | "event stream";
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
  as: { allowed: "", problem: () => undefined }, // see checkReaders
  address: text((address) => address !== "", "a network address"),
} satisfies Record<keyof ConnectOptions, Rule>;

/**
 * Milliseconds after which one that is being opened gives back its place. It takes one again when it
 * opens: of a client that resets its handshake Deno tells nothing, and a flood of them would have
 * all places until the time-out.
 */
const OPENING_HOLDS_PLACE = 1_000;
const SWEEP_INTERVAL = 250;
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
   * Admits a visitor, or answers what is wrong (400, 403, 404, 421, 426, 429, 503).
   *
   * @throws {TypeError | RangeError} when `as` is no name, or an option is unknown or wrong
   */
  admit(request: Request, options: ConnectOptions): Visitor | Response {
    checkOptions("connect()", options, CONNECT_RULES);
    const { as: names = [], address } = options;
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
    const place = this.#closing ? undefined : this.#places.take(address);
    if (!place) return refuse(503, "Too many connections", retryAfter(5));
    return this.#visitor({ transport, as, page, since, token, origin }, { place, address });
  }

  /** Gives up all that have not opened yet. */
  giveUp(): void {
    for (const [visitor, opening] of [...this.#opening]) this.#giveUp(visitor, opening);
  }

  #visitor(
    said: Omit<Visitor, "opened" | "grant" | "release">,
    { place, address }: { place: () => void; address: string | undefined },
  ): Visitor {
    let release: (() => void) | undefined = place;
    const giveBack = () => {
      release?.();
      release = undefined;
    };
    const visitor: Visitor = {
      ...said,
      grant: (token) => this.#grant(said.as, token),
      opened: () => {
        const waiting = this.#opening.get(visitor)?.close ?? this.#closing;
        this.#isOpening(visitor, false);
        release ??= this.#places.take(address); // it was late
        return waiting ?? (release ? undefined : CLOSE.noPlace);
      },
      release: () => {
        this.#isOpening(visitor, false);
        giveBack();
      },
    };
    this.#opening.set(visitor, { since: this.#clock.now(), close: undefined, giveBack });
    this.#isOpening(visitor, true);
    return visitor;
  }

  #isOpening(visitor: Visitor, isOpening: boolean): void {
    if (!isOpening) this.#opening.delete(visitor);
    if (this.#opening.size > 0) {
      this.#cancelSweep ??= this.#clock.later(() => this.#sweep(), SWEEP_INTERVAL);
    } else {
      this.#cancelSweep?.();
      this.#cancelSweep = undefined;
    }
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const now = this.#clock.now();
    const { openTimeout } = this.#options;
    for (const [visitor, opening] of this.#opening) {
      const age = now - opening.since;
      if (age >= openTimeout) this.#giveUp(visitor, opening);
      else if (age >= OPENING_HOLDS_PLACE) opening.giveBack();
      else break;
    }
    if (this.#opening.size > 0) { // and where none was given up, which sets it too
      this.#cancelSweep ??= this.#clock.later(() => this.#sweep(), SWEEP_INTERVAL);
    }
  }

  #giveUp(visitor: Visitor, { giveBack }: Opening): void {
    giveBack();
    this.#isOpening(visitor, false);
    visitor.onLate?.();
  }

  #grant(as: readonly string[], token: string | undefined): Grant | undefined {
    if (token === undefined) return { names: namesOf(as), topics: NO_NAMES, from: undefined };
    const grant = this.#options.signer.verify(token);
    if (!grant) return undefined;
    const { reader, from } = grant;
    if (reader !== undefined && !as.includes(readerName(reader))) return undefined;
    const topics = grant.topics.map(topicName);
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
    if (origin !== null && this.#options.allowedOrigins.includes(normalOf(origin))) {
      return normalOf(origin);
    }
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
    this.#options.onNotice(
      `Refused a page of the origin ${pair}: where it may connect, set the option allowedOrigins ` +
        "(turbo-deno: --allow-origin)",
    );
  }
}

const UPGRADE = { "Upgrade": "websocket", "Connection": "Upgrade" };

function retryAfter(least: number): Record<string, string> {
  return { "Retry-After": String(least + Math.floor(Math.random() * 10)) };
}

function refuse(status: number, reason: string, headers: Record<string, string> = {}): Response {
  return new Response(`${reason}\n`, { status, headers });
}

function transportOf(request: Request): Visitor["transport"] | undefined {
  if (tokens(request.headers.get("Upgrade")).includes("websocket")) return "websocket";
  const accept = request.headers.get("Accept") ?? "";
  const wantsEvents = /(^|,)\s*text\/event-stream\s*($|[;,])/i.test(accept);
  return request.method === "GET" && wantsEvents ? "event stream" : undefined;
}

/** What is wrong with a WebSocket handshake (RFC 6455, section 4.2.1), as an answer. */
function handshakeError({ method, headers }: Request): Response | undefined {
  if (method !== "GET") return refuse(400, "A WebSocket handshake is a GET");
  if (!tokens(headers.get("Connection")).includes("upgrade")) {
    return refuse(400, "The Connection header does not say Upgrade");
  }
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(headers.get("Sec-WebSocket-Key")?.trim() ?? "")) {
    return refuse(400, "Sec-WebSocket-Key is not 16 bytes in base64");
  }
  if (headers.get("Sec-WebSocket-Version")?.trim() !== "13") {
    return refuse(426, "WebSocket version 13 is needed", {
      ...UPGRADE,
      "Sec-WebSocket-Version": "13",
    });
  }
  if (headers.get("Host") === null) return refuse(400, "The Host is missing");
}

/** Whether an origin is the server's own: the same host and port, and not less safe. */
function isOwnOrigin(request: Request, origin: string): boolean {
  // Nothing but what RFC 6454, section 6.2, makes: `new URL` would also take a path or a user.
  if (!isHost(origin.replace(/^https?:\/\//i, "")) || !URL.canParse(origin)) return false;
  const { protocol, host } = new URL(origin);
  if (protocol === "http:" && isSecure(request)) return false;
  const own = `${protocol}//${request.headers.get("Host")}`;
  return URL.canParse(own) && new URL(own).host === host;
}

/** An origin as browsers write it. */
function normalOf(origin: string): string {
  const isOrigin = isHost(origin.replace(/^https?:\/\//i, "")) && URL.canParse(origin);
  return isOrigin ? new URL(origin).origin : "";
}

function tokens(value: string | null): string[] {
  return (value ?? "").toLowerCase().split(",").map((token) => token.trim());
}
