import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { TestClock } from "../tests/clock.ts";
import type { Statement } from "./nodes.ts";
import { Presence } from "./presence.ts";
import { EVERYONE, type Present } from "./roster.ts";

const GRACE = 5_000;
/** Milliseconds after which everything was stated, even by a node without readers. */
const SETTLED = 3 * GRACE;
const ROOM = "#room";

/** Orders the statements of all nodes. Each node receives them when the test says so. */
class Hub {
  readonly clock = new TestClock();
  readonly nodes: Node[] = [];
  /** All statements, in order. */
  readonly order: Event[] = [];
  /** Whether nodes receive statements at once. */
  isLive = true;

  join(options: { isWatched?: boolean; grace?: number } = {}): Node {
    const node = new Node(this, `node-${this.nodes.length + 1}`, options);
    this.nodes.push(node);
    return node;
  }

  add(event: Event): void {
    this.order.push(event);
    if (this.isLive) { for (const node of this.nodes) node.catchUp(); }
  }

  /** Loses a node, which the first remaining node reports. */
  lose(lost: Node): void {
    lost.isLost = true;
    lost.presence.close();
    this.add({ left: lost.name });
  }

  /** The statements, in the form in which they are sent. */
  get said(): string[] {
    return this.order.flatMap((event) => "text" in event ? [event.text] : []);
  }
}

type Event = { readonly node: string; readonly text: string } | { readonly left: string };

/** One of many nodes. Its pages are lists of names. */
class Node {
  readonly presence: Presence;
  readonly announced: string[][] = [];
  isLost = false;
  #heard: number;
  readonly #hub: Hub;

  constructor(
    hub: Hub,
    readonly name: string,
    { isWatched = true, grace = GRACE }: { isWatched?: boolean; grace?: number },
  ) {
    this.#hub = hub;
    this.#heard = hub.order.length;
    this.presence = new Presence({
      grace,
      clock: hub.clock,
      say: (present) => this.say({ present }),
      onChange: isWatched ? (names) => this.announced.push([...names].sort()) : undefined,
    });
  }

  say(statement: Statement): void {
    if (!this.isLost) this.#hub.add({ node: this.name, text: JSON.stringify(statement) });
  }

  sayAll(): void {
    const present = this.presence.all();
    this.say({ all: true, ...(present && { present }) });
  }

  /** Receives the statements that it has not received yet, or some of them. */
  catchUp(count = Infinity): void {
    for (; count > 0 && this.#heard < this.#hub.order.length && !this.isLost; count--) {
      const event = this.#hub.order[this.#heard++]!;
      if ("left" in event) this.presence.left(event.left);
      else {
        const said = { ...event, isOwn: event.node === this.name };
        this.presence.hear(said, JSON.parse(event.text));
      }
    }
  }

  /** Opens a page. The first name is the reader's; topics begin with #. */
  open(...names: string[]): Page {
    const page = new Page(this.presence, names.find((name) => name.startsWith("@")));
    page.listen(...names);
    return page;
  }

  of(name: string = EVERYONE): [number, ...string[]] {
    const { count, readers }: Present = this.presence.of(name);
    return [count, ...readers];
  }
}

class Page {
  #names: ReadonlySet<string> | undefined;

  constructor(readonly presence: Presence, readonly reader: string | undefined) {}

  listen(...names: string[]): void {
    this.#to(new Set(names));
  }

  close(): void {
    this.#to(undefined);
  }

  #to(after: ReadonlySet<string> | undefined): void {
    const before = this.#names;
    this.#names = after;
    this.presence.move({ reader: this.reader, before, after });
  }
}

/** One node, and who is present on it, in all and in the room. */
function alone(options: { isWatched?: boolean; grace?: number } = {}) {
  const hub = new Hub();
  const node = hub.join(options);
  return { hub, node, clock: hub.clock };
}

async function two() {
  const hub = new Hub();
  const [a, b] = [hub.join(), hub.join()];
  const stay = [a.open("@stays-a"), b.open("@stays-b")];
  await hub.clock.advance(1_000);
  for (const node of hub.nodes) node.announced.length = 0;
  return { hub, a, b, stay, clock: hub.clock };
}

