/**
 * What is measured. Each measure runs all sides in one run, in turn, several times.
 *
 * @module
 */
import type { Driver, OpenOptions, Requested, Times } from "./driver.ts";
import { copyPage, type Peer, PEERS, RunningPeer, SAME_SOCKETS } from "./peers.ts";
import { perfProblem, profile } from "./profile.ts";
import { median } from "./results.ts";

/** One figure of one side in one round. */
export interface Sample {
  /** Which measure. */
  measure: string;
  /** Whose figure, such as `turbo-deno protocol`. */
  side: string;
  /** Readers, or what else was varied. */
  at: string;
  /** What was measured, with its unit. */
  figure: string;
  /** The figure. */
  value: number;
}

/** What a measure works with. */
export interface Bench {
  /** A driver. */
  driver: Driver;
  /** Starts one more, where sides are to hold their readers at the same time. */
  newDriver(): Driver;
  /** The peers that could be installed. */
  peers: readonly Peer[];
  /** How often each is measured. */
  rounds: number;
  /** How many readers the fan-out is measured with. */
  readers: readonly number[];
  /** Takes a figure. */
  note(sample: Sample): void;
}

/** A side of a comparison: a peer, and how its readers speak. */
interface Side {
  name: string;
  peer: Peer;
  protocol: boolean;
}

/** The measures by name. */
export const MEASURES: Record<string, (bench: Bench) => Promise<void>> = {
  fanout: measureFanout,
  added: measureAdded,
  memory: measureMemory,
  page: measurePage,
  catchup: measureCatchUp,
  name: measureName,
  start: measureStart,
  wire: measureWire,
  processes: measureProcesses,
  slow: measureSlow,
  profile: measureProfile,
};

const SETTLE = 200;
const FANOUT_SLICES = { warmUp: 2, counted: 12 };
const SLICE_MESSAGES = 27_000;

/**
 * (a) Processor time per delivered message, and time to the last reader. Each round has new
 * processes. All of them hold their readers at the same time and take turns in short slices, so that
 * whatever else the machine does falls on all alike.
 */
async function measureFanout(bench: Bench): Promise<void> {
  const { newDriver, peers, rounds, note } = bench;
  for (let round = 0; round < rounds; round++) {
    for (const readers of bench.readers) {
      await using running = await startAll(sidesOf(peers));
      await using drivers = new AsyncDisposableStack();
      const all = [];
      for (const { side, server } of running.all) {
        const driver = drivers.use(newDriver());
        await openReaders(driver, server, side, readers);
        all.push({ side, server, driver, cpu: [] as number[], last: [] as number[] });
      }
      const count = Math.ceil(SLICE_MESSAGES / readers);
      await byTurns(all, FANOUT_SLICES, async ({ side, server, driver, cpu, last }, counts) => {
        try {
          await driver.control(server.port);
          await driver.push({ count: 1, expect: readers }); // the others had the caches
          const before = server.cpu();
          const pushed = await driver.push({ count, expect: readers });
          if (!counts) return;
          cpu.push((server.cpu() - before) * 1000 / pushed.frames);
          last.push(...pushed.lasts);
        } catch (error) {
          throw new Error(`${side.name} with ${readers} readers failed`, { cause: error });
        }
      });
      for (const { side, cpu, last } of all) {
        const sample = { measure: "fanout", side: side.name, at: String(readers) };
        note({ ...sample, figure: "cpu us/message", value: median(cpu) });
        note({ ...sample, figure: "ms to the last", value: median(last) });
        note({ ...sample, figure: "ms to the last, p99", value: quantile(last, 0.99) });
      }
    }
  }
}

/**
 * What the app adds to a message: in one process, by turns, the app's push and a bare loop over the
 * same sockets. Two processes differ by more than that, if only in how their memory lies.
 */
async function measureAdded({ driver, rounds, readers: sizes, note }: Bench): Promise<void> {
  const ways = { "turbo-deno": "/push", "bare-deno": "/push?by=bare" };
  for (let round = 0; round < rounds; round++) {
    for (const readers of sizes) {
      for (const protocol of [false, true]) {
        await using server = await RunningPeer.start(SAME_SOCKETS);
        await openReaders(driver, server, { protocol }, readers);
        const all = Object.entries(ways).map(([side, path]) => ({
          side,
          path,
          cpu: [] as number[],
        }));
        const count = Math.ceil(SLICE_MESSAGES / readers);
        await byTurns(all, FANOUT_SLICES, async ({ path, cpu }, counts) => {
          const before = server.cpu();
          const { frames } = await driver.push({ count, expect: readers, path });
          if (counts) cpu.push((server.cpu() - before) * 1000 / frames);
        });
        await driver.close();
        const at = `${readers} ${protocol ? "protocol" : "plain"}`;
        for (const { side, cpu } of all) {
          note({ measure: "added", side, at, figure: "cpu us/message", value: median(cpu) });
        }
      }
    }
  }
}

