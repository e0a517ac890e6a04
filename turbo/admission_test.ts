import assert from "node:assert/strict";
import { TestClock } from "../tests/clock.ts";
import { HANDSHAKE } from "../tests/raw.ts";
import {
  Admission,
  type AdmissionOptions,
  type ConnectOptions,
  type Visitor,
} from "./admission.ts";
import { CLOSE, PROTOCOL } from "./protocol.ts";
import { Signer } from "./token.ts";

function start(options: Partial<AdmissionOptions> = {}) {
  const clock = new TestClock();
  const told: string[] = [];
  const signer = new Signer({
    secret: "a secret of this test",
    lifetime: 60_000,
    onNotice() {},
  });
  const admission = new Admission({
    isOff: false,
    allowedHosts: [],
    allowedOrigins: [],
    maxConnections: 10,
    maxConnectionsPerAddress: Infinity,
    handshakeRate: { burst: 20, perSecond: 1 },
    openTimeout: 10_000,
    signer,
    onNotice: (message) => told.push(message),
    clock,
    ...options,
  });
  const ask = (headers: Record<string, string>, connect: ConnectOptions = {}) =>
    admission.admit(
      new Request("http://localhost/", { headers: { Accept: "text/event-stream", ...headers } }),
      connect,
      "/turbo-stream",
    );
  const refused = (as: string) => ask({}, { as });
  const admit = (as: string) => refused(as) as Visitor;
  const status = (...args: Parameters<typeof ask>) => {
    const answer = ask(...args);
    return answer instanceof Response ? answer.status : 200;
  };
  return { admission, signer, clock, told, ask, admit, refused, status };
}

Deno.test("Admission.disconnect() closes the opening connections of a name, and no others", () => {
  const { admission, admit } = start();
  const [before, ann, bob] = [admit("ann"), admit("ann"), admit("bob")];
  assert.equal(before.opened(), undefined);
  admission.disconnect("@ann");
  assert.equal(ann.opened(), CLOSE.sentAway);
  assert.equal(ann.opened(), undefined, "it was told");
  assert.equal(bob.opened(), undefined);
  assert.equal(admit("ann").opened(), undefined, "one who comes later is for the app to refuse");
});

Deno.test("Admission.close() rejects new requests, and closes opening connections", async () => {
  const { admission, admit, refused } = start();
  const ann = admit("ann");
  admission.close(CLOSE.restarting);
  assert.equal(ann.opened(), CLOSE.restarting);
  const refusal = refused("bob") as Response;
  assert.equal(refusal.status, 503);
  assert.match(await refusal.text(), /restarting/);
});

Deno.test("Visitor.release() releases its place once, whether the connection has opened or not", () => {
  const { admission, admit, refused } = start({ maxConnections: 2 });
  const [ann, bob] = [admit("ann"), admit("bob")];
  assert.equal((refused("eve") as Response).status, 503);
  ann.opened();
  for (const visitor of [ann, bob, ann, bob]) visitor.release();
  assert.equal(admission.taken, 0);
  admission.disconnect("@bob");
  assert.equal(bob.opened(), undefined, "it is not being opened any more");
});

Deno.test("Visitor.grant() has the reader's names and the topics that were signed for it", () => {
  const { signer, admit } = start();
  const ann = admit("ann");
  const names = (token?: string) => {
    const grant = ann.grant(token);
    return grant && [...grant.names];
  };
  const sign = (reader?: string, path = "/turbo-stream") =>
    signer.sign({ path, topics: ["room"], reader, from: "e.1" });
  assert.deepEqual(names(), ["@ann"]);
  assert.deepEqual(names(sign()), ["@ann", "#room"]);
  assert.deepEqual(names(sign("ann")), ["@ann", "#room"]);
  assert.equal(names(sign("bob")), undefined);
  assert.equal(names(sign("ann", "/other")), undefined);
  assert.equal(names("a.b"), undefined);
  assert.equal(ann.grant(sign())?.from, "e.1");
});

Deno.test("An opening connection loses its place after a second, and takes one when it opens", async () => {
  const { admission, clock, admit, refused } = start({ maxConnections: 2 });
  const [late, never] = [admit("late"), admit("never")];
  assert.equal((refused("eve") as Response).status, 503);
  await clock.advance(999);
  assert.equal(admission.taken, 2);
  await clock.advance(1);
  assert.equal(admission.taken, 0);
  const eve = admit("eve");
  assert.deepEqual([eve.opened(), late.opened(), admission.taken], [undefined, undefined, 2]);
  assert.equal(never.opened(), CLOSE.noPlace, "there is none left");
  for (const visitor of [late, never, eve]) visitor.release();
  assert.deepEqual([admission.taken, clock.pending], [0, 0]);
});

