import { type Context, Hono, type MiddlewareHandler } from "hono";
import { compress } from "hono/compress";
import { setCookie } from "hono/cookie";
import { cors } from "hono/cors";
import { csrf } from "hono/csrf";
import { etag } from "hono/etag";
import { logger } from "hono/logger";
import { secureHeaders } from "hono/secure-headers";
import { timeout } from "hono/timeout";
import assert from "node:assert/strict";
import { serve, within } from "../tests/kit.ts";
import { append, html, isOwnOrigin, pagePolicy, streamResponse, Turbo } from "./mod.ts";
import { parseFrame, PROTOCOL } from "./testing.ts";

const TURBO = "text/vnd.turbo-stream.html, text/html, application/xhtml+xml";

type Page = (c: Context) => Response | Promise<Response>;

function pageOf(turbo: Turbo, { topics }: { topics?: string[] } = {}): Page {
  return (c) =>
    c.html(html`
      <!DOCTYPE html>
      <head>${turbo.head(c, topics ? { topics } : {})}</head>
      <p>page</p>
    `);
}

/** The stream, the cursor and the scripts in a page's markup. */
async function readPage(response: Response) {
  const text = await response.text();
  const scripts = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
  const [, cursor, stream, token] =
    /name="turbo-cursor" content="([^"]*)"\s+data-stream="([^"]*)"\s+data-token="([^"]*)"/.exec(
      text,
    ) ??
      [];
  return { text, scripts, cursor: cursor!, stream: stream!, token: token! };
}

/** Reads server-sent events until one of them contains a text. */
async function readEvents(response: Response, until: string): Promise<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let events = "";
  while (!events.includes(until)) {
    const { value, done } = await within(reader.read(), `an event with ${until}`);
    if (done) break;
    events += value;
  }
  await reader.cancel();
  return events;
}

const EVENTS = { headers: { Accept: "text/event-stream" } };

Deno.test("Turbo.middleware() serves the scripts and the stream that head(c) names", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.use(turbo.middleware());
  app.get("/", pageOf(turbo));
  const page = await readPage(await app.request("/"));
  assert.equal(page.scripts.length, 3);
  for (const path of page.scripts) {
    const { status, headers } = await app.request(path);
    assert.equal(status, 200, path);
    assert.match(headers.get("Content-Type")!, /^text\/javascript/);
  }
  turbo.push(append("a", "pushed"));
  const stream = await app.request(`${page.stream}?since=${page.cursor}`, EVENTS);
  assert.match(await readEvents(stream, "pushed"), /<template>pushed</);
  assert.equal((await app.request(page.stream)).status, 426);
});

Deno.test("Turbo.middleware() answers 405 to methods other than GET for the stream and the scripts", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.use(turbo.middleware());
  app.get("/", pageOf(turbo));
  const { scripts, stream } = await readPage(await app.request("/"));
  for (const path of [...scripts, stream]) {
    const { status, headers } = await app.request(path, { method: "POST" });
    assert.deepEqual([status, headers.get("Allow")], [405, "GET, HEAD"], path);
  }
});

Deno.test("Turbo.middleware() takes the cursor before a route reads its data", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.use(turbo.middleware());
  app.get("/", async (c) => {
    turbo.push(append("a", "in between"));
    await Promise.resolve();
    return pageOf(turbo)(c);
  });
  const { cursor: before } = turbo;
  const response = await app.request("/");
  assert.equal(response.headers.get("Turbo-Cursor"), before);
  assert.equal((await readPage(response)).cursor, before);
  assert.notEqual(turbo.cursor, before);
});

const ANSWERS: [what: string, answer: Page, cursor: boolean, cache: string | null][] = [
  ["a page", (c) => c.html("<p>"), true, "no-cache"],
  ["a page made without the context", () => new Response("<p>", HTML()), true, "no-cache"],
  ["streams", () => streamResponse(append("a", "b")), true, "no-cache"],
  ["streams through the context", (c) => streamResponse(c, append("a", "b")), true, "no-cache"],
  ["an error page", (c) => c.html("<p>", 500), true, "no-cache"],
  ["a page that was fetched", () => fetch("data:text/html,page"), true, "no-cache"],
  ["a redirect whose headers are immutable", () => Response.redirect("http://a/"), false, null],
  ["text", (c) => c.text("a"), false, null],
  ["JSON", (c) => c.json({}), false, null],
  ["nothing", (c) => c.body(null, 204), false, null],
  ["a page with its own Cache-Control", ownCache, true, "max-age=60"],
  ["a page that sets a cookie", withCookie, true, "private, no-store"],
];

function HTML(): ResponseInit {
  return { headers: { "Content-Type": "text/html" } };
}

function ownCache(c: Context): Response | Promise<Response> {
  return c.html("<p>", 200, { "Cache-Control": "max-age=60" });
}

