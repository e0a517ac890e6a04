import assert from "node:assert/strict";
import type { Push } from "./engine.ts";
import { type Effect, type Event, Replica } from "./replica.ts";
import type { Command } from "./stream_commands.ts";
import { type Content, entryOf, type StreamEntry } from "./stream_entry.ts";
import { replace } from "../tests/stream_texts.ts";

const EPOCH = 7_000;
const box = (n: number, id = "box") => replace(id, `<b id="${id}">${n}</b>`);
const streams = (html: string): Content => ({ kind: "streams", html });

/** An entry of another node, or of this one where `node` is "me". */
function entry(position: number, content: Content, more: Partial<StreamEntry> = {}): StreamEntry {
  const tag = { node: "other", n: position, attempt: position };
  return { epoch: EPOCH, position, ...tag, interval: undefined, content, ...more };
}

const birth = (epoch = EPOCH): StreamEntry => ({
  ...entry(0, { kind: "birth" }),
  epoch,
  n: 0,
  attempt: 0,
});

/** An entry that was written for an earlier epoch, at the position where a later one should start. */
const late = (epoch: number): StreamEntry => ({ ...birth(epoch), n: 4, attempt: 5 });

/** A replica that a test drives step by step. */
class Driven {
  readonly replica: Replica;
  now = 0;
  /** Its effects since this was emptied. */
  effects: Effect[] = [];
  constructor({ wallClock = () => 0 as number, interval = 5_000 } = {}) {
    this.replica = new Replica({
      node: "me",
      hold: 1_000,
      interval,
      random: () => 0,
      wallClock,
      server: "Redis",
    });
  }

  happen(event: Event): this {
    this.effects.push(...this.replica.step(event, this.now));
    return this;
  }

  /** Lets time pass, with a tick every 100 ms. */
  wait(milliseconds: number): this {
    const end = this.now + milliseconds;
    while (this.now < end) {
      this.now = Math.min(end, this.now + 100);
      this.happen({ type: "tick" });
    }
    return this;
  }

  push(push: Push | string | (() => string)): this {
    const given = typeof push === "object" ? push : { html: push };
    const html = "html" in given && typeof given.html === "function" ? given.html() : undefined;
    return this.happen({ type: "push", push: given, html });
  }

  connect(): this {
    return this.happen({ type: "tick" }).happen({ type: "connected" });
  }

  look(newest: StreamEntry | undefined, first: StreamEntry | undefined = newest): this {
    return this.happen({ type: "reply", reply: { kind: "look", newest, first } });
  }

  load(...entries: StreamEntry[]): this {
    return this.happen({ type: "reply", reply: { kind: "load", entries } });
  }

  read(...entries: StreamEntry[]): this {
    return this.happen({ type: "reply", reply: { kind: "read", entries } });
  }

  /** Lets time pass in which the server answers reads without entries. */
  idle(milliseconds: number): this {
    const answered = new Set<number>();
    for (let n = 0; n < milliseconds; n += 100) {
      const ids = this.sent("add").map(({ id }) => id).filter((id) => !answered.has(id));
      this.answer("added", ids).read().wait(100);
      for (const id of ids) answered.add(id);
    }
    return this;
  }

  /** Makes it follow a stream of these entries, and handles its first statements. */
  follow(...entries: StreamEntry[]): this {
    const all = [birth(), ...entries];
    this.connect().look(all.at(-1)).load(...all);
    return this.answer("added").clear();
  }

  lost(): this {
    return this.happen({ type: "lost", reason: "cut" });
  }

  clear(): this {
    this.effects = [];
    return this;
  }

  of<T extends Effect["type"]>(type: T): (Effect & { type: T })[] {
    return this.effects.filter((effect): effect is Effect & { type: T } => effect.type === type);
  }

  sent<K extends Command["kind"]>(kind: K): (Command & { kind: K })[] {
    return this.of("send").map(({ command }) => command)
      .filter((command): command is Command & { kind: K } => command.kind === kind);
  }

