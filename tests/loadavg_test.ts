import assert from "node:assert/strict";
import {
  type FleetReport,
  isLate,
  type LoadReport,
  LoadSampler,
  type LoadSource,
  MAX_HISTORY,
  MAX_NAME,
  MAX_ROWS,
  nextRow,
  parseLoadAvg,
  readLoadAvg,
  reportOf,
  type Row,
  rowOf,
} from "../loadavg.ts";
import { loadBox } from "../templates.ts";
import { pause } from "./kit.ts";

const refused = () => Promise.reject(new Deno.errors.NotCapable("Requires all access"));
const missing = () => Promise.reject(new Deno.errors.NotFound("No such file"));
const file = (text: string) => () => Promise.resolve(text);
const refusedCall = () => {
  throw new Deno.errors.NotCapable("Requires sys access");
};

Deno.test("parseLoadAvg() reads the three averages", () => {
  assert.deepEqual(parseLoadAvg("12.00 0.30 0.21 2/345 6789\n"), [12, 0.3, 0.21]);
});

Deno.test("parseLoadAvg() quotes what it cannot parse", () => {
  for (const text of ["", "a b c", "0.1 0.2", "1 2 3", "0.1 0.2 0.3x", "-0.1 0.2 0.3"]) {
    assert.throws(() => parseLoadAvg(text), (error) => {
      assert(error instanceof SyntaxError);
      return error.message.includes(JSON.stringify(text));
    });
  }
});

Deno.test("readLoadAvg() reads the file where that is allowed", async () => {
  const sample = await readLoadAvg({
    readTextFile: file("0.48 0.30 0.21 1/2 3\n"),
    loadavg: refusedCall,
    now: () => 7,
    monotonicNow: () => 8,
  });
  const [averages, at, monotonicAt] = [[0.48, 0.3, 0.21], 7, 8];
  assert.deepEqual(sample, { averages, simulated: false, at, monotonicAt });
});

for (const [name, readTextFile] of [["refused", refused], ["missing", missing]] as const) {
  Deno.test(`readLoadAvg() asks the system where the file is ${name}`, async () => {
    const { averages, simulated } = await readLoadAvg({ readTextFile, loadavg: () => [1, 2, 3] });
    assert.deepEqual([averages, simulated], [[1, 2, 3], false]);
  });
}

Deno.test("readLoadAvg() accepts zeros as real, except on Windows", async () => {
  const source = { readTextFile: missing, loadavg: () => [0, 0, 0] };
  assert.equal((await readLoadAvg({ ...source, os: "linux" })).simulated, false);
  assert.equal((await readLoadAvg({ ...source, os: "windows" })).simulated, true);
});

Deno.test("readLoadAvg() marks random numbers, and the box says so", async () => {
  const sample = await readLoadAvg({ readTextFile: refused, loadavg: refusedCall });
  assert.equal(sample.simulated, true);
  assert.equal(sample.averages.length, 3);
  const report = { latest: sample, history: [sample], failure: undefined, age: 0 };
  assert.match(String(loadBox(report)), /Simulated/);
});

Deno.test("readLoadAvg() does not hide other errors", async () => {
  const broken = () => Promise.reject(new Error("Input/output error"));
  await assert.rejects(readLoadAvg({ readTextFile: broken }), /Input\/output/);
  await assert.rejects(readLoadAvg({ readTextFile: file("nonsense") }), SyntaxError);
});

Deno.test("LoadSampler.report() reads once for simultaneous calls", async () => {
  let reads = 0;
  const read = Promise.withResolvers<string>();
  const sampler = new LoadSampler({
    readTextFile() {
      reads++;
      return read.promise;
    },
  });
  const reports = [sampler.report(), sampler.report(), sampler.report()];
  read.resolve("1.00 2.00 3.00 1/2 3\n");
  for (const { latest } of await Promise.all(reports)) assert.equal(latest?.averages[0], 1);
  assert.equal(reads, 1);
});

