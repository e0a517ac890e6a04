import assert from "node:assert/strict";
import { checkState, leaveState, takeState } from "./state_file.ts";

const TEXT = JSON.stringify({ html: "é\r\n\u2028<b>" });

/** A path in a directory that goes with the test. */
function place() {
  const directory = Deno.makeTempDirSync();
  return {
    path: `${directory}/state`,
    files: () => [...Deno.readDirSync(directory)].map(({ name }) => name),
    [Symbol.dispose]: () => Deno.removeSync(directory, { recursive: true }),
  };
}

Deno.test("takeState() takes up what leaveState() left, once", () => {
  using at = place();
  leaveState(at.path, TEXT);
  assert.deepEqual(at.files(), ["state"]);
  assert.deepEqual(takeState(at.path), { text: TEXT });
  assert.deepEqual(at.files(), []);
  assert.deepEqual(takeState(at.path), { missing: "there is none" });
});

Deno.test("leaveState() writes for the owner alone, over an older one too", {
  ignore: Deno.build.os === "windows",
}, () => {
  using at = place();
  Deno.writeTextFileSync(at.path, "older", { mode: 0o666 });
  leaveState(at.path, TEXT);
  assert.equal(Deno.statSync(at.path).mode! & 0o777, 0o600);
});

Deno.test("leaveState() leaves the older state whole where it fails, and nothing beside it", () => {
  using at = place();
  Deno.mkdirSync(`${at.path}/full`, { recursive: true }); // cannot be replaced by a file
  assert.throws(() => leaveState(at.path, TEXT));
  assert.deepEqual(at.files(), ["state"]);
  assert(Deno.statSync(`${at.path}/full`).isDirectory);
});

Deno.test("takeState() takes no state that was cut off anywhere or altered, and removes it", () => {
  using at = place();
  leaveState(at.path, TEXT);
  const whole = Deno.readFileSync(at.path);
  for (let length = 0; length < whole.length; length++) {
    Deno.writeFileSync(at.path, whole.subarray(0, length));
    assert.deepEqual(takeState(at.path), { missing: "it is damaged" }, `${length} bytes`);
    assert.deepEqual(at.files(), []);
  }
  for (let index = "turbo-deno state 1".length; index < whole.length; index++) {
    const altered = whole.slice();
    altered[index]! ^= 1;
    Deno.writeFileSync(at.path, altered);
    assert("missing" in takeState(at.path), `byte ${index}`);
  }
});

Deno.test("takeState() takes no state of another version, and removes it", () => {
  using at = place();
  leaveState(at.path, TEXT);
  const other = Deno.readTextFileSync(at.path).replace("state 1", "state 20");
  Deno.writeTextFileSync(at.path, other);
  assert.deepEqual(takeState(at.path), { missing: "it is of another version" });
  assert.deepEqual(at.files(), []);
});

Deno.test("takeState() leaves alone what is no state", () => {
  using at = place();
  for (const text of ["# Notes\n", '{"epoch":"e"}', "turbo-deno\n", "\0\xff"]) {
    Deno.writeTextFileSync(at.path, text);
    const taken = takeState(at.path);
    assert("missing" in taken && taken.isForeign, text);
    assert.equal(Deno.readTextFileSync(at.path), text);
  }
});

Deno.test("takeState() leaves alone what is not a plain file", {
  ignore: Deno.build.os === "windows",
}, () => {
  using at = place();
  leaveState(`${at.path}.real`, TEXT);
  Deno.symlinkSync(`${at.path}.real`, at.path);
  assert("isForeign" in takeState(at.path));
  assert.deepEqual(at.files().sort(), ["state", "state.real"]);
  Deno.removeSync(at.path);
  Deno.mkdirSync(at.path);
  assert("isForeign" in takeState(at.path));
});

Deno.test("leaveState() follows and reuses nothing that was laid in its way", {
  ignore: Deno.build.os === "windows",
}, () => {
  using at = place();
  Deno.writeTextFileSync(`${at.path}.victim`, "mine", { mode: 0o644 });
  Deno.symlinkSync(`${at.path}.victim`, `${at.path}.tmp`);
  leaveState(at.path, TEXT);
  assert.equal(Deno.readTextFileSync(`${at.path}.victim`), "mine");
  Deno.writeTextFileSync(`${at.path}.tmp`, "", { mode: 0o644 });
  leaveState(at.path, TEXT);
  assert.equal(Deno.lstatSync(at.path).mode! & 0o777, 0o600);
  assert.deepEqual(at.files().sort(), ["state", "state.victim"]);
});

Deno.test("checkState() removes what a killed process could not finish", () => {
  using at = place();
  Deno.writeTextFileSync(`${at.path}.tmp`, "half a sec");
  checkState(at.path);
  assert.deepEqual(at.files(), []);
});

Deno.test("checkState() throws where no state could be left, and leaves nothing", () => {
  using at = place();
  checkState(at.path);
  assert.deepEqual(at.files(), []);
  checkState(`${at.path}/made/state`);
  assert.deepEqual([...Deno.readDirSync(`${at.path}/made`)], []);
  Deno.writeTextFileSync(`${at.path}/file`, "");
  assert.throws(() => checkState(`${at.path}/file/state`));
  assert.throws(() => checkState(`${at.path}/made/`), /path of a file/);
});