  /** The entries that it has written, as others read them. */
  get written(): StreamEntry[] {
    return this.sent("add").map(({ fields }) => entryOf(`${EPOCH}-1`, fields)!);
  }

  /** The markup that it has written, and the number of each. */
  get markup(): [html: string, n: number][] {
    return this.written.flatMap(({ content, n }): [string, number][] =>
      content.kind === "streams" ? [[content.html, n]] : []
    );
  }

  /** The markup that pages of this node were sent. */
  get delivered(): string[] {
    return this.of("append").filter(({ deliver }) => deliver).map(({ html }) => html);
  }

  answer(result: "added" | "gone" | "behind" | "refused", ids?: number[]): this {
    for (const id of ids ?? this.sent("add").map(({ id }) => id)) {
      const reply = result === "refused"
        ? { kind: "add" as const, id, result, reason: "OOM" }
        : { kind: "add" as const, id, result };
      this.happen({ type: "reply", reply });
    }
    return this;
  }
}

// ---- Joining

Deno.test("Replica starts an epoch where there is no stream, and loads it", () => {
  const it = new Driven({ wallClock: () => 5 }).connect().look(undefined);
  const [{ seen, epoch }] = it.sent("birth") as [Command & { kind: "birth" }];
  assert.deepEqual([seen, epoch], [undefined, 5 * 1024]);
  it.happen({ type: "reply", reply: { kind: "birth", epoch } }).load(birth(epoch));
  assert.equal(it.replica.state, "following");
  assert.deepEqual(it.sent("read").at(-1)?.after, { epoch, position: 0 });
});

Deno.test("Replica starts a higher epoch than it has seen, though its clock is behind", () => {
  const it = new Driven().follow(entry(1, streams(box(1)))).lost().wait(100)
    .happen({ type: "connected" }).look(undefined);
  assert.equal(it.sent("birth")[0]?.epoch, EPOCH + 1);
});

Deno.test("Replica loads the epoch of another node that was faster", () => {
  const it = new Driven({ wallClock: () => 1 }).connect().look(undefined);
  it.happen({ type: "reply", reply: { kind: "birth", epoch: EPOCH } }).load(birth());
  assert.equal(it.of("reset")[0]?.epoch, `r${EPOCH.toString(36)}`);
});

Deno.test("Replica uses the last entries without a hole of what it loads", () => {
  const it = new Driven().connect().look(entry(9, streams(box(9))));
  it.load(birth(1), entry(5, streams(box(5))), ...[8, 9].map((n) => entry(n, streams(box(n)))));
  assert.deepEqual(it.of("append").map(({ position }) => position), [8, 9]);
  assert.deepEqual(it.of("reset").map(({ position }) => position), [7]);
});

Deno.test("Replica continues where the newest entry of its copy is still in the stream", () => {
  const it = new Driven().follow(entry(1, streams(box(1)))).lost().wait(100)
    .happen({ type: "connected" });
  assert.deepEqual(it.sent("look")[0]?.at, { epoch: EPOCH, position: 1 });
  it.look(entry(3, streams(box(3))), entry(1, streams(box(1))));
  assert.deepEqual(it.sent("read")[0]?.after, { epoch: EPOCH, position: 1 });
  assert.deepEqual([it.of("reset").length, it.of("restart").length], [0, 0]);
});

for (
  const [what, newest, first] of [
    ["is shorter", entry(1, streams(box(1))), undefined],
    [
      "was overtaken by others",
      entry(5, streams(box(5))),
      entry(2, streams(box(2)), { node: "x" }),
    ],
    [
      "has the same push by another attempt",
      entry(5, streams(box(5))),
      entry(2, streams(box(2)), { attempt: 99 }),
    ],
    ["is an earlier epoch", { ...birth(EPOCH - 1) }, undefined],
  ] as const
) {
  Deno.test(`Replica starts a new epoch where the stream ${what}`, () => {
    const it = new Driven().follow(...[1, 2].map((n) => entry(n, streams(box(n))))).lost().wait(
      100,
    );
    it.happen({ type: "connected" }).look(newest, first);
    const [birth] = it.sent("birth");
    assert.deepEqual([birth?.seen, birth?.epoch], [newest.epoch, EPOCH + 1]);
  });
}

