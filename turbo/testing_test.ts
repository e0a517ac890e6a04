import assert from "node:assert/strict";
import { connect, serve } from "../tests/kit.ts";
import { append, html, refresh, remove, replace, Turbo } from "./mod.ts";
import type { Engine, Push } from "./mod.ts";
import { assertNothingPushed, assertStream, capture, connected, parseStreams } from "./testing.ts";

Deno.test("capture() returns what a block pushed, and still delivers it", async () => {
  const turbo = new Turbo();
  await using server = serve((request) => turbo.connect(request, { as: "ann" }));
  await using reader = await connect(server.url);
  await connected(turbo, { name: "ann" });
  turbo.push(remove("before"));
  const pushed = await capture(turbo, async () => {
    await Promise.resolve();
    turbo.push([remove("a"), append("b", html`<p>1</p>`)], { to: "ann" });
    turbo.push(() => refresh(), { except: "page" });
    turbo.push(remove("c"), { topic: "room" });
  });
  turbo.push(remove("after"));
  assert.deepEqual(pushed.map(({ to, topic, except, count }) => ({ to, topic, except, count })), [
    { to: ["ann"], topic: undefined, except: undefined, count: 1 },
    { to: undefined, topic: undefined, except: "page", count: 1 },
    { to: undefined, topic: ["room"], except: undefined, count: 0 },
  ]);
  assert.deepEqual(pushed.map(({ streams }) => streams.map(({ action }) => action)), [
    ["remove", "append"],
    ["refresh"],
    ["remove"],
  ]);
  assert.match(await reader.next(), /before/);
  assert.match(await reader.next(), /target="a"/);
});

