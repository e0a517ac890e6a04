import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { createApp } from "../main.ts";
import { connect, serve, type TestServer, until, within } from "./kit.ts";
import { ask, RawSocket, request } from "./raw.ts";
import { unread } from "./reports.ts";
import { remove } from "./stream_texts.ts";

const SEED = 20_260_000;
const RUNS = 2_000;

const odd = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 20 }).map(latin1),
  fc.constantFrom("\0", "%00", "%", "%zz", "%ff%fe", "\\", "//", "..", ";", " ", "\t", "é"),
);
const traversal = fc.array(
  fc.constantFrom(
    "..",
    ".",
    "%2e%2e",
    "%252e%252e",
    "..%2f",
    "..%5c",
    "..\\",
    "%c0%ae%c0%ae",
    "....//",
    "//",
    "etc/passwd",
    "main.ts",
    "deno.json",
    "turbo",
    "~",
    "%00",
    ".env",
    "C:",
    "file:",
    "..;",
  ),
  { minLength: 1, maxLength: 6 },
).map((parts) => `/assets/${parts.join("/")}`);
const long = fc.constantFrom(1_000, 30_000, 300_000).map((length) => "a".repeat(length));
const path = fc.oneof(
  fc.constantFrom("/", "/page2", "/turbo-stream", "/healthz", "/readyz", "/assets/", "*", ""),
  traversal,
  fc.array(odd, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`),
  odd.map((text) => `/turbo-stream?since=${text}`),
  long.map((text) => `/${text}`),
  fc.constantFrom(
    "http://evil.example/",
    "http://[",
    "//evil.example/",
    "/?" + "&a=b".repeat(1_000),
  ),
);
const method = fc.oneof(
  { weight: 8, arbitrary: fc.constant("GET") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "HEAD",
      "POST",
      "PUT",
      "DELETE",
      "OPTIONS",
      "TRACE",
      "CONNECT",
      "PRI",
    ),
  },
  { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z!#$%&'*+.^_`|~-]{1,20}$/) },
  { weight: 1, arbitrary: odd },
);
const host = fc.oneof(
  fc.constantFrom(
    "127.0.0.1",
    "localhost:1",
    "",
    " ",
    "a b",
    "[::1",
    "[::1]",
    "a:b",
    "a:99999",
    "a/b",
    "a?b",
    "a#b",
    "@",
    "u:p@a",
    "%",
    "..",
    "\u00ff",
    "a,b",
    "xn--",
    "[v1.a]",
    "0x7f.1",
    "999.1.1.1",
    "a\\b",
  ),
  odd,
);
const field = fc.oneof(
  fc.tuple(fc.constant("X-Forwarded-For"), fc.oneof(fc.constant("1.2.3.4, ::1"), odd)),
  fc.tuple(
    fc.constant("X-Forwarded-Proto"),
    fc.oneof(fc.constantFrom("https", "http, https"), odd),
  ),
  fc.tuple(fc.constantFrom("X-Forwarded-Host", "Forwarded"), host),
  fc.tuple(
    fc.constant("Accept"),
    fc.oneof(fc.constantFrom("text/event-stream", "*/*", ";q=", "a;q=x", ",,"), odd),
  ),
  fc.tuple(
    fc.constant("Accept-Encoding"),
    fc.oneof(fc.constantFrom("br;q=0", "gzip", "br;q=x", "*"), odd),
  ),
  fc.tuple(fc.constant("If-None-Match"), fc.oneof(fc.constantFrom("*", '"', 'W/""'), odd)),
  fc.tuple(fc.constant("Last-Event-ID"), odd),
  fc.tuple(fc.constant("Origin"), host.map((text) => `http://${text}`)),
  fc.tuple(fc.constant("Upgrade"), fc.oneof(fc.constantFrom("websocket", "h2c"), odd)),
  fc.tuple(fc.constantFrom("Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Cookie"), odd),
  fc.tuple(
    fc.constant("Content-Length"),
    fc.constantFrom("0", "5", "-1", "x", "5, 6", "9".repeat(30)),
  ),
  fc.tuple(fc.constant("Transfer-Encoding"), fc.constantFrom("chunked", "x", "chunked, chunked")),
  fc.tuple(fc.constant("X-Long"), long),
  fc.tuple(odd, odd),
);
const headers = fc.tuple(
  fc.oneof({ weight: 4, arbitrary: fc.constant("127.0.0.1") }, { weight: 1, arbitrary: host }),
  fc.array(field, { maxLength: 3 }),
).map(([Host, fields]) => ({ Host, ...Object.fromEntries(fields) }));
const body = fc.oneof(
  { weight: 4, arbitrary: fc.constant("") },
  odd,
  fc.constantFrom("5\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n"),
);

