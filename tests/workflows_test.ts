// The workflows of GitHub, which cannot run here: what they name exists, and they may do little.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "npm:yaml@2.9.1";
import config from "../deno.json" with { type: "json" };
import { TARGETS } from "./compile.ts";
import { directory, serve, WITH_PROCESS } from "./kit.ts";
import { pack } from "./pack.ts";
import { outputOf, START_FLAGS } from "./processes.ts";
import { smoke } from "./smoke.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const FOLDER = `${ROOT}.github/workflows/`;

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly uses?: string;
  readonly needs?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly matrix: { readonly os: readonly string[] } };
  readonly "timeout-minutes"?: number;
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const texts = new Map(
  [...Deno.readDirSync(FOLDER)].map(({ name }) => [name, Deno.readTextFileSync(FOLDER + name)]),
);
const workflows = new Map(
  [...texts].map(([name, text]) => [name, parse(text) as Workflow]),
);
const jobs = [...workflows].flatMap(([file, { jobs }]) =>
  Object.entries(jobs).map(([name, job]) => ({ where: `${file}: ${name}`, ...job }))
);
const steps = jobs.flatMap(({ where, steps = [] }) => steps.map((step) => ({ where, ...step })));
const commands = steps.flatMap(({ where, run }) => run === undefined ? [] : [{ where, run }]);

Deno.test("The workflows are those of the tests, of releases and of the reference", () => {
  assert.deepEqual([...workflows.keys()].sort(), ["ci.yml", "docs.yml", "publish.yml"]);
});

