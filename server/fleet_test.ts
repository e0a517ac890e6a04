import assert from "node:assert/strict";
import { Hub } from "../tests/hub.ts";
import { pause, until } from "../tests/kit.ts";
import { html, replace, Turbo } from "../turbo/mod.ts";
import { Fleet } from "./fleet.ts";

const INTERVAL = 10_000;

interface Row {
  readonly name: string;
  readonly load: number;
  readonly age: number;
}

function rowOf(value: unknown): Row | undefined {
  const { name, load, age } = Object(value);
  return typeof name === "string" ? { name, load, age } : undefined;
}

const rowsOf = ({ fleet }: Node) => [...fleet.rows()].map(([, row]) => row);
const namesOf = (node: Node) => rowsOf(node).map(({ name }) => name).sort().join(" ");
const rowIn = (node: Node, name: string) => rowsOf(node).find((row) => row.name === name)!;

/** A hub whose nodes share one clock. */
function start() {
  const hub = new Hub();
  const clock = { now: 0 };
  const nodes: Node[] = [];
  return {
    hub,
    clock,
    /** A node that joins as an app does, or later if it `waits`. */
    add(name: string, { waits = false } = {}) {
      const engine = hub.engine();
      const turbo = new Turbo({ engine, onShared: (change) => fleet.changed(change) });
      const fleet: Fleet<Row> = new Fleet(turbo, {
        interval: INTERVAL,
        rowOf,
        push: () => turbo.push(() => replace("box", html`<p>${namesOf(node)}</p>`)),
        monotonicNow: () => clock.now,
      });
      const share = (load: number, age = 0) => fleet.share({ name, load, age });
      const node = { engine, turbo, fleet, share };
      nodes.push(node);
      if (!waits) share(1);
      return node;
    },
    /** Waits until all nodes have received everything. */
    async settle() {
      for (let n = 0; n < 3; n++) await Promise.all(nodes.map(({ engine }) => engine.flush()));
    },
    /** The boxes pushed since the last call: the node, and the names in the box. */
    boxes() {
      return hub.pushed.splice(0).map(({ node, html }) =>
        `${node}: ${/<p>(.*?)<\/p>/.exec(html)![1]}`
      );
    },
    async [Symbol.asyncDispose]() {
      for (const { fleet, turbo } of nodes) {
        await fleet.leave(() => turbo.close({ deadline: 0 }));
      }
    },
  };
}

interface Node {
  fleet: Fleet<Row>;
  turbo: Turbo;
  /** Shares a reading with this age. */
  share: (load: number, age?: number) => void;
  engine: ReturnType<Hub["engine"]>;
}

/** Three nodes that know each other and have pushed their first boxes. */
async function startThree() {
  const all = start();
  const nodes = [all.add("web10"), all.add("web2"), all.add("db")];
  await until(() => all.hub.pushed.length >= 3, "each has pushed that it is there");
  await all.settle();
  all.boxes();
  all.clock.now += INTERVAL;
  return Object.assign(all, { nodes });
}

Deno.test("Fleet.rows() has its own row and then those of the others, in the same order on all nodes", async () => {
  await using all = await startThree();
  const keys = all.nodes.map(({ fleet }) => [...fleet.rows()].map(([node]) => node).join(" "));
  assert.deepEqual(keys, ["n1 n2 n3", "n2 n1 n3", "n3 n1 n2"]);
  for (const node of all.nodes) assert.equal(namesOf(node), "db web10 web2");
});

Deno.test("Fleet.rows() reads rows only as they are taken", async () => {
  await using all = start();
  const { turbo } = all.add("web");
  for (let n = 0; n < 3; n++) all.add("other");
  await all.settle();
  let reads = 0;
  const counted = (value: unknown) => (reads++, rowOf(value));
  const fleet = new Fleet<Row>(turbo, { interval: INTERVAL, rowOf: counted, push() {} });
  assert.equal([...fleet.rows().take(2)].length, 2);
  assert.equal(reads, 2);
});

Deno.test("Fleet.share() shows the row on every node, and on its own at once", async () => {
  await using all = await startThree();
  const [one, two] = all.nodes as [Node, Node];
  const shown = () => [one, two].map((node) => rowIn(node, "web10").load);
  one.share(5);
  assert.deepEqual(shown(), [5, 1]);
  await all.settle();
  assert.deepEqual(shown(), [5, 5]);
  assert.equal(one.fleet.own?.load, 5);
});

Deno.test("Fleet.share() of the first node that is due pushes the box, and those within half an interval do not", async () => {
  await using all = await startThree();
  const [one, two, three] = all.nodes as [Node, Node, Node];
  one.share(2);
  await all.settle();
  assert.deepEqual(all.boxes(), ["n1: db web10 web2"]);
  all.clock.now += INTERVAL / 2 - 1;
  two.share(2);
  await all.settle();
  assert.deepEqual(all.boxes(), []);
  all.clock.now += 1;
  three.share(2);
  await all.settle();
  assert.deepEqual(all.boxes(), ["n3: db web10 web2"]);
});

Deno.test("A fleet of eight sends one or two boxes in each interval", async () => {
  await using all = start();
  const nodes = Array.from({ length: 8 }, (_, index) => all.add(`web${index}`));
  await until(() => all.hub.pushed.length >= 8, "each has pushed that it is there");
  await all.settle();
  const counts = [];
  for (let n = 0; n < 6; n++) {
    all.boxes();
    for (const { share } of nodes) {
      all.clock.now += INTERVAL / nodes.length;
      share(n);
      await all.settle();
    }
    counts.push(all.boxes().length);
  }
  assert.deepEqual(counts.slice(1), [2, 2, 2, 2, 2]);
});

