import assert from "node:assert/strict";
import { resolveOptions, type TurboOptions } from "./options.ts";

const DAY = 24 * 60 * 60 * 1000;
const LONGEST = 2 ** 31 - 1;
const GiB = 1024 ** 3;

Deno.test("resolveOptions() has the documented defaults", () => {
  const { upgrade, onChange, onShared, onError, onNotice, ...others } = resolveOptions({});
  assert.deepEqual(others, {
    path: "/turbo-stream",
    assetsPath: "/assets",
    base: "",
    tokenLifetime: DAY,
    allowedHosts: [],
    allowedOrigins: [],
    maxConnections: 10_000,
    maxConnectionsPerAddress: Infinity,
    handshakeRate: { burst: 20, perSecond: 1 },
    openTimeout: 10_000,
    eventStreamLifetime: 300_000,
    idleTimeout: 30_000,
    heartbeat: 15_000,
    frame: 16,
    behindAfter: 65_536,
    maxBuffered: 1_048_576,
    dropAfter: 10_000,
    presenceGrace: 5_000,
    reportInterval: 60_000,
  });
  for (const act of [upgrade, onChange, onShared, onError, onNotice]) {
    assert.equal(typeof act, "function");
  }
});

/** The least and the greatest value of an option. */
const RANGES: Partial<Record<keyof TurboOptions, readonly [min: number, max: number]>> = {
  tokenLifetime: [1_000, 366 * DAY],
  maxConnections: [1, 10_000_000],
  maxConnectionsPerAddress: [1, 10_000_000],
  openTimeout: [100, LONGEST],
  eventStreamLifetime: [1_000, DAY],
  idleTimeout: [1_000, DAY],
  heartbeat: [10, 15_000],
  frame: [0, 60_000],
  behindAfter: [1, GiB],
  maxBuffered: [1, GiB],
  dropAfter: [10, LONGEST],
  reportInterval: [100, DAY],
  presenceGrace: [0, 600_000],
};

for (const [name, [min, max]] of Object.entries(RANGES)) {
  Deno.test(`resolveOptions() accepts ${name} from ${min} to ${max}, and nothing beyond`, () => {
    for (const value of [min, max]) {
      const settings: Record<string, unknown> = { ...resolveOptions({ [name]: value }) };
      assert.equal(settings[name], value);
    }
    for (const value of [min - 0.5, max + 0.5]) {
      assert.throws(() => resolveOptions({ [name]: value }), RangeError, `${value}`);
    }
  });
}

Deno.test("resolveOptions() accepts a handshakeRate from 1 at once and 0.001 a second to 1,000,000", () => {
  for (const handshakeRate of [{ burst: 1, perSecond: 0.001 }, { burst: 1e6, perSecond: 1e6 }]) {
    assert.deepEqual(resolveOptions({ handshakeRate }).handshakeRate, handshakeRate);
  }
  const wrong = [
    ...[0, 1.5, 1_000_001].map((burst) => ({ burst, perSecond: 1 })),
    ...[0.0009, 1_000_000.5].map((perSecond) => ({ burst: 1, perSecond })),
  ];
  for (const handshakeRate of wrong) {
    assert.throws(() => resolveOptions({ handshakeRate }), RangeError, Deno.inspect(handshakeRate));
  }
});

Deno.test("resolveOptions() accepts null as path, Infinity per address, and half a millisecond", () => {
  assert.equal(resolveOptions({ path: null }).path, null);
  assert.equal(
    resolveOptions({ maxConnectionsPerAddress: Infinity }).maxConnectionsPerAddress,
    Infinity,
  );
  assert.equal(resolveOptions({ frame: 16.5 }).frame, 16.5);
  assert.throws(() => resolveOptions({ path: "a" }), /"\/turbo-stream", or null, is needed/);
});

Deno.test("resolveOptions() by default logs errors in one line without a stack, and notices as warnings", () => {
  const { error, warn } = console;
  const written: unknown[][] = [];
  console.error = (...parts) => written.push(["error", ...parts]);
  console.warn = (...parts) => written.push(["warn", ...parts]);
  try {
    const { onError, onNotice } = resolveOptions({});
    onError("It failed:", new Error("first\nsecond"));
    onNotice("Take note");
  } finally {
    Object.assign(console, { error, warn });
  }
  assert.deepEqual(written, [["error", "It failed:", "first"], ["warn", "Take note"]]);
});
