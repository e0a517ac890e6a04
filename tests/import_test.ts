import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { WITH_PROCESS, within } from "./kit.ts";

const TURBO = fileURLToPath(new URL("../turbo", import.meta.url));

const PROGRAM = `
import { Hono } from "hono";
import { append, html, Turbo, turboForms } from "./turbo/mod.ts";
import { connected } from "./turbo/testing.ts";

const turbo = new Turbo();
const app = new Hono();
app.get("/turbo-stream", (c) => turbo.connect(c.req.raw, { as: "ann" }));
app.use(turboForms());
app.get("/assets/*", (c) => turbo.asset(c.req.raw) ?? c.notFound());
app.get("/", (c) => c.html(html\`<head>\${turbo.head({ topics: ["room"] })}</head>\`));

const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app.fetch);
const url = "127.0.0.1:" + server.addr.port;
const page = await (await fetch("http://" + url)).text();
for (const [, src] of page.matchAll(/src="([^"]+)"/g)) {
  console.log((await fetch("http://" + url + src)).status);
}
const socket = new WebSocket("ws://" + url + "/turbo-stream");
socket.onmessage = ({ data }) => {
  console.log(data);
  Deno.exit(0);
};
await connected(turbo, { name: "ann" });
console.log(turbo.push(append("list", "milk"), { to: "ann" }));
`;

Deno.test(
  "./turbo works in another directory without the rest of the project",
  WITH_PROCESS,
  async () => {
    const directory = await Deno.makeTempDir();
    try {
      const imports = { hono: config.imports.hono };
      await Deno.mkdir(`${directory}/turbo`);
      for await (const { name, isFile } of Deno.readDir(TURBO)) {
        if (!isFile || name.endsWith("_test.ts")) continue;
        await Deno.copyFile(`${TURBO}/${name}`, `${directory}/turbo/${name}`);
      }
      await Deno.writeTextFile(`${directory}/deno.json`, JSON.stringify({ imports }));
      await Deno.writeTextFile(`${directory}/program.ts`, PROGRAM);
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--no-lock", "--check", "--allow-net=127.0.0.1", "program.ts"],
        cwd: directory,
        stdout: "piped",
        stderr: "piped",
      });
      const { code, stdout, stderr } = await within(child.output(), "the program");
      const [output, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert.equal(code, 0, errors);
      assert.deepEqual(output!.trim().split("\n"), [
        "200",
        "200",
        "1",
        '<turbo-stream action="append" target="list"><template>milk</template></turbo-stream>',
      ]);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);

for (const [name, path] of Object.entries(config.exports)) {
  Deno.test(`deno.json exports ${name}`, async () => {
    assert(
      Object.keys(await import(new URL(path, new URL("../", import.meta.url)).href)).length > 0,
    );
  });
}
