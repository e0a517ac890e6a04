import assert from "node:assert/strict";
import { quote } from "./checks.ts";
import { memory } from "./engine.ts";
import { append } from "./streams.ts";
import { streamResponse } from "./request.ts";
import { Turbo } from "./turbo.ts";

/** Wrong values for each option, with the built-in class of the error. */
const WRONG: Record<string, readonly [error: ErrorConstructor, values: readonly unknown[]][]> = {
  path: [[TypeError, [42, {}, true]], [RangeError, [
    "stream",
    "",
    "/a?b",
    "//a/b",
    "/a b",
    "/a/../b",
  ]]],
  assetsPath: [[TypeError, [null, 1]], [RangeError, ["assets", "/assets/", "/", "", "/a#b"]]],
  turboUrl: [[TypeError, [1, null]], [RangeError, ["", "javascript:alert(1)", "http://"]]],
  secret: [[TypeError, [1, null]], [RangeError, ["", "fifteen letters"]]],
  tokenLifetime: [[TypeError, ["1", NaN, null]], [RangeError, [Infinity, 0, -1, 1e12]]],
  allowedHosts: [
    [TypeError, ["a.example", [1], null]],
    [RangeError, [
      ["https://a.example"],
      ["a/b"],
      [""],
      ["a:"],
      ["a.example:80"],
      ["a.example:443"],
      ["*.a.example"],
      ["münchen.example"],
      ["127.1"],
      ["[0:0:0:0:0:0:0:1]"],
      ["a.example", "a:08000"],
    ]],
  ],
  allowedOrigins: [
    [TypeError, ["https://a.example", [1], null]],
    [RangeError, [
      ["https://a.example/"],
      ["a.example"],
      ["*"],
      ["null"],
      ["https://A.example"],
      ["https://*.a.example"],
      ["https://a.example:443"],
    ]],
  ],
  maxConnections: [[TypeError, [NaN, "10", null]], [RangeError, [0, -1, 1.5, Infinity]]],
  maxConnectionsPerAddress: [[TypeError, [NaN, "1"]], [RangeError, [0, 0.5]]],
  handshakeRate: [
    [TypeError, [1, 0, null, { burst: "1" }, { perSeconds: 1 }]],
    [RangeError, [{ burst: 0 }, { burst: 1, perSecond: 0 }, { burst: 1, perSecond: Infinity }]],
  ],
  openTimeout: [[TypeError, ["1", NaN]], [RangeError, [0, Infinity, 2 ** 31]]],
  eventStreamLifetime: [[TypeError, ["1", NaN]], [RangeError, [0, Infinity]]],
  idleTimeout: [[TypeError, ["1", NaN]], [RangeError, [0, 30, Infinity]]],
  heartbeat: [[TypeError, ["1", NaN]], [RangeError, [0, -1, 15_001, Infinity]]],
  frame: [[TypeError, ["1", NaN, null]], [RangeError, [-1, Infinity]]],
  behindAfter: [[TypeError, ["1", NaN]], [RangeError, [0, 0.5, Infinity]]],
  maxBuffered: [[TypeError, ["1", NaN]], [RangeError, [0, Infinity]]],
  dropAfter: [[TypeError, ["1", NaN]], [RangeError, [0, Infinity]]],
  log: [
    [TypeError, [1, null, [], { maxEntries: "1" }, { maxEntry: 1 }, { maxBytes: NaN }, {
      epoch: 1,
    }]],
    [RangeError, [{ maxEntries: -1 }, { maxBytes: 0.5 }, { maxAge: 0 }, { epoch: "a b" }]],
  ],
  engine: [[TypeError, [1, null, {}, { start() {} }]]],
  upgrade: [[TypeError, [1, null]]],
  onChange: [[TypeError, [1, null]]],
  onError: [[TypeError, ["log"]]],
  onNotice: [[TypeError, ["log"]]],
};

