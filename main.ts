/**
 * A page with live load averages: the options, the routes, the timer, and the process.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { getConnInfo } from "hono/deno";
import { secureHeaders } from "hono/secure-headers";
import config from "./deno.json" with { type: "json" };
import licenses from "./deploy/licenses.txt" with { type: "text" };
import { type FleetReport, type LoadReport, LoadSampler, MAX_NAME } from "./loadavg.ts";
import { nextRow, reportOf, type Row, rowOf } from "./loadavg.ts";
import { Fleet } from "./server/fleet.ts";
import { machineName } from "./server/machine.ts";
import { reasonOf, serve } from "./server/serve.ts";
import {
  type Asked,
  basePath,
  hostname,
  hosts,
  integer,
  number,
  type Options,
  origins,
  parseSettings as parseSettingsOf,
  path,
  redisUrl,
  seconds,
  type SettingsOf,
  settingsOrExit,
  shortName,
  sourcesOf,
} from "./server/settings.ts";
import { LOAD_ID, loadBox, mainPage, notFoundPage, type PageContext } from "./templates.ts";
import { secondPage, STYLES } from "./templates.ts";
import { asset, type Engine, type Markup, memory, pagePolicy } from "./turbo/mod.ts";
import { replace, type SharedChange, Turbo, type TurboOptions } from "./turbo/mod.ts";

/** The options of the command line and their environment variables. */
export const OPTIONS = {
  port: {
    flag: "--port",
    placeholder: "N",
    variable: "PORT",
    parse: integer(0, 65_535),
    default: 8000,
    help: "Port to listen on, 0 for a free one",
  },
  hostname: {
    flag: "--hostname",
    placeholder: "H",
    variable: "HOST",
    parse: hostname,
    default: "0.0.0.0",
    help: "Address to listen on",
  },
  interval: {
    flag: "--interval",
    placeholder: "SECONDS",
    variable: "INTERVAL",
    parse: seconds(0.05, 86_400),
    default: 5,
    help: "Time between two readings, at least 0.05",
  },
  maxConnections: {
    flag: "--max-connections",
    placeholder: "N",
    variable: "MAX_CONNECTIONS",
    parse: integer(1, 1_000_000),
    default: 10_000,
    help: "Most open pages at a time",
  },
  allowOrigin: {
    flag: "--allow-origin",
    placeholder: "URL",
    variable: "ALLOW_ORIGIN",
    parse: origins,
    default: [],
    help: "Another origin whose pages may connect; repeat the option, or separate with commas",
    repeatable: true,
  },
  allowHost: {
    flag: "--allow-host",
    placeholder: "HOST",
    variable: "ALLOW_HOST",
    parse: hosts,
    default: [],
    help: "Host name that the app answers to; a request for any other gets 421, against DNS " +
      "rebinding; repeat the option, or separate with commas",
    repeatable: true,
  },
  maxMemory: {
    flag: "--max-memory",
    placeholder: "MIB",
    variable: "MAX_MEMORY",
    parse: integer(0, 1_048_576),
    default: 1024,
    help: "Memory above which the process closes all connections and exits with code 3, to be " +
      "restarted; 0 for no limit",
  },
  base: {
    flag: "--base",
    placeholder: "PATH",
    variable: "BASE_PATH",
    parse: basePath,
    default: undefined,
    help: "Path below which a proxy offers the app, such as /load, whether the proxy removes it " +
      "from the requests or not",
  },
  drain: {
    flag: "--drain",
    placeholder: "SECONDS",
    variable: "DRAIN",
    parse: seconds(0, 3_600),
    default: 10,
    help: "Time from SIGTERM or SIGINT to the end, in which all connections are closed",
  },
  state: {
    flag: "--state",
    placeholder: "FILE",
    variable: "STATE_FILE",
    parse: path,
    default: undefined,
    help: "File that lets open pages continue after a restart: written at a clean stop, read and " +
      "removed at the next start; permitted in state/ and /var/lib/turbo-deno",
  },
  redis: {
    flag: "--redis",
    placeholder: "URL",
    variable: "REDIS_URL",
    parse: redisUrl,
    default: undefined,
    help:
      "Redis or Valkey server, redis:// or rediss://; all processes with the same server and key " +
      "form one app; give a password in the environment, where other users cannot see it",
  },
  redisKey: {
    flag: "--redis-key",
    placeholder: "KEY",
    variable: "REDIS_KEY",
    parse: shortName(200),
    default: "turbo",
    help: "Key on that server, the same for all processes of one app",
  },
  node: {
    flag: "--node",
    placeholder: "NAME",
    variable: "NODE_NAME",
    parse: shortName(MAX_NAME),
    default: undefined,
    help: "Name of this machine in the pages; by default its host name",
  },
  warn: {
    flag: "--warn",
    placeholder: "LOAD",
    variable: "WARN",
    parse: number(0.01, 1_000),
    default: undefined,
    help: "Load for each CPU, such as 1.0, above which the pages and the log warn",
  },
} satisfies Options;

