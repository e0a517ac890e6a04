import assert from "node:assert/strict";
import { append, html, remove, replace, Turbo } from "../turbo/mod.ts";
import { parseCommand, Pusher } from "../turbo/push.ts";
import { redis as redisEngine } from "../turbo/redis.ts";
import { DEADLINE, until, WITH_PROCESS, within } from "./kit.ts";
import { startProxy } from "./proxy.ts";
import { startRedis, type TestRedis, WITH_REDIS } from "./redis_server.ts";

/** Milliseconds in which a server is reached, or found to be away, on a busy machine too. */
const ENOUGH = Math.round(DEADLINE / 30);

/** A node, and what one of its readers has received. */
async function startNode({ url }: TestRedis, as: string) {
  const turbo = new Turbo({ engine: redisEngine({ url }), onNotice() {} });
  await turbo.ready;
  const request = new Request(`http://localhost/turbo-stream?since=${turbo.cursor}`, {
    headers: { Accept: "text/event-stream" },
  });
  const { body } = turbo.connect(request, { as });
  const node = { turbo, text: "", [Symbol.asyncDispose]: () => turbo.close({ window: 0 }) };
  void (async () => {
    for await (const text of body!.pipeThrough(new TextDecoderStream())) node.text += text;
  })();
  return node;
}

Deno.test(
  "Pusher.push() reaches the pages of every node in order, or those that it names",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using one = await startNode(redis, "ann");
    await using two = await startNode(redis, "bob");
    await using pages = new Pusher({ url: redis.url });
    const box = (n: number) => replace("box", html`<b id="box">${n}</b>`);
    pages.push([append("list", html`<i>1</i>`), append("list", html`<i>2</i>`)]);
    pages.push(box(1), { to: "ann" });
    await pages.push(append("list", html`<i>3</i>`));
    await until(() => [one, two].every(({ text }) => text.includes("<i>3</i>")), "both have it");
    const itemsOf = ({ text }: { text: string }) => text.match(/<[ib][^<]*/g);
    assert.deepEqual(itemsOf(one), ["<i>1", "<i>2", '<b id="box">1', "<i>3"]);
    assert.deepEqual(itemsOf(two), ["<i>1", "<i>2", "<i>3"]);
  },
);

Deno.test(
  "Pusher.push() rejects wrong arguments before it sends anything",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using pages = new Pusher({ url: redis.url });
    await assert.rejects(pages.push("<b>" as never), { name: "TypeError" });
    await assert.rejects(pages.push(remove("a"), { to: "" }), { name: "RangeError" });
    await assert.rejects(pages.push(remove("a"), { too: "a" } as never), /no option "too"/);
    await pages.push([]);
    assert.equal(await redis.cli("DBSIZE"), "0");
  },
);

Deno.test("new Pusher() names a wrong option, but shows no password", () => {
  const wrong = (options: unknown) => {
    try {
      new Pusher(options as never);
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.match(wrong({})!, /"url" of Pusher: a URL such as/);
  assert.match(wrong({ url: "http://user:hidden@host" })!, /a URL such as/);
  assert.doesNotMatch(wrong({ url: "http://user:hidden@host" })!, /hidden/);
  assert.match(wrong({ url: "redis://host", key: "" })!, /"key" of Pusher/);
  assert.match(wrong({ url: "redis://host", timeout: 1 })!, /"timeout" of Pusher/);
  assert.match(wrong({ url: "redis://host", hold: 1 })!, /no option "hold"/);
});

Deno.test(
  "Pusher.push() reports that there is no app, and stores nothing",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using pages = new Pusher({ url: redis.url, timeout: ENOUGH });
    await assert.rejects(pages.push(remove("a")), {
      message: `Cannot push by Redis at ${redis.name} within ${ENOUGH} ms: ` +
        "no app has begun a stream under the key turbo",
    });
    assert.equal(await redis.cli("DBSIZE"), "0");
  },
);

Deno.test(
  "Pusher.push() continues with the stream that replaces a lost one",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using node = await startNode(redis, "ann");
    await using pages = new Pusher({ url: redis.url, timeout: 30_000 });
    await pages.push(append("list", html`<i>1</i>`));
    await redis.cli("FLUSHALL");
    await pages.push(append("list", html`<i>2</i>`));
    await node.turbo.flush();
    await until(() => Number(node.turbo.cursor.split(".")[1]) > 0, "it is in the new one");
    assert.match(await redis.cli("XRANGE", "turbo", "-", "+"), /<i>2<\/i>/);
  },
);

Deno.test(
  "Pusher.push() sends again what was not answered, and pages receive it once",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using node = await startNode(redis, "ann");
    await using proxy = startProxy(redis.port);
    await using pages = new Pusher({ url: proxy.url.replace("http", "redis"), timeout: 30_000 });
    await pages.push(append("list", html`<i>1</i>`));
    proxy.delayDown = 3_000;
    const pushed = pages.push(append("list", html`<i>2</i>`));
    await until(() => node.text.includes("<i>2</i>"), "it has arrived");
    proxy.delayDown = 0;
    proxy.cut();
    await within(pushed, "the push");
    await pages.push(append("list", html`<i>3</i>`));
    await until(() => node.text.includes("<i>3</i>"), "the next one");
    assert.deepEqual(node.text.match(/<i>\d/g), ["<i>1", "<i>2", "<i>3"]);
    const entries = await redis.cli("XRANGE", "turbo", "-", "+");
    assert.equal(entries.match(/<i>2/g)?.length, 2, "it is there twice");
  },
);

