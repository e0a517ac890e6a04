import assert from "node:assert/strict";
import {
  type FleetReport,
  isFleet,
  jsonOf,
  type LoadReport,
  LoadSampler,
  type LoadSource,
  parseLoadAvg,
  readLoadAvg,
  reportOf,
  rowOfReport,
} from "../loadavg.ts";
import { type LoadAverages, type LoadRow, MAX_NAME, MAX_ROWS, rowOf } from "../server/load_row.ts";
import { loadBox } from "../templates.ts";
import { directory, memoryLog, pause } from "./kit.ts";
import { FakeMachine, MACHINE, NOW, reportAfter, unread } from "./reports.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

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
  const sampler = new LoadSampler({ readTextFile: refused, loadavg: refusedCall });
  assert.match(String(loadBox(await sampler.report())), /Simulated/);
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

Deno.test("LoadSampler.report() holds every reading of the last hour, and the highest of each 5 minutes of a day", async () => {
  const interval = 15_000;
  const fake = new FakeMachine({ interval });
  let report = await fake.next([0, 0, 0]);
  const loads: number[] = [];
  for (let n = 1; n <= 25 * HOUR / interval; n++) {
    const load = Math.round(400 * (1 + Math.sin(n / 37))) / 100;
    loads.push(load);
    report = await fake.next([load, 0, 0]);
  }
  const { hour, day } = report;
  assert.deepEqual([hour.length, day.length], [HOUR, 24 * HOUR]);
  const stepOf = (back: number, step: number) =>
    Math.floor(report.at / step) - Math.floor((report.at - back * interval) / step);
  const highest = (step: number) => {
    const values: number[] = [];
    for (const [back, load] of loads.toReversed().entries()) {
      const index = stepOf(back, step);
      values[index] = Math.max(values[index] ?? 0, load);
    }
    return values;
  };
  const backwards = (values: readonly (number | null)[]) => values.slice(1).toReversed();
  assert.deepEqual(backwards(hour.series.values), highest(interval).slice(0, 240));
  assert.deepEqual(backwards(day.series.values), highest(5 * MINUTE).slice(0, 288));
  assert.deepEqual([hour.summary?.holes, day.summary?.holes], [[], []]);
});

Deno.test("LoadSampler.report() shows the last good sample with its age, and logs an error once", async () => {
  const fake = new FakeMachine();
  await fake.next([0.5, 0.4, 0.3]);
  await fake.next("<garbage>");
  await fake.next();
  assert.deepEqual(fake.log.events, ["error: Cannot read the load averages: <garbage>"]);
  fake.wall -= HOUR; // the wall clock is set back meanwhile
  const report = await fake.next();
  assert.equal(report.age, 15_000);
  const box = String(loadBox(report));
  assert.match(box, /0\.50/);
  assert.match(box, /No reading for 15 s/);
  assert.match(box, /&lt;garbage&gt;/);
  assert.doesNotMatch(String(loadBox(await fake.next([0.6, 0.4, 0.3]))), /No reading/);
});

Deno.test("LoadSampler.report() logs an error again after a good reading, and another error at once", async () => {
  const fake = new FakeMachine();
  for (const reading of ["a", "b", [1, 1, 1] as const, "b"]) await fake.next(reading);
  assert.deepEqual(fake.log.events.map((line) => line.at(-1)), ["a", "b", "b"]);
});

Deno.test("LoadSampler.report() shows failed readings as a hole", async () => {
  const { hour, day } = await reportAfter([[1, 1, 1], "broken", "broken", [2, 1, 1], [3, 1, 1]]);
  const hole = [[NOW - 20_000, NOW - 5_000]];
  assert.deepEqual([hour.summary?.holes, day.summary?.holes], [hole, hole]);
  const { hour: one } = await reportAfter([[1, 1, 1], "broken", [2, 1, 1]]);
  assert.deepEqual(one.summary?.holes, [], "a single reading that is missing is not one");
});