const MEMORY_READERS = 9_000;

/** (b) Memory per connection, and how many connect in a second. Each time in a new process. */
async function measureMemory({ driver, peers, rounds, note }: Bench): Promise<void> {
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    for (const side of inTurn(sidesOf(peers), round)) {
      await using server = await RunningPeer.start(side.peer);
      await openReaders(driver, server, side, 100);
      await driver.push({ count: 20, expect: 100 });
      await driver.close();
      await pause(300);
      const before = server.memory();
      const cpu = server.cpu();
      const opened = await openReaders(driver, server, side, MEMORY_READERS);
      const connectCpu = server.cpu() - cpu;
      await driver.push({ count: 3, expect: MEMORY_READERS });
      await pause(500);
      const grown = server.memory() - before;
      await driver.close();
      const sample = { measure: "memory", side: side.name, at: String(MEMORY_READERS) };
      note({ ...sample, figure: "KiB/connection", value: grown / 1024 / MEMORY_READERS });
      note({ ...sample, figure: "connects/s", value: MEMORY_READERS * 1000 / opened.ms });
      note({ ...sample, figure: "connect cpu us", value: connectCpu * 1000 / MEMORY_READERS });
    }
  }
}

const PAGE_CONNECTIONS = 16;
const PAGE_SLICES = { warmUp: 4, counted: 6 };

/** (c) The page, against a bare server of the same bytes and Turbo-Flask's page; in short slices. */
async function measurePage({ driver, peers, rounds, note }: Bench): Promise<void> {
  const paged = ["turbo-deno", "bare-deno", "turbo-flask"];
  const sides = sidesOf(peers).filter(({ peer, protocol }) =>
    paged.includes(peer.name) && !protocol
  );
  for (let round = 0; round < rounds; round++) {
    await using running = await startAll(sides);
    const all = running.all.map((one) => ({ ...one, cpu: 0, slices: [] as Requested[] }));
    await byTurns(all, PAGE_SLICES, async (one, counts) => {
      const before = one.server.cpu();
      const got = await driver.request(one.server.port, "/", PAGE_CONNECTIONS, 0.5);
      const cpu = one.server.cpu() - before;
      await driver.close();
      if (got.errors > 0) throw new Error(`${one.side.name}: ${got.errors} pages failed`);
      if (!counts) return;
      one.cpu += cpu;
      one.slices.push(got);
    });
    for (const { side, cpu, slices } of all) {
      const sample = { measure: "page", side: side.name, at: `${PAGE_CONNECTIONS} connections` };
      const middle = (of: "p50" | "p99" | "perSecond") =>
        median(slices.map((requested) => requested[of]));
      const requests = slices.reduce((sum, requested) => sum + requested.requests, 0);
      note({ ...sample, figure: "requests/s", value: middle("perSecond") });
      note({ ...sample, figure: "p50 ms", value: middle("p50") });
      note({ ...sample, figure: "p99 ms", value: middle("p99") });
      note({ ...sample, figure: "cpu us/request", value: cpu * 1000 / requests });
    }
  }
}

const CATCHUP_READERS = 1_000;

/**
 * (d) Readers that come back all at once while others are running and 20 messages a second go out.
 * The bare loop only accepts them: it has nothing to catch up with.
 */
async function measureCatchUp({ driver, peers, rounds, note }: Bench): Promise<void> {
  const sides = sidesOf(peers).filter(({ peer, protocol }) =>
    peer.name === "bare-deno" || (peer.name === "turbo-deno" && protocol)
  );
  await using running = await startAll(sides);
  for (let round = 0; round < rounds; round++) {
    for (const { side, server } of inTurn(running.all, round)) {
      const options = await optionsFor(server, side);
      await driver.control(server.port);
      await driver.open(server.port, CATCHUP_READERS, options);
      await driver.push({ count: 5, expect: CATCHUP_READERS }); // they missed these
      const plan = { count: 40, gap: 50, expect: CATCHUP_READERS };
      const calm = await driver.push(plan);
      const want = side.protocol ? 1 : 0;
      const herd = { ...options, want, inflight: CATCHUP_READERS };
      await driver.openLater(server.port, CATCHUP_READERS, herd);
      const busy = await driver.push(plan);
      await driver.close();
      const sample = { measure: "catchup", side: side.name, at: `${CATCHUP_READERS} at once` };
      note({ ...sample, figure: "ms until all are current", value: busy.joinMs });
      note({ ...sample, figure: "p99 ms of the running before", value: calm.latency.p99 });
      note({ ...sample, figure: "p99 ms of the running meanwhile", value: busy.latency.p99 });
    }
  }
}

const SLOW_READERS = 1_000;
const SLOW_STALLED = 100;
const SLOW_SLICES = { warmUp: 1, counted: 6 };