Deno.test("Presence states the first arrival at once, and later ones together after 250 ms", async () => {
  const { hub, node, clock } = alone();
  node.open("@ann", ROOM);
  assert.deepEqual([node.of(), node.of(ROOM), node.of("@ann")], [[1, "ann"], [1, "ann"], [
    1,
    "ann",
  ]]);
  for (let n = 0; n < 1_000; n++) node.open(`@${n}`, ROOM);
  await clock.advance(249);
  assert.deepEqual([node.of()[0], hub.said.length], [1, 1]);
  await clock.advance(1);
  assert.deepEqual([node.of()[0], node.of(ROOM)[0], hub.said.length], [1_001, 1_001, 2]);
  assert.equal(clock.pending, 0);
});

Deno.test("Presence counts the pages of one reader once, and each connection without a name", async () => {
  const { hub, node, clock } = alone();
  const tabs = [node.open("@ann", ROOM), node.open("@ann", ROOM), node.open("@ann", "@staff")];
  await clock.advance(1_000);
  const said = hub.said.length;
  node.open("@ann", ROOM).close();
  tabs[1]!.listen("@ann");
  await clock.advance(SETTLED);
  assert.equal(hub.said.length, said, "another page of hers is nothing new");
  node.open(ROOM);
  node.open(ROOM);
  await clock.advance(1_000);
  assert.deepEqual(node.of(), [3, "ann"]);
  assert.deepEqual(node.of(ROOM), [3, "ann"]);
  assert.deepEqual(node.of("@staff"), [1, "ann"], "those who have the name too");
  for (const tab of tabs.slice(0, 2)) tab.close();
  await clock.advance(SETTLED);
  assert.deepEqual([node.of(), node.of(ROOM)], [[3, "ann"], [2]]);
  node.open("@staff");
  await clock.advance(1_000);
  assert.deepEqual(node.of("@staff"), [2, "ann", "staff"]);
  assert.deepEqual(node.of("@nobody"), [0]);
});

Deno.test("Presence.of() returns the same frozen object until it changes", async () => {
  const { node, clock } = alone();
  node.open("@staff", ROOM);
  node.open("@ann", "@staff");
  await clock.advance(1_000);
  const before = node.presence.of("@staff");
  assert.equal(node.presence.of("@staff"), before);
  assert(Object.isFrozen(before) && Object.isFrozen(before.readers));
  node.open("@bob", "@staff");
  await clock.advance(1_000);
  assert.deepEqual(node.of("@staff"), [3, "ann", "bob", "staff"]);
});

Deno.test("Presence keeps a reader for the grace period, so that a reload is not noticed", async () => {
  const { hub, node, clock } = alone();
  node.open("@stays");
  const page = node.open("@ann", ROOM);
  await clock.advance(1_000);
  const said = hub.said.length;
  node.announced.length = 0;
  page.close();
  await clock.advance(GRACE - 1);
  const again = node.open("@ann", ROOM);
  await clock.advance(SETTLED);
  assert.deepEqual([node.of(), node.of(ROOM)], [[2, "ann", "stays"], [1, "ann"]]);
  assert.deepEqual([node.announced, hub.said.length], [[], said]);
  again.close();
  await clock.advance(GRACE - 1);
  assert.deepEqual(node.of(ROOM), [1, "ann"]);
  await clock.advance(1);
  assert.deepEqual([node.of(), node.of(ROOM)], [[1, "stays"], [0]]);
  assert.deepEqual(node.announced, [[ROOM, "@ann"].sort()]);
  assert.equal(clock.pending, 0);
});

Deno.test("Presence lets a connection without a name replace one that has just left", async () => {
  const { hub, node, clock } = alone();
  node.open(ROOM);
  const [first, second] = [node.open(ROOM), node.open(ROOM)];
  await clock.advance(1_000);
  const said = hub.said.length;
  first.close();
  await clock.advance(1_000);
  second.close();
  await clock.advance(100);
  node.open(ROOM); // replaces the second one, not the first
  assert.deepEqual([node.of(ROOM), hub.said.length], [[3], said]);
  await clock.advance(GRACE - 1_100);
  assert.deepEqual(node.of(ROOM), [2], "the first, in its time");
  await clock.advance(SETTLED);
  assert.deepEqual([node.of(), node.of(ROOM)], [[2], [2]]);
});

