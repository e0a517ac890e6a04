import assert from "node:assert/strict";
import { LoadSampler, type LoadSource, parseLoadAvg, readLoadAvg } from "../loadavg.ts";
import { loadBox } from "../templates.ts";
import { pause } from "./kit.ts";

const refused = () => Promise.reject(new Deno.errors.NotCapable("Requires all access"));
const missing = () => Promise.reject(new Deno.errors.NotFound("No such file"));
const file = (text: string) => () => Promise.resolve(text);
const refusedCall = () => {
  throw new Deno.errors.NotCapable("Requires sys access");
};

Deno.test("parseLoadAvg() takes the three averages", () => {
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

Deno.test("readLoadAvg() reads the file where it may", async () => {
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

Deno.test("readLoadAvg() takes zeros for real, but on Windows", async () => {
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

Deno.test("readLoadAvg() does not hide other faults", async () => {
  const broken = () => Promise.reject(new Error("Input/output error"));
  await assert.rejects(readLoadAvg({ readTextFile: broken }), /Input\/output/);
  await assert.rejects(readLoadAvg({ readTextFile: file("nonsense") }), SyntaxError);
});

Deno.test("LoadSampler.report() reads once for all who ask at a time", async () => {
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

Deno.test("LoadSampler.report() takes a young sample as it is", async () => {
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

Deno.test("LoadSampler.report() shows the last good sample with its age, and logs a fault once", async () => {
  let text = "0.50 0.40 0.30 1/2 3\n";
  let time = 1_000;
  const sampler = new LoadSampler({
    readTextFile: () => Promise.resolve(text),
    now: () => Date.UTC(2026, 0, 1, 12) - 60 * time, // a clock that is being set
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
  Deno.test(`LoadSampler.report() and the box go on when the clock is set ${way} two hours`, async () => {
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

Deno.test("LoadSampler.report() takes a pause of the process for no reading that hangs", async () => {
  const sampler = new LoadSampler({
    readTextFile: async () => {
      await pause(50);
      return "1.00 1.00 1.00 1/2 3\n";
    },
    patience: 40,
  });
  const report = sampler.report();
  for (const end = performance.now() + 100; performance.now() < end;); // all of this is due
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
