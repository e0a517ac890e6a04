import assert from "node:assert/strict";
import { watch } from "../tests/browser.ts";
import { assertGuarded, assertNoErrors, assertStrict, PLAIN_FORM } from "../tests/example_kit.ts";
import { post, stage, TURBO_FORM, untilText } from "../tests/example_kit.ts";
import { until, WITH_BROWSER } from "../tests/kit.ts";
import { assertNothingPushed, assertStream, capture, OPEN_PAGE } from "../turbo/testing.ts";
import { createApp, JobError, type Work } from "./progress.ts";

/** Visits the page with or without a cookie. Returns the reader's id and the cookie. */
async function visit({ hono }: ReturnType<typeof createApp>, headers: Record<string, string> = {}) {
  const response = await hono.request("/", { headers });
  const [cookie = ""] = response.headers.getSetCookie();
  const value = /^reader=([^;]+); Path=\/; HttpOnly; SameSite=Lax$/.exec(cookie)?.[1] ?? "";
  const [id = ""] = decodeURIComponent(value).split(".");
  return { id, cookie: { Cookie: `reader=${value}` }, page: await response.text() };
}

/** Work that the test advances. */
function controlledWork() {
  const runs: { report: (percent: number) => void; done: () => void; fail: (e: Error) => void }[] =
    [];
  const work: Work = (report) =>
    new Promise<void>((done, fail) => runs.push({ report, done, fail }));
  return { work, runs };
}

Deno.test("progress pushes only to the reader who started the job", async () => {
  const app = createApp({
    work(report) {
      report(50);
      return Promise.resolve();
    },
  });
  const { id, cookie } = await visit(app);
  const topic = `reader:${id}`;
  const pushed = await capture(app.turbo, async () => {
    const response = await post(app, "/jobs", { headers: { ...TURBO_FORM, ...cookie } });
    assert.deepEqual([response.status, response.headers.get("Location")], [303, "/"]);
    await until(async () => (await visit(app, cookie)).page.includes("Done"), "the job is done");
  });
  for (const content of ["0 % done", "50 % done", "Done"]) {
    assertStream(pushed, { action: "replace", target: "job", content, topic });
  }
  assert.deepEqual(pushed.map(({ topic }) => topic), pushed.map(() => [topic]));
});

Deno.test("progress starts one job when a form is sent twice", async () => {
  const { work, runs } = controlledWork();
  const app = createApp({ work });
  const headers = { ...PLAIN_FORM, ...(await visit(app)).cookie };
  for (let i = 0; i < 2; i++) {
    const response = await post(app, "/jobs", { headers });
    assert.deepEqual([response.status, response.headers.get("Location")], [303, "/"]);
  }
  assert.equal(runs.length, 1);
});

Deno.test("progress shows why a job failed, but not an error that is not meant for readers", async () => {
  const reasons: [Error, RegExp][] = [
    [new JobError("The disk is full"), /Failed at 0 %: The disk is full/],
    [new Error("password is 1234"), /Failed at 0 %: Something went wrong/],
  ];
  for (const [error, shown] of reasons) {
    const { work, runs } = controlledWork();
    const logged: unknown[] = [];
    const app = createApp({ work, onError: (_message, error) => logged.push(error) });
    const { cookie } = await visit(app);
    await post(app, "/jobs", { headers: { ...PLAIN_FORM, ...cookie } });
    runs[0]!.fail(error);
    await until(async () => shown.test((await visit(app, cookie)).page), "the failure is shown");
    assert.deepEqual(logged, error instanceof JobError ? [] : [error]);
  }
});

