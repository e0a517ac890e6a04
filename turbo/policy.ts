/**
 * The content security policy of a page with Turbo.
 *
 * @module
 */
import { NONCE } from "hono/secure-headers";
import { checkOptions, type Rule, text } from "./checks.ts";

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
  /** Workers. Default: what `scriptSrc` allows. */
  workerSrc?: PolicySources;
  /** Frames and workers without a directive of their own. */
  childSrc?: PolicySources;
  /** Plug-ins. Default: nothing. */
  objectSrc?: PolicySources;
  /** Only `<script>` elements. */
  scriptSrcElem?: PolicySources;
  /** Event handlers in attributes. */
  scriptSrcAttr?: PolicySources;
  /** Only `<style>` elements and style sheets. */
  styleSrcElem?: PolicySources;
  /** `style` attributes. */
  styleSrcAttr?: PolicySources;
  /** What a sandboxed page may do. */
  sandbox?: PolicySources;
  /** An empty list makes the browser load `http:` URLs of the page by `https:`. */
  upgradeInsecureRequests?: PolicySources;
  /** The places that need trusted types. */
  requireTrustedTypesFor?: PolicySources;
  /** The names of the policies that make trusted types. */
  trustedTypes?: PolicySources;
  /** The name in `Reporting-Endpoints` of the endpoint to which the browser reports violations. */
  reportTo?: string;
}

/** Options of Hono's `secureHeaders`. */
export interface PagePolicy {
  /** The `Content-Security-Policy`. */
  contentSecurityPolicy: PolicyDirectives;
  /** The `Referrer-Policy`. */
  referrerPolicy: string;
}

const sources: Rule = {
  allowed: "a list of sources",
  problem: (value) => Array.isArray(value) ? undefined : "type",
};

const RULES = {
  defaultSrc: sources,
  scriptSrc: sources,
  styleSrc: sources,
  imgSrc: sources,
  fontSrc: sources,
  mediaSrc: sources,
  frameSrc: sources,
  connectSrc: sources,
  manifestSrc: sources,
  formAction: sources,
  baseUri: sources,
  frameAncestors: sources,
  workerSrc: sources,
  childSrc: sources,
  objectSrc: sources,
  scriptSrcElem: sources,
  scriptSrcAttr: sources,
  styleSrcElem: sources,
  styleSrcAttr: sources,
  sandbox: sources,
  upgradeInsecureRequests: sources,
  requireTrustedTypesFor: sources,
  trustedTypes: sources,
  reportTo: text((name) => name !== "", "a name"),
} satisfies Record<keyof PolicyDirectives, Rule>;

/**
 * The strictest policy with which a page with Turbo works, as options of Hono's `secureHeaders`. It allows
 * only what the server itself serves, images in `data:` URLs, and one style that Turbo inserts. That style
 * needs a nonce, which `turbo.head(c)` writes into the page. A directive that you give replaces the default.
 *
 * The `Referrer-Policy` is the browsers' default. With `no-referrer`, the default of `secureHeaders`, a
 * form is sent without the page's `Origin`, and `csrf()` rejects it.
 *
 * @throws {TypeError} when a directive is unknown, or is not a list
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
  const given = Object.entries(checkOptions("pagePolicy()", directives, RULES));
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
      ...Object.fromEntries(given.filter(([, sources]) => sources !== undefined)),
    },
    referrerPolicy: "strict-origin-when-cross-origin",
  };
}
