/**
 * Lists of steps in a world, for property tests.
 *
 * @module
 */
import fc from "npm:fast-check@4.10.2";
import type { ModelNode } from "./node.ts";
import type { World } from "./world.ts";

/** One step: what happens, to which node, a number that varies it, and how long time passes after it. */
export interface Step {
  readonly what: string;
  readonly node: number;
  readonly n: number;
  readonly wait: number;
}

type Act = (world: World, node: ModelNode, n: number) => void;

const BOXES = ["a", "b"];

/** The steps of apps and pages. */
const USE: Record<string, Act> = {
  box: (world, node, n) => world.pushBox(node, BOXES[n % 2]!, n % 3 === 0 ? n % 20 : 0),
  "own box": (world, node) => world.pushOwnBox(node),
  item: (world, node, n) => world.pushItem(node, n % 3 === 0 ? n % 20 : 0),
  burst: (world, node, n) => {
    for (let i = 0; i < n % 12; i++) world.pushItem(node);
  },
  contest: (world) => {
    for (const node of world.nodes) world.pushBox(node, "a");
  },
  share: (_, node, n) => node.say(n),
  ban: (world, node) => world.ban(node),
  revoke: (_, node) => node.push({ revoke: "topic" }),
  visit: (world, _, n) => world.pages[n % world.pages.length]!.visit(),
  hop: (world, node, n) => world.hop(world.pages[n % world.pages.length]!, node),
};

/** Short faults, which must lose nothing and make no page fetch itself. */
const SHORT: Record<string, Act> = {
  cut: (world, node) => cutOnce(world, node, 0),
  "cut, late": (world, node, n) => cutOnce(world, node, n * 2),
  "freeze briefly": (world, _, n) => {
    if (world.network.state !== "up" || !isCalm(world, "all")) return;
    world.network.state = "frozen";
    world.time.later(() => world.network.state === "frozen" && world.network.start(), n % 400);
  },
};

/** When each node was last cut off. */
const cuts = new WeakMap<World, Map<string, number>>();

/** Whether a node, or all of them, had no fault for long enough to recover. */
function isCalm(world: World, what: string): boolean {
  const times = cuts.get(world) ?? new Map<string, number>();
  cuts.set(world, times);
  const last = Math.max(times.get(what) ?? -Infinity, times.get("all") ?? -Infinity);
  if (world.time.now - last < 1_000) return false;
  times.set(what, world.time.now);
  return true;
}

function cutOnce(world: World, node: ModelNode, lateBy: number): void {
  if (node.link && isCalm(world, node.name)) world.network.cut(node.link, { lateBy });
}

/** Longer faults. */
const LONG: Record<string, Act> = {
  "cut, mute": (world, node, n) =>
    node.link && world.network.cut(node.link, { isMute: true, lateBy: n % 2 * n * 3 }),
  freeze: (world) => {
    if (world.network.state === "up") world.network.state = "frozen";
  },
  down: (world) => world.network.stop("down"),
  unreachable: (world) => world.network.stop("unreachable"),
  up: (world) => world.network.state !== "up" && world.network.start(),
  flush: (world) => {
    world.hasLost = true;
    world.server.flush();
  },
  lose: (world, _, n) => world.lose(n % 9),
  refuse: (world) => {
    world.server.refuses = !world.server.refuses;
  },
  "refuse briefly": (world, _, n) => {
    world.server.refuses = true;
    world.time.later(() => world.server.refuses = false, n % 100);
  },
  slow: (world, _, n) => {
    world.network.delay = n % 3 === 0 ? n % 300 : 1;
  },
  stop: (_, node) => node.stop(),
  "go on": (world, _, n) => {
    for (const node of world.nodes) if (node.isStopped) node.goOn({ ticksFirst: n % 2 === 0 });
  },
  wake: (_, node) => node.isStopped && node.goOn(),
  kill: (world, node) => world.kill(node),
  leave: (world, node) => world.leave(node),
  start: (world) => void (world.nodes.length < 5 && world.startNode()),
};

const ALL: Record<string, Act> = { ...USE, ...SHORT, ...LONG, wait() {} };

/**
 * Lists of steps. Each list has only a few kinds of faults, because if all kinds were mixed, related faults
 * would rarely occur together.
 */
