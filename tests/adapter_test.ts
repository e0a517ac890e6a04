/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import assert from "node:assert/strict";
import type { AdaptedReport } from "./apps/adapted_app.ts";
import { startBrowser } from "./browser.ts";
import {
  connect,
  directory,
  freePort,
  isListening,
  parseFrame,
  PROTOCOL,
  sinceOf,
  type TestClient,
  until,
  within,
} from "./kit.ts";
import { WITH_BROWSER, WITH_PROCESS } from "./kit.ts";
import { startProcess, startServer, type TestServerProcess } from "./processes.ts";
import { frame, HANDSHAKE, RawSocket, request, statusOf } from "./raw.ts";
import { bundled, HAS_RUNTIMES, pathOf, type Runtime } from "./runtimes.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";

const MiB = 1024 * 1024;

let app: Promise<string> | undefined;

/** Starts the app. Its program and data are in a folder that the test makes. */
async function start(
  runtime: Runtime,
  { path }: { readonly path: string },
  { options = {}, port = 0, how = "" }: { options?: object; port?: number; how?: string } = {},
): Promise<TestServerProcess> {
  const program = `${path}/app.mjs`;
  await Deno.writeTextFile(program, await (app ??= bundled(`import "./apps/adapted_app.ts";`)));
  const args = [path, String(port), JSON.stringify(options), how];
  return await startServer(program, args, { runtime: [await pathOf(runtime)] });
}

async function post(app: TestServerProcess, path: string, body = ""): Promise<string> {
  return await (await fetch(app.url + path, { method: "POST", body })).text();
}

async function reportOf(app: TestServerProcess): Promise<AdaptedReport> {
  return await (await fetch(`${app.url}/report`)).json();
}

async function untilReport(
  app: TestServerProcess,
  expected: Partial<AdaptedReport>,
  what: string,
): Promise<void> {
  await until(async () => {
    const report = await reportOf(app);
    return Object.entries(expected).every(([name, value]) => report[name as "size"] === value);
  }, what);
}

async function cursorOf(app: TestServerProcess): Promise<string> {
  const { headers, body } = await fetch(`${app.url}/`);
  await body?.cancel();
  return headers.get("Turbo-Cursor")!;
}

async function follow(app: TestServerProcess, cursor: string): Promise<TestClient> {
  const path = `/turbo-stream?since=${cursor}`;
  const client = await connect(app.url, { path, protocol: PROTOCOL });
  assert.deepEqual(parseFrame(await client.next()), [{ cursor, html: "" }]);
  return client;
}

/** The items of the next message. */
async function itemsOf(client: TestClient): Promise<string[]> {
  return [...(await client.next()).matchAll(/<li>(.*?)<\/li>/g)].map(([, text]) => text!);
}

/** The programs in the page about the adapters. */
const PROGRAMS = [
  ...Deno.readTextFileSync(new URL("../docs/node-and-bun.md", import.meta.url))
    .matchAll(/^```ts ignore\n([^]*?)^```$/gm),
].map(([, program]) => program!);

/** The errors of the app, except that it has found no state. */
function troubleOf({ errors }: TestServerProcess): string {
  return errors.replace(/^No state in .*\n/, "");
}