Deno.test("Presence counts the grace period from the last departure", async () => {
  const { node, clock } = alone();
  node.open("@stays");
  const pages = [node.open("@ann"), node.open(), node.open()];
  await clock.advance(1_000);
  const counts: number[] = [];
  const wait = async (milliseconds: number) => {
    await clock.advance(milliseconds);
    counts.push(node.of()[0]);
  };
  pages[0]!.close();
  pages[1]!.close(); // at 0
  await wait(1_000);
  pages[2]!.close(); // at 1,000
  const ann = node.open("@ann");
  await wait(1_000);
  ann.close(); // at 2,000
  await wait(GRACE - 2_000); // the first one without a name leaves at 5,000
  const nameless = node.open(); // the second is back
  await wait(250);
  nameless.close(); // at 5,250
  await wait(GRACE - 3_251);
  await wait(1); // ann is gone at 7,000
  await wait(3_249);
  await wait(1); // and the last at 10,250
  assert.deepEqual(counts, [4, 4, 3, 3, 3, 2, 2, 1]);
});

Deno.test("Presence states several departures together", async () => {
  const { hub, node, clock } = alone();
  node.open("@stays");
  const pages = Array.from({ length: 100 }, (_, n) => node.open(`@${n}`));
  await clock.advance(1_000);
  const said = hub.said.length;
  for (const page of pages) {
    page.close();
    await clock.advance(1);
  }
  await clock.advance(SETTLED);
  assert.deepEqual([node.of(), hub.said.length - said], [[1, "stays"], 2]);
});

Deno.test("Presence follows what a connection listens to", async () => {
  const { node, clock } = alone();
  const page = node.open("@ann");
  page.listen("@ann", ROOM);
  await clock.advance(1_000);
  assert.deepEqual(node.of(ROOM), [1, "ann"]);
  page.listen("@ann", "#garden");
  await clock.advance(SETTLED);
  assert.deepEqual([node.of(), node.of(ROOM), node.of("#garden")], [[1, "ann"], [0], [1, "ann"]]);
});

Deno.test("Presence does not state a reader who left before being stated", async () => {
  const { hub, node, clock } = alone();
  node.open("@stays");
  for (let n = 0; n < 100; n++) node.open(`@${n}`, ROOM).close();
  await clock.advance(SETTLED);
  assert.deepEqual([node.of(), hub.said.length, clock.pending], [[1, "stays"], 1, 0]);
});

Deno.test("Presence states at once that nobody is left, and keeps no timer; a sole reader may reload", async () => {
  const { hub, node, clock } = alone({ isWatched: false });
  assert.equal(hub.said.length, 0, "nothing before the first");
  const page = node.open("@ann", ROOM);
  page.close();
  assert.equal(clock.pending, 0);
  assert.deepEqual(node.of(ROOM), [1, "ann"]);
  await clock.advance(GRACE - 1);
  assert.deepEqual(node.of(ROOM), [1, "ann"]);
  const again = node.open("@ann", ROOM);
  await clock.advance(SETTLED);
  assert.deepEqual(node.of(ROOM), [1, "ann"]);
  again.close();
  assert.equal(clock.pending, 0);
  clock.pause(GRACE);
  assert.deepEqual([node.of(ROOM), node.of()], [[0], [0]]);
  node.open("@bob");
  await clock.advance(1_000);
  assert.deepEqual([node.of(), node.of(ROOM)], [[1, "bob"], [0]]);
  assert.deepEqual(JSON.parse(hub.said.at(-1)!).present, {
    all: true,
    groups: { "": { add: ["bob"], remove: [] } },
  });
});

Deno.test("Presence calls onChange when the last reader of all has left", async () => {
  const { node, clock } = alone();
  node.open("@ann").close();
  node.announced.length = 0;
  await clock.advance(GRACE);
  assert.deepEqual([node.of(), node.announced, clock.pending], [[0], [["@ann"]], 0]);
});

Deno.test("Presence waits 250 ms between statements, however fast a sole reader comes and goes", async () => {
  const { hub, node, clock } = alone({ isWatched: false });
  for (let n = 0; n < 1_000; n++) {
    const page = node.open("@ann");
    await clock.advance(1);
    page.close();
  }
  assert(hub.said.length <= 10, `${hub.said.length} statements in a second`);
});