function withCookie(c: Context): Response | Promise<Response> {
  setCookie(c, "a", "1");
  return c.html("<p>");
}

for (const [what, answer, hasCursor, cache] of ANSWERS) {
  Deno.test(`Turbo.middleware() gives ${what} ${hasCursor ? "the cursor" : "no cursor"} and Cache-Control ${cache}`, async () => {
    const turbo = new Turbo();
    const app = new Hono();
    app.use(turbo.middleware());
    app.get("/", answer);
    const { headers, body } = await app.request("/");
    await body?.cancel();
    assert.equal(headers.get("Turbo-Cursor"), hasCursor ? turbo.cursor : null);
    assert.equal(headers.get("Cache-Control"), cache);
  });
}

Deno.test("Turbo.middleware() keeps the cursor of a route", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.use(turbo.middleware());
  app.post("/", (c) => {
    turbo.push(append("a", "b"));
    return streamResponse(c, append("a", "b"), { cursor: turbo.cursor });
  });
  const { headers } = await app.request("/", { method: "POST" });
  assert.equal(headers.get("Turbo-Cursor"), turbo.cursor);
});

Deno.test("Turbo.middleware() opens no stream for a request that was answered while as was pending", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  const { promise, resolve } = Promise.withResolvers<string>();
  let isOver: Promise<unknown> | undefined;
  app.use(async (c, next) => { // does what timeout() does
    isOver = next();
    c.res = await Promise.resolve(c.text("Too late", 504));
  });
  app.use(turbo.middleware({ as: () => promise }));
  assert.equal((await app.request("/turbo-stream", EVENTS)).status, 504);
  resolve("ann");
  await isOver;
  assert.equal(turbo.size, 0);
});

type Users = { Variables: { user?: string | null } };

function appWithUsers(turbo: Turbo): Hono<Users> {
  const app = new Hono<Users>();
  app.use(async (c, next) => {
    c.set("user", c.req.header("X-User") ?? null);
    await next();
  });
  app.use(turbo.middleware({ as: (c) => c.get("user") }));
  return app;
}

Deno.test("Turbo.middleware() gives the stream the names of its reader, and keeps the reader's pages out of caches", async () => {
  const turbo = new Turbo();
  const app = appWithUsers(turbo);
  app.get("/", pageOf(turbo));
  const ann = { "X-User": "ann" };
  const page = await app.request("/", { headers: ann });
  assert.equal(page.headers.get("Cache-Control"), "private, no-store");
  const nobody = await app.request("/");
  assert.equal(nobody.headers.get("Cache-Control"), "no-cache");
  const { stream, cursor } = await readPage(page);
  const headers = { ...ann, ...EVENTS.headers };
  const events = await app.request(`${stream}?since=${cursor}`, { headers });
  assert.equal(turbo.push(append("a", "for ann"), { to: "ann" }), 1);
  await readEvents(events, "for ann");
});

Deno.test("Turbo.head(c) binds topics to the reader of the request", async () => {
  const turbo = new Turbo({ secret: "a secret of this test" });
  const app = appWithUsers(turbo);
  app.get("/", pageOf(turbo, { topics: ["room"] }));
  const { stream, cursor, token } = await readPage(
    await app.request("/", { headers: { "X-User": "ann" } }),
  );
  const query = new URLSearchParams({ since: cursor, token });
  for (const [user, count] of [["ann", 1], ["bob", 0]] as const) {
    const headers = { "X-User": user, ...EVENTS.headers };
    const events = await app.request(`${stream}?${query}`, { headers });
    assert.equal(turbo.listeners({ topic: "room" }), count, user);
    await events.body!.cancel();
  }
});

Deno.test("Turbo.head(c) throws on an as that the middleware did not name", async () => {
  const turbo = new Turbo({ secret: "a secret of this test" });
  const app = appWithUsers(turbo);
  app.onError((error, c) => c.text(error.message));
  app.get("/", (c) => c.html(turbo.head(c, { topics: ["a"], as: "bob" })));
  const headers = { "X-User": "ann" };
  assert.match(
    await (await app.request("/", { headers })).text(),
    /^Cannot take "bob" as "as" of head\(\): it is none of the names that the option as /,
  );
  const plain = new Hono();
  plain.onError((error, c) => c.text(error.message));
  plain.use(turbo.middleware());
  plain.get("/", (c) => c.html(turbo.head(c, { as: "bob" })));
  assert.match(await (await plain.request("/")).text(), /give middleware\(\) the option as/);
});

Deno.test("Turbo.middleware() awaits as, and accepts a name, names, null and undefined", async () => {
  const turbo = new Turbo();
  for (const names of ["ann", ["ann", "session"], null, undefined]) {
    const app = new Hono();
    app.use(turbo.middleware({ as: () => Promise.resolve(names) }));
    const response = await app.request("/turbo-stream", EVENTS);
    assert.equal(turbo.listeners("ann"), names ? 1 : 0);
    assert.equal(turbo.listeners("session"), Array.isArray(names) ? 1 : 0);
    await response.body!.cancel();
  }
});

