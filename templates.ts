/**
 * Pages and partials: functions that return markup for plain data.
 *
 * @module
 */
import { type FleetReport, isFleet, type LoadReport } from "./loadavg.ts";
import { figure, type Svg } from "./server/figure.ts";
import { DAY_TREND_STEP, type Hole, type Span, type Summary } from "./server/history.ts";
import { TREND_STEP } from "./server/history.ts";
import { type LoadIcon, loadIcon } from "./server/load_icon.ts";
import { isLate, type LoadAverages, type LoadRow } from "./server/load_row.ts";
import { clock, clockWithSeconds, date, day, duration } from "./server/local_time.ts";
import { hoursAndMinutes, isSameDay, period, zone } from "./server/local_time.ts";
import { html, type Markup, raw } from "./turbo/mod.ts";

/** A report of this machine or of its fleet. */
export type Report = LoadReport | FleetReport;

/** Renders a part of a page for an app below a path; by default at the root. */
export type Part = (report: Report, base?: string) => Markup;

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
export const PARTS: Readonly<Record<string, Part>> = {
  [LOAD_ID]: loadBox,
  title,
  icon,
  machine: heading,
  facts,
};

/** The id of the part with the last day, which changes more slowly. */
export const DAY_ID = "day";

/** The id of what the head shows while the connection is lost. It depends on the name of the report alone. */
export const LOST_ID = "lost";

const MINUTE = 60_000;
/** The place of a request's head in a page. Texts are escaped, so it stands nowhere else. */
const HEAD = raw("<!-- head -->");
/** What is rendered already, for {@linkcode once}. */
const rendered = new WeakMap<Report, Map<string, Markup>>();

/** The first page: the last hour. */
export function hourPage(context: PageContext): Markup {
  return layout("/", context, () => ({ below: explanation(context.base) }));
}

/** The second page: the last day. */
export function dayPage(context: PageContext): Markup {
  return layout("/page2", context);
}

/** The page for an address that does not exist. */
export function notFoundPage(context: PageContext): Markup {
  const { base } = context;
  const above = html`
    <p class="missing">
      <b>Nothing at this address.</b> There are two pages: <a href="${base}/">the last hour</a> and
      <a href="${base}/page2">the last day</a>.
    </p>
  `;
  return layout(undefined, context, () => ({ above }));
}

/** The manifest of the page as an app on a home screen (W3C Web Application Manifest). */
export function manifest(
  { base, icon, report }: Pick<PageContext, "base" | "icon" | "report">,
): Record<string, unknown> {
  return {
    name: `Load of ${nameOf(report)}`,
    short_name: nameOf(report),
    start_url: `${base}/`,
    scope: `${base}/`,
    display: "minimal-ui",
    background_color: "#101316",
    theme_color: "#101316",
    icons: [
      { src: icon, type: "image/png", sizes: "512x512", purpose: "any" },
      { src: icon, type: "image/png", sizes: "512x512", purpose: "maskable" },
    ],
  };
}

/** The box with the load, for one machine or several, below a path. */
export function loadBox(report: Report, base = ""): Markup {
  return once(
    report,
    `${LOAD_ID} ${base}`,
    () => isFleet(report) ? fleetBox(report, base) : machineBox(report, base),
  );
}

function machineBox(report: LoadReport, base: string): Markup {
  const { latest, failure, highSince, hour } = report;
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
        ${plotOf(hour, report)}
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
  const busy = cpus === 1 ? "the CPU busy" : "all CPUs busy";
  const limit = warn === undefined ? busy : loadText(warn);
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
  const every = `every ${intervalText(interval)}`;
  const tried = `tried every ${intervalText(Math.min(interval, MINUTE))}`;
  if (!latest) return html`No reading yet, ${tried}`;
  const read = html`${timeElement(latest.at)}${
    isSameDay(latest.at, at) ? "" : ` on ${date(latest.at)}`
  }`;
  if (failure !== undefined) return html`Last read at ${read}, ${tried}`;
  return html`Read at ${read}, ${every}`;
}