for (const [way, hours] of [["back", -2], ["forward", 2]] as const) {
  Deno.test(`LoadSampler.report() and the box continue when the clock is set ${way} two hours`, async () => {
    const fake = new FakeMachine({ at: Date.UTC(2026, 0, 1, 12) });
    await fake.next([1, 0, 0]);
    const before = await fake.next([2, 0, 0]);
    fake.wall += hours * HOUR;
    const report = await fake.next([3, 0, 0]);
    const { summary, length } = report.hour;
    assert.equal(report.at, fake.wall);
    assert.deepEqual(
      [summary?.lowest, summary?.highest, summary?.holes, length],
      [{ value: 1, at: fake.wall - 10_000 }, { value: 3, at: fake.wall }, [], 5 * MINUTE],
    );
    assert.deepEqual(report.day.summary?.holes, []);
    assert.match(String(loadBox(report)), RegExp(`datetime="2026-01-01T${12 + hours}:00:15`));
    const upOf = (report: LoadReport) => report.at - report.machine.bootedAt!;
    assert.equal(upOf(report), upOf(before) + 5_000);
    assert.equal(upOf(await fake.sampler.report(5_000)), upOf(report));
    assert.equal(fake.reads, 3);
  });
}

Deno.test("LoadSampler.report() moves the time since when the load is high with the clock", async () => {
  const interval = MINUTE;
  const fake = new FakeMachine({ interval });
  const { highSince } = await fake.next([9, 9, 9]);
  for (let n = 0; n < 90; n++) await fake.next(); // longer than readings are kept in full
  fake.wall += HOUR;
  assert.equal((await fake.next()).highSince, highSince! + HOUR);
  fake.wall -= 3 * HOUR;
  assert.equal((await fake.next()).highSince, highSince! - 2 * HOUR);
});

Deno.test("LoadSampler.report() ignores a clock that is adjusted by less than a second", async () => {
  const fake = new FakeMachine();
  await fake.next();
  fake.wall += 900;
  const { at, latest } = await fake.next();
  assert.deepEqual([at, latest?.at], [NOW + 10_000, NOW + 10_000]);
});

Deno.test("LoadSampler.report() shows the time of a suspended machine as a hole", async () => {
  const fake = new FakeMachine();
  const before = await fake.next([1, 1, 1]);
  fake.pass(40 * MINUTE); // a clock that counts it: see bootClock()
  const { hour, machine } = await fake.next([2, 1, 1]);
  const { holes } = hour.summary!;
  assert.deepEqual(holes, [[before.latest!.at, fake.wall]]);
  assert.equal(hour.series.values.filter((load) => load !== null).length, 2);
  assert.equal(machine.bootedAt, MACHINE.bootedAt);
});

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
  const log = memoryLog();
  const sampler = new LoadSampler(source, { log });
  const { latest, failure } = await sampler.report();
  assert.equal(latest, undefined);
  assert.match(failure!, /too long/);
  await sampler.report();
  assert.equal(reads, 1);
  assert.equal(log.events.length, 1);
  read.resolve("1.00 1.00 1.00 1/2 3\n");
  assert.equal((await sampler.report()).failure, undefined);
});

// ---- High load

const of = (one: number): LoadAverages => [one, 1, 1];

Deno.test("LoadReport.highSince is when the load rose above the number of CPUs, as long as it stays there", async () => {
  const fake = new FakeMachine();
  assert.equal((await fake.next(of(8))).highSince, undefined);
  const since = NOW + 10_000;
  assert.equal((await fake.next(of(8.01))).highSince, since);
  for (let n = 0; n < 800; n++) await fake.next(of(9)); // more than an hour
  assert.equal((await fake.next()).highSince, since);
  assert.equal((await fake.next("broken")).highSince, since);
  assert.equal((await fake.next(of(8))).highSince, undefined);
  assert.equal((await fake.next(of(9))).highSince, fake.wall);
});

