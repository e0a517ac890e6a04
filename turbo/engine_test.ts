import assert from "node:assert/strict";
import { directory } from "../tests/kit.ts";
import { type Copy, type Engine, memory, type Push } from "./engine.ts";
import { html } from "./html.ts";
import { type Entry, Log } from "./log.ts";
import { leaveState, takeState } from "./state_file.ts";
import { append, replace, type Stream } from "../tests/stream_texts.ts";
import type { TurboOptions } from "./options.ts";
import { Turbo } from "./turbo.ts";

const item = (n: number) => append("list", html`<li>${n}</li>`);

function copy(log = new Log()) {
  const said: string[] = [];
  const delivered: Entry[] = [];
  const parts: Copy = {
    log,
    secret: undefined,
    deliver: (entry) => void delivered.push(entry),
    disconnect: (name) => said.push(`disconnect ${name}`),
    revoke(name) {
      assert(log.isRevoked([name], log.position - 1), "it is in the log already");
      said.push(`revoke ${name}`);
    },
    restart: () => said.push("restart"),
    hear: ({ node, text, isOwn }) => said.push(`${node} ${isOwn ? "itself" : ""} says ${text}`),
    left: (node) => said.push(`${node} has left`),
    sayAll: () => said.push("say all"),
    notice: (message) => said.push(message),
  };
  return Object.assign(parts, { said, delivered });
}

Deno.test("memory() appends what is pushed at once, and delivers it", async () => {
  const engine = memory();
  const { log, delivered, said, ...rest } = copy();
  engine.start({ log, ...rest });
  engine.push({ html: item(1), to: ["ann"], except: "p" });
  engine.push({ html: () => item(2) });
  assert.deepEqual(
    delivered.map(({ html, to, except, position }) => [html, to, except, position]),
    [[item(1), ["ann"], "p", 1], [item(2), undefined, undefined, 2]],
  );
  engine.push({ html: () => "" });
  engine.push({ disconnect: "ann" });
  assert.deepEqual([log.position, said.splice(0)], [2, ["disconnect ann"]]);
  engine.push({ revoke: "room" });
  assert.deepEqual([log.position, said], [3, ["revoke room"]]);
  assert.deepEqual([2, 3].map((position) => log.isRevoked(["room"], position)), [true, false]);
  said.length = 0;
  engine.push({ say: "{}" });
  engine.push({ leave: true });
  assert.deepEqual([log.position, said], [3, ["here itself says {}", "here has left"]]);
  await engine.flush();
  await engine.close();
});

Deno.test("memory() cannot start twice, because two Turbos would be sent each other's pushes", async () => {
  const engine = memory();
  const one = new Turbo({ engine });
  assert.throws(() => new Turbo({ engine }), {
    name: "Error",
    message: "Cannot start a memory engine twice: each Turbo needs one of its own",
  });
  one.push(item(1));
  assert.equal(one.cursor.split(".")[1], "1", "the first one goes on");
  await one.close();
});

/** The path of a state file, in a directory that is removed with the test. */
function place() {
  const { path, ...rest } = directory();
  return { file: `${path}/state`, ...rest };
}

/** An application whose log is kept in a file, and its notices. */
function start(file: string, options: TurboOptions = {}) {
  const said: string[] = [];
  const onNotice = (message: string) => said.push(message);
  return Object.assign(new Turbo({ engine: memory({ file }), onNotice, ...options }), { said });
}

Deno.test("memory({ file }) continues after a clean stop: same cursor, entries, topics", async () => {
  using at = place();
  const one = start(at.file);
  assert.match(one.said.join(), /^No state in .+: there is none/);
  one.push(item(1));
  const head = String(one.head({ topics: ["room"] }));
  assert.equal(one.said.length, 1, "nothing of a random key: this one is kept");
  await one.close();
  assert.deepEqual(at.files(), ["state"]);

  const two = start(at.file);
  assert.deepEqual([two.said, at.files()], [[], []]);
  assert.equal(two.cursor, one.cursor);
  const [, token = ""] = /data-token="([^"]+)"/.exec(head)!;
  const request = new Request(`http://localhost/turbo-stream?since=${one.cursor}&token=${token}`, {
    headers: { Accept: "text/event-stream" },
  });
  const { body } = two.connect(request);
  assert.equal(two.listeners({ topic: "room" }), 1, "topics of before are valid");
  await body!.cancel();
  two.push(item(2));
  assert.notEqual(two.cursor, one.cursor);
  await two.close();
});

