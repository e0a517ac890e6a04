/**
 * The addresses of a server: under which ones the network reaches it, and why it cannot listen on one.
 *
 * @module
 */

/** An address to listen on. */
export interface ListenAddress {
  /** The host name or IP address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** The flags or variables that an address was set by; `undefined` where it is a default. */
export interface AddressSources {
  /** That of the host name or IP address. */
  readonly hostname?: string | undefined;
  /** That of the port. */
  readonly port?: string | undefined;
}

/** An address of this machine, as `Deno.networkInterfaces()` lists it. */
export type InterfaceAddress = Pick<Deno.NetworkInterfaceInfo, "name" | "family" | "address">;

/** The most addresses that are shown. */
const MAX_SHOWN = 3;
/** Addresses that only this machine reaches, and those that only their own link reaches. */
const NOT_ROUTED = /^(?:127\.|169\.254\.|::1$|fe[89ab][\da-f]:)/i;
/** Interfaces between this machine and its containers or virtual machines. */
const INTERNAL = /^(?:docker|br-|veth|virbr|podman|cni|flannel|cali|lxc|lxd|vmnet|vboxnet)/;

/**
 * The IP addresses under which the network reaches a server that listens on all addresses of a family, IPv4
 * first: at most three, one of each interface and family. Those of loopback, of one link, and of containers
 * are left out. Empty where the addresses cannot be read (`--allow-sys=networkInterfaces`).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { networkAddresses } from "./addresses.ts";
 *
 * const interfaces = () => [
 *   { name: "lo", family: "IPv4", address: "127.0.0.1" },
 *   { name: "eth0", family: "IPv4", address: "192.0.2.7" },
 * ] as const;
 * assert.deepEqual(networkAddresses("0.0.0.0", interfaces), ["192.0.2.7"]);
 * ```
 */
export function networkAddresses(
  hostname: "0.0.0.0" | "::",
  networkInterfaces: () => readonly InterfaceAddress[] = ownInterfaces,
): string[] {
  let all: readonly InterfaceAddress[];
  try {
    all = networkInterfaces();
  } catch (error) {
    if (error instanceof TypeError) throw error; // a mistake of the program
    return []; // not permitted, by Deno or by the system
  }
  const families = hostname === "::" ? ["IPv4", "IPv6"] : ["IPv4"];
  const shown = families.flatMap((wanted) => {
    const routed = all.filter(({ name, family, address }) =>
      family === wanted && !NOT_ROUTED.test(address) && !INTERNAL.test(name)
    );
    return [...Map.groupBy(routed, ({ name }) => name).values()].map(([first]) => first!.address);
  });
  return shown.slice(0, MAX_SHOWN);
}

/** A host name or IP address as it stands in a URL and before a port. */
export function bracketed(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/**
 * Says in one line why a server cannot listen on an address. Names the flag or variable that is to blame,
 * where one is known.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { listenFailure } from "./addresses.ts";
 *
 * const address = { hostname: "127.0.0.1", port: 80 };
 * const error = new Deno.errors.AddrInUse("Address already in use");
 * assert.equal(
 *   listenFailure(error, address, { port: "PORT" }),
 *   'PORT is "80": cannot listen on 127.0.0.1:80: the port is taken; choose another',
 * );
 * ```
 */
export function listenFailure(
  error: unknown,
  address: ListenAddress,
  sources: AddressSources = {},
): string {
  const { reason, blame } = causeOf(error, address, sources);
  const act = `listen on ${bracketed(address.hostname)}:${address.port}: ${reason}`;
  const source = blame && sources[blame];
  return source ? `${source} is "${address[blame]}": cannot ${act}` : `Cannot ${act}`;
}

// Whether it is permitted is asked first, because Deno would ask for the permission in a terminal.
function ownInterfaces(): readonly InterfaceAddress[] {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
  return state === "granted" ? Deno.networkInterfaces?.() ?? [] : []; // a Deno host may have none
}

interface Cause {
  reason: string;
  blame: keyof ListenAddress | undefined;
}

function causeOf(
  error: unknown,
  { hostname, port }: ListenAddress,
  sources: AddressSources,
): Cause {
  if (error instanceof Deno.errors.AddrInUse) {
    return { reason: "the port is taken; choose another", blame: "port" };
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    const reason = port < 1024
      ? "this process has no right to a port below 1024; choose another"
      : "the system does not allow it";
    return { reason, blame: "port" };
  }
  if (error instanceof Deno.errors.NotCapable) {
    const reason = "the permission --allow-net does not include it";
    return { reason, blame: sources.hostname === undefined ? "port" : "hostname" };
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return { reason: "this machine does not have this address", blame: "hostname" };
  }
  const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  if (line.startsWith("failed to lookup address")) {
    return { reason: "no address is found for this name", blame: "hostname" };
  }
  if (error instanceof TypeError && /^fe[89ab][\da-f]:[^%]*$/i.test(hostname)) {
    const reason = `the interface is missing, as in ${hostname}%eth0`;
    return { reason, blame: "hostname" };
  }
  return { reason: line, blame: error instanceof URIError ? "hostname" : undefined };
}