Deno.test("LoadReport.highSince begins again after a hole, because nobody knows what the load was", async () => {
  const { highSince } = await reportAfter([of(9), of(9), undefined, undefined, of(9), of(9)]);
  assert.equal(highSince, NOW - 5_000);
  const { highSince: same } = await reportAfter([of(9), of(9), undefined, of(9)]);
  assert.equal(same, NOW - 15_000);
});

Deno.test("LoadSampler.report() is the same until the next reading, so that it is rendered once", async () => {
  const fake = new FakeMachine();
  const report = await fake.next();
  fake.pass(4_999);
  assert.equal(await fake.sampler.report(5_000), report);
  fake.pass(1);
  assert.notEqual(await fake.sampler.report(5_000), report);
});

Deno.test("LoadSampler.report() reads again at once after a failure", async () => {
  const fake = new FakeMachine();
  await fake.next();
  await fake.next("broken");
  fake.reading = [1, 1, 1];
  assert.equal((await fake.sampler.report(HOUR)).failure, undefined);
});

Deno.test("LoadSampler.report() has the time of now, although the reading is older", async () => {
  const fake = new FakeMachine({ interval: HOUR });
  const { at } = await fake.next();
  fake.pass(MINUTE);
  const later = await fake.sampler.report(HOUR);
  assert.deepEqual([later.at, later.age, fake.reads], [at + MINUTE, MINUTE, 1]);
});

Deno.test("LoadReport.highSince follows `warn`, which is per CPU", async () => {
  for (const [warn, limit] of [[0.5, 4], [2, 16]] as const) {
    const options = { warn };
    assert.equal((await reportAfter([of(limit)], options)).highSince, undefined, `${warn}`);
    assert.equal((await reportAfter([of(limit + 0.01)], options)).highSince, NOW, `${warn}`);
  }
});

Deno.test("LoadReport.highSince is never there without a number of CPUs, nor for simulated numbers", async () => {
  const machine = { ...MACHINE, cpus: undefined };
  assert.equal((await reportAfter([of(1e6)], { machine, warn: 0.01 })).highSince, undefined);
  const simulated = await reportAfter([of(1), of(1)], { simulated: true, warn: 0.01 });
  assert(simulated.latest!.averages.some((load) => load > 0.08));
  assert.equal(simulated.highSince, undefined);
});

Deno.test("LoadReport.highSince begins in the readings that are kept over a restart, unless it took long", async () => {
  using made = directory();
  const file = `${made.path}/readings`;
  const first = new FakeMachine({ file });
  await first.next(of(1));
  const { highSince } = await first.next(of(9));
  await first.next();
  first.sampler.save();
  const second = new FakeMachine({ file, at: first.wall });
  assert.equal((await second.next(of(9))).highSince, highSince);
  second.sampler.save();
  const third = new FakeMachine({ file, at: second.wall + MINUTE });
  const { at, highSince: again } = await third.next(of(9));
  assert.equal(again, at);
});

const LOW = of(8);
const HIGH = of(8.5);

Deno.test("With `warn` the log says at once that the load is high, and after a minute that it is back", async () => {
  const fake = new FakeMachine({ warn: 1 });
  const said = async (readings: readonly (LoadAverages | string)[]) => {
    for (const reading of readings) await fake.next(reading);
    return fake.log.events.splice(0);
  };
  const times = <T>(count: number, value: T) => Array<T>(count).fill(value);
  assert.deepEqual(await said(times(20, LOW)), []);
  assert.deepEqual(await said([HIGH]), ["warn: Load above 1 per CPU: 8.50 on 8 CPUs"]);
  assert.deepEqual(await said(times(20, HIGH)), []);
  assert.deepEqual(await said(times(11, LOW)), [], "not for 55 s");
  assert.deepEqual(await said([HIGH, ...times(11, LOW), HIGH]), [], "it flaps");
  assert.deepEqual(await said(times(11, LOW)), []);
  assert.deepEqual(await said([LOW]), ["warn: Load back at or below 1 per CPU: 8.00 on 8 CPUs"]);
  assert.deepEqual(await said(times(20, LOW)), []);
  assert.deepEqual(await said([HIGH]), ["warn: Load above 1 per CPU: 8.50 on 8 CPUs"], "again");
  assert.deepEqual(await said(["broken"]), ["error: Cannot read the load averages: broken"]);
});

