/**
 * The targets, and whether the figures meet them.
 *
 * @module
 */
import { ratio, type Row, rowOf, type Series, type Spread } from "./figures.ts";
import { short } from "./table.ts";

/** The figures that the targets are about. */
interface Measured {
  rows: readonly Row[];
  ratios: Readonly<Record<string, Spread>>;
}

type Place = [side: string, at: string];

interface Target {
  /** Its text, which is also its key in the results. */
  text: string;
  measure: string;
  figure: string;
  /** The side and the varied value of the figure. */
  of: Place;
  /** The figure to compare with, round by round; left out where the target is about the figure itself. */
  to?: Place;
  most?: number;
  least?: number;
  /** Whether every round must meet it, and not only the median. */
  always?: boolean;
}

const CPU = { measure: "fanout", figure: "cpu us/message" };
const PLAIN = "turbo-deno plain";
const PROTOCOL = "turbo-deno protocol";

/** The rivals of the app in `jitter` and `deploy`. */
const RIVALS = ["socket.io recovery", "socket.io", "ws-node", "bare-deno"];

const TARGETS: readonly Target[] = [
  ...["1000", "9000"].flatMap((at) => fanoutTargets(at)),
  { ...CPU, text: "growth 100 to 9000, plain", of: [PLAIN, "9000"], to: [PLAIN, "100"] },
  { ...CPU, text: "growth 100 to 9000, protocol", of: [PROTOCOL, "9000"], to: [PROTOCOL, "100"] },
  { ...CPU, text: "growth 100 to 9000, bare", of: ["bare-deno", "9000"], to: ["bare-deno", "100"] },
  ...[PLAIN, PROTOCOL].flatMap((side) => burstTargets(side)),
  ...["1000", "9000"].flatMap((readers) =>
    ["plain", "protocol"].map((kind): Target => ({
      measure: "added",
      figure: "cpu us/message",
      text: `on the same sockets: ${kind} to bare, ${readers}`,
      of: ["turbo-deno", `${readers} ${kind}`],
      to: ["bare-deno", `${readers} ${kind}`],
      most: kind === "plain" ? 1.10 : 1.15,
    }))
  ),
  ...[PLAIN, PROTOCOL].map((side): Target => ({
    measure: "memory",
    figure: "KiB/connection",
    text: `memory, ${side} to bare`,
    of: [side, "9000"],
    to: ["bare-deno", "9000"],
    most: 1.25,
  })),
  ...Object.entries({ bare: ["bare-deno", 0.5], "Turbo-Flask": ["turbo-flask", 5] } as const).map((
    [name, [side, least]],
  ): Target => ({
    measure: "page",
    figure: "requests/s",
    text: `page to ${name}`,
    of: [PLAIN, "16 connections"],
    to: [side, "16 connections"],
    least,
  })),
  ...startTargets(),
  {
    measure: "name",
    figure: "cpu us/push",
    text: "one name, among 9000 to among 10",
    of: ["turbo-deno", "9000"],
    to: ["turbo-deno", "10"],
    most: 2,
  },
  ...["turbo-deno", "bare-deno"].flatMap((name) =>
    ["push to 1,000 readers", "GET /"].flatMap((at) =>
      ["metrics", "all on"].map((mode): Target => ({
        measure: "instruments",
        figure: "cpu us",
        text: `telemetry ${mode} to off: ${at.split(" ")[0]}, ${name}`,
        of: [`${name} ${mode}`, at],
        to: [`${name} off`, at],
      }))
    )
  ),
  ...[PLAIN, PROTOCOL].map((side): Target => ({
    measure: "slow",
    figure: "p99 ms of the rest",
    text: `p99 with 10 % stalled, ${side}`,
    of: [side, "100 stalled"],
    to: [side, "0 stalled"],
    most: 1.2,
  })),
  ...processesTargets(),
  ...nodesTargets(),
  ...["both ends told", "server not told"].flatMap((at) => deliveryTargets("jitter", at)),
  ...["in place", "two nodes"].flatMap((at) => deliveryTargets("deploy", at)),
];

