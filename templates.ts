/**
 * Pages and partials: functions of plain data that return markup.
 *
 * @module
 */
import type { LoadReport, LoadSample } from "./loadavg.ts";
import { html, type Markup } from "./turbo/mod.ts";

/** The id of the box that is pushed. */
export const LOAD_ID = "load";

/** What every page needs besides its content. */
export interface PageContext {
  /** What `turbo.head()` returned. */
  head: Markup;
  /** Path of the stylesheet. */
  stylesheet: string;
  /** Nonce for the one style that Turbo inserts, its progress bar. */
  nonce: string;
  /** What the box shows. */
  load: LoadReport;
}

/** The first page. */
export function mainPage(context: PageContext): Markup {
  return layout(
    "Main Page",
    context,
    html`
      <p>
        The box shows how busy this machine is. The server reads the load averages, renders the box
        as HTML and pushes it over one WebSocket into every page that is open. No client code was
        written for it.
      </p>
      <p>
        A load average is the number of processes that were running or waiting to run, averaged over
        the last 1, 5 and 15 minutes. ${cpus()} Where the first number stays above that, work is
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
        and the line to the server stayed open meanwhile: the browser has one connection, however
        many pages you visit.
      </p>
      <p>
        What was pushed while the page was being fetched is not lost. Each page says up to where in
        the stream it was rendered, and the server sends what came after.
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

/** The box: in every page, and pushed whenever the numbers are read. */
export function loadBox({ latest, history, failure, age }: LoadReport): Markup {
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

function layout(title: string, context: PageContext, content: Markup): Markup {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
            <meta charset="utf-8">
            <title>${title} – Load averages</title>
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta name="csp-nonce" content="${context.nonce}">
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
              <aside aria-label="Load of this machine">
                ${loadBox(context.load)} ${lineState()}
              </aside>
              ${content}
            </main>
      </body>
    </html>
  `;
}

// All states are in the page, and the stylesheet shows the one that <html data-turbo-stream> names:
// it lives through Turbo visits, and without JavaScript the first stays.
function lineState(): Markup {
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

function cpus(): string {
  const count = navigator.hardwareConcurrency;
  return `This machine has ${count} ${count === 1 ? "CPU" : "CPUs"}, so a load of ${
    count.toFixed(2)
  } keeps ${count === 1 ? "it" : "them all"} busy.`;
}

function note(latest: LoadSample | undefined, failure: string | undefined, age: number): Markup {
  if (!latest) return html`No reading yet${failure === undefined ? "" : `: ${failure}`}`;
  const time = new Date(latest.at).toISOString();
  const read = html`<time datetime="${time}">${time.slice(11, 19)} UTC</time>`;
  if (failure !== undefined) {
    return html`Last reading ${Math.round(age / 1000)} s ago, at ${read}: ${failure}`;
  }
  return latest.simulated
    ? html`<strong>Simulated</strong> at ${read}: this system tells no load`
    : html`Read at ${read}`;
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
@media (min-width: 48rem) { aside { float: right; width: 23rem; margin: 0 0 1.5rem 2rem; } }
@media print {
  :root { --text: #000; --faint: #333; --page: #fff; --box: #fff; --accent: #000; }
  header, .line { display: none; }
}
`;