Deno.test("With `warn` the log names the limit, and one CPU as one", async () => {
  const fake = new FakeMachine({ warn: 0.5, machine: { ...MACHINE, cpus: 1 } });
  await fake.next(of(0.75));
  assert.deepEqual(fake.log.events, ["warn: Load above 0.5 per CPU: 0.75 on 1 CPU"]);
});

Deno.test("Without `warn`, without a number of CPUs and for simulated numbers the log says nothing of the load", async () => {
  const machine = { ...MACHINE, cpus: undefined };
  for (const options of [{}, { machine, warn: 0.01 }, { simulated: true, warn: 0.01 }]) {
    const fake = new FakeMachine(options);
    await fake.next(of(100));
    for (let n = 0; n < 20; n++) await fake.next(of(0));
    assert.deepEqual(fake.log.events, []);
  }
});

// ---- The file

Deno.test("LoadSampler.save() keeps the readings for the next process, but no simulated ones", async () => {
  using made = directory();
  const file = `${made.path}/readings`;
  const first = new FakeMachine({ file });
  await first.next(of(3));
  first.sampler.save();
  const simulated = new FakeMachine({ file, at: first.wall, simulated: true });
  await simulated.next();
  simulated.sampler.save();
  const second = new FakeMachine({ file, at: simulated.wall });
  const { hour } = await second.next(of(4));
  assert.deepEqual([hour.summary?.lowest.value, hour.summary?.highest.value], [3, 4]);
});

Deno.test("LoadSampler.save() without a file, or before a reading, does no harm", async () => {
  using made = directory();
  new FakeMachine().sampler.save();
  const file = `${made.path}/readings`;
  const first = new FakeMachine({ file });
  await first.next(of(3));
  first.sampler.save();
  new FakeMachine({ file, at: first.wall }).sampler.save();
  const { hour } = await new FakeMachine({ file, at: first.wall }).next(of(4));
  assert.equal(hour.summary?.lowest.value, 3);
});

Deno.test("new LoadSampler() rejects a file that cannot be written", () => {
  using made = directory();
  Deno.mkdirSync(`${made.path}/readings`);
  assert.throws(
    () => new FakeMachine({ file: `${made.path}/readings` }),
    /^Error: Cannot keep the readings in ".+readings": .+/,
  );
});

// ---- Rows and reports

const ROW: LoadRow = rowOf({ name: "web1", averages: [0.5, 0.4, 0.3], cpus: 8 })!;

Deno.test("rowOfReport() has what a page of a fleet shows, and survives JSON", async () => {
  const report = await reportAfter([of(9), of(9.123)]);
  const row = rowOfReport(report);
  assert.deepEqual(row, {
    name: "web1",
    averages: [9.12, 1, 1],
    simulated: false,
    at: NOW,
    age: 0,
    failure: undefined,
    highSince: NOW - 5_000,
    hour: [...Array(60).fill(null), 9.12],
    day: [...Array(96).fill(null), 9.12],
    interval: 5_000,
    cpus: 8,
    system: "Debian 13",
    memory: MACHINE.memory,
    bootedAt: MACHINE.bootedAt,
  });
  assert.deepEqual(rowOf(JSON.parse(JSON.stringify(row))), row);
});

