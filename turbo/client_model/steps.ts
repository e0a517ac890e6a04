/**
 * Lists of steps for the properties.
 *
 * @module
 */
import fc from "npm:fast-check@4.10.2";
import type { Kind } from "./page.ts";
import { concernsAll, EVENTS, eventsIn, stepsDue, type World } from "./world.ts";

/** How the pages of a world ask: mostly there is one. */
export const kinds: fc.Arbitrary<Kind[]> = fc.constantFrom<Kind[]>(
  ["websocket"],
  ["token"],
  ["events"],
  ["websocket"],
  ["token"],
  ["websocket", "token"],
);

/** What decides on one step. */
interface Pick {
  readonly page: number;
  readonly isEvent: boolean;
  readonly n: number;
}

/** What decides on a list of steps. */
export interface Plan {
  readonly events: readonly string[];
  readonly picks: readonly Pick[];
}

/**
 * Up to `length` steps. In each list only such events occur as concern one place of the page and two things
 * beside: among all there are, those that matter together would hardly meet.
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

/** Does what was decided on: events, and between them what there is to do. */
export function run(world: World, { events, picks }: Plan): void {
  for (const { page, isEvent, n } of picks) {
    const index = page % world.pages.length;
    const due = stepsDue(world.pages[index]!);
    const list = isEvent ? events : due.length > 0 && n % 5 > 0 ? due : ["go on"];
    const step = list[n % list.length]!;
    world.run(concernsAll(step) ? step : `${index} ${step}`);
  }
}
