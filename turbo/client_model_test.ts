import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { QUICK } from "../tests/kit.ts";
import { MUTANTS, survivorsOf, UNNOTICED } from "./client_model/mutants.ts";
import { ModelServer, RealServer } from "./client_model/server.ts";
import { kinds, plans, run } from "./client_model/steps.ts";
import { walk } from "./client_model/walk.ts";
import { World } from "./client_model/world.ts";

const SEED = Number(Deno.env.get("SEED") ?? 1);
/** How many lists of steps to try. There are fewer in a quick run and for each mutant. */
const RUNS = Number(Deno.env.get("RUNS") ?? (QUICK ? 1_000 : 10_000));

for (
  const [name, server, runs] of [
    ["a model of the server", ModelServer, RUNS],
    ["the log and the connections of the server", RealServer, RUNS / 5],
  ] as const
) {
  Deno.test(`Follower keeps pages as the server has them, through any steps (${runs} lists of steps with ${name}; SEED=n takes others)`, () => {
    const property = fc.property(kinds, plans(60), fc.boolean(), (kinds, plan, isApart) => {
      const world = new World({ server, kinds });
      try {
        run(world, plan);
        if (isApart) world.apart();
        world.quiet();
      } catch (error) {
        throw new Error(`${kinds}: ${world.done.join(", ")}${isApart ? ", apart" : ""}`, {
          cause: error,
        });
      }
    });
    fc.assert(property, { seed: SEED, numRuns: runs });
  });
}

Deno.test("Follower keeps a page as the server has it in every state of a small world", () => {
  const { states, ends } = walk([
    ["push text page", "push text box"],
    ["0 form text page"],
    ["0 cut"],
  ]);
  console.log(`${states} states, ${ends} in which nothing is left to happen`);
  assert(states > 1_000 && ends > 0, `${states} states, ${ends} ends`);
});

// Each needs a process; `deno task mutants` runs all of them.
Deno.test({
  name: "The tests of client_core.js notice each of 16 changes of it",
  ignore: QUICK || Deno.env.has("RUNS"),
  fn: async () => {
    const known = MUTANTS.filter(([what]) => !UNNOTICED.has(what));
    assert.deepEqual(await survivorsOf(known.filter((_, index) => index % 6 === 0)), []);
  },
});