Deno.test("Replica loads a newer epoch that others have started", () => {
  const it = new Driven().follow().lost().wait(100).happen({ type: "connected" });
  it.look(birth(EPOCH + 1), undefined);
  assert.deepEqual([it.sent("load").length, it.sent("birth").length], [1, 0]);
});

Deno.test("Replica loads the rest where its place was trimmed", () => {
  const it = new Driven().follow(entry(1, streams(box(1)))).lost().wait(100)
    .happen({ type: "connected" }).look(entry(9, streams(box(9))), entry(5, streams(box(5))));
  assert.deepEqual([it.sent("load").length, it.sent("birth").length], [1, 0]);
});

Deno.test("Replica loads the rest where it reads past a hole, whatever it has asked before", () => {
  const it = new Driven().follow().idle(2_100);
  assert.equal(it.sent("look").length, 1);
  it.clear().read(entry(3, streams(box(3)))).look(entry(3, streams(box(3))), birth());
  const kinds = it.of("send").map(({ command }) => command.kind);
  assert.deepEqual(kinds, ["load"]);
  it.clear().load(entry(2, streams(box(2))), entry(3, streams(box(3))));
  assert.equal(it.sent("read").length, 1);
  assert.deepEqual(it.of("append").map(({ position }) => position), [2, 3]);
});

Deno.test("Replica adopts a newer epoch, and sends pending pushes there", () => {
  const it = new Driven().follow().push(box(1));
  assert.deepEqual(it.markup, [[box(1), 1]]);
  it.clear().read(birth(EPOCH + 1));
  assert.deepEqual([it.of("reset").length, it.of("restart").length], [1, 1]);
  assert.equal(it.of("say all").length, 1);
  assert.deepEqual(it.markup, [[box(1), 1]]);
  assert.equal(it.sent("add")[0]?.epoch, EPOCH + 1);
});

Deno.test("Replica starts a new epoch where an entry of an old one is at the position of a birth", () => {
  const it = new Driven().follow().read(late(8_000));
  assert.equal(it.sent("birth")[0]?.seen, 8_000);
  const other = new Driven().connect().look(entry(1, streams(box(1))));
  other.load(late(EPOCH), entry(1, streams(box(1))));
  assert.equal(other.sent("birth")[0]?.seen, EPOCH);
});

Deno.test("Replica checks every two seconds that the stream is still the one it follows", () => {
  const it = new Driven().follow(entry(1, streams(box(1)))).idle(1_900);
  assert.equal(it.sent("look").length, 0);
  it.idle(200).look(entry(2, streams(box(2))), entry(1, streams(box(1))));
  it.idle(2_000).look(birth(EPOCH + 1), undefined);
  assert.equal(it.of("disconnect").length, 0, "a newer life is read");
  it.clear().idle(2_000);
  assert.deepEqual([it.sent("look").length, it.of("disconnect").length], [1, 0]);
  it.look(birth(EPOCH - 1), undefined);
  assert.equal(it.of("disconnect").length, 1, "a life with a lower epoch would not be");
});

Deno.test("Replica disconnects the readers whose disconnect it has missed, and no others", () => {
  const ban = (n: number, epoch = EPOCH) => ({
    ...entry(n, { kind: "disconnect", name: `@${n}` }),
    epoch,
  });
  const it = new Driven().follow(ban(1));
  it.lost().wait(100).happen({ type: "connected" }).look(birth(EPOCH + 1), undefined);
  it.load(ban(1), ban(2), birth(EPOCH + 1), ban(3, EPOCH + 1));
  assert.deepEqual(it.of("send away").map(({ name }) => name), ["@2", "@3"]);
});

