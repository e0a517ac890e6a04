import assert from "node:assert/strict";
import { type InterfaceAddress, listenFailure, networkAddresses } from "./addresses.ts";

/** Interfaces, from lines such as `eth0 192.0.2.7`. */
function interfaces(lines: readonly string[]): () => InterfaceAddress[] {
  return () =>
    lines.map((line) => {
      const [name = "", address = ""] = line.split(" ");
      return { name, family: address.includes(":") ? "IPv6" : "IPv4", address };
    });
}

for (
  const [criterion, hostname, lines, expected] of [
    ["those of the family that it listens on", "0.0.0.0", [
      "lo 127.0.0.1",
      "eth0 2001:db8::7",
      "eth0 192.0.2.7",
      "lo ::1",
    ], ["192.0.2.7"]],
    ["both families on ::, IPv4 first", "::", ["eth0 2001:db8::7", "eth0 192.0.2.7"], [
      "192.0.2.7",
      "2001:db8::7",
    ]],
    ["no address of one link", "::", ["eth0 169.254.1.1", "eth0 fe80::1", "eth0 FEBF::1"], []],
    ["the first address of each interface", "::", [
      "eth0 192.0.2.7",
      "eth0 192.0.2.8",
      "eth0 2001:db8::7",
      "eth0 2001:db8::8",
    ], ["192.0.2.7", "2001:db8::7"]],
    ["no network of containers or virtual machines", "::", [
      "docker0 172.17.0.1",
      "br-0123456789ab 172.18.0.1",
      "vethab fd00::9",
      "virbr0 192.168.122.1",
      "br0 192.0.2.7",
      "tailscale0 100.64.0.1",
    ], ["192.0.2.7", "100.64.0.1"]],
    ["three at most", "0.0.0.0", ["a 10.0.0.1", "b 10.0.1.1", "c 10.0.2.1", "d 10.0.3.1"], [
      "10.0.0.1",
      "10.0.1.1",
      "10.0.2.1",
    ]],
    ["nothing where there is no network", "::", ["lo 127.0.0.1", "lo ::1"], []],
  ] as const
) {
  Deno.test(`networkAddresses() lists ${criterion}`, () => {
    assert.deepEqual(networkAddresses(hostname, interfaces(lines)), expected);
  });
}

Deno.test("networkAddresses() is empty where the addresses cannot be read, and rethrows a mistake", () => {
  for (const error of [new Deno.errors.NotCapable(), new Error("Function not implemented")]) {
    const fails = () => {
      throw error;
    };
    assert.deepEqual(networkAddresses("::", fails), []);
  }
  const broken = () => {
    throw new TypeError("broken");
  };
  assert.throws(() => networkAddresses("::", broken), /^TypeError: broken$/);
});

const SOURCES = { hostname: "HOST", port: "--port" };

for (
  const [criterion, error, address, expected] of [
    [
      "a port that is taken",
      new Deno.errors.AddrInUse("Address already in use (os error 98)"),
      { hostname: "::1", port: 8000 },
      '--port is "8000": cannot listen on [::1]:8000: the port is taken; choose another',
    ],
    [
      "a port without rights",
      new Deno.errors.PermissionDenied("Permission denied (os error 13)"),
      { hostname: "0.0.0.0", port: 80 },
      '--port is "80": cannot listen on 0.0.0.0:80: this process has no right to a port below ' +
      "1024; choose another",
    ],
    [
      "a port that the system keeps",
      new Deno.errors.PermissionDenied("Permission denied (os error 13)"),
      { hostname: "0.0.0.0", port: 8000 },
      '--port is "8000": cannot listen on 0.0.0.0:8000: the system does not allow it',
    ],
    [
      "an address without permission",
      new Deno.errors.NotCapable('Requires net access to "192.0.2.7:8000"'),
      { hostname: "192.0.2.7", port: 8000 },
      'HOST is "192.0.2.7": cannot listen on 192.0.2.7:8000: the permission --allow-net does not ' +
      "include it",
    ],
    [
      "an address of another machine",
      new Deno.errors.AddrNotAvailable("Cannot assign requested address (os error 99)"),
      { hostname: "192.0.2.99", port: 8000 },
      'HOST is "192.0.2.99": cannot listen on 192.0.2.99:8000: this machine does not have this ' +
      "address",
    ],
    [
      "a name that does not resolve",
      new Error("failed to lookup address information: Name or service not known"),
      { hostname: "nonsense.invalid", port: 8000 },
      'HOST is "nonsense.invalid": cannot listen on nonsense.invalid:8000: no address is found ' +
      "for this name",
    ],
    [
      "an address of one link without its interface",
      new TypeError("Invalid argument (os error 22)"),
      { hostname: "fe80::1", port: 8000 },
      'HOST is "fe80::1": cannot listen on [fe80::1]:8000: the interface is missing, as in ' +
      "fe80::1%eth0",
    ],
    [
      "what is no host name",
      new URIError("invalid host 'a%b': invalid char found in FQDN"),
      { hostname: "a%b", port: 8000 },
      "HOST is \"a%b\": cannot listen on a%b:8000: invalid host 'a%b': invalid char found in FQDN",
    ],
    [
      "what is neither the port's nor the host's fault",
      new Error("Too many open files (os error 24)\n    at listen"),
      { hostname: "127.0.0.1", port: 8000 },
      "Cannot listen on 127.0.0.1:8000: Too many open files (os error 24)",
    ],
  ] as const
) {
  Deno.test(`listenFailure() names ${criterion}`, () => {
    assert.equal(listenFailure(error, address, SOURCES), expected);
    const bare = listenFailure(error, address);
    assert.equal(bare, expected.replace(/^.*: cannot/, "Cannot"));
  });
}

Deno.test("listenFailure() names the port where the permission is missing and only the port was set", () => {
  assert.match(
    listenFailure(
      new Deno.errors.NotCapable("Requires net access"),
      { hostname: "0.0.0.0", port: 81 },
      { hostname: undefined, port: "--port" },
    ),
    /^--port is "81": cannot listen on 0\.0\.0\.0:81: the permission --allow-net/,
  );
});
