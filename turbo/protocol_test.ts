import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import clientJs from "./client.js" with { type: "text" };
import coreJs from "./client_core.js" with { type: "text" };
import {
  CLOSE,
  eventsOf,
  frameOf,
  HEARTBEAT,
  isCursor,
  isTooLong,
  MAX_MESSAGE,
  MAX_TOKEN,
  parseCursor,
  parseFrame,
  parseNote,
  parseShown,
  parseSince,
  PROTOCOL,
  REFRESH,
  shownOf,
  sinceOf,
} from "./protocol.ts";

Deno.test("parseFrame() is the inverse of frameOf(), for any HTML", () => {
  const message = fc.record({
    cursor: fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/),
    html: fc.string({ unit: "grapheme-composite" }),
    asks: fc.constant(true),
  }, { requiredKeys: ["cursor", "html"], noNullPrototype: true });
  fc.assert(
    fc.property(fc.array(message, { minLength: 1 }), (messages) => {
      assert.deepEqual(parseFrame(frameOf(messages)), messages);
    }),
  );
});

Deno.test('A marker\'s frame is exactly [[CURSOR,""]]', () => {
  assert.equal(frameOf([{ cursor: "e.1", html: "" }]), '[["e.1",""]]');
});

Deno.test("parseFrame() rejects what is not a frame", () => {
  const none = [
    "",
    "{}",
    "[]",
    "null",
    "[[]]",
    '["e.1",""]',
    '[["e.1"]]',
    '[["e.1","",""]]',
    '[["e.1","","asked"]]',
  ];
  for (const text of [...none, '[["e 1",""]]', '[["e.1",1]]', "<turbo-stream>", "e.1\n"]) {
    assert.throws(() => parseFrame(text), SyntaxError, text);
  }
});

const asked: [message: string, cursor?: string, token?: string | undefined, page?: string][] = [
  ["since e.1", "e.1"],
  ["since e.1.7", "e.1.7"],
  ["since e.1 -", "e.1"],
  ["since e.1 - page-2", "e.1", undefined, "page-2"],
  ["since e.1  page-2", "e.1", undefined, "page-2"],
  ["since e.1 abc.def", "e.1", "abc.def"],
  ["since e.1 abc.def page-2", "e.1", "abc.def", "page-2"],
  [`since ${"a".repeat(64)}`, "a".repeat(64)],
  ["hello"],
  ["since"],
  ["since "],
  ["since a b c d"],
  ["since a\nb"],
  ["Since a.1"],
  [" since a.1"],
  ["since <b>"],
  ["since é.1"],
  [`since ${"a".repeat(65)}`],
  ["since a.1 t page 2"],
  ["since a.1 t p/2"],
  [`since a.1 t ${"p".repeat(65)}`],
];
for (const [message, cursor, token, page] of asked) {
  Deno.test(`parseSince(${JSON.stringify(message.slice(0, 40))}) is ${cursor ? "a since" : "none"}`, () => {
    assert.deepEqual(
      parseSince(message),
      cursor === undefined ? undefined : { cursor, token, page },
    );
  });
}

const reported: [message: string, cursor?: string, age?: number][] = [
  ["shown e.1 0", "e.1", 0],
  ["shown e.1.7 60000", "e.1.7", 60_000],
  ["shown e.1"],
  ["shown e.1 "],
  ["shown e.1 -1"],
  ["shown e.1 1.5"],
  ["shown e.1 1e3"],
  ["shown e.1 1 2"],
  ["shown  e.1 1"],
  ["shown e 1 1"],
  ["shown e.1 1\n"],
  [`shown ${"a".repeat(65)} 1`],
  [`shown e.1 ${"9".repeat(13)}`],
  ["since e.1"],
];
for (const [message, cursor, age] of reported) {
  Deno.test(`parseShown(${JSON.stringify(message.slice(0, 40))}) is ${cursor ? "a report" : "none"}`, () => {
    assert.deepEqual(parseShown(message), cursor === undefined ? undefined : { cursor, age });
  });
}

Deno.test("shownOf() is the inverse of parseShown(), in whole milliseconds", () => {
  assert.deepEqual(parseShown(shownOf({ cursor: "e.1", age: 12.7 })), { cursor: "e.1", age: 13 });
});

Deno.test("sinceOf() is the inverse of parseSince()", () => {
  for (const token of [undefined, "abc.def"]) {
    for (const page of [undefined, "page-2"]) {
      const since = { cursor: "e.1", token, page };
      assert.deepEqual(parseSince(sinceOf(since)), since);
    }
  }
});