Deno.test("A node that joins pushes one box with all in it, and the others none", async () => {
  await using all = await startThree();
  all.add("cache");
  await until(() => all.hub.pushed.length > 0, "it has pushed");
  await all.settle();
  assert.deepEqual(all.boxes(), ["n4: cache db web10 web2"]);
  for (const node of all.nodes) assert.equal(namesOf(node), "cache db web10 web2");
});

Deno.test("A node that joins knows how old the others' readings are", async () => {
  await using all = await startThree();
  const late = all.add("cache");
  await all.settle();
  assert.equal(rowIn(late, "cache").age, 0);
  const { age } = rowIn(late, "db");
  assert(age >= INTERVAL && age < INTERVAL + 5_000, `${age} ms`);
});

Deno.test("A value that is sent again to a node that joins announces no box", async () => {
  await using all = await startThree();
  const [one] = all.nodes as [Node];
  one.share(2); // announces a box
  await all.settle();
  const late = all.add("cache");
  await until(() => all.hub.pushed.length > 1, "it has pushed");
  await all.settle();
  all.boxes();
  late.share(3); // nobody has pushed since it joined
  assert.equal(all.boxes().length, 1);
});

Deno.test("Fleet.leave() takes the node off its own pages at once, and off the others by one box", async () => {
  await using all = await startThree();
  const [one, two, three] = all.nodes as [Node, Node, Node];
  const left = two.fleet.leave(() => two.turbo.close({ deadline: 0 }));
  assert.equal(namesOf(two), "db web10");
  two.share(9);
  await left;
  await all.settle();
  assert.deepEqual(all.boxes(), ["n2: db web10"]);
  for (const node of [one, three]) assert.equal(namesOf(node), "db web10");
});

Deno.test("A node that leaves, or has not shared yet, pushes nothing for one that joins", async () => {
  await using all = start();
  const [leaving, joined] = [all.add("a"), all.add("b")];
  all.add("waiting", { waits: true });
  await all.settle();
  const closing = Promise.withResolvers<void>();
  const left = leaving.fleet.leave(() => closing.promise); // it continues to receive the others' values
  all.boxes();
  all.add("c");
  await until(() => all.hub.pushed.some(({ node }) => node === "n4"), "the new one has pushed");
  await pause(150); // the timers that joining sets have fired by now
  await all.settle();
  assert.deepEqual(all.boxes().filter((box) => /^n[13]/.test(box)), []);
  assert.equal(namesOf(joined), "a b c");
  closing.resolve();
  await left;
});

Deno.test("Fleet.rows() lets the rows of silent nodes grow old", async () => {
  await using all = await startThree();
  const [one, two] = all.nodes as [Node, Node];
  two.share(1, 60_000);
  await all.settle();
  const age = () => rowIn(one, "web2").age;
  const before = age();
  assert(before >= 60_000, `${before} ms`);
  await pause(50);
  assert(age() >= before + 49, `${before} ms, then ${age()} ms`);
});

Deno.test("The node that reports a lost node pushes one box", async () => {
  await using all = await startThree();
  const [one, two, three] = all.nodes as [Node, Node, Node];
  all.hub.lose(two.engine, three.engine);
  await all.settle();
  assert.deepEqual(all.boxes(), ["n3: db web10"]);
  for (const node of [one, three]) assert.equal(namesOf(node), "db web10");
});

Deno.test("A node that first receives the value of an older node pushes a box", async () => {
  await using all = await startThree();
  const [one, two, three] = all.nodes as [Node, Node, Node];
  one.engine.push({ leave: true }); // it was reported as lost
  await all.settle();
  assert.equal(namesOf(two), "db web2");
  all.boxes();
  all.clock.now += 1;
  one.turbo.share({ name: "web10", averages: [1, 2, 3] });
  await until(() => all.hub.pushed.length >= 2, "both have pushed");
  await all.settle();
  assert.deepEqual(all.boxes().sort(), ["n2: db web10 web2", "n3: db web10 web2"]);
  assert.equal(namesOf(three), "db web10 web2");
});

Deno.test("A value that is not a row is on no page, and does nothing else", async () => {
  await using all = await startThree();
  const [one, two] = all.nodes as [Node, Node];
  const stranger = new Turbo({ engine: all.hub.engine() });
  for (const value of [null, 7, "web", [], { name: 7 }, { name: 7, box: 1 }]) {
    stranger.share(value);
    await all.settle();
    assert.equal(namesOf(one), "db web10 web2", JSON.stringify(value));
  }
  one.share(2);
  await all.settle();
  assert.equal(namesOf(two), "db web10 web2");
  await stranger.close({ deadline: 0 });
});

Deno.test("A node without others pushes nothing to nobody, and shows itself even when it leaves", async () => {
  await using all = start();
  const one = all.add("web1");
  one.share(2);
  one.share(3);
  await all.settle();
  assert.equal(rowIn(one, "web1").load, 3);
  await one.fleet.leave(() => Promise.resolve());
  assert.equal(rowIn(one, "web1").load, 3);
  assert.deepEqual(all.boxes(), []);
});
