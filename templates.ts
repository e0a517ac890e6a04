/**
 * Pages and partials: functions that return markup for plain data.
 *
 * @module
 */
import { type FleetReport, isLate, type LoadReport, type LoadSample, type Row } from "./loadavg.ts";
import { html, type Markup } from "./turbo/mod.ts";

/** The id of the box, which is the target of each push. */
export const LOAD_ID = "load";

/** What each page needs besides its content. */
export interface PageContext {
  /** What `turbo.head(c)` returned. */
  head: Markup;
  /** Path of the stylesheet. */
  stylesheet: string;
  /** The load that the box shows: of this machine, or of its fleet. */
  load: LoadReport | FleetReport;
}

/** The first page. */
export function mainPage(context: PageContext): Markup {
  return layout(
    "Main Page",
    context,
    html`
      ${isFleet(context.load) ? ofFleet() : ofMachine()}
      <p>
        A load average is the number of processes that were running or waiting to run, averaged over
        the last 1, 5 and 15 minutes. ${cpus(
          context.load,
        )} Where the first number stays above that, work is
        queueing up; where it is below the other two, the rush is over.
      </p>
      <p>
        Open <a href="/page2">Page 2</a>, come back, close the lid of your laptop, stop the server
        and start it again: an open page catches up by itself.
      </p>
    `,
  );
}

/** The second page, with the same box. */
export function secondPage(context: PageContext): Markup {
  return layout(
    "Page 2",
    context,
    html`
      <p>
        This is another page with the same box. Turbo fetched it and put it in place of the first,
        and the connection to the server stayed open meanwhile: the browser has one connection,
        however many pages you visit.
      </p>
      <p>
        What was pushed while the page was being fetched is not lost. Each page says at which position
        of the stream it was rendered, and the server sends what came after.
      </p>
      <p>Back to the <a href="/">Main Page</a>.</p>
    `,
  );
}

/** The page for an address that does not exist. */
export function notFoundPage(context: PageContext): Markup {
  return layout(
    "Page not found",
    context,
    html`
      <p>There is nothing at this address. Go to the <a href="/">Main Page</a>.</p>
    `,
  );
}

/** The box, for one machine or several. Each page has it, and it is pushed after each reading. */
export function loadBox(load: LoadReport | FleetReport): Markup {
  return isFleet(load) ? fleetBox(load) : machineBox(load);
}

function isFleet(load: LoadReport | FleetReport): load is FleetReport {
  return "rows" in load;
}

function machineBox({ latest, history, failure, age }: LoadReport): Markup {
  const cells = latest?.averages ?? [undefined, undefined, undefined];
  return html`
    <div id="${LOAD_ID}" class="load">
      <table>
        <thead>
          <tr><td></td><th scope="col">1 min</th><th scope="col">5 min</th><th scope="col">15 min</th></tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">Load averages:</th>
            ${cells.map((average) => html`<td>${average?.toFixed(2) ?? "–"}</td>`)}
          </tr>
        </tbody>
      </table>
      ${plot(history)}
      <p class="${failure === undefined ? "note" : "note failed"}">${note(latest, failure, age)}</p>
    </div>
  `;
}

function fleetBox({ rows, hasMore, renderer, at, isAlone }: FleetReport): Markup {
  return html`
    <div id="${LOAD_ID}" class="load">
      <table class="fleet">
        <thead>
          <tr>
            <th scope="col">Machine</th>
            <th scope="col">1 min</th>
            <th scope="col">5 min</th>
            <th scope="col">15 min</th>
            <th scope="col" class="trend">1 min, lately</th>
            <th scope="col" class="age">Age</th>
          </tr>
        </thead>
        <tbody>${rows.map(fleetRow)}</tbody>
      </table>
      <p class="${isAlone ? "note failed" : "note"}">
        ${isAlone
          ? `${renderer} hears nothing of the others`
          : `As ${renderer} sees it`}, at ${time(at)}${hasMore
          ? `; there are more machines than these ${rows.length}`
          : ""}
      </p>
    </div>
  `;
}

