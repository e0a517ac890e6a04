/**
 * Facts about the machine that a process runs on, and a clock that counts the time for which the machine was
 * suspended. Each fact needs a permission, and is missing where that is not given: nobody is asked for it.
 *
 * @module
 */

/** What is known of a machine. */
export interface Machine {
  /** The host name, or `unnamed`. */
  readonly name: string;
  /** The operating system and its version, such as `Debian 13`; in a container that of its image. */
  readonly system: string;
  /**
   * How many CPUs are online. All are counted, as in the load averages, even if this process may use fewer of
   * them.
   */
  readonly cpus: number | undefined;
  /** Bytes of memory in total. */
  readonly memory: number | undefined;
  /** When the machine started, in milliseconds since 1970. */
  readonly bootedAt: number | undefined;
}

/** The source of the facts; the defaults are those of the system. */
export interface MachineSource {
  /** The operating system, as `Deno.build.os` names it. */
  os?: typeof Deno.build.os;
  /** Reads the host name, which needs `--allow-sys=hostname`. */
  hostname?: () => string;
  /**
   * Reads `/etc/os-release`, which needs `--allow-read=/etc/os-release`, and the list of the CPUs. Called on
   * Linux only.
   */
  readTextFile?: (path: string) => string;
  /** Reads the version of the kernel, which needs `--allow-sys=osRelease`. */
  osRelease?: () => string;
  /** Counts the CPUs, which needs `--allow-sys=cpus`. */
  cpus?: () => number;
  /** Reads the size of the memory, which needs `--allow-sys=systemMemoryInfo`. */
  systemMemoryInfo?: () => Pick<Deno.SystemMemoryInfo, "total">;
  /** Reads the seconds since the machine started, which needs `--allow-sys=osUptime`. */
  osUptime?: () => number;
  /** The wall clock. Default `Date.now`. */
  now?: () => number;
}

/** The source of {@linkcode bootClock}. */
export interface BootClockSource {
  /** Reads the seconds since the machine started, which needs `--allow-sys=osUptime`. */
  osUptime?: () => number;
  /** A monotonic clock, in milliseconds. Default `performance.now`. */
  monotonicNow?: () => number;
}

type SysKind = NonNullable<Deno.SysPermissionDescriptor["kind"]>;

/** The name of a machine whose host name cannot be read. */
const UNNAMED = "unnamed";
/** The most characters of `/etc/os-release` that are read, and of a fact that are kept. */
const MAX_FILE = 10_000;
const MAX_FACT = 80;
/** Milliseconds of difference between two clocks that count as a suspension. Uptime is in whole seconds. */
const SUSPENDED = 2_000;
/** The list of the CPUs that Linux uses, such as `0-3,6` (Documentation/admin-guide/cputopology.rst). */
const ONLINE = "/sys/devices/system/cpu/online";
/** The names of kernels and systems, by `Deno.build.os`. */
const SYSTEMS: Readonly<Record<string, string>> = {
  linux: "Linux",
  android: "Android",
  darwin: "macOS",
  windows: "Windows",
  freebsd: "FreeBSD",
  netbsd: "NetBSD",
  aix: "AIX",
  solaris: "Solaris",
  illumos: "illumos",
};

/**
 * Reads what may be read about this machine; it takes 1 ms, or 15 where node:os counts the CPUs. Nothing is
 * logged where something may not be read.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { readMachine } from "./machine.ts";
 *
 * const { name, system, cpus } = readMachine({
 *   os: "linux",
 *   hostname: () => "web1",
 *   readTextFile: () => 'NAME="Debian GNU/Linux"\nVERSION_ID="13"\n',
 *   cpus: () => 8,
 * });
 * assert.deepEqual({ name, system, cpus }, { name: "web1", system: "Debian 13", cpus: 8 });
 * ```
 */
export function readMachine(source: MachineSource = {}): Machine {
  const {
    cpus = granted("cpus", () => countCpus(source)),
    systemMemoryInfo = granted("systemMemoryInfo", Deno.systemMemoryInfo),
    osUptime = granted("osUptime", Deno.osUptime),
    now = Date.now,
  } = source;
  const uptime = positive(permitted(osUptime));
  return {
    name: machineName(source.hostname),
    system: systemOf(source),
    cpus: positive(permitted(cpus)),
    memory: positive(permitted(systemMemoryInfo)?.total),
    bootedAt: uptime === undefined ? undefined : Math.round(now() - uptime * 1000),
  };
}

/**
 * Reads what {@linkcode readMachine} does, and imports node:os where that has to count the CPUs, which takes
 * 5 ms instead of 15.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { importMachine, readMachine } from "./machine.ts";
 *
 * assert.equal((await importMachine()).cpus, readMachine().cpus);
 * ```
 */
export async function importMachine(source: MachineSource = {}): Promise<Machine> {
  if (source.cpus || !granted("cpus", () => 0) || listedCpus(source) > 0) {
    return readMachine(source);
  }
  const { cpus } = await import("node:os");
  return readMachine({ ...source, cpus: () => cpus().length });
}

/** The host name of this machine, or `unnamed` where it may not be read (`--allow-sys=hostname`). */
export function machineName(
  hostname: (() => string) | undefined = granted("hostname", Deno.hostname),
): string {
  return clean(permitted(hostname) ?? "") || UNNAMED;
}

/**
 * Creates a clock in milliseconds that never goes back and includes the time for which the machine was
 * suspended, to within three seconds. `performance.now()` stands still meanwhile on Linux and macOS. Where the
 * uptime may not be read (`--allow-sys=osUptime`), the clock stands still too.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { bootClock } from "./machine.ts";
 *
 * let uptime = 100;
 * const clock = bootClock({ osUptime: () => uptime, monotonicNow: () => 5_000 });
 * assert.equal(clock(), 5_000);
 * uptime += 60; // the machine was suspended for a minute
 * assert.equal(clock(), 65_000);
 * ```
 */
