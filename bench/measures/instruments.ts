/**
 * `instruments`: a push and a page with telemetry on, compared with off.
 *
 * @module
 */
import { median } from "../figures.ts";
import { type Bench, byTurns, NO_FRAME, openReaders, startPeer } from "../sides.ts";

const READERS = 1_000;
const CONNECTIONS = 16;
const SLICES = { warmUp: 3, counted: 10 };
const SLICE_PUSHES = 15;
const WATCHED = ["turbo-deno", "bare-deno"];

/** What a slice is of, as it stands in the results. */
const PUSH = "push to 1,000 readers";
const PAGE = "GET /";

/** What of telemetry is on, and the variables for it. */
const MODES = ["off", "metrics", "all on"] as const;
const SWITCHES = {
  "off": {},
  "metrics": { OTEL_DENO_METRICS: "true" },
  "all on": { OTEL_DENO: "true" },
};

/**
 * Each side is the app or the bare loop, with telemetry off, with metrics alone, or with spans and logs too.
 * Deno exports the metrics each second, and all spans, to a collector that only counts. The sides take turns in
 * short slices.
 */
export async function measureInstruments(bench: Bench): Promise<void> {
  const { peers, rounds, note, newDriver } = bench;
  const watched = peers.filter(({ name }) => WATCHED.includes(name));
  if (!watched.some(({ name }) => name === "turbo-deno")) return;
  for (let round = 0; round < rounds; round++) {
    await using stack = new AsyncDisposableStack();
    const collector = stack.use(new Collector());
    const all = [];
    for (const peer of watched) {
      for (const mode of MODES) {
        const server = stack.use(await startPeer(peer, { ...NO_FRAME, ...collector.env(mode) }));
        const driver = stack.use(newDriver());
        try {
          await openReaders(driver, server, { protocol: false }, READERS);
        } catch (error) {
          throw new Error(`${peer.name}, ${mode}`, { cause: error });
        }
        all.push({ peer, mode, server, driver, cpu: { [PUSH]: [], [PAGE]: [] } as Costs });
      }
    }
    await byTurns(all, SLICES, async ({ server, driver, cpu }, counts) => {
      await driver.control(server.port);
      await driver.push({ count: 1, expect: READERS }); // the others had the caches
      const start = server.cpu();
      await driver.push({ count: SLICE_PUSHES, expect: READERS });
      if (counts) cpu[PUSH].push((server.cpu() - start) * 1000 / SLICE_PUSHES);
    });
    for (const { driver } of all) await driver.close();
    await byTurns(all, SLICES, async ({ peer, server, driver, cpu }, counts) => {
      const start = server.cpu();
      const { requests, errors } = await driver.request(server.port, "/", CONNECTIONS, 0.4);
      if (errors > 0) throw new Error(`${peer.name}: ${errors} pages failed`);
      if (counts) cpu[PAGE].push((server.cpu() - start) * 1000 / requests);
      await driver.close();
    });
    if (collector.exports === 0) throw new Error("Nothing was exported");
    for (const { peer: { name }, mode, cpu } of all) {
      const off = all.find((other) => other.peer.name === name && other.mode === "off")!.cpu;
      for (const at of [PUSH, PAGE] as const) {
        const sample = { round, side: `${name} ${mode}`, at };
        note({ ...sample, figure: "cpu us", value: median(cpu[at]) });
        if (mode === "off") continue;
        note({ ...sample, figure: "% of off", value: 100 * median(cpu[at]) / median(off[at]) });
      }
    }
  }
}

type Costs = Record<typeof PUSH | typeof PAGE, number[]>;

/** Takes what Deno exports by OTLP over HTTP. */
class Collector implements AsyncDisposable {
  /** How many exports have arrived. */
  exports = 0;
  readonly #server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      await request.arrayBuffer();
      this.exports++;
      return new Response(null);
    },
  );

  /** The environment of a server that exports to it. */
  env(mode: keyof typeof SWITCHES): Record<string, string> {
    return {
      ...SWITCHES[mode],
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_METRIC_EXPORT_INTERVAL: "1000",
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.shutdown();
  }
}
