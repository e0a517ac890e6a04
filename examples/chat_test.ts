import assert from "node:assert/strict";
import type { TestPage } from "../tests/browser.ts";
import { assertGuarded, assertNoErrors, assertStrict, PLAIN_FORM } from "../tests/example_kit.ts";
import { post, stage, TURBO_FORM, untilText, untilValue } from "../tests/example_kit.ts";
import { connect, connected, serve, until, WITH_BROWSER } from "../tests/kit.ts";
import { assertNothingPushed, assertStream, capture, OPEN_PAGE } from "../turbo/testing.ts";
import { parseFrame, PROTOCOL, type Pushed, sinceOf } from "../turbo/testing.ts";
import type { TurboOptions } from "../turbo/mod.ts";
import { Hub } from "../tests/hub.ts";
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

Deno.test("chat tells a room its number at once, then once a second, where somebody has come or gone", async () => {
  await using room = await start();
  const { clock, open } = room;
  const pushed = await capture(room.app.turbo, async () => {
    const first = await open(); // told at once
    const second = await open(); // the next two within the second, ...
    const third = await open();
    assert.equal(await room.shownOnPage(), 3, "a page shows who is there now");
    assert.equal(clock.pending, 1);
    clock.advance(1_000); // ... so told together at its end
    assert.equal(clock.pending, 0, "nothing is due where nobody comes or goes");
    clock.advance(1_000);
    await second.leave();
    assert.equal(await room.shownOnPage(), 2);
    for (const page of [third, first]) {
      clock.advance(1_000);
      await page.leave();
    }
    clock.advance(1_000);
  });
  assert.deepEqual(numbersOf(pushed), [1, 3, 2, 1], "and nobody that nobody is there");
});

Deno.test("chat counts a browser once, however many tabs it has, and sets its cookie once", async () => {
  await using room = await start();
  const one = await room.browser();
  assert.match(one.set!, /^chat-reader=[^;]+; Path=\/; HttpOnly; SameSite=Lax$/);
  assert.equal(one.cacheControl, "private, no-store");
  const again = await room.browser(one.cookie);
  assert.deepEqual([again.set, again.cacheControl], [null, "private, no-store"]);
  const forged = await room.browser("chat-reader=me.abc");
  assert.notEqual(forged.set, null, "who is not signed by us is nobody");
  const pushed = await capture(room.app.turbo, async () => {
    await room.open(one);
    await room.open(one, { count: 1 });
    await room.open(forged);
    room.clock.advance(1_000);
  });
  assert.deepEqual(numbersOf(pushed), [1, 2]);
});

Deno.test("chat pushes what waits when the last page goes, and keeps no timer", async () => {
  await using room = await start({ presenceGrace: 60_000 });
  const pushed = await capture(room.app.turbo, async () => {
    const pages = [await room.open(), await room.open()];
    assert.equal(room.clock.pending, 1);
    for (const page of pages) await page.leave({ count: 2 });
    assert.equal(room.clock.pending, 0);
  });
  assert.deepEqual(numbersOf(pushed), [1, 2], "they may be on their way to another node");
});

Deno.test("chat leaves no timer of the platform's clock", async () => {
  await using room = await start({ isStopped: false });
  for (const _ of [1, 2]) await room.open(); // the second waits for the end of the second
}); // the sanitizers see what is left

Deno.test("chat counts a room over two nodes: one of them pushes each change, and both pages have it", async () => {
  const hub = new Hub();
  const secret = "a secret of two nodes";
  const nodes = [hub.engine(), hub.engine()];
  await using one = await start({ engine: nodes[0]!, secret });
  await using two = await start({ engine: nodes[1]!, secret });
  const pushed = [0, 0];
  for (const [n, { app }] of [one, two].entries()) {
    const { push } = app.turbo;
    app.turbo.push = (...args) => {
      pushed[n]!++;
      return push.apply(app.turbo, args);
    };
  }
  const reader = await one.browser();
  assert.equal((await two.browser(reader.cookie)).set, null, "the other node knows the browser");
  const page = await one.open(reader);
  const other = await two.open(undefined, { count: 2 });
  const next = async (tab: typeof page) => /(\d+) here/.exec(await tab.next())?.[1];
  assert.equal(await next(page), "1");
  assert.deepEqual([await next(page), await next(other)], ["2", "2"]);
  assert.deepEqual([await one.shownOnPage(), await two.shownOnPage()], [2, 2]);
  const there = await two.open(reader, { count: 2 }); // the same browser, by the other node
  await page.leave({ count: 2 });
  await there.leave({ count: 1 });
  two.clock.advance(1_000);
  assert.equal(await next(other), "1");
  assert.deepEqual(pushed, [1, 2]);
});

