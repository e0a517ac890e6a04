/**
 * One node of an application, in a process of its own, with the Redis server that it is given.
 *
 * It takes {@linkcode NodeAppOptions} as JSON and answers `/` with its cursor. It reads commands, one a
 * line: `push NAME COUNT RATE` pushes COUNT numbered entries at RATE a second and then writes
 * `pushed NAME`; `report` writes a {@linkcode NodeReport}; `close` closes the stream and ends.
 *
 * @module
 */
import process from "node:process";
import { append, html, Turbo } from "../../turbo/mod.ts";
import { redis, type RedisOptions } from "../../turbo/redis.ts";
import { pause } from "../kit.ts";

/** Options of the app. */
export interface NodeAppOptions {
  /** Options of the engine. */
  engine: RedisOptions;
  /** Entries of the log. Default 20,000. */
  maxEntries?: number;
}

/** The state of the node. */
export interface NodeReport {
  /** Its cursor. */
  cursor: string;
  /** Open connections. */
  size: number;
  /** Bytes of memory. */
  rss: number;
  /** Microseconds of processor time so far. */
  cpu: number;
  /** Why it is alone, if it is. */
  away: string | undefined;
}

if (import.meta.main) {
  const { engine, maxEntries = 20_000 }: NodeAppOptions = JSON.parse(Deno.args[0]!);
  const turbo = new Turbo({
    engine: redis(engine),
    secret: "the same for all nodes",
    log: { maxEntries, maxBytes: 64 * 1024 * 1024 },
  });
  await turbo.ready;
  const { addr: { port } } = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) =>
      new URL(request.url).pathname === "/"
        ? new Response(turbo.cursor)
        : turbo.connect(request, { as: new URL(request.url).searchParams.get("as") ?? [] }),
  );
  console.log(`Listening on http://127.0.0.1:${port}`);

  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    for (const line of text.trim().split("\n")) void carryOut(turbo, line.split(" "));
  }
  Deno.exit(); // the process that started it has ended
}

async function carryOut(turbo: Turbo, [command, ...args]: string[]): Promise<void> {
  if (command === "push") {
    const [name, count, rate] = [args[0]!, Number(args[1]), Number(args[2])];
    await pushNumbered(turbo, { name, count, rate });
    await turbo.flush();
    console.log(`pushed ${name}`);
  } else if (command === "report") {
    const { cursor, size, away } = turbo;
    const { user, system } = process.cpuUsage();
    const report: NodeReport = {
      cursor,
      size,
      away,
      rss: Deno.memoryUsage().rss,
      cpu: user + system,
    };
    console.log(JSON.stringify(report));
  } else if (command === "close") {
    await turbo.close({ code: 1012, window: 0, deadline: 1_000 });
    Deno.exit();
  }
}

async function pushNumbered(
  turbo: Turbo,
  { name, count, rate }: { name: string; count: number; rate: number },
): Promise<void> {
  const start = performance.now();
  for (let i = 0; i < count;) {
    const due = Math.min(count, Math.floor((performance.now() - start) * rate / 1000) + 1);
    for (; i < due; i++) turbo.push(append("list", html`<i>${name}-${i}</i>`));
    await pause(5);
  }
}