// ---- Sending

Deno.test("Replica sends nothing before it has caught up", () => {
  const it = new Driven().follow().lost().push(box(1)).wait(100).happen({ type: "connected" });
  it.look(entry(2, streams(box(9))), birth()).wait(100);
  assert.deepEqual(it.markup, []);
  it.read(entry(1, streams(box(8)))).wait(100);
  assert.deepEqual(it.markup, []);
  it.read(entry(2, streams(box(9))));
  assert.deepEqual(it.markup, [[box(1), 1]]);
});

Deno.test("Replica has nothing to catch up with in a newer epoch", () => {
  const it = new Driven().follow().lost().push(box(1)).wait(100).happen({ type: "connected" });
  it.look(entry(9, streams(box(9))), birth()).read(birth(EPOCH + 1));
  assert.deepEqual(it.markup, [[box(1), 1]]);
});

Deno.test("Replica does not send again what was read back", () => {
  const it = new Driven().follow().push(box(1)).push(box(2)).lost().wait(100).clear()
    .happen({ type: "connected" }).look(entry(1, streams(box(1)), { node: "me", n: 1 }), birth());
  it.read(entry(1, streams(box(1)), { node: "me", n: 1 }));
  assert.deepEqual(it.markup, [[box(2), 2]]);
  assert.deepEqual([it.replica.settled, it.replica.pushed], [1, 2]);
});

Deno.test("Replica delivers 1 2 3 1 2 3 4 as 1 2 3 4", () => {
  const it = new Driven().follow();
  const numbers = [1, 2, 3, 1, 2, 3, 4];
  it.read(...numbers.map((n, index) => entry(index + 1, streams(box(n)), { n, attempt: index })));
  assert.deepEqual(it.delivered, [1, 2, 3, 4].map((n) => box(n)));
  assert.deepEqual(it.of("skip").map(({ position }) => position), [4, 5, 6]);
});

Deno.test("Replica delivers in a newer epoch what the old one had too", () => {
  const it = new Driven().follow().read(entry(1, streams(box(1)))).clear();
  const again = { ...entry(1, streams(box(1))), epoch: EPOCH + 1 };
  it.read(birth(EPOCH + 1), again, { ...again, position: 2 });
  assert.deepEqual(it.delivered, [box(1)]);
});

Deno.test("Replica connects again when a push finds no stream", () => {
  const it = new Driven().follow().push(box(1)).answer("gone");
  assert.equal(it.of("disconnect").length, 1);
  it.wait(100).happen({ type: "connected" }).look(undefined);
  assert.equal(it.sent("birth").length, 1);
});

Deno.test("Replica ignores that a push to an old epoch found no stream", () => {
  const it = new Driven().follow().push(box(1));
  const ids = it.sent("add").map(({ id }) => id);
  it.read(birth(EPOCH + 1)).answer("gone", ids);
  assert.equal(it.of("disconnect").length, 0);
});

Deno.test("Replica sends refused pushes again, in order, until the server counts as away", () => {
  const it = new Driven().follow().push(box(1)).push(box(2)).answer("refused").clear();
  it.push(box(3)).wait(100);
  assert.deepEqual(it.markup, [], "not at once");
  it.read().wait(200);
  assert.deepEqual(it.markup, [[box(1), 1], [box(2), 2], [box(3), 3]]);
  it.answer("added").read().wait(700).read(
    ...[1, 2, 3].map((n) => entry(n, streams(box(n)), { node: "me", n })),
  );
  assert.equal(it.replica.state, "following");
  assert.deepEqual(it.delivered, [1, 2, 3].map((n) => box(n)));
});

Deno.test("Replica continues alone where writes are refused for longer than hold", () => {
  const it = new Driven().follow().push(box(1));
  for (let n = 0; n < 6; n++) it.answer("refused").clear().read().wait(300);
  assert.match(it.replica.away ?? "", /refuses what is written \(OOM\)/);
  assert.equal(it.replica.settled, 1);
});