/**
 * (e) A tenth of the readers stalls. First the system's buffers are filled for them, which take some
 * megabytes each; then come messages of 4 KiB, 40 a second, in turn to the readers of a process with
 * stalled ones and of one without. It is over before a stalled reader is dropped.
 */
async function measureSlow({ newDriver, peers, rounds, note }: Bench): Promise<void> {
  const compared = ["turbo-deno", "bare-deno"];
  const sides = sidesOf(peers).filter(({ peer }) => compared.includes(peer.name));
  for (let round = 0; round < rounds; round++) {
    for (const side of inTurn(sides, round)) {
      await using stack = new AsyncDisposableStack();
      const both = [];
      for (const stalled of [0, SLOW_STALLED]) {
        const server = stack.use(await RunningPeer.start(side.peer));
        const driver = stack.use(newDriver());
        const options = await optionsFor(server, side);
        await driver.control(server.port);
        await driver.open(server.port, SLOW_READERS, { ...options, stalled });
        const expect = SLOW_READERS - stalled;
        await driver.push({ count: 50, expect, path: "/push?pad=98304" }); // more than the system takes
        both.push({
          stalled,
          expect,
          server,
          driver,
          memory: server.memory(),
          slices: [] as Times[],
        });
      }
      await byTurns(both, SLOW_SLICES, async ({ expect, driver, slices }, counts) => {
        const plan = { count: 16, gap: 25, expect, path: "/push?pad=4096" };
        const { latency } = await driver.push(plan);
        if (counts) slices.push(latency);
      });
      for (const { stalled, server, memory, slices } of both) {
        const sample = { measure: "slow", side: side.name, at: `${stalled} stalled` };
        const middle = (of: "p50" | "p99") => median(slices.map((times) => times[of]));
        note({ ...sample, figure: "p50 ms of the rest", value: middle("p50") });
        note({ ...sample, figure: "p99 ms of the rest", value: middle("p99") });
        note({ ...sample, figure: "MiB grown", value: (server.memory() - memory) / 1024 / 1024 });
      }
    }
  }
}

const NAME_READERS = [10, 9_000];
const NAME_BATCH = 50;

/** (f) A push to one name among many. */
async function measureName({ driver, rounds, note }: Bench): Promise<void> {
  const peer = PEERS[0]!;
  await using server = await RunningPeer.start(peer);
  for (let round = -1; round < rounds; round++) {
    for (const readers of inTurn(NAME_READERS, round)) {
      await driver.control(server.port);
      await driver.open(server.port, readers, { path: "/turbo-stream?as=reader%d" });
      const path = `/push?to=reader7&n=${NAME_BATCH}`;
      const plan = { count: 400, expect: NAME_BATCH, per: NAME_BATCH, path };
      await driver.push({ ...plan, count: 20 });
      const before = server.cpu();
      const pushed = await driver.push(plan);
      const cpu = server.cpu() - before;
      await driver.close();
      if (round < 0) continue;
      const sample = { measure: "name", side: peer.name, at: String(readers) };
      note({ ...sample, figure: "cpu us/push", value: cpu * 1000 / pushed.frames });
      note({ ...sample, figure: "ms/batch of 50", value: median(pushed.lasts) });
    }
  }
}

/** (g) From the start of the process to the first byte of the page. */
async function measureStart({ peers, rounds, note }: Bench): Promise<void> {
  for (let round = -1; round < rounds; round++) {
    for (const peer of inTurn(peers, round)) {
      await using server = await RunningPeer.start(peer);
      if (round < 0) continue;
      const sample = { measure: "start", side: peer.name, at: "" };
      note({ ...sample, figure: "ms to the first byte", value: server.startMs });
      note({ ...sample, figure: "MiB at rest", value: server.memory() / 1024 / 1024 });
    }
  }
}

/** (h) Bytes that one message takes on the wire, above TCP. */
async function measureWire({ driver, peers, note }: Bench): Promise<void> {
  await using running = await startAll(sidesOf(peers));
  for (const { side, server } of running.all) {
    await openReaders(driver, server, side, 10);
    const pushed = await driver.push({ count: 10, expect: 10 });
    await driver.close();
    const sample = { measure: "wire", side: side.name, at: "" };
    note({ ...sample, figure: "bytes/message", value: pushed.bytes / pushed.frames });
  }
}

const PROCESSES_READERS = 1_000;

