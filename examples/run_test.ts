import assert from "node:assert/strict";
import { within } from "../tests/kit.ts";

// What `deno run --allow-net=0.0.0.0:8000 examples/….ts` may do, but on a free port.
const FLAGS = ["run", "--no-prompt", "--allow-net=127.0.0.1"];

for (const name of ["todos", "chat", "progress", "flash"]) {
  Deno.test(`examples/${name}.ts runs with the permission to serve alone`, async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [...FLAGS, new URL(`${name}.ts`, import.meta.url).pathname],
      env: { NO_COLOR: "1", DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0" },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let output = "";
    const read = async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stderr) {
        output += decoder.decode(chunk);
        const [, url] = /Listening on (http:\S+)/.exec(output) ?? [];
        if (url !== undefined) return url;
      }
      throw new Error(`It ended: ${output}`);
    };
    try {
      const response = await fetch(await within(read(), "the example to listen", 30_000));
      assert.equal(response.status, 200);
      assert.match(await response.text(), /<meta name="turbo-cursor"/);
    } finally {
      child.kill("SIGKILL");
      await within(child.status, "the example to end");
    }
  });

  Deno.test(`examples/${name}.ts does nothing when it is imported`, async () => {
    const { createApp } = await import(new URL(`${name}.ts`, import.meta.url).href);
    assert.equal(createApp().turbo.size, 0); // the sanitizers see timers and listeners
  });
}