/** Processor time of a message to some number of readers, compared with all other peers. */
function fanoutTargets(at: string): Target[] {
  const limits = {
    bare: { side: "bare-deno", plain: 1.10, protocol: 1.15 },
    ws: { side: "ws-node", plain: 0.9, protocol: 0.9 },
    "Turbo-Flask": { side: "turbo-flask", plain: 0.4, protocol: 0.4 },
  };
  const stated = { Bun: "bun", gorilla: "gorilla", "write() loop": "write-loop" };
  return [
    ...Object.entries(limits).flatMap(([name, { side, plain, protocol }]): Target[] => [
      { ...CPU, text: `plain to ${name}, ${at}`, of: [PLAIN, at], to: [side, at], most: plain },
      {
        ...CPU,
        text: `protocol to ${name}, ${at}`,
        of: [PROTOCOL, at],
        to: [side, at],
        most: protocol,
      },
    ]),
    ...Object.entries(stated).map(([name, side]): Target => (
      { ...CPU, text: `plain to ${name}, ${at}`, of: [PLAIN, at], to: [side, at] }
    )),
  ];
}

/** The cost of pushing faster than a screen can show, and the age of what a page shows meanwhile. */
function burstTargets(side: string): Target[] {
  const kind = side === PLAIN ? "plain" : "protocol";
  const [ten, fast] = ["ten in a turn, 100/s", "replace 10000/s"];
  return [
    ...Object.entries({ bare: ["bare-deno", 0.25], Bun: ["bun", 1] } as const).map((
      [name, [other, most]],
    ): Target => ({
      measure: "burst",
      figure: "cpu us/push", // not all make as many a second
      text: `ten in one turn, ${kind} to ${name}`,
      of: [side, ten],
      to: [other, ten],
      most,
    })),
    {
      measure: "burst",
      figure: "cpu ms/s",
      text: `10000/s to 100/s, ${kind}`,
      of: [side, fast],
      to: [side, "replace 100/s"],
      most: 1.5,
    },
    {
      measure: "burst",
      figure: "age ms, p99",
      text: `p99 age in ms at 10000/s, ${kind}`,
      of: [side, fast],
      most: 100,
    },
  ];
}

/** The start of a process, compared with that of a bare server, and of Hono alone. */
function startTargets(): Target[] {
  const sides: [text: string, side: string, other: string, most?: number][] = [
    ["app to bare", "turbo-deno", "bare-deno"],
    ["bundled app to bare", "turbo-deno bundled", "bare-deno", 1.6],
    ["extension to bare", "extension", "bare-deno"],
    ["extension to Hono", "extension", "hono"],
  ];
  return sides.flatMap(([text, side, other, most]): Target[] => {
    const places = { measure: "start", of: [side, ""], to: [other, ""] } satisfies Partial<Target>;
    return [
      {
        ...places,
        figure: "ms to the first byte",
        text: `start, ${text}`,
        ...(most !== undefined && { most }),
      },
      { ...places, figure: "cpu ms to the first byte", text: `cpu of a start, ${text}` },
    ];
  });
}

/** The gain of a second process that shares one order through Redis. */
function processesTargets(): Target[] {
  const rate = { measure: "processes", figure: "messages/s" };
  const cpu = { measure: "processes", figure: "cpu us/message" };
  const [alone, one, two] = ["1 process", "1 process, Redis", "2 processes, Redis"]
    .map((at): Place => [PROTOCOL, at]) as [Place, Place, Place];
  return [
    {
      ...rate,
      text: "messages/s, two on a Redis to one in memory",
      of: two,
      to: alone,
      least: 1.2,
    },
    { ...rate, text: "messages/s, one on a Redis to one in memory", of: one, to: alone },
    { ...cpu, text: "a message, two on a Redis to one in memory", of: two, to: alone },
    { ...cpu, text: "a message, one on a Redis to one in memory", of: one, to: alone },
  ];
}