Deno.test("A connection that never opens is abandoned after openTimeout, and nothing of it is kept", async () => {
  const { admission, clock, admit } = start({ openTimeout: 5_000 });
  const never = admit("never");
  let late = 0;
  never.onLate = () => late++;
  await clock.advance(4_999);
  assert.equal(late, 0);
  await clock.advance(1);
  assert.deepEqual([late, admission.taken, clock.pending], [1, 0, 0]);
});

Deno.test("Admission has one timer for any number of opening connections, and keeps at most 10,000", async () => {
  const { admission, clock, admit } = start({ maxConnections: 20_000 });
  let late = 0;
  for (let n = 0; n < 40; n++) {
    admit("never").onLate = () => late++;
    await clock.advance(400);
    assert.equal(clock.pending, 1);
  }
  const [before, opened] = [late, admit("a")];
  for (let n = 0; n < 10_000; n++) admit("never");
  assert(late > before);
  assert.equal(opened.opened(), undefined);
  assert(admission.taken <= 10_001);
  admission.giveUp();
  assert.equal(clock.pending, 0);
});

Deno.test("A connection that opens late takes a place of its own address", async () => {
  const { clock, ask } = start({ maxConnectionsPerAddress: 1 });
  const from = (address: string) => ask({}, { address }) as Visitor;
  const [late, other] = [from("a"), from("b")];
  await clock.advance(1_000);
  assert.equal(from("a").opened(), undefined);
  assert.deepEqual([late.opened(), other.opened()], [CLOSE.noPlace, undefined]);
});

Deno.test("Admission has one timer for any number of abandoned connections, and none when none is left", async () => {
  const { clock, admit } = start({ openTimeout: 1_000 });
  for (const name of ["a", "b", "c", "d"]) {
    admit(name);
    await clock.advance(500);
  }
  assert.equal(clock.pending, 1, "a and b are given up, c and d are being opened");
  await clock.advance(1_000);
  assert.equal(clock.pending, 0);
});

Deno.test("Admission times out a connection that starts after all others have opened", async () => {
  const { clock, admit } = start({ openTimeout: 1_000 });
  admit("first").opened();
  assert.equal(clock.pending, 0);
  let late = 0;
  admit("second").onLate = () => late++;
  await clock.advance(1_000);
  assert.equal(late, 1);
});

Deno.test("Admission.giveUp() abandons all opening connections", () => {
  const { admission, clock, admit } = start();
  let late = 0;
  for (const name of ["a", "b"]) admit(name).onLate = () => late++;
  admission.giveUp();
  assert.deepEqual([late, admission.taken, clock.pending], [2, 0, 0]);
});

Deno.test("Admission answers 429 to one address that connects too often, and to no other", async () => {
  const handshakeRate = { burst: 3, perSecond: 2 };
  const { clock, ask, status } = start({ maxConnections: 100, handshakeRate });
  const from = (address?: string) => status({}, { address });
  assert.deepEqual(Array.from({ length: 4 }, () => from("a")), [200, 200, 200, 429]);
  assert.equal(from("b"), 200);
  for (let n = 0; n < 30; n++) assert.equal(from(), 200, "no address is given");
  const { headers } = ask({}, { address: "a" }) as Response;
  assert.match(headers.get("Retry-After")!, /^([1-9]|10)$/);
  await clock.advance(1_000);
  assert.deepEqual(Array.from({ length: 3 }, () => from("a")), [200, 200, 429]);
});

Deno.test("Admission does not count a rejected handshake, so a foreign page cannot use up its visitor's", () => {
  const { status } = start({ handshakeRate: { burst: 1, perSecond: 1 } });
  const address = "a";
  assert.equal(status({ Origin: "https://evil.example" }, { address }), 403);
  assert.equal(status({ Accept: "text/html" }, { address }), 426);
  assert.equal(status({}, { address }), 200);
  assert.equal(status({}, { address }), 429);
});

Deno.test("Admission answers 404 where there is no stream, and 421 to a foreign host all the same", () => {
  const { status } = start({ isOff: true, allowedHosts: ["load.example"] });
  assert.equal(status({ Host: "load.example" }), 404);
  assert.equal(status({ Host: "evil.example" }), 421);
});

Deno.test("Admission answers 421 to a host that is not allowed, whatever its Origin", () => {
  const { status } = start({ allowedHosts: ["Load.example", "localhost:8000", "[::1]"] });
  const hosts = [
    "load.example",
    "LOAD.example:8443",
    "localhost:8000",
    "[::1]",
    "[::1]:80",
    "localhost",
    "localhost:8001",
    "evil.example",
    "load.example.evil.example",
    "evil-load.example",
  ];
  const statuses = hosts.map((Host) => status({ Host, Origin: `http://${Host}` }));
  assert.deepEqual(statuses, [200, 200, 200, 200, 200, 421, 421, 421, 421, 421]);
});