Deno.test("parseCursor() reads a position below 2^53, with a heartbeat's number or without", () => {
  assert.deepEqual(parseCursor("e.5"), { epoch: "e", position: 5 });
  assert.deepEqual(parseCursor("e_-1.5.99"), { epoch: "e_-1", position: 5 });
  assert.equal(parseCursor("e.9007199254740991")?.position, 2 ** 53 - 1);
  for (const text of ["e.9007199254740992", "e", "e.", ".5", "e.5.", "e.5.5.5", "e.-5", "e.5 "]) {
    assert.equal(parseCursor(text), undefined, text);
  }
  assert(isCursor("anything-that.is_1") && !isCursor("") && !isCursor("a".repeat(65)));
});

Deno.test("A since with the longest cursor, token and page is not too long", () => {
  const longest = sinceOf({
    cursor: "c".repeat(64),
    token: "t".repeat(MAX_TOKEN),
    page: "p".repeat(64),
  });
  assert.equal(longest.length, MAX_MESSAGE);
  assert(!isTooLong(longest) && isTooLong(longest + "x"));
  assert(!isTooLong("€".repeat(1_365)) && isTooLong("€".repeat(1_366)), "counted in bytes");
});

Deno.test("Every close has a code that may be sent and a reason of at most 123 bytes", () => {
  for (const [name, { code, reason }] of Object.entries(CLOSE)) {
    const maySend = code >= 4000 && code <= 4999 || [1000, 1001, 1003, 1008, 1009, 1011, 1012, 1013]
      .includes(code);
    assert(maySend, `${name} ${code}`);
    assert.equal(code === CLOSE.sentAway.code, name === "sentAway", `${name}: a page comes back`);
    assert(reason.length > 0 && new TextEncoder().encode(reason).length <= 123, name);
  }
});

Deno.test("eventsOf() lets no line break of the content begin a field", () => {
  for (const br of ["\r", "\n", "\r\n", "\n\r", "\r\r", "\n\n", "\u2028", "\u0085"]) {
    const html = `<p>a${br}event: x${br}id: y${br}${br}data: z${br}retry: 9</p>`;
    const lines = eventsOf([{ cursor: "e.1", html }]).split(/\r\n|\r|\n/);
    assert.equal(lines.shift(), "id: e.1");
    assert.deepEqual(lines.splice(-2), ["", ""]);
    assert(lines.every((line) => line.startsWith("data: ")), JSON.stringify(html));
  }
});

Deno.test("eventsOf() makes one event of each message, and a named event of a cursor without HTML", () => {
  assert.equal(
    eventsOf([{ cursor: "e.1", html: "" }, { cursor: "e.2", html: "<b>" }]),
    "event: cursor\nid: e.1\ndata:\n\nid: e.2\ndata: <b>\n\n",
  );
});

// The client, which is JavaScript, repeats these constants.
Deno.test("client.js speaks the protocol of protocol.ts", () => {
  const constant = (name: string) => {
    const [, value] = new RegExp(`^const ${name} = (.+);$`, "m").exec(clientJs + coreJs) ?? [];
    assert(value !== undefined, `client.js has no ${name}`);
    return value.startsWith("'")
      ? value.slice(1, -1)
      : JSON.parse(value.replace(/^2\.5 \* /, "").replace("_", ""));
  };
  assert.equal(constant("PROTOCOL"), PROTOCOL);
  assert.equal(constant("REFRESH"), REFRESH);
  assert.equal(constant("SENT_AWAY"), CLOSE.sentAway.code);
  assert.equal(constant("DEAD_AFTER"), HEARTBEAT);
  const [, template] = /\.send\(`([^`]+)`\)/.exec(clientJs)!;
  const written = (token: string) =>
    template!.replace("${shown.oldest}", "e.1").replace('${shown.token || "-"}', token || "-")
      .replace("${shown.id}", "page-2");
  assert.deepEqual(parseSince(written("")), { cursor: "e.1", token: undefined, page: "page-2" });
  assert.deepEqual(parseSince(written("a.b")), { cursor: "e.1", token: "a.b", page: "page-2" });
});

Deno.test("parseNote() takes a path or misses with all their words, and nothing else", () => {
  const encoded = encodeURIComponent('#a b"ü%');
  assert.deepEqual(parseNote(`missed e.1 ${encoded} - e.2.7 .x b%2D`), {
    misses: [
      { cursor: "e.1", target: '#a b"ü%', near: undefined },
      { cursor: "e.2.7", target: ".x", near: "b-" },
    ],
  });
  const wrong = ["at", "at ", "at a b", "at %", "at %ff", "missed", "missed e.1", "missed e.1 x"];
  wrong.push(
    "missed e!1 x -",
    "missed e.1 x - e.2",
    "missed e.1  -",
    "since e.1",
    "shown e.1 0",
    "",
  );
  for (const message of wrong) assert.equal(parseNote(message), undefined, message);
});
