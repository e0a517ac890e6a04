import assert from "node:assert/strict";
import { append, html, replace, Turbo, type TurboOptions } from "../turbo/mod.ts";
import { redis, type RedisOptions } from "../turbo/redis.ts";
import { freePort, QUICK, serve, until, within } from "./kit.ts";
import { connect, connected, parseFrame, PROTOCOL, sinceOf, type TestClient } from "./kit.ts";
import { startProcess } from "./processes.ts";
import { startRedis, WITH_REDIS } from "./redis_server.ts";

/** A node that serves pages, with a Redis engine. */
async function startNode(
  { url }: Pick<RedisOptions, "url">,
  { isReady = true, as, ...rest }: TurboOptions & { isReady?: boolean; as?: string } = {},
) {
  const notices: string[] = [];
  const engine = redis({ url, hold: 500, interval: 300 });
  const onNotice = (message: string) => notices.push(message);
  const turbo = new Turbo({ engine, onNotice, ...rest });
  const server = serve((request) =>
    new URL(request.url).pathname === "/turbo-stream"
      ? turbo.connect(request, { as })
      : new Response(String(turbo.head()))
  );
  if (isReady) await within(turbo.ready, "the node to be ready");
  return {
    turbo,
    notices,
    engine,
    url: server.url,
    async [Symbol.asyncDispose]() {
      await within(turbo.close({ window: 0, deadline: 1_000 }), "the node to close");
      await server[Symbol.asyncDispose]();
    },
  };
}

type TestNode = Awaited<ReturnType<typeof startNode>>;

/** A page that is connected to a node, from a cursor on. */
async function openPage(
  { turbo, url }: TestNode,
  { cursor = turbo.cursor, topic }: { cursor?: string; topic?: { name: string; token: string } } =
    {},
): Promise<TestClient> {
  const before = turbo.size;
  const page = await connect(url, { path: `/turbo-stream?since=${cursor}`, protocol: PROTOCOL });
  await connected(turbo, { count: before + 1 });
  if (topic) {
    page.socket.send(sinceOf({ cursor, token: topic.token }));
    await connected(turbo, { topic: topic.name });
  }
  return page;
}

/** Everything that a page was sent, as one text. */
const sent = (page: TestClient) =>
  page.messages.flatMap(parseFrame).map(({ html }) => html).join("");
const item = (n: number | string) => append("list", html`<li>${n}</li>`);
/** The items in the order in which a page was sent them. */
const items = (page: TestClient) => [...sent(page).matchAll(/<li>(\w+)<\/li>/g)].map(([, n]) => n);

Deno.test(
  "redis() delivers the pushes of every node to the pages of all, in one order",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await using one = await startNode(server);
    await using two = await startNode(server);
    await using a = await openPage(one);
    await using b = await openPage(two);
    const all: string[] = [];
    for (let n = 0; n < 50; n++) {
      for (const [name, { turbo }] of [["a", one], ["b", two]] as const) {
        turbo.push(item(`${name}${n}`));
        all.push(`${name}${n}`);
      }
      if (n % 10 === 0) await one.turbo.flush();
    }
    await Promise.all([one.turbo.flush(), two.turbo.flush()]);
    await until(() => items(a).length >= 100 && items(b).length >= 100, "both pages have all");
    assert.deepEqual(items(a), items(b));
    assert.deepEqual(items(a).toSorted(), all.toSorted(), "each of them once");
    assert.deepEqual(
      items(a).filter((n) => n!.startsWith("a")),
      all.filter((n) => n.startsWith("a")),
    );
    await until(() => one.turbo.cursor === two.turbo.cursor, "both copies are at one place");
    assert.deepEqual([one.notices, two.notices], [[], []]);
  },
);

Deno.test(
  "Turbo.flush() resolves when what was pushed is covered by the cursor",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await using one = await startNode(server);
    const { cursor } = one.turbo;
    one.turbo.push(item(1));
    one.turbo.push(item(2));
    await within(one.turbo.flush(), "the flush");
    const page = await connect(one.url, {
      path: `/turbo-stream?since=${one.turbo.cursor}`,
      protocol: PROTOCOL,
    });
    await connected(one.turbo);
    one.turbo.push(item(3));
    await until(() => items(page).length > 0, "something comes");
    assert.deepEqual(items(page), ["3"]);
    await page[Symbol.asyncDispose]();
    await using other = await openPage(one, { cursor });
    await until(() => items(other).length === 3, "all that came after the first cursor");
  },
);

