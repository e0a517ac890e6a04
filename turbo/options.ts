/**
 * What a `Turbo` can be told, and what is allowed.
 *
 * @module
 */
import type { Whom } from "./audience.ts";
import {
  anything,
  callback,
  checkOptions,
  integer,
  listOf,
  milliseconds,
  number,
  oneOf,
  orNull,
  type Rule,
  text,
  withMethods,
} from "./checks.ts";
import type { ConnectionLimits } from "./connection.ts";
import type { Engine } from "./engine.ts";
import type { LogOptions } from "./log.ts";
import type { SharedChange } from "./nodes.ts";
import { CURSOR_RULE, HEARTBEAT } from "./protocol.ts";
import type { Rate } from "./rate.ts";
import { reasonOf } from "./report.ts";
import { isHost } from "./request.ts";
import { SECRET_RULE } from "./token.ts";
import type { Upgrade, UpgradeOptions } from "./websocket.ts";

/** Options of {@linkcode Turbo}. All times are in milliseconds. */
export interface TurboOptions extends Partial<ConnectionLimits> {
  /** Path of the stream; `null` switches it off, and pages do not connect. Default `/turbo-stream`. */
  path?: string | null;
  /** Path under which the scripts are. Default `/assets`. */
  assetsPath?: string;
  /**
   * What stands in front of both paths as the browser sees them, such as `/live`, where the app does not:
   * behind a proxy that strips it, or in an app that is mounted in another one. The routes of Hono's
   * `route` and `basePath` are known to the middleware. Default nothing.
   */
  base?: string;
  /** URL of another turbo.js to load instead of the one that is served. Default: none. */
  turboUrl?: string;
  /**
   * Key that signs topics, of 16 characters at least; the same in every process behind one address.
   * Default: the environment's `TURBO_SECRET` where that is allowed and set, else random, and then a
   * page of another process is refreshed when it comes to this one.
   */
  secret?: string;
  /** How long signed topics are accepted when a page connects; later it is refreshed. Default a day. */
  tokenLifetime?: number;
  /**
   * Hosts that the app is known by, such as `load.example`, or `localhost:8000` for that port alone.
   * For others there are no scripts, and `connect` answers 421; check your own routes by
   * `isAllowedHost`. Name them wherever a page must not be read by whoever has a name of theirs
   * resolve to this machine (DNS rebinding). Default: any.
   */
  allowedHosts?: readonly string[];
  /**
   * Origins other than the server's own whose pages may connect, such as `https://shop.example`. By
   * server-sent events they may read what they are sent, with their user's cookies. Default: none.
   */
  allowedOrigins?: readonly string[];
  /**
   * Connections at a time: those that are open, those being opened, and those that were closed and
   * have not ended. Default 10,000.
   */
  maxConnections?: number;
  /** Connections at a time from one `address` given to `connect`. Default: no limit. */
  maxConnectionsPerAddress?: number;
  /**
   * How often one `address` given to `connect` may begin to connect; more is answered 429. Default 20
   * at once, and then one a second.
   */
  handshakeRate?: Partial<Rate>;
  /**
   * Time in which a connection opens, or it is given up. It holds a place for a second of that, and
   * takes one again when it opens. Default 10,000.
   */
  openTimeout?: number;
  /**
   * About how long a stream of server-sent events lasts. Then it is ended and the reader comes back,
   * without a loss; one who has vanished is forgotten. Default 5 minutes.
   */
  eventStreamLifetime?: number;
  /** Silence after which a WebSocket is taken for dead; it is pinged at half of it. Default 30,000. */
  idleTimeout?: number;
  /** Silence after which a heartbeat is sent. Default 15,000, and no more: the client counts on it. */
  heartbeat?: number;
  /**
   * Time between two messages to one page: the first push leaves at once, what follows within this
   * time leaves together at its end, because a screen shows no more. 0 for none. Default 16.
   */
  frame?: number;
  /**
   * How long a reader who has left still counts as there in `Turbo.present`, so that a reload is not
   * seen by anybody. Default 5,000.
   */
  presenceGrace?: number;
  /** Limits of the log. */
  log?: LogOptions;
  /** Where the order of pushes comes from. Default {@linkcode memory}. */
  engine?: Engine;
  /**
   * Makes a WebSocket of a request. Default `Deno.upgradeWebSocket`; on Node and Bun that of an adapter
   * (`@turbo-deno/turbo/adapter`), without which pages there are reached by server-sent events alone.
   */
  upgrade?: Upgrade;
  /**
   * Called when a connection has come, gone or changed what it listens to, with the readers and topics
   * that gained or lost it. What it throws or rejects with is reported to `onError`.
   */
  onChange?: (whom: readonly Whom[]) => unknown;
  /**
   * Called when a node has shared something or is gone: see `Turbo.share`. What it throws or
   * rejects with is reported to `onError`.
   */
  onShared?: (change: SharedChange) => unknown;
  /**
   * Called when somebody has come to this node or left it, so that `Turbo.present` is different now on
   * every node, or after the loss of another node where this one tells the others: so of all nodes one
   * pushes what follows. With the readers and topics concerned; the list is empty where the number of
   * all alone has changed. A loss is told for all that the node had, for it may not have pushed its last
   * change. What it throws or rejects with is reported to `onError`.
   */
  onPresence?: (whom: readonly Whom[]) => unknown;
  /**
   * Takes what went wrong with one connection or callback. Default: `console.error` with the error's
   * message alone, because Deno panics when it formats an error and no file descriptor is left.
   */
  onError?: (message: string, error: unknown) => unknown;
  /** Takes what whoever runs this should know. Default `console.warn`. */
  onNotice?: (message: string) => unknown;
}

