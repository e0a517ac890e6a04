/**
 * A page with live load averages: the routes, the timer, and the process.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { accepts } from "hono/accepts";
import { TrieRouter } from "hono/router/trie-router";
import { secureHeaders } from "hono/secure-headers";
import config from "./deno.json" with { type: "json" };
import licenses from "./deploy/licenses.txt" with { type: "text" };
import { isFleet, jsonOf, type LoadReport, LoadSampler, reportOf, rowOfReport } from "./loadavg.ts";
import { pathBelow } from "./server/base_path.ts";
import { ConnectionLog } from "./server/connection_log.ts";
import { Fleet } from "./server/fleet.ts";
import { countsOf } from "./server/counts.ts";
import { healthAnswers } from "./server/health.ts";
import { checkHealth } from "./server/health_check.ts";
import { DAY_STEP } from "./server/history.ts";
import homeIconBytes from "./server/icon.png" with { type: "bytes" };
import styles from "./server/load.css" with { type: "text" };
import { loadMetrics } from "./server/load_metrics.ts";
import { createLog, type Log, type WrittenLog } from "./server/log.ts";
import { later } from "./server/later.ts";
import { type LoadRow, rowOf } from "./server/load_row.ts";
import { importMachine, type Machine, readMachine } from "./server/machine.ts";
import { isOnHost, OPTIONS, type Settings } from "./server/options.ts";
import { recordsSpans, routeSpans } from "./server/route_spans.ts";
import { reasonOf, serve } from "./server/serve.ts";
import { settingsOrExit, sourcesOf } from "./server/settings.ts";
import { endOnUncaught } from "./server/uncaught.ts";
import { DAY_ID, dayBox, dayPage, hourPage, LOST_ID, lostHead, manifest } from "./templates.ts";
import { nameOf, notFoundPage, type PageContext, PARTS, type Report } from "./templates.ts";
import { asset, type Engine, type Markup, memory, type Metric, pagePolicy } from "./turbo/mod.ts";
import { Histogram, observeMetrics, prometheus, PROMETHEUS_TYPE } from "./turbo/mod.ts";
import { replace, type SharedChange, Turbo, type TurboOptions } from "./turbo/mod.ts";

export { OPTIONS, parseSettings, type Settings } from "./server/options.ts";

const PROGRAM = {
  name: "turbo-deno",
  version: config.version,
  summary: "A live load-average page.",
  licenses,
};

/** The bounds, in seconds, of the histogram of how long a reading takes. */
const READING_SECONDS = [0.0001, 0.001, 0.01, 0.1, 1];
/** The part of `state` that the file with the readings has in its name. */
const READINGS = ".readings";
/** The paths that answer only GET and HEAD, besides those of the stream and the scripts. */
const PATHS = [
  "/",
  "/page2",
  "/load.json",
  "/manifest.webmanifest",
  "/assets/*",
  "/healthz",
  "/readyz",
  "/metrics",
];

/** Options of {@linkcode createApp}. */
export interface AppOptions {
  /** Seconds between two readings. Default 5. */
  interval?: number;
  /** The load per CPU above which the load counts as high. Default 1, and then the log is silent about it. */
  warn?: number | undefined;
  /** The machine whose load it is. Default: this one. */
  machine?: Machine;
  /** The name of this machine. Default: its host name. */
  node?: string | undefined;
  /** Reads the load averages. Default: those of this system. */
  sampler?: Pick<LoadSampler, "report"> & Partial<Pick<LoadSampler, "save">>;
  /**
   * The file that lets open pages continue after a restart; see `memory()`. The readings of the last day are
   * kept in another file beside it. Default: none.
   */
  state?: string | undefined;
  /** Gives the pushes of several processes one order; only the readings are kept then. Default: one process. */
  engine?: Engine | undefined;
  /** The path below which the app is seen from outside, such as `/load`. Default: none. */
  base?: string | undefined;
  /**
   * Milliseconds after which open pages are sent the date and all ages again, and a reading that has failed is
   * tried again, where readings are rarer than that. Default a minute.
   */
  refresh?: number;
  /** Whether the inspector is at `/inspector`, for a browser on this machine alone. Default: it is not. */
  inspector?: boolean;
  /** Options of the `Turbo`. */
  turbo?: TurboOptions;
  /** Receives all events. Default: one to standard error. */
  log?: Log & Partial<Pick<WrittenLog, "level">>;
}