/** The headers of a page, and whether it may connect. */
const ORIGINS: readonly [headers: Record<string, string>, status: number][] = [
  [{}, 200],
  [{ Origin: "http://h.example" }, 200],
  [{ Origin: "https://h.example" }, 200], // a proxy may terminate TLS and not say so
  [{ Origin: "https://h.example", "X-Forwarded-Proto": "https" }, 200],
  [{ Origin: "http://h.example", "X-Forwarded-Proto": "https" }, 403],
  [{ Origin: "http://h.example", "X-Forwarded-Proto": "https, http" }, 403],
  [{ Origin: "http://h.example", "X-Forwarded-Proto": "http" }, 200],
  [{ Origin: "https://a.example", "Sec-Fetch-Site": "cross-site" }, 200],
  [{ Origin: "https://b.example" }, 403],
  [{ Origin: "null" }, 403],
  [{ Origin: "h.example" }, 403],
  [{ Origin: "https://a.example/" }, 403],
  [{ "Sec-Fetch-Site": "cross-site" }, 403],
  [{ "Sec-Fetch-Site": "same-origin" }, 200],
  [{ "Sec-Fetch-Site": "none" }, 200],
  [{ Origin: "http://h.example", "Sec-Fetch-Site": "cross-site" }, 403],
];

Deno.test("Admission admits our own pages, those of allowed origins, and programs", () => {
  const { status } = start({ allowedOrigins: ["https://a.example"], maxConnections: 100 });
  for (const [headers, expected] of ORIGINS) {
    assert.equal(status({ Host: "h.example", ...headers }), expected, JSON.stringify(headers));
  }
});

Deno.test("Visitor.origin is the allowed foreign origin of its page, as browsers write it", () => {
  const { ask } = start({ allowedOrigins: ["https://a.example"] });
  const originOf = (Origin?: string) =>
    (ask({ Host: "h.example", ...(Origin && { Origin }) }) as Visitor).origin;
  assert.equal(originOf("https://a.example"), "https://a.example");
  assert.equal(originOf("HTTPS://A.example:443"), "https://a.example");
  assert.deepEqual([originOf("http://h.example"), originOf()], [undefined, undefined]);
});

Deno.test("Admission reports each rejected origin once, with both names and the option to set", () => {
  const { status, told } = start();
  status({ Host: "h.example", "Sec-Fetch-Site": "cross-site" });
  assert.deepEqual(told, [], "one that names no origin");
  for (const Origin of ["https://b.example", "https://b.example", "https://c.example"]) {
    status({ Host: "h.example", Origin });
  }
  assert.equal(told.length, 2);
  assert.match(told[0]!, /"https:\/\/b\.example" at "h\.example".*allowedOrigins/);
  for (let n = 0; n < 200; n++) status({ Host: "h.example", Origin: `https://x${n}.example` });
  assert.equal(told.length, 100, "made-up origins do not fill the log");
  assert.match(told.at(-1)!, /Further origins are not reported$/);
  status({ Host: "h.example", "Sec-Fetch-Site": "cross-site" });
  assert.equal(told.length, 100);
});

Deno.test("Admission reports once in a minute that all connections are taken, and not that one address has too many", async () => {
  const { status, told, clock } = start({ maxConnections: 2, maxConnectionsPerAddress: 1 });
  const at = (address: string) => status({}, { address });
  assert.deepEqual([at("10.0.0.1"), at("10.0.0.1")], [200, 503]);
  assert.deepEqual(told, []);
  assert.deepEqual([at("10.0.0.2"), at("10.0.0.3"), at("10.0.0.4")], [200, 503, 503]);
  assert.equal(told.length, 1);
  assert.match(told[0]!, /^All 2 connections are taken: .*--max-connections/);
  clock.pause(60_000); // the places of those that did not open are free again
  await clock.advance(0);
  assert.deepEqual([at("10.0.0.1"), at("10.0.0.2"), at("10.0.0.3")], [200, 200, 503]);
  assert.equal(told.length, 2);
});

Deno.test("Admission answers 400 to a list of sub-protocols that Deno would not split", () => {
  const { status } = start();
  const handshake = { ...HANDSHAKE, Host: "localhost" };
  const offering = (list: string) => status({ ...handshake, "Sec-WebSocket-Protocol": list });
  assert.equal(offering(`other,${PROTOCOL}`), 400);
  assert.deepEqual([`other, ${PROTOCOL}`, PROTOCOL, "other,another"].map(offering), [
    200,
    200,
    200,
  ]);
});

Deno.test("Admission answers 400 where the URL cannot be parsed, whatever the Host is", () => {
  const { admission } = start();
  const headers = new Headers({ Host: "localhost", Accept: "text/event-stream" });
  for (const url of ["http://[bad/turbo-stream", "http://a:99999/"]) {
    const request = { url, method: "GET", headers } as Request; // as Deno makes one from such a request line
    assert.equal((admission.admit(request, {}, "/turbo-stream") as Response).status, 400);
  }
});
