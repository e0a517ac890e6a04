import fc from "npm:fast-check@4.10.2";
import { plans, run } from "./replica_model/steps.ts";
import { World } from "./replica_model/world.ts";

const SEED = Number(Deno.env.get("SEED") ?? 1);
/** Lists of steps. */
const RUNS = Number(Deno.env.get("RUNS") ?? 1_000);

const worlds = fc.record({ nodes: fc.integer({ min: 2, max: 4 }), seed: fc.nat() });

Deno.test("Replica", () => {
  let steps = 0;
  const property = fc.property(worlds, plans("any", 40), (options, plan) => {
    const world = new World(options);
    try {
      run(world, plan);
      world.quiet();
      world.check();
      steps += plan.length;
    } catch (error) {
      throw new Error(world.done.join("\n"), { cause: error });
    }
  });
  fc.assert(property, { seed: SEED, numRuns: RUNS });
  console.log(steps);
});