Deno.test("LoadSampler.report() reuses a recent sample", async () => {
  let reads = 0;
  let time = 1_000;
  const sampler = new LoadSampler({
    readTextFile: () => Promise.resolve(`${++reads}.00 0.00 0.00 1/2 3\n`),
    monotonicNow: () => time,
  });
  assert.equal((await sampler.report(5_000)).latest?.averages[0], 1);
  time += 4_999;
  assert.equal((await sampler.report(5_000)).latest?.averages[0], 1);
  time += 1;
  assert.equal((await sampler.report(5_000)).latest?.averages[0], 2);
});

Deno.test("LoadSampler.report() keeps 60 samples, the newest last", async () => {
  let reads = 0;
  const sampler = new LoadSampler({
    readTextFile: () => Promise.resolve(`${++reads}.00 0.00 0.00 1/2 3\n`),
  });
  for (let i = 0; i < 70; i++) await sampler.report();
  const { history } = await sampler.report();
  assert.equal(history.length, 60);
  assert.deepEqual([history[0]?.averages[0], history[59]?.averages[0]], [12, 71]);
});

Deno.test("LoadSampler.report() shows the last good sample with its age, and logs an error once", async () => {
  let text = "0.50 0.40 0.30 1/2 3\n";
  let time = 1_000;
  const sampler = new LoadSampler({
    readTextFile: () => Promise.resolve(text),
    now: () => Date.UTC(2026, 0, 1, 12) - 60 * time, // the wall clock is set back meanwhile
    monotonicNow: () => time,
  });
  await sampler.report();
  text = "<garbage>";
  time += 12_000;
  const logged = await errorsOf(async () => {
    await sampler.report();
    await sampler.report();
  });
  assert.equal(logged.length, 1);
  const box = String(loadBox(await sampler.report()));
  assert.match(box, /0\.50/);
  assert.match(box, /Last reading 12 s ago/);
  assert.match(box, /&lt;garbage&gt;/);
  text = "0.60 0.40 0.30 1/2 3\n";
  assert.doesNotMatch(String(loadBox(await sampler.report())), /Last reading/);
});

for (const [way, hours] of [["back", -2], ["forward", 2]] as const) {
  Deno.test(`LoadSampler.report() and the box continue when the clock is set ${way} two hours`, async () => {
    let reads = 0;
    let [wall, time] = [Date.UTC(2026, 0, 1, 12), 1_000];
    const sampler = new LoadSampler({
      readTextFile: () => Promise.resolve(`${++reads}.00 0.00 0.00 1/2 3\n`),
      now: () => wall,
      monotonicNow: () => time,
    });
    await sampler.report();
    for (const [clock, set] of [[12, 0], [12 + hours, hours]] as const) {
      time += 5_000;
      wall += 5_000 + set * 60 * 60 * 1_000;
      const box = String(loadBox(await sampler.report()));
      assert.match(box, new RegExp(`>${clock}:00:[01]\\d UTC<`));
      assert.match(box, new RegExp(`over the last ${reads * 5 - 5} s`));
    }
    const box = String(loadBox(await sampler.report(5_000)));
    assert.match(box, /points="0\.0,\S+ 120\.0,\S+ 240\.0,\S+"/);
    assert.equal(reads, 3);
  });
}

Deno.test("LoadSampler.report() does not mistake a pause of the process for a reading that hangs", async () => {
  const sampler = new LoadSampler({
    readTextFile: async () => {
      await pause(50);
      return "1.00 1.00 1.00 1/2 3\n";
    },
    patience: 40,
  });
  const report = sampler.report();
  for (const end = performance.now() + 100; performance.now() < end;); // all of this time is due
  assert.equal((await report).failure, undefined);
});

Deno.test("LoadSampler.report() starts no second read while one hangs", async () => {
  let reads = 0;
  const read = Promise.withResolvers<string>();
  const source: LoadSource = {
    readTextFile() {
      reads++;
      return read.promise;
    },
    patience: 10,
  };
  const sampler = new LoadSampler(source);
  const logged = await errorsOf(async () => {
    const { latest, failure } = await sampler.report();
    assert.equal(latest, undefined);
    assert.match(failure!, /too long/);
    await sampler.report();
  });
  assert.equal(reads, 1);
  assert.equal(logged.length, 1);
  read.resolve("1.00 1.00 1.00 1/2 3\n");
  assert.equal((await sampler.report()).failure, undefined);
});

// ---- Rows

