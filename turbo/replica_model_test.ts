import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { QUICK } from "../tests/kit.ts";
import { type Mutant, MUTANTS, mutated, survivorsOf, UNNOTICED } from "./replica_model/mutants.ts";
import type { Replica } from "./replica.ts";
import { losses, outages, plans, refusals, run, type Step } from "./replica_model/steps.ts";
import type { ModelNode } from "./replica_model/node.ts";
import { World, type WorldOptions } from "./replica_model/world.ts";

const SEED = Number(Deno.env.get("SEED") ?? 1);
/** How many lists of steps to try. There are fewer in a quick run and for each mutant. */
const RUNS = Number(Deno.env.get("RUNS") ?? (QUICK ? 500 : 3_000));

/** The same for the narrower properties. */
const SOME = Math.ceil(RUNS / 3);

const worlds = fc.record({ nodes: fc.integer({ min: 2, max: 4 }), seed: fc.nat() });

/** A property of worlds after some steps. */
function check(
  plan: fc.Arbitrary<Step[]>,
  act: (world: World, plan: readonly Step[]) => void,
  { runs = RUNS, ...more }: Partial<WorldOptions> & { runs?: number } = {},
): void {
  const property = fc.property(worlds, plan, (options, plan) => {
    const world = new World({ ...options, ...more });
    try {
      act(world, plan);
    } catch (error) {
      throw new Error(world.done.join("\n"), { cause: error });
    }
  });
  fc.assert(property, { seed: SEED, numRuns: runs });
}

const ANY = plans("any", 40);
const SHORT = plans("short", 40);
const OUTAGES = outages(12);
const RETURNS = outages(20, { isSlow: true });
const LOSSES = losses(8);
/** Limits with which nothing is trimmed. */
const LARGE = { kept: 1_000, loaded: 1_000, read: 4 };
const REFUSALS = refusals(40);

function keepsAll(world: World, plan: readonly Step[]): void {
  run(world, plan);
  world.quiet();
  world.check();
  const busiest = world.busiest(2);
  assert(busiest <= 20, `${busiest} commands in a second although nothing happens`);
}

function costsNothing(world: World, plan: readonly Step[]): void {
  world.quiet(2_000);
  const { births } = world.server;
  for (const page of world.pages) page.refreshes = 0;
  run(world, plan);
  world.quiet();
  world.check();
  assert.equal(world.server.births, births, "no new life");
  assert.deepEqual(new Set(world.pages.map(({ refreshes }) => refreshes)), new Set([0]));
}

function costsOneRefresh(world: World, plan: readonly Step[]): void {
  world.quiet(2_000);
  for (const page of world.pages) page.refreshes = 0;
  run(world, plan);
  world.quiet();
  world.check();
  const most = Math.max(...world.pages.map(({ refreshes }) => refreshes));
  assert(most <= 1, `${most} refreshes of a page`);
}

Deno.test(`Replica keeps all pages equal to the database, through any steps (${RUNS} lists of steps; SEED=n takes others)`, () => {
  check(ANY, keepsAll);
});

Deno.test(`Replica starts no new epoch and has no page fetched for a short fault (${SOME} lists of steps)`, () => {
  check(SHORT, costsNothing, { runs: SOME });
});

Deno.test(`Replica has a page fetched at most once for an outage (${SOME} lists of steps)`, () => {
  check(OUTAGES, costsOneRefresh, { runs: SOME });
});

Deno.test(`Replica keeps all pages equal to the database during a slow recovery (${SOME} lists of steps)`, () => {
  check(RETURNS, keepsAll, { runs: SOME });
});

Deno.test(`Replica keeps all pages equal to the database when the newest entries are lost (${SOME} lists of steps)`, () => {
  check(LOSSES, keepsAll, { runs: SOME, nodes: 2, limits: LARGE });
});

Deno.test(`Replica keeps all pages equal to the database when some pushes are refused (${SOME} lists of steps)`, () => {
  check(REFUSALS, keepsAll, { runs: SOME });
});

for (const seed of [1, 2, 3, 4, 5]) {
  Deno.test(`Replica has one of four nodes report a lost node within three intervals (seed ${seed})`, () => {
    const world = new World({ nodes: 4, seed });
    for (const node of world.nodes) node.say(1);
    world.quiet(3_000);
    const [lost, ...others] = world.nodes;
    world.kill(lost!);
    world.time.advance(3_000);
    const left = others.flatMap(({ changes }) => changes.filter(({ kind }) => kind === "left"));
    assert.deepEqual(left.map(({ node }) => node), others.map(() => lost!.name));
    assert.equal(left.filter(({ isOwn }) => isOwn).length, 1);
    world.quiet();
    world.check();
  });
}

Deno.test("Replica has only one node start an epoch when many start at once", () => {
  const world = new World({ nodes: 4 });
  world.quiet();
  world.check();
  assert.equal(world.server.births, 1);
});

const LASTING: Record<string, (world: World) => void> = {
  "is down": (world) => world.network.stop("down"),
  "cannot be reached": (world) => world.network.stop("unreachable"),
  "answers nothing": (world) => void (world.network.state = "frozen"),
  "refuses what is written": (world) => void (world.server.refuses = true),
  "has no stream and refuses one": (world) => {
    world.server.flush();
    world.server.refuses = true;
  },
  "takes longer than it may": (world) => void (world.network.delay = 1_200),
};

