import assert from "node:assert/strict";
import { directory } from "../tests/kit.ts";
import { checkState, leaveState, takeState } from "./state_file.ts";

const TEXT = JSON.stringify({ html: "é\r\n\u2028<b>" });

/** Where a state may be, in a directory that goes with the test. */
function place() {
  const { path, ...rest } = directory();
  return { file: `${path}/state`, ...rest };
}

Deno.test("takeState() takes up what leaveState() left, once", () => {
  using at = place();
  leaveState(at.file, TEXT);
  assert.deepEqual(at.files(), ["state"]);
  assert.deepEqual(takeState(at.file), { text: TEXT });
  assert.deepEqual(at.files(), []);
  assert.deepEqual(takeState(at.file), { missing: "there is none" });
});

Deno.test("leaveState() writes for the owner alone, over an older one too", {
  ignore: Deno.build.os === "windows",
}, () => {
  using at = place();
  Deno.writeTextFileSync(at.file, "older", { mode: 0o666 });
  leaveState(at.file, TEXT);
  assert.equal(Deno.statSync(at.file).mode! & 0o777, 0o600);
});

Deno.test("leaveState() leaves the older state whole where it fails, and nothing beside it", () => {
  using at = place();
  Deno.mkdirSync(`${at.file}/full`, { recursive: true }); // cannot be replaced by a file
  assert.throws(() => leaveState(at.file, TEXT));
  assert.deepEqual(at.files(), ["state"]);
  assert(Deno.statSync(`${at.file}/full`).isDirectory);
});

Deno.test("takeState() takes no state that was cut off anywhere or altered, and removes it", () => {
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

Deno.test("takeState() takes no state of another version, and removes it", () => {
  using at = place();
  leaveState(at.file, TEXT);
  const other = Deno.readTextFileSync(at.file).replace("state 2", "state 20");
  Deno.writeTextFileSync(at.file, other);
  assert.deepEqual(takeState(at.file), { missing: "it is of another version" });
  assert.deepEqual(at.files(), []);
});

Deno.test("takeState() leaves alone what is no state", () => {
  using at = place();
  for (const text of ["# Notes\n", '{"epoch":"e"}', "turbo-deno\n", "\0\xff"]) {
    Deno.writeTextFileSync(at.file, text);
    const taken = takeState(at.file);
    assert("missing" in taken && taken.isForeign, text);
    assert.equal(Deno.readTextFileSync(at.file), text);
  }
});

Deno.test("takeState() leaves alone what belongs to another than the owner, and says so", {
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
  Deno.test(`takeState() ${isTaken ? "takes up" : "leaves alone"} a state of mode ${bits}`, {
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

Deno.test("takeState() leaves alone what is not a plain file", {
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

Deno.test("leaveState() follows and reuses nothing that was laid in its way", {
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

Deno.test("checkState() removes what a killed process could not finish", () => {
  using at = place();
  Deno.writeTextFileSync(`${at.file}.tmp`, "half a sec");
  checkState(at.file);
  assert.deepEqual(at.files(), []);
});

Deno.test("checkState() returns whose the files of this process are", {
  ignore: Deno.build.os === "windows",
}, () => {
  using at = place();
  assert.equal(checkState(at.file), Deno.uid());
});

Deno.test("checkState() throws where no state could be left, and leaves nothing", () => {
  using at = place();
  checkState(at.file);
  assert.deepEqual(at.files(), []);
  checkState(`${at.file}/made/state`);
  assert.deepEqual([...Deno.readDirSync(`${at.file}/made`)], []);
  Deno.writeTextFileSync(`${at.file}/file`, "");
  assert.throws(() => checkState(`${at.file}/file/state`));
  assert.throws(() => checkState(`${at.file}/made/`), /path of a file/);
});
