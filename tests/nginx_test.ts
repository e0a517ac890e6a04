import assert from "node:assert/strict";
import { createApp as createTodos } from "../examples/todos.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser, type TestPage } from "./browser.ts";
import { pause, QUICK, serve, until, WITH_BROWSER, within } from "./kit.ts";
import { startApp, succeeds } from "./processes.ts";
import { HANDSHAKE, request } from "./raw.ts";

const canRun = !QUICK && Deno.build.os === "linux" && await succeeds("nginx", "-v") &&
  await succeeds("openssl", "version");
if (!canRun && !QUICK) {
  console.log("NOTICE: nginx or openssl is not installed, its tests are skipped");
}
const WITH_NGINX = { ignore: !canRun };
const WITH_NGINX_AND_BROWSER = { ...WITH_BROWSER, ...WITH_NGINX };

Deno.test(
  "a page behind nginx is live over a WebSocket, and again after a restart of nginx",
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
  "a page behind an nginx without the upgrade headers goes on with server-sent events",
  WITH_NGINX_AND_BROWSER,
  async () => {
    await using app = await startApp(["--port=0", "--hostname=127.0.0.1", "--interval=0.2"]);
    await using nginx = await startNginx(
      app,
      (conf) =>
        conf.replace("Upgrade $http_upgrade", 'Upgrade ""').replace(
          "Connection $connection_upgrade",
          'Connection ""',
        ),
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
    using conn = await within(nginx.connect(), "TLS");
    const head = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    let dripping = true;
    const drip = (async () => {
      try {
        await conn.write(head);
        while (dripping) {
          await conn.write(new Uint8Array([97]));
          await pause(200);
        }
      } catch (error) {
        if (!isReset(error)) throw error;
      }
    })();
    const end = await within(
      conn.read(new Uint8Array(100)).catch((error) => {
        if (!isReset(error)) throw error;
        return null;
      }),
      "nginx to end it",
    );
    dripping = false;
    await drip;
    assert.equal(end, null, "a reset or an end, and no answer");
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

Deno.test(
  "an answer through nginx is told to stay on TLS, and plain HTTP is sent there",
  WITH_NGINX,
  async () => {
    await using app = await startApp();
    await using nginx = await startNginx(app);
    const answer = await nginx.ask(
      request("GET / HTTP/1.1", { Host: "localhost", Connection: "close" }),
    );
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(answer, /^strict-transport-security: max-age=31536000\r$/im);
    assert.match(answer, /^x-content-type-options: nosniff\r$/im);
    assert.doesNotMatch(answer, /^server: nginx\/\d/im);
    const plain = await fetch(nginx.plainUrl, { redirect: "manual" });
    await plain.body?.cancel();
    assert.equal(plain.status, 301);
    assert.match(plain.headers.get("Location")!, /^https:/);
  },
);

Deno.test(
  "a form behind nginx is taken from its own page and refused from another",
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

/** A real nginx with deploy/nginx.conf, on free ports and with files of its own. */
async function startNginx(app: { url: string }, change = (conf: string) => conf) {
  await using made = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "turbo-deno-nginx-" });
  made.defer(() => Deno.remove(directory, { recursive: true }));
  const [tls, plain] = [freePort(), freePort()];
  const isCertified = await succeeds(
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
    "-keyout",
    `${directory}/privkey.pem`,
    "-out",
    `${directory}/fullchain.pem`,
  );
  assert(isCertified, "openssl makes no certificate");
  const original = await Deno.readTextFile(new URL("../deploy/nginx.conf", import.meta.url));
  const changed = change(original);
  const conf = changed
    .replace(/^worker_processes .*$/m, "worker_processes 1;\nuser root;")
    .replace(/^worker_rlimit_nofile .*$/m, "worker_rlimit_nofile 1024;")
    .replace("worker_connections 30000", "worker_connections 500")
    .replaceAll(/listen \[::\]:.*\n/g, "\n")
    .replace("listen 80;", `listen 127.0.0.1:${plain};`)
    .replace("listen 443 ", `listen 127.0.0.1:${tls} `)
    .replace("127.0.0.1:8000", new URL(app.url).host)
    .replaceAll(
      /\/etc\/ssl\/turbo-deno|\/var\/log\/nginx|\/var\/lib\/nginx|\/run(?=\/nginx)/g,
      directory,
    )
    .replace(
      "http {",
      `http {\n${
        ["fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${directory}/${name};`).join(
          "\n",
        )
      }`,
    );
  await Deno.writeTextFile(`${directory}/nginx.conf`, conf);
  const cert = await Deno.readTextFile(`${directory}/fullchain.pem`);
  made.defer(stop);
  let child: Deno.ChildProcess | undefined;
  await run();

  async function run() {
    child = new Deno.Command("nginx", {
      args: [
        "-p",
        directory,
        "-c",
        `${directory}/nginx.conf`,
        "-e",
        `${directory}/error.log`,
        "-g",
        "daemon off;",
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    await until(async () => {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port: tls })).close();
        return true;
      } catch (error) {
        if (error instanceof Deno.errors.ConnectionRefused) return false;
        throw error;
      }
    }, "nginx listens");
  }
  async function stop() {
    child?.kill("SIGTERM");
    await within(Promise.resolve(child?.status), "nginx to end");
    child = undefined;
  }
  const connect = () => Deno.connectTls({ hostname: "localhost", port: tls, caCerts: [cert] });
  async function ask(text: string): Promise<string> {
    using conn = await within(connect(), "TLS");
    await conn.write(new TextEncoder().encode(text));
    let answer = "";
    const chunk = new Uint8Array(65_536);
    while (!answer.startsWith("HTTP/1.1 101") || !answer.includes("\r\n\r\n")) {
      const read = await within(conn.read(chunk), "an answer");
      if (read === null) break;
      answer += new TextDecoder().decode(chunk.subarray(0, read));
      if (/^HTTP\/1\.1 [345]/.test(answer)) break;
    }
    return answer;
  }
  const all = made.move();
  return {
    url: `https://localhost:${tls}/`,
    plainUrl: `http://127.0.0.1:${plain}/`,
    connect,
    ask,
    status: async (text: string) => Number((await ask(text)).slice(9, 12)),
    async restart(meanwhile: () => Promise<void>) {
      await stop();
      await meanwhile();
      await run();
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function isReset(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.UnexpectedEof;
}

/** The page is sent something new. */
async function advances(page: TestPage["page"]): Promise<void> {
  const cursor = () => page.evaluate(`document.querySelector("meta[name=turbo-cursor]").content`);
  const before = await cursor();
  await until(async () => await cursor() !== before, "the page moves on");
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