export function bootClock(source: BootClockSource = {}): () => number {
  const { osUptime = granted("osUptime", Deno.osUptime) } = source;
  const { monotonicNow = () => performance.now() } = source;
  const uptimeBeyond = (now: number): number | undefined => {
    const uptime = permitted(osUptime);
    return uptime === undefined ? undefined : uptime * 1000 - now;
  };
  // Compared with the start, not with the previous call: the rounding of many calls would add up.
  const start = uptimeBeyond(monotonicNow());
  let suspended = 0;
  return () => {
    const now = monotonicNow();
    const more = start === undefined ? 0 : (uptimeBeyond(now) ?? start) - start - suspended;
    if (more > SUSPENDED) suspended += more;
    return now + suspended;
  };
}

/** The system and its version, as far as they may be read. */
function systemOf(
  { os = Deno.build.os, readTextFile = readGranted, ...source }: MachineSource,
): string {
  const { osRelease = granted("osRelease", Deno.osRelease) } = source;
  if (os === "linux") {
    const text = permitted(() => readTextFile("/etc/os-release"));
    const distribution = text === undefined ? "" : distributionOf(text.slice(0, MAX_FILE));
    if (distribution !== "") return distribution;
  }
  const system = SYSTEMS[os] ?? os;
  const release = clean(permitted(osRelease) ?? "");
  if (release === "") return system;
  if (os === "darwin") return macOsOf(release);
  if (os === "windows") return windowsOf(release);
  return `${system} ${shortVersion(release)}`;
}

/** The distribution that a file describes; see os-release(5). Empty where it names none. */
function distributionOf(text: string): string {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\s*([A-Z_]+)=(?:"(.*)"|'(.*)'|(\S*))\s*$/.exec(line);
    if (!match) continue;
    const [, name = "", double, single, plain = ""] = match;
    fields.set(name, clean(double?.replace(/\\(["$`\\])/g, "$1") ?? single ?? plain));
  }
  const [name = "", version = ""] = ["NAME", "VERSION_ID"].map((key) => fields.get(key));
  const isNamed = name !== "" && version !== "";
  const shown = isNamed ? `${name} ${shortVersion(version)}` : fields.get("PRETTY_NAME") || name;
  return clean(shown.replace(" GNU/Linux", ""));
}

/** The macOS of a Darwin kernel. Its number is that of Darwin less 9 up to macOS 15, and 26 is that of 25. */
function macOsOf(release: string): string {
  const darwin = Number.parseInt(release);
  if (darwin >= 20 && darwin <= 24) return `macOS ${darwin - 9}`;
  return darwin === 25 ? "macOS 26" : `Darwin ${shortVersion(release)}`;
}

/** The Windows of a kernel: 10 and 11 have the same version and differ in the build. */
function windowsOf(release: string): string {
  const build = Number(/^10\.0\.(\d+)/.exec(release)?.[1]);
  if (build >= 22_000) return "Windows 11";
  return build >= 10_240 && build < 20_000 ? "Windows 10" : `Windows ${release}`;
}

/** A version without what follows its second number. */
function shortVersion(version: string): string {
  return /^\d+(?:\.\d+)?/.exec(version)?.[0] ?? version;
}

// `navigator.hardwareConcurrency` is smaller where an affinity or a quota binds this process, whereas the
// load averages count all CPUs. node:os is asked only where the file of the kernel may not be read, because
// loading it by `process` takes 15 ms, nearly as long as the start of Deno.
function countCpus(source: MachineSource): number {
  return listedCpus(source) || process.getBuiltinModule("node:os").cpus().length;
}

/** How many CPUs the kernel lists; 0 where the list may not be read, as without `--allow-all`. */
function listedCpus({ os = Deno.build.os, readTextFile = readGranted }: MachineSource): number {
  const online = os === "linux" ? permitted(() => readTextFile(ONLINE)) : undefined;
  return countRanges(online ?? "");
}

/** How many numbers are in ranges such as `0-3,6`; 0 where a text has other characters. */
function countRanges(text: string): number {
  if (!/^[\d,-]+\n$/.test(text)) return 0;
  return text.split(",").reduce((count, range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return count + last - first + 1;
  }, 0);
}

/**
 * A function of the system; `undefined` where this process has no permission for it. To call it would make
 * Deno ask for the permission in a terminal.
 */
function granted<T>(kind: SysKind, read: () => T): (() => T) | undefined {
  const { state } = Deno.permissions.querySync({ name: "sys", kind });
  return state === "granted" ? read : undefined;
}

function readGranted(path: string): string {
  const { state } = Deno.permissions.querySync({ name: "read", path });
  return state === "granted" ? Deno.readTextFileSync(path) : "";
}

/** What a function returns; `undefined` where it is refused, or missing or broken on this system. */
function permitted<T>(read: (() => T) | undefined): T | undefined {
  try {
    return read?.();
  } catch (error) {
    if (error instanceof TypeError) throw error; // a mistake of the program
    return undefined;
  }
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 && Number.isFinite(value) ? value : undefined;
}

/** A text without control and format characters, of bounded length. */
function clean(text: string): string {
  const short = text.slice(0, MAX_FACT);
  // The set of characters takes 0.3 ms to build, at the start of the process.
  return (/^[ -~]*$/.test(short) ? short : short.toWellFormed().replace(/\p{C}/gu, "")).trim();
}
