import assert from "node:assert/strict";
import { Turbo } from "../turbo/mod.ts";
import { connect, freePort, serve, until, WITH_PROCESS, within } from "./kit.ts";
import { startApp, startProcess } from "./processes.ts";

const ARGS = ["--hostname=127.0.0.1", "--interval=0.2"];

Deno.test(
  "main.ts closes 200 of 200 clients over half the window on SIGTERM, and exits 0 despite a stopped one",
  WITH_PROCESS,
  async () => {
    await using app = await startApp(["--port=0", ...ARGS]);
    await using stopped = startProcess("reader.ts", [app.url]);
    await stopped.line(/^open/, { from: 0 });
    stopped.child.kill("SIGSTOP");
    const clients = await Promise.all(Array.from({ length: 200 }, () => connect(app.url)));
    // A client opens a moment before the server does.
    await until(
      async () => (await (await fetch(`${app.url}/readyz`)).json()).connections === 201,
      "all are connected",
    );
    const closing = Promise.all(clients.map(async ({ closed }) => {
      const { code } = await closed;
      return { code, at: performance.now() };
    }));
    app.child.kill("SIGTERM");
    await until(
      async () => (await fetch(`${app.url}/readyz`).then(drained)).status === 503,
      "503",
    );
    const answer = await fetch(`${app.url}/turbo-stream`, {
      headers: { Accept: "text/event-stream" },
    });
    assert.equal((await drained(answer)).status, 503);
    assert(answer.headers.has("Retry-After"));
    assert.deepEqual(await (await fetch(`${app.url}/healthz`)).text(), "ok");
    const closes = await within(closing, "all closes");
    assert.equal(closes.filter(({ code }) => code === 1012).length, 200);
    const spread = Math.max(...closes.map(({ at }) => at)) -
      Math.min(...closes.map(({ at }) => at));
    assert(spread >= 2_500, `the window is 5 s, and they were closed within ${spread} ms`);
    assert.equal(await within(app.ended, "the app to end"), 0);
  },
);

Deno.test(
  "main.ts ends within --drain despite a stopped client",
  WITH_PROCESS,
  async () => {
    await using patient = await startApp(["--port=0", ...ARGS, "--drain=600"]);
    await using hasty = await startApp(["--port=0", ...ARGS, "--drain=1"]);
    await using stopped = startProcess("reader.ts", [patient.url]);
    await using alsoStopped = startProcess("reader.ts", [hasty.url]);
    for (const { child, line } of [stopped, alsoStopped]) {
      await line(/^open/, { from: 0 });
      child.kill("SIGSTOP");
    }
    patient.child.kill("SIGTERM"); // first, so that it would end first if both had the same deadline
    await patient.event(/^Stopping/);
    hasty.child.kill("SIGTERM");
    const ended = Promise.race([
      patient.ended.then(() => "patient"),
      hasty.ended.then((code) => `hasty with ${code}`),
    ]);
    assert.equal(await within(ended, "one of them to end"), "hasty with 0");
  },
);

Deno.test("main.ts exits at once on a second signal", WITH_PROCESS, async () => {
  await using app = await startApp(["--port=0", ...ARGS]);
  const clients = await Promise.all(Array.from({ length: 200 }, () => connect(app.url)));
  app.child.kill("SIGTERM");
  await app.event(/^Stopping/);
  app.child.kill("SIGINT");
  assert.equal(await within(app.ended, "the app to end"), 0);
  // Closing all of them takes 5 s; those that are not closed by then are cut off.
  const closes = await within(Promise.all(clients.map(({ closed }) => closed)), "all to be closed");
  const told = closes.filter(({ code }) => code === 1012).length;
  assert(told < 200, `it has told ${told} of 200 clients first`);
});

Deno.test(
  "main.ts starts at once on the same port after kill -9, and 100 clients are current again",
  WITH_PROCESS,
  async () => {
    const port = `--port=${freePort()}`;
    await using first = await startApp([port, ...ARGS]);
    await using readers = startProcess("reader.ts", [first.url, "100"]);
    const marked = () => readers.lines.filter((line) => line.endsWith(" mark")).length;
    await until(() => marked() === 100, "all know where they are");
    first.child.kill("SIGKILL");
    await within(first.ended, "the app to end");
    const told = readers.lines.length;
    await using _second = await startApp([port, ...ARGS]);
    // Their cursors are of another epoch, so the server cannot know what they missed.
    const count = (text: string) =>
      readers.lines.slice(told).filter((line) => line.endsWith(text)).length;
    await until(() => count(" refresh") === 100, "each is made to fetch the page again");
  },
);

Deno.test("Turbo.close() closes a client that was being upgraded", async () => {
  const turbo = new Turbo();
  let closing: Promise<void> | undefined;
  await using server = serve((request) => {
    const response = turbo.connect(request);
    closing = turbo.close({ deadline: 2_000 });
    return response;
  });
  await using client = await connect(server.url);
  assert.equal((await within(client.closed, "the close")).code, 1001);
  await closing;
  assert.equal(turbo.size, 0);
});

async function drained(response: Response): Promise<Response> {
  await response.body?.cancel();
  return response;
}
