import assert from "node:assert/strict";
import { WITH_PROCESS } from "../tests/kit.ts";
import {
  bootClock,
  importMachine,
  machineName,
  type MachineSource,
  readMachine,
} from "./machine.ts";

/** A source that is refused, as Deno does without a permission. */
function refused(): never {
  throw new Deno.errors.NotCapable("Requires sys access");
}

/** A source that must not be read; any other error would count as refused. */
function never(): never {
  throw new TypeError("It is read");
}

/** The system of a machine on which everything else is refused. */
function systemOf(source: Pick<MachineSource, "os" | "osRelease" | "readTextFile">): string {
  return readMachine({ ...REFUSED, ...source }).system;
}

const REFUSED = {
  os: "linux",
  hostname: refused,
  readTextFile: refused,
  osRelease: refused,
  cpus: refused,
  systemMemoryInfo: refused,
  osUptime: refused,
} as const satisfies MachineSource;

// ---- Facts

Deno.test("readMachine() reads each fact", () => {
  assert.deepEqual(
    readMachine({
      os: "linux",
      hostname: () => "web1",
      readTextFile(path) {
        assert.equal(path, "/etc/os-release");
        return 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\n';
      },
      osRelease: never, // the distribution is known
      cpus: () => 8,
      systemMemoryInfo: () => ({ total: 2 ** 34 }),
      osUptime: () => 100,
      now: () => 1_000_000,
    }),
    { name: "web1", system: "Ubuntu 24.04", cpus: 8, memory: 2 ** 34, bootedAt: 900_000 },
  );
});

Deno.test("readMachine() has only the kind of the system where everything is refused", () => {
  assert.deepEqual(readMachine(REFUSED), {
    name: "unnamed",
    system: "Linux",
    cpus: undefined,
    memory: undefined,
    bootedAt: undefined,
  });
});

Deno.test({
  name: "readMachine() reads what this process may read",
  permissions: { sys: ["hostname", "systemMemoryInfo"] },
  fn() {
    const { name, memory, ...others } = readMachine();
    assert.equal(name, Deno.hostname());
    assert.equal(memory, Deno.systemMemoryInfo().total);
    const { system } = readMachine({ readTextFile: () => "", osRelease: refused });
    assert.deepEqual(others, { system, cpus: undefined, bootedAt: undefined });
  },
});

Deno.test("readMachine() leaves out a fact that the system does not have, and rethrows a mistake", () => {
  const { PermissionDenied, NotFound, NotSupported } = Deno.errors;
  for (const error of [new PermissionDenied(), new NotFound(), new NotSupported(), new Error()]) {
    const fails = () => {
      throw error;
    };
    assert.equal(readMachine({ ...REFUSED, osUptime: fails }).bootedAt, undefined, error.name);
    assert.equal(systemOf({ readTextFile: fails, osRelease: () => "6.1.0-9-amd64" }), "Linux 6.1");
  }
  assert.throws(() => readMachine({ ...REFUSED, cpus: never }), /^TypeError: It is read$/);
});

Deno.test("readMachine() takes zero for unknown, as a system says it that hides a part of /proc", () => {
  const none = { cpus: () => 0, osUptime: () => 0, osRelease: () => "" };
  const { system, cpus, memory, bootedAt } = readMachine({
    ...REFUSED,
    ...none,
    systemMemoryInfo: () => ({ total: 0 }),
  });
  assert.deepEqual([system, cpus, memory, bootedAt], ["Linux", undefined, undefined, undefined]);
});

for (
  const [file, system] of [
    ['NAME="Debian GNU/Linux"\nVERSION_ID="13"\n', "Debian 13"],
    ['PRETTY_NAME="Debian GNU/Linux trixie/sid"\nNAME="Debian GNU/Linux"\n', "Debian trixie/sid"],
    [
      'NAME="Alpine Linux"\nVERSION_ID=3.20.3\nPRETTY_NAME="Alpine Linux v3.20"\n',
      "Alpine Linux 3.20",
    ],
    ["NAME='Arch Linux'\r\nBUILD_ID=rolling\r\n", "Arch Linux"],
    ["# NAME=No\nNAME=One\nNAME=Two\nVERSION_ID=1\n", "Two 1"],
    ['NAME="A \\"b\\" \\$c \\\\ \\`d\\`"\nVERSION_ID=1', 'A "b" $c \\ `d` 1'],
    ["NAME=\"Bad \u0007\u202ename\"\nVERSION_ID=''\n", "Bad name"],
  ] as const
) {
  Deno.test(`readMachine() names ${system} by its os-release`, () => {
    assert.equal(systemOf({ readTextFile: () => file }), system);
  });
}

Deno.test("readMachine() names the kernel where os-release names no system, and reads only its beginning", () => {
  const osRelease = () => "6.18.44-generic";
  for (const file of ["", "NAME=\n", "\0\u{10ffff}", "#".repeat(10_000) + "\nNAME=Late\n"]) {
    assert.equal(systemOf({ readTextFile: () => file, osRelease }), "Linux 6.18");
  }
  const long = systemOf({ readTextFile: () => `NAME=${"a".repeat(200)}\nVERSION_ID=1\n` });
  assert.equal(long.length, 80);
});