/** (i) The same readers on two processes against one. */
async function measureProcesses({ driver, peers, rounds, note }: Bench): Promise<void> {
  const names = ["turbo-deno", "bare-deno"];
  const sides = sidesOf(peers).filter(({ peer, protocol }) =>
    names.includes(peer.name) && protocol === (peer.name === "turbo-deno")
  );
  await using running = await startAll([...sides, ...sides]);
  for (let round = -1; round < rounds; round++) {
    for (const side of inTurn(sides, round)) {
      const both = running.all.filter((other) => other.side === side).map(({ server }) => server);
      for (const servers of [both.slice(0, 1), both]) {
        for (const server of servers) {
          const options = await optionsFor(server, side);
          await driver.control(server.port);
          await driver.open(server.port, PROCESSES_READERS / servers.length, options);
        }
        const cpu = () => servers.reduce((sum, server) => sum + server.cpu(), 0);
        const before = cpu();
        const pushed = await driver.push({ count: 100, expect: PROCESSES_READERS });
        const spent = cpu() - before;
        await driver.close();
        if (round < 0) continue;
        const at = servers.length === 1 ? "1 process" : "2 processes";
        const sample = { measure: "processes", side: side.name, at };
        note({ ...sample, figure: "messages/s", value: pushed.frames * 1000 / pushed.ms });
        note({ ...sample, figure: "ms to the last", value: median(pushed.lasts) });
        note({ ...sample, figure: "cpu us/message", value: spent * 1000 / pushed.frames });
      }
    }
  }
}

/** (j) Where the processor time of a delivered message goes. */
async function measureProfile(bench: Bench): Promise<void> {
  const { driver, peers, rounds, note } = bench;
  const problem = await perfProblem();
  if (problem !== undefined) return console.log(`Left out: profile: ${problem}`);
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    for (const readers of bench.readers.filter((readers) => readers >= 1_000)) {
      for (const side of inTurn(sidesOf(peers), round)) {
        await using server = await RunningPeer.start(side.peer);
        await openReaders(driver, server, side, readers);
        await driver.push({ count: Math.ceil(100_000 / readers), expect: readers });
        const before = server.cpu();
        let frames = 0;
        const shares = await profile(server.pids(), async () => {
          const count = Math.ceil(200_000 / readers);
          frames = (await driver.push({ count, expect: readers })).frames;
        });
        const perMessage = (server.cpu() - before) * 1000 / frames;
        await driver.close();
        const sample = { measure: "profile", side: side.name, at: String(readers) };
        note({ ...sample, figure: "us in the kernel", value: perMessage * shares.kernel });
        note({ ...sample, figure: "us in native code", value: perMessage * shares.native });
        note({
          ...sample,
          figure: "us in compiled JavaScript",
          value: perMessage * shares.compiled,
        });
      }
    }
  }
}

function sidesOf(peers: readonly Peer[]): Side[] {
  return peers.flatMap((peer) =>
    peer.name === "turbo-deno"
      ? [
        { name: "turbo-deno plain", peer, protocol: false },
        { name: "turbo-deno protocol", peer, protocol: true },
      ]
      : [{ name: peer.name, peer, protocol: false }]
  );
}

async function startAll(sides: readonly Side[]) {
  const stack = new AsyncDisposableStack();
  const all: { side: Side; server: RunningPeer }[] = [];
  for (const side of sides) {
    const server = stack.use(await RunningPeer.start(side.peer));
    if (side.peer.name === "turbo-deno") await copyPage(server.port);
    all.push({ side, server });
  }
  return { all, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function openReaders(
  driver: Driver,
  server: RunningPeer,
  side: Pick<Side, "protocol">,
  count: number,
) {
  const options = await optionsFor(server, side);
  await driver.control(server.port);
  const opened = await driver.open(server.port, count, options);
  await pause(SETTLE); // some answer the handshake before they take the reader in
  return opened;
}

async function optionsFor(
  server: RunningPeer,
  { protocol }: Pick<Side, "protocol">,
): Promise<OpenOptions> {
  if (!protocol) return {};
  const page = await fetch(`http://127.0.0.1:${server.port}/`);
  await page.body?.cancel();
  const cursor = page.headers.get("Turbo-Cursor");
  return { protocol, path: `/turbo-stream?since=${cursor}&page=bench%d` };
}

/** The list from another start each round, so that nobody is always first. */
function inTurn<T>(list: readonly T[], round: number): T[] {
  const start = (round + list.length) % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

/** Uses each in turn, in another order every time; the first slices warm up and do not count. */
async function byTurns<T>(
  all: readonly T[],
  { warmUp, counted }: { warmUp: number; counted: number },
  use: (one: T, counts: boolean) => Promise<void>,
): Promise<void> {
  for (let slice = -warmUp; slice < counted; slice++) {
    for (const one of shuffled(all)) await use(one, slice >= 0);
  }
}

function shuffled<T>(list: readonly T[]): T[] {
  return list.map((one) => ({ one, at: Math.random() })).sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

/** Of a list of figures, the one below which that part of them lies. */
function quantile(list: readonly number[], part: number): number {
  return list.toSorted((a, b) => a - b)[Math.round(part * (list.length - 1))]!;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
