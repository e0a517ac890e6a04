/**
 * Where an app is, as a browser sees it.
 *
 * @module
 */
import type { Context } from "hono";

/** The path of a request, in the two parts that the middleware needs. */
export interface BasedPath {
  /** The prefix of the app, as the browser sees it. */
  readonly base: string;
  /** The path without that prefix. */
  readonly path: string;
  /** The path that the middleware is registered for, where it is a single one. */
  readonly alone: string | undefined;
}

/**
 * A request's path without the prefix of the app, and that prefix as the browser sees it (`base`). The prefix
 * has two parts: what a proxy or a mount has stripped (`outer`, which only the app can tell), and the path at
 * which the middleware is registered, such as that of `app.route`. `alone` is the path of the registration
 * where it is for a single path.
 */
export function pathOf(c: Context, outer: string): BasedPath {
  // Not by hono/route: where this package has another copy of Hono than the app, that copy does not know
  // the app's requests.
  const { matchedRoutes, routeIndex } = c.req;
  const { path: pattern, basePath } = matchedRoutes[routeIndex] ?? { path: "/*", basePath: "" };
  const routed = pattern.endsWith("/*") ? pattern.slice(0, -2) : basePath;
  const alone = /[*{]/.test(pattern) ? undefined : pattern;
  if (routed === "" && outer === "" && isPathOf(c.req.path, c.req.url)) {
    return { base: "", path: c.req.path, alone };
  }
  // From the URL, because Hono's path is decoded, and a decoded backslash in a base would name another host.
  const { pathname } = new URL(c.req.url);
  const segments = pathname.split("/");
  // Hono's option getPath may have added the host before the path, or have removed a part of it.
  const added = c.req.path === pathname ? 0 : depthOf(c.req.path) - depthOf(pathname);
  const depth = Math.max(1, depthOf(routed) - added);
  const own = segments.slice(0, depth).join("/").replace(/^\/+/, "/").replace(/\/$/, "");
  const path = `/${segments.slice(depth).join("/")}`;
  const isWhole = own === outer || own.startsWith(`${outer}/`);
  return {
    base: isWhole ? own : outer + own,
    path: outer !== "" && path.startsWith(`${outer}/`) ? path.slice(outer.length) : path,
    alone,
  };
}

/** How many segments a path has, without slashes at its end. */
function depthOf(path: string): number {
  let end = path.length; // /\/+$/ would take long for many slashes that are not at the end
  while (path[end - 1] === "/") end--;
  return path.slice(0, end).split("/").length;
}

/** Whether a path stands in a URL as it is: Hono decodes some, and an app may have it changed. */
function isPathOf(path: string, url: string): boolean {
  const start = url.indexOf("/", "https://".length);
  const end = url[start + path.length];
  return url.startsWith(path, start) && (end === undefined || end === "?" || end === "#");
}