Deno.test("rowOfReport() of a reading that failed has the last numbers with their age", async () => {
  const row = rowOfReport(await reportAfter([of(5), "broken"]));
  assert.deepEqual([row.averages, row.age, row.failure], [[5, 1, 1], 5_000, "broken"]);
});

Deno.test("rowOfReport() has no age before the first reading, and its own time", () => {
  const { averages, at, age, hour } = rowOfReport(unread());
  assert.deepEqual([averages, at, age], [undefined, NOW, 0]);
  assert(hour.every((load) => load === null));
});

Deno.test(`rowOfReport() keeps ${MAX_NAME} characters of a name, and two digits of each load`, async () => {
  const machine = { ...MACHINE, name: "x" + "😀".repeat(MAX_NAME) };
  const row = rowOfReport(await reportAfter([of(1)], { machine }));
  assert(row.name.length === MAX_NAME && row.name.isWellFormed());
  const simulated = rowOfReport(await reportAfter([of(1)], { simulated: true }));
  assert.equal(simulated.simulated, true);
  assert.match(String(simulated.hour.at(-1)), /^\d(\.\d\d?)?$/);
});

type Entry = readonly [node: string, row: LoadRow, isOwn: boolean];

const fleetOf = async (rows: Iterable<Entry>, isAlone = false) =>
  reportOf(await reportAfter([of(1)]), rows, { isAlone }) as FleetReport;

Deno.test(`reportOf() shows ${MAX_ROWS} rows at most, says when there are more, and reads no further`, async () => {
  let reads = 0;
  function* many(count: number): Iterable<Entry> {
    for (; reads < count; reads++) {
      yield [`${reads}`, { ...ROW, name: `web${reads}` }, reads === 0];
    }
  }
  for (const count of [MAX_ROWS, MAX_ROWS + 1, 5_000]) {
    reads = 0;
    const { rows, hasMore } = await fleetOf(many(count));
    assert.deepEqual([rows.length, hasMore], [MAX_ROWS, count > MAX_ROWS], `of ${count}`);
    assert.equal(rows.at(-1)!.name, `web${MAX_ROWS - 1}`);
    assert(reads <= MAX_ROWS + 1, `${reads} of ${count} were read`);
  }
});

Deno.test("reportOf() has the rows in order, and says which machine has rendered them", async () => {
  const { rows, renderer, interval } = await fleetOf([
    ["b", { ...ROW, name: "web2" }, true],
    ["a", ROW, false],
  ]);
  assert.deepEqual(rows.map(({ name }) => name), ["web1", "web2"]);
  assert.deepEqual([renderer, interval], ["web1", 5_000]);
});

Deno.test("reportOf() is a machine's own report where it is alone", async () => {
  const own = await reportAfter([of(1)]);
  assert.equal(reportOf(own, [["a", ROW, true]], { isAlone: false }), own);
});

Deno.test("reportOf() shows a fleet of one where the own row is not shown, or others may be there", async () => {
  const own = await reportAfter([of(1)]);
  for (const [isOwn, isAlone] of [[false, false], [true, true]] as const) {
    const report = reportOf(own, [["a", ROW, isOwn]], { isAlone }) as FleetReport;
    assert.deepEqual([report.rows, report.isAlone], [[ROW], isAlone]);
  }
});

// ---- JSON