for (const runtime of ["node", "bun"] as const) {
  const named = { node: "adaptNode()", bun: "adaptBun()" }[runtime];
  const ignore = WITH_PROCESS.ignore || !HAS_RUNTIMES;

  Deno.test(
    `${named} delivers pushes to WebSockets, and what a page has missed`,
    { ignore },
    async () => {
      using at = directory();
      await using app = await start(runtime, at);
      const cursor = await cursorOf(app);
      await using plain = await connect(app.url);
      await using client = await follow(app, cursor);
      assert.equal(client.socket.protocol, PROTOCOL);
      assert.equal(await post(app, "/items", "milk"), "2");
      assert.deepEqual([await itemsOf(client), await itemsOf(plain)], [["milk"], ["milk"]]);
      await client[Symbol.asyncDispose]();
      await plain[Symbol.asyncDispose]();
      await untilReport(app, { size: 0, zombies: 0 }, "both are gone");
      await post(app, "/items", "bread");
      await post(app, "/items", "salt");
      await using again = await follow(app, cursor);
      assert.deepEqual(await itemsOf(again), ["milk", "bread", "salt"]);
      assert.equal(troubleOf(app), "");
    },
  );

  Deno.test(`${named} serves the inspector, which is live`, { ignore }, async () => {
    using at = directory();
    await using app = await start(runtime, at, { how: "inspected" });
    const get = (headers: Record<string, string>) =>
      fetch(`${app.url}/inspector`, { headers: { Connection: "keep-alive", ...headers } });
    const refused = await get({ "X-Forwarded-For": "203.0.113.9" });
    await refused.body?.cancel();
    assert.equal(refused.status, 403);
    const page = await (await get({})).text();
    assert.match(page, /Last pushes/);
    const [, cursor, token] = /content="(\S+)" data-stream="\/inspector\/stream" data-token="(\S+)"/
      .exec(page)!;
    await using client = await connect(app.url, { path: "/inspector/stream", protocol: PROTOCOL });
    client.socket.send(sinceOf({ cursor: cursor!, token, page: "inspector" }));
    await post(app, "/items", "milk");
    await until(() => client.messages.join("").includes("push-1"), "it is told of the push");
    assert.equal(troubleOf(app), "");
  });

  Deno.test(
    `${named} needs the context in a route that connects, and says so`,
    { ignore },
    async () => {
      using at = directory();
      await using app = await start(runtime, at, { how: "plain" });
      await using client = await follow(app, await cursorOf(app));
      await post(app, "/items", "milk");
      assert.deepEqual(await itemsOf(client), ["milk"]);
      assert.equal(await statusOf(app.port, request("GET /bare-request HTTP/1.1", HANDSHAKE)), 400);
      assert.match(troubleOf(app), /^Cannot open a connection: .*turbo\.connect\(c\)/);
    },
  );

  Deno.test(
    `${named} answers with the sub-protocol at any place among others`,
    { ignore },
    async () => {
      using at = directory();
      await using app = await start(runtime, at);
      const answerTo = async (offered: string) => {
        await using socket = await RawSocket.open(app.port);
        const headers = { ...HANDSHAKE, "Sec-WebSocket-Protocol": offered };
        await socket.write(request("GET /turbo-stream HTTP/1.1", headers));
        const { status, headers: answered } = await socket.answer();
        return [status, answered.get("sec-websocket-protocol")];
      };
      assert.deepEqual(await answerTo(`another, ${PROTOCOL}`), [101, PROTOCOL]);
      // By default Bun answers with the first of them.
      const first = runtime === "bun" ? "another" : undefined;
      assert.deepEqual(await answerTo("another"), [101, first]);
    },
  );

  Deno.test(
    `${named} answers event streams and rejections as on Deno`,
    { ignore },
    async () => {
      using at = directory();
      await using app = await start(runtime, at);
      const cursor = await cursorOf(app);
      await post(app, "/items", "milk");
      const stream = new AbortController();
      const { body, status } = await fetch(`${app.url}/turbo-stream`, {
        headers: { Accept: "text/event-stream", "Last-Event-ID": cursor },
        signal: stream.signal,
      });
      assert.equal(status, 200);
      const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
      const read = async (text: string) => {
        for (let seen = ""; !seen.includes(text);) {
          const { value, done } = await within(reader.read(), `an event with ${text}`);
          assert(!done, `${text} did not come`);
          seen += value;
        }
      };
      await read("<li>milk</li>");
      await post(app, "/items", "bread");
      await read("<li>bread</li>");
      stream.abort();
      await reader.closed.catch(() => {});
      await untilReport(app, { size: 0 }, "the reader is gone");

      const ask = (headers: Record<string, string | undefined>) =>
        statusOf(app.port, request("GET /turbo-stream HTTP/1.1", { ...HANDSHAKE, ...headers }));
      assert.equal(await ask({ "Origin": "https://evil.example" }), 403);
      assert.equal(await ask({ "Sec-WebSocket-Version": "8" }), 426);
      assert.equal(await ask({ "Sec-WebSocket-Key": "x" }), 400);
      assert.equal(await ask({ "Upgrade": "h2c" }), 426);
      assert([101, 400].includes(await ask({ "Upgrade": "websocket, foo" })));
      assert.equal(await ask({ "Upgrade": undefined, "Connection": "close" }), 426);
      assert.match(troubleOf(app), /^Refused a page of the origin "https:\/\/evil.example".*\n$/);
    },
  );

  Deno.test(`${named} pings a silent connection, and ends one that does not answer`, {
    ignore,
  }, async () => {
    using at = directory();
    await using app = await start(runtime, at, { options: { idleTimeout: 1_000 } });
    await using quiet = await follow(app, await cursorOf(app)); // answers pings by itself
    await using dead = await RawSocket.upgrade(app.port);
    assert.equal((await dead.frame())?.opcode, 9);
    assert.equal(await within(dead.closeCode(), "its end"), 1006);
    await untilReport(app, { size: 1, zombies: 0 }, "one has ended");
    await using another = await RawSocket.upgrade(app.port);
    assert.equal(await within(another.closeCode(), "its end"), 1006); // the quiet one was pinged too
    await untilReport(app, { size: 1, zombies: 0 }, "the other has ended");
    assert.equal(await post(app, "/items", "milk"), "1");
    assert.deepEqual(await itemsOf(quiet), ["milk"]);
  });

  Deno.test(
    `${named} lets Turbo drop a reader that takes nothing, and only that one`,
    { ignore },
    async () => {
      using at = directory();
      const options = { dropAfter: 500, log: { maxBytes: 64 * MiB } };
      await using app = await start(runtime, at, { options });
      const cursor = await cursorOf(app);
      await using other = await follow(app, cursor);
      await using stuck = await RawSocket.upgrade(app.port, `/turbo-stream?since=${cursor}`, {
        "Sec-WebSocket-Protocol": PROTOCOL,
      });
      const last = await post(app, "/fill?count=300");
      await untilReport(app, { size: 1, zombies: 1 }, "it is dropped");
      while (parseFrame(await other.next()).at(-1)?.cursor !== last);
      await stuck[Symbol.asyncDispose]();
      await untilReport(app, { size: 1, zombies: 0, buffered: 0 }, "nothing is left of it");
    },
  );

  Deno.test(`${named} ends a client that sends pings and takes no pongs`, { ignore }, async () => {
    using at = directory();
    await using app = await start(runtime, at);
    await using socket = await RawSocket.upgrade(app.port);
    const ping = frame("x".repeat(125), { opcode: 9 });
    const pings = new Uint8Array(1_000 * ping.length);
    for (let n = 0; n < 1_000; n++) pings.set(ping, n * ping.length);
    let sent = 0;
    while (sent < 400 && await socket.write(pings)) sent++;
    assert(sent < 400, "it is still there");
    await untilReport(app, { size: 0, zombies: 0, buffered: 0 }, "nothing is left of it");
  });

  Deno.test(`${named} loses nothing with high limits of buffered bytes`, { ignore }, async () => {
    using at = directory();
    const options = { behindAfter: 64 * MiB, maxBuffered: 64 * MiB, log: { maxBytes: 64 * MiB } };
    await using app = await start(runtime, at, { options });
    await using slow = await RawSocket.upgrade(app.port);
    const cursor = await post(app, "/fill?count=400");
    await until(async () => (await reportOf(app)).buffered > 4 * MiB, "many bytes wait");
    await post(app, "/items", "last");
    let [pushes, rest] = [0, ""];
    while (!rest.includes("last")) {
      const chunk = await slow.take();
      assert(chunk !== undefined, `it was ended after ${pushes} pushes`);
      const parts = (rest + chunk).split("</p>");
      pushes += parts.length - 1;
      rest = parts.at(-1)!.slice(-100);
    }
    assert.equal(pushes, 400, cursor);
  });

  Deno.test(
    `${named} closes a connection after an invalid message, and the process survives broken clients`,
    {
      ignore,
    },
    async () => {
      using at = directory();
      await using app = await start(runtime, at);
      const cases: [data: Uint8Array<ArrayBuffer>, codes: number[]][] = [
        [frame("x".repeat(4_097)), [1009]],
        [frame("€".repeat(1_366)), [1009]],
        [frame(new Uint8Array(8), { opcode: 2 }), [1003]],
        [frame("hello"), [1008]],
        [frame("x", { reserved: 4 }), [1002, 1006]],
        [frame("x", { mask: false }), [1002, 1006]],
        [frame(new Uint8Array([0xff]), { opcode: 1 }), [1007, 1006]],
        [frame("x", { opcode: 3 }), [1002, 1006]],
        [new Uint8Array([0x81, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0]), [1009, 1006]],
      ];
      for (const [data, codes] of cases) {
        await using socket = await RawSocket.upgrade(app.port, "/turbo-stream", {
          "Sec-WebSocket-Protocol": PROTOCOL,
        });
        await socket.write(data);
        const code = await socket.closeCode();
        assert(codes.includes(code), `${data.subarray(0, 12)}: ${code}, not ${codes}`);
      }
      for (let n = 0; n < 50; n++) { // ended before it opens
        await using socket = await RawSocket.open(app.port);
        await socket.write(request("GET /turbo-stream HTTP/1.1", HANDSHAKE));
      }
      await untilReport(app, { size: 0, zombies: 0, buffered: 0 }, "nothing is left of them");
      await using client = await follow(app, await cursorOf(app));
      await post(app, "/items", "milk");
      assert.deepEqual(await itemsOf(client), ["milk"]);
      assert.equal(troubleOf(app), "");
    },
  );

  Deno.test(`${named} keeps no process alive after Turbo.close()`, { ignore }, async () => {
    using at = directory();
    await using app = await start(runtime, at);
    await using client = await follow(app, await cursorOf(app));
    await using plain = await connect(app.url);
    app.child.kill("SIGTERM");
    for (const { closed } of [client, plain]) {
      const { code, reason } = await within(closed, "the close");
      assert.deepEqual([code, reason], [1012, "The server is restarting"]);
    }
    assert.equal(await within(app.ended, "the app to end"), 0);
    assert.equal(troubleOf(app), "");
    assert.deepEqual(at.files(), ["app.mjs", "state"]);
  });

  Deno.test(`Without ${named} Turbo names it, and pages use server-sent events`, {
    ignore,
  }, async () => {
    using at = directory();
    await using app = await start(runtime, at, { how: "bare" });
    assert.equal(await statusOf(app.port, request("GET /turbo-stream HTTP/1.1", HANDSHAKE)), 400);
    assert.match(troubleOf(app), /option upgrade .* adaptNode\(\) or adaptBun\(\)/);
    const { status, body } = await fetch(`${app.url}/turbo-stream`, {
      headers: { Accept: "text/event-stream" },
    });
    assert.equal(status, 200);
    await body?.cancel();
  });

  Deno.test(`The program of docs/node-and-bun.md for ${named} runs`, { ignore }, async () => {
    const program = PROGRAMS.find((program) => program.includes(named.slice(0, -2)));
    assert(program);
    using at = directory();
    const path = `${at.path}/clock.mjs`;
    const port = freePort();
    await Deno.writeTextFile(path, await bundled(program.replace("8000", String(port))));
    await using clock = startProcess(path, [], { runtime: [await pathOf(runtime)] });
    await until(() => isListening(port), "it listens");
    await using client = await connect(`http://127.0.0.1:${port}`, { protocol: PROTOCOL });
    while (!(await client.next()).includes('target=\\"clock\\"'));
    clock.child.kill("SIGTERM");
    assert.equal((await within(client.closed, "the close")).code, 1012);
    assert.equal(await within(clock.ended, "the program to end"), 0);
    assert.equal(clock.errors, "");
  });

  Deno.test(
    `A page of ${named} shows pushes, also those from while the server was away`,
    { ...WITH_BROWSER, ignore },
    async () => {
      using at = directory();
      await using apps = new AsyncDisposableStack();
      const first = apps.use(await start(runtime, at));
      await using browser = await startBrowser();
      const { page } = await browser.open(first.url);
      await page.waitForSelector(OPEN_PAGE);
      await post(first, "/items", "milk");
      await page.waitForSelector("li:text-is('milk')");
      first.child.kill("SIGTERM");
      assert.equal(await within(first.ended, "the app to end"), 0);
      await page.waitForSelector(`html:not([data-turbo-stream="open"])`);
      const second = apps.use(await start(runtime, at, { port: first.port }));
      await post(second, "/items", "bread");
      await page.waitForSelector("li:text-is('bread')");
      await page.waitForSelector(OPEN_PAGE);
      await post(second, "/items", "salt");
      await page.waitForSelector("li:text-is('salt')");
      assert.deepEqual(await page.locator("li").allTextContents(), ["milk", "bread", "salt"]);
    },
  );
}
