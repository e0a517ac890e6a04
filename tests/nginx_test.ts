import { Hono } from "hono";
import assert from "node:assert/strict";
import { createApp as createTodos } from "../examples/todos.ts";
import { html, Turbo } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser, type TestPage } from "./browser.ts";
import { freePort, serve, until, WITH_BROWSER, within } from "./kit.ts";
import { filesOfDeploy, from, startNginx, WITH_NGINX } from "./nginx.ts";
import { startApp } from "./processes.ts";
import { HANDSHAKE, request } from "./raw.ts";
import { drip, encode, get } from "./site.ts";

const WITH_NGINX_AND_BROWSER = { ...WITH_BROWSER, ...WITH_NGINX };

Deno.test(
  "A page behind nginx is live over a WebSocket, and again after a restart of nginx",
  WITH_NGINX_AND_BROWSER,
  async () => {
    await using app = await startApp(["--port=0", "--hostname=127.0.0.1", "--interval=0.2"]);
    await using nginx = await startNginx(app);
    await using browser = await startBrowser();
    const { page, errors } = await browser.open("", { ignoreHTTPSErrors: true });
    const sockets: string[] = [];
    page.on("websocket", (socket) => sockets.push(socket.url()));
    await page.goto(nginx.url);
    await page.waitForSelector(OPEN_PAGE);
    assert.match(sockets[0]!, /^wss:/);
    await advances(page);
    assert.deepEqual(errors, []);
    await nginx.restart(async () => {
      await page.waitForSelector('[data-turbo-stream="closed"]', { state: "attached" });
    });
    await page.waitForSelector(OPEN_PAGE);
    await advances(page);
  },
);

Deno.test(
  "A page behind an nginx without the upgrade headers continues with server-sent events",
  WITH_NGINX_AND_BROWSER,
  async () => {
    await using app = await startApp(["--port=0", "--hostname=127.0.0.1", "--interval=0.2"]);
    await using nginx = await startNginx(
      app,
      {
        "Upgrade $http_upgrade": 'Upgrade ""',
        "Connection $turbo_deno_connection": 'Connection ""',
      },
    );
    await using browser = await startBrowser();
    const { page } = await browser.open("", { ignoreHTTPSErrors: true });
    let sources = 0;
    page.on("request", (request) => sources += request.resourceType() === "eventsource" ? 1 : 0);
    await page.goto(nginx.url);
    await page.waitForSelector(OPEN_PAGE);
    assert(sources > 0);
    await advances(page);
  },
);

