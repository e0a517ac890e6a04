// What was pushed to some readers is never sent to others, whenever they connect and whatever they ask.

import assert from "node:assert/strict";
import { append, html, remove, Turbo, type TurboOptions, type Whom } from "../turbo/mod.ts";
import {
  connect,
  connected,
  parseFrame,
  PROTOCOL,
  serve,
  sinceOf,
  type TestClient,
} from "./kit.ts";
import { until } from "./kit.ts";

const SECRET = "a secret of these tests";
const line = (id: string) => append("lines", html`<li id="${id}">${id}</li>`);

function start(options: TurboOptions = {}) {
  const changes: (readonly Whom[])[] = [];
  const turbo = new Turbo({
    secret: SECRET,
    onChange: (whom) => changes.push(whom),
    onError: (message, error) => assert.fail(`${message} ${error}`),
    ...options,
  });
  const server = serve((request) => {
    const as = request.headers.get("X-As");
    return turbo.connect(request, as === null ? {} : { as });
  });
  return {
    turbo,
    changes,
    url: server.url,
    async [Symbol.asyncDispose]() {
      await turbo.close({ window: 0, deadline: 1_000 });
      await server[Symbol.asyncDispose]();
    },
  };
}

function tokenOf(turbo: Turbo, options: Parameters<Turbo["head"]>[0]): string {
  return /data-token="([^"]+)"/.exec(String(turbo.head(options)))![1]!;
}

/** A page of a reader that asks in its first message. Its first heartbeat is already read. */
async function open(url: string, as?: string): Promise<TestClient> {
  const client = await connect(url, {
    protocol: PROTOCOL,
    headers: as === undefined ? {} : { "X-As": as },
  });
  await client.next();
  return client;
}

/** Asks, and returns what arrived with the marker and right after it. */
async function ask(client: TestClient, cursor: string, token?: string): Promise<string> {
  const from = client.messages.length;
  client.socket.send(sinceOf({ cursor, token }));
  const fence = sinceOf({ cursor: "fence.1", token });
  await client.next();
  client.socket.send(fence); // its marker arrives after everything that answers the first
  const html = () => client.messages.slice(from).flatMap(parseFrame);
  await until(() => html().some(({ cursor }) => cursor === "fence.1"), "the fence");
  const all = html();
  const answer = all.slice(0, all.findIndex(({ cursor }) => cursor === "fence.1"));
  await until(() => html().at(-1)?.html.includes("refresh") === true, "what answers the fence");
  while (client.messages.length > from) client.messages.pop();
  return answer.map(({ html }) => html).join("");
}

