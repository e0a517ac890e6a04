/**
 * The content security policy of a page with Turbo.
 *
 * @module
 */
import { NONCE } from "hono/secure-headers";
import { checkOptions, type Rule, text } from "./checks.ts";

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
  /** Workers. Default what `scriptSrc` allows. */
  workerSrc?: PolicySources;
  /** Frames and workers that have no directive of their own. */
  childSrc?: PolicySources;
  /** Plug-ins. Default nothing. */
  objectSrc?: PolicySources;
  /** `<script>` elements alone. */
  scriptSrcElem?: PolicySources;
  /** Event handlers in attributes. */
  scriptSrcAttr?: PolicySources;
  /** `<style>` elements and style sheets alone. */
  styleSrcElem?: PolicySources;
  /** `style` attributes. */
  styleSrcAttr?: PolicySources;
  /** What a sandboxed page may do. */
  sandbox?: PolicySources;
  /** Whether `http:` of the page is `https:`: an empty list says so. */
  upgradeInsecureRequests?: PolicySources;
  /** What needs trusted types. */
  requireTrustedTypesFor?: PolicySources;
  /** Which trusted types there are. */
  trustedTypes?: PolicySources;
  /** Where the browser tells of what it has refused, by a name of `Reporting-Endpoints`. */
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
 * The strictest policy with which a page with Turbo works, for Hono's `secureHeaders`: everything from the
 * server itself, and a nonce for the one style that Turbo inserts, which `turbo.head(c)` writes into the
 * page. Directives that are given take the place of those here. The `Referrer-Policy` is the browsers'
 * default: with that of `secureHeaders`, `no-referrer`, a form has no `Origin`, and `csrf()` refuses it.
 *
 * @throws {TypeError} when a directive is unknown, or no list
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