Deno.test("Turbo.middleware() serves nothing when as fails or gives a value that is not a name", async () => {
  for (const as of [() => Promise.reject(new Error("no session")), () => "", () => 42 as never]) {
    const turbo = new Turbo();
    const app = new Hono();
    const errors: string[] = [];
    app.onError((error, c) => {
      errors.push(error.message);
      return c.text("failed", 500);
    });
    app.use(turbo.middleware({ as }));
    app.get("/", pageOf(turbo));
    for (const path of ["/", "/turbo-stream"]) {
      assert.equal((await app.request(path, EVENTS)).status, 500);
    }
    assert.match(errors[0]!, /no session|as "as" of middleware\(\): a name of/);
    assert.equal(turbo.size, 0);
  }
});

Deno.test("Turbo.middleware() reports once that it is registered before the middleware that knows the reader", async () => {
  const notices: string[] = [];
  const turbo = new Turbo({ onNotice: (notice) => notices.push(notice) });
  const app = new Hono<Users>();
  app.use(turbo.middleware({ as: (c) => c.get("user") }));
  app.use(async (c, next) => {
    c.set("user", c.req.header("X-User") ?? null);
    await next();
  });
  app.get("/", pageOf(turbo));
  app.get("/new", (c) => {
    setCookie(c, "session", "1");
    return c.html("<p>");
  });
  const headers = { "X-User": "ann" };
  await app.request("/");
  await app.request("/new", { headers });
  assert.deepEqual(notices, []);
  const page = await app.request("/", { headers });
  assert.equal(page.headers.get("Cache-Control"), "private, no-store");
  await app.request("/", { headers });
  assert.equal(notices.length, 1);
  assert.match(notices[0]!, /register turbo\.middleware\(\) after the middleware that says who/);
});

Deno.test("Turbo.head(c) throws when the middleware did not run, and names the remedy", async () => {
  const turbo = new Turbo();
  const late = new Hono();
  late.get("/", pageOf(turbo));
  late.use(turbo.middleware());
  const other = new Hono();
  other.use(new Turbo().middleware());
  other.get("/", pageOf(turbo));
  for (const app of [late, other]) {
    app.onError((error, c) => c.text(`${error.name}: ${error.message}`));
    assert.equal(
      await (await app.request("/")).text(),
      'TypeError: Cannot write the head of "/": turbo.middleware() did not run for it; register ' +
        "app.use(turbo.middleware()) before the routes, on the same Turbo",
    );
  }
});

Deno.test("Turbo.middleware() and head() name a misspelt option", () => {
  const turbo = new Turbo();
  assert.throws(() => turbo.middleware({ ass: () => "a" } as never), {
    message: 'middleware() has no option "ass": there are as, address',
  });
  assert.throws(() => turbo.middleware({ as: "ann" } as never), {
    message: 'Cannot take "ann" as "as" of middleware(): a function is needed',
  });
  assert.throws(() => turbo.head({ topic: "a" } as never), {
    message: 'head() has no option "topic": there are cursor, topics, as, background',
  });
});

Deno.test("Turbo.head() says whether the page keeps its connection in a hidden tab", () => {
  const turbo = new Turbo();
  const isFollowed = (options: { background?: boolean }) =>
    String(turbo.head(options)).includes(' data-background="true"');
  assert.deepEqual([{}, { background: false }, { background: true }].map(isFollowed), [
    false,
    false,
    true,
  ]);
  assert.throws(() => turbo.head({ background: "yes" } as never), {
    message: 'Cannot take "yes" as "background" of head(): true or false is needed',
  });
});

Deno.test("Turbo.middleware() registered twice runs once", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  const sub = new Hono();
  app.use(turbo.middleware());
  sub.use(turbo.middleware());
  sub.get("/", pageOf(turbo));
  app.route("/sub", sub);
  const { stream } = await readPage(await app.request("/sub"));
  assert.equal(stream, "/turbo-stream");
  assert.equal((await app.request(stream)).status, 426);
});