Deno.test(
  "A page continues on another node where it stopped on the first",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await using one = await startNode(server);
    await using two = await startNode(server);
    const { cursor } = one.turbo;
    one.turbo.push(item(1));
    two.turbo.push(item(2));
    await two.turbo.flush();
    await using page = await openPage(two, { cursor });
    await until(() => items(page).length === 2, "what it missed");
    assert.deepEqual(items(page).toSorted(), ["1", "2"]);
    assert.doesNotMatch(sent(page), /refresh/);
  },
);

Deno.test(
  "Turbo.disconnect() and Turbo.revoke() reach the pages of all nodes",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await using one = await startNode(server, { as: "ann" });
    await using two = await startNode(server, { as: "ann" });
    const token = tokenOf(one.turbo, ["room"]);
    await using page = await openPage(two, { topic: { name: "room", token } });
    assert.equal(
      two.turbo.listeners({ topic: "room" }),
      1,
      "the token of the other node is accepted",
    );
    one.turbo.push(item("room"), { topic: "room" });
    await until(() => items(page).length === 1, "what goes to the topic");
    one.turbo.revoke("room");
    await until(
      () => two.turbo.listeners({ topic: "room" }) === 0,
      "nobody listens to it any more",
    );
    await until(() => /refresh/.test(sent(page)), "the page fetches itself");
    assert.equal(one.turbo.disconnect("ann"), 0);
    assert.equal((await within(page.closed, "the page to be closed")).code, 4001);
  },
);

Deno.test("Turbo.share() reaches all nodes, and their end is reported", WITH_REDIS, async () => {
  await using server = await startRedis();
  const changes: string[] = [];
  await using one = await startNode(server, {
    onShared: ({ kind, isOwn }) => changes.push(`${kind}${isOwn ? " itself" : ""}`),
  });
  const values = () => [...one.turbo.shared.values()].map(({ value }) => value).sort();
  one.turbo.share(1);
  const two = await startNode(server);
  two.turbo.share(2);
  await until(() => values().length === 2, "it knows of both");
  assert.deepEqual(values(), [1, 2]);
  two.turbo.share(3);
  await until(() => values()[1] === 3, "it knows of the change");
  const three = await startNode(server);
  await until(() => three.turbo.shared.size === 2, "one that comes later knows of both");
  await two[Symbol.asyncDispose]();
  await until(() => values().length === 1, "it knows of the end");
  const ofOther = changes.filter((change) => !change.endsWith("itself"));
  assert.deepEqual([changes[0], ...ofOther], ["joined itself", "joined", "changed", "left"]);
  await three[Symbol.asyncDispose]();
});

Deno.test(
  "A push in a callback of redis() comes after the event of the callback",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    let caught: unknown;
    await using one = await startNode(server, {
      onShared({ kind }) {
        one.turbo.push(() => item(kind));
        one.turbo.push(item("after"));
        try {
          one.turbo.push(() => {
            throw new Error("cannot be rendered");
          });
        } catch (error) {
          caught = error;
        }
      },
    });
    await using page = await openPage(one);
    one.turbo.share(1);
    one.turbo.push(item("next"));
    await until(() => items(page).length >= 3, "three pushes");
    assert.deepEqual(items(page), ["next", "joined", "after"]);
    assert.equal((caught as Error).message, "cannot be rendered");
  },
);

Deno.test(
  "Turbo.push() renders a function at once, and again when another node has changed the same element",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await using one = await startNode(server);
    await using two = await startNode(server);
    await using page = await openPage(one);
    let value = 0;
    const box = () => replace("box", html`<li>${value}</li>`);
    assert.throws(() =>
      one.turbo.push(() => {
        throw new RangeError("no");
      }), RangeError);
    assert.equal(one.turbo.push(() => []), 0);
    for (let n = 1; n <= 100; n++) {
      value = n;
      one.turbo.push(box);
      value = n + 0.5 > 100 ? 100 : n;
      two.turbo.push(box);
      await Promise.all([one.turbo.flush(), two.turbo.flush()]);
    }
    await until(() => items(page).at(-1) === "100", "the newest is the last");
  },
);

