/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The app below a path: behind an nginx with deploy/nginx-path.conf, which passes the prefix on or removes
 * it, and reached directly.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { LoadReport } from "../loadavg.ts";
import { createApp } from "../main.ts";
import { refresh } from "../turbo/mod.ts";
import { OPEN_PAGE } from "../turbo/testing.ts";
import { type Page, startBrowser } from "./browser.ts";
import { freePort, serve, until, WITH_BROWSER, WITH_PROCESS, within } from "./kit.ts";
import { startNginx, WITH_NGINX } from "./nginx.ts";
import { startApp } from "./processes.ts";
import { HANDSHAKE, RawSocket, request } from "./raw.ts";
import { get } from "./site.ts";
import { reportAfter } from "./reports.ts";

const WITH_NGINX_AND_BROWSER = { ...WITH_BROWSER, ...WITH_NGINX };

/** A way to the app. */
interface Site extends AsyncDisposable {
  /** The URL of the first page. */
  readonly url: string;
  /** Asks for a URL; no redirect is followed. */
  fetch(url: string, init?: RequestInit): Promise<Response>;
  /** The status of the answer to a request. */
  status(text: string): Promise<number>;
}

/** What the nginx does with the prefix. */
type Treatment = "passes it on" | "removes it";
const TREATMENTS: readonly Treatment[] = ["passes it on", "removes it"];

/** An nginx with deploy/nginx-path.conf. */
async function behindNginx(
  app: { url: string },
  { base = "/load", treatment = "passes it on", changes = {} }: {
    base?: string;
    treatment?: Treatment;
    changes?: Record<string, string>;
  },
): Promise<Site & { logs(): string }> {
  const target = `proxy_pass http://${new URL(app.url).host}`;
  const nginx = await startNginx(app, {
    ...(base !== "/load" && { "/load": base }),
    ...(treatment === "removes it" && {
      [`/ {\n    # Without`]: `/ {\n    ${target}/;\n    # Without`,
      [`turbo-stream {\n    ${target};`]: `turbo-stream {\n    ${target}/turbo-stream;`,
      [`both.\n    ${target};`]: "",
    }),
    ...changes,
  }, "path");
  return {
    url: nginx.url.replace(/\/$/, `${base}/`),
    fetch: (url, init) => nginx.fetch(url, { redirect: "manual", ...init }),
    status: nginx.status,
    logs: nginx.logs,
    [Symbol.asyncDispose]: nginx[Symbol.asyncDispose],
  };
}