for (const [what, act] of Object.entries(LASTING)) {
  Deno.test(`Replica asks rarely, and keeps little, while a server ${what}`, () => {
    const world = new World({ nodes: 3 });
    world.quiet(2_000);
    for (const node of world.nodes) node.notices.length = 0;
    act(world);
    for (let n = 0; n < 1_000; n++) {
      for (const node of world.nodes) world.pushBox(node, n % 2 === 0 ? "a" : "b");
      world.time.advance(20);
      for (const { name, replica } of world.nodes) {
        const waiting = replica.pushed - replica.settled;
        assert(waiting <= 300, `${waiting} pushes wait at ${name} after ${n}`);
      }
    }
    const busiest = world.busiest(10);
    assert(busiest <= 15, `${busiest} commands in a second`);
    world.quiet();
    world.check();
    for (const { notices } of world.nodes) assert.equal(notices.length, 2, notices.join("\n"));
  });
}

Deno.test("Replica that started without a server follows it when it appears", () => {
  const world = new World({ nodes: 3 });
  world.network.stop("down");
  world.time.advance(3_000);
  assert.deepEqual(world.nodes.map(({ replica }) => replica.state), ["away", "away", "away"]);
  for (const node of world.nodes) world.pushItem(node);
  world.quiet();
  world.check();
});

Deno.test("Replica that was stopped while thousands of entries were written catches up", () => {
  const world = new World({ nodes: 2, limits: { kept: 10_000, loaded: 1_000, read: 500 } });
  world.quiet(2_000);
  const [writer, stopped] = world.nodes as [ModelNode, ModelNode];
  const { births } = world.server;
  world.network.cut(stopped.link!);
  for (let n = 0; n < 3_000; n++) {
    world.pushBox(writer, `box${n}`);
    world.pushBox(stopped, `box${n}`);
  }
  stopped.stop();
  world.time.advance(500);
  world.quiet();
  world.check();
  assert.equal(world.server.births, births);
});

/** Whether the properties find a mistake. */
function finds(more: { Replica?: typeof Replica; readsFirst?: boolean }, runs: number): boolean {
  try {
    check(RETURNS, keepsAll, { ...more, runs });
    check(LOSSES, keepsAll, { ...more, runs, nodes: 2, limits: LARGE });
    check(REFUSALS, keepsAll, { ...more, runs });
    check(ANY, keepsAll, { ...more, runs });
    check(SHORT, costsNothing, { ...more, runs: Math.ceil(runs / 3) });
    check(OUTAGES, costsOneRefresh, { ...more, runs: Math.ceil(runs / 3) });
    return false;
  } catch {
    return true;
  }
}

const RETURN: Mutant[] = [
  {
    what: "what was delivered alone is sent when the server is back",
    file: "replica",
    from: "for (const item of this.#outbox.takeAll()) this.#applyAlone(item);",
    to:
      "for (const item of this.#outbox.takeAll()) (this.#applyAlone(item), this.again.push(item));",
  },
  { what: "", file: "replica", from: "  #steppedAt:", to: "  again: Item[] = [];\n  #steppedAt:" },
  {
    what: "",
    file: "replica",
    from: "    this.#isLocal = false;\n",
    to: "    this.#isLocal = false;\n" +
      "    for (const one of this.again.splice(0)) this.#outbox.add(one.content, undefined, this.#now);\n",
  },
];

const mutant = (what: string) => MUTANTS.filter((mutant) => mutant.what === what);

const CONTROLS: [what: string, mutants: Mutant[]][] = [
  [
    "does not compare the writer of the newest entry of its copy",
    mutant("the tag of the newest entry is not compared"),
  ],
  [
    "does not compare the attempt of the newest entry of its copy",
    mutant("the attempt of the newest entry is not compared"),
  ],
  [
    "does not notice that a push was read back before an earlier one that was refused",
    mutant("an overtaken push is not noticed"),
  ],
  ["sends after an outage what was pushed alone", RETURN],
  ["continues to deliver alone until it has loaded", [{
    what: "",
    file: "replica",
    from: "if (isClosed && (this.#isLocal || this.#isDown)) return this.#reason;",
    to: "if (this.#isLocal || isClosed && this.#isDown) return this.#reason;",
  }, {
    what: "",
    file: "replica",
    from: 'if (this.#phase !== "down" && this.#phase !== "opening") {',
    to: 'if (this.#phase === "following") {',
  }]],
];

// A run that sets RUNS is about Replica, not about how good its properties are.
const WITH_CONTROLS = { ignore: Deno.env.has("RUNS") };

Deno.test(
  "The properties of Replica notice a cursor that is taken after the read",
  WITH_CONTROLS,
  () => {
    assert(finds({ readsFirst: true }, 300));
  },
);

for (const [what, mutants] of CONTROLS) {
  Deno.test(`The properties of Replica notice a mutant that ${what}`, WITH_CONTROLS, async () => {
    assert(finds({ Replica: await mutated(mutants) }, 600));
  });
}

// Each needs a process; running the file of the mutants tests all of them.
Deno.test({
  name: "The tests of Replica notice each of 10 changes of it",
  ignore: QUICK || Deno.env.has("RUNS"),
  fn: async () => {
    const known = MUTANTS.filter(({ what }) => !UNNOTICED.has(what));
    assert.deepEqual(await survivorsOf(known.filter((_, index) => index % 10 === 0), 300), []);
  },
});
