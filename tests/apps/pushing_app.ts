/**
 * The app in a process of its own. It pushes on a test's command and reports its state.
 *
 * It reads commands, one a line: `push BYTES PER_SECOND` (until `push 0 0`), and writes `done COMMAND`.
 * Every 50 ms it writes one line of JSON: {@linkcode Report}.
 *
 * Usage: pushing_app.ts [HOSTNAME [DROP_AFTER]]
 *
 * @module
 */
import { createApp } from "../../main.ts";
import { html, raw, replace } from "../../turbo/mod.ts";
import { unread } from "../reports.ts";

/** The state of the app. */
export interface Report {
  /** The time in milliseconds since the start. */
  at: number;
  /** The port on which it listens. */
  url: string;
  /** Bytes of memory. */
  rss: number;
  /** Bytes of it that JavaScript uses. */
  heap: number;
  /** How many timers are pending. */
  timers: number;
  /** Open connections. */
  size: number;
  /** Connections that were closed and whose end is not reported yet. */
  zombies: number;
  /** How often it has pushed. */
  pushed: number;
  /** Bytes that the system has not taken yet. */
  buffered: number;
}

if (import.meta.main) {
  const [hostname = "127.0.0.1", dropAfter = "10000"] = Deno.args;
  const timers = countTimers();
  const { hono, turbo } = createApp({
    interval: 3_600,
    sampler: { report: () => Promise.resolve(unread()) },
    turbo: { dropAfter: Number(dropAfter) },
  });
  const server = Deno.serve({ port: 0, hostname, onListen() {} }, hono.fetch);
  const { addr: { port } } = server;
  let pushed = 0;
  setInterval(() => {
    const { size, zombies, buffered } = turbo;
    const { rss, heapUsed: heap } = Deno.memoryUsage();
    const url = `http://${hostname}:${port}`;
    const report: Report = {
      ...{ at: performance.now(), url, rss, heap, timers: timers.size },
      ...{ size, zombies, pushed, buffered },
    };
    console.log(JSON.stringify(report));
  }, 50);

  let timer: ReturnType<typeof setInterval> | undefined;
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const line of lines) {
    const [, bytes = 0, rate = 0] = /push (\d+) (\d+)/.exec(line)?.map(Number) ?? [];
    clearInterval(timer);
    console.log(`done ${line.trim()}`);
    if (rate === 0) continue;
    const filling = raw("x".repeat(bytes)); // of this line only
    timer = setInterval(() => {
      const box = html`<div id="load"><i>${++pushed}</i>${filling}</div>`;
      turbo.push(replace("load", box));
    }, 1000 / rate);
  }
}

/** Counts the timers, because Deno has no function for that. */
function countTimers(): Set<unknown> {
  const timers = new Set<unknown>();
  const { setTimeout, setInterval, clearTimeout } = globalThis;
  globalThis.setInterval = ((...args: Parameters<typeof setInterval>) => {
    const id = setInterval(...args);
    timers.add(id);
    return id;
  }) as typeof setInterval;
  globalThis.setTimeout = ((act: () => void, ...rest: [number?]) => {
    const id = setTimeout(() => {
      timers.delete(id);
      act();
    }, ...rest);
    timers.add(id);
    return id;
  }) as typeof setTimeout;
  globalThis.clearTimeout = globalThis.clearInterval = (id) => {
    timers.delete(id);
    clearTimeout(id);
  };
  return timers;
}
