import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { Turbo } from "../turbo/mod.ts";
import { WITH_PROCESS, within } from "./kit.ts";
import { START_FLAGS, startApp, succeeds } from "./processes.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/**
 * What a compromised program would try, and must not be able to do. Connections are not in it: Deno has no
 * permission for listening only, and a list of addresses would have to hold each that the app may listen on.
 */
const HARM: Record<string, string> = {
  "read another file of /etc": `await Deno.readTextFile("/etc/hostname")`,
  "read the password file": `await Deno.readTextFile("/etc/passwd")`,
  "read its own source": `await Deno.readTextFile(${JSON.stringify(ROOT + "main.ts")})`,
  "list a directory": `await Array.fromAsync(Deno.readDir("/"))`,
  "write a file": `await Deno.writeTextFile("/tmp/turbo-deno-harm", "")`,
  "read HOME": `Deno.env.get("HOME")`,
  "read the whole environment": `Deno.env.toObject()`,
  "set a variable": `Deno.env.set("PATH", "/tmp")`,
  "run a program": `await new Deno.Command("true").output()`,
  "load a library": `Deno.dlopen("libc.so.6", {})`,
  "see the process's user": `Deno.uid()`,
  "see the users": `(await import("node:os")).userInfo()`,
  "import code": `await import("data:text/javascript,0"), await import("http://example.com/x.js")`,
};