Deno.test(
  "nginx ends a client that sends its head slowly after 5 s, and the app never sees it",
  WITH_NGINX,
  async () => {
    await using app = await startApp();
    await using nginx = await startNginx(app);
    const begin = performance.now();
    const answer = await drip(nginx, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ", "a");
    assert.equal(answer, "", "a reset or an end, and no answer");
    const milliseconds = performance.now() - begin;
    assert(milliseconds >= 4_500, `ended after ${milliseconds} ms`);
  },
);

Deno.test("Turbo.connect() knows its own origin behind TLS, and no other", WITH_NGINX, async () => {
  await using app = await startApp();
  await using nginx = await startNginx(app);
  const own = new URL(nginx.url).origin;
  const origins: [origin: string | undefined, status: number][] = [
    [own, 101],
    [undefined, 101],
    [own.replace(/:\d+$/, ""), 403],
    ["https://evil.example", 403],
    [app.url, 403],
    ["null", 403],
  ];
  for (const [Origin, status] of origins) {
    const headers = { ...HANDSHAKE, Host: new URL(own).host, Origin };
    assert.equal(
      await nginx.status(request("GET /turbo-stream HTTP/1.1", headers)),
      status,
      Origin,
    );
  }
  const forged = { ...HANDSHAKE, Host: new URL(own).host, Origin: "https://evil.example" };
  assert.equal(
    await nginx.status(request("GET /turbo-stream HTTP/1.1", {
      ...forged,
      "X-Forwarded-Host": "evil.example",
      "Forwarded": "host=evil.example",
    })),
    403,
  );
});

/** The two ways to use the files. */
const FORMS = ["whole", "snippet"] as const;

for (const form of FORMS) {
  const name = form === "whole" ? "nginx.conf" : "nginx-site.conf in another nginx";

  Deno.test(
    `${name}: a client over TLS is told to stay on it, and any other is redirected to it`,
    WITH_NGINX,
    async () => {
      await using app = await startApp();
      await using nginx = await startNginx(app, {}, form);
      for (
        const [line, status] of [["GET /", 200], ["GET /turbo-stream", 426], ["GET /none", 404]]
      ) {
        const answer = await nginx.ask(get(`${line} HTTP/1.1`));
        assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), `${line}`);
        assert.equal(answer.match(/^strict-transport-security: max-age=31536000\r$/gim)?.length, 1);
        assert.match(answer, /^x-content-type-options: nosniff\r$/im);
        assert.doesNotMatch(answer, /^server: nginx\/\d/im);
      }
      const plain = await nginx.askPlain(get("GET /page2?a=b HTTP/1.1", { Host: "LOCALHOST:81" }));
      assert.match(plain, /^HTTP\/1\.1 301 /);
      assert.match(plain, /^location: https:\/\/localhost\/page2\?a=b\r$/im);
      assert.doesNotMatch(plain, /^strict-transport-security/im);
    },
  );

  Deno.test(`${name}: a request for another host ends without an answer`, WITH_NGINX, async () => {
    let asked = 0;
    await using app = serve(() => new Response(`${++asked}`));
    await using nginx = await startNginx(app, {}, form);
    const others = [
      get("GET / HTTP/1.1", { Host: "evil.example" }),
      get("GET / HTTP/1.1", { Host: `127.0.0.1:${new URL(nginx.url).port}` }),
      get("GET http://evil.example/ HTTP/1.1", { Host: "localhost" }),
      // nginx uses the name in the target, and the app is sent Host.
      get("GET https://localhost/ HTTP/1.1", { Host: "evil.example" }),
      get("GET https://localhost/ HTTP/1.1", { Host: "localhost.evil.example" }),
      get("GET https://localhost/ HTTP/1.1", { Host: "evil-localhost:8000" }),
      request("GET / HTTP/1.0", {}),
    ];
    for (const text of others) {
      assert.equal(await nginx.ask(text), "", text);
      assert.equal(await nginx.askPlain(text), "", text);
    }
    assert.equal(asked, 0);
    const own = [
      get("GET / HTTP/1.1"),
      get("GET / HTTP/1.1", { Host: "LocalHost" }),
      get("GET / HTTP/1.1", { Host: "localhost:8443" }),
      get("GET https://localhost/ HTTP/1.1", { Host: "localhost" }),
    ];
    for (const text of own) assert.match(await nginx.ask(text), /^HTTP\/1\.1 200 /, text);
  });

  Deno.test(
    `${name}: a body of more than 1 KiB is refused, and the app decides how long it waits for one`,
    WITH_NGINX,
    async () => {
      const asked: string[] = [];
      await using app = serve((request) => {
        asked.push(request.url.replace(/.*\//, ""));
        return readsBody(request);
      });
      await using nginx = await startNginx(app, {}, form);
      const post = (length: number) =>
        get("POST /length HTTP/1.1", { "Content-Length": `${length}` }) + "x".repeat(length);
      assert.match(await nginx.ask(post(1024)), /^HTTP\/1\.1 200 /);
      assert.match(await nginx.ask(post(1025)), /^HTTP\/1\.1 413 /);
      assert.deepEqual(asked, ["length"]);
      const chunked = get("POST /chunked HTTP/1.1", { "Transfer-Encoding": "chunked" }) +
        `401\r\n${"x".repeat(1025)}\r\n0\r\n\r\n`;
      assert.match(await nginx.ask(chunked), /^HTTP\/1\.1 413 /);
      using slow = await nginx.postSlowly();
      await until(() => asked.includes("slow"), "the app is asked before the body is complete");
      await slow.finish();
    },
  );

  Deno.test(
    `${name}: an address has its share of requests at work, and another has its own`,
    WITH_NGINX,
    async () => {
      await using app = serve(readsBody);
      const few = { "limit_conn turbo_deno_requests 2000": "limit_conn turbo_deno_requests 2" };
      await using nginx = await startNginx(app, few, form);
      const page = (address: string) => nginx.status(get("GET / HTTP/1.1", from(address)));
      await using slow = new AsyncDisposableStack();
      slow.use(await nginx.postSlowly(from("192.0.2.1")));
      assert.equal(await page("192.0.2.1"), 200);
      const second = slow.use(await nginx.postSlowly(from("192.0.2.1")));
      assert.equal(await page("192.0.2.1"), 503);
      assert.equal(await nginx.status(get("GET /turbo-stream HTTP/1.1", from("192.0.2.1"))), 503);
      assert.equal(await page("192.0.2.2"), 200);
      await second.finish();
      await until(async () => await page("192.0.2.1") === 200, "it has room again");
    },
  );

  Deno.test(
    `${name}: an address has its share of streams, and pages beyond them`,
    WITH_NGINX,
    async () => {
      await using app = await startApp();
      const few = { "limit_conn turbo_deno_streams 600": "limit_conn turbo_deno_streams 2" };
      await using nginx = await startNginx(app, few, form);
      const open = async (address: string) => {
        const conn = await nginx.connect();
        await conn.write(encode(request("GET /turbo-stream HTTP/1.1", {
          ...HANDSHAKE,
          Host: "localhost",
          ...from(address),
        })));
        const chunk = new Uint8Array(1024);
        const read = await within(conn.read(chunk), "an answer");
        const status = Number(new TextDecoder().decode(chunk.subarray(9, Math.min(12, read ?? 0))));
        return { status, conn, [Symbol.dispose]: () => conn.close() };
      };
      const address = "192.0.2.1";
      using one = await open(address);
      using two = await open(address);
      using three = await open(address);
      using other = await open("192.0.2.2");
      assert.deepEqual([one, two, three, other].map(({ status }) => status), [101, 101, 503, 101]);
      assert.equal(await nginx.status(get("GET / HTTP/1.1", from(address))), 200);
    },
  );

  Deno.test(
    `${name}: an address has its rate of requests, none of them delayed`,
    WITH_NGINX,
    async () => {
      await using app = serve(() => new Response("ok"));
      const few = { "rate=100r/s": "rate=1r/m", "burst=2500": "burst=3" };
      await using nginx = await startNginx(app, few, form);
      const statuses = async (...addresses: string[]) => {
        const answers: number[] = [];
        for (const address of addresses) {
          answers.push(await nginx.status(get("GET / HTTP/1.1", from(address))));
        }
        return answers;
      };
      const many = (address: string) => statuses(...Array(6).fill(address));
      assert.deepEqual(await many("192.0.2.1"), [200, 200, 200, 200, 429, 429]);
      assert.deepEqual(await many("192.0.2.2"), [200, 200, 200, 200, 429, 429]);
      // An IPv6 network has one limit, however an address is written, and the next network has its own.
      const networks: { of: string[]; next: string }[] = [
        {
          of: [
            "2001:db8:1:2:3:4:5:6",
            "2001:db8:1:2:7:8:9:a",
            "2001:db8:1:2::1",
            "2001:db8:1:2::2",
          ],
          next: "2001:db8:1:3:3:4:5:6",
        },
        {
          of: ["2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3:4", "2001:db8:1::5"],
          next: "2001:db8:2::1",
        },
      ];
      for (const { of, next } of networks) {
        const all = [...of, of[0]!, next];
        assert.deepEqual(await statuses(...all), [200, 200, 200, 200, 429, 200], of[0]);
      }
      // An IPv4-mapped address, as a dual-stack socket shows it, counts by itself.
      assert.deepEqual(await many("::ffff:192.0.2.3"), [200, 200, 200, 200, 429, 429]);
      assert.deepEqual(await statuses("::ffff:192.0.2.4"), [200]);
    },
  );

  Deno.test(`${name}: no log has a query, and each failure is in one`, WITH_NGINX, async () => {
    const gone = `http://127.0.0.1:${freePort()}`;
    const few = { "rate=100r/s": "rate=1r/m", "burst=2500": "burst=3" };
    await using nginx = await startNginx({ url: gone }, few, form);
    const asked = [
      get("GET /turbo-stream?token=SECRET HTTP/1.1"),
      get("GET /?token=SECRET HTTP/1.1", { Referer: "https://localhost/?token=SECRET" }),
      get("POST /?token=SECRET HTTP/1.1", { "Content-Length": "9999" }),
      ...Array(3).fill(get("GET /?token=SECRET HTTP/1.1")),
    ];
    const statuses = [];
    for (const text of asked) statuses.push(await nginx.status(text));
    assert.deepEqual(statuses, [502, 502, 413, 502, 502, 429]);
    const evil = get("GET /?token=SECRET HTTP/1.1", { Host: "evil.example" });
    for (const ask of [nginx.ask, nginx.askPlain]) assert.equal(await ask(evil), "");
    await until(() => nginx.logs().includes(" 429 "), "the last failure is logged");
    const logs = nginx.logs();
    assert.doesNotMatch(logs, /SECRET/);
    for (const line of ["GET /turbo-stream 502 app=502", "GET / 502 app=502", "GET / 429 app=-"]) {
      assert(logs.includes(line), `${line} in ${logs}`);
    }
  });
}

Deno.test(
  "nginx writes no query where it has no connection left for the app",
  WITH_NGINX,
  async () => {
    await using app = serve(readsBody);
    const few = { "worker_connections 4000": "worker_connections 16", "keepalive 32;": "" };
    await using nginx = await startNginx(app, few);
    await using held = new AsyncDisposableStack();
    await until(async () => {
      held.use(await nginx.postSlowly());
      return (await nginx.ask(get("GET /?token=SECRET HTTP/1.1"))).startsWith("HTTP/1.1 500 ");
    }, "nginx has a connection for the client and none for the app");
    assert.doesNotMatch(nginx.logs(), /SECRET/);
  },
);

Deno.test("500 pages of one address can connect at once", WITH_NGINX, async () => {
  await using app = await startApp();
  await using nginx = await startNginx(app);
  const conns: Deno.TlsConn[] = [];
  await using held = new AsyncDisposableStack();
  held.defer(() => conns.forEach((conn) => conn.close()));
  const statuses = new Map<string, number>();
  const count = (status: string) => statuses.set(status, (statuses.get(status) ?? 0) + 1);
  const head = encode(request("GET /turbo-stream HTTP/1.1", { ...HANDSHAKE, Host: "localhost" }));
  const page = get("GET / HTTP/1.1", { Connection: "keep-alive" }).repeat(3) +
    get("GET / HTTP/1.1");
  async function openPage() {
    for (const [, status] of (await nginx.ask(page)).matchAll(/HTTP\/1\.1 (\d+) /g)) {
      count(`page ${status}`);
    }
    const conn = await nginx.connect();
    conns.push(conn);
    await conn.write(head);
    const chunk = new Uint8Array(12);
    await within(conn.read(chunk), "an answer");
    count(`stream ${new TextDecoder().decode(chunk).slice(9)}`);
  }
  await Promise.all(Array.from({ length: 500 }, openPage));
  assert.deepEqual(Object.fromEntries(statuses), { "page 200": 2_000, "stream 101": 500 });
});

Deno.test("The name of the site occurs once in the two files", async () => {
  const { main, site } = await filesOfDeploy();
  assert.equal((main + site).match(/^[^#\n]*example\.org/gm)?.length, 1);
});

Deno.test(
  "docs/production.md has a location that strips a prefix and passes a page's connection on",
  WITH_NGINX,
  async () => {
    const turbo = new Turbo({ base: "/live" });
    const hono = new Hono();
    hono.use(turbo.middleware());
    hono.get("/", (c) => c.html(html`<head>${turbo.head(c)}</head>`));
    await using app = serve(hono.fetch);
    const docs = await Deno.readTextFile(new URL("../docs/production.md", import.meta.url));
    const [, block = ""] = /^```nginx\n# in http .*\n([^]*?)^```$/m.exec(docs) ?? [];
    const [map, location] = block.replace("127.0.0.1:8000", new URL(app.url).host)
      .split(/^# in server .*$/m);
    await using nginx = await startNginx(app, {
      "upstream turbo_deno {": `${map}\nupstream turbo_deno {`,
      "    location / {": `${location}\n    location / {`,
    });
    const page = await nginx.ask(get("GET /live/ HTTP/1.1"));
    assert.match(page, / src="\/live\/assets\/.* data-stream="\/live\/turbo-stream"/s);
    const { host, origin } = new URL(nginx.url);
    const handshake = { ...HANDSHAKE, Host: host, Origin: origin };
    const status = await nginx.status(request("GET /live/turbo-stream HTTP/1.1", handshake));
    await turbo.close({ window: 0 });
    assert.equal(status, 101);
  },
);

Deno.test(
  "A form behind nginx is accepted from its own page and rejected from another",
  WITH_NGINX_AND_BROWSER,
  async () => {
    await using app = serve(createTodos().hono.fetch);
    await using nginx = await startNginx(app);
    await using browser = await startBrowser();
    const { page, errors } = await browser.open("", { ignoreHTTPSErrors: true });
    await page.goto(nginx.url);
    await page.waitForSelector(OPEN_PAGE);
    await page.fill("input[name=text]", "milk");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=milk");
    assert.deepEqual(errors, []);
    const status = await page.evaluate(async () => {
      const response = await fetch("/todos", {
        method: "POST",
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        body: "text=bread",
      });
      return response.status;
    });
    assert.equal(status, 200); // a redirect to the page, followed
    const foreign = await page.request.post(`${nginx.url}/todos`, {
      headers: { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" },
      form: { text: "bread" },
    });
    assert.equal(foreign.status(), 403);
  },
);

/** A handler that answers when the body of its request is complete. */
async function readsBody(request: Request): Promise<Response> {
  return new Response(await request.text().catch(() => "cut off"));
}

/** Waits until the page has rendered a push. */
async function advances(page: TestPage["page"]): Promise<void> {
  await within(
    page.evaluate(() =>
      new Promise<void>((resolve) =>
        document.addEventListener("turbo-stream:rendered", () => resolve(), { once: true })
      )
    ),
    "the page to move on",
  );
}

Deno.test(
  "nginx asks another process for a script that one does not have, and keeps it when none has it",
  WITH_NGINX,
  async () => {
    const script = { path: "/assets/app-0123.js", isThere: true };
    const headers = { "Cache-Control": "public, max-age=31536000, immutable" };
    await using newer = serve(() => new Response("Not found", { status: 404 }));
    await using older = serve(({ url }) =>
      script.isThere && url.endsWith(script.path)
        ? new Response("script()", { headers })
        : new Response("Not found", { status: 404 })
    );
    await using nginx = await startNginx([newer, older]);
    const ask = async (path: string) => {
      const response = await nginx.fetch(new URL(path, nginx.url).href);
      return `${response.status} ${await response.text()}`;
    };
    for (let n = 0; n < 3; n++) assert.equal(await ask(script.path), "200 script()");
    script.isThere = false;
    for (let n = 0; n < 3; n++) assert.equal(await ask(script.path), "200 script()");
    assert.equal(await ask("/assets/other-0123.js"), "404 Not found");
    assert.equal(await ask("/"), "404 Not found");
  },
);
