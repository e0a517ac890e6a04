/**
 * Who may open a connection: what is wrong with a request for the stream, how many are open at a
 * time, and what a visitor may listen to.
 *
 * @module
 */
import { checkNames, namesOf } from "./listeners.ts";
import { Places } from "./places.ts";
import { CLOSE, type Close, isCursor, isPageId } from "./protocol.ts";
import { hasValidHost, isHost } from "./request.ts";
import type { Signer } from "./token.ts";

/** Who a connection is from. */
export interface ConnectOptions {
  /** The name or names of this reader, such as a user id. */
  as?: string | readonly string[];
  /** Its network address, counted against `maxConnectionsPerAddress`. */
  address?: string;
}

/** What {@linkcode Admission} goes by. */
export interface AdmissionOptions {
  /** Whether there is a stream at all. */
  isOff: boolean;
  /** Origins other than the server's own whose pages may connect. */
  allowedOrigins: readonly string[];
  /** Connections at a time, those being opened included. */
  maxConnections: number;
  /** Connections at a time from one address. */
  maxConnectionsPerAddress: number;
  /** Reads the topics that a page was given. */
  signer: Signer;
}

/** Who has been admitted, and what it says of itself. */
export interface Visitor {
  /** How it is to be reached. */
  readonly transport: "websocket" | "event stream";
  /** The names that the app gave it. */
  readonly as: readonly string[];
  /** The page's own id. */
  readonly page: string | undefined;
  /** The cursor that its page is at. */
  readonly since: string | undefined;
  /** The topics that its page was given, signed; not of a WebSocket, whose URL has none. */
  readonly token: string | undefined;
  /** Its connection is open: the close to be sent instead of anything else, where it may not stay. */
  opened(): Close | undefined;
  /** What it listens to with these signed topics; `undefined` where they do not hold. */
  names(token: string | undefined): ReadonlySet<string> | undefined;
  /** Its connection is gone, or never came: gives back its place, once however often it is called. */
  release(): void;
}

/** Decides who may connect to one application. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #places: Places;
  /** Whose connection is being opened, and the close that waits for it. */
  readonly #opening = new Map<Visitor, Close | undefined>();
  #closing: Close | undefined;

  /** All places are free. */
  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#places = new Places(options.maxConnections, options.maxConnectionsPerAddress);
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
    for (const visitor of this.#opening.keys()) {
      if (visitor.as.includes(name)) this.#opening.set(visitor, CLOSE.sentAway);
    }
  }

  /**
   * Admits a visitor, or answers what is wrong (400, 403, 404, 426, 503).
   *
   * @throws {RangeError} when `as` has too many names or one that is too long
   */
  admit(request: Request, options: ConnectOptions): Visitor | Response {
    const as = checkNames(typeof options.as === "string" ? [options.as] : options.as ?? []);
    const transport = transportOf(request);
    const { isOff, allowedOrigins } = this.#options;
    if (!hasValidHost(request)) return refuse(400, "The Host is malformed");
    if (isOff) return refuse(404, "Not found");
    if (!transport) {
      return refuse(426, "A WebSocket, or Accept: text/event-stream, is needed", UPGRADE);
    }
    const invalid = transport === "websocket" ? handshakeError(request) : undefined;
    if (invalid) return invalid;
    if (!isAllowedOrigin(request, allowedOrigins)) {
      return refuse(403, "This origin may not connect");
    }
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
    const release = this.#closing ? undefined : this.#places.take(options.address);
    if (!release) {
      const seconds = String(5 + Math.floor(Math.random() * 10));
      return refuse(503, "Too many connections", { "Retry-After": seconds });
    }
    const visitor: Visitor = {
      ...{ transport, as, page, since, token },
      names: (token) => this.#names(as, token),
      opened: () => {
        const close = this.#opening.get(visitor) ?? this.#closing;
        this.#opening.delete(visitor);
        return close;
      },
      release: () => {
        this.#opening.delete(visitor);
        release();
      },
    };
    this.#opening.set(visitor, undefined);
    return visitor;
  }

  #names(as: readonly string[], token: string | undefined): ReadonlySet<string> | undefined {
    if (token === undefined) return namesOf(as);
    const grant = this.#options.signer.verify(token);
    if (!grant || (grant.reader !== undefined && !as.includes(grant.reader))) return undefined;
    return new Set([...as, ...grant.topics]);
  }
}

const UPGRADE = { "Upgrade": "websocket", "Connection": "Upgrade" };

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

/**
 * Whether a request comes from a page of the same host and port, of an allowed origin, or from no
 * browser (no `Origin`). Browsers let any page open a WebSocket anywhere (RFC 6455, section 10.2).
 */
function isAllowedOrigin(request: Request, allowed: readonly string[]): boolean {
  const origin = request.headers.get("Origin");
  if (origin === null) return true;
  // Nothing but what RFC 6454, section 6.2, makes: `new URL` would also take a path or a user.
  if (!isHost(origin.replace(/^https?:\/\//i, "")) || !URL.canParse(origin)) return false;
  const { protocol, host, origin: normalized } = new URL(origin);
  if (allowed.includes(normalized)) return true;
  const own = `${protocol}//${request.headers.get("Host")}`;
  return URL.canParse(own) && new URL(own).host === host;
}

function tokens(value: string | null): string[] {
  return (value ?? "").toLowerCase().split(",").map((token) => token.trim());
}
