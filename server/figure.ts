/**
 * A plot as SVG, for a page.
 *
 * @module
 */
import { html as tag } from "hono/html"; // not named html, because deno fmt would add white space
import type { HtmlEscapedString } from "hono/utils/html";
import type { Moment, Span } from "./history.ts";
import { clock } from "./local_time.ts";
import { HEIGHT, type Mark, type Plot, plot } from "./plot.ts";

/** Options of {@linkcode figure}. */
export interface FigureOptions {
  /** What is plotted, such as `1-minute load of the last hour`. */
  name: string;
  /** The load at which a dashed line is drawn: the number of CPUs. */
  limit: number | undefined;
  /** Whether the numbers are random. Their curve is dotted. */
  isSimulated: boolean;
  /** The latest reading, where the span has no summary. Default: the last value of its series. */
  latest?: Moment | undefined;
  /** Whether there is room for the curve alone. Default `false`. */
  isSmall?: boolean;
}

/** Markup of an `<svg>`, as `html` of Hono makes and accepts it. */
export type Svg = string & { readonly isEscaped: true };

/** Markup, as Hono's `html` types it: a promise only where a value is one, and here none is. */
type Markup = HtmlEscapedString | Promise<HtmlEscapedString>;

/**
 * The loads of a span as an `<svg>`, which also says in words what it shows. Places are in per cent and sizes
 * in pixels, so its text is as large on a phone as on a desk; only the curve is stretched. A stylesheet has
 * the colours.
 */
export function figure(span: Span, options: FigureOptions): Svg {
  const { limit, isSimulated, isSmall = false } = options;
  const { latest = options.latest, holes } = span.summary ?? {};
  const drawn = plot(span.series, { length: span.length, limit, latest, holes });
  const { width, limitAt, highest, newest } = drawn;
  const parts = [
    tag`<line x1="0" x2="100%" y1="100%" y2="100%"/>`,
    tag`<svg viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none">${
      curves(drawn, isSimulated)
    }</svg>`,
    limitAt === undefined
      ? ""
      : tag`<line class="busy" x1="0" x2="100%" y1="${limitAt}%" y2="${limitAt}%"/>`,
    ...isSmall ? [] : [...ticks(drawn, span.series.end), ...limitText(drawn, limit)],
    isSmall || !highest ? "" : highestText(highest),
    ...newest ? newestMark(newest, isSmall) : [],
  ];
  const label = labelOf(span, options);
  return tag`<svg role="img" aria-label="${label}">${parts}</svg>` as Svg;
}

function curves({ runs, above }: Plot, isSimulated: boolean): Markup[] {
  const kind = isSimulated ? "curve random" : "curve";
  return [
    ...runs.flatMap(({ area, curve }) => [
      tag`<path class="area" d="${area}"/>`,
      tag`<path class="${kind}" d="${curve}"/>`,
    ]),
    ...above.flatMap(({ area, curve }) => [
      tag`<path class="above" d="${area}"/>`,
      tag`<path class="${kind} hot" d="${curve}"/>`,
    ]),
  ];
}

function ticks({ ticks, holes }: Plot, end: number): Markup[] {
  const text = (kind: string, x: number, up: string, words: string) =>
    tag`<text class="mid${kind}" x="${x}%" y="100%" dy="${up}">${words}</text>`;
  const kind = (isMinor: boolean) => isMinor ? " minor" : "";
  const others = ticks.filter(({ at }) => clock(at) !== clock(end)); // not the minute of the end twice
  return [
    ...others.map(({ x, at, isMinor }) => text(kind(isMinor), x, "1.6em", clock(at))),
    text("", 100, "1.6em", clock(end)),
    ...holes.map(({ x, isMinor }) => text(kind(isMinor), x, "-.6em", "no reading")),
  ];
}

function limitText(drawn: Plot, limit: number | undefined): Markup[] {
  const { limitAt, isLimitNamedLeft, hasLimitNumber, hasZero } = drawn;
  const inMargin = (y: number, number: number) =>
    tag`<text x="100%" y="${y}%" dx=".6em" dy=".35em">${number}</text>`;
  const zero = hasZero ? [inMargin(100, 0)] : [];
  if (limitAt === undefined || limit === undefined) return zero;
  const [x, anchor] = isLimitNamedLeft ? [0, "start"] : [100, "end"];
  const name = ["the CPU busy", "both CPUs busy"][limit - 1] ?? `all ${limit} CPUs busy`;
  return [
    tag`<text class="${anchor}" x="${x}%" y="${limitAt}%" dy="-.5em">${name}</text>`,
    ...hasLimitNumber ? [inMargin(limitAt, limit)] : [],
    ...zero,
  ];
}

function highestText({ x, y, value, isAbove }: Mark): Markup {
  const kind = isAbove ? "mid hot" : "mid";
  return tag`<text class="${kind}" x="${x}%" y="${y}%" dy="-.6em">${value.toFixed(2)}</text>`;
}

function newestMark({ x, y, value, isAbove }: Mark, isSmall: boolean): Markup[] {
  const [dot, now] = isAbove ? ["dot hot", "now hot"] : ["dot", "now"];
  const circle = tag`<circle class="${dot}" cx="${x}%" cy="${y}%" r="${isSmall ? 3.5 : 5}"/>`;
  const isCurrent = x > 99; // otherwise its number would stand in the plot
  if (isSmall || !isCurrent) return [circle];
  const number = value.toFixed(2);
  return [
    circle,
    tag`<text class="${now}" x="100%" y="${y}%" dx=".75em" dy=".35em">${number}</text>`,
  ];
}

/** The plot in words, for those who do not see it. */
function labelOf(
  { series, summary }: Span,
  { name, limit, isSimulated, latest: given }: FigureOptions,
): string {
  const what = isSimulated ? `Simulated ${name}` : name;
  const loads = series.values.filter((load) => load !== null);
  if (loads.length === 0) return `${what}: no reading`;
  const lowest = summary?.lowest.value ?? Math.min(...loads);
  const highest = summary?.highest.value ?? Math.max(...loads);
  const latest = (summary?.latest ?? given)?.value ?? loads.at(-1)!;
  const when = summary ? ` at ${clock(summary.highest.at)}` : "";
  const busy = limit === undefined ? "" : `; all CPUs are busy at ${limit.toFixed(2)}`;
  return `${what}: from ${lowest.toFixed(2)} to ${highest.toFixed(2)}${when}, latest ` +
    `${latest.toFixed(2)}${busy}`;
}
