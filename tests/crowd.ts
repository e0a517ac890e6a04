/**
 * The clients of the storm, good and hostile ones in turn, in a process of their own.
 *
 * It takes {@linkcode CrowdOptions} as JSON, reads lines with a number, starts as many clients, and
 * writes a {@linkcode CrowdReport} when all have ended.
 *
 * @module
 */
import process from "node:process";
import { ask, EVENTS, handshake, HostileClient, repeat, resetAfter } from "./hostile.ts";
import { pause, sinceOf } from "./kit.ts";
import { closeFrame, frame } from "./raw.ts";

/** Options of the crowd. */
export interface CrowdOptions {
  /** The port of the server. */
  port: number;
  /** An old cursor, with which a flood of `since` asks. */
  cursor: string;
  /** How many clients start in a second. */
  rate: number;
  /** How many clients there are at a time. */
  most: number;
  /** Milliseconds for which a silent client stays. */
  stay: number;
}

/** The result. */
export interface CrowdReport {
  /** How many clients there were. */
  clients: number;
  /** Seconds that it took. */
  seconds: number;
  /** Seconds of processor time that the crowd itself took. */
  cpu: number;
  /** How many answers there were by status; 0 means no answer. */
  statuses: Record<string, number>;
}

/** Bytes that break the protocol. */
const WRONG: readonly Uint8Array[] = [
  frame(new Uint8Array(1), { opcode: 2 }),
  frame(new Uint8Array([0xff, 0xfe])),
  frame("a", { reserved: 4 }),
  frame("a", { mask: false }),
  frame("a".repeat(4_097)),
  frame("a", { opcode: 0 }),
  frame("since"),
  frame("a", { fin: false }),
];
const HANDSHAKE = handshake();

/** The behaviours of clients, from the first byte to the end. Each returns the status of its answer. */
type Behaviour = (options: CrowdOptions) => Promise<number>;

const BEHAVIOURS: readonly Behaviour[] = [
  readsAndLeaves,
  resetsBeforeTheHeadIsComplete,
  resetsAfterTheHead,
  resetsAfterTheAnswer,
  resetsAfterMessages,
  finishesBeforeTheAnswer,
  isSilent,
  breaksTheProtocol,
  asksAllTheTime,
  resetsEventsAfterTheHead,
  resetsEvents,
];

async function readsAndLeaves({ port }: CrowdOptions): Promise<number> {
  await using client = await ask(HANDSHAKE, port);
  if (client.isOpen && await client.read(4)) {
    client.write(closeFrame(1000));
    await client.ended();
    client.finish();
  }
  return client.status;
}

async function resetsBeforeTheHeadIsComplete({ port }: CrowdOptions): Promise<number> {
  await resetAfter(HANDSHAKE.slice(0, 100), port);
  return 0;
}

async function resetsAfterTheHead({ port }: CrowdOptions): Promise<number> {
  await resetAfter(HANDSHAKE, port);
  return 0;
}

async function resetsAfterTheAnswer({ port }: CrowdOptions): Promise<number> {
  await using client = await ask(HANDSHAKE, port);
  return client.status;
}

async function resetsAfterMessages({ port }: CrowdOptions): Promise<number> {
  await using client = await ask(HANDSHAKE, port);
  if (client.isOpen) await client.read(4);
  return client.status;
}

async function finishesBeforeTheAnswer({ port }: CrowdOptions): Promise<number> {
  await using client = await HostileClient.open(port);
  client.write(HANDSHAKE);
  client.finish();
  await client.ended();
  return client.status;
}

async function isSilent({ port, stay }: CrowdOptions): Promise<number> {
  await using client = await ask(HANDSHAKE, port);
  if (client.isOpen) await pause(stay);
  return client.status;
}

let wrong = 0;
async function breaksTheProtocol({ port, stay }: CrowdOptions): Promise<number> {
  await using client = await ask(HANDSHAKE, port);
  client.write(WRONG[wrong++ % WRONG.length]!);
  if (client.isOpen) await pause(stay);
  return client.status;
}

async function asksAllTheTime({ port, cursor, stay }: CrowdOptions): Promise<number> {
  await using client = await ask(HANDSHAKE, port);
  client.write(repeat(frame(sinceOf({ cursor })), 1_000));
  if (client.isOpen) await pause(stay / 10);
  return client.status;
}

async function resetsEventsAfterTheHead({ port }: CrowdOptions): Promise<number> {
  await resetAfter(EVENTS, port);
  return 0;
}

async function resetsEvents({ port }: CrowdOptions): Promise<number> {
  await using client = await ask(EVENTS, port);
  if (client.status === 200) await client.read(4);
  return client.status;
}

/** Starts clients, equally many of each kind, and waits until they have ended. */
async function come(clients: number, options: CrowdOptions): Promise<CrowdReport> {
  const { rate, most } = options;
  const statuses: CrowdReport["statuses"] = {};
  const [start, cpu] = [performance.now(), processorTime()];
  const there = new Set<Promise<void>>();
  for (let i = 0; i < clients; i++) {
    const early = start + i * 1000 / rate - performance.now();
    if (early > 5) await pause(early);
    while (there.size >= most) await Promise.race(there);
    const visit = BEHAVIOURS[i % BEHAVIOURS.length]!(options).then((status) => {
      statuses[status] = (statuses[status] ?? 0) + 1;
      there.delete(visit);
    });
    there.add(visit);
  }
  await Promise.all(there);
  const seconds = (performance.now() - start) / 1000;
  return { clients, seconds, cpu: processorTime() - cpu, statuses };
}

function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

if (import.meta.main) {
  const options: CrowdOptions = JSON.parse(Deno.args[0]!);
  for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    console.log(JSON.stringify(await come(Number(line), options)));
  }
}
