/**
 * A plot as SVG, for a page.
 *
 * @module
 */
import { html as svg } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { Span } from "./history.ts";
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
  /** Whether there is room for the curve alone. Default `false`. */
  isSmall?: boolean;
}

/** Markup, as Hono's `html` types it: a promise only where a value is one, and here none is. */
type Markup = HtmlEscapedString | Promise<HtmlEscapedString>;

/**
 * The loads of a span as an `<svg>`, which also says in words what it shows. Places are in per cent and sizes
 * in pixels, so its text is as large on a phone as on a desk; only the curve is stretched. A stylesheet has
 * the colours.
 */
export function figure(span: Span, options: FigureOptions): HtmlEscapedString {
  const { limit, isSimulated, isSmall = false } = options;
  const { latest, holes } = span.summary ?? {};
  const drawn = plot(span.series, { length: span.length, limit, latest, holes });
  const { width, limitAt } = drawn;
  const parts = [
    svg`
      <line x1="0" x2="100%" y1="100%" y2="100%" />
    `,
    svg`<svg viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none">${
      curves(drawn, isSimulated)
    }</svg>`,
    limitAt === undefined ? "" : svg`
      <line class="busy" x1="0" x2="100%" y1="${limitAt}%" y2="${limitAt}%" />
    `,
    ...isSmall ? [] : [ticks(drawn, span.series.end), limitText(drawn, limit)],
    isSmall || !drawn.highest ? "" : highestText(drawn.highest),
    drawn.newest ? newestMark(drawn.newest, isSmall) : "",
  ];
  return svg`<svg role="img" aria-label="${
    labelOf(span, options)
  }">${parts}</svg>` as HtmlEscapedString;
}

function curves({ runs, above }: Plot, isSimulated: boolean): Markup[] {
  const kind = isSimulated ? "curve random" : "curve";
  return [
    ...runs.map(({ area, curve }) =>
      svg`
        <path class="area" d="${area}" />
        <path class="${kind}" d="${curve}" />
      `
    ),
    ...above.map(({ area, curve }) =>
      svg`
        <path class="above" d="${area}" />
        <path class="${kind} hot" d="${curve}" />
      `
    ),
  ];
}

function ticks({ ticks, holes }: Plot, end: number): Markup[] {
  return [
    ...ticks.map(({ x, at, isMinor }) => {
      const kind = isMinor ? "minor" : "major";
      return svg`
        <line class="${kind}" x1="${x}%" x2="${x}%" y1="100%" y2="100%"
          transform="translate(0 4)" />
        <text class="mid ${kind}" x="${x}%" y="100%" dy="1.6em">${clock(at)}</text>
      `;
    }),
    svg`<text class="mid" x="100%" y="100%" dy="1.6em">${clock(end)}</text>`,
    ...holes.map(({ x, isMinor }) =>
      svg`<text class="mid ${
        isMinor ? "minor" : "major"
      }" x="${x}%" y="100%" dy="-.6em">no reading</text>`
    ),
  ];
}

function limitText(drawn: Plot, limit: number | undefined): Markup[] {
  const { limitAt, isLimitNamedLeft, hasLimitNumber, hasZero } = drawn;
  const inMargin = (y: number, text: number) =>
    svg`<text x="100%" y="${y}%" dx=".6em" dy=".35em">${text}</text>`;
  const zero = hasZero ? [inMargin(100, 0)] : [];
  if (limitAt === undefined || limit === undefined) return zero;
  const [x, anchor] = isLimitNamedLeft ? [0, "start"] : [100, "end"];
  const name = limit === 1 ? "the CPU is busy" : `all ${limit} CPUs busy`;
  return [
    svg`<text class="${anchor}" x="${x}%" y="${limitAt}%" dy="-.5em">${name}</text>`,
    ...hasLimitNumber ? [inMargin(limitAt, limit)] : [],
    ...zero,
  ];
}

function highestText({ x, y, value, isAbove }: Mark): Markup {
  return svg`<text class="mid${isAbove ? " hot" : ""}" x="${x}%" y="${y}%" dy="-.6em">${
    value.toFixed(2)
  }</text>`;
}

function newestMark({ x, y, value, isAbove }: Mark, isSmall: boolean): Markup[] {
  const [dot, number] = isAbove ? ["dot hot", "now hot"] : ["dot", "now"];
  const isCurrent = x > 99; // otherwise its number would stand in the plot
  return [
    svg`
      <circle class="${kind}" cx="${x}%" cy="${y}%" r="${isSmall ? 3.5 : 5}" />
    `,
    ...isSmall || !isCurrent ? [] : [
      svg`<text class="${number}" x="100%" y="${y}%" dx=".75em" dy=".35em">${
        value.toFixed(2)
      }</text>`,
    ],
  ];
}

/** The plot in words, for those who do not see it. */
function labelOf({ series, summary }: Span, { name, limit, isSimulated }: FigureOptions): string {
  const what = isSimulated ? `Simulated ${name}` : name;
  const loads = series.values.filter((load) => load !== null);
  if (loads.length === 0) return `${what}: no reading yet`;
  const lowest = summary?.lowest.value ?? Math.min(...loads);
  const highest = summary?.highest.value ?? Math.max(...loads);
  const latest = summary?.latest.value ?? loads.at(-1)!;
  const when = summary ? ` at ${clock(summary.highest.at)}` : "";
  const busy = limit === undefined ? "" : `; all CPUs are busy at ${limit.toFixed(2)}`;
  return `${what}: from ${lowest.toFixed(2)} to ${highest.toFixed(2)}${when}, now ` +
    `${latest.toFixed(2)}${busy}`;
}
