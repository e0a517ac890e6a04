/**
 * A live load-average page: routes, wiring, timer and process.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { getConnInfo } from "hono/deno";
import { NONCE, secureHeaders, type SecureHeadersVariables } from "hono/secure-headers";
import { parseArgs } from "node:util";
import config from "./deno.json" with { type: "json" };
import { type LoadReport, LoadSampler } from "./loadavg.ts";
import { LOAD_ID, loadBox, mainPage, notFoundPage, type PageContext } from "./templates.ts";
import { secondPage, STYLES } from "./templates.ts";
import {
  asset,
  CURSOR_HEADER,
  type Markup,
  replace,
  Turbo,
  type TurboOptions,
} from "./turbo/mod.ts";
import { hasValidHost } from "./turbo/request.ts";

/** What can be set from outside. */
export interface Settings {
  /** Port to listen on; 0 takes a free one. */
  port: number;
  /** Address to listen on. */
  hostname: string;
  /** Seconds between two readings. */
  interval: number;
  /** Open pages at a time. */
  maxConnections: number;
  /** Origins other than the server's own whose pages may connect. */
  allowOrigin: string[];
  /** MiB of memory above which the process drains and ends, for a supervisor to start it anew. */
  maxMemory: number;
}

/** What {@linkcode createApp} takes; everything has a default. */
export interface AppOptions {
  /** Seconds between two readings. Default 5. */
  interval?: number;
  /** Where the numbers come from. */
  sampler?: Pick<LoadSampler, "report">;
  /** Options of the stream. */
  turbo?: TurboOptions;
}

/** The app, and how to stop it. */
export interface App {
  /** The routes. */
  readonly hono: Hono<{ Variables: SecureHeadersVariables }>;
  /** The open pages. */
  readonly turbo: Turbo;
  /** Closes the stream and ends the timer, in `deadline` milliseconds at most. */
  close(deadline: number): Promise<void>;
}

type AppContext = Context<{ Variables: SecureHeadersVariables }>;

/** Wires the app together. Starts nothing: the timer runs while a page is open. */
export function createApp(options: AppOptions = {}): App {
  const { interval = 5, sampler = new LoadSampler() } = options;
  const turbo = new Turbo({ ...options.turbo, onChange: startOrStopTimer });
  const stylesheet = asset("/assets/app.css", STYLES, "text/css");
  const hono = new Hono<{ Variables: SecureHeadersVariables }>();
  let timer: ReturnType<typeof setInterval> | undefined;
  let draining = false;

  function startOrStopTimer(): void {
    if (turbo.canPush()) {
      timer ??= setInterval(() => tick().catch(console.error), interval * 1000);
    } else {
      clearInterval(timer);
      timer = undefined;
    }
  }

  async function tick(): Promise<void> {
    const load = await sampler.report();
    turbo.push(replace(LOAD_ID, loadBox(load)));
  }

  async function render(
    c: AppContext,
    page: (context: PageContext) => Markup,
  ): Promise<Response> {
    const cursor = turbo.cursor; // before the sample is read, or a push in between would be missed
    const load: LoadReport = await sampler.report(interval * 1000);
    const response = await c.html(page({
      head: turbo.head({ cursor }),
      stylesheet: stylesheet.path,
      nonce: c.get("secureHeadersNonce") ?? "",
      load,
    }));
    // Afterwards, for Deno makes a response with several headers ready to send, and there come more.
    response.headers.set(CURSOR_HEADER, cursor);
    response.headers.set("Cache-Control", "no-cache");
    return response;
  }

  const setHeaders = secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", NONCE],
      imgSrc: ["'self'", "data:"],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
      baseUri: ["'none'"],
      frameAncestors: ["'none'"],
    },
    referrerPolicy: "strict-origin-when-cross-origin", // Turbo's forms need the Origin
    strictTransportSecurity: false, // only whoever ends the TLS knows of it
    xFrameOptions: "DENY",
  });

  async function secure(c: AppContext, next: () => Promise<void>): Promise<void> {
    await setHeaders(c, next);
    if (c.req.header("X-Forwarded-Proto") === "https") {
      c.header("Strict-Transport-Security", "max-age=31536000");
    }
  }

  // In front of the middleware: the headers of a WebSocket's answer cannot be changed.
  hono.get("/turbo-stream", async (c) => {
    const address = c.env ? getConnInfo(c).remote.address : undefined;
    const response = turbo.connect(c.req.raw, address === undefined ? {} : { address });
    if (response.status === 101) return response;
    await secure(c, () => Promise.resolve(void (c.res = response)));
    return c.res;
  });

  hono.use(secure);
  hono.use(async (c, next) => {
    if (!hasValidHost(c.req.raw)) return c.text("The Host is malformed\n", 400);
    await next();
  });
  hono.get("/", (c) => render(c, mainPage));
  hono.get("/page2", (c) => render(c, secondPage));
  hono.get("/assets/*", (c) => {
    if (c.req.path === stylesheet.path) return stylesheet.respond(c.req.raw);
    return turbo.asset(c.req.raw) ?? c.notFound();
  });
  hono.get("/healthz", (c) => c.text("ok"));
  hono.get("/readyz", (c) =>
    c.json({
      status: draining ? "draining" : "ready",
      connections: turbo.size,
      zombies: turbo.zombies,
    }, draining ? 503 : 200));
  for (const path of ["/", "/page2", "/turbo-stream", "/assets/*", "/healthz", "/readyz"]) {
    hono.all(path, (c) => c.text("Method not allowed\n", 405, { Allow: "GET, HEAD" }));
  }
  hono.notFound((c) => {
    c.status(404);
    return render(c, notFoundPage);
  });
  hono.onError((error, c) => {
    console.error(`Cannot answer ${c.req.method} ${c.req.path}:`, error);
    return c.text("Internal server error\n", 500);
  });

  return {
    hono,
    turbo,
    async close(deadline) {
      draining = true;
      await turbo.close({ code: 1012, deadline });
      clearInterval(timer);
    },
  };
}