Deno.test("Presence keeps a reader who moves to another node, and counts one on two nodes once", async () => {
  const { hub, a, b, clock } = await two();
  const page = a.open("@ann", ROOM);
  await clock.advance(1_000);
  page.close();
  const there = b.open("@ann", ROOM);
  await clock.advance(SETTLED);
  for (const node of [a, b]) {
    assert.deepEqual([node.of(), node.of(ROOM)], [[3, "ann", "stays-a", "stays-b"], [1, "ann"]]);
  }
  assert.deepEqual([a.announced, b.announced], [[[ROOM, "@ann"].sort()], []]);
  there.close();
  await clock.advance(SETTLED);
  assert.deepEqual(b.announced, [[ROOM, "@ann"].sort()], "the node that had her last");
  assert.deepEqual([a.announced.length, hub.clock.pending], [1, 0]);
});

Deno.test("Presence calls onChange when a statement was read back, and so holds on every node", async () => {
  const { hub, a, b, clock } = await two();
  hub.isLive = false;
  a.open("@ann");
  await clock.advance(1_000);
  assert.deepEqual([a.of()[0], a.announced], [2, []]);
  b.catchUp();
  assert.deepEqual([b.of()[0], b.announced], [3, []]);
  a.catchUp();
  assert.deepEqual([a.of()[0], a.announced], [3, [["@ann"]]]);
});

Deno.test("Presence counts the readers of a lost node until one node tells all to forget it", async () => {
  const { hub, a, b, clock } = await two();
  const c = hub.join();
  for (const node of [a, b]) node.sayAll();
  c.open("@ann", ROOM);
  c.open("@bob", ROOM);
  const old = c.open("@bob", "#old");
  await clock.advance(1_000);
  old.listen("@bob"); // so nothing is left to report
  c.open(ROOM);
  c.open(ROOM);
  await clock.advance(SETTLED);
  assert.deepEqual([a.of(ROOM), c.of()], [
    [4, "ann", "bob"],
    [6, "ann", "bob", "stays-a", "stays-b"],
  ]);
  a.announced.length = b.announced.length = 0;
  const said = hub.said.length;
  hub.lose(c);
  await clock.advance(1_000);
  b.open("@ann", ROOM); // ann has moved here, and so has one without a name
  b.open(ROOM);
  await clock.advance(GRACE - 1_001);
  for (const node of [a, b]) assert.deepEqual(node.of(ROOM), [4, "ann", "bob"]);
  await clock.advance(1);
  for (const node of [a, b]) assert.deepEqual(node.of(ROOM), [2, "ann"]);
  assert.deepEqual(hub.said.slice(said).filter((text) => text.includes("forget")).length, 1);
  assert.deepEqual([a.announced, b.announced], [[[ROOM, "@bob"].sort()], []]);
  assert.equal(clock.pending, 0);
});

Deno.test("Presence calls onChange for a lost node though all its readers have moved: its last push may be missing", async () => {
  const { hub, a, b, clock } = await two();
  const c = hub.join();
  c.open("@ann", ROOM);
  await clock.advance(1_000);
  hub.lose(c);
  b.open("@ann", ROOM);
  await clock.advance(SETTLED);
  assert.deepEqual(a.announced, [[ROOM]]);
});

Deno.test("Presence does not call onChange when the last reader of a node moves to another", async () => {
  const { a, b, hub, clock } = await two();
  const c = hub.join();
  const page = c.open("@ann", ROOM);
  hub.add({ left: c.name }); // it was reported as lost, and states everything again
  await clock.advance(1_000);
  for (const node of hub.nodes) node.announced.length = 0;
  page.close();
  await clock.advance(GRACE - 1);
  b.open("@ann", ROOM);
  await clock.advance(SETTLED);
  assert.deepEqual(hub.nodes.map(({ announced }) => announced), [[], [], []]);
  assert.deepEqual(a.of(ROOM), [1, "ann"]);
});