const PROGRAM = {
  name: "turbo-deno",
  version: config.version,
  summary: "A live load-average page.",
  licenses,
};

/** The values of {@linkcode OPTIONS}. */
export type Settings = SettingsOf<typeof OPTIONS>;

/** The share of `maxConnections` that zombies may hold; beyond it `/readyz` answers 503. */
const MAX_ZOMBIES = 0.5;

/** Options of {@linkcode createApp}. */
export interface AppOptions {
  /** Seconds between two readings. Default 5. */
  interval?: number;
  /** Reads the load averages. Default: those of this system. */
  sampler?: Pick<LoadSampler, "report">;
  /** The file that lets open pages continue after a restart; see `memory()`. Default: none. */
  state?: string | undefined;
  /** Gives the pushes of several processes one order; `state` is not used then. Default: one process. */
  engine?: Engine | undefined;
  /** The name of this machine among those of an engine. Default: its host name. */
  node?: string | undefined;
  /** Options of the `Turbo`. */
  turbo?: TurboOptions;
}

/** The app, and how to stop it. */
export interface App {
  /** The routes. */
  readonly hono: Hono;
  /** The open pages. */
  readonly turbo: Turbo;
  /**
   * Joins the other processes, where there is an engine. Resolves when the engine is connected, or known to
   * be unreachable for now.
   *
   * @throws {Error} that says why the engine can never work
   */
  join(): Promise<void>;
  /** Closes all connections and ends the timer, in at most `deadline` milliseconds. */
  close(deadline: number): Promise<void>;
}

/**
 * Creates the app, without its timer. The timer runs while a page is open or, with an engine, from `join()`
 * on, because the pages of the other processes show the readings of this one.
 *
 * @throws {Error} when the file of the state cannot be read or written
 */
export function createApp(options: AppOptions = {}): App {
  const { interval = 5, sampler = new LoadSampler(), state } = options;
  const { engine = memory(state === undefined ? {} : { file: state }) } = options;
  const onShared = (change: SharedChange) => fleet?.changed(change);
  const turbo = new Turbo({ engine, ...options.turbo, onChange: startOrStopTimer, onShared });
  const { node: name = options.engine ? machineName() : "" } = options;
  const fleet: Fleet<Row> | undefined = options.engine && new Fleet<Row>(turbo, {
    interval: interval * 1000,
    rowOf,
    // A function, because other processes change the data that it shows: see Turbo.push().
    push: () => turbo.push(() => replace(LOAD_ID, loadBox(reportOfAll()))),
  });
  const { maxConnectionsPerAddress, handshakeRate } = options.turbo ?? {};
  const stylesheet = asset("/assets/app.css", STYLES, "text/css");
  const hono = new Hono();
  let timer: ReturnType<typeof setInterval> | undefined;
  let hasJoined = false;
  let isReading = false;
  let draining = false;

  function startOrStopTimer(): void {
    if (hasJoined || turbo.canPush()) {
      timer ??= setInterval(() => tick().catch(reportTick), interval * 1000);
    } else {
      clearInterval(timer);
      timer = undefined;
    }
  }

  function reportTick(error: unknown): void {
    console.error("Cannot push the load averages:", reasonOf(error));
  }

  // Skips a tick while a reading is slow; otherwise each waiting tick would push the same reading.
  async function tick(): Promise<void> {
    if (isReading) return;
    isReading = true;
    try {
      show(await sampler.report());
    } finally {
      isReading = false;
    }
  }

  function show(load: LoadReport): void {
    if (fleet) fleet.share(nextRow(load, { name, interval: interval * 1000, before: fleet.own }));
    else if (turbo.canPush()) turbo.push(replace(LOAD_ID, loadBox(load)));
  }

  async function showFirst(): Promise<void> {
    const load = await sampler.report(interval * 1000);
    if (!fleet?.own) show(load); // otherwise a tick has shared a row meanwhile
  }

  function reportOfAll(): LoadReport | FleetReport {
    return reportOf(fleet!.rows(), { renderer: name, isAlone: turbo.away !== undefined });
  }

  async function render(c: Context, page: (context: PageContext) => Markup): Promise<Response> {
    if (fleet && !fleet.own) await showFirst();
    const load = fleet ? reportOfAll() : await sampler.report(interval * 1000);
    return c.html(page({ head: turbo.head(c), stylesheet: stylesheet.path, load }));
  }

  // Behind a proxy all readers share the proxy's address, so addresses count only where an option asks for
  // it.
  const countsAddresses = maxConnectionsPerAddress !== undefined || handshakeRate !== undefined;

  hono.use(secureHeaders({
    ...pagePolicy(),
    strictTransportSecurity: false, // left to the proxy that terminates TLS: see deploy/nginx-site.conf
    xFrameOptions: "DENY",
  }));
  hono.get("/healthz", (c) => c.text("ok"));
  hono.get("/readyz", (c) => {
    const { size: connections, zombies, maxConnections } = turbo;
    const isFull = zombies > MAX_ZOMBIES * maxConnections;
    if (draining || isFull) {
      const status = draining ? "draining" : "overloaded";
      return c.json({ status, connections, zombies }, 503);
    }
    const { away } = turbo; // without its engine it still serves pages and pushes to them
    if (away !== undefined) {
      return c.json({ status: "degraded", connections, zombies, engine: away });
    }
    return c.json({ status: "ready", connections, zombies });
  });
  // After the routes above, because a health check may use the address of the process as host, which is not
  // among the allowed hosts.
  hono.use(turbo.middleware({
    address: (c) => countsAddresses && c.env ? getConnInfo(c).remote.address : undefined,
  }));
  hono.get("/", (c) => render(c, mainPage));
  hono.get("/page2", (c) => render(c, secondPage));
  hono.get("/assets/*", (c) => {
    return c.req.path === stylesheet.path ? stylesheet.respond(c.req.raw) : c.notFound();
  });
  for (const path of ["/", "/page2", "/assets/*", "/healthz", "/readyz"]) {
    hono.all(path, (c) => c.text("Method not allowed\n", 405, { Allow: "GET, HEAD" }));
  }
  hono.notFound((c) => {
    c.status(404);
    return render(c, notFoundPage);
  });
  hono.onError((error, c) => {
    console.error(`Cannot answer ${c.req.method} ${JSON.stringify(c.req.path)}:`, reasonOf(error));
    return c.text("Internal server error\n", 500);
  });

  return {
    hono,
    turbo,
    async join() {
      await turbo.ready;
      if (!fleet || draining) return;
      hasJoined = true;
      startOrStopTimer();
      await tick().catch(reportTick);
    },
    async close(deadline) {
      draining = true;
      hasJoined = false;
      const close = () => turbo.close({ code: 1012, window: deadline / 2, deadline });
      await (fleet ? fleet.leave(close) : close());
      clearInterval(timer);
    },
  };
}

