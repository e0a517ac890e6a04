/**
 * The measures, by name. Each runs all sides in turns, several times.
 *
 * @module
 */
import { measureAdded } from "./measures/added.ts";
import { measureBurst } from "./measures/burst.ts";
import { measureCatchUp } from "./measures/catchup.ts";
import { measureDeploy } from "./measures/deploy.ts";
import { measureFanout } from "./measures/fanout.ts";
import { measureInstruments } from "./measures/instruments.ts";
import { measureJitter } from "./measures/jitter.ts";
import { measureMemory } from "./measures/memory.ts";
import { measureName } from "./measures/name.ts";
import { measureNodes } from "./measures/nodes.ts";
import { measurePage } from "./measures/page.ts";
import { measureProcesses } from "./measures/processes.ts";
import { measureProfile } from "./measures/profile.ts";
import { measureSlow } from "./measures/slow.ts";
import { measureStart } from "./measures/start.ts";
import { measureWire } from "./measures/wire.ts";
import type { Bench } from "./sides.ts";

/** The measures, in the order in which they run. */
export const MEASURES: Record<string, (bench: Bench) => Promise<void>> = {
  fanout: measureFanout,
  burst: measureBurst,
  added: measureAdded,
  memory: measureMemory,
  page: measurePage,
  catchup: measureCatchUp,
  name: measureName,
  instruments: measureInstruments,
  start: measureStart,
  wire: measureWire,
  processes: measureProcesses,
  nodes: measureNodes,
  slow: measureSlow,
  jitter: measureJitter,
  deploy: measureDeploy,
  profile: measureProfile,
};