Deno.test("Presence forgets a node a grace period after its last reader left", async () => {
  const { a, hub, clock } = await two();
  const c = hub.join();
  c.open("@ann").close();
  await clock.advance(GRACE - 1);
  hub.lose(c);
  assert.equal(a.of()[0], 3);
  await clock.advance(1);
  assert.equal(a.of()[0], 2);
});

Deno.test("Presence tells all to forget a node once, and again with a complete statement", async () => {
  const { a, b, hub, clock } = await two();
  const c = hub.join();
  c.open("@ann");
  hub.lose(c);
  hub.isLive = false;
  const forgets = () => hub.said.filter((text) => text.includes("forget")).length;
  await clock.advance(GRACE);
  assert.equal(forgets(), 1);
  await clock.advance(GRACE);
  assert.equal(forgets(), 1);
  hub.order.splice(-1); // the statement was lost
  hub.isLive = true;
  for (const node of [a, b]) node.sayAll();
  await clock.advance(250);
  assert.deepEqual([a.of(), b.of(), forgets()], [a.of(), [2, "stays-a", "stays-b"], 1]);
});

Deno.test("Presence does not mix up departures here with readers of a lost node", async () => {
  const { a, hub, clock } = await two();
  const c = hub.join();
  for (const node of [a, c, c]) node.open(ROOM);
  const page = a.open(ROOM);
  await clock.advance(1_000);
  page.close();
  await clock.advance(GRACE - 1_000);
  hub.lose(c);
  await clock.advance(1_000);
  assert.deepEqual(a.of(ROOM), [3]);
  await clock.advance(SETTLED);
  assert.deepEqual(a.of(ROOM), [1]);
});

Deno.test("Presence accepts only a complete statement from a node that was lost", async () => {
  const { a } = await two();
  a.presence.left("node-2");
  const said = { node: "node-2", text: "", isOwn: false };
  const groups = { "": { add: ["eve"] } };
  a.presence.hear(said, { present: { groups } });
  assert.deepEqual(a.of(), [2, "stays-a", "stays-b"]);
  a.presence.hear(said, { present: { groups, all: true } });
  assert.deepEqual(a.of(), [2, "eve", "stays-a"]);
});

Deno.test("Presence waits for the grace period when a complete statement names nobody", async () => {
  const { a, b, clock } = await two();
  b.say({ all: true });
  assert.equal(a.of()[0], 2);
  await clock.advance(SETTLED);
  assert.deepEqual(a.of(), [1, "stays-a"]);
});

Deno.test("Presence has a node forgotten though the first node, which should do so, is lost too", async () => {
  const { hub, a, b, clock } = await two();
  const c = hub.join();
  c.open("@ann");
  await clock.advance(1_000);
  hub.lose(c);
  await clock.advance(1_000);
  hub.lose(a);
  await clock.advance(GRACE);
  assert.deepEqual([b.of(), clock.pending], [[1, "stays-b"], 0]);
});

Deno.test("Presence of a node without readers has another forgotten if no other node does", async () => {
  const hub = new Hub();
  const [a, b] = [hub.join(), hub.join()];
  a.open("@ann");
  hub.lose(a);
  assert.deepEqual(b.of(), [1, "ann"]);
  await hub.clock.advance(SETTLED);
  assert.deepEqual([b.of(), b.announced, hub.clock.pending], [[0], [["@ann"]], 0]);
});

Deno.test("Presence ignores changes of a node without a complete statement", async () => {
  const { hub, a, clock } = await two();
  a.open("@ann");
  const late = hub.join();
  a.open("@bob");
  await clock.advance(1_000);
  assert.deepEqual(late.of(), [0]);
  a.sayAll();
  assert.deepEqual(late.of(), [3, "ann", "bob", "stays-a"]);
  assert.deepEqual(a.of(), [4, "ann", "bob", "stays-a", "stays-b"]);
});

Deno.test("Presence agrees on all nodes after the order was lost and each has stated everything", async () => {
  const { hub, a, b, clock } = await two();
  hub.isLive = false;
  a.open("@ann");
  b.open("@bob", ROOM);
  await clock.advance(1_000);
  hub.order.splice(-2); // both statements are lost
  hub.isLive = true;
  for (const node of hub.nodes) node.sayAll();
  for (const node of hub.nodes) {
    assert.deepEqual(node.of(), [4, "ann", "bob", "stays-a", "stays-b"]);
  }
  assert.deepEqual([a.announced, b.announced], [[["@ann"]], [[ROOM, "@bob"].sort()]]);
});