Deno.test("Turbo.middleware() of a sub-app names its readers when an earlier one names nobody", async () => {
  const turbo = new Turbo();
  const app = new Hono<Users>();
  app.use(turbo.middleware());
  app.get("/", pageOf(turbo));
  const sub = new Hono<Users>();
  sub.use(async (c, next) => {
    turbo.push(append("a", "in between"));
    c.set("user", c.req.header("X-User") ?? null);
    await next();
  });
  sub.use(turbo.middleware({ as: (c) => c.get("user") }));
  sub.get("/", pageOf(turbo));
  app.route("/members", sub);
  const headers = { "X-User": "ann", ...EVENTS.headers };
  const { cursor: before } = turbo;
  const page = await app.request("/members", { headers });
  assert.equal(page.headers.get("Cache-Control"), "private, no-store");
  const { stream, scripts, cursor } = await readPage(page);
  assert.deepEqual([stream, cursor], ["/members/turbo-stream", before]);
  for (const path of scripts) assert.equal((await app.request(path)).status, 200, path);
  const events = await app.request(stream, { headers });
  assert.equal(turbo.listeners("ann"), 1);
  await events.body!.cancel();
  const nobody = await app.request(stream, EVENTS); // without a session
  assert.equal(nobody.status, 200);
  await nobody.body!.cancel();
  assert.equal((await readPage(await app.request("/members"))).stream, "/turbo-stream");
});

Deno.test("Turbo.middleware() reports once that an earlier one answers the stream and lacks the reader", async () => {
  const notices: string[] = [];
  const turbo = new Turbo({ onNotice: (notice) => notices.push(notice) });
  const app = new Hono();
  app.use(turbo.middleware());
  app.use(turbo.middleware({ as: (c) => c.req.header("X-User") }));
  app.get("/", pageOf(turbo));
  assert.equal((await app.request("/")).headers.get("Cache-Control"), "no-cache");
  assert.deepEqual(notices, []);
  for (const _ of [1, 2]) {
    const { headers } = await app.request("/", { headers: { "X-User": "ann" } });
    assert.equal(headers.get("Cache-Control"), "private, no-store");
  }
  assert.equal(notices.length, 1);
  assert.match(notices[0]!, /names somebody for "\/" whom another turbo\.middleware\(\) in front/);
});

Deno.test("Turbo.middleware() keeps an answer when as fails after the route, and keeps it out of caches", async () => {
  const notices: string[] = [];
  const turbo = new Turbo({ onNotice: (notice) => notices.push(notice) });
  const app = new Hono();
  let isOver = false;
  app.use(turbo.middleware({
    as: () => {
      if (isOver) throw new Error("no session");
      return null;
    },
  }));
  app.get("/", (c) => {
    isOver = true;
    return c.html("<p>done");
  });
  const response = await app.request("/");
  assert.equal(await response.text(), "<p>done");
  assert.equal(response.headers.get("Cache-Control"), "private, no-store");
  assert.deepEqual(notices, []);
});

Deno.test("Turbo.middleware() rejects a host that is malformed or not allowed", async () => {
  const turbo = new Turbo({ allowedHosts: ["load.example"] });
  const app = new Hono();
  app.use(turbo.middleware());
  app.get("/", pageOf(turbo));
  const ask = async (Host: string) =>
    (await app.request(new Request("http://load.example/", { headers: { Host } }))).status;
  assert.deepEqual([await ask("load.example"), await ask("evil.example")], [200, 421]);
  assert.equal(await ask("a b"), 400);
});

Deno.test("Turbo.middleware() gives answers to Turbo's forms the status that Turbo asks for", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.use(turbo.middleware());
  app.post("/page", (c) => c.html("<p>"));
  app.post("/redirect", (c) => c.redirect("/"));
  const post = async (path: string, Accept: string) =>
    (await app.request(path, { method: "POST", headers: { Accept } })).status;
  assert.deepEqual([await post("/page", TURBO), await post("/page", "*/*")], [422, 200]);
  assert.deepEqual([await post("/redirect", TURBO), await post("/redirect", "*/*")], [303, 302]);
});

// ---- What is set on the context

function setAll(c: Context): void {
  c.status(422);
  c.header("X-Own", "kept");
  c.header("Vary", "Cookie");
  setCookie(c, "a", "1");
  setCookie(c, "b", "2");
}

const streamAnswers: [what: string, answer: (c: Context) => Response][] = [
  ["streamResponse(c, …)", (c) => (setAll(c), streamResponse(c, append("a", "b")))],
  ["streamResponse(…)", (c) => (setAll(c), streamResponse(append("a", "b")))],
];

for (const [what, answer] of streamAnswers) {
  Deno.test(`${what} keeps the status, headers and cookies of the context`, async () => {
    const turbo = new Turbo();
    const app = new Hono();
    app.use(turbo.middleware());
    app.post("/", answer);
    const response = await app.request("/", { method: "POST", headers: { Accept: TURBO } });
    assert.equal(response.status, 422);
    assert.equal(response.headers.get("Content-Type"), "text/vnd.turbo-stream.html; charset=utf-8");
    assert.equal(response.headers.get("X-Own"), "kept");
    assert.deepEqual(response.headers.getSetCookie(), ["a=1; Path=/", "b=2; Path=/"]);
    assert.deepEqual(response.headers.get("Vary")!.split(", ").sort(), ["Accept", "Cookie"]);
    assert.match(await response.text(), /^<turbo-stream .*<\/turbo-stream>$/);
  });
}

