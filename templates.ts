/**
 * Pages and partials: functions that return markup for plain data.
 *
 * @module
 */
import { type FleetReport, isFleet, type LoadReport } from "./loadavg.ts";
import type { Moment, Series, Span, Summary } from "./server/history.ts";
import { isLate, type LoadAverages, type LoadRow } from "./server/load_row.ts";
import { clock, clockWithSeconds, date, day, duration } from "./server/local_time.ts";
import { hoursAndMinutes, isSameDay, zone } from "./server/local_time.ts";
import { type Mark, type Plot, plot } from "./server/plot.ts";
import { html, type Markup } from "./turbo/mod.ts";

/** A report of this machine or of its fleet. */
export type Report = LoadReport | FleetReport;

/** What each page needs besides its content. */
export interface PageContext {
  /** What `turbo.head(c)` returned. */
  head: Markup;
  /** The path below which the app is, such as `/load`; empty where it is at the root. */
  base: string;
  /** Path of the stylesheet. */
  stylesheet: string;
  /** Path of the icon for a home screen. */
  icon: string;
  /** The load that the page shows. */
  report: Report;
}

/** The id of the box with the load, which every page has. */
export const LOAD_ID = "load";

/**
 * The parts of each page that change with the load, each by the id of its element: the target when it is
 * pushed.
 */
export const PARTS: Readonly<Record<string, (report: Report, base: string) => Markup>> = {
  [LOAD_ID]: loadBox,
  title,
  icon,
  machine: heading,
  facts,
};

/** The id of the part with the last day, which changes more slowly. */
export const DAY_ID = "day";

/** The first page: the last hour. */
export function hourPage(context: PageContext): Markup {
  return layout("/", context, explanation(context.base));
}

/** The second page: the last day. */
export function dayPage(context: PageContext): Markup {
  return layout("/page2", context, dayBox(context.report));
}

/** The page for an address that does not exist. */
export function notFoundPage(context: PageContext): Markup {
  const { base } = context;
  return layout(undefined, context, undefined, html`
    <p class="missing">
      <b>Nothing at this address.</b> There are two pages: <a href="${base}/">the last hour</a> and
      <a href="${base}/page2">the last day</a>.
    </p>
  `);
}

/** The box with the load, for one machine or several. */
export function loadBox(report: Report, base: string): Markup {
  return isFleet(report) ? fleetBox(report, base) : machineBox(report, base);
}

function machineBox(report: LoadReport, base: string): Markup {
  const { latest, failure, highSince, hour, machine } = report;
  const cells = latest?.averages ?? [undefined, undefined, undefined];
  const classes = [
    highSince === undefined ? "" : "over",
    cells.some((load = 0) => load >= 99.995) ? "long" : "",
    failure === undefined ? "" : "old",
  ];
  return html`
    <div id="${LOAD_ID}" class="load">
      <table${classAttribute(classes)}>
        <caption>Load averages</caption>
        <thead><tr><th scope="col">1 min</th><th scope="col">5 min</th><th scope="col">15 min</th></tr></thead>
        <tbody><tr>${cells.map((load) => html`<td>${loadText(load)}</td>`)}</tr></tbody>
      </table>
      ${verdict(report)}
      <figure class="plot">
        ${
    figure(hour, {
      limit: machine.cpus,
      name: `1-minute load of the last ${lengthText(hour.length)}`,
      isSimulated: latest?.simulated ?? false,
    })
  }
        <figcaption>
          ${rangeText(hour)}${readText(report)};
          also as <a href="${base}/load.json" data-turbo="false">JSON</a>.
        </figcaption>
      </figure>
    </div>
  `;
}

/** What the numbers mean, in a line. */
function verdict({ latest, failure, age, highSince, at, warn, machine }: LoadReport): Markup {
  if (failure !== undefined) {
    const since = latest ? `No reading for ${duration(age)}` : "No reading yet";
    return html`<p class="says bad"><b>${since}</b>: ${failure}</p>`;
  }
  if (!latest) return html`<p class="says">No reading yet</p>`;
  if (latest.simulated) {
    return html`
      <p class="says bad"><b>Simulated</b>: random numbers, because no load average can be read here</p>
    `;
  }
  const { averages } = latest;
  const { cpus } = machine;
  const load = cpus === undefined
    ? `${loadText(averages[0])} in all`
    : `${loadText(averages[0] / cpus)} per CPU`;
  if (highSince === undefined) {
    return html`<p class="says"><b>${load}</b>, ${trendText(averages)}</p>`;
  }
  const limit = warn === undefined ? "all CPUs busy" : loadText(warn);
  const since = `${isSameDay(highSince, at) ? "" : `${day(highSince)}, `}${clock(highSince)}`;
  return html`
    <p class="says over"><b>${load}</b>, ${trendText(averages)}: above ${limit} since ${since}</p>
  `;
}

