// Runs the steps of deploy/Dockerfile without an engine, and rates the units of systemd.
import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { directory, freePort, QUICK, within } from "./kit.ts";
import { outputOf, startCommand, succeeds } from "./processes.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const DOCKERFILE = Deno.readTextFileSync(`${ROOT}deploy/Dockerfile`);
const IGNORED = Deno.readTextFileSync(`${ROOT}deploy/Dockerfile.dockerignore`);

/** One line of a Dockerfile, such as `RUN deno cache main.ts`. */
interface Step {
  readonly name: string;
  readonly text: string;
}

/** The stages of a Dockerfile, each of which begins with FROM. */
function stagesOf(dockerfile: string): Step[][] {
  const lines = dockerfile.replace(/^#.*\n/gm, "").replace(/\\\n/g, "").split("\n");
  const steps = lines.filter((line) => line !== "").map((line) => {
    const [, name, text] = /^([A-Z]+) +(.*)$/.exec(line)!;
    return { name: name!, text: text!.replace(/ +/g, " ") };
  });
  return steps.reduce<Step[][]>((stages, step) => {
    if (step.name === "FROM") stages.push([]);
    stages.at(-1)!.push(step);
    return stages;
  }, []);
}

/** Whether the build cannot see a path of the repository, by the rules of `.dockerignore`. */
function isIgnored(path: string): boolean {
  let ignored = false;
  for (const line of IGNORED.split("\n").filter((line) => line !== "" && !line.startsWith("#"))) {
    const pattern = line.replace(/^!/, "").replace(/[.+]/g, "\\$&")
      .replace(/\*\*\/|\*/g, (wild) => wild === "*" ? "[^/]*" : "(?:.*/)?");
    if (RegExp(`^${pattern}(?:/|$)`).test(path)) ignored = !line.startsWith("!");
  }
  return ignored;
}

/** A file system that a stage has made. */
class Stage {
  readonly root: string;
  /** The environment for its steps, and for what runs in the end. */
  readonly env: Record<string, string> = {};
  /** The last text of each kind of step. */
  readonly last: Record<string, string> = {};
  #directory = "/";

  /** Is empty, in a new directory of a path. */
  constructor(path: string, name: string) {
    this.root = `${path}/${name}`;
    Deno.mkdirSync(this.root);
  }

  /** The working directory. */
  get cwd(): string {
    return this.at(this.#directory);
  }

  /** Where a path of the stage is. */
  at(path: string): string {
    return this.root + (path.startsWith("/") ? path : `${this.#directory}/${path}`);
  }

  /** The same text, with the paths of the stage below its root. */
  mapped(text: string): string {
    return text.replace(
      /(?<![\w/.])\/(?:app|deno-dir|var\/lib\/turbo-deno)\b/g,
      (path) => this.root + path,
    );
  }

  /** The command of a step in the form `["deno", "run"]`. */
  command(name: string): string[] {
    const json = this.last[name]!.replace(/^.*?CMD (?=\[)/, "");
    return JSON.parse(json).map((word: string) => this.mapped(word));
  }

  /** Does what a step says. */
  async run({ name, text }: Step, stages: Record<string, Stage>): Promise<void> {
    this.last[name] = text;
    if (name === "WORKDIR") {
      this.#directory = text;
      Deno.mkdirSync(this.cwd, { recursive: true });
    } else if (name === "ENV") {
      for (const [, key, value] of text.matchAll(/(\w+)=(\S+)/g)) {
        this.env[key!] = this.mapped(value!);
      }
    } else if (name === "COPY") {
      const words = text.split(" ");
      const options = words.filter((word) => word.startsWith("--"));
      const [to = "", ...from] = words.filter((word) => !word.startsWith("--")).reverse();
      const stage = options.find((option) => option.startsWith("--from="))?.slice(7);
      for (const path of from) {
        const source = stage === undefined ? ROOT + path : stages[stage]!.at(path);
        const target = this.at(to.endsWith("/") ? to + path.split("/").at(-1) : to);
        copy(source, target, (path) => stage === undefined && isIgnored(path.slice(ROOT.length)));
        const owner = options.find((option) => option.startsWith("--chown="))?.slice(8);
        if (owner) await outputOf(["chown", "-R", owner, target]);
      }
    } else if (name === "RUN") {
      const PATH = `${this.root}/../bin:${Deno.env.get("PATH")}`;
      await outputOf(["sh", "-c", this.mapped(text)], {
        cwd: this.cwd,
        env: { ...this.env, PATH, NO_COLOR: "1", NPM_CONFIG_REGISTRY: await registry() },
      });
    }
  }
}

/** The registry of this machine, by which Deno finds packages in its cache. */
function registry(): Promise<string> {
  return outputOf(["npm", "config", "get", "registry"]);
}

function copy(from: string, to: string, isLeftOut: (path: string) => boolean): void {
  if (Deno.statSync(from).isDirectory) {
    Deno.mkdirSync(to, { recursive: true });
    for (const { name } of Deno.readDirSync(from)) {
      const path = `${from}/${name}`;
      if (!isLeftOut(path)) copy(path, `${to}/${name}`, isLeftOut);
    }
  } else {
    assert(!isLeftOut(from), `${from} is in deploy/Dockerfile.dockerignore`);
    Deno.mkdirSync(to.replace(/[^/]*$/, ""), { recursive: true });
    Deno.copyFileSync(from, to);
  }
}

const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;
const canDropRoot = !QUICK && isRoot && await succeeds("setpriv", "--version");
if (!canDropRoot && !QUICK) {
  console.log("NOTICE: not root, or no setpriv: the steps of deploy/Dockerfile are not run");
}

Deno.test(
  "The steps of deploy/Dockerfile make what runs as its user, without the network, and passes its health check",
  { ignore: !canDropRoot },
  async () => {
    using made = directory();
    await Deno.chmod(made.path, 0o755);
    await Deno.mkdir(`${made.path}/bin`);
    await Deno.copyFile(Deno.execPath(), `${made.path}/bin/deno`);
    const stages: Record<string, Stage> = {};
    let image!: Stage;
    for (const [index, [from, ...steps]] of stagesOf(DOCKERFILE).entries()) {
      const name = / AS (\w+)$/.exec(from!.text)?.[1] ?? `${index}`;
      image = stages[name] = new Stage(made.path, name);
      for (const step of steps) await image.run(step, stages);
    }
    const seen = [...Deno.readDirSync(`${image.cwd}/turbo`)].map(({ name }) => name);
    assert.deepEqual(seen.filter((name) => /_test|_model/.test(name)), []);

    const settings = `${image.cwd}/deno.json`; // has the permissions, with paths
    Deno.writeTextFileSync(settings, image.mapped(Deno.readTextFileSync(settings)));
    const [user, group] = image.last["USER"]!.split(":");
    const drop = [
      "setpriv",
      "--reuid",
      user!,
      "--regid",
      group!,
      "--clear-groups",
      "--no-new-privs",
    ];
    const entry = image.command("ENTRYPOINT");
    assert.deepEqual(entry, ["/tini", "--", "deno"]);
    const deno = `${made.path}/bin/deno`;
    const nowhere = `http://127.0.0.1:${freePort()}/`;
    const env = {
      ...image.env,
      PORT: `${freePort()}`,
      HOME: made.path, // which that user cannot write
      NPM_CONFIG_REGISTRY: await registry(),
      ...{ HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere, ALL_PROXY: nowhere, NO_PROXY: "" },
    };
    const options = { cwd: image.cwd, env };
    const health = [...drop, deno, ...image.command("HEALTHCHECK").slice(1)];
    async function isHealthy(): Promise<boolean> {
      await using check = startCommand(health, options);
      const code = await within(check.ended, "the health check");
      assert.equal(code === 0, check.errors === "", check.errors);
      return code === 0;
    }
    assert.equal(await isHealthy(), false, "nothing runs yet");
    await using app = startCommand([...drop, deno, ...image.command("CMD")], options);
    await app.line(/^Listening on /, { from: 0 });
    assert.equal(await isHealthy(), true);
    const page = await (await fetch(`http://127.0.0.1:${env.PORT}/`)).text();
    const [, script] = / src="(\/assets\/[^"]+)"/.exec(page)!;
    const asset = await fetch(`http://127.0.0.1:${env.PORT}${script}`);
    assert.equal((await asset.text()).length > 10_000, true);
    app.child.kill(image.last["STOPSIGNAL"] as Deno.Signal);
    assert.equal(await within(app.ended, "the app to end"), 0, app.errors);
    const kept = [...Deno.readDirSync(image.at(image.last["VOLUME"]!))].map(({ name }) => name);
    assert.deepEqual(kept.sort(), ["state", "state.readings"]);
  },
);

Deno.test("deploy/Dockerfile has the permissions of deno task start, and the pinned version", async () => {
  const image = stagesOf(DOCKERFILE).at(-1)!;
  const text = image.find(({ name }) => name === "CMD")!.text;
  const start = config.tasks.start.command.replace(" main.ts", " --cached-only main.ts");
  assert.equal(["deno", ...JSON.parse(text)].join(" "), start);
  const health = image.find(({ name }) => name === "HEALTHCHECK")!.text;
  assert.match(health, /"main\.ts", "--healthcheck"\]$/);
  const readme = await Deno.readTextFile(`${ROOT}README.md`);
  const [version] = /(?<=deno@)[0-9.]*[0-9]/.exec(readme)!; // as .ci/run finds it
  const bases = stagesOf(DOCKERFILE).map(([from]) => from!.text.split(" ")[0]);
  assert.deepEqual(bases, [`denoland/deno:${version}`, `denoland/deno:distroless-${version}`]);
  assert(DOCKERFILE.includes(`imagetools inspect denoland/deno:${version}`));
  assert.equal(config.lock.frozen, true, "deno ci installs what is locked");
  const docs = await Deno.readTextFile(`${ROOT}docs/production.md`);
  const [build = "", run = ""] = docs.match(/^docker (?:build|run) .*$/gm)!;
  assert(DOCKERFILE.includes(`#   ${build}\n`), build);
  for (const option of run.match(/-[pv] \S+|--(?:name|restart) \S+/g)!) {
    assert(DOCKERFILE.includes(option), `${option}, as in docs/production.md`);
  }
});

