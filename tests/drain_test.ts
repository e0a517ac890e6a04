import assert from "node:assert/strict";
import { startChild } from "./children.ts";
import { Turbo } from "../turbo/mod.ts";
import { connect, serve, startApp, until, within } from "./kit.ts";

const ARGS = ["--hostname=127.0.0.1", "--interval=0.2"];

Deno.test("main.ts tells 200 of 200 clients over half the window on SIGTERM, and exits 0 in spite of a stopped one", async () => {
  await using app = await startApp(["--port=0", ...ARGS]);
  await using stopped = startChild("reader.ts", [app.url]);
  await stopped.line(/^open/, { from: 0 });
  stopped.process.kill("SIGSTOP");
  const clients = await Promise.all(Array.from({ length: 200 }, () => connect(app.url)));
  // A client is open a moment before the server knows it.
  await until(
    async () => (await (await fetch(`${app.url}/readyz`)).json()).connections === 201,
    "all are connected",
  );
  const begin = Date.now();
  app.child.kill("SIGTERM");
  await until(
    async () => (await fetch(`${app.url}/readyz`).then(drained)).status === 503,
    "503",
    500,
  );
  const noticed = Date.now() - begin;
  const answer = await fetch(`${app.url}/turbo-stream`, {
    headers: { Accept: "text/event-stream" },
  });
  assert.equal((await drained(answer)).status, 503);
  assert(answer.headers.has("Retry-After"));
  assert.deepEqual(await (await fetch(`${app.url}/healthz`)).text(), "ok");
  const closes = await within(
    Promise.all(clients.map(async ({ closed }) => {
      const { code } = await closed;
      return { code, at: Date.now() - begin };
    })),
    "all to be told",
  );
  assert.equal(closes.filter(({ code }) => code === 1012).length, 200);
  const spread = Math.max(...closes.map(({ at }) => at)) - Math.min(...closes.map(({ at }) => at));
  assert(spread >= 2_500, `the window is 5 s, and they were closed within ${spread} ms`);
  assert(spread <= 5_500);
  const { code } = await within(app.child.status, "the app to end", 20_000);
  assert.equal(code, 0);
  console.log(
    `    503 after ${noticed} ms, closes spread over ${spread} ms, end after ${
      Date.now() - begin
    } ms`,
  );
});

Deno.test("main.ts ends within --drain in spite of a stopped client, not within a time of its own", async () => {
  await using patient = await startApp(["--port=0", ...ARGS, "--drain=60"]);
  await using hasty = await startApp(["--port=0", ...ARGS, "--drain=1"]);
  await using stopped = startChild("reader.ts", [patient.url]);
  await using alsoStopped = startChild("reader.ts", [hasty.url]);
  for (const { process, line } of [stopped, alsoStopped]) {
    await line(/^open/, { from: 0 });
    process.kill("SIGSTOP");
  }
  patient.child.kill("SIGTERM"); // first, so that it would end first if both had the same time
  await until(() => /Stopping/.test(patient.output.stdout), "it stops");
  hasty.child.kill("SIGTERM");
  const ended = await within(
    Promise.race([
      patient.child.status.then(() => "patient"),
      hasty.child.status.then(({ code }) => `hasty with ${code}`),
    ]),
    "one of them to end",
    50_000,
  );
  assert.equal(ended, "hasty with 0");
});

Deno.test("main.ts exits at once on a second signal", async () => {
  await using app = await startApp(["--port=0", ...ARGS]);
  await using stopped = startChild("reader.ts", [app.url]);
  await stopped.line(/^open/, { from: 0 });
  stopped.process.kill("SIGSTOP");
  app.child.kill("SIGTERM");
  await until(() => /Stopping/.test(app.output.stdout), "it stops");
  app.child.kill("SIGINT");
  const { code } = await within(app.child.status, "the app to end", 500);
  assert.equal(code, 0);
});

Deno.test("main.ts starts at once on the same port after kill -9, and 100 clients are current again", async () => {
  await using readers = await (async () => {
    await using app = await startApp(["--port=0", ...ARGS]);
    const readers = startChild("reader.ts", [app.url, "100"]);
    const marked = () => readers.lines.filter((line) => line.endsWith(" mark")).length;
    await until(() => marked() === 100, "all know where they are");
    app.child.kill("SIGKILL");
    await within(app.child.status, "the app to end");
    return Object.assign(readers, { port: new URL(app.url).port });
  })();
  const told = readers.lines.length;
  const begin = Date.now();
  await using _app = await startApp([`--port=${readers.port}`, ...ARGS]);
  const started = Date.now() - begin;
  // What they had is of another life of the log, and cannot be told from anything missed.
  const count = (text: string) =>
    readers.lines.slice(told).filter((line) => line.endsWith(text)).length;
  await until(() => count(" refresh") === 100, "each is made to fetch the page anew");
  console.log(`    up after ${started} ms, all told after ${Date.now() - begin} ms`);
});

Deno.test("Turbo.close() tells one that was being upgraded", async () => {
  const turbo = new Turbo();
  let closing: Promise<void> | undefined;
  await using server = serve((request) => {
    const response = turbo.connect(request);
    closing = turbo.close({ deadline: 2_000 });
    return response;
  });
  await using client = await connect(server.url);
  assert.equal((await within(client.closed, "it to be told", 1_000)).code, 1001);
  await closing;
  assert.equal(turbo.size, 0);
});

async function drained(response: Response): Promise<Response> {
  await response.body?.cancel();
  return response;
}
