/**
 * The unit tests of Turbo-Flask, for this extension. The comment above a test
 * names its counterpart in `tests/test_turbo.py` of miguelgrinberg/turbo-flask. Four differences are
 * deliberate; their tests say "unlike Turbo-Flask".
 *
 * @module
 */
import assert from "node:assert/strict";
import { acceptsStream, html, raw, requestedFrame, streamResponse } from "../turbo/mod.ts";
import { Turbo, type TurboOptions } from "../turbo/mod.ts";
import { connect, connected, serve, type TestClient, until } from "./kit.ts";
import {
  after,
  append,
  before,
  prepend,
  refresh,
  remove,
  replace,
  update,
} from "./stream_texts.ts";

const FOO = html`foo`;
const LIST = [append("bar", FOO), remove("baz")];
const MESSAGE =
  '<turbo-stream action="append" target="bar"><template>foo</template></turbo-stream>' +
  '<turbo-stream action="remove" target="baz"></turbo-stream>';

/** An app as its user writes it: one route for the stream, and the user's name in the URL. */
function start(options: TurboOptions = {}, path = "/turbo-stream") {
  const turbo = new Turbo(options);
  const server = serve((request) => {
    const url = new URL(request.url);
    if (url.pathname === path) {
      return turbo.connect(request, { as: url.searchParams.getAll("user") });
    }
    return turbo.asset(request) ?? new Response("Not found", { status: 404 });
  });
  const join = (user?: string): Promise<TestClient> =>
    connect(server.url, { path: user === undefined ? path : `${path}?user=${user}` });
  return {
    turbo,
    url: server.url,
    join,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function scripts(head: unknown): string[] {
  return [...String(head).matchAll(/<script type="module" src="([^"]+)"/g)].map(([, src]) => src!);
}

async function assertScriptsAreThere(url: string, head: unknown): Promise<void> {
  for (const src of scripts(head)) {
    const response = await fetch(url + src);
    await response.body?.cancel();
    assert.equal(response.status, 200, src);
  }
}

// test_direct_create
Deno.test("Turbo serves the default path and puts Turbo and the client into the head", async () => {
  await using app = start();
  const head = app.turbo.head();
  assert.equal(scripts(head).length, 2);
  assert.match(scripts(head)[0]!, /^\/assets\/turbo-/);
  assert.match(scripts(head)[1]!, /^\/assets\/turbo-stream-/);
  assert.match(String(head), /data-stream="\/turbo-stream"/);
  await assertScriptsAreThere(app.url, head);
  await using _client = await app.join();
  await connected(app.turbo);
});

// test_indirect_create. Flask's extension is bound to an app by `init_app`; a Turbo is a value that any
// route of any app can call.
Deno.test("Turbo works in an app that is made after it, and without a framework", async () => {
  const turbo = new Turbo();
  const handler = (request: Request) => turbo.connect(request);
  await using server = serve(handler);
  await using _client = await connect(server.url, { path: "/any/path" });
  await connected(turbo);
});

// test_create_custom_ws
Deno.test("Turbo with a custom path connects there", async () => {
  await using app = start({ path: "/ws" }, "/ws");
  assert.match(String(app.turbo.head()), /data-stream="\/ws"/);
  assert.equal(scripts(app.turbo.head()).length, 2);
  await assert.rejects(connect(app.url, { path: "/turbo-stream" }));
  await using _client = await connect(app.url, { path: "/ws" });
  await connected(app.turbo);
});

// test_create_no_ws
Deno.test("Turbo with the path off has no endpoint and no code that connects", async () => {
  await using app = start({ path: null });
  const head = app.turbo.head({ topics: ["room"] });
  assert.equal(scripts(head).length, 1);
  assert.match(scripts(head)[0]!, /turbo-/);
  assert.doesNotMatch(String(head), /turbo-stream|turbo-cursor|data-token/);
  await assertScriptsAreThere(app.url, head);
  await assert.rejects(app.join());
  const response = await fetch(`${app.url}/turbo-stream`, {
    headers: { Accept: "text/event-stream" },
  });
  await response.body?.cancel();
  assert.equal(response.status, 404);
});

// test_create_custom_turbo_version, test_create_latest_turbo_version. Turbo-Flask names a version of a
// CDN's; here the one that deno.json imports is served.
Deno.test("Turbo serves the imported version of turbo.js, and nothing from other hosts", async () => {
  await using app = start();
  const [turboJs] = scripts(app.turbo.head());
  const { default: config } = await import("../deno.json", { with: { type: "json" } });
  const version = config.imports["@hotwired/turbo"].split("@").at(-1)!;
  const text = await (await fetch(app.url + turboJs)).text();
  assert(text.includes(`Turbo ${version}`), `Turbo ${version}`);
  assert.doesNotMatch(String(app.turbo.head()), /https?:/);
});

// test_create_custom_turbo_url
Deno.test("Turbo with a custom URL for turbo.js loads that, and the client still connects", async () => {
  await using app = start({ turboUrl: "/js/turbo.js" });
  const [turboJs, client, ...more] = scripts(app.turbo.head());
  assert.equal(turboJs, "/js/turbo.js");
  assert.match(client!, /^\/assets\/turbo-stream-/);
  assert.deepEqual(more, []);
  assert.match(String(app.turbo.head()), /data-stream="\/turbo-stream"/);
});

// test_requested_frame
Deno.test("requestedFrame() is the id of the requested frame", () => {
  const request = new Request("http://localhost", { headers: { "Turbo-Frame": "foo" } });
  assert.equal(requestedFrame(request), "foo");
  assert.equal(requestedFrame(new Request("http://localhost")), undefined);
});

// test_can_stream
Deno.test("acceptsStream() distinguishes a Turbo form from a page's request", () => {
  const request = (Accept: string) => new Request("http://localhost", { headers: { Accept } });
  assert(!acceptsStream(request("text/html")));
  assert(acceptsStream(request("text/vnd.turbo-stream.html")));
});

Deno.test("acceptsStream() is false for a wildcard, unlike Turbo-Flask", () => {
  const request = (Accept: string) => new Request("http://localhost", { headers: { Accept } });
  assert(!acceptsStream(request("*/*")));
});

// test_can_push
Deno.test("Turbo.canPush() tells whether anyone, or a user, is connected", async () => {
  await using app = start();
  assert(!app.turbo.canPush());
  await using _client = await app.join("123");
  await connected(app.turbo);
  assert(app.turbo.canPush());
  assert(app.turbo.canPush("123"));
  assert(!app.turbo.canPush("456"));
});

// test_streams. Here the target comes before the content, and `remove` has no template, which Turbo
// does not need.
for (const builder of [append, prepend, replace, update, after, before]) {
  Deno.test(`${builder.name}() is the same element as Turbo-Flask's`, () => {
    assert.equal(
      builder("bar", FOO),
      `<turbo-stream action="${builder.name}" target="bar"><template>foo</template></turbo-stream>`,
    );
  });
}

Deno.test("remove() has a target and no content", () => {
  assert.equal(remove("bar"), '<turbo-stream action="remove" target="bar"></turbo-stream>');
});

Deno.test("replace() escapes target and text, unlike Turbo-Flask", () => {
  assert.equal(
    replace('a"><script>', "<b>"),
    '<turbo-stream action="replace" target="a&quot;&gt;&lt;script&gt;">' +
      "<template>&lt;b&gt;</template></turbo-stream>",
  );
  assert.match(replace("a", raw("<b></b>")), /<template><b><\/b><\/template>/);
});

Deno.test("replace(), update() and refresh() can morph, unlike Turbo-Flask", () => {
  assert.match(replace("a", FOO, { morph: true }), / method="morph">/);
  assert.match(update("a", FOO, { morph: true }), / method="morph">/);
  assert.equal(
    refresh({ morph: true, scroll: "preserve" }),
    '<turbo-stream action="refresh" method="morph" scroll="preserve"></turbo-stream>',
  );
});

// test_stream_response
Deno.test("streamResponse() has the streams as its body, one after the other", async () => {
  const response = streamResponse(LIST);
  assert.equal(await response.text(), MESSAGE);
  assert.match(response.headers.get("Content-Type")!, /^text\/vnd\.turbo-stream\.html/);
});

// test_push
Deno.test("Turbo.push() of a list is one identical message for each connection", async () => {
  await using app = start();
  await using first = await app.join("123");
  await using second = await app.join("456");
  await connected(app.turbo, { count: 2 });
  assert.equal(app.turbo.push(LIST), 2);
  assert.equal(await first.next(), MESSAGE);
  assert.equal(await second.next(), MESSAGE);
  assert.deepEqual([first.messages.length, second.messages.length], [1, 1]);
});

// test_push_to
Deno.test("Turbo.push() to a name, or to a list of names, reaches only those", async () => {
  await using app = start();
  await using first = await app.join("123");
  await using second = await app.join("456");
  await connected(app.turbo, { count: 2 });

  assert.equal(app.turbo.push(LIST, { to: "456" }), 1);
  assert.equal(await second.next(), MESSAGE);
  assert.equal(app.turbo.push(LIST, { to: ["123"] }), 1);
  assert.equal(await first.next(), MESSAGE);
  assert.equal(app.turbo.push(LIST, { to: ["123", "456"] }), 2);
  assert.deepEqual([await first.next(), await second.next()], [MESSAGE, MESSAGE]);

  app.turbo.push(remove("end"));
  assert.deepEqual([await first.next(), await second.next()], [remove("end"), remove("end")]);
  assert.deepEqual([first.messages.length, second.messages.length], [3, 3]);
});

Deno.test("Turbo.push() to one of two names of the same reader is one message", async () => {
  await using app = start();
  await using reader = await app.join("123&user=456");
  await connected(app.turbo);
  assert.equal(app.turbo.push(LIST, { to: ["123", "456", "123"] }), 1);
  app.turbo.push(remove("end")); // in the same turn, so both are sent together
  assert.equal(await reader.next(), MESSAGE + remove("end"));
});

Deno.test("Turbo.push() to an unknown name returns 0 without an error, unlike Turbo-Flask", async () => {
  await using app = start();
  assert.equal(app.turbo.push(LIST, { to: "nobody" }), 0);
  await using reader = await app.join("123");
  await connected(app.turbo);
  assert.equal(app.turbo.push(LIST, { to: "nobody" }), 0);
  assert.equal(app.turbo.push(LIST, { to: ["nobody", "123"] }), 1);
  assert.equal(app.turbo.push(LIST, { to: [] }), 0);
  assert.equal(await reader.next(), MESSAGE);
  assert.equal(reader.messages.length, 1);
});

Deno.test("Turbo.push() to a user with three tabs reaches three", async () => {
  await using app = start();
  await using first = await app.join("123");
  await using second = await app.join("123");
  await using bystander = await app.join("456");
  {
    await using third = await app.join("123");
    await connected(app.turbo, { count: 4 });
    assert.equal(app.turbo.push(LIST, { to: "123" }), 3);
    for (const tab of [first, second, third]) assert.equal(await tab.next(), MESSAGE);
  }
  await until(() => app.turbo.listeners("123") === 2, "the third tab is gone");
  assert.equal(app.turbo.push(LIST, { to: "123" }), 2);
  app.turbo.push(remove("end"));
  assert.equal(await bystander.next(), remove("end"));
});

// Turbo-Flask names its users by a callback, `@turbo.user_id`; here a name is an argument of `connect`.
Deno.test("Turbo.connect() gives a reader no name by default", async () => {
  await using app = start();
  await using reader = await app.join();
  await connected(app.turbo);
  assert.equal(app.turbo.push(LIST, { to: "undefined" }), 0);
  assert.equal(app.turbo.push(LIST), 1);
  assert.equal(await reader.next(), MESSAGE);
});

Deno.test("Turbo.push() to a name costs in proportion to its listeners", async () => {
  const request = new Request("http://localhost/turbo-stream", {
    headers: { Accept: "text/event-stream" },
  });
  // The fastest of many short rounds is the least disturbed by other load on the machine.
  const timeAmong = async (others: number) => {
    const turbo = new Turbo();
    const bodies = Array.from(
      { length: others + 1 },
      (_, i) => turbo.connect(request, { as: `reader-${i}` }).body!,
    );
    const times = Array.from({ length: 50 }, () => {
      const start = performance.now();
      for (let i = 0; i < 10; i++) assert.equal(turbo.push(LIST, { to: "reader-0" }), 1);
      return performance.now() - start;
    });
    await Promise.all(bodies.map((body) => body.cancel()));
    return Math.min(...times);
  };
  const [alone, crowded] = [await timeAmong(0), await timeAmong(5_000)];
  assert(crowded < 10 * alone, `${alone} ms alone, ${crowded} ms among 5,000`);
});
