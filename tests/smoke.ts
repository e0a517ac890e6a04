/**
 * Starts the executable that `deno task compile` has made, and sees that it works: `deno task smoke`. Another
 * command may be given that starts the app.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect, freePort, parseFrame, PROTOCOL, until, within } from "./kit.ts";
import { outputOf, startCommand } from "./processes.ts";

const MADE = `${import.meta.dirname}/../dist/turbo-deno${
  Deno.build.os === "windows" ? ".exe" : ""
}`;

/** Sees that the command shows its version, serves a page and a stream, knows its health, and ends. */
export async function smoke(command: readonly string[] = [MADE]): Promise<void> {
  const version = await outputOf([...command, "--version"]);
  assert.match(version, /^turbo-deno \d/);
  const address = ["--hostname=127.0.0.1", `--port=${freePort()}`];
  await using app = startCommand([...command, ...address, "--interval=0.2"]);
  const [, url] = /^Listening on (http:\S+)\/$/.exec(await app.line(/^Listening/, { from: 0 }))!;
  const page = await fetch(`${url}/`);
  assert.match(await page.text(), /<div id="load"/);
  {
    const path = `/turbo-stream?since=${page.headers.get("Turbo-Cursor")}`;
    await using client = await connect(url!, { path, protocol: PROTOCOL });
    await until(
      () => client.messages.some((message) => parseFrame(message).some(({ html }) => html !== "")),
      "the load is pushed",
    );
  }
  await outputOf([...command, ...address, "--healthcheck"]); // throws where it exits with 1
  app.child.kill("SIGTERM");
  const code = await within(app.ended, "the app to end");
  if (Deno.build.os !== "windows") assert.equal(code, 0, app.errors); // a signal ends a process there
  console.log(`${version} serves its page and its stream on ${Deno.build.target}`);
}

if (import.meta.main) await smoke(Deno.args.length > 0 ? Deno.args : undefined);
