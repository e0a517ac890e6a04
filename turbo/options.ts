/**
 * The options of a `Turbo` and of its methods, their defaults, and their checks.
 *
 * @module
 */
import type { Whom } from "./audience.ts";
import {
  anything,
  boolean,
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
import type { Meter } from "./meter.ts";
import type { SharedChange } from "./nodes.ts";
import { CURSOR_RULE, HEARTBEAT, REPORT_INTERVAL } from "./protocol.ts";
import type { Rate } from "./rate.ts";
import type { ConnectionEvent } from "./readers.ts";
import { reasonOf } from "./report.ts";
import { isHost } from "./request.ts";
import { SECRET_RULE } from "./token.ts";
import type { Upgrade, UpgradeOptions } from "./websocket.ts";

/** Options of {@linkcode Turbo}. All times are in milliseconds. */
export interface TurboOptions extends Partial<ConnectionLimits> {
  /**
   * Path of the stream to which pages connect. `null` switches the stream off. Default `/turbo-stream`.
   */
  path?: string | null;
  /** Path below which the scripts are served. Default `/assets`. */
  assetsPath?: string;
  /**
   * Path below which the browser sees the app where the app itself does not see it, such as `/live`: a
   * proxy strips it, or the app is mounted in another one. The prefixes of Hono's `route` and `basePath`
   * are known to the middleware and are not part of it. Default: none.
   */
  base?: string;
  /** URL of a turbo.js that pages load instead of the one that is served. Default: none. */
  turboUrl?: string;
  /**
   * Key that signs topics, of at least 16 characters. All processes behind one address need the same
   * key. Default: the environment variable `TURBO_SECRET` where the process may read it and it is set,
   * otherwise a random key. With a random key, a page that another process rendered is refreshed when it
   * connects to this one.
   */
  secret?: string;
  /**
   * How long signed topics are accepted when a page connects. A page that connects later is refreshed.
   * Default: a day.
   */
  tokenLifetime?: number;
  /**
   * Hosts that the app answers to, such as `load.example`, or `localhost:8000` for that port alone. For
   * any other host the middleware and `connect` answer 421, and `asset` answers nothing; routes in front
   * of the middleware can check by `isAllowedHost`. Set it where a site must not read your pages by making
   * its own name resolve to this machine (DNS rebinding). Default: any host.
   */
  allowedHosts?: readonly string[];
  /**
   * Origins other than the server's own whose pages may connect, such as `https://shop.example`. Their
   * connections carry the cookies that the user has for this server. Default: none.
   */
  allowedOrigins?: readonly string[];
  /**
   * Maximum connections at a time, including those that are opening or have not finished closing.
   * Default 10,000.
   */
  maxConnections?: number;
  /**
   * Maximum connections at a time from one `address`, which the middleware or `connect` is given. Default:
   * no limit.
   */
  maxConnectionsPerAddress?: number;
  /**
   * How often one `address`, which the middleware or `connect` is given, may start to connect. Further
   * attempts are answered 429. Default: 20 at once, then one a second.
   */
  handshakeRate?: Partial<Rate>;
  /**
   * Time after which a connection that has not opened is abandoned. While it opens, it counts towards
   * `maxConnections` for the first second only, and again when it is open. Default 10,000.
   */
  openTimeout?: number;
  /**
   * About how long a stream of server-sent events lasts. The server then ends it, and the page reconnects
   * and misses nothing. The connection of a reader who has vanished counts until then. Default: 5 minutes.
   */
  eventStreamLifetime?: number;
  /**
   * Silence after which the server considers a WebSocket dead and closes it. It sends a ping after half of
   * that time. Default 30,000.
   */
  idleTimeout?: number;
  /**
   * Silence after which the server sends a heartbeat. At most 15,000, because the client reconnects when
   * heartbeats stay away. Default 15,000.
   */
  heartbeat?: number;
  /**
   * Least time between two messages to one page. The first push is sent at once; the pushes that follow
   * within this time are sent together at its end. The default is about one frame of a screen, which
   * cannot show more. 0 for no such time. Default 16.
   */
  frame?: number;
  /**
   * Least time between two reports of a page to the server about what it shows; see `Turbo.staleness`. A
   * page reports at the first push that it renders after this time. Default: a minute.
   */
  reportInterval?: number;
  /**
   * How long a reader who has left stays present in `Turbo.present`, so that a reload of a page is not
   * seen as leaving. Default 5,000.
   */
  presenceGrace?: number;
  /** Limits of the log. */
  log?: LogOptions;
  /** What puts the pushes in order. Default: {@linkcode memory}, for one process. */
  engine?: Engine;
  /**
   * OpenTelemetry's meter that reads {@linkcode Turbo.metrics}, or `null` for none. Default: one of the
   * provider that is registered with OpenTelemetry's API, as Deno does where the environment has
   * `OTEL_DENO=true`. On other runtimes register it before the `Turbo` is made.
   */
  meter?: Meter | null;
  /**
   * Upgrades a request to a WebSocket. Default: `Deno.upgradeWebSocket`. On Node and Bun give that of an
   * adapter (`@turbo-deno/turbo/adapter`); without it, pages there can use server-sent events only.
   */
  upgrade?: Upgrade;
  /**
   * Called when a connection has opened, has ended or listens to other names, with the readers and topics
   * that gained or lost it. What it throws or rejects with is reported to `onError`.
   */
  onChange?: (whom: readonly Whom[]) => unknown;
  /**
   * Called when a connection has opened or has ended, such as to log why. What it throws or rejects with is
   * reported to `onError`.
   */
  onConnection?: (event: ConnectionEvent) => unknown;
  /**
   * Called when a node has shared a value or is gone: see `Turbo.share`. What it throws or rejects with is
   * reported to `onError`.
   */
  onShared?: (change: SharedChange) => unknown;
  /**
   * Called when `Turbo.present` has changed on every node because of this one: a reader has connected to
   * this node or has left it, or this node has reported the loss of another. It is called on one node only,
   * which can push what follows from the change.
   *
   * It receives the readers and topics that changed. The list is empty where only the number of all has
   * changed. After the loss of a node it receives all readers and topics of that node, because the node may
   * not have pushed its last changes. What it throws or rejects with is reported to `onError`.
   */
  onPresence?: (whom: readonly Whom[]) => unknown;
  /**
   * Called with an error of one connection or callback. Default: `console.error` with the error's message
   * alone, because Deno panics when it formats an error and no file descriptor is left.
   */
  onError?: (message: string, error: unknown) => unknown;
  /** Called with a notice for the operator. Default: `console.warn`. */
  onNotice?: (message: string) => unknown;
}

/** Options of {@linkcode Turbo.head} for a page of which the middleware knows the rest. */
export interface PageOptions {
  /** Topics that the page listens to. They are signed, so a reader cannot choose others. */
  topics?: readonly string[];
  /**
   * The only reader that may use the topics: one of the names that the option `as` of the middleware or of
   * `connect` gives. Default: the first name that the middleware knows; without one, anyone who has the
   * page. The key must not be present with the value `undefined`.
   */
  as?: string;
  /**
   * Whether the page keeps its connection while its tab is hidden, because people watch its title or its icon
   * from other tabs. Default `false`: it closes the connection 30 seconds after that, and catches up when it
   * is shown again.
   */
  background?: boolean;
}

/** Options of {@linkcode Turbo.head} for a page without the middleware. */
export interface HeadOptions extends PageOptions {
  /** The cursor taken before the page's data was read. Default: the newest. */
  cursor?: string;
}

/** Options of {@linkcode Turbo.close}. */
export interface CloseOptions {
  /** Close code: 1001 (going away) or 1012 (restarting). Default 1001. */
  code?: 1001 | 1012;
  /** Time over which the closes are spread, with at most 25 ms between two of them. Default 5,000. */
  window?: number;
  /** Time after which it no longer waits for readers to confirm the close. Default 10,000. */
  deadline?: number;
}

/** The options without a default. */
type Undefaulted =
  | "turboUrl"
  | "log"
  | "secret"
  | "engine"
  | "meter"
  | "onConnection"
  | "onPresence";

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
  reportInterval: milliseconds(100, DAY),
  presenceGrace: milliseconds(0, 600_000),
  log: anything, // see Log
  engine: withMethods("start", "push", "flush", "close"),
  meter: orNull(withMethods(
    "createObservableCounter",
    "createObservableUpDownCounter",
    "createObservableGauge",
    "createHistogram",
  )),
  upgrade: callback,
  onChange: callback,
  onConnection: callback,
  onShared: callback,
  onPresence: callback,
  onError: callback,
  onNotice: callback,
} satisfies Record<keyof TurboOptions, Rule>;