for (const [name, kinds] of Object.entries(WRONG)) {
  Deno.test(`Turbo rejects a wrong ${name}, and names it, its value and what is allowed`, () => {
    for (const [kind, values] of kinds) {
      for (const value of values) {
        assert.throws(() => new Turbo({ [name]: value }), (error: Error) => {
          assert.equal(error.constructor, kind, `${Deno.inspect(value)}: ${error.message}`);
          const names = [name, ...Object.keys(value ?? {}), "the log"];
          assert(names.some((name) => error.message.includes(name)), error.message);
          assert.match(error.message, /is needed|there are/);
          return true;
        }, Deno.inspect(value));
      }
    }
  });
}

Deno.test("Turbo treats an undefined option as left out", () => {
  const names = Object.keys(WRONG);
  const turbo = new Turbo(Object.fromEntries(names.map((name) => [name, undefined])));
  assert.match(String(turbo.head()), /data-stream="\/turbo-stream"/);
  assert.throws(
    () => new Turbo({ log: { maxEntries: undefined, epoch: "a b" } as never }),
    RangeError,
  );
});

Deno.test("Turbo accepts hosts as a browser sends them, in capitals too", () => {
  const hosts = ["A.example", "localhost:8000", "[::1]", "127.0.0.1:81", "xn--mnchen-3ya.example"];
  new Turbo({ allowedHosts: hosts });
});

Deno.test("Turbo accepts a part of handshakeRate, with the default for the rest", async () => {
  const turbo = new Turbo({ handshakeRate: { burst: 2 } });
  const statuses = [1, 2, 3].map(() => turbo.connect(eventRequest(), { address: "a" }).status);
  assert.deepEqual(statuses, [200, 200, 429]);
  await turbo.close({ window: 0 });
});

Deno.test("Turbo rejects an unknown option, and names the known ones", () => {
  for (const name of ["hartbeat", "__proto__x", "constructor", "toString"]) {
    assert.throws(() => new Turbo({ [name]: 1 }), (error: Error) => {
      assert.equal(error.constructor, TypeError);
      assert(error.message.includes(`"${name}"`) && error.message.includes("heartbeat"));
      return true;
    });
  }
  for (const options of [null, 1, "x", [], () => {}]) {
    assert.throws(() => new Turbo(options as never), TypeError);
  }
});

Deno.test("Turbo never shows a secret that is too short", () => {
  assert.throws(() => new Turbo({ secret: "hunter2" }), (error: Error) => {
    assert(!error.message.includes("hunter2"));
    assert.match(error.message, /a text of 7 characters as "secret".* at least 16/);
    return true;
  });
  assert.throws(() => new Turbo({ secret: 1234567 as never }), /Cannot take a number as "secret"/);
});

type Call = readonly [what: string, act: (turbo: Turbo) => unknown, error: ErrorConstructor];

