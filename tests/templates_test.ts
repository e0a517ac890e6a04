/**
 * What the pages say in each state, without a browser.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type FleetReport, type LoadReport, reportOf } from "../loadavg.ts";
import { type LoadAverages, type LoadRow, MAX_ROWS, rowOf } from "../server/load_row.ts";
import { clock, day, zone } from "../server/local_time.ts";
import {
  dayBox,
  dayPage,
  facts,
  heading,
  hourPage,
  icon,
  loadBox,
  manifest,
  notFoundPage,
  type PageContext,
  type Report,
  title,
} from "../templates.ts";
import { html, type Markup } from "../turbo/mod.ts";
import { MACHINE, NOW, reportAfter, unread } from "./reports.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const UP: LoadAverages = [2, 1, 1];
const HIGH: LoadAverages = [9, 1, 1];

const pageOf = (report: Report): PageContext => ({
  head: html`<meta name="head">`,
  base: "/base",
  stylesheet: "/base/assets/load.css",
  icon: "/base/assets/icon.png",
  report,
});

/** The text of an element that is found by the beginning of its tag, as a browser shows it. */
function textOf(markup: Markup, tag: string): string {
  const text = String(markup);
  const from = text.indexOf(`<${tag}`);
  assert(from >= 0, `${tag} is not in ${text}`);
  const name = /^\w+/.exec(tag)![0];
  const inside = text.slice(text.indexOf(">", from) + 1, text.indexOf(`</${name}>`, from));
  return inside.replace(/<[^>]*>/g, "").replace(/\s+/g, " ").trim();
}

const itemsOf = (report: Report) =>
  [...String(facts(report)).matchAll(/<li>(.*?)<\/li>/g)].map(([, item]) => item);

// ---- The verdict

const verdictOf = (report: LoadReport) => textOf(loadBox(report), 'p class="says');

for (
  const [averages, words] of [
    [[2, 1, 1], "0.25 per CPU, rising"],
    [[1, 2, 2], "0.13 per CPU, falling"],
    [[2, 1.9, 2], "0.25 per CPU, steady"],
    [[2, 2.2, 2], "0.25 per CPU, steady"],
    [[0.04, 0, 0], "0.01 per CPU, steady"],
    [[0, 0.06, 0], "0.00 per CPU, falling"],
    [[8, 8, 8], "1.00 per CPU, steady"],
  ] as const
) {
  Deno.test(`The verdict on ${averages.join(" ")} is "${words}"`, async () => {
    assert.equal(verdictOf(await reportAfter([averages])), words);
  });
}

Deno.test("The verdict on a high load says above what it is, and since when", async () => {
  const since = clock(NOW - 5_000);
  const high = await reportAfter([UP, HIGH, HIGH]);
  assert.equal(verdictOf(high), `1.13 per CPU, rising: above all CPUs busy since ${since}`);
  const warned = await reportAfter([[1, 1, 1], UP, UP], { warn: 0.2 });
  assert.equal(verdictOf(warned), `0.25 per CPU, rising: above 0.20 since ${since}`);
  assert.match(String(loadBox(high)), /<p class="says over">/);
});

Deno.test("The verdict on a load that is high since another day names the day", async () => {
  const interval = 20 * MINUTE;
  const report = await reportAfter([UP, ...Array(80).fill(HIGH)], { interval });
  const since = NOW - 79 * interval; // longer ago than readings are kept in full
  assert.equal(report.highSince, since);
  assert.match(verdictOf(report), RegExp(` since ${day(since)}, ${clock(since)}$`));
});

Deno.test("The verdict without a number of CPUs is of the whole machine, and never that it is high", async () => {
  const machine = { ...MACHINE, cpus: undefined };
  assert.equal(verdictOf(await reportAfter([HIGH], { machine })), "9.00 in all, rising");
});

Deno.test("The verdict on a failed reading says since when there is none, and why", async () => {
  const failed = await reportAfter([UP, "broken", "broken"]);
  assert.equal(verdictOf(failed), "No reading for 10 s: broken");
  assert.match(String(loadBox(failed)), /<p class="says bad">/);
  assert.equal(verdictOf(await reportAfter(["broken"])), "No reading yet: broken");
});