Deno.test("capture() sees a function's streams also where an engine renders them later", async () => {
  const waiting: Push[] = [];
  const engine: Engine = {
    start() {},
    push: (push) => void waiting.push(push),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const turbo = new Turbo({ engine });
  const pushed = await capture(turbo, () => {
    turbo.push(remove("plain"));
    turbo.push(() => remove("later"));
  });
  assertStream(pushed, { target: "plain" });
  for (const push of waiting) if ("html" in push && typeof push.html === "function") push.html();
  assertStream(pushed, { target: "later" });
});

Deno.test("capture() ends with a block that throws", async () => {
  const turbo = new Turbo();
  const { push } = turbo;
  await assert.rejects(
    capture(turbo, () => {
      throw new Error("broken");
    }),
    /broken/,
  );
  assert.equal(turbo.push, push);
});

Deno.test("connected() gives up at its deadline and says what there is", async () => {
  const turbo = new Turbo();
  await assert.rejects(
    connected(turbo, { name: "ann", deadline: 20 }),
    /20 ms in vain for 1 connection listening to "ann": there are 0/,
  );
});

Deno.test("connected() counts those who listen to a topic", async () => {
  const turbo = new Turbo();
  await using server = serve((request) => turbo.connect(request, { as: "room" }));
  await using _reader = await connect(server.url);
  await connected(turbo, { name: "room" });
  await assert.rejects(
    connected(turbo, { topic: "room", deadline: 20 }),
    /listening to \{"topic":"room"\}: there are 0/,
  );
});

Deno.test("connected() waits until all are gone", async () => {
  const turbo = new Turbo();
  await using server = serve((request) => turbo.connect(request));
  {
    await using _reader = await connect(server.url);
    await connected(turbo);
    await assert.rejects(connected(turbo, { count: 0, deadline: 20 }));
  }
  await connected(turbo, { count: 0 });
});

const WRONG_CONNECTED: [options: unknown, message: RegExp][] = [
  [{ nam: "ann", count: 0 }, /has no option "nam": there are name, topic, count, deadline/],
  [{ count: NaN }, /Cannot take NaN as "count" of connected\(\): a whole number/],
  [{ count: -1 }, /Cannot take -1 as "count"/],
  [{ deadline: NaN }, /Cannot take NaN as "deadline"/],
  [{ name: undefined, count: 0 }, /Cannot take undefined as "name" .* a name is needed/],
  [{ topic: undefined, count: 0 }, /Cannot take undefined as "topic" .* a name is needed/],
  [{ name: "ann", topic: "room", count: 0 }, /both name and topic .* one of them is needed/],
  [null, /an object of options is needed/],
];

for (const [options, message] of WRONG_CONNECTED) {
  Deno.test(`connected() throws at ${Deno.inspect(options)} instead of waiting`, () => {
    assert.throws(() => void connected(new Turbo(), options as never), { message });
  });
}

const WRONG_EXPECTED: [expected: unknown, message: RegExp][] = [
  [{ taget: "y" }, /has no option "taget": there are action, target, content, to, topic/],
  [{ action: undefined }, /Cannot take undefined as "action" .* a name is needed/],
  [{ target: undefined }, /Cannot take undefined as "target"/],
  [{ target: { all: "x" } }, /as "target" of assertStream\(\): a name is needed/],
  [{ content: undefined }, /as "content" .* a text or a regular expression is needed/],
  [{ to: undefined }, /Cannot take undefined as "to" .* a name, or null, is needed/],
  [{ to: ["ann"] }, /as "to" .* a name, or null, is needed/],
  [{ topic: undefined }, /Cannot take undefined as "topic"/],
  [undefined, /Cannot take undefined for assertStream\(\): an object of options is needed/],
];

for (const [expected, message] of WRONG_EXPECTED) {
  Deno.test(`assertStream() throws at ${Deno.inspect(expected)} instead of passing`, () => {
    assert.throws(() => assertStream(remove("x"), expected as never), {
      name: "TypeError",
      message,
    });
  });
}

Deno.test("parseStreams() reads what the builders write", () => {
  const streams = [
    replace({ all: 'a[title="<&>"]' }, html`<b>\n</b>`, { morph: true }),
    remove("x"),
    refresh(),
  ];
  assert.deepEqual(parseStreams(streams.join("")), [
    {
      action: "replace",
      target: undefined,
      targets: 'a[title="<&>"]',
      attributes: { action: "replace", targets: 'a[title="<&>"]', method: "morph" },
      content: "<b>\n</b>",
    },
    {
      action: "remove",
      target: "x",
      targets: undefined,
      attributes: { action: "remove", target: "x" },
      content: "",
    },
    {
      action: "refresh",
      target: undefined,
      targets: undefined,
      attributes: { action: "refresh" },
      content: "",
    },
  ]);
});

Deno.test("parseStreams() refuses anything beside the streams", () => {
  assert.deepEqual(parseStreams(""), []);
  for (const text of [`${remove("a")}\n`, ` ${remove("a")}`, "<p></p>", "<turbo-stream>"]) {
    assert.throws(() => parseStreams(text), SyntaxError);
  }
});

Deno.test("assertStream() finds a stream by what is asked, and shows what there was", async () => {
  const turbo = new Turbo();
  const pushed = await capture(turbo, () => turbo.push(append("list", "milk"), { to: ["ann"] }));
  assert.equal(assertStream(pushed, { action: "append" }).target, "list");
  assertStream(pushed, { target: "list", content: /^milk$/, to: "ann" });
  assertStream(append("list", "milk"), { content: "milk" });
  for (
    const other of [{ action: "remove" }, { target: "x" }, { content: "tea" }, { to: "bob" }, {
      to: null,
    }]
  ) {
    assert.throws(() => assertStream(pushed, other), /there were 1:\n {2}append list to ann milk/);
  }
});

Deno.test("assertStream() tells a topic from a reader, and both from everyone", async () => {
  const turbo = new Turbo();
  const pushed = await capture(turbo, () => turbo.push(remove("x"), { topic: ["ann", "bob"] }));
  assertStream(pushed, { topic: "bob" });
  for (const other of [{ topic: "eve" }, { to: "ann" }, { to: null }]) {
    assert.throws(() => assertStream(pushed, other), /remove x topic ann, bob/);
  }
  assertStream(await capture(turbo, () => turbo.push(remove("x"))), { to: null });
});

Deno.test("assertNothingPushed() passes where nothing was", async () => {
  const turbo = new Turbo();
  assertNothingPushed(await capture(turbo, () => {}));
  const pushed = await capture(turbo, () => turbo.push(remove("x")));
  assert.throws(() => assertNothingPushed(pushed), /Something was pushed/);
});