const HELP = `A live load-average page.

Usage: turbo-deno [options]

Options, each also an environment variable; the option wins:
  --port N             PORT             Port to listen on, 0 for a free one (8000)
  --hostname H         HOST             Address to listen on (0.0.0.0)
  --interval SECONDS   INTERVAL         Time between two readings, at least 0.05 (5)
  --max-connections N  MAX_CONNECTIONS  Open pages at a time (10000)
  --allow-origin URL   ALLOW_ORIGIN     Another origin whose pages may connect; repeat
                                        the option, or separate with commas (none)
  --max-memory MIB     MAX_MEMORY       Memory above which it closes all connections and exits
                                        with code 3, to be started anew; 0 for no limit (1024)
  --help               Show this text
  --version            Show the version
`;

/** What is wrong with the command line or the environment. */
class UsageError extends Error {}

/**
 * The settings that the command line and the environment give.
 *
 * @throws {UsageError} that names the option, the value and what is allowed
 */
export function parseSettings(
  args: readonly string[],
  env: (name: string) => string | undefined,
): Settings | "help" | "version" {
  const values = parseOptions(args);
  if (values.help) return "help";
  if (values.version) return "version";

  function read<T>(option: string, variable: string, parse: Parser<T>, fallback: T): T {
    const given = values[option];
    if (given !== undefined) return parse(`--${option}`, String(given));
    const set = env(variable);
    return set === undefined || set === "" ? fallback : parse(variable, set);
  }
  return {
    port: read("port", "PORT", integer(0, 65_535), 8000),
    hostname: read("hostname", "HOST", hostname, "0.0.0.0"),
    interval: read("interval", "INTERVAL", seconds, 5),
    maxConnections: read("max-connections", "MAX_CONNECTIONS", integer(1, 1_000_000), 10_000),
    allowOrigin: read("allow-origin", "ALLOW_ORIGIN", origins, []),
    maxMemory: read("max-memory", "MAX_MEMORY", integer(0, 1_048_576), 1024),
  };
}

type Parser<T> = (name: string, value: string) => T;

function parseOptions(args: readonly string[]): Record<string, unknown> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        "port": { type: "string" },
        "hostname": { type: "string" },
        "interval": { type: "string" },
        "max-connections": { type: "string" },
        "allow-origin": { type: "string", multiple: true },
        "max-memory": { type: "string" },
        "help": { type: "boolean", short: "h" },
        "version": { type: "boolean", short: "V" },
      },
    });
    return values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(error.message.split(/\n|\. /)[0]);
  }
}

function integer(least: number, most: number): Parser<number> {
  return (name, value) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= least && number <= most) return number;
    throw new UsageError(
      `${name} is ${quote(value)}: a whole number from ${least} to ${most} is needed`,
    );
  };
}

function seconds(name: string, value: string): number {
  const number = Number(value);
  if (/^(\d+\.?\d*|\.\d+)$/.test(value) && number >= 0.05 && number <= 86_400) return number;
  throw new UsageError(`${name} is ${quote(value)}: seconds from 0.05 to 86400 are needed`);
}

function hostname(name: string, value: string): string {
  if (/^[A-Za-z0-9._:%-]+$/.test(value)) return value;
  throw new UsageError(`${name} is ${quote(value)}: a host name or an IP address is needed`);
}

