import assert from "node:assert/strict";
import { WITH_PROCESS, within } from "../tests/kit.ts";
import { startProcess } from "../tests/processes.ts";

const EXAMPLES = ["todos", "chat", "progress", "flash", "login"];
const LISTENING = /Listening on (http:\S+:(\d+)\/)/;

/** Runs an example with the permissions of `deno run --allow-net=0.0.0.0:8000`, on another port. */
function start(name: string, ...args: string[]) {
  const flags = ["--no-prompt", "--allow-net=0.0.0.0"];
  return startProcess(`../examples/${name}.ts`, args, { flags });
}

for (const name of EXAMPLES) {
  Deno.test(
    `examples/${name}.ts serves on the port that it is given, with the permission for it alone`,
    WITH_PROCESS,
    async () => {
      await using example = start(name, "--port", "0");
      const [, url, port] = LISTENING.exec(await example.line(LISTENING, { from: 0 }))!;
      const response = await fetch(url!);
      assert.equal(response.status, 200);
      assert.match(await response.text(), /<meta name="turbo-cursor"/);
      await using taken = start(name, "--port", port!);
      await using wrong = start(name, "--port", "80O0");
      assert.equal(await within(taken.ended, "the one that finds its port taken"), 1);
      assert.equal(await within(wrong.ended, "the one with a wrong port"), 2);
      const lines = ({ errors }: typeof taken) =>
        errors.trim().split("\n").filter((line) => !line.startsWith("No secret"));
      assert.deepEqual(lines(taken), [
        `${name}: --port is "${port}": cannot listen on 0.0.0.0:${port}: the port is taken; choose another`,
      ]);
      assert.deepEqual(lines(wrong), [
        `${name}: --port is "80O0": a whole number from 0 to 65535 is needed (see --help)`,
      ]);
      example.child.kill("SIGTERM");
      assert.equal(await within(example.ended, "the example to stop"), 0);
    },
  );

  Deno.test(`examples/${name}.ts has no side effects when it is imported`, async () => {
    const { createApp } = await import(new URL(`${name}.ts`, import.meta.url).href);
    assert.equal(createApp().turbo.size, 0); // the sanitizers see timers and listeners
  });
}

Deno.test("examples/todos.ts --help shows its usage", WITH_PROCESS, async () => {
  await using example = start("todos", "--help");
  assert.equal(await within(example.ended, "the help"), 0);
  assert.equal(
    example.lines.join("\n"),
    `A list of todos that everyone sees and changes.

Usage: todos [options]

Options:
  --port N       Port to listen on; 0 takes a free one (8000)
  --help, -h     Show this text
  --version, -V  Show the version`,
  );
});
