/**
 * A long job whose progress is pushed to the reader who started it, in all tabs.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { getSignedCookie, setSignedCookie } from "hono/cookie";
import { acceptsStream, html, type Markup, replace } from "@turbo-deno/turbo";
import { streamResponse, Turbo, type TurboOptions } from "@turbo-deno/turbo";
import { cookieOptions, errorHandler, type Example } from "./layout.ts";
import { field, frontOf, layout, PERSONAL, reporter } from "./layout.ts";
import { run } from "./run.ts";

/** A job and its progress. */
export interface Job {
  /** Whether it runs, and how it ended. */
  state: "running" | "done" | "failed";
  /** How much of it is done, in percent. */
  percent: number;
  /** Why it failed. */
  reason?: string;
}

/** The work of a job. It reports the percentage that is done. */
export type Work = (
  report: (percent: number) => void,
  options: { fail: boolean },
) => Promise<void>;

/** Why a job failed, with a message for the reader. */
export class JobError extends Error {}

/** The content of the form. */
export interface Draft {
  /** Whether the job should fail. */
  fail: boolean;
  /** Why the job was not started. */
  error?: string | undefined;
}

const JOB_ID = "job";
const FORM_ID = "start";
/** Readers whose last job is kept. More than can run at a time, so one that does not run can be forgotten. */
const MAX_READERS = 1_000;
const MAX_RUNNING = 100;
/** Seconds after which a rejected reader may try again. */
const RETRY_AFTER = 10;

/** Creates the example, without a server. */
export function createApp(
  { work = pretend, ...options }: TurboOptions & { work?: Work } = {},
): Example {
  // Random keys are enough, because the jobs end with this process, too.
  const turbo = new Turbo({ secret: crypto.randomUUID(), ...options });
  const cookieKey = crypto.getRandomValues(new Uint8Array(32));
  const hono = new Hono();
  const jobs = new Map<string, Job>();
  let running = 0;
  const report = reporter(options);

  hono.onError(errorHandler(report));
  hono.use(...frontOf(turbo));
  hono.get("/", async (c) => page(c, await welcome(c)));

  // One job for each reader, so that a form that is sent twice starts only one.
  hono.post("/jobs", async (c) => {
    const fail = await field(c, "fail") === "yes";
    const reader = await welcome(c);
    if (jobs.get(reader)?.state !== "running") {
      if (running >= MAX_RUNNING) return refuse(c, reader, fail);
      run(reader, { fail }).catch((error) => report("A job failed:", error));
    }
    // The page and not streams, because this tab may not yet listen to the topic of the reader in the cookie.
    return c.redirect("/", 303);
  });

  function refuse(
    c: Context,
    reader: string,
    fail: boolean,
  ): Response | Promise<Response> {
    const draft = { fail, error: `Too many jobs run now. Try again in ${RETRY_AFTER} seconds` };
    c.header("Retry-After", String(RETRY_AFTER));
    if (!acceptsStream(c.req.raw)) return page(c, reader, draft);
    return streamResponse(c, replace(FORM_ID, startForm(draft)), { status: 503 });
  }

  function page(
    c: Context,
    reader: string,
    draft?: Draft,
  ): Response | Promise<Response> {
    c.header("Cache-Control", PERSONAL);
    const head = turbo.head(c, { topics: [topicOf(reader)] });
    return c.html(progressPage(head, jobs.get(reader), draft), draft ? 503 : 200);
  }

  /** The reader's id from its cookie, or a new one. A cookie that this process has not signed is ignored. */
  async function welcome(c: Context): Promise<string> {
    const reader = await getSignedCookie(c, cookieKey, "reader") || crypto.randomUUID();
    await setSignedCookie(c, "reader", reader, cookieKey, cookieOptions(c));
    return reader;
  }

  async function run(reader: string, options: { fail: boolean }): Promise<void> {
    const show = (job: Job) => {
      jobs.set(reader, job);
      turbo.push(replace(JOB_ID, jobBox(job)), { topic: topicOf(reader) });
    };
    let percent = 0;
    running++;
    try {
      jobs.delete(reader); // set again below, as the newest
      forgetOldest();
      show({ state: "running", percent });
      await work((now) => show({ state: "running", percent: percent = now }), options);
      show({ state: "done", percent: 100 });
    } catch (error) {
      const isOurs = error instanceof JobError;
      show({ state: "failed", percent, reason: isOurs ? error.message : "Something went wrong" });
      if (!isOurs) throw error;
    } finally {
      running--;
    }
  }

  function forgetOldest(): void {
    if (jobs.size < MAX_READERS) return;
    for (const [reader, { state }] of jobs) {
      if (state !== "running") return void jobs.delete(reader);
    }
  }

  return { hono, turbo };
}

function topicOf(reader: string): string {
  return `reader:${reader}`;
}

/** Example work, which takes eight seconds, or fails half-way. */
async function pretend(report: (percent: number) => void, { fail }: { fail: boolean }) {
  for (let percent = 0; percent < 100; percent += 5) {
    report(percent);
    await new Promise((resolve) => setTimeout(resolve, 400));
    if (fail && percent === 50) {
      throw new JobError("The disk is full (not really: you asked for it)");
    }
  }
}

/** The page. */
export function progressPage(
  head: Markup,
  job?: Job,
  draft?: Draft,
): Markup {
  return layout(
    { head, title: "A long job" },
    html`
      ${startForm(draft)} ${jobBox(job)}
      <p class="note">Only you see this: open it in another tab, and in another browser.
        Without JavaScript, <a href="/">look again</a>.</p>
    `,
  );
}

/** The form that starts a job. */
export function startForm({ fail, error }: Draft = { fail: false }): Markup {
  const box = fail
    ? html`<input type="checkbox" name="fail" value="yes" checked>`
    : html`<input type="checkbox" name="fail" value="yes">`;
  return html`
    <form id="${FORM_ID}" class="fields" method="post" action="/jobs">
      <label class="choice">${box} Let it fail</label>
      <p class="error" role="alert">${error ?? ""}</p>
      <button id="start-button">Start</button>
    </form>
  `;
}

/** The progress of the job. */
export function jobBox(job?: Job): Markup {
  return html`<div id="${JOB_ID}" class="box">${
    job ? progress(job) : html`<p>No job yet</p>`
  }</div>`;
}

function progress({ state, percent, reason }: Job): Markup {
  const bar =
    html`<progress max="100" value="${percent}" aria-label="Progress">${percent} %</progress>`;
  if (state === "failed") {
    return html`${bar}<p class="error" role="alert">Failed at ${percent} %: ${reason}</p>`;
  }
  return state === "done"
    ? html`${bar}<p class="good" role="status">Done</p>`
    : html`${bar}<p>${percent} % done</p>`;
}

if (import.meta.main) {
  await run(
    "progress",
    "A long job whose progress is pushed to the reader who started it.",
    createApp,
  );
}