for (
  const [os, release, system] of [
    ["darwin", "19.6.0", "Darwin 19.6"],
    ["darwin", "20.1.0", "macOS 11"],
    ["darwin", "24.6.0", "macOS 15"],
    ["darwin", "25.0.0", "macOS 26"],
    ["darwin", "26.0.0", "Darwin 26.0"],
    ["windows", "10.0.19045", "Windows 10"],
    ["windows", "10.0.22000", "Windows 11"],
    ["windows", "10.0.26100", "Windows 11"],
    ["windows", "10.0.20348", "Windows 10.0.20348"],
    ["windows", "6.3.9600", "Windows 6.3.9600"],
    ["freebsd", "14.1-RELEASE", "FreeBSD 14.1"],
  ] as const
) {
  Deno.test(`readMachine() calls ${os} ${release} ${system}`, () => {
    assert.equal(systemOf({ os, readTextFile: never, osRelease: () => release }), system);
  });
}

Deno.test("machineName() is the host name, or unnamed where it may not be read", () => {
  assert.equal(machineName(() => "web1"), "web1");
  assert.equal(machineName(() => ""), "unnamed");
  assert.equal(machineName(refused), "unnamed");
  assert.throws(() => machineName(never), /^TypeError: It is read$/);
});

Deno.test("readMachine() counts the CPUs in the list of the kernel, and asks otherwise where that is odd", () => {
  const counted = (list: string) =>
    readMachine({ os: "linux", readTextFile: (path) => path.endsWith("/online") ? list : "" }).cpus;
  assert.deepEqual(["0\n", "0-63\n", "0-3,6,8-9\n"].map(counted), [1, 64, 7]);
  const own = readMachine().cpus;
  assert.deepEqual(["", "\n", "all\n", "0-3"].map(counted), [own, own, own, own]);
});

Deno.test("importMachine() reads what readMachine() does, with and without the list of the kernel", async () => {
  for (const list of ["0-3,6\n", ""]) {
    const source: MachineSource = {
      ...REFUSED,
      readTextFile: (path) => path.endsWith("/online") ? list : "",
    };
    const { cpus: _, ...counted } = source;
    assert.deepEqual(await importMachine(counted), readMachine(counted), JSON.stringify(list));
    assert.equal((await importMachine(source)).cpus, undefined);
  }
});

Deno.test({
  name: "importMachine() counts no CPUs where that is not permitted",
  permissions: { sys: ["hostname"] },
  async fn() {
    assert.equal((await importMachine()).cpus, undefined);
  },
});

Deno.test("readMachine() counts all CPUs, also in a process that is bound to one of them", {
  ignore: WITH_PROCESS.ignore! || Deno.build.os !== "linux" || navigator.hardwareConcurrency < 2,
}, async () => {
  const program = `import { readMachine } from ${
    JSON.stringify(new URL("machine.ts", import.meta.url))
  };
    console.log(readMachine().cpus, navigator.hardwareConcurrency);`;
  const { stdout } = await new Deno.Command("taskset", {
    args: ["-c", "0", Deno.execPath(), "eval", "--no-lock", program],
  }).output();
  const [cpus, own] = new TextDecoder().decode(stdout).trim().split(" ").map(Number);
  assert.equal(own, 1);
  assert(cpus! > 1, `${cpus} CPUs`);
});

// ---- The clock

/** A machine with the two clocks that {@linkcode bootClock} reads. */
function machine() {
  let monotonic = 5_000;
  let uptime = 100_400;
  return {
    now: bootClock({
      osUptime: () => Math.floor(uptime / 1000), // in whole seconds, as Linux says it
      monotonicNow: () => monotonic,
    }),
    run(milliseconds: number) {
      monotonic += milliseconds;
      uptime += milliseconds;
    },
    suspend(milliseconds: number) {
      uptime += milliseconds;
    },
  };
}

const HOUR = 3_600_000;

Deno.test("bootClock() includes the time for which the machine was suspended", () => {
  const { now, run, suspend } = machine();
  const start = now();
  run(1_000);
  assert.equal(now() - start, 1_000);
  suspend(8 * HOUR);
  run(1_000);
  const passed = now() - start;
  assert(Math.abs(passed - 8 * HOUR - 2_000) <= 1_000, `${passed} ms`);
  run(10);
  assert.equal(now() - start, passed + 10);
});

Deno.test("bootClock() is not off by more after many suspensions, also short ones", () => {
  const { now, run, suspend } = machine();
  const start = now();
  for (let count = 0; count < 1_000; count++) {
    run(777);
    now();
    suspend(1_333);
    now();
  }
  const off = now() - start - 1_000 * (777 + 1_333);
  assert(Math.abs(off) <= 3_000, `${off} ms off`);
});

Deno.test("bootClock() does not add up the rounding of the uptime", () => {
  const { now, run } = machine();
  const start = now();
  for (let count = 0; count < 100_000; count++) {
    run(333);
    now();
  }
  assert.equal(now() - start, 100_000 * 333);
});

Deno.test("bootClock() never goes back, whatever the uptime does", () => {
  let uptime = 100;
  let monotonic = 0;
  const now = bootClock({ osUptime: () => uptime, monotonicNow: () => monotonic });
  let last = now();
  for (uptime of [1_000, 0, 5, 2_000, -7, NaN, 3_000]) {
    monotonic += 10;
    const next = now();
    assert(next >= last + 10, `${last} then ${next} at an uptime of ${uptime}`);
    last = next;
  }
  assert.equal(last, 2_900_000);
});

Deno.test("bootClock() is the monotonic clock where the uptime may not be read", () => {
  let monotonic = 1.5;
  const now = bootClock({ osUptime: refused, monotonicNow: () => monotonic });
  assert.equal(now(), 1.5);
  monotonic = 7;
  assert.equal(now(), 7);
});
