/**
 * Draws `bench/results.json` as SVG, for light and dark pages, and writes its figures into
 * `bench/README.md` and `docs/compared.md`.
 *
 * @module
 */
import { html, type Markup, raw } from "../turbo/mod.ts";
import { type Row, rowOf } from "./figures.ts";
import { readResults, type Results } from "./results.ts";
import { short, table } from "./table.ts";
import { judge } from "./targets.ts";

interface Plot {
  file: string;
  title: string;
  measure: string;
  figure: string;
  /** One group of bars each: the value that was varied, and its label. */
  groups: [at: string, label: string][];
}

const BURSTS: Plot["groups"] = [
  ["replace 10/s", "10 pushes/s"],
  ["replace 100/s", "100 pushes/s"],
  ["replace 1000/s", "1,000 pushes/s"],
  ["replace 10000/s", "10,000 pushes/s"],
  ["ten in a turn, 100/s", "100/s, ten at once"],
];

const SHARE = "once and in order, %";
const MISSED = "readers that missed some, %";

const PLOTS: readonly Plot[] = [
  {
    file: "fanout.svg",
    title: "Processor time per delivered message, in microseconds",
    measure: "fanout",
    figure: "cpu us/message",
    groups: [["1000", "1,000 readers"], ["9000", "9,000 readers"]],
  },
  {
    file: "last.svg",
    title: "Time from push to the last reader, in milliseconds",
    measure: "fanout",
    figure: "ms to the last",
    groups: [["1000", "1,000 readers"], ["9000", "9,000 readers"]],
  },
  {
    file: "burst.svg",
    title: "Processor time while pushing to 1,000 readers, in milliseconds a second",
    measure: "burst",
    figure: "cpu ms/s",
    groups: BURSTS,
  },
  {
    file: "age.svg",
    title: "Age of what a page shows while pushing, 99th percentile, in milliseconds",
    measure: "burst",
    figure: "age ms, p99",
    groups: BURSTS,
  },
  {
    file: "memory.svg",
    title: "Memory per connection, in KiB",
    measure: "memory",
    figure: "KiB/connection",
    groups: [["9000", "9,000 readers"]],
  },
  {
    file: "page.svg",
    title: "Pages per second",
    measure: "page",
    figure: "requests/s",
    groups: [["16 connections", "16 connections"]],
  },
  {
    file: "instruments.svg",
    title: "Processor time with telemetry on, in per cent of off",
    measure: "instruments",
    figure: "% of off",
    groups: [["push to 1,000 readers", "a push to 1,000 readers"], ["GET /", "a page"]],
  },
  {
    file: "jitter.svg",
    title: "Messages delivered once and in order to readers that lose their line, in percent",
    measure: "jitter",
    figure: SHARE,
    groups: [["both ends told", "both ends told"], ["server not told", "server not told"]],
  },
  {
    file: "deploy.svg",
    title: "Readers that missed some message in a deploy, in percent",
    measure: "deploy",
    figure: MISSED,
    groups: [["in place", "one process, in place"], ["two nodes", "two nodes, one by one"]],
  },
];

const WIDTH = 720;
const LABELS = 170;
const FIGURES = 170;
const BAR = 20;