Deno.test("Presence of a node that was reported as lost states everything again, and is accepted", async () => {
  const { hub, a, b, clock } = await two();
  hub.add({ left: a.name });
  await clock.advance(SETTLED);
  a.open("@ann");
  await clock.advance(SETTLED);
  for (const node of [a, b]) assert.deepEqual(node.of(), [3, "ann", "stays-a", "stays-b"]);
});

Deno.test("Presence.all() is undefined where nobody is present", () => {
  const { hub, node } = alone();
  assert.equal(node.presence.all(), undefined);
  node.sayAll();
  assert.deepEqual([hub.said, node.of()], [['{"all":true}'], [0]]);
});

Deno.test("Presence without a grace period states departures at once", async () => {
  const { node, clock } = alone({ grace: 0 });
  node.open("@stays");
  const page = node.open("@ann");
  await clock.advance(1_000);
  page.close();
  assert.deepEqual([node.of(), clock.pending], [[1, "stays"], 0]);
});

Deno.test("Presence.close() leaves no timer and makes no more statements", async () => {
  const { hub, a, clock } = await two();
  const page = a.open("@ann");
  page.close();
  a.open("@bob");
  const said = hub.said.length;
  a.presence.close();
  page.listen("@ann");
  a.presence.left("node-2");
  await clock.advance(SETTLED);
  assert.deepEqual([clock.pending, hub.said.length, a.presence.all()], [0, said, undefined]);
});

const MALFORMED: unknown[] = [
  null,
  1,
  "all",
  [],
  {},
  { all: "yes", gone: 1, groups: { "": { add: { 0: "eve", length: 1 } } } },
  { groups: null },
  { groups: [1] },
  { groups: { "": null, "#": { add: ["eve"] }, "room": { add: ["eve"] }, "@": { nameless: 3 } } },
  { groups: { "": { add: "eve", remove: 1, nameless: -1 } } },
  { groups: { "": { add: [1, null, "", "x".repeat(256), "\ud800", {}], nameless: 1.5 } } },
  { groups: { [`#${"x".repeat(256)}`]: { add: ["eve"] }, __proto__: { add: ["eve"] } } },
  { groups: { "": { nameless: 10_000_001 }, "#room": { nameless: "3" } } },
  {
    groups: { "": { remove: ["nobody"] }, "#none": { remove: ["ann"] }, "@ann": { add: ["ann"] } },
  },
  { forget: ["nobody", 1, null, "node-1", "node-2"] },
  { forget: "node-1", later: { version: 2 } },
];

for (const malformed of MALFORMED) {
  Deno.test(`Presence ignores the malformed statement ${JSON.stringify(malformed).slice(0, 80)}`, async () => {
    const { hub, a, b, clock } = await two();
    b.open("@ann", ROOM);
    await clock.advance(1_000);
    b.say({ present: malformed });
    hub.add({ node: "stranger", text: JSON.stringify({ present: malformed }) });
    await clock.advance(SETTLED);
    for (const node of [a, b]) {
      assert.deepEqual(
        ["", ROOM, "@ann", "#none", "#", "@", "room"].map((name) => node.of(name)),
        [[3, "ann", "stays-a", "stays-b"], [1, "ann"], [1, "ann"], [0], [0], [0], [0]],
      );
    }
  });
}

type Step =
  | { do: "open"; node: number; reader: number; room: number }
  | { do: "close" | "move"; page: number; room: number }
  | { do: "hear"; node: number; count: number }
  | { do: "wait"; milliseconds: number }
  | { do: "lose"; node: number }
  | { do: "forget order"; count: number }
  | { do: "say all"; node: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("open"),
      node: fc.nat(2),
      reader: fc.nat(3),
      room: fc.nat(2),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom("close", "move"),
      page: fc.nat(),
      room: fc.nat(2),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("hear"), node: fc.nat(2), count: fc.nat(4) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("wait"),
      milliseconds: fc.constantFrom(1, 100, 250, 2_000, GRACE, 2 * GRACE),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose"), node: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("say all"), node: fc.nat(2) }) },
) as fc.Arbitrary<Step>;

