import assert from "node:assert/strict";
import { directory } from "../tests/kit.ts";
import { History } from "./history.ts";
import { loadHistory, saveHistory } from "./history_file.ts";

const NOW = 1_000_000_000;
const OPTIONS = { interval: 5_000, limit: 8, now: NOW };

/** A history with two readings. */
function made(): History {
  const history = new History(OPTIONS);
  history.add(9, NOW - 5_000);
  history.add(1, NOW);
  return history;
}

const isEmpty = (history: History) => history.hour(NOW).summary === undefined;

Deno.test("loadHistory() has what saveHistory() has written, for this user alone", () => {
  using folder = directory();
  const path = `${folder.path}/readings`;
  const history = made();
  saveHistory(path, history);
  const loaded = loadHistory(path, OPTIONS);
  assert.deepEqual(loaded.hour(NOW), history.hour(NOW));
  assert.deepEqual(loaded.day(NOW), history.day(NOW));
  assert.deepEqual(folder.files(), ["readings"], "and nothing else is left");
  if (Deno.build.os !== "windows") assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
});

Deno.test("loadHistory() without a file is empty, and makes it and its folder", () => {
  using folder = directory();
  const path = `${folder.path}/one/two/readings`;
  assert(isEmpty(loadHistory(path, OPTIONS)));
  assert(Deno.statSync(path).isFile);
});

const DAMAGED: readonly [name: string, text: string][] = [
  ["empty", ""],
  ["cut off", JSON.stringify(made()).slice(0, -5)],
  ["not JSON", "\0\0\0\0"],
  ["foreign", JSON.stringify({ version: 7, readings: "none" })],
  ["a list", "[1,2,3]"],
  ["null", "null"],
  ["a number", "7"],
];

for (const [name, text] of DAMAGED) {
  Deno.test(`loadHistory() of a file that is ${name} is empty, and the file can be used again`, () => {
    using folder = directory();
    const path = `${folder.path}/readings`;
    Deno.writeTextFileSync(path, text);
    assert(isEmpty(loadHistory(path, OPTIONS)));
    saveHistory(path, made());
    assert(!isEmpty(loadHistory(path, OPTIONS)));
  });
}

Deno.test("loadHistory() does not read a file that is larger than any history", () => {
  using folder = directory();
  const path = `${folder.path}/readings`;
  const text = JSON.stringify(made());
  Deno.writeTextFileSync(path, text.padEnd(16 * 1024 ** 2));
  assert(!isEmpty(loadHistory(path, OPTIONS)));
  Deno.writeTextFileSync(path, text.padEnd(16 * 1024 ** 2 + 1));
  assert(isEmpty(loadHistory(path, OPTIONS)));
});

Deno.test("loadHistory() says what it cannot keep, where something else has that name", () => {
  using folder = directory();
  const path = `${folder.path}/readings`;
  Deno.mkdirSync(path);
  assert.throws(
    () => loadHistory(path, OPTIONS),
    (error) =>
      error instanceof Error &&
      error.message.startsWith(`Cannot keep the readings in ${JSON.stringify(path)}: `),
  );
  assert.deepEqual(folder.files(), ["readings"], "and leaves nothing beside it");
});

Deno.test("loadHistory() says what it cannot keep, where nothing may be written", {
  ignore: Deno.build.os !== "linux",
}, () => {
  assert.throws(
    () => loadHistory("/proc/readings", OPTIONS),
    /^Error: Cannot keep the readings in "\/proc\/readings": [^\n]+$/,
  );
});

Deno.test("saveHistory() leaves the earlier file where it fails", () => {
  using folder = directory();
  const path = `${folder.path}/readings`;
  saveHistory(path, made());
  Deno.mkdirSync(`${path}.tmp/full`, { recursive: true });
  assert.throws(() => saveHistory(path, new History(OPTIONS)), /^Error: Cannot keep the readings/);
  Deno.removeSync(`${path}.tmp`, { recursive: true });
  assert(!isEmpty(loadHistory(path, OPTIONS)));
});

Deno.test("saveHistory() writes through no link that another user has put there", {
  ignore: Deno.build.os === "windows",
}, () => {
  using folder = directory();
  const path = `${folder.path}/readings`;
  const victim = `${folder.path}/victim`;
  Deno.writeTextFileSync(victim, "precious");
  for (const place of [`${path}.tmp`, path]) {
    Deno.symlinkSync(victim, place);
    saveHistory(path, made());
    assert.equal(Deno.readTextFileSync(victim), "precious", place);
    assert(Deno.lstatSync(path).isFile);
    Deno.removeSync(path);
  }
  assert.deepEqual(folder.files(), ["victim"]);
});