function trendText([one, five]: LoadAverages): string {
  if (Math.abs(one - five) <= Math.max(0.05, five * 0.1)) return "steady";
  return one < five ? "falling" : "rising";
}

function rangeText({ length, summary }: Span): string {
  if (!summary) return "";
  const { lowest, highest } = summary;
  return `Last ${lengthText(length)}: ${loadText(lowest.value)} to ${loadText(highest.value)}, ` +
    `highest at ${clock(highest.at)}. `;
}

function readText({ latest, failure, at, interval }: LoadReport): Markup {
  const every = `every ${duration(interval)}`;
  if (!latest) return html`No reading yet, tried ${every}`;
  const read = html`${timeElement(latest.at)}${isSameDay(latest.at, at) ? "" : ` on ${date(latest.at)}`}`;
  if (failure !== undefined) return html`Last read at ${read}, tried ${every}`;
  return html`Read at ${read}, ${every}`;
}

/** The last day, for one machine or several. */
export function dayBox(report: Report): Markup {
  return html`<div id="${DAY_ID}">${isFleet(report) ? fleetDay(report) : machineDay(report)}</div>`;
}

function machineDay({ day: span, at, latest, machine }: LoadReport): Markup {
  const from = at - span.length;
  return html`
    <figure class="plot wide">
      ${
    figure(span, {
      limit: machine.cpus,
      name: `1-minute load of the last ${lengthText(span.length)}`,
      isSimulated: latest?.simulated ?? false,
    })
  }
      <figcaption>
        Highest load of each 5 minutes, ${day(from)} ${clock(from)} to ${day(at)} ${clock(at)} ${zone(at)}.
      </figcaption>
    </figure>
    ${span.summary && sums(span.summary, machine.cpus)}
  `;
}

function sums({ highest, mean, aboveLimit, holes }: Summary, cpus: number | undefined): Markup {
  const missing = holes.reduce((sum, [from, to]) => sum + to - from, 0);
  const [first] = holes;
  const where = first === undefined
    ? ""
    : holes.length > 1
    ? `in ${holes.length} holes`
    : `${clock(first[0])} to ${clock(first[1])}`;
  return html`
    <dl class="sums">
      ${sum("Highest", loadText(highest.value), `at ${clock(highest.at)}`)}
      ${sum("Mean", loadText(mean), cpus === undefined ? "" : `${loadText(mean / cpus)} per CPU`)}
      ${cpus === undefined ? "" : sum("All CPUs busy", hoursAndMinutes(aboveLimit), "in all")}
      ${missing === 0 ? "" : sum("No reading", hoursAndMinutes(missing), where)}
    </dl>
  `;
}

function sum(name: string, value: string, remark: string): Markup {
  return html`<div><dt>${name}</dt><dd>${value}</dd><dd>${remark}</dd></div>`;
}

// ---- Many machines

const MINUTE = 60_000;

function fleetBox({ rows, hasMore, renderer, at, interval, isAlone }: FleetReport, base: string): Markup {
  return html`
    <div id="${LOAD_ID}" class="load">
      <table class="fleet">
        <caption>Load averages</caption>
        <thead>
          <tr>
            <th scope="col">Machine</th>
            <th scope="col" class="one">1 min</th>
            <th scope="col" class="five">5 min</th>
            <th scope="col" class="fifteen">15 min</th>
            <th scope="col" class="trend">Last hour</th>
            <th scope="col" class="late">Age</th>
          </tr>
        </thead>
        <tbody>${rows.map(fleetRow)}</tbody>
      </table>
      <p class="${isAlone ? "note bad" : "note"}">
        ${isAlone ? html`<b>${renderer} hears nothing of the others</b>` : `As ${renderer} sees it`}, at
        ${timeElement(at)}, read every ${duration(interval)}${hasMore
          ? `; there are more machines than these ${rows.length}`
          : ""}; also as <a href="${base}/load.json" data-turbo="false">JSON</a>.
      </p>
    </div>
  `;
}

