import assert from "node:assert/strict";
import { Peers } from "./peers.ts";

const tag = (node: string, n: number) => ({ node, n, attempt: 0 });

function start(
  random = 0,
): { peers: Peers; silent: (until: number, listens?: boolean) => string[] } {
  const peers = new Peers({ node: "me", interval: 1_000, random: () => random });
  let now = 0;
  peers.tick(now, true);
  return {
    peers,
    silent(until, listens = true) {
      const silent: string[] = [];
      while (now < until) silent.push(...peers.tick(now += 50, listens));
      return silent;
    },
  };
}

Deno.test("Peers.heard() recognizes repetitions by their number, and none without a number", () => {
  const { peers } = start();
  const seen = [1, 2, 2, 1, 0, 0, 3].map((n) => peers.heard(tag("a", n)));
  assert.deepEqual(seen, [false, false, true, true, false, false, false]);
  assert.deepEqual([peers.heard(tag("b", 1)), peers.heard(tag("", 1)), peers.heard(tag("", 1))], [
    false,
    false,
    false,
  ]);
  peers.forgetNumbers();
  assert(!peers.heard(tag("a", 1)));
});

for (const [random, silence] of [[0, 2_250], [1, 2_500]] as const) {
  Deno.test(`Peers.tick() returns a node once that is silent for ${silence} ms at an interval of 1 s`, () => {
    const { peers, silent } = start(random);
    peers.heard(tag("a", 1));
    peers.met("a");
    assert.deepEqual(silent(silence), []);
    assert.deepEqual(silent(silence + 100), ["a"]);
    assert.deepEqual(silent(silence + 2_000), []);
    assert.deepEqual(silent(silence + 2_700), ["a"], "without a report by another node");
    peers.left("a");
    assert.deepEqual(silent(20_000), []);
  });
}

Deno.test("Peers.tick() uses the interval that a node states", () => {
  const { peers, silent } = start();
  peers.heard(tag("a", 1));
  peers.met("a", 10_000);
  assert.deepEqual([silent(22_000), silent(23_000)], [[], ["a"]]);
});

Deno.test("Peers.tick() does not count time in which nothing could be heard", () => {
  const { peers, silent } = start();
  peers.heard(tag("a", 1));
  peers.met("a");
  silent(2_000);
  assert.deepEqual(silent(60_000, false), []);
  assert.deepEqual([silent(60_200), silent(60_400)], [[], ["a"]]);
});

Deno.test("Peers.tick() returns neither this node nor one that only pushes", () => {
  const { peers, silent } = start();
  for (const node of ["me", "outside"]) peers.heard(tag(node, 1));
  peers.met("me");
  assert.deepEqual(silent(59_000), []);
  assert(peers.heard(tag("outside", 1)));
});

Deno.test("Peers forgets the number of a node that only pushes after a minute, but not its own", () => {
  const { peers, silent } = start();
  for (const node of ["me", "outside"]) peers.heard(tag(node, 1));
  silent(60_100);
  assert.deepEqual([peers.heard(tag("outside", 1)), peers.heard(tag("me", 1))], [false, true]);
});

Deno.test("Peers keeps the number of a node that is gone", () => {
  const { peers } = start();
  peers.heard(tag("a", 3));
  peers.left("a");
  assert(peers.heard(tag("a", 3)));
});

for (const [interval, until] of [[1_000, 4_000], [100, 2_000]] as const) {
  Deno.test(`Peers.takeLost() is true once for a lost node that is not back in ${until} ms, at an interval of ${interval} ms`, () => {
    const peers = new Peers({ node: "me", interval, random: () => 0 });
    peers.tick(0, true);
    for (const node of ["other", "back", "leaving", "writer"]) {
      peers.heard({ node, n: 1, attempt: 1 });
      if (node !== "writer") peers.met(node, interval);
    }
    peers.left("leaving");
    for (const node of ["other", "back", "writer", "stranger"]) peers.lost(node);
    peers.tick(until / 2, true);
    peers.heard({ node: "back", n: 2, attempt: 2 });
    peers.tick(until - 1, true);
    assert.equal(peers.takeLost(), false);
    peers.tick(until + 1, false); // nothing could be heard
    assert.equal(peers.takeLost(), false);
    peers.tick(until + 3, true);
    assert.deepEqual([peers.takeLost(), peers.takeLost()], [true, false]);
  });
}
