import assert from "node:assert/strict";
import { acceptsStream, connectionId, remove, requestedFrame, streamResponse } from "./mod.ts";
import { hasValidHost, isAllowedHost, isSecure } from "./request.ts";

const STREAM = "text/vnd.turbo-stream.html";

const matrix: [accept: string | undefined, streams: boolean][] = [
  [undefined, false],
  ["", false],
  ["*/*", false],
  ["text/*", false],
  ["text/html", false],
  ["text/html, */*", false],
  ["text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", false],
  [STREAM, true],
  [STREAM.toUpperCase(), true],
  [`${STREAM}, text/html, application/xhtml+xml`, true],
  [`text/html, application/xhtml+xml, ${STREAM}`, true],
  [`text/html,${STREAM}`, true],
  [`${STREAM};charset=utf-8`, true],
  [`${STREAM} ; q=0.5`, true],
  [`${STREAM};q=0.001`, true],
  [`${STREAM};Q=1.000`, true],
  [`${STREAM};q=0`, false],
  [`${STREAM};q=0.000, */*`, false],
  [`${STREAM};q=0.5, text/html`, false],
  [`${STREAM};q=0.5, text/html;q=0.4`, true],
  [`${STREAM};q=0.5, text/html;q=0.5`, true],
  [`${STREAM};q=0.5, */*`, true],
  [`${STREAM};q=often`, false],
  [`${STREAM};q=-1`, false],
  [`${STREAM};q=2`, false],
  [`${STREAM}x`, false],
  [`x${STREAM}`, false],
  [`text/html;x=${STREAM}`, false],
];

for (const [accept, streams] of matrix) {
  Deno.test(`acceptsStream() says ${streams} to Accept: ${accept ?? "(none)"}`, () => {
    const headers = new Headers();
    if (accept !== undefined) headers.set("Accept", accept);
    assert.equal(acceptsStream(new Request("http://localhost", { headers })), streams);
  });
}

Deno.test("requestedFrame() names the frame, and none for a blank header", () => {
  const request = (headers: HeadersInit) => new Request("http://localhost", { headers });
  assert.equal(requestedFrame(request({ "Turbo-Frame": "foo" })), "foo");
  assert.equal(requestedFrame(request({ "Turbo-Frame": "" })), undefined);
  assert.equal(requestedFrame(request({})), undefined);
});

Deno.test("connectionId() takes no text that is no id", () => {
  const request = (id: string) =>
    new Request("http://localhost", { headers: { "Turbo-Connection": id } });
  assert.equal(connectionId(request("a-b_1")), "a-b_1");
  for (const id of ["", "a b", "<b>", "a".repeat(65)]) {
    assert.equal(connectionId(request(id)), undefined);
  }
});

Deno.test("streamResponse() has the type, the status, Vary and the cursor", async () => {
  const response = streamResponse([remove("a"), remove("b")], {
    status: 422,
    cursor: "epoch.1",
    headers: { Vary: "Cookie", "X-Own": "1" },
  });
  assert.equal(response.status, 422);
  assert.equal(response.headers.get("Content-Type"), `${STREAM}; charset=utf-8`);
  assert.equal(response.headers.get("Vary"), "Cookie, Accept");
  assert.equal(response.headers.get("Turbo-Cursor"), "epoch.1");
  assert.equal(response.headers.get("X-Own"), "1");
  assert.equal(await response.text(), remove("a") + remove("b"));
  assert.equal(streamResponse(remove("a")).status, 200);
});

Deno.test("hasValidHost() takes a host and a port, and what it remembers changes nothing", () => {
  const isValid = (host: string) =>
    hasValidHost(new Request("http://localhost", { headers: { host } }));
  for (let i = 0; i < 2; i++) {
    for (const host of ["example.com:8000", "[::1]:80"]) assert(isValid(host) && isValid(host));
    for (const host of ["example.com/path", "256.256.256.256"]) {
      assert(!isValid(host), host);
      assert(!isValid(host), `${host} again`);
    }
  }
  assert(hasValidHost(new Request("http://localhost")));
});

Deno.test("streamResponse() names an option that is misspelt, and a status without a body", () => {
  const answer = (init: unknown) => () => streamResponse(remove("a"), init as never);
  assert.throws(answer(422), { // as c.html() takes it
    name: "TypeError",
    message: "Cannot take 422 for streamResponse(): an object of options is needed",
  });
  assert.throws(answer({ curser: "e.1" }), {
    message:
      'streamResponse() has no option "curser": there are cursor, status, statusText, headers',
  });
  for (const status of [101, 204, 205, 304, 199, 600, 200.5]) {
    assert.throws(answer({ status }), {
      name: "RangeError",
      message: `Cannot take ${status} as "status" of streamResponse(): the status of an answer ` +
        "with a body, 200 to 599 without 204, 205 and 304, is needed",
    });
  }
  assert.throws(answer({ status: "422" }), TypeError);
  assert.equal(answer({ status: 599, statusText: "Own", headers: [["a", "b"]] })().status, 599);
  assert.equal(answer({ status: undefined })().status, 200);
});

Deno.test("streamResponse() throws on what is no stream, and a promise that rejects ends nothing", async () => {
  const fail = async () => {
    await Promise.resolve();
    throw new Error("the database is down");
  };
  const promise = { name: "TypeError", message: "Cannot answer with a promise: await it first" };
  assert.throws(() => streamResponse(fail() as never), promise);
  assert.throws(() => streamResponse(fail() as never, { cursor: "a b" }), promise);
  assert.throws(() => streamResponse(undefined as never), {
    name: "TypeError",
    message: /^Cannot answer with undefined: one <turbo-stream> element .* is needed$/,
  });
  await new Promise((resolve) => setTimeout(resolve)); // a rejection nobody handles fails the test
});

Deno.test("isAllowedHost() goes by the URL where there is no Host", () => {
  const request = new Request("http://load.example:8000/");
  assert(isAllowedHost(request, ["load.example"]));
  assert(!isAllowedHost(request, ["evil.example"]));
});

/** What a proxy says, the scheme of the request itself, and whether a browser sees TLS. */
const SCHEMES: readonly [forwarded: string | undefined, scheme: string, secure: boolean][] = [
  [undefined, "http", false],
  [undefined, "https", true],
  ["https", "http", true],
  ["http", "https", false],
  ["HTTPS", "http", true],
  ["https ,http", "http", true],
  ["http, https", "http", false],
  ["", "https", false],
];

Deno.test("isSecure() goes by the first proxy, and by the request where there is none", () => {
  for (const [forwarded, scheme, secure] of SCHEMES) {
    const headers = new Headers();
    if (forwarded !== undefined) headers.set("X-Forwarded-Proto", forwarded);
    const request = new Request(`${scheme}://localhost/`, { headers });
    assert.equal(isSecure(request), secure, `${forwarded} at ${scheme}`);
  }
});
