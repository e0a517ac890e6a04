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
    c: Context<{ Variables: SecureHeadersVariables }>,
    page: (context: PageContext) => Markup,
  ): Promise<Response> {
    const cursor = turbo.cursor; // before the sample is read, or a push in between would be missed
    const load: LoadReport = await sampler.report(interval * 1000);
    c.header(CURSOR_HEADER, cursor);
    c.header("Cache-Control", "no-cache");
    return c.html(page({
      head: turbo.head({ cursor }),
      stylesheet: stylesheet.path,
      nonce: c.get("secureHeadersNonce") ?? "",
      load,
    }));
  }

  // In front of the middleware: the headers of a WebSocket's answer cannot be changed.
  hono.get("/turbo-stream", (c) => {
    const address = c.env ? getConnInfo(c).remote.address : undefined;
    return turbo.connect(c.req.raw, address === undefined ? {} : { address });
  });

  hono.use(secureHeaders({
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
    strictTransportSecurity: false, // for whoever ends the TLS to say
    xFrameOptions: "DENY",
  }));
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

async function main(): Promise<void> {
  const settings = settingsOrExit();
  const { port, hostname, interval, maxConnections, allowOrigin } = settings;
  const app = createApp({ interval, turbo: { maxConnections, allowedOrigins: allowOrigin } });
  let server = listen(port);
  const { port: boundPort } = server.addr as Deno.NetAddr;
  const shown = hostname === "0.0.0.0" || hostname === "::" ? "localhost" : hostname;
  console.log(`Listening on http://${shown.includes(":") ? `[${shown}]` : shown}:${boundPort}/`);

  let stopping = false;
  async function stop(): Promise<void> {
    if (stopping) Deno.exit(0);
    stopping = true;
    console.log(`Stopping: closing ${app.turbo.size} connections`);
    await app.close(DRAIN_DEADLINE);
    // It closes idle connections, and would wait for one that is stuck for ever.
    await Promise.race([server.shutdown(), new Promise((done) => setTimeout(done, EXIT_DEADLINE))]);
    Deno.exit(0);
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);

  for (;;) {
    try {
      await server.finished;
      return;
    } catch (error) {
      // The accept loop ends when there are no file descriptors left; open connections live on.
      console.error("Cannot accept connections, trying again:", error);
      await new Promise((done) => setTimeout(done, 500));
      server = listen(boundPort);
    }
  }

  function listen(port: number): Deno.HttpServer {
    try {
      return Deno.serve({ port, hostname, onListen() {} }, app.hono.fetch);
    } catch (error) {
      exit(1, `Cannot listen on ${hostname}:${port}: ${reasonOf(error)}`);
    }
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