Deno.test("streamResponse(…) stays an answer of streams with a body, whatever the context has", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.use(turbo.middleware());
  app.post("/", (c) => {
    c.status(204);
    c.header("Content-Type", "text/plain");
    return streamResponse(append("a", "b"));
  });
  const { status, headers } = await app.request("/", { method: "POST" });
  assert.equal(status, 200);
  assert.match(headers.get("Content-Type")!, /^text\/vnd\.turbo-stream\.html/);
});

Deno.test("streamResponse(…) is given once what was set on the context, also where it is copied", async () => {
  for (const form of ["with the context", "without it"]) {
    const turbo = new Turbo();
    const app = new Hono();
    app.use(turbo.middleware());
    app.use(async (c, next) => {
      await next();
      c.header("X-Own", "of the copy"); // Hono copies the answer
    });
    app.post("/", (c) => {
      setAll(c);
      const stream = append("a", "b");
      return form === "without it" ? streamResponse(stream) : streamResponse(c, stream);
    });
    const { status, headers } = await app.request("/", { method: "POST" });
    assert.deepEqual([status, headers.getSetCookie()], [422, ["a=1; Path=/", "b=2; Path=/"]], form);
    assert.deepEqual(headers.get("Vary")!.split(", ").sort(), ["Accept", "Cookie"], form);
    assert.equal(headers.get("X-Own"), "of the copy", form);
  }
});

Deno.test("streamResponse(…) keeps its own status and cookies beside those of the context", async () => {
  for (const form of ["with the context", "without it"]) {
    for (const [status, expected] of [[undefined, 422], [200, 200], [409, 409]] as const) {
      const turbo = new Turbo();
      const app = new Hono();
      app.use(turbo.middleware());
      app.post("/", (c) => {
        setAll(c);
        const headers = [["Set-Cookie", "c=3"], ["X-Mine", "1"]] as [string, string][];
        const init = { headers, ...(status !== undefined && { status }) };
        const stream = append("a", "b");
        return form === "without it"
          ? streamResponse(stream, init)
          : streamResponse(c, stream, init);
      });
      const response = await app.request("/", { method: "POST", headers: { Accept: TURBO } });
      const { headers } = response;
      assert.equal(response.status, expected, form);
      const cookies = ["a=1; Path=/", "b=2; Path=/", "c=3"];
      assert.deepEqual(headers.getSetCookie().sort(), cookies, form);
      assert.deepEqual([headers.get("X-Own"), headers.get("X-Mine")], ["kept", "1"], form);
      assert.match(await response.text(), /^<turbo-stream .*<\/turbo-stream>$/);
    }
  }
});

Deno.test("streamResponse(c, …) works without the middleware, and its own init takes precedence", async () => {
  const app = new Hono();
  app.post("/", (c) => {
    setAll(c);
    const headers = [["Set-Cookie", "c=3"], ["X-Own", "own"]] as [string, string][];
    return streamResponse(c, append("a", "b"), { status: 400, cursor: "e.1", headers });
  });
  const { status, headers } = await app.request("/", { method: "POST" });
  assert.equal(status, 400);
  assert.deepEqual(headers.getSetCookie(), ["a=1; Path=/", "b=2; Path=/", "c=3"]);
  assert.deepEqual([headers.get("X-Own"), headers.get("Turbo-Cursor")], ["own", "e.1"]);
});

Deno.test("streamResponse(c, …) throws before it sets anything", async () => {
  const app = new Hono();
  app.post("/", (c) => {
    assert.throws(() => streamResponse(c, "<p>" as never), /Cannot answer with "<p>"/);
    assert.throws(() => streamResponse(c, append("a", "b"), { cursor: "a b" }), /"cursor"/);
    return c.text("ok");
  });
  const { headers } = await app.request("/", { method: "POST" });
  assert.match(headers.get("Content-Type")!, /^text\/plain/);
});

// ---- The base of the app

/** The paths in the page at `path`, and the statuses of requests for them. */
async function visit(
  fetch: (path: string, init?: RequestInit) => Response | Promise<Response>,
  path: string,
  strip = "",
) {
  const page = await readPage(await fetch(path));
  const at = (path: string) => path.startsWith(strip) ? path.slice(strip.length) : `not ${strip}`;
  const statuses = [];
  for (const script of page.scripts) statuses.push((await fetch(at(script))).status);
  return { ...page, statuses, streamStatus: (await fetch(at(page.stream))).status };
}

const ALL_FOUND = [200, 200, 200];

