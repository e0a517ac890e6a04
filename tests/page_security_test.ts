import assert from "node:assert/strict";
import { type App, createApp } from "../main.ts";
import { append, html, raw } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { startBrowser, type TestBrowser, type TestPage } from "./browser.ts";
import { serve, until, WITH_BROWSER } from "./kit.ts";
import { ask, HANDSHAKE, request } from "./raw.ts";

/** Markup that runs code in a page without a policy, and the directive that blocks it. */
const ATTACKS: readonly [name: string, markup: string, directive: string, click?: string][] = [
  ["<script>", `<script>document.title = "pwned"</script>`, "script-src-elem"],
  ["<script> of another host", `<script src="//evil.example/x.js"></script>`, "script-src-elem"],
  [
    "<script> with data:",
    `<script src="data:text/javascript,document.title='pwned'"></script>`,
    "script-src-elem",
  ],
  ["<img onerror>", `<img src="/nothing" onerror="document.title='pwned'">`, "script-src-attr"],
  [
    "<b onclick>",
    `<b id="trap" onclick="document.title='pwned'">x</b>`,
    "script-src-attr",
    "#trap",
  ],
  [
    "a javascript: link",
    `<a id="trap" href="javascript:document.title='pwned'">x</a>`,
    "script-src-elem",
    "#trap",
  ],
  [
    "<iframe srcdoc>",
    `<iframe srcdoc="<script>parent.document.title='pwned'</script>"></iframe>`,
    "script-src-elem",
  ],
  ["<iframe src>", `<iframe src="https://evil.example/"></iframe>`, "frame-src"],
  ["<object>", `<object data="https://evil.example/x"></object>`, "object-src"],
  ["<style>", `<style>body { display: none }</style>`, "style-src-elem"],
  ["an image of another host", `<img src="https://evil.example/x.png">`, "img-src"],
  [
    "a form to another host",
    `<form id="trap" action="https://evil.example/"><button>x</button></form>`,
    "form-action",
    "#trap button",
  ],
];

for (const [name, markup, directive, click] of ATTACKS) {
  Deno.test(
    `The policy blocks ${name} in pushed markup, and reports it`,
    WITH_BROWSER,
    async () => {
      await using running = await start();
      const { app, page } = running;
      // The raw text bypasses the escaping, so that only the policy is tested.
      app.turbo.push(append({ all: "main" }, raw(markup)));
      if (click !== undefined) await page.click(click, { noWaitAfter: true });
      await until(
        async () => (await violations(page)).includes(directive),
        `${directive} is reported`,
      ).catch(async (error) => {
        throw new Error(`${error.message}; reported: ${await violations(page)}`);
      });
      app.turbo.push(append({ all: "main" }, html`<i id="after"></i>`));
      // Playwright would wait for the navigation, which is blocked.
      await until(() => page.evaluate(`document.getElementById("after") !== null`), "what follows");
      assert.doesNotMatch(await page.title(), /pwned/);
      assert.equal(new URL(page.url()).pathname, "/");
    },
  );
}

Deno.test(
  "html escapes pushed text, so that the policy has nothing to block",
  WITH_BROWSER,
  async () => {
    await using running = await start();
    const { app, page } = running;
    for (const [, markup] of ATTACKS) {
      app.turbo.push(append({ all: "main" }, html`<p class="text">${markup}</p>`));
    }
    await until(
      async () => await page.locator(".text").count() === ATTACKS.length,
      "all is in the page",
    );
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(running.errors, []);
  },
);

Deno.test(
  "Normal use violates no policy, even with Turbo's progress bar",
  WITH_BROWSER,
  async () => {
    await using running = await start();
    const { page } = running;
    const { promise, resolve } = Promise.withResolvers<void>();
    running.held = promise; // the bar is shown after 500 ms
    try {
      await page.click("nav >> text=Last day");
      await page.waitForSelector(".turbo-progress-bar", { state: "attached" });
      const bar = await page.evaluate(
        `getComputedStyle(document.querySelector(".turbo-progress-bar")).position`,
      );
      assert.equal(bar, "fixed", "its style holds");
    } finally {
      resolve();
    }
    await page.waitForURL("**/page2");
    await page.click("nav >> text=Last hour");
    await page.waitForURL((url) => url.pathname === "/");
    await page.goBack();
    await page.goForward();
    await page.waitForSelector(OPEN_PAGE);
    await page.reload();
    await page.waitForSelector(OPEN_PAGE);
    assert.deepEqual(await violations(page), []);
    // Turbo's own error, of a visit that the next one has cancelled.
    assert.deepEqual(running.errors.filter((error) => !/^AbortError/.test(error)), []);
  },
);

Deno.test("The policy allows no source but this server, and nothing inline", async () => {
  const { hono } = createApp();
  const response = await hono.request("/");
  const policy = response.headers.get("Content-Security-Policy")!;
  const nonce = /'nonce-([^']+)'/.exec(policy)![1]!;
  assert.deepEqual(policy.replace(nonce, "N").split(/;\s*/).filter(Boolean).sort(), [
    "base-uri 'none'",
    "connect-src 'self'",
    "default-src 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "img-src 'self' data:",
    "manifest-src 'self'",
    "script-src 'self'",
    "style-src 'self' 'nonce-N'",
  ]);
  const page = await response.text();
  assert.doesNotMatch(page, /<script(?![^>]*\ssrc=)/);
  assert.doesNotMatch(page, /\son\w+=|javascript:|\sstyle=/i);
  assert.notEqual(
    nonce,
    /'nonce-([^']+)'/.exec((await hono.request("/")).headers.get("Content-Security-Policy")!)![1],
  );
});