Deno.test(`createApp() answers ${RUNS} malformed requests without a 5xx, and a good client is undisturbed`, async () => {
  const errors: unknown[][] = [];
  const log = console.error;
  console.error = (...parts) => errors.push(parts);
  try {
    await using running = start();
    const { server, app } = running;
    await using good = await connect(server.url);
    const statuses = new Map<number, number>();
    const assets = await assetsOf(server);
    await fc.assert(
      fc.asyncProperty(method, path, headers, body, async (method, path, headers, body) => {
        const text = request(
          `${method} ${path} HTTP/1.1`,
          { ...headers, Connection: "close" },
          body,
        );
        const { status, answer } = await send(server, text);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        assert(status < 500, `${status}: ${JSON.stringify(text.slice(0, 500))}`);
        if (status === 200 && path.startsWith("/assets/")) assert(assets.has(path), path);
        assert.doesNotMatch(answer, /root:.*:0:0:|createApp|"imports"|at file:/);
      }),
      { seed: SEED, numRuns: RUNS, endOnFailure: false },
    );
    await until(() => app.turbo.size === 1, "only the good client is left");
    const end = remove("end");
    const { ticks } = running;
    app.turbo.push(end);
    await until(() => good.messages.includes(end), "the good client has all until now");
    assert.equal(good.messages.indexOf(end), ticks, "one message for each tick");
    assert.deepEqual(errors, []);
    const told = [...statuses].map(([status, count]) => `${status}: ${count}`).join(", ");
    assert((statuses.get(200) ?? 0) > 100 && (statuses.get(404) ?? 0) > 100, told);
  } finally {
    console.error = log;
  }
});

Deno.test("createApp() serves nothing outside the asset map, for any path", async () => {
  await using running = start();
  const { server } = running;
  const assets = await assetsOf(server);
  assert.equal(assets.size, 5);
  await fc.assert(
    fc.asyncProperty(traversal, async (path) => {
      const answer = await ask(
        server.port,
        request(`GET ${path} HTTP/1.1`, { Host: "a", Connection: "close" }),
      );
      assert([400, 404].includes(answer.status), `${answer.status} ${path}`);
    }),
    { seed: SEED, numRuns: 300 },
  );
  for (const asset of assets) {
    for (
      const changed of [
        `${asset}/`,
        `${asset}%00`,
        asset.replace("/assets/", "/assets//"),
        asset.toUpperCase(),
      ]
    ) {
      const answer = await ask(
        server.port,
        request(`GET ${changed} HTTP/1.1`, { Host: "a", Connection: "close" }),
      );
      assert.equal(answer.status, 404, changed);
    }
  }
});

/** The app with ticks every 50 ms, and their number. A page request takes no reading. */
function start() {
  const running = { ticks: 0 };
  const app = createApp({
    turbo: { frame: 0 }, // each push is a message of its own
    interval: 0.05,
    sampler: {
      report(maxAge) {
        if (maxAge === undefined) running.ticks++;
        return Promise.resolve(unread());
      },
    },
  });
  const server = serve((request, info) => app.hono.fetch(request, info));
  return Object.assign(running, {
    app,
    server,
    async [Symbol.asyncDispose]() {
      await app.close(500);
      await server[Symbol.asyncDispose]();
    },
  });
}

async function assetsOf({ port }: TestServer): Promise<Set<string>> {
  const { text } = await ask(port, request("GET / HTTP/1.1", { Host: "a", Connection: "close" }));
  return new Set(text.match(/\/assets\/[\w.-]+/g));
}

/** Sends a request, and returns the part of the answer that arrives at once: a stream has no end. */
async function send(
  { port }: TestServer,
  text: string,
): Promise<{ status: number; answer: string }> {
  await using socket = await RawSocket.open(port);
  await within(socket.write(text), "the server to read");
  await socket.finish();
  const answer = await socket.beginning();
  return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 0), answer };
}

function latin1(text: string): string {
  return text.replace(/[^\0-\xff]/gu, "?");
}
