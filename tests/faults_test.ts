import assert from "node:assert/strict";
import { connect, pause, PROTOCOL, sinceOf, until, WITH_PROCESS, within } from "./kit.ts";
import { CAN_MAKE_NETWORKS, makeNetwork } from "./network.ts";
import { startApp, startProcess, startServer } from "./processes.ts";
import { RawSocket } from "./raw.ts";

const FAULTY_APP = "apps/faulty_app.ts";

/** What is made to throw, and what triggers it. */
const FAULTS: readonly [on: string, act: (url: string) => Promise<unknown>][] = [
  ["tick", () => Promise.resolve()],
  ["render", (url) => get(`${url}/`, 500)],
  ["content", (url) => get(`${url}/push`, 500)],
  ["upgrade", (url) => assert.rejects(connect(url))],
  ["change", (url) => openAndClose(url)], // onopen
  ["rejection", (url) => openAndClose(url, "/bare")],
  ["send", (url) => isClosed(url, "?page=poison-send", PROTOCOL)],
  ["buffered", (url) => isClosed(url, "?page=poison-buffered")],
];

for (const [on, act] of FAULTS) {
  Deno.test(
    `the app lives on when ${on} throws, says so once, and others get their ticks`,
    WITH_PROCESS,
    async () => {
      await using app = await startServer(FAULTY_APP);
      const { url } = app;
      await using reader = await connect(url);
      await reader.next();
      await get(`${url}/fault?on=${on}`, 200);
      await act(url);
      const mentions = () => app.errors.split(`injected on ${on}`).length - 1;
      await until(() => mentions() > 0, "it is logged");
      await goesOn(reader, url);
      assert.equal(mentions(), 1, app.errors);
      assert.doesNotMatch(app.errors, /Uncaught|unhandled/i);
    },
  );
}

for (const moment of ["close", "message"]) {
  Deno.test(`The app continues when onChange throws on ${moment}`, WITH_PROCESS, async () => {
    await using app = await startServer(FAULTY_APP);
    const { url } = app;
    await using reader = await connect(url);
    await using other = await connect(url, { protocol: PROTOCOL });
    await other.next();
    await get(`${url}/fault?on=change`, 200);
    if (moment === "close") other.socket.close();
    else other.socket.send(sinceOf({ cursor: "a.1" }));
    await until(() => /injected on change/.test(app.errors), "it is logged");
    await goesOn(reader, url, moment === "close" ? 1 : 2);
  });
}

Deno.test(
  "The app continues when a socket reports an error, and removes the connection",
  WITH_PROCESS,
  async () => {
    await using app = await startServer(FAULTY_APP);
    const { url } = app;
    await using reader = await connect(url);
    await using _bad = await connect(url, { path: "/turbo-stream?page=poison-error" });
    await until(async () => await connections(url) === 1, "it is out");
    await goesOn(reader, url);
    assert.equal(app.errors, "");
  },
);

Deno.test("The app continues when onError itself throws", WITH_PROCESS, async () => {
  await using app = await startServer(FAULTY_APP);
  const { url } = app;
  await using reader = await connect(url);
  {
    await using _other = await connect(url);
    await until(async () => await connections(url) === 2, "both are in");
    await get(`${url}/fault?on=report`, 200);
    await get(`${url}/fault?on=change`, 200);
  }
  await until(() => /injected on report/.test(app.errors), "it is logged");
  await goesOn(reader, url);
});

Deno.test(
  "Turbo.push() throws for a wrong stream, and readers get their ticks",
  WITH_PROCESS,
  async () => {
    await using app = await startServer(FAULTY_APP);
    const { url } = app;
    await using reader = await connect(url);
    await get(`${url}/push-no-stream`, 500);
    await goesOn(reader, url);
  },
);

