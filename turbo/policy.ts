/**
 * The content security policy of a page with Turbo.
 *
 * @module
 */
import { NONCE } from "hono/secure-headers";

/** What one directive allows: sources, or functions of Hono's context that make one, such as `NONCE`. */
// deno-lint-ignore no-explicit-any -- a type of Hono's in ours is none that `deno doc` knows
export type PolicySources = (string | ((c: any, directive: string) => string))[];

/** The directives of a policy by Hono's names of them, such as `imgSrc`. */
export interface PolicyDirectives {
  /** What has no directive of its own. Default nothing. */
  defaultSrc?: PolicySources;
  /** Scripts. Default those of the server itself; the scripts of `turbo.head` need that. */
  scriptSrc?: PolicySources;
  /** Styles. Default those of the server, and Turbo's progress bar by a nonce. */
  styleSrc?: PolicySources;
  /** Images. Default those of the server and `data:`. */
  imgSrc?: PolicySources;
  /** Fonts. Default nothing. */
  fontSrc?: PolicySources;
  /** Audio and video. Default nothing. */
  mediaSrc?: PolicySources;
  /** Frames. Default nothing. */
  frameSrc?: PolicySources;
  /** Connections. Default those to the server itself; the stream needs that. */
  connectSrc?: PolicySources;
  /** The manifest of an app. Default nothing. */
  manifestSrc?: PolicySources;
  /** Where forms are sent. Default the server itself. */
  formAction?: PolicySources;
  /** What a `<base>` may name. Default nothing. */
  baseUri?: PolicySources;
  /** Which pages may frame this one. Default none. */
  frameAncestors?: PolicySources;
}

/** Options of Hono's `secureHeaders`. */
export interface PagePolicy {
  /** The `Content-Security-Policy`. */
  contentSecurityPolicy: PolicyDirectives;
  /** The `Referrer-Policy`. */
  referrerPolicy: string;
}

/**
 * The strictest policy with which a page with Turbo works, for Hono's `secureHeaders`: everything from the
 * server itself, and a nonce for the one style that Turbo inserts, which `turbo.head(c)` writes into the
 * page. Directives that are given take the place of those here. The `Referrer-Policy` is the browsers'
 * default: with that of `secureHeaders`, `no-referrer`, a form has no `Origin`, and `csrf()` refuses it.
 *
 * @example
 * ```ts
 * import { Hono } from "hono";
 * import { secureHeaders } from "hono/secure-headers";
 * import { pagePolicy } from "./policy.ts";
 * import assert from "node:assert/strict";
 *
 * const app = new Hono();
 * app.use(secureHeaders(pagePolicy({ imgSrc: ["'self'", "https://images.example"] })));
 * app.get("/", (c) => c.text(""));
 *
 * const policy = (await app.request("/")).headers.get("Content-Security-Policy");
 * assert.match(policy ?? "", /script-src 'self'; style-src 'self' 'nonce-.+'; img-src 'self' https:/);
 * ```
 */
export function pagePolicy(directives: PolicyDirectives = {}): PagePolicy {
  return {
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", NONCE],
      imgSrc: ["'self'", "data:"],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
      baseUri: ["'none'"],
      frameAncestors: ["'none'"],
      ...directives,
    },
    referrerPolicy: "strict-origin-when-cross-origin",
  };
}