type LoggedOptions = AppOptions & Required<Pick<AppOptions, "log">>;

/** The app, and how to stop it. */
export interface App {
  /** The routes. */
  readonly hono: Hono;
  /** The open pages. */
  readonly turbo: Turbo;
  /**
   * Takes a reading in each interval from now on, and joins the other processes, where there is an engine.
   * Resolves when the engine is connected, or known to be unreachable for now.
   *
   * @throws {Error} that says why the engine can never work
   */
  start(): Promise<void>;
  /** Closes all connections and ends the timer, in at most `deadline` milliseconds. */
  close(deadline: number): Promise<void>;
}

/**
 * Creates the app. Until `start()` is called, its timer runs only while a page is open.
 *
 * @throws {Error} when a file of the state cannot be read or written
 */
export function createApp(options: AppOptions = {}): App {
  const { state, base = "" } = options;
  const own = options.log ? undefined : createLog();
  const log = options.log ?? own!;
  const { engine = memory(state === undefined ? {} : { file: state }) } = options;
  const turbo: Turbo = new Turbo({
    engine,
    base,
    onNotice: (message) => log.warn(message),
    onError: (message, error) => log.error(`${message} ${reasonOf(error)}`, { error }),
    onConnection: (event) => connections.add(event),
    ...options.turbo,
    onChange: () => feed.readersChanged(),
    onShared: (change) => feed.machinesChanged(change),
  });
  const connections = new ConnectionLog({ log, size: () => turbo.size });
  const feed: LoadFeed = new LoadFeed(turbo, { ...options, log });
  const unobserve = observeMetrics(() => feed.metrics, options.turbo?.meter);
  const { maxConnectionsPerAddress, handshakeRate } = options.turbo ?? {};
  const stylesheet = asset("/assets/load.css", styles, "text/css");
  const homeIcon = asset("/assets/icon.png", homeIconBytes, "image/png");
  const paths = { base, stylesheet: base + stylesheet.path, icon: base + homeIcon.path };
  // Another router than that of Hono, which would first make a regular expression of all routes, for a
  // millisecond of the start.
  const hono = new Hono({
    router: new TrieRouter(),
    getPath: (request) => pathBelow(base, request),
  });
  let draining = false;

  async function render(c: Context, page: (context: PageContext) => Markup): Promise<Response> {
    const report = await feed.current();
    return c.html(page({ ...paths, head: turbo.head(c, { background: true }), report }));
  }

  async function renderJson(c: Context): Promise<Response> {
    const report = jsonOf(await feed.current());
    return c.json(report, 200, { "Cache-Control": "no-store" });
  }

  // Behind a proxy all readers share the proxy's address, so addresses count only where an option asks for
  // it.
  const countsAddresses = maxConnectionsPerAddress !== undefined || handshakeRate !== undefined;

  if (recordsSpans()) hono.use(routeSpans(["/turbo-stream"]));
  if (log.level === "debug") {
    hono.use(async (c, next) => {
      const begin = performance.now();
      await next();
      const { method, path } = c.req; // without the query, which can have a token
      const duration_ms = Math.round(performance.now() - begin);
      log.debug(`${method} ${path}`, { method, path, status: c.res.status, duration_ms });
    });
  }
  hono.use(secureHeaders({
    ...pagePolicy({ manifestSrc: ["'self'"] }),
    strictTransportSecurity: false, // left to the proxy that terminates TLS: see deploy/nginx-site.conf
    xFrameOptions: "DENY",
  }));
  const health = healthAnswers(() => {
    const { size: connections, zombies, maxConnections, away } = turbo;
    const counts = countsOf(turbo.metrics, "turbo.server.");
    return { isDraining: draining, connections, zombies, maxConnections, away, counts };
  });
  for (const [path, answer] of Object.entries(health)) hono.get(path, answer);
  hono.get("/metrics", async (c) => {
    await feed.current();
    const text = prometheus([...turbo.metrics, ...feed.metrics]);
    return c.body(text, 200, { "Content-Type": PROMETHEUS_TYPE, "Cache-Control": "no-store" });
  });
  // After the routes above, because a health check may use the address of the process as host, which is not
  // among the allowed hosts.
  hono.use(turbo.middleware({
    address: (c) => countsAddresses && c.env ? c.env.remoteAddr.hostname : undefined,
  }));
  if (options.inspector) hono.route("/inspector", turbo.inspector());
  hono.get("/", async (c) => {
    const url = base === "" ? undefined : new URL(c.req.url);
    if (url?.pathname === base) return c.redirect(`${base}/${url.search}`, 301);
    const answer = await (wantsJson(c) ? renderJson(c) : render(c, hourPage));
    answer.headers.set("Vary", "Accept"); // c.header() before that would take a third of the page's time
    return answer;
  });
  hono.get("/page2", (c) => render(c, dayPage));
  hono.get("/load.json", renderJson);
  hono.get("/manifest.webmanifest", async (c) => {
    c.header("Content-Type", "application/manifest+json");
    return c.body(JSON.stringify(manifest({ ...paths, report: await feed.current() })));
  });
  hono.get("/assets/*", (c) => {
    const found = [stylesheet, homeIcon].find(({ path }) => path === c.req.path);
    return found?.respond(c.req.raw) ?? c.notFound();
  });
  for (const path of PATHS) {
    hono.all(path, (c) => c.text("Method not allowed\n", 405, { Allow: "GET, HEAD" }));
  }
  hono.notFound((c) => {
    c.status(404);
    return render(c, notFoundPage);
  });
  hono.onError((error, c) => {
    const { method, path } = c.req;
    log.error(`Cannot answer ${method} ${JSON.stringify(path)}: ${reasonOf(error)}`, {
      method,
      path,
      error,
    });
    return c.text("Internal server error\n", 500);
  });

  return {
    hono,
    turbo,
    async start() {
      await turbo.ready;
      if (!draining) await feed.start();
    },
    async close(deadline) {
      draining = true;
      await feed.close(() => turbo.close({ code: 1012, window: deadline / 2, deadline }));
      unobserve();
      connections[Symbol.dispose]();
      await own?.flush();
    },
  };
}

