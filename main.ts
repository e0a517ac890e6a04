/**
 * A live load-average page: options, routes, wiring and timer.
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
import { Fleet, machineName } from "./server/fleet.ts";
import { reasonOf, serve } from "./server/serve.ts";
import {
  type Asked,
  hostname,
  hosts,
  integer,
  type Options,
  origins,
  parseSettings as parseSettingsOf,
  path,
  redisUrl,
  seconds,
  type SettingsOf,
  settingsOrExit,
  shortName,
} from "./server/settings.ts";
import { LOAD_ID, loadBox, mainPage, notFoundPage, type PageContext } from "./templates.ts";
import { secondPage, STYLES } from "./templates.ts";
import { asset, type Engine, type Markup, memory, pagePolicy } from "./turbo/mod.ts";
import { replace, type SharedChange, Turbo, type TurboOptions } from "./turbo/mod.ts";

/** What can be set from outside, on the command line or in the environment. */
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
    help: "Open pages at a time",
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
    help: "Memory above which it closes all connections and exits with code 3, to be started " +
      "again; 0 for no limit",
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
    help: "File by which open pages go on over a restart: written at a clean stop, taken up and " +
      "removed by the next start; in state/ or /var/lib/turbo-deno, where it is allowed",
  },
  redis: {
    flag: "--redis",
    placeholder: "URL",
    variable: "REDIS_URL",
    parse: redisUrl,
    default: undefined,
    help:
      "Redis or Valkey server, redis:// or rediss://, over which all processes that are given it " +
      "are one app; a password is better given in the environment",
  },
  redisKey: {
    flag: "--redis-key",
    placeholder: "KEY",
    variable: "REDIS_KEY",
    parse: shortName(200),
    default: "turbo",
    help: "Key there, the same for all processes of one app",
  },
  node: {
    flag: "--node",
    placeholder: "NAME",
    variable: "NODE_NAME",
    parse: shortName(MAX_NAME),
    default: undefined,
    help: "What this machine is called in the pages; without it, by its host name",
  },
} satisfies Options;

const PROGRAM = {
  name: "turbo-deno",
  version: config.version,
  summary: "A live load-average page.",
  licenses,
};

/** What is set from outside. */
export type Settings = SettingsOf<typeof OPTIONS>;

/** The share of all places above which connections that do not end are for a new process to shed. */
const MAX_ZOMBIES = 0.5;

/** What {@linkcode createApp} takes; everything has a default. */
export interface AppOptions {
  /** Seconds between two readings. Default 5. */
  interval?: number;
  /** Where the numbers come from. */
  sampler?: Pick<LoadSampler, "report">;
  /** The file by which open pages go on over a restart; see `memory()`. Default none. */
  state?: string | undefined;
  /** Gives the pushes of many processes one order; then `state` is not used. Default: there is one. */
  engine?: Engine | undefined;
  /** What this machine is called among those of an engine. Default: its host name. */
  node?: string | undefined;
  /** Options of the stream. */
  turbo?: TurboOptions;
}

/** The app, and how to stop it. */
export interface App {
  /** The routes. */
  readonly hono: Hono;
  /** The open pages. */
  readonly turbo: Turbo;
  /**
   * Joins the other processes, where there is an engine: resolves when that is reached, or known to be
   * away for now.
   *
   * @throws {Error} that says why it will never work
   */
  join(): Promise<void>;
  /** Closes the stream and ends the timer, in `deadline` milliseconds at most. */
  close(deadline: number): Promise<void>;
}

/**
 * Wires the app together. Starts nothing: the timer runs while a page is open or, with an engine, from
 * `join()` on, because the others show what this process reads.
 *
 * @throws {Error} where the state can be neither taken up nor left
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
    // In this form, because others change what it shows: see Turbo.push().
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

  // One at a time: those that come while a reading is slow would each push what it has read.
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
    if (!fleet?.own) show(load); // else somebody has been faster meanwhile
  }

  function reportOfAll(): LoadReport | FleetReport {
    return reportOf(fleet!.rows(), { renderer: name, isAlone: turbo.away !== undefined });
  }

  async function render(c: Context, page: (context: PageContext) => Markup): Promise<Response> {
    if (fleet && !fleet.own) await showFirst();
    const load = fleet ? reportOfAll() : await sampler.report(interval * 1000);
    return c.html(page({ head: turbo.head(c), stylesheet: stylesheet.path, load }));
  }

  // Behind a proxy all readers share its address, so it counts only where somebody says that it is the
  // readers' own.
  const countsAddresses = maxConnectionsPerAddress !== undefined || handshakeRate !== undefined;

  hono.use(secureHeaders({
    ...pagePolicy(),
    strictTransportSecurity: false, // for whoever terminates TLS to say; deploy/nginx-site.conf does
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
    const { away } = turbo; // its pages are served and pushed to all the same
    if (away !== undefined) {
      return c.json({ status: "degraded", connections, zombies, engine: away });
    }
    return c.json({ status: "ready", connections, zombies });
  });
  // Behind the routes above, because whoever watches over a process may ask by its address, which is
  // none of the allowed hosts.
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

/** The settings that the command line and the environment give; see `server/settings.ts`. */
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
  // What an engine says on the way to a failure is said by that, in one line.
  await orExit(1, () => app.join());
  notice = (message) => console.warn(message);
  early.forEach((message) => notice(message));
  const { port, hostname, maxMemory } = settings;
  const deadline = settings.drain * 1000;
  const drain = (milliseconds: number) => {
    console.log(`Stopping: closing ${app.turbo.size} connections`);
    return app.close(milliseconds);
  };
  const options = { port, hostname, maxMemory, deadline, drain };
  // Where it cannot listen, the state that was taken up is left again.
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

/** How often a process says at least that it is there, in milliseconds: with each reading, or so. */
const SILENCE = { least: 100, most: 5_000 };

async function engineOf(
  { redis: url, redisKey: key, interval, state }: Settings,
): Promise<Engine | undefined> {
  if (url === undefined) return undefined;
  if (state !== undefined) {
    console.warn("--state is not used with --redis: open pages go on by the log that is there");
  }
  const silence = Math.max(SILENCE.least, Math.min(SILENCE.most, interval * 1000));
  const { redis } = await import("./turbo/redis.ts"); // it has a client to load
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
