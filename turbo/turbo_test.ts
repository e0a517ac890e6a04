import assert from "node:assert/strict";
import { HANDSHAKE } from "../tests/raw.ts";
import { Hub } from "../tests/hub.ts";
import { connect, serve, until, within } from "../tests/kit.ts";
import type { Whom } from "./audience.ts";
import { html } from "./html.ts";
import { memory } from "./engine.ts";
import { append, replace, type Stream } from "../tests/stream_texts.ts";
import { verify } from "./token.ts";
import { Turbo } from "./turbo.ts";

Deno.test("Turbo.push() reaches every plain client with the same bytes", async () => {
  const turbo = new Turbo();
  await using server = serve((request) => turbo.connect(request));
  await using one = await connect(server.url);
  await using two = await connect(server.url);
  await until(() => turbo.size === 2, "both are connected");
  assert.equal(turbo.push(replace("load", html`<b id="load"></b>`)), 2);
  const expected =
    '<turbo-stream action="replace" target="load"><template><b id="load"></b></template></turbo-stream>';
  assert.equal(await one.next(), expected);
  assert.equal(await two.next(), expected);
});

Deno.test("Turbo.push() sends a list as one message", async () => {
  const turbo = new Turbo();
  await using server = serve((request) => turbo.connect(request));
  await using client = await connect(server.url);
  await until(() => turbo.size === 1, "it is connected");
  const list = [append("a", "1"), append("b", "2")];
  turbo.push(list);
  assert.equal(await client.next(), list.join(""));
});

Deno.test("Turbo.push() of an empty list has no effect, and a push to nobody returns 0", () => {
  const turbo = new Turbo();
  assert.equal(turbo.push([]), 0);
  assert.equal(turbo.push(append("a", "1")), 0);
  assert.equal(turbo.push(append("a", "1"), { to: "nobody" }), 0);
});

Deno.test("Turbo.push() of an empty list returns 0, also with a reader connected", async () => {
  const turbo = new Turbo();
  await using server = serve((request) => turbo.connect(request));
  await using client = await connect(server.url);
  await until(() => turbo.size === 1, "it is connected");
  const before = turbo.cursor;
  assert.deepEqual([turbo.push([]), turbo.push(() => [])], [0, 0]);
  assert.equal(turbo.cursor, before);
  assert.equal(turbo.push(append("a", "1")), 1);
  assert.equal(await client.next(), append("a", "1"));
});

Deno.test("Turbo.push() throws on a value that is not a stream", () => {
  const turbo = new Turbo();
  for (const text of ["ping", " " + append("a", "1"), append("a", "1") + "\n", "<p></p>", ""]) {
    assert.throws(() => turbo.push(text as Stream), { name: "TypeError", message: /Cannot push/ });
  }
});

Deno.test("Turbo.push() calls a function when the push is sent, in memory at once", () => {
  const turbo = new Turbo();
  let rendered = 0;
  const render = () => {
    rendered++;
    return append("a", "1");
  };
  const before = turbo.cursor;
  assert.equal(turbo.push(render), 0);
  assert.equal(rendered, 1);
  assert.notEqual(turbo.cursor, before);
  const after = turbo.cursor;
  assert.equal(turbo.push(() => []), 0);
  assert.throws(() => turbo.push(() => "text" as Stream), TypeError);
  const failing = () => {
    throw new Error("no data");
  };
  assert.throws(() => turbo.push(failing), /no data/);
  assert.equal(turbo.cursor, after, "nothing was kept");
});

Deno.test("Turbo.flush() resolves when the cursor covers all earlier pushes", async () => {
  const turbo = new Turbo();
  turbo.push(append("a", "1"));
  const { cursor } = turbo;
  await turbo.flush();
  assert.equal(turbo.cursor, cursor);
});

Deno.test("Turbo.push() reaches the other sockets when one throws", async () => {
  const errors: unknown[] = [];
  const sockets: WebSocket[] = [];
  const turbo = new Turbo({
    onError: (_, error) => errors.push(error),
    upgrade(request, options) {
      const upgraded = Deno.upgradeWebSocket(request, options);
      sockets.push(upgraded.socket);
      return upgraded;
    },
  });
  await using server = serve((request) => turbo.connect(request));
  await using broken = await connect(server.url);
  await using healthy = await connect(server.url);
  await until(() => turbo.size === 2, "both are connected");
  sockets[0]!.send = () => {
    throw new Error("broken");
  };
  turbo.push(append("a", "1"));
  assert.equal(await healthy.next(), append("a", "1"));
  turbo.push(append("a", "2"));
  assert.equal(await healthy.next(), append("a", "2"));
  assert.equal(errors.length, 1);
  assert.equal(turbo.size, 1);
  assert.equal((await within(broken.closed, "the close")).code, 1011);
});

