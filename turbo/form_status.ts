/**
 * The status that Turbo asks of the answers to its forms.
 *
 * @module
 */
import type { Context } from "hono";
import { acceptsStream, type HonoContext, mediaTypeOf, requestedFrame } from "./request.ts";

/** A middleware of Hono, for the context of an app. */
export type Middleware<C extends HonoContext> = (
  c: C,
  next: () => Promise<void>,
) => Promise<Response | void>;

/**
 * Middleware that gives answers to Turbo's forms the status that Turbo asks for (Turbo handbook,
 * "Redirecting After a Form Submission"): the status of a page changes from 200 to 422, and that of a
 * redirect from 301 or 302 to 303. Other requests and other answers stay as they are, and so does the 200
 * that fills a `<turbo-frame>`, which Turbo accepts. `turbo.middleware()` includes it.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { turboForms } from "./form_status.ts";
 * import assert from "node:assert/strict";
 *
 * const app = new Hono();
 * app.use(turboForms());
 * app.post("/names", (c) => c.html("<p>A name is needed</p>"));
 *
 * const headers = { Accept: "text/vnd.turbo-stream.html, text/html" };
 * assert.equal((await app.request("/names", { method: "POST", headers })).status, 422);
 * assert.equal((await app.request("/names", { method: "POST" })).status, 200);
 * ```
 */
export function turboForms(): Middleware<HonoContext> {
  return async function turboForms(c, next) {
    await next();
    finishForm(c as unknown as Context);
  };
}

/** Gives the answer to one of Turbo's forms the status that Turbo asks for. */
export function finishForm(c: Context): void {
  const request = c.req.raw;
  if (/^(GET|HEAD|OPTIONS)$/.test(request.method) || !acceptsStream(request)) return;
  const status = statusFor(c, requestedFrame(request) !== undefined);
  if (status !== c.res.status) c.res = new Response(c.res.body, { status, headers: c.res.headers });
}

function statusFor(c: Context, framed: boolean): number {
  const { status } = c.res;
  if (status === 301 || status === 302) return 303;
  return status === 200 && mediaTypeOf(c.res) === "text/html" && !framed ? 422 : status;
}