function fleetRow(row: Row): Markup {
  const cells = row.averages ?? [undefined, undefined, undefined];
  const age = row.averages && duration(row.age);
  return html`
    <tr class="${isLate(row) ? "late" : ""}">
      <th scope="row">${row.name} <small>${remark(row)}</small></th>
      ${cells.map((average) => html`<td>${average?.toFixed(2) ?? "–"}</td>`)}
      <td class="trend">${trend(row)}</td>
      <td class="age">${age === undefined ? "–" : isLate(row) ? `${age} old` : age}</td>
    </tr>
  `;
}

function remark({ cpus, simulated, failure }: Row): Markup {
  const parts = [
    cpus === undefined ? "" : cpusOf(cpus),
    simulated ? html`<strong>simulated</strong>` : "",
    failure === undefined ? "" : html`<span class="failed">${failure}</span>`,
  ].filter((part) => part !== "");
  return html`${parts.map((part, index) => html`${index === 0 ? "" : ", "}${part}`)}`;
}

const TREND = 100;

/**
 * A curve of the latest 1-minute loads. It reaches from 0 to the highest of them, and at least to the load
 * that keeps all CPUs busy, which is a dashed line.
 */
function trend({ name, history, interval, cpus = 0 }: Row): Markup {
  const loads = history.filter((load) => load !== null);
  const top = Math.max(...loads, cpus, 0.01);
  const y = (load: number) => Math.round(TREND * (1 - load / top));
  let path = "";
  for (const [x, load] of history.entries()) {
    if (load === null) continue; // a gap in the curve
    const previous = history[x - 1] ?? null;
    // The short line makes a point where the next reading is missing.
    path += previous === null ? `M${x} ${y(load)}h.01` : `l1 ${y(load) - y(previous)}`;
  }
  const label = loads.length === 0
    ? `No samples of the 1-minute load of ${name} yet`
    : `1-minute load of ${name} over the last ${duration((history.length - 1) * interval)}: from ` +
      `${Math.min(...loads).toFixed(2)} to ${Math.max(...loads).toFixed(2)}` +
      (cpus === 0 ? "" : `; all CPUs are busy at ${cpus.toFixed(2)}`);
  const [width, busy] = [Math.max(history.length - 1, 1), y(cpus)];
  return html`
    <svg viewBox="0 0 ${width} ${TREND}" role="img" aria-label="${label}"
      preserveAspectRatio="none">
      ${cpus === 0 ? "" : html`<path class="busy" d="M0 ${busy}H${width}" />`}
      <path class="curve" d="${path}" />
    </svg>
  `;
}

