import assert from "node:assert/strict";
import type { ChatAppOptions } from "./apps/chat_app.ts";
import { connect, parseFrame, PROTOCOL, sinceOf, until, within } from "./kit.ts";
import { startProcess, startServer, type TestServerProcess } from "./processes.ts";
import { startRedis, type TestRedis, WITH_REDIS } from "./redis_server.ts";

/** Milliseconds. */
const GRACE = 2_000;
const LOBBY = "/rooms/lobby";

/** Starts three nodes of the chat. */
async function startChats({ url }: TestRedis) {
  await using made = new AsyncDisposableStack();
  const options: ChatAppOptions = { engine: { url, interval: 300 }, presenceGrace: GRACE };
  const started = await Promise.allSettled(
    [1, 2, 3].map(async () =>
      made.use(await startServer("apps/chat_app.ts", [JSON.stringify(options)]))
    ),
  );
  const nodes = started.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  }) as [TestServerProcess, TestServerProcess, TestServerProcess];
  const all = made.move();
  return { nodes, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Opens a room in a browser that has this cookie, or in a new one. */
async function openTab({ url }: TestServerProcess, { cookie = "", path = LOBBY } = {}) {
  const response = await fetch(url + path, { headers: { Cookie: cookie } });
  const own = response.headers.get("Set-Cookie")?.split(";")[0] ?? cookie;
  const page = (await response.text()).replaceAll(/\s+/g, " ");
  const [, token = ""] = /data-token="([^"]+)"/.exec(page)!;
  const cursor = response.headers.get("Turbo-Cursor")!;
  const client = await connect(url, { protocol: PROTOCOL, headers: { Cookie: own } });
  client.socket.send(sinceOf({ cursor, token }));
  const sent = () => client.messages.flatMap(parseFrame).map(({ html }) => html).join("");
  return {
    cookie: own,
    wasKnown: own === cookie,
    sent,
    /** The numbers that it was sent; `NaN` for a refresh, which also brings the number. */
    counts: () =>
      [...sent().matchAll(/(\d+) here|action="refresh"/g)].map(([, count]) => Number(count)),
    leave: () => client[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** How many people a page of a node shows in the lobby. */
async function hereOn({ url }: TestServerProcess): Promise<number> {
  return Number(/(\d+) here/.exec(await (await fetch(url + LOBBY)).text())![1]);
}

Deno.test(
  "The chat on three processes counts a browser once, and those of a killed process leave after the grace period",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using chats = await startChats(redis);
    const { nodes } = chats;
    const [one, two, three] = nodes;
    await using first = await openTab(one);
    await using second = await openTab(two, { cookie: first.cookie });
    assert(second.wasKnown, "the other process knows the browser");
    await using stays = await openTab(three);
    await using goesOn = await openTab(three);
    const everywhere = async (count: number) => {
      for (const node of nodes.filter(({ child }) => child !== three.child || count === 3)) {
        await until(async () => await hereOn(node) === count, `${count} are here on each`);
      }
      for (const tab of [first, second]) {
        const isTold = () => [count, NaN].includes(tab.counts().at(-1)!);
        await until(() => tab.counts().length > 0 && isTold(), `each page shows ${count}`);
      }
    };
    await everywhere(3);
    assert.equal(Math.max(...first.counts(), ...second.counts()), 3, "two tabs count as one");
    const told = [first, second].map((tab) => tab.counts().length);
    three.child.kill("SIGKILL");
    await three.ended;
    await using _ = await openTab(two, { cookie: goesOn.cookie });
    await everywhere(2);
    assert.equal(stays.counts().at(-1), 3);
    for (const [index, tab] of [first, second].entries()) {
      const later = tab.counts().slice(told[index]).filter((count) => !isNaN(count));
      assert.deepEqual(new Set([2, ...later]), new Set([2]), "who went on has never left");
    }
    assert.deepEqual([one, two].map(({ errors }) => errors), ["", ""]);
  },
);

Deno.test(
  "push.ts pushes to a topic on all processes of the running chat, and to no other page",
  WITH_REDIS,
  async () => {
    await using redis = await startRedis();
    await using chats = await startChats(redis);
    await using stack = new AsyncDisposableStack();
    const tabs = await Promise.all(chats.nodes.map((node) => openTab(node)));
    const other = await openTab(chats.nodes[0], { path: "/rooms/garden" });
    for (const tab of [...tabs, other]) {
      stack.use(tab);
      await until(() => tab.counts().length > 0, "it is connected and counted");
    }
    const push = async (...args: string[]) => {
      await using command = startProcess(
        "../turbo/push.ts",
        [`--redis=${redis.url}`, ...args],
        { flags: ["--no-prompt", "--allow-net=127.0.0.1"] },
      );
      assert.equal(await within(command.ended, "the command to end"), 0, command.errors);
      assert.deepEqual([command.errors, command.lines], ["", []]);
    };
    await push("--topic=room:lobby", "append", "lines", "<li>for the lobby</li>");
    await push("--text", "update", "presence", "for <all>");
    for (const tab of [...tabs, other]) {
      await until(() => tab.sent().includes("for &lt;all&gt;"), "all have what is for all");
    }
    const counts = [...tabs, other].map((tab) => tab.sent().split("for the lobby").length - 1);
    assert.deepEqual(counts, [1, 1, 1, 0]);
  },
);