Deno.test("Turbo.connect() answers 400 when the upgrade fails, and releases the place", async () => {
  const errors: unknown[] = [];
  let fails = true;
  const turbo = new Turbo({
    maxConnections: 1,
    onError: (_, error) => errors.push(error),
    upgrade(request, options) {
      if (fails) throw new Error("no upgrade");
      return Deno.upgradeWebSocket(request, options);
    },
  });
  await using server = serve((request) => turbo.connect(request));
  await assert.rejects(connect(server.url));
  assert.equal(errors.length, 1);
  fails = false;
  await using _client = await connect(server.url);
});

Deno.test("Turbo.close() sends each reader what it is owed, then the close", async () => {
  const turbo = new Turbo({ frame: 60_000 });
  await using server = serve((request) => turbo.connect(request));
  await using client = await connect(server.url);
  await until(() => turbo.size === 1, "it is connected");
  turbo.push(append("a", "1"));
  await client.next();
  turbo.push(append("a", "2")); // would be sent a minute later without the close
  await turbo.close();
  assert.equal((await within(client.closed, "the close")).code, 1001);
  assert.deepEqual(client.messages, [append("a", "1"), append("a", "2")]);
});

Deno.test("Turbo.close() resolves at a deadline shorter than its window, and a second call resolves with the first", async () => {
  const request = () =>
    new Request("http://localhost/", { headers: { Accept: "text/event-stream" } });
  const turbo = new Turbo();
  const bodies = Array.from(
    { length: 40 },
    () => new Response(turbo.connect(request()).body).text(),
  );
  const order: string[] = [];
  const first = turbo.close({ window: 60_000, deadline: 0 }).then(() => order.push("first"));
  await turbo.close().then(() => order.push("second"));
  await first;
  assert.deepEqual(order, ["first", "second"]);
  assert.equal(turbo.size, 0);
  await Promise.all(bodies);
});

Deno.test("Turbo.close() does not wait for an event stream that it closes while it opens", async () => {
  let closed: Promise<void> | undefined;
  const turbo = new Turbo({
    onChange(names) {
      if (names.length > 0) closed ??= turbo.close({ deadline: 60_000 });
    },
  });
  const headers = { Accept: "text/event-stream" };
  const { body } = turbo.connect(new Request("http://localhost/", { headers }), { as: "ann" });
  await within(closed!, "the stream to close");
  await new Response(body).text();
});

Deno.test("Turbo.disconnect() sends each connection what it is owed, then closes it", async () => {
  const turbo = new Turbo({ frame: 60_000 });
  await using server = serve((request) => turbo.connect(request, { as: "ann" }));
  await using client = await connect(server.url);
  await until(() => turbo.size === 1, "it is connected");
  turbo.push(append("a", "1"));
  await client.next();
  turbo.push(append("a", "bye"), { to: "ann" });
  assert.equal(turbo.disconnect("ann"), 1);
  assert.equal((await within(client.closed, "the close")).code, 4001);
  assert.deepEqual(client.messages, [append("a", "1"), append("a", "bye")]);
});

Deno.test("Turbo.canPush() and size follow the connections", async () => {
  const turbo = new Turbo();
  assert.equal(turbo.canPush(), false);
  await using server = serve((request) => turbo.connect(request, { as: "ann" }));
  {
    await using _client = await connect(server.url);
    await until(() => turbo.size === 1, "it is connected");
    assert.equal(turbo.canPush(), true);
    assert.equal(turbo.canPush("ann"), true);
    assert.equal(turbo.canPush("bob"), false);
  }
  await until(() => turbo.size === 0, "it has ended");
  assert.equal(turbo.canPush("ann"), false);
});