Deno.test("Replica continues alone where a push is read back before an earlier one", () => {
  const it = new Driven().follow().push(box(1)).push(box(2));
  it.answer("refused", [it.sent("add")[0]!.id]).clear();
  it.now += 250;
  it.read(entry(1, streams(box(2)), { node: "me", n: 2 }));
  assert.deepEqual([it.delivered, it.markup], [[box(2), box(1)], []]);
  assert.deepEqual([it.of("fork").length, it.of("disconnect").length], [1, 1]);
  it.clear().wait(1_100).happen({ type: "connected" }).look(entry(1, streams(box(2))));
  assert.equal(it.sent("birth").length, 1);
  it.happen({ type: "reply", reply: { kind: "birth", epoch: EPOCH + 1 } }).load(birth(EPOCH + 1));
  it.push(box(3)).wait(100);
  assert.deepEqual([it.replica.state, it.markup], ["following", [[box(3), 3]]]);
});

// ---- Contested pushes

function contested(): { it: Driven; value: { n: number } } {
  const value = { n: 1 };
  const it = new Driven().follow().push(() => box(value.n)).clear();
  return { it, value };
}

const own = (n: number, html: string, position = n) =>
  entry(position, streams(html), { node: "me", n });

Deno.test("Replica pushes a function again where another node has pushed to its element", () => {
  const { it, value } = contested();
  value.n = 2;
  it.read(entry(1, streams(box(7))), own(1, box(1), 2));
  assert.deepEqual(it.markup, [[box(2), 2]]);
  it.clear().read(own(2, box(2), 3));
  assert.deepEqual(it.markup, []);
});

Deno.test("Replica does not push a function again where the markup is the same", () => {
  const { it } = contested();
  it.read(entry(1, streams(box(7))), own(1, box(1), 2));
  assert.deepEqual(it.markup, []);
});

Deno.test("Replica does not push a function again for another element, another audience or after it was read back", () => {
  for (
    const foreign of [
      streams(box(7, "other")),
      { ...streams(box(7)), to: ["@ann"] } as Content,
    ]
  ) {
    const value = { n: 1 };
    const it = new Driven().follow().push({ html: () => box(value.n), to: ["@bob"] }).clear();
    value.n = 2;
    it.read(entry(1, foreign), own(1, box(1), 2), entry(3, streams(box(9))));
    const isMet = foreign.kind === "streams" && foreign.to === undefined;
    assert.deepEqual(it.markup, [], JSON.stringify({ foreign, isMet }));
  }
});

Deno.test("Replica does not push a function again where a later one covers it", () => {
  const { it, value } = contested();
  value.n = 2;
  it.read(entry(1, streams(box(7)))).push(() => box(value.n)).clear();
  it.read(own(1, box(1), 2), own(2, box(2), 3));
  assert.deepEqual(it.markup, []);
});

Deno.test("Replica pushes a function again that was pending when another epoch started", () => {
  const { it, value } = contested();
  it.read(birth(EPOCH + 1)).clear();
  value.n = 2;
  it.read({ ...own(1, box(1)), epoch: EPOCH + 1 });
  assert.deepEqual(it.markup, [[box(2), 2]]);
});

Deno.test("Replica pushes a function again that was pending when entries were missed", () => {
  const { it, value } = contested();
  value.n = 2;
  const late = entry(9, streams(box(9, "other")));
  it.read(late).load(late).clear().read(own(1, box(1), 10));
  assert.deepEqual(it.markup, [[box(2), 2]]);
});

Deno.test("Replica does not push a function again for its own pushes", () => {
  const value = { n: 2 };
  const it = new Driven().follow().push(box(1)).push(() => box(value.n)).clear();
  value.n = 3;
  it.read(own(1, box(1)), own(2, box(2)));
  assert.deepEqual(it.markup, []);
});

