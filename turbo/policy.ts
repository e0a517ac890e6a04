/**
 * The content security policy of a page with Turbo.
 *
 * @module
 */
import { NONCE } from "hono/secure-headers";

/** The sources of a directive: texts, or functions that make one from Hono's context, such as `NONCE`. */
// deno-lint-ignore no-explicit-any -- `deno doc` cannot resolve Hono's type
export type PolicySources = (string | ((c: any, directive: string) => string))[];

/** The directives of a policy, by Hono's names for them, such as `imgSrc`. */
export interface PolicyDirectives {
  /** Everything without a directive of its own. Default: nothing. */
  defaultSrc?: PolicySources;
  /** Scripts. Default: those of the server itself, which the scripts of `turbo.head` need. */
  scriptSrc?: PolicySources;
  /** Styles. Default: those of the server itself, and by a nonce the style of Turbo's progress bar. */
  styleSrc?: PolicySources;
  /** Images. Default: those of the server itself and `data:` URLs. */
  imgSrc?: PolicySources;
  /** Fonts. Default: nothing. */
  fontSrc?: PolicySources;
  /** Audio and video. Default: nothing. */
  mediaSrc?: PolicySources;
  /** Frames. Default: nothing. */
  frameSrc?: PolicySources;
  /** Connections. Default: those to the server itself, which the stream needs. */
  connectSrc?: PolicySources;
  /** The manifest of an app. Default: nothing. */
  manifestSrc?: PolicySources;
  /** Where forms may be sent. Default: the server itself. */
  formAction?: PolicySources;
  /** The URLs that a `<base>` may have. Default: nothing. */
  baseUri?: PolicySources;
  /** The pages that may frame this one. Default: none. */
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
 * The strictest policy with which a page with Turbo works, as options of Hono's `secureHeaders`. It allows
 * only what the server itself serves, images in `data:` URLs, and one style that Turbo inserts. That style
 * needs a nonce, which `turbo.head(c)` writes into the page. A directive that you give replaces the default.
 *
 * The `Referrer-Policy` is the browsers' default. With `no-referrer`, the default of `secureHeaders`, a
 * form is sent without the page's `Origin`, and `csrf()` rejects it.
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