Deno.test("Turbo.present() follows the connections: topics, tabs, revoke(), disconnect() and the grace", async () => {
  const told: unknown[] = [];
  const turbo = new Turbo({ presenceGrace: 0, onPresence: (whom) => told.push(...whom) });
  const room = { topic: "room" };
  const open = (as?: string) => {
    const [, token = ""] = /data-token="([^"]+)"/.exec(String(turbo.head({ topics: ["room"] })))!;
    const query = new URLSearchParams({ since: turbo.cursor, token });
    const headers = { Accept: "text/event-stream" };
    return turbo.connect(new Request(`http://localhost/?${query}`, { headers }), { as }).body!;
  };
  const untilPresent = (count: number, whom?: Whom) =>
    until(
      () => (whom === undefined ? turbo.present() : turbo.present(whom)).count === count,
      `${count} of ${JSON.stringify(whom)}`,
    );
  assert.deepEqual(turbo.present(), { count: 0, readers: [] });
  const bodies = [open("ann")];
  assert.deepEqual(turbo.present(room), { count: 1, readers: ["ann"] }, "at once");
  assert.deepEqual(told, ["ann", room]);
  bodies.push(open("ann"), open("bob"), open());
  await untilPresent(3);
  assert.deepEqual(await turbo.present(room), { count: 3, readers: ["ann", "bob"] });
  assert.deepEqual(turbo.present("bob"), { count: 1, readers: ["bob"] });
  turbo.revoke("room");
  await untilPresent(0, room);
  assert.equal(turbo.present().count, 3);
  turbo.disconnect("ann");
  await untilPresent(2);
  assert.deepEqual(turbo.present("ann"), { count: 0, readers: [] });
  await turbo.close({ window: 0 });
  await Promise.all(bodies.map((body) => new Response(body).text()));
});

Deno.test("Turbo.present() counts all nodes, and onPresence is called on one node for each change and each loss", async () => {
  const hub = new Hub();
  const engines = [hub.engine(), hub.engine()];
  const told: unknown[][] = [[], []];
  const nodes = engines.map((engine, n) =>
    new Turbo({ engine, presenceGrace: 0, onPresence: (whom) => told[n]!.push(...whom) })
  );
  const open = (node: Turbo, as: string) => node.connect(events(), { as }).body!;
  const bodies = [open(nodes[0]!, "ann"), open(nodes[1]!, "bob")];
  const counts = () => nodes.map((node) => node.present().count).join();
  await until(() => counts() === "2,2", "both nodes know both readers");
  for (const node of nodes) assert.deepEqual(node.present().readers, ["ann", "bob"]);
  assert.deepEqual(told, [["ann"], ["bob"]]);
  const lateEngine = hub.engine();
  const late = new Turbo({ engine: lateEngine });
  await until(() => late.present().count === 2, "a node that joins late knows all readers");
  nodes[1]!.share("a value");
  await lateEngine.flush();
  assert.equal(late.present().count, 2);
  hub.lose(engines[1]!, engines[0]!);
  for (const node of [nodes[0]!, late]) {
    await until(() => node.present().count === 1, "the lost node is forgotten");
  }
  assert.deepEqual([told, late.present().count], [[["ann", "bob"], ["bob"]], 1]);
  await Promise.all([...nodes, late].map((node) => node.close({ window: 0 })));
  await Promise.all(bodies.map((body) => new Response(body).text()));
});

Deno.test("Turbo states nothing about presence before the first reader, and once when many connect at once", async () => {
  const hub = new Hub();
  const turbo = new Turbo({ engine: hub.engine() });
  turbo.present();
  turbo.push(append("a", "1"));
  assert.deepEqual(hub.said, []);
  const bodies = Array.from({ length: 1_000 }, (_, n) => turbo.connect(events(), { as: `${n}` }));
  await until(() => turbo.present().count === 1_000, "all are present");
  assert.equal(hub.said.length, 2);
  await turbo.close({ window: 0 });
  await Promise.all(bodies.map((response) => response.text()));
});

Deno.test("Turbo.head() names both scripts and the cursor, and turbo.asset() serves them", async () => {
  const turbo = new Turbo();
  const head = String(turbo.head({ cursor: "abc.7" }));
  const scripts = [...head.matchAll(/<script type="module" src="([^"]+)"/g)].map(([, src]) => src!);
  assert.equal(scripts.length, 2);
  for (const src of scripts) {
    const response = turbo.asset(new Request(`http://localhost${src}`));
    assert.equal(response?.headers.get("Content-Type"), "text/javascript; charset=utf-8");
    await response?.body?.cancel();
  }
  assert.match(head, /<meta name="turbo-cursor" content="abc\.7"/);
  assert.equal(turbo.asset(new Request("http://localhost/assets/../deno.json")), undefined);
});

Deno.test("Turbo.head() is the same on every page except for its meta", () => {
  const turbo = new Turbo();
  const scripts = (head: unknown) => String(head).replace(/<meta[^>]*>/, "");
  assert.equal(
    scripts(turbo.head({ cursor: "a.1" })),
    scripts(turbo.head({ cursor: "a.2", topics: ["t"] })),
  );
});

Deno.test("Turbo.head() signs topics from the given cursor, not from the newest", () => {
  const secret = "a secret of this test";
  const turbo = new Turbo({ secret });
  const { cursor } = turbo;
  turbo.push(append("a", "1"));
  const head = String(turbo.head({ cursor, topics: ["room"] }));
  const [, token = ""] = /data-token="([^"]+)"/.exec(head)!;
  assert.equal(verify(token, secret)!.from, cursor);
});

