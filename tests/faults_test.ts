import assert from "node:assert/strict";
import { startChild, type TestChild } from "./children.ts";
import { connect, pause, START_FLAGS, succeeds, until, within } from "./kit.ts";
import { RawSocket } from "./raw.ts";

/** What is made to throw, and what makes it happen. `undefined`: the answer is a 500. */
const FAULTS: readonly [on: string, act: (url: string) => Promise<unknown>][] = [
  ["tick", () => pause(0)],
  ["render", (url) => get(`${url}/`, 500)],
  ["content", (url) => get(`${url}/push`, 500)],
  ["upgrade", (url) => assert.rejects(connect(url))],
  ["change", (url) => openAndClose(url)], // onopen
  ["send", (url) => openAndClose(url, "?page=poison-send", "turbo-stream.v1")],
  ["buffered", (url) => openAndClose(url, "?page=poison-buffered")],
];

for (const [on, act] of FAULTS) {
  Deno.test(`the app lives on when ${on} throws, says so once, and others get their ticks`, async () => {
    await using app = startChild("faulty_app.ts");
    const url = await urlOf(app);
    await using reader = await connect(url);
    await reader.next();
    await get(`${url}/fault?on=${on}`, 200);
    await act(url);
    const mentions = () => app.errors.split(`injected on ${on}`).length - 1;
    await until(() => mentions() > 0, "it is logged");
    await goesOn(reader, url);
    assert.equal(mentions(), 1, app.errors);
    assert.doesNotMatch(app.errors, /Uncaught|unhandled/i);
  });
}

for (const moment of ["close", "message"]) {
  Deno.test(`the app lives on when onChange throws on ${moment}`, async () => {
    await using app = startChild("faulty_app.ts");
    const url = await urlOf(app);
    await using reader = await connect(url);
    await using other = await connect(url, { protocol: "turbo-stream.v1" });
    await other.next();
    await get(`${url}/fault?on=change`, 200);
    if (moment === "close") other.socket.close();
    else other.socket.send("since a.1");
    await until(() => /injected on change/.test(app.errors), "it is logged");
    await goesOn(reader, url, moment === "close" ? 1 : 2);
  });
}

Deno.test("the app lives on when a socket reports an error, and forgets it", async () => {
  await using app = startChild("faulty_app.ts");
  const url = await urlOf(app);
  await using reader = await connect(url);
  await using _bad = await connect(url, { path: "/turbo-stream?page=poison-error" });
  await until(async () => await connections(url) === 1, "it is out");
  await goesOn(reader, url);
  assert.equal(app.errors, "");
});

Deno.test("the app lives on when onError itself throws", async () => {
  await using app = startChild("faulty_app.ts");
  const url = await urlOf(app);
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

Deno.test("Turbo.push() throws what a wrong stream deserves, and the others get their ticks", async () => {
  await using app = startChild("faulty_app.ts");
  const url = await urlOf(app);
  await using reader = await connect(url);
  await get(`${url}/push-no-stream`, 500);
  await goesOn(reader, url);
});

Deno.test("main.ts says once that it has no file descriptors left, keeps its readers, and serves again within 1 s", async () => {
  const main = "../main.ts";
  const limited = ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"];
  await using app = startChild(main, ["--port=0", "--hostname=127.0.0.1", "--interval=0.1"], {
    command: limited,
    flags: START_FLAGS,
  });
  const url = await urlOf(app);
  const port = Number(new URL(url).port);
  await using reader = await connect(url);
  const sockets = (await Promise.all(
    Array.from({ length: 300 }, () => RawSocket.open(port).catch(() => undefined)),
  )).filter((socket) => socket !== undefined);
  await until(() => app.errors !== "", "it says so");
  const had = reader.messages.length;
  for (let i = 0; i < 20; i++) { // it goes on trying, and is asked again and again
    await pause(100);
    const more = await RawSocket.open(port).catch(() => undefined);
    if (more) sockets.push(more);
  }
  assert(reader.messages.length >= had + 15, "the reader gets its ticks");
  const released = Date.now();
  await Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]()));
  await until(
    async () => {
      try {
        return (await fetch(`${url}/healthz`).then(read)).ok;
      } catch (error) {
        if (error instanceof TypeError) return false; // refused as yet
        throw error;
      }
    },
    "it serves again",
    1_000,
  );
  console.log(`    serving again ${Date.now() - released} ms after the release`);
  await goesOn(reader, url);
  assert.match(app.errors, /^Cannot accept connections, trying again: .*Too many open files/);
  assert.equal(app.errors.split("Cannot accept").length - 1, 1);
});

const canMakeNetworks = Deno.build.os === "linux" &&
  await succeeds("ip", "netns", "add", "probe") &&
  await succeeds("ip", "netns", "del", "probe");
if (!canMakeNetworks) {
  console.log("NOTICE: no network namespaces here, the test of a half-open line is skipped");
}

Deno.test({
  name: "Turbo drops a half-open line after one to 1.1 idle times, and counts it once",
  ignore: !canMakeNetworks,
  async fn() {
    await using network = await makeNetwork();
    await using app = startChild("faulty_app.ts", [network.address]);
    const url = await urlOf(app);
    await using reader = await connect(url);
    await using client = startChild("reader.ts", [url], {
      command: ["ip", "netns", "exec", network.name],
    });
    await client.line(/^open/, { from: 0 });
    await until(async () => await connections(url) === 2, "both are in");
    await run("ip", "link", "set", network.link, "down");
    const begin = Date.now();
    await until(async () => await connections(url) === 1, "it is out");
    const seconds = (Date.now() - begin) / 1000;
    console.log(`    out after ${seconds.toFixed(2)} s of an idleTimeout of 2 s`);
    assert(seconds >= 1 && seconds <= 2.2, "the last pong came at most half an idle time before");
    await goesOn(reader, url);
    await pause(500);
    assert.equal(await connections(url), 1, "a second close event does not count");
  },
});

/** A network namespace joined to this one by a cable. */
async function makeNetwork() {
  const name = `turbo${Deno.pid}`;
  const link = `tda${Deno.pid}`.slice(0, 15);
  const peer = `tdb${Deno.pid}`.slice(0, 15);
  await run("ip", "netns", "add", name);
  await run("ip", "link", "add", link, "type", "veth", "peer", "name", peer, "netns", name);
  await run("ip", "addr", "add", "10.203.77.1/30", "dev", link);
  await run("ip", "link", "set", link, "up");
  await run("ip", "-n", name, "addr", "add", "10.203.77.2/30", "dev", peer);
  await run("ip", "-n", name, "link", "set", peer, "up");
  return {
    name,
    link,
    address: "10.203.77.1",
    [Symbol.asyncDispose]: async () => {
      await run("ip", "link", "del", link);
      await run("ip", "netns", "del", name);
    },
  };
}

async function run(...command: [string, ...string[]]): Promise<void> {
  assert(await succeeds(...command), command.join(" "));
}

/** The reader is sent more, and new ones are let in. */
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

async function openAndClose(url: string, query = "", protocol?: string): Promise<void> {
  const path = `/turbo-stream${query}`;
  await using _client = await connect(url, { path, ...(protocol !== undefined && { protocol }) });
  if (query !== "") await pause(300); // a few ticks
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

async function urlOf(app: TestChild): Promise<string> {
  return /http:\S+?(?=\/?$)/.exec(await within(app.line(/^Listening/, { from: 0 }), "the app"))![0];
}