Deno.test("redis() rejects wrong options, and shows no password", () => {
  const secret = "redis://:hunter2@localhost";
  const wrong: [RedisOptions, string, RegExp][] = [
    [{} as RedisOptions, "TypeError", /"url" of redis\(\): a URL such as "redis:/],
    [{ url: `${secret}/x` }, "RangeError", /a text of 28 characters as "url"/],
    [{ url: secret, key: "" }, "RangeError", /"key" of redis\(\)/],
    [{ url: secret, hold: 0 }, "RangeError", /Cannot take 0 as "hold"/],
    [{ url: secret, interval: "1" as never }, "TypeError", /"interval"/],
    [{ url: secret, maxEntries: 1.5 }, "RangeError", /"maxEntries"/],
    [{ url: secret, URL: 1 } as never, "TypeError", /redis\(\) has no option "URL"/],
  ];
  for (const [options, name, message] of wrong) {
    assert.throws(() => redis(options), (error: Error) => {
      assert.equal(error.name, name);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    });
  }
});

Deno.test("redis() cannot start twice", async () => {
  const engine = redis({ url: `redis://127.0.0.1:${freePort()}` });
  const one = new Turbo({ engine, onNotice: () => {} });
  assert.throws(() => new Turbo({ engine }), {
    name: "Error",
    message: "Cannot start a redis engine twice: each Turbo needs one of its own",
  });
  await one.close();
});

Deno.test(
  "Turbo.ready rejects when the server will never accept the node",
  WITH_REDIS,
  async () => {
    await using server = await startRedis({ args: ["--requirepass", "right"] });
    const url = `redis://:hunter2@${server.name}`;
    await using node = await startNode({ url }, { isReady: false });
    await assert.rejects(within(node.turbo.ready, "an answer"), (error: Error) => {
      assert.match(
        error.message,
        new RegExp(
          `^Cannot use Redis at ${server.name}: the URL has a wrong user or password \\(WRONG`,
        ),
      );
      assert.doesNotMatch(error.message + node.notices.join(), /hunter2|:right/);
      assert.equal(node.notices[0], error.message);
      return true;
    });
  },
);

Deno.test(
  "A node starts alone without its server, and follows it when it appears",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await server.kill();
    await using one = await startNode(server);
    assert.match(one.turbo.away!, /ECONNREFUSED/);
    await using page = await openPage(one);
    one.turbo.push(item(1));
    await within(one.turbo.flush(), "the flush");
    await until(() => items(page).length === 1, "its own page is sent it");
    await server.restart();
    await until(() => one.turbo.away === undefined, "it follows");
    await until(() => /refresh/.test(sent(page)), "the page fetches itself");
    assert.match(one.notices.join("\n"), /^Redis at .+ is away: .+\nRedis at .+ is back$/);
  },
);

Deno.test("Nodes continue after their server was killed and is back", WITH_REDIS, async () => {
  await using server = await startRedis();
  await using one = await startNode(server);
  await using two = await startNode(server);
  const secret = await server.cli("GET", "turbo:secret");
  await server.kill();
  await until(() => one.turbo.away !== undefined && two.turbo.away !== undefined, "they know");
  await server.restart();
  await until(() => one.turbo.away === undefined && two.turbo.away === undefined, "they are back");
  await until(() => epoch(one) === epoch(two), "in one order");
  await using page = await openPage(two);
  one.turbo.push(item(1));
  await until(() => items(page).length === 1, "what the other one pushes");
  assert.equal(await server.cli("GET", "turbo:secret"), secret, "the key of before");
});

Deno.test(
  "A suspended server is noticed, and pushes are delivered",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await using one = await startNode(server);
    await using page = await openPage(one);
    server.pause();
    one.turbo.push(item(1));
    await until(() => items(page).length === 1, "the page is sent it");
    assert.match(one.turbo.away!, /said nothing for/);
    server.resume();
    await until(() => one.turbo.away === undefined, "it is back");
  },
);

Deno.test("Nodes continue after the stream was deleted", WITH_REDIS, async () => {
  await using server = await startRedis();
  await using one = await startNode(server);
  await using two = await startNode(server);
  const [before, secret] = [epoch(one), await server.cli("GET", "turbo:secret")];
  await server.cli("FLUSHALL");
  one.turbo.push(item(1));
  await within(one.turbo.flush(), "the flush");
  await until(() => epoch(one) !== before && epoch(one) === epoch(two), "another life of it");
  assert.equal(await server.cli("GET", "turbo:secret"), secret, "the key of before");
});