/** Calls that must throw before anything changes. */
const CALLS: readonly Call[] = [
  ...[undefined, null, 42, {}, [1], [undefined]].flatMap((value) =>
    ["to", "topic"].map((key) =>
      [
        `push ${key} ${Deno.inspect(value).slice(0, 20)}`,
        pushing({ [key]: value }),
        TypeError,
      ] as const
    )
  ),
  ...["", "x".repeat(256), ["a", ""], "\ud800"].flatMap((value) =>
    ["to", "topic"].map((key) =>
      [
        `push ${key} ${Deno.inspect(value).slice(0, 20)}`,
        pushing({ [key]: value }),
        RangeError,
      ] as const
    )
  ),
  ["push except 42", pushing({ except: 42 }), TypeError],
  ["push except a b", pushing({ except: "a b" }), RangeError],
  ["push too", pushing({ too: "ann" }), TypeError],
  ["push a string", pushing("ann"), TypeError],
  ["push null", pushing(null), TypeError],
  ["present undefined", (turbo) => turbo.present(undefined as never), TypeError],
  ["present ''", (turbo) => turbo.present(""), RangeError],
  ["listeners undefined", (turbo) => turbo.listeners(undefined as never), TypeError],
  ["listeners {}", (turbo) => turbo.listeners({} as never), TypeError],
  ["listeners ''", (turbo) => turbo.listeners(""), RangeError],
  ["listeners two", (turbo) => turbo.listeners({ topic: "a", to: "b" } as never), TypeError],
  ["canPush undefined", (turbo) => turbo.canPush(undefined as never), TypeError],
  ["canPush { topik }", (turbo) => turbo.canPush({ topik: "a" } as never), TypeError],
  ["disconnect undefined", (turbo) => turbo.disconnect(undefined as never), TypeError],
  ["disconnect a topic", (turbo) => turbo.disconnect({ topic: "a" } as never), TypeError],
  ["revoke undefined", (turbo) => turbo.revoke(undefined as never), TypeError],
  ["head topics string", (turbo) => turbo.head({ topics: "room" as never }), TypeError],
  [
    "head topics undefined in it",
    (turbo) => turbo.head({ topics: [undefined] as never }),
    TypeError,
  ],
  ["head topics many", (turbo) => turbo.head({ topics: Array(129).fill("a") }), RangeError],
  [
    "head as undefined",
    (turbo) => turbo.head({ topics: ["a"], as: undefined as never }),
    TypeError,
  ],
  ["head as ''", (turbo) => turbo.head({ topics: ["a"], as: "" }), RangeError],
  ["head cursor", (turbo) => turbo.head({ cursor: "a b" }), RangeError],
  ["head cursor 1", (turbo) => turbo.head({ cursor: 1 as never }), TypeError],
  ["head coursor", (turbo) => turbo.head({ coursor: "a" } as never), TypeError],
  ["connect as 42", connecting({ as: 42 }), TypeError],
  ["connect as null", connecting({ as: null }), TypeError],
  ["connect as ''", connecting({ as: "" }), RangeError],
  ["connect as many", connecting({ as: Array(129).fill("a") }), RangeError],
  ["connect has", connecting({ has: "ann" }), TypeError],
  ["connect address 1", connecting({ address: 1 }), TypeError],
  ["connect address ''", connecting({ address: "" }), RangeError],
  ["close code", (turbo) => turbo.close({ code: 1000 as never }), RangeError],
  ["close window", (turbo) => turbo.close({ window: NaN }), TypeError],
  ["close window -1", (turbo) => turbo.close({ window: -1 }), RangeError],
  ["close deadline", (turbo) => turbo.close({ deadline: Infinity }), RangeError],
  ["close timeout", (turbo) => turbo.close({ timeout: 1 } as never), TypeError],
  ["memory file", () => memory({ file: "" }), RangeError],
  ["memory path", () => memory({ path: "a" } as never), TypeError],
  ["streamResponse cursor", () => streamResponse([], { cursor: "a b" }), RangeError],
];

function pushing(options: unknown): (turbo: Turbo) => unknown {
  return (turbo) => turbo.push(append("list", "private"), options as never);
}

function connecting(options: unknown): (turbo: Turbo) => unknown {
  return (turbo) => turbo.connect(eventRequest(), options as never);
}

function eventRequest(since?: string): Request {
  const query = since === undefined ? "" : `?since=${since}`;
  return new Request(`http://localhost/turbo-stream${query}`, {
    headers: { Accept: "text/event-stream" },
  });
}