const ROW: Row = {
  name: "web1",
  averages: [0.5, 0.4, 0.3],
  simulated: false,
  at: 1_000,
  age: 20,
  failure: undefined,
  history: [0.4, null, 0.5],
  interval: 5_000,
  cpus: 8,
};

Deno.test("rowOf() accepts what a machine shares, as JSON", () => {
  assert.deepEqual(rowOf(JSON.parse(JSON.stringify(ROW))), ROW);
  const unread = { ...ROW, averages: undefined, failure: "broken", history: [null] };
  assert.deepEqual(rowOf(JSON.parse(JSON.stringify(unread))), unread);
});

Deno.test("rowOf() rejects everything else", () => {
  for (
    const value of [
      undefined,
      null,
      "web1",
      7,
      [],
      {},
      { averages: [1, 2, 3] },
      ...[undefined, null, 7, "", " ", "a\nb", "\0"].map((name) => ({ ...ROW, name })),
      ...[
        7,
        "1 2 3",
        [],
        [1, 2],
        [1, 2, 3, 4],
        [1, 2, "3"],
        [1, 2, null],
        [1, 2, -1],
        [1, 2, NaN],
        [1, 2, 1e9],
        { length: 3 },
      ].map((averages) => ({ ...ROW, averages })),
    ]
  ) assert.equal(rowOf(value), undefined, JSON.stringify(value));
});

Deno.test("rowOf() accepts a row with other missing or wrong parts", () => {
  const { name, averages } = ROW;
  const bare = {
    name,
    averages,
    simulated: false,
    at: 0,
    age: 0,
    failure: undefined,
    history: [],
    interval: 5_000,
    cpus: undefined,
  };
  assert.deepEqual(rowOf({ name, averages }), bare);
  const wrong = [undefined, null, "x", -1, NaN, Infinity, {}, [-1], ["x"]];
  for (
    const part of ["simulated", "at", "age", "failure", "history", "interval", "cpus"] as const
  ) {
    for (const value of wrong) {
      if (part === "failure" && typeof value === "string") continue;
      assert.deepEqual(rowOf({ name, averages, [part]: value }), bare, `${part}: ${value}`);
    }
  }
  assert.deepEqual(rowOf({ name, averages, cpus: 1.5, later: "version" }), bare);
});

Deno.test("rowOf() bounds what is shown", () => {
  const row = rowOf({
    ...ROW,
    name: "😀".repeat(MAX_NAME),
    failure: "x".repeat(1e6),
    history: Array(1e5).fill(1),
  })!;
  assert.deepEqual([row.name.length, row.failure?.length], [MAX_NAME, 200]);
  assert.equal(row.history.length, MAX_HISTORY);
  assert(rowOf({ ...ROW, name: "x" + "😀".repeat(MAX_NAME) })!.name.isWellFormed());
});

const entries = (rows: readonly Row[]) => rows.map((row, n) => [`${n}`, row] as const);

const fleetOf = (rows: Iterable<readonly [string, Row]>) =>
  reportOf(rows, { renderer: "web1", isAlone: false }) as FleetReport;

Deno.test("reportOf() sorts by name, with numbers by value, whatever the nodes' keys are", () => {
  const named = (...names: string[]) =>
    fleetOf(entries(names.map((name) => ({ ...ROW, name }))).reverse())
      .rows.map(({ name }) => name);
  assert.deepEqual(named("web10", "web2", "db", "Web2"), ["db", "web2", "Web2", "web10"]);
  assert.deepEqual(named("Web2", "db", "web10", "web2"), ["db", "web2", "Web2", "web10"]);
});

Deno.test("reportOf() shows all of one name, in the order of their nodes", () => {
  const rows = [3, 1, 2].map((cpus) => [`node${cpus}`, { ...ROW, cpus }] as const);
  assert.deepEqual(
    fleetOf([...rows, ["a", { ...ROW, name: "web2" }]]).rows.map(({ name, cpus }) => [name, cpus]),
    [["web1", 1], ["web1 (2)", 2], ["web1 (3)", 3], ["web2", 8]],
  );
});

