import assert from "node:assert/strict";
import { watch } from "../tests/browser.ts";
import { assertGuarded, assertNoErrors, assertStrict, PLAIN_FORM } from "../tests/example_kit.ts";
import { post, stage, TURBO_FORM, untilText } from "../tests/example_kit.ts";
import { until, WITH_BROWSER } from "../tests/kit.ts";
import { assertStream, capture, OPEN_PAGE } from "../turbo/testing.ts";
import { createApp, JobError, type Work } from "./progress.ts";

const READER = "01234567-89ab-cdef-0123-456789abcdef";
const COOKIE = { Cookie: `reader=${READER}` };

/** Work that goes on when the test says so. */
function controlledWork() {
  const runs: { report: (percent: number) => void; done: () => void; fail: (e: Error) => void }[] =
    [];
  const work: Work = (report) =>
    new Promise<void>((done, fail) => runs.push({ report, done, fail }));
  return { work, runs };
}

Deno.test("progress pushes to the one who started it alone", async () => {
  const app = createApp({
    work(report) {
      report(50);
      return Promise.resolve();
    },
  });
  const pushed = await capture(app.turbo, async () => {
    const response = await post(app, "/jobs", { headers: { ...TURBO_FORM, ...COOKIE } });
    assert.match(response.headers.get("Turbo-Cursor")!, /\.\d+$/);
    assertStream(await response.text(), { action: "replace", target: "job" });
    await until(async () => {
      const page = await app.hono.request("/", { headers: COOKIE });
      return (await page.text()).includes("Done");
    }, "the job is done");
  });
  for (const content of ["0 % done", "50 % done", "Done"]) {
    assertStream(pushed, { action: "replace", target: "job", content, to: READER });
  }
  assert(pushed.every(({ to }) => to?.length === 1 && to[0] === READER));
});

Deno.test("progress starts one job for a form that is sent twice", async () => {
  const { work, runs } = controlledWork();
  const app = createApp({ work });
  const headers = { ...PLAIN_FORM, ...COOKIE };
  for (let i = 0; i < 2; i++) {
    const response = await post(app, "/jobs", { headers });
    assert.deepEqual([response.status, response.headers.get("Location")], [303, "/"]);
  }
  assert.equal(runs.length, 1);
});

Deno.test("progress says why a job failed, but nothing of an error that is not meant for readers", async () => {
  const reasons: [Error, RegExp][] = [
    [new JobError("The disk is full"), /Failed at 0 %: The disk is full/],
    [new Error("password is 1234"), /Failed at 0 %: Something went wrong/],
  ];
  for (const [error, shown] of reasons) {
    const { work, runs } = controlledWork();
    const logged: unknown[] = [];
    const app = createApp({ work, onError: (_message, error) => logged.push(error) });
    await post(app, "/jobs", { headers: { ...PLAIN_FORM, ...COOKIE } });
    runs[0]!.fail(error);
    await until(async () => {
      const page = await app.hono.request("/", { headers: COOKIE });
      return shown.test(await page.text());
    }, "the failure is shown");
    assert.deepEqual(logged, error instanceof JobError ? [] : [error]);
  }
});

Deno.test("progress gives each new reader an id that no other has, and takes no other's", async () => {
  const app = createApp();
  const idOf = async (headers: Record<string, string> = {}) =>
    /reader=([^;]+); Path=\/; HttpOnly; SameSite=Lax/.exec(
      (await app.hono.request("/", { headers })).headers.get("Set-Cookie") ?? "",
    )?.[1];
  const [one, two] = [await idOf(), await idOf()];
  assert.match(one!, /^[0-9a-f-]{36}$/);
  assert.notEqual(one, two);
  assert.equal(await idOf(COOKIE), READER);
  assert.notEqual(await idOf({ Cookie: `reader=${"x".repeat(3_000)}` }), "x".repeat(3_000));
});

Deno.test("progress refuses forms of other sites and long ones", async () => {
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