Deno.test("Each action in a workflow is a commit, with its version in a comment", () => {
  const lines = [...texts.values()].flatMap((text) => text.match(/^.*\buses:.*$/gm) ?? []);
  assert(lines.length > 10);
  const commits = new Map<string, string>();
  for (const line of lines) {
    if (/uses: \.\/\.github\/workflows\/[a-z]+\.yml$/.test(line)) continue;
    const [, action = "", commit = ""] =
      /uses: ([\w-]+\/[\w-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$/.exec(line) ?? assert.fail(line);
    assert.equal(commits.get(action) ?? commit, commit, `two versions of ${action}`);
    commits.set(action, commit);
  }
});

Deno.test("Each task, file and workflow that a workflow names exists", () => {
  for (const { where, run } of commands) {
    for (const [, task] of run.matchAll(/\bdeno task (\S+)/g)) {
      assert(task! in config.tasks, `${where}: ${task}`);
    }
    if (run.startsWith(".ci/")) assert(Deno.statSync(ROOT + run).isFile, `${where}: ${run}`);
  }
  for (const { where, uses } of jobs) {
    if (uses !== undefined) assert(Deno.statSync(ROOT + uses).isFile, `${where}: ${uses}`);
  }
  for (const { where, uses = "", with: { path } = {} } of steps) {
    if (!uses.startsWith("actions/upload-pages-artifact@")) continue;
    assert(config.tasks.reference.command.includes(` --output=${path} `), where);
  }
});

Deno.test("The workflows have the version of Deno in README.md", () => {
  const [version] = /(?<=deno@)\d+\.\d+\.\d+/.exec(Deno.readTextFileSync(`${ROOT}README.md`))!;
  const setups = steps.filter(({ uses = "" }) => uses.startsWith("denoland/setup-deno@"));
  assert(setups.length > 3);
  for (const { where, with: given } of setups) {
    assert.equal(given?.["deno-version"], `v${version}`, where);
  }
  for (const { where, run } of commands) {
    if (!/^deno /.test(run)) continue;
    assert(setups.some((setup) => setup.where === where), `${where} installs Deno`);
  }
});

Deno.test("A workflow may only read, and a job may write what it is for", () => {
  const allowed: Record<string, Record<string, string>> = {
    "docs.yml: deploy": { pages: "write", "id-token": "write" },
    "publish.yml: npm": { contents: "read", "id-token": "write" },
    "publish.yml: jsr": { contents: "read", "id-token": "write" },
    "publish.yml: executables": { contents: "write" },
  };
  for (const [file, { permissions, on }] of workflows) {
    assert.deepEqual(permissions, { contents: "read" }, file);
    assert(!("pull_request_target" in on) && !("workflow_run" in on), file);
  }
  for (const { where, permissions } of jobs) assert.deepEqual(permissions, allowed[where], where);
  for (const text of texts.values()) assert.doesNotMatch(text, /\bsecrets\b/);
  for (const { where, uses = "", with: given } of steps) {
    if (uses.startsWith("actions/checkout@")) {
      assert.equal(given?.["persist-credentials"], false, where);
    }
  }
  // What others may name, such as a branch, is never part of a command.
  for (const { where, run } of commands) assert.doesNotMatch(run, /\$\{\{/, where);
});

Deno.test("Each job has a time limit, and what is published waits for the tests", () => {
  for (const { where, uses, needs, permissions, ...job } of jobs) {
    if (uses === undefined) assert(job["timeout-minutes"]! <= 60, where);
    if (where.startsWith("publish.yml") && permissions !== undefined) {
      assert.equal(needs, "test", where);
    }
  }
});

Deno.test("The executable is compiled and started on each system that is released", () => {
  const { strategy, steps = [] } = workflows.get("ci.yml")!.jobs.systems!;
  const systems = strategy!.matrix.os.map((os) => {
    const arch = os.endsWith("-arm") || os === "macos-15" ? "arm64" : "x64";
    return `${os.replace("ubuntu", "linux").split("-")[0]}-${arch}`;
  });
  assert.deepEqual(systems.sort(), Object.keys(TARGETS).sort());
  const runs = steps.flatMap(({ run }) => run === undefined ? [] : [run]);
  assert.deepEqual(runs.slice(-2), ["deno task compile", "deno task smoke"]);
});

Deno.test("Dependabot updates the actions, and what deno.json imports", () => {
  const { updates } = parse(Deno.readTextFileSync(`${ROOT}.github/dependabot.yml`));
  assert.deepEqual(
    updates.map((update: Record<string, unknown>) => update["package-ecosystem"]),
    ["github-actions", "deno"],
  );
});

Deno.test("npm finds the package by the path in publish.yml", WITH_PROCESS, async () => {
  const publish = commands.filter(({ run }) => run.startsWith("npm publish "));
  const [rehearsal, real] = publish.map(({ run }) => run);
  assert.equal(publish.length, 2);
  assert.equal(real, rehearsal!.replace("--dry-run", "--provenance"));
  using folder = directory();
  await pack(`${folder.path}/dist`);
  await using registry = serve(() => new Response("{}", { status: 404 }));
  await outputOf(["sh", "-c", rehearsal!], {
    cwd: folder.path,
    env: { npm_config_registry: registry.url },
  });
});

Deno.test(
  "deno task smoke accepts the app, and rejects a command that is none",
  WITH_PROCESS,
  async () => {
    const deno = Deno.execPath();
    await smoke([deno, "run", ...START_FLAGS, `${ROOT}main.ts`]);
    await assert.rejects(smoke([deno]), /turbo-deno/);
  },
);

Deno.test("deno task reference makes a page for each entry", WITH_PROCESS, async () => {
  using folder = directory();
  const command = config.tasks.reference.command.replace("dist/reference", folder.path);
  const [program, ...args] = command.split(" ");
  assert.equal(program, "deno");
  await outputOf([Deno.execPath(), ...args], { cwd: ROOT });
  const entries = Object.keys(config.exports).filter((entry) => entry !== ".");
  assert(folder.files().includes("index.html"));
  for (const entry of entries) assert(folder.files().includes(entry.slice(2)), entry);
  assert.deepEqual(args.slice(-entries.length - 1).map((path) => `./${path}`), [
    ...Object.values(config.exports),
  ]);
});
