import assert from "node:assert/strict";
import type { LoadReport } from "../loadavg.ts";
import { Hub } from "../tests/hub.ts";
import { pause, until } from "../tests/kit.ts";
import { html, Turbo } from "../turbo/mod.ts";
import { Fleet } from "./fleet.ts";
import type { FleetReport } from "./rows.ts";

const INTERVAL = 10_000;

const reading = (one: number, failure?: string): LoadReport => {
  const latest = { averages: [one, 2, 3] as const, simulated: false, at: 7, monotonicAt: 0 };
  return { latest, history: [latest], failure, age: 0 };
};

const namesOf = (load: LoadReport | FleetReport) =>
  "rows" in load ? load.rows.map(({ name }) => name).join(" ") : "alone";

/** A hub whose nodes have one clock. */
function start() {
  const hub = new Hub();
  const clock = { now: 0 };
  const nodes: Node[] = [];
  return {
    hub,
    clock,
    /** A node that has joined, as an app does, unless it `waits`. */
    add(name: string, { waits = false } = {}) {
      const engine = hub.engine();
      const turbo = new Turbo({ engine, onShared: (change) => fleet.changed(change) });
      const fleet: Fleet = new Fleet(turbo, {
        name,
        interval: INTERVAL,
        target: "load",
        box: (load) => html`<p>${namesOf(load)}</p>`,
        monotonicNow: () => clock.now,
      });
      const node = { engine, turbo, fleet };
      nodes.push(node);
      if (!waits) fleet.share(reading(1));
      return node;
    },
    /** Waits until all nodes know all. */
    async settle() {
      for (let n = 0; n < 3; n++) await Promise.all(nodes.map(({ engine }) => engine.flush()));
    },
    /** What was pushed since this was asked last: which node, and the names in the box. */
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
  fleet: Fleet;
  turbo: Turbo;
  engine: ReturnType<Hub["engine"]>;
}

/** Three nodes of which all know all, and whose boxes of the beginning are over. */
async function startThree() {
  const all = start();
  const nodes = [all.add("web10"), all.add("web2"), all.add("db")];
  await until(() => all.hub.pushed.length >= 3, "each has pushed that it is there");
  await all.settle();
  all.boxes();
  all.clock.now += INTERVAL;
  return Object.assign(all, { nodes });
}

Deno.test("Fleet.report has the rows of all nodes on each of them, in the order of their names", async () => {
  await using all = await startThree();
  for (const { fleet } of all.nodes) assert.equal(namesOf(fleet.report), "db web2 web10");
  const [{ fleet }] = all.nodes as [Node];
  assert.equal((fleet.report as FleetReport).renderer, "web10");
});

Deno.test("Fleet.share() shows on every node, and its own row at once", async () => {
  await using all = await startThree();
  const [one, two] = all.nodes as [Node, Node];
  const loadOn = ({ fleet }: Node) => (fleet.report as FleetReport).rows[2]!.averages![0];
  one.fleet.share(reading(5));
  assert.deepEqual([loadOn(one), loadOn(two)], [5, 1]);
  await all.settle();
  assert.equal(loadOn(two), 5);
});

Deno.test("Fleet.share() of the first node that is due pushes the box, and of the others less than half an interval later does not", async () => {
  await using all = await startThree();
  const [one, two, three] = all.nodes as [Node, Node, Node];
  one.fleet.share(reading(2));
  await all.settle();
  assert.deepEqual(all.boxes(), ["n1: db web2 web10"]);
  all.clock.now += INTERVAL / 2 - 1;
  two.fleet.share(reading(2));
  await all.settle();
  assert.deepEqual(all.boxes(), []);
  all.clock.now += 1;
  three.fleet.share(reading(2));
  await all.settle();
  assert.deepEqual(all.boxes(), ["n3: db web2 web10"]);
});

Deno.test("A fleet of eight sends one or two boxes in each interval", async () => {
  await using all = start();
  const nodes = Array.from({ length: 8 }, (_, index) => all.add(`web${index}`));
  await until(() => all.hub.pushed.length >= 8, "each has pushed that it is there");
  await all.settle();
  const counts = [];
  for (let n = 0; n < 6; n++) {
    all.boxes();
    for (const { fleet } of nodes) {
      all.clock.now += INTERVAL / nodes.length;
      fleet.share(reading(n));
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
  assert.deepEqual(all.boxes(), ["n4: cache db web2 web10"]);
  for (const { fleet } of all.nodes) assert.equal(namesOf(fleet.report), "cache db web2 web10");
});

Deno.test("A node that joins knows how old the others' readings are", async () => {
  await using all = await startThree();
  const { fleet } = all.add("cache");
  await all.settle();
  const [own, other] = (fleet.report as FleetReport).rows;
  assert.equal(own!.age, 0);
  assert(other!.age >= INTERVAL && other!.age < INTERVAL + 5_000, `${other!.age} ms`);
});

Deno.test("What is said again to a node that joins counts for no box", async () => {
  await using all = await startThree();
  const [one] = all.nodes as [Node];
  one.fleet.share(reading(2)); // says that a box comes with it
  await all.settle();
  const late = all.add("cache");
  await until(() => all.hub.pushed.length > 1, "it has pushed");
  await all.settle();
  all.boxes();
  late.fleet.share(reading(3)); // nobody has pushed since it is here
  assert.equal(all.boxes().length, 1);
});

Deno.test("Fleet.leave() takes the node off its own pages at once, and it tells the others by one box", async () => {
  await using all = await startThree();
  const [one, two, three] = all.nodes as [Node, Node, Node];
  const left = two.fleet.leave(() => two.turbo.close({ deadline: 0 }));
  assert.equal(namesOf(two.fleet.report), "db web10");
  two.fleet.share(reading(9));
  await left;
  await all.settle();
  assert.deepEqual(all.boxes(), ["n2: db web10"]);
  for (const { fleet } of [one, three]) assert.equal(namesOf(fleet.report), "db web10");
});

Deno.test("A node that leaves, or has not shared yet, pushes nothing for one that joins", async () => {
  await using all = start();
  const [leaving, joined] = [all.add("a"), all.add("b")];
  all.add("waiting", { waits: true });
  await all.settle();
  const closing = Promise.withResolvers<void>();
  const left = leaving.fleet.leave(() => closing.promise); // it goes on to hear the others
  all.boxes();
  all.add("c");
  await until(() => all.hub.pushed.length >= 2, "the two others have pushed");
  await pause(150); // a timer that was set when they joined has fired by now
  await all.settle();
  assert.deepEqual(all.boxes(), ["n2: a b c", "n4: a b c"]);
  assert.equal(namesOf(joined.fleet.report), "a b c");
  closing.resolve();
  await left;
});

Deno.test("Fleet.report lets the rows of the others grow old while nothing is heard of them", async () => {
  await using all = await startThree();
  const [{ fleet }] = all.nodes as [Node];
  const age = () => (fleet.report as FleetReport).rows[1]!.age;
  const before = age();
  await pause(50);
  assert(age() >= before + 49, `${before} ms, then ${age()} ms`);
});

Deno.test("Fleet.share() keeps 60 loads, and is of no age before the first reading", async () => {
  await using all = start();
  const [one, two] = [all.add("one"), all.add("two")];
  for (let n = 0; n < 70; n++) one.fleet.share(reading(n));
  two.fleet.share({ latest: undefined, history: [], failure: "broken", age: Infinity });
  await all.settle();
  for (const { fleet } of [one, two]) {
    const [first, second] = (fleet.report as FleetReport).rows;
    assert.deepEqual([first!.history.length, first!.history.at(-1)], [60, 69]);
    assert.deepEqual([second!.averages, second!.failure], [undefined, "broken"]);
    assert(Number.isFinite(second!.age), `${second!.age} ms`);
  }
});

Deno.test("Of a node that is gone without a word, the one that tells so pushes one box", async () => {
  await using all = await startThree();
  const [one, two, three] = all.nodes as [Node, Node, Node];
  all.hub.lose(two.engine, three.engine);
  await all.settle();
  assert.deepEqual(all.boxes(), ["n3: db web10"]);
  for (const { fleet } of [one, three]) assert.equal(namesOf(fleet.report), "db web10");
});

Deno.test("A node that hears only now of one that was here pushes a box", async () => {
  await using all = await startThree();
  const [one, two, three] = all.nodes as [Node, Node, Node];
  one.engine.push({ leave: true }); // it was taken for gone
  await all.settle();
  assert.equal(namesOf(two.fleet.report), "db web2");
  all.boxes();
  all.clock.now += 1;
  one.turbo.share({ name: "web10", averages: [1, 2, 3] });
  await until(() => all.hub.pushed.length >= 2, "both have pushed");
  await all.settle();
  assert.deepEqual(all.boxes().sort(), ["n2: db web2 web10", "n3: db web2 web10"]);
  assert.equal(namesOf(three.fleet.report), "db web2 web10");
});

Deno.test("What is no row is on no page, and does nothing else", async () => {
  await using all = await startThree();
  const [one, two] = all.nodes as [Node, Node];
  const stranger = new Turbo({ engine: all.hub.engine() });
  for (const value of [null, 7, "web", [], { name: 7 }, { name: "x", averages: "high", box: 1 }]) {
    stranger.share(value);
    await all.settle();
    assert.equal(namesOf(one.fleet.report), "db web2 web10", JSON.stringify(value));
  }
  one.fleet.share(reading(2));
  await all.settle();
  assert.equal(namesOf(two.fleet.report), "db web2 web10");
  await stranger.close({ deadline: 0 });
});

Deno.test("A node without others is shown as a machine, and pushes nothing where nobody reads", async () => {
  await using all = start();
  const { fleet } = all.add("web1");
  fleet.share(reading(2));
  fleet.share(reading(3));
  await all.settle();
  const { latest, history } = fleet.report as LoadReport;
  assert.deepEqual(latest?.averages, [3, 2, 3]);
  assert.deepEqual(history.map(({ averages }) => averages[0]), [1, 2, 3]);
  assert.deepEqual(all.boxes(), []);
});

Deno.test("Fleet.report has two nodes of one name, each with a number of its own", async () => {
  await using all = start();
  const { fleet } = all.add("web1");
  const other = all.add("web1");
  await all.settle();
  other.fleet.share(reading(2));
  await all.settle();
  for (const { report } of [fleet, other.fleet]) {
    const { rows } = report as FleetReport;
    assert.deepEqual(
      rows.map(({ name, averages }) => [name, averages?.[0]]),
      [["web1", 1], ["web1 (2)", 2]],
      "in one order on both",
    );
  }
});

Deno.test("Fleet.share() of a reading that failed leaves a hole, and the last numbers grow old", async () => {
  await using all = await startThree();
  const [{ fleet }, other] = all.nodes as [Node, Node];
  fleet.share({ ...reading(5, "broken"), age: 60_000 });
  await all.settle();
  for (const { report } of [fleet, other.fleet]) {
    const row = (report as FleetReport).rows[2]!;
    assert.deepEqual([row.history, row.failure], [[1, null], "broken"]);
    assert(row.age >= 60_000, `${row.age} ms`);
  }
});

Deno.test("Fleet.report says that it hears nothing of the others while the engine is away", async () => {
  await using all = await startThree();
  const [{ fleet, engine }] = all.nodes as [Node];
  engine.away = "no answer";
  assert.equal((fleet.report as FleetReport).isAlone, true);
  engine.away = undefined;
  assert.equal((fleet.report as FleetReport).isAlone, false);
});