Deno.test("Turbo.middleware() knows the base of app.route and of basePath", async () => {
  const sub = new Hono();
  const turbo = new Turbo();
  sub.use(turbo.middleware());
  sub.get("/page", pageOf(turbo));
  const app = new Hono().route("/live", sub);
  const routed = await visit((path, init) => app.request(path, init), "/live/page");
  assert.deepEqual([routed.stream, routed.streamStatus], ["/live/turbo-stream", 426]);
  assert.deepEqual(routed.statuses, ALL_FOUND);

  const other = new Turbo();
  const below = new Hono().basePath("/api/v1/");
  below.use(other.middleware());
  below.get("/page", pageOf(other));
  const based = await visit((path, init) => below.request(path, init), "/api/v1/page");
  assert.deepEqual([based.stream, based.streamStatus], ["/api/v1/turbo-stream", 426]);
  assert.deepEqual(based.statuses, ALL_FOUND);
});

Deno.test("Turbo.middleware() at a path with parameters has a stream for each value", async () => {
  const sub = new Hono();
  const turbo = new Turbo({ secret: "a secret of this test" });
  sub.use(turbo.middleware());
  sub.get("/page", pageOf(turbo, { topics: ["a"] }));
  const app = new Hono().route("/:tenant", sub);
  const request = (path: string, init?: RequestInit) => app.request(path, init);
  const acme = await visit(request, "/acme/page");
  assert.deepEqual([acme.stream, acme.streamStatus], ["/acme/turbo-stream", 426]);
  assert.deepEqual(acme.statuses, ALL_FOUND);
  // A token is valid only for the stream that it was signed for.
  for (const [path, count] of [["/acme/turbo-stream", 1], ["/evil/turbo-stream", 0]] as const) {
    const query = new URLSearchParams({ since: acme.cursor, token: acme.token });
    const events = await request(`${path}?${query}`, EVENTS);
    assert.equal(turbo.listeners({ topic: "a" }), count, path);
    await events.body!.cancel();
  }
});

Deno.test("Turbo.head(c) names no other host for any path", async () => {
  const sub = new Hono();
  const turbo = new Turbo();
  sub.use(turbo.middleware());
  sub.get("/page", pageOf(turbo));
  const app = new Hono().route("/:tenant", sub);
  for (
    const tenant of ["%5Cevil.example", "%2F%2Fevil.example", "a%22b", "a b", "%C3%BC", "a%3Fb"]
  ) {
    const { scripts, stream, text } = await readPage(await app.request(`/${tenant}/page`));
    for (const path of [...scripts, stream]) {
      const { origin, pathname } = new URL(path, "http://own.example/x");
      assert.equal(origin, "http://own.example", path);
      assert.equal(new URL(`http://own.example${path}`).pathname, pathname);
      assert((await app.request(path)).status !== 404, path);
    }
    assert(!text.includes('a"b'));
  }
});