Deno.test("The verdict before the first reading, and on simulated numbers", async () => {
  assert.equal(verdictOf(unread()), "No reading yet");
  assert.equal(
    verdictOf(await reportAfter([UP], { simulated: true })),
    "Simulated: random numbers, because no load average can be read here",
  );
});

// ---- The states

/** What the box, the title and the icon say. */
async function stateOf(report: Report | Promise<Report>) {
  const shown = await report;
  const url = decodeURIComponent(/href="([^"]*)"/.exec(String(icon(shown)))![1]!);
  const [height, colour] = /height="(\d+)" fill="(#\w+)"(?!.*<rect)/.exec(url)!.slice(1);
  const kind = { "#7ca6ff": "normal", "#ff9f61": "warm", "#8a9199": "grey" }[colour!];
  return {
    title: textOf(title(shown), "title"),
    table: /<table([^>]*)>/.exec(String(loadBox(shown)))![1],
    icon: `${height} ${kind}${url.includes("<path") ? " crossed" : ""}`,
  };
}

Deno.test("Title, icon and table of a normal load", async () => {
  assert.deepEqual(await stateOf(reportAfter([[4, 1, 1]])), {
    title: "4.00 · web1",
    table: "",
    icon: "6 normal",
  });
});

Deno.test("Title, icon and table of a high load", async () => {
  const high = { title: "▲ 9.00 · web1", table: ' class="over"', icon: "12 warm" };
  assert.deepEqual(await stateOf(reportAfter([HIGH])), high);
  const warned = { title: "▲ 2.00 · web1", table: ' class="over"', icon: "12 warm" };
  assert.deepEqual(await stateOf(reportAfter([UP], { warn: 0.2 })), warned);
});

Deno.test("Title, icon and table of a failed reading", async () => {
  const failed = { title: "No reading · web1", table: ' class="old"' };
  assert.deepEqual(await stateOf(reportAfter([[4, 1, 1], "broken"])), {
    ...failed,
    icon: "6 grey crossed",
  });
  assert.deepEqual(await stateOf(reportAfter(["broken"])), { ...failed, icon: "1 grey crossed" });
});

Deno.test("Title, icon and table of simulated numbers", async () => {
  const report = await reportAfter([UP], { simulated: true });
  const one = report.latest!.averages[0].toFixed(2);
  const { title, table, icon } = await stateOf(report);
  assert.deepEqual([title, table], [`Simulated ${one} · web1`, ""]);
  assert.match(icon, /^\d normal$/);
});

Deno.test("Title, icon and table before the first reading", async () => {
  assert.deepEqual(await stateOf(unread()), { title: "web1", table: "", icon: "1 normal" });
  assert.match(String(loadBox(unread())), /(<td>–<\/td>){3}/);
  assert.match(String(loadBox(unread())), /aria-label="[^"]*: no reading"/);
});