/** The last day, for one machine or several. Each page has it; the stylesheet shows it on the second one. */
export function dayBox(report: Report): Markup {
  return once(report, DAY_ID, () => {
    const content = isFleet(report) ? fleetDay(report) : machineDay(report);
    return html`<div id="${DAY_ID}">${content}</div>`;
  });
}

function machineDay(report: LoadReport): Markup {
  const { day: span, at, machine } = report;
  return html`
    <figure class="plot wide">
      ${plotOf(span, report)}
      <figcaption>
        Highest load of each 5 minutes, ${period(at - span.length, at)}.
      </figcaption>
    </figure>
    ${span.summary && sums(span.summary, machine.cpus)}
  `;
}

function plotOf(span: Span, { machine, latest }: LoadReport): Svg {
  return figure(span, {
    limit: machine.cpus,
    name: `1-minute load of the last ${lengthText(span.length)}`,
    isSimulated: latest?.simulated ?? false,
  });
}

function sums({ highest, mean, aboveLimit, holes }: Summary, cpus: number | undefined): Markup {
  const missing = holes.reduce((sum, [from, to]) => sum + to - from, 0);
  const [first] = holes;
  const where = first === undefined
    ? ""
    : holes.length > 1
    ? `in ${holes.length} holes`
    : rangeOf(first);
  return html`
    <dl class="sums">
      ${sum("Highest", loadText(highest.value), `at ${clock(highest.at)}`)}
      ${sum("Mean", loadText(mean), cpus === undefined ? "" : `${loadText(mean / cpus)} per CPU`)}
      ${cpus === undefined
        ? ""
        : sum("All CPUs busy", hoursAndMinutes(aboveLimit), `above ${loadText(cpus)}`)}
      ${missing === 0 ? "" : sum("No reading", hoursAndMinutes(missing), where)}
    </dl>
  `;
}

function rangeOf([from, to]: Hole): string {
  const isShort = to - from < 60 * MINUTE && clock(from) === clock(to);
  return isShort ? `at ${clock(from)}` : `${clock(from)} to ${clock(to)}`;
}

function sum(name: string, value: string, remark: string): Markup {
  return html`
    <div>
      <dt>${name}</dt>
      <dd>${value}</dd>
      <dd>${remark}</dd>
    </div>
  `;
}

function fleetBox(
  { rows, hasMore, renderer, at, interval, isAlone }: FleetReport,
  base: string,
): Markup {
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
        ${isAlone
          ? html`<b>${renderer} hears nothing of the others</b>`
          : `As ${renderer} sees it`}, at
        ${timeElement(at)}, read every ${intervalText(interval)}${hasMore
          ? `; there are more machines than these ${rows.length}`
          : ""}; also as <a href="${base}/load.json" data-turbo="false">JSON</a>.
      </p>
    </div>
  `;
}

function fleetRow(row: LoadRow): Markup {
  const [one, five, fifteen] = row.averages ?? [];
  const classes = [isHigh(row) ? "over" : "", isOld(row) ? "old" : ""];
  const age = row.averages && duration(row.age);
  return html`
    <tr${classAttribute(classes)}>
      <th scope="row">${row.name} <small>${remark(row)}</small></th>
      <td class="one">${loadText(one)}</td>
      <td class="five">${loadText(five)}</td>
      <td class="fifteen">${loadText(fifteen)}</td>
      <td class="trend">${trend(row, "hour")}</td>
      <td class="late">${age === undefined ? "–" : isOld(row) ? `${age} old` : age}</td>
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
  return html`
    <div class="load">
      <table class="fleet days">
        <caption>Last day</caption>
        <thead>
          <tr>
            <th scope="col">Machine</th>
            <th scope="col" class="one">Highest</th>
            <th scope="col" class="trend">Last day</th>
          </tr>
        </thead>
        <tbody>
          ${rows.map((row) =>
            html`
              <tr class="${(highestOf(row.day) ?? 0) > (row.cpus ?? Infinity) ? "over" : ""}">
                <th scope="row">${row.name} <small>${remark(row)}</small></th>
                <td class="one">${loadText(highestOf(row.day))}</td>
                <td class="trend">${trend(row, "day")}</td>
              </tr>
            `
          )}
        </tbody>
      </table>
    </div>
    <p class="note">
      Highest load of each 15 minutes, ${period(at - 24 * 60 * MINUTE, at)}.
    </p>
  `;
}