Deno.test("Turbo.middleware() with a base works behind a proxy that strips it, and behind one that does not", async () => {
  const turbo = new Turbo({ base: "/load" });
  const app = new Hono();
  app.use(turbo.middleware());
  app.get("/page", pageOf(turbo));
  app.get("/load/page", pageOf(turbo));
  const request = (path: string, init?: RequestInit) => app.request(path, init);
  const stripped = await visit(request, "/page", "/load");
  assert.deepEqual([stripped.stream, stripped.streamStatus], ["/load/turbo-stream", 426]);
  assert.deepEqual(stripped.statuses, ALL_FOUND);
  const whole = await visit(request, "/load/page");
  assert.deepEqual([whole.stream, whole.streamStatus], ["/load/turbo-stream", 426]);
  assert.deepEqual(whole.statuses, ALL_FOUND);
  assert.equal(turbo.asset(new Request(`http://a${whole.scripts[0]}`))?.status, 200);
  assert.match(String(turbo.head()), /src="\/load\/assets\//);
});

Deno.test("Turbo.middleware() with a base works in a mounted app, and below a route there", async () => {
  const turbo = new Turbo({ base: "/sub" });
  const inner = new Hono();
  const live = new Hono();
  live.use(turbo.middleware());
  live.get("/page", pageOf(turbo));
  inner.route("/live", live);
  const app = new Hono();
  app.mount("/sub", inner.fetch);
  const mounted = await visit((path, init) => app.request(path, init), "/sub/live/page");
  assert.deepEqual([mounted.stream, mounted.streamStatus], ["/sub/live/turbo-stream", 426]);
  assert.deepEqual(mounted.statuses, ALL_FOUND);
});

Deno.test("Turbo.middleware() uses a base once when the routes have it too", async () => {
  const turbo = new Turbo({ base: "/load" });
  const app = new Hono().basePath("/load");
  app.use(turbo.middleware());
  app.get("/page", pageOf(turbo));
  const page = await visit((path, init) => app.request(path, init), "/load/page");
  assert.deepEqual([page.stream, page.streamStatus], ["/load/turbo-stream", 426]);
});

Deno.test("Turbo.middleware() registered for all paths below another serves them", async () => {
  for (
    const [pattern, page, stream] of [
      ["/live/*", "/live/page", "/live/turbo-stream"],
      ["/:tenant/live/*", "/acme/live/page", "/acme/live/turbo-stream"],
      ["*", "/page", "/turbo-stream"],
    ] as const
  ) {
    const notices: string[] = [];
    const turbo = new Turbo({ onNotice: (notice) => notices.push(notice) });
    const app = new Hono();
    app.use(pattern, turbo.middleware());
    app.get(page, pageOf(turbo));
    const visited = await visit((path, init) => app.request(path, init), page);
    assert.deepEqual([visited.stream, visited.streamStatus], [stream, 426]);
    assert.deepEqual([visited.statuses, notices], [ALL_FOUND, []]);
  }
});

Deno.test("Turbo.middleware() reports once that it is registered for a single path", async () => {
  const notices: string[] = [];
  const turbo = new Turbo({ onNotice: (notice) => notices.push(notice) });
  const app = new Hono();
  app.use("/", turbo.middleware()); // in Express this would include all paths below
  app.get("/inline", turbo.middleware(), pageOf(turbo));
  app.get("/", pageOf(turbo));
  await app.request("/");
  await app.request("/");
  assert.equal((await readPage(await app.request("/inline"))).stream, "/turbo-stream");
  assert.match(notices.pop()!, /registered for "\/inline" alone/);
  assert.deepEqual(notices, [
    'turbo.middleware() is registered for "/" alone, and not for the paths of the stream and the ' +
    "scripts: register it by app.use(turbo.middleware())",
  ]);
});

Deno.test("Turbo.middleware() knows the base when Hono's getPath changes the path, or strict is off", async () => {
  const withHost = (request: Request) => {
    const { hostname, pathname } = new URL(request.url);
    return `/${hostname}${pathname}`;
  };
  const inFront = (request: Request) => new URL(request.url).pathname.replace(/^\/outer/, "");
  for (
    const [options, route, pages, base] of [
      [{ getPath: withHost }, "/localhost", ["/page"], ""],
      [{ getPath: withHost }, "/localhost/live", ["/live/page"], "/live"],
      [{ getPath: inFront }, "/live", ["/outer/live/page"], "/outer/live"],
      [{ strict: false }, "/live", ["/live/", "/live", "/live/page"], "/live"],
    ] as const
  ) {
    for (const page of pages) {
      const turbo = new Turbo();
      const sub = new Hono(options);
      sub.use(turbo.middleware());
      sub.get("/", pageOf(turbo));
      sub.get("/page", pageOf(turbo));
      const app = new Hono(options).route(route, sub);
      const visited = await visit((path, init) => app.request(path, init), page);
      assert.deepEqual([visited.stream, visited.streamStatus], [`${base}/turbo-stream`, 426], page);
      assert.deepEqual(visited.statuses, ALL_FOUND);
    }
  }
  for (const page of ["/outer", "/outer/", "/outer/page"]) {
    const turbo = new Turbo();
    const app = new Hono({ getPath: (request) => inFront(request) || "/" });
    app.use(turbo.middleware());
    app.get("/", pageOf(turbo));
    app.get("/page", pageOf(turbo));
    const visited = await visit((path, init) => app.request(path, init), page);
    assert.deepEqual([visited.stream, visited.streamStatus], ["/outer/turbo-stream", 426], page);
  }
  const turbo = new Turbo();
  const app = new Hono({ getPath: withHost });
  app.use(turbo.middleware());
  app.get("/localhost/page", pageOf(turbo));
  assert.deepEqual((await visit((path) => app.request(path), "/page")).statuses, ALL_FOUND);
});

Deno.test("Turbo.head(c) names no other host when the base has any number of segments", async () => {
  const sub = new Hono();
  const turbo = new Turbo();
  sub.use(turbo.middleware());
  sub.get("*", pageOf(turbo));
  const app = new Hono().route("/:path{.*}", sub);
  for (const path of ["//evil.example/x", "/page", "///"]) {
    const { scripts, stream } = await readPage(await app.request(`http://localhost${path}`));
    for (const found of [...scripts, stream]) {
      assert.equal(new URL(found, "http://own.example/x").origin, "http://own.example", found);
    }
  }
});

Deno.test("Turbo.middleware() reads a path of many slashes once", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.use(turbo.middleware());
  app.get("*", pageOf(turbo));
  // One that begins anew at each slash would take half an hour: this test would never end.
  const { stream } = await readPage(await app.request(`/%C3%BC${"/".repeat(1_000_000)}x`));
  assert.equal(stream, "/turbo-stream");
});

// ---- Hono's own middleware