Deno.test("progress gives each reader a signed id, and accepts no other", async () => {
  const app = createApp();
  const [one, two] = [await visit(app), await visit(app)];
  assert.match(one.id, /^[0-9a-f-]{36}$/);
  assert.notEqual(one.id, two.id);
  assert.equal((await visit(app, one.cookie)).id, one.id);
  const foreign = await visit(createApp());
  const forged: [string, string][] = [
    ["of its own choice", `reader=${one.id}`],
    ["with another's signature", two.cookie.Cookie.replace(two.id, one.id)],
    ["of another process", foreign.cookie.Cookie],
    ["long", `reader=${"x".repeat(3_000)}`],
  ];
  for (const [name, Cookie] of forged) {
    const { id } = await visit(app, { Cookie });
    assert.match(id, /^[0-9a-f-]{36}$/, name);
    assert(![one.id, foreign.id].includes(id), name);
  }
});

Deno.test("progress answers 503 with Retry-After when 100 jobs run", async () => {
  const { work, runs } = controlledWork();
  const app = createApp({ work });
  const first = await visit(app);
  const start = (headers: Record<string, string>) => post(app, "/jobs", { headers });
  await start({ ...PLAIN_FORM, ...first.cookie });
  for (let i = 2; i <= 100; i++) assert.equal((await start(PLAIN_FORM)).status, 303);

  const pushed = await capture(app.turbo, async () => {
    const plain = await post(app, "/jobs", { headers: PLAIN_FORM, fields: { fail: "yes" } });
    assert.deepEqual([plain.status, plain.headers.get("Retry-After")], [503, "10"]);
    const page = await plain.text();
    assert.match(page, /role="alert">Too many jobs run now\. Try again in 10 seconds</);
    assert.match(page, /name="fail" value="yes" checked/, "what was chosen is chosen still");
    const streams = await start(TURBO_FORM);
    assert.deepEqual([streams.status, streams.headers.get("Retry-After")], [503, "10"]);
    assert.equal(streams.headers.get("Turbo-Cursor"), app.turbo.cursor);
    assertStream(await streams.text(), { action: "replace", target: "start", content: "Too many" });
    assert.equal((await start({ ...PLAIN_FORM, ...first.cookie })).status, 303, "its job runs");
  });
  assertNothingPushed(pushed);
  assert.equal(runs.length, 100);

  runs[0]!.done();
  await until(async () => (await visit(app, first.cookie)).page.includes("Done"), "one is done");
  assert.equal((await start(PLAIN_FORM)).status, 303);
  assert.equal(runs.length, 101);
});

Deno.test("progress accepts another job when one has failed", async () => {
  const { work, runs } = controlledWork();
  const app = createApp({ work });
  for (let i = 1; i <= 100; i++) await post(app, "/jobs", { headers: PLAIN_FORM });
  runs[0]!.fail(new JobError("The disk is full"));
  await until(
    async () => (await post(app, "/jobs", { headers: PLAIN_FORM })).status === 303,
    "a job is started",
  );
});

Deno.test("progress keeps the last jobs of 1,000 readers, and all that run", async () => {
  const { work, runs } = controlledWork();
  const app = createApp({ work });
  const start = async (known?: Awaited<ReturnType<typeof visit>>) => {
    const reader = known ?? await visit(app);
    await post(app, "/jobs", { headers: { ...PLAIN_FORM, ...reader.cookie } });
    return reader;
  };
  const readers: Awaited<ReturnType<typeof visit>>[] = [];
  for (let i = 1; i <= 99; i++) readers.push(await start());
  for (let i = 100; i <= 1_001; i++) {
    readers.push(await start());
    runs.at(-1)!.done();
    if (i === 500) await start(readers[99]).then(() => runs.at(-1)!.done());
  }
  const shown = async (nth: number) =>
    /<p[^>]*>([^<]*)<\/p><\/div>/.exec((await visit(app, readers[nth - 1]!.cookie)).page)?.[1];
  assert.equal(await shown(1), "0 % done", "the oldest, which runs");
  assert.equal(await shown(100), "Done", "one that was started again");
  assert.equal(await shown(101), "No job yet", "the oldest that has ended");
  assert.equal(await shown(102), "Done", "the second oldest that has ended");
  assert.equal(await shown(1_001), "Done", "the newest");
});