export function plans(faults: "short" | "any", length: number): fc.Arbitrary<Step[]> {
  const kinds = Object.keys(faults === "short" ? SHORT : { ...SHORT, ...LONG });
  const some = fc.tuple(...[1, 2, 3].map(() => fc.constantFrom(...kinds)));
  const uses = Object.keys(USE);
  return some.chain((some) =>
    fc.array(
      fc.record({
        what: fc.oneof(
          { weight: 2, arbitrary: fc.constantFrom(...uses) },
          {
            weight: 1,
            arbitrary: fc.constantFrom(...some, ...some.includes("down") ? ["up"] : []),
          },
        ),
        node: fc.nat({ max: 3 }),
        n: fc.nat({ max: 999 }),
        wait: fc.constantFrom(0, 0, 1, 3, 10, 60, 200, 700, 1_500, 4_000),
      }),
      { maxLength: length, size: "max" },
    )
  );
}

/**
 * An outage of the server, during which apps continue, and its end. `isSlow`: each step of the recovery takes
 * long, so that much happens between two of them.
 */
export function outages(length: number, { isSlow = false } = {}): fc.Arbitrary<Step[]> {
  const uses = isSlow
    ? ["box", "item", "item", "contest", "visit", "visit", "visit"]
    : Object.keys(USE).filter((what) => what !== "hop" && what !== "visit");
  const wait = isSlow
    ? fc.constantFrom(0, 5, 20, 50, 100, 200)
    : fc.constantFrom(0, 3, 60, 200, 700, 1_500);
  const use = fc.record({ what: fc.constantFrom(...uses), node: fc.nat(3), n: fc.nat(999), wait });
  const some = fc.array(use, { maxLength: length, size: "max" });
  const step = (what: string, n = 0) => ({ what, node: 0, n, wait: 0 });
  const fault = fc.constantFrom(["down"], ["freeze"], ["flush", "down"]);
  return fc.tuple(some, fault, some, fc.nat({ max: 99 }), some)
    .map(([before, fault, during, n, after]) => [
      { ...step("wait"), wait: 500 },
      ...before,
      ...isSlow ? [step("slow", 198 + n - n % 3)] : [],
      ...fault.map((what) => ({ ...step(what), wait: isSlow ? n * 20 : 0 })),
      ...during,
      { ...step("up"), wait: isSlow ? n * 35 : 0 },
      ...after,
      { ...step("wait"), wait: 4_000 },
    ]);
}

/**
 * The newest entries are lost after one node has read them and another has not. The other continues at once,
 * and may have written as many entries before the first is back.
 */
export function losses(length: number): fc.Arbitrary<Step[]> {
  const wait = fc.constantFrom(0, 3, 20, 100);
  const use = (node: fc.Arbitrary<number>) =>
    fc.record({
      what: fc.constantFrom("box", "own box", "item", "burst", "share"),
      node,
      n: fc.nat(999),
      wait,
    });
  const uses = (node: number) =>
    fc.array(use(fc.constant(node)), { maxLength: length, size: "max" });
  const step = (what: string, node: number, n: number, wait: number) => ({ what, node, n, wait });
  return fc.tuple(uses(0), uses(1), uses(0), fc.nat(8)).map(([before, lost, after, n]) => [
    step("wait", 0, 0, 500),
    ...before,
    step("stop", 0, 0, 20),
    ...lost,
    step("wait", 0, 0, 20),
    step("stop", 1, 0, 0),
    step("lose", 0, n, 0),
    step("wake", 0, 0, 400),
    ...after,
    step("wait", 0, 0, n * 10),
    step("wake", 1, 0, 0),
    ...after,
  ]);
}

/** Writes are refused now and then, so briefly that of several simultaneous pushes some are accepted. */
export function refusals(length: number): fc.Arbitrary<Step[]> {
  const what = fc.constantFrom("box", "own box", "item", "item", "share", "refuse briefly");
  const wait = fc.constantFrom(0, 1, 3, 10, 100);
  const use = fc.record({ what, node: fc.nat(3), n: fc.nat(999), wait });
  return fc.array(use, { maxLength: length, size: "max" })
    .map((uses) => [{ what: "wait", node: 0, n: 0, wait: 500 }, ...uses]);
}

/** Runs the steps in order. */
export function run(world: World, steps: readonly Step[]): void {
  for (const { what, node, n, wait } of steps) {
    const { nodes } = world;
    const chosen = nodes[node % nodes.length]!;
    world.done.push(`${Math.round(world.time.now)}: ${what} ${chosen.name} ${n}`);
    ALL[what]!(world, chosen, n);
    world.time.advance(wait);
  }
}
