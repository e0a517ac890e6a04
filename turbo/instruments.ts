/**
 * What a `Turbo` counts and measures of itself. The counts are plain numbers, so that counting costs next to
 * nothing, and they are read when somebody asks for them.
 *
 * @module
 */
import type { Transport } from "./handshake.ts";
import { type Attributes, Histogram } from "./histogram.ts";
import { CLOSE, type Close } from "./protocol.ts";

/** How a page that asked for what it missed was served: with that, by a refresh, or it had missed nothing. */
export type Resumed = "replay" | "refresh" | "nothing";

/** How a connection ended: its reader left, or the close that the server chose. */
export type End = "left" | "lost" | `${keyof typeof CLOSE}`;

/** One value, and what it was measured of. */
export interface Point {
  /** The value, in the unit of its metric. */
  readonly value: number;
  /** What it was measured of. */
  readonly attributes: Attributes;
}

/** What every metric says of itself. The names and units follow OpenTelemetry's conventions. */
export interface MetricDescription {
  /** Its name, such as `turbo.server.pushes`. */
  readonly name: string;
  /** Its unit: `s`, `By`, `1`, or what is counted, such as `{push}`. */
  readonly unit: string;
  /** What it measures, in one sentence. */
  readonly description: string;
}

/** A number that only grows, or one that goes up and down. */
export interface NumberMetric extends MetricDescription {
  /**
   * `counter`: a count that only grows. `upDownCounter`: a number of things that can be added up over
   * processes. `gauge`: a number that cannot.
   */
  readonly kind: "counter" | "upDownCounter" | "gauge";
  /** The values now. */
  read(): readonly Point[];
}

/** A histogram. */
export interface HistogramMetric extends MetricDescription {
  /** The kind. */
  readonly kind: "histogram";
  /** The values so far. */
  readonly histogram: Histogram;
}

/** One thing that is counted or measured. */
export type Metric = NumberMetric | HistogramMetric;

/** What is measured only when somebody asks. */
export interface Gauges {
  /** Open connections. */
  connections(transport: Transport): number;
  /** Connections that were closed and whose end is not reported yet. */
  readonly zombies: number;
  /** Connections that do not take what they are sent. */
  readonly behind: number;
  /** Bytes that wait to be sent. */
  readonly buffered: number;
  /** Whether the engine orders the pushes of all nodes. */
  readonly isConnected: boolean;
  /** Milliseconds that a push takes to come back from the engine. */
  readonly lag: number;
  /** Entries and bytes in the log. */
  readonly log: { readonly size: number; readonly bytes: number };
  /** How old the pages are, in milliseconds. */
  readonly staleness: { readonly pages: number; readonly p50: number; readonly p99: number };
}

/** Bounds of a connection's duration in seconds: those of `kestrel.connection.duration`, and longer ones. */
const LONG = [0.01, 0.1, 1, 5, 10, 30, 60, 300, 1_800, 3_600, 14_400, 86_400];
/** Bounds of what must be over within a frame, in seconds. */
const SHORT = [
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  5,
];

/** The transports, as metrics and events name them. */
export const TRANSPORTS = { "websocket": "websocket", "event stream": "sse" } as const;

const END_OF = new Map<Close, End>(
  Object.entries(CLOSE).map(([name, close]) => [close, name as keyof typeof CLOSE]),
);

/** The end that a close means. */
export function endOf(close: Close): End {
  return END_OF.get(close) ?? "left";
}

/** The counts of one `Turbo`. */
export class Instruments {
  /** Pushes of this process. */
  pushes = 0;
  /** Messages that were sent: each a frame of a WebSocket, or a piece of an event stream. */
  messages = 0;
  /** Their bytes. */
  bytes = 0;
  /** How pages that asked were served. */
  readonly resumes: Record<Resumed, number> = { replay: 0, refresh: 0, nothing: 0 };
  /** Connections that this process ended because of what their client did. */
  readonly drops: Map<End, number> = new Map([...DROPS].map((end) => [end, 0]));
  /** Requests for the stream that were rejected, by status. */
  readonly rejected = new Map<number, number>();
  /** Seconds for which connections were open. */
  readonly durations: Histogram = new Histogram(LONG);
  /** Seconds that a turn takes in which what is due is sent. */
  readonly ticks: Histogram = new Histogram(SHORT);
  /** Seconds by which a timer was late. */
  readonly delays: Histogram = new Histogram(SHORT);

  /** A connection has ended. */
  ended(transport: Transport, end: End, milliseconds: number): void {
    const attributes = {
      "turbo.transport": TRANSPORTS[transport],
      "turbo.connection.end": snake(end),
    };
    this.durations.record(milliseconds / 1_000, attributes);
    if (DROPS.has(end)) this.drops.set(end, (this.drops.get(end) ?? 0) + 1);
  }

  /** A request for the stream was rejected. */
  rejects(status: number): void {
    this.rejected.set(status, (this.rejected.get(status) ?? 0) + 1);
  }

