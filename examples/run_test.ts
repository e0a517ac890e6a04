import assert from "node:assert/strict";
import { until, WITH_PROCESS } from "../tests/kit.ts";
import { startProcess } from "../tests/processes.ts";

// What `deno run --allow-net=0.0.0.0:8000 examples/….ts` may do, but on a free port.
const OPTIONS = {
  flags: ["--no-prompt", "--allow-net=127.0.0.1"],
  env: { DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0" },
};

for (const name of ["todos", "chat", "progress", "flash"]) {
  Deno.test(
    `examples/${name}.ts runs with the permission to serve alone`,
    WITH_PROCESS,
    async () => {
      await using example = startProcess(`../examples/${name}.ts`, [], OPTIONS);
      const listening = /Listening on (http:\S+)/; // Deno writes it to standard error
      await until(() => listening.test(example.errors), "the example listens");
      const response = await fetch(listening.exec(example.errors)![1]!);
      assert.equal(response.status, 200);
      assert.match(await response.text(), /<meta name="turbo-cursor"/);
    },
  );

  Deno.test(`examples/${name}.ts does nothing when it is imported`, async () => {
    const { createApp } = await import(new URL(`${name}.ts`, import.meta.url).href);
    assert.equal(createApp().turbo.size, 0); // the sanitizers see timers and listeners
  });
}
