import assert from "node:assert/strict";
import type { TestPage } from "../tests/browser.ts";
import { assertGuarded, assertNoErrors, assertStrict, PLAIN_FORM } from "../tests/example_kit.ts";
import { post, stage, TURBO_FORM, untilText, untilValue } from "../tests/example_kit.ts";
import { connect, connected, serve, until, WITH_BROWSER } from "../tests/kit.ts";
import { assertNothingPushed, assertStream, capture, OPEN_PAGE } from "../turbo/testing.ts";
import { PROTOCOL, type Pushed, sinceOf } from "../turbo/testing.ts";
import { type Clock, createApp } from "./chat.ts";

const LOBBY = "/rooms/lobby";

async function say({ page }: TestPage, name: string, text: string): Promise<void> {
  await page.fill("#name", name);
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

async function linesOf({ page }: TestPage): Promise<string[]> {
  const lines = await page.locator("#lines li").allTextContents();
  return lines.map((line) => line.replaceAll(/\s+/g, " ").replace(/^ ?\d\d:\d\d UTC /, "").trim());
}

Deno.test("chat pushes a line to its room, but not to the page that sent it", async () => {
  const app = createApp();
  const headers = { ...TURBO_FORM, "Turbo-Connection": "page-1" };
  let response!: Response;
  const pushed = await capture(app.turbo, async () => {
    response = await post(app, LOBBY, { fields: { name: "Ann", text: "Hello" }, headers });
  });
  assertStream(pushed, {
    action: "append",
    target: "lines",
    content: "Hello",
    topic: "room:lobby",
  });
  assert.deepEqual(pushed.map(({ except }) => except), ["page-1"]);
  assert.equal(response.headers.get("Turbo-Cursor"), app.turbo.cursor);
  const body = await response.text();
  assertStream(body, { action: "replace", target: "lines", content: /id="line-1"[^]*Hello/ });
  assertStream(body, { action: "replace", target: "say", content: 'value="Ann"' });
});

Deno.test("chat answers a plain form by 303, and what cannot be said by 422", async () => {
  const app = createApp({ onNotice() {} });
  const fields = { name: "Ann", text: "Hello" };
  const said = await post(app, LOBBY, { fields, headers: PLAIN_FORM });
  assert.deepEqual([said.status, said.headers.get("Location")], [303, LOBBY]);
  const refused = [
    { name: " ", text: "Hello" },
    { name: "x".repeat(41), text: "Hello" },
    { name: "Ann", text: " " },
    { name: "Ann", text: "x".repeat(501) },
  ];
  for (const fields of refused) {
    for (const headers of [PLAIN_FORM, TURBO_FORM]) {
      const pushed = await capture(app.turbo, async () => {
        const response = await post(app, LOBBY, { fields, headers });
        assert.equal(response.status, 422);
        assert((await response.text()).includes(`value="${fields.text}"`));
      });
      assertNothingPushed(pushed);
    }
  }
  assert.equal((await post(app, "/rooms/cellar", { fields })).status, 404);
  assert.equal((await app.hono.request("/rooms/cellar")).status, 404);
  assert.equal((await app.hono.request("/")).headers.get("Location"), LOBBY);
});

Deno.test("chat keeps 100 lines, and takes the oldest out of the pages", async () => {
  const app = createApp({ onNotice() {} });
  const pushed = await capture(app.turbo, async () => {
    for (let i = 1; i <= 101; i++) {
      await post(app, LOBBY, { fields: { name: "Ann", text: `line ${i}` } });
    }
  });
  assertStream(pushed, { action: "remove", target: "line-1" });
  assert.equal(
    pushed.flatMap(({ streams }) => streams).filter((s) => s.action === "remove").length,
    1,
  );
  const page = await (await app.hono.request(LOBBY)).text();
  assert.equal(page.match(/<li id="line-/g)?.length, 100);
});

Deno.test("chat takes a line out by a push of its own, for all pages", async () => {
  const app = createApp({ onNotice() {} });
  const headers = { ...TURBO_FORM, "Turbo-Connection": "page-1" };
  const sayOne = () => post(app, LOBBY, { fields: { name: "Ann", text: "Hi" }, headers });
  for (let i = 1; i <= 100; i++) await sayOne();
  const pushed = await capture(app.turbo, sayOne);
  assert.deepEqual(
    pushed.map(({ streams, topic, except }) => [streams.map((s) => s.action), topic, except]),
    [[["append"], ["room:lobby"], "page-1"], [["remove"], ["room:lobby"], undefined]],
  );
});

Deno.test("chat tells a room its number at once, then once a second, where it differs", async () => {
  await using room = await start();
  const { clock, open } = room;
  const pushed = await capture(room.app.turbo, async () => {
    await open(); // told at once
    const second = await open(); // the next two within the second, ...
    const third = await open();
    assert.equal(await room.shownOnPage(), 1, "what was pushed, or a later page is not corrected");
    clock.advance(1_000); // ... so told together at its end
    assert.equal(await room.shownOnPage(), 3);
    await third.leave();
    await open(); // the number that was told, so not told again
    clock.advance(1_000);
    assert.equal(clock.pending, 0, "nothing is due where nothing differs");
    await second.leave();
  });
  assert.deepEqual(numbersOf(pushed), [1, 3, 2]);
});

Deno.test("chat tells two rooms one number each when a page moves between them again and again", async () => {
  await using room = await start();
  const [lobby, garden] = [await room.tokenOf(LOBBY), await room.tokenOf("/rooms/garden")];
  const pushed = await capture(room.app.turbo, async () => {
    const { socket } = await room.open();
    const { cursor } = room.app.turbo;
    // As often as a page may ask at once, but for the last.
    for (let i = 0; i < 18; i++) socket.send(sinceOf({ cursor, token: i % 2 ? lobby : garden }));
    // What is asked last shows that all is done.
    socket.send(sinceOf({ cursor, token: await room.tokenOf("/rooms/attic") }));
    await connected(room.app.turbo, { topic: "room:attic" });
  });
  assert.deepEqual(pushed.map(({ topic }) => topic?.[0]), [
    "room:lobby",
    "room:garden",
    "room:attic",
  ]);
});

Deno.test("chat keeps no timer for an empty room, and keeps to the second for who comes back", async () => {
  await using room = await start();
  const pushed = await capture(room.app.turbo, async () => {
    const pages = [await room.open(), await room.open()];
    assert.equal(room.clock.pending, 1);
    for (const page of pages) await page.leave();
    assert.equal(room.clock.pending, 0);
    assert.equal(await room.shownOnPage(), 0);
    await room.open();
    assert.equal(room.clock.pending, 1);
    room.clock.advance(1_000);
  });
  assert.deepEqual(numbersOf(pushed), [1, 1]);
});

Deno.test("chat leaves no timer of the platform's clock", async () => {
  await using room = await start({ isStopped: false });
  for (const _ of [1, 2]) await room.open(); // the second waits for the end of the second
}); // the sanitizers see what is left

function numbersOf(pushed: readonly Pushed[]): number[] {
  return pushed.map(({ streams: [stream] }) => Number(/(\d+) pages?/.exec(stream!.content)?.[1]));
}

/** The app served, whose clock goes on when the test says so, and readers of the lobby. */
async function start({ isStopped = true } = {}) {
  const clock = stoppedClock();
  const app = createApp({ onNotice() {}, ...(isStopped && { clock }) });
  await using made = new AsyncDisposableStack();
  const server = made.use(serve(app.hono.fetch));
  made.defer(() => app.turbo.close({ window: 0 }));
  const pageAt = async (path: string) => await (await app.hono.request(path)).text();
  const tokenOf = async (path: string) =>
    /data-token="([^"]+)"/.exec((await pageAt(path)).replaceAll(/\s+/g, " "))![1]!;
  const here = () => app.turbo.listeners({ topic: "room:lobby" });
  const token = await tokenOf(LOBBY);
  const all = made.move();
  return {
    app,
    clock,
    tokenOf,
    shownOnPage: async () => Number(/(\d+) pages? open/.exec(await pageAt(LOBBY))?.[1]),
    async open() {
      const count = here() + 1;
      const client = all.use(await connect(server.url, { protocol: PROTOCOL }));
      client.socket.send(sinceOf({ cursor: app.turbo.cursor, token }));
      await until(() => here() === count, `${count} pages are in the lobby`);
      return {
        socket: client.socket,
        async leave() {
          const left = here() - 1;
          client.socket.close();
          await until(() => here() === left, `${left} pages are in the lobby`);
        },
      };
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function stoppedClock(): Clock & { advance(milliseconds: number): void; readonly pending: number } {
  let time = 0;
  const timers = new Map<() => void, number>();
  return {
    now: () => time,
    later(run, milliseconds) {
      const timer = () => run();
      timers.set(timer, time + milliseconds);
      return () => timers.delete(timer);
    },
    advance(milliseconds) {
      time += milliseconds;
      for (const [timer, at] of timers) {
        if (at <= time && timers.delete(timer)) timer();
      }
    },
    get pending() {
      return timers.size;
    },
  };
}

Deno.test("chat refuses forms of other sites and long ones", async () => {
  await assertGuarded(createApp(), LOBBY);
});

Deno.test("chat has pages under a strict policy", async () => {
  await assertStrict(createApp({ onNotice() {} }), LOBBY);
});

Deno.test(
  "chat shows a line once to sender and bystander, and never in the other room",
  WITH_BROWSER,
  async () => {
    await using at = await stage(createApp({ onNotice() {} }));
    const [sender, bystander] = [await at.open(LOBBY), await at.open(LOBBY)];
    const other = await at.open("/rooms/garden");

    await say(sender, "Ann", "<i>Hello</i>");
    await until(async () => (await linesOf(bystander)).length > 0, "the bystander sees the line");
    await until(async () => (await linesOf(sender)).length > 0, "the sender sees the line");
    await say(bystander, "Bob", "Hi");
    for (const tab of [sender, bystander]) {
      await until(async () => (await linesOf(tab)).length > 1, "both see the answer");
    }
    // What came after shows that nothing else is on its way.
    await say(other, "Cy", "Nobody here");
    await until(async () => (await linesOf(other)).length > 0, "the other room has its line");
    assert.deepEqual(await linesOf(sender), ["Ann <i>Hello</i>", "Bob Hi"]);
    assert.deepEqual(await linesOf(bystander), ["Ann <i>Hello</i>", "Bob Hi"]);
    assert.deepEqual(await linesOf(other), ["Cy Nobody here"]);
    await untilValue(sender.page, "#text", "");
    assert.equal(await sender.page.inputValue("#name"), "Ann", "the name stays");
    assertNoErrors(sender, bystander, other);
  },
);

Deno.test("chat shows all pages the same order when all speak at once", WITH_BROWSER, async () => {
  await using at = await stage(createApp({ onNotice() {} }));
  const tabs = [await at.open(LOBBY), await at.open(LOBBY)];
  for (let round = 1; round <= 5; round++) {
    await Promise.all(tabs.map((tab, i) => say(tab, `T${i}`, `${round}`)));
    for (const tab of tabs) {
      await until(async () => (await linesOf(tab)).length === 2 * round, `round ${round} is there`);
      await untilValue(tab.page, "#text", "");
    }
  }
  assert.deepEqual(await linesOf(tabs[0]!), await linesOf(tabs[1]!));
});

Deno.test(
  "chat counts the open pages of a room, also of those that leave",
  WITH_BROWSER,
  async () => {
    await using at = await stage(createApp({ onNotice() {} }));
    const first = await at.open(LOBBY);
    await untilText(first.page, "#presence", "1 page open here");
    const second = await at.open(LOBBY);
    const third = await at.open(LOBBY);
    for (const { page } of [first, second, third]) {
      await untilText(
        page,
        "#presence",
        "3 pages open here",
      );
    }

    await third.page.close();
    for (const { page } of [first, second]) await untilText(page, "#presence", "2 pages open here");

    const sockets: string[] = [];
    second.page.on("websocket", (socket) => sockets.push(socket.url()));
    await second.page.click("nav a:text('Garden')");
    await untilText(second.page, "h1", "Garden");
    await untilText(first.page, "#presence", "1 page open here");
    await untilText(second.page, "#presence", "1 page open here");
    assert.deepEqual(sockets, [], "the same socket listens to the other room");

    await say(first, "Ann", "Anyone?");
    await until(async () => (await linesOf(first)).length > 0, "the line is there");
    await second.page.click("nav a:text('Lobby')");
    await untilText(first.page, "#presence", "2 pages open here");
    assert.deepEqual(await linesOf(second), ["Ann Anyone?"]);
    await say(second, "Bob", "Back");
    for (const tab of [first, second]) {
      await until(async () => (await linesOf(tab)).length > 1, "both see the second again");
    }
    assert.deepEqual(await linesOf(second), ["Ann Anyone?", "Bob Back"]);
    assertNoErrors(first, second);
  },
);

Deno.test("chat keeps what cannot be said in the form", WITH_BROWSER, async () => {
  await using at = await stage(createApp({ onNotice() {} }));
  const tab = await at.open(LOBBY);
  await say(tab, " ", "Hello");
  await untilText(tab.page, "#say-error", "Say who you are");
  assert.equal(await tab.page.inputValue("#text"), "Hello");
  await tab.page.waitForSelector(OPEN_PAGE);
  assertNoErrors(tab);
});

Deno.test("chat works by full pages without JavaScript", WITH_BROWSER, async () => {
  await using at = await stage(createApp({ onNotice() {} }));
  const live = await at.open(LOBBY);
  const plain = await at.openPlain();
  await untilText(plain.page, "#presence", "1 page open here");
  await say(plain, "Ann", "Hello");
  await until(async () => (await linesOf(live)).length > 0, "the live page has the line");
  await until(async () => (await linesOf(plain)).length > 0, "the plain page has the line");
  await say(plain, "", "Hello");
  await untilText(plain.page, "#say-error", "Say who you are");
  assert.equal(await plain.page.inputValue("#text"), "Hello");
  assert.deepEqual(await linesOf(live), ["Ann Hello"]);
});