Deno.test("After any arrivals and departures all nodes agree with the truth", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: "max" }),
      fc.boolean(),
      async (steps, isWatched) => {
        const hub = new Hub();
        hub.isLive = false;
        let nodes = [0, 1, 2].map(() => hub.join({ isWatched }));
        let pages: { node: Node; page: Page; reader: string | undefined; room: string }[] = [];
        const named = (reader: number) => reader === 0 ? undefined : `@r${reader}`;
        const listed = (reader: string | undefined, room: string) =>
          reader ? [reader, room] : [room];
        for (const one of steps) {
          if (one.do === "open") {
            const [node, reader, room] = [nodes[one.node]!, named(one.reader), `#${one.room}`];
            pages.push({ node, reader, room, page: node.open(...listed(reader, room)) });
          } else if (one.do === "wait") await hub.clock.advance(one.milliseconds);
          else if (one.do === "hear") nodes[one.node]!.catchUp(one.count);
          else if (one.do === "say all") nodes[one.node]!.sayAll();
          else if (one.do === "lose") {
            const lost = nodes[one.node]!;
            hub.lose(lost);
            pages = pages.filter(({ node }) => node !== lost);
            const fresh = hub.join({ isWatched });
            nodes = nodes.map((node) => node === lost ? fresh : node);
            for (const node of nodes) node.sayAll(); // as the new node asks them to
          } else if ("page" in one && pages.length > 0) {
            const index = one.page % pages.length;
            const page = pages[index]!;
            if (one.do === "close") {
              page.page.close();
              pages.splice(index, 1);
            } else {
              page.room = `#${one.room}`;
              page.page.listen(...listed(page.reader, page.room));
            }
          }
        }
        hub.isLive = true;
        for (const node of hub.nodes) node.catchUp();
        await hub.clock.advance(2 * SETTLED);
        for (const name of [EVERYONE, "#0", "#1", "#2", "@r1", "@r2", "@r3"]) {
          const those = pages.filter(({ reader, room }) =>
            name === EVERYONE || reader === name || room === name
          );
          const readers = [...new Set(those.flatMap(({ reader }) => reader?.slice(1) ?? []))]
            .sort();
          const nameless = those.filter(({ reader }) => reader === undefined).length;
          for (const node of nodes) {
            assert.deepEqual(
              node.of(name),
              [readers.length + nameless, ...readers],
              `${node.name} of ${name || "everyone"}`,
            );
          }
        }
        assert.equal(hub.clock.pending, 0);
      },
    ),
    { numRuns: 1_000 },
  );
});

Deno.test("Exactly one node announces each change, and what it then shows is never older than the rest", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const hub = new Hub();
      const nodes = [0, 1, 2].map(() => hub.join());
      const stay = nodes.map((node, n) => node.open(`@stays-${n}`));
      await hub.clock.advance(1_000);
      // What the pages of a room show: the rendering of the last change in it.
      const shown = new Map<string, string>();
      const names = ["#0", "#1", "#2"];
      const see = () => {
        const announced = new Set(nodes.flatMap((node) => node.announced.splice(0).flat()));
        for (const name of names) {
          const now = nodes.map((node) => String(node.of(name)));
          assert.equal(new Set(now).size, 1, `${name}: ${now}`);
          if (announced.has(name)) shown.set(name, now[0]!);
          assert.equal(shown.get(name) ?? "0", now[0], name);
        }
      };
      const pages: Page[] = [];
      for (const one of steps) {
        if (one.do === "open") {
          const reader = one.reader === 0 ? [] : [`@r${one.reader}`];
          pages.push(nodes[one.node]!.open(...reader, `#${one.room}`));
        } else if (one.do === "wait") await hub.clock.advance(one.milliseconds);
        else if (one.do === "say all") nodes[one.node]!.sayAll();
        else if ("page" in one && pages.length > 0) {
          const [page] = pages.splice(one.page % pages.length, 1);
          page!.close();
        }
        see();
      }
      for (const page of [...pages, ...stay]) page.close();
      await hub.clock.advance(SETTLED);
      see();
    }),
    { numRuns: 500 },
  );
});