function highestOf(loads: readonly (number | null)[]): number | undefined {
  const known = loads.filter((load) => load !== null);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** A curve without words. Each machine has its own scale, which the dashed line shows. */
function trend(row: LoadRow, span: "hour" | "day"): Markup {
  const { name, averages, at, interval, cpus, simulated } = row;
  const [step, length] = span === "hour"
    ? [TREND_STEP, 60 * MINUTE]
    : [DAY_TREND_STEP, 24 * 60 * MINUTE];
  const series = { end: at, step, interval, values: row[span] };
  const label = `1-minute load of the last ${span} of ${name}`;
  const latest = averages && { value: averages[0], at };
  const options = { limit: cpus, name: label, isSimulated: simulated, latest, isSmall: true };
  return html`<div class="plot">${figure({ series, length, summary: undefined }, options)}</div>`;
}

function isHigh({ highSince }: LoadRow): boolean {
  return highSince !== undefined;
}

/** Whether the numbers of a row are not those of now. */
function isOld(row: LoadRow): boolean {
  return isLate(row) || row.failure !== undefined;
}

function loadPerCpu({ averages, cpus = 1 }: Pick<LoadRow, "averages" | "cpus">): number {
  return (averages?.[0] ?? 0) / cpus;
}

/** The heading of each page: which machine. */
export function heading(report: Report): Markup {
  // A long name breaks after its dots.
  const [first, ...rest] = nameOf(report).split(/(?<=\.)/);
  return html`<h1 id="machine">${first}${rest.map((part) => html`<wbr>${part}`)}</h1>`;
}

/** The name of the machine, or how many there are. */
export function nameOf(report: Report): string {
  if (!isFleet(report)) return report.machine.name;
  return report.rows.length === 1 ? "1 machine" : `${report.rows.length} machines`;
}

/** What there is to know about the machine or the machines, and the date. */
export function facts(report: Report): Markup {
  const items = [...(isFleet(report) ? factsOfFleet(report) : factsOfMachine(report))];
  items.push(`${date(report.at)}, ${zone(report.at)}`);
  return html`<ul id="facts" class="facts">${items.map((item) => html`<li>${item}</li>`)}</ul>`;
}

function* factsOfMachine({ machine, at }: LoadReport): Iterable<string> {
  const { system, cpus, memory, bootedAt } = machine;
  yield system;
  if (cpus !== undefined) yield cpusOf(cpus);
  if (memory !== undefined) yield `${memoryText(memory)} memory`;
  if (bootedAt !== undefined) yield `up ${duration(Math.max(0, at - bootedAt))}`;
}

function* factsOfFleet({ rows }: FleetReport): Iterable<string> {
  const over = rows.filter(isHigh).length;
  const late = rows.filter(isLate).length;
  const [highest] = rows.toSorted((one, other) => loadPerCpu(other) - loadPerCpu(one));
  yield `${over === 0 ? "none" : over} with high load`;
  yield cpusOf(rows.reduce((sum, { cpus = 0 }) => sum + cpus, 0));
  if (highest && rows.length > 1) {
    yield `highest: ${highest.name}, ${loadText(loadPerCpu(highest))} per CPU`;
  }
  if (late > 0) yield `${late} late`;
}

/** Bytes as GiB, as the kernel counts them. */
function memoryText(bytes: number): string {
  const gibibytes = bytes / 1024 ** 3;
  return `${gibibytes < 10 ? Number(gibibytes.toFixed(1)) : Math.round(gibibytes)} GiB`;
}

/** The title: the load and the machine, to be read from the edge of a tab. */
export function title(report: Report): Markup {
  return html`<title id="title">${titleText(report)}</title>`;
}

function titleText(report: Report): string {
  const name = nameOf(report);
  if (isFleet(report)) {
    const over = report.rows.filter(isHigh).length;
    return over === 0 ? name : `▲ ${over} of ${name}`;
  }
  const { latest, failure, highSince } = report;
  if (failure !== undefined) return `No reading · ${name}`;
  if (!latest) return name;
  const load = loadText(latest.averages[0]);
  if (latest.simulated) return `Simulated ${load} · ${name}`;
  return `${highSince === undefined ? "" : "▲ "}${load} · ${name}`;
}

/** The icon: a bar as high as the load. */
export function icon(report: Report): Markup {
  return iconLink(isFleet(report) ? iconOfFleet(report) : iconOfMachine(report), "icon");
}

function iconOfMachine({ latest, machine, highSince, failure }: LoadReport): LoadIcon {
  const share = loadPerCpu({ averages: latest?.averages, cpus: machine.cpus });
  return { share, isHigh: highSince !== undefined, isOld: failure !== undefined };
}

function iconOfFleet({ rows }: FleetReport): LoadIcon {
  return {
    share: Math.max(0, ...rows.map(loadPerCpu)),
    isHigh: rows.some(isHigh),
    isOld: rows.length > 0 && rows.every(isOld),
  };
}

function iconLink(shown: LoadIcon, id?: string): Markup {
  const url = loadIcon(shown);
  return id === undefined
    ? html`<link rel="icon" type="image/svg+xml" href="${url}">`
    : html`<link id="${id}" rel="icon" type="image/svg+xml" href="${url}">`;
}

/** A page. All of it but what `turbo.head(c)` returned is the same for each request until the next reading. */
function layout(
  path: "/" | "/page2" | undefined,
  { head, ...context }: PageContext,
  content: () => { above?: Markup; below?: Markup } = () => ({}),
): Markup {
  const { report, base, stylesheet } = context;
  const page = once(
    report,
    `page ${path} ${base} ${stylesheet}`,
    () => frame(path, { ...context, head: HEAD }, content()),
  );
  return raw(String(page).replace(String(HEAD), () => String(head))); // both are markup
}

function frame(
  path: "/" | "/page2" | undefined,
  context: PageContext,
  { above, below }: { above?: Markup; below?: Markup },
): Markup {
  const { base, head, stylesheet, report } = context;
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
            <meta charset="utf-8">
            ${title(report)}
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="description" content="Load averages of ${nameOf(report)}, live">
            <meta name="color-scheme" content="light dark">
            <meta name="theme-color" content="#fcfcfb" media="(prefers-color-scheme: light)">
            <meta name="theme-color" content="#101316" media="(prefers-color-scheme: dark)">
            <link rel="stylesheet" href="${stylesheet}" data-turbo-track="reload">
            ${icon(report)}
            <link rel="apple-touch-icon" href="${context.icon}">
            <link rel="manifest" href="${base}/manifest.webmanifest">
            ${head}
          </head>
      <body${classAttribute([path === "/page2" ? "day" : ""])}>
        <header>
          ${heading(report)}
          <nav aria-label="Pages">
            ${navLink(`${base}/`, "Last hour", path === "/")}
            ${navLink(`${base}/page2`, "Last day", path === "/page2")}
          </nav>
          ${facts(report)} ${connectionState()}
        </header>
        <main>
              ${above ?? ""} ${loadBox(report, base)} ${path === "/page2"
                ? dayBox(report)
                : html`<div id="${DAY_ID}"></div>`} ${below ?? ""}
            </main>
        ${lostHead(report)}
        </body>
        </html>
  `;
}

function navLink(url: string, text: string, isCurrent: boolean): Markup {
  return isCurrent
    ? html`<a href="${url}" aria-current="page">${text}</a>`
    : html`<a href="${url}">${text}</a>`;
}

/** What stands in the head while the connection is lost: see docs/page.md. */
export function lostHead(report: Report): Markup {
  const name = nameOf(report);
  return html`
    <div id="${LOST_ID}" hidden>
      ${whileLost("closed", `Offline · ${name}`)}
      ${whileLost("away", `Ended · ${name}`)}
    </div>
  `;
}

function whileLost(state: "closed" | "away", text: string): Markup {
  return html`
    <template id="turbo-stream-${state}">
      <title>${text}</title>
      ${iconLink({ share: 0, isHigh: false, isOld: true })}
    </template>
  `;
}

// All states are in the page, and the stylesheet shows the one that <html data-turbo-stream> names. So the
// state survives visits by Turbo, and without JavaScript the first one is shown.
function connectionState(): Markup {
  return html`
    <p class="line">
      <span role="status">
        <span class="static">As of this page’s loading</span>
        <span class="open">Live</span>
        <span class="stuck">Connected, but nothing new is read</span>
        <span class="connecting">Connecting…</span>
        <span class="lost">Offline</span>
        <span class="away">Ended by the server. <a href="" data-turbo="false">Load again</a></span>
      </span>
      <span class="age" aria-hidden="true"></span>
    </p>
  `;
}

// The same for one machine and for many, because the page may come to show more or fewer while it is open.
function explanation(base: string): Markup {
  return html`
    <section class="read" aria-label="How to read this">
      <p>
        <b>Load</b> is how many tasks were running or waiting, averaged over 1, 5 and 15 minutes. On
        Linux, tasks that wait for a disk count too. A load as high as the number of CPUs keeps all of
        them busy, which the dashed line shows; above it, work queues. A first number below the second
        means that the load is falling.
      </p>
      <p>
        <b>This page</b> is HTML that the server pushes while it is open. After sleep, a lost network
        or a restart of the server it catches up by itself. See also
        <a href="${base}/page2">the last day</a>.
      </p>
    </section>
  `;
}

/** Renders a part of a report once, because a push and all pages until the next reading show the same. */
function once(report: Report, part: string, render: () => Markup): Markup {
  const parts = rendered.get(report) ?? new Map<string, Markup>();
  rendered.set(report, parts);
  const markup = parts.get(part) ?? render();
  parts.set(part, markup);
  return markup;
}

/** The attribute `class` with its leading space, or nothing. */
function classAttribute(classes: readonly string[]): Markup {
  const names = classes.filter((name) => name !== "").join(" ");
  return raw(names === "" ? "" : ` class="${names}"`); // all names stand in this file
}

function loadText(load: number | undefined): string {
  return load?.toFixed(2) ?? "–";
}

function lengthText(milliseconds: number): string {
  if (milliseconds === 60 * MINUTE) return "hour";
  if (milliseconds === 24 * 60 * MINUTE) return "day";
  return milliseconds < 60 * MINUTE
    ? `${milliseconds / MINUTE} minutes`
    : `${milliseconds / 60 / MINUTE} hours`;
}

function intervalText(milliseconds: number): string {
  return milliseconds < 2 * MINUTE ? `${milliseconds / 1000} s` : duration(milliseconds);
}

function cpusOf(count: number): string {
  return `${count} ${count === 1 ? "CPU" : "CPUs"}`;
}

function timeElement(at: number): Markup {
  const text = `${clockWithSeconds(at)} ${zone(at)}`;
  return html`<time datetime="${new Date(at).toISOString()}">${text}</time>`;
}