Deno.test("Replica reports a function that throws when it is called again", () => {
  let isBroken = false;
  const it = new Driven().follow().push(() => {
    if (isBroken) throw new Error("broken");
    return box(1);
  });
  isBroken = true;
  it.read(entry(1, streams(box(7))), own(1, box(1), 2));
  assert.equal((it.of("failed")[0]?.error as Error).message, "broken");
});

// ---- Away

Deno.test("Replica holds pushes for a second, then delivers them alone", () => {
  const it = new Driven().follow().lost().push(box(1)).wait(900);
  assert.deepEqual(it.delivered, []);
  assert.equal(it.replica.state, "following");
  it.wait(300);
  assert.deepEqual(it.delivered, [box(1)]);
  assert.deepEqual([it.of("fork").length, it.replica.state], [1, "away"]);
  it.push(box(2));
  assert.deepEqual(it.delivered, [box(1), box(2)], "at once");
  assert.deepEqual([it.of("fork").length, it.replica.settled], [1, 2]);
});

Deno.test("Replica holds pushes while it reconnects, however long it was away, and then sends them", () => {
  const it = new Driven().follow().lost().push(box(1)).wait(3_000).happen({ type: "connected" });
  it.clear().push(box(2)).wait(300).push(box(3));
  assert.deepEqual([it.delivered, it.of("disconnect").length], [[], 0]);
  it.look(birth()).wait(300).happen({ type: "reply", reply: { kind: "birth", epoch: EPOCH + 1 } });
  it.push(box(4)).load(birth(EPOCH + 1));
  assert.deepEqual(it.delivered, []);
  assert.deepEqual(it.markup, [[box(2), 2], [box(3), 3], [box(4), 4]], "and not what was alone");
  it.lost().push(box(5));
  assert.deepEqual(it.delivered, [], "it waits as before");
});

Deno.test("Replica that has pushed nothing while the server was away continues where it was", () => {
  const it = new Driven().follow().lost().wait(5_000);
  assert.deepEqual([it.replica.state, it.of("fork").length], ["away", 0]);
  it.happen({ type: "connected" }).look(birth());
  assert.equal(it.replica.state, "following");
  assert.deepEqual([it.sent("birth").length, it.of("restart").length], [0, 0]);
});

Deno.test("Replica is patient with a server that takes 400 ms each way", () => {
  const it = new Driven().follow();
  for (let n = 1; n <= 8; n++) {
    it.push(box(n)).wait(800).answer("added").clear().read(own(n, box(n)));
  }
  assert.equal(it.replica.state, "following");
});

Deno.test("Replica continues alone where a server answers but pushes are not read back", () => {
  const it = new Driven().follow().push(box(1));
  it.idle(5_000);
  assert.equal(it.replica.state, "following");
  it.idle(100);
  assert.equal(it.replica.away, "it is too slow");
  it.clear().wait(900);
  assert.equal(it.of("connect").length, 0, "it would be as slow again");
});

Deno.test("Replica closes connections on which nothing is answered", () => {
  const it = new Driven().follow().wait(1_900);
  assert.equal(it.of("disconnect").length, 0);
  it.wait(300);
  assert.equal(it.of("disconnect").length, 1);
  const other = new Driven().follow().push(box(1));
  for (let n = 0; n < 3; n++) other.wait(900).read();
  assert.equal(other.of("disconnect").length, 1, "the other one alone is answered");
});

Deno.test("Replica delivers alone what has waited a second for a silent server, and tries again", () => {
  const it = new Driven().follow().push(box(1)).wait(900);
  assert.deepEqual(it.delivered, []);
  it.wait(200);
  assert.deepEqual([it.delivered, it.of("disconnect").length], [[box(1)], 1]);
  it.clear().wait(200);
  assert.equal(it.of("connect").length, 1, "it may be back for all nodes at once");
  it.happen({ type: "connected" }).wait(200);
  assert.deepEqual([it.replica.state, it.of("notice")], ["away", []], "until it follows");
});