const others: [name: string, middleware: () => MiddlewareHandler][] = [
  ["secureHeaders", () => secureHeaders(pagePolicy())],
  ["cors", () => cors()],
  ["compress", () => compress({ threshold: 0 })],
  ["logger", () => logger(() => {})],
  ["etag", () => etag()],
  ["timeout", () => timeout(60_000)],
  ["csrf", () => csrf({ origin: (origin, c) => isOwnOrigin(c.req.raw, origin) })],
];
const inFront: Record<string, MiddlewareHandler[]> = {
  ...Object.fromEntries(others.map(([name, make]) => [`${name} in front`, [make()]])),
  "all of them in front": others.map(([, make]) => make()),
};

async function works(
  before: MiddlewareHandler[],
  behind: MiddlewareHandler[],
): Promise<void> {
  const turbo = new Turbo();
  const app = new Hono();
  for (const one of before) app.use(one);
  app.use(turbo.middleware());
  for (const one of behind) app.use(one);
  app.get("/", pageOf(turbo));
  app.post("/", (c) => {
    setCookie(c, "a", "1");
    return streamResponse(append("a", "b"));
  });
  await using server = serve(app.fetch);
  const { url } = server;
  const response = await fetch(url);
  const { cursor, stream, scripts } = await readPage(response);
  assert.equal(response.headers.get("Turbo-Cursor"), cursor);
  assert.equal(response.headers.get("Cache-Control"), "no-cache");
  for (const path of scripts) {
    const script = await fetch(url + path);
    assert.equal(script.status, 200);
    assert((await script.text()).length > 1_000);
  }
  const post = await fetch(url, { method: "POST", headers: { Accept: TURBO, Origin: url } });
  assert.match(await post.text(), /^<turbo-stream .*<\/turbo-stream>$/);
  assert.deepEqual([post.status, post.headers.getSetCookie()], [200, ["a=1; Path=/"]]);

  turbo.push(append("a", "pushed"));
  const events = await fetch(`${url}${stream}?since=${cursor}`, {
    headers: { Accept: "text/event-stream", "Accept-Encoding": "gzip" },
  });
  await readEvents(events, "pushed");
  const socket = new WebSocket(`${url.replace("http", "ws")}${stream}?since=${cursor}`, PROTOCOL);
  const frames = await within(
    new Promise<string[]>((resolve, reject) => {
      const frames: string[] = [];
      socket.onmessage = ({ data }) => {
        frames.push(data);
        if (frames.length === 2) resolve(frames);
      };
      socket.onerror = () => reject(new Error("The WebSocket failed"));
    }),
    "two frames",
  );
  assert.match(parseFrame(frames[1]!)[0]!.html, /pushed/);
  const closed = new Promise((resolve) => socket.onclose = resolve);
  await turbo.close({ window: 0 });
  await within(closed, "the close");
}

for (const [name, before] of Object.entries(inFront)) {
  Deno.test(`Turbo.middleware() works with ${name}`, () => works(before, []));
}
for (const [name, make] of others) {
  Deno.test(`Turbo.middleware() works with ${name} after it`, () => works([], [make()]));
}
Deno.test("Turbo.middleware() works with all of them after it", () =>
  works([], others.map(([, make]) => make())));

Deno.test("Turbo.head(c) writes the nonce of secureHeaders before or after the middleware", async () => {
  for (const isFirst of [true, false]) {
    const turbo = new Turbo();
    const app = new Hono();
    if (isFirst) app.use(secureHeaders(pagePolicy()));
    app.use(turbo.middleware());
    if (!isFirst) app.use(secureHeaders(pagePolicy()));
    app.get("/", pageOf(turbo));
    const response = await app.request("/");
    const [, nonce] = /'nonce-([^']+)'/.exec(response.headers.get("Content-Security-Policy")!)!;
    assert((await response.text()).includes(`<meta name="csp-nonce" content="${nonce}">`));
  }
});

Deno.test("Turbo.head(c) writes no nonce when there is none", async () => {
  const turbo = new Turbo();
  const app = new Hono();
  app.use(turbo.middleware());
  app.get("/", pageOf(turbo));
  assert(!(await (await app.request("/")).text()).includes("csp-nonce"));
});

Deno.test("Turbo.middleware() knows the base in an app with another copy of Hono, of the oldest version that works", async () => {
  const { Hono: OtherHono } = await import("npm:hono@4.8.0");
  const turbo = new Turbo();
  const sub = new OtherHono();
  sub.use(turbo.middleware());
  sub.get("/", (c) => c.html(html`${turbo.head(c)}`));
  const app = new OtherHono().route("/live", sub);
  const { stream, scripts } = await readPage(await app.request("/live"));
  assert.equal(stream, "/live/turbo-stream");
  for (const path of scripts) assert.equal((await app.request(path)).status, 200, path);
});