// A media query inside the picture works even when the picture is shown as <img>.
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1d2530; }
  .title { font-size: 15px; font-weight: 600; }
  .faint { fill: #5b6672; }
  .bar { fill: #8a97a6; }
  .own { fill: #0b63c5; }
  .spread { stroke: #1d2530; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ee; }
    .faint { fill: #a3adb9; }
    .bar { fill: #6c7887; }
    .own { fill: #5aa7ff; }
    .spread { stroke: #e6e9ee; }
  }
`;

/** The rows of the table in `docs/compared.md`. */
const EVENTS: readonly { text: string; measure: string; at: string; figure: string }[] = [
  {
    text: "messages delivered to readers that lose their line",
    measure: "jitter",
    at: "both ends told",
    figure: SHARE,
  },
  {
    text: "the same, where the server does not notice",
    measure: "jitter",
    at: "server not told",
    figure: SHARE,
  },
  {
    text: "readers that miss some when the process restarts",
    measure: "deploy",
    at: "in place",
    figure: MISSED,
  },
  {
    text: "the same, when two nodes restart one by one",
    measure: "deploy",
    at: "two nodes",
    figure: MISSED,
  },
];
/** Its columns: the names of sides, and their titles. */
const COLUMNS: readonly [side: string, title: string][] = [
  ["turbo-deno", "turbo-deno"],
  ["socket.io recovery", "Socket.IO with recovery"],
  ["socket.io", "Socket.IO"],
  ["ws-node", "`ws`"],
  ["bare-deno", "bare Deno"],
];

/** Draws all plots for which there are figures, and writes the figures into the pages. */
export async function plot(): Promise<void> {
  const results = await readResults();
  await Deno.mkdir(new URL("./plots/", import.meta.url), { recursive: true });
  for (const plot of PLOTS) {
    const rows = results.measures[plot.measure]?.rows ?? [];
    const own = rows.filter(({ figure }) => figure === plot.figure);
    if (own.length === 0) continue;
    await Deno.writeTextFile(new URL(`./plots/${plot.file}`, import.meta.url), draw(plot, own));
    console.log(`bench/plots/${plot.file}`);
  }
  const written = [
    await write("bench/README.md", "figures", figures(results)),
    await write("docs/compared.md", "delivery", delivery(results)),
    new URL("./plots/", import.meta.url).pathname,
  ];
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", ...written] }).output();
}

/** Writes text into a page, between two comments. Returns the path of its file. */
async function write(path: string, name: string, text: string): Promise<string> {
  const file = new URL(`../${path}`, import.meta.url).pathname;
  const page = await Deno.readTextFile(file);
  const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [before, after] = [page.split(start)[0], page.split(end)[1]];
  await Deno.writeTextFile(file, `${before}${start}\n\n${text}\n\n${end}${after}`);
  console.log(path);
  return file;
}

/** What readers receive, as a table. */
function delivery({ measures }: Results): string {
  const lines = [
    ["", ...COLUMNS.map(([, title]) => title)],
    ["---", ...COLUMNS.map(() => "---:")],
    ...EVENTS.map(({ text, measure, at, figure }) => [
      text,
      ...COLUMNS.map(([side]) => {
        const row = rowOf(measures[measure], { figure, side, at });
        return row ? `${percent(row.median)} %` : "";
      }),
    ]),
  ];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A percentage, which is 0 or 100 only where it is exactly that. */
function percent(value: number): string {
  if (value === 0 || value === 100) return String(value);
  return Math.max(0.1, Math.min(99.9, value)).toFixed(1);
}

function figures({ machine, missing, measures }: Results): string {
  const about = Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(", ");
  const fence = (text: string) => "```text\n" + text.trimEnd() + "\n```";
  const sections = Object.entries(measures).map(([name, { date, rounds, rows }]) => {
    const when = date.slice(0, 16).replace("T", " ");
    const repeated = rounds === 1 ? "1 round" : `${rounds} rounds`;
    return `### ${name}\n\n${when} UTC, ${repeated}.\n\n${fence(table(rows))}`;
  });
  return [
    `Machine: ${about}.`,
    ...missing,
    "### Against the targets\n\nMedians over the rounds; both sides of a ratio are taken in one round.",
    fence(judge(measures)),
    ...sections,
  ].join("\n\n");
}

/** One plot: bars for the medians, and a line on each for the spread. */
function draw({ title, groups }: Plot, rows: readonly Row[]): string {
  const shown = rows.filter((row) => groups.some(([at]) => at === row.at));
  const top = Math.max(...shown.map(({ most }) => most));
  const scale = (value: number) => (WIDTH - LABELS - FIGURES) * value / top;
  const parts: Markup[] = [];
  let y = 24;
  for (const [at, label] of groups) {
    parts.push(html`<text class="faint" x="0" y="${y + 18}">${label}</text>`);
    y += 26;
    for (const row of shown.filter((row) => row.at === at)) {
      parts.push(bar(row, y, scale));
      y += BAR + 4;
    }
    y += 8;
  }
  const size = raw(`width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}"`); // numbers
  const svg = html`
    <svg xmlns="http://www.w3.org/2000/svg" ${size}
      role="img"><title>${title}</title><style>${raw(STYLE) // a constant
      }</style><text class="title" x="0" y="15">${title}</text>${parts}</svg>
  `;
  return String(svg) + "\n";
}

function bar({ side, median, least, most }: Row, y: number, scale: (value: number) => number) {
  const kind = side.startsWith("turbo-deno") ? "own" : "bar";
  const middle = y + BAR / 2;
  const [from, to] = [LABELS + scale(least), LABELS + scale(most)];
  const spread = `${short(least)}–${short(most)}`;
  return html`
    <text x="${LABELS - 8}" y="${middle + 4}" text-anchor="end">${side}</text>
    <rect class="${kind}" x="${LABELS}" y="${y}" width="${scale(median).toFixed(1)}" height="${BAR}"
      rx="2" />
    <line class="spread" x1="${from.toFixed(1)}" x2="${to.toFixed(
      1,
    )}" y1="${middle}" y2="${middle}" />
    <text x="${to + 8}" y="${middle + 4}">${short(
      median,
    )}<tspan class="faint"> (${spread})</tspan></text>
  `;
}
