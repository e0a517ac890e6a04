import assert from "node:assert/strict";
import { ConnectionLog } from "./connection_log.ts";
import { createLog } from "./log.ts";

/** A log of connections whose lines are kept, without their time. */
function start(level: "info" | "debug") {
  const lines: string[] = [];
  const log = createLog({
    level,
    format: "text",
    isTerminal: false,
    write: (line) => lines.push(line.slice(13)),
  });
  return { lines, log: new ConnectionLog({ log, size: () => 7, interval: 3_600_000 }) };
}

const OPEN = { what: "open", transport: "sse", page: "p1" } as const;
const END = { what: "end", transport: "websocket", page: undefined, duration: 12.6 } as const;

Deno.test("ConnectionLog.add() logs each connection at debug: how it ended and how long it was open", () => {
  const { log, lines } = start("debug");
  log.add(OPEN);
  log.add({ ...END, end: "left" });
  assert.deepEqual(lines, [
    "DEBUG Connection opened transport=sse page=p1 connections=7",
    "DEBUG Connection ended: left transport=websocket end=left duration_ms=13 connections=7",
  ]);
});

Deno.test("ConnectionLog.add() makes one warning of all readers that were dropped for one reason", () => {
  const { log, lines } = start("info");
  log.add(OPEN);
  for (let n = 0; n < 10_000; n++) log.add({ ...END, end: "tooSlow" });
  log.add({ ...END, end: "tooLong" });
  for (const end of ["left", "lost", "restarting", "sentAway"]) log.add({ ...END, end });
  assert.deepEqual(lines, []);
  log[Symbol.dispose]();
  log[Symbol.dispose](); // nothing is new
  assert.deepEqual(lines, [
    "WARN  Dropped 10000 readers that took too little dropped=10000 connections=7",
    "WARN  Dropped 1 reader that sent what is not allowed dropped=1 connections=7",
  ]);
});

Deno.test("ConnectionLog.add() warns when the interval is over, and again in a later one", async () => {
  const lines: string[] = [];
  const said = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const log = new ConnectionLog({
    log: {
      debug() {},
      warn(message) {
        lines.push(message);
        said[lines.length - 1]!.resolve();
      },
    },
    size: () => 0,
    interval: 1,
  });
  for (const { promise } of said) {
    log.add({ ...END, end: "tooSlow" });
    await promise;
  }
  assert.deepEqual(lines, Array(2).fill("Dropped 1 reader that took too little"));
});