  /** All metrics, with what is measured only when they are read. */
  metrics(gauges: Gauges): readonly Metric[] {
    const one = (value: number): readonly Point[] => [{ value, attributes: {} }];
    const staleness = inTurn(() => gauges.staleness);
    return [
      {
        name: "turbo.server.active_connections",
        kind: "upDownCounter",
        unit: "{connection}",
        description: "Open connections",
        read: () =>
          (["websocket", "event stream"] as const).map((transport) => ({
            value: gauges.connections(transport),
            attributes: { "turbo.transport": TRANSPORTS[transport] },
          })),
      },
      {
        name: "turbo.server.closing_connections",
        kind: "upDownCounter",
        unit: "{connection}",
        description: "Connections that the server has closed and whose end is not reported yet",
        read: () => one(gauges.zombies),
      },
      {
        name: "turbo.server.connection.duration",
        kind: "histogram",
        unit: "s",
        description: "How long connections were open, with how they ended",
        histogram: this.durations,
      },
      {
        name: "turbo.server.rejected_connections",
        kind: "counter",
        unit: "{connection}",
        description: "Requests for the stream that were rejected, by the status of the answer",
        read: () =>
          [...this.rejected].map(([status, value]) => ({
            value,
            attributes: { "http.response.status_code": status },
          })),
      },
      {
        name: "turbo.server.drops",
        kind: "counter",
        unit: "{connection}",
        description:
          "Connections that the server ended because of what their client did or did not do",
        read: () =>
          [...this.drops].map(([end, value]) => ({
            value,
            attributes: { "turbo.drop.reason": snake(end) },
          })),
      },
      {
        name: "turbo.server.resumes",
        kind: "counter",
        unit: "{resume}",
        description: "Pages that asked for what they missed, with how they were served",
        read: () =>
          Object.entries(this.resumes).map(([outcome, value]) => ({
            value,
            attributes: { "turbo.resume.outcome": outcome },
          })),
      },
      {
        name: "turbo.server.pushes",
        kind: "counter",
        unit: "{push}",
        description: "Pushes of this process",
        read: () => one(this.pushes),
      },
      {
        name: "turbo.server.messages",
        kind: "counter",
        unit: "{message}",
        description: "Messages sent to pages, heartbeats included",
        read: () => one(this.messages),
      },
      {
        name: "turbo.server.sent",
        kind: "counter",
        unit: "By",
        description: "Bytes of the messages sent to pages",
        read: () => one(this.bytes),
      },
      {
        name: "turbo.server.behind_connections",
        kind: "upDownCounter",
        unit: "{connection}",
        description: "Connections that do not take what they are sent",
        read: () => one(gauges.behind),
      },
      {
        name: "turbo.server.buffered",
        kind: "upDownCounter",
        unit: "By",
        description: "Bytes that wait to be sent",
        read: () => one(gauges.buffered),
      },
      {
        name: "turbo.server.log.entries",
        kind: "upDownCounter",
        unit: "{entry}",
        description: "Entries in the log",
        read: () => one(gauges.log.size),
      },
      {
        name: "turbo.server.log.size",
        kind: "upDownCounter",
        unit: "By",
        description: "Bytes of HTML and of names in the log",
        read: () => one(gauges.log.bytes),
      },
      {
        name: "turbo.server.engine.connected",
        kind: "upDownCounter",
        unit: "{engine}",
        description:
          "1 while the engine orders the pushes of all nodes, 0 while this node is alone",
        read: () => one(gauges.isConnected ? 1 : 0),
      },
      {
        name: "turbo.server.engine.lag",
        kind: "gauge",
        unit: "s",
        description: "How long a push takes to come back from the engine; 0 in memory",
        read: () => one(gauges.lag / 1_000),
      },
      {
        name: "turbo.server.tick.duration",
        kind: "histogram",
        unit: "s",
        description: "How long a turn takes in which what is due is sent",
        histogram: this.ticks,
      },
      {
        name: "turbo.server.event_loop.delay",
        kind: "histogram",
        unit: "s",
        description: "By how much a timer of a second was late",
        histogram: this.delays,
      },
      {
        name: "turbo.server.staleness.pages",
        kind: "upDownCounter",
        unit: "{page}",
        description: "Open pages of known age",
        read: () => one(staleness().pages),
      },
      {
        name: "turbo.server.staleness.p50",
        kind: "gauge",
        unit: "s",
        description: "Half of the pages of known age show what is at most this old",
        read: () => one(staleness().p50 / 1_000),
      },
      {
        name: "turbo.server.staleness.p99",
        kind: "gauge",
        unit: "s",
        description: "99 of 100 pages of known age show what is at most this old",
        read: () => one(staleness().p99 / 1_000),
      },
    ];
  }
}

/** The ends that are the fault of a client. */
const DROPS: ReadonlySet<End> = new Set([
  "binary",
  "notSince",
  "tooMany",
  "tooLong",
  "tooSlow",
  "doesNotRead",
  "failed",
]);

/** Measures once for all who ask in one turn of the event loop. */
function inTurn<T>(measure: () => T): () => T {
  let measured: { readonly value: T } | undefined;
  return () => {
    if (!measured) queueMicrotask(() => measured = undefined);
    return (measured ??= { value: measure() }).value;
  };
}

/** A name in the style of attribute values, such as `too_slow`. */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
