import assert from "node:assert/strict";
import { directory } from "../tests/kit.ts";
import { checkState, leaveState, takeState } from "./state_file.ts";

const TEXT = JSON.stringify({ html: "é\r\n\u2028<b>" });

/** A path for a state, in a directory that is removed after the test. */
function place() {
  const { path, ...rest } = directory();
  return { file: `${path}/state`, ...rest };
}

Deno.test("takeState() returns what leaveState() wrote, once", () => {
  using at = place();
  leaveState(at.file, TEXT);
  assert.deepEqual(at.files(), ["state"]);
  assert.deepEqual(takeState(at.file), { text: TEXT });
  assert.deepEqual(at.files(), []);
  assert.deepEqual(takeState(at.file), { missing: "there is none" });
});

Deno.test(
  "leaveState() writes a file that only the owner can read, also in place of an older one",
  {
    ignore: Deno.build.os === "windows",
  },
  () => {
    using at = place();
    Deno.writeTextFileSync(at.file, "older", { mode: 0o666 });
    leaveState(at.file, TEXT);
    assert.equal(Deno.statSync(at.file).mode! & 0o777, 0o600);
  },
);

Deno.test("leaveState() keeps the older state when it fails, and leaves no other file", () => {
  using at = place();
  Deno.mkdirSync(`${at.file}/full`, { recursive: true }); // cannot be replaced by a file
  assert.throws(() => leaveState(at.file, TEXT));
  assert.deepEqual(at.files(), ["state"]);
  assert(Deno.statSync(`${at.file}/full`).isDirectory);
});

Deno.test("takeState() rejects a state that is truncated or altered, and removes it", () => {
  using at = place();
  leaveState(at.file, TEXT);
  const whole = Deno.readFileSync(at.file);
  for (let length = 0; length < whole.length; length++) {
    Deno.writeFileSync(at.file, whole.subarray(0, length));
    assert.deepEqual(takeState(at.file), { missing: "it is damaged" }, `${length} bytes`);
    assert.deepEqual(at.files(), []);
  }
  for (let index = "turbo-deno state 2".length; index < whole.length; index++) {
    const altered = whole.slice();
    altered[index]! ^= 1;
    Deno.writeFileSync(at.file, altered);
    assert("missing" in takeState(at.file), `byte ${index}`);
  }
});

Deno.test("takeState() rejects a state of another version, and removes it", () => {
  using at = place();
  leaveState(at.file, TEXT);
  const other = Deno.readTextFileSync(at.file).replace("state 2", "state 20");
  Deno.writeTextFileSync(at.file, other);
  assert.deepEqual(takeState(at.file), { missing: "it is of another version" });
  assert.deepEqual(at.files(), []);
});

Deno.test("takeState() leaves a file alone that is not a state", () => {
  using at = place();
  for (const text of ["# Notes\n", '{"epoch":"e"}', "turbo-deno\n", "\0\xff"]) {
    Deno.writeTextFileSync(at.file, text);
    const taken = takeState(at.file);
    assert("missing" in taken && taken.isForeign, text);
    assert.equal(Deno.readTextFileSync(at.file), text);
  }
});

Deno.test("takeState() leaves a file of another owner alone, and says so", {
  ignore: Deno.build.os === "windows",
}, () => {
  using at = place();
  const owner = checkState(at.file)!;
  leaveState(at.file, TEXT);
  const missing = `it belongs to user ${owner}, not to ${owner + 1}, and stays as it is`;
  assert.deepEqual(takeState(at.file, owner + 1), { missing, isForeign: true });
  assert.deepEqual(takeState(at.file, owner), { text: TEXT });
});

for (
  const [mode, isTaken] of [[0o640, true], [0o644, true], [0o620, false], [0o602, false]] as const
) {
  const bits = mode.toString(8);
  Deno.test(`takeState() ${isTaken ? "reads" : "leaves alone"} a state of mode ${bits}`, {
    ignore: Deno.build.os === "windows",
  }, () => {
    using at = place();
    const owner = checkState(at.file);
    leaveState(at.file, TEXT);
    Deno.chmodSync(at.file, mode);
    const missing = `others than its owner may write it (mode ${bits}), so it stays as it is`;
    const taken = isTaken ? { text: TEXT } : { missing, isForeign: true };
    assert.deepEqual(takeState(at.file, owner), taken);
    assert.deepEqual(at.files(), isTaken ? [] : ["state"]);
  });
}

Deno.test("takeState() leaves alone anything that is not a regular file", {
  ignore: Deno.build.os === "windows",
}, () => {
  using at = place();
  leaveState(`${at.file}.real`, TEXT);
  Deno.symlinkSync(`${at.file}.real`, at.file);
  assert("isForeign" in takeState(at.file));
  assert.deepEqual(at.files(), ["state", "state.real"]);
  Deno.removeSync(at.file);
  Deno.mkdirSync(at.file);
  assert("isForeign" in takeState(at.file));
});

Deno.test("leaveState() neither follows a link nor reuses a file at its temporary path", {
  ignore: Deno.build.os === "windows",
}, () => {
  using at = place();
  Deno.writeTextFileSync(`${at.file}.victim`, "mine", { mode: 0o644 });
  Deno.symlinkSync(`${at.file}.victim`, `${at.file}.tmp`);
  leaveState(at.file, TEXT);
  assert.equal(Deno.readTextFileSync(`${at.file}.victim`), "mine");
  Deno.writeTextFileSync(`${at.file}.tmp`, "", { mode: 0o644 });
  leaveState(at.file, TEXT);
  assert.equal(Deno.lstatSync(at.file).mode! & 0o777, 0o600);
  assert.deepEqual(at.files(), ["state", "state.victim"]);
});

Deno.test("checkState() removes the unfinished file of a killed process", () => {
  using at = place();
  Deno.writeTextFileSync(`${at.file}.tmp`, "half a sec");
  checkState(at.file);
  assert.deepEqual(at.files(), []);
});

Deno.test("checkState() returns the owner of this process's files", {
  ignore: Deno.build.os === "windows",
}, () => {
  using at = place();
  assert.equal(checkState(at.file), Deno.uid());
});

Deno.test("checkState() throws when no state can be written, and leaves no file", () => {
  using at = place();
  checkState(at.file);
  assert.deepEqual(at.files(), []);
  checkState(`${at.file}/made/state`);
  assert.deepEqual([...Deno.readDirSync(`${at.file}/made`)], []);
  Deno.writeTextFileSync(`${at.file}/file`, "");
  assert.throws(() => checkState(`${at.file}/file/state`));
  assert.throws(() => checkState(`${at.file}/made/`), /path of a file/);
});
