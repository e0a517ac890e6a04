import assert from "node:assert/strict";
import { assertGuarded, assertNoErrors, assertStrict } from "../tests/example_kit.ts";
import { PLAIN_FORM, post, stage, TURBO_FORM, untilText } from "../tests/example_kit.ts";
import { watch } from "../tests/browser.ts";
import { connected, DEADLINE, WITH_BROWSER } from "../tests/kit.ts";
import {
  assertNothingPushed,
  assertStream,
  capture,
  OPEN_PAGE,
  openPage,
  type OpenPageOptions,
} from "../turbo/testing.ts";
import { createApp, type LoginOptions } from "./login.ts";
import type { Clock } from "./login_sessions.ts";

type App = ReturnType<typeof createApp>;

/** A clock that goes on when the test says so. */
class TestClock implements Clock {
  #now = 1_000_000;
  readonly #timers = new Map<() => void, number>();
  now = () => this.#now;
  later = (run: () => void, milliseconds: number) => {
    this.#timers.set(run, this.#now + milliseconds);
    return () => void this.#timers.delete(run);
  };
  run(milliseconds: number): void {
    this.#now += milliseconds;
    for (const [run, at] of this.#timers) {
      if (at <= this.#now && this.#timers.delete(run)) run();
    }
  }
}

/** The example, by a clock of the test. */
function start(options: LoginOptions = {}) {
  const clock = new TestClock();
  const app = createApp({ clock, onNotice() {}, ...options });
  return { clock, ...app, [Symbol.asyncDispose]: () => app.turbo.close({ window: 0 }) };
}

function open({ hono }: App, path = "/", options: OpenPageOptions = {}) {
  return openPage(hono, path, { deadline: DEADLINE, ...options });
}

/** The page of a user who has just logged in. */
async function logIn(app: App, name: "ann" | "ben", options: OpenPageOptions = {}) {
  const page = await open(app, "/login", options);
  await page.submit("form", { name, password: name === "ann" ? "garden" : "attic" });
  assert.equal(page.path, "/");
  return page;
}

/** Logs in without a page: the header field to send. */
async function cookieFor(app: App, name: string, headers: Record<string, string> = {}) {
  const fields = { name, password: name === "ann" ? "garden" : "attic" };
  const response = await post(app, "/login", { fields, headers: { ...PLAIN_FORM, ...headers } });
  assert.equal(response.status, 303);
  return { Cookie: response.headers.getSetCookie()[0]!.split(";")[0]! };
}

Deno.test("login shows members their page, and leads everyone else to the log-in page", async () => {
  await using app = start();
  await using page = await open(app);
  assert.deepEqual([page.path, page.state], ["/login", "open"]);
  assert.doesNotMatch(page.text(), /Notes|Here now/);
  await page.submit("form", { name: " Ann ", password: "garden" });
  assert.deepEqual([page.path, page.state], ["/", "open"]);
  await page.shows("Hello, ann");
  await page.shows("Here now: ann");
  await page.visit("/login");
  assert.equal(page.path, "/");
});

Deno.test("login takes no wrong password, and does not tell which of both was wrong", async () => {
  await using app = start();
  await using page = await open(app, "/login");
  for (const [name, password] of [["ann", "x"], ["nobody", "garden"], ["ann", ""], ["", ""]]) {
    await page.submit("form", { name: name!, password: password! });
    assert.deepEqual([page.status, page.text("[role=alert]")], [422, "Name or password is wrong."]);
    assert.equal(page.cookies.size, 0);
  }
});

Deno.test("login lets nobody guess on, for names that there are and that there are not", async () => {
  await using app = start();
  for (const name of ["ann", "nobody"]) {
    const messages: string[] = [];
    for (let i = 0; i < 7; i++) {
      const fields = { name, password: i === 6 ? "garden" : `guess ${i}` };
      const page = await (await post(app, "/login", { fields, headers: PLAIN_FORM })).text();
      messages.push(/role="alert">([^<]*)/.exec(page)![1]!);
    }
    const wrong = "Name or password is wrong.";
    const tooMany = "Too many wrong passwords. Wait a minute.";
    assert.deepEqual(messages, [...Array(5).fill(wrong), tooMany, tooMany], name);
  }
  await cookieFor(app, "ben");
  app.clock.run(60_000);
  await cookieFor(app, "ann");
});

Deno.test("a note is pushed to its reader's pages alone, and stands on the next one", async () => {
  await using app = start();
  await using ann = await logIn(app, "ann");
  await using tab = await open(app, "/", { cookies: ann.cookies });
  await using ben = await logIn(app, "ben");
  const pushed = await capture(
    app.turbo,
    () => ben.submit("#send", { to: "ann", text: "<b>Tea?</b>" }),
  );
  assertStream(pushed, { action: "append", target: "notes", content: "&lt;b&gt;Tea?", to: "ann" });
  assert.deepEqual(pushed.map(({ to }) => to), [["ann"]]);
  for (const page of [ann, tab]) await page.shows("ben: <b>Tea?</b>", { in: "#notes" });
  assert.equal(ben.text("#send [role=status]"), "Sent to ann");
  assert.equal(ben.text("#notes"), "");
  await ann.visit("/");
  assert.equal(ann.text("#notes"), "ben: <b>Tea?</b>");
});

Deno.test("a note that cannot be sent is shown again, and pushed to nobody", async () => {
  await using app = start();
  await using page = await logIn(app, "ann");
  const pushed = await capture(app.turbo, async () => {
    await page.submit("#send", { text: " " });
    await page.shows("Write something");
  });
  assertNothingPushed(pushed);
  const headers = { ...TURBO_FORM, ...await cookieFor(app, "ann") };
  for (const to of ["nobody", "session:x", "ann'"]) {
    const response = await post(app, "/notes", { fields: { to, text: "x" }, headers });
    assert.equal(response.status, 422);
    assertStream(await response.text(), { target: "send", content: "Nobody has that name" });
  }
});

Deno.test("the newest twenty notes are kept", async () => {
  await using app = start();
  await using page = await logIn(app, "ann");
  const headers = { ...PLAIN_FORM, ...await cookieFor(app, "ben") };
  for (let i = 1; i <= 22; i++) {
    await post(app, "/notes", { fields: { to: "ann", text: `number ${i}.` }, headers });
  }
  await page.shows("number 22.");
  await page.lacks("number 2.");
  assert.equal(page.count("#notes li"), 20);
});

Deno.test("who is here follows who comes and goes", async () => {
  await using app = start({ presenceGrace: 1 });
  await using ann = await logIn(app, "ann");
  {
    await using _ben = await logIn(app, "ben");
    await ann.shows("Here now: ann, ben");
  }
  await ann.lacks("ben", { in: "#here" });
});

Deno.test("a log-out ends the connections of its session, and leads its other pages away", async () => {
  await using app = start();
  await using page = await logIn(app, "ann");
  await using tab = await open(app, "/", { cookies: page.cookies });
  await using elsewhere = await logIn(app, "ann");
  await page.shows("In another browser");
  await page.click("#logout");
  assert.equal(page.path, "/login?out");
  await page.shows("You have logged out.");
  assert.equal(page.cookies.size, 0);
  await tab.until(() => tab.path === "/login");
  await tab.lacks("Notes for you");
  assert.equal(app.turbo.listeners("ann"), 1);
  await elsewhere.lacks("In another browser");
  assert.deepEqual([elsewhere.path, elsewhere.state], ["/", "open"]);
  for (const one of [page, tab]) {
    await one.until(() => one.state === "open");
    await one.visit("/");
    assert.equal(one.path, "/login");
  }
});

Deno.test("a page of another browser can be logged out, and no one else's", async () => {
  await using app = start();
  await using page = await logIn(app, "ann");
  await using other = await logIn(app, "ann");
  await page.click({ text: "Log out there" });
  await other.until(() => other.path === "/login?ended");
  assert.equal(page.path, "/");
  await page.lacks("In another browser");

  const key = /session:[\w-]+/.exec(
    await (async () => {
      await using again = await logIn(app, "ann");
      await again.shows("In another browser");
      return again.html("#sessions");
    })(),
  )![0];
  const headers = { ...PLAIN_FORM, ...await cookieFor(app, "ben") };
  await post(app, "/sessions/end", { fields: { session: key }, headers });
  await page.visit("/");
  assert.equal(page.path, "/");
});

Deno.test("a session that is over leads its pages to the log-in page, and hears no more", async () => {
  await using app = start({ lifetime: 1_000 });
  await using page = await logIn(app, "ann");
  app.clock.run(999);
  await page.visit("/");
  assert.equal(page.path, "/");
  app.clock.run(1);
  assert.equal(app.turbo.listeners("ann"), 0);
  await page.until(() => page.path === "/login?ended");
  await page.shows("Your session has ended. Log in again.");
  await page.until(() => page.state === "open");
  await page.submit("form", { name: "ann", password: "garden" });
  await page.shows("Hello, ann");
});

Deno.test("a page that was away while its session ended is led to the log-in page, too", async () => {
  await using app = start({ lifetime: 1_000 });
  let isAway = false;
  const fetch = (request: Request) =>
    isAway && request.url.includes("/turbo-stream")
      ? new Response("away", { status: 503 })
      : app.hono.fetch(request);
  await using page = await openPage({ fetch }, "/login", { deadline: DEADLINE });
  await page.submit("form", { name: "ann", password: "garden" });
  isAway = true;
  app.turbo.disconnect("nobody");
  await page.visit("/"); // whose stream is not had
  assert.equal(page.state, "closed");
  app.clock.run(1_000);
  isAway = false;
  await page.until(() => page.path === "/login?ended");
});

Deno.test("login starts a new session for each log-in, and accepts none that it has not made", async () => {
  await using app = start();
  const first = await cookieFor(app, "ann");
  const second = await cookieFor(app, "ann", first);
  assert.notEqual(second.Cookie, first.Cookie);
  const at = async (headers: Record<string, string>) =>
    (await app.hono.request("/", { headers })).headers.get("Location") ?? "home";
  assert.equal(await at(second), "home");
  assert.equal(await at(first), "/login?ended"); // the one before is over
  const [id = ""] = decodeURIComponent(second.Cookie).split("=")[1]!.split(".");
  assert.match(id, /^[\w-]{36}$/);
  for (const forged of [id, `${id}.x`, encodeURIComponent(`${id}.${btoa("x".repeat(32))}`), ""]) {
    assert.equal(await at({ Cookie: `session=${forged}` }), "/login", forged);
  }
});

Deno.test("login keeps five sessions of a user, and ends the oldest", async () => {
  await using app = start();
  const cookies = [];
  for (let i = 0; i < 6; i++) cookies.push(await cookieFor(app, "ann"));
  const places = await Promise.all(
    cookies.map(async (headers) => (await app.hono.request("/", { headers })).status),
  );
  assert.deepEqual(places, [303, 200, 200, 200, 200, 200]);
});

Deno.test("login answers members with what nobody may keep, and sets a cookie that no script reads", async () => {
  await using app = start();
  const { Cookie } = await cookieFor(app, "ann");
  const page = await app.hono.request("/", { headers: { Cookie } });
  const { headers } = page;
  assert.equal(headers.get("Cache-Control"), "private, no-store");
  assert.match(await page.text(), /<meta name="turbo-cache-control" content="no-cache">/);
  const response = await post(app, "/login", { fields: { name: "ann", password: "garden" } });
  assert.match(response.headers.getSetCookie()[0]!, /; Path=\/; HttpOnly; SameSite=Lax$/);
  const anywhere = await app.hono.request("/login?next=https://evil.example&out//evil.example", {});
  assert.doesNotMatch(await anywhere.text(), /evil/);
});

Deno.test("login guards its forms and its pages", async () => {
  for (const path of ["/login", "/logout", "/notes"]) await assertGuarded(start(), path);
  await assertStrict(start(), "/login");
});

Deno.test(
  "login leads real pages away at a log-out, and Back shows nothing of it",
  WITH_BROWSER,
  async () => {
    await using app = start();
    await using at = await stage(app);
    const first = await at.open("/login");
    await first.page.fill("#name", "ann");
    await first.page.fill("#password", "garden");
    await first.page.press("#password", "Enter");
    await first.page.waitForSelector(OPEN_PAGE);
    const tab = await first.context.newPage();
    const errors = watch(tab).errors;
    await tab.goto(at.url);
    await tab.waitForSelector(OPEN_PAGE);
    await connected(app.turbo, { name: "ann", count: 2 });
    const headers = { ...PLAIN_FORM, ...await cookieFor(app, "ben") };
    await post(app, "/notes", { fields: { to: "ann", text: "Tea?" }, headers });
    for (const page of [first.page, tab]) await untilText(page, "#notes li", "ben: Tea?");

    await first.page.click("#logout");
    await untilText(first.page, "p.notice", "You have logged out.");
    await tab.waitForURL("**/login");
    assert.equal(await tab.textContent("h1"), "Log in");
    await first.page.goBack();
    await first.page.waitForURL(/\/login$/); // by way of the member's page
    assert.equal(await first.page.textContent("h1"), "Log in");
    assert.equal(app.turbo.listeners("ann"), 0);

    await tab.fill("#name", "ben");
    await tab.fill("#password", "attic");
    await tab.click("#login-button");
    await tab.waitForSelector("#notes", { state: "attached" });
    await post(app, "/notes", {
      fields: { to: "ben", text: "Welcome" },
      headers: { ...PLAIN_FORM, ...await cookieFor(app, "ann") },
    });
    await untilText(tab, "#notes li", "ann: Welcome");
    app.clock.run(30 * 60_000);
    await untilText(tab, "p.notice", "Your session has ended. Log in again.");
    assertNoErrors(first);
    assert.deepEqual(errors, []);
  },
);

Deno.test("login works by full pages without JavaScript", WITH_BROWSER, async () => {
  await using app = start();
  await using at = await stage(app);
  const { page } = await at.openPlain();
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password").fill("wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await untilText(page, "#login-error", "Name or password is wrong.");
  assert.equal(await page.inputValue("#name"), "ann");
  await page.getByLabel("Password").fill("garden");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByLabel("Note", { exact: true }).fill(" ");
  await page.getByRole("button", { name: "Send" }).click();
  await untilText(page, "#send-error", "Write something");
  await page.getByLabel("Note", { exact: true }).fill("Tea?");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  await untilText(page, "p.notice", "You have logged out.");
  await page.goBack();
  await page.reload();
  assert.equal(await page.textContent("h1"), "Log in");
});