Deno.test(
  "Pusher.push() rejects at once for a permanent error, and in time for a missing server",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis({ args: ["--requirepass", "right"] });
    await using wrong = new Pusher({ url: redis.url.replace("//", "//:wrong@") });
    await assert.rejects(wrong.push(remove("a")), /wrong user or password/);
    await redis.kill();
    await using away = new Pusher({ url: redis.url, timeout: ENOUGH });
    await assert.rejects(away.push(remove("a")), new RegExp(`within ${ENOUGH} ms: .*refused`, "i"));
    await away.close();
    await assert.rejects(away.push(remove("a")), /is closed/);
  },
);

Deno.test("parseCommand() reads what is to be pushed, and for whom", () => {
  const of = (...args: string[]) => {
    const command = parseCommand(["--redis", "redis://a", ...args], undefined);
    assert(command !== "help");
    const { content = "from stdin" } = command;
    return [String(command.stream(content)), command.options];
  };
  const template = "<template><b>1</b></template></turbo-stream>";
  assert.deepEqual(of("--to", "ann", "replace", "load", "<b>1</b>"), [
    `<turbo-stream action="replace" target="load">${template}`,
    { to: ["ann"] },
  ]);
  assert.deepEqual(of("--topic", "a", "--topic", "b", "append", "l", "--all", "<b>1</b>"), [
    `<turbo-stream action="append" targets="l">${template}`,
    { topic: ["a", "b"] },
  ]);
  const [text] = of("update", "l", "--text", "<b>");
  assert.match(String(text), /&lt;b&gt;/);
  assert.match(String(of("update", "l")[0]), /from stdin/);
  assert.match(String(of("update", "l", "-", "--morph")[0]), /method="morph".*from stdin/);
  assert.equal(of("remove", "l")[0], '<turbo-stream action="remove" target="l"></turbo-stream>');
  assert.equal(of("refresh")[0], '<turbo-stream action="refresh"></turbo-stream>');
  assert.match(String(of("refresh", "--morph")[0]), /morph/);
  assert.deepEqual(of("--except", "p1", "remove", "l")[1], { except: "p1" });
  const command = parseCommand(["--timeout", ".5", "refresh"], "redis://env");
  assert(command !== "help");
  assert.deepEqual(command.to, { url: "redis://env", timeout: 500 });
  assert.equal(parseCommand(["-h"], undefined), "help");
});

for (
  const [args, message] of [
    [[], /an ACTION is needed/],
    [["jump", "a"], /no action "jump"/],
    [["replace"], /replace needs a TARGET/],
    [["remove", "a", "b"], /remove takes no "b"/],
    [["refresh", "a"], /refresh takes no "a"/],
    [["append", "a", "b", "c"], /append takes no "c"/],
    [["append", "a", "b", "--morph"], /--morph is for replace, update, refresh/],
    [["remove", "a", "--timeout", "soon"], /--timeout is "soon": seconds from 0.01 to 3600/],
    [["remove", "a", "--two", "b"], /--two/],
  ] as const
) {
  Deno.test(`parseCommand() reports what is wrong with ${JSON.stringify(args)}`, () => {
    assert.throws(() => parseCommand(args, "redis://a"), message);
  });
}

Deno.test("parseCommand() requires a server", () => {
  assert.throws(() => parseCommand(["refresh"], undefined), /--redis URL is needed/);
});

/** Runs the command. */
async function run(
  args: readonly string[],
  { flags = ["--allow-net=127.0.0.1"], input = "" } = {},
) {
  const path = new URL("../turbo/push.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, path, ...args],
    env: { NO_COLOR: "1", REDIS_URL: "redis://127.0.0.1:1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await within(child.output(), "the command");
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("push.ts pushes the content from its command line or its input", WITH_REDIS, async () => {
  await using redis = await startRedis();
  await using node = await startNode(redis, "ann");
  const to = ["--redis", redis.url, "--to", "ann"];
  assert.deepEqual(await run([...to, "append", "list", "<i>1</i>"]), {
    code: 0,
    stdout: "",
    stderr: "",
  });
  assert.equal((await run([...to, "append", "list"], { input: "<i>2</i>\n" })).code, 0);
  await until(() => node.text.includes("<i>2</i>"), "both have come");
  assert.match(node.text, /<template><i>1<\/i><\/template>.*[^]*<template><i>2<\/i><\/template>/);
});

Deno.test("push.ts reports errors by its exit code and one line", WITH_PROCESS, async () => {
  const help = await run(["--help"]);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /ACTION is append, .*--redis URL/s);
  assert.deepEqual(await run(["jump"]), {
    code: 2,
    stdout: "",
    stderr: 'push: there is no action "jump" (see --help)\n',
  });
  const url = ["--redis", "redis://127.0.0.1:1"];
  const nameless = await run([...url, "--to", "", "refresh"]);
  assert.deepEqual([nameless.code, nameless.stderr.split("\n").length], [2, 2], nameless.stderr);
  const away = await run([...url, "--timeout", "0.2", "refresh"]);
  assert.equal(away.code, 1);
  assert.match(away.stderr, /^push: Cannot push by Redis at 127.0.0.1:1 within 200 ms: .+\n$/);
  const byEnv = await run(["--timeout", "0.2", "refresh"], {
    flags: ["--allow-net=127.0.0.1", "--allow-env=REDIS_URL"],
  });
  assert.match(byEnv.stderr, /Redis at 127.0.0.1:1 within/);
  const denied = await run([...url, "refresh"], { flags: [] });
  assert.match(denied.stderr, /--allow-net/);
  assert.equal(denied.code, 1);
});