function numbersOf(pushed: readonly Pushed[]): number[] {
  const streams = pushed.flatMap(({ streams }) => streams);
  return streams.map(({ content }) => Number(/(\d+) here/.exec(content)?.[1]));
}

/** What a browser knows when it has loaded the lobby. */
interface Loaded {
  cookie: string;
  /** The cookie that was set. */
  set: string | null;
  cacheControl: string | null;
}

/** The app served, whose clock goes on when the test says so, and readers of the lobby. */
async function start(
  { isStopped = true, ...options }: TurboOptions & { isStopped?: boolean } = {},
) {
  const clock = stoppedClock();
  const app = createApp({
    presenceGrace: 0,
    onNotice() {},
    ...options,
    ...(isStopped && { clock }),
  });
  await using made = new AsyncDisposableStack();
  const server = made.use(serve(app.hono.fetch));
  made.defer(() => app.turbo.close({ window: 0 }));
  const here = () => app.turbo.present({ topic: "room:lobby" }).count;
  const browser = async (cookie = ""): Promise<Loaded> => {
    const { headers } = await app.hono.request(LOBBY, { headers: { Cookie: cookie } });
    const set = headers.get("Set-Cookie");
    const cacheControl = headers.get("Cache-Control");
    return { cookie: set?.split(";")[0] ?? cookie, set, cacheControl };
  };
  const pageAt = async (path: string) => await (await app.hono.request(path)).text();
  const all = made.move();
  return {
    app,
    clock,
    browser,
    shownOnPage: async () => Number(/(\d+) here/.exec(await pageAt(LOBBY))?.[1]),
    /** Opens the lobby, by default in a browser of its own, and waits until so many are there. */
    async open(loaded?: Loaded, { count = here() + 1 } = {}) {
      const { cookie } = loaded ?? await browser();
      const page = (await pageAt(LOBBY)).replaceAll(/\s+/g, " ");
      const [, token = ""] = /data-token="([^"]+)"/.exec(page)!;
      const listeners = app.turbo.listeners({ topic: "room:lobby" });
      const headers = { Cookie: cookie };
      const client = all.use(await connect(server.url, { protocol: PROTOCOL, headers }));
      client.socket.send(sinceOf({ cursor: app.turbo.cursor, token }));
      await connected(app.turbo, { topic: "room:lobby", count: listeners + 1 });
      await until(() => here() === count, `${count} are in the lobby`);
      return {
        /** The next stream. */
        async next() {
          for (;;) {
            const html = parseFrame(await client.next()).map(({ html }) => html).join("");
            if (html !== "") return html;
          }
        },
        async leave({ count = here() - 1 } = {}) {
          const size = app.turbo.size;
          client.socket.close();
          await until(() => app.turbo.size === size - 1, "it is gone");
          await until(() => here() === count, `${count} are in the lobby`);
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
  "chat counts who is in a room, also where they leave",
  WITH_BROWSER,
  async () => {
    await using at = await stage(createApp({ presenceGrace: 0, onNotice() {} }));
    const first = await at.open(LOBBY);
    await untilText(first.page, "#presence", "1 here");
    const second = await at.open(LOBBY);
    const third = await at.open(LOBBY);
    for (const { page } of [first, second, third]) {
      await untilText(
        page,
        "#presence",
        "3 here",
      );
    }

    await third.page.close();
    for (const { page } of [first, second]) await untilText(page, "#presence", "2 here");

    await second.page.reload(); // its first page did not know its reader yet
    await second.page.waitForSelector(OPEN_PAGE);
    const sockets: string[] = [];
    second.page.on("websocket", (socket) => sockets.push(socket.url()));
    await second.page.click("nav a:text('Garden')");
    await untilText(second.page, "h1", "Garden");
    await untilText(first.page, "#presence", "1 here");
    await untilText(second.page, "#presence", "1 here");
    assert.deepEqual(sockets, [], "the same socket listens to the other room");

    await say(first, "Ann", "Anyone?");
    await until(async () => (await linesOf(first)).length > 0, "the line is there");
    await second.page.click("nav a:text('Lobby')");
    await untilText(first.page, "#presence", "2 here");
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
  await untilText(live.page, "#presence", "1 here");
  const plain = await at.openPlain();
  await untilText(plain.page, "#presence", "1 here");
  await say(plain, "Ann", "Hello");
  await until(async () => (await linesOf(live)).length > 0, "the live page has the line");
  await until(async () => (await linesOf(plain)).length > 0, "the plain page has the line");
  await say(plain, "", "Hello");
  await untilText(plain.page, "#say-error", "Say who you are");
  assert.equal(await plain.page.inputValue("#text"), "Hello");
  assert.deepEqual(await linesOf(live), ["Ann Hello"]);
});