for (const [what, act, kind] of CALLS) {
  Deno.test(`${what}: a ${kind.name}, and nothing changes`, async () => {
    const turbo = new Turbo();
    const { cursor } = turbo;
    assert.throws(() => act(turbo), (error: Error) => {
      assert.equal(error.constructor, kind, error.message);
      assert.match(error.message, /is needed|are allowed|there are/);
      return true;
    });
    assert.deepEqual([turbo.cursor, turbo.size], [cursor, 0]);
    turbo.push(append("list", "for all"));
    const answer = turbo.connect(eventRequest(cursor)); // as a page does that resumes
    assert.equal(answer.status, 200);
    await turbo.close({ window: 0 });
    const text = await answer.text();
    assert.match(text, /for all/);
    assert.doesNotMatch(text, /private/);
  });
}

Deno.test("push() accepts no audience, an empty one, and no page to leave out", () => {
  const turbo = new Turbo();
  const stream = append("list", "x");
  const right = [{}, { to: [] }, { topic: [] }, { except: undefined }, {
    to: "a",
    topic: ["b", "c"],
  }, { to: "x".repeat(255) }];
  for (const options of right) turbo.push(stream, options);
  turbo.head({ topics: undefined as never, cursor: undefined as never });
  turbo.head({ topics: Array(128).fill("a") });
  assert.equal(turbo.canPush(), false);
});

Deno.test("Turbo copies its options, so that later changes have no effect", async () => {
  const options = { allowedHosts: ["a.example"], handshakeRate: { burst: 1 } };
  const turbo = new Turbo(options);
  options.allowedHosts.length = 0;
  options.handshakeRate.burst = 1_000;
  const from = (Host: string) =>
    new Request("http://a.example/", { headers: { Host, Accept: "text/event-stream" } });
  const statuses = ["evil.example", "a.example", "a.example"]
    .map((host) => turbo.connect(from(host), { address: "a" }).status);
  assert.deepEqual(statuses, [421, 200, 429]);
  await turbo.close({ window: 0 });
});

Deno.test("Turbo accepts inherited options, and checks them", async () => {
  class Config {
    get maxConnections() {
      return 1;
    }
  }
  const turbo = new Turbo(new Config());
  const statuses = [1, 2].map(() => turbo.connect(eventRequest()).status);
  assert.deepEqual(statuses, [200, 503]);
  assert.throws(() => new Turbo(Object.create({ heartbeat: 0 })), RangeError);
  assert.throws(() => turbo.push(append("a", "b"), Object.create({ except: 42 })), TypeError);
  for (const wrong of [new Map([["to", "ann"]]), new Date(), Promise.resolve()]) {
    assert.throws(() => turbo.push(append("a", "b"), wrong as never), TypeError);
  }
  await turbo.close({ window: 0 });
});

Deno.test("A list with holes is rejected as a list of names", () => {
  const turbo = new Turbo();
  // deno-lint-ignore no-sparse-arrays
  const holes = ["a", , "b"] as never;
  assert.throws(() => turbo.push(append("a", "b"), { to: holes }), TypeError);
  assert.throws(() => turbo.connect(eventRequest(), { as: holes }), TypeError);
  assert.throws(() => turbo.head({ topics: holes }), TypeError);
  assert.throws(() => new Turbo({ allowedHosts: holes }), TypeError);
  assert.equal(turbo.size, 0);
});

Deno.test("quote() escapes what a terminal or a log viewer may interpret", () => {
  assert.equal(quote("a\n\u001b[31m\u009b\u2028"), '"a\\n\\u001b[31m\\u009b\\u2028"');
});

Deno.test("quote() shows at most 100 characters of any value, in one line", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic["itself"] = cyclic;
  const values: readonly [value: unknown, shown: string][] = [
    ["a\nb", '"a\\nb"'],
    ["x".repeat(1_000), `"${"x".repeat(100)}"`],
    [10n ** 1_000n, `1${"0".repeat(99)}`],
    [Array(1_000).fill(1), `[${"1,".repeat(49)}1`],
    [undefined, "undefined"],
    [null, "null"],
    [cyclic, "an object"],
    [{ toJSON: () => undefined }, "an object"],
  ];
  for (const [value, shown] of values) assert.equal(quote(value), shown);
});
