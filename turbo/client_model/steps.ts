/**
 * Lists of steps, for property tests.
 *
 * @module
 */
import fc from "npm:fast-check@4.10.2";
import type { Kind } from "./page.ts";
import { concernsAll, EVENTS, eventsIn, stepsDue, type World } from "./world.ts";

/** The kinds of the pages of a world: mostly one page. */
export const kinds: fc.Arbitrary<Kind[]> = fc.constantFrom<Kind[]>(
  ["websocket"],
  ["token"],
  ["events"],
  ["websocket"],
  ["token"],
  ["websocket", "token"],
);

/** The random choices of one step. */
interface Pick {
  readonly page: number;
  readonly isEvent: boolean;
  readonly n: number;
}

/** The random choices of a list of steps. */
export interface Plan {
  readonly events: readonly string[];
  readonly picks: readonly Pick[];
}

/**
 * Up to `length` steps. The events of each list concern one place of the page and two other topics, because
 * if all kinds were mixed, related events would rarely occur together.
 */
export function plans(length: number): fc.Arbitrary<Plan> {
  const place = fc.constantFrom("page", "frame", "box", "inner" as const);
  const things = fc.tuple(...[1, 2].map(() => fc.constantFrom(...Object.keys(EVENTS))));
  const events = fc.tuple(place, things)
    .map(([place, things]) => [...eventsIn(place), ...things.flatMap((thing) => EVENTS[thing]!)]);
  const pick = fc.record({
    page: fc.constantFrom(0, 0, 0, 0, 1),
    isEvent: fc.boolean(),
    n: fc.nat({ max: 999 }),
  });
  return fc.record({ events, picks: fc.array(pick, { maxLength: length, size: "max" }) });
}

/** Runs the chosen events, and some of the pending steps between them. */
export function run(world: World, { events, picks }: Plan): void {
  for (const { page, isEvent, n } of picks) {
    const index = page % world.pages.length;
    const due = stepsDue(world.pages[index]!);
    const list = isEvent ? events : due.length > 0 && n % 5 > 0 ? due : ["go on"];
    const step = list[n % list.length]!;
    world.run(concernsAll(step) ? step : `${index} ${step}`);
  }
}
