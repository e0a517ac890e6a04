/// <reference lib="dom" />
/**
 * The load page in every state, with made-up readings: for tests of its layout, and for pictures of it.
 *
 * @module
 */
import { type LoadReport, rowOfReport } from "../loadavg.ts";
import { createApp } from "../main.ts";
import type { Machine } from "../server/machine.ts";
import { Turbo } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import type { AnyPage } from "./any_browser.ts";
import { Hub } from "./hub.ts";
import { serve, until } from "./kit.ts";
import { startProxy, type TestProxy } from "./proxy.ts";
import { type DayOptions, MACHINE, reportAfter, reportOfDay } from "./reports.ts";

/** The page in one state. */
export interface Look {
  /** The name of the state, as part of a file's name. */
  readonly name: string;
  /** Starts a server with that page. */
  start(): Promise<Shown>;
}

/** A server with a page in one state. */
export interface Shown extends AsyncDisposable {
  /** Opens the page, and brings it into the state. */
  open(page: AnyPage): Promise<void>;
}

/** What makes a look different from that of a live page. */
interface LookOptions {
  /** The reports of the machines; the first one's server is asked. */
  reports?: () => Promise<readonly LoadReport[]> | readonly LoadReport[];
  /** The address of the page. Default `/`. */
  path?: string;
  /** Whether the app has an engine. Default: where there are several machines. */
  hasEngine?: boolean;
  /** Whether the engine has lost the other machines. Default `false`. */
  isAlone?: boolean;
  /** Whether scripts are missing. Default `false`. */
  isWithoutScripts?: boolean;
  /** Brings a live page into the state. */
  enter?: (page: AnyPage, server: { proxy: TestProxy; turbo: Turbo }) => Promise<void>;
}

/** How many milliseconds after the loss of the connection a page shows its age as three minutes. */
const THREE_MINUTES = 185_000;
const READER = "reader";

/** All states. */
export const LOOKS: readonly Look[] = [
  look("hour"),
  look("day", { path: "/page2" }),
  look("not-found", { path: "/nothing/here" }),
  look("connecting", { enter: (page, { proxy }) => lose(page, proxy, 1_000) }),
  look("offline", { enter: (page, { proxy }) => lose(page, proxy, THREE_MINUTES) }),
  look("offline-day", {
    path: "/page2",
    enter: (page, { proxy }) => lose(page, proxy, THREE_MINUTES),
  }),
  look("away", {
    enter: async (page, { turbo }) => {
      await until(() => turbo.disconnect(READER) > 0, "the reader is there");
      await page.waitFor('[data-turbo-stream="away"]');
    },
  }),
  look("failed", {
    reports: () => [
      reportOfDay((ago) => ago < 9 ? undefined : quiet(ago), {
        failure: "The reading takes too long",
      }),
    ],
  }),
  look("unread", { reports: async () => [await reportAfter(["The reading takes too long"])] }),
  look("simulated", { reports: () => [simulatedReport()] }),
  look("above-all-cpus", { reports: () => [reportOfDay(busy, { averages: [10.86, 8.03] })] }),
  look("above-warn", {
    reports: () => [reportOfDay(busy, { warn: 0.5, machine: { ...MACHINE, cpus: 16 } })],
  }),
  look("first-minute", {
    reports: async () => [
      await reportAfter(Array.from({ length: 10 }, (_, n) => [1.1 + n % 3 / 50, 0.4, 0.2])),
    ],
  }),
  look("first-reading", { reports: async () => [await reportAfter([[1.11, 0.4, 0.2]])] }),
  look("idle", { reports: () => [reportOfDay(() => 0)] }),
  look("unlimited", {
    reports: () => [
      reportOfDay(quiet, { machine: { name: "pod-7f9c", system: "Linux" } as Machine }),
    ],
  }),
  look("huge", {
    reports: () => [
      reportOfDay((ago) => ago < 1 ? 999.99 : 999 - 400 * noise(ago), {
        averages: [999.98, 999.97],
        machine: {
          ...MACHINE,
          name: "build-runner-of-the-continuous-integration.eu-west-1a.compute.internal.example",
          system: "Red Hat Enterprise Linux 10.1 (Coughlan)",
          cpus: 128,
        },
      }),
    ],
  }),
  look("without-scripts", { isWithoutScripts: true }),
  look("fleet-1", { hasEngine: true }),
  look("fleet-3", { reports: () => fleet().slice(0, 3) }),
  look("fleet-12", { reports: fleet }),
  look("fleet-12-day", { reports: fleet, path: "/page2" }),
  look("fleet-12-offline", {
    reports: fleet,
    enter: (page, { proxy }) => lose(page, proxy, THREE_MINUTES),
  }),
  look("fleet-alone", { reports: () => fleet().slice(0, 3), isAlone: true }),
];

function look(name: string, options: LookOptions = {}): Look {
  return { name, start: () => start(options) };
}