/** The delay of a push on another node, and its cost on each. */
function nodesTargets(): Target[] {
  const place = (at: string): Place => ["turbo-deno", at];
  const cpu = { measure: "nodes", figure: "cpu us/push above rest" };
  const fast = "2000/s";
  return [
    ...["20/s", "200/s", fast].flatMap((rate): Target[] => {
      const [other, memory] = [place(`${rate}, other node`), place(`${rate}, in memory`)];
      const times = { measure: "nodes", of: other };
      const [p50, p99] = ["ms to receipt, p50", "ms to receipt, p99"] as const;
      return [
        { ...times, figure: p50, text: `p50 in ms on another node, ${rate}`, most: 2 },
        { ...times, figure: p50, text: `p50 on another node to in memory, ${rate}`, to: memory },
        { ...times, figure: p99, text: `p99 in ms on another node, ${rate}` },
      ];
    }),
    ...["pushing node", "receiving node", "redis-server"].map((who): Target => ({
      ...cpu,
      text: `us a push above rest, ${who}, ${fast}`,
      of: place(`${fast}, ${who}`),
      ...(who !== "redis-server" && { most: 100 }),
    })),
    {
      ...cpu,
      text: `a push, pushing node to in memory, ${fast}`,
      of: place(`${fast}, pushing node`),
      to: place(`${fast}, in memory`),
    },
    {
      measure: "nodes",
      figure: "pages/s",
      text: "pages of a node to in memory",
      of: place("a node"),
      to: place("in memory"),
    },
  ];
}

/** What readers receive that lose their line, or through a deploy: from the app everything, in every round. */
function deliveryTargets(measure: string, at: string): Target[] {
  const of: Place = ["turbo-deno", at];
  const [what, figure] = measure === "jitter"
    ? ["% delivered", "once and in order, %"]
    : ["% missed some", "readers that missed some, %"];
  return [
    {
      measure,
      figure: "once and in order, %",
      text: `% delivered, ${of[0]}, ${at}`,
      of,
      least: 100,
      always: true,
    },
    ...["messages twice", "messages out of order", "pages fetched again"].map((figure): Target => ({
      measure,
      figure,
      text: `${figure}, ${at}`,
      of,
      most: 0,
      always: true,
    })),
    ...RIVALS.map((side): Target => (
      { measure, figure, text: `${what}, ${side}, ${at}`, of: [side, at] }
    )),
  ];
}

/** The ratios in the targets of one measure, by their texts. */
export function ratiosOf(measure: string, all: readonly Series[]): Record<string, Spread> {
  const ratios: Record<string, Spread> = {};
  for (const target of TARGETS) {
    if (target.measure !== measure || !target.to) continue;
    const find = ([side, at]: Place) =>
      all.find((one) => one.figure === target.figure && one.side === side && one.at === at);
    const [series, other] = [find(target.of), find(target.to)];
    const found = series && other && ratio(series, other);
    if (found) ratios[target.text] = found;
  }
  return ratios;
}

/** Compares the figures with the targets; a target without figures is left out. */
export function judge(measures: Readonly<Record<string, Measured>>): string {
  const lines = TARGETS.flatMap((target) => {
    const { text, most, least } = target;
    const value = valueOf(target, measures[target.measure]);
    if (value === undefined) return [];
    const limit = most !== undefined
      ? `at most ${most}`
      : least !== undefined
      ? `at least ${least}`
      : "stated";
    const missed = value > (most ?? Infinity) || value < (least ?? -Infinity);
    const shown = target.to ? value.toFixed(2) : short(value);
    return [`${text.padEnd(48)} ${shown.padStart(7)}   ${limit}${missed ? "   MISSED" : ""}`];
  });
  return lines.join("\n");
}

function valueOf(target: Target, measured?: Measured): number | undefined {
  const { text, figure, of: [side, at], to, always, least } = target;
  const spread = to ? measured?.ratios[text] : rowOf(measured, { figure, side, at });
  return spread?.[always ? (least === undefined ? "most" : "least") : "median"];
}