for (
  const [name, hours, size] of [
    ["a short stop", 0, 1],
    ["a long stop: what is too old is gone", 1, 0],
    ["a clock that was corrected by seconds meanwhile", -20 / 3600, 1],
    ["a clock that is far behind: nobody knows how old anything is", -1, 0],
    ["a clock that is a minute behind", -1 / 60, 0],
  ] as const
) {
  Deno.test(`memory({ file }) continues after ${name}`, async () => {
    using at = place();
    const [one, two] = [memory({ file: at.file }), memory({ file: at.file })];
    const [before, after] = [copy(), copy()];
    one.start(before);
    one.push({ html: item(1) });
    await one.close();
    const taken = takeState(at.file);
    assert("text" in taken);
    const { savedAt, ...state } = JSON.parse(taken.text);
    assert(Math.abs(Date.now() - savedAt) < 60_000);
    leaveState(at.file, JSON.stringify({ ...state, savedAt: savedAt - hours * 60 * 60 * 1000 }));
    two.start(after);
    assert.deepEqual([after.log.cursor, after.log.size], [before.log.cursor, size]);
    assert.equal(after.log.after(0) === "gap", size === 0);
    // The time of the stop counts towards the age:
    after.log.expire(performance.now() + 15 * 60 * 1000 + 1);
    assert.equal(after.log.size, 0);
  });
}

Deno.test("memory({ file }) starts empty after a stop that was not clean", async () => {
  using at = place();
  const one = start(at.file);
  await one.close();
  const two = start(at.file); // it is never closed
  const three = start(at.file);
  assert.notEqual(three.cursor.split(".")[0], two.cursor.split(".")[0]);
  assert.match(three.said.join(), /there is none/);
});

for (
  const [kind, spoil, message, stays] of [
    ["cut off", (text: string) => text.slice(0, -5), /it is damaged/, false],
    [
      "of another version",
      (text: string) => text.replace(/state \d+/, "state 1"),
      /another version/,
      false,
    ],
    ["something else", () => "# Notes\n", /something else, which stays as it is/, true],
  ] as const
) {
  Deno.test(`memory({ file }) reports a file that is ${kind}, and starts empty`, async () => {
    using at = place();
    const one = start(at.file);
    one.push(item(1));
    await one.close();
    const spoilt = spoil(Deno.readTextFileSync(at.file));
    Deno.writeTextFileSync(at.file, spoilt);
    const two = start(at.file);
    assert.match(two.said.join(), message);
    assert.equal(two.said.length, 1);
    assert.notEqual(two.cursor.split(".")[0], one.cursor.split(".")[0]);
    assert.equal(at.files().length, stays ? 1 : 0);
    await two.close();
    const isAsItWas = Deno.readTextFileSync(at.file) === spoilt;
    assert.equal(isAsItWas, stays, "what is not ours is never overwritten");
  });
}

Deno.test("memory({ file }) does not load the state of another user, nor its key", {
  ignore: Deno.build.os === "windows" || Deno.uid() !== 0, // to change the owner of a file
}, () => {
  using at = place();
  const owner = 65_534;
  const log = new Log({ epoch: "forged" }).save();
  leaveState(at.file, JSON.stringify({ savedAt: Date.now(), secret: "a forged key", log }));
  Deno.chownSync(at.file, owner, owner);
  const [engine, to] = [memory({ file: at.file }), copy()];
  engine.start(to);
  assert.notEqual(to.log.cursor, "forged.0");
  assert.equal(to.secret, undefined);
  assert.match(to.said.join(), /^No state in .+: it belongs to user 65534, not to 0, and stays/);
  assert.deepEqual(at.files(), ["state"]);
});

Deno.test("memory({ file }) fails at the start where no state could be written", () => {
  using at = place();
  Deno.writeTextFileSync(at.file, "");
  assert.throws(() => start(`${at.file}/below`), /Cannot keep the state in .+state\/below: /);
  // The directory has no state to load, and none can be written.
  const nowhere = "/proc/nothing/state";
  if (Deno.build.os === "linux") {
    assert.throws(() => start(nowhere), /Cannot keep the state in \/proc/);
  }
});

Deno.test("Turbo.close() closes its engine once for several calls", async () => {
  const engine = new Elsewhere();
  const turbo = new Turbo({ engine });
  await Promise.all([turbo.close(), turbo.close()]);
  await turbo.close();
  assert.equal(engine.closes, 1);
});

Deno.test("memory({ file }) writes the state again for a push after the stop", async () => {
  using at = place();
  const one = start(at.file);
  await one.close();
  one.push(item(1)); // as from a request that was being answered
  one.push(item(2));
  one.disconnect("ann");
  const { cursor } = one;
  assert.deepEqual(one.said.slice(1), []);
  const two = start(at.file);
  assert.equal(two.cursor, cursor);
  await two.close();
});

Deno.test("memory({ file }) writes the state again for a revoke after the stop", async () => {
  using at = place();
  const [one, two] = [memory({ file: at.file }), memory({ file: at.file })];
  const [before, after] = [copy(), copy()];
  one.start(before);
  await one.close();
  const { position } = before.log;
  one.push({ revoke: "room" }); // as from a request that was being answered
  two.start(after);
  assert.equal(after.log.cursor, before.log.cursor);
  assert(after.log.isRevoked(["room"], position));
  assert.deepEqual(before.said.slice(1), ["revoke room"]);
});