async function start(options: LookOptions): Promise<Shown> {
  const { reports: reportsOf = () => [reportOfDay(quiet, { averages: [0.57, 1.12] })] } = options;
  const { path = "/", isWithoutScripts = false, isAlone = false, enter } = options;
  const reports = await reportsOf();
  const { hasEngine = reports.length > 1 } = options;
  await using made = new AsyncDisposableStack();
  const hub = new Hub();
  const engine = hasEngine ? hub.engine() : undefined;
  const sampler = { report: () => Promise.resolve(reports[0]!) };
  const app = createApp({ interval: 3_600, sampler, engine });
  made.defer(() => app.close(0));
  for (const report of reports.slice(1)) {
    const other = new Turbo({ engine: hub.engine() });
    made.defer(() => other.close({ deadline: 0 }));
    other.share(rowOfReport(report));
    await other.flush();
  }
  if (engine) await app.start();
  await engine?.flush();
  if (engine && isAlone) engine.away = "no connection";
  const server = made.use(serve((request, info) => {
    const { pathname } = new URL(request.url);
    if (isWithoutScripts && pathname.endsWith(".js")) return new Response(null, { status: 404 });
    if (pathname === "/turbo-stream") return app.turbo.connect(request, { as: READER });
    return app.hono.fetch(request, info);
  }));
  const proxy = made.use(startProxy(server.port));
  const all = made.move();
  return {
    async open(page) {
      proxy.refusesAll = false;
      await page.goto(proxy.url + path);
      await page.waitFor(isWithoutScripts ? "#load" : OPEN_PAGE);
      await enter?.(page, { proxy, turbo: app.turbo });
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Takes the server away, and has the page show what it shows some milliseconds later. */
async function lose(page: AnyPage, proxy: TestProxy, later: number): Promise<void> {
  proxy.refusesAll = true;
  proxy.cut();
  await page.waitFor(`:root:not(${OPEN_PAGE})`);
  await page.evaluate((later) => {
    for (const animation of document.getAnimations()) {
      animation.pause();
      animation.currentTime = later;
    }
  }, later);
}

// ---- Made-up readings

/** A number from 0 to 1 that changes little from minute to minute, and is the same in each run. */
function noise(ago: number, seed = 0): number {
  const waves = [[1.7, 0.31], [0.9, 1.3], [3.1, 0.113], [5.3, 0.071]] as const;
  const sum = waves.reduce((sum, [phase, rate]) => sum + Math.sin(phase + seed + ago * rate), 0);
  return (sum + waves.length) / (2 * waves.length);
}

function hill(ago: number, middle: number, width: number): number {
  return Math.exp(-(((ago - middle) / width) ** 2));
}

/** A quiet machine, with a hill in the hour, a higher one at night, and two holes. */
function quiet(ago: number): number | undefined {
  if (ago > 43 && ago < 47 || ago > 505 && ago < 600) return undefined;
  if (ago < 0.05) return 0.42;
  const day = 2.6 * hill(ago, 1_020, 120) + 3.1 * hill(ago, 230, 110) + 10 * hill(ago, 688, 20);
  return 0.15 + 0.4 * noise(ago) + (ago > 65 ? day : 0) + 4.8 * hill(ago, 25.5, 3);
}

/** A machine that comes to have more to do than its 8 CPUs can. */
function busy(ago: number): number {
  if (ago < 0.05) return 11.42;
  return 2.5 + 3 * hill(ago, 38, 12) + 8 * hill(ago, 0, 13) + noise(ago);
}

function simulatedReport(name = "desk"): LoadReport {
  const machine: Machine = {
    name,
    system: "Windows 11",
    cpus: 4,
    memory: 8 * 1024 ** 3,
    bootedAt: undefined,
  };
  const random = (ago: number) => 1 + Math.sin(ago * 7.7) * Math.cos(ago * 3.1);
  return reportOfDay(random, { machine, simulated: true, averages: [0.71, 1.64] });
}

/** Twelve machines: the first one is asked; one is late, one has a hole, one fails, one simulates. */
function fleet(): LoadReport[] {
  const one = (
    name: string,
    cpus: number,
    loadAt: (ago: number) => number | undefined,
    options: DayOptions = {},
  ): LoadReport => {
    const report = reportOfDay(loadAt, { machine: { ...MACHINE, name, cpus }, ...options });
    return { ...report, age: report.age + name.length % 5 * 1_000 };
  };
  const around = (load: number, seed: number) => (ago: number) =>
    load * (0.7 + 0.6 * noise(ago, seed));
  return [
    one("web1", 8, quiet),
    one("web2", 8, busy),
    { ...one("mail", 2, (ago) => 0.2 + 1.6 * hill(ago, 48, 5)), age: 12_000 },
    one("build-runner-eu-west-1a-07", 64, (ago) => ago < 0.05 ? 188.2 : 120 + 90 * noise(ago)),
    one("cache1", 4, around(0.09, 1)),
    one("cache2", 4, (ago) => ago > 22 && ago < 35 ? undefined : around(0.03, 2)(ago)),
    one("db1", 32, around(14.08, 3)),
    one("db2", 32, (ago) => ago < 9 ? undefined : around(6.77, 4)(ago), {
      failure: "The reading takes too long",
    }),
    one("pi", 1, () => 0),
    one("queue1", 2, around(1.51, 5)),
    simulatedReport(),
    one("web3", 8, around(2.31, 6)),
  ];
}