Deno.test("Replica delivers alone where too much waits", () => {
  for (const [count, size] of [[20_001, 1], [17, 1024 * 1024]] as const) {
    const it = new Driven().follow().lost();
    const html = box(1).padEnd(size);
    for (let n = 1; n < count; n++) it.push(html);
    assert.deepEqual(it.delivered.length, 0);
    it.push(html);
    assert.deepEqual([it.delivered.length, it.replica.away], [count, "too much waits for it"]);
  }
});

Deno.test("Replica does not count silence from before a push, or before it reconnected", () => {
  const it = new Driven().follow().wait(900).push(box(1)).wait(200);
  assert.deepEqual([it.delivered, it.replica.state], [[], "following"]);
  it.lost().clear().wait(100).happen({ type: "connected" }).look(birth()).idle(2_300);
  assert.equal(it.of("disconnect").length, 0);
});

Deno.test("Replica does not count its own stop as silence of the server", () => {
  const it = new Driven().follow().push(box(1)).clear();
  it.now += 60_000;
  it.happen({ type: "tick" });
  assert.deepEqual([it.replica.state, it.of("disconnect").length], ["following", 0]);
});

Deno.test("Replica reports once that the server is away, and once that it is back", () => {
  const it = new Driven().follow().lost().wait(2_000).push(box(1)).wait(2_000).lost().wait(500)
    .happen({ type: "connected" }).wait(200).lost().wait(500).happen({ type: "connected" })
    .look(birth()).happen({ type: "reply", reply: { kind: "birth", epoch: EPOCH + 1 } })
    .load(birth(EPOCH + 1)).wait(500).read();
  assert.deepEqual(it.of("notice").map(({ message }) => message), [
    "Redis is away: cut. Pages follow this node alone until it is back",
    "Redis is back",
  ]);
});

Deno.test("Replica that starts without a server counts it as away after a second", () => {
  const it = new Driven().happen({ type: "tick" }).lost().wait(500);
  assert.equal(it.replica.state, "starting");
  it.push(box(1)).wait(700);
  assert.deepEqual([it.replica.state, it.delivered, it.of("fork").length], ["away", [box(1)], 0]);
});

Deno.test("Replica tries to connect four times a second", () => {
  const it = new Driven().follow();
  for (let n = 0; n < 50; n++) {
    const before = it.of("connect").length;
    it.lost().wait(100);
    while (it.of("connect").length === before) it.wait(100);
  }
  assert(it.now > 10_000, `50 tries in ${it.now} ms`);
});

Deno.test("Replica disconnects a reader at once while the server is away, and tells the other nodes later", () => {
  const it = new Driven().follow().lost().wait(2_000).push({ disconnect: "@ann" });
  assert.deepEqual(it.of("send away").map(({ name }) => name), ["@ann"]);
  it.clear().happen({ type: "connected" }).look(birth())
    .happen({ type: "reply", reply: { kind: "birth", epoch: EPOCH + 1 } }).load(birth(EPOCH + 1));
  const ban = it.written.find(({ content }) => content.kind === "disconnect");
  assert.deepEqual(ban?.content, { kind: "disconnect", name: "@ann" });
  it.read({ ...entry(1, ban!.content, { node: "me", n: ban!.n }), epoch: EPOCH + 1 });
  assert.deepEqual(it.of("send away"), [], "not once more, where the reader may be welcome again");
});

// ---- Statements of nodes

const say = (position: number, more: Partial<StreamEntry> = {}, asks = false) =>
  entry(position, { kind: "say", text: "{}", asks }, { interval: 1_000, ...more });