const canRate = !QUICK && await succeeds("systemd-analyze", "--version");
if (!canRate && !QUICK) {
  console.log("NOTICE: systemd-analyze is not installed, its test is skipped");
}

Deno.test(
  "systemd rates the exposure of both units at most 0.9",
  { ignore: !canRate },
  async () => {
    using made = directory();
    for (const name of ["turbo-deno.service", "turbo-deno@.service"]) {
      const path = `${made.path}/${name.replace("@", "@8001")}`;
      await Deno.copyFile(`${ROOT}deploy/${name}`, path);
      const rated = await outputOf(["systemd-analyze", "security", "--offline=true", path]);
      const [, rate] = /exposure level for \S+: ([\d.]+)/.exec(rated) ?? [];
      assert(Number(rate) <= 0.9, `${name}: ${rated}`);
    }
  },
);

Deno.test("A unit is never given up, and what others must not see is in a file that may be missing", async () => {
  for (const name of ["turbo-deno.service", "turbo-deno@.service"]) {
    const unit = await Deno.readTextFile(`${ROOT}deploy/${name}`);
    const [head, service] = unit.split("[Service]");
    assert.match(head!, /^StartLimitIntervalSec=0$/m);
    assert.match(service!, /^Restart=always$/m);
    assert.match(service!, /^EnvironmentFile=-\/etc\/turbo-deno\.env$/m);
  }
});