Deno.test("Each page has the title and the icon of a lost connection", () => {
  for (const page of [hourPage, dayPage, notFoundPage]) {
    const text = String(page(pageOf(unread())));
    for (const [state, word] of [["closed", "Offline"], ["away", "Ended"]]) {
      const [, template = ""] =
        RegExp(`<template id="turbo-stream-${state}">([^]*?)</template>`).exec(text) ?? [];
      assert.match(
        template,
        RegExp(`^\\s*<title>${word} · web1</title>\\s*<link rel="icon"[^>]*>\\s*$`),
      );
      assert.match(decodeURIComponent(template), /#8a9199/);
    }
    assert.equal(text.match(/<title id="title">/g)?.length, 1);
    assert.equal(text.match(/<link id="icon"/g)?.length, 1);
  }
});

Deno.test("A number of 100 or more makes the numbers smaller", async () => {
  const classes = async (averages: LoadAverages) => (await stateOf(reportAfter([averages]))).table;
  assert.equal(await classes([1, 1, 99.99]), "");
  assert.equal(await classes([1, 1, 100]), ' class="long"');
  assert.equal(await classes([999.99, 1, 1]), ' class="over long"');
});

// ---- Facts

Deno.test("facts() of a machine has what is known of it, and the date with its zone", async () => {
  const report = await reportAfter([UP]);
  const today = `${day(NOW)} 2026, ${zone(NOW)}`;
  assert.deepEqual(itemsOf(report), ["Debian 13", "8 CPUs", "16 GiB memory", "up 41 days", today]);
  const machine = {
    name: "pi",
    system: "Linux 6.1",
    cpus: 1,
    memory: 0.9 * 1024 ** 3,
    bootedAt: undefined,
  };
  assert.deepEqual(itemsOf(await reportAfter([UP], { machine })), [
    "Linux 6.1",
    "1 CPU",
    "0.9 GiB memory",
    today,
  ]);
  const unknown = { ...MACHINE, cpus: undefined, memory: undefined, bootedAt: undefined };
  assert.deepEqual(itemsOf(unread({ machine: unknown })), ["Debian 13", today]);
});

Deno.test("facts() shows no time that is not over", async () => {
  const machine = { ...MACHINE, bootedAt: NOW + HOUR }; // its clock was wrong when it was read
  assert(itemsOf(await reportAfter([UP], { machine })).includes("up 0 s"));
});

Deno.test("Without a number of CPUs nothing is said of them", async () => {
  const machine = { ...MACHINE, cpus: undefined };
  const report = await reportAfter([UP], { machine });
  for (const markup of [loadBox(report), dayBox(report), facts(report)]) {
    assert.doesNotMatch(String(markup), /CPU|busy|NaN|undefined/);
  }
});

Deno.test("One CPU is not several", async () => {
  const machine = { ...MACHINE, cpus: 1 };
  const report = await reportAfter([UP], { machine });
  for (const markup of [loadBox(report), facts(report)]) {
    assert.doesNotMatch(String(markup), /\b1 CPUs/);
  }
  assert.match(String(loadBox(report)), />the CPU busy</);
});

// ---- The box

Deno.test("loadBox() says what the plot shows, when it was read, and where it is as JSON", async () => {
  const report = await reportAfter([[1, 1, 1], [3, 1, 1], [2, 1, 1]]);
  const caption = textOf(loadBox(report, "/base"), "figcaption");
  const time = `${clock(NOW)}:05 ${zone(NOW)}`;
  assert.equal(
    caption,
    `Last 5 minutes: 1.00 to 3.00, highest at ${
      clock(NOW - 5_000)
    }. Read at ${time}, every 5 s; also as JSON.`,
  );
  const box = String(loadBox(report, "/base"));
  assert.match(box, /<time datetime="2026-11-25T14:31:05\.000Z">/);
  assert.match(box, /<a href="\/base\/load\.json" data-turbo="false">/);
});

Deno.test("loadBox() says when the last reading was that succeeded, with its date where that is not today", async () => {
  const captionOf = (report: LoadReport) => textOf(loadBox(report), "figcaption");
  assert.match(
    captionOf(await reportAfter([UP, "broken"])),
    / Last read at \S+ \S+, tried every 5 s; /,
  );
  assert.match(captionOf(await reportAfter(["broken"])), /^No reading yet, tried every 5 s; /);
  const old = await reportAfter([UP, "broken"], { interval: 26 * HOUR });
  assert.match(
    captionOf(old),
    RegExp(`Last read at \\S+ \\S+ on ${day(NOW - 26 * HOUR)} 2026, tried every 60 s; `),
  );
});

// ---- The day

/** The sums below a day: each name with its value and its remark. */
async function sumsOf(
  readings: Parameters<typeof reportAfter>[0],
  options: Parameters<typeof reportAfter>[1] = { interval: 10 * MINUTE },
): Promise<Record<string, string>> {
  const text = String(dayBox(await reportAfter(readings, options)));
  const sum = /<dt>(.*?)<\/dt>\s*<dd>(.*?)<\/dd>\s*<dd>(.*?)<\/dd>/g;
  return Object.fromEntries(
    [...text.matchAll(sum)].map(([, name, value, remark]) => [name, `${value} ${remark}`]),
  );
}

Deno.test("dayBox() has the highest load, the mean, and how long all CPUs were busy", async () => {
  const loads = [1, 10, 9, 4].map((load): LoadAverages => [load, 1, 1]);
  assert.deepEqual(await sumsOf(loads), {
    Highest: `10.00 at ${clock(NOW - 20 * MINUTE)}`,
    Mean: "6.00 0.75 per CPU",
    "All CPUs busy": "20 min above 8.00",
  });
});

Deno.test("dayBox() names one time without readings, and counts several", async () => {
  const none = [undefined, undefined, undefined];
  const one = await sumsOf([UP, ...none, UP]);
  assert.equal(one["No reading"], `40 min ${clock(NOW - 40 * MINUTE)} to ${clock(NOW)}`);
  const two = await sumsOf([UP, ...none, UP, ...none, UP]);
  assert.equal(two["No reading"], "1 h 20 min in 2 holes");
  const short = await sumsOf([UP, undefined, undefined, UP], { interval: 5_000, at: NOW + 20_000 });
  assert.equal(short["No reading"], `15 s at ${clock(NOW + 20_000)}`);
  assert.equal((await sumsOf([UP, UP]))["No reading"], undefined);
});

Deno.test("dayBox() without a reading has the axis, and no sums", () => {
  const text = String(dayBox(unread()));
  assert.match(text, /aria-label="[^"]*: no reading"/);
  assert.doesNotMatch(text, /<dl/);
});

Deno.test("The day is in the second page, and the others have its place", async () => {
  const context = pageOf(await reportAfter([UP]));
  assert.match(String(dayPage(context)), /<body class="day">[^]*<div id="day">\s*<figure/);
  for (const page of [hourPage, notFoundPage]) {
    assert.match(String(page(context)), /<body>[^]*<div id="day"><\/div>/);
  }
});

// ---- Many machines

const row = (name: string, parts: Partial<LoadRow> = {}): LoadRow => ({
  ...rowOf({ name, averages: [0.42, 0.57, 1.12], cpus: 8, at: NOW, age: 3_000 })!,
  hour: Array.from({ length: 61 }, (_, index) => 1 + Math.sin(index / 6)),
  day: Array.from({ length: 97 }, (_, index) => 2 + Math.sin(index / 6)),
  ...parts,
});

const fleet = (rows: readonly LoadRow[], parts: Partial<FleetReport> = {}): FleetReport => ({
  rows,
  hasMore: false,
  renderer: "web1",
  at: NOW,
  interval: 5_000,
  isAlone: false,
  ...parts,
});

Deno.test("loadBox() of a fleet has a row for each machine, with its age", () => {
  const box = String(loadBox(fleet([row("db", { cpus: 1 }), row("web1", { age: 600 })])));
  const [, db = "", web = ""] = box.slice(box.indexOf("<tbody>")).split(/<tr>/);
  assert.match(db, /<th scope="row">db <small>1 CPU<\/small><\/th>/);
  const cells = ["one", "five", "fifteen"].map((name, index) =>
    RegExp(`<td class="${name}">${["0\\.42", "0\\.57", "1\\.12"][index]}</td>`)
  );
  for (const cell of cells) assert.match(db, cell);
  assert.match(db, /<td class="late">3 s<\/td>/);
  assert.match(web, /<td class="late">1 s<\/td>/);
  assert.match(
    textOf(loadBox(fleet([row("a")])), 'p class="note'),
    /^As web1 sees it, at \S+ \S+, read every 5 s; also as JSON\.$/,
  );
});

Deno.test("loadBox() of a fleet marks a machine that is high, late, simulated or cannot be read", () => {
  const boxOf = (...rows: LoadRow[]) => String(loadBox(fleet(rows)));
  assert.match(boxOf(row("a", { highSince: 1 })), /<tr class="over">/);
  const late = boxOf(row("a", { age: 12_000 }), row("b"));
  assert.match(late, /<tr class="old">\s*<th scope="row">a /);
  assert.match(late, /<td class="late">12 s old<\/td>/);
  assert.equal(late.match(/class="old"/g)?.length, 1);
  const simulated = boxOf(row("a", { simulated: true }));
  assert.match(simulated, /<small>8 CPUs, <b class="bad">simulated<\/b><\/small>/);
  assert.match(simulated, /aria-label="Simulated 1-minute[^"]*"[^]*class="curve random"/);
  const failed = boxOf(
    row("a", { averages: undefined, failure: "broken", hour: [null], cpus: undefined }),
  );
  assert.match(failed, /<tr class="old">[^]*<small><span class="bad">broken<\/span><\/small>/);
  assert.match(failed, /(<td class="\w+">–<\/td>\s*){3}/);
  assert.match(failed, /<td class="late">–<\/td>/);
  assert.match(failed, /aria-label="1-minute load of the last hour of a: no reading"/);
});

Deno.test("loadBox() of a machine that cannot reach the others says so", () => {
  const note = loadBox(fleet([row("web1")], { isAlone: true }));
  assert.match(textOf(note, 'p class="note bad"'), /^web1 hears nothing of the others, at /);
});

Deno.test("loadBox() of a fleet scales each plot from zero to all CPUs or the highest load, with a gap for a hole", () => {
  const curvesOf = (parts: Partial<LoadRow>) => {
    const averages = [parts.hour!.at(-1)!, 1, 1] as const;
    const box = String(loadBox(fleet([row("a", { interval: 60_000, averages, ...parts })])));
    return [...box.matchAll(/class="curve" d="([^"]*)"/g)].map(([, path]) => path);
  };
  assert.deepEqual(curvesOf({ hour: [0, 4, 8] }), ["M58.5 300l1-150 .5-150"]);
  assert.equal(curvesOf({ hour: [1, 1, null, null, null, 1] }).length, 2);
  assert.deepEqual(curvesOf({ hour: [0, 5, 10], cpus: undefined }), ["M58.5 300l1-150 .5-150"]);
  const box = String(loadBox(fleet([row("a", { hour: [16], averages: [16, 1, 1], cpus: 8 })])));
  assert.match(box, /class="busy"[^>]* y1="50%"/);
  assert.match(box, /of a: from 16\.00 to 16\.00, latest 16\.00; all CPUs are busy at 8\.00"/);
});

Deno.test("Heading, title, icon and facts of a fleet count its machines, and name the highest", async () => {
  const rows = [
    row("db", { averages: [6, 1, 1] }),
    row("mail", { age: 12_000 }),
    row("web1", { averages: [9, 1, 1], cpus: 16 }),
  ];
  const report = fleet(rows);
  assert.equal(textOf(heading(report), "h1"), "3 machines");
  assert.deepEqual(await stateOf(report), {
    title: "3 machines",
    table: ' class="fleet"',
    icon: "10 normal",
  });
  assert.deepEqual(itemsOf(report).slice(0, -1), [
    "none with high load",
    "32 CPUs",
    "highest: db, 0.75 per CPU",
    "1 late",
  ]);
  const high = fleet([row("a", { highSince: 1 }), row("b"), row("c")]);
  assert.deepEqual(await stateOf(high), {
    title: "▲ 1 of 3 machines",
    table: ' class="fleet"',
    icon: "12 warm",
  });
  assert.equal(itemsOf(high)[0], "1 with high load");
  const old = fleet([row("a", { age: 60_000 }), row("b", { failure: "broken" })]);
  assert.match((await stateOf(old)).icon, /grey crossed/);
  assert.doesNotMatch(
    (await stateOf(fleet([row("a", { age: 60_000 }), row("b")]))).icon,
    /crossed/,
  );
});

Deno.test("A fleet of one, while it may have others, has one machine and no comparison", () => {
  const report = fleet([row("web1")], { isAlone: true });
  assert.equal(textOf(heading(report), "h1"), "1 machine");
  assert.deepEqual(itemsOf(report).slice(0, -1), ["none with high load", "8 CPUs"]);
});

Deno.test("A fleet without a row that can be shown has a page, too", async () => {
  assert.deepEqual(await stateOf(fleet([])), {
    title: "0 machines",
    table: ' class="fleet"',
    icon: "1 normal",
  });
  String(dayPage(pageOf(fleet([]))));
});

Deno.test(`Of more than ${MAX_ROWS} machines the box says that there are more`, async () => {
  const own = await reportAfter([UP]);
  const rows = Array.from(
    { length: MAX_ROWS + 1 },
    (_, index) => [`${index}`, row(`web${index}`), index === 0] as const,
  );
  const report = reportOf(own, rows, { isAlone: false });
  const note = textOf(loadBox(report), 'p class="note');
  assert.match(note, RegExp(`; there are more machines than these ${MAX_ROWS}; also as JSON`));
  assert.doesNotMatch(textOf(loadBox(fleet([row("a")])), 'p class="note'), /more machines/);
  assert.equal(String(dayBox(report)).match(/<th scope="row">/g)?.length, MAX_ROWS);
});

Deno.test("dayBox() of a fleet has the highest load and the day of each machine", () => {
  const rows = [
    row("db", { day: [null, 3, 9.5, 1] }),
    row("web1", { day: [2, 3, null] }),
    row("new", { day: [] }),
  ];
  const text = String(dayBox(fleet(rows)));
  const [, db = "", web = "", none = ""] = text.slice(text.indexOf("<tbody>")).split("<tr");
  assert.match(db, /^ class="over">[^]*<td class="one">9\.50<\/td>/);
  assert.match(
    db,
    /aria-label="1-minute load of the last day of db: from 1\.00 to 9\.50, latest 0\.42/,
  );
  assert.match(web, /^(?! class="over")[^]*<td class="one">3\.00<\/td>/);
  assert.match(none, /<td class="one">–<\/td>/, "it is not known to be zero");
  const [from, to] = [NOW - 24 * HOUR, NOW].map((at) => `${day(at)} ${clock(at)}`);
  assert.equal(
    textOf(dayBox(fleet(rows)), 'p class="note'),
    `Highest load of each 15 minutes, ${from} to ${to} ${zone(NOW)}.`,
  );
});

// ---- Pages

Deno.test("A name is escaped wherever a page shows it, and a manifest has it as it is", async () => {
  const name = `<i>&"'`;
  const own = await reportAfter([UP], { machine: { ...MACHINE, name, system: name } });
  const rows = [row(name, { failure: name }), row("b")];
  for (const report of [own, { ...own, failure: name }, fleet(rows, { renderer: name })]) {
    for (const page of [hourPage, dayPage, notFoundPage]) {
      const text = String(page(pageOf(report)));
      assert(!text.includes("<i>"));
      assert(!/[^=\w#;]&[^\w#]/.test(text), "each & begins a reference");
      assert(text.includes("&lt;i&gt;&amp;&quot;&#39;"));
    }
  }
  const { name: long, short_name: short } = manifest(pageOf(own));
  assert.deepEqual([long, short], [`Load of ${name}`, name]);
});

Deno.test("Each page names the machine in its description, and has a heading of its own", async () => {
  const context = pageOf(await reportAfter([UP]));
  for (const page of [hourPage, dayPage, notFoundPage]) {
    const text = String(page(context));
    assert.match(text, /<meta name="description" content="Load averages of web1, live">/);
    assert.match(text, /<h1 id="machine">web1<\/h1>/);
    assert.match(text, /<html lang="en">/);
    assert.match(text, /<meta name="head">\s*<\/head>/);
  }
});

Deno.test("All addresses in a page are below its base", async () => {
  for (const report of [await reportAfter([UP]), fleet([row("a")])]) {
    for (const page of [hourPage, dayPage, notFoundPage]) {
      const text = String(page(pageOf(report)));
      const addresses = [...text.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, address]) =>
        address!
      );
      const foreign = addresses.filter((address) =>
        address !== "" && !/^(\/base\/|data:)/.test(address)
      );
      assert.deepEqual(foreign, []);
      assert(addresses.includes("/base/load.json"));
    }
  }
  const { start_url, scope, icons } = manifest(pageOf(fleet([]))) as Record<string, unknown>;
  assert.deepEqual([start_url, scope], ["/base/", "/base/"]);
  assert((icons as { src: string }[]).every(({ src }) => src.startsWith("/base/")));
});

Deno.test("The page that is shown is marked among the pages, and a page for nothing marks none", async () => {
  const context = pageOf(await reportAfter([UP]));
  const marked = (page: typeof hourPage) =>
    [...String(page(context)).matchAll(/<a href="([^"]*)" aria-current="page">/g)].map((
      [, address],
    ) => address);
  assert.deepEqual(marked(hourPage), ["/base/"]);
  assert.deepEqual(marked(dayPage), ["/base/page2"]);
  assert.deepEqual(marked(notFoundPage), []);
});