/** What goes into a page's `<head>` beside what the middleware knows. */
export interface PageOptions {
  /** Topics that the page listens to. They are signed, so a reader cannot choose others. */
  topics?: readonly string[];
  /**
   * The reader (one of the names that the option `as` of the middleware or of `connect` gives) that alone
   * may use the topics. Where it is left out: the first name that the middleware knows, else anyone who
   * has the page. It must not be `undefined`.
   */
  as?: string;
}

/** What goes into a page's `<head>` without the middleware. */
export interface HeadOptions extends PageOptions {
  /** The cursor taken before the page's data was read. Default: the newest now. */
  cursor?: string;
}

/** How {@linkcode Turbo.close} ends. */
export interface CloseOptions {
  /** 1001 (going away) or 1012 (restarting). Default 1001. */
  code?: 1001 | 1012;
  /** Time over which the closes are spread, at 25 ms each at most. Default 5,000. */
  window?: number;
  /** Time after which it stops waiting for readers to confirm. Default 10,000. */
  deadline?: number;
}

/** The options that may be left out for good. */
type Undefaulted = "turboUrl" | "log" | "secret" | "engine" | "onPresence";

/** The options that have a default. */
type Defaults =
  & Required<Omit<TurboOptions, Undefaulted | "handshakeRate">>
  & { handshakeRate: Rate };

/** Options with their defaults. */
export type ResolvedOptions =
  & Defaults
  & Pick<TurboOptions, Undefaulted>;

const DAY = 24 * 60 * 60 * 1000;
/** The longest time that a timer takes, in milliseconds. */
const LONGEST = 2 ** 31 - 1;
const GiB = 1024 ** 3;

const path = text(
  (path) => pathOf(path) === path,
  'a path from the root such as "/turbo-stream"',
);
const folder = (example: string) =>
  text(
    (path) => !path.endsWith("/") && pathOf(path) === path,
    `a path from the root such as "${example}", without / at its end,`,
  );
const base = folder("/live");
const address = text(
  (url) =>
    url !== "" && URL.canParse(url, "http://a") && /^https?:/.test(new URL(url, "http://a").href),
  "a URL",
);
const origin = text(
  (text) => /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text,
  'an origin such as "https://shop.example", without * and without / at its end,',
);
const host = text(
  isSentHost,
  'a host as browsers send it, such as "load.example" or "localhost:8000": in ASCII, without * and ' +
    "without port 80 or 443,",
);

const RATE_RULES = {
  burst: integer(1, 1_000_000),
  perSecond: number(0.001, 1_000_000),
} satisfies Record<keyof Rate, Rule>;

