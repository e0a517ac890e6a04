import assert from "node:assert/strict";
import { createLog, type Log, type LogOptions } from "./log.ts";

/** A log whose lines are kept, at half past two in the local time zone. */
function start(options: LogOptions = {}): { log: Log; lines: string[]; last(): unknown } {
  const lines: string[] = [];
  const now = () => new Date(2026, 10, 26, 14, 30, 5, 12).getTime();
  const log = createLog({
    format: "json",
    isTerminal: false,
    write: (line) => lines.push(line),
    now,
    ...options,
  });
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) };
}

/** The fields of an event, without its time, level and message. */
function fieldsOf(fields: Record<string, unknown>, options?: LogOptions): Record<string, unknown> {
  const { log, last } = start(options);
  log.error("m", fields);
  const { time: _time, level: _level, message: _message, ...rest } = last() as typeof fields;
  return rest;
}

Deno.test("createLog() writes an event as a line of JSON: time in UTC, level, message, fields in order", () => {
  const { log, lines } = start({ now: () => Date.UTC(2026, 10, 26, 13, 30, 5, 12) });
  log.warn("Load above 1", { load: 3.5, cpus: 2, host: undefined });
  assert.deepEqual(lines, [
    '{"time":"2026-11-26T13:30:05.012Z","level":"warn","message":"Load above 1","load":3.5,"cpus":2}',
  ]);
});

Deno.test("createLog() writes an event as a line of text on a terminal: local time, level, message, fields", () => {
  const { log, lines } = start({ format: "auto", isTerminal: true, hasColors: false });
  log.info("Stopping", { connections: 2, path: "/a b", list: [1, "x"] });
  assert.deepEqual(lines, [
    '14:30:05.012 INFO  Stopping connections=2 path="/a b" list=[1,"x"]',
  ]);
});

