import assert from "node:assert/strict";
import { within } from "../tests/kit.ts";
import { RawSocket, request } from "../tests/raw.ts";
import { serve, type ServeOptions } from "./serve.ts";
import { LateBodyError } from "./slow_bodies.ts";

/** Starts a server that keeps what it logs. */
function start(handler: Deno.ServeHandler, options: ServeOptions = {}) {
  const said: string[] = [];
  const server = serve(handler, {
    port: 0,
    hostname: "127.0.0.1",
    log: { log() {}, warn() {}, error: (text) => said.push(text) },
    signals: { addSignalListener() {}, removeSignalListener() {} },
    ...options,
  });
  return Object.assign(server, { said });
}

/** The answer to a request whose body is not complete. */
async function answerTo(port: number, headers: Record<string, string>, body = "") {
  await using socket = await RawSocket.open(port);
  await socket.write(request("POST / HTTP/1.1", { Host: "localhost", ...headers }, body));
  return await socket.answer();
}

const LENGTH = { "Content-Length": "5" };
const CHUNKED = { "Transfer-Encoding": "chunked" };

Deno.test("serve() answers a form whose Host is malformed by 400, and logs nothing", async () => {
  await using server = start(async (request) => new Response(await request.text()));
  for (const Host of ["localhost:99999", "a b", "[::1", "%zz"]) {
    const { status } = await answerTo(server.port, { Host, ...LENGTH }, "12345");
    assert.equal(status, 400, Host);
  }
  assert.deepEqual(server.said, []);
});

Deno.test("serve() answers a method that no Request may have by 501, and logs nothing", async () => {
  await using server = start(() => new Response());
  for (const method of ["TRACE", "track"]) {
    await using socket = await RawSocket.open(server.port);
    await socket.write(request(`${method} / HTTP/1.1`, { Host: "localhost" }));
    assert.equal((await socket.answer()).status, 501, method);
  }
  assert.deepEqual(server.said, []);
});

Deno.test("serve() answers each slow body by 408, fails its reading, and logs nothing", async () => {
  const errors: unknown[] = [];
  await using server = start(async (request) => {
    try {
      return new Response(await request.text());
    } catch (error) {
      errors.push(error);
      throw error;
    }
  }, { bodyTimeout: 50 });
  const answers = await within(
    Promise.all([
      ...Array.from({ length: 50 }, () => answerTo(server.port, LENGTH, "ab")),
      answerTo(server.port, CHUNKED, "2\r\nab\r\n"),
      answerTo(server.port, LENGTH),
    ]),
    "all answers",
  );
  for (const { status, text } of answers) {
    assert.equal(status, 408);
    assert(text.endsWith("\r\n\r\nThe body of the request is late\n"), text);
  }
  assert.equal(errors.filter((error) => error instanceof LateBodyError).length, 52);
  assert.deepEqual(server.said, []);
});

Deno.test("serve() lets a handler take its time with a complete body, and answer without one", async () => {
  await using server = start(async (request) => {
    if (request.url.endsWith("/unread")) return new Response("unread");
    const text = await request.text();
    await new Promise((resolve) => setTimeout(resolve, 600));
    return new Response(text);
  }, { bodyTimeout: 500 });
  await using socket = await RawSocket.open(server.port);
  for (const [path, expected] of [["/unread", "unread"], ["/read", "hello"]] as const) {
    await socket.write(request(`POST ${path} HTTP/1.1`, { Host: "localhost", ...LENGTH }, "hello"));
    const { status, text } = await socket.answer();
    assert.equal(status, 200);
    assert(text.endsWith(expected), text);
  }
});

Deno.test("serve() streams a body that the handler answers with, and reads forms", async () => {
  await using server = start(async (request) => {
    if (request.url.endsWith("/echo")) return new Response(request.body);
    return new Response(String((await request.formData()).get("name")));
  });
  const long = "0123456789".repeat(100_000);
  const echo = await fetch(`${server.url}echo`, { method: "POST", body: long });
  assert(await echo.text() === long);
  const form = new FormData();
  form.set("name", "Ann");
  assert.equal(await (await fetch(server.url, { method: "POST", body: form })).text(), "Ann");
});

Deno.test("serve() fails the reading of a body whose client has gone", async () => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const { promise: failed, resolve: fail } = Promise.withResolvers<unknown>();
  await using server = start(async (request) => {
    resolve();
    return new Response(await request.text().catch((error) => (fail(error), "")));
  });
  {
    await using socket = await RawSocket.open(server.port);
    await socket.write(request("POST / HTTP/1.1", { Host: "localhost", ...LENGTH }, "ab"));
    await within(asked, "the request");
  }
  assert(await within(failed, "the handler to learn it") instanceof Error);
});