Deno.test("A reader named like a topic receives nothing for the topic, and the other way round", async () => {
  await using at = start();
  await using named = await open(at.url, "room:1");
  await using member = await open(at.url, "ann");
  member.socket.send(
    sinceOf({ cursor: at.turbo.cursor, token: tokenOf(at.turbo, { topics: ["room:1"] }) }),
  );
  await connected(at.turbo, { topic: "room:1" });
  assert.deepEqual(
    [at.turbo.listeners("room:1"), at.turbo.listeners({ topic: "room:1" })],
    [1, 1],
  );
  assert.equal(at.turbo.push(line("topic"), { topic: "room:1" }), 1);
  assert.equal(at.turbo.push(line("reader"), { to: "room:1" }), 1);
  assert.equal(at.turbo.push(line("both"), { to: "room:1", topic: "room:1" }), 2);
  assert.equal(at.turbo.push(line("twice"), { to: ["ann", "room:1"], topic: "room:1" }), 2);
  const heard = (client: TestClient) => () =>
    client.messages.join().match(/id=\\"\w+/g)?.join() ?? "";
  await until(() => heard(named)().split(",").length === 3, "the reader has three");
  await until(() => heard(member)().split(",").length === 3, "the member has three");
  assert.equal(heard(named)(), 'id=\\"reader,id=\\"both,id=\\"twice');
  assert.equal(heard(member)(), 'id=\\"topic,id=\\"both,id=\\"twice');
});

Deno.test("The page of a new member of a room is not sent earlier pushes, and fetches itself", async () => {
  await using at = start();
  const { cursor: first } = at.turbo;
  at.turbo.push(line("public"));
  at.turbo.push(line("before"), { topic: "room" });
  const token = tokenOf(at.turbo, { topics: ["room"] });
  const { cursor: joined } = at.turbo;
  at.turbo.push(line("after"), { topic: "room" });
  await using client = await open(at.url);
  assert.equal(await ask(client, first, token), '<turbo-stream action="refresh"></turbo-stream>');
  assert.match(await ask(client, joined, token), /^<turbo-stream[^>]*><template><li id="after">/);
  assert.equal(await ask(client, first), String(line("public")), "without the token");
});

Deno.test("A page that is older than its token is replayed if nothing was pushed to its topics meanwhile", async () => {
  await using at = start();
  const { cursor: first } = at.turbo;
  at.turbo.push(line("public"));
  at.turbo.push(line("other"), { topic: "other" });
  const token = tokenOf(at.turbo, { topics: ["room"] });
  at.turbo.push(line("after"), { topic: "room" });
  await using client = await open(at.url);
  assert.equal(await ask(client, first, token), line("public") + line("after"));
});

Deno.test("What was removed is sent to no later reader", async () => {
  await using at = start();
  const { cursor } = at.turbo;
  at.turbo.push(line("gone"));
  at.turbo.push(line("stays"));
  at.turbo.push(remove("gone"));
  await using client = await open(at.url);
  assert.equal(await ask(client, cursor), line("stays") + remove("gone"));
});

Deno.test("Turbo.revoke() ends a topic at once, and earlier tokens stay invalid", async () => {
  await using at = start();
  await using member = await open(at.url, "ann");
  await using other = await open(at.url, "bob");
  const old = tokenOf(at.turbo, { topics: ["room", "hall"] });
  const hall = tokenOf(at.turbo, { topics: ["hall"] });
  for (const [client, token] of [[member, old], [other, hall]] as const) {
    client.socket.send(sinceOf({ cursor: at.turbo.cursor, token }));
  }
  await connected(at.turbo, { topic: "hall", count: 2 });
  at.turbo.revoke("room");
  assert.deepEqual(at.changes.at(-1), [{ topic: "room" }, { topic: "hall" }]);
  assert.equal(at.turbo.push(line("secret"), { topic: "room" }), 0);
  assert.equal(at.turbo.listeners({ topic: "hall" }), 1, "who has not that topic goes on");
  assert.equal(at.turbo.listeners("ann"), 1, "the reader stays connected");
  await until(() => member.messages.join().includes("refresh"), "the page fetches itself");
  assert.doesNotMatch(other.messages.join(), /refresh/);
  member.socket.send(sinceOf({ cursor: at.turbo.cursor, token: old }));
  await until(() => member.messages.join().split("refresh").length === 3, "it does so again");
  assert.equal(at.turbo.listeners({ topic: "room" }), 0);
  const renewed = tokenOf(at.turbo, { topics: ["room"] });
  member.socket.send(sinceOf({ cursor: at.turbo.cursor, token: renewed }));
  await connected(at.turbo, { topic: "room" });
  assert.doesNotMatch(member.messages.join(), /secret/);
});

Deno.test("A token of one app is not valid for another with the same secret", async () => {
  await using one = start({ path: "/one/turbo-stream", log: { epoch: "same" } });
  await using two = start({ path: "/two/turbo-stream", log: { epoch: "same" } });
  const token = tokenOf(one.turbo, { topics: ["room"] });
  for (const [{ url, turbo }, count] of [[one, 1], [two, 0]] as const) {
    await using client = await open(url);
    await ask(client, turbo.cursor, token);
    assert.equal(turbo.listeners({ topic: "room" }), count);
  }
});

Deno.test("onChange is called when something changed, and not for a since that changes nothing", async () => {
  await using at = start();
  await using client = await open(at.url, "ann");
  assert.deepEqual(at.changes, [["ann"]]);
  for (let n = 0; n < 10; n++) client.socket.send(sinceOf({ cursor: at.turbo.cursor }));
  client.socket.send(
    sinceOf({ cursor: at.turbo.cursor, token: tokenOf(at.turbo, { topics: ["room"] }) }),
  );
  await connected(at.turbo, { topic: "room" });
  assert.deepEqual(at.changes, [["ann"], [{ topic: "room" }]]);
  await client[Symbol.asyncDispose]();
  await until(() => at.turbo.size === 0, "it is gone");
  assert.deepEqual(at.changes.slice(2), [["ann", { topic: "room" }]]);
});