Deno.test("jsonOf() of a machine has its numbers with their units in the names", async () => {
  const json = JSON.parse(JSON.stringify(jsonOf(await reportAfter([of(4), of(10)]))));
  const [machine] = json.machines;
  const { hour, day } = machine;
  assert.deepEqual(json, {
    at: "2026-11-25T14:31:05.000Z",
    machines: [{
      name: "web1",
      system: "Debian 13",
      cpus: 8,
      memoryBytes: 16 * 1024 ** 3,
      bootedAt: "2026-10-15T12:00:00.000Z",
      load: { oneMinute: 10, fiveMinutes: 1, fifteenMinutes: 1 },
      loadPerCpu: 1.25,
      isSimulated: false,
      readAt: "2026-11-25T14:31:05.000Z",
      ageSeconds: 0,
      intervalSeconds: 5,
      failure: null,
      highSince: "2026-11-25T14:31:05.000Z",
      hour,
      day,
    }],
  });
  for (
    const [series, length, step, start] of [
      [hour, 61, 60, "2026-11-25T13:31:00.000Z"],
      [day, 97, 900, "2026-11-24T14:30:00.000Z"],
    ]
  ) {
    const { startsAt, stepSeconds, highest } = series;
    assert.deepEqual([startsAt, stepSeconds], [start, step]);
    assert.deepEqual([highest.length, highest.at(-1), highest[0]], [length, 10, null]);
  }
});

Deno.test("LoadSampler.report() takes what is not a number as a failure, and keeps the last good sample", async () => {
  const averages = [[1, 2, 3], [NaN, 2, 3]];
  const sampler = new LoadSampler({
    readTextFile: () => Promise.reject(new Deno.errors.NotFound()),
    loadavg: () => averages.shift()!,
    os: "darwin",
  }, { machine: MACHINE, log: memoryLog() });
  await sampler.report();
  const { latest, failure } = await sampler.report();
  assert.deepEqual(latest?.averages, [1, 2, 3]);
  assert.match(failure!, /^Cannot remember NaN at /);
});

Deno.test("jsonOf() before the first reading has null for what is not known", () => {
  const machine = { ...MACHINE, cpus: undefined, memory: undefined, bootedAt: undefined };
  const [json] = jsonOf({ ...unread({ machine }), failure: "broken" }).machines as [
    Record<string, unknown>,
  ];
  const { hour, day: _day, ...rest } = json;
  assert.deepEqual(hour, {
    startsAt: "2026-11-25T13:31:00.000Z",
    stepSeconds: 60,
    highest: Array(61).fill(null),
  });
  assert.deepEqual(rest, {
    name: "web1",
    system: "Debian 13",
    cpus: null,
    memoryBytes: null,
    bootedAt: null,
    load: null,
    loadPerCpu: null,
    isSimulated: false,
    readAt: null,
    ageSeconds: null,
    intervalSeconds: 5,
    failure: "broken",
    highSince: null,
  });
});

Deno.test("jsonOf() after a failure has the last numbers, their age and the error", async () => {
  const report = await reportAfter([of(4), "broken", "broken"]);
  const [json] = jsonOf(report).machines as [Record<string, unknown>];
  assert.deepEqual(
    [json.load, json.ageSeconds, json.failure, json.readAt],
    [{ oneMinute: 4, fiveMinutes: 1, fifteenMinutes: 1 }, 10, "broken", "2026-11-25T14:30:55.000Z"],
  );
});

Deno.test("jsonOf() has two digits of each load, as the pages", async () => {
  const row = { ...ROW, averages: [1 / 3, 2 / 3, 1] as const, age: 1234.5678 };
  const [json] = jsonOf(await fleetOf([["a", row, false]])).machines as [Record<string, unknown>];
  assert.deepEqual(
    [json.load, json.loadPerCpu, json.ageSeconds],
    [{ oneMinute: 0.33, fiveMinutes: 0.67, fifteenMinutes: 1 }, 0.04, 1.235],
  );
});

Deno.test("jsonOf() of a fleet has all its machines, also what they have not said", async () => {
  const report = await fleetOf([["a", ROW, true], [
    "b",
    { ...ROW, name: "web2", system: undefined },
    false,
  ]]);
  assert(isFleet(report));
  const { at, machines } = JSON.parse(JSON.stringify(jsonOf(report)));
  assert.equal(at, new Date(report.at).toISOString());
  assert.deepEqual(
    machines.map((one: Record<string, unknown>) => [one.name, one.loadPerCpu, one.system]),
    [["web1", 0.06, null], ["web2", 0.06, null]],
  );
});
