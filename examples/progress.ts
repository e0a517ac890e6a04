/**
 * A long job whose progress is pushed to the one who started it, in all of their tabs.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { acceptsStream, html, type Markup, replace } from "../turbo/mod.ts";
import { streamResponse, Turbo, type TurboOptions } from "../turbo/mod.ts";
import { assets, type Example, type ExampleEnv, field, guards, layout } from "./layout.ts";
import { type PageContext, respond } from "./layout.ts";

/** A job and how far it is. */
export interface Job {
  /** Whether it runs, and how it ended. */
  state: "running" | "done" | "failed";
  /** How much of it is done, from 0 to 100. */
  percent: number;
  /** Why it failed. */
  reason?: string;
}

/** What takes long. It reports the percentage that is done. */
export type Work = (
  report: (percent: number) => void,
  options: { fail: boolean },
) => Promise<void>;

/** Why a job failed, in words for the one who started it. */
export class JobError extends Error {}

const JOB_ID = "job";
const MAX_READERS = 1_000;
const READER = /^[0-9a-f-]{36}$/;

/** Wires the example together. Starts nothing. */
export function createApp(
  { work = pretend, ...options }: TurboOptions & { work?: Work } = {},
): Example {
  const turbo = new Turbo(options);
  const hono = new Hono<ExampleEnv>();
  const jobs = new Map<string, Job>();
  const { onError = console.error } = options;
  const reportError = (error: unknown) => onError("A job failed:", error);

  hono.get("/turbo-stream", (c) => turbo.connect(c.req.raw, { as: readerOf(c) ?? [] }));
  hono.use(...guards());
  hono.get("/assets/*", assets(turbo));

  hono.get("/", (c) => {
    const { cursor } = turbo; // before the job is read
    const job = jobs.get(welcome(c));
    return respond(c, (context) => progressPage(context, job), {
      head: turbo.head({ cursor }),
      cursor,
    });
  });

  // One job for each reader: a form that is sent twice starts one.
  hono.post("/jobs", async (c) => {
    const fail = await field(c, "fail") === "yes";
    const reader = welcome(c);
    if (jobs.get(reader)?.state !== "running") run(reader, { fail }).catch(reportError);
    if (!acceptsStream(c.req.raw)) return c.redirect("/", 303);
    return streamResponse(replace(JOB_ID, jobBox(jobs.get(reader))), { cursor: turbo.cursor });
  });

  async function run(reader: string, options: { fail: boolean }): Promise<void> {
    const show = (job: Job) => {
      jobs.set(reader, job);
      turbo.push(replace(JOB_ID, jobBox(job)), { to: reader });
    };
    let percent = 0;
    forgetOldest();
    show({ state: "running", percent });
    try {
      await work((now) => show({ state: "running", percent: percent = now }), options);
      show({ state: "done", percent: 100 });
    } catch (error) {
      const isOurs = error instanceof JobError;
      show({ state: "failed", percent, reason: isOurs ? error.message : "Something went wrong" });
      if (!isOurs) throw error;
    }
  }

  function forgetOldest(): void {
    if (jobs.size < MAX_READERS) return;
    const ended = [...jobs].find(([, { state }]) => state !== "running");
    if (ended) jobs.delete(ended[0]);
  }

  return { hono, turbo };
}

/** The reader's id, which nobody can guess, or `undefined` on the first visit. */
function readerOf(c: Context): string | undefined {
  const reader = getCookie(c, "reader");
  return reader !== undefined && READER.test(reader) ? reader : undefined;
}

function welcome(c: Context): string {
  const reader = readerOf(c) ?? crypto.randomUUID();
  const secure = new URL(c.req.url).protocol === "https:";
  setCookie(c, "reader", reader, { httpOnly: true, sameSite: "Lax", path: "/", secure });
  return reader;
}

/** Takes eight seconds, or fails half-way. */
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
export function progressPage(context: Omit<PageContext, "title">, job?: Job): Markup {
  return layout(
    { ...context, title: "A long job" },
    html`
      <form class="fields" method="post" action="/jobs">
        <label class="choice"><input type="checkbox" name="fail" value="yes"> Let it fail</label>
        <button>Start</button>
      </form>
      ${jobBox(job)}
      <p class="note">Only you see this: open it in another tab, and in another browser.
        Without JavaScript, <a href="/">look again</a>.</p>
    `,
  );
}

/** How far the job is. */
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

if (import.meta.main) Deno.serve(createApp().hono.fetch);