Deno.test("progress rejects forms of other sites and forms that are too long", async () => {
  await assertGuarded(createApp(), "/jobs");
});

Deno.test("progress has pages under a strict policy", async () => {
  await assertStrict(createApp(), "/");
});

Deno.test(
  "progress shows a job in all tabs of who started it, and to nobody else",
  WITH_BROWSER,
  async () => {
    const { work, runs } = controlledWork();
    const app = createApp({ work });
    await using at = await stage(app);
    const [first, other] = [await at.open(), await at.open()];
    const tab = await first.context.newPage();
    const second = { page: tab, context: first.context, ...watch(tab) };
    await tab.goto(at.url);
    await tab.waitForSelector(OPEN_PAGE);

    await first.page.dblclick("button");
    for (const { page } of [first, second]) await untilText(page, "#job p", "0 % done");
    runs[0]!.report(30);
    for (const { page } of [first, second]) {
      await untilText(page, "#job p", "30 % done");
      assert.equal(await page.getAttribute("#job progress", "value"), "30");
    }
    await tab.reload();
    await untilText(tab, "#job p", "30 % done");
    await tab.waitForSelector(OPEN_PAGE);
    runs[0]!.done();
    for (const { page } of [first, second]) await untilText(page, "#job p", "Done");

    await second.page.check("[name=fail]");
    await second.page.click("button");
    await untilText(first.page, "#job p", "0 % done");
    runs[1]!.report(50);
    runs[1]!.fail(new JobError("The disk is full"));
    for (const { page } of [first, second]) {
      await untilText(page, "#job p", "Failed at 50 %: The disk is full");
    }
    assert.equal(runs.length, 2);
    await untilText(other.page, "#job p", "No job yet");
    assertNoErrors(first, second, other);
  },
);

Deno.test("progress works in a page that was open during a restart", WITH_BROWSER, async () => {
  const { work, runs } = controlledWork();
  const before = createApp({ work });
  const after = createApp({ work });
  let app = before;
  const hono = {
    fetch: (request: Request) => app.hono.fetch(request),
    request: () => Promise.reject(new Error("not used")),
  };
  await using at = await stage({ hono, turbo: after.turbo });
  const { page } = await at.open();
  await page.click("button");
  await untilText(page, "#job p", "0 % done");
  app = after;
  await before.turbo.close({ code: 1012, window: 0 });
  await untilText(page, "#job p", "No job yet");
  await page.waitForSelector(OPEN_PAGE);
  await page.click("button");
  await untilText(page, "#job p", "0 % done");
  runs[1]!.report(30);
  await untilText(page, "#job p", "30 % done");
  for (const run of runs) run.done();
  await untilText(page, "#job p", "Done");
});

Deno.test("progress shows in the page that too many jobs run", WITH_BROWSER, async () => {
  const { work, runs } = controlledWork();
  const app = createApp({ work });
  for (let i = 1; i <= 100; i++) await post(app, "/jobs", { headers: PLAIN_FORM });
  await using at = await stage(app);
  const tabs = [await at.open(), await at.openPlain()];
  for (const { page } of tabs) {
    await page.check("[name=fail]");
    await page.click("button");
    await untilText(page, ".error", "Too many jobs run now. Try again in 10 seconds");
    assert(await page.isChecked("[name=fail]"));
  }
  runs[0]!.done();
  const { page } = tabs[0]!;
  await page.click("button");
  await untilText(page, "#job p", "0 % done");
  await untilText(page, "#start .error", "");
});

Deno.test("progress shows the current state without JavaScript", WITH_BROWSER, async () => {
  const { work, runs } = controlledWork();
  await using at = await stage(createApp({ work }));
  const { page } = await at.openPlain();
  await page.click("button");
  await untilText(page, "#job p", "0 % done");
  runs[0]!.report(70);
  await page.click("a");
  await untilText(page, "#job p", "70 % done");
  runs[0]!.done();
  await page.reload();
  await untilText(page, "#job p", "Done");
});