Deno.test("Replica asks the others for their statements after loading, and again where the question was lost", () => {
  const questions = (it: Driven) =>
    it.written.filter(({ content }) => content.kind === "say" && content.asks).length;
  const it = new Driven().connect().look(birth()).load(birth());
  assert.deepEqual([questions(it), it.of("say all").length], [1, 1]);
  it.clear().wait(300).lost().wait(100).happen({ type: "connected" }).look(birth());
  assert.equal(questions(it), 1);
  it.clear().read(say(1, { node: "me", n: 0 }, true)).lost().wait(100)
    .happen({ type: "connected" }).look(say(1, { node: "me", n: 0 }, true));
  assert.equal(questions(it), 0);
});

Deno.test("Replica states everything when it is asked, and when it was reported as lost", () => {
  const it = new Driven().follow().read(say(1, {}, true));
  assert.equal(it.of("say all").length, 1);
  it.read(entry(2, { kind: "left", node: "me" }));
  assert.equal(it.of("say all").length, 2);
});

Deno.test("Replica sends a heartbeat after four fifths of its interval", () => {
  const beats = (it: Driven) => it.written.filter(({ content }) => content.kind === "beat").length;
  const it = new Driven().follow().idle(3_900);
  assert.equal(beats(it), 0);
  assert.equal(beats(it.idle(200)), 1);
});

Deno.test("Replica has all pages fetched again where a lost node does not come back", () => {
  const restarts = (by: string, isBack = false) => {
    const it = new Driven().follow().read(say(1));
    it.read(entry(2, { kind: "left", node: "other" }, { node: by })).clear().idle(2_000);
    if (isBack) it.read(entry(3, { kind: "beat" }, { node: "other", n: 0 }));
    return it.idle(6_000).of("restart").length;
  };
  assert.equal(restarts("third"), 1);
  assert.equal(restarts("third", true), 0, "it is back");
  assert.equal(restarts("other"), 0, "it has left in order");
});

Deno.test("Replica reports a lost node once, unless another node does", () => {
  const isGone = ({ content }: StreamEntry) => content.kind === "left";
  const it = new Driven().follow().read(say(1)).idle(2_500);
  assert.deepEqual(it.written.filter(isGone).map(({ content }) => content), [
    { kind: "left", node: "other" },
  ]);
  it.read(entry(2, { kind: "left", node: "other" }, { node: "me", n: 0 }));
  assert.deepEqual(it.of("left"), [{ type: "left", node: "other", isOwn: true }]);
  assert.deepEqual(it.clear().idle(5_000).written.filter(isGone), []);
  const other = new Driven().follow().read(say(1)).idle(2_000);
  other.read(entry(2, { kind: "left", node: "other" }, { node: "third" }));
  assert.deepEqual(other.of("left").map(({ isOwn }) => isOwn), [false]);
  assert.deepEqual(other.idle(5_000).written.filter(isGone), []);
});

Deno.test("Replica reports no node as lost while the server is silent", () => {
  const it = new Driven().follow().read(say(1)).wait(1_900);
  for (let n = 0; n < 9; n++) it.read().wait(100);
  assert(!it.written.some(({ content }) => content.kind === "left"));
});

Deno.test("Replica that leaves announces it, and states nothing after that", () => {
  const it = new Driven({ interval: 1_000 }).follow().push({ leave: true });
  assert.deepEqual(it.written.map(({ content }) => content), [{ kind: "left", node: "me" }]);
  it.idle(100).clear().read(say(1, {}, true)).idle(1_800);
  const kinds = it.written.filter(({ node }) => node === "me").map(({ content }) => content.kind);
  assert.deepEqual([it.of("say all"), kinds.filter((kind) => kind !== "left")], [[], []]);
});

Deno.test("Replica delivers its own statements alone while the server is away, and states everything later", () => {
  const it = new Driven().follow().lost().wait(2_000).push({ say: "{}" });
  assert.deepEqual([it.of("hear").length, it.replica.settled, it.of("fork").length], [1, 1, 0]);
  it.clear().happen({ type: "connected" }).look(birth());
  assert.equal(it.of("say all").length, 1);
});
