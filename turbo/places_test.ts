import assert from "node:assert/strict";
import { networkOf, Places } from "./places.ts";

Deno.test("Places.take() respects both limits, and a place is released once", () => {
  const places = new Places(3, 2);
  const [one, two] = [places.take("a"), places.take("a")];
  assert.equal(places.take("a"), undefined);
  const three = places.take(undefined);
  assert(one && two && three);
  assert.equal(places.take("b"), undefined);
  for (const release of [one, one, three]) release();
  assert.equal(places.taken, 1);
  assert(places.take("a") && places.take("b"));
  assert.equal(places.take("c"), undefined);
});

Deno.test("networkOf() joins the addresses of an IPv6 /64, and leaves others unchanged", () => {
  const networks: Record<string, string> = {
    "192.0.2.1": "192.0.2.1",
    "::1": "0:0:0:0::/64",
    "2001:db8::1": "2001:db8:0:0::/64",
    "2001:DB8:0:0:1:2:3:4": "2001:db8:0:0::/64",
    "2001:db8:1::": "2001:db8:1:0::/64",
    "1:2:3:4:5:6:7:8": "1:2:3:4::/64",
    "fe80::1%eth0": "fe80:0:0:0::/64",
    "::ffff:192.0.2.1": "192.0.2.1",
    "::ffff:c000:201": "192.0.2.1",
    "user:1": "user:1",
    "": "",
  };
  for (const [address, network] of Object.entries(networks)) {
    assert.equal(networkOf(address), network, address);
  }
});