function origins(name: string, value: string): string[] {
  const list = value.split(",").map((origin) => origin.trim()).filter((origin) => origin !== "");
  for (const origin of list) {
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    if (url && /^https?:$/.test(url.protocol) && url.origin === origin.replace(/\/$/, "")) continue;
    throw new UsageError(
      `${name} is ${quote(origin)}: an origin such as https://example.com is needed`,
    );
  }
  return list.map((origin) => new URL(origin).origin);
}

function quote(value: string): string {
  return JSON.stringify(value.slice(0, 100));
}

/** Milliseconds for readers to be told, and then for the process to end, whatever hangs. */
const DRAIN_DEADLINE = 10_000;
const EXIT_DEADLINE = 5_000;
/** The same where the memory runs out, which does not wait for a reader. */
const MEMORY_DRAIN_DEADLINE = 2_000;
const MEMORY_CHECK_INTERVAL = 500;
const OUT_OF_MEMORY = 3;
/** Connections that wait to be accepted: one that finds no room comes again a second later. */
const BACKLOG = 4_096;
/** Milliseconds between two tries to accept connections again. */
const RETRY_INTERVAL = 200;

async function main(): Promise<void> {
  const settings = settingsOrExit();
  const { port, hostname, interval, maxConnections, allowOrigin, maxMemory } = settings;
  const app = createApp({ interval, turbo: { maxConnections, allowedOrigins: allowOrigin } });
  let server = listenOrExit();
  const { port: boundPort } = server.addr as Deno.NetAddr;
  const shown = hostname === "0.0.0.0" || hostname === "::" ? "localhost" : hostname;
  console.log(`Listening on http://${shown.includes(":") ? `[${shown}]` : shown}:${boundPort}/`);

  let stopping = false;
  async function stop({ code, deadline }: { code: number; deadline: number }): Promise<void> {
    stopping = true;
    console.log(`Stopping: closing ${app.turbo.size} connections`);
    await app.close(deadline);
    // It closes idle connections, and would wait for one that is stuck for ever.
    await Promise.race([
      server.shutdown(),
      new Promise((done) => setTimeout(done, Math.min(deadline, EXIT_DEADLINE))),
    ]);
    Deno.exit(code);
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      if (stopping) Deno.exit(0);
      stop({ code: 0, deadline: DRAIN_DEADLINE });
    });
  }

  // A client can make Deno hold a message of any length in fragments, which nothing here can see.
  if (maxMemory > 0) setInterval(checkMemory, MEMORY_CHECK_INTERVAL);
  function checkMemory(): void {
    const used = Math.round(Deno.memoryUsage().rss / 1024 ** 2);
    if (stopping || used <= maxMemory) return;
    console.error(`Memory is at ${used} MiB of ${maxMemory} (--max-memory): ending`);
    stop({ code: OUT_OF_MEMORY, deadline: MEMORY_DRAIN_DEADLINE });
  }

  for (let failedAt = -Infinity;;) {
    try {
      await server.finished;
      return;
    } catch (error) {
      // The accept loop ends when there are no file descriptors left; open connections live on.
      if (Date.now() - failedAt > 10_000) {
        console.error(`Cannot accept connections, trying again: ${reasonOf(error)}`);
      }
      server = await listenAgain();
      failedAt = Date.now();
    }
  }

  async function listenAgain(): Promise<Deno.HttpServer> {
    for (;;) {
      await new Promise((done) => setTimeout(done, RETRY_INTERVAL));
      try {
        return listen(boundPort);
      } catch (error) {
        if (!(error instanceof Error)) throw error; // said already: no descriptor, or not yet free
      }
    }
  }

  function listenOrExit(): Deno.HttpServer {
    try {
      return listen(port);
    } catch (error) {
      exit(1, `Cannot listen on ${hostname}:${port}: ${reasonOf(error)}`);
    }
  }

  function listen(port: number): Deno.HttpServer {
    return Deno.serve({ port, hostname, tcpBacklog: BACKLOG, onListen() {} }, app.hono.fetch);
  }
}

function settingsOrExit(): Settings {
  try {
    const settings = parseSettings(Deno.args, readEnv);
    if (settings === "help") {
      console.log(HELP.trimEnd());
      Deno.exit(0);
    }
    if (settings === "version") {
      console.log(`turbo-deno ${config.version}`);
      Deno.exit(0);
    }
    return settings;
  } catch (error) {
    if (error instanceof UsageError) exit(2, `${error.message} (see --help)`);
    throw error;
  }
}

function readEnv(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined; // not allowed, so not used
    throw error;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "the port is taken; choose one with --port";
  if (error instanceof Error) return error.message.split("\n")[0]!;
  return String(error);
}

function exit(code: number, message: string): never {
  console.error(`turbo-deno: ${message}`);
  Deno.exit(code);
}

if (import.meta.main) await main();