Deno.test("createLog() does not repeat an error that the message has", () => {
  const { log, lines } = start({ format: "text" });
  const error = new RangeError("too far");
  log.error("Cannot go: too far", { error });
  log.error("Cannot go", { error });
  const json = start();
  json.log.error("Cannot go: too far", { error });
  assert.match(json.lines[0]!, /far","error_type":"RangeError"\}$/);
  assert.deepEqual(lines.map((line) => line.slice(19)), [
    "Cannot go: too far error_type=RangeError",
    'Cannot go error="too far" error_type=RangeError',
  ]);
});

Deno.test("createLog() writes no name twice, the first value of each", () => {
  const { log, lines } = start({ level: "debug" });
  const error = new Error("why");
  log.error("Uncaught error: why", { error, stack: error.stack, time: 1, time_: 2 });
  const names = [...lines[0]!.matchAll(/[{,]"(\w+)":/g)].map(([, name]) => name);
  assert.deepEqual(names, ["time", "level", "message", "error_type", "stack", "time_"]);
  assert.equal(JSON.parse(lines[0]!).time_, 1);
});

Deno.test("createLog() takes the form from `format`, and from the terminal with auto", () => {
  const forms = [
    ["auto", false, "{"],
    ["auto", true, "1"],
    ["json", true, "{"],
    ["text", false, "1"],
  ] as const;
  for (const [format, isTerminal, first] of forms) {
    const { log, lines } = start({ format, isTerminal, hasColors: false });
    log.info("x");
    assert.equal(lines[0]![0], first, `${format}, ${isTerminal}`);
  }
});

Deno.test("createLog() colours the level on a terminal only", () => {
  const { log, lines } = start({ format: "text", hasColors: true });
  log.error("red", { a: 1 });
  assert.equal(lines[0], "\x1b[2m14:30:05.012\x1b[0m \x1b[31mERROR\x1b[0m red \x1b[2ma=\x1b[0m1");
  const plain = start({ format: "text", isTerminal: false });
  plain.log.error("red");
  assert.equal(plain.lines[0], "14:30:05.012 ERROR red");
});

Deno.test("createLog() leaves out what is below the level", () => {
  for (const [level, count] of [["error", 1], ["warn", 2], ["info", 3], ["debug", 4]] as const) {
    const { log, lines } = start({ level });
    for (const name of ["error", "warn", "info", "debug"] as const) log[name](name);
    assert.equal(lines.length, count, level);
  }
});

// ---- One line, whatever is in it

const HOSTILE = "a\nb\r\0\x1b[2J\x9b31m\u2028\u202e\u2066\ufeff\x7f";

Deno.test("createLog() escapes line breaks, control characters and marks of direction, in either form", () => {
  for (const format of ["json", "text"] as const) {
    const { log, lines } = start({ format });
    log.error(HOSTILE, { path: HOSTILE, [HOSTILE]: { [HOSTILE]: [HOSTILE] } });
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(lines[0]!, /[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]/, format);
    assert.match(lines[0]!, /a\\nb\\r\\u0000\\u001b\[2J\\u009b31m\\u2028\\u202e\\u2066/);
  }
  const { log, last } = start();
  log.error(HOSTILE);
  assert.equal((last() as { message: string }).message, HOSTILE, "a program reads the same text");
});

Deno.test("createLog() replaces half characters", () => {
  assert.deepEqual(fieldsOf({ a: "x\ud800y", b: "\udc00" }), { a: "x\ufffdy", b: "\ufffd" });
});

Deno.test("createLog() never lets a field pass for the time, the level or the message", () => {
  const { log, last, lines } = start();
  log.info("true", { level: "error", message: "false", time: 0, "__proto__": 1 });
  const { level, message } = last() as Record<string, unknown>;
  assert.deepEqual([level, message], ["info", "true"]);
  assert.match(lines[0]!, /"level_":"error","message_":"false","time_":0/);
});

Deno.test("createLog() cuts what is long, and keeps every line below 16 KiB", () => {
  const { value, list, deep } = fieldsOf({
    value: "x".repeat(1_001),
    list: Array.from({ length: 21 }, (_, index) => index),
    deep: { a: { b: { c: { d: 1 } } } },
  }) as { value: string; list: unknown[]; deep: unknown };
  assert.equal(value, `${"x".repeat(1_000)}…`);
  assert.deepEqual([list.length, list.at(-1)], [21, "[more]"]);
  assert.deepEqual(deep, { a: { b: { c: "[more]" } } });
  for (const char of ["x", "\0", "\u{1f600}", "\u2028", "€"]) {
    for (const format of ["json", "text"] as const) {
      const { log, lines } = start({ format, level: "debug" });
      const long = char.repeat(100_000);
      const error = new Error(long);
      log.error(long, { error, ...Array.from({ length: 1_000 }, () => long) });
      const size = new TextEncoder().encode(lines[0]).length;
      assert(size < 16 * 1024, `${size} bytes of ${JSON.stringify(char)} as ${format}`);
      assert.match(lines[0]!, /cut/);
      assert(lines[0]!.isWellFormed());
    }
  }
});

Deno.test("createLog() shows what JSON cannot, and survives what throws", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = { cycle };
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const thrower = {
    get a() {
      throw new Error("never seen");
    },
    toJSON() {
      throw new Error("never called");
    },
  };
  const text = { toString: () => assert.fail() } as unknown as string;
  assert.deepEqual(
    fieldsOf({
      cycle,
      proxy,
      thrower,
      big: 10n,
      nan: NaN,
      symbol: Symbol("s"),
      none: null,
      date: new Date(0),
      never: new Date(NaN),
      headers: new Headers({ authorization: "Bearer hunter2" }),
      request: new Request("http://h/?token=hunter2"),
      bytes: new Uint8Array(3),
      map: new Map([["a", 1]]),
      bare: Object.assign(Object.create(null), { a: 1 }),
    }),
    {
      cycle: { self: { cycle: "[circular]" } },
      proxy: "[cannot be shown]",
      thrower: { a: "[cannot be shown]", toJSON: thrower.toJSON.toString() },
      big: "10",
      nan: "NaN",
      symbol: "Symbol(s)",
      none: null,
      date: "1970-01-01T00:00:00.000Z",
      never: "Invalid Date",
      headers: "[Headers]",
      request: "[Request]",
      bytes: "[Uint8Array]",
      map: "[Map]",
      bare: { a: 1 },
    },
  );
  const { log, last } = start();
  log.error(text, null as unknown as undefined);
  assert.equal((last() as { message: string }).message, "[cannot be shown]");
});

Deno.test("createLog() does not throw when `write` does", () => {
  const log = createLog({
    write() {
      throw new Error("no");
    },
  });
  log.error("x");
});

// ---- Errors

Deno.test("createLog() shows the first line of an error and its class, and the stack at debug only", () => {
  const error = new TypeError("first\nsecond");
  assert.deepEqual(fieldsOf({ error }), { error: "first", error_type: "TypeError" });
  const { stack, ...rest } = fieldsOf({ error }, { level: "debug" });
  assert.deepEqual(rest, { error: "first", error_type: "TypeError" });
  assert.match(String(stack), /^TypeError: first\nsecond\n +at .*log_test\.ts/);
  assert.deepEqual(fieldsOf({ error: "a text" }), { error: "a text" });
  class DiskError extends Error {}
  const types = [new DiskError(), new DOMException("", "AbortError"), new Deno.errors.NotFound()]
    .map((error) => fieldsOf({ error }).error_type);
  assert.deepEqual(types, ["DiskError", "AbortError", "NotFound"]);
});

Deno.test("createLog() survives an error whose parts throw", () => {
  const error = new Error("x");
  for (const name of ["message", "name", "stack"]) {
    Object.defineProperty(error, name, { get: () => assert.fail() });
  }
  const shown = "[cannot be shown]";
  assert.deepEqual(fieldsOf({ error }, { level: "debug" }), {
    error: shown,
    error_type: shown,
    stack: shown,
  });
});

// ---- Secrets

const LEAKS: readonly [text: string, shown: string][] = [
  ["at redis://ann:hunter2@host:6379/0", "at redis://…@host:6379/0"],
  ["at redis://:hunter2@host", "at redis://…@host"],
  ["at redis://ann:hun@ter2@host", "at redis://…@host"],
  ["(https://h/p?token=hunter2&a=b)", "(https://h/p?…)"],
  ["https://h/p?hunter2#x", "https://h/p?…"],
  ["GET /turbo-stream?since=a.1&token=hunter2 failed", "GET /turbo-stream?… failed"],
  ["Why? Because a = b", "Why? Because a = b"],
  ["mail ann@example.com, at 12:30", "mail ann@example.com, at 12:30"],
  [
    "the origin https://evil.example at load.example",
    "the origin https://evil.example at load.example",
  ],
];

Deno.test("createLog() removes users, passwords and queries from URLs, wherever they are", () => {
  for (const [text, shown] of LEAKS) {
    const { log, last } = start();
    log.error(text, { reason: new Error(text), deep: [{ text }] });
    const { message, reason, deep } = last() as Record<string, unknown>;
    assert.deepEqual([message, reason, deep], [shown, shown, [{ text: shown }]]);
  }
  const url = new URL("https://ann:hunter2@h/p?token=hunter2#hunter2");
  assert.deepEqual(fieldsOf({ url }), { url: "https://h/p" });
  const atTheCut = `redis://${"x".repeat(980)}:hunter2${"y".repeat(500)}@host`;
  assert.doesNotMatch(String(fieldsOf({ atTheCut }).atTheCut), /hunter2/);
});

Deno.test("createLog() does not show the values of fields that are named like a secret", () => {
  for (
    const name of ["authorization", "Cookie", "set-cookie", "password", "TURBO_SECRET", "apiKey"]
  ) {
    assert.deepEqual(fieldsOf({ [name]: "hunter2" }), { [name]: "[secret]" }, name);
    assert.deepEqual(fieldsOf({ a: { [name]: ["x"] } }), { a: { [name]: "[secret]" } }, name);
  }
});

Deno.test("console is a Log", () => {
  const log: Log = console;
  assert.equal(typeof log.debug, "function");
});
