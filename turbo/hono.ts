/**
 * What Turbo's forms need of a Hono app.
 *
 * @module
 */
import { acceptsStream, requestedFrame } from "./request.ts";

/** Middleware of Hono, as far as it is used here. */
export type Middleware = (
  context: { readonly req: { readonly raw: Request }; res: Response },
  next: () => Promise<void>,
) => Promise<void>;

/**
 * Middleware that gives the answers to Turbo's forms the status that Turbo asks for (Turbo handbook,
 * "Redirecting After a Form Submission"): a page that is shown again with status 200 becomes 422, a
 * redirect with 301 or 302 becomes 303. All else stays as it is: other requests, other answers, and
 * the 200 that fills a `<turbo-frame>`, which Turbo takes.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { turboForms } from "./hono.ts";
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
export function turboForms(): Middleware {
  return async function turboForms(c, next) {
    await next();
    const request = c.req.raw;
    if (/^(GET|HEAD|OPTIONS)$/.test(request.method) || !acceptsStream(request)) return;
    const status = statusFor(c.res, requestedFrame(request) !== undefined);
    if (status !== c.res.status) {
      c.res = new Response(c.res.body, { status, headers: c.res.headers });
    }
  };
}

function statusFor({ status, headers }: Response, framed: boolean): number {
  if (status === 301 || status === 302) return 303;
  const isPage = /^text\/html\s*(;|$)/i.test(headers.get("Content-Type") ?? "");
  return status === 200 && isPage && !framed ? 422 : status;
}