const PAGE_RULES = {
  topics: anything, // see checkTopics
  as: anything, // see checkReader
  background: boolean,
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
 * Checks options and adds the defaults.
 *
 * @throws {TypeError | RangeError} when an option is unknown or not allowed
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
    reportInterval: REPORT_INTERVAL,
    presenceGrace: 5_000,
    upgrade: upgradeOnDeno,
    onChange: () => {},
    onShared: () => {},
    onError: (message, error) => console.error(message, reasonOf(error)),
    onNotice: (message) => console.warn(message),
  };
  return { ...defaults, ...given(checked), handshakeRate: defaults.handshakeRate };
}

/** Checks the options of `head(c, options)`. @throws {TypeError | RangeError} when one is not allowed */
export function checkPageOptions(options: PageOptions): PageOptions {
  return checkOptions("head()", options, PAGE_RULES);
}

/** Checks the options of `head(options)`. @throws {TypeError | RangeError} when one is not allowed */
export function checkHeadOptions(options: HeadOptions): HeadOptions {
  return checkOptions("head()", options, HEAD_RULES);
}

/** Checks the options of `close`. @throws {TypeError | RangeError} when one is not allowed */
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

/** The options that are not `undefined`. */
function given<Options extends object>(options: Options): Options {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Options;
}

/** Whether a browser can send this as `Host`. A host in another form would match no request. */
function isSentHost(host: string): boolean {
  if (!isHost(host) || host.includes("*") || host.endsWith(":443")) return false;
  return new URL(`http://${host}`).host === host.toLowerCase();
}

function pathOf(path: string): string | undefined {
  return URL.canParse(path, "http://a") ? new URL(path, "http://a").pathname : undefined;
}