/** The app without a proxy, at a path. */
function directly(app: { url: string; port: number }, path: string): Site {
  return {
    url: `${app.url}${path}/`,
    fetch: (url, init) => fetch(url, { redirect: "manual", ...init }),
    async status(text) {
      await using socket = await RawSocket.open(app.port);
      await socket.write(text);
      return (await socket.answer()).status;
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** The ways to an app with a base. */
const WAYS: Record<string, (app: { url: string; port: number }, base: string) => Promise<Site>> = {
  "behind an nginx that passes it on": (app, base) => behindNginx(app, { base }),
  "behind an nginx that removes it": (app, base) =>
    behindNginx(app, { base, treatment: "removes it" }),
  "reached directly below it": (app, base) => Promise.resolve(directly(app, base)),
  "reached directly at the root": (app) => Promise.resolve(directly(app, "")),
};

/** The URLs in an answer. */
async function linksOf(response: Response): Promise<string[]> {
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  const links = type.startsWith("text/html")
    ? text.matchAll(/ (?:href|src|data-stream)="([^"]*)"/g)
    : type.startsWith("text/javascript")
    ? text.matchAll(/^import\b[^"]*"([^"]+)"/g)
    : type.startsWith("application/manifest+json")
    ? text.matchAll(/"(?:src|start_url|scope)":"([^"]*)"/g)
    : [];
  if (type.startsWith("text/css")) assert.doesNotMatch(text, /url\(|@import/);
  return [...links].map(([, link]) => link!).filter((link) => !/^$|^data:/.test(link));
}

for (const base of ["/load", "/a/b"]) {
  for (const [way, reach] of Object.entries(WAYS)) {
    const needsNginx = way.startsWith("behind");
    const options = needsNginx ? WITH_NGINX : WITH_PROCESS;

    Deno.test(`--base ${base}, ${way}: each link is below it and answers`, options, async () => {
      await using app = await startApp(["--port=0", "--hostname=127.0.0.1", `--base=${base}`]);
      assert.match(app.lines[0]!, RegExp(`^Listening on \\S+:\\d+${base}/$`));
      await using site = await reach(app, base);
      const { origin } = new URL(site.url);
      const statuses = new Map<string, number>();
      const rest = [site.url, `${site.url}none`];
      for (let url; (url = rest.pop()) !== undefined;) {
        const response = await site.fetch(url);
        const path = url.slice(origin.length).replace(/-[0-9a-f]{16}\./, ".");
        statuses.set(path, response.status);
        for (const link of await linksOf(response)) {
          const next = new URL(link, url).href;
          assert(next.startsWith(`${origin}${base}/`), `${link} in ${url}`);
          const name = next.slice(origin.length).replace(/-[0-9a-f]{16}\./, ".");
          if (!statuses.has(name) && !rest.includes(next)) rest.push(next);
        }
      }
      const root = site.url.slice(origin.length);
      const found = [
        ["", 200],
        ["assets/icon.png", 200],
        ["assets/load.css", 200],
        ["assets/turbo-stream-keep.js", 200],
        ["assets/turbo-stream.js", 200],
        ["assets/turbo.js", 200],
        ["load.json", 200],
        ["manifest.webmanifest", 200],
        ["page2", 200],
        ["turbo-stream", 426],
      ].map(([path, status]) => [`${base}/${path}`, status]);
      const expected = new Map([[root, 200], [`${root}none`, 404], ...found] as [string, number][]);
      assert.deepEqual(
        Object.fromEntries([...statuses].sort()),
        Object.fromEntries([...expected].sort()),
      );
    });

    Deno.test(`--base ${base}, ${way}: methods, checks, JSON and streams`, options, async () => {
      await using app = await startApp(["--port=0", "--hostname=127.0.0.1", `--base=${base}`]);
      await using site = await reach(app, base);
      const { origin, host, pathname } = new URL(site.url);
      for (const path of ["", "page2", "load.json", "healthz", "turbo-stream"]) {
        const response = await site.fetch(site.url + path, { method: "POST" });
        await response.body?.cancel();
        assert.deepEqual([response.status, response.headers.has("allow")], [405, true], path);
      }
      assert.equal(await (await site.fetch(`${site.url}healthz`)).text(), "ok");
      const ready = await site.fetch(`${site.url}readyz`);
      if (needsNginx) assert.equal(ready.status, 403); // not for everyone
      assert.match(await ready.text(), needsNginx ? /Forbidden/ : /"status":"ready"/);
      const asked = await site.fetch(site.url, { headers: { Accept: "application/json" } });
      assert.equal((await asked.json()).machines.length, 1);
      const stream = `GET ${pathname}turbo-stream HTTP/1.1`;
      const headers = { ...HANDSHAKE, Host: host, Origin: origin };
      assert.equal(await site.status(request(stream, headers)), 101);
      const foreign = { ...headers, Origin: "https://evil.example" };
      assert.equal(await site.status(request(stream, foreign)), 403);
      const events = await site.fetch(`${site.url}turbo-stream`, {
        headers: { Accept: "text/event-stream" },
      });
      assert.deepEqual(
        [events.status, events.headers.get("content-type")],
        [200, "text/event-stream"],
      );
      const reader = events.body!.getReader();
      assert.equal((await within(reader.read(), "the first bytes of the stream")).done, false);
      await reader.cancel();
    });
  }
}

Deno.test("--base: an address without its slash leads to the one with it", WITH_NGINX, async () => {
  await using app = await startApp(["--port=0", "--hostname=127.0.0.1", "--base=/load"]);
  await using passing = await behindNginx(app, {});
  // A location without a slash at its end passes the address itself on.
  await using plain = await behindNginx(app, {
    changes: { "location = /load {": "location = /other {", "^~ /load/ {": "^~ /load {" },
  });
  for (const site of [directly(app, "/load"), passing, plain]) {
    for (const search of ["", "?a=b&c"]) {
      const url = site.url.slice(0, -1) + search;
      const response = await site.fetch(url);
      await response.body?.cancel();
      const location = response.headers.get("location");
      assert.deepEqual([response.status, location], [301, `/load/${search}`], url);
    }
    const posted = await site.fetch(site.url.slice(0, -1), { method: "POST" });
    await posted.body?.cancel();
    assert([301, 405].includes(posted.status), `${posted.status}`);
  }
});

Deno.test("createApp({ base }) answers only what is below the base or was below it", async () => {
  const app = createApp({ base: "/load", sampler: { report: () => reportAfter([[1, 1, 1]]) } });
  const statuses: Record<string, number> = {};
  for (
    const path of [
      "/",
      "/load/",
      "/load/page2",
      "/page2",
      "/load",
      "/loads",
      "/loadpage2",
      "/load/load/page2",
      "/load/none",
      "/none/load/",
      "//",
      "/load//",
      "/%6Coad/",
    ]
  ) {
    const response = await app.hono.request(`http://localhost${path}`);
    const text = await response.text();
    statuses[path] = response.status;
    for (const [, link] of text.matchAll(/ (?:href|src|data-stream)="(\/[^"]*)"/g)) {
      assert.match(
        link!,
        /^\/load\/(?:$|page2$|load\.json$|assets\/|manifest|turbo-stream$)/,
        path,
      );
    }
  }
  assert.deepEqual(statuses, {
    "/": 200,
    "/load/": 200,
    "/load/page2": 200,
    "/page2": 200,
    "/load": 301,
    "/loads": 404,
    "/loadpage2": 404,
    "/load/load/page2": 404,
    "/load/none": 404,
    "/none/load/": 404,
    "//": 404,
    "/load//": 404,
    "/%6Coad/": 404,
  });
});

// ---- The site

Deno.test("deploy/nginx-path.conf leaves the rest of its site alone", WITH_NGINX, async () => {
  await using app = await startApp(["--port=0", "--hostname=127.0.0.1", "--base=/load"]);
  await using site = await behindNginx(app, {});
  const { origin } = new URL(site.url);
  for (const path of ["/", "/loads", "/page2", "/turbo-stream"]) {
    assert.equal(await (await site.fetch(origin + path)).text(), "other", path);
  }
});

Deno.test("deploy/nginx-path.conf: no log has the token of a stream", WITH_NGINX, async () => {
  await using site = await behindNginx({ url: `http://127.0.0.1:${freePort()}` }, {});
  const asked = ["/load/turbo-stream?token=SECRET", "/load/page2"];
  for (const path of asked) assert.equal(await site.status(get(`GET ${path} HTTP/1.1`)), 502);
  await until(() => site.logs().includes("/load/page2"), "the last request is logged");
  assert.doesNotMatch(site.logs(), /SECRET/);
});

// ---- Never stale

/** A sampler whose readings a test takes one by one, so that no later push hides that one was lost. */
class Readings {
  #report: Promise<LoadReport> = reportAfter([[0, 0, 0]]);
  #next = Promise.withResolvers<void>();

  /** The next reading for the timer, and the latest one for a page. */
  async report(maxAge?: number): Promise<LoadReport> {
    if (maxAge === undefined) {
      await this.#next.promise;
      this.#next = Promise.withResolvers();
    }
    return await this.#report;
  }

  /** Takes a reading. */
  take(load: number): void {
    this.#report = reportAfter([[load, 0, 0]]);
    this.#next.resolve();
  }
}

function shows(page: Page, load: number): Promise<unknown> {
  return page.waitForSelector(`#load td:first-child:text-is("${load.toFixed(2)}")`);
}

for (const treatment of TREATMENTS) {
  Deno.test(
    `--base /load, an nginx that ${treatment}: a page is current after visits, Back and a refresh`,
    WITH_NGINX_AND_BROWSER,
    async () => {
      const readings = new Readings();
      const app = createApp({ base: "/load", interval: 0.05, sampler: readings });
      await using server = serve(app.hono.fetch);
      await using _app = { [Symbol.asyncDispose]: () => app.close(0) };
      await using site = await behindNginx(server, { treatment });
      await using browser = await startBrowser();
      const { page, errors, requests } = await browser.open("", { ignoreHTTPSErrors: true });
      const sockets: string[] = [];
      page.on("websocket", (socket) => sockets.push(socket.url()));
      await page.goto(site.url);
      await page.waitForSelector(OPEN_PAGE);
      readings.take(1);
      await shows(page, 1);
      assert.equal(await page.getAttribute("#load a", "href"), "/load/load.json", "in a push");

      const fetched = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      await page.route("**/page2", async (route) => {
        const response = await route.fetch();
        fetched.resolve();
        await released.promise;
        await route.fulfill({ response });
      });
      await page.click('nav a:text-is("Last day")');
      await within(fetched.promise, "the page to be rendered");
      readings.take(2);
      await shows(page, 2);
      released.resolve();
      await page.waitForSelector("body.day");
      await shows(page, 2);
      await page.unroute("**/page2");

      readings.take(3);
      await shows(page, 3);
      await page.goBack();
      await page.waitForSelector("body:not(.day)");
      await shows(page, 3);

      const again = page.waitForRequest((request) => request.url() === site.url);
      app.turbo.push(refresh());
      await again;
      readings.take(4);
      await shows(page, 4);
      await page.waitForSelector(OPEN_PAGE);

      assert.deepEqual(sockets.map((url) => url.split("?")[0]), [
        `${site.url.replace("https", "wss")}turbo-stream`,
      ]);
      assert.equal(app.turbo.size, 1);
      const elsewhere = requests.filter((url) => !/^data:/.test(url) && !url.startsWith(site.url));
      assert.deepEqual([elsewhere, errors], [[], []]);
    },
  );

  Deno.test(
    `--base /load, an nginx that ${treatment}: after kill -9 a page says Offline, and then it is current`,
    WITH_NGINX_AND_BROWSER,
    async () => {
      const port = freePort();
      const args = [`--port=${port}`, "--hostname=127.0.0.1", "--base=/load", "--interval=0.2"];
      await using apps = new AsyncDisposableStack();
      const first = apps.use(await startApp(args));
      await using site = await behindNginx(first, { treatment });
      await using browser = await startBrowser();
      const { page, requests } = await browser.open("", { ignoreHTTPSErrors: true });
      await page.goto(`${site.url}page2`);
      await page.waitForSelector(OPEN_PAGE);
      first.child.kill("SIGKILL");
      await page.waitForSelector('[role="status"] >> text="Offline"');
      const from = requests.length;
      const restarted = new Date().toISOString();
      apps.use(await startApp(args));
      // Otherwise its next attempt comes by chance within some seconds.
      await page.evaluate(() => void dispatchEvent(new Event("online")));
      await page.waitForSelector(OPEN_PAGE);
      await page.waitForFunction(
        (restarted) => document.querySelector<HTMLTimeElement>("#load time")!.dateTime > restarted,
        restarted,
      );
      assert(requests.slice(from).includes(`${site.url}page2`), "it has fetched itself");
    },
  );
}

Deno.test(
  "--base /load, an nginx without WebSockets: the page follows server-sent events",
  WITH_NGINX_AND_BROWSER,
  async () => {
    const args = ["--port=0", "--hostname=127.0.0.1", "--base=/load", "--interval=0.2"];
    await using app = await startApp(args);
    await using site = await behindNginx(app, {
      changes: { "Upgrade $http_upgrade": 'Upgrade ""' },
    });
    await using browser = await startBrowser();
    const { page, requests } = await browser.open("", { ignoreHTTPSErrors: true });
    const sources: string[] = [];
    page.on("request", (request) => {
      if (request.resourceType() === "eventsource") sources.push(request.url().split("?")[0]!);
    });
    await page.goto(site.url);
    await page.waitForSelector(OPEN_PAGE);
    const shown = await page.getAttribute("#load time", "datetime");
    await page.waitForFunction(
      (shown) => document.querySelector<HTMLTimeElement>("#load time")!.dateTime > shown!,
      shown,
    );
    assert.equal(sources[0], `${site.url}turbo-stream`);
    assert.deepEqual(requests.filter((url) => /^https/.test(url) && !url.startsWith(site.url)), []);
  },
);