function fleetRow(row: LoadRow): Markup {
  const [one, five, fifteen] = row.averages ?? [];
  const isOld = isLate(row) || row.failure !== undefined;
  const classes = [isOver(row) ? "over" : "", isOld ? "old" : ""];
  const age = row.averages && duration(row.age);
  return html`
    <tr${classAttribute(classes)}>
      <th scope="row">${row.name} <small>${remark(row)}</small></th>
      <td class="one">${loadText(one)}</td>
      <td class="five">${loadText(five)}</td>
      <td class="fifteen">${loadText(fifteen)}</td>
      <td class="trend">${trend(row, row.hour, MINUTE, "hour")}</td>
      <td class="late">${age === undefined ? "–" : isOld ? `${age} old` : age}</td>
    </tr>
  `;
}

function remark({ cpus, simulated, failure }: LoadRow): Markup {
  const parts = [
    cpus === undefined ? "" : cpusOf(cpus),
    simulated ? html`<b class="bad">simulated</b>` : "",
    failure === undefined ? "" : html`<span class="bad">${failure}</span>`,
  ].filter((part) => part !== "");
  return html`${parts.map((part, index) => html`${index === 0 ? "" : ", "}${part}`)}`;
}

function fleetDay({ rows, at }: FleetReport): Markup {
  const from = at - 24 * 60 * MINUTE;
  return html`
    <div class="load">
      <table class="fleet">
        <caption>Last day</caption>
        <thead>
          <tr>
            <th scope="col">Machine</th>
            <th scope="col" class="one">Highest</th>
            <th scope="col" class="trend">Last day</th>
          </tr>
        </thead>
        <tbody>
          ${rows.map((row) => html`
            <tr class="${highestOf(row.day) > (row.cpus ?? Infinity) ? "over" : ""}">
              <th scope="row">${row.name} <small>${remark(row)}</small></th>
              <td class="one">${loadText(highestOf(row.day))}</td>
              <td class="trend">${trend(row, row.day, 15 * MINUTE, "day")}</td>
            </tr>
          `)}
        </tbody>
      </table>
    </div>
    <p class="note">
      Highest load of each 15 minutes, ${day(from)} ${clock(from)} to ${day(at)} ${clock(at)} ${zone(at)}.
    </p>
  `;
}

function highestOf(loads: readonly (number | null)[]): number {
  return loads.reduce<number>((highest, load) => Math.max(highest, load ?? 0), 0);
}

/** A curve without words. Each machine has its own scale, which the dashed line shows. */
function trend(row: LoadRow, values: LoadRow["hour"], step: number, span: string): Markup {
  const { name, at, interval, cpus, simulated } = row;
  const series = { end: at, step, interval, values };
  const length = (span === "hour" ? 60 : 24 * 60) * MINUTE;
  const label = `1-minute load of the last ${span} of ${name}`;
  const options = { limit: cpus, name: label, isSimulated: simulated, isSmall: true };
  return html`<div class="plot">${figure({ series, length, summary: undefined }, options)}</div>`;
}

function isOver({ highSince }: LoadRow): boolean {
  return highSince !== undefined;
}

// ---- The plot

/** Options of {@linkcode figure}. */
interface FigureOptions {
  /** The number of CPUs, which the dashed line shows. */
  limit: number | undefined;
  /** What is plotted. */
  name: string;
  /** Whether the numbers are random. */
  isSimulated: boolean;
  /** Whether there is room for the curve alone. Default `false`. */
  isSmall?: boolean;
}

/** A plot as SVG: places in per cent, sizes in pixels, so its text is as large on a phone as on a desk. */
function figure(span: Span, options: FigureOptions): Markup {
  const { limit, isSimulated, isSmall = false } = options;
  const drawn = plot(span.series, { limit, length: span.length });
  const { limitAt } = drawn;
  return html`
    <svg role="img" aria-label="${labelOf(span, options)}">
      <line x1="0" x2="100%" y1="100%" y2="100%" />
      <svg viewBox="0 0 ${drawn.width} 300" preserveAspectRatio="none">${curves(drawn, isSimulated)}</svg>
      ${limitAt === undefined ? "" : html`
        <line class="busy" x1="0" x2="100%" y1="${limitAt}%" y2="${limitAt}%" />
      `}
      ${isSmall ? "" : [ticks(drawn, span.series.end), limitText(drawn, limit), highestText(drawn)]}
      ${newestMark(drawn, isSmall)}
    </svg>
  `;
}
