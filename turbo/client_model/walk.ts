/**
 * Every order in which a few events can happen to one page: a walk over all states of a small world.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ModelServer } from "./server.ts";
import { stepsDue, World } from "./world.ts";

/** The events: each once and in the order of its list, with the lists interleaved in any way. */
export type Lists = readonly (readonly string[])[];

/** The result of a walk. */
export interface Walk {
  /** How many different states there are. */
  states: number;
  /** How many steps from one state to another there are. */
  steps: number;
  /** How many states have no step left. */
  ends: number;
}

/**
 * Walks over all states, and checks the invariants in each: above all, that a page with no pending step
 * shows what the server has.
 */
export function walk(lists: Lists): Walk {
  const seen = new Set<string>();
  const seenAll: Walk = { states: 0, steps: 0, ends: 0 };
  const first = start();
  const open: { world: World; path: string[]; left: number[] }[] = [
    { world: first, path: [], left: lists.map(({ length }) => length) },
  ];
  seen.add(keyOf(first, open[0]!.left));
  seenAll.states = 1;
  while (open.length > 0) {
    const { world, path, left } = open.pop()!;
    const next = successors(world, lists, left);
    if (next.length === 0) {
      seenAll.ends++;
      const { follower } = world.pages[0]!;
      assert(follower.isCurrent, `it is stuck after ${path.join(", ")}`);
    }
    for (const [index, { step, left: after }] of next.entries()) {
      const isLast = index === next.length - 1;
      const here: World = isLast ? world : replay(path);
      try {
        here.run(step);
      } catch (error) {
        throw new Error(`After ${[...path, step].join(", ")}`, { cause: error });
      }
      seenAll.steps++;
      const key = keyOf(here, after);
      if (seen.has(key)) continue;
      seen.add(key);
      seenAll.states++;
      open.push({ world: here, path: [...path, step], left: after });
    }
  }
  return seenAll;
}

function start(): World {
  return new World({ server: ModelServer, kinds: ["websocket"] });
}

function replay(path: readonly string[]): World {
  const world = start();
  for (const step of path) world.run(step);
  return world;
}

function successors(
  world: World,
  lists: Lists,
  left: readonly number[],
): { step: string; left: number[] }[] {
  const events = lists.flatMap((list, index) => {
    if (left[index] === 0) return [];
    const step = list[list.length - left[index]!]!;
    return [{ step, left: left.map((n, i) => i === index ? n - 1 : n) }];
  });
  const due = stepsDue(world.pages[0]!).map((step) => ({ step: `0 ${step}`, left: [...left] }));
  // An opening connection reaches the server before anything else happens.
  const opening = due.filter(({ step }) => /^0 (connect|accept|open)$/.test(step));
  return opening.length > 0 ? opening.slice(0, 1) : [...events, ...due];
}

/** The complete state of a world, as text. */
function keyOf(world: World, left: readonly number[]): string {
  const page = world.pages[0]!;
  const { link } = page;
  const server = link?.server as ModelServer | undefined;
  return serialize([left, page, link && server!.positionOf(link), world.servers[0]!.cursor]);
}

function serialize(root: unknown): string {
  const ids = new Map<object, number>();
  const write = (value: unknown): string => {
    if (typeof value === "function") return "";
    if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "-";
    if (value instanceof World || value instanceof ModelServer) return "";
    const known = ids.get(value);
    if (known !== undefined) return `#${known}`;
    ids.set(value, ids.size);
    if (value instanceof Map) return `{${[...value].map(write).join()}}`;
    if (Array.isArray(value)) return `[${value.map(write).join()}]`;
    const parts = Object.entries(value).filter(([key]) =>
      !/^(isChanged|fetches|snapshots)$/.test(key)
    );
    return `(${parts.map(([key, one]) => `${key}:${write(one)}`).join()})`;
  };
  return write(root);
}

if (import.meta.main) {
  const { states, steps, ends } = walk([
    ["push text page", "push text box", "push text page"],
    ["0 form text page"],
    ["0 visit 1"],
    ["0 cut"],
  ]);
  console.log(
    `${states} states, ${steps} steps, ${ends} states in which nothing is left to happen`,
  );
}