/** Reads the load in each interval, and pushes what the pages show of it. */
class LoadFeed {
  readonly #turbo: Turbo;
  readonly #base: string;
  readonly #interval: number;
  readonly #log: Pick<Log, "error">;
  readonly #refresh: number;
  readonly #sampler: NonNullable<AppOptions["sampler"]>;
  /** The machines that share their rows, where there is an engine. */
  readonly #fleet: Fleet<LoadRow> | undefined;
  /** The latest report of this machine. */
  #own: LoadReport | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #refresher: ReturnType<typeof setInterval> | undefined;
  #hasStarted = false;
  #isReading = false;
  /** Whether the log has nothing of the latest reading, because no page was open anywhere. */
  #hasUnpushed = false;
  readonly #readings = { succeeded: 0, failed: 0 };
  readonly #durations = new Histogram(READING_SECONDS);
  /** What the last day in the log depends on, and the name by which pages say that they are offline. */
  #pushedDay: string | undefined;
  #pushedName: string | undefined;

  /** Starts without a timer. */
  constructor(turbo: Turbo, options: LoggedOptions) {
    const { base = "", interval = 5, refresh = 60_000, sampler = samplerOf(options) } = options;
    this.#log = options.log;
    this.#turbo = turbo;
    this.#base = base;
    this.#interval = interval * 1000;
    this.#refresh = refresh;
    this.#sampler = sampler;
    this.#fleet = options.engine && new Fleet<LoadRow>(turbo, {
      interval: this.#interval,
      rowOf,
      push: () => this.#push(),
      onPushed: () => this.#notePushed(),
    });
  }

  /** The load averages, and how well they can be read. */
  get metrics(): readonly Metric[] {
    return [
      ...loadMetrics(() => {
        const { latest, machine, at = 0, age = 0 } = this.#own ?? {};
        return {
          averages: latest?.simulated ? undefined : latest?.averages,
          age: age + Math.max(0, Date.now() - at),
          cpus: machine?.cpus,
          readings: this.#readings,
        };
      }),
      {
        name: "load.reading.duration",
        kind: "histogram",
        unit: "s",
        description: "How long a reading of the load averages takes",
        histogram: this.#durations,
      },
    ];
  }

  /** What the pages show, with a reading that is not older than an interval. */
  async current(): Promise<Report> {
    if (!this.#fleet) return this.#own = await this.#sampler.report(this.#interval);
    if (!this.#fleet.own) {
      this.#own = await this.#sampler.report(this.#interval);
      // Otherwise a tick has shared a row meanwhile.
      if (!this.#fleet.own) this.#fleet.share(rowOfReport(this.#own));
    }
    return this.#shown(this.#own!);
  }

  /** Takes a reading now and in each interval from now on. Before that it does so while a page is open. */
  async start(): Promise<void> {
    this.#hasStarted = true;
    this.#startOrStopTimers();
    await this.#tickOrReport();
  }

  /** Leaves the other machines and stops, after the call that closes all connections. */
  async close(closeAll: () => Promise<void>): Promise<void> {
    this.#hasStarted = false;
    await (this.#fleet ? this.#fleet.leave(closeAll) : closeAll());
    this.#stopTimers();
    try {
      this.#sampler.save?.();
    } catch (error) {
      this.#log.error(reasonOf(error), { error }); // all connections are closed, and the end goes on
    }
  }

  /** Handles that pages were opened or closed. */
  readersChanged(): void {
    this.#startOrStopTimers();
    if (this.#hasUnpushed) this.#pushAgain();
  }

  /** Handles a change of what the machines share. */
  machinesChanged(change: SharedChange): void {
    this.#fleet?.changed(change);
    this.#noteUnpushed();
  }

  #startOrStopTimers(): void {
    if (this.#hasStarted || this.#turbo.canPush()) {
      this.#timer ??= setInterval(() => this.#tickOrReport(), this.#interval);
      if (this.#interval > this.#refresh) {
        this.#refresher ??= setInterval(() => this.#pushAgain(), this.#refresh);
      }
    } else {
      this.#hasUnpushed ||= this.#timer !== undefined; // the readings that it would have taken
      this.#stopTimers();
    }
  }

  #stopTimers(): void {
    clearInterval(this.#timer);
    clearInterval(this.#refresher);
    this.#timer = this.#refresher = undefined;
  }

  async #tickOrReport(): Promise<void> {
    await this.#tick().catch((error) => this.#report(error));
  }

  #report(error: unknown): void {
    this.#log.error(`Cannot push the load averages: ${reasonOf(error)}`, { error });
  }

  // Skips a tick while a reading is slow; otherwise each waiting tick would push the same reading.
  async #tick(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    const begin = performance.now();
    try {
      this.#own = await this.#sampler.report();
      this.#durations.record((performance.now() - begin) / 1_000);
      this.#readings[this.#own.failure === undefined ? "succeeded" : "failed"]++;
      if (this.#fleet) this.#fleet.share(rowOfReport(this.#own));
      else if (this.#turbo.canPush()) this.#push();
      this.#noteUnpushed();
    } finally {
      this.#isReading = false;
    }
  }

  // With others, a push is made for their pages too.
  #noteUnpushed(): void {
    this.#hasUnpushed ||= !this.#turbo.canPush() && this.#turbo.shared.size <= 1;
  }

  #pushAgain(): void {
    if (this.#turbo.canPush()) this.#pushLatest().catch((error) => this.#report(error));
  }

  /** Pushes without a tick: a page that is back, or a date, would be old until that. */
  async #pushLatest(): Promise<void> {
    this.#hasUnpushed = false;
    if (!this.#fleet) this.#own = await this.#sampler.report(this.#interval);
    this.#push();
  }

  /** Pushes what the pages show. Each part is a push of its own, so that it supersedes its earlier ones. */
  #push(): void {
    const own = this.#own;
    if (!own) return; // another process has left before the first reading
    const parts = Object.entries(PARTS);
    const [day, name] = [this.#pushedDay, this.#pushedName];
    this.#notePushed();
    if (this.#pushedDay !== day) parts.push([DAY_ID, dayBox]);
    if (this.#fleet && this.#pushedName !== name) parts.push([LOST_ID, lostHead]);
    for (const [id, part] of parts) {
      const morph = id !== LOST_ID; // which does not reach into a <template>
      const stream = () => replace(id, part(this.#shown(own), this.#base), { morph });
      // A function, because other processes change the data that it shows: see Turbo.push().
      this.#turbo.push(this.#fleet ? stream : stream());
    }
  }

  #notePushed(): void {
    if (!this.#own) return;
    const report = this.#shown(this.#own);
    this.#pushedDay = dayOf(report);
    this.#pushedName = nameOf(report);
  }

  #shown(own: LoadReport): Report {
    if (!this.#fleet) return own;
    return reportOf(own, this.#fleet.rows(), { isAlone: this.#turbo.away !== undefined });
  }
}

function samplerOf(options: LoggedOptions): LoadSampler {
  const { interval = 5, warn, machine = readMachine(), node, state, log } = options;
  return new LoadSampler({}, {
    interval: interval * 1000,
    machine: { ...machine, name: node ?? machine.name },
    warn,
    file: state === undefined ? undefined : state + READINGS,
    log,
  });
}

/** What the last day depends on: it is pushed when a step begins, or what it says of a machine changes. */
function dayOf(report: Report): string {
  const said = isFleet(report)
    ? report.rows.map(({ name, cpus, simulated, failure }) => [name, cpus, simulated, failure])
    : [];
  return JSON.stringify([Math.floor(report.at / DAY_STEP), said]);
}

function wantsJson(c: Context): boolean {
  const supports = ["text/html", "application/json"];
  return accepts(c, { header: "Accept", supports, default: "text/html" }) === "application/json";
}

async function main(): Promise<void> {
  const settings = settingsOrExit(OPTIONS, PROGRAM);
  if (settings.healthcheck) {
    await orExit(1, () => checkHealth(settings));
    Deno.exit(0);
  }
  const log = createLog({ level: settings.logLevel, format: settings.logFormat });
  endOnUncaught(log);
  const early: string[] = [];
  let notice = (message: string): void => void early.push(message);
  const app = await orExit(2, () => appOf(settings, log, (message) => notice(message)));
  // Notices are held back until the engine is known to work: when it fails, its one error line says enough.
  if (settings.redis !== undefined) await orExit(1, () => app.start());
  notice = (message) => log.warn(message);
  early.forEach((message) => notice(message));
  const { port, hostname, base, maxMemory } = settings;
  const deadline = settings.drain * 1000;
  const drain = (milliseconds: number) => {
    const { size: connections } = app.turbo;
    log.info(`Stopping: closing ${connections} connections`, { connections });
    return app.close(milliseconds);
  };
  const options = {
    port,
    hostname,
    path: `${base ?? ""}/`,
    sources: sourcesOf(OPTIONS),
    maxMemory,
    deadline,
    drain,
    log: { ...log, log: (line: string) => announce(line, log) },
  };
  // When it cannot listen, closing the app writes the state again, which createApp() has read and removed.
  const server = await orExit(1, () => serve(app.hono.fetch, options), () => app.close(0));
  // Without an engine nobody waits for the readings but a page, which takes one itself.
  if (settings.redis === undefined && !sleepsUnread()) {
    later(() => app.start());
  }
  const code = await server.finished;
  await log.flush();
  Deno.exit(code);
}

/** Writes a line to standard output, or to the log where that takes nothing, as on a disk that is full. */
function announce(line: string, log: Log): void {
  try {
    console.log(line);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    log.warn(`${line} (Cannot write to standard output: ${reasonOf(error)})`);
  }
}

/**
 * Whether the process takes no readings while no page is open: a Deno host stops a process that nobody uses,
 * and a timer would keep it, and its costs, alive.
 */
function sleepsUnread(): boolean {
  return isOnHost();
}

async function appOf(
  settings: Settings,
  log: WrittenLog,
  onNotice: (message: string) => void,
): Promise<App> {
  const { interval, warn, node, state, base, inspector } = settings;
  const { maxConnections, allowOrigin, allowHost } = settings;
  const turbo = { maxConnections, allowedOrigins: allowOrigin, allowedHosts: allowHost, onNotice };
  const [engine, machine] = await Promise.all([engineOf(settings, log), importMachine()]);
  return createApp({ interval, warn, machine, node, state, base, engine, inspector, turbo, log });
}

/** Bounds of the heartbeat interval among the processes, in milliseconds; otherwise that of the readings. */
const SILENCE = { least: 100, most: 5_000 };

async function engineOf(
  { redis: url, redisKey: key, interval, state }: Settings,
  log: Log,
): Promise<Engine | undefined> {
  if (url === undefined) return undefined;
  if (state !== undefined) {
    log.warn(
      "--state keeps only the readings with --redis: open pages continue from the log in Redis",
    );
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