Deno.test("memory({ file }) reports a revoke after another process has loaded its state", async () => {
  using at = place();
  const one = start(at.file);
  await one.close();
  const two = start(at.file);
  one.revoke("room");
  assert.match(one.said.slice(1).join("\n"), /^Cannot leave the state in [^\n]+ a revoke [^\n]+$/);
  const [late, own] = [one.cursor, two.cursor].map((cursor) => cursor.split(".")[0]);
  assert.notEqual(late, own);
  await two.close();
});

Deno.test("memory({ file }) shares no cursor with the process that has loaded its state", async () => {
  using at = place();
  const one = start(at.file);
  await one.close();
  const two = start(at.file);
  one.push(item(1));
  one.push(item(2));
  assert.deepEqual(at.files(), [], "nothing for a third");
  assert.match(
    one.said.slice(1).join("\n"),
    /^Cannot leave the state in [^\n]+ has taken it up[^\n]+$/,
  );
  two.push(item(3));
  const [late, own] = [one.cursor, two.cursor].map((cursor) => cursor.split(".")[0]);
  assert.notEqual(late, own);
  await two.close();
});

Deno.test("memory({ file }) loads nothing where it could write nothing", () => {
  using at = place();
  leaveState(at.file, "{}");
  Deno.mkdirSync(`${at.file}.tmp/in the way`, { recursive: true });
  assert.throws(() => start(at.file), /Cannot keep the state/);
  assert(at.files().includes("state"), "it is still there");
});

Deno.test("memory({ file }) reports when the state cannot be written at the end", async () => {
  using at = place();
  const one = start(at.file);
  Deno.mkdirSync(`${at.file}/in the way`, { recursive: true });
  await one.close();
  assert.match(one.said.at(-1)!, /Cannot leave the state in /);
});

/** An engine whose order comes from elsewhere, some time after the push. */
class Elsewhere implements Engine {
  copy!: Copy;
  closes = 0;
  readonly #waiting: Push[] = [];

  start(copy: Copy): void {
    this.copy = copy;
    copy.log.reset("elsewhere", 100);
  }

  push(push: Push): void {
    this.#waiting.push(push);
  }

  flush(): Promise<void> {
    for (const push of this.#waiting.splice(0)) {
      if ("disconnect" in push) this.copy.disconnect(push.disconnect);
      else if ("revoke" in push) {
        this.copy.log.revoke(push.revoke);
        this.copy.revoke(push.revoke);
      } else if ("html" in push) {
        const html = typeof push.html === "function" ? push.html() : push.html;
        const position = this.copy.log.position + 3; // others push too
        this.copy.deliver(this.copy.log.append(html, push, position));
      }
    }
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closes++;
    return this.flush();
  }
}

Deno.test("Turbo works the same with an engine that orders pushes later and elsewhere", async () => {
  const engine = new Elsewhere();
  const turbo = new Turbo({ engine });
  const reader = (as: string) => {
    const headers = { Accept: "text/event-stream" };
    const request = new Request(`http://localhost/turbo-stream?since=${turbo.cursor}`, { headers });
    return new Response(turbo.connect(request, { as }).body).text();
  };
  const [ann, bob] = [reader("ann"), reader("bob")];
  let count = 1;
  const box = (): Stream => replace("box", html`<b id="box">${count}</b>`);
  assert.equal(turbo.push(item(1), { to: "ann" }), 1);
  assert.equal(turbo.push(box), 2);
  assert.equal(turbo.cursor, "elsewhere.100", "not yet: it is ordered elsewhere");
  count = 2;
  await turbo.flush();
  assert.equal(turbo.cursor, "elsewhere.106");
  assert.equal(turbo.disconnect("ann"), 1);
  assert.equal(turbo.size, 2, "that travels through the engine too");
  await turbo.close({ window: 0 });
  const texts = [await ann, await bob];
  assert.match(texts[0]!, /id: elsewhere\.103\ndata: .*<li>1<.*\n\nid: elsewhere\.106\n/);
  assert.doesNotMatch(texts[1]!, /<li>/);
  for (const text of texts) assert.match(text, /<b id="box">2<\/b>/, "rendered when it was sent");
});

Deno.test("Turbo makes its pages fetch themselves when its engine has lost the order", async () => {
  const engine = new Elsewhere();
  const turbo = new Turbo({ engine });
  const headers = { Accept: "text/event-stream" };
  const answer = turbo.connect(new Request("http://localhost/turbo-stream", { headers }));
  engine.copy.restart();
  await turbo.close({ window: 0 });
  assert.match(await answer.text(), /<turbo-stream action="refresh">/);
});