Deno.test(
  "main.ts reports once that no file descriptors are left, keeps its readers, and serves again",
  WITH_PROCESS,
  async () => {
    const command = ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"];
    const args = ["--port=0", "--hostname=127.0.0.1", "--interval=0.1"];
    await using app = await startApp(args, { command });
    const { url, port } = app;
    await using reader = await connect(url);
    const sockets = (await Promise.all(
      Array.from({ length: 300 }, () => RawSocket.open(port).catch(() => undefined)),
    )).filter((socket) => socket !== undefined);
    await until(() => app.errors !== "", "it says so");
    const had = reader.messages.length;
    await until(async () => { // the app keeps retrying, so ask repeatedly
      const more = await RawSocket.open(port).catch(() => undefined);
      if (more) sockets.push(more);
      await pause(50);
      return reader.messages.length >= had + 20;
    }, "the reader gets its ticks");
    await Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]()));
    await until(
      async () => {
        try {
          return (await fetch(`${url}/healthz`).then(read)).ok;
        } catch (error) {
          if (error instanceof TypeError) return false; // still refused
          throw error;
        }
      },
      "it serves again",
    );
    await goesOn(reader, url);
    const { level } = await app.event(
      /^Cannot accept connections, trying again: .*Too many open files/,
    );
    assert.equal(level, "warn");
    assert.equal(app.errors.split("Cannot accept").length - 1, 1);
  },
);

Deno.test(
  "The app continues and reports when a timer and a callback fail and no file descriptor is left",
  WITH_PROCESS,
  async () => {
    const command = ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"];
    await using app = await startServer(FAULTY_APP, [], { command });
    const { url } = app;
    await using reader = await connect(url);
    await using bare = await connect(url, { path: "/bare", protocol: PROTOCOL });
    await get(`${url}/fill`, 200);
    await until(() => app.errors.includes("full: "), "no descriptor is left");
    // Existing connections can still trigger a fault.
    for (const on of ["tick", "rejection"]) await get(`${url}/fault?on=${on}`, 200);
    bare.socket.send("no since"); // so it is closed, and onChange called
    await until(() => app.errors.includes("injected on tick"), "the timer has failed");
    await until(() => app.errors.includes("injected on rejection"), "the callback has failed");
    const had = reader.messages.length;
    await until(() => reader.messages.length >= had + 3, "the reader gets its ticks");
  },
);

Deno.test({
  name: "Turbo drops a half-open connection after its idle time, and counts it once",
  ignore: !CAN_MAKE_NETWORKS,
  async fn() {
    await using network = await makeNetwork();
    const idleTimeout = 2_000;
    await using app = await startServer(FAULTY_APP, [network.address, String(idleTimeout)]);
    const { url } = app;
    await using reader = await connect(url);
    await using client = startProcess("reader.ts", [url], {
      command: network.command,
    });
    await client.line(/^open/, { from: 0 });
    await until(async () => await connections(url) === 2, "both are in");
    const begin = performance.now();
    await network.cut();
    await until(async () => await connections(url) === 1, "it is out");
    const milliseconds = performance.now() - begin;
    // The last pong came at most half an idle time before.
    assert(milliseconds >= idleTimeout / 2, `out after ${milliseconds} ms`);
    await goesOn(reader, url);
    assert.equal(await connections(url), 1, "a second close event does not count");
  },
});

/** The reader is still sent pushes, and new connections are accepted. */
async function goesOn(
  reader: { messages: string[] },
  url: string,
  count = 1,
): Promise<void> {
  const had = reader.messages.length;
  await until(() => reader.messages.length >= had + 3, "the reader gets its ticks");
  await until(async () => await connections(url) === count, `${count} are connected`);
  await openAndClose(url);
  await get(`${url}/`, 200);
}

async function openAndClose(url: string, path = "/turbo-stream"): Promise<void> {
  await using _client = await connect(url, { path });
}

/** Opens a connection and waits until the server has closed it. */
async function isClosed(url: string, query: string, protocol?: string): Promise<void> {
  const path = `/turbo-stream${query}`;
  await using client = await connect(url, { path, ...(protocol !== undefined && { protocol }) });
  await within(client.closed, "the server to close");
}

async function connections(url: string): Promise<number> {
  return (await (await fetch(`${url}/readyz`)).json()).connections;
}

async function get(url: string, status: number): Promise<void> {
  assert.equal((await fetch(url).then(read)).status, status, url);
}

async function read(response: Response): Promise<Response> {
  await response.body?.cancel();
  return response;
}