Deno.test(
  "All nodes sign topics with the same key after the stream was lost",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await using one = await startNode(server);
    const before = epoch(one);
    const [id = ""] = (await server.cli("XREVRANGE", "turbo", "+", "-", "COUNT", "1")).split("-");
    const other = `redis.call('FLUSHALL')
    redis.call('SET', 'turbo:secret', 'the secret of another node')
    redis.call('XADD', 'turbo', '${Number(id) + 1}-0', 'b', 'other')`;
    await server.cli("EVAL", other, "0");
    await until(() => epoch(one) !== before, "it follows the other life");
    await using two = await startNode(server);
    const topic = { name: "room", token: tokenOf(one.turbo, ["room"]) };
    await using _page = await openPage(two, { topic });
  },
);

Deno.test("redis() leaves nothing behind when it is closed at any time", WITH_REDIS, async () => {
  await using server = await startRedis();
  for (const milliseconds of [0, 1, 5, 20, 60]) {
    const node = await startNode(server, { isReady: false });
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    const flushed = node.turbo.flush();
    await node[Symbol.asyncDispose]();
    await within(flushed, "the flush to end");
    assert.equal(node.turbo.push(item(1)), 0);
    await within(node.turbo.flush(), "a flush after the end");
  }
  server.pause();
  const node = await startNode(server, { isReady: false });
  node.turbo.push(item(1));
  await node[Symbol.asyncDispose]();
  server.resume();
});

Deno.test(
  "redis.close() waits until its pushes have reached the other nodes",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await using two = await startNode(server);
    await using page = await openPage(two);
    const one = await startNode(server);
    for (let n = 0; n < 100; n++) one.turbo.push(item(n));
    await one[Symbol.asyncDispose]();
    await until(() => items(page).length === 100, "all of them");
  },
);

Deno.test(
  "Turbo.push() after Turbo.close() reaches the pages of the other nodes, once and in order",
  WITH_REDIS,
  async () => {
    await using server = await startRedis();
    await using two = await startNode(server);
    await using page = await openPage(two);
    const one = await startNode(server);
    one.turbo.push(item("before"));
    await one[Symbol.asyncDispose]();
    // As by a handler that was still reading from its database when the node closed.
    for (let n = 0; n < 5; n++) one.turbo.push(n % 2 ? item(n) : () => item(n));
    await within(one.turbo.flush(), "the flush");
    one.turbo.disconnect("nobody");
    await within(one.turbo.flush(), "the other flush");
    await until(() => items(page).length === 6, "all of them");
    assert.deepEqual(items(page), ["before", "0", "1", "2", "3", "4"]);
    assert.deepEqual([...two.turbo.shared.keys()], [], "the closed node is no node again");
    assert.deepEqual([one.notices, two.notices], [[], []]);
  },
);

Deno.test("redis() needs the network permission only for the server, and says so", {
  ignore: QUICK || WITH_REDIS.ignore!,
}, async () => {
  await using server = await startRedis();
  await using tls = await startRedis({ isTls: true });
  const run = async (url: string, net: string, env: Record<string, string> = {}) => {
    const flags = ["--no-prompt", `--allow-net=${net}`];
    await using app = startProcess("apps/redis_app.ts", [url], { flags, env });
    assert.equal(await within(app.ended, "the app to end"), 0, app.errors);
    return app.lines.join("\n");
  };
  const byName = `redis://localhost:${server.port}`;
  const [granted, denied, byItsName, notByName, unknown, trusted] = await Promise.all([
    run(server.url, server.name),
    run(server.url, "10.0.0.1"),
    run(byName, `localhost:${server.port}`),
    run(byName, "127.0.0.1"),
    run(tls.url, tls.name),
    run(tls.url, tls.name, { DENO_CERT: tls.authority }),
  ]);
  assert.deepEqual([granted, byItsName, trusted], ["following", "following", "following"]);
  assert.match(
    denied,
    /^Cannot use Redis at \S+: Deno needs --allow-net=127\.0\.0\.1:\d+ \(Requires net/,
  );
  assert.match(
    notByName,
    /^Cannot use Redis at \S+: Deno needs --allow-net=localhost:\d+ \(getaddrinfo EPERM/,
  );
  assert.match(unknown, /^Cannot use Redis at \S+: its certificate is not accepted: DENO_CERT /);
});

/** The epoch of a node's copy. */
const epoch = ({ turbo }: TestNode) => turbo.cursor.split(".")[0];

/** The token that a page carries for these topics. */
function tokenOf(turbo: Turbo, topics: string[]): string {
  const [, token = ""] = /data-token="([^"]+)"/.exec(String(turbo.head({ topics }))) ?? [];
  return token;
}
