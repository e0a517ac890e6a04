/**
 * The path below which an app is reached, such as `/load`.
 *
 * @module
 */
import { getPath } from "hono/utils/url";

/**
 * The path of a request without the base, whether a proxy has removed that or not: for the option `getPath`
 * of `Hono`, so that routes are written as at the root. An empty base changes nothing. The base alone is `/`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Hono } from "hono";
 * import { pathBelow } from "./base_path.ts";
 *
 * const app = new Hono({ getPath: (request) => pathBelow("/load", request) });
 * app.get("/page2", (c) => c.text("The last day"));
 * for (const path of ["/load/page2", "/page2"]) {
 *   assert.equal((await app.request(path)).status, 200);
 * }
 * ```
 */
export function pathBelow(base: string, request: Request): string {
  const path = getPath(request);
  if (base === "") return path;
  if (!URL.canParse(request.url)) return path; // a client can send any text as Host
  // Compared with the URL, because the path is decoded, and links are made from the URL.
  const { pathname } = new URL(request.url);
  if (pathname === base) return "/";
  return pathname.startsWith(`${base}/`) ? path.slice(base.length) : path;
}
