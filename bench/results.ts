/**
 * Medians, spread and ratios of what was measured, and what the targets say to them.
 *
 * @module
 */
import type { Sample } from "./measures.ts";

/** One figure over all rounds. */
export interface Row {
  measure: string;
  side: string;
  at: string;
  figure: string;
  median: number;
  least: number;
  most: number;
  /** The values in the order of the rounds. */
  values: number[];
  /**
   * The median of the ratios to the bare loop, each within one round; missing where there is no
   * bare loop.
   */
  toBare?: number;
}

/** Puts the rounds together. */
export function summarize(samples: readonly Sample[]): Row[] {
  const groups = Map.groupBy(
    samples,
    ({ measure, side, at, figure }) => [measure, figure, at, side].join("|"),
  );
  const rows = [...groups.values()].map((group): Row => {
    const { measure, side, at, figure } = group[0]!;
    const values = group.map(({ value }) => Number(value.toPrecision(5)));
    const [least, most] = [Math.min(...values), Math.max(...values)];
    return { measure, side, at, figure, median: median(values), least, most, values };
  });
  for (const row of rows) {
    const bare = rows.find((other) =>
      other.side === "bare-deno" && other.figure === row.figure && other.at === row.at
    );
    if (bare && bare !== row) row.toBare = ratioOf(row, bare);
  }
  return rows;
}

/** The ratio of two rows: the median over the rounds. */
export function ratioOf(row: Row, other: Row): number {
  return median(row.values.map((value, round) => value / other.values[round]!));
}

/** The rows as a table. */
export function table(rows: readonly Row[]): string {
  const lines = [["figure", "at", "side", "median", "least", "most", "to bare"]];
  const order = (row: Row) => `${row.figure}|${row.at.padStart(12)}`;
  for (const row of [...rows].sort((a, b) => order(a) < order(b) ? -1 : +(order(a) > order(b)))) {
    const { figure, at, side, median, least, most, toBare } = row;
    const ratio = toBare === undefined ? "" : toBare.toFixed(2);
    lines.push([figure, at, side, short(median), short(least), short(most), ratio]);
  }
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines.map((line) =>
    line.map((cell, i) => i < 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
  ).join("\n");
}

/** A number with three digits that matter. */
export function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

interface Target {
  text: string;
  measure: string;
  figure: string;
  /** The side and the reader count whose figure it is. */
  of: [side: string, at: string];
  /** What it is held against. */
  to: [side: string, at: string];
  most?: number;
  least?: number;
}

const CPU = { measure: "fanout", figure: "cpu us/message" };
const PLAIN = "turbo-deno plain";
const PROTOCOL = "turbo-deno protocol";
const PAGE = { measure: "page", figure: "requests/s" };
const SLOW = { measure: "slow", figure: "p99 ms of the rest" };

const TARGETS: readonly Target[] = [
  ...["1000", "9000"].flatMap((at): Target[] => [
    { ...CPU, text: `plain to bare, ${at}`, of: [PLAIN, at], to: ["bare-deno", at], most: 1.10 },
    {
      ...CPU,
      text: `protocol to bare, ${at}`,
      of: [PROTOCOL, at],
      to: ["bare-deno", at],
      most: 1.15,
    },
    { ...CPU, text: `plain to ws, ${at}`, of: [PLAIN, at], to: ["ws-node", at], most: 0.9 },
    { ...CPU, text: `protocol to ws, ${at}`, of: [PROTOCOL, at], to: ["ws-node", at], most: 0.9 },
    {
      ...CPU,
      text: `plain to Turbo-Flask, ${at}`,
      of: [PLAIN, at],
      to: ["turbo-flask", at],
      most: 0.4,
    },
    {
      ...CPU,
      text: `protocol to Turbo-Flask, ${at}`,
      of: [PROTOCOL, at],
      to: ["turbo-flask", at],
      most: 0.4,
    },
    { ...CPU, text: `plain to Bun, ${at}`, of: [PLAIN, at], to: ["bun", at] },
    { ...CPU, text: `plain to gorilla, ${at}`, of: [PLAIN, at], to: ["gorilla", at] },
    { ...CPU, text: `plain to write() loop, ${at}`, of: [PLAIN, at], to: ["write-loop", at] },
  ]),
  { ...CPU, text: "growth 100 to 9000, plain", of: [PLAIN, "9000"], to: [PLAIN, "100"] },
  { ...CPU, text: "growth 100 to 9000, protocol", of: [PROTOCOL, "9000"], to: [PROTOCOL, "100"] },
  { ...CPU, text: "growth 100 to 9000, bare", of: ["bare-deno", "9000"], to: ["bare-deno", "100"] },
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
  {
    ...PAGE,
    text: "page to bare",
    of: [PLAIN, "16 connections"],
    to: ["bare-deno", "16 connections"],
    least: 0.5,
  },
  {
    ...PAGE,
    text: "page to Turbo-Flask",
    of: [PLAIN, "16 connections"],
    to: ["turbo-flask", "16 connections"],
    least: 5,
  },
  {
    measure: "name",
    figure: "cpu us/push",
    text: "one name, among 9000 to among 10",
    of: ["turbo-deno", "9000"],
    to: ["turbo-deno", "10"],
    most: 2,
  },
  ...[PLAIN, PROTOCOL].map((side): Target => ({
    ...SLOW,
    text: `p99 with 10 % stalled, ${side}`,
    of: [side, "100 stalled"],
    to: [side, "0 stalled"],
    most: 1.2,
  })),
];

/** Holds the figures against the targets; a target without figures is left out. */
export function judge(rows: readonly Row[]): string {
  const lines = TARGETS.flatMap(({ text, measure, figure, of, to, most, least }) => {
    const find = ([side, at]: [string, string]) =>
      rows.find((row) =>
        row.measure === measure && row.figure === figure && row.side === side && row.at === at
      );
    const [row, other] = [find(of), find(to)];
    if (!row || !other) return [];
    const ratio = ratioOf(row, other);
    const target = most !== undefined
      ? `at most ${most}`
      : least !== undefined
      ? `at least ${least}`
      : "stated";
    const missed = ratio > (most ?? Infinity) || ratio < (least ?? -Infinity);
    return [
      `${text.padEnd(46)} ${ratio.toFixed(2).padStart(7)}   ${target}${missed ? "   MISSED" : ""}`,
    ];
  });
  return lines.join("\n");
}

/** The middle of a list of figures. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const value = sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return Number(value.toPrecision(5));
}