/** Reads the settings from the command line and the environment; see `server/settings.ts`. */
export function parseSettings(
  args: readonly string[],
  env: (name: string) => string | undefined,
): Settings | Asked {
  return parseSettingsOf(OPTIONS, { args, env });
}

async function main(): Promise<void> {
  const settings = settingsOrExit(OPTIONS, PROGRAM);
  const early: string[] = [];
  let notice = (message: string): void => void early.push(message);
  const app = await orExit(2, () => appOf(settings, (message) => notice(message)));
  // Notices are held back until the app has joined: when it fails, its one error line says enough.
  await orExit(1, () => app.join());
  notice = (message) => console.warn(message);
  early.forEach((message) => notice(message));
  const { port, hostname, maxMemory } = settings;
  const deadline = settings.drain * 1000;
  const drain = (milliseconds: number) => {
    console.log(`Stopping: closing ${app.turbo.size} connections`);
    return app.close(milliseconds);
  };
  const options = { port, hostname, sources: sourcesOf(OPTIONS), maxMemory, deadline, drain };
  // When it cannot listen, closing the app writes the state again, which createApp() has read and removed.
  const server = await orExit(1, () => serve(app.hono.fetch, options), () => app.close(0));
  Deno.exit(await server.finished);
}

async function appOf(
  settings: Settings,
  onNotice: (message: string) => void,
): Promise<App> {
  const { interval, state, maxConnections, allowOrigin, allowHost, node } = settings;
  const turbo = { maxConnections, allowedOrigins: allowOrigin, allowedHosts: allowHost, onNotice };
  return createApp({ interval, state, node, engine: await engineOf(settings), turbo });
}

/** Bounds of the heartbeat interval among the processes, in milliseconds; otherwise that of the readings. */
const SILENCE = { least: 100, most: 5_000 };

async function engineOf(
  { redis: url, redisKey: key, interval, state }: Settings,
): Promise<Engine | undefined> {
  if (url === undefined) return undefined;
  if (state !== undefined) {
    console.warn("--state is not used with --redis: open pages continue from the log in Redis");
  }
  const silence = Math.max(SILENCE.least, Math.min(SILENCE.most, interval * 1000));
  const { redis } = await import("./turbo/redis.ts"); // loads a client, which no other app needs
  return redis({ url, key, interval: silence });
}

async function orExit<T>(
  code: number,
  act: () => T | Promise<T>,
  undo?: () => Promise<void>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    await undo?.();
    console.error(`${PROGRAM.name}: ${reasonOf(error)}`);
    Deno.exit(code);
  }
}

if (import.meta.main) await main();