/** Requests whose answers are as different as possible. */
const ANSWERS: readonly [status: number, line: string, headers?: Record<string, string>][] = [
  [200, "GET / HTTP/1.1"],
  [200, "GET /page2 HTTP/1.1"],
  [200, "HEAD / HTTP/1.1"],
  [200, "GET /load.json HTTP/1.1"],
  [200, "GET /manifest.webmanifest HTTP/1.1"],
  [200, "GET /healthz HTTP/1.1"],
  [200, "GET /readyz HTTP/1.1"],
  [200, "GET /asset HTTP/1.1"],
  [304, "GET /asset HTTP/1.1", { "If-None-Match": "*" }],
  [200, "GET /turbo-stream HTTP/1.1", { Accept: "text/event-stream" }],
  [404, "GET /nothing HTTP/1.1"],
  [404, "GET /assets/nothing HTTP/1.1"],
  [405, "DELETE / HTTP/1.1"],
  [405, "POST /turbo-stream HTTP/1.1", { "Content-Length": "0" }],
  [426, "GET /turbo-stream HTTP/1.1"],
  [426, "GET /turbo-stream HTTP/1.1", { ...HANDSHAKE, "Sec-WebSocket-Version": "8" }],
  [400, "GET /turbo-stream HTTP/1.1", { ...HANDSHAKE, "Sec-WebSocket-Key": "" }],
  [400, "GET / HTTP/1.1", { Host: "a b" }],
  [403, "GET /turbo-stream HTTP/1.1", { ...HANDSHAKE, Origin: "http://evil.example" }],
  [500, "GET /broken HTTP/1.1"],
  [503, "GET /turbo-stream HTTP/1.1", { ...HANDSHAKE }],
];

Deno.test(`Every answer has the security headers, and does not name the server (${ANSWERS.length})`, async () => {
  const app = createApp({ turbo: { maxConnections: 1 } });
  app.hono.get("/broken", () => {
    throw new Error("at secret.ts:1");
  });
  const log = console.error;
  console.error = () => {};
  try {
    await using server = serve((request, info) => app.hono.fetch(request, info));
    const page = (await ask(server.port, request("GET / HTTP/1.1", { Host: "a" }))).text;
    const asset = /\/assets\/turbo-stream-\w+\.js/.exec(page)![0];
    // The event stream takes the only place first, so that the last answer is a 503.
    const events = await fetch(`${server.url}/turbo-stream`, {
      headers: { Accept: "text/event-stream" },
    });
    for (const [status, line, headers = {}] of ANSWERS) {
      if (status === 200 && headers["Accept"]) {
        check(events.status, status, [...events.headers], line, "");
        continue;
      }
      const text = request(line.replace("/asset ", `${asset} `), {
        Host: "127.0.0.1",
        Connection: "close",
        ...headers,
      });
      const answer = await ask(server.port, text.replace("HEAD", "GET"));
      check(answer.status, status, [...answer.headers], line, answer.text);
    }
    await events.body!.cancel();
    await until(() => app.turbo.size === 0, "it is gone");
  } finally {
    console.error = log;
  }

  function check(
    status: number,
    expected: number,
    list: [string, string][],
    line: string,
    text: string,
  ) {
    const headers = new Map(list);
    const name = `${expected} ${line}`;
    assert.equal(status, expected, name);
    assert.equal(headers.get("x-content-type-options"), "nosniff", name);
    assert.match(headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/, name);
    assert.equal(headers.get("x-frame-options"), "DENY", name);
    assert.equal(headers.get("referrer-policy"), "strict-origin-when-cross-origin", name);
    assert.equal(headers.get("cross-origin-opener-policy"), "same-origin", name);
    assert.equal(headers.get("cross-origin-resource-policy"), "same-origin", name);
    for (const header of ["server", "x-powered-by", "via", "strict-transport-security"]) {
      assert(!headers.has(header), `${name}: ${header}`);
    }
    if (expected >= 400) {
      assert.doesNotMatch(text, /secret\.ts|\bat [\w.]+ ?\(|file:|\/work|Deno|Hono/i, name);
    }
  }
});

Deno.test("X-Forwarded-Proto does not cause Strict-Transport-Security", async () => {
  const { hono } = createApp();
  for (const path of ["/", "/nothing", "/turbo-stream", "/healthz"]) {
    for (const proto of ["https", "http"]) {
      const { headers } = await hono.request(path, { headers: { "X-Forwarded-Proto": proto } });
      assert.equal(headers.get("Strict-Transport-Security"), null, `${path} over ${proto}`);
      assert.equal(headers.get("X-Frame-Options"), "DENY", `${path} over ${proto}`);
    }
  }
});

/** The app with one page in a real browser, which records each violation of its policy. */
async function start() {
  const app: App = createApp({ interval: 0.2 });
  const server = serve(async (request, info) => {
    if (new URL(request.url).pathname === "/page2") await running.held;
    return await app.hono.fetch(request, info);
  });
  await using made = new AsyncDisposableStack();
  made.use(server);
  made.defer(() => app.close(500));
  const browser: TestBrowser = made.use(await startBrowser());
  const opened: TestPage = await browser.open("");
  await opened.page.addInitScript({
    content: `document.addEventListener("securitypolicyviolation", (event) => {
      const kept = JSON.parse(sessionStorage.getItem("violations") ?? "[]");
      sessionStorage.setItem("violations", JSON.stringify([...kept, event.effectiveDirective]));
    });`,
  });
  await opened.page.goto(server.url);
  await opened.page.waitForSelector(OPEN_PAGE);
  const running = {
    ...opened,
    app,
    /** A promise for which the answer with the second page waits. */
    held: Promise.resolve(),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
  const all = made.move();
  return running;
}

async function violations(page: TestPage["page"]): Promise<string[]> {
  return JSON.parse(await page.evaluate(`sessionStorage.getItem("violations") ?? "[]"`));
}