const events = () => new Request("http://localhost/", { headers: { Accept: "text/event-stream" } });

Deno.test("Turbo.connect() answers 404 when the stream is switched off", () => {
  assert.equal(new Turbo({ path: null }).connect(events()).status, 404);
});

Deno.test("Turbo.maxConnections is the option, or its default", () => {
  assert.equal(new Turbo({ maxConnections: 4 }).maxConnections, 4);
  assert.equal(new Turbo().maxConnections, 10_000);
});

Deno.test("Turbo.close() rejects new connections at once, and resolves after its engine has closed", async () => {
  const order: string[] = [];
  const engine = Object.assign(memory(), {
    async close() {
      await new Promise((resolve) => setTimeout(resolve));
      order.push("engine");
    },
  });
  const turbo = new Turbo({ engine });
  const closed = turbo.close().then(() => order.push("close"));
  assert.equal(turbo.connect(events()).status, 503);
  await closed;
  assert.deepEqual(order, ["engine", "close"]);
});

Deno.test("Turbo continues when a callback throws, and reports it to onError or, when that fails, in one line", async () => {
  const { error } = console;
  const written: unknown[][] = [];
  console.error = (...parts) => written.push(parts);
  const fail = (text: string) => {
    throw new Error(`${text}\nand more`);
  };
  try {
    const turbo = new Turbo({
      onChange: () => fail("change"),
      onPresence: () => fail("presence"),
      onNotice: () => fail("notice"),
      onError: (message) => fail(`error at ${message}`),
    });
    turbo.head({ topics: ["a"] });
    await turbo.connect(events()).body!.cancel();
    assert.equal(turbo.size, 0);
    await turbo.close();
  } finally {
    console.error = error;
  }
  const line = (what: string) => [
    `on${what} failed:`,
    what.toLowerCase(),
    "and onError failed:",
    `error at on${what} failed:`,
  ];
  assert.deepEqual(written, [
    line("Notice"),
    line("Presence"),
    line("Change"),
    line("Change"),
  ]);
});

Deno.test("Turbo.close() closes all connections, accepts no other and resolves", async () => {
  const turbo = new Turbo();
  await using server = serve((request) => turbo.connect(request));
  await using one = await connect(server.url);
  await using two = await connect(server.url);
  await until(() => turbo.size === 2, "both are connected");
  await turbo.close();
  assert.equal((await one.closed).code, 1001);
  assert.equal((await two.closed).code, 1001);
  assert.equal(turbo.size, 0);
  const response = await fetch(`${server.url}/turbo-stream`, {
    headers: { accept: "text/event-stream" },
  });
  assert.equal(response.status, 503);
  assert.match(response.headers.get("Retry-After") ?? "", /^\d+$/);
  await response.body?.cancel();
});

Deno.test("Turbo reports a rejection of an engine or an upgrade of the app, and continues", async () => {
  const reported: string[] = [];
  const reject = () => Promise.reject(new Error("rejected"));
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const engine = { start: reject, push: reject, flush: () => closed, close: () => closed };
  const turbo = new Turbo({
    engine,
    upgrade: reject as never,
    onError: (message, error) => reported.push(`${message} ${(error as Error).message}`),
  });
  turbo.push(append("a", "1"));
  turbo.disconnect("ann");
  turbo.revoke("room");
  const handshake = new Request("http://localhost/", { headers: HANDSHAKE });
  assert.equal(turbo.connect(handshake).status, 400);
  resolve();
  await turbo.close();
  assert.deepEqual(reported.sort(), [
    "Cannot open a connection: upgrade must not return a promise",
    ...Array(5).fill("The engine failed: rejected"),
  ]);
});

Deno.test("Turbo.head() spreads the reconnects of a page over the longer, the more pages are open", async () => {
  const turbo = new Turbo();
  const spread = () => /data-spread="(\d+)"/.exec(String(turbo.head({ cursor: turbo.cursor })))![1];
  const spreads = new Map<number, string>();
  const answers: Response[] = [];
  for (const pages of [0, 1, 25, 26, 50, 51, 120, 400, 500]) {
    while (answers.length < pages) answers.push(turbo.connect(events()));
    spreads.set(pages, spread()!);
  }
  assert.deepEqual([...spreads.values()], [
    ...["500", "500", "500"], // 0, 1, 25
    ...["1000", "1000", "2000"], // 26, 50, 51
    ...["4000", "8000", "8000"], // 120, 400, 500
  ]);
  await turbo.close({ window: 0 });
  await Promise.all(answers.map(({ body }) => body?.cancel()));
});