Deno.test(`reportOf() shows ${MAX_ROWS} rows at most, says when there are more, and reads no further`, () => {
  let reads = 0;
  function* many(count: number): Iterable<readonly [string, Row]> {
    for (; reads < count; reads++) yield [`${reads}`, { ...ROW, name: `web${reads}` }];
  }
  for (const count of [MAX_ROWS, MAX_ROWS + 1, 5_000]) {
    reads = 0;
    const { rows, hasMore } = fleetOf(many(count));
    assert.deepEqual([rows.length, hasMore], [MAX_ROWS, count > MAX_ROWS], `of ${count}`);
    assert.equal(rows.at(-1)!.name, `web${MAX_ROWS - 1}`);
    assert(reads <= MAX_ROWS + 1, `${reads} of ${count} were read`);
  }
});

Deno.test("isLate() is true for a machine that has missed two intervals", () => {
  const late = (age: number) => isLate({ ...ROW, age });
  assert.deepEqual([0, 5_200, 10_000, 11_000, 1e9].map(late), [false, false, false, true, true]);
});

Deno.test("reportOf() shows a single machine", () => {
  const alone = (row: Row) =>
    reportOf(entries([row]), { renderer: "web1", isAlone: false }) as LoadReport;
  const { latest, history, failure, age } = alone({ ...ROW, failure: "broken" });
  assert.deepEqual([latest?.averages, latest?.at, failure, age], [
    [0.5, 0.4, 0.3],
    1_000,
    "broken",
    20,
  ]);
  assert.deepEqual(
    history.map(({ averages: [one], monotonicAt }) => [one, monotonicAt]),
    [[0.4, 0], [0.5, 10_000]],
  );
  assert.equal(alone({ ...ROW, averages: undefined }).latest, undefined);
});

Deno.test("reportOf() says when a machine is cut off from the others", () => {
  const report = reportOf(entries([ROW]), { renderer: "web1", isAlone: true }) as FleetReport;
  assert.deepEqual([report.rows, report.isAlone], [[ROW], true]);
});

const reading = (one: number, failure?: string): LoadReport => {
  const latest = { averages: [one, 2, 3] as const, simulated: true, at: 7, monotonicAt: 0 };
  return { latest, history: [latest], failure, age: 60_000 };
};
const MACHINE = { name: "web1", interval: 5_000 };

Deno.test("nextRow() continues the history of a row", () => {
  const before = nextRow(reading(0.123), { ...MACHINE, before: undefined });
  assert.deepEqual(before, {
    ...MACHINE,
    averages: [0.123, 2, 3],
    simulated: true,
    at: 7,
    age: 60_000,
    failure: undefined,
    history: [0.12],
    cpus: navigator.hardwareConcurrency,
  });
  assert.deepEqual(rowOf(before), before);
  assert.deepEqual(nextRow(reading(1), { ...MACHINE, before }).history, [0.12, 1]);
});

Deno.test("nextRow() of a reading that failed has a hole, and the last numbers", () => {
  const before = nextRow(reading(1), { ...MACHINE, before: undefined });
  const { averages, history, failure } = nextRow(reading(5, "broken"), { ...MACHINE, before });
  assert.deepEqual([averages, history, failure], [[5, 2, 3], [1, null], "broken"]);
});

Deno.test("nextRow() has no age before the first reading", () => {
  const none = { latest: undefined, history: [], failure: "broken", age: Infinity };
  const { averages, age, history } = nextRow(none, { ...MACHINE, before: undefined });
  assert.deepEqual([averages, age, history], [undefined, 0, [null]]);
});

Deno.test(`nextRow() keeps ${MAX_HISTORY} loads, and a name of ${MAX_NAME} characters`, () => {
  let row: Row | undefined;
  for (let n = 0; n < MAX_HISTORY + 10; n++) {
    row = nextRow(reading(n), { name: "x".repeat(100), interval: 1, before: row });
  }
  assert.deepEqual([row!.history.length, row!.history.at(-1)], [MAX_HISTORY, MAX_HISTORY + 9]);
  assert.equal(row!.name.length, MAX_NAME);
});

async function errorsOf(block: () => Promise<void>): Promise<unknown[][]> {
  const logged: unknown[][] = [];
  const { error } = console;
  console.error = (...parts) => logged.push(parts);
  try {
    await block();
  } finally {
    console.error = error;
  }
  return logged;
}