Deno.test(
  `deno task start refuses ${Object.keys(HARM).length} kinds of harm`,
  WITH_PROCESS,
  async () => {
    const program = `const results = {};
for (const [name, act] of Object.entries({
${
      Object.entries(HARM).map(([name, code]) =>
        `  ${JSON.stringify(name)}: async () => { ${code}; },`
      ).join("\n")
    }
})) {
  try {
    await act();
    results[name] = "allowed";
  } catch (error) {
    results[name] = error.name;
  }
}
console.log(JSON.stringify(results));`;
    const directory = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${directory}/harm.js`, program);
      const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-config", ...START_FLAGS, `${directory}/harm.js`],
      }).output();
      assert(success, new TextDecoder().decode(stderr));
      const results: Record<string, string> = JSON.parse(new TextDecoder().decode(stdout));
      const importing = "import code";
      assert.match(results[importing]!, /^(NotCapable|TypeError)$/);
      for (const [name, result] of Object.entries(results)) {
        if (name !== importing) assert.equal(result, "NotCapable", name);
      }
      assert.equal(Object.keys(results).length, Object.keys(HARM).length);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);

Deno.test("deno task start allows everything that main.ts needs", WITH_PROCESS, async () => {
  assert(
    !START_FLAGS.some((flag) => /^(-A|--allow-(?!net$)\w+)$/.test(flag)),
    "each but the network has a list",
  );
  await using app = await startApp();
  const page = await (await fetch(app.url)).text();
  assert.doesNotMatch(page, /simulated/i);
  assert.match(app.lines[0]!, /^Listening on /);
  app.child.kill("SIGTERM");
  await within(app.ended, "the app to end");
  assert.deepEqual(app.lines.length, 1, "the rest of what it says is in the log");
  assert.deepEqual(
    app.errors.trim().split("\n").map((line) => JSON.parse(line).message),
    ["Stopping: closing 0 connections"],
  );
});

Deno.test("readMachine() and serve() ask for no permission in a terminal", {
  ignore: WITH_PROCESS.ignore! || !await succeeds("script", "--version"),
}, async () => {
  const directory = await Deno.makeTempDir();
  try {
    const importing = (name: string) => `import(${JSON.stringify(`${ROOT}server/${name}.ts`)})`;
    await Deno.writeTextFile(
      `${directory}/program.js`,
      `const { readMachine } = await ${importing("machine")};
      const { serve } = await ${importing("serve")};
      const server = serve(() => new Response(), { port: 0 });
      console.log(readMachine().name);
      Deno.exit(await server.stop());`,
    );
    const command = `${Deno.execPath()} run --no-config --no-check --allow-net program.js`;
    const { stdout } = await within(
      new Deno.Command("script", {
        args: ["-qec", command, "/dev/null"],
        cwd: directory,
        env: { NO_COLOR: "1" },
        stdin: "null",
      }).output(),
      "the program",
    );
    assert.match(
      new TextDecoder().decode(stdout),
      /^Listening on \S+ \(on all addresses: the network can reach it\)\r\nunnamed\r\n$/,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test(
  "Turbo reads TURBO_SECRET where that is allowed, and never prompts",
  WITH_PROCESS,
  async () => {
    const secret = "a secret of this test";
    const [allowed] = await signWith(secret);
    assert.equal(await holds(allowed!, secret), true);
    const [notice, token] = await signWith(secret, { flags: [] });
    assert.equal(notice, "random");
    assert.equal(await holds(token!, secret), false);
  },
);

Deno.test(
  "Turbo prefers the option secret to TURBO_SECRET, ignores an empty variable, and rejects a short one",
  WITH_PROCESS,
  async () => {
    const own = "a secret that is set";
    const [token] = await signWith("a secret of this test", { secret: own });
    assert.equal(await holds(token!, own), true);
    assert.equal((await signWith(""))[0], "random");
    const [error] = await signWith("hunter2");
    assert.match(error!, /^RangeError: .*a text of 7 characters as "TURBO_SECRET".*at least 16/);
    assert.doesNotMatch(error!, /hunter2/);
  },
);

/** The output of a program that signs a topic while TURBO_SECRET is set: the token, or the error. */
async function signWith(
  variable: string,
  { flags = ["--allow-env=TURBO_SECRET"], secret }: { flags?: string[]; secret?: string } = {},
): Promise<string[]> {
  const mod = new URL("../turbo/mod.ts", import.meta.url);
  const options = JSON.stringify({ log: { epoch: "e" }, secret });
  const program = `
    import { Turbo } from ${JSON.stringify(mod)};
    try {
      const turbo = new Turbo({ ...${options}, onNotice: () => console.log("random") });
      console.log(/data-token="([^"]+)"/.exec(String(turbo.head({ topics: ["room"] })))[1]);
    } catch (error) {
      console.log(String(error));
    }`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, "--ext=ts", "-"],
    env: { TURBO_SECRET: variable },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
    cwd: ROOT,
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(program));
  await writer.close();
  const { stdout } = await within(child.output(), "the program");
  return new TextDecoder().decode(stdout).trim().split("\n");
}

Deno.test(
  "main.ts imports this project and hono, and nothing else",
  WITH_PROCESS,
  async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "main.ts"],
      cwd: ROOT,
    }).output();
    const { modules }: { modules: { specifier: string }[] } = JSON.parse(
      new TextDecoder().decode(stdout),
    );
    const packages = new Set<string>();
    for (const { specifier } of modules) {
      if (specifier.startsWith(`file://${ROOT}`) || specifier.startsWith("node:")) continue;
      packages.add(/^npm:\/((?:@[^/]+\/)?[^/@]+)@\d/.exec(specifier)?.[1] ?? specifier);
    }
    assert.deepEqual([...packages], ["hono"]);
    assert(
      !modules.some(({ specifier }) => /_test\.ts$|\/(tests|examples|bench)\//.test(specifier)),
    );
  },
);

// All packages in the lock file are installed when the first one is used.
Deno.test(
  "deno.lock is frozen and holds what is imported, and Turbo, of which scripts are made",
  WITH_PROCESS,
  async () => {
    assert.equal(config.lock.frozen, true);
    const { npm } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.lock`));
    const packages = Object.keys(npm).map((name) => name.replace(/@[^@]+$/, ""));
    assert.deepEqual(packages.sort(), ["@hotwired/turbo", "hono"]);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["install", "--frozen", "--entrypoint", "main.ts"],
      cwd: ROOT,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    for (const [name, specifier] of Object.entries(config.imports)) {
      assert.match(specifier, new RegExp(`^npm:${name}@\\d+\\.\\d+\\.\\d+$`), "an exact version");
    }
  },
);

/** Whether a token lets a page listen to the room where this secret is set. */
async function holds(token: string, secret: string): Promise<boolean> {
  const turbo = new Turbo({ secret, log: { epoch: "e" } });
  const query = new URLSearchParams({ since: turbo.cursor, token });
  const headers = { Accept: "text/event-stream" };
  const { body } = turbo.connect(
    new Request(`http://localhost/turbo-stream?${query}`, { headers }),
  );
  const listeners = turbo.listeners({ topic: "room" });
  await body!.cancel();
  return listeners === 1;
}