const RULES = {
  path: orNull(path),
  assetsPath: folder("/assets"),
  base: { ...base, problem: (value) => value === "" ? undefined : base.problem(value) },
  turboUrl: address,
  secret: SECRET_RULE,
  tokenLifetime: milliseconds(1_000, 366 * DAY),
  allowedHosts: listOf(host, `a list of hosts, each ${host.allowed}`),
  allowedOrigins: listOf(origin, `a list of origins, each ${origin.allowed}`),
  maxConnections: integer(1, 10_000_000),
  maxConnectionsPerAddress: integer(1, 10_000_000, { orInfinity: true }),
  handshakeRate: anything,
  openTimeout: milliseconds(100, LONGEST),
  eventStreamLifetime: milliseconds(1_000, DAY),
  idleTimeout: milliseconds(1_000, DAY),
  heartbeat: milliseconds(10, HEARTBEAT),
  frame: milliseconds(0, 60_000),
  behindAfter: integer(1, GiB),
  maxBuffered: integer(1, GiB),
  dropAfter: milliseconds(10, LONGEST),
  presenceGrace: milliseconds(0, 600_000),
  log: anything, // see Log
  engine: withMethods("start", "push", "flush", "close"),
  upgrade: callback,
  onChange: callback,
  onShared: callback,
  onPresence: callback,
  onError: callback,
  onNotice: callback,
} satisfies Record<keyof TurboOptions, Rule>;

const PAGE_RULES = {
  topics: anything, // see checkTopics
  as: anything, // see checkReader
} satisfies Record<keyof PageOptions, Rule>;

const HEAD_RULES = {
  cursor: CURSOR_RULE,
  ...PAGE_RULES,
} satisfies Record<keyof HeadOptions, Rule>;

const CLOSE_RULES = {
  code: oneOf(1001, 1012),
  window: milliseconds(0, LONGEST),
  deadline: milliseconds(0, LONGEST),
} satisfies Record<keyof CloseOptions, Rule>;

/**
 * Options with their defaults, where they are right.
 *
 * @throws {TypeError | RangeError} that names the option, its value and what is allowed
 */
export function resolveOptions(options: TurboOptions): ResolvedOptions {
  const checked = checkOptions("Turbo", options, RULES);
  const { handshakeRate = {} } = checked;
  const rate = checkOptions("handshakeRate", handshakeRate, RATE_RULES);
  const defaults: Defaults = {
    path: "/turbo-stream",
    assetsPath: "/assets",
    base: "",
    tokenLifetime: DAY,
    allowedHosts: [],
    allowedOrigins: [],
    maxConnections: 10_000,
    maxConnectionsPerAddress: Infinity,
    handshakeRate: { burst: 20, perSecond: 1, ...given(rate) },
    openTimeout: 10_000,
    eventStreamLifetime: 5 * 60 * 1000,
    idleTimeout: 30_000,
    heartbeat: HEARTBEAT,
    frame: 16,
    behindAfter: 64 * 1024,
    maxBuffered: 1024 * 1024,
    dropAfter: 10_000,
    presenceGrace: 5_000,
    upgrade: upgradeOnDeno,
    onChange: () => {},
    onShared: () => {},
    onError: (message, error) => console.error(message, reasonOf(error)),
    onNotice: (message) => console.warn(message),
  };
  return { ...defaults, ...given(checked), handshakeRate: defaults.handshakeRate };
}

/** Checks what `head(c)` is given. @throws {TypeError | RangeError} where it is wrong */
export function checkPageOptions(options: PageOptions): PageOptions {
  return checkOptions("head()", options, PAGE_RULES);
}

/** Checks what `head` is given without a context. @throws {TypeError | RangeError} where it is wrong */
export function checkHeadOptions(options: HeadOptions): HeadOptions {
  return checkOptions("head()", options, HEAD_RULES);
}

/** Checks what `close` is given. @throws {TypeError | RangeError} where it is wrong */
export function checkCloseOptions(options: CloseOptions): CloseOptions {
  return checkOptions("close()", options, CLOSE_RULES);
}

function upgradeOnDeno(
  request: Request,
  { protocol, idleTimeout }: UpgradeOptions,
): ReturnType<Upgrade> {
  if (typeof Deno === "undefined") {
    throw new Error(
      "Cannot open a WebSocket on this runtime by itself: set the option upgrade to that of " +
        "adaptNode() or adaptBun(), from @turbo-deno/turbo/adapter",
    );
  }
  return Deno.upgradeWebSocket(request, {
    idleTimeout,
    ...(protocol !== undefined && { protocol }),
  });
}

/** The options that are not left out. */
function given<Options extends object>(options: Options): Options {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Options;
}

/** Whether a browser's `Host` header can be this. One that is written otherwise would never match. */
function isSentHost(host: string): boolean {
  if (!isHost(host) || host.includes("*") || host.endsWith(":443")) return false;
  return new URL(`http://${host}`).host === host.toLowerCase();
}

function pathOf(path: string): string | undefined {
  return URL.canParse(path, "http://a") ? new URL(path, "http://a").pathname : undefined;
}