function layout(title: string, context: PageContext, content: Markup): Markup {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
            <meta charset="utf-8">
            <title>${title} – Load averages</title>
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <link rel="stylesheet" href="${context.stylesheet}" data-turbo-track="reload">
            <link rel="icon" href="data:,">
            ${context.head}
          </head>
      <body>
        <header>
          <nav aria-label="Pages"><a href="/">Main Page</a> <a href="/page2">Page 2</a></nav>
        </header>
        <main>
              <h1>${title}</h1>
              <aside aria-label="Load averages">
                ${loadBox(context.load)} ${connectionState()}
              </aside>
              ${content}
            </main>
      </body>
    </html>
  `;
}

// All states are in the page, and the stylesheet shows the one that <html data-turbo-stream> names. So the
// state survives visits by Turbo, and without JavaScript the first one is shown.
function connectionState(): Markup {
  return html`
    <p class="line" role="status">
      <span class="static">As of this page’s loading</span>
      <span class="open">Live</span>
      <span class="connecting">Connecting…</span>
      <span class="closed">Offline, trying again</span>
      <span class="away">No longer live. <a href="" data-turbo="false">Reload</a></span>
    </p>
  `;
}

function ofMachine(): Markup {
  return html`
    <p>
      The box shows how busy this machine is. The server reads the load averages, renders the box as
      HTML and pushes it over one WebSocket into every page that is open. No client code was written
      for it.
    </p>
  `;
}

function ofFleet(): Markup {
  return html`
    <p>
      The box shows how busy these machines are. Each of them reads its load averages and tells the
      others; one renders the box as HTML, and all push it into the pages that they have open, over one
      WebSocket each. No client code was written for it.
    </p>
  `;
}

function cpus(load: LoadReport | FleetReport): string {
  if (isFleet(load)) return "A load as large as a machine has CPUs keeps them all busy.";
  const count = navigator.hardwareConcurrency;
  return `This machine has ${cpusOf(count)}, so a load of ${count.toFixed(2)} keeps ${
    count === 1 ? "it" : "them all"
  } busy.`;
}

function cpusOf(count: number): string {
  return `${count} ${count === 1 ? "CPU" : "CPUs"}`;
}

function note(latest: LoadSample | undefined, failure: string | undefined, age: number): Markup {
  if (!latest) return html`No reading yet${failure === undefined ? "" : `: ${failure}`}`;
  const read = time(latest.at);
  if (failure !== undefined) {
    return html`Last reading ${Math.round(age / 1000)} s ago, at ${read}: ${failure}`;
  }
  return latest.simulated
    ? html`<strong>Simulated</strong> at ${read}: this system reports no load`
    : html`Read at ${read}`;
}

function time(at: number): Markup {
  const text = new Date(at).toISOString();
  return html`<time datetime="${text}">${text.slice(11, 19)} UTC</time>`;
}

const WIDTH = 240;
const HEIGHT = 48;

function plot(history: readonly LoadSample[]): Markup {
  const loads = history.map(({ averages: [one] }) => one);
  const [first, last] = [history[0]?.monotonicAt ?? 0, history.at(-1)?.monotonicAt ?? 0];
  const top = Math.max(...loads, 0.01);
  const points = history.map(({ averages: [one], monotonicAt }) => {
    const x = last === first ? WIDTH : WIDTH * (monotonicAt - first) / (last - first);
    return `${x.toFixed(1)},${(HEIGHT - 2 - (HEIGHT - 4) * one / top).toFixed(1)}`;
  });
  const label = loads.length === 0
    ? "No samples of the 1-minute load yet"
    : `1-minute load over the last ${duration(last - first)}: from ` +
      `${Math.min(...loads).toFixed(2)} to ${Math.max(...loads).toFixed(2)}, now ` +
      `${loads.at(-1)!.toFixed(2)}`;
  return html`
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}"
      preserveAspectRatio="none">
      <title>${label}</title>
      <polyline points="${points.join(" ")}" />
    </svg>
  `;
}

function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/** The stylesheet of all pages. */
export const STYLES = `
:root {
  color-scheme: light dark;
  --text: #1d2530; --faint: #5b6672; --page: #fbfbf9; --box: #fff; --edge: #d9dde2; --accent: #0b63c5;
  --live: #1a7f37; --wait: #8a5a00; --off: #b42318;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e4e8ec; --faint: #9aa5b1; --page: #14181d; --box: #1c2229; --edge: #353d47; --accent: #6cb0ff;
    --live: #57d27a; --wait: #e2b340; --off: #ff8a7a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1.0625rem/1.6 system-ui, sans-serif; }
header, main { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 1rem; }
nav { display: flex; gap: 1.25rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 1.25rem 0 1rem; }
p { max-width: 32.5rem; margin: 0 0 1rem; }
a { color: var(--accent); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; border-radius: 2px; }
aside { margin: 0 0 1.5rem; }
.load { background: var(--box); border: 1px solid var(--edge); border-radius: 0.5rem; padding: 0.75rem 1rem; }
.load table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.load th { font-weight: 600; text-align: left; font-size: 0.9rem; }
.load thead th, .load td { text-align: right; padding-left: 0.75rem; }
.load thead th { color: var(--faint); font-weight: 400; white-space: nowrap; }
.load tbody td { font-size: 1.2rem; font-weight: 600; min-width: 3.5em; }
.load svg { display: block; width: 100%; height: 3rem; margin: 0.5rem 0; border-bottom: 1px solid var(--edge); }
.load polyline { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.load .note { margin: 0; color: var(--faint); font-size: 0.85rem; min-height: 1.4rem; line-height: 1.4rem; overflow-wrap: anywhere; }
.load .failed { color: var(--off); }
.load .fleet { table-layout: fixed; }
.load .fleet tr { border-bottom: 1px solid var(--edge); }
.load .fleet :is(th, td) { padding: 0.5rem 0 0.5rem 0.75rem; overflow-wrap: anywhere; }
.load .fleet thead th { width: 5.5rem; overflow-wrap: normal; }
.load .fleet :is(thead, tbody) th:first-child { width: auto; padding-left: 0; text-align: left; }
.load .fleet td { min-width: 0; font-size: 1.1rem; font-weight: 400; }
.load .fleet td:nth-child(2) { font-weight: 600; }
.load .fleet thead .trend { width: 30%; }
.load .fleet tr .trend { padding-left: 1.5rem; text-align: left; }
.load .fleet td.age { font-size: 0.85rem; color: var(--faint); }
.load .fleet svg { height: 2.25rem; margin: 0; overflow: visible; }
.load path { fill: none; vector-effect: non-scaling-stroke; }
.load .curve { stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.load .busy { stroke: var(--faint); stroke-dasharray: 4 3; }
.load small { display: block; font-size: 0.8rem; font-weight: 400; color: var(--faint); }
.load .late :is(th, td) { color: var(--faint); }
.load .late svg { filter: grayscale(1); opacity: 0.6; }
.load .late td.age { color: var(--off); font-weight: 600; }
.load table + .note { margin-top: 0.5rem; }
.line { margin: 0.5rem 0 0; font-size: 0.85rem; color: var(--faint); }
.line span::before { content: ""; display: inline-block; width: 0.6em; height: 0.6em; margin-right: 0.45em; border-radius: 50%; background: currentColor; }
.line .open { color: var(--live); }
.line .connecting { color: var(--wait); }
.line .closed, .line .away { color: var(--off); }
.line .open, .line .connecting, .line .closed, .line .away, [data-turbo-stream] .line .static { display: none; }
[data-turbo-stream="open"] .line .open,
[data-turbo-stream="connecting"] .line .connecting,
[data-turbo-stream="closed"] .line .closed,
[data-turbo-stream="away"] .line .away { display: inline; }
@media (min-width: 48rem) {
  aside { float: right; width: 23rem; margin: 0 0 1.5rem 2rem; }
  aside:has(.fleet) { float: none; width: auto; margin: 0 0 1.5rem; }
}
@media (max-width: 47.99rem) {
  .load:has(.fleet) { padding: 0.5rem 0.75rem 0.75rem; }
  .load .fleet, .fleet :is(thead, tbody) { display: block; }
  .load .fleet tr { display: grid; grid-template-columns: 3.75rem 3.5rem 3.5rem 1fr; column-gap: 0.375rem; align-items: center; padding: 0.4rem 0; }
  .load .fleet tr :is(th, td), .load .fleet tr .trend { width: auto; padding: 0; text-align: left; }
  .load .fleet td { font-size: 1rem; }
  .load .fleet thead :is(th:first-child, .trend, .age) { display: none; }
  .load .fleet tbody th { grid-column: 1 / 4; }
  .load .fleet tbody .age { grid-area: 1 / 4; text-align: right; }
  .load .fleet small { display: inline; padding-left: 0.25em; }
}
@media print {
  :root { --text: #000; --faint: #333; --page: #fff; --box: #fff; --accent: #000; }
  header, .line { display: none; }
}
`;
